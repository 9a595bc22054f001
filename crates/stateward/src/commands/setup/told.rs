//! The set-up as text.

use serde_json::Value;
use stateward_aws::setup::{Action, Item, Wanted};

use crate::output::table::{draw, text};

pub(super) fn plan(items: &[Item]) -> String {
    let columns = [text("ACTION"), text("RESOURCE"), text("SETTING"), text("NOW"), text("THEN"), text("WHY")];
    let row = |item: &Item| {
        vec![
            action(item.action).to_owned(),
            item.resource.clone(),
            item.property.to_owned(),
            value(&item.current),
            value(&item.wanted),
            item.why.clone(),
        ]
    };
    draw(&columns, items.iter().map(row))
}

fn action(action: Action) -> &'static str {
    match action {
        Action::Create => "create",
        Action::Change => "change",
        Action::Keep => "keep",
        Action::Refuse => "refuse",
    }
}

fn value(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

pub(super) fn done(item: &Item) -> String {
    format!("done: {} of {}\n", item.property, item.resource)
}

/// What to write where, now that all is there.
pub(super) fn ready(wanted: &Wanted) -> String {
    let Wanted { bucket, region, .. } = wanted;
    let (lock, query) = match &wanted.lock_table {
        Some(table) => (format!("dynamodb_table = \"{table}\""), format!("lock_table={table}")),
        None => ("use_lockfile   = true".to_owned(), "use_lockfile=true".to_owned()),
    };
    format!(
        "
All is there. For Terraform and OpenTofu, with a `key` of its own for each configuration:

terraform {{
  backend \"s3\" {{
    bucket         = \"{bucket}\"
    key            = \"terraform.tfstate\"
    region         = \"{region}\"
    encrypt        = true
    {lock}
  }}
}}

For stateward: --store 's3://{bucket}?region={region}&{query}'
"
    )
}
