//! A text that two patterns both cover.

/// A text that both patterns cover, if there is one. `*` stands for any text and `?` for any character.
pub(super) fn meet(one: &str, other: &str) -> Option<String> {
    let (one, other): (Vec<char>, Vec<char>) = (one.chars().collect(), other.chars().collect());
    let mut seen = vec![false; (one.len() + 1) * (other.len() + 1)];
    // Each pair of places is looked at once, so that many wildcards cost no more than the product of the lengths.
    let mut open = vec![(0, 0, String::new())];
    while let Some((i, j, text)) = open.pop() {
        let Some(seen) = seen.get_mut(i * (other.len() + 1) + j) else { continue };
        if std::mem::replace(seen, true) {
            continue;
        }
        let mut go_on = |i, j, next: Option<char>| open.push((i, j, text.chars().chain(next).collect()));
        match (one.get(i), other.get(j)) {
            (None, None) => return Some(text),
            (Some('*'), Some('*')) => {
                go_on(i + 1, j, None);
                go_on(i, j + 1, None);
            }
            (Some('*'), Some(next)) => {
                go_on(i, j + 1, Some(plain(*next)));
                go_on(i + 1, j, None);
            }
            (Some('*'), None) => go_on(i + 1, j, None),
            (Some(next), Some('*')) => {
                go_on(i + 1, j, Some(plain(*next)));
                go_on(i, j + 1, None);
            }
            (None, Some('*')) => go_on(i, j + 1, None),
            (Some('?'), Some(next)) | (Some(next), Some('?')) => go_on(i + 1, j + 1, Some(plain(*next))),
            (Some(next), Some(same)) if next == same => go_on(i + 1, j + 1, Some(*next)),
            _ => {}
        }
    }
    None
}

/// A character for `?`.
fn plain(character: char) -> char {
    if character == '?' { 'x' } else { character }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::meet;
    use crate::value::glob::is_like;

    #[test]
    fn patterns_meet_in_a_text() {
        for (one, other, expected) in [
            ("*", "states/prod/?*", Some("states/prod/x")),
            ("states/*/network", "states/prod/?*", Some("states/prod/network")),
            ("states/pr?d*", "states/prod/?*", Some("states/prod/x")),
            ("states/dev/*", "states/prod/?*", None),
            ("states/prod", "states/prod/?*", None),
            ("", "*", Some("")),
            ("a*b*c", "*b?c", Some("abxc")),
        ] {
            assert_eq!(meet(one, other).as_deref(), expected, "{one} {other}");
            assert_eq!(meet(other, one).is_some(), expected.is_some(), "{other} {one}");
        }
    }

    proptest! {
        /// Texts of three characters tell whether short patterns meet.
        #[test]
        fn what_they_meet_in_is_covered_by_both(one in "[ab*?]{0,5}", other in "[ab*?]{0,5}", text in "[ab]{0,4}") {
            match meet(&one, &other) {
                Some(found) => prop_assert!(is_like(&one, &found) && is_like(&other, &found), "{found}"),
                None => prop_assert!(!(is_like(&one, &text) && is_like(&other, &text))),
            }
        }
    }
}
