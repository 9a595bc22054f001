//! Who there is, what belongs to whom, and which policies have a say.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::ask::Context;
use crate::config::{Answers, Network, Upstream};
use crate::key_state::KeyState;

/// A policy with its name.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Stored {
    pub(crate) name: String,
    /// A managed policy has one.
    pub(crate) arn: Option<String>,
    pub(crate) document: Value,
}

impl Stored {
    /// As a scenario names it.
    pub(crate) fn to_json(&self) -> Value {
        json!({ "name": self.name, "policy": self.document })
    }
}

/// All that the lab knows beside what is stored upstream.
#[derive(Debug, Clone)]
pub struct World {
    pub(crate) upstream: Option<Upstream>,
    pub(crate) network: Network,
    pub(crate) answers: Answers,
    pub(crate) accounts: BTreeMap<String, Account>,
    pub(crate) users: Vec<User>,
    pub(crate) roles: Vec<Role>,
    pub(crate) sessions: Vec<Session>,
    /// By name.
    pub(crate) buckets: BTreeMap<String, Bucket>,
    /// By ARN.
    pub(crate) tables: BTreeMap<String, Table>,
    /// By ARN.
    pub(crate) keys: BTreeMap<String, Key>,
    pub(crate) providers: Vec<Provider>,
    /// Managed policies that requests have made, by ARN.
    pub(crate) managed: BTreeMap<String, Value>,
    pub(crate) vpc_endpoint: Option<VpcEndpoint>,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Account {
    pub(crate) organization: Option<String>,
    pub(crate) management: bool,
    pub(crate) scps: Option<Vec<Vec<Stored>>>,
    pub(crate) rcps: Option<Vec<Vec<Stored>>>,
}

/// What a client signs with.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The access key ID.
    pub access_key: String,
    /// The secret access key.
    pub secret_key: String,
    /// The session token, where they are temporary.
    pub token: Option<String>,
}

impl Credentials {
    /// What the access keys begin with that the lab makes up, behind AWS's own four letters.
    pub(crate) const MADE_UP: &str = "LAB";

    /// Whether the lab made them up, so that they are nobody's secret.
    pub fn is_made_up(&self) -> bool {
        self.access_key.get(4..).is_some_and(|rest| rest.starts_with(Self::MADE_UP))
    }
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials").field("access_key", &self.access_key).finish_non_exhaustive()
    }
}

/// A user, or an account's root.
#[derive(Debug, Clone)]
pub(crate) struct User {
    pub(crate) arn: String,
    pub(crate) credentials: Credentials,
    pub(crate) policies: Vec<Stored>,
    pub(crate) boundary: Option<Stored>,
    pub(crate) tags: BTreeMap<String, String>,
}

#[derive(Debug, Clone)]
pub(crate) struct Role {
    pub(crate) arn: String,
    pub(crate) trust: Option<Stored>,
    pub(crate) policies: Vec<Stored>,
    pub(crate) boundary: Option<Stored>,
    pub(crate) tags: BTreeMap<String, String>,
    /// Whether a request made it.
    pub(crate) made: bool,
}

/// A provider of `OpenID` Connect that an account trusts.
#[derive(Debug, Clone)]
pub(crate) struct Provider {
    pub(crate) arn: String,
    pub(crate) audiences: Vec<String>,
}

/// A session of a role.
#[derive(Debug, Clone)]
pub(crate) struct Session {
    /// The role's ARN.
    pub(crate) role: String,
    pub(crate) name: String,
    pub(crate) credentials: Credentials,
    pub(crate) policies: Option<Vec<Stored>>,
    pub(crate) tags: BTreeMap<String, String>,
    /// What conditions can ask about the identity that a provider vouched for.
    pub(crate) identity: Context,
    pub(crate) issued: Timestamp,
    pub(crate) expires: Timestamp,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Bucket {
    pub(crate) account: Option<String>,
    pub(crate) region: Option<String>,
    pub(crate) policy: Option<Stored>,
    pub(crate) kms_key: Option<String>,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Table {
    pub(crate) policy: Option<Stored>,
    pub(crate) kms_key: Option<String>,
}

#[derive(Debug, Clone)]
pub(crate) struct Key {
    pub(crate) aliases: Vec<String>,
    /// Its policies with the time from which each holds, in order; never empty.
    pub(crate) policies: Vec<(Timestamp, Stored)>,
    /// The same of its states.
    pub(crate) states: Vec<(Timestamp, KeyState)>,
}

impl Key {
    /// It has always been like this.
    pub(crate) fn new(policy: Stored, aliases: Vec<String>, state: KeyState) -> Self {
        Self { aliases, policies: vec![(Timestamp::MIN, policy)], states: vec![(Timestamp::MIN, state)] }
    }

    /// The policy that held at a time.
    pub(crate) fn policy_at(&self, time: Timestamp) -> Option<&Stored> {
        held_at(&self.policies, time)
    }

    /// The state that it was in at a time.
    pub(crate) fn state_at(&self, time: Timestamp) -> KeyState {
        held_at(&self.states, time).copied().unwrap_or_default()
    }

    /// What changed holds from now on.
    fn follow(&mut self, before: &Self, now: Timestamp) {
        self.policies = followed(&before.policies, self.policies.pop(), now);
        self.states = followed(&before.states, self.states.pop(), now);
    }
}

fn held_at<T>(all: &[(Timestamp, T)], time: Timestamp) -> Option<&T> {
    let held = all.iter().rev().find(|(from, _)| *from <= time);
    held.or(all.first()).map(|(_, one)| one)
}

fn followed<T: Clone + PartialEq>(
    before: &[(Timestamp, T)],
    newest: Option<(Timestamp, T)>,
    now: Timestamp,
) -> Vec<(Timestamp, T)> {
    let mut all = before.to_vec();
    if let Some((_, newest)) = newest.filter(|(_, newest)| all.last().is_none_or(|(_, last)| last != newest)) {
        all.push((now, newest));
    }
    all
}

#[derive(Debug, Clone)]
pub(crate) struct VpcEndpoint {
    pub(crate) id: String,
    pub(crate) vpc: Option<String>,
    pub(crate) policy: Option<Stored>,
    pub(crate) services: Vec<String>,
}

/// The account in an ARN.
pub(crate) fn account_of(arn: &str) -> Option<&str> {
    arn.split(':').nth(4).filter(|account| !account.is_empty())
}

/// What follows the fifth colon of an ARN.
pub(crate) fn resource_of(arn: &str) -> &str {
    arn.splitn(6, ':').nth(5).unwrap_or_default()
}

/// The last part of a name with a path.
pub(crate) fn name_of(arn: &str) -> &str {
    arn.rsplit('/').next().unwrap_or(arn)
}

impl World {
    /// Everyone who can sign, with what they sign with: users, roots and the sessions that are there from the start.
    pub fn credentials(&self) -> impl Iterator<Item = (String, &Credentials)> {
        let users = self.users.iter().map(|user| (user.arn.clone(), &user.credentials));
        users.chain(self.sessions.iter().map(|session| (session.arn(), &session.credentials)))
    }

    pub(crate) fn role(&self, arn: &str) -> Option<&Role> {
        self.roles.iter().find(|role| role.arn == arn)
    }

    /// The key of an ARN, an ID, or an alias; its ARN comes with it.
    pub(crate) fn key(&self, named: &str) -> Option<(&str, &Key)> {
        let alias = named.rsplit_once(":alias/").map(|(_, name)| format!("alias/{name}"));
        let alias = alias.as_deref().unwrap_or(named);
        let is_named =
            |arn: &str, key: &Key| arn == named || name_of(arn) == named || key.aliases.iter().any(|own| own == alias);
        self.keys.iter().find(|(arn, key)| is_named(arn, key)).map(|(arn, key)| (arn.as_str(), key))
    }

    /// Whether AWS explains a refusal to somebody of one account about a resource of another.
    pub(crate) fn explains(&self, principal: Option<&str>, owner: Option<&str>) -> bool {
        let organization = |account| self.accounts.get(account).and_then(|account| account.organization.as_deref());
        match (principal, owner) {
            (Some(principal), Some(owner)) if principal != owner => {
                organization(principal).is_some() && organization(principal) == organization(owner)
            }
            _ => true,
        }
    }

    /// Goes on with another world's principals and policies. What changed of a key's policy or state holds from now on. Buckets,
    /// tables, keys and roles that it says nothing of stay as requests have made them.
    pub(crate) fn follow(&mut self, before: &Self, now: Timestamp) {
        keep(&mut self.buckets, &before.buckets);
        keep(&mut self.tables, &before.tables);
        for (arn, key) in &mut self.keys {
            let Some(old) = before.keys.get(arn) else { continue };
            key.follow(old, now);
        }
        keep(&mut self.keys, &before.keys);
        keep(&mut self.managed, &before.managed);
        let made = before.roles.iter().filter(|role| role.made && self.role(&role.arn).is_none());
        let made: Vec<Role> = made.cloned().collect();
        self.roles.extend(made);
    }
}

fn keep<T: Clone>(now: &mut BTreeMap<String, T>, before: &BTreeMap<String, T>) {
    for (name, one) in before {
        now.entry(name.clone()).or_insert_with(|| one.clone());
    }
}

impl Session {
    /// `arn:aws:sts::ACCOUNT:assumed-role/ROLE/SESSION`.
    pub(crate) fn arn(&self) -> String {
        let account = account_of(&self.role).unwrap_or_default();
        let partition = self.role.split(':').nth(1).unwrap_or("aws");
        format!("arn:{partition}:sts::{account}:assumed-role/{}/{}", name_of(&self.role), self.name)
    }
}
