//! Reading a state.

use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use stateward_store::StoreError;
use stateward_store::body::{self, Tree};

use crate::access::{Caller, Right};
use crate::backend::Backend;
use crate::error::{Error, Kind, Result};
use crate::name::StateId;
use crate::version::{Facts, Version, VersionRecord};

/// A version's bytes on their way out.
pub struct Content {
    /// Which version.
    pub version: Version,
    /// Terraform's serial.
    pub serial: u64,
    /// Terraform's lineage.
    pub lineage: String,
    /// Bytes.
    pub size: u64,
    /// MD5, hexadecimal.
    pub md5: String,
    /// SHA-256, hexadecimal.
    pub sha256: String,
    /// The bytes, exactly as they were posted.
    pub bytes: BoxStream<'static, Result<Bytes>>,
}

impl Backend {
    /// The current version of a state; `None` where there is no state.
    pub async fn read(&self, caller: &Caller, state: &StateId) -> Result<Option<Content>> {
        self.audited(caller, state, "GET", async {
            caller.demand(&[Right::Read], state)?;
            let present = self.present(state).await?;
            Ok(present.control.head.map(|head| Content {
                version: head.version,
                serial: head.serial,
                lineage: head.lineage,
                size: head.size,
                md5: head.md5,
                sha256: head.sha256,
                bytes: match present.bytes {
                    Some(incoming) => incoming.bytes.map_err(Error::from).boxed(),
                    None => self.stream(&head.body),
                },
            }))
        })
        .await
    }

    /// A given version of a state.
    pub async fn read_version(&self, caller: &Caller, state: &StateId, version: Version) -> Result<Content> {
        self.audited(caller, state, "GET", async {
            caller.demand(&[Right::Read], state)?;
            self.content(self.find_version(state, version).await?)
        })
        .await
    }

    /// A version on its way out.
    pub(super) fn content(&self, record: VersionRecord) -> Result<Content> {
        let bytes = self.stream(&body_of(&record)?);
        let Facts { version, serial, lineage, size, md5, sha256, .. } = record.facts;
        Ok(Content { version, serial, lineage, size, md5, sha256, bytes })
    }

    /// A valid state that holds nothing but the root outputs of the current version.
    pub async fn read_outputs(&self, caller: &Caller, state: &StateId) -> Result<Option<Bytes>> {
        self.audited(caller, state, "GET outputs", async {
            caller.demand(&[Right::Outputs, Right::Read], state)?;
            let Some(head) = self.present(state).await?.control.head else { return Ok(None) };
            if head.opaque {
                return Err(opaque(
                    "its outputs cannot be shown alone",
                    "read the whole state with OpenTofu and its encryption configuration",
                ));
            }
            let record = self.record(&head.record).await?;
            let outputs = match record.spans.outputs {
                Some(range) => {
                    let pieces = body::read_range(self.store().clone(), self.shared.sealer.clone(), &head.body, range);
                    pieces.try_collect::<Vec<Bytes>>().await?.concat()
                }
                None => b"{}".to_vec(),
            };
            let written_by = record.spans.terraform_version.as_deref();
            Ok(Some(stateward_state::edit::outputs_view(written_by, head.serial, &head.lineage, &outputs).into()))
        })
        .await
    }

    pub(super) fn stream(&self, tree: &Tree) -> BoxStream<'static, Result<Bytes>> {
        Box::pin(body::read(self.store().clone(), self.shared.sealer.clone(), tree).map_err(Error::from))
    }

    /// All bytes of a body, in memory.
    pub(super) async fn bytes_of(&self, tree: &Tree) -> Result<Bytes> {
        let pieces = self.stream(tree).try_collect::<Vec<Bytes>>().await?;
        Ok(match <[Bytes; 1]>::try_from(pieces) {
            Ok([piece]) => piece,
            Err(pieces) => pieces.concat().into(),
        })
    }

    /// The record under a key that another record names.
    pub(crate) async fn record(&self, key: &str) -> Result<VersionRecord> {
        let key = stateward_store::Key::new(key);
        let found = self.store().get(&key).await?.ok_or_else(|| StoreError::NotFound { what: key.to_string() })?;
        Ok(VersionRecord::decode(&key, &found.value)?)
    }
}

pub(super) fn body_of(record: &VersionRecord) -> Result<Tree> {
    record.body.clone().ok_or_else(|| {
        Error::new(
            Kind::NotFound,
            format!("version {} has no content any more", record.facts.version),
            "the retention rule let it go",
            "choose a version that `stateward state history` does not mark as pruned",
        )
    })
}

pub(super) fn opaque(why: &str, next: &str) -> Error {
    Error::new(Kind::Unsupported, "the state is encrypted by OpenTofu", why, next)
}
