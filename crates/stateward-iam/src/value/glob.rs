//! Matching `*` and `?`, without backtracking over more than one `*`.

/// A piece of a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bit<'a> {
    /// Means itself.
    Text(&'a str),
    /// `?`: one character.
    One,
    /// `*`: any characters, or none.
    Any,
}

/// Whether the whole text matches the pieces, given by their number and by index.
///
/// Each run of pieces between two `*` is matched at the first place where it fits: if any way fits, that one does. So
/// the time is linear in the text for pieces of plain text, and at worst the product of both lengths with `?`.
pub(crate) fn matches<'p>(count: usize, bit: impl Fn(usize) -> Bit<'p>, text: &str) -> bool {
    let is_any = |at: usize| bit(at) == Bit::Any;
    let Some(first) = (0..count).find(|at| is_any(*at)) else {
        return strip(0..count, &bit, text).is_some_and(str::is_empty);
    };
    let Some(mut rest) = strip(0..first, &bit, text) else { return false };
    let mut start = first + 1;
    loop {
        let Some(end) = (start..count).find(|at| is_any(*at)) else {
            return ends_with(start..count, &bit, rest);
        };
        match find(start..end, &bit, rest) {
            Some(after) => rest = after,
            None => return false,
        }
        start = end + 1;
    }
}

/// The same for pieces in memory.
pub(crate) fn matches_all(bits: &[Bit<'_>], text: &str) -> bool {
    matches(bits.len(), |at| bits.get(at).copied().unwrap_or(Bit::Text("")), text)
}

/// Whether a text is what a pattern says, in which `*` stands for any characters and `?` for one. Letter case does not matter.
pub fn is_like(pattern: &str, text: &str) -> bool {
    matches_all(&bits(&pattern.to_lowercase()), &text.to_lowercase())
}

fn bits(pattern: &str) -> Vec<Bit<'_>> {
    let mut bits = Vec::new();
    let mut rest = pattern;
    while let Some(at) = rest.find(['*', '?']) {
        if at > 0 {
            bits.push(Bit::Text(rest.get(..at).unwrap_or_default()));
        }
        bits.push(if rest.as_bytes().get(at) == Some(&b'*') { Bit::Any } else { Bit::One });
        rest = rest.get(at + 1..).unwrap_or_default();
    }
    if !rest.is_empty() {
        bits.push(Bit::Text(rest));
    }
    bits
}

type Range = std::ops::Range<usize>;

/// The text after pieces without `*`, where it starts with them.
fn strip<'p, 't>(pieces: Range, bit: &impl Fn(usize) -> Bit<'p>, mut text: &'t str) -> Option<&'t str> {
    for at in pieces {
        text = match bit(at) {
            Bit::Text(piece) => text.strip_prefix(piece)?,
            Bit::One | Bit::Any => skip_one(text)?,
        };
    }
    Some(text)
}

fn skip_one(text: &str) -> Option<&str> {
    let mut characters = text.chars();
    characters.next().map(|_| characters.as_str())
}

/// Whether the text ends with pieces without `*`.
fn ends_with<'p>(pieces: Range, bit: &impl Fn(usize) -> Bit<'p>, mut text: &str) -> bool {
    for at in pieces.rev() {
        let rest = match bit(at) {
            Bit::Text(piece) => text.strip_suffix(piece),
            Bit::One | Bit::Any => {
                let mut characters = text.chars();
                characters.next_back().map(|_| characters.as_str())
            }
        };
        match rest {
            Some(rest) => text = rest,
            None => return false,
        }
    }
    true
}

/// The text after the first place where pieces without `*` fit.
fn find<'p, 't>(pieces: Range, bit: &impl Fn(usize) -> Bit<'p>, mut text: &'t str) -> Option<&'t str> {
    if pieces.is_empty() {
        return Some(text);
    }
    loop {
        if let Bit::Text(piece) = bit(pieces.start) {
            text = text.get(memchr::memmem::find(text.as_bytes(), piece.as_bytes())?..)?;
        }
        if let Some(after) = strip(pieces.clone(), bit, text) {
            return Some(after);
        }
        text = skip_one(text)?;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn glob(pattern: &str, text: &str) -> bool {
        matches_all(&bits(pattern), text)
    }

    /// Right at a glance, and exponential.
    fn twin(pattern: &[char], text: &[char]) -> bool {
        match (pattern.split_first(), text.split_first()) {
            (None, None) => true,
            (Some(('*', rest)), _) => {
                twin(rest, text) || text.split_first().is_some_and(|(_, text)| twin(pattern, text))
            }
            (Some(('?', rest)), Some((_, text))) => twin(rest, text),
            (Some((character, rest)), Some((same, text))) if character == same => twin(rest, text),
            _ => false,
        }
    }

    #[test]
    fn examples() {
        for (pattern, text, expected) in [
            ("", "", true),
            ("", "a", false),
            ("*", "", true),
            ("a*", "a", true),
            ("a*b*c", "abbc", true),
            ("a*b*c", "ac", false),
            ("?", "é", true),
            ("??", "é", false),
            ("*a", "ba", true),
            ("*ab", "aab", true),
            ("a*a", "a", false),
            ("*?*", "", false),
            ("b/*/test/*", "b/1///test///object.jpg", true),
            ("b/*/test/*", "b//test/object.jpg", true),
            ("b/*/test/*", "b/1-test/object.jpg", false),
            ("[a]?c", "[a]bc", true),
        ] {
            assert_eq!(glob(pattern, text), expected, "{pattern} on {text}");
        }
    }

    #[test]
    fn ten_thousand_wildcards_are_no_trap() {
        let many = "*a".repeat(10_000);
        assert!(glob(&many, &"a".repeat(10_000)));
        assert!(!glob(&many, &"a".repeat(9_999)));
        assert!(!glob(&(many.clone() + "b"), &"a".repeat(30_000)));
        assert!(glob(&"*".repeat(10_000), "x"));
        assert!(!glob(&"?*".repeat(10_000), &"a".repeat(9_999)));
        assert!(!glob(&("*".to_owned() + &"?a".repeat(500) + "b*"), &"a".repeat(5_000)));
    }

    proptest! {
        #[test]
        fn equals_a_naive_twin(pattern in "[ab*?é]{0,9}", text in "[abé]{0,12}") {
            let chars = |text: &str| text.chars().collect::<Vec<_>>();
            prop_assert_eq!(glob(&pattern, &text), twin(&chars(&pattern), &chars(&text)));
        }
    }
}
