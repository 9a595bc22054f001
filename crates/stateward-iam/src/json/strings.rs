//! Strings: borrowed from the text where they hold no escape.

use std::borrow::Cow;

use super::JsonErrorKind;
use super::reader::Result;

/// Reads a string whose content starts at `start`. Gives it, and where the text goes on after the closing quote.
pub(super) fn read(text: &str, start: usize) -> Result<(Cow<'_, str>, usize)> {
    let bytes = text.as_bytes();
    let mut decoded: Option<String> = None;
    let mut piece = start;
    let mut at = start;
    loop {
        // Most bytes of most strings mean themselves.
        while bytes.get(at).is_some_and(|byte| *byte >= b' ' && *byte != b'"' && *byte != b'\\') {
            at += 1;
        }
        let plain = text.get(piece..at).unwrap_or_default();
        match bytes.get(at) {
            Some(b'"') => {
                let string = match decoded {
                    None => Cow::Borrowed(plain),
                    Some(decoded) => Cow::Owned(decoded + plain),
                };
                return Ok((string, at + 1));
            }
            Some(b'\\') => {
                let into = decoded.get_or_insert_with(String::new);
                into.push_str(plain);
                at = escape(text, at, into)?;
                piece = at;
            }
            Some(_) => return Err((at, JsonErrorKind::ControlCharacter)),
            None => return Err((bytes.len(), JsonErrorKind::Truncated)),
        }
    }
}

/// Decodes the escape at `at`; gives where the text goes on.
fn escape(text: &str, at: usize, into: &mut String) -> Result<usize> {
    let bytes = text.as_bytes();
    let Some(letter) = bytes.get(at + 1) else { return Err((bytes.len(), JsonErrorKind::Truncated)) };
    let character = match letter {
        b'"' => '"',
        b'\\' => '\\',
        b'/' => '/',
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        b'n' => '\n',
        b'r' => '\r',
        b't' => '\t',
        b'u' => return unicode(text, at, into),
        _ => return Err((at, JsonErrorKind::Escape)),
    };
    into.push(character);
    Ok(at + 2)
}

fn unicode(text: &str, at: usize, into: &mut String) -> Result<usize> {
    let unknown = (at, JsonErrorKind::Escape);
    let first = unit(text, at).ok_or_else(|| unknown.clone())?;
    if let Some(character) = char::from_u32(first) {
        into.push(character);
        return Ok(at + 6);
    }
    let second = unit(text, at + 6).ok_or_else(|| unknown.clone())?;
    if !(0xd800..0xdc00).contains(&first) || !(0xdc00..0xe000).contains(&second) {
        return Err(unknown);
    }
    into.push(char::from_u32(0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00)).ok_or(unknown)?);
    Ok(at + 12)
}

/// The four digits of `\uXXXX`.
fn unit(text: &str, at: usize) -> Option<u32> {
    let digits = text.get(at..at + 6)?.strip_prefix("\\u")?;
    if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    u32::from_str_radix(digits, 16).ok()
}
