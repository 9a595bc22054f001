//! Texts to values: durations, sizes, switches.

use std::time::Duration;

/// `90s`, `10m`, `1h30m`, `250ms`, `7d`, `0`.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let fault = || "is no length of time: write it as `90s`, `10m` or `1h30m`".to_owned();
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let mut total = Duration::ZERO;
    let mut rest = text;
    while !rest.is_empty() {
        let (number, after) = split_digits(rest);
        let (unit, after) = after.split_at(after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len()));
        let number: u64 = number.parse().map_err(|_| fault())?;
        let millis: u64 = match unit {
            "ms" => 1,
            "s" => 1000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return Err(fault()),
        };
        let part = number.checked_mul(millis).map(Duration::from_millis).ok_or_else(fault)?;
        total = total.checked_add(part).ok_or_else(fault)?;
        rest = after;
    }
    if text.is_empty() { Err(fault()) } else { Ok(total) }
}

/// `1048576`, `512MiB`, `1G`, `100MB`. One letter, or `iB` after it, counts in 1024s; `B` after it in 1000s.
pub(crate) fn bytes(text: &str) -> Result<u64, String> {
    let fault = || "is no size: write it as `512MiB`, `1GiB` or a number of bytes".to_owned();
    let (number, unit) = split_digits(text);
    let number: u64 = number.parse().map_err(|_| fault())?;
    let unit = unit.trim_start().to_ascii_lowercase();
    let (power, base) = match unit.as_str() {
        "" | "b" => (0, 1),
        "k" | "kib" => (1, 1024),
        "m" | "mib" => (2, 1024),
        "g" | "gib" => (3, 1024),
        "t" | "tib" => (4, 1024),
        "kb" => (1, 1000),
        "mb" => (2, 1000),
        "gb" => (3, 1000),
        "tb" => (4, 1000),
        _ => return Err(fault()),
    };
    u64::pow(base, power).checked_mul(number).ok_or_else(fault)
}

/// `true` or `false`; `1` and `0` mean the same.
pub(crate) fn switch(text: &str) -> Result<bool, String> {
    match text {
        "true" | "1" => Ok(true),
        "false" | "0" => Ok(false),
        _ => Err("is neither `true` nor `false`".to_owned()),
    }
}

/// A number from 1 on.
pub(crate) fn count(text: &str) -> Result<u64, String> {
    text.parse().ok().filter(|count| *count > 0).ok_or_else(|| "is no whole number from 1 on".to_owned())
}

fn split_digits(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        for (text, millis) in
            [("0", 0), ("250ms", 250), ("90s", 90_000), ("1h30m", 5_400_000), ("7d", 604_800_000), ("0s", 0)]
        {
            assert_eq!(duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for text in ["", "10", "m", "10 m", "1.5h", "-1s", "10x", "99999999999999999999s", "9999999999999999d"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn sizes() {
        for (text, size) in [
            ("0", 0),
            ("17", 17),
            ("1k", 1024),
            ("2 MiB", 2 << 20),
            ("1G", 1 << 30),
            ("1gib", 1 << 30),
            ("3MB", 3_000_000),
        ] {
            assert_eq!(bytes(text), Ok(size), "{text}");
        }
        for text in ["", "G", "1.5G", "1x", "-1", "99999999999T"] {
            assert!(bytes(text).is_err(), "{text}");
        }
    }
}
