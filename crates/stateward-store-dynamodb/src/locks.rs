//! The locks of other programs, in a table of their own.
//!
//! An item's key is `LockID`, the name of the state table, a slash and the path of the state; its `Info` is Terraform's lock
//! information with that key as `Path`. Programs written in Go give a lock back on the condition that `Info` is what they make of
//! it themselves, so it is written byte for byte as Go writes it.

use std::collections::HashMap;
use std::error::Error;
use std::sync::Arc;

use async_trait::async_trait;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::http::HttpResponse;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::delete_item::DeleteItemError;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValuesOnConditionCheckFailure};
use bytes::Bytes;
use stateward_store::outside::{LockPlace, Spot, Taken, lock_id_in, lock_info_at};
use stateward_store::{Result, StoreError};
use stateward_store_aws::{Fault, Units, fault_of};

use crate::item::{Item, text, text_in};
use crate::options::Options;
use crate::store::DynamoStore;
use crate::table::{TOTAL, units_of};

const LOCK_ID: &str = "LockID";
const INFO: &str = "Info";
const DEFAULT_WORKSPACE: &str = "default";
/// How often a lock may change hands while it is being broken.
const RACES_MAX: usize = 5;

/// The lock table of a store.
#[derive(Debug, Clone)]
pub struct LockTable {
    store: Arc<DynamoStore>,
    names: Names,
    table: String,
}

/// What locks are called.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Names {
    state_table: String,
    workspace_key_prefix: String,
}

impl LockTable {
    /// The lock table that the store's options name, if they name one.
    pub fn of(store: &Arc<DynamoStore>) -> Option<Self> {
        let options = store.options();
        let table = options.lock_table.clone()?;
        Some(Self { store: Arc::clone(store), names: Names::of(options), table })
    }

    /// All of these requests may be repeated: whose lock it is, its ID tells.
    fn client(&self) -> Client {
        self.store.client()
    }

    fn fault<E>(&self, operation: &str, error: &SdkError<E, HttpResponse>) -> Fault
    where
        E: Error + ProvideErrorMetadata + Send + Sync + 'static,
    {
        fault_of(operation, error).of_lock_table(&self.table, None)
    }

    async fn get(&self, lock_id: &str) -> Result<Option<String>> {
        let request = self.client().get_item().table_name(&self.table).key(LOCK_ID, text(lock_id));
        let answer = request.consistent_read(true).return_consumed_capacity(TOTAL).send().await;
        let answer = answer.map_err(|error| self.fault("DynamoDB: GetItem", &error))?;
        self.store.counter().spent(Units::Read, units_of(answer.consumed_capacity()));
        Ok(answer.item.map(|item| info_of(&item)))
    }

    /// Deletes the lock if it still is this one.
    async fn delete(&self, lock_id: &str, info: &str) -> Result<bool> {
        let request = self.client().delete_item().table_name(&self.table).key(LOCK_ID, text(lock_id));
        let request = match info {
            "" => request.condition_expression("attribute_not_exists(Info)"),
            _ => request.condition_expression("Info = :info").expression_attribute_values(":info", text(info)),
        };
        match request.return_consumed_capacity(TOTAL).send().await {
            Ok(answer) => {
                self.store.counter().spent(Units::Write, units_of(answer.consumed_capacity()));
                Ok(true)
            }
            Err(error) => match error.as_service_error() {
                Some(DeleteItemError::ConditionalCheckFailedException(_)) => Ok(false),
                _ => Err(self.fault("DynamoDB: DeleteItem", &error).into()),
            },
        }
    }
}

#[async_trait]
impl LockPlace for LockTable {
    async fn lock(&self, at: &Spot, id: &str, info: &[u8]) -> Result<Taken> {
        let lock_id = self.names.lock_id(at);
        let info = lock_info_at(&lock_id, id, info);
        let request = self
            .client()
            .put_item()
            .table_name(&self.table)
            .item(LOCK_ID, text(&lock_id))
            .item(INFO, text(info))
            .condition_expression("attribute_not_exists(LockID)")
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .return_consumed_capacity(TOTAL);
        let error = match request.send().await {
            Ok(answer) => {
                self.store.counter().spent(Units::Write, units_of(answer.consumed_capacity()));
                return Ok(Taken::Yes);
            }
            Err(error) => error,
        };
        let held = match error.as_service_error() {
            Some(PutItemError::ConditionalCheckFailedException(failed)) => match &failed.item {
                Some(item) => info_of(item),
                // Not every service says what it found. What is gone by now was somebody's a moment ago.
                None => self.get(&lock_id).await?.unwrap_or_default(),
            },
            _ => match self.fault("DynamoDB: PutItem", &error) {
                // It may have been done all the same: what refused it may stand before the service.
                fault @ (Fault::Lost(_) | Fault::Refused(_)) => match self.get(&lock_id).await {
                    Ok(Some(held)) if lock_id_in(held.as_bytes()).as_deref() == Some(id) => held,
                    Err(error) if !fault.is_told_by_aws() => {
                        return Err(StoreError::OutcomeUnknown { reason: error.to_string() });
                    }
                    _ => return Err(fault.into()),
                },
                fault => return Err(fault.into()),
            },
        };
        Ok(if lock_id_in(held.as_bytes()).as_deref() == Some(id) { Taken::Yes } else { Taken::Held(held.into()) })
    }

    async fn unlock(&self, at: &Spot, id: &str, _info: &[u8]) -> Result<()> {
        let lock_id = self.names.lock_id(at);
        match self.get(&lock_id).await? {
            Some(held) if lock_id_in(held.as_bytes()).as_deref() == Some(id) => {
                match self.delete(&lock_id, &held).await {
                    Ok(_) => Ok(()),
                    // Refused, and perhaps not by who deletes.
                    Err(error) => match self.get(&lock_id).await {
                        Ok(there) if there.as_deref() != Some(&*held) => Ok(()),
                        _ => Err(error),
                    },
                }
            }
            _ => Ok(()),
        }
    }

    async fn break_lock(&self, at: &Spot, id: Option<&str>) -> Result<Option<Bytes>> {
        let lock_id = self.names.lock_id(at);
        let mut broken: Option<String> = None;
        for _ in 0..RACES_MAX {
            let Some(held) = self.get(&lock_id).await? else { return Ok(broken.map(Bytes::from)) };
            if id.is_some_and(|id| lock_id_in(held.as_bytes()).as_deref() != Some(id)) {
                return Ok(broken.map(Bytes::from));
            }
            if self.delete(&lock_id, &held).await? {
                return Ok(Some(held.into()));
            }
            // The answer to an earlier try may have been lost, or somebody else gave it back.
            broken = id.is_some().then_some(held);
        }
        Err(StoreError::Unavailable {
            retry_after: None,
            reason: format!("the lock `{lock_id}` in the table {} changes hands again and again", self.table),
        })
    }

    async fn holder(&self, at: &Spot) -> Result<Option<Bytes>> {
        Ok(self.get(&self.names.lock_id(at)).await?.map(Bytes::from))
    }

    async fn holders(&self) -> Result<Vec<(Spot, Bytes)>> {
        let mut held = Vec::new();
        let mut from: Option<Item> = None;
        loop {
            let request = self
                .client()
                .scan()
                .table_name(&self.table)
                .consistent_read(true)
                .filter_expression("begins_with(LockID, :own) AND attribute_exists(Info)")
                .expression_attribute_values(":own", text(format!("{}/", self.names.state_table)))
                .set_exclusive_start_key(from)
                .return_consumed_capacity(TOTAL);
            let answer = request.send().await.map_err(|error| self.fault("DynamoDB: Scan", &error))?;
            self.store.counter().spent(Units::Read, units_of(answer.consumed_capacity()));
            for item in answer.items() {
                let spot = text_in(item, LOCK_ID).and_then(|lock_id| self.names.spot(lock_id));
                held.extend(spot.map(|spot| (spot, Bytes::from(info_of(item)))));
            }
            from = answer.last_evaluated_key;
            if from.as_ref().is_none_or(HashMap::is_empty) {
                held.sort_by(|(one, _), (other, _)| one.cmp(other));
                return Ok(held);
            }
        }
    }
}

impl Names {
    fn of(options: &Options) -> Self {
        Self { state_table: options.state_table.clone(), workspace_key_prefix: options.workspace_key_prefix.clone() }
    }

    fn lock_id(&self, at: &Spot) -> String {
        let table = &self.state_table;
        match at.workspace.as_str() {
            DEFAULT_WORKSPACE => format!("{table}/{}", at.name),
            workspace => format!("{table}/{}={workspace}/{}", self.workspace_key_prefix, at.name),
        }
    }

    fn spot(&self, lock_id: &str) -> Option<Spot> {
        let path = lock_id.strip_prefix(&self.state_table)?.strip_prefix('/')?;
        let elsewhere = path.strip_prefix(&self.workspace_key_prefix).and_then(|rest| rest.strip_prefix('='));
        let (workspace, name) = elsewhere.and_then(|rest| rest.split_once('/')).unwrap_or((DEFAULT_WORKSPACE, path));
        Some(Spot { name: name.to_owned(), workspace: workspace.to_owned() })
    }
}

/// The information of a lock; empty where it has none.
fn info_of(item: &Item) -> String {
    item.get(INFO).and_then(|info| AttributeValue::as_s(info).ok()).cloned().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> Names {
        Names::of(&Options::new("states"))
    }

    fn spot(name: &str, workspace: &str) -> Spot {
        Spot { name: name.into(), workspace: workspace.into() }
    }

    #[test]
    fn locks_are_called_as_the_backend_that_never_came_called_them() {
        for (at, lock_id) in [
            (spot("net/prod", "default"), "states/net/prod"),
            (spot("net/prod", "blue"), "states/workspace=blue/net/prod"),
        ] {
            assert_eq!(names().lock_id(&at), lock_id);
            assert_eq!(names().spot(lock_id), Some(at));
        }
        assert_eq!(names().spot("others/net/prod"), None);
        assert_eq!(names().spot("states/workspace/x"), Some(spot("workspace/x", "default")));
    }
}
