//! What stands at a state's place: its object, the versions of it, and its digest.

use bytes::{Bytes, BytesMut};
use futures::TryStreamExt;
use jiff::{SignedDuration, Timestamp};
use md5::{Digest, Md5};
use serde::Serialize;
use stateward_state::edit::with_serial;
use stateward_state::scan::scan;
use stateward_store::Result;
use stateward_store::outside::{Incoming, Mark, Seen, Spot};
use stateward_store_s3::{ObjectVersion, TerraformPlace};

/// So many versions of an object are read, the latest; beside what the digest names, and the one that is asked for.
pub const VERSIONS_READ: usize = 50;
/// So many are looked through for these.
const VERSIONS_LISTED: usize = 10_000;

/// What S3 calls the one version of an object that was written while the bucket kept none.
const NO_ID: &str = "null";

/// All that is known of a state and its digest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Facts {
    /// The bucket.
    pub bucket: String,
    /// The object.
    pub object: String,
    /// The lock table; null where the backend has none.
    pub table: Option<String>,
    /// The MD5 that the table says the state has.
    pub digest: Option<String>,
    /// What stands there now.
    pub current: Option<StateCopy>,
    /// What stood there before, latest first.
    pub older: Vec<StateCopy>,
    /// So many older versions were not read.
    pub older_unread: usize,
    /// Why older versions could not be looked at, where that was so.
    pub older_unseen: Option<String>,
    /// Which bytes stand there now.
    #[serde(skip)]
    pub mark: Option<Mark>,
}

/// The bytes that stand, or stood, at a state's object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StateCopy {
    /// What S3 calls this version; null for the current object where the bucket keeps no versions.
    pub version: Option<String>,
    /// When it was written.
    pub written: Option<Timestamp>,
    /// How many bytes.
    pub size: u64,
    /// Their MD5, hexadecimal.
    pub md5: String,
    /// What they are.
    #[serde(flatten)]
    pub content: Content,
}

/// What bytes are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "content", rename_all = "kebab-case")]
pub enum Content {
    /// A state.
    State {
        /// Its serial.
        serial: u64,
        /// Its lineage.
        lineage: String,
        /// By `OpenTofu`: it cannot be given another serial.
        encrypted: bool,
        /// The MD5 of all but the serial: the same for copies that differ in nothing else.
        #[serde(skip)]
        essence: String,
    },
    /// No state.
    Other {
        /// What is wrong with it.
        why: String,
    },
}

impl StateCopy {
    /// A copy of these bytes.
    pub(crate) fn of(version: Option<String>, written: Option<Timestamp>, body: &[u8]) -> Self {
        let content = match scan(body, [0; 32]) {
            Ok(summary) => Content::State {
                serial: summary.serial,
                essence: md5_of(&with_serial(body, &summary.spans, 0)),
                lineage: summary.lineage,
                encrypted: summary.opaque,
            },
            Err(error) => Content::Other { why: error.to_string() },
        };
        Self { version, written, size: body.len() as u64, md5: md5_of(body), content }
    }

    /// Serial and lineage, where it is a state.
    pub fn serial(&self) -> Option<(u64, &str)> {
        match &self.content {
            Content::State { serial, lineage, .. } => Some((*serial, lineage)),
            Content::Other { .. } => None,
        }
    }
}

/// Looks at a state, the versions of its object, and its digest. `wanted`: a version that is read, however old it is. Each body is held
/// whole, one after the other.
pub async fn look(place: &TerraformPlace, at: &Spot, wanted: Option<&str>) -> Result<Facts> {
    look_knowing(place, at, wanted, &[]).await
}

/// The same, of whose older versions some were read before: what has an ID of its own is never written again.
pub(super) async fn look_knowing(
    place: &TerraformPlace,
    at: &Spot,
    wanted: Option<&str>,
    known: &[StateCopy],
) -> Result<Facts> {
    // The digest first: a writer writes it last.
    let digest = place.digest(at).await?;
    let (mut versions, older_unseen) = match place.versions(at, VERSIONS_LISTED).await {
        Ok(versions) => (versions, None),
        Err(error) => (Vec::new(), Some(error.to_string())),
    };
    let listed = versions.len();
    let mut n = 0;
    versions.retain(|version| {
        n += 1;
        // An `ETag` is the MD5 of most objects.
        let is_named = digest.as_deref() == Some(version.mark.as_str().trim_matches('"'));
        n <= VERSIONS_READ || is_named || wanted == Some(&version.id)
    });
    let older_unread = listed - versions.len();
    let (mut current, mut mark) = (None, None);
    if let Seen::Bytes(incoming) = place.read_unchecked(at).await? {
        let latest = versions.iter().find(|version| version.current && version.mark == incoming.mark);
        let (version, written) = (latest.map(|latest| latest.id.clone()), latest.and_then(written));
        mark = Some(incoming.mark.clone());
        current = Some(StateCopy::of(version, written, &whole(incoming).await?));
    }
    let mut older = Vec::new();
    for version in versions.iter().filter(|version| !version.current) {
        let known = known.iter().find(|known| known.version.as_deref() == Some(&version.id) && version.id != NO_ID);
        if let Some(known) = known {
            older.push(known.clone());
            continue;
        }
        let body = whole(place.read_version(at, &version.id).await?).await?;
        older.push(StateCopy::of(Some(version.id.clone()), written(version), &body));
    }
    let (object, table) = (place.object(at), place.lock_table().map(str::to_owned));
    let bucket = place.bucket().to_owned();
    Ok(Facts { bucket, object, table, digest, current, older, older_unread, older_unseen, mark })
}

/// All bytes, in memory.
pub(crate) async fn whole(incoming: Incoming) -> Result<Bytes> {
    let mut bytes = incoming.bytes;
    let mut body = BytesMut::new();
    while let Some(part) = bytes.try_next().await? {
        body.extend_from_slice(&part);
    }
    Ok(body.freeze())
}

pub(crate) fn md5_of(bytes: &[u8]) -> String {
    hex::encode(Md5::digest(bytes))
}

fn written(version: &ObjectVersion) -> Option<Timestamp> {
    Timestamp::UNIX_EPOCH.checked_add(SignedDuration::try_from(version.at).ok()?).ok()
}
