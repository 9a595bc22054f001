//! The plan for the bucket.

use serde_json::{Value, json};

use super::{Bucket, Call, Item, Settings, Wanted, policy};

const OWNER: &str =
    "Without access lists the owner of the bucket owns every object, and policies alone say who may read state.";
const VERSIONS: &str = "With versions a state that was overwritten or deleted can be brought back.";
const ENCRYPTED: &str =
    "State holds secrets in plain text: it is encrypted at rest also where a client does not ask for it.";
const PRIVATE: &str = "State is never public; this holds whatever a policy or an access list says later.";
const TLS: &str = "State holds secrets in plain text: requests over plain HTTP are refused.";

pub(super) fn plan(wanted: &Wanted, found: &Bucket) -> Vec<Item> {
    let resource = format!("bucket {}", wanted.bucket);
    let refuse = |current, wanted, why| vec![Item::refuse(&resource, "existence", current, wanted, why)];
    match found {
        Bucket::Foreign => refuse(
            json!("another account's"),
            json!("this account's"),
            format!(
                "The name {} is taken by a bucket that is another account's or that this caller may not look at. \
                 Choose another name, or use credentials of the account that owns it.",
                wanted.bucket
            ),
        ),
        Bucket::Elsewhere(region) => refuse(
            json!(region),
            json!(wanted.region),
            format!(
                "The bucket is in {region}, and a bucket cannot move. Say `--region {region}`, or choose another name."
            ),
        ),
        Bucket::Missing => {
            let why = "There is no bucket of this name.";
            let mut items =
                vec![Item::put(&resource, "existence", Value::Null, json!(wanted.region), why, Call::CreateBucket)];
            let fresh = Settings { ownership: Some("BucketOwnerEnforced".to_owned()), ..Settings::default() };
            items.extend(settings(&resource, wanted, &fresh));
            items
        }
        Bucket::There(found) => {
            let mut items = vec![Item::keep(
                &resource,
                "existence",
                json!(wanted.region),
                "The bucket is there, and this account's.",
            )];
            items.extend(settings(&resource, wanted, found));
            items
        }
    }
}

fn settings(resource: &str, wanted: &Wanted, found: &Settings) -> Vec<Item> {
    let one = |property, current: Option<&String>, wanted: &str, why, call| match current {
        Some(current) if current == wanted => Item::keep(resource, property, json!(current), why),
        current => Item::put(resource, property, json!(current), json!(wanted), why, call),
    };
    vec![
        one("ownership", found.ownership.as_ref(), "BucketOwnerEnforced", OWNER, Call::OwnerEnforced),
        one("versioning", found.versioning.as_ref(), "Enabled", VERSIONS, Call::Versioning),
        match &found.encryption {
            Some(encryption) => Item::keep(resource, "encryption", json!(encryption), ENCRYPTED),
            None => Item::put(resource, "encryption", Value::Null, json!("AES256"), ENCRYPTED, Call::Encryption),
        },
        public_access(resource, found.blocked),
        tls_only(resource, wanted, found.policy.as_deref()),
    ]
}

fn public_access(resource: &str, blocked: [bool; 4]) -> Item {
    let named = |[lists, ignored, policies, buckets]: [bool; 4]| json!({"BlockPublicAcls": lists, "IgnorePublicAcls": ignored, "BlockPublicPolicy": policies, "RestrictPublicBuckets": buckets});
    if blocked == [true; 4] {
        return Item::keep(resource, "public-access", named(blocked), PRIVATE);
    }
    let current = if blocked == [false; 4] { Value::Null } else { named(blocked) };
    Item::put(resource, "public-access", current, named([true; 4]), PRIVATE, Call::BlockPublicAccess)
}

fn tls_only(resource: &str, wanted: &Wanted, found: Option<&str>) -> Item {
    match policy::with_tls_only(&wanted.partition, &wanted.bucket, found) {
        Ok(None) => Item::keep(resource, "tls-only", json!(true), TLS),
        Ok(Some(merged)) => {
            let why = format!("{TLS} A statement is added; those that are there stay.");
            let current = if found.is_some() { json!(false) } else { Value::Null };
            Item::put(resource, "tls-only", current, json!(true), &why, Call::Policy(merged))
        }
        Err(problem) => Item::refuse(
            resource,
            "tls-only",
            json!(false),
            json!(true),
            format!(
                "The bucket's policy cannot be read ({problem}), so no statement can be added to it. Mend the policy first."
            ),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Action;
    use super::*;

    fn wanted() -> Wanted {
        let [bucket, region, account, partition] = ["states", "eu-west-1", "111122223333", "aws"].map(str::to_owned);
        Wanted { bucket, lock_table: None, region, account, partition }
    }

    fn actions(items: &[Item]) -> Vec<(&'static str, Action)> {
        items.iter().map(|item| (item.property, item.action)).collect()
    }

    #[test]
    fn a_bucket_that_is_missing_is_made_first_and_then_set() {
        let items = plan(&wanted(), &Bucket::Missing);
        let expected = [
            ("existence", Action::Create),
            ("ownership", Action::Keep),
            ("versioning", Action::Create),
            ("encryption", Action::Create),
            ("public-access", Action::Create),
            ("tls-only", Action::Create),
        ];
        assert_eq!(actions(&items), expected);
    }

    #[test]
    fn a_bucket_that_is_another_accounts_or_elsewhere_is_refused() {
        for found in [Bucket::Foreign, Bucket::Elsewhere("us-east-1".to_owned())] {
            let items = plan(&wanted(), &found);
            assert_eq!(actions(&items), [("existence", Action::Refuse)]);
            assert!(items.iter().all(|item| !item.acts()));
        }
    }

    #[test]
    fn what_is_stricter_stays_and_what_is_half_made_goes_on() {
        let found = Settings {
            ownership: Some("ObjectWriter".to_owned()),
            versioning: Some("Suspended".to_owned()),
            encryption: Some("aws:kms".to_owned()),
            blocked: [true, true, false, true],
            policy: None,
        };
        let items = plan(&wanted(), &Bucket::There(found));
        let expected = [
            ("existence", Action::Keep),
            ("ownership", Action::Change),
            ("versioning", Action::Change),
            ("encryption", Action::Keep),
            ("public-access", Action::Change),
            ("tls-only", Action::Create),
        ];
        assert_eq!(actions(&items), expected);
    }

    #[test]
    fn what_the_plan_puts_is_kept_by_the_next_one() {
        let items = plan(&wanted(), &Bucket::Missing);
        let policy = items.into_iter().find_map(|item| match item.call {
            Some(Call::Policy(policy)) => Some(policy),
            _ => None,
        });
        let found = Settings {
            ownership: Some("BucketOwnerEnforced".to_owned()),
            versioning: Some("Enabled".to_owned()),
            encryption: Some("AES256".to_owned()),
            blocked: [true; 4],
            policy,
        };
        let again = plan(&wanted(), &Bucket::There(found));
        assert!(again.iter().all(|item| item.action == Action::Keep), "{again:?}");
    }
}
