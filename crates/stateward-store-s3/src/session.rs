//! Blobs on their way in, and the commit that makes them count.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use stateward_store::{BlobId, Key, Locator, NewBlob, Result, Revision, Session, StoreError, Write};
use tokio::task::JoinSet;

use crate::commit::validate;
use crate::hold::Hold;
use crate::pack::{self, Builder, PackName, Span};
use crate::records::Home;
use crate::store::Shared;

/// The largest sealed blob.
pub(crate) const BLOB_BYTES_MAX: usize = 1 << 20;
/// A pack is sent once it is this long.
const PACK_BYTES: usize = 4 << 20;
/// Packs of one session that are under way at once.
const UPLOADS: usize = 3;

/// Blobs of one home.
pub(crate) struct S3Session {
    shared: Arc<Shared>,
    key: Key,
    home: Home,
    /// Bytes that may still be kept in locators.
    room: usize,
    /// There was some at the start.
    may_keep: bool,
    /// A small blob found none.
    crowded: bool,
    /// What was put or shared, and where it is.
    known: HashMap<BlobId, Locator>,
    hold: Hold,
    filling: Option<Builder>,
    uploads: JoinSet<Result<()>>,
    /// What the packs of this session hold.
    packed: Vec<(PackName, Vec<(BlobId, Span)>)>,
    /// A pack was lost, and the session with it.
    broken: Option<StoreError>,
}

impl S3Session {
    pub(crate) fn new(shared: Arc<Shared>, key: &Key) -> Self {
        let home = Home::of(key.as_str());
        // What found no room the last time goes into a pack once and is shared from then on.
        let room = if shared.shelves.is_crowded(home) { 0 } else { shared.options.keep_bytes };
        Self {
            shared,
            key: key.clone(),
            home,
            room,
            may_keep: room > 0,
            crowded: false,
            known: HashMap::new(),
            hold: Hold::default(),
            filling: None,
            uploads: JoinSet::new(),
            packed: Vec::new(),
            broken: None,
        }
    }

    fn check_whole(&self) -> Result<()> {
        self.broken.clone().map_or(Ok(()), Err)
    }

    async fn put_one(&mut self, blob: NewBlob) -> Result<Locator> {
        let NewBlob { id, sealed } = blob;
        if sealed.len() <= Locator::KEPT_BYTES_MAX {
            if sealed.len() <= self.room {
                self.room -= sealed.len();
                return Ok(Locator::keeping(&sealed));
            }
            self.crowded = self.may_keep;
        }
        if self.filling.as_ref().is_some_and(|pack| pack.len() + sealed.len() > PACK_BYTES) {
            self.send().await?;
        }
        if self.filling.is_none() {
            self.filling = Some(self.begin().await?);
        }
        let Some(filling) = &mut self.filling else { return Ok(Locator::default()) };
        let span = filling.push(&id, &sealed);
        let name = filling.name;
        if let Some((_, blobs)) = self.packed.last_mut() {
            blobs.push((id, span));
        }
        Ok(pack::locator(&name, span))
    }

    /// Begins a pack. The round is part of its name: a pack is safe from the sweeps of that round and the next.
    async fn begin(&mut self) -> Result<Builder> {
        let round = self.shared.round().await?;
        let name = PackName { home: self.home, round, number: self.shared.next_number() };
        self.hold.add(name.id(), round.saturating_add(1));
        self.packed.push((name, Vec::new()));
        Ok(Builder::new(name, self.key.as_str()))
    }

    /// Sends what is gathered, once there is room for it.
    async fn send(&mut self) -> Result<()> {
        let Some(size) = self.filling.as_ref().map(Builder::len) else { return Ok(()) };
        self.wait_until_under_way(UPLOADS - 1).await?;
        let size = u32::try_from(size).unwrap_or(u32::MAX);
        let room = Arc::clone(&self.shared.upload_bytes).acquire_many_owned(size).await.map_err(|_| closed())?;
        // From here on nothing waits: a call that is dropped half way must not lose a pack whose locators are out.
        let Some(filling) = self.filling.take() else { return Ok(()) };
        let (shared, name) = (Arc::clone(&self.shared), filling.name);
        self.uploads.spawn(async move {
            let content = filling.finish();
            shared.records.bucket.put(&name.object(&shared.records.root), content.clone()).await?;
            shared.packs.remember(name, &content);
            drop(room);
            Ok(())
        });
        Ok(())
    }

    async fn wait_until_under_way(&mut self, most: usize) -> Result<()> {
        while self.uploads.len() > most
            && let Some(upload) = self.uploads.join_next().await
        {
            if let Err(error) = upload.unwrap_or_else(|_| Err(closed())) {
                return Err(self.broken.insert(error).clone());
            }
        }
        Ok(())
    }

    fn note_published(&self) {
        let round = self.shared.records.known(self.home).map_or(0, |known| known.header.upkeep.round);
        for (name, blobs) in &self.packed {
            self.shared.shelves.learn(*name, round, blobs.iter().copied());
        }
        self.shared.shelves.note_crowded(self.home, self.crowded);
    }
}

fn closed() -> StoreError {
    StoreError::Unavailable { retry_after: None, reason: "the store is closed".into() }
}

#[async_trait]
impl Session for S3Session {
    async fn share(&mut self, ids: &[BlobId]) -> Result<Vec<Option<Locator>>> {
        self.check_whole()?;
        let upkeep = self.shared.records.known(self.home).map(|known| known.header.upkeep).unwrap_or_default();
        let mut found = Vec::with_capacity(ids.len());
        for id in ids {
            if !self.known.contains_key(id)
                && let Some(place) = self.shared.shelves.find(self.home, id)
                && !upkeep.dropped.contains(&place.pack.id())
            {
                self.hold.add(place.pack.id(), place.round);
                self.known.insert(*id, pack::locator(&place.pack, place.span));
            }
            found.push(self.known.get(id).cloned());
        }
        Ok(found)
    }

    async fn put(&mut self, blobs: Vec<NewBlob>) -> Result<Vec<Locator>> {
        self.check_whole()?;
        if let Some(blob) = blobs.iter().find(|blob| blob.sealed.len() > BLOB_BYTES_MAX) {
            return Err(StoreError::TooLarge { size: blob.sealed.len() as u64, limit: BLOB_BYTES_MAX as u64 });
        }
        let mut locators = Vec::with_capacity(blobs.len());
        for blob in blobs {
            let id = blob.id;
            let locator = match self.known.get(&id) {
                Some(known) => known.clone(),
                None => self.put_one(blob).await?,
            };
            self.known.insert(id, locator.clone());
            locators.push(locator);
        }
        Ok(locators)
    }

    async fn commit(&mut self, writes: Vec<Write>) -> Result<Revision> {
        self.check_whole()?;
        validate(&writes)?;
        if writes.last().is_some_and(|last| last.key != self.key) && !(self.hold.is_empty()) {
            return Err(StoreError::Unsupported {
                what: "a commit that another record decides".into(),
                reason: format!("this session was opened for `{}`", self.key),
            });
        }
        self.send().await?;
        self.wait_until_under_way(0).await?;
        let committed = self.shared.records.commit(writes, &mut self.hold).await;
        match &committed {
            Ok(_) => self.note_published(),
            // Perhaps for blobs that have been collected: whoever starts over should not meet them again.
            Err(StoreError::Unavailable { .. }) if !self.hold.is_empty() => self.shared.shelves.forget(self.home),
            Err(_) => {}
        }
        committed
    }
}
