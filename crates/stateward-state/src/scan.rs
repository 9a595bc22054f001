//! One pass over a body as it arrives: is it a state, what does it hold, and what does each instance mean.

use std::ops::Range;

use crate::address::{self, ResourceName};
use crate::error::ScanError;
use crate::json::Lexer;
use crate::walk::{InstanceName, Observer, Top, Walker};

/// What a scan finds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// Encrypted by `OpenTofu`: only serial and lineage are known, and the lists are empty.
    pub opaque: bool,
    /// `version`: 4, or nothing for an opaque body that has none.
    pub format: Option<u64>,
    /// `terraform_version`.
    pub terraform_version: Option<String>,
    /// `serial`.
    pub serial: u64,
    /// `lineage`, never empty.
    pub lineage: String,
    /// Length of the body in bytes.
    pub size: u64,
    /// Where some values stand in the body.
    pub spans: Spans,
    /// All instances, deposed objects among them, sorted by address; no address stands twice.
    pub instances: Vec<Entry>,
    /// All root outputs under the address `output.NAME`, sorted; no address stands twice.
    pub outputs: Vec<Entry>,
}

/// Byte ranges of top-level values in the body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spans {
    /// The digits of `serial`.
    pub serial: Range<u64>,
    /// The `lineage`, with its quotes.
    pub lineage: Range<u64>,
    /// The `terraform_version`, with its quotes.
    pub terraform_version: Option<Range<u64>>,
    /// The `outputs`, with their braces.
    pub outputs: Option<Range<u64>>,
}

/// An instance or output, and a digest of what it says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Address in Terraform's syntax, as written by [`ResourceName::instance`] and [`address::output`].
    pub address: String,
    /// Keyed digest of the value and, for an instance, of the other fields of its resource.
    ///
    /// Independent of white space, of the spelling of strings and numbers, and of the order of members; anything else
    /// changes it. Numbers count exactly. Where an object has two members with one key, both count.
    pub meaning: [u8; 16],
}

/// Scans a body fed in pieces of any size.
///
/// Memory grows with the entries, and with the largest single instance or output, but not with the body.
#[derive(Debug)]
pub struct Scanner {
    lexer: Lexer,
    walker: Walker<Index>,
}

impl Scanner {
    /// A scanner whose digests tell nothing to anyone without the key.
    pub fn new(hash_key: [u8; 32]) -> Self {
        let index = Index { hash_key, digests: Vec::new(), instances: Vec::new(), outputs: Vec::new() };
        Self { lexer: Lexer::new(), walker: Walker::new(index) }
    }

    /// Takes the next piece. After an error the scanner is of no use.
    pub fn feed(&mut self, piece: &[u8]) -> Result<(), ScanError> {
        self.lexer.feed(piece, &mut self.walker)
    }

    /// The body is complete.
    pub fn finish(self) -> Result<Summary, ScanError> {
        self.finish_checked(Top::check)
    }

    /// The body is complete, and stands in a plan: its lineage may be empty.
    pub(crate) fn finish_planned(self) -> Result<Summary, ScanError> {
        self.finish_checked(Top::check_planned)
    }

    fn finish_checked(mut self, check: impl FnOnce(&Top) -> Result<bool, ScanError>) -> Result<Summary, ScanError> {
        let size = self.lexer.offset();
        self.lexer.finish(&mut self.walker)?;
        let Walker { top, observer: Index { mut instances, mut outputs, .. }, .. } = self.walker;
        let opaque = check(&top)?;
        if opaque {
            instances.clear();
            outputs.clear();
        }
        sort(&mut instances)?;
        sort(&mut outputs)?;
        let Top { version, terraform_version, serial, lineage, outputs: outputs_span, .. } = top;
        let (serial, serial_span) = serial.ok_or(ScanError::MissingSerial)?;
        let (lineage, lineage_span) = lineage.ok_or(ScanError::MissingLineage)?;
        let (terraform_version, version_span) = terraform_version.unzip();
        Ok(Summary {
            opaque,
            format: version,
            terraform_version: terraform_version.flatten(),
            serial,
            lineage,
            size,
            spans: Spans {
                serial: serial_span,
                lineage: lineage_span,
                terraform_version: version_span,
                outputs: outputs_span,
            },
            instances,
            outputs,
        })
    }
}

/// Scans a body that is in memory.
pub fn scan(body: &[u8], hash_key: [u8; 32]) -> Result<Summary, ScanError> {
    let mut scanner = Scanner::new(hash_key);
    scanner.feed(body)?;
    scanner.finish()
}

fn sort(entries: &mut [Entry]) -> Result<(), ScanError> {
    // Stable sorting is fast on what Terraform writes, which is sorted but for a few runs.
    entries.sort_by(|left, right| left.address.cmp(&right.address));
    match entries.windows(2).find_map(|pair| match pair {
        [first, second] if first.address == second.address => Some(&second.address),
        _ => None,
    }) {
        Some(address) => Err(ScanError::DuplicateInstance { address: address.clone() }),
        None => Ok(()),
    }
}

/// Collects the entries.
#[derive(Debug)]
struct Index {
    hash_key: [u8; 32],
    /// Digests of the current resource's instances.
    digests: Vec<u128>,
    instances: Vec<Entry>,
    outputs: Vec<Entry>,
}

impl Index {
    fn digest(&self, canon: &[u8]) -> u128 {
        let hash = blake3::keyed_hash(&self.hash_key, canon);
        u128::from_le_bytes(hash.as_bytes().first_chunk().copied().unwrap_or_default())
    }
}

impl Observer for Index {
    fn output(&mut self, name: &str, _: Range<u64>, _: Range<u64>, canon: &[u8]) {
        let meaning = self.digest(canon).to_le_bytes();
        self.outputs.push(Entry { address: address::output(name), meaning });
    }

    fn instance(&mut self, _: Range<u64>, canon: &[u8]) {
        self.digests.push(self.digest(canon));
    }

    fn resource(&mut self, _: Range<u64>, name: &ResourceName, instances: &[InstanceName], canon: &[u8]) {
        // The resource's fields may come after its instances, so both are digested apart. Each digest is a keyed
        // pseudo-random value of its own text, so their exclusive or stays one of the pair.
        let header = self.digest(canon);
        for (instance, digest) in instances.iter().zip(self.digests.drain(..)) {
            let address = name.instance(instance.key.as_ref(), instance.deposed.as_deref());
            self.instances.push(Entry { address, meaning: (digest ^ header).to_le_bytes() });
        }
    }
}
