//! What is read and written in a transaction.

use std::sync::Arc;

use bytes::Bytes;
use futures::TryStreamExt;
use stateward_state::edit::{Merge, MergeError, Merged};

use super::super::read::body_of;
use super::super::write::{Onto, Terms, Under, damaged_on_the_way, drain};
use super::super::{BodyStream, Content, Post, Written};
use super::RECOVER;
use crate::access::{Caller, Right};
use crate::audit::Deed;
use crate::backend::Backend;
use crate::bug::Bug;
use crate::claim::TxRecord;
use crate::control::{Control, Head, OpenTx};
use crate::error::{Error, Kind, Result};
use crate::ingest::{INLINE_BYTES, check_size, stopped};
use crate::name::StateId;
use crate::version::VersionRecord;

impl Backend {
    /// The state as a transaction sees it: as its plan did, until it writes; then as of its last write. `None` where there was none.
    pub async fn read_in(&self, caller: &Caller, state: &StateId, id: &str) -> Result<Option<Content>> {
        self.audited(caller, state, "GET in a transaction", async {
            caller.demand(&[Right::Read], state)?;
            let (tx, _) = self.open_tx(caller, state, id).await?;
            let Some(version) = tx.last.or(tx.base) else { return Ok(None) };
            let record = self.version_in(state, &self.glance(state).await?, version).await?;
            Ok(Some(self.content(record)?))
        })
        .await
    }

    /// Stores what Terraform posts in a transaction: merged into the current state, what it holds as it was sent, all else as others
    /// have left it. Repeating it is safe. Holds the state and what is sent in memory.
    pub async fn commit(&self, caller: &Caller, state: &StateId, id: &str, post: Post) -> Result<Written> {
        self.audited(caller, state, "POST in a transaction", Box::pin(self.try_commit(caller, state, id, post))).await
    }

    async fn try_commit(&self, caller: &Caller, state: &StateId, id: &str, post: Post) -> Result<Written> {
        let limit = self.settings().limits.body_bytes;
        let early = match caller.demand(&[Right::Write], state) {
            Ok(()) => self.open_tx(caller, state, id).await,
            Err(error) => Err(error),
        };
        let (tx, record) = match early {
            Ok(open) => open,
            Err(error) => {
                drain(post.body, limit).await;
                return Err(error);
            }
        };
        let sent = collect(post.body, limit).await?;
        if post.md5.is_some_and(|md5| md5 != <[u8; 16]>::from(<md5::Md5 as md5::Digest>::digest(&sent))) {
            return Err(damaged_on_the_way());
        }
        self.merge_and_publish(caller, state, &tx, &record, &sent, Check::StillMine).await
    }

    /// Publishes what was sent, merged. With [`Check::Nothing`] what is held is written over whatever became of it.
    pub(super) async fn merge_and_publish(
        &self,
        caller: &Caller,
        state: &StateId,
        tx: &OpenTx,
        record: &Arc<TxRecord>,
        sent: &Bytes,
        check: Check,
    ) -> Result<Written> {
        let latch = self.latch(state);
        let _turn = latch.merging().await;
        let mut control = self.present(state).await?.control;
        let base = match tx.base {
            Some(version) => Some(self.version_in(state, &control, version).await?),
            None => None,
        };
        loop {
            // Another of its own writes may have come in between.
            let (tx, _) = self.open_tx(caller, state, &record.id).await?;
            let body = match &control.head {
                None if base.is_some() => return Err(deleted(state)),
                None => sent.clone(),
                Some(head) => {
                    if check == Check::StillMine {
                        self.still_mine(state, &control, &tx, record, base.as_ref(), head).await?;
                    }
                    let merged = self.merged(record, base.as_ref(), head, sent).await?;
                    if !merged.changed {
                        return Ok(Written { version: head.version, serial: head.serial, changed: false });
                    }
                    merged.body.into()
                }
            };
            let under = Under::Tx { fence: tx.fence, record: record.clone() };
            let onto = Onto::Exactly(control.head.as_ref().map(|head| head.version));
            let terms = Terms { under, onto, ..Terms::new("write", Deed::Write) };
            let ingested = self.ingest(state, BodyStream::of(body)).await?;
            let before = self.place_before(state).await?;
            if let Some(written) = self.publish(caller, state, ingested, &terms, None).await? {
                self.follow_outside(state, before).await?;
                return Ok(written);
            }
            control = self.present(state).await?.control;
        }
    }

    /// What is held is written by nobody else who asks. Who does not ask, or asked after the lease had lapsed, is noticed here.
    async fn still_mine(
        &self,
        state: &StateId,
        control: &Control,
        tx: &OpenTx,
        record: &TxRecord,
        base: Option<&VersionRecord>,
        head: &Head,
    ) -> Result<()> {
        let seen = match tx.last {
            Some(version) if version == head.version => return Ok(()),
            Some(version) => Some(self.version_in(state, control, version).await?),
            None => base.cloned(),
        };
        if seen.as_ref().is_some_and(|seen| seen.facts.version == head.version) {
            return Ok(());
        }
        let changed = self.changed_since(seen.as_ref(), head, |address| record.claim.write.covers(address)).await?;
        if changed.is_empty() {
            return Ok(());
        }
        let why = format!("somebody else changed what transaction {} holds: {}", record.id, changed.join(", "));
        Err(Error::new(Kind::Conflict, "the state was not changed", why, RECOVER))
    }

    async fn merged(
        &self,
        record: &Arc<TxRecord>,
        base: Option<&VersionRecord>,
        head: &Head,
        sent: &Bytes,
    ) -> Result<Merged> {
        let now = self.bytes_of(&head.body).await?;
        let then = match base {
            Some(base) if base.facts.version == head.version => Some(now.clone()),
            Some(base) => Some(self.bytes_of(&body_of(base)?).await?),
            None => None,
        };
        let serial = head.serial.checked_add(1).ok_or_else(no_serial)?;
        let (sent, record) = (sent.clone(), record.clone());
        // With nothing held nothing would be written.
        let takes_all = [Bug::WritesAreNotMerged, Bug::NothingIsHeld].iter().any(|bug| self.shared.planted.has(*bug));
        let small = now.len().max(sent.len()) <= INLINE_BYTES;
        let merge = move || {
            let mine = |address: &str| takes_all || record.claim.write.covers(address);
            Merge { base: then.as_deref(), head: &now, post: &sent, mine: &mine, serial }.run()
        };
        let merged = match small {
            true => merge(),
            false => tokio::task::spawn_blocking(merge).await.map_err(|_| stopped())?,
        };
        merged.map_err(|error| refused(&error))
    }
}

/// What is looked at before a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Check {
    /// That nobody else has changed what the transaction holds.
    StillMine,
    Nothing,
}

/// The whole body. Its size is checked as it comes.
pub(super) async fn collect(mut body: BodyStream, limit: u64) -> Result<Bytes> {
    let mut whole = Vec::new();
    while let Some(piece) = body.bytes.try_next().await? {
        check_size(whole.len() as u64 + piece.len() as u64, limit)?;
        whole.extend_from_slice(&piece);
    }
    Ok(whole.into())
}

fn refused(error: &MergeError) -> Error {
    let what = "the state was not changed";
    match error {
        MergeError::Opaque => Error::new(Kind::Unsupported, what, error.to_string(), "lock the whole state"),
        MergeError::Conflict { .. } | MergeError::OtherLineage => {
            Error::new(Kind::Conflict, what, error.to_string(), RECOVER)
        }
        _ => Error::new(Kind::Invalid, what, error.to_string(), "send a state as Terraform writes it"),
    }
}

fn deleted(state: &StateId) -> Error {
    let why = format!("`{state}` was deleted after the transaction began");
    Error::new(Kind::Conflict, "the state was not changed", why, RECOVER)
}

fn no_serial() -> Error {
    let why = "there is no serial after the one of the state here";
    Error::new(Kind::Invalid, "the state was not changed", why, "push it anew under another name")
}
