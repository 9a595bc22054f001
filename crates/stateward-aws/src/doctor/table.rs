//! The lock table as it is.

use aws_sdk_dynamodb::types::{PointInTimeRecoveryStatus, TableDescription, TableStatus};

use super::finding::blame;
use super::probes::{Outcome, Row};
use super::{Finding, Found, Patient, Reached};
use crate::Failed;
use crate::setup::{Use, table_key};

pub(super) const NO_TABLE: &str = "no lock table is used here";
const CHECK: &str = "lock-table-exists";
const SCHEMA: &str = "lock-table-schema";

impl Patient {
    /// Describes the lock table; where that may not be, reads the state's digest, as Terraform does: that shows the table and its key
    /// without further rights.
    pub(super) async fn lock_table_exists(&self) -> Found {
        let Some(table) = self.target.lock_table.as_deref() else {
            let lacking = || vec![Finding::untested(CHECK, NO_TABLE), Finding::untested(SCHEMA, NO_TABLE)];
            // A store in a table has that table's findings in their place.
            let found = if self.target.state_table().is_none() { lacking() } else { Vec::new() };
            return Found { found, reached: Reached::None };
        };
        let description = match self.describe(table).await {
            Ok(description) => description,
            Err(failed) if failed.is_refused() => return self.by_reading(table).await,
            Err(failed) if failed.is("ResourceNotFoundException") => return Found::of(vec![self.no_table(table)]),
            Err(failed) => return Found::of(blame(CHECK, &failed)),
        };
        let usable = description.as_ref().and_then(|description| not_usable(table, description));
        let there = usable.unwrap_or_else(|| Finding::ok(CHECK, format!("{table} is there")));
        let schema = match description {
            Some(description) => schema(table, Use::Locks, &description),
            None => Finding::untested(SCHEMA, "the answer does not describe it"),
        };
        Found::of(vec![there, schema])
    }

    /// The table that holds all of a store.
    pub(super) async fn state_table_exists(&self) -> Found {
        let Some(table) = self.target.state_table() else {
            return Found { found: Vec::new(), reached: Reached::None };
        };
        let described = match self.describe(table).await {
            Ok(described) => described,
            Err(failed) => {
                let mut found = blame(CHECK, &failed);
                found.push(Finding::untested(SCHEMA, "the table could not be looked at"));
                return Found::of(found);
            }
        };
        let usable = described.as_ref().and_then(|description| not_usable(table, description));
        let there = usable.unwrap_or_else(|| Finding::ok(CHECK, format!("{table} is there")));
        let schema = match described {
            Some(description) => schema(table, Use::State, &description),
            None => Finding::untested(SCHEMA, "the answer does not describe it"),
        };
        Found::of(vec![there, schema])
    }

    fn no_table(&self, table: &str) -> Finding {
        let make = self.target.bucket().map_or_else(String::new, |bucket| {
            format!("; `stateward setup aws --bucket {bucket} --lock-table {table}` makes one, with the key `LockID`")
        });
        Finding::fail(
            CHECK,
            format!("there is no table {table}"),
            "DynamoDB knows none of this name in this Region and account",
            format!("check the name, the Region and whose credentials these are{make}"),
        )
    }

    async fn describe(&self, table: &str) -> Outcome<Option<TableDescription>> {
        let answer = self.services.dynamodb.describe_table().table_name(table).send().await;
        answer.map(|answer| answer.table).map_err(|error| Failed::new("DynamoDB: DescribeTable", &error))
    }

    async fn by_reading(&self, table: &str) -> Found {
        // Of a store any name does that its policies are about.
        let id = self.target.lock_id(&self.target.object().unwrap_or_else(|| self.target.listed() + "state"));
        let request = self.services.dynamodb.get_item().table_name(table).set_key(Some(Row::Lock(id).key()));
        let failed = match request.send().await {
            Ok(_) => {
                let there = Finding::ok(CHECK, format!("{table} is there"));
                return Found::of(vec![there, Finding::ok(SCHEMA, "`LockID`, a string")]);
            }
            Err(error) => Failed::new("DynamoDB: GetItem", &error),
        };
        if failed.words().contains("does not match the schema") {
            let there = Finding::ok(CHECK, format!("{table} is there"));
            return Found::of(vec![there, wrong(table, "its key is another one")]);
        }
        if !failed.is_refused() {
            return Found::of(blame(SCHEMA, &failed));
        }
        let why = "neither `dynamodb:DescribeTable` nor `dynamodb:GetItem` is allowed";
        Found::of(vec![Finding::untested(CHECK, why), Finding::untested(SCHEMA, why)])
    }

    pub(super) async fn table_recovery(&self, table: Option<&str>, reached: Reached) -> Vec<Finding> {
        const CHECK: &str = "lock-table-recovery";
        let Some(table) = table else {
            let has_other = self.target.lock_table.is_some() || self.target.state_table().is_some();
            return if has_other { Vec::new() } else { vec![Finding::untested(CHECK, NO_TABLE)] };
        };
        if let Some(hindered) = reached.hinders(CHECK, NO_TABLE) {
            return hindered;
        }
        let lost = if self.target.state_table() == Some(table) {
            "states and all their versions that are deleted by mistake are gone"
        } else {
            "digests and locks that are deleted by mistake are gone"
        };
        match self.services.dynamodb.describe_continuous_backups().table_name(table).send().await {
            Ok(answer) => {
                let backups = answer.continuous_backups_description;
                let status = backups
                    .and_then(|backups| backups.point_in_time_recovery_description?.point_in_time_recovery_status);
                vec![match status {
                    Some(PointInTimeRecoveryStatus::Enabled) => Finding::ok(CHECK, "to any point in time"),
                    _ => Finding::warn(
                        CHECK,
                        format!("the table {table} cannot be recovered"),
                        lost,
                        format!(
                            "aws dynamodb update-continuous-backups --table-name {table} --point-in-time-recovery-specification PointInTimeRecoveryEnabled=true"
                        ),
                    ),
                }]
            }
            Err(error) => blame(CHECK, &Failed::new("DynamoDB: DescribeContinuousBackups", &error)),
        }
    }
}

/// A table that is there, and answers nobody.
fn not_usable(table: &str, description: &TableDescription) -> Option<Finding> {
    let status = description.table_status()?;
    let fix = format!("aws dynamodb wait table-exists --table-name {table}");
    Some(match status {
        TableStatus::InaccessibleEncryptionCredentials => {
            let key = description.sse_description().and_then(|how| how.kms_master_key_arn());
            let key = key.unwrap_or("the key that `aws dynamodb describe-table` names");
            let why = format!(
                "DynamoDB cannot use {key}: it is disabled, deleted, or its policy or grants no longer let DynamoDB use it"
            );
            let fix = format!(
                "aws kms describe-key --key-id {key}; then `aws kms enable-key` or `aws kms cancel-key-deletion`, or put its policy right"
            );
            Finding::fail(CHECK, format!("{table} is locked away with its key"), why, fix).entry("kms/lock-table-key")
        }
        TableStatus::Creating => {
            Finding::fail(CHECK, format!("{table} is still being made"), "it takes some seconds", fix)
        }
        TableStatus::Deleting => {
            let why = "somebody deletes it; locks and digests go with it";
            let fix = "find out who and why, then make it again or set `use_lockfile`";
            Finding::fail(CHECK, format!("{table} is being deleted"), why, fix)
        }
        _ => return None,
    })
}

fn schema(table: &str, of: Use, description: &TableDescription) -> Finding {
    let key = table_key(description);
    let is_needed = |(name, kind, part): &(&str, &str, &str)| {
        key.iter().any(|there| (there.0.as_str(), there.1.as_str(), there.2.as_str()) == (*name, *kind, *part))
    };
    if key.len() == of.key().len() && of.key().iter().all(is_needed) {
        return match of {
            Use::Locks => Finding::ok(SCHEMA, "`LockID`, a string"),
            Use::State => Finding::ok(SCHEMA, "`StateID`, a string, and `VersionID`, a number"),
        };
    }
    let told: Vec<String> = key.iter().map(|(name, kind, part)| format!("{name} {kind} ({part})")).collect();
    let how = format!("its key is {}", told.join(", "));
    match of {
        Use::Locks => wrong(table, &how),
        Use::State => {
            let why = format!("{how}; a store needs `StateID`, a string, and with it `VersionID`, a number");
            let fix =
                "name another table: a table's key cannot be changed. With `--create-tables` a store makes its own";
            Finding::fail(SCHEMA, format!("{table} is no table of a store"), why, fix)
        }
    }
}

fn wrong(table: &str, how: &str) -> Finding {
    let why = format!("{how}; Terraform keeps locks under the single key `LockID`, a string");
    let fix = "name another table: a table's key cannot be changed. This one keeps what is in it";
    Finding::fail(SCHEMA, format!("{table} is no lock table"), why, fix)
}
