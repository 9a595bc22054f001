//! The file that `terraform plan -out` writes: a zip archive.

use std::collections::BTreeSet;
use std::fmt;
use std::io::{self, Cursor, Read};

use zip::ZipArchive;
use zip::result::ZipError;

use super::error::PlanError;
use super::source::Sources;
use crate::scan::{Entry, Scanner, Summary};

/// What a state in a plan may unpack to, in bytes.
const STATE_LIMIT: u64 = 1 << 30;
/// What the configuration in a plan may unpack to in all, in bytes.
const CONFIGURATION_LIMIT: u64 = 64 << 20;
/// The one format of `tfplan` there has been since Terraform 0.12, in `OpenTofu` too.
const FORMAT: u64 = 3;

/// A plan as its file tells of it.
#[derive(Clone, PartialEq, Eq)]
pub struct PlanFile {
    terraform_version: Option<String>,
    serial: u64,
    lineage: String,
    refreshed: BTreeSet<String>,
    sources: Sources,
}

impl fmt::Debug for PlanFile {
    /// Leaves the configuration out, which may hold secrets.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("PlanFile")
            .field("terraform_version", &self.terraform_version)
            .field("serial", &self.serial)
            .field("lineage", &self.lineage)
            .field("refreshed", &self.refreshed)
            .finish_non_exhaustive()
    }
}

impl PlanFile {
    /// Reads a plan file. Memory grows with the instances of its state and with the configuration in it, which is
    /// bounded; the states are read as they unpack.
    pub fn read(file: &[u8]) -> Result<Self, PlanError> {
        if is_envelope(file) {
            return Err(PlanError::Encrypted);
        }
        let mut archive = ZipArchive::new(Cursor::new(file)).map_err(|_| match file.starts_with(b"PK") {
            true => PlanError::Damaged { member: "directory".to_owned() },
            false => PlanError::NotAPlan { why: "it is not a zip archive" },
        })?;
        let version = format(&mut archive)?;
        if version != FORMAT {
            return Err(PlanError::UnknownFormat { version });
        }
        let state = state(&mut archive, "tfstate")?;
        let before = state_before(&mut archive)?;
        let refreshed = before.map_or_else(BTreeSet::new, |before| {
            let instances = changed(&before.instances, &state.instances);
            &instances | &changed(&before.outputs, &state.outputs)
        });
        let Summary { serial, lineage, terraform_version, .. } = state;
        Ok(Self { terraform_version, serial, lineage, refreshed, sources: sources(&mut archive)? })
    }

    /// The version of Terraform that made the plan, as it wrote it into the state.
    pub fn terraform_version(&self) -> Option<&str> {
        self.terraform_version.as_deref()
    }

    /// The serial of the state the plan was made against; 0 where there was none.
    pub fn serial(&self) -> u64 {
        self.serial
    }

    /// The lineage of the state the plan was made against; empty where there was none.
    pub fn lineage(&self) -> &str {
        &self.lineage
    }

    /// The addresses of the instances (deposed objects among them) and outputs that planning itself changed: by refreshing,
    /// by reading data sources, by moving. Applying the plan writes them, whatever else it does.
    pub fn refreshed(&self) -> &BTreeSet<String> {
        &self.refreshed
    }

    pub(super) fn sources(&self) -> &Sources {
        &self.sources
    }
}

/// Whether this is the envelope that `OpenTofu` encrypts a plan into.
fn is_envelope(file: &[u8]) -> bool {
    #[derive(serde::Deserialize)]
    struct Envelope {
        encryption_version: String,
    }
    let start = file.iter().find(|byte| !byte.is_ascii_whitespace());
    start == Some(&b'{')
        && serde_json::from_slice::<Envelope>(file).is_ok_and(|envelope| !envelope.encryption_version.is_empty())
}

type Archive<'a> = ZipArchive<Cursor<&'a [u8]>>;

fn damaged(member: &str) -> PlanError {
    PlanError::Damaged { member: member.to_owned() }
}

/// The format of `tfplan`, a protocol buffer message whose first field says it.
fn format(archive: &mut Archive<'_>) -> Result<u64, PlanError> {
    const MEMBER: &str = "tfplan";
    let member = archive.by_name(MEMBER).map_err(|error| missing(&error, MEMBER, "it holds no `tfplan`"))?;
    let mut start = Vec::new();
    member.take(11).read_to_end(&mut start).map_err(|_| damaged(MEMBER))?;
    // Field 1, a varint.
    let Some((0x08, varint)) = start.split_first() else { return Err(damaged(MEMBER)) };
    let mut version = 0;
    for (shift, byte) in (0..64).step_by(7).zip(varint) {
        version |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(version);
        }
    }
    Err(damaged(MEMBER))
}

fn missing(error: &ZipError, member: &str, why: &'static str) -> PlanError {
    match error {
        ZipError::FileNotFound => PlanError::NotAPlan { why },
        _ => damaged(member),
    }
}

/// The state as it was before planning refreshed it. Plans of Terraform before 1.0 have none.
fn state_before(archive: &mut Archive<'_>) -> Result<Option<Summary>, PlanError> {
    match state(archive, "tfstate-prev") {
        Ok(state) => Ok(Some(state)),
        Err(PlanError::NotAPlan { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

fn state(archive: &mut Archive<'_>, name: &'static str) -> Result<Summary, PlanError> {
    let member = archive.by_name(name).map_err(|error| missing(&error, name, "it holds no `tfstate`"))?;
    let unreadable = |error| PlanError::State { member: name, error };
    // The digests are only compared with each other.
    let mut scanner = Scanner::new([0; 32]);
    let mut member = member.take(STATE_LIMIT + 1);
    let mut piece = vec![0; 64 << 10];
    let mut size = 0;
    loop {
        let length = match member.read(&mut piece) {
            Ok(0) => break,
            Ok(length) => length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(_) => return Err(damaged(name)),
        };
        size += length as u64;
        if size > STATE_LIMIT {
            return Err(PlanError::TooLarge { member: name.to_owned(), limit: STATE_LIMIT });
        }
        scanner.feed(piece.get(..length).unwrap_or_default()).map_err(unreadable)?;
    }
    let summary = scanner.finish_planned().map_err(unreadable)?;
    if summary.opaque {
        return Err(PlanError::OpaqueState);
    }
    Ok(summary)
}

/// The addresses of what differs between two sorted lists.
fn changed(before: &[Entry], after: &[Entry]) -> BTreeSet<String> {
    let meanings = |entries: &[Entry]| entries.iter().map(|entry| (entry.address.clone(), entry.meaning)).collect();
    let (before, after): (BTreeSet<_>, BTreeSet<_>) = (meanings(before), meanings(after));
    before.symmetric_difference(&after).map(|(address, _)| address.clone()).collect()
}

/// The configuration: `tfconfig/m-KEY/FILE`, where the key is the path of module calls, joined by dots.
fn sources(archive: &mut Archive<'_>) -> Result<Sources, PlanError> {
    let mut sources = Sources::default();
    let mut left = CONFIGURATION_LIMIT;
    for index in 0..archive.len() {
        let member = archive.by_index(index).map_err(|_| damaged("directory"))?;
        let name = member.name().map_err(|_| damaged("directory"))?.into_owned();
        let Some((module, file)) = name.strip_prefix("tfconfig/m-").and_then(|rest| rest.split_once('/')) else {
            continue;
        };
        let mut text = String::new();
        let read = member.take(left + 1).read_to_string(&mut text);
        let size = text.len() as u64;
        if size > left {
            return Err(PlanError::TooLarge { member: "tfconfig".to_owned(), limit: CONFIGURATION_LIMIT });
        }
        left -= size;
        match read {
            Ok(_) => sources.add(module, file, &text),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => sources.add_unreadable(module),
            Err(_) => return Err(damaged(&name)),
        }
    }
    Ok(sources)
}
