//! What shall be there.

use std::collections::BTreeMap;

use super::Environment;

/// The tag that whatever is made gets in the call that creates it. By it a set-up that was broken off is told from what somebody else
/// made.
pub const TAG: (&str, &str) = ("stateward:made-by", "setup");

/// What shall be there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wanted {
    /// The name of the bucket that keeps state.
    pub bucket: Option<String>,
    /// The lock table's name; `None` where locks are files in the bucket.
    pub lock_table: Option<String>,
    /// Beside the lock table, locks are files in the bucket, too: as everybody takes them on the way from one to the other.
    pub both_locks: bool,
    /// The name of the table that keeps state.
    pub state_table: Option<String>,
    /// The key that encrypts all of it; `None` where AWS's own keys do.
    pub key: Option<WantedKey>,
    /// The name of the bucket that is told of each request for state, and keeps the trail's files.
    pub log_bucket: Option<String>,
    /// The name of the trail that records who reads and writes state.
    pub trail: Option<String>,
    /// The bucket that a copy of the states goes to.
    pub replica: Option<Replica>,
    /// The environments that share the bucket, each with a policy of its own.
    pub environments: Vec<Environment>,
    /// Public access of buckets is left as it is: what the account is set to holds it, too.
    pub leaves_public_access: bool,
    /// Tags of whatever is made.
    pub tags: BTreeMap<String, String>,
    /// The Region of all of it.
    pub region: String,
    /// The account that shall own all of it.
    pub account: String,
    /// The account's partition: `aws`, `aws-cn`.
    pub partition: String,
}

/// A key that encrypts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WantedKey {
    /// One that is made under this alias, `alias/…`, where there is none.
    Made(String),
    /// One that is there: an ARN, a key's id, or an alias.
    Given(String),
}

/// A bucket that a copy goes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replica {
    /// Its name.
    pub bucket: String,
    /// Its Region; `None` where that is the other bucket's.
    pub region: Option<String>,
    /// The ARN of the key there that encrypts the copies.
    pub key: Option<String>,
}

/// What a table is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Use {
    /// Terraform's locks and digests.
    Locks,
    /// Everything that the server keeps.
    State,
}

impl Wanted {
    /// Whether locks are files in the bucket.
    pub fn use_lockfile(&self) -> bool {
        self.bucket.is_some() && (self.lock_table.is_none() || self.both_locks)
    }

    /// The tables, with their names.
    pub(super) fn tables(&self) -> impl Iterator<Item = (Use, &str)> {
        let all = [(Use::Locks, &self.lock_table), (Use::State, &self.state_table)];
        all.into_iter().filter_map(|(of, name)| Some((of, name.as_deref()?)))
    }

    /// What shall be there where the copy goes.
    pub(super) fn of_replica(&self) -> Option<Self> {
        let Replica { bucket, region, key } = self.replica.clone()?;
        Some(Self {
            bucket: Some(bucket),
            key: key.map(WantedKey::Given),
            tags: self.tags.clone(),
            region: region.unwrap_or_else(|| self.region.clone()),
            account: self.account.clone(),
            partition: self.partition.clone(),
            ..Self::default()
        })
    }

    /// The tags of what is made: ours, and those that were asked for.
    pub(super) fn all_tags(&self) -> BTreeMap<String, String> {
        let ours = (TAG.0.to_owned(), TAG.1.to_owned());
        self.tags.clone().into_iter().chain([ours]).collect()
    }

    /// The environments with the bucket that they share.
    pub(super) fn environments(&self) -> impl Iterator<Item = (&str, &Environment)> {
        self.bucket.iter().flat_map(|bucket| self.environments.iter().map(move |one| (bucket.as_str(), one)))
    }

    /// The ARN of the policy of an environment; `None` where there is no bucket.
    pub fn policy_arn(&self, environment: &Environment) -> Option<String> {
        Some(self.iam_arn("policy", &environment.access(self.bucket.as_deref()?)))
    }

    /// The ARN of the role of an environment; `None` where it has none.
    pub fn role_arn(&self, environment: &Environment) -> Option<String> {
        let bucket = self.bucket.as_deref().filter(|_| environment.has_role())?;
        Some(self.iam_arn("role", &environment.access(bucket)))
    }

    /// The name of the role by which S3 copies; `None` where nothing is copied. IAM takes 64 characters.
    pub(super) fn replicator(&self) -> Option<String> {
        const FOR_BUCKET: usize = 64 - "stateward--replication".len();
        self.replica.as_ref()?;
        let bucket = self.bucket.as_deref()?;
        Some(format!("stateward-{}-replication", bucket.get(..FOR_BUCKET).unwrap_or(bucket)))
    }

    pub(super) fn iam_arn(&self, kind: &str, name: &str) -> String {
        format!("arn:{}:iam::{}:{kind}/{name}", self.partition, self.account)
    }

    pub(super) fn bucket_arn(&self, name: &str) -> String {
        format!("arn:{}:s3:::{name}", self.partition)
    }

    pub(super) fn table_arn(&self, name: &str) -> String {
        format!("arn:{}:dynamodb:{}:{}:table/{name}", self.partition, self.region, self.account)
    }

    pub(super) fn trail_arn(&self, name: &str) -> String {
        format!("arn:{}:cloudtrail:{}:{}:trail/{name}", self.partition, self.region, self.account)
    }
}
