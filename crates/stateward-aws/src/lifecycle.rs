//! What the lifecycle rules of a bucket do to objects that somebody still needs.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/intro-lifecycle-rules.html>

use std::fmt;

use aws_sdk_s3::primitives::{DateTime, DateTimeFormat};
use aws_sdk_s3::types::{
    ExpirationStatus, LifecycleRule, NoncurrentVersionExpiration, Tag, Transition, TransitionDefaultMinimumObjectSize,
    TransitionStorageClass,
};

/// Even a state that holds nothing, and a lock, is larger.
const SMALLEST: i64 = 100;
/// What is smaller is moved nowhere, unless a rule says so: `all_storage_classes_128K`.
const MOVED_FROM: i64 = 128 << 10;
/// Who overwrites something by mistake has so many days, at least, or so many old versions to find it in.
const FORGIVING_DAYS: i32 = 7;
const FORGIVING_VERSIONS: i32 = 10;

/// Names that objects have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Names {
    /// This one alone.
    One(String),
    /// All that begin so.
    Under(String),
    /// All that begin so, go on with a part of their own, and end so; after a slash with anything.
    Between(String, String),
}

impl Names {
    /// Whether some of them begin so.
    pub(crate) fn any_begins(&self, prefix: &str) -> bool {
        match self {
            Self::One(name) => name.starts_with(prefix),
            Self::Under(begin) => begin.starts_with(prefix) || prefix.starts_with(begin),
            Self::Between(begin, end) => match prefix.strip_prefix(begin.as_str()).map(|rest| rest.split_once('/')) {
                None => begin.starts_with(prefix),
                Some(None) => true,
                Some(Some((part, rest))) => {
                    let goes_on = end.ends_with('/') && rest.starts_with(end.as_str());
                    !part.is_empty() && (end.starts_with(rest) || goes_on)
                }
            },
        }
    }
}

/// When something is done to an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum When {
    /// So many days after the last write.
    After(i32),
    /// From this day on, to whatever there is.
    From(DateTime),
}

impl fmt::Display for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::After(0) => f.write_str("at once"),
            Self::After(1) => f.write_str("1 day after the last write"),
            Self::After(days) => write!(f, "{days} days after the last write"),
            Self::From(day) => {
                let day = day.fmt(DateTimeFormat::DateTime).unwrap_or_default();
                write!(f, "from {} on", day.split('T').next().unwrap_or_default())
            }
        }
    }
}

/// What a rule does that takes something from who needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Deed {
    /// Deletes what is current.
    Deletes(When),
    /// Moves what is current to where nobody can read it.
    Archives(TransitionStorageClass, When),
    /// Leaves few old versions, and for a short time.
    Forgets { days: i32, newest: i32 },
}

impl Deed {
    /// The rule does this to something.
    pub(crate) fn to(&self, what: &str) -> String {
        match self {
            Self::Deletes(when) => format!("deletes {what} {when}"),
            Self::Archives(class, when) => format!("moves {what} to {} {when}", class.as_str()),
            Self::Forgets { days, newest } => {
                let days = if *days == 1 { "1 day".to_owned() } else { format!("{days} days") };
                let but = match newest {
                    0 => String::new(),
                    1 => " but the newest".to_owned(),
                    newest => format!(" but the newest {newest}"),
                };
                format!("deletes old versions of {what}{but} after {days}")
            }
        }
    }
}

/// A rule that is in force, and what it takes away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Danger {
    /// The name that its owner has given it.
    pub(crate) id: String,
    /// Of objects whose names begin so.
    pub(crate) prefix: String,
    pub(crate) deed: Deed,
    /// Of objects that have more bytes than the one, and fewer than the other.
    pub(crate) sizes: (Option<i64>, Option<i64>),
}

impl Danger {
    /// The rule by its name.
    pub(crate) fn rule(&self) -> String {
        match self.id.as_str() {
            "" => "a lifecycle rule without a name".to_owned(),
            id => format!("the lifecycle rule `{id}`"),
        }
    }

    /// Whether an object of so many bytes is one of those; `None` where that is not known and matters.
    pub(crate) fn takes(&self, size: Option<i64>) -> Option<bool> {
        match (self.sizes, size) {
            ((None, None), _) => Some(true),
            (_, None) => None,
            ((over, under), Some(size)) => {
                Some(over.is_none_or(|over| size > over) && under.is_none_or(|under| size < under))
            }
        }
    }

    /// Of which sizes, where it does not take all.
    pub(crate) fn of_sizes(&self) -> Option<String> {
        match self.sizes {
            (None, None) => None,
            (Some(over), None) => Some(format!("objects of more than {over} bytes")),
            (None, Some(under)) => Some(format!("objects of less than {under} bytes")),
            (Some(over), Some(under)) => Some(format!("objects of more than {over} and less than {under} bytes")),
        }
    }
}

/// All that the rules in force take from objects with these tags.
pub(crate) fn dangers(
    rules: &[LifecycleRule],
    smallest: Option<&TransitionDefaultMinimumObjectSize>,
    tags: &[(String, String)],
) -> Vec<Danger> {
    rules.iter().flat_map(|rule| of_rule(rule, smallest, tags)).collect()
}

fn of_rule(
    rule: &LifecycleRule,
    smallest: Option<&TransitionDefaultMinimumObjectSize>,
    tags: &[(String, String)],
) -> Vec<Danger> {
    let filter = rule.filter.as_ref();
    let and = filter.and_then(|filter| filter.and.as_ref());
    let mut asked = and.iter().flat_map(|and| and.tags()).chain(filter.and_then(|filter| filter.tag.as_ref()));
    let has = |tag: &Tag| tags.iter().any(|(key, value)| (key, value) == (&tag.key, &tag.value));
    if rule.status != ExpirationStatus::Enabled || !asked.all(has) {
        return Vec::new();
    }
    // The prefix stood beside the filter once, and may still.
    #[expect(deprecated, reason = "rules that were written so hold as any other")]
    let before = rule.prefix.as_ref();
    let prefix = and.and_then(|and| and.prefix.as_ref()).or_else(|| filter?.prefix.as_ref()).or(before);
    let over = and.and_then(|and| and.object_size_greater_than).or_else(|| filter?.object_size_greater_than);
    let under = and.and_then(|and| and.object_size_less_than).or_else(|| filter?.object_size_less_than);
    // Where a rule says of sizes itself, nothing else is said of them.
    let by_default = match smallest {
        Some(TransitionDefaultMinimumObjectSize::AllStorageClasses128K) if over.is_none() && under.is_none() => {
            Some(MOVED_FROM - 1)
        }
        _ => over,
    };
    let danger = |deed: Deed, over: Option<i64>| Danger {
        id: rule.id.clone().unwrap_or_default(),
        prefix: prefix.cloned().unwrap_or_default(),
        deed,
        sizes: (over.filter(|over| *over >= SMALLEST), under),
    };
    let deletes = rule.expiration.as_ref().and_then(|end| when(end.days, end.date)).map(Deed::Deletes);
    let archives = rule.transitions().iter().filter_map(archives);
    let forgets = rule.noncurrent_version_expiration.as_ref().and_then(forgets);
    let sized = |by: Option<i64>| move |deed| (deed, by);
    let all = deletes.into_iter().chain(forgets).map(sized(over)).chain(archives.map(sized(by_default)));
    all.map(|(deed, over)| danger(deed, over))
        .filter(|danger| danger.sizes.1.is_none_or(|under| under > SMALLEST))
        .collect()
}

fn when(days: Option<i32>, date: Option<DateTime>) -> Option<When> {
    days.map(When::After).or_else(|| date.map(When::From))
}

/// Of the classes, those in which an object has to be restored before it can be read.
fn archives(transition: &Transition) -> Option<Deed> {
    let class = transition.storage_class.clone()?;
    let is_archive = matches!(class, TransitionStorageClass::Glacier | TransitionStorageClass::DeepArchive);
    let when = when(transition.days, transition.date).unwrap_or(When::After(0));
    is_archive.then_some(Deed::Archives(class, when))
}

fn forgets(end: &NoncurrentVersionExpiration) -> Option<Deed> {
    let (days, newest) = (end.noncurrent_days.unwrap_or(0), end.newer_noncurrent_versions.unwrap_or(0));
    (days < FORGIVING_DAYS && newest < FORGIVING_VERSIONS).then_some(Deed::Forgets { days, newest })
}

#[cfg(test)]
mod tests;
