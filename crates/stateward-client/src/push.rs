//! Pushing a file: as it is, or renumbered where it has to get past a higher serial.

use async_trait::async_trait;
use bytes::Bytes;
use futures::TryStreamExt;
use md5::Md5;
use sha2::{Digest, Sha256};
use stateward_core::view::{Stored, VersionItem};
use stateward_core::{BodyStream, Error, Kind, Result, StateId};
use stateward_state::{Scanner, Summary};

use crate::connection::Connection;

/// Times that a forced push starts over because somebody else wrote in between.
const TRIES_MAX: usize = 5;

/// A file that can be read more than once.
#[async_trait]
pub trait Source: Send + Sync {
    /// Reads it from the start.
    async fn open(&self) -> Result<BodyStream>;
}

/// Stores a file. Without `force` it goes as it is, and is refused unless it follows the head.
///
/// With `force` it is read twice: once for its serial, which, where it is not higher than the head's, is replaced by the one after
/// the head's, and once to be sent. Not one other byte of it changes.
pub async fn push(connection: &dyn Connection, state: &StateId, source: &dyn Source, force: bool) -> Result<Stored> {
    if !force {
        return connection.store(state, source.open().await?, false).await;
    }
    let file = scan(source.open().await?, "the file was not pushed").await?;
    let mut tried = 1;
    loop {
        let head = head(connection, state).await?;
        let (body, renumbered) = fit(&file, head.as_ref(), source).await?;
        match connection.store(state, body, true).await {
            Ok(stored) => return Ok(Stored { renumbered, ..stored }),
            // Somebody wrote between our look at the head and our push.
            Err(error) if error.kind() == Kind::Conflict && tried < TRIES_MAX => tried += 1,
            Err(error) => return Err(error),
        }
    }
}

/// What a pass over a body finds out.
pub(crate) struct Scanned {
    pub(crate) summary: Summary,
    pub(crate) sha256: String,
    pub(crate) md5: String,
}

/// Reads a body to its end. Where it is no state, `failed` says what therefore did not happen.
pub(crate) async fn scan(mut body: BodyStream, failed: &str) -> Result<Scanned> {
    let refused = |error: stateward_state::ScanError| {
        Error::new(Kind::Invalid, failed, error.to_string(), "give a state file, as `terraform state pull` writes it")
    };
    // The digests of instances are not looked at, so that their key does not matter.
    let (mut scanner, mut sha256, mut md5) = (Scanner::new([0; 32]), Sha256::new(), Md5::new());
    while let Some(piece) = body.bytes.try_next().await? {
        sha256.update(&piece);
        md5.update(&piece);
        scanner.feed(&piece).map_err(refused)?;
    }
    let summary = scanner.finish().map_err(refused)?;
    Ok(Scanned { summary, sha256: hex::encode(sha256.finalize()), md5: hex::encode(md5.finalize()) })
}

async fn head(connection: &dyn Connection, state: &StateId) -> Result<Option<VersionItem>> {
    match connection.history(state, None, Some(1)).await {
        Ok(list) => Ok(list.items.into_iter().next().filter(|item| item.head)),
        Err(error) if error.kind() == Kind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// The body to send, and whether its serial is another than in the file.
async fn fit(file: &Scanned, head: Option<&VersionItem>, source: &dyn Source) -> Result<(BodyStream, bool)> {
    let body = source.open().await?;
    let Some(head) = head.filter(|head| head.serial >= file.summary.serial && head.sha256 != file.sha256) else {
        return Ok((body, false));
    };
    if file.summary.opaque {
        return Err(Error::new(
            Kind::Unsupported,
            "the file was not pushed",
            format!(
                "its serial {} is not higher than {}, the serial of the state here, and it is encrypted by OpenTofu: its serial is sealed inside",
                file.summary.serial, head.serial
            ),
            "decrypt it and push it with `tofu state push -force`",
        ));
    }
    let serial = head.serial.checked_add(1).ok_or_else(|| {
        Error::new(
            Kind::Invalid,
            "the file was not pushed",
            "there is no serial after the one of the state here",
            "delete the state first",
        )
    })?;
    Ok((body.splice(file.summary.spans.serial.clone(), Bytes::from(serial.to_string())), true))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

    use stateward_core::{Backend, Caller, Clock, Entropy, Settings, Timestamp};
    use stateward_store::MemStore;

    use super::*;
    use crate::Local;

    #[derive(Debug)]
    struct Stopped;

    impl Clock for Stopped {
        fn now(&self) -> Timestamp {
            Timestamp::UNIX_EPOCH
        }
    }

    #[derive(Debug, Default)]
    struct Counting(AtomicU64);

    impl Entropy for Counting {
        fn fill(&self, bytes: &mut [u8]) {
            let count = self.0.fetch_add(1, Ordering::Relaxed).to_le_bytes();
            bytes.iter_mut().zip(count.iter().cycle()).for_each(|(byte, count)| *byte = *count);
        }
    }

    fn body(serial: u64, lineage: &str) -> String {
        format!(
            "{{\"version\":4,\"lineage\":\"{lineage}\", \"serial\" : {serial},\"outputs\":{{}},\"resources\":[],\"check_results\":null}}"
        )
    }

    struct Text(String);

    #[async_trait]
    impl Source for Text {
        async fn open(&self) -> Result<BodyStream> {
            Ok(BodyStream::of(self.0.clone()))
        }
    }

    /// While it is read again and again, somebody else writes.
    struct Raced<'a> {
        text: String,
        connection: &'a Local,
        state: &'a StateId,
        reads: AtomicUsize,
        /// How often somebody is faster.
        races: usize,
    }

    #[async_trait]
    impl Source for Raced<'_> {
        async fn open(&self) -> Result<BodyStream> {
            let read = self.reads.fetch_add(1, Ordering::Relaxed);
            if (1..=self.races).contains(&read) {
                let other = body(10 + read as u64, "theirs");
                self.connection.store(self.state, BodyStream::of(other), false).await?;
            }
            Ok(BodyStream::of(self.text.clone()))
        }
    }

    async fn local() -> (Local, StateId) {
        let store = Arc::new(MemStore::new());
        let backend = Backend::open(store, Arc::new(Stopped), Arc::new(Counting::default()), Settings::default()).await;
        (Local::new(backend.unwrap(), Caller::trusted("ana@laptop")), "net/prod".parse().unwrap())
    }

    #[tokio::test]
    async fn only_what_has_to_be_is_renumbered() {
        let (connection, state) = local().await;
        let mut outcomes = Vec::new();
        for (serial, force) in [(10, true), (3, true), (11, true), (20, true), (12, true)] {
            let stored = push(&connection, &state, &Text(body(serial, "mine")), force).await.unwrap();
            outcomes.push((stored.serial, stored.renumbered));
        }
        assert_eq!(outcomes, [(10, false), (11, true), (11, false), (20, false), (21, true)]);
        let pulled = connection.pull(&state, None).await.unwrap().bytes.try_collect::<Vec<Bytes>>().await.unwrap();
        assert_eq!(pulled.concat(), body(21, "mine").as_bytes());
        let refused = push(&connection, &state, &Text(body(12, "mine")), false).await.unwrap_err();
        assert_eq!(refused.kind(), Kind::Conflict);
    }

    #[tokio::test]
    async fn a_forced_push_that_is_overtaken_tries_again_and_gives_up_in_the_end() {
        for (races, expected) in [(1, Some(12)), (4, Some(15)), (5, None)] {
            let (connection, state) = local().await;
            push(&connection, &state, &Text(body(10, "theirs")), false).await.unwrap();
            let (text, reads) = (body(1, "mine"), AtomicUsize::new(0));
            let raced = Raced { text, connection: &connection, state: &state, reads, races };
            let outcome = push(&connection, &state, &raced, true).await;
            assert_eq!(outcome.as_ref().map(|stored| stored.serial).ok(), expected, "{races}: {outcome:?}");
        }
    }
}
