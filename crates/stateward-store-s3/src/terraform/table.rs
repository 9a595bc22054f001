//! Terraform's lock table in `DynamoDB`: an item for each lock, and one for the digest of each state.

use std::collections::HashMap;
use std::error::Error;
use std::fmt;

use stateward_store_aws::{Fault, fault_of};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::http::HttpResponse;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::delete_item::DeleteItemError;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::put_item::builders::PutItemFluentBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValuesOnConditionCheckFailure};
use tracing::warn;

type Result<T> = std::result::Result<T, Fault>;

const KEY: &str = "LockID";
const INFO: &str = "Info";
const DIGEST: &str = "Digest";
/// Of an MD5, hexadecimal.
const DIGEST_CHARS: usize = 32;
/// By hand it may have been written in capitals.
const IS_OLD: &str = "Digest = :old OR Digest = :upper";

/// The table. All of its requests may be repeated: whose lock it is, its ID tells.
#[derive(Clone)]
pub(super) struct Table {
    client: Client,
    pub(super) name: String,
    /// The bucket that it is for.
    bucket: String,
}

impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Table").field(&self.name).finish()
    }
}

/// What came of taking a lock.
pub(super) enum Put {
    Done,
    /// This is held; empty where it is gone again or cannot be read.
    Held(String),
}

impl Table {
    pub(super) fn new(client: Client, name: String, bucket: String) -> Self {
        Self { client, name, bucket }
    }

    fn fault<E>(&self, operation: &str, error: &SdkError<E, HttpResponse>) -> Fault
    where
        E: Error + ProvideErrorMetadata + Send + Sync + 'static,
    {
        fault_of(operation, error).of_lock_table(&self.name, Some(&self.bucket))
    }

    async fn item(&self, key: &str, names: &[&str]) -> Result<Option<HashMap<String, AttributeValue>>> {
        let request = self.client.get_item().table_name(&self.name).key(KEY, text(key)).consistent_read(true);
        let answer = request.projection_expression(format!("{KEY}, {}", names.join(", "))).send().await;
        Ok(answer.map_err(|error| self.fault("DynamoDB: GetItem", &error))?.item)
    }

    /// The information of a lock; `None` where there is none, empty where it has none.
    pub(super) async fn lock(&self, lock_id: &str) -> Result<Option<String>> {
        let item = self.item(lock_id, &[INFO, DIGEST]).await?;
        // A digest is no lock.
        Ok(item.filter(|item| !item.contains_key(DIGEST)).map(|item| text_in(&item, INFO)))
    }

    pub(super) async fn put_lock(&self, lock_id: &str, info: &str) -> Result<Put> {
        let request = self
            .client
            .put_item()
            .table_name(&self.name)
            .item(KEY, text(lock_id))
            .item(INFO, text(info))
            .condition_expression(format!("attribute_not_exists({KEY})"))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        let Err(error) = request.send().await else { return Ok(Put::Done) };
        match error.as_service_error() {
            Some(PutItemError::ConditionalCheckFailedException(failed)) => Ok(Put::Held(match &failed.item {
                Some(item) => text_in(item, INFO),
                // Not every service says what it found.
                None => self.lock(lock_id).await?.unwrap_or_default(),
            })),
            _ => Err(self.fault("DynamoDB: PutItem", &error)),
        }
    }

    /// Deletes a lock if it still is this one; false where it is not.
    pub(super) async fn delete_lock(&self, lock_id: &str, info: &str) -> Result<bool> {
        let request = self.client.delete_item().table_name(&self.name).key(KEY, text(lock_id));
        let request = match info {
            // A digest is no lock.
            "" => {
                request.condition_expression(format!("attribute_not_exists({INFO}) AND attribute_not_exists({DIGEST})"))
            }
            _ => request.condition_expression("Info = :info").expression_attribute_values(":info", text(info)),
        };
        let Err(error) = request.send().await else { return Ok(true) };
        match error.as_service_error() {
            Some(DeleteItemError::ConditionalCheckFailedException(_)) => Ok(false),
            _ => Err(self.fault("DynamoDB: DeleteItem", &error)),
        }
    }

    /// All locks whose `LockID` begins so, with their information.
    pub(super) async fn locks(&self, beginning: &str) -> Result<Vec<(String, String)>> {
        let mut locks = Vec::new();
        let mut from: Option<HashMap<String, AttributeValue>> = None;
        loop {
            let request = self
                .client
                .scan()
                .table_name(&self.name)
                .consistent_read(true)
                .filter_expression("begins_with(LockID, :own) AND attribute_exists(Info)")
                .expression_attribute_values(":own", text(beginning))
                .set_exclusive_start_key(from);
            let answer = request.send().await.map_err(|error| self.fault("DynamoDB: Scan", &error))?;
            locks.extend(answer.items().iter().map(|item| (text_in(item, KEY), text_in(item, INFO))));
            from = answer.last_evaluated_key;
            if from.as_ref().is_none_or(HashMap::is_empty) {
                return Ok(locks);
            }
        }
    }

    /// The digest of a state: its MD5, hexadecimal. Like Terraform, takes one that is none for none at all.
    pub(super) async fn digest(&self, lock_id: &str) -> Result<Option<String>> {
        let digest = self.item(&digest_id(lock_id), &[DIGEST]).await?;
        let digest = digest.map(|item| text_in(&item, DIGEST)).unwrap_or_default();
        let valid = digest.len() == DIGEST_CHARS && digest.bytes().all(|byte| byte.is_ascii_hexdigit());
        if !valid && !digest.is_empty() {
            warn!(table = self.name, lock_id, digest, "the digest of a state is none; it is passed over");
        }
        Ok(valid.then(|| digest.to_ascii_lowercase()))
    }

    pub(super) async fn put_digest(&self, lock_id: &str, digest: &str) -> Result<()> {
        let request = self.put_of_digest(lock_id, digest);
        request.send().await.map(drop).map_err(|error| self.fault("DynamoDB: PutItem", &error))
    }

    fn put_of_digest(&self, lock_id: &str, digest: &str) -> PutItemFluentBuilder {
        let request = self.client.put_item().table_name(&self.name);
        request.item(KEY, text(&digest_id(lock_id))).item(DIGEST, text(digest))
    }

    /// Puts a digest, or none, in place of exactly the old one, or of none; false where it is another by now.
    pub(super) async fn replace_digest(&self, lock_id: &str, old: Option<&str>, new: Option<&str>) -> Result<bool> {
        let Some(new) = new else { return self.drop_digest(lock_id, old).await };
        // Put, not updated: policies for Terraform allow that alone.
        let request = self.put_of_digest(lock_id, new);
        let request = match old {
            // What stands there and is no digest counts as none.
            None => request
                .condition_expression("attribute_not_exists(Digest) OR size(Digest) <> :size")
                .expression_attribute_values(":size", AttributeValue::N(DIGEST_CHARS.to_string())),
            Some(old) => request
                .condition_expression(IS_OLD)
                .expression_attribute_values(":old", text(old))
                .expression_attribute_values(":upper", text(&old.to_ascii_uppercase())),
        };
        let Err(error) = request.send().await else { return Ok(true) };
        match error.as_service_error() {
            Some(PutItemError::ConditionalCheckFailedException(_)) => Ok(false),
            _ => Err(self.fault("DynamoDB: PutItem", &error)),
        }
    }

    async fn drop_digest(&self, lock_id: &str, old: Option<&str>) -> Result<bool> {
        let Some(old) = old else { return Ok(true) };
        let request = self.client.delete_item().table_name(&self.name).key(KEY, text(&digest_id(lock_id)));
        let request = request
            .condition_expression(IS_OLD)
            .expression_attribute_values(":old", text(old))
            .expression_attribute_values(":upper", text(&old.to_ascii_uppercase()));
        let Err(error) = request.send().await else { return Ok(true) };
        match error.as_service_error() {
            Some(DeleteItemError::ConditionalCheckFailedException(_)) => Ok(false),
            _ => Err(self.fault("DynamoDB: DeleteItem", &error)),
        }
    }

    pub(super) async fn delete_digest(&self, lock_id: &str) -> Result<()> {
        let request = self.client.delete_item().table_name(&self.name).key(KEY, text(&digest_id(lock_id)));
        request.send().await.map(drop).map_err(|error| self.fault("DynamoDB: DeleteItem", &error))
    }
}

/// The `LockID` of a state's digest.
pub(super) fn digest_id(lock_id: &str) -> String {
    format!("{lock_id}{}", super::spots::DIGEST)
}

fn text(text: &str) -> AttributeValue {
    AttributeValue::S(text.to_owned())
}

fn text_in(item: &HashMap<String, AttributeValue>, name: &str) -> String {
    item.get(name).and_then(|value| value.as_s().ok()).cloned().unwrap_or_default()
}
