//! Sizes, times and texts as people read them.

use std::borrow::Cow;

use jiff::Timestamp;
use serde::Serialize;

/// `17 B`, `1.4 KiB`, `120 MiB`.
pub(crate) fn size(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut tenths = u128::from(bytes) * 10;
    let mut unit = 0;
    loop {
        tenths /= 1024;
        // From 1023.95 on it would read as 1024.0 of the smaller unit.
        if tenths < 10_240 || unit + 1 == UNITS.len() {
            break;
        }
        unit += 1;
    }
    let (whole, tenth) = (tenths / 10, tenths % 10);
    if whole < 100 { format!("{whole}.{tenth} {}", UNITS[unit]) } else { format!("{whole} {}", UNITS[unit]) }
}

/// `12 s`, `3 min`, `5 h`, `2 days`.
pub(crate) fn age(seconds: u64) -> String {
    const MINUTE: u64 = 60;
    const HOUR: u64 = 60 * MINUTE;
    const DAY: u64 = 24 * HOUR;
    if seconds < MINUTE {
        format!("{seconds} s")
    } else if seconds < HOUR {
        format!("{} min", seconds / MINUTE)
    } else if seconds < DAY {
        format!("{} h", seconds / HOUR)
    } else {
        counted(seconds / DAY, "day")
    }
}

/// How times are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Times {
    /// In relation to now: for a terminal.
    Since(Timestamp),
    /// RFC 3339, to the second: for everything else. `--json` has it in full.
    Exact,
}

impl Times {
    pub(crate) fn tell(self, time: Timestamp) -> String {
        match self {
            Self::Exact => to_the_second(time),
            Self::Since(now) => match u64::try_from(now.duration_since(time).as_secs()) {
                Ok(seconds) => format!("{} ago", age(seconds)),
                // Another machine's clock may be ahead of ours.
                Err(_) => to_the_second(time),
            },
        }
    }
}

fn to_the_second(time: Timestamp) -> String {
    Timestamp::from_second(time.as_second()).unwrap_or(time).to_string()
}

/// What stands for a value in JSON, as people read it: `vpc endpoint`.
pub(crate) fn word(value: impl Serialize) -> String {
    let word = serde_json::to_value(value).unwrap_or_default();
    word.as_str().unwrap_or_default().replace('_', " ")
}

/// `1 version`, `2 versions`.
pub(crate) fn counted(count: u64, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

/// A text from elsewhere without what a terminal would act upon, and what would show it in another order than it has.
pub(crate) fn one_line(text: &str) -> Cow<'_, str> {
    if !text.contains(is_acted_upon) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.chars().map(|c| if is_acted_upon(c) { '\u{fffd}' } else { c }).collect())
}

fn is_acted_upon(c: char) -> bool {
    const ORDERS: &[std::ops::RangeInclusive<char>] =
        &['\u{61c}'..='\u{61c}', '\u{200e}'..='\u{200f}', '\u{2028}'..='\u{202e}', '\u{2066}'..='\u{2069}'];
    c.is_control() || ORDERS.iter().any(|range| range.contains(&c))
}

/// The columns that a terminal has at the least.
const COLUMNS: usize = 80;

/// A text after its head, in lines that fit a terminal: each further one begins where the text did. Words are not broken,
/// so that an ARN can be taken whole. `width` is the head's, without styles.
pub(crate) fn hanging(head: &str, width: usize, text: &str) -> String {
    let text = one_line(text);
    let options = textwrap::Options::new(COLUMNS.saturating_sub(width))
        .break_words(false)
        .word_splitter(textwrap::WordSplitter::NoHyphenation);
    let lines = textwrap::wrap(&text, options);
    format!("{head}{}\n", lines.join(&format!("\n{}", " ".repeat(width))))
}

/// The start of a text that is too long for a line.
pub(crate) fn cut(text: &str, chars: usize) -> Cow<'_, str> {
    match text.char_indices().nth(chars) {
        Some((end, _)) => Cow::Owned(format!("{}…", &text[..end])),
        None => Cow::Borrowed(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (bytes, text) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (1434, "1.4 KiB"),
            (102_400, "100 KiB"),
            (1_048_575, "1023 KiB"),
            (104_857_600, "100 MiB"),
            (u64::MAX, "15.9 EiB"),
        ] {
            assert_eq!(size(bytes), text, "{bytes}");
        }
    }

    #[test]
    fn ages_and_times() {
        for (seconds, text) in
            [(0, "0 s"), (59, "59 s"), (60, "1 min"), (7200, "2 h"), (86_400, "1 day"), (200_000, "2 days")]
        {
            assert_eq!(age(seconds), text);
        }
        let time: Timestamp = "2026-11-20T15:34:51Z".parse().unwrap();
        let now: Timestamp = "2026-11-20T15:37:58.7Z".parse().unwrap();
        assert_eq!(Times::Since(now).tell(time), "3 min ago");
        assert_eq!(Times::Since(time).tell(now), "2026-11-20T15:37:58Z");
        assert_eq!(Times::Exact.tell(time), "2026-11-20T15:34:51Z");
    }

    #[test]
    fn lines_fit_a_terminal_and_words_stay_whole() {
        let arn = format!("arn:aws:s3:::{}", "long-".repeat(20));
        let told = hanging("note: ", 6, &format!("{} {arn} end", "word ".repeat(20).trim_end()));
        let lines: Vec<&str> = told.lines().collect();
        assert!(lines[0].starts_with("note: word") && lines[1].starts_with("      word"), "{told}");
        assert_eq!(lines[2..], [format!("      {arn}"), "      end".to_owned()]);
        assert!(lines[..2].iter().all(|line| line.len() <= 80) && told.ends_with("end\n"), "{told}");
        assert_eq!(hanging("- ", 2, ""), "- \n");
    }

    #[test]
    fn terminals_are_not_steered() {
        assert_eq!(one_line("a\u{1b}[2Jb\nc"), "a\u{fffd}[2Jb\u{fffd}c");
        assert_eq!(one_line("a\u{202e}b\u{2067}c\u{2028}"), "a\u{fffd}b\u{fffd}c\u{fffd}");
        assert_eq!(one_line("größe"), "größe");
        assert_eq!(cut("größe", 3), "grö…");
        assert_eq!(cut("größe", 5), "größe");
    }
}
