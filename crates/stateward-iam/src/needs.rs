//! What keeping state needs: which operations make which requests, for each way of keeping it.

mod operations;
mod target;

use std::str::FromStr;

use serde::Serialize;

use crate::names::{self, NameError};
use crate::request::{Context, Request, RequestError};
pub(crate) use target::{Conditions, LEADING_LOWER, Target, objects_of_others};

/// What somebody does with state. Each includes the ones before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Purpose {
    /// Reads outputs; takes no lock.
    ReadOnly,
    /// Plans under a lock.
    Plan,
    /// Applies.
    Apply,
    /// Deletes workspaces, opens locks by force, reads earlier versions.
    Admin,
}

impl Purpose {
    /// From the least to the most.
    pub const ALL: [Self; 4] = [Self::ReadOnly, Self::Plan, Self::Apply, Self::Admin];

    /// As it is written on a command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::ReadOnly => "read-only",
            Self::Plan => "plan",
            Self::Apply => "apply",
            Self::Admin => "admin",
        }
    }
}

/// How state is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Layout {
    /// By the `s3` backend of Terraform and OpenTofu.
    S3,
    /// By the `dynamodb` backend that was never merged.
    Dynamodb,
    /// By stateward in a bucket.
    Stateward,
    /// By stateward in a table.
    StatewardDynamodb,
}

impl Layout {
    const ALL: [Self; 4] = [Self::S3, Self::Dynamodb, Self::Stateward, Self::StatewardDynamodb];

    /// As it is written on a command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::S3 => "s3",
            Self::Dynamodb => "dynamodb",
            Self::Stateward => "stateward",
            Self::StatewardDynamodb => "stateward-dynamodb",
        }
    }

    pub(crate) fn in_table(self) -> bool {
        matches!(self, Self::Dynamodb | Self::StatewardDynamodb)
    }
}

/// A word that names nothing here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{word}` must be one of {choices}")]
pub struct UnknownName {
    word: String,
    choices: String,
}

fn by_name<T: Copy>(word: &str, all: &[T], name: impl Fn(T) -> &'static str) -> Result<T, UnknownName> {
    let found = all.iter().copied().find(|one| name(*one) == word);
    found.ok_or_else(|| {
        let choices = all.iter().map(|one| format!("`{}`", name(*one))).collect::<Vec<_>>().join(", ");
        UnknownName { word: word.to_owned(), choices }
    })
}

impl FromStr for Purpose {
    type Err = UnknownName;

    fn from_str(word: &str) -> Result<Self, UnknownName> {
        by_name(word, &Self::ALL, Self::name)
    }
}

impl FromStr for Layout {
    type Err = UnknownName;

    fn from_str(word: &str) -> Result<Self, UnknownName> {
        by_name(word, &Self::ALL, Self::name)
    }
}

/// Where and how state is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keeping {
    /// By whom.
    pub layout: Layout,
    /// The bucket; where state is kept in a table, the table.
    pub place: String,
    /// `key` of the `s3` backend, `hash` of the `dynamodb` backend, the prefix of a stateward store.
    pub key: String,
    /// Whether `key` is a prefix instead, and all that stands below it are states of the `s3` backend and their locks.
    pub below: bool,
    /// Whether there are workspaces beside `default`.
    pub workspaces: bool,
    /// The one workspace that requests are about, where it is known; policies are for all of them.
    pub workspace: Option<String>,
    /// `workspace_key_prefix` of the `s3` backend and of stateward's store; unless told, `env:`, and below a prefix that prefix.
    pub workspace_prefix: Option<String>,
    /// The table of locks and digests.
    pub lock_table: Option<String>,
    /// Whether locks are objects beside the states.
    pub use_lockfile: bool,
    /// The ARN of the key that encrypts.
    pub kms_key: Option<String>,
    /// The ARN of the key that encrypts the lock table, where that is not one of AWS's own.
    pub lock_table_key: Option<String>,
    /// `aws` unless told otherwise.
    pub partition: String,
    /// The Region of the tables; `*` for any.
    pub region: String,
    /// The account of the tables; `*` for any.
    pub account: String,
}

/// Why nothing can be said about a way of keeping state.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeepingError {
    /// Not a name that AWS has for this.
    #[error(transparent)]
    Name(#[from] NameError),
    /// What would mean something else in a policy.
    #[error("`{value}` is no {what}")]
    Odd {
        /// What it should be.
        what: &'static str,
        /// What was given.
        value: String,
    },
    /// The backend needs one.
    #[error("the state has no key: give the `key` of its backend block")]
    NoKey,
    /// Not the ARN of a key.
    #[error(
        "`{0}` is no ARN of a KMS key: it must be like `arn:aws:kms:eu-west-1:111122223333:key/…`, for policies take no aliases"
    )]
    KmsKey(String),
    /// Below a prefix there are states of the `s3` backend alone.
    #[error("only states of the `s3` backend are taken together by a prefix: give the key of one state")]
    NotBelow,
    /// Workspaces beside the prefix that everything is to stand below.
    #[error("workspaces at `{prefix}` do not lie below `{key}`: set `workspace_key_prefix = \"{key}\"`")]
    Outside {
        /// Of the workspaces.
        prefix: String,
        /// Of the states.
        key: String,
    },
    /// What is of one partition is named beside what is of another.
    #[error("{what} is of the partition `{of}`, and not of `{partition}`")]
    Partition {
        /// What.
        what: String,
        /// Its partition.
        of: String,
        /// That of all else.
        partition: String,
    },
    /// Nothing is left out of a table by a key.
    #[error(
        "a store in a table is all of that table, and has no key: leave `{0}` out, and give each environment a table of its own"
    )]
    AllOfTable(String),
    /// A key of nothing.
    #[error("there is a key for the lock table, and no lock table: name it, or leave its key out")]
    NoLockTable,
    /// Locks in a bucket, and there is none.
    #[error("state in a table has no lock file: leave `use_lockfile` out")]
    NoLockfile,
}

impl KeepingError {
    /// What to do about it, where the error itself does not say so.
    pub fn next(&self) -> Option<&'static str> {
        match self {
            Self::Name(error) => Some(error.next()),
            Self::Partition { .. } => {
                Some("give the Region, the key and `partition` of one partition; unless told, that is the Region's")
            }
            _ => None,
        }
    }
}

impl Keeping {
    /// State of the default workspace alone, without locks, in `aws`, in any Region and account.
    pub fn new(layout: Layout, place: impl Into<String>, key: impl Into<String>) -> Self {
        Self {
            layout,
            place: place.into(),
            key: key.into(),
            below: false,
            workspaces: false,
            workspace: None,
            workspace_prefix: None,
            lock_table: None,
            use_lockfile: false,
            kms_key: None,
            lock_table_key: None,
            partition: "aws".to_owned(),
            region: "*".to_owned(),
            account: "*".to_owned(),
        }
    }

    /// As `stateward policy` takes it, word by word.
    pub fn words(&self) -> Vec<String> {
        let unless = |usual: &str, value: &str| (value != usual).then(|| value.to_owned());
        let layout = match self.layout {
            Layout::S3 => None,
            Layout::Dynamodb => Some("dynamodb".to_owned()),
            Layout::Stateward | Layout::StatewardDynamodb => Some("stateward".to_owned()),
        };
        // A flag with nothing behind it stands alone.
        let alone = |is_set: bool| is_set.then(String::new);
        let prefix = self.workspace_prefix.as_deref().filter(|_| self.workspaces);
        [
            ("--layout", layout),
            (if self.layout.in_table() { "--table" } else { "--bucket" }, Some(self.place.clone())),
            (if self.below { "--prefix" } else { "--key" }, unless("", &self.key)),
            ("--workspaces", alone(self.workspaces)),
            ("--workspace-key-prefix", prefix.and_then(|prefix| unless("env:", prefix))),
            ("--lock-table", self.lock_table.clone()),
            ("--use-lockfile", alone(self.use_lockfile)),
            ("--kms-key", self.kms_key.clone()),
            ("--lock-table-kms-key", self.lock_table_key.clone()),
            ("--region", unless("*", &self.region)),
            ("--account", unless("*", &self.account)),
            ("--partition", unless(names::partition_of(&self.region), &self.partition)),
        ]
        .into_iter()
        .filter_map(|(flag, value)| Some([flag.to_owned(), value?]))
        .flatten()
        .filter(|word| !word.is_empty())
        .collect()
    }

    /// Refuses names that would mean something else in a policy.
    pub(crate) fn check(&self) -> Result<(), KeepingError> {
        let odd = |what, value: &str| KeepingError::Odd { what, value: value.to_owned() };
        let in_table = self.layout.in_table();
        let is_word = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
        if in_table {
            names::table(&self.place)?;
        } else if !(3..=255).contains(&self.place.len()) || !self.place.bytes().all(is_word) {
            return Err(odd("name of a bucket", &self.place));
        }
        self.lock_table.as_deref().map_or(Ok(()), names::table)?;
        if self.layout == Layout::StatewardDynamodb && !self.key.is_empty() {
            return Err(KeepingError::AllOfTable(self.key.clone()));
        }
        let needs_key = matches!(self.layout, Layout::S3 | Layout::Dynamodb);
        if needs_key && self.key.is_empty() {
            return Err(KeepingError::NoKey);
        }
        let path = |what, value: &String| {
            let special = value.contains(['*', '?', '$']) || value.chars().any(char::is_control);
            let good = !special && !value.starts_with('/') && !value.ends_with('/');
            if good { Ok(()) } else { Err(odd(what, value)) }
        };
        path("key of a state", &self.key)?;
        if self.below && self.layout != Layout::S3 {
            return Err(KeepingError::NotBelow);
        }
        if let Some(prefix) = &self.workspace_prefix {
            path("prefix of workspaces", prefix)?;
            if self.below && !self.has_below(prefix) {
                return Err(KeepingError::Outside { prefix: prefix.clone(), key: self.key.clone() });
            }
        }
        if self.region != "*" {
            names::region(&self.region)?;
        }
        if self.account != "*" && !crate::policy::principal::is_account(&self.account) {
            return Err(odd("account", &self.account));
        }
        if !self.partition.split('-').all(|word| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase()))
        {
            return Err(odd("partition", &self.partition));
        }
        if self.use_lockfile && in_table {
            return Err(KeepingError::NoLockfile);
        }
        if self.lock_table_key.is_some() && self.lock_table.is_none() {
            return Err(KeepingError::NoLockTable);
        }
        match self.keys().find(|key| !is_key(key)) {
            Some(key) => Err(KeepingError::KmsKey(key.clone())),
            None => Ok(()),
        }
    }

    /// Refuses names that no bucket, table, Region or partition of AWS has, and what cannot be of one partition.
    pub fn names(&self) -> Result<(), KeepingError> {
        if !self.layout.in_table() {
            names::bucket_there(&self.place)?;
        }
        self.check()?;
        names::partition(&self.partition)?;
        let of_region = Some(&self.region).filter(|region| *region != "*");
        let of_region = of_region.map(|region| (format!("`{region}`"), names::partition_of(region)));
        let of_keys = self.keys().filter_map(|key| Some((format!("the key `{key}`"), key.split(':').nth(1)?)));
        match of_region.into_iter().chain(of_keys).find(|(_, of)| *of != self.partition) {
            Some((what, of)) => {
                Err(KeepingError::Partition { what, of: of.to_owned(), partition: self.partition.clone() })
            }
            None => Ok(()),
        }
    }

    /// Where its workspaces are.
    pub(crate) fn workspace_prefix(&self) -> &str {
        self.workspace_prefix.as_deref().unwrap_or(if self.below { &self.key } else { "env:" })
    }

    /// Whether its states may have any names, those of lock files, digests and workspaces among them.
    pub(crate) fn has_any_names(&self) -> bool {
        self.below || matches!(self.layout, Layout::Stateward | Layout::StatewardDynamodb)
    }

    /// Whether a prefix is that of the states, or lies below it.
    fn has_below(&self, prefix: &str) -> bool {
        let within = prefix.strip_prefix(self.key.as_str());
        self.key.is_empty() || within.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    /// Whether a store has workspaces that what covers its other states does not cover.
    pub(crate) fn has_workspaces_beside(&self) -> bool {
        self.layout == Layout::Stateward && self.workspaces && !self.has_below(self.workspace_prefix())
    }

    /// Whether the wildcards for its workspaces cover those of states whose keys end with its own.
    pub(crate) fn covers_workspaces_of_others(&self) -> bool {
        if self.has_any_names() { self.has_workspaces_beside() } else { self.workspaces }
    }

    /// What encrypts states and locks, and policies have a say about.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &String> {
        self.kms_key.iter().chain(&self.lock_table_key)
    }

    /// The services that are asked for states and locks; the key is used by them.
    pub fn services(&self) -> Vec<&'static str> {
        let in_table = self.layout.in_table();
        let s3 = (!in_table).then_some("s3");
        let dynamodb = (in_table || self.lock_table.is_some()).then_some("dynamodb");
        s3.into_iter().chain(dynamodb).collect()
    }

    /// Whether state or locks are kept in this table.
    pub(crate) fn has_table(&self, name: &str) -> bool {
        self.lock_table.as_deref() == Some(name) || self.layout.in_table() && self.place == name
    }

    /// The operations of a purpose, each with the requests that this way of keeping state makes for it.
    pub(crate) fn needs(&self, purpose: Purpose) -> Vec<Need> {
        let mut needs = Vec::new();
        for operation in operations::of(self.layout) {
            if operation.least > purpose || operation.workspaces && !self.workspaces {
                continue;
            }
            for (action, target) in operation.requests {
                if target.applies(self) {
                    needs.push(Need { operation: operation.name, action, target: *target });
                }
            }
        }
        needs
    }
}

fn is_key(arn: &str) -> bool {
    let id = |id: &str| !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    crate::value::arn::Segments::of(arn).is_some_and(|segments| {
        arn.starts_with("arn:")
            && segments.service() == "kms"
            && crate::policy::principal::is_account(segments.account())
            && segments.resource().strip_prefix("key/").is_some_and(id)
    })
}

/// A request that an operation makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Need {
    pub(crate) operation: &'static str,
    pub(crate) action: &'static str,
    pub(crate) target: Target,
}

impl Need {
    /// The requests as AWS sees them: one for the default workspace, and one for another where there are any.
    pub(crate) fn requests(
        &self,
        keeping: &Keeping,
        principal: &str,
        context: impl Fn(&Self) -> Context,
    ) -> Result<Vec<Request>, RequestError> {
        let account = crate::policy::principal::Principal::parse(principal);
        let account = account.as_ref().and_then(|principal| principal.account());
        let samples = self.target.samples(keeping, account.unwrap_or("111122223333"));
        let request = |sample: target::Sample| {
            let mut context = context(self);
            for (key, values) in sample.context {
                match values {
                    target::Values::One(value) => context.replace(key, Some(crate::request::ContextValue::one(value))),
                    target::Values::Several(values) => {
                        context.replace(key, Some(crate::request::ContextValue::several(values)));
                    }
                }
            }
            Request::new(principal, self.action, &sample.resource, None, context)
        };
        samples.into_iter().map(request).collect()
    }
}
