//! Checking everything that is stored: records, chains, lists and blobs.

use std::collections::HashMap;

use bytes::Bytes;
use futures::{Stream, StreamExt, TryStreamExt};
use sha2::{Digest, Sha256};
use stateward_store::BlobId;
use stateward_store::body::{self, RefItem, Tree};
use stateward_store::outside::Seen;

use crate::access::{Caller, Right};
use crate::audit::{AuditItem, PREFIX};
use crate::backend::Backend;
use crate::control::{Control, Head};
use crate::error::{Error, Kind, Result};
use crate::name::StateId;
use crate::outside::{label, spot};
use crate::records::Records;
use crate::version::VersionRecord;
use crate::view::{Finding, Verified};

use super::history::Chain;

/// How far a verification has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct VerifyProgress {
    /// States done.
    pub states: u64,
    /// Versions done.
    pub versions: u64,
}

/// Spans of nodes and chunks that were found good: what versions share is read once.
type Good = HashMap<BlobId, u64>;

impl Backend {
    /// Checks one state, or the whole store with its engine and audit log. Damage is a finding, not an error.
    pub async fn verify(
        &self,
        caller: &Caller,
        state: Option<&StateId>,
        mut progress: impl FnMut(VerifyProgress),
    ) -> Result<Verified> {
        let mut verified = Verified::default();
        let mut good = Good::new();
        if let Some(state) = state {
            caller.demand(&[Right::Read], state)?;
            self.known(state).await?;
            self.verify_state(state, &mut good, &mut verified).await?;
            return Ok(verified);
        }
        caller.demand_admin()?;
        for problem in self.store().verify().await? {
            verified.findings.push(Finding { what: problem.what, why: problem.why });
        }
        for state in self.all_states(&mut verified).await? {
            self.verify_state(&state, &mut good, &mut verified).await?;
            progress(VerifyProgress { states: verified.states, versions: verified.versions });
        }
        self.find_orphans(&mut verified).await?;
        self.verify_audit(&mut verified).await?;
        Ok(verified)
    }

    /// The states there are, past records that cannot be read.
    async fn all_states(&self, verified: &mut Verified) -> Result<Vec<StateId>> {
        let (mut states, mut records) = (Vec::new(), Records::under(self.store(), Control::PREFIX));
        while let Some(entry) = records.next().await? {
            match Control::state_of(&entry.key) {
                Some(state) => states.push(state),
                None => verified
                    .findings
                    .push(Finding { what: entry.key.to_string(), why: "its key names no state".to_owned() }),
            }
        }
        Ok(states)
    }

    async fn verify_state(&self, state: &StateId, good: &mut Good, verified: &mut Verified) -> Result<()> {
        verified.states += 1;
        if let Err(error) = Box::pin(self.verify_outside(state, verified)).await {
            note(verified, format!("{state}, where others look for it"), error)?;
        }
        let control = match self.control(state).await {
            Ok((control, _)) => control,
            Err(error) => return note(verified, state.to_string(), error),
        };
        for head in control.head.iter().chain(control.deleted.iter().map(|deleted| &deleted.head)) {
            if let Err(error) = self.verify_head(head, verified).await {
                note(verified, format!("{state} {}", head.version), error)?;
            }
        }
        let mut chain = Chain::new(self, state, &control);
        let mut expected = control.tail.as_ref().map(|tail| tail.hash.clone());
        loop {
            match chain.next().await {
                Ok(None) => return Ok(()),
                Ok(Some((_, record))) => {
                    verified.versions += 1;
                    self.verify_version(state, &record, expected.as_deref(), good, verified).await?;
                    expected = record.facts.parent.map(|parent| parent.hash);
                }
                Err(error) => return note(verified, format!("the history of {state}"), error),
            }
        }
    }

    /// Compares the bytes that others find with the head, after what they wrote was taken in.
    async fn verify_outside(&self, state: &StateId, verified: &mut Verified) -> Result<()> {
        let Some(place) = self.shared.outside.bytes.clone() else { return Ok(()) };
        let Some(head) = self.present(state).await?.control.head else { return Ok(()) };
        let Seen::Bytes(incoming) = place.read(&spot(state), None).await? else { return Ok(()) };
        if incoming.label.is_some_and(|found| found != label(&head)) {
            // Another version came to stand there meanwhile.
            return Ok(());
        }
        let sha256 = digest(incoming.bytes.map_err(Error::from), &mut verified.bytes).await?;
        if sha256 == head.sha256 { Ok(()) } else { Err(damage("what stands there are not the bytes of its head")) }
    }

    /// Reads the head as a client would, and compares it with its SHA-256.
    async fn verify_head(&self, head: &Head, verified: &mut Verified) -> Result<()> {
        let record = self.record(&head.record).await?;
        if !is_head_of(head, &record) {
            return Err(damage("the head does not agree with the version it names"));
        }
        let mut size = 0;
        let sha256 = digest(self.stream(&head.body).map_err(Error::from), &mut size).await?;
        verified.bytes += size;
        if size == head.size && sha256 == head.sha256 {
            return Ok(());
        }
        Err(damage("its bytes do not have the SHA-256 they had when they were stored"))
    }

    async fn verify_version(
        &self,
        state: &StateId,
        record: &VersionRecord,
        expected: Option<&str>,
        good: &mut Good,
        verified: &mut Verified,
    ) -> Result<()> {
        let what = format!("{state} {}", record.facts.version);
        if record.facts.hash() != record.hash
            || !record.has_its_content()
            || expected.is_some_and(|expected| expected != record.hash)
        {
            note(
                verified,
                what.clone(),
                damage("its record was changed after it was written: the hash chain does not hold"),
            )?;
        }
        if let Some(tree) = &record.body {
            match self.verify_tree(tree, true, good, verified).await {
                Ok(size) if size == record.facts.size => {}
                Ok(_) => note(verified, what.clone(), damage("its chunks do not add up to its size"))?,
                Err(error) => note(verified, what.clone(), error)?,
            }
        }
        if let Some(tree) = &record.index
            && let Err(error) = self.verify_tree(tree, false, good, verified).await
        {
            note(verified, format!("{what}, index"), error)?;
        }
        Ok(())
    }

    async fn verify_tree(&self, tree: &Tree, chunks: bool, good: &mut Good, verified: &mut Verified) -> Result<u64> {
        self.verify_node(tree.levels, tree.root.clone(), chunks, good, verified).await
    }

    /// Checks everything below a node; gives the bytes (or items) below it.
    fn verify_node<'a>(
        &'a self,
        level: u8,
        node: Bytes,
        chunks: bool,
        good: &'a mut Good,
        verified: &'a mut Verified,
    ) -> futures::future::BoxFuture<'a, Result<u64>> {
        Box::pin(async move {
            let items = Tree::split(&node).map_err(|error| damage(&error.to_string()))?;
            if level == 0 && !chunks {
                return Ok(items.len() as u64);
            }
            let mut total = 0;
            for item in &items {
                let child = RefItem::decode(item).map_err(|error| damage(&error.to_string()))?;
                let span = match good.get(&child.blob.id) {
                    Some(span) => *span,
                    None => {
                        let plain = body::open_one(&**self.store(), &self.shared.sealer, &child.blob).await?;
                        verified.bytes += plain.len() as u64;
                        let span = match level {
                            0 => plain.len() as u64,
                            _ => self.verify_node(level - 1, plain, chunks, good, verified).await?,
                        };
                        good.insert(child.blob.id, span);
                        span
                    }
                };
                if span != child.span {
                    return Err(damage("a list says other lengths than its chunks have"));
                }
                total += span;
            }
            Ok(total)
        })
    }

    /// Versions of states that have no control record: somebody took it away.
    async fn find_orphans(&self, verified: &mut Verified) -> Result<()> {
        let (mut records, mut last) = (Records::under(self.store(), VersionRecord::PREFIX), None);
        while let Some(entry) = records.next().await? {
            let state = VersionRecord::state_of(&entry.key).filter(|state| last.as_ref() != Some(state));
            let Some(state) = state else { continue };
            if self.control(&state).await.is_ok_and(|(control, _)| control.tail.is_none()) {
                let why = "it has versions, and the record that says which is current is gone".to_owned();
                verified.findings.push(Finding { what: state.to_string(), why });
            }
            last = Some(state);
        }
        Ok(())
    }

    async fn verify_audit(&self, verified: &mut Verified) -> Result<()> {
        let mut records = Records::under(self.store(), PREFIX);
        while let Some(entry) = records.next().await? {
            if AuditItem::read(&entry.record.value).is_err() {
                let why = "it is no audit record".to_owned();
                verified.findings.push(Finding { what: entry.key.to_string(), why });
            }
        }
        Ok(())
    }
}

/// The SHA-256 of what comes, whose length is added to `size`.
async fn digest(bytes: impl Stream<Item = Result<Bytes>>, size: &mut u64) -> Result<String> {
    let (mut bytes, mut hasher) = (std::pin::pin!(bytes), Sha256::new());
    while let Some(piece) = bytes.next().await {
        let piece = piece?;
        *size += piece.len() as u64;
        hasher.update(&piece);
    }
    Ok(hex::encode(hasher.finalize()))
}

fn is_head_of(head: &Head, record: &VersionRecord) -> bool {
    let facts = &record.facts;
    let told = (&head.sha256, &head.md5, &head.lineage, &head.who, head.created);
    let numbers = (head.version, head.serial, head.size, head.resources, head.opaque);
    told == (&facts.sha256, &facts.md5, &facts.lineage, &facts.who, facts.created)
        && numbers == (facts.version, facts.serial, facts.size, facts.resources, facts.opaque)
        && record.body.as_ref() == Some(&head.body)
}

fn damage(why: &str) -> Error {
    Error::new(Kind::Corrupt, "damaged", why, "restore a backup")
}

/// Damage becomes a finding; that the store cannot be reached at all is an error.
fn note(verified: &mut Verified, what: String, error: Error) -> Result<()> {
    if !matches!(error.kind(), Kind::Corrupt | Kind::Unsupported) {
        return Err(error);
    }
    verified.findings.push(Finding { what, why: error.why().to_owned() });
    Ok(())
}
