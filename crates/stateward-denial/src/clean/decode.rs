//! Bytes to text, whatever they are.

/// Decodes a text that comes in pieces: UTF-16 if it begins with its mark (as PowerShell writes files), else UTF-8.
#[derive(Debug, Default)]
pub(super) struct Decoder {
    encoding: Encoding,
    /// The start of a character whose end has not come yet, or of a mark.
    held: Vec<u8>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq)]
enum Encoding {
    #[default]
    Unknown,
    Utf8,
    Utf16 {
        big_endian: bool,
    },
}

impl Decoder {
    /// Decodes the next piece; what is no text becomes U+FFFD, and NUL nothing.
    pub(super) fn push(&mut self, bytes: &[u8], mut text: impl FnMut(&str)) {
        if self.held.is_empty() && self.encoding == Encoding::Utf8 {
            let rest = utf8(bytes, &mut text);
            self.held.extend_from_slice(rest);
            return;
        }
        self.held.extend_from_slice(bytes);
        if self.encoding == Encoding::Unknown {
            self.encoding = match self.held.as_slice() {
                [] | [0xff | 0xfe] => return,
                [0xff, 0xfe, ..] => Encoding::Utf16 { big_endian: false },
                [0xfe, 0xff, ..] => Encoding::Utf16 { big_endian: true },
                _ => Encoding::Utf8,
            };
        }
        let held = std::mem::take(&mut self.held);
        let rest = match self.encoding {
            Encoding::Utf16 { big_endian } => utf16(&held, big_endian, &mut text),
            _ => utf8(&held, &mut text),
        };
        self.held.extend_from_slice(rest);
    }
}

/// Decodes what can be decoded; gives back the start of a character at the end.
fn utf8<'a>(bytes: &'a [u8], text: &mut impl FnMut(&str)) -> &'a [u8] {
    let mut left = bytes.len();
    for chunk in bytes.utf8_chunks() {
        left -= chunk.valid().len() + chunk.invalid().len();
        for part in chunk.valid().split('\0').filter(|part| !part.is_empty()) {
            text(part);
        }
        let unfinished =
            left == 0 && std::str::from_utf8(chunk.invalid()).is_err_and(|error| error.error_len().is_none());
        if unfinished {
            return chunk.invalid();
        }
        if !chunk.invalid().is_empty() {
            text("\u{fffd}");
        }
    }
    &[]
}

/// The same for UTF-16.
fn utf16<'a>(bytes: &'a [u8], big_endian: bool, text: &mut impl FnMut(&str)) -> &'a [u8] {
    let (units, _) = bytes.as_chunks::<2>();
    let mut units: Vec<u16> = units
        .iter()
        .map(|pair| if big_endian { u16::from_be_bytes(*pair) } else { u16::from_le_bytes(*pair) })
        .collect();
    if units.last().is_some_and(|unit| (0xd800..0xdc00).contains(unit)) {
        units.pop();
    }
    let decoded: String = char::decode_utf16(units.iter().copied().filter(|unit| !matches!(unit, 0 | 0xfeff)))
        .map(|character| character.unwrap_or(char::REPLACEMENT_CHARACTER))
        .collect();
    if !decoded.is_empty() {
        text(&decoded);
    }
    bytes.get(units.len() * 2..).unwrap_or_default()
}
