//! The set-up as text.

use serde_json::Value;
use stateward_aws::setup::{Action, Item, Wanted};

use crate::output::human::{hanging, one_line, word};
use crate::output::{BOLD, GREEN, RED, YELLOW};

/// Of the configuration that the block is for.
const STATE_KEY: &str = "terraform.tfstate";
const PURPOSES: &str = "`plan`, `apply`, or `admin`, which also deletes workspaces and breaks locks";
/// As wide as an action and its blanks.
const INDENT: &str = "          ";

/// Each resource with its settings, and below what is done why.
pub(super) fn plan(items: &[Item]) -> String {
    let resources = items.chunk_by(|one, other| one.resource == other.resource);
    let told = resources.filter_map(|items| {
        let title = format!("{BOLD}{}{BOLD:#}\n", one_line(&items.first()?.resource));
        Some(title + &items.iter().map(line).collect::<String>())
    });
    told.collect::<Vec<_>>().join("\n")
}

fn line(item: &Item) -> String {
    let colour = match item.action {
        Action::Create => GREEN,
        Action::Change => YELLOW,
        Action::Refuse => RED,
        Action::Keep => anstyle::Style::new(),
    };
    let action = word(item.action);
    let values = if item.action == Action::Keep || item.current.is_null() {
        value(&item.wanted)
    } else {
        format!("{} -> {}", value(&item.current), value(&item.wanted))
    };
    let line = format!("  {colour}{action:6}{colour:#}  {:19}  {}\n", item.property, one_line(&values));
    if item.action == Action::Keep { line } else { line + &hanging(INDENT, INDENT.len(), &item.why) }
}

fn value(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::Bool(on) => if *on { "on" } else { "off" }.to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(all) => all.iter().map(self::value).collect::<Vec<_>>().join(" "),
        Value::Object(all) => {
            let pair = |(key, of): (&String, &Value)| format!("{key}={}", self::value(of));
            all.iter().map(pair).collect::<Vec<_>>().join(" ")
        }
        Value::Number(number) => number.to_string(),
    }
}

pub(super) fn done(item: &Item) -> String {
    format!("done: {} of {}\n", item.property, item.resource)
}

/// What to write where, now that all is there.
pub(super) fn ready(wanted: &Wanted, key: Option<&str>) -> String {
    let region = &wanted.region;
    let lock = wanted.lock_table.as_deref().map(|table| format!("&lock_table={table}"));
    let mut parts = vec!["\nAll is there.\n".to_owned()];
    let mut of_store = Vec::new();
    if let Some(bucket) = &wanted.bucket {
        parts.push("\nFor Terraform and OpenTofu, with a `key` of its own for each configuration:\n\n".to_owned());
        parts.push(block(wanted, bucket, key));
        let own = format!("--bucket {bucket} --key {STATE_KEY} --workspaces");
        parts.push(format!("\nThe policy for who runs it, as `--for` says: {PURPOSES}.\n\n"));
        parts.push(rights(wanted, &own, key));
        let lock = lock.as_deref().unwrap_or("&use_lockfile=true");
        parts.push(format!("\nFor stateward: --store 's3://{bucket}?region={region}{lock}'\n"));
        of_store.push(format!("--layout stateward --bucket {bucket}"));
    }
    if let Some(table) = &wanted.state_table {
        let lock = lock.as_deref().unwrap_or_default();
        parts.push(format!("\nFor stateward: --store 'dynamodb://{table}?region={region}{lock}'\n"));
        of_store.push(format!("--layout stateward --table {table}"));
    }
    for own in of_store {
        parts.push("\nThe policy for who runs `stateward` on it:\n\n".to_owned());
        parts.push(rights(wanted, &own, key));
    }
    parts.concat()
}

/// The command that makes a policy for all of it.
fn rights(wanted: &Wanted, own: &str, key: Option<&str>) -> String {
    let Wanted { region, account, partition, .. } = wanted;
    let table = wanted.lock_table.as_deref();
    let mut words = vec![format!("stateward policy generate --for apply {own}")];
    words.extend(table.map(|table| format!("--lock-table {table}")));
    words.extend((table.is_none() && wanted.bucket.is_some()).then(|| "--use-lockfile".to_owned()));
    words.extend(key.map(|key| format!("--kms-key {key}")));
    words.extend(key.filter(|_| table.is_some()).map(|key| format!("--lock-table-kms-key {key}")));
    words.push(format!("--region {region} --account {account}"));
    words.extend((partition != "aws").then(|| format!("--partition {partition}")));
    format!("  {}\n", words.join(" "))
}

/// The backend block.
fn block(wanted: &Wanted, bucket: &str, key: Option<&str>) -> String {
    let quoted = |text: &str| format!("\"{text}\"");
    let mut settings = vec![
        ("bucket", quoted(bucket)),
        ("key", quoted(STATE_KEY)),
        ("region", quoted(&wanted.region)),
        ("encrypt", "true".to_owned()),
    ];
    // Without it Terraform's `encrypt` asks for S3's own key.
    settings.extend(key.map(|key| ("kms_key_id", quoted(key))));
    settings.push(match wanted.lock_table.as_deref() {
        Some(table) => ("dynamodb_table", quoted(table)),
        None => ("use_lockfile", "true".to_owned()),
    });
    let width = settings.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let lines: Vec<String> = settings.iter().map(|(name, value)| format!("    {name:width$} = {value}\n")).collect();
    format!("terraform {{\n  backend \"s3\" {{\n{}  }}\n}}\n", lines.concat())
}
