//! The plan for a copy of the states in another bucket: that bucket, the role by which S3 copies, and the rule that says what.
//!
//! A bucket is copied by one role for all of its rules. So what somebody else has set up stays, and nothing is added to it.

use std::collections::BTreeMap;

use aws_sdk_s3::types::{
    ReplicationConfiguration, ReplicationRule, ReplicationRuleStatus, SseKmsEncryptedObjectsStatus,
};
use serde_json::{Value, json};

use super::item::EXISTENCE;
use super::key::{self, KeyIs};
use super::policy::{self, KMS, Statements};
use super::{Act, Action, Bucket, Found, Item, Key, Resource, Role, Settings, TAG, Wanted, bucket};

/// By this our rule is found again.
pub(super) const REPLICATION_RULE: &str = "stateward-replica";
/// The policy within the role.
const RIGHTS: &str = "replication";
/// The tag that says whose states the role copies: its name may have been cut.
const OF: &str = "stateward:replicates";

const COPIED: &str =
    "What is written from now on is copied, and so is that something was deleted; what was there before is not.";
const TAKES: &str = "S3 alone may take it, to copy.";
const MAY: &str = "It may read versions of the one bucket and write them to the other.";

pub(super) fn plan(wanted: &Wanted, found: &Found) -> Vec<Item> {
    let (Some(from), Some(there)) = (wanted.bucket.as_deref(), wanted.of_replica()) else { return Vec::new() };
    let nothing = Found::default();
    let there_is = found.replica.as_deref().unwrap_or(&nothing);
    let mut items = place(&there, there_is);
    for call in items.iter_mut().filter_map(|item| item.call.as_mut()) {
        call.at_replica = true;
    }
    let copy = Copy { wanted, from, there: &there, there_is, found };
    let rule = copy.rule();
    // What is copied already is copied by whatever role its owner chose.
    if rule.action != Action::Keep || copy.is_by_ours() {
        items.extend(copy.role());
    }
    items.push(rule);
    items
}

/// The bucket that takes the copy, and the key that encrypts it.
fn place(there: &Wanted, found: &Found) -> Vec<Item> {
    let name = there.bucket.as_deref().unwrap_or_default();
    if let Some(wanted) = &there.key {
        let is = found.key.as_ref().unwrap_or(&Key::Missing);
        if !matches!(is, Key::There(_)) {
            let (super::WantedKey::Given(key) | super::WantedKey::Made(key)) = wanted;
            let why = format!(
                "There is no such key in {}, or this caller may not see it (kms:DescribeKey). \
                 Give with `--replica-kms-key` the ARN of a key of that Region.",
                there.region
            );
            let of = Resource { kind: "key", name: key };
            return vec![of.refuse(EXISTENCE, (Value::Null, json!(there.region)), why)];
        }
    }
    if let Some(Bucket::Elsewhere(region)) = &found.bucket {
        let why = format!(
            "The bucket is in {region}, and a bucket cannot move. Say `--replicate-to {name}@{region}`, or choose another name."
        );
        let of = Resource { kind: "bucket", name };
        return vec![of.refuse(EXISTENCE, (json!(region), json!(there.region)), why)];
    }
    let key = there.key.iter().flat_map(|key| key::plan(there, key, found.key.as_ref().unwrap_or(&Key::Missing)));
    let bucket = found.bucket.as_ref().unwrap_or(&Bucket::Missing);
    key.chain(bucket::plan(there, name, KeyIs::of(there, found), bucket)).collect()
}

/// A bucket, and where it is copied to.
struct Copy<'a> {
    wanted: &'a Wanted,
    from: &'a str,
    there: &'a Wanted,
    there_is: &'a Found,
    found: &'a Found,
}

impl Copy<'_> {
    fn name(&self) -> String {
        self.wanted.replicator().unwrap_or_default()
    }

    fn target(&self) -> &str {
        self.there.bucket.as_deref().unwrap_or_default()
    }

    fn role_arn(&self) -> String {
        self.wanted.iam_arn("role", &self.name())
    }

    fn is_by_ours(&self) -> bool {
        let replication = self.settings().and_then(|settings| settings.replication.as_ref());
        replication.is_some_and(|replication| replication.role == self.role_arn())
    }

    fn settings(&self) -> Option<&Settings> {
        match &self.found.bucket {
            Some(Bucket::There(settings)) => Some(settings),
            _ => None,
        }
    }

    /// The key that the states are encrypted with: the one that is wanted, or the owner's that is there.
    fn key(&self) -> KeyIs<'_> {
        KeyIs::in_use(self.wanted, self.found)
    }

    /// Whether KMS encrypts the states: S3 copies such objects only where the rule says so.
    fn is_by_key(&self) -> bool {
        let default = self.settings().and_then(|settings| settings.encryption.as_ref());
        let default = default.and_then(|found| found.rule.apply_server_side_encryption_by_default.as_ref());
        self.key() != KeyIs::NotWanted || default.is_some_and(|default| default.sse_algorithm.as_str().starts_with(KMS))
    }

    /// What keeps S3 from copying what KMS encrypts.
    fn lacks_a_key(&self) -> Option<String> {
        let used = self.found.bucket_key();
        if self.wanted.key.is_none() && used.is_none_or(|used| used.by_aws) {
            // Its ARN, which the role would have to name, is nobody's to give.
            return Some(
                "The states are encrypted with AWS's own key of KMS, which S3 copies nothing from without a right to that key. \
                 Give a key of yours with `--kms-key`, and with `--replica-kms-key` one for the copies."
                    .to_owned(),
            );
        }
        let key = match self.key() {
            KeyIs::Made(key) => key,
            KeyIs::NotWanted | KeyIs::NotMade => "a key",
        };
        self.there_is.key_arn().is_none().then(|| {
            format!(
                "The states are encrypted with {key}, and S3 copies such objects only with a key for the copies. \
                 Give the ARN of a key in {} with `--replica-kms-key`.",
                self.there.region
            )
        })
    }

    fn tags(&self) -> BTreeMap<String, String> {
        let mut tags = self.wanted.all_tags();
        tags.insert(OF.to_owned(), self.from.to_owned());
        tags
    }

    fn role(&self) -> Vec<Item> {
        let name = self.name();
        let of = Resource { kind: "role", name: &name };
        let Some(found) = &self.found.replicator else {
            let trust = policy::with(None, &Statements::of_replicator()).ok().flatten().unwrap_or_default();
            let act =
                Act::CreateRole { trust, tags: self.tags(), description: "Copies Terraform state to another bucket" };
            let why = format!("There is no role of this name. {TAKES}");
            let first = of.put(EXISTENCE, (Value::Null, json!(self.target())), why, act);
            return vec![first, self.rights(&of, None)];
        };
        let is = |key: &str, value: &str| found.tags.get(key).is_some_and(|found| found == value);
        if !(is(TAG.0, TAG.1) && is(OF, self.from)) {
            let why = "There is a role of this name, which no set-up of this bucket made: S3 would get other rights. \
                       Delete the role, or leave `--replicate-to` out.";
            return vec![of.refuse(EXISTENCE, (json!("somebody's"), json!(self.target())), why)];
        }
        vec![of.keep(EXISTENCE, json!(self.target()), TAKES), self.rights(&of, Some(found))]
    }

    fn rights(&self, of: &Resource<'_>, found: Option<&Role>) -> Item {
        let wanted = json!(format!("{} to {}", self.from, self.target()));
        let there = found.and_then(|role| role.others.iter().find(|(name, _)| name == RIGHTS));
        let there = there.map(|(_, document)| document.as_str());
        let key = match self.key() {
            KeyIs::NotMade => {
                return of.later(
                    "rights",
                    (json!(there.map(|_| "less")), wanted),
                    format!("{MAY} The key is added once it is made."),
                );
            }
            KeyIs::NotWanted => None,
            KeyIs::Made(key) => Some(key),
        };
        let needed = Statements::of_replication(self.wanted, (self.from, self.there), [key, self.there_is.key_arn()]);
        match policy::with(there, &needed) {
            Ok(None) => of.keep("rights", wanted, MAY),
            Ok(Some(document)) => {
                let act = Act::RolePolicy { name: RIGHTS, document };
                of.put("rights", (json!(there.map(|_| "less")), wanted), MAY, act)
            }
            Err(problem) => {
                let why = format!("What the role may do cannot be read ({problem}). Mend its policy `{RIGHTS}` first.");
                of.refuse("rights", (json!("unknown"), wanted), why)
            }
        }
    }

    fn rule(&self) -> Item {
        let of = Resource { kind: "bucket", name: self.from };
        let (to, role) = (self.wanted.bucket_arn(self.target()), self.role_arn());
        let is = self.settings().and_then(|settings| settings.replication.as_ref());
        let (current, wanted) = (json!(is.map(targets)), json!([to]));
        let by_key = self.is_by_key();
        if is.is_some_and(|is| is.rules.iter().any(|rule| copies_all(rule, &to, by_key))) {
            return of.keep("replication", current, COPIED);
        }
        if let Some(other) = is.filter(|_| !self.is_by_ours()) {
            let passes_over = match by_key && other.rules.iter().any(|rule| copies_all(rule, &to, false)) {
                true => " Its rule passes over what KMS encrypts (`SseKmsEncryptedObjects`), as the states are.",
                false => "",
            };
            let why = format!(
                "The bucket is copied already, by the role {}, and a bucket is copied by one role for all of its rules.{passes_over} \
                 Leave `--replicate-to` out, or let that role write to {} and add a rule for it.",
                other.role,
                self.target()
            );
            return of.refuse("replication", (current, wanted), why);
        }
        let replica_key = self.there_is.key_arn();
        if let Some(why) = self.lacks_a_key().filter(|_| by_key) {
            return of.refuse("replication", (current, wanted), why);
        }
        let kept = is.map(|is| is.rules.iter().filter(|rule| rule.id() != Some(REPLICATION_RULE)).cloned().collect());
        let act = Act::Replicate { kept: kept.unwrap_or_default(), role, to, key: replica_key.map(str::to_owned) };
        of.put("replication", (current, wanted), COPIED, act)
    }
}

/// The buckets that it is copied to.
fn targets(found: &ReplicationConfiguration) -> Vec<&str> {
    found.rules.iter().filter_map(|rule| Some(rule.destination.as_ref()?.bucket.as_str())).collect()
}

/// Whether a rule copies all objects to a bucket, also those that KMS encrypts.
fn copies_all(rule: &ReplicationRule, to: &str, by_key: bool) -> bool {
    let encrypted = rule.source_selection_criteria.as_ref().and_then(|of| of.sse_kms_encrypted_objects.as_ref());
    let takes_encrypted = encrypted.is_some_and(|of| of.status == SseKmsEncryptedObjectsStatus::Enabled);
    let filter = rule.filter.as_ref();
    let of_some = filter.is_some_and(|filter| {
        filter.and.is_some() || filter.tag.is_some() || filter.prefix.as_ref().is_some_and(|prefix| !prefix.is_empty())
    });
    #[expect(deprecated, reason = "the first form of rules names a prefix so")]
    let prefix = rule.prefix.as_ref().is_some_and(|prefix| !prefix.is_empty());
    rule.status == ReplicationRuleStatus::Enabled
        && (takes_encrypted || !by_key)
        && !of_some
        && !prefix
        && rule.destination.as_ref().is_some_and(|destination| destination.bucket == to)
}

#[cfg(test)]
mod tests;
