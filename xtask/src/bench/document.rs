//! States to send, made once and then changed in place.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest, Md5};
use memchr::memmem;
use stateward_state::generate::{self, Spec};

use super::target::{Mark, write_digits};

/// Serials have ten digits from the start, so that none changes the length.
pub(super) const FIRST_SERIAL: u64 = 1_000_000_000;

const ID: &[u8] = b"\"id\": \"";
/// Digits of an instance's ID that are overwritten.
const ID_DIGITS: usize = 8;
const BEFORE: &[u8] = b"\"Env\": \"before\"";
const AFTER: &[u8] = b"\"Env\": \"after\"";

/// A generated state.
#[derive(Debug, Clone)]
pub(super) struct Document {
    pub(super) bytes: Vec<u8>,
    pub(super) resources: usize,
    serial_at: usize,
    /// Where the instances' IDs begin.
    ids: Vec<usize>,
}

impl Document {
    /// A state of about this size.
    pub(super) fn of_size(bytes: usize) -> Self {
        Self::new(&Spec::of_size(bytes))
    }

    fn new(spec: &Spec) -> Self {
        let spec = Spec { serial: FIRST_SERIAL, ..spec.clone() };
        let bytes = generate::state(&spec);
        let serial_at = memmem::find(&bytes, Mark::Serial.text().as_bytes()).unwrap_or(0);
        let ids = memmem::find_iter(&bytes, ID).map(|at| at + ID.len()).collect();
        Self { bytes, resources: spec.resources, serial_at, ids }
    }

    pub(super) fn set_serial(&mut self, serial: u64) {
        Mark::Serial.write(&mut self.bytes, self.serial_at, serial);
    }

    /// Gives every instance another ID, so that no chunk of any store stays what it was.
    pub(super) fn renew(&mut self, number: u64) {
        for at in &self.ids {
            write_digits(&mut self.bytes[*at..*at + ID_DIGITS], number);
        }
    }

    /// Changes this resource as [`Spec::touch`] does. Says whether it was not so already.
    pub(super) fn touch(&mut self, resource: usize) -> bool {
        let name = format!("\"name\": \"r_{resource:07}\"");
        let Some(start) = memmem::find(&self.bytes, name.as_bytes()) else { return false };
        let length = memmem::find(&self.bytes[start..], b"\"mode\": ").unwrap_or(self.bytes.len() - start);
        let places: Vec<usize> =
            memmem::find_iter(&self.bytes[start..start + length], BEFORE).map(|at| start + at).collect();
        for at in places.iter().rev() {
            self.bytes.splice(*at..*at + BEFORE.len(), AFTER.iter().copied());
            for id in self.ids.iter_mut().filter(|id| **id > *at) {
                *id -= BEFORE.len() - AFTER.len();
            }
        }
        !places.is_empty()
    }

    /// What goes into `Content-MD5`.
    pub(super) fn md5(&self) -> String {
        STANDARD.encode(Md5::digest(&self.bytes))
    }
}

/// The resource to change in this round: all over the state, and another each time until all had their turn.
pub(super) fn resource_for(round: usize, resources: usize) -> usize {
    // A prime that divides no number of resources used here.
    round * 7919 % resources.max(1)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn spec() -> Spec {
        Spec { resources: 230, serial: FIRST_SERIAL, ..Spec::default() }
    }

    #[test]
    fn touching_does_what_the_generator_does() {
        let mut document = Document::new(&spec());
        let mut wanted = spec();
        for (round, resource) in [(1, 117), (2, 8), (3, 229), (4, 0)] {
            assert!(document.touch(resource));
            document.set_serial(FIRST_SERIAL + round);
            wanted = wanted.touch(resource);
            assert!(document.bytes == generate::state(&wanted), "resource {resource}");
        }
        assert!(!document.touch(8) && !document.touch(230));
    }

    #[test]
    fn renewing_changes_every_instance_and_nothing_else() {
        let mut document = Document::new(&spec());
        document.touch(100);
        let before = document.clone();
        document.renew(12);
        let ids = |bytes: &[u8]| -> Vec<Vec<u8>> {
            memmem::find_iter(bytes, ID).map(|at| bytes[at + ID.len()..at + ID.len() + 17].to_vec()).collect()
        };
        let (old, new) = (ids(&before.bytes), ids(&document.bytes));
        assert!(old.len() > 230 && old.iter().zip(&new).all(|(old, new)| old != new && old[8..] == new[8..]));
        assert_eq!(before.bytes.len(), document.bytes.len());
        let changed = before.bytes.iter().zip(&document.bytes).filter(|(old, new)| old != new).count();
        assert!(changed <= old.len() * ID_DIGITS);
    }

    #[test]
    fn every_round_has_a_resource_of_its_own() {
        for resources in [9_852, 19, 98_522] {
            let seen: BTreeSet<usize> = (0..resources).map(|round| resource_for(round, resources)).collect();
            assert_eq!(seen.len(), resources);
        }
    }
}
