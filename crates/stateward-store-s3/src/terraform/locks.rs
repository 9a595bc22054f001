//! Terraform's locks: the lock file first, then the item in the table, and given back in the same order.
//!
//! A lock that is found held under the ID it was asked for is taken: it is this very lock, whose answer was lost.

use async_trait::async_trait;
use bytes::Bytes;
use futures::FutureExt;
use stateward_store::outside::{LockPlace, Spot, Taken, lock_id_in as id_in, lock_info_at};
use stateward_store::{Result, StoreError};
use stateward_store_aws::{Condition, Fault, Object, together};
use tracing::{debug, warn};

use super::spots::Kind;
use super::table::{Put, Table};
use super::{Inner, TerraformPlace};

/// How often a lock may change hands while it is being broken.
const RACES_MAX: u32 = 5;

/// A lock file that this process has taken.
#[derive(Debug, Clone)]
pub(super) struct Held {
    id: String,
    tag: String,
}

#[async_trait]
impl LockPlace for TerraformPlace {
    async fn lock(&self, at: &Spot, id: &str, info: &[u8]) -> Result<Taken> {
        let inner = &*self.inner;
        inner.spots.check(at)?;
        if inner.table.is_some() {
            inner.spots.check_item(at)?;
        }
        let info = lock_info_at(&inner.spots.lock_id(at), id, info);
        if inner.use_lockfile
            && let Taken::Held(holder) = inner.take_file(at, id, &info).await?
        {
            return Ok(Taken::Held(holder));
        }
        let Some(table) = &inner.table else { return Ok(Taken::Yes) };
        let taken = inner.take_item(table, at, id, &info).await;
        if !matches!(taken, Ok(Taken::Yes) | Err(StoreError::OutcomeUnknown { .. })) && inner.use_lockfile {
            inner.give_file(at, id).await?;
        }
        taken
    }

    async fn unlock(&self, at: &Spot, id: &str, info: &[u8]) -> Result<()> {
        let inner = &*self.inner;
        inner.spots.check(at)?;
        // Each for itself: a file that may not be deleted is no reason to keep out those who look at the table alone.
        let file = if inner.use_lockfile { inner.give_file(at, id).await } else { Ok(()) };
        if let Some(table) = &inner.table {
            let info = lock_info_at(&inner.spots.lock_id(at), id, info);
            inner.give_item(table, at, id, &info).await?;
        }
        file
    }

    async fn break_lock(&self, at: &Spot, id: Option<&str>) -> Result<Option<Bytes>> {
        let inner = &*self.inner;
        inner.spots.check(at)?;
        let of_file = if inner.use_lockfile { inner.break_file(at, id).await? } else { None };
        let of_item = match &inner.table {
            Some(table) => inner.break_item(table, at, id).await?,
            None => None,
        };
        Ok(of_file.or(of_item))
    }

    async fn holder(&self, at: &Spot) -> Result<Option<Bytes>> {
        let inner = &*self.inner;
        inner.spots.check(at)?;
        if inner.use_lockfile
            && let Some(file) = inner.bucket.get(&inner.spots.lock_file(at)).await?
        {
            return Ok(Some(file.content));
        }
        match &inner.table {
            Some(table) => Ok(table.lock(&inner.spots.lock_id(at)).await?.map(Bytes::from)),
            None => Ok(None),
        }
    }

    async fn holders(&self) -> Result<Vec<(Spot, Bytes)>> {
        let inner = &*self.inner;
        let mut holders = if inner.use_lockfile { inner.files().await? } else { Vec::new() };
        if let Some(table) = &inner.table {
            for (at, info) in inner.items(table).await? {
                if holders.iter().all(|(known, _)| *known != at) {
                    holders.push((at, info));
                }
            }
        }
        holders.sort_by(|(one, _), (other, _)| one.cmp(other));
        Ok(holders)
    }
}

impl Inner {
    /// Takes the lock file.
    async fn take_file(&self, at: &Spot, id: &str, info: &str) -> Result<Taken> {
        let name = self.spots.lock_file(at);
        let (mut last, mut lost) = (None, false);
        for turn in 0..self.tries {
            let fault = match self.put_json_if(&name, info.to_owned().into(), &Condition::Absent, None).await {
                Ok(tag) => {
                    self.held().insert(at.clone(), Held { id: id.to_owned(), tag });
                    return Ok(Taken::Yes);
                }
                Err(fault) => fault,
            };
            lost |= matches!(fault, Fault::Lost(_));
            if !lost && !fault.may_pass() && !matches!(fault, Fault::Precondition) {
                return self.refused_file(at, id, fault).await;
            }
            if let Some(Object { tag, content }) = self.bucket.get(&name).await.map_err(|error| unread(error, lost))? {
                if id_in(&content).as_deref() != Some(id) {
                    return Ok(Taken::Held(content));
                }
                self.held().insert(at.clone(), Held { id: id.to_owned(), tag });
                return Ok(Taken::Yes);
            }
            last = Some(fault);
            tokio::time::sleep(self.wait(turn)).await;
        }
        let last = last.unwrap_or(Fault::Precondition);
        Err(if lost { StoreError::OutcomeUnknown { reason: format!("{last:?}") } } else { last.into() })
    }

    /// What refused it may stand before the service, and have let it through: a lock that nobody knows of would keep everybody out.
    async fn refused_file(&self, at: &Spot, id: &str, fault: Fault) -> Result<Taken> {
        match self.file_of(&self.spots.lock_file(at), id).await {
            Ok(Some(Object { tag, .. })) => {
                self.held().insert(at.clone(), Held { id: id.to_owned(), tag });
                Ok(Taken::Yes)
            }
            Err(_) if !fault.is_told_by_aws() => Err(unread(fault, true)),
            _ => Err(fault.into()),
        }
    }

    async fn take_item(&self, table: &Table, at: &Spot, id: &str, info: &str) -> Result<Taken> {
        let lock_id = self.spots.lock_id(at);
        let is_ours = |held: &str| id_in(held.as_bytes()).as_deref() == Some(id);
        match table.put_lock(&lock_id, info).await {
            Ok(Put::Done) => Ok(Taken::Yes),
            Ok(Put::Held(held)) if is_ours(&held) => Ok(Taken::Yes),
            Ok(Put::Held(held)) => Ok(Taken::Held(held.into())),
            // It may have been done all the same.
            Err(fault @ (Fault::Lost(_) | Fault::Refused(_))) => match table.lock(&lock_id).await {
                Ok(held) if held.as_deref().is_some_and(is_ours) => Ok(Taken::Yes),
                Err(_) if !fault.is_told_by_aws() => Err(unread(fault, true)),
                _ => Err(fault.into()),
            },
            Err(fault) => Err(fault.into()),
        }
    }

    /// Gives the lock file back if it is held under this ID.
    async fn give_file(&self, at: &Spot, id: &str) -> Result<()> {
        let name = self.spots.lock_file(at);
        let ours = self.held().get(at).filter(|held| held.id == id).cloned();
        // What this process took needs no look, where a delete of exactly that file can be asked for.
        let tag = match ours.filter(|_| self.deletes_exactly()) {
            Some(held) => Some(held.tag),
            None => self.file_of(&name, id).await?.map(|file| file.tag),
        };
        if let Some(tag) = tag {
            self.delete_file(&name, &tag).await?;
        }
        let mut held = self.held();
        if held.get(at).is_some_and(|held| held.id == id) {
            held.remove(at);
        }
        Ok(())
    }

    /// Reads a lock file, if it is held under this ID.
    async fn file_of(&self, name: &str, id: &str) -> Result<Option<Object>> {
        let file = self.bucket.get(name).await?;
        Ok(file.filter(|file| id_in(&file.content).as_deref() == Some(id)))
    }

    /// Deletes a lock file if it still is the one with this `ETag`; false where it is not.
    pub(super) async fn delete_file(&self, name: &str, tag: &str) -> Result<bool> {
        let mut last = Fault::Contended;
        for turn in 0..self.tries {
            // Nobody else looks, where a condition may not be heeded.
            if !self.deletes_exactly() && self.tag_of(name).await?.as_deref() != Some(tag) {
                return Ok(false);
            }
            match self.delete_seen(name, tag).await {
                Ok(()) => return Ok(true),
                // It is another's by now; or gone, if it was this request, sent again, that took it away.
                Err(Fault::Precondition | Fault::Missing) => return Ok(false),
                Err(fault) if fault.may_pass() => last = fault,
                // Refused, and perhaps not by who deletes.
                Err(fault) => {
                    let is_gone = self.tag_of(name).await.is_ok_and(|there| there.as_deref() != Some(tag));
                    return if is_gone { Ok(true) } else { Err(fault.into()) };
                }
            }
            tokio::time::sleep(self.wait(turn)).await;
        }
        Err(last.into())
    }

    async fn give_item(&self, table: &Table, at: &Spot, id: &str, info: &str) -> Result<()> {
        let lock_id = self.spots.lock_id(at);
        let is_ours = |held: &String| id_in(held.as_bytes()).as_deref() == Some(id);
        match table.delete_lock(&lock_id, info).await {
            Ok(true) => return Ok(()),
            Ok(false) => {}
            // Refused, and perhaps not by who deletes.
            Err(fault) => {
                let is_gone = table.lock(&lock_id).await.is_ok_and(|held| !held.as_ref().is_some_and(is_ours));
                return if is_gone { Ok(()) } else { Err(fault.into()) };
            }
        }
        // It is gone, or another's, or this one in other words.
        if let Some(held) = table.lock(&lock_id).await?.filter(is_ours)
            && !table.delete_lock(&lock_id, &held).await?
        {
            warn!(lock_id, id, "a lock changed while it was given back");
        }
        Ok(())
    }

    async fn break_file(&self, at: &Spot, id: Option<&str>) -> Result<Option<Bytes>> {
        let name = self.spots.lock_file(at);
        let mut broken = None;
        for _ in 0..RACES_MAX {
            let Some(file) = self.bucket.get(&name).await? else { return Ok(broken) };
            if id.is_some_and(|id| id_in(&file.content).as_deref() != Some(id)) {
                return Ok(broken);
            }
            if self.delete_file(&name, &file.tag).await? {
                self.held().remove(at);
                return Ok(Some(file.content));
            }
            // Somebody else gave it back, or the answer to an earlier try was lost.
            broken = id.is_some().then_some(file.content);
        }
        Err(changes_hands(&name))
    }

    async fn break_item(&self, table: &Table, at: &Spot, id: Option<&str>) -> Result<Option<Bytes>> {
        let lock_id = self.spots.lock_id(at);
        let mut broken = None;
        for _ in 0..RACES_MAX {
            let Some(held) = table.lock(&lock_id).await? else { return Ok(broken) };
            if id.is_some_and(|id| id_in(held.as_bytes()).as_deref() != Some(id)) {
                return Ok(broken);
            }
            if table.delete_lock(&lock_id, &held).await? {
                return Ok(Some(held.into()));
            }
            broken = id.is_some().then(|| held.into());
        }
        Err(changes_hands(&lock_id))
    }

    /// All locks in the table; where a scan is refused, for it cannot be limited to some items, those of the states that there are.
    async fn items(&self, table: &Table) -> Result<Vec<(Spot, Bytes)>> {
        match table.locks(&format!("{}/", self.spots.bucket)).await.map_err(StoreError::from) {
            Ok(items) => {
                let spot = |(lock_id, info): (String, String)| Some((self.spots.of_lock_id(&lock_id)?, info.into()));
                Ok(items.into_iter().filter_map(spot).collect())
            }
            Err(StoreError::Denied { denial }) => {
                debug!(denial, "locks are looked for by the names of the states");
                let read = |(at, _): (Spot, _)| {
                    async move {
                        let info = table.lock(&self.spots.lock_id(&at)).await?;
                        Ok(info.map(|info| (at, info.into())))
                    }
                    .boxed()
                };
                let states = self.states().await?;
                Ok(together::all(states.into_iter().map(read)).await?.into_iter().flatten().collect())
            }
            Err(error) => Err(error),
        }
    }

    /// All lock files.
    async fn files(&self) -> Result<Vec<(Spot, Bytes)>> {
        let mut spots = Vec::new();
        let is_lock = |kind| match kind {
            Kind::Lock(at) => Some(at),
            Kind::State(_) => None,
        };
        self.each(|kind, _| spots.extend(is_lock(kind))).await?;
        let read = |at: Spot| {
            async move {
                let file = self.bucket.get(&self.spots.lock_file(&at)).await?;
                Ok(file.map(|file| (at, file.content)))
            }
            .boxed()
        };
        Ok(together::all(spots.into_iter().map(read)).await?.into_iter().flatten().collect())
    }
}

/// What could not be read after a request that may have been done.
fn unread(error: Fault, lost: bool) -> StoreError {
    let error = StoreError::from(error);
    if lost { StoreError::OutcomeUnknown { reason: error.to_string() } } else { error }
}

fn changes_hands(what: &str) -> StoreError {
    StoreError::Unavailable { retry_after: None, reason: format!("the lock `{what}` changes hands again and again") }
}
