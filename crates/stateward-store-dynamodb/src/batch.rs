//! Many items in few requests.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::{DeleteRequest, KeysAndAttributes, PutRequest, WriteRequest};
use futures::stream::{self, StreamExt, TryStreamExt};

use crate::item::{Item, at_of, key_of};
use crate::places::At;
use crate::table::{TOTAL, Table, units_of};
use stateward_store_aws::{Fault, Refused, Units};

/// Items that one `BatchGetItem` may ask for.
const GET_MAX: usize = 100;
/// Items that one `BatchWriteItem` may write.
const WRITE_MAX: usize = 25;
/// Batches that are asked for side by side.
const ABREAST: usize = 4;

/// Some items of a table, and where the next begin.
pub(crate) struct Scanned {
    pub(crate) items: Vec<Item>,
    pub(crate) next: Option<Item>,
}

impl Table {
    /// Reads all items of the table, whatever they are: only for what happens once in a long while.
    pub(crate) async fn scan(&self, from: Option<Item>) -> Result<Scanned, Fault> {
        let request = self.clients.reads.scan().table_name(&self.name).consistent_read(true);
        let request = request.set_exclusive_start_key(from).return_consumed_capacity(TOTAL);
        let answer = request.send().await.map_err(|error| self.fault("DynamoDB: Scan", &error))?;
        self.counter.spent(Units::Read, units_of(answer.consumed_capacity()));
        let next = answer.last_evaluated_key.filter(|key| !key.is_empty());
        Ok(Scanned { items: answer.items.unwrap_or_default(), next })
    }

    /// Reads items. Those that are not there are left out; also, without `consistent`, some that were only just put.
    pub(crate) async fn get_many(&self, places: Vec<At>, consistent: bool) -> Result<HashMap<At, Item>, Fault> {
        let batches: Vec<Vec<At>> = places.chunks(GET_MAX).map(<[At]>::to_vec).collect();
        let found = stream::iter(batches).map(|batch| self.get_batch(batch, consistent)).buffered(ABREAST);
        let found: Vec<Vec<(At, Item)>> = found.try_collect().await?;
        Ok(found.into_iter().flatten().collect())
    }

    async fn get_batch(&self, places: Vec<At>, consistent: bool) -> Result<Vec<(At, Item)>, Fault> {
        let mut found = Vec::with_capacity(places.len());
        let mut keys: Vec<Item> = places.iter().map(key_of).collect();
        let mut idle = 0;
        while !keys.is_empty() {
            let asked = KeysAndAttributes::builder().set_keys(Some(keys)).consistent_read(consistent).build();
            let asked = asked.map_err(|error| Fault::Refused(Refused::Other(error.to_string())))?;
            let request = self.clients.reads.batch_get_item().request_items(&self.name, asked);
            let answer = request.return_consumed_capacity(TOTAL).send().await;
            let mut answer = answer.map_err(|error| self.fault("DynamoDB: BatchGetItem", &error))?;
            self.counter.spent(Units::Read, units_of(answer.consumed_capacity()));
            let items = answer.responses.take().and_then(|mut tables| tables.remove(&self.name)).unwrap_or_default();
            // Some are left over where the answer would be too large, or there was too much to do.
            let rest = answer.unprocessed_keys.take().and_then(|mut tables| tables.remove(&self.name));
            keys = rest.map(|rest| rest.keys).unwrap_or_default();
            if items.is_empty() && !keys.is_empty() {
                self.idle("BatchGetItem", &mut idle).await?;
            }
            found.extend(items.into_iter().filter_map(|item| Some((at_of(&item)?, item))));
        }
        Ok(found)
    }

    /// Puts items over whatever is there. Done again where it is not known whether it was done: only for items that one writer puts.
    pub(crate) async fn put_all(&self, items: Vec<(At, Item)>) -> Result<(), Fault> {
        let put = |(at, mut item): (At, Item)| {
            item.extend(key_of(&at));
            let put = PutRequest::builder().set_item(Some(item)).build();
            put.map(|put| WriteRequest::builder().put_request(put).build())
        };
        self.write_all(items.into_iter().map(put).collect::<Result<_, _>>().map_err(unbuilt)?).await
    }

    /// Deletes items that nobody puts again.
    pub(crate) async fn delete_all(&self, places: Vec<At>) -> Result<(), Fault> {
        let delete = |at: At| {
            let delete = DeleteRequest::builder().set_key(Some(key_of(&at))).build();
            delete.map(|delete| WriteRequest::builder().delete_request(delete).build())
        };
        self.write_all(places.into_iter().map(delete).collect::<Result<_, _>>().map_err(unbuilt)?).await
    }

    async fn write_all(&self, requests: Vec<WriteRequest>) -> Result<(), Fault> {
        let batches: Vec<Vec<WriteRequest>> = requests.chunks(WRITE_MAX).map(<[WriteRequest]>::to_vec).collect();
        let written = stream::iter(batches).map(|batch| self.write_batch(batch)).buffer_unordered(ABREAST);
        written.try_collect::<Vec<()>>().await.map(drop)
    }

    async fn write_batch(&self, mut requests: Vec<WriteRequest>) -> Result<(), Fault> {
        let (mut tries, mut idle) = (0, 0);
        while !requests.is_empty() {
            let asked = requests.len();
            let request = self.clients.writes.batch_write_item().request_items(&self.name, requests.clone());
            match request.return_consumed_capacity(TOTAL).send().await {
                Ok(mut answer) => {
                    self.counter.spent(Units::Write, units_of(answer.consumed_capacity()));
                    let rest = answer.unprocessed_items.take().and_then(|mut tables| tables.remove(&self.name));
                    requests = rest.unwrap_or_default();
                    if requests.len() == asked {
                        self.idle("BatchWriteItem", &mut idle).await?;
                    }
                }
                Err(error) => {
                    let fault = self.fault("DynamoDB: BatchWriteItem", &error);
                    if tries >= self.retries || matches!(fault, Fault::Refused(_)) {
                        return Err(fault);
                    }
                    self.pause(tries).await;
                    tries += 1;
                }
            }
        }
        Ok(())
    }

    /// Waits after an answer to nothing of what was asked.
    async fn idle(&self, operation: &str, turn: &mut u32) -> Result<(), Fault> {
        if *turn > self.retries {
            return Err(Fault::Busy(None, format!("{operation}: nothing of what was asked for was done")));
        }
        self.pause(*turn).await;
        *turn += 1;
        Ok(())
    }
}

fn unbuilt(error: impl std::fmt::Display) -> Fault {
    Fault::Refused(Refused::Other(error.to_string()))
}
