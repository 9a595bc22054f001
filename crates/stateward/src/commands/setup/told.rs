//! The set-up as text.

use serde_json::{Value, json};
use stateward_aws::doctor::typed;
use stateward_aws::setup::{self, Action, Environment, Header, Headers, Item, KeysInUse, Trusted, Wanted};

use stateward_iam::{Keeping, Layout};

use crate::output::human::{hanging, one_line, word};
use crate::output::{BOLD, GREEN, RED, YELLOW};

/// Of the configuration that the block is for.
const STATE_KEY: &str = "terraform.tfstate";
const PURPOSES: &str = "`plan`, `apply`, or `admin`, which also deletes workspaces and breaks locks";
const SILENT: &str = "\n`encrypt` is left out: with it Terraform asks for S3's own key, or by `kms_key_id` for one layer of KMS. \
                      Without it, it gets what this bucket encrypts with, which is stricter.\n";
/// As wide as an action and its blanks.
const INDENT: &str = "          ";

/// Whose account it is about. Credentials come from many places, and what is made costs and stays.
pub(super) fn place(wanted: &Wanted, caller: &str) -> String {
    format!("account {} in {}, as {}\n\n", wanted.account, wanted.region, one_line(caller))
}

/// Each resource with its settings, each with what is done about it, why, and the rule behind it.
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
    let stays = item.action == Action::Keep && item.current != item.wanted;
    let values = if stays {
        value(&item.current)
    } else if item.action == Action::Keep || item.current.is_null() {
        value(&item.wanted)
    } else {
        format!("{} -> {}", value(&item.current), value(&item.wanted))
    };
    let line = format!("  {colour}{action:6}{colour:#}  {:19}  {}\n", item.property, one_line(&values));
    line + &hanging(INDENT, INDENT.len(), &format!("{} [{}]", item.why, item.rule))
}

fn value(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::Bool(on) => if *on { "on" } else { "off" }.to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(all) => all.iter().map(self::value).collect::<Vec<_>>().join(" "),
        Value::Object(all) => match setup::statements(value) {
            Some(statements) => document(statements),
            None => {
                let pair = |(key, of): (&String, &Value)| format!("{key}={}", self::value(of));
                all.iter().map(pair).collect::<Vec<_>>().join(" ")
            }
        },
        Value::Number(number) => number.to_string(),
    }
}

/// A policy, as the names of its statements with their actions.
fn document(statements: &[Value]) -> String {
    let statement = |one: &Value| {
        let name = one["Sid"].as_str().or(one["Effect"].as_str()).unwrap_or_default();
        format!("{name}({})", value(&one["Action"]))
    };
    statements.iter().map(statement).collect::<Vec<_>>().join(" ")
}

pub(super) fn done(item: &Item) -> String {
    format!("done: {} of {}\n", item.property, item.resource)
}

/// What to write where, now that all is there.
pub(super) fn ready(wanted: &Wanted, keys: &KeysInUse, headers: &Headers) -> String {
    let mut parts = vec!["\nAll is there.\n".to_owned()];
    let mut of_store = Vec::new();
    if let Some(bucket) = wanted.bucket.as_ref().filter(|_| !wanted.environments.is_empty()) {
        parts.extend(wanted.environments.iter().map(|one| environment(wanted, bucket, one, headers)));
    } else if let Some(bucket) = &wanted.bucket {
        parts.push("\nFor Terraform and OpenTofu, with a `key` of its own for each configuration:\n\n".to_owned());
        parts.push(block(wanted, bucket, None, &headers.terraform));
        let own = Keeping { workspaces: true, ..Keeping::new(Layout::S3, bucket.as_str(), STATE_KEY) };
        parts.push(format!("\nThe policy for who runs it, as `--for` says: {PURPOSES}.\n\n"));
        parts.push(rights(wanted, own, keys));
        parts.push(store(wanted, bucket, None, &headers.store));
        of_store.push(Keeping::new(Layout::Stateward, bucket.as_str(), ""));
    }
    if let Some(table) = &wanted.state_table {
        let lock = wanted.lock_table.as_deref().map(|table| format!("&lock_table={table}")).unwrap_or_default();
        parts.push(format!("\nFor stateward: --store 'dynamodb://{table}?region={}{lock}'\n", wanted.region));
        of_store.push(Keeping::new(Layout::StatewardDynamodb, table.as_str(), ""));
    }
    if let Some(replica) = &wanted.replica {
        let region = replica.region.as_deref().unwrap_or(&wanted.region);
        parts.push(format!(
            "\nS3 copies to {} in {region} what is written from now on, some time after each write. What is there already is not \
             copied, and locks are held in the first bucket alone.\n",
            replica.bucket
        ));
    }
    for own in of_store {
        parts.push("\nThe policy for who runs `stateward` on it:\n\n".to_owned());
        parts.push(rights(wanted, own, keys));
    }
    parts.concat()
}

/// The command that makes a policy for all of it.
fn rights(wanted: &Wanted, own: Keeping, keys: &KeysInUse) -> String {
    let keeping = Keeping {
        lock_table: wanted.lock_table.clone(),
        use_lockfile: wanted.use_lockfile(),
        kms_key: keys.state.clone(),
        lock_table_key: keys.lock_table.clone(),
        region: wanted.region.clone(),
        account: wanted.account.clone(),
        partition: wanted.partition.clone(),
        ..own
    };
    let words: Vec<String> = keeping.words().iter().map(|word| typed(word)).collect();
    format!("  stateward policy generate --for apply {}\n", words.join(" "))
}

/// Where a store stands: in a bucket, or below the prefix of an environment in one.
fn store(wanted: &Wanted, bucket: &str, of: Option<&Environment>, header: &Header) -> String {
    let prefix = of.map(|one| format!("/{}", one.name)).unwrap_or_default();
    let table = wanted.lock_table.as_deref().map(|table| format!("&lock_table={table}")).unwrap_or_default();
    let file = if wanted.use_lockfile() { "&use_lockfile=true" } else { "" };
    // As the block has it: else the same workspace would have two states.
    let workspaces = of.map(|one| format!("&workspace_key_prefix={}", one.name)).unwrap_or_default();
    let role = role(wanted, of).map(|role| format!("&role_arn={role}")).unwrap_or_default();
    let encrypted = match header {
        Header::None => String::new(),
        Header::S3 => "&encrypt=true".to_owned(),
        Header::Key(key) => format!("&kms_key_id={key}"),
    };
    format!(
        "\nFor stateward: --store 's3://{bucket}{prefix}?region={}{table}{file}{workspaces}{encrypted}{role}'\n",
        wanted.region
    )
}

/// What to write for an environment, and who may work there.
fn environment(wanted: &Wanted, bucket: &str, one: &Environment, headers: &Headers) -> String {
    let name = &one.name;
    let who = match wanted.role_arn(one) {
        None => format!(
            "Whoever works there needs its policy:\n  aws iam attach-role-policy --role-name ROLE --policy-arn {}\n",
            wanted.policy_arn(one).unwrap_or_default()
        ),
        Some(role) if one.is_assumed() => assumed(wanted, one, &role),
        Some(role) => format!("A pipeline works there as {role}, by a token of its provider.\n"),
    };
    format!(
        "\n{BOLD}{name}{BOLD:#}, with a `key` of its own below `{name}/` for each configuration:\n\n{}{}{who}",
        block(wanted, bucket, Some(one), &headers.terraform),
        store(wanted, bucket, Some(one), &headers.store)
    )
}

/// What those need, in their own account, who are not let in by the role alone: another account's, and an account as a whole.
fn assumed(wanted: &Wanted, one: &Environment, role: &str) -> String {
    let of_others = one.trusted.iter().filter_map(|trusted| match trusted {
        Trusted::Principal(arn) => Some(arn),
        Trusted::Subject { .. } => None,
    });
    let asks = |arn: &&String| arn.ends_with(":root") || arn.split(':').nth(4) != Some(wanted.account.as_str());
    let names: Vec<&str> = of_others.filter(asks).map(String::as_str).collect();
    if names.is_empty() {
        return String::new();
    }
    let policy = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": role}]});
    format!(
        "\nWhoever takes its role as {} needs this in a policy of their own, too:\n\n  {policy}\n",
        names.join(" and ")
    )
}

/// The role that whoever works in an environment takes.
fn role(wanted: &Wanted, of: Option<&Environment>) -> Option<String> {
    wanted.role_arn(of.filter(|one| one.is_assumed())?)
}

/// The backend block, of an environment or of the whole bucket.
fn block(wanted: &Wanted, bucket: &str, of: Option<&Environment>, header: &Header) -> String {
    let quoted = |text: &str| format!("\"{text}\"");
    let state = of.map_or_else(String::new, |one| format!("{}/", one.name)) + STATE_KEY;
    let mut settings = vec![("bucket", quoted(bucket)), ("key", quoted(&state))];
    settings.extend(of.map(|one| ("workspace_key_prefix", quoted(&one.name))));
    settings.push(("region", quoted(&wanted.region)));
    settings.extend((*header != Header::None).then(|| ("encrypt", "true".to_owned())));
    if let Header::Key(key) = header {
        // Without it Terraform's `encrypt` asks for S3's own key.
        settings.push(("kms_key_id", quoted(key)));
    }
    settings.extend(wanted.lock_table.as_deref().map(|table| ("dynamodb_table", quoted(table))));
    settings.extend(wanted.use_lockfile().then(|| ("use_lockfile", "true".to_owned())));
    let width = settings.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let mut lines: Vec<String> =
        settings.iter().map(|(name, value)| format!("    {name:width$} = {value}\n")).collect();
    lines.extend(role(wanted, of).map(|role| format!("\n    assume_role = {{\n      role_arn = \"{role}\"\n    }}\n")));
    let silent = if *header == Header::None { SILENT } else { "" };
    format!("terraform {{\n  backend \"s3\" {{\n{}  }}\n}}\n{silent}", lines.concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(action: Action, current: Value, wanted: Value) -> Item {
        let [resource, why] = ["table locks", "How the table is paid is its owner's choice."].map(str::to_owned);
        Item {
            resource,
            property: "billing",
            current,
            wanted,
            action,
            why,
            rule: "Security Hub DynamoDB.1",
            call: None,
        }
    }

    #[test]
    fn the_block_the_store_and_the_policy_have_the_locks_that_were_asked_for() {
        for (table, both_locks, expected) in
            [(None, false, (false, true)), (Some("locks"), false, (true, false)), (Some("locks"), true, (true, true))]
        {
            let [bucket, lock_table] = [Some("states"), table].map(|name| name.map(str::to_owned));
            let wanted = Wanted { bucket, lock_table, both_locks, ..Wanted::default() };
            let none = KeysInUse { state: None, lock_table: None };
            let headers = Headers { terraform: Header::None, store: Header::None };
            let told = ready(&wanted, &none, &headers);
            for (of_table, of_file) in [
                ("dynamodb_table = \"locks\"", "use_lockfile   = true"),
                ("lock_table=locks", "use_lockfile=true"),
                ("--lock-table locks", "--use-lockfile"),
            ] {
                let of_file = if both_locks { of_file.to_owned() } else { of_file.replace("  ", "") };
                assert_eq!((told.contains(of_table), told.contains(&of_file)), expected, "{of_table}: {told}");
            }
        }
    }

    /// What stays though it is not what was wanted is told as it is.
    #[test]
    fn a_line_tells_what_is_there_and_what_becomes_of_it_and_why() {
        for (action, current, wanted, values) in [
            (Action::Keep, json!("ON"), json!("ON"), "ON"),
            (Action::Keep, json!("PROVISIONED"), json!("PAY_PER_REQUEST"), "PROVISIONED"),
            (Action::Keep, Value::Null, json!(true), "-"),
            (Action::Create, Value::Null, json!(true), "on"),
            (Action::Change, json!(false), json!(true), "off -> on"),
            (Action::Refuse, json!("a"), json!("b"), "a -> b"),
            (
                Action::Create,
                Value::Null,
                json!({"Statement": {"Effect": "Allow", "Action": ["s3:GetObject", "s3:PutObject"]}}),
                "Allow(s3:GetObject s3:PutObject)",
            ),
            (Action::Create, Value::Null, json!({"Statement": [{"Sid": "Store", "Action": "s3:*"}]}), "Store(s3:*)"),
            (Action::Create, Value::Null, json!({"pairs": 2, "requests": 9}), "pairs=2 requests=9"),
        ] {
            let told = plan(&[item(action, current, wanted)]);
            let lines: Vec<String> =
                anstream::adapter::strip_str(&told).to_string().lines().map(str::to_owned).collect();
            let line = format!("  {:6}  {:19}  {values}", word(action), "billing");
            let why = "          How the table is paid is its owner's choice. [Security Hub DynamoDB.1]";
            assert_eq!(lines, ["table locks", &line, why]);
        }
    }
}
