//! The plan for the key.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::{Value, json};

use super::item::EXISTENCE;
use super::read::ALIAS;
use super::{Act, Found, Item, Key, KeySettings, Maker, Resource, Table, UsedKey, Wanted, WantedKey};

/// The state of a key that works.
pub(super) const ENABLED: &str = "Enabled";
const ROTATES: &str = "What the key encrypts with changes once a year; what was encrypted before stays readable.";

/// What is known of the key that is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum KeyIs<'a> {
    /// None is.
    NotWanted,
    /// It has no ARN yet.
    NotMade,
    /// Its ARN.
    Made(&'a str),
}

impl<'a> KeyIs<'a> {
    pub(super) fn of(wanted: &Wanted, found: &'a Found) -> Self {
        match &wanted.key {
            None => Self::NotWanted,
            Some(_) => found.key_arn().map_or(Self::NotMade, Self::Made),
        }
    }
}

impl<'a> KeyIs<'a> {
    /// The key that states are encrypted with: the one that is wanted, else the owner's that the bucket names.
    pub(super) fn in_use(wanted: &Wanted, found: &'a Found) -> Self {
        match Self::of(wanted, found) {
            Self::NotWanted => owners(found.bucket_key()).map_or(Self::NotWanted, Self::Made),
            key => key,
        }
    }
}

/// One that is its owner's, and takes rights to use.
fn owners(key: Option<&UsedKey>) -> Option<&str> {
    key.filter(|key| !key.by_aws).map(|key| key.arn.as_str())
}

/// The keys that work with state needs rights to: those that are wanted, else those that are there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeysInUse {
    /// The ARN of the key of the states.
    pub state: Option<String>,
    /// That of the lock table's.
    pub lock_table: Option<String>,
}

impl KeysInUse {
    /// What encrypts what is there.
    pub fn of(wanted: &Wanted, found: &Found) -> Self {
        let made = found.key_arn().filter(|_| wanted.key.is_some());
        let of_table =
            |table: Option<&Table>| owners(table.and_then(|table| table.encryption.as_ref())).map(str::to_owned);
        let state = match KeyIs::in_use(wanted, found) {
            KeyIs::Made(arn) => Some(arn.to_owned()),
            KeyIs::NotWanted | KeyIs::NotMade => of_table(found.state_table.as_ref()),
        };
        let lock_table = wanted.lock_table.as_ref().and_then(|_| match made {
            Some(arn) => Some(arn.to_owned()),
            None => of_table(found.lock_table.as_ref()),
        });
        Self { state, lock_table }
    }
}

/// What a key that is made says about itself.
pub(super) fn description(alias: &str) -> String {
    format!("Encrypts Terraform state, as {alias}")
}

/// The tags of a key that is made: by them it is found again where it has not got its alias yet.
pub(super) fn tags(wanted: &Wanted, alias: &str) -> BTreeMap<String, String> {
    wanted.all_tags().into_iter().chain([(ALIAS.to_owned(), alias.to_owned())]).collect()
}

pub(super) fn plan(wanted: &Wanted, key: &WantedKey, found: &Key) -> Vec<Item> {
    let (WantedKey::Made(name) | WantedKey::Given(name)) = key;
    let of = Resource { kind: "key", name };
    // By its name, for AWS makes it when it is first used: until then nobody finds it.
    if is_aws_alias(name) {
        return vec![of_aws(&of)];
    }
    match (found, key) {
        (Key::Missing | Key::Unseen(_), WantedKey::Made(alias)) => {
            let mut why =
                "There is no key of this name. Its policy is AWS's usual one: IAM says who may use it.".to_owned();
            if let Key::Unseen(obstacle) = found {
                let _ = write!(
                    why,
                    " If a set-up was broken off just when it made one, this makes a second, which costs until it is deleted: \
                     that cannot be seen ({obstacle})."
                );
            }
            let act = Act::CreateKey { alias: alias.clone() };
            let first = of.put(EXISTENCE, (Value::Null, json!(wanted.region)), why, act);
            vec![first, of.later("alias", (Value::Null, json!(alias)), NAMED), rotation(&of, None)]
        }
        (Key::Missing | Key::Unseen(_), WantedKey::Given(_)) => {
            let why = format!(
                "There is no such key in {}, or this caller may not see it (kms:DescribeKey). \
                 Say `--kms-key create` to have one made, or give the ARN of one that is there.",
                wanted.region
            );
            vec![of.refuse(EXISTENCE, (Value::Null, json!(wanted.region)), why)]
        }
        (Key::Elsewhere(region), _) => {
            let why = format!(
                "The key is in {region}: S3 and DynamoDB encrypt with keys of their own Region. \
                 Take a key of {}, or say `--kms-key create`.",
                wanted.region
            );
            vec![of.refuse(EXISTENCE, (json!(region), json!(wanted.region)), why)]
        }
        (Key::Unnamed(key), _) => usable(&of, key).map_or_else(
            || {
                let act = Act::CreateAlias { alias: name.clone() };
                let alias = of.put_of(&key.arn, "alias", (Value::Null, json!(name)), NAMED, act);
                vec![there(&of, key), alias, rotation(&of, Some(key))]
            },
            |obstacle| vec![obstacle],
        ),
        (Key::There(key), WantedKey::Made(_)) if key.maker == Maker::Owner => {
            let why = format!(
                "This alias names a key that no set-up made, {}. Say `--kms-key {name}` to use it as it is.",
                key.arn
            );
            vec![of.refuse(EXISTENCE, (json!(key.arn), json!(wanted.region)), why)]
        }
        (Key::There(key), _) => {
            usable(&of, key).map_or_else(|| vec![there(&of, key), rotation(&of, Some(key))], |obstacle| vec![obstacle])
        }
    }
}

const NAMED: &str = "By its alias the key is found again.";

fn there(of: &Resource<'_>, key: &KeySettings) -> Item {
    let why = match key.maker {
        Maker::Setup => "The alias names this key, which a set-up made: it is used.",
        _ => "The key is there, and can be used.",
    };
    of.keep(EXISTENCE, json!(key.arn), why)
}

/// Whether it names one of the keys that AWS makes for a service: `alias/aws/s3`, alone or in an ARN.
pub(super) fn is_aws_alias(name: &str) -> bool {
    let alias = name.strip_prefix("arn:").and_then(|rest| rest.splitn(5, ':').last());
    alias.unwrap_or(name).starts_with("alias/aws/")
}

fn of_aws(of: &Resource<'_>) -> Item {
    let why = "It is one of the keys that AWS makes for a service: nobody can change who may use it. \
               Leave `--kms-key` out to have AWS's own keys, or take a key of yours.";
    of.refuse(EXISTENCE, (json!("AWS"), json!("yours")), why)
}

/// What keeps the key from being used.
fn usable(of: &Resource<'_>, key: &KeySettings) -> Option<Item> {
    let refuse = |current, wanted: &str, why: String| Some(of.refuse(EXISTENCE, (current, json!(wanted)), why));
    if key.maker == Maker::Aws {
        return Some(of_aws(of));
    }
    if !key.encrypts {
        let why =
            "S3 and DynamoDB encrypt with symmetric keys for encryption and decryption, and this is another kind.";
        return refuse(json!("another kind"), "SYMMETRIC_DEFAULT", why.to_owned());
    }
    (key.state != ENABLED).then(|| {
        let why = format!(
            "The key is {}: what is encrypted with it could be neither written nor read. \
             Bring the key back (kms:CancelKeyDeletion, kms:EnableKey), or take another.",
            key.state
        );
        of.refuse(EXISTENCE, (json!(key.state), json!(ENABLED)), why)
    })
}

/// That what encrypts something by default does not work; `None` where it does.
pub(super) fn broken(of: &Resource<'_>, used: Option<&UsedKey>) -> Option<Item> {
    let UsedKey { arn, unusable, .. } = used?;
    let state = unusable.as_ref()?;
    let why = format!(
        "It encrypts with {arn}, which is {state}: nothing can be written, and what was written with that key cannot be read. \
         Bring the key back (kms:CancelKeyDeletion, kms:EnableKey); where nobody needs what was written with it, have another key encrypt."
    );
    Some(of.refuse("encryption", (json!(state), json!(ENABLED)), why))
}

fn rotation(of: &Resource<'_>, key: Option<&KeySettings>) -> Item {
    match key {
        None => of.later("rotation", (Value::Null, json!(true)), ROTATES),
        Some(key) if key.rotates => of.keep("rotation", json!(true), ROTATES),
        Some(key) if key.maker == Maker::Setup => {
            of.put_of(&key.arn, "rotation", (json!(false), json!(true)), ROTATES, Act::RotateKey)
        }
        Some(_) => {
            let why = "The key was there before: its owner says when it changes.";
            of.stays("rotation", (Value::Null, json!(true)), why)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Action, Call};
    use super::*;

    const ARN: &str = "arn:aws:kms:eu-west-1:111122223333:key/11111111-2222-4333-8444-555555555555";

    fn settings() -> KeySettings {
        let [arn, state] = [ARN, "Enabled"].map(str::to_owned);
        KeySettings { arn, state, encrypts: true, maker: Maker::Setup, ..KeySettings::default() }
    }

    fn planned(key: &WantedKey, found: &Key) -> Vec<(&'static str, Action, Option<Call>)> {
        let wanted = Wanted { region: "eu-west-1".to_owned(), ..Wanted::default() };
        plan(&wanted, key, found).into_iter().map(|item| (item.property, item.action, item.call)).collect()
    }

    fn made() -> WantedKey {
        WantedKey::Made("alias/stateward-b".to_owned())
    }

    #[test]
    fn a_key_that_is_missing_is_made_then_named() {
        let planned_first = planned(&made(), &Key::Missing);
        assert!(matches!(&planned_first[0], (_, Action::Create, Some(Call { act: Act::CreateKey { .. }, .. }))));
        assert!(planned_first[1..].iter().all(|(_, action, call)| *action == Action::Create && call.is_none()));
        let then = planned(&made(), &Key::Unnamed(settings()));
        let alias = Act::CreateAlias { alias: "alias/stateward-b".to_owned() };
        assert_eq!(
            then[1],
            ("alias", Action::Create, Some(Call { of: ARN.to_owned(), act: alias, at_replica: false }))
        );
        assert_eq!(then[2].2, Some(Call { of: ARN.to_owned(), act: Act::RotateKey, at_replica: false }));
    }

    #[test]
    fn a_key_that_was_there_before_is_not_touched() {
        let theirs = Key::There(KeySettings { maker: Maker::Owner, ..settings() });
        assert!(
            planned(&WantedKey::Given(ARN.to_owned()), &theirs).iter().all(|(_, action, _)| *action == Action::Keep)
        );
        let planned = planned(&made(), &theirs);
        assert!(matches!(planned.as_slice(), [("existence", Action::Refuse, None)]), "it is not said: {planned:?}");
    }

    #[test]
    fn a_second_key_is_not_made_untold() {
        let wanted = Wanted::default();
        let why = |found: &Key| plan(&wanted, &made(), found)[0].why.clone();
        assert!(!why(&Key::Missing).contains("a second"));
        assert!(why(&Key::Unseen("`kms:ListKeys` is refused".to_owned())).contains("(`kms:ListKeys` is refused)"));
    }

    #[test]
    fn the_key_behind_the_alias_is_told_of() {
        let items = plan(&Wanted::default(), &made(), &Key::There(settings()));
        assert!(items[0].action == Action::Keep && items[0].why.contains("which a set-up made"), "{items:#?}");
    }

    /// AWS makes it when it is first used, so where it is not found that is no reason.
    #[test]
    fn a_key_of_aws_is_refused_by_its_name() {
        for name in ["alias/aws/s3", "arn:aws:kms:eu-west-1:111122223333:alias/aws/dynamodb"] {
            let items = plan(&Wanted::default(), &WantedKey::Given(name.to_owned()), &Key::Missing);
            let [item] = items.as_slice() else { panic!("{items:#?}") };
            assert!(item.action == Action::Refuse && item.why.contains("AWS makes for a service"), "{item:#?}");
        }
        assert!(!is_aws_alias("alias/awsome/s3") && !is_aws_alias(ARN));
    }

    #[test]
    fn a_key_that_cannot_be_used_is_refused() {
        let given = WantedKey::Given(ARN.to_owned());
        for found in [
            Key::Missing,
            Key::Elsewhere("us-east-1".to_owned()),
            Key::There(KeySettings { state: "PendingDeletion".to_owned(), ..settings() }),
            Key::There(KeySettings { encrypts: false, ..settings() }),
            Key::There(KeySettings { maker: Maker::Aws, ..settings() }),
        ] {
            let planned = planned(&given, &found);
            assert!(matches!(planned.as_slice(), [("existence", Action::Refuse, None)]), "{found:?}: {planned:?}");
        }
    }
}
