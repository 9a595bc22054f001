//! What the lab answers by itself about the policies that it was told.

use serde_json::{Value, json};

use crate::answer::{self, Answer, Refused};
use crate::ask::{Service, Told};
use crate::config::compile::default_key_policy;
use crate::world::{Account, Stored, World, account_of};

type Result<T> = std::result::Result<T, Refused>;

/// Of whatever organization nobody named, and of its management account.
const ORGANIZATION: &str = "o-lab0000000";
const MANAGEMENT: &str = "999999999999";

const SCP: &str = "SERVICE_CONTROL_POLICY";
const RCP: &str = "RESOURCE_CONTROL_POLICY";

/// Answers by what is known of the world; `account` is the caller's.
pub(crate) fn tell(world: &World, told: &Told, account: &str) -> Result<Answer> {
    let (service, body) = match told {
        Told::TablePolicy { arn } => (Service::Dynamodb, table_policy(world, arn)?),
        Told::KeyPolicy { arn } => (Service::Kms, key_policy(world, arn)),
        Told::Organization => (Service::Organizations, organization(world, account)?),
        Told::Parents { child } => (Service::Organizations, parents(world, child)?),
        Told::Attached { target, kind } => (Service::Organizations, attached(world, target, kind)?),
        Told::OrganizationPolicy { id } => (Service::Organizations, policy(world, id)?),
    };
    Ok(answer::json(service, &body))
}

fn table_policy(world: &World, arn: &str) -> Result<Value> {
    let policy = world.tables.get(arn).and_then(|table| table.policy.as_ref());
    let policy = policy.ok_or_else(|| {
        let message = format!("Resource-based policy not found for the provided ResourceArn: {arn}");
        Refused::new(400, "PolicyNotFoundException", message)
    })?;
    Ok(json!({ "Policy": policy.document.to_string(), "RevisionId": "1" }))
}

fn key_policy(world: &World, arn: &str) -> Value {
    let newest = world.keys.get(arn).and_then(|key| key.policies.last()).map(|(_, policy)| policy.clone());
    let policy = newest.unwrap_or_else(|| default_key_policy(account_of(arn).unwrap_or_default()));
    json!({ "Policy": policy.document.to_string(), "PolicyName": "default" })
}

fn organization(world: &World, account: &str) -> Result<Value> {
    let own = world.accounts.get(account);
    let Some(own) = own.filter(|own| own.organization.is_some() || own.scps.is_some() || own.rcps.is_some()) else {
        let message = "Your account is not a member of an organization.";
        return Err(Refused::new(400, "AWSOrganizationsNotInUseException", message));
    };
    let of_same = |other: &Account| other.management && other.organization == own.organization;
    let management = world.accounts.iter().find(|(_, other)| of_same(other)).map_or(MANAGEMENT, |(number, _)| number);
    let id = own.organization.as_deref().unwrap_or(ORGANIZATION);
    Ok(json!({ "Organization": {
        "Id": id,
        "Arn": format!("arn:aws:organizations::{management}:organization/{id}"),
        "FeatureSet": "ALL",
        "MasterAccountId": management,
    } }))
}

/// A root, a unit below it, or an account: each account has a root and units of its own here.
struct Node<'a> {
    number: &'a str,
    account: &'a Account,
    /// From the root, which is 0.
    level: usize,
}

impl<'a> Node<'a> {
    fn of(world: &'a World, id: &'a str) -> Result<Self> {
        let (number, level) = match id.split('-').collect::<Vec<_>>().as_slice() {
            ["r", number] => (*number, Some(0)),
            ["ou", number, level] => (*number, level.trim_start_matches("level").parse().ok()),
            [number] => (*number, None),
            _ => (id, None),
        };
        let account = world.accounts.get(number);
        let account = account.ok_or_else(|| {
            Refused::new(400, "TargetNotFoundException", "You specified a target that does not exist.")
        })?;
        Ok(Self { number, account, level: level.unwrap_or_else(|| depth(account)) })
    }

    fn id(&self) -> String {
        match self.level {
            0 => format!("r-{}", self.number),
            level if level == depth(self.account) => self.number.to_owned(),
            level => format!("ou-{}-level{level:03}", self.number),
        }
    }

    /// The policies of a kind that are attached to it, each with its ID.
    fn policies(&self, kind: &str) -> Vec<(String, Stored)> {
        let levels = if kind == SCP { &self.account.scps } else { &self.account.rcps };
        let Some(levels) = levels else { return Vec::new() };
        let Some(level) = levels.get(self.level) else { return vec![everything(kind)] };
        let letter = kind.chars().next().unwrap_or_default();
        let id = |index| format!("p-{}{letter}{}x{index}", self.number, self.level);
        level.iter().enumerate().map(|(index, policy)| (id(index), policy.clone())).collect()
    }
}

/// The level of an account; the root alone is above where nothing else is told.
fn depth(account: &Account) -> usize {
    let levels = [&account.scps, &account.rcps].into_iter().flatten().map(Vec::len).max().unwrap_or_default();
    levels.saturating_sub(1).max(1)
}

/// AWS's own, which refuses nothing; it stands where nothing is told.
fn everything(kind: &str) -> (String, Stored) {
    let (name, principal) = if kind == SCP { ("FullAWSAccess", None) } else { ("RCPFullAWSAccess", Some("*")) };
    let mut statement = json!({ "Effect": "Allow", "Action": "*", "Resource": "*" });
    if let Some(principal) = principal {
        statement["Principal"] = principal.into();
    }
    let document = json!({ "Version": "2012-10-17", "Statement": [statement] });
    (format!("p-{name}"), Stored { name: name.to_owned(), arn: None, document })
}

fn parents(world: &World, child: &str) -> Result<Value> {
    let node = Node::of(world, child)?;
    let Some(level) = node.level.checked_sub(1) else {
        return Err(Refused::new(400, "ChildNotFoundException", "You specified a child that does not exist."));
    };
    let kind = if level == 0 { "ROOT" } else { "ORGANIZATIONAL_UNIT" };
    Ok(json!({ "Parents": [{ "Id": Node { level, ..node }.id(), "Type": kind }] }))
}

fn attached(world: &World, target: &str, kind: &str) -> Result<Value> {
    let policies = Node::of(world, target)?.policies(kind);
    let summary =
        |(id, policy): &(String, Stored)| json!({ "Id": id, "Arn": policy.arn, "Name": policy.name, "Type": kind });
    Ok(json!({ "Policies": policies.iter().map(summary).collect::<Vec<_>>() }))
}

fn policy(world: &World, id: &str) -> Result<Value> {
    let nodes = world
        .accounts
        .iter()
        .flat_map(|(number, account)| (0..=depth(account)).map(move |level| Node { number, account, level }));
    let mut policies = nodes.flat_map(|node| [SCP, RCP].map(|kind| node.policies(kind))).flatten();
    let found = policies.find(|(own, _)| own == id).map(|(_, policy)| policy);
    let found = found
        .ok_or_else(|| Refused::new(400, "PolicyNotFoundException", "You specified a policy that does not exist."))?;
    Ok(json!({ "Policy": {
        "PolicySummary": { "Id": id, "Arn": found.arn, "Name": found.name },
        "Content": found.document.to_string(),
    } }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    const ACCOUNT: &str = "123456789012";

    fn world(account: &Value) -> World {
        let config: Config = json!({ "accounts": { ACCOUNT: account } }).to_string().parse().expect("a configuration");
        config.compile(&|path| panic!("no file is named, not {}", path.display())).expect("a world")
    }

    /// The targets from an account up to its root, with the names of what is attached to each.
    fn levels(world: &World, kind: &str) -> Vec<(String, Vec<String>)> {
        let mut target = ACCOUNT.to_owned();
        let mut found = Vec::new();
        loop {
            let attached = attached(world, &target, kind).expect("a target");
            let names = attached["Policies"].as_array().expect("a list").iter().map(|policy| {
                let id = policy["Id"].as_str().expect("an ID");
                let described = super::policy(world, id).expect("a policy");
                assert_eq!(described["Policy"]["PolicySummary"]["Name"], policy["Name"]);
                policy["Name"].as_str().expect("a name").to_owned()
            });
            found.push((target.clone(), names.collect()));
            match parents(world, &target) {
                Ok(parents) => parents["Parents"][0]["Id"].as_str().expect("an ID").clone_into(&mut target),
                Err(error) => {
                    assert_eq!(error.code, "ChildNotFoundException");
                    return found;
                }
            }
        }
    }

    #[test]
    fn from_an_account_to_its_root() {
        let rcp = |name: &str| json!({ "name": name, "policy": everything(RCP).1.document });
        let scp = |name: &str| json!({ "name": name, "policy": everything(SCP).1.document });
        let scps = json!([[scp("root")], [scp("unit")], [scp("own"), scp("second")]]);
        let world = world(&json!({ "scps": scps, "rcps": [[rcp("rcp")]] }));
        let of = |kind| levels(&world, kind);
        let told = |levels: &[(&str, &[&str])]| -> Vec<(String, Vec<String>)> {
            let owned = |names: &&[&str]| names.iter().map(|name| (*name).to_owned()).collect();
            levels.iter().map(|(id, names)| ((*id).to_owned(), owned(names))).collect()
        };
        let (account, unit, root) = (ACCOUNT, "ou-123456789012-level001", "r-123456789012");
        let expected = told(&[(account, &["own", "second"]), (unit, &["unit"]), (root, &["root"])]);
        assert_eq!(of(SCP), expected);
        // Below what is told everything is open.
        let expected = told(&[(account, &["RCPFullAWSAccess"]), (unit, &["RCPFullAWSAccess"]), (root, &["rcp"])]);
        assert_eq!(of(RCP), expected);
    }

    #[test]
    fn an_organization_is_in_use_where_something_is_told_of_it() {
        let code = |account: Value| organization(&world(&account), ACCOUNT).map_err(|error| error.code);
        assert_eq!(code(json!({})), Err("AWSOrganizationsNotInUseException"));
        assert_eq!(code(json!({ "organization": "o-a" })).expect("one")["Organization"]["Id"], "o-a");
        let own = code(json!({ "organization": "o-a", "management": true })).expect("one");
        assert_eq!(own["Organization"]["MasterAccountId"], ACCOUNT);
    }
}
