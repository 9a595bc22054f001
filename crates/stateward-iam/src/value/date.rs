//! Dates of the policy language: seconds since 1970, or one of the W3C's forms of ISO 8601.

use jiff::civil::{Date, DateTime};
use jiff::tz::Offset;
use jiff::{SignedDuration, Timestamp};

/// Reads a date; without an offset it is UTC. `None` where it is no date.
pub(crate) fn parse(text: &str) -> Option<Timestamp> {
    let bytes = text.as_bytes();
    if text.contains('T') {
        return timestamp(text);
    }
    match bytes.len() {
        4 if is_digits(text) => civil(text, 1, 1),
        7 if bytes.get(4) == Some(&b'-') => civil(text.get(..4)?, digits(text.get(5..)?)?, 1),
        10 if bytes.get(4) == Some(&b'-') => utc(text.parse::<Date>().ok()?.to_datetime(jiff::civil::Time::midnight())),
        _ => epoch(text),
    }
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn digits(text: &str) -> Option<i8> {
    if is_digits(text) { text.parse().ok() } else { None }
}

fn civil(year: &str, month: i8, day: i8) -> Option<Timestamp> {
    if !is_digits(year) {
        return None;
    }
    utc(Date::new(year.parse().ok()?, month, day).ok()?.to_datetime(jiff::civil::Time::midnight()))
}

fn utc(local: DateTime) -> Option<Timestamp> {
    Offset::UTC.to_timestamp(local).ok()
}

fn timestamp(text: &str) -> Option<Timestamp> {
    text.parse().ok().or_else(|| utc(text.parse().ok()?))
}

fn epoch(text: &str) -> Option<Timestamp> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    if !is_digits(whole.strip_prefix('-').unwrap_or(whole)) || !is_digits(fraction) || fraction.len() > 9 {
        return None;
    }
    let nanoseconds = format!("{fraction:0<9}").parse::<i32>().ok()?;
    let sign = if whole.starts_with('-') { -1 } else { 1 };
    let duration = SignedDuration::new(whole.parse().ok()?, sign * nanoseconds);
    Timestamp::from_duration(duration).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_is_read() {
        for (text, seconds) in [
            ("2024", 1_704_067_200),
            ("2024-02", 1_706_745_600),
            ("2024-02-03", 1_706_918_400),
            ("2024-01-01T00:00Z", 1_704_067_200),
            ("2024-01-01T01:30+01:30", 1_704_067_200),
            ("2024-01-01T00:00:05Z", 1_704_067_205),
            ("2024-01-01T00:00:05", 1_704_067_205),
            ("1704067200", 1_704_067_200),
            ("0", 0),
            ("-5", -5),
        ] {
            assert_eq!(parse(text).map(Timestamp::as_second), Some(seconds), "{text}");
        }
        assert_eq!(parse("2024-01-01T00:00:00.25Z").map(Timestamp::subsec_millisecond), Some(250));
        assert_eq!(parse("1.5").map(Timestamp::as_millisecond), Some(1500));
        assert_eq!(parse("-1.5").map(Timestamp::as_millisecond), Some(-1500));
    }

    #[test]
    fn what_is_no_date() {
        for text in [
            "",
            "junk",
            "2024-13",
            "2024-02-30",
            "20240-1",
            "2024-01-01 00:00:00Z",
            "99999999999999999999",
            "1e9",
            "ab24-01",
            "T",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
