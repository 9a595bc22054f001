//! The plan for a table: Terraform's locks, or all that the server keeps.

use serde_json::{Value, json};

use super::item::EXISTENCE;
use super::key::{self, KeyIs};
use super::{Act, Item, Resource, Table, Use, UsedKey, Wanted, tags};

const RECOVERY: &str =
    "Digests and states stand in tables: with recovery one can be brought back to any second of the last weeks.";
const PROTECTED: &str = "With a table all that it keeps is gone: deleting it takes a second, deliberate step.";
const PAID: &str =
    "A lock is a few requests a run: paid by request, nothing is throttled and nothing is paid for idle hours.";
const ENCRYPTED: &str = "What the key's policy says holds for the table, too.";
const EXPIRY: &str = "What is no longer needed goes by itself.";
const MADE: &str = "Set in the call that makes the table.";
/// How a table that is made is paid: by request.
pub(super) const ON_DEMAND: &str = "PAY_PER_REQUEST";
/// The attribute that tells when an item of the server's goes.
pub(crate) const TTL: &str = "TTL";

impl Use {
    /// The key of such a table: each attribute's name, type and part.
    pub(crate) fn key(self) -> &'static [(&'static str, &'static str, &'static str)] {
        match self {
            Self::Locks => &[("LockID", "S", "HASH")],
            Self::State => &[("StateID", "S", "HASH"), ("VersionID", "N", "RANGE")],
        }
    }

    /// The attribute that tells when an item goes.
    pub(super) fn expiry(self) -> Option<&'static str> {
        match self {
            Self::Locks => None,
            Self::State => Some(TTL),
        }
    }
}

pub(super) fn plan(wanted: &Wanted, r#use: Use, name: &str, key: KeyIs<'_>, found: Option<&Table>) -> Vec<Item> {
    let of = Resource { kind: "table", name };
    let shape = json!(r#use.key());
    let Some(found) = found else {
        let act = match key {
            KeyIs::NotWanted => Some(None),
            KeyIs::NotMade => None,
            KeyIs::Made(arn) => Some(Some(arn.to_owned())),
        };
        let (values, why) = ((Value::Null, shape), "There is no table of this name.");
        let mut items = vec![
            match act {
                Some(key) => of.put(EXISTENCE, values, why, Act::CreateTable { of: r#use, key }),
                None => of.later(EXISTENCE, values, why),
            },
            of.keep("billing", json!(ON_DEMAND), MADE),
            of.keep("deletion-protection", json!(true), MADE),
        ];
        if key != KeyIs::NotWanted {
            items.push(of.keep("encryption", json!("KMS"), MADE));
        }
        items.push(of.put("recovery", (Value::Null, json!(true)), RECOVERY, Act::PointInTimeRecovery));
        let expiry = r#use.expiry();
        items.extend(expiry.map(|ttl| of.put("expiry", (Value::Null, json!(ttl)), EXPIRY, Act::Expire)));
        return items;
    };
    if json!(found.key) != shape {
        let needs = match r#use {
            Use::Locks => "Terraform's lock table has the one key LockID, a string",
            Use::State => "The server's table has the keys StateID, a string, and VersionID, a number",
        };
        let why = format!(
            "{needs}, and the key of a table cannot be changed. This table is something else's: choose another name."
        );
        return vec![of.refuse(EXISTENCE, (json!(found.key), shape), why)];
    }
    if let Some(status) = &found.closed {
        return vec![of.refuse(EXISTENCE, (json!(status), shape), closed(status))];
    }
    let on = |property, is: bool, why, act| match is {
        true => of.keep(property, json!(true), why),
        false => of.put(property, (json!(false), json!(true)), why, act),
    };
    let mut items = vec![
        of.keep(EXISTENCE, shape, "The table is there, with the key that it needs."),
        match found.on_demand {
            true => of.keep("billing", json!(ON_DEMAND), PAID),
            false => {
                let why =
                    "The table is paid by capacity, which was there before: how it is paid is its owner's choice.";
                of.stays("billing", (json!("PROVISIONED"), json!(ON_DEMAND)), why)
            }
        },
        on("deletion-protection", found.protected, PROTECTED, Act::DeletionProtection),
    ];
    items.extend(encryption(&of, key, found.encryption.as_ref()));
    items.push(on("recovery", found.recovery, RECOVERY, Act::PointInTimeRecovery));
    items.extend(r#use.expiry().map(|ttl| expiry(&of, ttl, found.expiry.as_deref())));
    items.extend(tags::plan(&of, &wanted.tags, &found.tags, |_| Act::TagTable(wanted.tags.clone())));
    items
}

/// Why a table that is in the middle of something cannot be used.
fn closed(status: &str) -> String {
    match status {
        "DELETING" => "The table is being deleted. Wait until it is gone and run it again, which makes another, or choose another name.".to_owned(),
        "INACCESSIBLE_ENCRYPTION_CREDENTIALS" => {
            "The key that encrypts the table cannot be used, and so neither can the table. Bring the key back \
             (kms:CancelKeyDeletion, kms:EnableKey, its policy), and run it again."
                .to_owned()
        }
        status => format!("The table is {status}, and takes no requests. Bring it back from its backup, or choose another name."),
    }
}

fn encryption(of: &Resource<'_>, key: KeyIs<'_>, found: Option<&UsedKey>) -> Option<Item> {
    if let Some(obstacle) = key::broken(of, found) {
        return Some(obstacle);
    }
    let current = found.map_or(Value::Null, |used| json!(used.arn));
    let key = match key {
        KeyIs::NotWanted => return None,
        KeyIs::NotMade => return Some(of.later("encryption", (current, json!("KMS")), ENCRYPTED)),
        KeyIs::Made(key) => key,
    };
    let values = (current.clone(), json!(key));
    Some(match found {
        Some(used) if used.arn == key => of.keep("encryption", current, ENCRYPTED),
        Some(UsedKey { arn, by_aws: false, .. }) => {
            let why = format!(
                "The table is encrypted with another key of its owner's, {arn}: who may use that one may not be able to use yours. \
                 Say `--kms-key {arn}`, or change the table yourself."
            );
            of.refuse("encryption", values, why)
        }
        _ => of.put("encryption", values, ENCRYPTED, Act::EncryptTable { key: key.to_owned() }),
    })
}

fn expiry(of: &Resource<'_>, ttl: &str, found: Option<&str>) -> Item {
    match found {
        Some(attribute) if attribute == ttl => of.keep("expiry", json!(ttl), EXPIRY),
        Some(attribute) => {
            let why = format!(
                "Items of this table go by their attribute {attribute}, and a table has one such attribute. \
                 This table is something else's: choose another name."
            );
            of.refuse("expiry", (json!(attribute), json!(ttl)), why)
        }
        None => of.put("expiry", (Value::Null, json!(ttl)), EXPIRY, Act::Expire),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Action, Call};
    use super::*;

    const KEY: &str = "arn:aws:kms:eu-west-1:111122223333:key/k";

    fn table(attribute: &str) -> Table {
        let key = vec![(attribute.to_owned(), "S".to_owned(), "HASH".to_owned())];
        Table { key, recovery: true, protected: true, ..Table::default() }
    }

    fn planned(key: KeyIs<'_>, found: Option<&Table>) -> Vec<Item> {
        plan(&Wanted::default(), Use::Locks, "locks", key, found)
    }

    fn acting(items: &[Item]) -> Vec<(&'static str, Action)> {
        items.iter().filter(|item| item.action != Action::Keep).map(|item| (item.property, item.action)).collect()
    }

    fn of_aws(by_aws: bool) -> Table {
        let arn = "arn:aws:kms:eu-west-1:111122223333:key/other".to_owned();
        Table { encryption: Some(UsedKey { arn, by_aws, unusable: None }), ..table("LockID") }
    }

    /// Nothing that it is set to would be of any use.
    #[test]
    fn a_table_that_takes_no_requests_is_refused() {
        for (status, next) in [
            ("DELETING", "Wait until it is gone"),
            ("INACCESSIBLE_ENCRYPTION_CREDENTIALS", "kms:EnableKey"),
            ("ARCHIVED", "another name"),
        ] {
            let items = planned(KeyIs::NotWanted, Some(&Table { closed: Some(status.to_owned()), ..table("LockID") }));
            let [item] = items.as_slice() else { panic!("{items:#?}") };
            assert!(item.action == Action::Refuse && item.why.contains(next), "{item:#?}");
        }
        let mut keyed = of_aws(false);
        keyed.encryption.as_mut().expect("a key").unusable = Some("Disabled".to_owned());
        for key in [KeyIs::NotWanted, KeyIs::Made(KEY)] {
            assert_eq!(acting(&planned(key, Some(&keyed))), [("encryption", Action::Refuse)]);
        }
    }

    #[test]
    fn a_table_that_is_missing_is_made() {
        let items = planned(KeyIs::NotWanted, None);
        assert_eq!(acting(&items), [("existence", Action::Create), ("recovery", Action::Create)]);
        let items = planned(KeyIs::NotMade, None);
        assert_eq!(items[0].call, None, "it waits for its key");
        let items = planned(KeyIs::Made(KEY), None);
        let act = Act::CreateTable { of: Use::Locks, key: Some(KEY.to_owned()) };
        assert_eq!(items[0].call, Some(Call { of: "locks".to_owned(), act, at_replica: false }));
    }

    #[test]
    fn a_table_with_another_key_is_refused() {
        let mut sorted = table("LockID");
        sorted.key.push(("Sort".to_owned(), "S".to_owned(), "RANGE".to_owned()));
        for other in [table("lockid"), sorted] {
            assert_eq!(acting(&planned(KeyIs::NotWanted, Some(&other))), [("existence", Action::Refuse)]);
        }
    }

    #[test]
    fn a_table_that_is_well_set_stays() {
        assert_eq!(acting(&planned(KeyIs::NotWanted, Some(&table("LockID")))), []);
        assert_eq!(acting(&planned(KeyIs::NotWanted, Some(&of_aws(false)))), []);
    }

    #[test]
    fn how_a_table_is_paid_stays() {
        let billing = |on_demand: bool| {
            let found = Table { on_demand, ..table("LockID") };
            planned(KeyIs::NotWanted, Some(&found))
                .into_iter()
                .find(|item| item.property == "billing")
                .expect("an item")
        };
        let (by_request, by_capacity) = (billing(true), billing(false));
        assert_eq!((by_request.action, by_request.why.as_str()), (Action::Keep, PAID));
        assert_eq!((by_capacity.action, &by_capacity.current), (Action::Keep, &json!("PROVISIONED")));
        assert!(by_capacity.why.contains("its owner's choice"), "{}", by_capacity.why);
    }

    /// Of the tags, those that are there stay, and what is added is what was asked for: AWS takes back none of its own.
    #[test]
    fn tags_that_were_asked_for_are_added() {
        let pairs =
            |all: &[(&str, &str)]| all.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let wanted = Wanted { tags: pairs(&[("team", "network"), ("cost", "1")]), ..Wanted::default() };
        let tags = |there: &[(&str, &str)]| {
            let found = Table { tags: pairs(there), ..table("LockID") };
            let items = plan(&wanted, Use::Locks, "locks", KeyIs::NotWanted, Some(&found));
            items
                .into_iter()
                .find(|item| item.property == "tags")
                .map(|item| (item.action, item.call.map(|call| call.act)))
        };
        let added = Some(Act::TagTable(wanted.tags.clone()));
        assert_eq!(tags(&[("aws:cloudformation:stack-name", "s")]), Some((Action::Create, added.clone())));
        assert_eq!(tags(&[("cost", "1")]), Some((Action::Change, added)));
        assert_eq!(tags(&[("cost", "1"), ("team", "network"), ("x", "y")]), Some((Action::Keep, None)));
        assert_eq!(tags(&[("team", "compute")]), Some((Action::Refuse, None)));
    }

    #[test]
    fn a_half_made_table_goes_on() {
        let half = Table { recovery: false, protected: false, ..table("LockID") };
        let expected = [("deletion-protection", Action::Change), ("recovery", Action::Change)];
        assert_eq!(acting(&planned(KeyIs::NotWanted, Some(&half))), expected);
    }

    #[test]
    fn a_key_takes_the_place_of_those_of_aws_and_of_no_others() {
        assert_eq!(acting(&planned(KeyIs::Made(KEY), Some(&table("LockID")))), [("encryption", Action::Create)]);
        assert_eq!(acting(&planned(KeyIs::Made(KEY), Some(&of_aws(true)))), [("encryption", Action::Change)]);
        assert_eq!(acting(&planned(KeyIs::Made(KEY), Some(&of_aws(false)))), [("encryption", Action::Refuse)]);
    }

    #[test]
    fn the_servers_table_has_items_that_go() {
        let keys =
            Use::State.key().iter().map(|(name, of, part)| ((*name).to_owned(), (*of).to_owned(), (*part).to_owned()));
        let found = Table { key: keys.collect(), recovery: true, protected: true, ..Table::default() };
        let planned = |expiry: Option<&str>| {
            let found = Table { expiry: expiry.map(str::to_owned), ..found.clone() };
            acting(&plan(&Wanted::default(), Use::State, "states", KeyIs::NotWanted, Some(&found)))
        };
        assert_eq!(planned(None), [("expiry", Action::Create)]);
        assert_eq!(planned(Some("TTL")), []);
        assert_eq!(planned(Some("gone")), [("expiry", Action::Refuse)]);
    }
}
