//! Going back: a whole version, or single resources of it.

use bytes::Bytes;

use super::diff::deleted;
use super::read::{body_of, opaque};
use super::timeline::parse_pattern;
use super::write::{Onto, Terms};
use super::{BodyStream, Written};
use crate::access::{Caller, Right};
use crate::audit::Deed;
use crate::backend::Backend;
use crate::control::Head;
use crate::error::{Error, Kind, Result};
use crate::name::StateId;
use crate::version::{Version, VersionRecord};
use crate::view::Stored;

impl Backend {
    /// Makes an old version the current one again, under the next serial and the same lineage. With `only`, just these instances,
    /// resources, modules or outputs become what they were; that holds both versions in memory.
    pub async fn restore(&self, caller: &Caller, state: &StateId, version: Version, only: &[String]) -> Result<Stored> {
        self.audited(caller, state, "restore", async {
            caller.demand(&[Right::Write], state)?;
            self.alone_outside(caller, state, "restore", Box::pin(self.try_restore(caller, state, version, only))).await
        })
        .await
    }

    async fn try_restore(&self, caller: &Caller, state: &StateId, version: Version, only: &[String]) -> Result<Stored> {
        let old = self.find_version(state, version).await?;
        let control = self.present(state).await?.control;
        let head = control.head.ok_or_else(|| deleted(state))?;
        check(&head, &old)?;
        let serial = head.serial.checked_add(1).ok_or_else(|| {
            Error::new(
                Kind::Invalid,
                "nothing was restored",
                "there is no serial after the one of the state here",
                "delete the state, and push the old version",
            )
        })?;
        let (body, addresses) = match only {
            [] => (self.renumbered(&old, serial)?, Vec::new()),
            only => self.partly(&head, &old, only, serial).await?,
        };
        let detail = match only {
            [] => format!("from {version}"),
            _ => format!("{} from {version}", addresses.join(", ")),
        };
        let terms = Terms { detail, onto: Onto::Exactly(Some(head.version)), ..Terms::new("restore", Deed::Restore) };
        let ingested = self.ingest(state, body).await?;
        let Written { version, serial, changed } =
            self.publish_and_place(caller, state, ingested, &terms, None).await?;
        Ok(Stored { version, serial, changed, renumbered: true, addresses })
    }

    /// The version's bytes with another serial, and nothing else changed.
    fn renumbered(&self, old: &VersionRecord, serial: u64) -> Result<BodyStream> {
        let body = BodyStream { length: Some(old.facts.size), bytes: self.stream(&body_of(old)?) };
        Ok(body.splice(old.spans.serial.clone(), Bytes::from(serial.to_string())))
    }

    async fn partly(
        &self,
        head: &Head,
        old: &VersionRecord,
        only: &[String],
        serial: u64,
    ) -> Result<(BodyStream, Vec<String>)> {
        let patterns = only.iter().map(|address| parse_pattern(address)).collect::<Result<Vec<_>>>()?;
        let now = self.bytes_of(&head.body).await?;
        let then = self.bytes_of(&body_of(old)?).await?;
        let edited = stateward_state::edit::restore_only(&now, &then, &patterns, serial).map_err(|error| {
            Error::new(
                Kind::Invalid,
                "nothing was restored",
                error.to_string(),
                "`stateward state diff` shows what differs between the two versions",
            )
        })?;
        let addresses = edited.addresses.into_iter().map(|(address, _)| address).collect();
        Ok((BodyStream::of(edited.body), addresses))
    }
}

fn check(head: &Head, old: &VersionRecord) -> Result<()> {
    if head.version == old.facts.version {
        let next = "choose an older one: `stateward state history` lists them";
        return Err(Error::new(
            Kind::Invalid,
            "nothing was restored",
            format!("{} is the current version", head.version),
            next,
        ));
    }
    if head.opaque || old.facts.opaque {
        return Err(opaque(
            "its serial is sealed inside, so that an old version cannot be given a new one here",
            "pull the version with `stateward state pull --version`, decrypt it, and push it with `tofu state push`",
        ));
    }
    if head.lineage != old.facts.lineage {
        return Err(Error::new(
            Kind::Conflict,
            "nothing was restored",
            format!(
                "{} has another lineage than the current version: it describes other infrastructure",
                old.facts.version
            ),
            "to replace the state all the same, pull that version and use `stateward state push --force`",
        ));
    }
    Ok(())
}
