//! One spelling for each JSON value: no white space, canonical escapes and numbers, members in one order.
//!
//! The writer follows the lexer through a block of input and copies only what is already canonical, in runs as long as
//! possible. No tree is built: where the members of an object turn out not to be sorted, their bytes are moved when it closes.

use std::cmp::Ordering;
use std::ops::Range;

use super::escape;

/// Copies of at most this many bytes are done at a fixed length, which compiles to plain loads and stores.
const SHORT: usize = 32;

#[derive(Debug, Clone, Copy)]
struct Member {
    start: usize,
    /// Length of the key without its quotes.
    key: usize,
    /// Compared before the key: most keys need not be looked at again.
    rank: u64,
}

#[derive(Debug, Clone, Copy)]
struct Frame {
    /// How many members outer objects had when this one opened.
    outer: usize,
    sorted: bool,
    order: Order,
}

/// The order of an object's members.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    /// By key.
    Key,
    /// As Terraform writes the fields of resources and instances, then by key: these objects come in that order, so that
    /// hardly any has to be sorted.
    Format,
}

/// The canonical text of what was read since [`Canon::start`].
#[derive(Debug, Default)]
pub(crate) struct Canon {
    on: bool,
    out: Vec<u8>,
    /// How much of `out` counts; the rest is room for short copies.
    len: usize,
    /// Where in the current block the bytes start that are canonical and not copied yet.
    run: usize,
    frames: Vec<Frame>,
    members: Vec<Member>,
    segments: Vec<(Member, usize)>,
    scratch: Vec<u8>,
}

impl Canon {
    /// Starts writing, with nothing written, at the position of the last `sync`.
    pub(crate) fn start(&mut self) {
        self.on = true;
        self.len = 0;
        self.frames.clear();
        self.members.clear();
    }

    pub(crate) fn stop(&mut self) {
        self.on = false;
        self.len = 0;
    }

    pub(crate) fn is_on(&self) -> bool {
        self.on
    }

    /// The length of the text up to the last `sync`.
    pub(crate) fn mark(&self) -> usize {
        self.len
    }

    /// The text in a range of marks.
    pub(crate) fn text(&self, range: Range<usize>) -> &[u8] {
        self.out.get(range.start..range.end.min(self.len)).unwrap_or_default()
    }

    /// Forgets the text after a mark.
    pub(crate) fn truncate(&mut self, mark: usize) {
        self.len = self.len.min(mark);
    }

    /// The whole text.
    pub(crate) fn take(mut self) -> Vec<u8> {
        self.out.truncate(self.len);
        self.out
    }

    pub(crate) fn push(&mut self, text: &[u8]) {
        if self.on {
            self.copy(text, 0, text.len());
        }
    }

    pub(crate) fn push_char(&mut self, decoded: char) {
        if self.on {
            self.scratch.clear();
            let mut scratch = std::mem::take(&mut self.scratch);
            escape::push_canonical(decoded, &mut scratch);
            self.copy(&scratch, 0, scratch.len());
            self.scratch = scratch;
        }
    }

    /// Takes over the bytes of the block up to `at`.
    #[inline]
    pub(crate) fn sync(&mut self, block: &[u8], at: usize) {
        self.skip(block, at, at);
    }

    /// Takes over the bytes of the block up to `from`, and leaves out those up to `to`.
    #[inline]
    pub(crate) fn skip(&mut self, block: &[u8], from: usize, to: usize) {
        if self.on && from > self.run {
            self.copy(block, self.run, from);
        }
        self.run = to;
    }

    /// The block is done; the next one starts at position 0.
    pub(crate) fn next_block(&mut self, block: &[u8]) {
        self.sync(block, block.len());
        self.run = 0;
    }

    #[inline]
    fn copy(&mut self, source: &[u8], from: usize, to: usize) {
        let length = to - from;
        if self.out.len() < self.len + length + SHORT {
            self.out.resize((self.len + length + SHORT) * 2, 0);
        }
        if length <= SHORT
            && let (Some(source), Some(target)) =
                (source.get(from..from + SHORT), self.out.get_mut(self.len..self.len + SHORT))
        {
            target.copy_from_slice(source);
        } else if let (Some(source), Some(target)) =
            (source.get(from..to), self.out.get_mut(self.len..self.len + length))
        {
            target.copy_from_slice(source);
        }
        self.len += length;
    }

    #[inline]
    pub(crate) fn open(&mut self, order: Order) {
        if self.on {
            self.frames.push(Frame { outer: self.members.len(), sorted: true, order });
        }
    }

    /// Where in the text a key that starts at `at` in the block will stand.
    #[inline]
    pub(crate) fn place(&self, at: usize) -> usize {
        self.len + at.saturating_sub(self.run)
    }

    /// Notes a member: `start` is the [`place`](Self::place) of its key, which ends before `end` in the block.
    #[inline]
    pub(crate) fn member(&mut self, block: &[u8], start: usize, end: usize) {
        if !self.on {
            return;
        }
        let Some(frame) = self.frames.last().copied() else { return };
        let key = self.place(end).saturating_sub(start + 2);
        let text = if start >= self.len {
            // Not copied yet, so the key stands in the block as it will in the text.
            block.get(self.run + (start - self.len) + 1..)
        } else {
            self.sync(block, end);
            self.out.get(start + 1..)
        };
        let member = Member { start, key, rank: rank(text.unwrap_or_default(), key, frame.order) };
        if frame.sorted
            && self.members.len() > frame.outer
            && let Some(last) = self.members.last().copied()
            && member.rank <= last.rank
        {
            self.sync(block, end);
            let sorted = self.compare(last, member).is_le();
            if let Some(frame) = self.frames.last_mut() {
                frame.sorted = sorted;
            }
        }
        self.members.push(member);
    }

    /// Compares the keys of two members that are copied.
    fn compare(&self, left: Member, right: Member) -> Ordering {
        left.rank.cmp(&right.rank).then_with(|| self.key(left).cmp(self.key(right)))
    }

    fn key(&self, member: Member) -> &[u8] {
        self.text(member.start + 1..member.start + 1 + member.key)
    }

    /// The innermost container closes at `at`.
    #[inline]
    pub(crate) fn close(&mut self, block: &[u8], at: usize) {
        if !self.on {
            return;
        }
        let Some(frame) = self.frames.pop() else { return };
        if !frame.sorted {
            self.sync(block, at);
            self.sort(frame.outer);
        }
        self.members.truncate(frame.outer);
    }

    fn sort(&mut self, outer: usize) {
        let mut segments = std::mem::take(&mut self.segments);
        let mut scratch = std::mem::take(&mut self.scratch);
        segments.clear();
        scratch.clear();
        let members = self.members.get(outer..).unwrap_or_default();
        let start = members.first().map_or(self.len, |member| member.start);
        for (index, member) in members.iter().enumerate() {
            // A comma stands before every member but the first.
            let end = members.get(index + 1).map_or(self.len, |next| next.start.saturating_sub(1));
            segments.push((*member, end));
        }
        // Stable, so that members with one key keep their order.
        segments.sort_by(|(left, _), (right, _)| self.compare(*left, *right));
        for (member, end) in &segments {
            if !scratch.is_empty() {
                scratch.push(b',');
            }
            scratch.extend_from_slice(self.text(member.start..*end));
        }
        self.truncate(start);
        self.copy(&scratch, 0, scratch.len());
        self.segments = segments;
        self.scratch = scratch;
    }
}

/// What to compare first of the key of `length` bytes that `text` starts with: its first eight bytes, or its place in the
/// state format.
#[inline]
fn rank(text: &[u8], length: usize, order: Order) -> u64 {
    if order == Order::Format {
        return format_rank(text.get(..length).unwrap_or_default());
    }
    let word = match text.first_chunk::<8>() {
        Some(word) => u64::from_be_bytes(*word),
        None => (0..8).fold(0, |word, index| word << 8 | u64::from(text.get(index).copied().unwrap_or_default())),
    };
    match length {
        0 => 0,
        1..8 => word & !(u64::MAX >> (8 * length)),
        _ => word,
    }
}

fn format_rank(key: &[u8]) -> u64 {
    match key {
        b"module" => 0,
        b"mode" => 1,
        b"type" => 2,
        b"name" => 3,
        b"each" => 4,
        b"index_key" => 5,
        b"status" => 6,
        b"deposed" => 7,
        b"provider" => 8,
        b"instances" => 9,
        b"schema_version" => 10,
        b"attributes" => 11,
        b"attributes_flat" => 12,
        b"sensitive_attributes" => 13,
        b"identity_schema_version" => 14,
        b"identity" => 15,
        b"private" => 16,
        b"dependencies" => 17,
        b"create_before_destroy" => 18,
        _ => 19,
    }
}
