//! A state read beside another version of itself: what stands in both, byte for byte, is read once.
//!
//! Versions of a state that follow each other differ in a few resources. Comparing bytes is an order of magnitude faster
//! than reading them, and what is the same needs no memory.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use super::{Document, Instance, Parts, local, read};
use crate::address::{self, ResourceName};
use crate::error::ScanError;
use crate::walk::{InstanceName, Observer};

/// A document, and where its instances stand.
pub(crate) struct Indexed<'a> {
    document: &'a Document<'a>,
    /// The numbers of their blocks, by address.
    blocks: HashMap<&'a str, usize>,
}

impl<'a> Indexed<'a> {
    /// No address may stand twice in the document.
    pub(crate) fn new(document: &'a Document<'a>) -> Result<Self, ScanError> {
        let mut blocks = HashMap::with_capacity(document.resources.len());
        for (index, block) in document.resources.iter().enumerate() {
            for Instance { address, .. } in &block.instances {
                if blocks.insert(address.as_str(), index).is_some() {
                    return Err(ScanError::DuplicateInstance { address: address.clone() });
                }
            }
        }
        let mut outputs = HashSet::new();
        for address in document.outputs.iter().map(|output| address::output(&output.name)) {
            if blocks.contains_key(address.as_str()) || outputs.contains(&address) {
                return Err(ScanError::DuplicateInstance { address });
            }
            outputs.insert(address);
        }
        Ok(Self { document, blocks })
    }
}

/// Another version of a document, or any other state.
pub(crate) struct Sibling<'a> {
    /// It, but of its resources only those that are not [the same](Self::has).
    pub(crate) differing: Document<'a>,
    /// For each block of the first document.
    same: Vec<bool>,
}

impl<'a> Sibling<'a> {
    /// Reads a body as strictly as [`Document::parse`].
    pub(crate) fn parse(body: &'a [u8], first: &Indexed<'_>) -> Result<Self, ScanError> {
        let blocks = first.document.resources.len();
        let beside = Beside { body, first, parts: Parts::default(), next: 0, same: vec![false; blocks] };
        let (top, Beside { parts, same, .. }) = read(body, beside)?;
        let sibling = Self { differing: parts.document(body, top), same };
        sibling.check_addresses(first)?;
        Ok(sibling)
    }

    /// Whether the block of this number in the first document stands here byte for byte.
    pub(crate) fn has(&self, block: usize) -> bool {
        self.same.get(block) == Some(&true)
    }

    fn check_addresses(&self, first: &Indexed<'_>) -> Result<(), ScanError> {
        let outputs = self.differing.outputs.iter().map(|output| address::output(&output.name));
        let mut seen = HashSet::new();
        for address in outputs.chain(self.differing.instances().map(|instance| instance.address.clone())) {
            let is_in_same = first.blocks.get(address.as_str()).is_some_and(|block| self.has(*block));
            if is_in_same || seen.contains(&address) {
                return Err(ScanError::DuplicateInstance { address });
            }
            seen.insert(address);
        }
        Ok(())
    }
}

/// Collects the parts that differ.
struct Beside<'a> {
    body: &'a [u8],
    first: &'a Indexed<'a>,
    parts: Parts,
    /// The block of the first document that is expected next: its order is mostly that of the other.
    next: usize,
    same: Vec<bool>,
}

impl Observer for Beside<'_> {
    const FIELDS: bool = true;
    const CANON: bool = false;

    fn known(&mut self, at: u64) -> u64 {
        let Some(block) = self.first.document.resources.get(self.next) else { return 0 };
        let raw = self.first.document.raw(&block.span);
        let rest = self.body.get(local(&(at..at)).start..).unwrap_or_default();
        if !rest.starts_with(raw) {
            return 0;
        }
        if let Some(same) = self.same.get_mut(self.next) {
            *same = true;
        }
        self.next += 1;
        raw.len() as u64
    }

    fn field(&mut self, name: &str, key: Range<u64>, value: Range<u64>) {
        self.parts.field(name, key, value);
    }

    fn output(&mut self, name: &str, key: Range<u64>, value: Range<u64>, canon: &[u8]) {
        self.parts.output(name, key, value, canon);
    }

    fn resource_field(&mut self, name: &str, key: Range<u64>, value: Range<u64>) {
        self.parts.resource_field(name, key, value);
    }

    fn instance(&mut self, value: Range<u64>, canon: &[u8]) {
        self.parts.instance(value, canon);
    }

    fn resource(&mut self, value: Range<u64>, name: &ResourceName, instances: &[InstanceName], canon: &[u8]) {
        self.parts.resource(value, name, instances, canon);
        // Never back, so that no block is found twice.
        let instances = self.parts.resources.last().map_or(&[][..], |block| &block.instances);
        let block = instances.iter().find_map(|instance| self.first.blocks.get(instance.address.as_str()));
        self.next = self.next.max(block.map_or(0, |block| block + 1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resource(name: &str, value: u32) -> String {
        format!(
            r#"{{"mode":"managed","type":"t","name":"{name}","provider":"p","instances":[{{"attributes":{{"v":{value}}}}}]}}"#
        )
    }

    fn body(resources: &[String]) -> Vec<u8> {
        let resources = resources.join(", ");
        format!(r#"{{"version":4,"serial":1,"lineage":"l","outputs":{{}},"resources":[{resources}]}}"#).into_bytes()
    }

    /// The names of the blocks that were read, and which of the first state's are the same.
    fn beside(first: &[u8], other: &[u8]) -> (Vec<String>, Vec<bool>) {
        let document = Document::parse(first).expect("valid");
        let sibling = Sibling::parse(other, &Indexed::new(&document).expect("valid")).expect("valid");
        let read = sibling.differing.resources.iter().map(|block| block.name.name.clone()).collect();
        (read, sibling.same)
    }

    #[test]
    fn only_what_differs_is_read() {
        let of = |names: &str| body(&names.chars().map(|name| resource(&name.to_string(), 1)).collect::<Vec<_>>());
        let first = of("abcd");
        let read = |names: &str| beside(&first, &of(names));
        let names = |names: &str| names.chars().map(String::from).collect::<Vec<_>>();
        assert_eq!(read("abcd"), (vec![], vec![true; 4]));
        assert_eq!(read("abxcd"), (names("x"), vec![true; 4]), "one was added");
        assert_eq!(read("acd"), (names("c"), vec![true, false, false, true]), "found again after the next one");
        assert_eq!(read("dabc"), (names("dabc"), vec![false; 4]), "in another order");
        assert_eq!(read(""), (vec![], vec![false; 4]));
        let changed = body(&[resource("a", 1), resource("b", 2), resource("c", 1), resource("d", 1)]);
        assert_eq!(beside(&first, &changed), (names("b"), vec![true, false, true, true]));
    }

    #[test]
    fn an_address_may_not_stand_twice_whether_it_was_read_or_passed_over() {
        let first = body(&[resource("a", 1), resource("b", 1)]);
        let document = Document::parse(&first).expect("valid");
        let first = Indexed::new(&document).expect("valid");
        for twice in [
            body(&[resource("a", 1), resource("b", 1), resource("a", 1)]),
            body(&[resource("a", 1), resource("b", 1), resource("b", 2)]),
            body(&[resource("x", 1), resource("x", 1)]),
        ] {
            let error = Sibling::parse(&twice, &first).err();
            assert!(matches!(error, Some(ScanError::DuplicateInstance { .. })), "{error:?}");
            assert_eq!(error, Document::parse(&twice).err());
            let unchecked = Document::parse_parts(&twice).expect("valid but for that");
            assert_eq!(error, Indexed::new(&unchecked).err());
        }
        let output = body(&[resource("a", 1).replace("\"t\"", "\"output\"")]);
        let output = String::from_utf8(output).expect("UTF-8").replace("{},", "{\"a\":{\"value\":1}},");
        let unchecked = Document::parse_parts(output.as_bytes()).expect("valid but for that");
        let twice = ScanError::DuplicateInstance { address: "output.a".to_owned() };
        assert_eq!(Indexed::new(&unchecked).err(), Some(twice));
    }

    #[test]
    fn what_is_cut_within_a_part_that_is_known_is_refused() {
        let whole = body(&(0..1000).map(|number| resource(&format!("r{number}"), 1)).collect::<Vec<_>>());
        let document = Document::parse(&whole).expect("valid");
        let first = Indexed::new(&document).expect("valid");
        for length in (0..whole.len()).step_by(1997) {
            let cut = whole.get(..length).expect("within");
            assert_eq!(Sibling::parse(cut, &first).err(), Document::parse(cut).err(), "{length}");
        }
    }
}
