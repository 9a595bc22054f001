//! Bytes to text, whatever they are.

use std::io::{self, Read};

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

impl Encoding {
    /// By the mark that a text begins with; unknown where the mark may not be there in full yet.
    fn of(start: &[u8]) -> Self {
        match start {
            [] | [0xff | 0xfe] => Self::Unknown,
            [0xff, 0xfe, ..] => Self::Utf16 { big_endian: false },
            [0xfe, 0xff, ..] => Self::Utf16 { big_endian: true },
            _ => Self::Utf8,
        }
    }
}

/// Reads what people save and paste as UTF-8: UTF-16 with its mark is decoded, and the mark of UTF-8 left out. Bytes that are
/// no text stay as they are.
#[derive(Debug)]
pub struct Utf8<R> {
    from: R,
    encoding: Encoding,
    /// What was read and is to be given on.
    ready: Vec<u8>,
    given: usize,
    /// The start of a character of UTF-16.
    held: Vec<u8>,
}

impl<R: Read> Utf8<R> {
    /// Reads from there.
    pub fn new(from: R) -> Self {
        Self { from, encoding: Encoding::Unknown, ready: Vec::new(), given: 0, held: Vec::new() }
    }

    /// Reads until the encoding is known: by three bytes, as the mark of UTF-8 has them.
    fn begin(&mut self) -> io::Result<()> {
        let mut start = Vec::new();
        self.from.by_ref().take(3).read_to_end(&mut start)?;
        self.encoding = match Encoding::of(&start) {
            Encoding::Unknown => Encoding::Utf8,
            known => known,
        };
        if self.encoding == Encoding::Utf8 {
            self.ready = start.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&start).to_vec();
        } else {
            self.held = start;
        }
        Ok(())
    }

    /// Decodes the next piece of UTF-16; nothing is ready behind it only at the end.
    fn decode(&mut self, big_endian: bool) -> io::Result<()> {
        const PIECE: usize = 16 << 10;
        (self.ready, self.given) = (Vec::new(), 0);
        while self.ready.is_empty() {
            let before = self.held.len();
            self.from.by_ref().take(PIECE as u64).read_to_end(&mut self.held)?;
            if self.held.len() == before {
                // Half a character at the end is none.
                if !std::mem::take(&mut self.held).is_empty() {
                    self.ready.extend("\u{fffd}".bytes());
                }
                return Ok(());
            }
            let held = std::mem::take(&mut self.held);
            let ready = &mut self.ready;
            let rest = utf16(&held, big_endian, &mut |text: &str| ready.extend(text.bytes()));
            self.held.extend_from_slice(rest);
        }
        Ok(())
    }
}

impl<R: Read> Read for Utf8<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.encoding == Encoding::Unknown {
            self.begin()?;
        }
        if self.given == self.ready.len() {
            match self.encoding {
                Encoding::Utf16 { big_endian } if !buffer.is_empty() => self.decode(big_endian)?,
                _ => return self.from.read(buffer),
            }
        }
        let ready = self.ready.get(self.given..).unwrap_or_default();
        let length = ready.len().min(buffer.len());
        if let (Some(to), Some(from)) = (buffer.get_mut(..length), ready.get(..length)) {
            to.copy_from_slice(from);
        }
        self.given += length;
        Ok(length)
    }
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
            self.encoding = Encoding::of(&self.held);
            if self.encoding == Encoding::Unknown {
                return;
            }
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives a byte at a time, as a pipe may.
    struct Bytes<'a>(&'a [u8]);

    impl Read for Bytes<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let length = buffer.len().min(1);
            self.0.read(&mut buffer[..length])
        }
    }

    #[test]
    fn files_of_every_editor_and_shell_are_utf_8() {
        let text = "{\"a\":\"né 🙂\"}\r\n".repeat(3000);
        let utf_16 =
            |text: &str, bytes: fn(u16) -> [u8; 2]| -> Vec<u8> { text.encode_utf16().flat_map(bytes).collect() };
        let marked = format!("\u{feff}{text}");
        let forms = [
            text.clone().into_bytes(),
            marked.clone().into_bytes(),
            utf_16(&marked, u16::to_le_bytes),
            utf_16(&marked, u16::to_be_bytes),
        ];
        for form in &forms {
            let mut read = String::new();
            Utf8::new(form.as_slice()).read_to_string(&mut read).expect("text");
            assert!(read == text, "{:?}", &form[..8]);
            read.clear();
            Utf8::new(Bytes(form)).read_to_string(&mut read).expect("text");
            assert!(read == text, "byte by byte: {:?}", &form[..8]);
        }
    }

    #[test]
    fn what_is_no_text_stays() {
        for bytes in [&b""[..], b"a", b"ab", b"\xef\xbb", b"a\0\xff\xfe", b"\xff"] {
            let mut read = Vec::new();
            Utf8::new(bytes).read_to_end(&mut read).expect("bytes");
            assert_eq!(read, bytes);
        }
        let mut read = String::new();
        Utf8::new(&b"\xff\xfea\0b"[..]).read_to_string(&mut read).expect("text");
        assert_eq!(read, "a\u{fffd}");
    }
}
