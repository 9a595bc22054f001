//! A text without its white space, escapes and entities, in which a phrase is found however it was wrapped or quoted.
//!
//! Terminals break lines inside words, Terraform's boxes between them, logs escape what they quote, some of them twice.
//! So phrases are looked for where none of that is left, and only what is taken out of the text is put together again.

pub(crate) mod escape;

use std::ops::Range;

use escape::Escape;

/// What stood between two bytes that are neighbours now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Gap {
    /// Nothing.
    None,
    /// White space within a line.
    Space,
    /// The end of a line.
    Break,
    /// An escaped end of a line, which no wrapping makes.
    Written,
    /// An empty line, or where something was left out.
    Blank,
}

/// The squeezed text, and where in the clean text each of its bytes stood.
#[derive(Debug)]
pub(crate) struct Squeezed<'a> {
    clean: &'a str,
    bytes: Vec<u8>,
    at: Vec<u32>,
    gaps: Vec<Gap>,
}

impl<'a> Squeezed<'a> {
    /// Squeezes a text of at most 4 GB. Nothing goes from one side of the ranges in `without`, which are in order, to the other.
    pub(crate) fn new(clean: &'a str, without: &[Range<usize>]) -> Self {
        let mut squeezed = Self {
            clean,
            bytes: Vec::with_capacity(clean.len()),
            at: Vec::with_capacity(clean.len()),
            gaps: Vec::with_capacity(clean.len()),
        };
        let mut from = 0;
        for range in without {
            squeezed.take(from, range.start);
            if range.start < range.end {
                squeezed.wall(range.start);
            }
            from = range.end;
        }
        squeezed.take(from, clean.len());
        squeezed
    }

    /// The text is known to end here: no name in it goes on.
    pub(crate) fn close(&mut self) {
        self.wall(self.clean.len());
    }

    /// What no phrase and no value goes across.
    fn wall(&mut self, at: usize) {
        self.put(b"\0", at, Gap::Blank);
    }

    fn take(&mut self, from: usize, to: usize) {
        let bytes = self.clean.as_bytes();
        let mut gap = Gap::Break;
        // Ends of lines, and escaped ones, since the last byte.
        let mut lines = (0, 0);
        let mut at = from;
        while at < to {
            let Some(&byte) = bytes.get(at) else { return };
            match byte {
                b'\n' | b'\r' => {
                    lines.0 += u32::from(byte == b'\n');
                    gap = if lines.0 > 1 { Gap::Blank } else { gap.max(Gap::Break) };
                    at += 1;
                }
                b' ' | b'\t' | 0..=0x1f | 0x7f => (gap, at) = (gap.max(Gap::Space), at + 1),
                b'\\' | b'&' | b'[' | b'^' | 0x80.. => {
                    let Some((escape, length)) = self.clean.get(at..to).and_then(escape::read) else {
                        at += 1;
                        continue;
                    };
                    match escape {
                        Escape::Text(text) => {
                            self.put(text.as_bytes(), at, gap);
                            (gap, lines) = (Gap::None, (0, 0));
                        }
                        Escape::Character(character) => {
                            self.put(character.encode_utf8(&mut [0; 4]).as_bytes(), at, gap);
                            (gap, lines) = (Gap::None, (0, 0));
                        }
                        Escape::Nothing => {}
                        Escape::Space => gap = gap.max(Gap::Space),
                        Escape::Written => {
                            lines.1 += 1;
                            gap = if lines.1 > 1 { Gap::Blank } else { gap.max(Gap::Written) };
                        }
                    }
                    at += length;
                }
                _ => {
                    self.put(&[byte], at, gap);
                    (gap, lines, at) = (Gap::None, (0, 0), at + 1);
                }
            }
        }
    }

    fn put(&mut self, bytes: &[u8], at: usize, mut gap: Gap) {
        let at = u32::try_from(at).unwrap_or(u32::MAX);
        for byte in bytes {
            self.bytes.push(*byte);
            self.at.push(at);
            self.gaps.push(gap);
            gap = Gap::None;
        }
    }

    /// Whether the text ends with a line.
    pub(crate) fn ends_line(&self) -> bool {
        self.clean.ends_with('\n')
    }

    /// All of it.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// How long it is.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// The byte there; NUL behind the end and between what does not belong together.
    pub(crate) fn byte(&self, index: usize) -> u8 {
        self.bytes.get(index).copied().unwrap_or(0)
    }

    /// What stood before the byte there.
    pub(crate) fn gap(&self, index: usize) -> Gap {
        self.gaps.get(index).copied().unwrap_or(Gap::Blank)
    }

    /// Where the byte there stood in the clean text.
    pub(crate) fn clean_at(&self, index: usize) -> usize {
        self.at.get(index).map_or(self.clean.len(), |at| *at as usize)
    }

    /// The first byte that stood there or later in the clean text.
    pub(crate) fn index_of(&self, clean_at: usize) -> usize {
        self.at.partition_point(|at| (*at as usize) < clean_at)
    }

    /// Whether an empty line stands between two places.
    pub(crate) fn is_apart(&self, from: usize, to: usize) -> bool {
        (from..=to).any(|index| self.gap(index) == Gap::Blank)
    }

    /// Behind a phrase, if it stands there: in any case, and white space in it or in the text does not matter.
    pub(crate) fn behind(&self, index: usize, phrase: &str) -> Option<usize> {
        let mut index = index;
        for expected in phrase.bytes().filter(|byte| *byte != b' ') {
            if !self.byte(index).eq_ignore_ascii_case(&expected) {
                return None;
            }
            index += 1;
        }
        Some(index)
    }

    /// Where a phrase stands for the first time in a range, and where it ends.
    pub(crate) fn find(&self, range: Range<usize>, phrase: &str) -> Option<Range<usize>> {
        let first = phrase.bytes().next()?;
        let range = range.start..range.end.min(self.len());
        let bytes = self.bytes.get(range.clone())?;
        memchr::memchr2_iter(first.to_ascii_lowercase(), first.to_ascii_uppercase(), bytes)
            .map(|offset| range.start + offset)
            .find_map(|start| Some(start..self.behind(start, phrase)?))
            .filter(|found| found.end <= range.end)
    }

    /// The same from the end.
    pub(crate) fn find_last(&self, range: Range<usize>, phrase: &str) -> Option<Range<usize>> {
        let first = phrase.bytes().next()?;
        let range = range.start..range.end.min(self.len());
        let bytes = self.bytes.get(range.clone())?;
        memchr::memrchr2_iter(first.to_ascii_lowercase(), first.to_ascii_uppercase(), bytes)
            .map(|offset| range.start + offset)
            .find_map(|start| Some(start..self.behind(start, phrase)?))
            .filter(|found| found.end <= range.end)
    }

    /// A range as text, with its spaces, and with a space for the end of a line where a line seems to end between words.
    pub(crate) fn text(&self, range: Range<usize>) -> String {
        let broken = self.breaks_words(range.start, range.end);
        self.join(range, if broken { None } else { Some(b' ') })
    }

    /// A range as text, with its spaces; lines end within words, as in an ARN, which has nowhere else to end one.
    pub(crate) fn word(&self, range: Range<usize>) -> String {
        self.join(range, None)
    }

    fn join(&self, range: Range<usize>, at_break: Option<u8>) -> String {
        let mut joined = Vec::with_capacity(range.len() + 8);
        for index in range.clone() {
            match self.gap(index) {
                Gap::Space if index > range.start => joined.push(b' '),
                Gap::Break | Gap::Written | Gap::Blank if index > range.start => {
                    joined.extend(at_break.or_else(|| self.kept_space(index)));
                }
                _ => {}
            }
            joined.push(self.byte(index));
        }
        String::from_utf8(joined).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
    }

    /// The one space that a line ends with: more of them only fill it.
    fn kept_space(&self, index: usize) -> Option<u8> {
        let gap = self.clean.get(self.clean_at(index.checked_sub(1)?)..self.clean_at(index))?;
        let mut bytes = gap.bytes().skip(1);
        (bytes.next() == Some(b' ') && bytes.next() == Some(b'\n')).then_some(b' ')
    }

    /// Whether the last line that ends between two places ends inside a word, as a terminal ends it: at the same width as others, or
    /// at one that terminals have, and no line ends early because its next word has no room.
    pub(crate) fn breaks_words(&self, from: usize, to: usize) -> bool {
        const AHEAD: usize = 600;
        let end = to.min(self.len());
        let is_break = |index: &usize| self.gap(*index) == Gap::Break;
        let breaks: Vec<usize> = (from + 1..end).filter(is_break).collect();
        let Some((&last, before)) = breaks.split_last() else { return false };
        let width = self.width_before(last);
        // A line that goes on within a word does not begin with a space.
        if width < WIDTH_MIN || self.starts_with_space(last) {
            return false;
        }
        let mut is_usual = TERMINALS.iter().any(|full| is_width(width, *full));
        // A word that fills its line alone is not broken by whoever ends lines between words.
        if is_usual && self.word_before(last) + 2 >= width {
            return true;
        }
        // The first line may have lost what a log put before it.
        for (number, index) in before.iter().enumerate() {
            let other = self.width_before(*index);
            let is_full = is_width(other, width);
            let has_room = other + 1 + self.word_length(*index) <= width;
            if !is_full && !has_room && number > 0 {
                return false;
            }
            is_usual |= is_full;
        }
        is_usual
            || (end..self.len().min(end + AHEAD))
                .find(is_break)
                .is_some_and(|next| is_width(width, self.width_before(next)))
    }

    /// How long the word is that ends before a place.
    fn word_before(&self, index: usize) -> usize {
        (0..index).rev().find(|start| self.gap(*start) != Gap::None).map_or(0, |start| index - start)
    }

    /// How long the word is that begins at a place.
    fn word_length(&self, index: usize) -> usize {
        const WORD_MAX: usize = 300;
        (index + 1..index + WORD_MAX).find(|end| self.gap(*end) != Gap::None).map_or(WORD_MAX, |end| end - index)
    }

    /// Whether white space stands between a place and the start of its line.
    fn starts_with_space(&self, index: usize) -> bool {
        let before = self.clean.get(..self.clean_at(index)).unwrap_or_default();
        before.ends_with([' ', '\t'])
    }

    /// How long the line is that ends before a place.
    pub(crate) fn width_before(&self, index: usize) -> usize {
        let end = self.clean_at(index.saturating_sub(1));
        let (before, behind) = self.clean.split_at_checked(end).unwrap_or_default();
        let start = memchr::memrchr(b'\n', before.as_bytes()).map_or(0, |at| at + 1);
        let end = memchr::memchr(b'\n', behind.as_bytes()).map_or(self.clean.len(), |at| end + at);
        self.clean.get(start..end).map_or(0, |line| line.trim_end().chars().count())
    }
}

/// No terminal is narrower.
const WIDTH_MIN: usize = 20;
/// The usual widths of terminals.
const TERMINALS: &[usize] = &[80, 100, 120, 132, 140, 160, 180, 200, 240];

/// Whether two lines are full on the same terminal. A space that fell to the end of one may be lost, and the side of a box.
fn is_width(width: usize, other: usize) -> bool {
    matches!(width.abs_diff(other), 0..=2)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn squeeze(text: &str) -> String {
        String::from_utf8(Squeezed::new(text, &[]).bytes().to_vec()).expect("UTF-8")
    }

    #[test]
    fn white_space_boxes_and_codes_go() {
        assert_eq!(squeeze("a b\n\tc\u{a0}│ d\u{200b}\\n\\u001b[31me[0m [31m"), "abcde");
        assert_eq!(squeeze("[a] arr[1] [0;31"), "[a]arr[1][0;31");
    }

    #[test]
    fn escapes_and_entities_are_undone_however_often_they_were_made() {
        assert_eq!(squeeze(r#"\"a\" \\\"b\\\" \\\\n \/ \' \u003cc\u003e"#), r#""a""b"/'<c>"#);
        assert_eq!(
            squeeze("&quot;a&quot; &amp;quot;b&amp;quot; &#39;c&#x27; &lt;d&gt; &amp; e&nbsp;f &nosuch;"),
            "\"a\"\"b\"'c'<d>&ef&nosuch;"
        );
        assert_eq!(squeeze("“a” ‘b’ c… \\d \\"), "\"a\"'b'c...\\d");
    }

    #[test]
    fn gaps_are_remembered() {
        let squeezed = Squeezed::new("ab c\nd\\ne", &[]);
        let gaps: Vec<Gap> = (0..squeezed.len()).map(|index| squeezed.gap(index)).collect();
        assert_eq!(gaps, [Gap::Break, Gap::None, Gap::Space, Gap::Break, Gap::Written]);
        assert_eq!(squeezed.clean_at(2), 3);
        assert_eq!(squeezed.index_of(3), 2);
        assert_eq!(squeezed.index_of(2), 2);
        assert_eq!(squeezed.gap(99), Gap::Blank);
        let squeezed = Squeezed::new("a\n \nb\\n\\nc\\r\\nd", &[]);
        let gaps: Vec<Gap> = (1..squeezed.len()).map(|index| squeezed.gap(index)).collect();
        assert_eq!(gaps, [Gap::Blank, Gap::Blank, Gap::Written]);
    }

    #[test]
    fn phrases_are_found_across_lines_and_in_any_case() {
        let squeezed = Squeezed::new("x Is Not autho\nrized to perform: y is not", &[]);
        let found = squeezed.find(0..squeezed.len(), "is not authorized to perform").expect("found");
        assert_eq!(found, 1..25);
        assert_eq!(squeezed.find(2..squeezed.len(), "is not authorized to perform"), None);
        assert_eq!(squeezed.find(0..24, "is not authorized to perform"), None);
        assert_eq!(squeezed.find_last(0..squeezed.len(), "is not"), Some(27..32));
    }

    #[test]
    fn nothing_goes_across_what_is_left_out() {
        let squeezed = Squeezed::new("is not{x}authorized", std::slice::from_ref(&(6..9)));
        assert_eq!(squeezed.find(0..squeezed.len(), "is not authorized"), None);
        assert_eq!(squeezed.bytes(), b"isnot\0authorized");
    }

    #[test]
    fn words_are_joined_where_a_terminal_broke_them() {
        let squeezed = Squeezed::new("role one tw\no three", &[]);
        assert_eq!(squeezed.text(0..squeezed.len()), "role one tw o three");
        assert_eq!(squeezed.word(0..squeezed.len()), "role one two three");
        let squeezed = Squeezed::new("role one twenty threefo\nur five six seven eight\n", &[]);
        assert_eq!(squeezed.text(0..squeezed.len()), "role one twenty threefo ur five six seven eight");
        let squeezed = Squeezed::new("role one twenty threefo\nur five six seven eight\neen nine", &[]);
        assert_eq!(squeezed.text(0..squeezed.len()), "role one twenty threefour five six seven eighteen nine");
    }
}
