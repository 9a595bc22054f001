//! Tags: more are given, none is changed or taken away.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Act, Item, Resource};

const TAGGED: &str = "Tags that were asked for; those that are there stay.";

/// The item for the tags of something that is there; `None` where none are asked for.
pub(super) fn plan(
    of: &Resource<'_>,
    wanted: &BTreeMap<String, String>,
    found: &BTreeMap<String, String>,
    put: impl FnOnce(BTreeMap<String, String>) -> Act,
) -> Option<Item> {
    if wanted.is_empty() {
        return None;
    }
    let current: BTreeMap<_, _> = found.iter().filter(|(key, _)| wanted.contains_key(*key)).collect();
    if let Some((key, value)) = current.iter().find(|(key, value)| wanted.get(**key) != Some(**value)) {
        let why = format!(
            "It has the tag {key} with the value {value}, by which somebody may find it or grant rights to it. \
             Change the tag yourself, or leave it out here."
        );
        return Some(of.refuse("tags", (json!(current), json!(wanted)), why));
    }
    if current.len() == wanted.len() {
        return Some(of.keep("tags", json!(current), TAGGED));
    }
    let merged = found.clone().into_iter().chain(wanted.clone()).collect();
    let current = if current.is_empty() { Value::Null } else { json!(current) };
    Some(of.put("tags", (current, json!(wanted)), TAGGED, put(merged)))
}

#[cfg(test)]
mod tests {
    use super::super::{Action, Call};
    use super::*;

    fn tags(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    fn planned(wanted: &[(&str, &str)], found: &[(&str, &str)]) -> Option<Item> {
        plan(&Resource { kind: "bucket", name: "b" }, &tags(wanted), &tags(found), Act::TagBucket)
    }

    #[test]
    fn those_that_are_there_go_with_those_that_are_added() {
        let item =
            planned(&[("team", "a")], &[("aws:cloudformation:stack-name", "s"), ("cost", "1")]).expect("an item");
        let all = tags(&[("aws:cloudformation:stack-name", "s"), ("cost", "1"), ("team", "a")]);
        assert_eq!(
            (item.action, item.call),
            (Action::Create, Some(Call { of: "b".to_owned(), act: Act::TagBucket(all), at_replica: false }))
        );
    }

    #[test]
    fn one_that_says_something_else_is_not_changed() {
        assert_eq!(planned(&[("team", "a")], &[("team", "b")]).map(|item| item.action), Some(Action::Refuse));
        assert_eq!(planned(&[("team", "a")], &[("team", "a"), ("x", "y")]).map(|item| item.action), Some(Action::Keep));
        assert_eq!(planned(&[], &[("team", "b")]), None);
    }
}
