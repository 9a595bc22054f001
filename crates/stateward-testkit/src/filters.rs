//! Output without what differs from run to run, for snapshots.

use crate::TestDir;

/// Replaces paths given to it, then timestamps, UUIDs, loopback ports and version numbers.
///
/// ```
/// # use stateward_testkit::Filters;
/// let filters = Filters::new().replace("/tmp/x1", "[DIR]");
/// let text = "2026-11-20T15:34:51.1Z stateward 0.1.0 on 127.0.0.1:40123, store /tmp/x1/db";
/// assert_eq!(filters.apply(text), "[TIME] stateward [VERSION] on 127.0.0.1:[PORT], store [DIR]/db");
/// ```
#[derive(Debug, Clone, Default)]
pub struct Filters {
    literals: Vec<(String, String)>,
}

impl Filters {
    /// Without any literal replacement.
    pub fn new() -> Self {
        Self::default()
    }

    /// With the test's directory as `[DIR]`.
    #[must_use]
    pub fn dir(self, dir: &TestDir) -> Self {
        self.replace(dir.path().display().to_string(), "[DIR]")
    }

    /// With one more literal replacement; earlier ones go first.
    #[must_use]
    pub fn replace(mut self, from: impl Into<String>, to: impl Into<String>) -> Self {
        self.literals.push((from.into(), to.into()));
        self
    }

    /// The text with everything replaced.
    pub fn apply(&self, text: &str) -> String {
        let literal = |text: String, (from, to): &(String, String)| text.replace(from, to);
        let text = self.literals.iter().fold(text.to_owned(), literal);
        let mut out = String::with_capacity(text.len());
        let mut rest = text.as_str();
        let mut before = None;
        while let Some(character) = rest.chars().next() {
            // Only where a word begins: `v1.2.3` counts, the middle of a longer number or name does not.
            let at_word_start =
                !before.is_some_and(|b: char| b.is_ascii_alphanumeric() && b != 'v' || b == '_' || b == '.');
            let found = if at_word_start { variable_at(rest) } else { None };
            let (length, replacement) = found.unwrap_or((character.len_utf8(), &rest[..character.len_utf8()]));
            out.push_str(replacement);
            before = rest[..length].chars().next_back();
            rest = &rest[length..];
        }
        out
    }
}

/// The length of something that varies at the start of the text, and what to write for it.
fn variable_at(text: &str) -> Option<(usize, &'static str)> {
    uuid(text).map(|length| (length, "[UUID]")).or_else(|| timestamp(text).map(|length| (length, "[TIME]"))).or_else(
        || {
            let loopback = |(host, written): &(&str, &'static str)| {
                Some((host.len() + digits(text.strip_prefix(host)?)?, *written))
            };
            let hosts =
                [("127.0.0.1:", "127.0.0.1:[PORT]"), ("[::1]:", "[::1]:[PORT]"), ("localhost:", "localhost:[PORT]")];
            hosts.iter().find_map(loopback).or_else(|| version(text).map(|length| (length, "[VERSION]")))
        },
    )
}

/// The length of the pattern at the start of the text: `d` is a digit, `h` a lower-case hexadecimal digit.
fn pattern(text: &str, pattern: &str) -> Option<usize> {
    let fits = |(wanted, found): (u8, u8)| match wanted {
        b'd' => found.is_ascii_digit(),
        b'h' => matches!(found, b'0'..=b'9' | b'a'..=b'f'),
        other => other == found,
    };
    (text.len() >= pattern.len() && pattern.bytes().zip(text.bytes()).all(fits)).then_some(pattern.len())
}

fn digits(text: &str) -> Option<usize> {
    let count = text.bytes().take_while(u8::is_ascii_digit).count();
    (count > 0).then_some(count)
}

fn uuid(text: &str) -> Option<usize> {
    pattern(text, "hhhhhhhh-hhhh-hhhh-hhhh-hhhhhhhhhhhh")
}

/// RFC 3339, also with a space for the `T` and without a zone.
fn timestamp(text: &str) -> Option<usize> {
    let mut length = pattern(text, "dddd-dd-ddTdd:dd:dd").or_else(|| pattern(text, "dddd-dd-dd dd:dd:dd"))?;
    length += text[length..].strip_prefix('.').and_then(digits).map_or(0, |fraction| fraction + 1);
    let rest = &text[length..];
    let zone = ["Z", "+dd:dd", "-dd:dd"].iter().find_map(|zone| pattern(rest, zone)).or_else(|| pattern(rest, " UTC"));
    Some(length + zone.unwrap_or(0))
}

/// Three numbers with dots between, and what may follow them; four are an address.
fn version(text: &str) -> Option<usize> {
    let mut length = digits(text)?;
    for _ in 0..2 {
        length += 1 + digits(text[length..].strip_prefix('.')?)?;
    }
    let rest = &text[length..];
    if rest.strip_prefix('.').and_then(digits).is_some() {
        return None;
    }
    let suffix = rest.strip_prefix('-').map_or(0, |suffix| {
        let word =
            suffix.bytes().take_while(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-')).count();
        if word > 0 { word + 1 } else { 0 }
    });
    Some(length + suffix)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        assert_eq!(Filters::new().apply(text), expected, "from {text:?}");
    }

    #[test]
    fn replaces_what_varies() {
        check("id=f108b30f-8c7b-b79e-433f-91f4236138ae.", "id=[UUID].");
        check("at 2026-11-20T15:34:51.102410368Z, 2026-11-20 15:34:51+01:00", "at [TIME], [TIME]");
        check("2026-11-20 15:34:51.5 UTC|", "[TIME]|");
        check(
            "http://127.0.0.1:45123/state http://[::1]:1/ localhost:80",
            "http://127.0.0.1:[PORT]/state http://[::1]:[PORT]/ localhost:[PORT]",
        );
        check("Terraform v1.15.5, stateward 0.1.0-rc.1", "Terraform v[VERSION], stateward [VERSION]");
    }

    #[test]
    fn keeps_what_only_looks_like_it() {
        check("10.0.0.1 is an address, and 1.5 a number", "10.0.0.1 is an address, and 1.5 a number");
        check("serial 12, 2026-11-20, 15:34", "serial 12, 2026-11-20, 15:34");
        check("0f108b30f-8c7b-b79e-433f-91f4236138ae", "0f108b30f-8c7b-b79e-433f-91f4236138ae");
        check("größe 状态 é", "größe 状态 é");
    }

    #[test]
    fn replaces_the_directory_first() {
        let dir = TestDir::new();
        let text = format!("open {}/a/state.db", dir.path().display());
        assert_eq!(Filters::new().dir(&dir).apply(&text), "open [DIR]/a/state.db");
    }
}
