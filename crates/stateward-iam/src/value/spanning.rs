//! Matching where some wildcards cross colons and others do not: a small automaton, as fast as the product of lengths.

use super::glob::Bit;

/// A character of a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Token {
    Character(char),
    One { colons: bool },
    Any { colons: bool },
}

impl Token {
    fn takes(self, character: char) -> bool {
        match self {
            Self::Character(own) => own == character,
            Self::One { colons } | Self::Any { colons } => colons || character != ':',
        }
    }
}

/// Which `*` of the first five segments of an ARN pattern cross colons.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Crossing {
    /// Only the one that ends the whole pattern.
    Last,
    /// Each one that ends a segment.
    SegmentEnds,
}

/// An ARN pattern as tokens. After the fifth colon every wildcard crosses colons.
pub(crate) fn tokens(bits: &[Bit<'_>], crossing: Crossing) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut colons = 0;
    for (number, bit) in bits.iter().enumerate() {
        let free = colons >= 5;
        match bit {
            Bit::Text(text) => {
                for character in text.chars() {
                    colons += usize::from(character == ':');
                    tokens.push(Token::Character(character));
                }
            }
            Bit::One => tokens.push(Token::One { colons: free }),
            Bit::Any => {
                let next = bits.get(number + 1);
                let ends_segment = matches!(next, Some(Bit::Text(text)) if text.starts_with(':'));
                let crosses = next.is_none() || crossing == Crossing::SegmentEnds && ends_segment;
                tokens.push(Token::Any { colons: free || crosses });
            }
        }
    }
    tokens
}

/// Whether the whole text matches.
pub(crate) fn matches(tokens: &[Token], text: &str) -> bool {
    let states = text.chars().fold(start(tokens), |states, character| step(tokens, &states, character));
    states.last() == Some(&true)
}

/// Where in a pattern one may stand before the first character; at its end the last is true.
pub(crate) fn start(tokens: &[Token]) -> Vec<bool> {
    let mut states = vec![false; tokens.len() + 1];
    enter(tokens, &mut states, 0);
    states
}

/// Where one may stand after one more character.
pub(crate) fn step(tokens: &[Token], states: &[bool], character: char) -> Vec<bool> {
    let mut next = vec![false; tokens.len() + 1];
    for (at, token) in tokens.iter().enumerate() {
        if states.get(at) == Some(&true) && token.takes(character) {
            let stays = matches!(token, Token::Any { .. });
            enter(tokens, &mut next, if stays { at } else { at + 1 });
        }
    }
    next
}

/// Stands at a place of the pattern, and after every `*` that it may skip from there.
fn enter(tokens: &[Token], states: &mut [bool], mut at: usize) {
    while let Some(state) = states.get_mut(at) {
        if *state {
            return;
        }
        *state = true;
        match tokens.get(at) {
            Some(Token::Any { .. }) => at += 1,
            _ => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::template::{Syntax, Template};

    fn spans(pattern: &str, text: &str, crossing: Crossing) -> bool {
        let template = Template::compile(pattern, Syntax { wildcards: true, variables: false });
        let bits = template.fill(|_| unreachable!("no variables")).expect("filled");
        matches(&tokens(&bits, crossing), text)
    }

    #[test]
    fn wildcards_cross_colons_where_they_may() {
        let table = "arn:aws:dynamodb:eu-west-1:111122223333:table/locks";
        for (pattern, last, ends) in [
            ("arn:aws:dynamodb:*", true, true),
            ("arn:*", true, true),
            ("arn:aws:dynamodb:*:table/locks", false, true),
            ("arn:aws:dynamodb:eu*1:table/locks", false, false),
            ("arn:aws:dynamodb:*:*:table/locks", true, true),
            ("arn:aws:dynamodb:*:*:table/lo*", true, true),
            ("arn:aws:dynamodb:?u-west-1*:table/locks", false, true),
            ("arn:aws:dynamodb:eu-west-1?111122223333:table/locks", false, false),
            ("arn:aws:s3:*", false, false),
        ] {
            assert_eq!(spans(pattern, table, Crossing::Last), last, "{pattern}");
            assert_eq!(spans(pattern, table, Crossing::SegmentEnds), ends, "{pattern}");
        }
        let stream = "arn:aws:dynamodb:eu-west-1:111122223333:table/locks/stream/2026-01-01T00:00:00.000";
        assert!(spans("arn:aws:dynamodb:*:*:table/*0?00.000", stream, Crossing::Last));
    }
}
