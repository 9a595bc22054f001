//! A set-up on paper: the plan is done as [`apply`](super::super::apply) does it, and AWS takes every request.

use std::collections::HashSet;

use aws_sdk_cloudtrail::types::{EventSelector, ReadWriteType};
use aws_sdk_s3::error::BuildError;

use super::super::bucket::ENFORCED;
use super::super::calls::{encryption_rule, replication};
use super::super::policy::prefix;
use super::super::{
    Access, Act, Bucket, Call, Encryption, Found, Key, KeySettings, Logging, Maker, ManagedPolicy, Role, Settings,
    Table, Trail, TrailSettings, Use, UsedKey, Wanted, WantedKey, steps,
};
use super::unknown;

/// What is there, and what was asked for.
pub(super) struct Paper {
    pub(super) wanted: Wanted,
    pub(super) found: Found,
    pub(super) calls: Vec<Call>,
}

impl Paper {
    /// The whole set-up, from nothing but a key that is given.
    pub(super) fn of(wanted: Wanted) -> Result<Self, BuildError> {
        let replica = wanted.of_replica().map(|there| Box::new(Found { key: given(&there), ..Found::default() }));
        let found = Found { key: given(&wanted), replica, ..Found::default() };
        let mut paper = Self { found, wanted, calls: Vec::new() };
        let mut asked = HashSet::new();
        while let Some(call) = paper.next(&mut asked) {
            paper.take(&call)?;
            paper.calls.push(call);
        }
        Ok(paper)
    }

    /// Each item is asked for once.
    fn next(&self, asked: &mut HashSet<(String, &'static str)>) -> Option<Call> {
        let mut items = steps(&self.wanted, &self.found).into_iter();
        items.find_map(|item| item.call.filter(|_| asked.insert((item.resource, item.property))))
    }

    /// What becomes of what is there by a request.
    fn take(&mut self, call: &Call) -> Result<(), BuildError> {
        if let Some(wanted) = self.wanted.of_replica().filter(|_| call.at_replica) {
            return self.take_there(wanted, call);
        }
        let of = call.of.as_str();
        match &call.act {
            Act::CreateKey { .. } | Act::CreateAlias { .. } | Act::RotateKey => self.take_key(&call.act),
            Act::CreateBucket => {
                let fresh = Settings {
                    ownership: Some(ENFORCED.to_owned()),
                    tags: self.wanted.all_tags(),
                    ..Settings::default()
                };
                *self.bucket(of) = Some(Bucket::There(Box::new(fresh)));
            }
            Act::OwnerEnforced => self.set(of, |bucket| bucket.ownership = Some(ENFORCED.to_owned())),
            Act::Versioning => self.set(of, |bucket| bucket.versioning = Some("Enabled".to_owned())),
            Act::Encryption { key, over } => {
                let rule = encryption_rule(key.as_deref(), over.as_deref())?;
                let key = key.clone().map(|arn| UsedKey { arn, ..UsedKey::default() });
                self.set(of, |bucket| bucket.encryption = Some(Encryption { rule, key }));
            }
            Act::BlockPublicAccess => self.set(of, |bucket| bucket.blocked = [true; 4]),
            Act::Policy(policy) => self.set(of, |bucket| bucket.policy = Some(policy.clone())),
            Act::Lifecycle { kept, smallest, added } => {
                let added = added.iter().map(|rule| rule.build()).collect::<Result<Vec<_>, _>>()?;
                let rules = kept.iter().cloned().chain(added).collect();
                self.set(of, |bucket| bucket.lifecycle = (rules, smallest.clone()));
            }
            Act::TagBucket(tags) => self.set(of, |bucket| bucket.tags.clone_from(tags)),
            Act::Log { into } => {
                let logging = Logging { bucket: into.clone(), prefix: prefix(of) };
                self.set(of, |bucket| bucket.logging = Some(logging));
            }
            Act::Replicate { kept, role, to, key } => {
                let all = replication(kept, role, to, key.as_deref())?;
                self.set(of, |bucket| bucket.replication = Some(all));
            }
            Act::CreateTable { of: r#use, key } => {
                let made = self.made(*r#use, key.clone());
                *self.table(*r#use) = Some(made);
            }
            Act::PointInTimeRecovery => self.set_table(of, |table| table.recovery = true),
            Act::DeletionProtection => self.set_table(of, |table| table.protected = true),
            Act::EncryptTable { key } => {
                self.set_table(of, |table| table.encryption = Some(UsedKey { arn: key.clone(), ..UsedKey::default() }));
            }
            Act::Expire => self.set_table(of, |table| table.expiry = Use::State.expiry().map(str::to_owned)),
            Act::TagTable(tags) => self.set_table(of, |table| table.tags.extend(tags.clone())),
            Act::CreateTrail => self.found.trail = Some(Trail::There(self.made_trail())),
            Act::Select(all) => self.set_trail(|trail| trail.selectors.clone_from(all)),
            Act::SelectAdvanced(all) => self.set_trail(|trail| trail.advanced.clone_from(all)),
            Act::StartLogging => self.set_trail(|trail| trail.logging = true),
            Act::CreatePolicy { .. }
            | Act::PolicyVersion(_)
            | Act::TagPolicy(_)
            | Act::CreateRole { .. }
            | Act::Trust(_)
            | Act::RolePolicy { .. }
            | Act::AttachPolicy
            | Act::TagRole(_) => self.take_access(of, &call.act),
        }
        Ok(())
    }

    fn take_key(&mut self, act: &Act) {
        match act {
            Act::CreateKey { .. } => {
                self.found.key = Some(Key::Unnamed(key(unknown::key_arn(&self.wanted), Maker::Setup)));
            }
            Act::CreateAlias { .. } => {
                if let Some(Key::Unnamed(key)) = self.found.key.take() {
                    self.found.key = Some(Key::There(key));
                }
            }
            Act::RotateKey => {
                if let Some(Key::Unnamed(key) | Key::There(key)) = &mut self.found.key {
                    key.rotates = true;
                }
            }
            _ => {}
        }
    }

    fn take_access(&mut self, of: &str, act: &Act) {
        if self.wanted.replicator().as_deref() == Some(of) {
            let role = self.found.replicator.get_or_insert_default();
            return take_role(role, act);
        }
        let Access { policy, role, .. } = self.found.access.entry(of.to_owned()).or_default();
        match act {
            Act::CreatePolicy { document, tags, description } => {
                let (document, tags, description) = (document.clone(), tags.clone(), description.clone());
                *policy = Some(ManagedPolicy { document, tags, description, ..ManagedPolicy::default() });
            }
            Act::PolicyVersion(document) => policy.get_or_insert_default().document.clone_from(document),
            Act::TagPolicy(tags) => policy.get_or_insert_default().tags.extend(tags.clone()),
            act => take_role(role.get_or_insert_default(), act),
        }
    }

    /// What becomes of what is there where the copy goes.
    fn take_there(&mut self, wanted: Wanted, call: &Call) -> Result<(), BuildError> {
        let found = *self.found.replica.take().unwrap_or_default();
        let mut there = Self { wanted, found, calls: Vec::new() };
        there.take(&Call { at_replica: false, ..call.clone() })?;
        self.found.replica = Some(Box::new(there.found));
        Ok(())
    }

    fn made(&self, r#use: Use, key: Option<String>) -> Table {
        Table {
            key: r#use.key().iter().map(|(name, of, part)| ((*name).into(), (*of).into(), (*part).into())).collect(),
            protected: true,
            on_demand: true,
            encryption: key.map(|arn| UsedKey { arn, ..UsedKey::default() }),
            tags: self.wanted.all_tags(),
            ..Table::default()
        }
    }

    /// One that was just made records management events.
    fn made_trail(&self) -> TrailSettings {
        let management =
            EventSelector::builder().read_write_type(ReadWriteType::All).include_management_events(true).build();
        TrailSettings {
            bucket: self.wanted.log_bucket.clone().unwrap_or_default(),
            selectors: vec![management],
            is_ours: true,
            ..TrailSettings::default()
        }
    }

    fn bucket(&mut self, name: &str) -> &mut Option<Bucket> {
        if self.wanted.bucket.as_deref() == Some(name) { &mut self.found.bucket } else { &mut self.found.log_bucket }
    }

    fn table(&mut self, r#use: Use) -> &mut Option<Table> {
        match r#use {
            Use::Locks => &mut self.found.lock_table,
            Use::State => &mut self.found.state_table,
        }
    }

    fn set(&mut self, name: &str, change: impl FnOnce(&mut Settings)) {
        if let Some(Bucket::There(settings)) = self.bucket(name) {
            change(settings);
        }
    }

    fn set_table(&mut self, name: &str, change: impl FnOnce(&mut Table)) {
        let r#use = if self.wanted.lock_table.as_deref() == Some(name) { Use::Locks } else { Use::State };
        if let Some(table) = self.table(r#use) {
            change(table);
        }
    }

    fn set_trail(&mut self, change: impl FnOnce(&mut TrailSettings)) {
        if let Some(Trail::There(trail)) = &mut self.found.trail {
            change(trail);
        }
    }
}

fn take_role(role: &mut Role, act: &Act) {
    match act {
        Act::CreateRole { trust, tags, description: _ } => {
            role.trust.clone_from(trust);
            role.tags.clone_from(tags);
        }
        Act::Trust(trust) => role.trust.clone_from(trust),
        Act::RolePolicy { name, document } => role.others = vec![((*name).to_owned(), document.clone())],
        Act::TagRole(tags) => role.tags.extend(tags.clone()),
        _ => role.carries = true,
    }
}

/// The key that is there.
fn given(wanted: &Wanted) -> Option<Key> {
    let arn = match wanted.key.as_ref()? {
        WantedKey::Given(key) if key.starts_with("arn:") && !key.contains(":alias/") => key.clone(),
        WantedKey::Given(_) => unknown::key_arn(wanted),
        WantedKey::Made(_) => return None,
    };
    Some(Key::There(key(arn, Maker::Owner)))
}

fn key(arn: String, maker: Maker) -> KeySettings {
    KeySettings { arn, state: "Enabled".to_owned(), encrypts: true, maker, rotates: false }
}
