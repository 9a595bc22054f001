//! What is tried: every action that AWS knows for what an environment keeps, on names that its states have.

use std::collections::BTreeSet;

use super::Environment;
use super::meet::meet;
use crate::data::{self, Action};
use crate::needs::{Conditions, Layout, Purpose, Target, objects_of_others};
use crate::policy::principal::Principal;
use crate::policy::{Effect, Statement};
use crate::value::arn::Segments;
use crate::value::glob::is_like;

/// A request of one environment about what another one has.
pub(super) struct Probe {
    pub(super) action: String,
    pub(super) resource: String,
    /// Keys that the request has, in lower case.
    pub(super) context: Vec<(&'static str, Given)>,
    /// Whether both environments use the resource, and the action tells and changes nothing of the other's state.
    pub(super) harmless: bool,
}

impl Probe {
    fn new(action: &Action, resource: &str, context: Vec<(&'static str, Given)>, harmless: bool) -> Self {
        let action = format!("{}:{}", action.service, action.name);
        Self { action, resource: resource.to_owned(), context, harmless }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Given {
    One(String),
    Several(Vec<String>),
    /// The request does not have the key.
    Nothing,
}

const PREFIX: &str = "s3:prefix";
const LEADING: &str = "dynamodb:leadingkeys";
const VIA: &str = "kms:viaservice";

/// They take `s3:prefix`.
const LISTINGS: &[&str] = &["ListBucket", "ListBucketMultipartUploads", "ListBucketVersions"];
/// Their requests name items, by which they can be limited.
const OF_ITEMS: &[&str] = &[
    "BatchGetItem",
    "BatchWriteItem",
    "ConditionCheckItem",
    "DeleteItem",
    "GetItem",
    "PartiQLDelete",
    "PartiQLInsert",
    "PartiQLSelect",
    "PartiQLUpdate",
    "PutItem",
    "Query",
    "UpdateItem",
];
/// They read items, whatever AWS's list has for their level.
const OF_CONTENT: &[&str] = &["GetRecords", "ReadDataForReplication", "Scan", "SearchVectors"];
/// What states are encrypted with a key for. It opens no object and no item that its caller may not read.
const OF_USE: &[&str] =
    &["Decrypt", "Encrypt", "GenerateDataKey", "GenerateDataKeyWithoutPlaintext", "ReEncryptFrom", "ReEncryptTo"];

/// All that one environment tries about the other.
pub(super) fn of(from: &Environment, to: &Environment) -> Vec<Probe> {
    let targets: BTreeSet<Target> = to.keeping.needs(Purpose::Admin).iter().map(|need| need.target).collect();
    let sides = Sides { from, to, account: to.account() };
    let mut probes = Vec::new();
    for target in targets {
        match target {
            Target::State | Target::Lockfile | Target::Store | Target::Records => sides.objects(target, &mut probes),
            Target::Names | Target::Workspaces => sides.names(target, &mut probes),
            Target::StateItem | Target::LockItem | Target::DigestItem => sides.items(target, &mut probes),
            Target::Key | Target::LockTableKey => sides.key(target, &mut probes),
            // All that a store keeps in a table is its own.
            Target::StateTable if to.keeping.layout == Layout::StatewardDynamodb => sides.items(target, &mut probes),
            // Tables and buckets have items and names, with which they are tried.
            Target::StateTable | Target::LockTable | Target::LockfileKey => {}
        }
    }
    sides.principals(&mut probes);
    probes
}

struct Sides<'a> {
    from: &'a Environment,
    to: &'a Environment,
    account: String,
}

/// Actions on a type of resource.
fn actions(service: &'static str, kind: &'static str) -> impl Iterator<Item = &'static Action> {
    let mut found: Vec<_> = data::actions(service).filter(|action| action.resources.contains(&kind)).collect();
    found.sort_by_key(|action| action.name);
    found.into_iter()
}

fn only_tells(action: &Action) -> bool {
    matches!(action.level, "Read" | "List")
}

impl Sides<'_> {
    fn objects(&self, target: Target, probes: &mut Vec<Probe>) {
        let keeping = &self.to.keeping;
        let samples = target.samples(keeping, &self.account).into_iter().map(|sample| sample.resource);
        let patterns = Patterns { own: target.resources(keeping), others: objects_of_others(keeping) };
        for name in self.and_met(samples, &patterns, arns) {
            probes.extend(actions("s3", "object").map(|action| Probe::new(action, &name, Vec::new(), false)));
        }
    }

    /// Listings, and all else that is done to a bucket.
    fn names(&self, target: Target, probes: &mut Vec<Probe>) {
        let keeping = &self.to.keeping;
        let samples: Vec<_> = target.samples(keeping, &self.account);
        let Some(bucket) = samples.first().map(|sample| sample.resource.clone()) else { return };
        let prefixes = samples.into_iter().flat_map(|sample| sample.context).flat_map(|(_, values)| values.into_list());
        let patterns = Patterns::of(&target.conditions(keeping), "s3:prefix");
        let prefixes: Vec<String> = prefixes.flat_map(|prefix| beginnings(&prefix)).collect();
        let prefixes = self.and_met(prefixes.into_iter(), &patterns, |statement| values(statement, PREFIX));
        let own = !self.from.keeping.layout.in_table() && self.from.keeping.place == keeping.place;
        for action in actions("s3", "bucket") {
            let is_listing = LISTINGS.contains(&action.name);
            let given = match is_listing {
                true => prefixes.iter().cloned().map(Given::One).chain([Given::Nothing]).collect(),
                false => vec![Given::Nothing],
            };
            let harmless = own && !is_listing && only_tells(action);
            probes.extend(given.into_iter().map(|given| Probe::new(action, &bucket, vec![(PREFIX, given)], harmless)));
        }
    }

    /// Items, and all else that is done to a table, its streams and its backups.
    fn items(&self, target: Target, probes: &mut Vec<Probe>) {
        let keeping = &self.to.keeping;
        let samples: Vec<_> = target.samples(keeping, &self.account);
        let Some(table) = samples.first().map(|sample| sample.resource.clone()) else { return };
        let keys = samples.into_iter().flat_map(|sample| sample.context).flat_map(|(_, values)| values.into_list());
        let patterns = match target {
            Target::StateTable => Patterns { own: vec!["*".to_owned()], others: Vec::new() },
            _ => Patterns::of(&target.conditions(keeping), "dynamodb:LeadingKeys"),
        };
        let keys = self.and_met(keys, &patterns, |statement| values(statement, LEADING));
        let name = table.rsplit('/').next().unwrap_or_default();
        let own = self.from.keeping.has_table(name) && self.from.account() == self.account;
        for action in actions("dynamodb", "table") {
            let is_of_items = OF_ITEMS.contains(&action.name);
            let given = match is_of_items {
                true => keys.iter().map(|key| Given::Several(vec![key.clone()])).chain([Given::Nothing]).collect(),
                false => vec![Given::Nothing],
            };
            let harmless = own && !is_of_items && only_tells(action) && !OF_CONTENT.contains(&action.name);
            probes.extend(given.into_iter().map(|given| Probe::new(action, &table, vec![(LEADING, given)], harmless)));
        }
        for (kind, below) in
            [("stream", "stream/2026-01-01T00:00:00.000"), ("backup", "backup/1"), ("export", "export/1")]
        {
            let resource = format!("{table}/{below}");
            let of_kind = actions("dynamodb", kind).map(|action| {
                let harmless = own && only_tells(action) && !OF_CONTENT.contains(&action.name);
                Probe::new(action, &resource, Vec::new(), harmless)
            });
            probes.extend(of_kind);
        }
    }

    fn key(&self, target: Target, probes: &mut Vec<Probe>) {
        let samples = target.samples(&self.to.keeping, &self.account);
        for sample in samples {
            let via = sample.context.into_iter().flat_map(|(_, values)| values.into_list()).map(Given::One);
            let given: Vec<Given> = via.chain([Given::Nothing]).collect();
            let own = self.from.keeping.keys().any(|key| *key == sample.resource);
            for action in actions("kms", "key") {
                let harmless = own && (only_tells(action) || OF_USE.contains(&action.name));
                let probe = |given: &Given| Probe::new(action, &sample.resource, vec![(VIA, given.clone())], harmless);
                probes.extend(given.iter().map(probe));
            }
        }
    }

    /// To become whoever works in the other environment, to change what that one may do, and to change what one may do oneself:
    /// by the user or role, and by the policies that these have.
    fn principals(&self, probes: &mut Vec<Probe>) {
        if let Some((kind, arn)) = owner(&self.to.principal) {
            let assumed = actions("sts", kind).filter(|action| action.name == "AssumeRole");
            let changed = actions("iam", kind).filter(|action| !only_tells(action));
            probes.extend(assumed.chain(changed).map(|action| Probe::new(action, &arn, Vec::new(), false)));
        }
        for arn in changeable(self.to) {
            let changed = actions("iam", "policy").filter(|action| !only_tells(action));
            probes.extend(changed.map(|action| Probe::new(action, arn, Vec::new(), false)));
        }
        // In another account, whoever may do more in its own has nothing of it.
        let beside = self.from.account() == self.account;
        let own = owner(&self.from.principal).into_iter();
        let own = own.chain(changeable(self.from).map(|arn| ("policy", arn.clone())));
        for (kind, arn) in own.filter(|_| beside) {
            let changed = actions("iam", kind).filter(|action| action.level.starts_with("Permissions-management"));
            probes.extend(changed.map(|action| Probe::new(action, &arn, Vec::new(), false)));
        }
    }

    /// Names, and those that a pattern in the other's policies shares with one of these patterns.
    fn and_met<'s>(
        &'s self,
        names: impl Iterator<Item = String>,
        patterns: &Patterns,
        of: impl Fn(&'s Statement) -> Vec<&'s str>,
    ) -> BTreeSet<String> {
        let named = self.from.policies.all().chain(&self.to.resource_policies);
        let statements = named.flat_map(|named| named.policy.statements.iter());
        let allowing = statements.filter(|statement| statement.effect == Effect::Allow);
        let theirs: BTreeSet<String> = allowing.flat_map(of).map(without_variables).collect();
        let met = theirs.iter().flat_map(|their| patterns.own.iter().filter_map(|own| meet(their, &named_well(own))));
        let of_others = |name: &String| patterns.others.iter().any(|other| is_like(other, name));
        names.chain(met.filter(|name| !of_others(name))).collect()
    }
}

/// Its managed policies, less those of AWS's own, which nobody changes.
fn changeable(environment: &Environment) -> impl Iterator<Item = &String> {
    environment.managed.iter().filter(|arn| Segments::of(arn).is_some_and(|of| of.account() != "aws"))
}

/// The ARNs of a statement.
fn arns(statement: &Statement) -> Vec<&str> {
    let elements = statement.resources.iter().flat_map(|element| &element.patterns);
    elements.map(|(_, pattern)| pattern.source.as_str()).collect()
}

/// What a statement compares a key with.
fn values<'s>(statement: &'s Statement, key: &str) -> Vec<&'s str> {
    let conditions = statement.conditions.iter().filter(|condition| condition.key == key);
    conditions.flat_map(|condition| &condition.values).map(String::as_str).collect()
}

/// What stands for the names of an environment.
struct Patterns {
    own: Vec<String>,
    /// What the wildcards of its own cover, too, and is another's.
    others: Vec<String>,
}

impl Patterns {
    /// What a target's own conditions let through.
    fn of(conditions: &Conditions, key: &str) -> Self {
        let all = |is_negated: bool| {
            let meant = conditions
                .iter()
                .filter(move |(operator, _)| operator.contains("Not") == is_negated && *operator != "Null");
            meant.filter_map(|(_, keys)| keys.get(key)).flatten().cloned().collect()
        };
        Self { own: all(false), others: all(true) }
    }
}

/// `${aws:username}` may stand for anything.
fn without_variables(pattern: &str) -> String {
    let mut plain = String::new();
    let mut rest = pattern;
    while let Some((before, variable)) = rest.split_once("${") {
        plain.push_str(before);
        plain.push('*');
        rest = variable.split_once('}').map_or("", |(_, after)| after);
    }
    plain + rest
}

/// A name, and each prefix by which a listing tells it.
fn beginnings(name: &str) -> Vec<String> {
    name.char_indices()
        .map(|(end, _)| end)
        .chain([name.len()])
        .filter_map(|end| name.get(..end))
        .map(str::to_owned)
        .collect()
}

/// A prefix alone is no name.
fn named_well(pattern: &str) -> String {
    pattern.strip_suffix('*').map_or_else(|| pattern.to_owned(), |prefix| format!("{prefix}?*"))
}

/// The user or role behind a principal, with its type.
pub(super) fn owner(principal: &str) -> Option<(&'static str, String)> {
    match Principal::parse(principal)? {
        Principal::User { arn } => Some(("user", arn)),
        Principal::Role { arn } => Some(("role", arn)),
        session @ Principal::Session { .. } => {
            let (name, account) = session.role()?;
            let partition = principal.split(':').nth(1)?;
            Some(("role", format!("arn:{partition}:iam::{account}:role/{name}")))
        }
        _ => None,
    }
}
