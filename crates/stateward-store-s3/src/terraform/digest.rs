//! Digests: Terraform keeps the MD5 of each state in the lock table, and refuses a state that does not have it.

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use md5::{Digest, Md5};
use stateward_store::outside::{Incoming, Mark, Seen, Spot};
use stateward_store::{Result, StoreError};
use tracing::info;

use super::table::{Table, digest_id};
use super::{Inner, TerraformPlace};

/// How often it is looked again where digest and state differ: between a writer's two requests they do.
const LOOKS_MAX: u32 = 5;
/// A state up to this size is read before it is passed on, so that one that is not right is never passed on.
const READ_BEFORE: u64 = 8 << 20;
/// Old versions of an object that are compared with a digest.
const VERSIONS_COMPARED: usize = 200;

/// A state beside its digest.
enum Beside {
    /// They fit, or there is no digest.
    Fits(Seen),
    /// The bytes have to be read to tell.
    Reread,
    Differs {
        seen: Seen,
        /// The MD5 of what is there; `None` where nothing is.
        md5: Option<String>,
        digest: String,
    },
}

impl TerraformPlace {
    /// Reads a state, and its digest, side by side.
    pub(super) async fn read_checked(&self, table: &Table, at: &Spot, known: Option<&Mark>) -> Result<Seen> {
        let inner = &*self.inner;
        let lock_id = inner.spots.lock_id(at);
        let mut known = known;
        let mut turn = 0;
        loop {
            let (seen, digest) = futures::join!(inner.fetch(at, known), table.digest(&lock_id));
            match self.compare(seen?, known, digest?).await? {
                Beside::Fits(seen) => return Ok(seen),
                Beside::Reread => known = None,
                Beside::Differs { .. } if turn < LOOKS_MAX => {
                    tokio::time::sleep(inner.wait(turn)).await;
                    turn += 1;
                }
                Beside::Differs { seen, md5, digest } => return self.settle(table, at, seen, md5, &digest).await,
            }
        }
    }

    async fn compare(&self, seen: Seen, known: Option<&Mark>, digest: Option<String>) -> Result<Beside> {
        let Some(digest) = digest else { return Ok(Beside::Fits(seen)) };
        let incoming = match seen {
            Seen::Absent => return Ok(Beside::Differs { seen, md5: None, digest }),
            Seen::Same => {
                let fits = known.is_some_and(|mark| self.inner.is_known(mark, &digest));
                return Ok(if fits { Beside::Fits(seen) } else { Beside::Reread });
            }
            Seen::Bytes(incoming) => incoming,
        };
        if self.inner.is_known(&incoming.mark, &digest) {
            return Ok(Beside::Fits(Seen::Bytes(incoming)));
        }
        if incoming.size > READ_BEFORE {
            return Ok(Beside::Fits(Seen::Bytes(self.check_while_read(incoming, digest))));
        }
        let content: Vec<Bytes> = incoming.bytes.try_collect().await?;
        let mut hash = Md5::new();
        content.iter().for_each(|part| hash.update(part));
        let md5 = hex::encode(hash.finalize());
        let bytes = futures::stream::iter(content.into_iter().map(Ok)).boxed();
        let seen = Seen::Bytes(Incoming { bytes, ..incoming });
        if md5 != digest {
            return Ok(Beside::Differs { seen, md5: Some(md5), digest });
        }
        if let Seen::Bytes(incoming) = &seen {
            self.inner.note_digest(&incoming.mark, &md5);
        }
        Ok(Beside::Fits(seen))
    }

    /// Lets the bytes through, and fails at their end where they have not the digest.
    fn check_while_read(&self, incoming: Incoming, digest: String) -> Incoming {
        let Incoming { mark, label, size, bytes } = incoming;
        let (place, of) = (self.clone(), mark.clone());
        let checked = futures::stream::try_unfold((bytes, Md5::new()), move |(mut bytes, mut hash)| {
            let (place, mark, digest) = (place.clone(), of.clone(), digest.clone());
            async move {
                if let Some(part) = bytes.try_next().await? {
                    hash.update(&part);
                    return Ok(Some((part, (bytes, hash))));
                }
                let md5 = hex::encode(hash.finalize());
                if md5 != digest {
                    let reason = format!("its MD5 is {md5}, and the digest in the lock table is {digest}");
                    return Err(StoreError::Corrupt { what: "a state in S3".into(), reason });
                }
                place.inner.note_digest(&mark, &md5);
                Ok(None)
            }
        });
        Incoming { mark, label, size, bytes: checked.boxed() }
    }

    /// Digest and state differ for good. Our own bytes carry a label, so it is the digest that was left behind, by a writer that
    /// did not get as far as that. Of others' it cannot be known which is right.
    async fn settle(&self, table: &Table, at: &Spot, seen: Seen, md5: Option<String>, digest: &str) -> Result<Seen> {
        let lock_id = self.inner.spots.lock_id(at);
        if let (Seen::Bytes(Incoming { label: Some(label), mark, .. }), Some(md5)) = (&seen, &md5) {
            info!(lock_id, label, "the digest of a state had been left behind, and is renewed");
            // Where it is another by now, whoever was faster wrote a newer one.
            table.replace_digest(&lock_id, Some(digest), Some(md5)).await?;
            self.inner.note_digest(mark, md5);
            return Ok(seen);
        }
        Err(self.explain(table, at, md5.as_deref(), digest).await)
    }

    async fn explain(&self, table: &Table, at: &Spot, md5: Option<&str>, digest: &str) -> StoreError {
        let lock_id = self.inner.spots.lock_id(at);
        let (item, key) = (digest_id(&lock_id), format!(r#"{{"LockID":{{"S":"{}"}}}}"#, digest_id(&lock_id)));
        let table = &table.name;
        let remove = format!("aws dynamodb delete-item --table-name {table} --key '{key}'");
        let old = match self.versions(at, VERSIONS_COMPARED).await {
            Ok(versions) => versions.into_iter().find(|version| version.mark.as_str().trim_matches('"') == digest),
            Err(_) => None,
        };
        let reason = match (md5, old) {
            (None, _) => format!(
                "there is no such object, and the item `{item}` in the table {table} says that its MD5 is {digest}: it was deleted \
                 by hand. Bring it back; or, if it is to be gone, remove the item: {remove}"
            ),
            (Some(md5), Some(old)) => format!(
                "its MD5 is {md5}, and the digest {digest} in the item `{item}` of the table {table} is that of its older version \
                 {}: the digest is old, its writer failed half way. Set it right: aws dynamodb update-item --table-name {table} \
                 --key '{key}' --update-expression 'SET Digest = :d' --expression-attribute-values '{{\":d\":{{\"S\":\"{md5}\"}}}}'",
                old.id
            ),
            (Some(md5), None) => format!(
                "its MD5 is {md5}, and the item `{item}` in the table {table} says {digest}, which is that of no version of the object \
                 that is kept: the object is old, or was replaced by hand. Bring back the bytes with that MD5; or, if these are the \
                 right ones, remove the item: {remove}"
            ),
        };
        StoreError::Corrupt { what: format!("the state s3://{lock_id}"), reason }
    }
}

impl Inner {
    /// True where the bytes are known to have this digest. An `ETag` is the MD5, where it is one at all and nothing is encrypted.
    fn is_known(&self, mark: &Mark, digest: &str) -> bool {
        mark.as_str().trim_matches('"') == digest
            || self.digests().get(mark.as_str()).is_some_and(|known| known == digest)
    }

    pub(super) fn note_digest(&self, mark: &Mark, md5: &str) {
        if mark.as_str().trim_matches('"') != md5 {
            self.digests().put(mark.as_str().to_owned(), md5.to_owned());
        }
    }
}
