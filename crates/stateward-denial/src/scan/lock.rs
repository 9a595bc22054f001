//! What Terraform says about locks and digests.

use crate::problem::{DigestMismatch, Failure, Kind, LockInfo, Problem, Reason};
use crate::squeeze::{Gap, Squeezed};

/// A message about a lock that could not be taken has its cause within so many bytes.
const EVIDENCE_MAX: usize = 1500;
/// It ends within so many.
pub(super) const BLOCK_MAX: usize = 6000;

/// `Error acquiring the state lock`, and what is told of why.
#[derive(Debug)]
pub(super) struct Block {
    pub(super) start: usize,
    /// Whether the text says that somebody has it.
    pub(super) held: bool,
    /// Whether there was none any more when Terraform looked whose it is.
    pub(super) gone: bool,
    /// Whether it gave another reason.
    pub(super) other: bool,
    /// Who has it.
    pub(super) info: Option<LockInfo>,
    /// Where that stands.
    pub(super) info_at: usize,
}

impl Block {
    pub(super) fn new(start: usize) -> Self {
        Self { start, held: false, gone: false, other: false, info: None, info_at: start }
    }

    /// Whether nothing is known of it yet.
    pub(super) fn is_fresh(&self) -> bool {
        !self.held && !self.other && self.info.is_none()
    }

    /// Whether what stands there tells of its cause.
    pub(super) fn tells_of(&self, at: usize) -> bool {
        at < self.start + EVIDENCE_MAX
    }

    /// Where the text tells of it: behind the other reason, if it gave one.
    pub(super) fn place(&self) -> usize {
        if self.other { self.info_at } else { self.start }
    }

    /// The lock is held, or not taken for a reason that the text does not give; nothing where it gave another.
    pub(super) fn into_problem(self) -> Option<Problem> {
        if self.held || self.info.is_some() {
            let certain = self.info.is_some() || !(self.other || self.gone);
            return Some(Problem {
                lock: Some(self.info.unwrap_or_default()),
                certain,
                ..Problem::new(Kind::LockHeld)
            });
        }
        let failure = Failure { reason: Some(Reason::LockFailed), ..Failure::default() };
        (!self.other).then(|| Problem { failure: Some(failure), certain: false, ..Problem::new(Kind::Other) })
    }
}

const FIELDS: [&str; 7] = ["ID:", "Path:", "Operation:", "Who:", "Version:", "Created:", "Info:"];

/// Reads the lines behind `Lock Info:`, and where they end.
pub(super) fn read_info(text: &Squeezed<'_>, from: usize) -> (LockInfo, usize) {
    const FIELD_MAX: usize = 600;
    let mut values: [Option<String>; 7] = Default::default();
    let mut at = from;
    for (number, field) in FIELDS.iter().enumerate() {
        let Some(value) = text.behind(at, field) else { continue };
        // It ends where the next one begins, on a line of its own; the last one with its line.
        let next = FIELDS.iter().skip(number + 1);
        let starts_next =
            |index: usize| text.gap(index) >= Gap::Break && next.clone().any(|next| text.behind(index, next).is_some());
        let limit = text.len().min(value + FIELD_MAX);
        let limit = (value..limit).find(|index| text.gap(*index) == Gap::Blank).unwrap_or(limit);
        let last = number + 1 == FIELDS.len();
        let end =
            (value..limit).find(|index| starts_next(*index) || last && text.gap(*index) >= Gap::Break).unwrap_or(limit);
        let is_whole = last || starts_next(end) || text.gap(value) < Gap::Break;
        let end = if starts_next(end) || last { end } else { end_of_line(text, value, limit) };
        if is_whole && end > value {
            values[number] = Some(text.text(value..end));
        }
        at = end;
    }
    let [id, path, operation, who, version, created, info] = values;
    (LockInfo { id, path, operation, who, version, created, info }, at)
}

fn end_of_line(text: &Squeezed<'_>, from: usize, limit: usize) -> usize {
    (from + 1..limit).find(|index| text.gap(*index) >= Gap::Break).unwrap_or(limit)
}

/// Reads what stands behind `does not have the expected content`, and where that ends.
pub(super) fn read_digest(text: &Squeezed<'_>, from: usize) -> (DigestMismatch, usize) {
    const MESSAGE_MAX: usize = 2500;
    let limit = text.len().min(from + MESSAGE_MAX);
    // Another one is not this one.
    let limit = text.find(from..limit, "does not have the expected content").map_or(limit, |next| next.start);
    let mut end = from;
    let explained = text.find(from..limit, "This may be caused by").map_or(limit, |found| found.start);
    let mut value = |label: &str, from: usize, limit: usize| {
        let found = text.find(from..limit, label)?;
        let stop = (found.end..limit)
            .find(|index| *index > found.end && text.gap(*index) != Gap::None || matches!(text.byte(*index), 0 | b'"'));
        let stop = stop.unwrap_or(limit);
        end = end.max(stop);
        (stop > found.end).then(|| text.word(found.end..stop))
    };
    let bucket = value("Bucket:", from, explained);
    let key = value("Key:", from, explained);
    let calculated = value("Calculated checksum:", from, explained).as_deref().and_then(digest);
    let stored = value("Stored checksum:", from, explained).as_deref().and_then(digest);
    let set_to = value("to the following value:", explained, limit).as_deref().and_then(digest);
    (DigestMismatch { bucket, key, calculated, stored, set_to }, end)
}

/// An MD5, and nothing else.
fn digest(text: &str) -> Option<String> {
    let text = text.get(..32).filter(|digest| digest.bytes().all(|byte| byte.is_ascii_hexdigit()))?;
    Some(text.to_owned())
}
