//! What a failure is about: names that stand in its message.

use std::ops::Range;

use super::frame::Frame;
use crate::problem::{Kind, Reason};
use crate::squeeze::{Gap, Squeezed};

const MESSAGE_MAX: usize = 600;

/// Fills in what the message names. It ends before `next`.
pub(super) fn fill(text: &Squeezed<'_>, frame: &mut Frame, next: usize) {
    let (kind, reason) = frame.meaning();
    let end = (frame.message_at + MESSAGE_MAX).min(next.max(frame.message_at + MESSAGE_MAX / 3));
    // Behind an empty line another error may stand.
    let end = (frame.message_at..end).find(|index| text.gap(*index) == Gap::Blank).unwrap_or(end);
    let window = frame.start..end;
    match kind {
        Kind::Region => {
            frame.region = ["expecting '", "bucket is in '", "<Region>", "bucket-region:", "actual location \""]
                .iter()
                .find_map(|label| name(text, text.find(window.clone(), label)?.end));
        }
        Kind::NotFound => {
            let labels: &[&str] = match reason {
                Some(Reason::Bucket) => &["<BucketName>", "BucketName: '", "S3 bucket \""],
                Some(Reason::Object) => &["<Key>", "Key: '"],
                Some(Reason::Entity) => &["role with name", "user with name", "Policy ", "instance profile "],
                _ => &["not found: Table:", "Table:", "Key '", "Alias "],
            };
            let named = labels.iter().find_map(|label| name(text, text.find(window.clone(), label)?.end));
            frame.subject = named.or_else(|| told_before(text, frame.start).filter(|_| reason == Some(Reason::Bucket)));
        }
        Kind::Network => frame.subject = host(text, window),
        _ => {}
    }
}

/// The bucket that Terraform says before the error it is told by: `S3 bucket "NAME" does not exist`, and two lines of advice.
fn told_before(text: &Squeezed<'_>, start: usize) -> Option<String> {
    const ADVICE_MAX: usize = 400;
    let at = text.find_last(start.saturating_sub(ADVICE_MAX)..start, "S3 bucket \"")?.end;
    let name = name(text, at)?;
    text.find(at..start, "\" does not exist").map(|_| name)
}

/// What the names begin with that were to be listed, as Terraform says it in front of what S3 answered.
pub(super) fn listed(text: &Squeezed<'_>, frame: &Frame) -> Option<String> {
    /// As long as a name in S3 may be, and the words around it.
    const WORDS_MAX: usize = 1024 + 200;
    frame.message.as_ref().filter(|message| message.denial.is_listing())?;
    let window = frame.start.saturating_sub(WORDS_MAX)..frame.start;
    let quoted = |from: usize| text.find(from..frame.start, "\"").map(|quote| (from..quote.start, quote.end));
    let before = |label: &str| quoted(text.find_last(window.clone(), label)?.end);
    let prefix = before("with prefix \"").filter(|(_, end)| text.behind(*end, ":") == Some(frame.start));
    let (name, _) = prefix.or_else(|| {
        let (name, end) = before("Unable to access object \"")?;
        let (_, end) = quoted(text.behind(end, "in S3 bucket \"")?)?;
        (text.behind(end, ":") == Some(frame.start)).then_some((name, end))
    })?;
    Some(text.word(name)).filter(|name| !name.is_empty())
}

/// S3, where an answer has the second of its IDs, which no other service has.
pub(super) fn storage(text: &Squeezed<'_>, frame: &Frame, next: usize) -> Option<String> {
    const IDS_NEAR: usize = 500;
    let window = frame.start..(frame.message_at + IDS_NEAR).min(next.max(frame.message_at));
    let has = |label: &str| {
        text.find(window.clone(), label).is_some_and(|found| !text.is_apart(frame.message_at, found.start))
    };
    ["host id:", "<HostId>", "x-amz-id-2"].iter().any(|label| has(label)).then(|| "s3".to_owned())
}

/// The name at a place, without quotes.
fn name(text: &Squeezed<'_>, at: usize) -> Option<String> {
    const NAME_MAX: usize = 300;
    let part = |byte: u8| {
        byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'/' | b':' | b'+' | b'=' | b'@')
    };
    let from = at + usize::from(matches!(text.byte(at), b'"' | b'\'' | b'`'));
    let end = (from..from + NAME_MAX)
        .find(|index| !part(text.byte(*index)) || *index > from && text.gap(*index) == Gap::Space)?;
    let name = text.word(from..end);
    let name = name.trim_end_matches(['.', ':']);
    (!name.is_empty()).then(|| name.to_owned())
}

/// The first host of AWS in a range.
fn host(text: &Squeezed<'_>, range: Range<usize>) -> Option<String> {
    let domain = text.find(range.clone(), ".amazonaws.com")?;
    let part = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.');
    let start = (range.start..domain.start)
        .rev()
        .find(|index| !part(text.byte(*index)) || text.gap(index + 1) == Gap::Space)?
        + 1;
    let end = text.behind(domain.end, ".cn").unwrap_or(domain.end);
    Some(text.word(start..end))
}
