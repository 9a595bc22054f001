//! UTF-8 validation across pieces of input.

use crate::error::ScanError;

/// Checks pieces one after the other; a character may be cut between them.
#[derive(Debug, Default)]
pub(crate) struct Utf8 {
    /// The start of a character at the end of the last piece.
    cut: Vec<u8>,
}

impl Utf8 {
    /// Checks the next piece, which starts at `base` in the body.
    pub(crate) fn feed(&mut self, mut piece: &[u8], mut base: u64) -> Result<(), ScanError> {
        while !self.cut.is_empty() {
            let Some((&byte, rest)) = piece.split_first() else { return Ok(()) };
            self.cut.push(byte);
            (piece, base) = (rest, base + 1);
            match std::str::from_utf8(&self.cut) {
                Ok(_) => self.cut.clear(),
                Err(error) if error.error_len().is_none() => {}
                Err(_) => return Err(ScanError::Utf8 { offset: base - self.cut.len() as u64 }),
            }
        }
        let Err(error) = std::str::from_utf8(piece) else { return Ok(()) };
        let valid = error.valid_up_to();
        if error.error_len().is_some() {
            return Err(ScanError::Utf8 { offset: base + valid as u64 });
        }
        self.cut.extend_from_slice(piece.get(valid..).unwrap_or_default());
        Ok(())
    }

    /// Whether a character is cut at the end.
    pub(crate) fn is_cut(&self) -> bool {
        !self.cut.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_inside_characters_do_not_matter() {
        let text = "aé€😀z".as_bytes();
        for first in 0..=text.len() {
            for second in first..=text.len() {
                let mut utf8 = Utf8::default();
                utf8.feed(&text[..first], 0).expect("valid");
                utf8.feed(&text[first..second], first as u64).expect("valid");
                utf8.feed(&text[second..], second as u64).expect("valid");
                assert!(!utf8.is_cut());
            }
        }
    }

    #[test]
    fn the_offset_is_the_start_of_the_bad_sequence() {
        let text = b"ab\xe2\x82x";
        for cut in 0..=text.len() {
            let mut utf8 = Utf8::default();
            let result = utf8.feed(&text[..cut], 0).and_then(|()| utf8.feed(&text[cut..], cut as u64));
            assert_eq!(result, Err(ScanError::Utf8 { offset: 2 }), "cut at {cut}");
        }
    }
}
