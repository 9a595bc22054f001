//! Whether a pattern and an ARN format have an ARN in common.

use crate::value::template::{Piece, Template};

/// A step of either: one character, or any number of any characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Char(char),
    /// One character; where `within`, no slash.
    One {
        within: bool,
    },
    /// Any number of characters; where `within`, no slash.
    Any {
        within: bool,
    },
}

impl Step {
    fn is_any(self) -> bool {
        matches!(self, Self::Any { .. })
    }

    /// Whether one character can be taken by both.
    fn meets(self, other: Self) -> bool {
        match (self, other) {
            (Self::Char(a), Self::Char(b)) => a == b,
            (Self::Char('/'), Self::One { within } | Self::Any { within })
            | (Self::One { within } | Self::Any { within }, Self::Char('/')) => !within,
            _ => true,
        }
    }
}

/// Whether a segment of a resource pattern and the same segment of an ARN format have a text in common. `${Name}` in
/// the format stands for one character or more.
pub(super) fn overlaps(pattern: &Template, format: &str) -> bool {
    meet(&of_pattern(pattern), &of_format(format))
}

fn of_pattern(pattern: &Template) -> Vec<Step> {
    let mut steps = Vec::new();
    for piece in pattern.pieces() {
        match piece {
            Piece::Text(text) => steps.extend(text.chars().map(Step::Char)),
            Piece::One => steps.push(Step::One { within: false }),
            Piece::Any | Piece::Variable(_) => steps.push(Step::Any { within: false }),
        }
    }
    steps
}

fn of_format(format: &str) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut rest = format;
    while let Some((before, (name, after))) =
        rest.split_once("${").and_then(|(before, inner)| Some((before, inner.split_once('}')?)))
    {
        steps.extend(before.chars().map(Step::Char));
        // Names of buckets, tables and keys hold no slash; those of objects and what has a path do.
        let within = !(name.ends_with("ObjectName") || name.ends_with("Path") || name.ends_with("Key"));
        steps.extend([Step::One { within }, Step::Any { within }]);
        rest = after;
    }
    steps.extend(rest.chars().map(Step::Char));
    steps
}

/// By the ends of both: `row[j]` says whether what is left of the first has a text in common with `second[j..]`.
fn meet(first: &[Step], second: &[Step]) -> bool {
    let mut row = row_after_end(second);
    for step in first.iter().rev() {
        row = row_before(*step, &row, second);
    }
    row.first().copied().unwrap_or_default()
}

/// Nothing is left of the first.
fn row_after_end(second: &[Step]) -> Vec<bool> {
    let mut row = vec![true];
    for step in second.iter().rev() {
        row.push(step.is_any() && row.last().copied().unwrap_or_default());
    }
    row.reverse();
    row
}

fn row_before(step: Step, after: &[bool], second: &[Step]) -> Vec<bool> {
    let later = |at: usize| after.get(at).copied().unwrap_or_default();
    let mut row = vec![step.is_any() && later(second.len())];
    for (at, other) in second.iter().enumerate().rev() {
        let here = row.last().copied().unwrap_or_default();
        row.push(match (step.is_any(), other.is_any()) {
            (true, true) => later(at) || here,
            (true, false) => later(at) || step.meets(*other) && here,
            (false, true) => here || step.meets(*other) && later(at),
            (false, false) => step.meets(*other) && later(at + 1),
        });
    }
    row.reverse();
    row
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::template::Syntax;

    #[test]
    fn examples() {
        for (pattern, format, expected) in [
            ("table/locks", "table/${TableName}", true),
            ("table/*", "table/${TableName}", true),
            ("*", "table/${TableName}", true),
            ("*/index/*", "table/${TableName}/index/${IndexName}", true),
            ("table/a/index/b", "table/${TableName}", false),
            ("t/key", "table/${TableName}", false),
            ("table/", "table/${TableName}", false),
            ("", "${Region}", false),
            ("", "", true),
            ("*", "", true),
            ("eu-west-1", "", false),
            ("states/*", "${BucketName}", false),
            ("states*", "${BucketName}", true),
            ("states", "${BucketName}/${ObjectName}", false),
            ("states/a/b", "${BucketName}/${ObjectName}", true),
            ("states/${aws:username}/b", "${BucketName}/${ObjectName}", true),
            ("role/a/b/ci", "role/${RoleNameWithPath}", true),
            ("key/????", "key/${KeyId}", true),
        ] {
            let template = Template::compile(pattern, Syntax { wildcards: true, variables: true });
            assert_eq!(overlaps(&template, format), expected, "{pattern} {format}");
        }
    }
}
