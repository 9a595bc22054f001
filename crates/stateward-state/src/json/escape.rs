//! Escapes in JSON strings.

use std::borrow::Cow;

/// What the bytes at a backslash are.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Escape {
    /// A character, and the length of its escape in bytes.
    Char(char, usize),
    /// The start of an escape.
    Incomplete,
    /// No escape, or half of a surrogate pair.
    Invalid,
}

fn unit(text: &[u8]) -> Option<u32> {
    text.iter().try_fold(0_u32, |value, byte| Some(value << 4 | char::from(*byte).to_digit(16)?))
}

/// Reads the escape that `text`, which starts with a backslash, starts with.
pub(crate) fn decode(text: &[u8]) -> Escape {
    let simple = |decoded: char| Escape::Char(decoded, 2);
    match text.get(1) {
        None => Escape::Incomplete,
        Some(b'"') => simple('"'),
        Some(b'\\') => simple('\\'),
        Some(b'/') => simple('/'),
        Some(b'b') => simple('\u{8}'),
        Some(b'f') => simple('\u{c}'),
        Some(b'n') => simple('\n'),
        Some(b'r') => simple('\r'),
        Some(b't') => simple('\t'),
        Some(b'u') => unicode(text),
        Some(_) => Escape::Invalid,
    }
}

fn unicode(text: &[u8]) -> Escape {
    let digits = |from: usize| text.get(from..text.len().min(from + 4)).unwrap_or_default();
    let Some(first) = unit(digits(2)) else { return Escape::Invalid };
    if digits(2).len() < 4 {
        return Escape::Incomplete;
    }
    if !(0xd800..0xdc00).contains(&first) {
        // A trailing surrogate without a leading one is no character.
        return char::from_u32(first).map_or(Escape::Invalid, |decoded| Escape::Char(decoded, 6));
    }
    let marker = text.get(6..text.len().min(8)).unwrap_or_default();
    if !b"\\u".starts_with(marker) {
        return Escape::Invalid;
    }
    let Some(second) = unit(digits(8)) else { return Escape::Invalid };
    if digits(8).len() < 4 {
        return Escape::Incomplete;
    }
    if !(0xdc00..0xe000).contains(&second) {
        return Escape::Invalid;
    }
    let code = 0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00);
    char::from_u32(code).map_or(Escape::Invalid, |decoded| Escape::Char(decoded, 12))
}

/// Appends a character as canonical strings spell it: escaped only where JSON requires it, and then in the short form
/// if there is one.
pub(crate) fn push_canonical(decoded: char, out: &mut Vec<u8>) {
    let short = match decoded {
        '"' => b'"',
        '\\' => b'\\',
        '\u{8}' => b'b',
        '\u{c}' => b'f',
        '\n' => b'n',
        '\r' => b'r',
        '\t' => b't',
        '\0'..'\u{20}' => {
            out.extend_from_slice(format!("\\u{:04x}", u32::from(decoded)).as_bytes());
            return;
        }
        _ => {
            out.extend_from_slice(decoded.encode_utf8(&mut [0; 4]).as_bytes());
            return;
        }
    };
    out.extend_from_slice(&[b'\\', short]);
}

/// The string a valid literal, given without its quotes, stands for.
pub(crate) fn unescape(text: &[u8]) -> Cow<'_, str> {
    if !text.contains(&b'\\') {
        return std::str::from_utf8(text).map_or_else(|_| String::from_utf8_lossy(text), Cow::Borrowed);
    }
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(&byte) = rest.first() {
        let length = if let (b'\\', Escape::Char(decoded, length)) = (byte, decode(rest)) {
            out.extend_from_slice(decoded.encode_utf8(&mut [0; 4]).as_bytes());
            length
        } else {
            out.push(byte);
            1
        };
        rest = rest.get(length..).unwrap_or_default();
    }
    Cow::Owned(String::from_utf8_lossy(&out).into_owned())
}

/// Appends a string as a JSON literal.
pub(crate) fn push_literal(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    for decoded in text.chars() {
        push_canonical(decoded, out);
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_read_as_serde_json_reads_them() {
        for text in [
            r"\n",
            r"\/",
            r"\u003c",
            r"\u00e9",
            r"\ud83d\ude00",
            r"\ud83d",
            r"\ude00",
            r"\ud83d\n",
            r"\ud83dx",
            r"\ud83d\ud83d",
            r"\x",
            r"\u00g0",
            r"\u0000",
            r"\uFFFF",
            r"\u12",
            r"\ud83d\ude0",
        ] {
            let theirs = serde_json::from_str::<String>(&format!("\"{text}\"")).ok();
            let ours = match decode(text.as_bytes()) {
                Escape::Char(decoded, length) if length == text.len() => Some(decoded.to_string()),
                _ => None,
            };
            assert_eq!(ours, theirs, "{text}");
        }
    }

    #[test]
    fn a_prefix_of_an_escape_is_incomplete() {
        let text = br"\ud83d\ude00";
        for length in 1..text.len() {
            assert_eq!(decode(&text[..length]), Escape::Incomplete, "{length}");
        }
    }

    #[test]
    fn literals_round_trip() {
        let text = "a\"\\\n\r\t\u{8}\u{c}\u{1}\u{1f}\u{7f}é😀<>&/";
        let mut literal = Vec::new();
        push_literal(text, &mut literal);
        assert_eq!(serde_json::from_slice::<String>(&literal).expect("valid"), text);
        assert_eq!(unescape(&literal[1..literal.len() - 1]), text);
    }
}
