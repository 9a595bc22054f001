//! Takes chosen instances and outputs out of a body as it streams by.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use crate::address::{self, ResourceName};
use crate::error::ScanError;
use crate::json::Lexer;
use crate::walk::{InstanceName, Observer, Walker};

/// An instance or output taken out of a body.
#[derive(Clone, PartialEq, Eq)]
pub struct Extracted {
    /// The JSON object of the instance or output, byte for byte.
    pub raw: Vec<u8>,
    /// For an instance, the fields of its resource as canonical JSON, with an empty `instances`; empty for an output.
    pub resource: Arc<[u8]>,
}

impl std::fmt::Debug for Extracted {
    /// Shows sizes only, so that no secret reaches a log.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Extracted")
            .field("raw_bytes", &self.raw.len())
            .field("resource_bytes", &self.resource.len())
            .finish()
    }
}

/// Extracts from a body fed in pieces of any size.
///
/// Memory grows with what is taken, and with the largest resource that is cut by the end of a piece.
#[derive(Debug)]
pub struct Extractor<F> {
    lexer: Lexer,
    walker: Walker<Picker<F>>,
    /// The bytes from `window_at` on, from the start of the resource or output that the last piece ended in.
    window: Vec<u8>,
    window_at: u64,
    found: BTreeMap<String, Extracted>,
}

impl<F: Fn(&str) -> bool> Extractor<F> {
    /// An extractor of the instances and outputs whose address is wanted.
    pub fn new(wanted: F) -> Self {
        Self::make(wanted, false)
    }

    /// Also extracts, whatever its address, all that is marked as sensitive: a diff that is given it masks copies of these
    /// secrets wherever they turn up.
    pub fn with_sensitive(wanted: F) -> Self {
        Self::make(wanted, true)
    }

    fn make(wanted: F, keep_sensitive: bool) -> Self {
        let picker = Picker { wanted, keep_sensitive, begun: None, instances: Vec::new(), picked: Vec::new() };
        Self {
            lexer: Lexer::new(),
            walker: Walker::new(picker),
            window: Vec::new(),
            window_at: 0,
            found: BTreeMap::new(),
        }
    }

    /// Takes the next piece. After an error the extractor is of no use.
    pub fn feed(&mut self, piece: &[u8]) -> Result<(), ScanError> {
        let piece_at = self.lexer.offset();
        self.lexer.feed(piece, &mut self.walker)?;
        let picker = &mut self.walker.observer;
        let (bytes, at) = if self.window.is_empty() {
            (piece, piece_at)
        } else {
            self.window.extend_from_slice(piece);
            (self.window.as_slice(), self.window_at)
        };
        for Picked { address, span, resource } in picker.picked.drain(..) {
            let raw = slice(bytes, at, &span).to_vec();
            if self.found.insert(address.clone(), Extracted { raw, resource }).is_some() {
                return Err(ScanError::DuplicateInstance { address });
            }
        }
        match picker.begun {
            None => self.window.clear(),
            Some(begun) if self.window.is_empty() => {
                self.window = slice(piece, piece_at, &(begun..piece_at + piece.len() as u64)).to_vec();
                self.window_at = begun;
            }
            Some(begun) => {
                let done = usize::try_from(begun - self.window_at).unwrap_or(usize::MAX);
                self.window.drain(..done.min(self.window.len()));
                self.window_at = begun;
            }
        }
        Ok(())
    }

    /// The body is complete: gives what was found, by address. Nothing is found in a body `OpenTofu` encrypted.
    pub fn finish(mut self) -> Result<BTreeMap<String, Extracted>, ScanError> {
        self.lexer.finish(&mut self.walker)?;
        if self.walker.top.check()? {
            self.found.clear();
        }
        Ok(self.found)
    }
}

/// Extracts from a body that is in memory.
pub fn extract(body: &[u8], wanted: impl Fn(&str) -> bool) -> Result<BTreeMap<String, Extracted>, ScanError> {
    let mut extractor = Extractor::new(wanted);
    extractor.feed(body)?;
    extractor.finish()
}

/// The bytes of `span`, out of bytes that start at offset `at`.
fn slice<'a>(bytes: &'a [u8], at: u64, span: &Range<u64>) -> &'a [u8] {
    let index = |offset: u64| usize::try_from(offset.saturating_sub(at)).unwrap_or(usize::MAX);
    bytes.get(index(span.start)..index(span.end)).unwrap_or_default()
}

/// Whether canonical JSON holds this piece. A quote within a string is escaped, so what starts and ends with one is a key.
fn holds(canon: &[u8], piece: &[u8]) -> bool {
    memchr::memmem::find(canon, piece).is_some()
}

/// Something wanted whose bytes are in the window or piece.
#[derive(Debug)]
struct Picked {
    address: String,
    span: Range<u64>,
    resource: Arc<[u8]>,
}

#[derive(Debug)]
struct Picker<F> {
    wanted: F,
    keep_sensitive: bool,
    /// Where the current resource or output starts.
    begun: Option<u64>,
    /// Where the current resource's instances stand, and whether they are kept whatever their address.
    instances: Vec<(Range<u64>, bool)>,
    picked: Vec<Picked>,
}

impl<F: Fn(&str) -> bool> Observer for Picker<F> {
    fn begin(&mut self, at: u64) {
        self.begun = Some(at);
    }

    fn output(&mut self, name: &str, _: Range<u64>, value: Range<u64>, canon: &[u8]) {
        self.begun = None;
        let address = address::output(name);
        if self.keep_sensitive && holds(canon, b"\"sensitive\":true") || (self.wanted)(&address) {
            self.picked.push(Picked { address, span: value, resource: Arc::default() });
        }
    }

    fn instance(&mut self, value: Range<u64>, canon: &[u8]) {
        let sensitive = self.keep_sensitive
            && holds(canon, b"\"sensitive_attributes\":[")
            && !holds(canon, b"\"sensitive_attributes\":[]");
        self.instances.push((value, sensitive));
    }

    fn resource(&mut self, _: Range<u64>, name: &ResourceName, instances: &[InstanceName], canon: &[u8]) {
        self.begun = None;
        let mut resource: Option<Arc<[u8]>> = None;
        for (instance, (span, sensitive)) in instances.iter().zip(self.instances.drain(..)) {
            let address = name.instance(instance.key.as_ref(), instance.deposed.as_deref());
            if sensitive || (self.wanted)(&address) {
                let resource = Arc::clone(resource.get_or_insert_with(|| canon.into()));
                self.picked.push(Picked { address, span, resource });
            }
        }
    }
}
