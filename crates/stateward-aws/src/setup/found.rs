//! What is there.

use std::collections::BTreeMap;

use aws_sdk_cloudtrail::types::{AdvancedEventSelector, EventSelector};
use aws_sdk_s3::types::{
    LifecycleRule, ReplicationConfiguration, ServerSideEncryptionRule, TransitionDefaultMinimumObjectSize,
};

use super::Use;

/// What is there of what is wanted; `None` of what is not wanted.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Found {
    /// The key.
    pub key: Option<Key>,
    /// The bucket that keeps state.
    pub bucket: Option<Bucket>,
    /// The bucket that is told of requests.
    pub log_bucket: Option<Bucket>,
    /// The lock table; `None` also where there is none.
    pub lock_table: Option<Table>,
    /// The table that keeps state; `None` also where there is none.
    pub state_table: Option<Table>,
    /// The trail.
    pub trail: Option<Trail>,
    /// What is there where the copy goes.
    pub replica: Option<Box<Found>>,
    /// The role by which S3 copies; `None` also where there is none.
    pub replicator: Option<Role>,
    /// Policies and roles, by the name that they have in common.
    pub access: BTreeMap<String, Access>,
}

impl Found {
    /// The key's ARN, where the key is there.
    pub fn key_arn(&self) -> Option<&str> {
        match &self.key {
            Some(Key::Unnamed(key) | Key::There(key)) => Some(&key.arn),
            _ => None,
        }
    }

    /// What encrypts the bucket by default, where that is a key.
    pub(super) fn bucket_key(&self) -> Option<&UsedKey> {
        match &self.bucket {
            Some(Bucket::There(settings)) => settings.encryption.as_ref()?.key.as_ref(),
            _ => None,
        }
    }

    pub(super) fn table(&self, of: Use) -> Option<&Table> {
        match of {
            Use::Locks => self.lock_table.as_ref(),
            Use::State => self.state_table.as_ref(),
        }
    }
}

/// A key's name, and what stands behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Key {
    /// There is none, or this caller may not see it.
    Missing,
    /// There is none, and whether one was made under this name before cannot be seen: why.
    Unseen(String),
    /// It is in this other Region.
    Elsewhere(String),
    /// One was made under this name, which it does not have yet.
    Unnamed(KeySettings),
    /// It is there.
    There(KeySettings),
}

/// How a key is set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeySettings {
    /// Its ARN.
    pub arn: String,
    /// `Enabled`, or why it does not work.
    pub state: String,
    /// Whether it can encrypt what S3 and `DynamoDB` keep: one symmetric key for both ways.
    pub encrypts: bool,
    /// Who made it.
    pub maker: Maker,
    /// Whether it changes what it encrypts with once a year.
    pub rotates: bool,
}

/// Who made a key.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Maker {
    /// Its owner.
    #[default]
    Owner,
    /// A set-up.
    Setup,
    /// AWS, for a service.
    Aws,
}

/// A bucket's name, and what stands behind it.
#[derive(Debug, Clone, PartialEq)]
pub enum Bucket {
    /// Nobody has it.
    Missing,
    /// Another account's, or one that this caller may not look at.
    Foreign,
    /// This account's, in another Region.
    Elsewhere(String),
    /// This account's.
    There(Box<Settings>),
}

/// How a bucket is set.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Settings {
    /// Who owns objects: `BucketOwnerEnforced`.
    pub ownership: Option<String>,
    /// Whom its access list lets in beside its owner; none also where there are no access lists.
    pub grants: Vec<Grant>,
    /// `Enabled` or `Suspended`.
    pub versioning: Option<String>,
    /// What encrypts objects that come without a header.
    pub encryption: Option<Encryption>,
    /// Whether public access is refused: new access lists, access lists, new policies, policies.
    pub blocked: [bool; 4],
    /// The policy, as JSON.
    pub policy: Option<String>,
    /// Whether S3 says of the policy that it lets everybody in; `None` where that may not be read, or nobody asked.
    pub public: Option<bool>,
    /// What becomes of old objects, and what was said beside the rules.
    pub lifecycle: (Vec<LifecycleRule>, Option<TransitionDefaultMinimumObjectSize>),
    /// Its tags.
    pub tags: BTreeMap<String, String>,
    /// Who is told of requests; `None` also where nobody asked.
    pub logging: Option<Logging>,
    /// Where it is copied to; `None` also where nobody asked.
    pub replication: Option<ReplicationConfiguration>,
    /// For how long versions cannot be deleted; `None` also where that may not be read.
    pub object_lock: Option<ObjectLock>,
}

/// Object Lock of a bucket.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ObjectLock {
    /// What holds for a version that says nothing: `GOVERNANCE` or `COMPLIANCE`; `None` where nothing does.
    pub mode: Option<String>,
    /// For so many days.
    pub days: Option<i32>,
    /// For so many years.
    pub years: Option<i32>,
}

/// Somebody on the access list of a bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// The URI of a group, the canonical id of an account, or a mail address.
    pub to: String,
    /// What for: `READ`.
    pub permission: String,
}

/// What encrypts objects that come without a header.
#[derive(Debug, Clone, PartialEq)]
pub struct Encryption {
    /// As it was said.
    pub rule: ServerSideEncryptionRule,
    /// The key that it names.
    pub key: Option<UsedKey>,
}

/// A key that something is encrypted with.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UsedKey {
    /// Its ARN; as it was named where AWS does not tell more.
    pub arn: String,
    /// Whether it is one of those that AWS makes for a service.
    pub by_aws: bool,
    /// Why it does not work: `Disabled`, `PendingDeletion`; `None` also where that may not be read.
    pub unusable: Option<String>,
}

/// Where a bucket tells of requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Logging {
    /// Into this bucket.
    pub bucket: String,
    /// Under this prefix.
    pub prefix: String,
}

/// How a table is set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Table {
    /// The key: each attribute's name, type (`S`) and part (`HASH`).
    pub key: Vec<(String, String, String)>,
    /// Whether it can be brought back to any second of the last weeks.
    pub recovery: bool,
    /// Whether it cannot be deleted.
    pub protected: bool,
    /// Whether it is paid by request.
    pub on_demand: bool,
    /// The key that encrypts it; `None` where it is one that `DynamoDB` owns.
    pub encryption: Option<UsedKey>,
    /// The attribute that tells when an item goes; `None` also where nobody asked.
    pub expiry: Option<String>,
    /// Its tags; none also where nobody asked.
    pub tags: BTreeMap<String, String>,
    /// Its own policy, as JSON; `None` also where nobody asked.
    pub policy: Option<String>,
    /// What it is in the middle of, where it takes no requests and will take none soon: `DELETING`, `ARCHIVED`.
    pub closed: Option<String>,
}

/// A trail's name, and what stands behind it.
#[derive(Debug, Clone, PartialEq)]
pub enum Trail {
    /// There is none.
    Missing,
    /// It is there.
    There(TrailSettings),
}

/// How a trail is set.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TrailSettings {
    /// The bucket that keeps its files.
    pub bucket: String,
    /// Whether a set-up made it.
    pub is_ours: bool,
    /// Whether it records.
    pub logging: bool,
    /// What it records.
    pub selectors: Vec<EventSelector>,
    /// What it records, where that is said in the other way.
    pub advanced: Vec<AdvancedEventSelector>,
}

/// The policy of an environment, and the role that carries it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Access {
    /// The policy.
    pub policy: Option<ManagedPolicy>,
    /// The role of the same name, also where none is wanted.
    pub role: Option<Role>,
    /// What keeps the policy from being made, where there is none.
    pub policy_namesake: Namesake,
    /// What keeps the role from being made, where there is none.
    pub role_namesake: Namesake,
}

/// Something else with a name that is the same to IAM, which knows neither capital letters nor paths in names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Namesake {
    /// There is nothing; also where nobody asked.
    #[default]
    None,
    /// Its ARN.
    Other(String),
    /// Whether there is something cannot be seen: why.
    Unseen(String),
}

/// A policy that can be attached to users and roles.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ManagedPolicy {
    /// What it says, as JSON: the version that is in force.
    pub document: String,
    /// Its versions that are not in force, the oldest first.
    pub versions: Vec<String>,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
    /// What it says it is for.
    pub description: String,
}

/// A role.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Role {
    /// Who may take it, as JSON.
    pub trust: String,
    /// Whether it carries the environment's policy.
    pub carries: bool,
    /// The other policies that it carries or has within: name and JSON.
    pub others: Vec<(String, String)>,
    /// Its permissions boundary, beyond which none of them lets it do anything: ARN and JSON.
    pub boundary: Option<(String, String)>,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
}
