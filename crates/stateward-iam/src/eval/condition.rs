//! Whether a condition holds.

use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{Cause, Trace};
use crate::data::Key;
use crate::policy::condition::{Base, Condition, Operator, SetOperator, Test};
use crate::request::{Context, ContextValue};
use crate::value::arn::{self, Segments};
use crate::value::date;
use crate::value::glob;
use crate::value::number::Number;
use crate::value::template::{Filled, Template};

/// What a condition comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    True,
    False,
    /// It depends on a key whose value is unknown.
    Unknown,
    /// It cannot be understood, and must count against the request.
    Broken,
}

impl From<bool> for Outcome {
    fn from(value: bool) -> Self {
        if value { Self::True } else { Self::False }
    }
}

/// How one value of a request compares with one of a policy.
enum Compared {
    Yes,
    No,
    /// The request's value is not of the operator's type: neither the operator nor its negation holds.
    Mismatch,
    Unknown,
    Broken,
}

impl From<bool> for Compared {
    fn from(value: bool) -> Self {
        if value { Self::Yes } else { Self::No }
    }
}

pub(crate) fn evaluate<'a>(condition: &'a Condition, context: &'a Context, trace: &mut Trace<'a>) -> Outcome {
    let Some(operator) = condition.operator else {
        trace.push(Cause::Operator(&condition.operator_name));
        return Outcome::Broken;
    };
    if condition.known == Key::Unknown {
        trace.push(Cause::Key(&condition.key_name));
        return Outcome::Broken;
    }
    let value = context.get(&condition.key);
    if value == Some(&ContextValue::Unknown) {
        trace.push(Cause::Unknown(&condition.key_name));
        return Outcome::Unknown;
    }
    let values = match value {
        Some(ContextValue::Values { values, list }) => Some((values.as_slice(), *list)),
        _ => None,
    };
    let mut asked = Asked { condition, operator, context, trace };
    match (operator.base, operator.set) {
        (Base::Null, _) => asked.null(values.is_some()),
        (_, Some(SetOperator::All)) => asked.all(values.map_or(&[][..], |(values, _)| values)),
        (_, Some(SetOperator::Any)) => asked.any(values.map_or(&[][..], |(values, _)| values)),
        (_, None) => asked.single(values),
    }
}

struct Asked<'a, 't> {
    condition: &'a Condition,
    operator: Operator,
    context: &'a Context,
    trace: &'t mut Trace<'a>,
}

impl<'a> Asked<'a, '_> {
    fn null(&mut self, exists: bool) -> Outcome {
        let mut outcome = Outcome::False;
        for test in &self.condition.tests {
            match test {
                Test::Null(missing) if *missing != exists => return Outcome::True,
                Test::Invalid(_) => outcome = Outcome::Broken,
                _ => {}
            }
        }
        if outcome == Outcome::Broken {
            self.trace.push(Cause::Value(self.condition));
        }
        outcome
    }

    fn all(&mut self, values: &'a [String]) -> Outcome {
        let mut outcome = Outcome::True;
        for value in values {
            match self.value(value) {
                Outcome::True => {}
                Outcome::False => return Outcome::False,
                other if outcome == Outcome::True => outcome = other,
                _ => {}
            }
        }
        outcome
    }

    /// Without a value it is false; with `IfExists` AWS's pages have it both ways, so that it is not known: false would open in a `Deny`,
    /// true in an `Allow`.
    fn any(&mut self, values: &'a [String]) -> Outcome {
        if values.is_empty() && self.operator.if_exists {
            self.trace.push(Cause::Unknown(&self.condition.key_name));
            return Outcome::Unknown;
        }
        let mut outcome = Outcome::False;
        for value in values {
            match self.value(value) {
                Outcome::True => return Outcome::True,
                Outcome::False => {}
                other if outcome == Outcome::False => outcome = other,
                _ => {}
            }
        }
        outcome
    }

    fn single(&mut self, values: Option<(&'a [String], bool)>) -> Outcome {
        match values {
            None => (self.operator.negated || self.operator.if_exists).into(),
            // Several values have no meaning without a set operator.
            Some((values, list)) if self.condition.is_multivalued() || list && values.len() != 1 => Outcome::False,
            Some((values, _)) => values.first().map_or(Outcome::False, |value| self.value(value)),
        }
    }

    /// Whether one value of the request fulfils the condition.
    fn value(&mut self, value: &'a str) -> Outcome {
        let (mut mismatch, mut unknown, mut broken) = (false, false, false);
        for test in &self.condition.tests {
            match self.compare(test, value) {
                Compared::Yes => return (!self.operator.negated).into(),
                Compared::No => {}
                Compared::Mismatch => mismatch = true,
                Compared::Unknown => unknown = true,
                Compared::Broken => broken = true,
            }
        }
        if unknown {
            Outcome::Unknown
        } else if mismatch {
            Outcome::False
        } else if broken {
            self.trace.push(Cause::Value(self.condition));
            Outcome::Broken
        } else {
            self.operator.negated.into()
        }
    }

    fn compare(&mut self, test: &'a Test, value: &'a str) -> Compared {
        let typed = |matched: Option<bool>| matched.map_or(Compared::Mismatch, Compared::from);
        match (test, self.operator.base) {
            (Test::Text(template), _) => self.text(template, value),
            (Test::TextIgnoreCase(template), _) => self.ignoring_case(template, value),
            (Test::Bool(template), _) => {
                let value = value.to_ascii_lowercase();
                if value == "true" || value == "false" {
                    self.ignoring_case(template, &value)
                } else {
                    Compared::Mismatch
                }
            }
            (Test::Number(own), Base::Numeric(compare)) => {
                typed(Number::parse(value).map(|value| compare.holds(value.cmp(own))))
            }
            (Test::Date(own), Base::Date(compare)) => {
                typed(date::parse(value).map(|value| compare.holds(value.cmp(own))))
            }
            (Test::Binary(own), _) => typed(STANDARD.decode(value).ok().map(|value| value == *own)),
            (Test::Network(own), _) => typed(value.parse::<IpAddr>().ok().map(|value| own.contains(value))),
            (Test::Arn(template), _) => self.arn(template, value),
            _ => Compared::Broken,
        }
    }

    fn text(&mut self, template: &'a Template, value: &str) -> Compared {
        if !template.has_variables() {
            return template.matches_plain(value).into();
        }
        match self.fill(template) {
            Ok(bits) => glob::matches_all(&bits, value).into(),
            Err(compared) => compared,
        }
    }

    fn ignoring_case(&mut self, template: &'a Template, value: &str) -> Compared {
        let value = value.to_lowercase();
        if !template.has_variables() {
            return template.matches_plain(&value).into();
        }
        match self.fill(template) {
            Ok(bits) => {
                let own: String = bits
                    .iter()
                    .map(|bit| match bit {
                        glob::Bit::Text(text) => text.to_lowercase(),
                        glob::Bit::One => "?".to_owned(),
                        glob::Bit::Any => "*".to_owned(),
                    })
                    .collect();
                (own == value).into()
            }
            Err(compared) => compared,
        }
    }

    fn arn(&mut self, template: &'a Template, value: &str) -> Compared {
        let Some(arn) = Segments::of(value) else { return Compared::Mismatch };
        match self.fill(template) {
            Ok(bits) => arn::matches_segments(&bits, &arn).into(),
            Err(compared) => compared,
        }
    }

    /// A variable without a value equals nothing and is like nothing.
    fn fill(&mut self, template: &'a Template) -> Result<Vec<glob::Bit<'a>>, Compared> {
        let context = self.context;
        template.fill(|variable| context.fill(variable)).map_err(|filled| {
            if filled == Filled::Unknown {
                for variable in template.variables() {
                    if context.get(&variable.key) == Some(&ContextValue::Unknown) {
                        self.trace.push(Cause::Unknown(&variable.key));
                    }
                }
                Compared::Unknown
            } else {
                Compared::No
            }
        })
    }
}
