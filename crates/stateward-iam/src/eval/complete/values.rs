//! One value of each kind that the conditions on a key can tell apart.

use std::collections::{HashSet, VecDeque};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use jiff::SignedDuration;

use super::PolicySet;
use crate::data::Key;
use crate::policy::condition::{Base, Condition, Test};
use crate::request::ContextValue;
use crate::value::glob::Bit;
use crate::value::spanning::{self, Crossing, Token};
use crate::value::template::{Template, Variable};

/// Sets of more kinds than this are not tried.
const SET_MAX: usize = 6;
/// Longer patterns are not followed.
const TOKENS_MAX: usize = 1_000;
/// Automata with more states than this are not followed.
const STATES_MAX: usize = 2_000;

/// All kinds of what a key can be, `None` among them where it is absent. `None` where they cannot be counted.
pub(super) fn kinds(set: &PolicySet, key: &str) -> Option<Vec<Option<ContextValue>>> {
    let statements = set.all().flat_map(|named| named.policy.statements.iter());
    let conditions: Vec<&Condition> =
        statements.flat_map(|statement| &statement.conditions).filter(|condition| condition.key == key).collect();
    let values = values(&conditions)?;
    let single = |value: &String| ContextValue::Values { values: vec![value.clone()], list: false };
    let mut kinds = vec![None];
    let has_sets = conditions.iter().any(|condition| condition.operator.is_some_and(|operator| operator.set.is_some()));
    let multivalued = conditions.iter().any(|condition| condition.is_multivalued());
    let unjudged = conditions.iter().any(|condition| condition.known == Key::Unjudged);
    if !multivalued {
        kinds.extend(values.iter().map(|value| Some(single(value))));
    }
    if multivalued || has_sets && unjudged {
        if values.len() > SET_MAX {
            return None;
        }
        for members in 0..1_usize << values.len() {
            let chosen = values.iter().enumerate().filter(|(at, _)| members >> at & 1 == 1);
            let values = chosen.map(|(_, value)| value.clone()).collect();
            kinds.push(Some(ContextValue::Values { values, list: true }));
        }
    }
    Some(kinds)
}

/// The variables of a value of a condition.
pub(super) fn variables(test: &Test) -> impl Iterator<Item = &Variable> {
    let template = match test {
        Test::Text(template) | Test::TextIgnoreCase(template) | Test::Bool(template) | Test::Arn(template) => {
            Some(template)
        }
        _ => None,
    };
    template.into_iter().flat_map(Template::variables)
}

fn values(conditions: &[&Condition]) -> Option<Vec<String>> {
    let mut bases: Vec<Base> = Vec::new();
    for condition in conditions {
        let family = match condition.operator?.base {
            Base::Null => continue,
            Base::Numeric(_) => Base::Numeric(crate::policy::condition::Compare::Equal),
            Base::Date(_) => Base::Date(crate::policy::condition::Compare::Equal),
            Base::StringLike => Base::String,
            base => base,
        };
        if !bases.contains(&family) {
            bases.push(family);
        }
    }
    let tests: Vec<&Test> = conditions.iter().flat_map(|condition| &condition.tests).collect();
    if tests.iter().any(|test| matches!(test, Test::Invalid(_)) || variables(test).next().is_some()) {
        return None;
    }
    match bases.as_slice() {
        [] => Some(vec!["x".to_owned()]),
        [Base::Numeric(_)] => Some(numbers(conditions)),
        [Base::Date(_)] => dates(&tests),
        [Base::Bool] => Some(vec!["true".to_owned(), "false".to_owned()]),
        [Base::IpAddress] => Some(addresses(&tests)),
        [Base::Binary] => Some(binaries(conditions)),
        [Base::String | Base::StringIgnoreCase | Base::Arn] => texts(&tests),
        // Values of several types at once.
        _ => None,
    }
}

/// Every number that is named, one between each two of them, and one beyond either end.
fn numbers(conditions: &[&Condition]) -> Vec<String> {
    let named = conditions.iter().filter(|condition| matches!(condition.operator, Some(o) if o.base != Base::Null));
    let named: Vec<&String> = named.flat_map(|condition| &condition.values).collect();
    let digits = named.iter().map(|text| text.len()).max().unwrap_or(0);
    let mut numbers = vec![format!("-1{}", "0".repeat(digits)), format!("1{}", "0".repeat(digits))];
    for text in named {
        // Just above a positive number or just below a negative one; the other side is another's, or beyond the ends.
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        numbers.push(text.clone());
        numbers.push(format!("{whole}.{fraction}{}1", "0".repeat(digits)));
        numbers.extend(just_below(whole, fraction, digits));
    }
    numbers
}

/// The other neighbour of a number: nearer to zero by one of the last digit.
fn just_below(whole: &str, fraction: &str, digits: usize) -> Option<String> {
    let mut figures: Vec<u8> =
        whole.bytes().chain(fraction.bytes()).chain(std::iter::repeat_n(b'0', digits + 1)).collect();
    let sign = usize::from(matches!(figures.first(), Some(b'-' | b'+')));
    let mut at = figures.len();
    loop {
        if at == sign {
            // Zero has its neighbour on the other side.
            return Some(format!("-0.{}1", "0".repeat(digits)));
        }
        at -= 1;
        match figures.get_mut(at) {
            Some(figure @ b'0') => *figure = b'9',
            Some(figure) => {
                *figure -= 1;
                break;
            }
            None => return None,
        }
    }
    figures.insert(whole.len(), b'.');
    String::from_utf8(figures).ok()
}

fn dates(tests: &[&Test]) -> Option<Vec<String>> {
    let mut dates = Vec::new();
    for test in tests {
        let Test::Date(date) = test else { continue };
        let nanosecond = SignedDuration::from_nanos(1);
        for date in [Some(*date), date.checked_add(nanosecond).ok(), date.checked_sub(nanosecond).ok()] {
            dates.push(date?.to_string());
        }
    }
    Some(dates)
}

/// The first address of each network, the first after it, and the first of each family: one of every kind.
fn addresses(tests: &[&Test]) -> Vec<String> {
    let mut addresses = vec![IpAddr::V4(Ipv4Addr::UNSPECIFIED), IpAddr::V6(Ipv6Addr::UNSPECIFIED)];
    for test in tests {
        if let Test::Network(network) = test {
            let (first, after) = network.bounds();
            addresses.extend([Some(first), after].into_iter().flatten());
        }
    }
    addresses.sort_unstable();
    addresses.dedup();
    addresses.iter().map(ToString::to_string).collect()
}

fn binaries(conditions: &[&Condition]) -> Vec<String> {
    let named = conditions.iter().filter(|condition| matches!(condition.operator, Some(o) if o.base == Base::Binary));
    let mut values: Vec<String> = named.flat_map(|condition| &condition.values).cloned().collect();
    let longest = values.iter().map(String::len).max().unwrap_or(0);
    values.push("AAAA".repeat(longest / 4 + 1));
    values
}

/// One text for each combination of patterns that a text can match, found by following all of them at once.
fn texts(tests: &[&Test]) -> Option<Vec<String>> {
    let mut patterns: Vec<Vec<Token>> = Vec::new();
    for test in tests {
        match test {
            Test::Text(template) | Test::TextIgnoreCase(template) => patterns.push(free(template)),
            Test::Arn(template) => {
                let bits = template.fill(|_| crate::value::template::Filled::Missing).ok()?;
                patterns.push(segment_tokens(&bits));
                // What is no ARN fulfils neither an operator nor its negation.
                patterns.push(segment_tokens(&[
                    Bit::Any,
                    Bit::Text(":"),
                    Bit::Any,
                    Bit::Text(":"),
                    Bit::Any,
                    Bit::Text(":"),
                    Bit::Any,
                    Bit::Text(":"),
                    Bit::Any,
                    Bit::Text(":"),
                    Bit::Any,
                ]));
            }
            _ => {}
        }
    }
    if patterns.iter().map(Vec::len).sum::<usize>() > TOKENS_MAX {
        return None;
    }
    let mut alphabet: Vec<char> = Vec::new();
    for token in patterns.iter().flatten() {
        if let Token::Character(character) = token
            && !alphabet.contains(character)
        {
            alphabet.push(*character);
        }
    }
    // A character that no pattern names.
    alphabet.extend(('a'..='z').chain('0'..='9').chain(['~', '\u{1}']).find(|other| !alphabet.contains(other)));
    follow(&patterns, &alphabet)
}

fn free(template: &Template) -> Vec<Token> {
    let bits = template.fill(|_| crate::value::template::Filled::Missing).unwrap_or_default();
    let mut tokens = spanning::tokens(&bits, Crossing::Last);
    for token in &mut tokens {
        if let Token::One { colons } | Token::Any { colons } = token {
            *colons = true;
        }
    }
    tokens
}

/// As conditions compare ARNs: no wildcard of the first five segments crosses a colon.
fn segment_tokens(bits: &[Bit<'_>]) -> Vec<Token> {
    let mut tokens = spanning::tokens(bits, Crossing::Last);
    let colons = tokens.iter().filter(|token| **token == Token::Character(':')).count();
    if colons < 5
        && let Some(Token::Any { colons }) = tokens.last_mut()
    {
        *colons = false;
    }
    tokens
}

type States = Vec<Vec<bool>>;

fn follow(patterns: &[Vec<Token>], alphabet: &[char]) -> Option<Vec<String>> {
    let start: States = patterns.iter().map(|tokens| spanning::start(tokens)).collect();
    let mut seen: HashSet<States> = HashSet::from([start.clone()]);
    let mut accepted: HashSet<Vec<bool>> = HashSet::new();
    let mut texts = Vec::new();
    let mut queue = VecDeque::from([(start, String::new())]);
    while let Some((states, text)) = queue.pop_front() {
        if accepted.insert(states.iter().map(|states| states.last() == Some(&true)).collect()) {
            texts.push(text.clone());
        }
        for character in alphabet {
            let next: States = states
                .iter()
                .zip(patterns)
                .map(|(states, tokens)| spanning::step(tokens, states, *character))
                .collect();
            if seen.insert(next.clone()) {
                if seen.len() > STATES_MAX {
                    return None;
                }
                let mut text = text.clone();
                text.push(*character);
                queue.push_back((next, text));
            }
        }
    }
    Some(texts)
}
