//! ARNs, and patterns over them: six segments, of which the last may hold colons.

use std::borrow::Cow;

use super::glob::{self, Bit};
use super::spanning::{self, Crossing};
use super::template::{Filled, Syntax, Template, Variable};

/// Where the first five colons of an ARN stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Segments<'a>([&'a str; 6]);

impl<'a> Segments<'a> {
    /// `None` where there are fewer than six segments.
    pub(crate) fn of(arn: &'a str) -> Option<Self> {
        // Segments are short: looking at each byte is faster than any search that has to be set up.
        let cut = |text: &'a str| {
            let at = text.bytes().position(|byte| byte == b':')?;
            Some((text.get(..at)?, text.get(at + 1..)?))
        };
        let (partition, rest) = cut(arn)?;
        let (service, rest) = cut(rest)?;
        let (region, rest) = cut(rest)?;
        let (account, rest) = cut(rest)?;
        let (owner, resource) = cut(rest)?;
        Some(Self([partition, service, region, account, owner, resource]))
    }

    pub(crate) fn service(&self) -> &'a str {
        self.0[2]
    }

    pub(crate) fn region(&self) -> &'a str {
        self.0[3]
    }

    pub(crate) fn account(&self) -> &'a str {
        self.0[4]
    }

    pub(crate) fn resource(&self) -> &'a str {
        self.0[5]
    }
}

/// Whether a pattern covers a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Covers {
    Yes,
    No,
    /// AWS's pages contradict each other: a `*` that ends a segment would have to cross a colon.
    Open,
    /// A variable has no value.
    Unresolved,
    /// It depends on a variable whose value is unknown.
    Unknown,
}

/// A value of a `Resource` or `NotResource` element.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ResourcePattern {
    /// As it is written.
    pub(crate) source: String,
    pub(crate) shape: Shape,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Shape {
    Everything,
    /// An ARN without wildcards and variables.
    Exact,
    /// Six segments, each matched by itself.
    Arn {
        segments: Vec<Template>,
        /// All of it, where a `*` ends one of the first five segments.
        loose: Option<Template>,
    },
    /// Fewer segments: only a `*` at its end can make it match.
    Short(Template),
    /// A variable before the fifth colon, where AWS allows none.
    Never,
}

impl ResourcePattern {
    pub(crate) fn compile(source: &str, variables: bool) -> Self {
        if !source.contains(['*', '?', '$']) && Segments::of(source).is_some() {
            return Self { source: source.to_owned(), shape: Shape::Exact };
        }
        let whole = Template::compile(source, Syntax { wildcards: true, variables });
        let segments = whole.split_colons(6);
        let early = segments.iter().take(5.min(segments.len().saturating_sub(1))).any(Template::has_variables);
        let shape = if whole.is_everything() {
            Shape::Everything
        } else if early || segments.len() < 6 && whole.has_variables() {
            Shape::Never
        } else if segments.len() < 6 {
            Shape::Short(whole)
        } else {
            let loose = segments.iter().take(5).any(Template::ends_with_any).then_some(whole);
            Shape::Arn { segments, loose }
        };
        Self { source: source.to_owned(), shape }
    }

    /// Whether it covers a resource of a request: an ARN with its segments, or `*`.
    pub(crate) fn covers<'a>(
        &'a self,
        resource: &str,
        arn: Option<&Segments<'_>>,
        mut value: impl FnMut(&'a Variable) -> Filled<'a>,
    ) -> Covers {
        match &self.shape {
            Shape::Everything => Covers::Yes,
            Shape::Exact if resource == self.source => Covers::Yes,
            Shape::Exact | Shape::Never => Covers::No,
            Shape::Short(whole) => short(whole, resource),
            Shape::Arn { segments, loose } => {
                let Some(arn) = arn else { return Covers::No };
                let (head, tail) = segments.split_at(5.min(segments.len()));
                let covers = match tail.first() {
                    Some(tail) if head.iter().zip(arn.0).all(|(segment, text)| segment.matches_plain(text)) => {
                        covers_tail(tail, arn.resource(), &mut value)
                    }
                    _ => Covers::No,
                };
                match loose {
                    Some(whole) if covers == Covers::No => crossing(whole, resource, &mut value),
                    _ => covers,
                }
            }
        }
    }

    /// The six segments of an ARN.
    pub(crate) fn segments(&self) -> Option<Cow<'_, [Template]>> {
        let plain = Syntax { wildcards: false, variables: false };
        match &self.shape {
            Shape::Exact => Some(Template::compile(&self.source, plain).split_colons(6).into()),
            Shape::Arn { segments, .. } => Some(segments.into()),
            Shape::Everything | Shape::Short(_) | Shape::Never => None,
        }
    }

    /// The keys that its variables ask for.
    pub(crate) fn variables(&self) -> impl Iterator<Item = &Variable> {
        let template = match &self.shape {
            // Variables stand after the fifth colon alone.
            Shape::Arn { segments, .. } => segments.last(),
            Shape::Everything | Shape::Exact | Shape::Short(_) | Shape::Never => None,
        };
        template.into_iter().flat_map(Template::variables)
    }
}

fn covers_tail<'a>(tail: &'a Template, text: &str, value: &mut impl FnMut(&'a Variable) -> Filled<'a>) -> Covers {
    let matched = |matched| if matched { Covers::Yes } else { Covers::No };
    if !tail.has_variables() {
        return matched(tail.matches_plain(text));
    }
    match tail.fill(value) {
        Ok(bits) => matched(glob::matches_all(&bits, text)),
        Err(Filled::Unknown) => Covers::Unknown,
        Err(_) => Covers::Unresolved,
    }
}

fn bits(template: &Template) -> Vec<Bit<'_>> {
    template.fill(|_| Filled::Text("\0")).unwrap_or_default()
}

fn short(whole: &Template, resource: &str) -> Covers {
    if !whole.matches_plain(resource) {
        return Covers::No;
    }
    let bits = bits(whole);
    if spanning::matches(&spanning::tokens(&bits, Crossing::Last), resource) {
        Covers::Yes
    } else if spanning::matches(&spanning::tokens(&bits, Crossing::SegmentEnds), resource) {
        Covers::Open
    } else {
        Covers::No
    }
}

/// Whether it would match if each `*` that ends a segment crossed colons.
fn crossing<'a>(whole: &'a Template, resource: &str, value: &mut impl FnMut(&'a Variable) -> Filled<'a>) -> Covers {
    let bits = if whole.has_variables() {
        match whole.fill(value) {
            Ok(bits) => bits,
            Err(Filled::Unknown) => return Covers::Unknown,
            Err(_) => return Covers::Unresolved,
        }
    } else if whole.matches_plain(resource) {
        bits(whole)
    } else {
        return Covers::No;
    };
    let matched = spanning::matches(&spanning::tokens(&bits, Crossing::SegmentEnds), resource);
    if matched { Covers::Open } else { Covers::No }
}

/// Whether an ARN matches a pattern of a condition: six segments, each compared by itself.
pub(crate) fn matches_segments(pattern: &[Bit<'_>], arn: &Segments<'_>) -> bool {
    let mut segments: Vec<Vec<Bit<'_>>> = vec![Vec::new()];
    for bit in pattern {
        let Bit::Text(text) = bit else {
            if let Some(last) = segments.last_mut() {
                last.push(*bit);
            }
            continue;
        };
        let room = 6_usize.saturating_sub(segments.len());
        for (number, part) in text.splitn(room + 1, ':').enumerate() {
            if number > 0 {
                segments.push(Vec::new());
            }
            if let Some(last) = segments.last_mut() {
                last.push(Bit::Text(part));
            }
        }
    }
    segments.len() == 6 && segments.iter().zip(arn.0).all(|(segment, text)| glob::matches_all(segment, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "arn:aws:dynamodb:eu-west-1:111122223333:table/locks";

    fn filled(variable: &Variable) -> Filled<'_> {
        match variable.key.as_str() {
            "aws:username" => Filled::Text("ci"),
            "aws:sourcevpc" => Filled::Unknown,
            _ => variable.default.as_deref().map_or(Filled::Missing, Filled::Text),
        }
    }

    fn covers(pattern: &str, resource: &str) -> Covers {
        let pattern = ResourcePattern::compile(pattern, true);
        pattern.covers(resource, Segments::of(resource).as_ref(), filled)
    }

    #[test]
    fn segments_are_matched_one_by_one() {
        for (pattern, expected) in [
            ("*", Covers::Yes),
            ("**", Covers::Yes),
            (TABLE, Covers::Yes),
            ("arn:aws:dynamodb:eu-west-1:111122223333:table/Locks", Covers::No),
            ("arn:aws:dynamodb:*:*:table/l?cks", Covers::Yes),
            ("arn:*:dynamodb:*:111122223333:*", Covers::Yes),
            ("arn:aws:dynamodb:*", Covers::Yes),
            ("arn:aws:dynamodb:eu-west-1:*", Covers::Yes),
            ("arn:aws:s3:*", Covers::No),
            ("arn:aws:dynamodb:eu-west-1:111122223333", Covers::No),
            // AWS: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_resource.html against
            // https://docs.aws.amazon.com/AmazonS3/latest/userguide/security_iam_service-with-iam.html
            ("arn:aws:dynamodb:*:table/locks", Covers::Open),
            ("arn:aws:dynamodb:*:table/other", Covers::No),
            ("arn:aws:dynamodb:eu-west-1:*:*:table/locks", Covers::No),
            ("arn:aws:dynamodb:::table/locks", Covers::No),
        ] {
            assert_eq!(covers(pattern, TABLE), expected, "{pattern}");
        }
    }

    #[test]
    fn variables_stand_only_after_the_fifth_colon() {
        for (pattern, expected) in [
            ("arn:aws:s3:::b/${aws:username}/*", Covers::Yes),
            ("arn:aws:s3:::b/${aws:userid}/*", Covers::Unresolved),
            ("arn:aws:s3:::b/${aws:userid, 'ci'}/*", Covers::Yes),
            ("arn:aws:s3:::b/${aws:userid, 'other'}/*", Covers::No),
            ("arn:aws:s3:::b/${aws:SourceVpc}/*", Covers::Unknown),
            ("arn:aws:${aws:username}:::b/ci/x", Covers::No),
            ("arn:aws:s3:${aws:username}", Covers::No),
        ] {
            assert_eq!(covers(pattern, "arn:aws:s3:::b/ci/x"), expected, "{pattern}");
        }
    }

    #[test]
    fn a_request_for_everything_is_covered_by_everything_alone() {
        assert_eq!(covers("*", "*"), Covers::Yes);
        assert_eq!(covers("arn:aws:dynamodb:*:*:*", "*"), Covers::No);
        assert_eq!(covers("arn:*", "*"), Covers::No);
    }

    #[test]
    fn patterns_of_conditions_have_six_segments() {
        let arn = Segments::of("arn:aws:sns:eu-west-1:111122223333:a:b").expect("an ARN");
        let matches = |pattern: &str| {
            let template = Template::compile(pattern, Syntax { wildcards: true, variables: false });
            matches_segments(&bits(&template), &arn)
        };
        for (pattern, expected) in [
            ("arn:aws:sns:*:*:a*", true),
            ("arn:aws:*:eu-west-1:*:a:?", true),
            ("arn:aws:sns:*:a:b", false),
            ("*", false),
            ("arn:aws:sns:*", false),
        ] {
            assert_eq!(matches(pattern), expected, "{pattern}");
        }
    }
}
