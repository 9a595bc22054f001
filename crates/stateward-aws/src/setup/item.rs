//! One setting, and what is done about it.

use std::collections::BTreeMap;

use aws_sdk_cloudtrail::types::{AdvancedEventSelector, EventSelector};
use aws_sdk_s3::types::{LifecycleRule, ReplicationRule, ServerSideEncryptionRule, TransitionDefaultMinimumObjectSize};
use serde::Serialize;
use serde_json::Value;

use super::{Rule, Use, rule};

/// The setting that all others of a resource need.
pub(super) const EXISTENCE: &str = "existence";

/// One setting: what it is, what it shall be, and what is done about it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Item {
    /// `bucket NAME`, `table NAME`, `key ALIAS`, `trail NAME`, `policy NAME`, `role NAME`; `environments NAMES` of all together.
    pub resource: String,
    /// The setting: `existence`, `versioning`.
    pub property: &'static str,
    /// What is there; null where nothing is.
    pub current: Value,
    /// What shall be there.
    pub wanted: Value,
    /// What is done about it.
    pub action: Action,
    /// Why, in a sentence.
    pub why: String,
    /// The rule behind it: `Security Hub S3.5`, or the title of a page of documentation.
    pub rule: &'static str,
    /// The one request that does it; `None` where nothing is done, and where it is not known yet how the request reads: what comes
    /// before it is not there.
    #[serde(skip)]
    pub call: Option<Call>,
}

/// What is done about a setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// It is made.
    Create,
    /// It is there and gets changed.
    Change,
    /// It stays as it is.
    Keep,
    /// It stands in the way: nothing at all is done.
    Refuse,
}

/// A request that does one item.
#[derive(Debug, Clone, PartialEq)]
pub struct Call {
    /// The name of what it is about: of a bucket, a table, a trail, a policy, a role; a key's id.
    pub of: String,
    /// What is asked.
    pub act: Act,
    /// Whether it is asked where the copy goes.
    pub at_replica: bool,
}

/// What a request asks for.
#[derive(Debug, Clone, PartialEq)]
pub enum Act {
    /// Make the key, with its tags.
    CreateKey {
        /// The alias that it is to have.
        alias: String,
    },
    /// Give the key its name.
    CreateAlias {
        /// The alias.
        alias: String,
    },
    /// Have the key change what it encrypts with once a year.
    RotateKey,
    /// Make the bucket, with its tags and without access lists.
    CreateBucket,
    /// Do without access lists.
    OwnerEnforced,
    /// Keep versions.
    Versioning,
    /// Encrypt what comes without a header.
    Encryption {
        /// The key's ARN; `None` for one that S3 keeps.
        key: Option<String>,
        /// What is there, and keeps what else it says.
        over: Option<Box<ServerSideEncryptionRule>>,
    },
    /// Refuse public access, all four ways.
    BlockPublicAccess,
    /// Put this policy: what was there, and statements more.
    Policy(String),
    /// Put rules: those that were there, and more.
    Lifecycle {
        /// What is there.
        kept: Vec<LifecycleRule>,
        /// What was said beside the rules.
        smallest: Option<TransitionDefaultMinimumObjectSize>,
        /// What is added.
        added: Vec<Rule>,
    },
    /// Put these tags: those that were there, and more.
    TagBucket(BTreeMap<String, String>),
    /// Tell another bucket of each request.
    Log {
        /// That bucket.
        into: String,
    },
    /// Copy what is written from now on.
    Replicate {
        /// What is copied already.
        kept: Vec<ReplicationRule>,
        /// The ARN of the role by which S3 copies.
        role: String,
        /// The ARN of the bucket that takes it.
        to: String,
        /// The ARN of the key that encrypts the copies.
        key: Option<String>,
    },
    /// Make the table, with its tags.
    CreateTable {
        /// What for.
        of: Use,
        /// The key that encrypts it.
        key: Option<String>,
    },
    /// Keep what is needed to go back to any second.
    PointInTimeRecovery,
    /// Refuse to delete the table.
    DeletionProtection,
    /// Encrypt the table with this key.
    EncryptTable {
        /// The key's ARN.
        key: String,
    },
    /// Delete items whose time has come.
    Expire,
    /// Give the table these tags beside those it has.
    TagTable(BTreeMap<String, String>),
    /// Make the trail, with its tags.
    CreateTrail,
    /// Have the trail record these: what was there, and more.
    Select(Vec<EventSelector>),
    /// The same where what is there is said in the other way.
    SelectAdvanced(Vec<AdvancedEventSelector>),
    /// Have the trail record at all.
    StartLogging,
    /// Make the policy of an environment.
    CreatePolicy {
        /// What it says, as JSON.
        document: String,
        /// Its tags.
        tags: BTreeMap<String, String>,
        /// What it is for, and whose it is.
        description: String,
    },
    /// Put a version of the policy in force; those that were there stay.
    PolicyVersion(String),
    /// Give the policy these tags beside those it has.
    TagPolicy(BTreeMap<String, String>),
    /// Make the role.
    CreateRole {
        /// Who may take it, as JSON.
        trust: String,
        /// Its tags.
        tags: BTreeMap<String, String>,
        /// What it is for.
        description: &'static str,
    },
    /// Put who may take the role: those that were there, and more.
    Trust(String),
    /// Put the policy within the role: what was there, and statements more.
    RolePolicy {
        /// The policy's name.
        name: &'static str,
        /// What it says, as JSON.
        document: String,
    },
    /// Have the role carry the policy of its own name.
    AttachPolicy,
    /// Give the role these tags beside those it has.
    TagRole(BTreeMap<String, String>),
}

/// What of the set-up a request changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Key,
    Bucket,
    Table,
    Trail,
    Access,
}

impl Act {
    pub(super) fn part(&self) -> Part {
        match self {
            Self::CreateKey { .. } | Self::CreateAlias { .. } | Self::RotateKey => Part::Key,
            Self::CreateTable { .. }
            | Self::PointInTimeRecovery
            | Self::DeletionProtection
            | Self::EncryptTable { .. }
            | Self::Expire
            | Self::TagTable(_) => Part::Table,
            Self::CreateTrail | Self::Select(_) | Self::SelectAdvanced(_) | Self::StartLogging => Part::Trail,
            Self::CreatePolicy { .. }
            | Self::PolicyVersion(_)
            | Self::TagPolicy(_)
            | Self::CreateRole { .. }
            | Self::Trust(_)
            | Self::RolePolicy { .. }
            | Self::AttachPolicy
            | Self::TagRole(_) => Part::Access,
            Self::CreateBucket
            | Self::OwnerEnforced
            | Self::Versioning
            | Self::Encryption { .. }
            | Self::BlockPublicAccess
            | Self::Policy(_)
            | Self::Lifecycle { .. }
            | Self::TagBucket(_)
            | Self::Log { .. }
            | Self::Replicate { .. } => Part::Bucket,
        }
    }

    /// Whether nothing else can be asked for before this is there.
    pub(super) fn is_gate(&self) -> bool {
        matches!(
            self,
            Self::CreateKey { .. }
                | Self::CreateAlias { .. }
                | Self::CreateBucket
                | Self::CreateTable { .. }
                | Self::CreateTrail
                | Self::CreatePolicy { .. }
                | Self::CreateRole { .. }
        )
    }
}

impl Item {
    /// Whether something is done about it.
    pub fn acts(&self) -> bool {
        matches!(self.action, Action::Create | Action::Change)
    }
}

/// What the items of one resource have in common.
pub(super) struct Resource<'a> {
    pub(super) kind: &'static str,
    pub(super) name: &'a str,
}

impl Resource<'_> {
    fn item(&self, property: &'static str, values: (Value, Value), action: Action, why: String) -> Item {
        let (current, wanted) = values;
        let (resource, rule) = (format!("{} {}", self.kind, self.name), rule::of(self.kind, property, &wanted));
        Item { resource, property, current, wanted, action, why, rule, call: None }
    }

    pub(super) fn keep(&self, property: &'static str, current: Value, why: impl Into<String>) -> Item {
        self.item(property, (current.clone(), current), Action::Keep, why.into())
    }

    /// It stays as it is, though it is not what was wanted.
    pub(super) fn stays(&self, property: &'static str, values: (Value, Value), why: impl Into<String>) -> Item {
        self.item(property, values, Action::Keep, why.into())
    }

    pub(super) fn refuse(&self, property: &'static str, values: (Value, Value), why: impl Into<String>) -> Item {
        self.item(property, values, Action::Refuse, why.into())
    }

    /// Made where nothing is there, else changed, once it is known how.
    pub(super) fn later(&self, property: &'static str, values: (Value, Value), why: impl Into<String>) -> Item {
        let action = if values.0.is_null() { Action::Create } else { Action::Change };
        self.item(property, values, action, why.into())
    }

    /// Made where nothing is there, else changed.
    pub(super) fn put(&self, property: &'static str, values: (Value, Value), why: impl Into<String>, act: Act) -> Item {
        self.put_of(self.name, property, values, why, act)
    }

    /// The same, of what the request knows under another name.
    pub(super) fn put_of(
        &self,
        of: &str,
        property: &'static str,
        values: (Value, Value),
        why: impl Into<String>,
        act: Act,
    ) -> Item {
        Item { call: Some(Call { of: of.to_owned(), act, at_replica: false }), ..self.later(property, values, why) }
    }
}
