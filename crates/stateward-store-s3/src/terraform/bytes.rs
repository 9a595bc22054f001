//! The bytes of states, where plain Terraform looks for them.

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures::future::BoxFuture;
use futures::{FutureExt, TryStreamExt};
use stateward_store::outside::{BytesPlace, Mark, Outgoing, Seen, Spot};
use stateward_store::{Result, StoreError};
use stateward_store_aws::{Condition, Fault};
use tracing::debug;

use super::requests::label_of;
use super::{Inner, TerraformPlace};

/// A state up to this size is written in one request.
const SINGLE_BYTES_MAX: u64 = 5 << 20;

#[async_trait]
impl BytesPlace for TerraformPlace {
    async fn read(&self, at: &Spot, known: Option<&Mark>) -> Result<Seen> {
        self.inner.spots.check(at)?;
        match &self.inner.table {
            Some(table) => self.read_checked(table, at, known).await,
            None => self.inner.fetch(at, known).await,
        }
    }

    async fn write(&self, at: &Spot, expected: Option<&Mark>, body: Outgoing) -> Result<Mark> {
        let inner = &*self.inner;
        inner.spots.check(at)?;
        let md5 = body.md5.clone();
        let condition = expected.map_or(Condition::Absent, |mark| Condition::Tag(mark.as_str().to_owned()));
        let name = inner.spots.object(at);
        let tag = if body.size > SINGLE_BYTES_MAX {
            inner.upload(&name, &condition, body).await?
        } else {
            let content = collect(body.size, body.bytes).await?;
            inner.put(&name, &condition, &body.label, content).await?
        };
        let mark = Mark::new(tag);
        inner.note_digest(&mark, &md5);
        if let Some(table) = &inner.table {
            // Left behind, it is renewed by whoever reads the state next.
            table.put_digest(&inner.spots.lock_id(at), &md5).await.map_err(|fault| StoreError::OutcomeUnknown {
                reason: format!("the state was written and its digest was not: {}", StoreError::from(fault)),
            })?;
        }
        Ok(mark)
    }

    async fn delete(&self, at: &Spot, expected: &Mark) -> Result<()> {
        let inner = &*self.inner;
        inner.spots.check(at)?;
        let name = inner.spots.object(at);
        if let Some(table) = &inner.table {
            // First, for a state without a digest is good, and a digest without a state is not.
            let there = inner.bucket.head(&name).await?;
            if there.is_some_and(|there| there.tag == expected.as_str()) {
                table.delete_digest(&inner.spots.lock_id(at)).await?;
            }
        }
        inner.remove(&name, expected.as_str()).await
    }

    async fn list(&self) -> Result<Vec<(Spot, Mark)>> {
        self.inner.states().await
    }
}

impl Inner {
    pub(super) async fn fetch(&self, at: &Spot, known: Option<&Mark>) -> Result<Seen> {
        Ok(self.stream(&self.spots.object(at), known.map(Mark::as_str), None).await?.into_seen())
    }

    async fn put(&self, name: &str, condition: &Condition, label: &str, content: Bytes) -> Result<String> {
        let send = || self.put_json_if(name, content.clone(), condition, Some(label)).boxed();
        self.until_settled(name, condition, label, send).await
    }

    /// Sends a conditional write until it is known what became of it: bytes with our label are ours.
    pub(super) async fn until_settled<'a>(
        &self,
        name: &str,
        condition: &Condition,
        label: &str,
        send: impl Fn() -> BoxFuture<'a, Result<String, Fault>>,
    ) -> Result<String> {
        let (mut lost, mut last) = (None, Fault::Contended);
        for turn in 0..self.tries {
            let fault = match send().await {
                Ok(tag) => return Ok(tag),
                Err(fault) => fault,
            };
            debug!(name, turn, ?fault, "a write was not confirmed");
            if let Fault::Lost(reason) = &fault {
                lost = Some(reason.clone());
            }
            if lost.is_none() && !fault.may_pass() && !matches!(fault, Fault::Precondition) {
                // What refused it may stand before the service, and have let it through.
                return match self.bucket.head(name).await {
                    Ok(Some(there)) if label_of(&there) == Some(label) => Ok(there.tag),
                    Err(_) if !fault.is_told_by_aws() => Err(unread(fault.clone(), Some("it may have been written"))),
                    _ => Err(fault.into()),
                };
            }
            let there = self.bucket.head(name).await.map_err(|error| unread(error, lost.as_deref()))?;
            match &there {
                Some(there) if label_of(there) == Some(label) => return Ok(there.tag.clone()),
                _ if Condition::of(there.as_ref()) == *condition => {}
                _ => return Err(overtaken(name, lost)),
            }
            last = fault;
            tokio::time::sleep(self.wait(turn)).await;
        }
        Err(unread(last, lost.as_deref()))
    }

    /// Removes exactly these bytes.
    async fn remove(&self, name: &str, tag: &str) -> Result<()> {
        let mut last = Fault::Contended;
        for turn in 0..self.tries {
            let there =
                if turn == 0 && self.deletes_exactly() { Some(tag.to_owned()) } else { self.tag_of(name).await? };
            match there {
                None => return Ok(()),
                Some(there) if there != tag => return Err(conflict(name)),
                Some(_) => {}
            }
            match self.delete_seen(name, tag).await {
                Ok(()) => return Ok(()),
                Err(fault) if fault.may_pass() || matches!(fault, Fault::Precondition | Fault::Missing) => last = fault,
                Err(fault) => return Err(fault.into()),
            }
            tokio::time::sleep(self.wait(turn)).await;
        }
        Err(last.into())
    }

    pub(super) async fn tag_of(&self, name: &str) -> Result<Option<String>> {
        Ok(self.bucket.head(name).await?.map(|head| head.tag))
    }
}

async fn collect(size: u64, bytes: impl futures::Stream<Item = Result<Bytes>>) -> Result<Bytes> {
    let mut content = BytesMut::with_capacity(usize::try_from(size).unwrap_or_default());
    let mut bytes = std::pin::pin!(bytes);
    while let Some(part) = bytes.try_next().await? {
        content.extend_from_slice(&part);
    }
    Ok(content.freeze())
}

pub(super) fn conflict(name: &str) -> StoreError {
    StoreError::Conflict { key: name.to_owned(), current: None }
}

/// Somebody else's bytes are there. Were ours there before?
fn overtaken(name: &str, lost: Option<String>) -> StoreError {
    match lost {
        None => conflict(name),
        Some(reason) => StoreError::OutcomeUnknown { reason: format!("others wrote `{name}` since: {reason}") },
    }
}

fn unread(fault: Fault, lost: Option<&str>) -> StoreError {
    let error = StoreError::from(fault);
    match lost {
        None => error,
        Some(reason) => StoreError::OutcomeUnknown { reason: format!("{reason}; and then: {error}") },
    }
}
