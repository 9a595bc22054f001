//! The table that holds all of a store: what the store asks of it, tried on items of the doctor's own.

use aws_sdk_dynamodb::error::BuildError;
use aws_sdk_dynamodb::types::{
    AttributeValue, ConditionCheck, DeleteRequest, KeysAndAttributes, Put, TransactWriteItem, WriteRequest,
};

use super::Patient;
use super::probes::{Outcome, Probe, Row, once_dynamodb};
use super::rights::{Live, nothing_harmless, read_only};
use crate::Failed;

impl Patient {
    /// Tries an action on an item that is not there, and stays so.
    pub(super) async fn own_right(&self, table: &str, action: &str) -> Live {
        let client = &self.services.dynamodb;
        let row = self.own_row();
        match action {
            "dynamodb:GetItem" => Live::of(self.has_item(table, &row).await.map(drop)),
            "dynamodb:BatchGetItem" => self.batch_get(table, &row).await,
            "dynamodb:Query" => {
                let request = client.query().table_name(table).key_condition_expression("StateID = :own");
                let request = request.expression_attribute_values(":own", AttributeValue::S(row.name().to_owned()));
                let answer = request.limit(1).send().await;
                Live::of(answer.map(drop).map_err(|error| Failed::new("DynamoDB: Query", &error)))
            }
            _ if self.options.read_only => read_only(),
            "dynamodb:PutItem" => Live::of(self.put_item_never(table, &row).await),
            "dynamodb:UpdateItem" => {
                let request = client.update_item().table_name(table).set_key(Some(row.key()));
                let request = request.update_expression("SET Info = :info").condition_expression(row.never());
                let answer =
                    request.expression_attribute_values(":info", AttributeValue::S("{}".to_owned())).send().await;
                Live::of(answer.map(drop).map_err(|error| Failed::new("DynamoDB: UpdateItem", &error)))
            }
            "dynamodb:DeleteItem" => Live::of(self.delete_item_never(table, &row).await),
            "dynamodb:ConditionCheckItem" => Live::of(self.transact(table, None).await),
            // It has no conditions: what it deletes is not there.
            "dynamodb:BatchWriteItem" => self.batch_delete(table, &row).await,
            action => nothing_harmless(action),
        }
    }

    /// Whether an item is there, now.
    pub(super) async fn has_item(&self, table: &str, row: &Row) -> Outcome<bool> {
        let request = self.services.dynamodb.get_item().table_name(table).set_key(Some(row.key()));
        let answer = request.consistent_read(true).send().await;
        answer.map(|answer| answer.item.is_some()).map_err(|error| Failed::new("DynamoDB: GetItem", &error))
    }

    async fn batch_get(&self, table: &str, row: &Row) -> Live {
        let keys = match KeysAndAttributes::builder().keys(row.key()).build() {
            Ok(keys) => keys,
            Err(error) => return unbuilt(&error),
        };
        let answer = self.services.dynamodb.batch_get_item().request_items(table, keys).send().await;
        Live::of(answer.map(drop).map_err(|error| Failed::new("DynamoDB: BatchGetItem", &error)))
    }

    async fn batch_delete(&self, table: &str, row: &Row) -> Live {
        let delete = match DeleteRequest::builder().set_key(Some(row.key())).build() {
            Ok(delete) => WriteRequest::builder().delete_request(delete).build(),
            Err(error) => return unbuilt(&error),
        };
        let answer = self.services.dynamodb.batch_write_item().request_items(table, vec![delete]).send().await;
        Live::of(answer.map(drop).map_err(|error| Failed::new("DynamoDB: BatchWriteItem", &error)))
    }

    /// A transaction that cannot be done, for it asks for what no item meets; what is to be put with it would be ours.
    pub(super) async fn transact(&self, table: &str, put: Option<&Row>) -> Outcome<()> {
        const OPERATION: &str = "DynamoDB: TransactWriteItems";
        let row = self.own_row();
        // What lacks a part is refused by the service, in words.
        let check =
            ConditionCheck::builder().table_name(table).set_key(Some(row.key())).condition_expression(row.never());
        let mut actions = vec![TransactWriteItem::builder().set_condition_check(check.build().ok()).build()];
        if let Some(row) = put {
            let put = Put::builder().table_name(table).set_item(Some(self.item(row)));
            actions.push(TransactWriteItem::builder().set_put(put.build().ok()).build());
        }
        let request = self.services.dynamodb.transact_write_items().set_transact_items(Some(actions));
        let answer = request.customize().config_override(once_dynamodb()).send().await;
        let answer = answer.map(drop).map_err(|error| Failed::new(OPERATION, &error));
        match put {
            Some(row) => answer.map_err(|failed| self.not_written(&Probe::Item(row.clone()), failed)),
            None => answer,
        }
    }
}

fn unbuilt(error: &BuildError) -> Live {
    Live::Untested(error.to_string())
}

/// Whether a transaction was not done because a condition does not hold.
pub(super) fn is_cancelled(failed: &Failed) -> bool {
    failed.is("TransactionCanceledException") && failed.words().contains("ConditionalCheckFailed")
}
