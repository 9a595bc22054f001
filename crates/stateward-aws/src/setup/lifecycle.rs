//! What becomes of old versions and of uploads that never ended.

use aws_sdk_s3::types::LifecycleRule;
use serde_json::{Value, json};

use super::{Act, Item, Resource, Settings, TAG, Wanted};
use crate::lifecycle::{Danger, Names, dangers};

const WHY: &str = "Of each object the newest 100 old versions stay for ever, others for a year; \
                   parts of an upload that never ended go after a week.";

pub(super) const OLD_DAYS: i32 = 365;
/// As many as S3 lets one keep.
pub(super) const NEWEST: i32 = 100;
pub(super) const UPLOAD_DAYS: i32 = 7;

/// A rule that set-up makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// Old versions go in the end.
    OldVersions,
    /// Parts of uploads that never ended go.
    Uploads,
}

impl Rule {
    const ALL: [Self; 2] = [Self::OldVersions, Self::Uploads];

    /// By this it is found again. A rule of this name is kept as its owner has changed it since.
    pub(super) fn id(self) -> &'static str {
        match self {
            Self::OldVersions => "stateward-old-versions",
            Self::Uploads => "stateward-uploads",
        }
    }
}

/// Rules delete, so only a bucket that set-up made gets them.
pub(super) fn plan(of: &Resource<'_>, found: &Settings) -> Item {
    let (rules, smallest) = &found.lifecycle;
    let ids: Vec<&str> = rules.iter().filter_map(LifecycleRule::id).collect();
    let current = if rules.is_empty() { Value::Null } else { json!(ids) };
    let added: Vec<Rule> = Rule::ALL.into_iter().filter(|rule| !ids.contains(&rule.id())).collect();
    if added.is_empty() {
        return of.keep("lifecycle", current, WHY);
    }
    if found.tags.get(TAG.0).map(String::as_str) != Some(TAG.1) {
        let why = "The bucket was there before: what is deleted from it, and when, is its owner's choice.";
        return of.stays("lifecycle", (current, json!(Rule::ALL.map(Rule::id))), why);
    }
    let all: Vec<&str> = ids.iter().copied().chain(added.iter().map(|rule| rule.id())).collect();
    let act = Act::Lifecycle { kept: rules.clone(), smallest: smallest.clone(), added };
    of.put("lifecycle", (current, json!(all)), WHY, act)
}

/// Rules that were there and take states away: they are told of, and stay.
pub(super) fn warning(wanted: &Wanted, of: &Resource<'_>, found: &Settings) -> Option<Item> {
    let (rules, smallest) = &found.lifecycle;
    let states: Vec<Names> = match wanted.environments.as_slice() {
        [] => vec![Names::Under(String::new())],
        all => all.iter().map(|one| Names::Under(format!("{}/", one.name))).collect(),
    };
    let mut dangers = dangers(rules, smallest.as_ref(), &[]);
    dangers.retain(|danger| states.iter().any(|names| names.any_begins(&danger.prefix)));
    if dangers.is_empty() {
        return None;
    }
    let told: Vec<String> = dangers.iter().map(told).collect();
    let ids: Vec<&str> = dangers.iter().map(|danger| danger.id.as_str()).collect();
    let why = format!(
        "Warning: {}. That goes for states, too. What others have set stays: have whoever keeps such a rule take states out of it, or \
         keep states elsewhere.",
        told.join("; ")
    );
    Some(of.stays("lifecycle-danger", (json!(ids), json!([])), why))
}

fn told(danger: &Danger) -> String {
    let what = match danger.prefix.as_str() {
        "" => "whatever lies here".to_owned(),
        prefix => format!("what lies under `{prefix}`"),
    };
    let sizes = danger.of_sizes().map(|sizes| format!(" ({sizes})")).unwrap_or_default();
    format!("{} {}{sizes}", danger.rule(), danger.deed.to(&what))
}

#[cfg(test)]
mod tests {
    use aws_sdk_s3::types::{ExpirationStatus, LifecycleExpiration, LifecycleRuleFilter};

    use super::super::{Action, Environment};
    use super::*;

    const OF: Resource<'_> = Resource { kind: "bucket", name: "b" };

    fn rule(id: &str) -> LifecycleRule {
        LifecycleRule::builder().id(id).status(ExpirationStatus::Enabled).build().expect("a rule")
    }

    fn found(rules: &[&str], ours: bool) -> Settings {
        let tags = ours.then(|| (TAG.0.to_owned(), TAG.1.to_owned())).into_iter().collect();
        Settings { lifecycle: (rules.iter().map(|id| rule(id)).collect(), None), tags, ..Settings::default() }
    }

    #[test]
    fn rules_of_others_stay() {
        let item = plan(&OF, &found(&["theirs", "stateward-uploads"], true));
        let kept = vec![rule("theirs"), rule("stateward-uploads")];
        let act = Act::Lifecycle { kept, smallest: None, added: vec![Rule::OldVersions] };
        assert_eq!(item.call.map(|call| call.act), Some(act));
    }

    /// They stay as they are, whoever has made the bucket; what they take is told.
    #[test]
    fn a_rule_that_takes_states_away_is_told() {
        let end = LifecycleExpiration::builder().days(30).build();
        let deletes = |prefix: &str| {
            let filter = LifecycleRuleFilter::builder().prefix(prefix).build();
            let mut rule = rule("cleanup");
            (rule.expiration, rule.filter) = (Some(end.clone()), Some(filter));
            rule
        };
        let told = |wanted: &Wanted, rule: LifecycleRule| {
            let found = Settings { lifecycle: (vec![rule], None), ..Settings::default() };
            warning(wanted, &OF, &found)
        };
        let wanted = Wanted::default();
        assert_eq!(told(&wanted, rule("theirs")), None);
        let item = told(&wanted, deletes("")).expect("a warning");
        assert_eq!((item.action, &item.call, &item.current), (Action::Keep, &None, &json!(["cleanup"])));
        assert_eq!(item.rule, "Amazon S3 User Guide: Expiring objects");
        let words = "Warning: the lifecycle rule `cleanup` deletes whatever lies here 30 days after the last write.";
        assert!(item.why.starts_with(words), "{}", item.why);
        let item = told(&wanted, deletes("tmp/")).expect("a warning");
        assert!(item.why.contains("what lies under `tmp/` 30 days"), "{}", item.why);
        let environments = Environment::all("b", &["dev".to_owned(), "prod".to_owned()], &[]).expect("two");
        let apart = Wanted { environments, ..Wanted::default() };
        assert!(told(&apart, deletes("prod/")).is_some());
        assert_eq!(told(&apart, deletes("tmp/")), None, "no state lies there");
    }

    #[test]
    fn nothing_is_deleted_from_a_bucket_that_was_there_before() {
        assert_eq!(plan(&OF, &found(&["theirs"], false)).action, Action::Keep);
        assert_eq!(plan(&OF, &found(&[], true)).action, Action::Create);
    }
}
