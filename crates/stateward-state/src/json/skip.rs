//! Finding the end of white space and of plain text, eight bytes at a time.

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x8080_8080_8080_8080;
const SPACES: u64 = ONES * 0x20;

#[inline]
fn word(block: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(*block.get(at..)?.first_chunk::<8>()?))
}

/// How many bytes stand before the first one that a mask has any bit of.
#[inline]
fn bytes_before(mask: u64) -> usize {
    // At most 8, so that nothing is lost.
    (mask.trailing_zeros() / 8) as usize
}

/// The position of the first byte from `at` on that is not white space, or the length of the block.
#[inline]
pub(crate) fn white_space(block: &[u8], mut at: usize) -> usize {
    while let Some(byte) = block.get(at) {
        if *byte > b' ' {
            return at;
        }
        match byte {
            b'\n' | b' ' => at += 1,
            b'\r' | b'\t' => {
                at += 1;
                continue;
            }
            _ => return at,
        }
        while let Some(word) = word(block, at) {
            let other = word ^ SPACES;
            at += bytes_before(other);
            if other != 0 {
                break;
            }
        }
    }
    at
}

/// The position of the first quote, backslash or control character from `at` on, or the length of the block.
#[inline]
pub(crate) fn text(block: &[u8], mut at: usize) -> usize {
    while let Some(word) = word(block, at) {
        let quote = word ^ (ONES * 0x22);
        let backslash = word ^ (ONES * 0x5c);
        // Borrows reach only bytes above a hit, so the lowest hit is always a true one.
        let hits = ((quote.wrapping_sub(ONES) & !quote)
            | (backslash.wrapping_sub(ONES) & !backslash)
            | (word.wrapping_sub(SPACES) & !word))
            & HIGH;
        if hits != 0 {
            return at + bytes_before(hits);
        }
        at += 8;
    }
    let rest = block.get(at..).unwrap_or_default();
    let stop = rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..0x20));
    at + stop.unwrap_or(rest.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_agree_with_a_byte_by_byte_search() {
        let mut state = 1_u64;
        for _ in 0..20_000 {
            let block: Vec<u8> = (0..24)
                .map(|_| {
                    state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                    let alphabet = b"aaaaz\x7f\x80\xff    \n\r\t\x0b\x00\x1f!\"\\";
                    alphabet[(state >> 33) as usize % alphabet.len()]
                })
                .collect();
            let space = block.iter().position(|byte| !b" \n\r\t".contains(byte)).unwrap_or(block.len());
            assert_eq!(white_space(&block, 0), space, "{block:?}");
            let end =
                block.iter().position(|byte| *byte < 0x20 || *byte == b'"' || *byte == b'\\').unwrap_or(block.len());
            assert_eq!(text(&block, 0), end, "{block:?}");
        }
    }
}
