//! Exact decimals: the grammar of JSON numbers and one spelling for each value.

use std::fmt::Write as _;

/// Values whose digits and zeros fit here are written out in full, others with an exponent.
const PLAIN_DIGITS: usize = 40;

/// Whether a lexeme is its own canonical spelling, as a quick test that may miss some.
pub(crate) fn is_plain(lexeme: &[u8]) -> bool {
    let digits = lexeme.strip_prefix(b"-").unwrap_or(lexeme);
    match digits {
        [b'0'] => digits.len() == lexeme.len(),
        [b'1'..=b'9', rest @ ..] => rest.len() < 20 && rest.iter().all(u8::is_ascii_digit),
        _ => false,
    }
}

/// A number's parts: all digits are ASCII, `exponent` may have a sign.
struct Parts<'a> {
    negative: bool,
    whole: &'a [u8],
    fraction: &'a [u8],
    exponent: &'a [u8],
}

fn take_digits(text: &[u8]) -> (&[u8], &[u8]) {
    let end = text.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len());
    text.split_at(end)
}

fn parts(lexeme: &[u8]) -> Option<Parts<'_>> {
    let unsigned = lexeme.strip_prefix(b"-").unwrap_or(lexeme);
    let (whole, mut rest) = take_digits(unsigned);
    if whole.is_empty() || (whole.len() > 1 && whole.starts_with(b"0")) {
        return None;
    }
    let mut fraction: &[u8] = &[];
    if let Some(after) = rest.strip_prefix(b".") {
        (fraction, rest) = take_digits(after);
        if fraction.is_empty() {
            return None;
        }
    }
    let mut exponent: &[u8] = &[];
    if let [b'e' | b'E', after @ ..] = rest {
        let digits = if let [b'+' | b'-', digits @ ..] = after { digits } else { after };
        if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
            return None;
        }
        exponent = after;
        rest = &[];
    }
    rest.is_empty().then_some(Parts { negative: unsigned.len() < lexeme.len(), whole, fraction, exponent })
}

/// Whether a lexeme is a number by RFC 8259.
pub(crate) fn is_valid(lexeme: &[u8]) -> bool {
    parts(lexeme).is_some()
}

/// The one spelling of a number's value; `None` if the lexeme is no number.
///
/// `1`, `1.0` and `10e-1` give `1`, and `-0` gives `0`. No value is rounded or expanded: `1e999999999` stays as it is.
/// Exponents beyond 18 digits are kept as they are spelled.
pub(crate) fn canonical(lexeme: &[u8]) -> Option<String> {
    let parts = parts(lexeme)?;
    let mut digits = [parts.whole, parts.fraction].concat();
    let zeros = digits.iter().rev().take_while(|digit| **digit == b'0').count();
    digits.truncate(digits.len() - zeros);
    let lead = digits.iter().take_while(|digit| **digit == b'0').count();
    digits.drain(..lead);
    if digits.is_empty() {
        return Some("0".to_owned());
    }
    let digits = String::from_utf8_lossy(&digits);
    let sign = if parts.negative { "-" } else { "" };
    let shift = i64::try_from(zeros).ok()?.saturating_sub(i64::try_from(parts.fraction.len()).ok()?);
    let Some(exponent) = small_exponent(parts.exponent) else {
        let exponent = String::from_utf8_lossy(parts.exponent);
        return Some(format!("{sign}{digits}e{shift}e{}", exponent.trim_start_matches('+')));
    };
    Some(spell(sign, &digits, exponent.saturating_add(shift)))
}

/// An exponent of at most 18 digits after leading zeros.
fn small_exponent(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] | digits => (false, digits),
    };
    let lead = digits.iter().take_while(|digit| **digit == b'0').count();
    let digits = digits.get(lead..)?;
    if digits.len() > 18 {
        return None;
    }
    let value = digits.iter().fold(0_i64, |value, digit| value * 10 + i64::from(digit - b'0'));
    Some(if negative { -value } else { value })
}

/// Writes `digits * 10^exponent`; `digits` has no zero at either end.
fn spell(sign: &str, digits: &str, exponent: i64) -> String {
    let mut text = sign.to_owned();
    let places = usize::try_from(exponent.unsigned_abs()).unwrap_or(usize::MAX);
    if exponent >= 0 && digits.len().saturating_add(places) <= PLAIN_DIGITS {
        text.push_str(digits);
        text.extend(std::iter::repeat_n('0', places));
        return text;
    }
    if exponent < 0 && digits.len().max(places) <= PLAIN_DIGITS {
        let whole = digits.len().saturating_sub(places);
        let (whole, fraction) = digits.split_at_checked(whole).unwrap_or(("", digits));
        text.push_str(if whole.is_empty() { "0" } else { whole });
        text.push('.');
        text.extend(std::iter::repeat_n('0', places - fraction.len()));
        text.push_str(fraction);
        return text;
    }
    text.push_str(digits);
    // Writing to a string cannot fail.
    let _ = write!(text, "e{exponent}");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_spelling_for_each_value() {
        for (lexemes, expected) in [
            (&["1", "1.0", "10e-1", "1E0", "0.1e+1", "1e-00"][..], "1"),
            (&["0", "-0", "-0.0", "0e999", "0.000E-7"], "0"),
            (&["100", "1e2", "1.00E+02"], "100"),
            (&["-0.5", "-5e-1", "-0.50"], "-0.5"),
            (&["12.25", "1225e-2"], "12.25"),
            (&["0.00012", "1.2e-4"], "0.00012"),
            (&["1e999999999", "10E+999999998", "0.1e1000000000"], "1e999999999"),
            (&["1e-999999999"], "1e-999999999"),
        ] {
            for lexeme in lexemes {
                assert_eq!(canonical(lexeme.as_bytes()).as_deref(), Some(expected), "{lexeme}");
            }
        }
    }

    #[test]
    fn plain_numbers_are_canonical_and_canonical_ones_stay() {
        for lexeme in ["0", "7", "-7", "18446744073709551615", "123456789012345678901234567890", "1e50", "0.1", "1e-41"]
        {
            assert_eq!(canonical(lexeme.as_bytes()).as_deref(), Some(lexeme));
        }
        assert!(is_plain(b"120") && is_plain(b"-12") && is_plain(b"0"));
        assert!(!is_plain(b"-0") && !is_plain(b"1.5") && !is_plain(b"01") && !is_plain(b"1e5"));
    }

    #[test]
    fn the_grammar_is_the_one_of_json() {
        for lexeme in ["", "-", "01", "1.", ".5", "1e", "1e+", "+1", "1.5.5", "--1", "1e5e", "1-"] {
            assert!(!is_valid(lexeme.as_bytes()), "{lexeme}");
        }
    }

    #[test]
    fn exponents_of_any_length_stay_finite_work() {
        let long = format!("1e{}", "9".repeat(100_000));
        assert!(canonical(long.as_bytes()).is_some_and(|text| text.len() < 100_010));
    }
}
