//! Conditions: an operator, a key, and values to compare with.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::data::{self, Key};
use crate::value::address::Network;
use crate::value::date;
use crate::value::number::Number;
use crate::value::template::{Syntax, Template};

/// How numbers and dates are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Compare {
    Equal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Compare {
    pub(crate) fn holds(self, order: std::cmp::Ordering) -> bool {
        match self {
            Self::Equal => order.is_eq(),
            Self::Less => order.is_lt(),
            Self::LessOrEqual => order.is_le(),
            Self::Greater => order.is_gt(),
            Self::GreaterOrEqual => order.is_ge(),
        }
    }
}

/// What an operator compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Base {
    String,
    StringIgnoreCase,
    StringLike,
    Numeric(Compare),
    Date(Compare),
    Bool,
    Binary,
    IpAddress,
    Arn,
    Null,
}

/// `ForAllValues:` and `ForAnyValue:`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SetOperator {
    All,
    Any,
}

/// An operator of the language.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Operator {
    pub(crate) set: Option<SetOperator>,
    pub(crate) base: Base,
    /// One of the `Not` operators.
    pub(crate) negated: bool,
    pub(crate) if_exists: bool,
}

impl Operator {
    /// Reads an operator; its name does not tell case. `None` where AWS has none of this name.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        let lower = name.to_ascii_lowercase();
        let (set, rest) = match lower.split_once(':') {
            Some(("forallvalues", rest)) => (Some(SetOperator::All), rest),
            Some(("foranyvalue", rest)) => (Some(SetOperator::Any), rest),
            Some(_) => return None,
            None => (None, lower.as_str()),
        };
        let (rest, if_exists) = rest.strip_suffix("ifexists").map_or((rest, false), |rest| (rest, true));
        let (base, negated) = base(rest)?;
        // `Null` asks whether the key is there, so that neither addition has a meaning.
        let bare = set.is_none() && !if_exists;
        (base != Base::Null || bare).then_some(Self { set, base, negated, if_exists })
    }

    /// Whether its values may hold variables.
    pub(crate) fn takes_variables(self) -> bool {
        matches!(self.base, Base::String | Base::StringIgnoreCase | Base::StringLike | Base::Arn | Base::Bool)
    }
}

fn base(name: &str) -> Option<(Base, bool)> {
    Some(match name {
        "stringequals" => (Base::String, false),
        "stringnotequals" => (Base::String, true),
        "stringequalsignorecase" => (Base::StringIgnoreCase, false),
        "stringnotequalsignorecase" => (Base::StringIgnoreCase, true),
        "stringlike" => (Base::StringLike, false),
        "stringnotlike" => (Base::StringLike, true),
        "numericequals" => (Base::Numeric(Compare::Equal), false),
        "numericnotequals" => (Base::Numeric(Compare::Equal), true),
        "numericlessthan" => (Base::Numeric(Compare::Less), false),
        "numericlessthanequals" => (Base::Numeric(Compare::LessOrEqual), false),
        "numericgreaterthan" => (Base::Numeric(Compare::Greater), false),
        "numericgreaterthanequals" => (Base::Numeric(Compare::GreaterOrEqual), false),
        "dateequals" => (Base::Date(Compare::Equal), false),
        "datenotequals" => (Base::Date(Compare::Equal), true),
        "datelessthan" => (Base::Date(Compare::Less), false),
        "datelessthanequals" => (Base::Date(Compare::LessOrEqual), false),
        "dategreaterthan" => (Base::Date(Compare::Greater), false),
        "dategreaterthanequals" => (Base::Date(Compare::GreaterOrEqual), false),
        "bool" => (Base::Bool, false),
        "binaryequals" => (Base::Binary, false),
        "ipaddress" => (Base::IpAddress, false),
        "notipaddress" => (Base::IpAddress, true),
        "arnequals" | "arnlike" => (Base::Arn, false),
        "arnnotequals" | "arnnotlike" => (Base::Arn, true),
        "null" => (Base::Null, false),
        _ => return None,
    })
}

/// A value of a condition, read as its operator reads it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Test {
    Text(Template),
    /// In lower case.
    TextIgnoreCase(Template),
    Number(Number),
    Date(jiff::Timestamp),
    /// In lower case.
    Bool(Template),
    Binary(Vec<u8>),
    Network(Network),
    Arn(Template),
    Null(bool),
    /// Not a value of the operator's type.
    Invalid(String),
}

impl Test {
    fn parse(base: Base, text: &str, variables: bool) -> Self {
        let template = |wildcards| Template::compile(text, Syntax { wildcards, variables });
        let read = match base {
            Base::String => Some(Self::Text(template(false))),
            Base::StringLike => Some(Self::Text(template(true))),
            Base::StringIgnoreCase => Some(Self::TextIgnoreCase(template(false).lowercase())),
            Base::Arn => Some(Self::Arn(template(true))),
            Base::Numeric(_) => Number::parse(text).map(Self::Number),
            Base::Date(_) => date::parse(text).map(Self::Date),
            Base::Binary => STANDARD.decode(text).ok().map(Self::Binary),
            Base::IpAddress => Network::parse(text).map(Self::Network),
            Base::Null => boolean(text).map(Self::Null),
            Base::Bool => {
                let value = template(false).lowercase();
                (value.has_variables() || boolean(text).is_some()).then_some(Self::Bool(value))
            }
        };
        read.unwrap_or_else(|| Self::Invalid(text.to_owned()))
    }
}

fn boolean(text: &str) -> Option<bool> {
    if text.eq_ignore_ascii_case("true") {
        Some(true)
    } else if text.eq_ignore_ascii_case("false") {
        Some(false)
    } else {
        None
    }
}

/// A key of a condition block with its operator and values.
#[derive(Debug, Clone)]
pub(crate) struct Condition {
    /// Where the key stands.
    pub(crate) at: usize,
    /// As it is written.
    pub(crate) operator_name: String,
    /// `None` where AWS has no such operator.
    pub(crate) operator: Option<Operator>,
    /// As it is written.
    pub(crate) key_name: String,
    /// In lower case.
    pub(crate) key: String,
    pub(crate) known: Key,
    pub(crate) tests: Vec<Test>,
    /// As they are written.
    pub(crate) values: Vec<String>,
}

impl Condition {
    pub(crate) fn new(at: usize, operator_name: &str, key_name: &str, values: Vec<String>, variables: bool) -> Self {
        let operator = Operator::parse(operator_name);
        let tests = operator.map_or_else(Vec::new, |operator| {
            let variables = variables && operator.takes_variables();
            values.iter().map(|value| Test::parse(operator.base, value, variables)).collect()
        });
        let key = key_name.to_ascii_lowercase();
        Self {
            at,
            operator_name: operator_name.to_owned(),
            operator,
            key_name: key_name.to_owned(),
            known: data::key_in_lower_case(&key),
            key,
            tests,
            values,
        }
    }

    /// Whether requests have several values of the key.
    pub(crate) fn is_multivalued(&self) -> bool {
        matches!(self.known, Key::Known(kind) if kind.multivalued)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operators_are_read_with_their_additions() {
        let operator = Operator::parse("ForAllValues:StringNotLikeIfExists").expect("an operator");
        assert_eq!(
            operator,
            Operator { set: Some(SetOperator::All), base: Base::StringLike, negated: true, if_exists: true }
        );
        assert_eq!(Operator::parse("STRINGEQUALS"), Operator::parse("StringEquals"));
        for name in [
            "",
            "StringFoo",
            "ForSomeValues:StringEquals",
            "NullIfExists",
            "ForAnyValue:Null",
            "IfExists",
            "StringEqualsIfExistsIfExists",
        ] {
            assert_eq!(Operator::parse(name), None, "{name}");
        }
    }

    #[test]
    fn values_are_read_as_the_operator_reads_them() {
        for (base, text, valid) in [
            (Base::Numeric(Compare::Less), "5.5", true),
            (Base::Numeric(Compare::Less), "${aws:username}", false),
            (Base::Date(Compare::Less), "2024-01-01", true),
            (Base::Date(Compare::Less), "yesterday", false),
            (Base::Bool, "TRUE", true),
            (Base::Bool, "yes", false),
            (Base::Bool, "${aws:PrincipalTag/x}", true),
            (Base::Binary, "QUJD", true),
            (Base::Binary, "QUJ", false),
            (Base::IpAddress, "10.0.0.0/8", true),
            (Base::IpAddress, "10.0.0.0/99", false),
            (Base::Null, "true", true),
            (Base::Null, "1", false),
        ] {
            let test = Test::parse(base, text, true);
            assert_eq!(!matches!(test, Test::Invalid(_)), valid, "{base:?} {text}: {test:?}");
        }
    }
}
