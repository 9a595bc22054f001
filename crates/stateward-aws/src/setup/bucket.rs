//! The plan for a bucket: that of the states, and the one that is told of requests.

use serde_json::{Value, json};

use super::headers::{self, Demand, Header};
use super::item::EXISTENCE;
use super::key::{self, KeyIs};
use super::policy::{self, KMS, Statements, TWO_LAYERS};
use super::{
    Act, Bucket, Encryption, Grant, Item, ObjectLock, Resource, Settings, UsedKey, Wanted, lifecycle, rule, tags,
};

/// Objects are the bucket's owner's, and there are no access lists.
pub(super) const ENFORCED: &str = "BucketOwnerEnforced";
/// Which of the four kinds of public access is that by policies that are put, and which that by policies that are there.
const REFUSED: usize = 2;
const RESTRICTED: usize = 3;
/// As long as S3 lets a bucket's policy be: 20 KB.
const LONGEST_POLICY: usize = 20 * 1024;
/// The statements by which AWS may put logs.
pub(super) const LOG_DELIVERY: &str = "log-delivery";

const OWNER: &str =
    "Without access lists the owner of the bucket owns every object, and policies alone say who may read state.";
const OWN_LISTS: &str = "Lists that single objects have count for nothing then: who reads by one needs a policy. And what writes with a list of \
                         its own (`acl` in a backend block) may be refused.";
const VERSIONS: &str = "With versions a state that was overwritten or deleted can be brought back.";
const ENCRYPTED: &str =
    "State holds secrets in plain text: it is encrypted at rest also where a client does not ask for it.";
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucket-key.html
const OWN_KEYS: &str = "The bucket encrypts with this key, and that it does so without a bucket key is its owner's choice: with one, policies \
                        that let objects of it be read by their names (kms:EncryptionContext) would let nobody in any more.";
const PUBLIC_ACCESS: &str = "public-access";
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/access-control-block-public-access.html
const OPEN: &str = "the bucket's policy lets everybody in. From then on it lets in this account and services of AWS alone, and no other account that it \
                    names: write whoever needs it into a policy that is not public first.";
const CUT_OFF: &str = "nobody but this account and services of AWS gets in by it any more.";
const PRIVATE: &str = "State is never public; this holds whatever a policy or an access list says later.";
const TLS: &str = "State holds secrets in plain text: requests over plain HTTP are refused.";
const KEYS: &str = "What asks for another key, or for none of yours, is refused (Terraform's encrypt without kms_key_id does), and so is what \
                    brings a key (SSE-C); what asks for nothing gets the key.";
const LOCKED: &str = "Before that no version can be deleted. Terraform gives its lock files back all the same: S3 takes a delete without a version, and \
                      hides the file behind a marker.";
const TOLD: &str = "Each request is told of, also those that are refused.";
const TAKES: &str = "AWS may put logs here, and only those of this account.";

/// The bucket that keeps state.
pub(super) fn plan(wanted: &Wanted, name: &str, key: KeyIs<'_>, found: &Bucket) -> Vec<Item> {
    let of = Resource { kind: "bucket", name };
    let logs = |found: &Settings| wanted.log_bucket.as_deref().map(|into| logging(&of, into, found));
    plan_any(wanted, &of, found, |found| {
        let mut items = settings(wanted, &of, key, found);
        items.extend(wrong_keys(wanted, &of, key, found));
        items.extend(written(wanted, &of, key, found));
        items.push(lifecycle::plan(&of, found));
        items.extend(lifecycle::warning(wanted, &of, found));
        items.extend(object_lock(&of, found));
        items.extend(logs(found));
        items
    })
}

/// The bucket that is told of requests, and keeps the files of a trail.
pub(super) fn plan_logs(wanted: &Wanted, name: &str, trail: Option<&str>, found: &Bucket) -> Vec<Item> {
    let of = Resource { kind: "bucket", name };
    plan_any(wanted, &of, found, |found| {
        // S3 writes its logs with no key but its own.
        let mut items = settings(wanted, &of, KeyIs::NotWanted, found);
        if wanted.bucket.is_some() || trail.is_some() {
            let takes = Statements::of_logs(wanted, name, trail);
            let rule = if wanted.bucket.is_some() { rule::ACCESS_LOGS } else { rule::TRAIL_FILES };
            let item = no_logs(wanted, &of, found).unwrap_or_else(|| {
                let warning = wanted.bucket.as_ref().map(|_| told_of_key(found)).unwrap_or_default();
                stated(&of, LOG_DELIVERY, found, &takes, &format!("{TAKES}{warning}"))
            });
            items.push(Item { rule, ..item });
        }
        items.push(lifecycle::plan(&of, found));
        items
    })
}

fn plan_any(wanted: &Wanted, of: &Resource<'_>, found: &Bucket, set: impl Fn(&Settings) -> Vec<Item>) -> Vec<Item> {
    let region = json!(wanted.region);
    match found {
        Bucket::Foreign => {
            let why = format!(
                "The name {} is taken by a bucket that is another account's or that this caller may not look at. \
                 Choose another name, or use credentials of the account that owns it.",
                of.name
            );
            vec![of.refuse(EXISTENCE, (json!("another account's"), json!("this account's")), why)]
        }
        Bucket::Elsewhere(elsewhere) => {
            let why = format!(
                "The bucket is in {elsewhere}, and a bucket cannot move. Say `--region {elsewhere}`, or choose another name."
            );
            vec![of.refuse(EXISTENCE, (json!(elsewhere), region), why)]
        }
        Bucket::Missing => {
            let why = "There is no bucket of this name.";
            let mut items = vec![of.put(EXISTENCE, (Value::Null, region), why, Act::CreateBucket)];
            // What the call that makes it says.
            let fresh =
                Settings { ownership: Some(ENFORCED.to_owned()), tags: wanted.all_tags(), ..Settings::default() };
            items.extend(set(&fresh));
            items
        }
        Bucket::There(found) => {
            let mut items = vec![of.keep(EXISTENCE, region, "The bucket is there, and this account's.")];
            items.extend(set(found));
            // Behind it S3 would take no policy that lets everybody in, and what is there already stays in the one that is put.
            if found.public == Some(true) && !found.blocked[REFUSED] {
                items.sort_by_key(|item| item.property == PUBLIC_ACCESS);
            }
            items
        }
    }
}

/// Why S3 would put no access logs there, without a word.
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/enable-server-access-logging.html>
fn no_logs(wanted: &Wanted, of: &Resource<'_>, found: &Settings) -> Option<Item> {
    wanted.bucket.as_ref()?;
    let refusing = found.policy.as_deref().map(|policy| headers::refusing(policy, wanted, of.name, &Header::None));
    let has_retention = found.object_lock.as_ref().is_some_and(|lock| lock.mode.is_some());
    let why = if is_by_kms(found) && owners_key(found).is_none() {
        "It encrypts with AWS's own key of KMS, which takes no access logs.".to_owned()
    } else if let Some(by) = refusing.filter(|by| !by.is_empty()) {
        let by = by.join(" and ");
        format!("Its policy refuses what does not say how it is to be encrypted ({by}), and S3's access logs do not.")
    } else if has_retention {
        "Its Object Lock retains whatever is put there, and S3 puts no access logs into such a bucket.".to_owned()
    } else {
        return None;
    };
    let why = format!("{why} The record would stay empty without a word. Name another bucket with `--access-log`.");
    Some(of.refuse(LOG_DELIVERY, (Value::Null, json!(true)), why))
}

fn is_by_kms(found: &Settings) -> bool {
    headers::default_of(found).is_some_and(|algorithm| algorithm.starts_with(KMS))
}

/// The key of its owner's that the bucket encrypts with.
fn owners_key(found: &Settings) -> Option<&str> {
    let used = found.encryption.as_ref()?.key.as_ref().filter(|used| !used.by_aws)?;
    Some(&used.arn)
}

/// What is to be known of the logs in a bucket that a key of its owner's encrypts.
fn told_of_key(found: &Settings) -> String {
    let told = |key: &str| {
        format!(
            " Warning: the bucket encrypts with {key}. AWS supports that for no access logs; they come, if at all, once the key's \
             policy lets logging.s3.amazonaws.com use it. Look whether some arrive, or name a bucket with S3's own key."
        )
    };
    owners_key(found).map(told).unwrap_or_default()
}

/// What every bucket is set to.
fn settings(wanted: &Wanted, of: &Resource<'_>, key: KeyIs<'_>, found: &Settings) -> Vec<Item> {
    let one = |property, current: Option<&String>, wanted: &str, why, act| match current {
        Some(current) if current == wanted => of.keep(property, json!(current), why),
        current => of.put(property, (json!(current), json!(wanted)), why, act),
    };
    let mut items = vec![
        ownership(of, found),
        one("versioning", found.versioning.as_ref(), "Enabled", VERSIONS, Act::Versioning),
        encryption(of, key, found.encryption.as_ref()),
        public_access(wanted, of, found),
        stated(of, "tls-only", found, &Statements::tls_only(wanted, of.name), TLS),
    ];
    items.extend(tags::plan(of, &wanted.tags, &found.tags, Act::TagBucket));
    items
}

/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-ownership-error-responses.html>
fn ownership(of: &Resource<'_>, found: &Settings) -> Item {
    let current = json!(found.ownership);
    if current == ENFORCED {
        return of.keep("ownership", current, OWNER);
    }
    let values = (current, json!(ENFORCED));
    if found.grants.is_empty() {
        return of.put("ownership", values, format!("{OWNER} {OWN_LISTS}"), Act::OwnerEnforced);
    }
    let grants = found.grants.iter().map(|Grant { to, permission }| format!("{permission} to {}", who(to)));
    let why = format!(
        "The bucket's access list gives {}. S3 turns access lists off only where none lets others in, and with them their access \
         would end. Write what they need into the bucket's policy, then empty the list: \
         `aws s3api put-bucket-acl --bucket {} --acl private`.",
        grants.collect::<Vec<_>>().join(", "),
        of.name
    );
    of.refuse("ownership", values, why)
}

/// Somebody on an access list.
fn who(to: &str) -> String {
    let is = match to.rsplit_once("/groups/").map(|(_, group)| group) {
        Some("global/AllUsers") => "everybody (AllUsers)",
        Some("global/AuthenticatedUsers") => "whoever has an account of AWS (AuthenticatedUsers)",
        Some("s3/LogDelivery") => "S3 itself, which puts its logs here (LogDelivery)",
        _ => to,
    };
    is.to_owned()
}

/// How encryption reads in the plan.
fn said(algorithm: &str, key: Option<&str>, bucket_key: bool) -> Value {
    match key {
        None => json!(algorithm),
        Some(key) => json!({"algorithm": algorithm, "key": key, "bucket_key": bucket_key}),
    }
}

fn encryption(of: &Resource<'_>, key: KeyIs<'_>, found: Option<&Encryption>) -> Item {
    let default = found.and_then(|found| found.rule.apply_server_side_encryption_by_default.as_ref());
    let algorithm = default.map(|default| default.sse_algorithm.as_str());
    let used = found.and_then(|found| found.key.as_ref());
    if let Some(obstacle) = key::broken(of, used) {
        return obstacle;
    }
    let has_bucket_key = found.is_some_and(|found| found.rule.bucket_key_enabled == Some(true));
    let current =
        algorithm.map_or(Value::Null, |algorithm| said(algorithm, used.map(|used| used.arn.as_str()), has_bucket_key));
    let over = found.map(|found| Box::new(found.rule.clone()));
    // Two layers stay two. They know no bucket key.
    let has_two = algorithm == Some(TWO_LAYERS);
    let by_key = if has_two { TWO_LAYERS } else { KMS };
    let key = match key {
        KeyIs::NotWanted if algorithm.is_some() => return of.keep("encryption", current, ENCRYPTED),
        KeyIs::NotWanted => {
            let act = Act::Encryption { key: None, over };
            return of.put("encryption", (current, json!("AES256")), ENCRYPTED, act);
        }
        KeyIs::NotMade => return of.later("encryption", (current, json!(by_key)), ENCRYPTED),
        KeyIs::Made(key) => key,
    };
    let wanted = said(by_key, Some(key), !has_two);
    match used {
        Some(UsedKey { arn, by_aws: false, .. }) if arn != key => {
            let why = format!(
                "The bucket encrypts with another key of its owner's, {arn}: who may use that one may not be able to use yours. \
                 Say `--kms-key {arn}`, or change the bucket's default yourself."
            );
            of.refuse("encryption", (current, wanted), why)
        }
        Some(UsedKey { by_aws: false, .. }) if has_two || has_bucket_key => of.keep("encryption", current, ENCRYPTED),
        Some(UsedKey { by_aws: false, .. }) => of.stays("encryption", (current, wanted), OWN_KEYS),
        _ => of.put("encryption", (current, wanted), ENCRYPTED, Act::Encryption { key: Some(key.to_owned()), over }),
    }
}

fn public_access(wanted: &Wanted, of: &Resource<'_>, found: &Settings) -> Item {
    let named = |[lists, ignored, policies, buckets]: [bool; 4]| json!({"BlockPublicAcls": lists, "IgnorePublicAcls": ignored, "BlockPublicPolicy": policies, "RestrictPublicBuckets": buckets});
    let blocked = found.blocked;
    if blocked == [true; 4] {
        return of.keep(PUBLIC_ACCESS, named(blocked), PRIVATE);
    }
    if wanted.leaves_public_access {
        let why = format!(
            "Left as it is, as asked. That nobody makes it public is up to the account's own settings then: \
             `aws s3control get-public-access-block --account-id {}` has to show all four.",
            wanted.account
        );
        return of.stays(PUBLIC_ACCESS, (named(blocked), named([true; 4])), why);
    }
    let current = if blocked == [false; 4] { Value::Null } else { named(blocked) };
    let why = if blocked[RESTRICTED] || found.policy.is_none() || found.public == Some(false) {
        PRIVATE.to_owned()
    } else if found.public == Some(true) {
        format!("Warning: {OPEN} {PRIVATE}")
    } else {
        format!("{PRIVATE} Whether the bucket's policy lets everybody in could not be read: where it does, {CUT_OFF}")
    };
    of.put(PUBLIC_ACCESS, (current, named([true; 4])), why, Act::BlockPublicAccess)
}

fn wrong_keys(wanted: &Wanted, of: &Resource<'_>, key: KeyIs<'_>, found: &Settings) -> Option<Item> {
    match key {
        KeyIs::NotWanted => None,
        KeyIs::NotMade => Some(of.later("wrong-keys", (Value::Null, json!("refused")), KEYS)),
        KeyIs::Made(key) => Some(stated(of, "wrong-keys", found, &Statements::of_keys(wanted, of.name, key), KEYS)),
    }
}

/// Whether what is written has to say how it is encrypted, by a policy that was there, and whether with ours anything can be written.
fn written(wanted: &Wanted, of: &Resource<'_>, key: KeyIs<'_>, found: &Settings) -> Option<Item> {
    let there = found.policy.as_deref()?;
    let not_made = headers::not_made(wanted);
    let asked = match key {
        KeyIs::NotWanted => None,
        KeyIs::NotMade => Some(not_made.as_str()),
        KeyIs::Made(key) => Some(key),
    };
    let merged = asked.and_then(|key| policy::with(Some(there), &Statements::of_keys(wanted, of.name, key)).ok()?);
    let default = found.encryption.as_ref().and_then(|found| found.key.as_ref()).filter(|used| !used.by_aws);
    let key = asked.or(default.map(|used| used.arn.as_str()));
    let named = |statements: &[String]| statements.join(" and ");
    match headers::demand(merged.as_deref().unwrap_or(there), wanted, of.name, key) {
        Demand::None => None,
        Demand::Said(by) => {
            let why = format!(
                "The bucket's policy refuses what does not say how it is to be encrypted ({}). The printed block and store say it.",
                named(&by)
            );
            Some(of.keep("write-headers", json!("said"), why))
        }
        Demand::Key(by) => {
            let why = format!(
                "The bucket's policy takes only what names a key of KMS ({}). Say which one with `--kms-key`, or change that statement.",
                named(&by)
            );
            Some(of.refuse("write-headers", (Value::Null, json!("key")), why))
        }
        Demand::Impossible(by) => {
            let why = format!(
                "With this nothing could be written: the bucket's policy would refuse whatever is said about encryption ({}). Leave \
                 `--kms-key` out, or change the statement that does not let the key be named.",
                named(&by)
            );
            Some(of.refuse("write-headers", (Value::Null, json!("taken")), why))
        }
    }
}

fn object_lock(of: &Resource<'_>, found: &Settings) -> Option<Item> {
    let ObjectLock { mode, days, years } = found.object_lock.as_ref()?;
    let named = [("mode", json!(mode)), ("days", json!(days)), ("years", json!(years))];
    let said = named.into_iter().filter(|(_, value)| !value.is_null()).map(|(name, value)| (name.to_owned(), value));
    Some(of.keep("object-lock", Value::Object(said.collect()), LOCKED))
}

/// Statements of the bucket's policy.
fn stated(of: &Resource<'_>, property: &'static str, found: &Settings, needed: &Statements, why: &str) -> Item {
    let there = found.policy.as_deref();
    let refuse = |why: String| of.refuse(property, (json!(false), json!(true)), why);
    match policy::with(there, needed) {
        Ok(None) => of.keep(property, json!(true), why),
        Ok(Some(_)) if found.public == Some(true) && found.blocked[REFUSED] => refuse(
            "The bucket's policy lets everybody in, and with `BlockPublicPolicy` on S3 takes no such policy any more: nothing can be added to it. \
             Put one that is not public first; what everybody may do by this one counts for nothing where `RestrictPublicBuckets` is on, too."
                .to_owned(),
        ),
        Ok(Some(merged)) if merged.len() > LONGEST_POLICY => refuse(format!(
            "With what is needed the bucket's policy would have {} characters, and S3 takes {LONGEST_POLICY}. Make what it says already \
             shorter: several principals or resources can stand in one statement.",
            merged.len()
        )),
        Ok(Some(merged)) => {
            let why = format!("{why} What the policy says already stays.");
            let current = if there.is_some() { json!(false) } else { Value::Null };
            of.put(property, (current, json!(true)), why, Act::Policy(merged))
        }
        Err(problem) => {
            refuse(format!("The bucket's policy cannot be read ({problem}), so nothing can be added to it. Mend the policy first."))
        }
    }
}

fn logging(of: &Resource<'_>, into: &str, found: &Settings) -> Item {
    match &found.logging {
        Some(logging) if logging.bucket == into => of.keep("access-log", json!(into), TOLD),
        Some(logging) => {
            let why = "It is told of elsewhere already, and a bucket tells of requests in one place only.";
            of.stays("access-log", (json!(logging.bucket), json!(into)), why)
        }
        None => of.put("access-log", (Value::Null, json!(into)), TOLD, Act::Log { into: into.to_owned() }),
    }
}

#[cfg(test)]
mod tests;
