//! A version from elsewhere: what is known of it, and whether it may follow what is here. Pure.

use serde::{Deserialize, Serialize};
use stateward_state::counts::Changes;

use crate::error::{Error, Kind};
use crate::name::StateId;
use crate::ports::Timestamp;
use crate::version::{Facts, Version};
use crate::view::VersionItem;

/// Texts of one version, all together: its record has to stay small.
const TEXT_BYTES_MAX: usize = 96 << 10;
const LINEAGE_BYTES_MAX: usize = 1024;
/// What every refusal begins with.
pub(crate) const NOT_TAKEN_IN: &str = "the version was not taken in";

/// A version that is to be taken in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Adoption {
    /// The store, server or file that it comes from, without secrets: the history says so.
    pub from: String,
    /// The number that it gets here: the one after the last, or that of a version that is here already.
    pub version: Version,
    /// The version before it there; nothing for the first. It has to be the last one here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Fingerprint>,
    /// It is the current one there, and becomes so here. Any other joins the history, and nothing else changes.
    pub current: bool,
    /// What is known of it.
    pub original: Original,
}

/// By what a version is known again, wherever it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fingerprint {
    /// Terraform's serial.
    pub serial: u64,
    /// SHA-256 of the body, hexadecimal.
    pub sha256: String,
    /// When it was published; not looked at where it is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<Timestamp>,
}

/// A version as it is in another place, as far as that place tells.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Original {
    /// Its number there, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<Version>,
    /// Its hash in the chain there, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hash: Option<String>,
    /// Terraform's serial.
    pub serial: u64,
    /// Terraform's lineage.
    pub lineage: String,
    /// Bytes of the body.
    pub size: u64,
    /// SHA-256 of the body, hexadecimal.
    pub sha256: String,
    /// MD5 of the body, hexadecimal.
    pub md5: String,
    /// When it was published; the time at which it is taken in, where that is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<Timestamp>,
    /// Who wrote it.
    pub who: String,
    /// Terraform's word for the operation, or ours.
    pub operation: String,
    /// The lock that it was written under.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lock_id: Option<String>,
    /// That lock was a transaction's.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub transaction: bool,
    /// The number of that lock's grant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fence: Option<u64>,
    /// The tool that wrote the body.
    pub tool: String,
    /// The token that it was written with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// Resource instances.
    pub resources: u64,
    /// An OpenTofu-encrypted body.
    pub opaque: bool,
    /// Against the version before; counted here, where that is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changes: Option<Changes>,
    /// Its bytes are no longer kept there.
    #[serde(default)]
    pub pruned: bool,
}

/// What is to be done with a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// It comes after the last one here.
    Next,
    /// It is here already.
    There,
}

impl Original {
    /// By what it is known again.
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint { serial: self.serial, sha256: self.sha256.clone(), created: self.created }
    }
}

impl From<VersionItem> for Original {
    fn from(item: VersionItem) -> Self {
        Self {
            version: Some(item.version),
            hash: Some(item.hash),
            serial: item.serial,
            lineage: item.lineage,
            size: item.size,
            sha256: item.sha256,
            md5: item.md5,
            created: Some(item.created),
            who: item.who,
            operation: item.operation,
            transaction: item.tx.is_some(),
            lock_id: item.lock_id,
            fence: item.fence,
            tool: item.tool,
            token: item.token,
            resources: item.resources,
            opaque: item.opaque,
            changes: Some(item.changes),
            pruned: item.pruned,
        }
    }
}

impl Fingerprint {
    fn is_of(&self, facts: &Facts) -> bool {
        let same_time = self.created.is_none_or(|created| created == facts.created);
        same_time && (self.serial, &self.sha256) == (facts.serial, &facts.sha256)
    }
}

impl Adoption {
    /// Refuses what no version can be.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let Original { lineage, sha256, md5, who, operation, lock_id, tool, token, hash, .. } = &self.original;
        let optional = [lock_id, token, hash].into_iter().flatten();
        let texts = [&self.from, lineage, who, operation, tool].into_iter().chain(optional);
        let is_hex = |text: &str, bytes: usize| hex::decode(text).is_ok_and(|hash| hash.len() == bytes);
        let fault = if texts.map(String::len).sum::<usize>() > TEXT_BYTES_MAX {
            "its texts (who, operation, lock and the like) are longer than any version's"
        } else if lineage.is_empty() || lineage.len() > LINEAGE_BYTES_MAX {
            "its lineage is empty or too long"
        } else if !is_hex(sha256, 32) || !is_hex(md5, 16) {
            "its SHA-256 or MD5 is not written in hexadecimal"
        } else if self.after.is_some() != (self.version.0 > 1) {
            "the first version follows none, and any other follows one"
        } else if self.current && self.original.pruned {
            "the current version's bytes are always kept, so this one cannot be it"
        } else {
            return Ok(());
        };
        Err(Error::new(
            Kind::Invalid,
            NOT_TAKEN_IN,
            fault,
            "send a version as `GET /api/v1/history` of a store gives it",
        ))
    }

    /// Decides where it goes, by the last version that is here and, where there is one, the one with its number.
    pub fn place(&self, state: &StateId, last: Option<&Facts>, same_number: Option<&Facts>) -> Result<Place, Error> {
        let next = "take it into another name, where nothing is yet; `stateward state history` shows what is here";
        let refuse = |why: String| Err(Error::new(Kind::Conflict, NOT_TAKEN_IN, why, next));
        let version = self.version;
        if let Some(here) = same_number {
            let is_same = self.original.fingerprint().is_of(here) && self.original.lineage == here.lineage;
            return match is_same {
                true => Ok(Place::There),
                false => refuse(format!(
                    "`{state}` has another {version} here: its history is not the beginning of this one"
                )),
            };
        }
        match (&self.after, last) {
            (None, None) => Ok(Place::Next),
            (Some(after), Some(last)) if last.version.0 + 1 == version.0 => match after.is_of(last) {
                true => Ok(Place::Next),
                false => refuse(format!(
                    "`{state}` has another {} here than the one before {version} there: its history is not the beginning of that one",
                    last.version
                )),
            },
            (_, last) => {
                let there_is =
                    last.map_or_else(|| "nothing".to_owned(), |last| format!("nothing after {}", last.version));
                refuse(format!("`{state}` has {there_is} here, and {version} cannot come before those that it follows"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHA256: &str = "53894e1d738f5efe3efb82a582f3143094f251dd2c4ffa8d9eec8deb2f6cbfe3";

    fn original(serial: u64) -> Original {
        Original {
            version: Some(Version(serial)),
            hash: Some("h".into()),
            serial,
            lineage: "L".into(),
            size: 1,
            sha256: SHA256.into(),
            md5: "24c9d3b2cfb36c9987259ee2023955d1".into(),
            created: Some(Timestamp::UNIX_EPOCH),
            who: "ana".into(),
            operation: "push".into(),
            lock_id: None,
            transaction: false,
            fence: None,
            tool: String::new(),
            token: None,
            resources: 0,
            opaque: false,
            changes: None,
            pruned: false,
        }
    }

    /// The `n`th version of a history in which each has its number for its serial.
    fn adoption(n: u64) -> Adoption {
        let after = (n > 1).then(|| original(n - 1).fingerprint());
        Adoption { from: "x".into(), version: Version(n), after, current: true, original: original(n) }
    }

    fn facts(version: u64, serial: u64) -> Facts {
        let Original { lineage, sha256, md5, who, operation, tool, .. } = original(serial);
        Facts {
            state: "a".parse().unwrap(),
            version: Version(version),
            parent: None,
            serial,
            lineage,
            size: 1,
            sha256,
            md5,
            created: Timestamp::UNIX_EPOCH,
            who,
            token: None,
            operation,
            lock_id: None,
            transaction: false,
            fence: None,
            tool,
            resources: 0,
            opaque: false,
            changes: Changes::default(),
            content: String::new(),
            imported: None,
        }
    }

    /// Where the `n`th version goes, if the last one here, and the one with its number, have these numbers and serials.
    fn place(n: u64, last: Option<(u64, u64)>, same: Option<(u64, u64)>) -> Option<Place> {
        let [last, same] = [last, same].map(|facts_of| facts_of.map(|(version, serial)| facts(version, serial)));
        let outcome = adoption(n).place(&"a".parse().unwrap(), last.as_ref(), same.as_ref());
        outcome.inspect_err(|error| assert_eq!(error.kind(), Kind::Conflict)).ok()
    }

    #[test]
    fn only_the_beginning_of_a_history_is_gone_on_with() {
        assert_eq!(place(1, None, None), Some(Place::Next));
        assert_eq!(place(2, Some((1, 1)), None), Some(Place::Next));
        assert_eq!(place(2, Some((1, 7)), None), None);
        assert_eq!(place(3, Some((1, 1)), None), None);
        assert_eq!(place(2, None, None), None);
        assert_eq!(place(2, Some((5, 5)), Some((2, 2))), Some(Place::There));
        assert_eq!(place(2, Some((5, 5)), Some((2, 3))), None);
    }

    #[test]
    fn times_tell_versions_apart_where_they_are_known() {
        let (mut mine, here) = (adoption(2), facts(2, 2));
        let state = "a".parse().unwrap();
        mine.original.created = Some(Timestamp::UNIX_EPOCH + jiff::SignedDuration::from_secs(1));
        assert!(mine.place(&state, Some(&here), Some(&here)).is_err());
        mine.original.created = None;
        assert_eq!(mine.place(&state, Some(&here), Some(&here)).unwrap(), Place::There);
        mine.original.lineage = "M".into();
        assert!(mine.place(&state, Some(&here), Some(&here)).is_err());
    }

    #[test]
    fn what_is_no_version_is_refused() {
        let wrong = |change: fn(&mut Adoption)| {
            let mut adoption = adoption(2);
            change(&mut adoption);
            adoption.check().unwrap_err().kind()
        };
        assert!(adoption(1).check().is_ok() && adoption(2).check().is_ok());
        for change in [
            (|adoption| adoption.original.who = "x".repeat(100_000)) as fn(&mut Adoption),
            |adoption| adoption.original.lineage = String::new(),
            |adoption| adoption.original.lineage = "x".repeat(2000),
            |adoption| adoption.original.sha256 = "0".into(),
            |adoption| adoption.original.md5 = SHA256.into(),
            |adoption| adoption.after = None,
            |adoption| adoption.version = Version(1),
            |adoption| adoption.original.pruned = true,
        ] {
            assert_eq!(wrong(change), Kind::Invalid);
        }
    }
}
