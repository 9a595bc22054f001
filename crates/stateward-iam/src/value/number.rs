//! Decimal numbers of any size, compared exactly.

use std::cmp::Ordering;

/// A number without trailing or leading zeros.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Number {
    negative: bool,
    whole: String,
    fraction: String,
}

impl Number {
    /// Reads `-?digits(.digits)?`; exponents are not numbers of the policy language.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (negative, digits) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
        let is_digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        if !is_digits(whole) || !is_digits(fraction) {
            return None;
        }
        let (whole, fraction) = (whole.trim_start_matches('0'), fraction.trim_end_matches('0'));
        let negative = negative && !(whole.is_empty() && fraction.is_empty());
        Some(Self { negative, whole: whole.to_owned(), fraction: fraction.to_owned() })
    }
}

impl Ord for Number {
    fn cmp(&self, other: &Self) -> Ordering {
        let size = || {
            let whole = self.whole.len().cmp(&other.whole.len()).then_with(|| self.whole.cmp(&other.whole));
            whole.then_with(|| self.fraction.cmp(&other.fraction))
        };
        match (self.negative, other.negative) {
            (false, true) => Ordering::Greater,
            (true, false) => Ordering::Less,
            (false, false) => size(),
            (true, true) => size().reverse(),
        }
    }
}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_a_number() {
        for text in ["", "-", ".5", "5.", "1e3", "0x1", "1_0", "NaN", "1.2.3", " 1"] {
            assert_eq!(Number::parse(text), None, "{text}");
        }
        for (a, b) in [("5", "5.0"), ("-0", "0"), ("007", "7.00"), ("+1", "1")] {
            assert_eq!(Number::parse(a).expect(a), Number::parse(b).expect(b));
        }
        assert!(Number::parse("12345678901234567891") > Number::parse("12345678901234567890.9"));
    }

    proptest! {
        #[test]
        fn order_is_that_of_numbers(a in -2_000_i32..2_000, b in -2_000_i32..2_000) {
            let number = |n: i32| {
                let sign = if n < 0 { "-" } else { "" };
                Number::parse(&format!("{sign}{}.{:02}", n.abs() / 100, n.abs() % 100)).expect("a number")
            };
            prop_assert_eq!(number(a).cmp(&number(b)), a.cmp(&b));
        }
    }
}
