//! Codes, wherever they stand: before a message, under a key, at the end of a path.

use std::ops::Range;

use super::{DUMP_NEAR, Frame, MESSAGE_NEAR, Scanner};
use crate::codes;
use crate::services;
use crate::squeeze::Gap;

/// In a dump, a code is no further from the start of its line.
const KEY_MAX: usize = 60;

impl Scanner<'_> {
    /// A code, wherever it stands. `weak`: a word that others use too.
    pub(super) fn code(&mut self, code: &str, range: &Range<usize>, weak: bool) {
        if !self.is_word(code, range) {
            return;
        }
        let (before, end) = (self.before(range.start), range.end);
        let behind = self.text.byte(end);
        if self.is_foreign(range.start) || self.is_comment(range.start) {
            return;
        }
        let side =
            ["(client)", "(server)", "(sender)", "(receiver)"].iter().find_map(|side| self.text.behind(end, side));
        let opens = side.unwrap_or(end);
        let colon = self.text.byte(opens) == b':' && self.text.byte(opens + 1) != b':';
        // Or the code has a line of its own.
        let alone = (self.text.gap(range.start) >= Gap::Break || self.text.byte(range.start.saturating_sub(1)) == b'"')
            && self.text.gap(opens) >= Gap::Break
            && self.text.behind(opens, "User:").is_some();
        // Or is an element, whose child is the message.
        let element = range.start > 0 && self.text.byte(range.start - 1) == b'<' && behind == b'>';
        if (colon || alone || element) && before != Before::Key {
            let opens = opens + usize::from(colon || element);
            let service = self.module(range.start);
            if let Some(frame) = self.open(range.start, MESSAGE_NEAR).filter(|frame| {
                frame.code.is_none() && frame.message.is_none() && !frame.firmness.is_soft() && frame.fits(code)
            }) {
                frame.code = Some(code.to_owned());
                frame.message_at = opens;
                frame.service = frame.service.take().or(service);
                return;
            }
            // The name of an exception and then its text, or a code and then its message: twice the same.
            self.begin(Frame { code: Some(code.to_owned()), service, weak, ..Frame::at(range.start..opens) });
            return;
        }
        let closes = matches!(behind, b'"' | b'\'' | b')' | b',' | b';' | b'}' | b']' | b'<' | 0)
            || self.text.gap(end) != Gap::None;
        let service = self.module(range.start);
        if closes && matches!(before, Before::Key | Before::Module) && (!weak || service.is_some()) {
            self.keyed(code, service, range);
        }
    }

    /// A code that stands where a code is kept: of the error at hand, or of a new one.
    pub(super) fn keyed(&mut self, code: &str, service: Option<String>, range: &Range<usize>) {
        let since = self.pending.as_ref().map_or(0, |frame| frame.message_at);
        let between = since..range.start;
        let told = self.pending.as_ref().is_some_and(|frame| frame.message.is_some());
        let is_next = since < range.start
            && (self.is_next_record(between.clone())
                || self.is_next_object(between.clone())
                || told && self.is_inside_next_line(between, KEY_MAX));
        if let Some(frame) = self.open(range.start, DUMP_NEAR).filter(|_| !is_next) {
            if frame.code.as_deref().is_some_and(|known| codes::bare(known) == codes::bare(code)) {
                return;
            }
            if frame.code.is_none() && !frame.firmness.is_soft() && frame.fits(code) {
                frame.code = Some(code.to_owned());
                if frame.message.is_none() {
                    frame.message_at = range.end;
                }
                return;
            }
        }
        let operation = self.member_before(range.start, "eventName");
        let service = service
            .or_else(|| self.member_before(range.start, "eventSource").and_then(|source| services::prefix(&source)));
        let start = self.side_start(range.start);
        let code = format!("{}{code}", self.text.word(start..range.start));
        self.begin(Frame { code: Some(code), service, operation, keyed: true, ..Frame::at(start..range.end) });
    }

    /// A member of a record that has no braces any more.
    fn member_before(&self, at: usize, name: &str) -> Option<String> {
        const RECORD_NEAR: usize = 1000;
        let found = self.text.find_last(at.saturating_sub(RECORD_NEAR).max(self.consumed)..at, name)?;
        let start = self.text.behind(found.end, "\":\"")?;
        let end = (start..at).find(|index| self.text.byte(*index) == b'"')?;
        (!self.is_next_record(found.end..at)).then(|| self.text.word(start..end))
    }

    /// Where a code begins with the side that `CloudTrail` puts before it.
    fn side_start(&self, at: usize) -> usize {
        let start = at.saturating_sub("client.".len());
        let has_side = ["client.", "server."].iter().any(|side| self.text.behind(start, side) == Some(at));
        if has_side { start } else { at }
    }

    /// Whether it is the code itself, in its own spelling, and no part of a longer word or of prose.
    fn is_word(&self, code: &str, range: &Range<usize>) -> bool {
        let text = self.text;
        let exact = text.bytes().get(range.clone()) == Some(code.as_bytes());
        let whole = range.clone().skip(1).all(|index| text.gap(index) != Gap::Space);
        let starts = range.start == 0
            || text.gap(range.start) != Gap::None
            || !text.byte(range.start - 1).is_ascii_alphanumeric();
        let ends = text.gap(range.end) != Gap::None || !text.byte(range.end).is_ascii_alphanumeric();
        exact && whole && starts && ends
    }

    /// What stands before a code.
    fn before(&self, at: usize) -> Before {
        const KEYS: &[&str] = &["code", "type", "name"];
        let text = self.text;
        let at = self.side_start(at);
        let floor = at.saturating_sub(40);
        let skip = |mut index: usize, bytes: &[u8]| {
            while index > floor && bytes.contains(&text.byte(index - 1)) {
                index -= 1;
            }
            index
        };
        let ends_with = |at: usize, name: &str| {
            at.checked_sub(name.len()).is_some_and(|start| text.behind(start, name) == Some(at))
        };
        let mut key = skip(at, b"\"'([");
        // Rust's and Swift's way of saying that there is one.
        let present = ["some", "optional"].into_iter().find(|name| ends_with(key, name));
        key -= present.map_or(0, str::len);
        let assigned = skip(key, b":=>\"'");
        let is_key = assigned < key || assigned < at && text.byte(assigned) == b':';
        if is_key
            && (KEYS.iter().any(|name| ends_with(assigned, name))
                || key < at && matches!(text.byte(assigned), b':' | b'=') && ends_with(assigned, "error"))
        {
            return Before::Key;
        }
        if at >= 2 && text.behind(at - 2, "::") == Some(at) || at >= 1 && matches!(text.byte(at - 1), b'#') {
            return Before::Module;
        }
        if key < at && (floor..key).len() >= 5 && text.behind(key - 5, "error") == Some(key) {
            return Before::Module;
        }
        Before::Other
    }

    /// Where the path that a code stands at the end of begins.
    fn path_start(&self, at: usize) -> usize {
        const PATH_MAX: usize = 120;
        let part =
            |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'$' | b'\\' | b'#' | b'/' | b':');
        let mut start = at;
        while start > at.saturating_sub(PATH_MAX)
            && start > 0
            && part(self.text.byte(start - 1))
            && (self.text.gap(start) == Gap::None || self.text.breaks_words(start - 1, start + 1))
        {
            start -= 1;
        }
        start
    }

    /// Whether a code is the name of somebody else's exception: one of another package.
    fn is_foreign(&self, at: usize) -> bool {
        let start = self.path_start(at);
        if start == at
            || !matches!(self.text.byte(at - 1), b'.' | b'\\' | b'$' | b'#' | b'/')
                && self.text.behind(at.saturating_sub(2), "::") != Some(at)
        {
            return false;
        }
        let path = self.text.word(start..at).to_ascii_lowercase();
        !["aws", "amazon", "botocore", "errors"].iter().any(|name| path.contains(name))
            // The side of an EC2 code.
            && !matches!(path.trim_end_matches('.').rsplit([':', '"', '\'']).next(), Some("client" | "server" | "kms"))
    }

    /// Whether a code begins a comment, which tells of an error and is none.
    fn is_comment(&self, at: usize) -> bool {
        let apart = self.text.gap(at) == Gap::Space && at > 0;
        apart && (self.text.byte(at - 1) == b'#' || at > 1 && self.text.behind(at - 2, "//") == Some(at))
    }

    /// The service in `Aws::DynamoDB::Errors::CODE` or `….services.dynamodb.model.CODE`.
    fn module(&self, at: usize) -> Option<String> {
        let path = self.text.word(self.path_start(at)..at);
        let package = path.strip_suffix("::Errors::").map(|path| path.rsplit("::").next());
        let package = package.or_else(|| {
            Some(path.strip_suffix(".model.").or_else(|| path.strip_suffix(".Model."))?.rsplit('.').next())
        });
        package.flatten().and_then(services::prefix)
    }
}

/// What stands before a code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Before {
    /// A key that codes are kept under.
    Key,
    /// The path to an exception.
    Module,
    /// Anything else.
    Other,
}
