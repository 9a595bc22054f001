//! The lock table as it is.

use aws_sdk_dynamodb::types::{KeyType, PointInTimeRecoveryStatus, ScalarAttributeType, TableDescription};
use stateward_iam::Layout;

use super::finding::{blame, is_refused};
use super::probes::key_of;
use super::{Finding, Found, Patient, Reached};
use crate::Failed;

pub(super) const NO_TABLE: &str = "no lock table is used here";
const SCHEMA: &str = "lock-table-schema";

impl Patient {
    /// Reads the state's digest, as Terraform does: that shows the table and its key without further rights.
    pub(super) async fn table_exists(&self) -> Found {
        const CHECK: &str = "lock-table-exists";
        let Some(table) = self.target.table() else {
            let found = vec![Finding::untested(CHECK, NO_TABLE), Finding::untested(SCHEMA, NO_TABLE)];
            return Found { found, reached: Reached::None };
        };
        let description = match self.services.dynamodb.describe_table().table_name(table).send().await {
            Ok(answer) => answer.table,
            Err(error) => {
                let failed = Failed::new("DynamoDB: DescribeTable", &error);
                if !is_refused(&failed) {
                    return Found::of(blame(CHECK, &failed));
                }
                None
            }
        };
        let there = Finding::ok(CHECK, format!("{table} is there"));
        let ours = self.target.layout != Layout::S3 && self.target.lock_table.is_none();
        let schema = match description {
            Some(_) if ours => Finding::untested(SCHEMA, "the store itself checks it when it is opened"),
            Some(description) => schema(table, &description),
            None => {
                let id = self.target.lock_id(&self.target.object().unwrap_or_else(|| "state".to_owned()));
                let request = self.services.dynamodb.get_item().table_name(table).set_key(Some(key_of(&id)));
                match request.send().await {
                    Ok(_) => Finding::ok(SCHEMA, "`LockID`, a string"),
                    Err(error) => {
                        let failed = Failed::new("DynamoDB: GetItem", &error);
                        if !is_refused(&failed) {
                            let found = blame(SCHEMA, &failed);
                            return Found::of(if failed.words().contains("does not match the schema") {
                                vec![there, wrong(table, "its key is another one")]
                            } else {
                                found
                            });
                        }
                        Finding::untested(SCHEMA, "neither `dynamodb:DescribeTable` nor `dynamodb:GetItem` is allowed")
                    }
                }
            }
        };
        Found::of(vec![there, schema])
    }

    pub(super) async fn table_recovery(&self, reached: Reached) -> Vec<Finding> {
        const CHECK: &str = "lock-table-recovery";
        if let Some(hindered) = reached.hinders(CHECK, NO_TABLE) {
            return hindered;
        }
        let table = self.target.table().unwrap_or_default();
        match self.services.dynamodb.describe_continuous_backups().table_name(table).send().await {
            Ok(answer) => {
                let backups = answer.continuous_backups_description;
                let status = backups
                    .and_then(|backups| backups.point_in_time_recovery_description?.point_in_time_recovery_status);
                vec![match status {
                    Some(PointInTimeRecoveryStatus::Enabled) => Finding::ok(CHECK, "to any point in time"),
                    _ => Finding::warn(
                        CHECK,
                        "the table cannot be recovered",
                        "digests and locks that are deleted by mistake are gone",
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

fn schema(table: &str, description: &TableDescription) -> Finding {
    let keys = description.key_schema();
    let told: Vec<String> = keys
        .iter()
        .map(|key| {
            let kind =
                description.attribute_definitions().iter().find(|known| known.attribute_name == key.attribute_name);
            let kind = kind.map_or("?", |known| known.attribute_type.as_str());
            format!("{} {} ({})", key.attribute_name, kind, key.key_type.as_str())
        })
        .collect();
    let is_string = description
        .attribute_definitions()
        .iter()
        .any(|known| known.attribute_name == "LockID" && known.attribute_type == ScalarAttributeType::S);
    match keys {
        [only] if only.attribute_name == "LockID" && only.key_type == KeyType::Hash && is_string => {
            Finding::ok(SCHEMA, "`LockID`, a string")
        }
        _ => wrong(table, &format!("its key is {}", told.join(", "))),
    }
}

fn wrong(table: &str, how: &str) -> Finding {
    let why = format!("{how}; Terraform keeps locks under the single key `LockID`, a string");
    let fix = "name another table: a table's key cannot be changed. This one keeps what is in it";
    Finding::fail(SCHEMA, format!("{table} is no lock table"), why, fix)
}
