//! The chain of versions.

use stateward_state::Entry;
use stateward_store::{Entry as Stored, Key};

use crate::access::{Caller, Right};
use crate::backend::Backend;
use crate::control::Control;
use crate::error::{Error, Kind, Result};
use crate::index;
use crate::name::StateId;
use crate::records::Records;
use crate::version::{Version, VersionRecord};
use crate::view::{List, VersionItem};

/// Records of versions read together: they are larger than others, and most walks are short.
const PAGE: usize = 200;

/// Walks a state's versions from the newest to the oldest.
pub(crate) struct Chain<'a> {
    backend: &'a Backend,
    prefix: String,
    /// The record that has to come next; records beside the chain belong to writes that lost.
    expected: Option<String>,
    records: Records<'a>,
}

impl<'a> Chain<'a> {
    pub(crate) fn new(backend: &'a Backend, state: &StateId, control: &Control) -> Self {
        let expected = control.tail.as_ref().map(|tail| tail.record.clone());
        let prefix = VersionRecord::prefix(state);
        let records = Records::under(backend.store(), prefix.clone()).by(PAGE);
        Self { backend, prefix, expected, records }
    }

    pub(crate) async fn next(&mut self) -> Result<Option<(Key, VersionRecord)>> {
        let Some(expected) = self.expected.take() else { return Ok(None) };
        while let Some(entry) = self.records.next().await? {
            if entry.key.as_str() == expected {
                let record = VersionRecord::decode(&entry.key, &entry.record.value)?;
                self.expected = record.facts.parent.as_ref().map(|parent| parent.record.clone());
                return Ok(Some((entry.key, record)));
            }
        }
        let why = format!("the record `{expected}`, which a newer version names as the one before it, is missing");
        Err(Error::new(Kind::Corrupt, "the history is broken", why, "run `stateward state verify`"))
    }
}

impl Backend {
    /// A state's versions, newest first; from the one before `before` on, at most `limit`.
    pub async fn history(
        &self,
        caller: &Caller,
        state: &StateId,
        before: Option<Version>,
        limit: Option<usize>,
    ) -> Result<List<VersionItem>> {
        self.audited(caller, state, "history", async {
            caller.demand(&[Right::Read], state)?;
            let control = self.known(state).await?;
            self.versions(state, &control, before, limit).await
        })
        .await
    }

    /// The same, as far as it is recorded here: without a look at a place that is shared with others, where what they wrote would be
    /// taken in as a version. Empty where there never was one.
    pub async fn recorded(
        &self,
        caller: &Caller,
        state: &StateId,
        before: Option<Version>,
        limit: Option<usize>,
    ) -> Result<List<VersionItem>> {
        self.audited(caller, state, "history", async {
            caller.demand(&[Right::Read], state)?;
            let (control, _) = self.control(state).await?;
            self.versions(state, &control, before, limit).await
        })
        .await
    }

    async fn versions(
        &self,
        state: &StateId,
        control: &Control,
        before: Option<Version>,
        limit: Option<usize>,
    ) -> Result<List<VersionItem>> {
        let head = control.head.as_ref().map(|head| head.version);
        let mut chain = Chain::new(self, state, control);
        let mut list = List::new(Vec::new());
        while let Some((_, record)) = chain.next().await? {
            if before.is_some_and(|before| record.facts.version >= before) {
                continue;
            }
            if limit.is_some_and(|limit| list.items.len() >= limit) {
                list.next = list.items.last().map(|item: &VersionItem| item.version.to_string());
                break;
            }
            list.items.push(item(record, head));
        }
        Ok(list)
    }

    /// One version of the chain.
    pub(crate) async fn find_version(&self, state: &StateId, version: Version) -> Result<VersionRecord> {
        let control = self.known(state).await?;
        self.version_in(state, &control, version).await
    }

    /// The same, by a control record that has been read.
    pub(crate) async fn version_in(
        &self,
        state: &StateId,
        control: &Control,
        version: Version,
    ) -> Result<VersionRecord> {
        if let Some(head) = control.head.as_ref().filter(|head| head.version == version) {
            return self.record(&head.record).await;
        }
        let mut chain = Chain::new(self, state, control);
        // Newer versions sort first: start the listing right before the wanted one.
        let newest = control.tail.as_ref().map_or(0, |tail| tail.version.0);
        if version.0 < newest {
            chain.skip_to(state, version).await?;
        }
        while let Some((_, record)) = chain.next().await? {
            if record.facts.version == version {
                return Ok(record);
            }
            if record.facts.version < version {
                break;
            }
        }
        Err(Error::new(
            Kind::NotFound,
            format!("`{state}` has no version {version}"),
            format!("its versions go from v1 to v{newest}"),
            "`stateward state history` lists them",
        ))
    }

    /// The control record of a state that exists or once did.
    pub(crate) async fn known(&self, state: &StateId) -> Result<Control> {
        let control = match self.present(state).await {
            Ok(present) => present.control,
            // What stands outside may be no state at all: the history is what helps then.
            Err(error) if error.kind() == Kind::Corrupt => {
                tracing::warn!(%state, %error, "shown as it was last known here");
                self.control(state).await?.0
            }
            Err(error) => return Err(error),
        };
        if control.tail.is_some() {
            return Ok(control);
        }
        Err(Error::new(
            Kind::NotFound,
            format!("there is no state `{state}`"),
            "nothing has ever been stored under this name",
            "`stateward state list` shows the states there are",
        ))
    }

    /// The instances and outputs of a version; `None` where it has no index (encrypted, or pruned).
    pub(crate) async fn index_of(&self, record: &VersionRecord) -> Result<Option<Vec<Entry>>> {
        let Some(tree) = &record.index else { return Ok(None) };
        Ok(Some(index::load(self.store().clone(), self.shared.sealer.clone(), tree).await?))
    }
}

impl Chain<'_> {
    /// Jumps to a version, unless a lost write left a second record with its number: then only the chain itself tells which counts.
    async fn skip_to(&mut self, state: &StateId, version: Version) -> Result<()> {
        let newer = VersionRecord::key(state, Version(version.0 + 1), "~");
        let from = || Records::under(self.backend.store(), self.prefix.clone()).after(Some(newer.clone()));
        let mut first = from().by(2);
        let (Some(wanted), next) = (first.next().await?, first.next().await?) else { return Ok(()) };
        let number =
            |entry: &Stored| Ok::<_, Error>(VersionRecord::decode(&entry.key, &entry.record.value)?.facts.version);
        if number(&wanted)? == version && next.as_ref().map(number).transpose()? != Some(version) {
            self.expected = Some(wanted.key.to_string());
            self.records = from().by(PAGE);
        }
        Ok(())
    }
}

fn item(record: VersionRecord, head: Option<Version>) -> VersionItem {
    let facts = record.facts;
    VersionItem {
        version: facts.version,
        serial: facts.serial,
        lineage: facts.lineage,
        size: facts.size,
        stored_size: record.stored_size,
        sha256: facts.sha256,
        md5: facts.md5,
        created: facts.created,
        who: facts.who,
        operation: facts.operation,
        tx: facts.lock_id.clone().filter(|_| facts.transaction),
        lock_id: facts.lock_id,
        fence: facts.fence,
        tool: facts.tool,
        parent: facts.parent.map(|parent| parent.version),
        hash: record.hash,
        changes: facts.changes,
        resources: facts.resources,
        token: facts.token,
        opaque: facts.opaque,
        head: head == Some(facts.version),
        pruned: record.body.is_none(),
        imported: facts.imported,
    }
}
