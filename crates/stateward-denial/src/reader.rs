//! A text that comes in pieces, read in bounded memory.

use std::collections::HashMap;

use crate::clean::{self, Cleaner};
use crate::json;
use crate::problem::Problem;
use crate::scan;
use crate::squeeze::Squeezed;

/// So much text is read at a time.
const CHUNK: usize = 256 * 1024;
/// What begins so near the end of what has come is read when more has.
const AHEAD: usize = 32 * 1024;
/// What was read is kept so far back, for what begins later and looks back.
const BACK: usize = 8 * 1024;
/// More different problems than this are only counted.
const PROBLEMS_MAX: usize = 10_000;

/// Reads a text that comes in pieces of any size.
///
/// Memory grows with the different problems found, of which at most 10,000 are kept, but not with the text.
#[derive(Debug, Default)]
pub struct Reader {
    cleaner: Cleaner,
    /// The clean text, less what is not needed any more.
    text: String,
    /// Up to here it has been read.
    done: usize,
    /// When it has this length, it is read on.
    next: usize,
    /// Whether the text is known to be complete.
    is_whole: bool,
    found: Findings,
    known: HashMap<Problem, usize>,
}

/// What a text tells.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Findings {
    /// The different problems, in the order in which the text first tells of them.
    pub problems: Vec<Problem>,
    /// How many were found after so many different ones that no more are kept.
    pub left_out: u64,
}

impl Reader {
    /// A reader of one text.
    pub fn new() -> Self {
        Self { next: CHUNK + AHEAD, ..Self::default() }
    }

    /// A reader of a text that is known to be complete: a name at its end goes on nowhere.
    pub fn of_whole() -> Self {
        Self { is_whole: true, ..Self::new() }
    }

    /// Takes the next piece: any bytes, cut anywhere.
    pub fn push(&mut self, piece: &[u8]) {
        for part in piece.chunks(CHUNK) {
            self.cleaner.push(part, &mut self.text);
            if self.text.len() >= self.next {
                self.read(false);
            }
        }
    }

    /// The text is complete.
    pub fn finish(mut self) -> Findings {
        std::mem::take(&mut self.cleaner).finish(&mut self.text);
        self.read(true);
        self.found
    }

    fn read(&mut self, last: bool) {
        if let Some(mended) = self.text.get(self.done..).and_then(clean::mended) {
            self.text.truncate(self.done);
            self.text.push_str(&mended);
        }
        let records = json::find(&self.text, self.done, last);
        let mut until = if last { self.text.len() } else { self.text.len().saturating_sub(AHEAD) };
        // A record that has begun may end in what comes; one that goes on for too long is none.
        if let Some(open) = records.open.filter(|open| self.text.len() - open < json::RECORD_MAX) {
            until = until.min(open);
        }
        let ranges: Vec<_> = records.found.iter().map(|(range, _)| range.clone()).collect();
        let mut squeezed = Squeezed::new(&self.text, &ranges);
        if last && self.is_whole {
            squeezed.close();
        }
        let from = squeezed.index_of(self.done);
        let scan = scan::scan(&squeezed, from, squeezed.index_of(until).max(from));
        let mut found: Vec<(usize, Problem)> =
            scan.found.into_iter().map(|found| (squeezed.clean_at(found.range.start), found.problem)).collect();
        let mut done = squeezed.clean_at(scan.end).max(self.done);
        if last || until > done {
            done = until.max(done);
        }
        for (range, problems) in records.found {
            if range.start < done.max(until) {
                done = done.max(range.end);
                found.extend(problems.into_iter().map(|problem| (range.start, problem)));
            }
        }
        found.sort_by_key(|(at, _)| *at);
        for (_, problem) in found {
            self.add(problem);
        }
        self.done = done.min(self.text.len());
        self.forget();
    }

    fn add(&mut self, problem: Problem) {
        let identity = problem.identity();
        // What the end of a text may have cut, and was told in full before, is the same.
        let in_full = || self.known.get(&identity.uncut()?);
        let known = self.known.get(&identity).or_else(in_full);
        if let Some(known) = known.and_then(|index| self.found.problems.get_mut(*index)) {
            known.count += problem.count;
            // What is known of one of them alone is not known of all.
            if let (Some(known), Some(denial)) = (&mut known.denial, &problem.denial)
                && known.prefix != denial.prefix
            {
                known.prefix = None;
            }
            return;
        }
        if self.found.problems.len() >= PROBLEMS_MAX {
            self.found.left_out += problem.count;
            return;
        }
        self.known.insert(identity, self.found.problems.len());
        self.found.problems.push(problem);
    }

    /// Drops what was read.
    fn forget(&mut self) {
        let mut keep = self.done.saturating_sub(BACK);
        while !self.text.is_char_boundary(keep) {
            keep -= 1;
        }
        self.text.drain(..keep);
        self.done -= keep;
        self.next = self.text.len().max(self.done + AHEAD) + CHUNK;
    }
}

/// Reads one record that was parsed already; `None` if it is none, and no problem if it tells of none.
pub fn read_record(record: &serde_json::Value) -> Option<Vec<Problem>> {
    json::of_record(record)
}

/// Reads a text that is there and known to be complete, as an answer of AWS is that just came.
pub fn read_whole(text: &[u8]) -> Vec<Problem> {
    let mut reader = Reader::of_whole();
    reader.push(text);
    reader.finish().problems
}

/// Reads a text that is there.
pub fn read(text: &[u8]) -> Vec<Problem> {
    let mut reader = Reader::new();
    reader.push(text);
    reader.finish().problems
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The bytes that are held of the text.
    fn held(reader: &Reader) -> usize {
        reader.text.capacity() + reader.cleaner.held()
    }

    #[test]
    fn memory_does_not_grow_with_the_text() {
        const HELD_MAX: usize = 4 * 1024 * 1024;
        // A record that never ends, a line that never ends, a character and a code that never end.
        for part in ["{\"eventSource\":\"s3\",\"errorCode\":", "x y ", "\u{1b}]8;;", "[", "\\", "User: arn:aws:iam::"] {
            let piece = part.repeat(64 * 1024 / part.len());
            let mut reader = Reader::new();
            for _ in 0..24 {
                reader.push(piece.as_bytes());
                assert!(held(&reader) <= HELD_MAX, "{} bytes are held of {part}", held(&reader));
            }
        }
    }

    #[test]
    fn memory_does_not_grow_with_a_log() {
        const SIZE: usize = 24 * 1024 * 1024;
        let quiet = "aws_iam_role.ci: Refreshing state... [id=ci-role-for-the-deployment] still going on after 10s\n"
            .repeat(400);
        let refused = "2024-05-05T10:00:00.1234567Z ##[error]AccessDenied: User: arn:aws:iam::111122223333:user/ci is not \
                       authorized to perform: s3:GetObject on resource: \"arn:aws:s3:::b/k\" because no identity-based policy \
                       allows the s3:GetObject action\n\n";
        let (mut reader, mut written, mut refusals) = (Reader::new(), 0, 0);
        while written < SIZE {
            for piece in [quiet.as_str(), refused] {
                reader.push(piece.as_bytes());
                written += piece.len();
            }
            refusals += 1;
            assert!(held(&reader) <= 1024 * 1024, "{} bytes are held of {written}", held(&reader));
        }
        let findings = reader.finish();
        assert_eq!(findings.problems.len(), 1);
        assert_eq!(findings.problems[0].count, refusals);
    }

    #[test]
    fn a_body_of_s3_is_known_without_its_head_and_ids() {
        for text in [
            "<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>",
            "<?xml version=\"1.0\"?>\n<Error>\n  <Code>AccessDenied</Code>\n  <Message>Access Denied</Message>\n</Error>\n",
        ] {
            let problems = read(text.as_bytes());
            assert!(
                matches!(problems.as_slice(), [one] if one.kind == crate::Kind::AccessDenied && !one.certain),
                "{problems:?}"
            );
        }
        assert_eq!(read(b"<Error><Code>Forbidden</Code><Message>no</Message></Error>"), []);
    }

    #[test]
    fn whoever_speaks_of_refusals_is_not_refused() {
        for text in [
            "main.tf: # AccessDenied: fixed in 2024",
            "  // AccessDenied: see the ticket",
            "I think user bob is not authorized to perform the dance on resource: stage because no identity-based policy allows it",
        ] {
            assert_eq!(read(text.as_bytes()), [], "{text}");
        }
    }

    #[test]
    fn what_the_end_may_have_cut_and_was_told_before_is_told_once() {
        let text = "User: arn:aws:iam::111122223333:user/ci is not authorized to perform: dynamodb:PutItem on resource: \
                    arn:aws:dynamodb:eu-west-1:111122223333:table/locks";
        let problems = read(format!("{text}\n\n{text}").as_bytes());
        assert!(matches!(problems.as_slice(), [one] if one.count == 2), "{problems:?}");
        let cut = |problems: Vec<Problem>| problems[0].denial.as_ref().expect("a denial").cut;
        assert_eq!(cut(read(text.as_bytes())), Some(crate::Part::Resource));
        assert_eq!(cut(read_whole(text.as_bytes())), None);
    }

    #[test]
    fn no_more_problems_are_kept_than_fit() {
        let mut reader = Reader::new();
        for number in 0..PROBLEMS_MAX + 7 {
            reader.push(
                format!("An error occurred (AccessDenied) when calling the Get{number} operation: Access Denied\n\n")
                    .as_bytes(),
            );
        }
        let findings = reader.finish();
        assert_eq!((findings.problems.len(), findings.left_out), (PROBLEMS_MAX, 7));
    }
}
