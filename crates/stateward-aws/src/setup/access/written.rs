//! The environments as they are, in files for whoever proves that they are kept apart from others.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::super::{Bucket, Found, KeysInUse, Wanted};
use super::{Side, sides};

/// A file for `stateward policy check --isolation`, or a policy that such a file names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IsolationFile {
    /// What it is called: `dev.toml`, `dev.policy.json`.
    pub name: String,
    /// What is in it.
    pub text: String,
}

/// Each environment as it is there: its part of the file, and the policies beside it. `key_policies` has those of the keys in use, where
/// they may be read. Nothing where no policies can be made.
pub fn isolation_files(wanted: &Wanted, found: &Found, key_policies: &[String]) -> Vec<IsolationFile> {
    let sides = sides(wanted, found).unwrap_or_default();
    sides.iter().flat_map(|side| files(side, found, key_policies)).collect()
}

fn files(side: &Side<'_>, found: &Found, key_policies: &[String]) -> Vec<IsolationFile> {
    let (wanted, name) = (side.wanted, side.environment.name.as_str());
    let mut files = Vec::new();
    let mut file = |what: &str, text: &str| {
        let name = format!("{name}.{what}.json");
        files.push(IsolationFile { name: name.clone(), text: pretty(text) });
        name
    };
    let role = side.own_role();
    let own = side.found.policy.as_ref().map_or_else(|| side.document.to_string(), |policy| policy.document.clone());
    let mut policies = vec![file("policy", &own)];
    let others = role.into_iter().flat_map(|role| &role.others).zip(2..);
    policies.extend(others.map(|((_, text), number)| file(&format!("policy-{number}"), text)));
    let boundary = role.and_then(|role| role.boundary.as_ref()).map(|(_, text)| file("boundary", text));
    let trust = role.map(|role| file("trust", &role.trust));
    let of_bucket = match &found.bucket {
        Some(Bucket::There(settings)) => settings.policy.as_deref(),
        _ => None,
    };
    let of_table = found.lock_table.as_ref().and_then(|table| table.policy.as_deref());
    let mut resources: Vec<String> = of_bucket.map(|text| file("bucket", text)).into_iter().collect();
    resources.extend(of_table.map(|text| file("lock-table", text)));
    resources.extend(key_policies.iter().zip(1..).map(|(text, number)| file(&format!("key-{number}"), text)));

    let KeysInUse { state, lock_table: of_table } = KeysInUse::of(wanted, found);
    // Who may put another version of the boundary is tried, too.
    let of_boundary = role.and_then(|role| role.boundary.as_ref()).map(|(arn, _)| arn.clone());
    let managed: Vec<String> = super::apart::managed(side).into_iter().chain(of_boundary).collect();
    let settings = [
        ("principal", json!(wanted.iam_arn("role", &side.name))),
        ("layout", json!("stateward")),
        ("bucket", json!(side.bucket)),
        ("prefix", json!(name)),
        ("workspaces", json!(true)),
        ("workspace_key_prefix", json!(name)),
        ("lock_table", json!(wanted.lock_table)),
        ("use_lockfile", json!(wanted.use_lockfile())),
        ("kms_key", json!(state)),
        ("lock_table_kms_key", json!(of_table)),
        ("region", json!(wanted.region)),
        ("account", json!(wanted.account)),
        ("partition", json!(wanted.partition)),
        ("policies", json!(policies)),
        ("managed_policies", json!(managed)),
        ("boundary", json!(boundary)),
        ("trust", json!(trust)),
        ("resource_policies", json!(resources)),
    ];
    let mut text = format!("[environments.{}]\n", json!(name));
    // What JSON writes of strings and lists of them TOML reads.
    for (key, value) in settings.iter().filter(|(_, value)| !value.is_null()) {
        let _ = writeln!(text, "{key} = {value}");
    }
    files.push(IsolationFile { name: format!("{name}.toml"), text });
    files
}

/// The policy on many lines; as it is where it cannot be read.
fn pretty(policy: &str) -> String {
    let read: Result<Value, _> = serde_json::from_str(policy);
    let pretty = read.ok().and_then(|read| serde_json::to_string_pretty(&read).ok());
    pretty.unwrap_or_else(|| policy.to_owned()) + "\n"
}
