//! One table, and what is asked of it: each answer is either the truth or says that it is not known.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_dynamodb::config::http::HttpResponse;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::delete_item::DeleteItemError;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::builders::TransactWriteItemBuilder;
use aws_sdk_dynamodb::types::{
    CancellationReason, ConditionCheck, ConsumedCapacity, Delete, Put, ReturnConsumedCapacity,
    ReturnValuesOnConditionCheckFailure, TransactWriteItem, Update,
};
use stateward_store::StoreError;
use stateward_store_aws::{Counter, Fault, Ids, Refused, Units, fault_of};

use crate::connect::Clients;
use crate::home::Fence;
use crate::item::{Action, Item, PARTITION, RANGE, What, key_of, number, number_in, text};
use crate::places::{At, Stretch};

/// The first pause before something is tried again, and the longest.
const PAUSE: Duration = Duration::from_millis(20);
const PAUSE_MAX: Duration = Duration::from_secs(2);
/// How often a write that met another write of the same item is tried again, beyond the retries for other reasons.
const MEETINGS_MAX: u32 = 8;

pub(crate) const TOTAL: ReturnConsumedCapacity = ReturnConsumedCapacity::Total;
const SHOW: ReturnValuesOnConditionCheckFailure = ReturnValuesOnConditionCheckFailure::AllOld;

/// A table in a Region.
#[derive(Debug, Clone)]
pub(crate) struct Table {
    pub(crate) name: String,
    pub(crate) clients: Clients,
    pub(crate) counter: Counter,
    pub(crate) ids: Arc<Ids>,
    pub(crate) retries: u32,
    /// What every write has to find, where the table is in several Regions.
    pub(crate) fence: Option<Arc<Fence>>,
}

/// Why a write was not done.
#[derive(Debug)]
pub(crate) enum Unwritten {
    /// The conditions of these actions do not hold.
    Conditions(Vec<Failed>),
    /// Anything else.
    Store(StoreError),
}

/// An action whose condition does not hold.
#[derive(Debug)]
pub(crate) struct Failed {
    /// Which of the actions.
    pub(crate) index: usize,
    /// What is there; `None` where nothing is, or where the service does not say.
    pub(crate) found: Option<Item>,
}

/// What became of one try.
enum Try {
    Done,
    Conditions(Vec<Failed>),
    Fault(Fault),
}

/// Some items of a partition, and where the next begin.
pub(crate) struct Page {
    pub(crate) items: Vec<Item>,
    pub(crate) next: Option<u128>,
}

impl From<StoreError> for Unwritten {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl Table {
    /// What the answer to a request to this table means.
    pub(crate) fn fault<E>(&self, operation: &str, error: &SdkError<E, HttpResponse>) -> Fault
    where
        E: Error + ProvideErrorMetadata + Send + Sync + 'static,
    {
        fault_of(operation, error).of_table(&self.name)
    }

    /// Reads an item.
    pub(crate) async fn get(&self, at: &At) -> Result<Option<Item>, Fault> {
        let request = self.clients.reads.get_item().table_name(&self.name).set_key(Some(key_of(at)));
        let request = request.consistent_read(true).return_consumed_capacity(TOTAL);
        let answer = request.send().await.map_err(|error| self.fault("DynamoDB: GetItem", &error))?;
        self.counter.spent(Units::Read, units_of(answer.consumed_capacity()));
        Ok(answer.item)
    }

    /// Reads items of a partition in the order of their range keys, at most `limit` if there is one.
    pub(crate) async fn query(&self, stretch: &Stretch, limit: Option<usize>) -> Result<Page, Fault> {
        let limit = limit.map(|limit| i32::try_from(limit).unwrap_or(i32::MAX));
        let request = self
            .clients
            .reads
            .query()
            .table_name(&self.name)
            .consistent_read(true)
            .key_condition_expression(format!("{PARTITION} = :p AND {RANGE} BETWEEN :first AND :last"))
            .expression_attribute_values(":p", text(&stretch.partition))
            .expression_attribute_values(":first", number(stretch.first))
            .expression_attribute_values(":last", number(stretch.last))
            .set_limit(limit)
            .return_consumed_capacity(TOTAL);
        let answer = request.send().await.map_err(|error| self.fault("DynamoDB: Query", &error))?;
        self.counter.spent(Units::Read, units_of(answer.consumed_capacity()));
        let next = answer.last_evaluated_key.as_ref().and_then(|key| number_in::<u128>(key, RANGE));
        let next = next.map(|last| last + 1).filter(|next| *next <= stretch.last);
        Ok(Page { items: answer.items.unwrap_or_default(), next })
    }

    /// Does all of these, or nothing. One alone costs half of what it costs in company.
    pub(crate) async fn write(&self, actions: &[Action]) -> Result<(), Unwritten> {
        let Some(fence) = &self.fence else { return self.write_unfenced(actions).await };
        let mut fenced = actions.to_vec();
        fenced.push(fence.check());
        match self.write_unfenced(&fenced).await {
            Err(Unwritten::Conditions(failed)) if failed.iter().any(|failed| failed.index == actions.len()) => {
                Err(fence.moved().into())
            }
            other => other,
        }
    }

    /// The same, wherever the home is.
    pub(crate) async fn write_unfenced(&self, actions: &[Action]) -> Result<(), Unwritten> {
        let mut unsure = None;
        let (mut tries, mut meetings) = (0, 0);
        let mut token = self.ids.next();
        loop {
            let fault = match self.try_once(actions, &token).await {
                Try::Done => return Ok(()),
                Try::Conditions(failed) => return Self::judge(actions, failed, unsure),
                Try::Fault(fault) => fault,
            };
            let pause = match &fault {
                Fault::Refused(_) | Fault::Missing | Fault::Precondition => return Err(unknown(unsure, fault)),
                // The same token again: what was done is not done a second time.
                Fault::Lost(reason) => {
                    unsure = Some(reason.clone());
                    tries += 1;
                    tries
                }
                Fault::NotSent(_) => {
                    tries += 1;
                    tries
                }
                Fault::Busy(..) | Fault::Contended => {
                    meetings += 1;
                    if unsure.is_none() {
                        token = self.ids.next();
                    }
                    meetings
                }
            };
            if tries > self.retries || meetings > self.retries + MEETINGS_MAX {
                return Err(unknown(unsure, fault));
            }
            self.pause(pause - 1).await;
        }
    }

    /// What it means that conditions do not hold.
    fn judge(actions: &[Action], failed: Vec<Failed>, unsure: Option<String>) -> Result<(), Unwritten> {
        let is_ours = |failed: &Failed| {
            let action = actions.get(failed.index);
            action.zip(failed.found.as_ref()).is_some_and(|(action, found)| action.put_this(found))
        };
        // What is in the way is what an earlier try put there, whose answer was lost.
        if failed.iter().any(is_ours) {
            return Ok(());
        }
        match unsure {
            // An earlier try may have been done, and somebody else may have written since.
            Some(reason) => Err(Unwritten::Store(StoreError::OutcomeUnknown { reason })),
            None => Err(Unwritten::Conditions(failed)),
        }
    }

    async fn try_once(&self, actions: &[Action], token: &str) -> Try {
        match actions {
            [] => Try::Done,
            [Action { what: What::Put(item), .. }] => self.put(&actions[0], item).await,
            [Action { what: What::Delete, .. }] => self.delete(&actions[0]).await,
            [Action { what: What::Update(_), .. }] => self.update(&actions[0]).await,
            _ => self.transact(actions, token).await,
        }
    }

    async fn put(&self, action: &Action, item: &Item) -> Try {
        let mut item = item.clone();
        item.extend(key_of(&action.at));
        let mut request = self.clients.writes.put_item().table_name(&self.name).set_item(Some(item));
        if let Some(condition) = &action.condition {
            request = request
                .condition_expression(&condition.text)
                .set_expression_attribute_values(values(&[&condition.values]))
                .set_expression_attribute_names(condition.names())
                .return_values_on_condition_check_failure(SHOW);
        }
        match request.return_consumed_capacity(TOTAL).send().await {
            Ok(answer) => self.done(answer.consumed_capacity()),
            Err(error) => match error.as_service_error() {
                Some(PutItemError::ConditionalCheckFailedException(failed)) => alone(failed.item.clone()),
                _ => Try::Fault(self.fault("DynamoDB: PutItem", &error)),
            },
        }
    }

    async fn delete(&self, action: &Action) -> Try {
        let request = self.clients.writes.delete_item().table_name(&self.name).set_key(Some(key_of(&action.at)));
        let mut request = request.return_consumed_capacity(TOTAL);
        if let Some(condition) = &action.condition {
            request = request
                .condition_expression(&condition.text)
                .set_expression_attribute_values(values(&[&condition.values]))
                .set_expression_attribute_names(condition.names())
                .return_values_on_condition_check_failure(SHOW);
        }
        match request.send().await {
            Ok(answer) => self.done(answer.consumed_capacity()),
            Err(error) => match error.as_service_error() {
                Some(DeleteItemError::ConditionalCheckFailedException(failed)) => alone(failed.item.clone()),
                _ => Try::Fault(self.fault("DynamoDB: DeleteItem", &error)),
            },
        }
    }

    async fn update(&self, action: &Action) -> Try {
        let What::Update(change) = &action.what else { return Try::Done };
        let (expression, set) = change.expression();
        let condition = action.condition.clone().unwrap_or_default();
        let request = self
            .clients
            .writes
            .update_item()
            .table_name(&self.name)
            .set_key(Some(key_of(&action.at)))
            .update_expression(expression)
            .set_condition_expression(action.condition.as_ref().map(|condition| condition.text.clone()))
            .set_expression_attribute_values(values(&[&set, &condition.values]))
            .set_expression_attribute_names(condition.names())
            .return_values_on_condition_check_failure(SHOW)
            .return_consumed_capacity(TOTAL);
        match request.send().await {
            Ok(answer) => self.done(answer.consumed_capacity()),
            Err(error) => match error.as_service_error() {
                Some(UpdateItemError::ConditionalCheckFailedException(failed)) => alone(failed.item.clone()),
                _ => Try::Fault(self.fault("DynamoDB: UpdateItem", &error)),
            },
        }
    }

    async fn transact(&self, actions: &[Action], token: &str) -> Try {
        let items = actions.iter().map(|action| transact_item(&self.name, action)).collect::<Result<Vec<_>, _>>();
        let items = match items {
            Ok(items) => items,
            Err(fault) => return Try::Fault(fault),
        };
        let request = self.clients.writes.transact_write_items().set_transact_items(Some(items));
        let request = request.client_request_token(token).return_consumed_capacity(TOTAL);
        match request.send().await {
            Ok(answer) => self.done(answer.consumed_capacity()),
            Err(error) => match error.as_service_error() {
                Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) => {
                    self::cancelled(cancelled.cancellation_reasons())
                }
                _ => Try::Fault(self.fault("DynamoDB: TransactWriteItems", &error)),
            },
        }
    }

    fn done<'a>(&self, consumed: impl IntoIterator<Item = &'a ConsumedCapacity>) -> Try {
        self.counter.spent(Units::Write, units_of(consumed));
        Try::Done
    }

    /// Waits the longer the more tries there were.
    pub(crate) async fn pause(&self, turn: u32) {
        let longest = PAUSE.saturating_mul(1 << turn.min(10)).min(PAUSE_MAX);
        tokio::time::sleep(longest / 2 + self.ids.part_of(longest / 2)).await;
    }
}

/// Capacity units that were used.
pub(crate) fn units_of<'a>(consumed: impl IntoIterator<Item = &'a ConsumedCapacity>) -> impl Iterator<Item = f64> {
    consumed.into_iter().filter_map(ConsumedCapacity::capacity_units)
}

/// The condition of the only action does not hold.
fn alone(found: Option<Item>) -> Try {
    Try::Conditions(vec![Failed { index: 0, found }])
}

/// Why a transaction was not done.
fn cancelled(reasons: &[CancellationReason]) -> Try {
    let code = |reason: &CancellationReason| reason.code().unwrap_or("None").to_owned();
    let failed: Vec<Failed> = reasons
        .iter()
        .enumerate()
        .filter(|(_, reason)| reason.code() == Some("ConditionalCheckFailed"))
        .map(|(index, reason)| Failed { index, found: reason.item.clone() })
        .collect();
    if !failed.is_empty() {
        return Try::Conditions(failed);
    }
    let told: Vec<String> = reasons
        .iter()
        .filter(|reason| reason.code() != Some("None"))
        .map(|reason| format!("{}: {}", code(reason), reason.message().unwrap_or("no message")))
        .collect();
    let words =
        format!("operation error DynamoDB: TransactWriteItems, the transaction was cancelled: {}", told.join("; "));
    let passes = |reason: &CancellationReason| {
        matches!(
            reason.code(),
            None | Some("None" | "TransactionConflict" | "ThrottlingError" | "ProvisionedThroughputExceeded")
        )
    };
    Try::Fault(if reasons.iter().all(passes) {
        Fault::Busy(None, words)
    } else {
        Fault::Refused(Refused::Other(words))
    })
}

/// The error after the last try: if any of them may have been done, that is what has to be said.
fn unknown(unsure: Option<String>, fault: Fault) -> Unwritten {
    Unwritten::Store(match unsure {
        Some(reason) => StoreError::OutcomeUnknown { reason },
        None => fault.into(),
    })
}

/// An empty map is refused by the service.
fn values(maps: &[&Item]) -> Option<Item> {
    let all: Item = maps.iter().flat_map(|map| map.iter()).map(|(name, value)| (name.clone(), value.clone())).collect();
    (!all.is_empty()).then_some(all)
}

fn transact_item(table: &str, action: &Action) -> Result<TransactWriteItem, Fault> {
    let condition = action.condition.clone().unwrap_or_default();
    let text = action.condition.as_ref().map(|condition| condition.text.clone());
    let (names, only) = (condition.names(), values(&[&condition.values]));
    let item = TransactWriteItem::builder();
    let built = match &action.what {
        What::Put(attributes) => {
            let mut attributes = attributes.clone();
            attributes.extend(key_of(&action.at));
            let put = Put::builder().table_name(table).set_item(Some(attributes)).set_condition_expression(text);
            let put = put.set_expression_attribute_names(names).set_expression_attribute_values(only);
            put.return_values_on_condition_check_failure(SHOW).build().map(|put| item.put(put))
        }
        What::Update(change) => {
            let (expression, set) = change.expression();
            let update = Update::builder().table_name(table).set_key(Some(key_of(&action.at)));
            let update = update.update_expression(expression).set_condition_expression(text);
            let update = update.set_expression_attribute_names(names);
            let update = update.set_expression_attribute_values(values(&[&set, &condition.values]));
            update.return_values_on_condition_check_failure(SHOW).build().map(|update| item.update(update))
        }
        What::Delete => {
            let delete = Delete::builder().table_name(table).set_key(Some(key_of(&action.at)));
            let delete = delete.set_condition_expression(text).set_expression_attribute_names(names);
            let delete = delete.set_expression_attribute_values(only);
            delete.return_values_on_condition_check_failure(SHOW).build().map(|delete| item.delete(delete))
        }
        What::Check => {
            let check = ConditionCheck::builder().table_name(table).set_key(Some(key_of(&action.at)));
            let check = check.set_condition_expression(text).set_expression_attribute_names(names);
            let check = check.set_expression_attribute_values(only);
            check.return_values_on_condition_check_failure(SHOW).build().map(|check| item.condition_check(check))
        }
    };
    built.map(TransactWriteItemBuilder::build).map_err(|error| Fault::Refused(Refused::Other(error.to_string())))
}
