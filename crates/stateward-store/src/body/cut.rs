//! Content-defined cuts of a byte stream (FastCDC).

use bytes::{Bytes, BytesMut};
use fastcdc::v2020::{FastCDC, Normalization};

/// How coarsely a body, and the index of what is in it, are cut.
///
/// Fine cuts share more between versions, coarse ones cost less per byte. Two bodies share only within one grain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grain {
    min: usize,
    average: usize,
    max: usize,
    /// Items of an index that stand together, on average; a power of two.
    items: u32,
}

impl Grain {
    /// For bodies under 32 MiB or of unknown size: 16 KiB on average.
    pub const FINE: Self = Self { min: 4 << 10, average: 16 << 10, max: 64 << 10, items: 16 };
    /// For larger bodies: 64 KiB on average.
    pub const COARSE: Self = Self { min: 16 << 10, average: 64 << 10, max: 256 << 10, items: 64 };
    const COARSE_FROM: u64 = 32 << 20;

    /// The grain for a body of about this size.
    pub fn for_size(bytes: Option<u64>) -> Self {
        if bytes.is_some_and(|bytes| bytes >= Self::COARSE_FROM) { Self::COARSE } else { Self::FINE }
    }

    pub(super) fn items(self) -> u32 {
        self.items
    }
}

/// Collects bytes and gives chunks back as soon as their end is certain.
pub(super) struct Cutter {
    grain: Grain,
    seed: u64,
    pending: BytesMut,
    /// The head of the body has been cut off.
    headed: bool,
}

/// The head of a state holds its serial, which every version changes: a chunk of its own spares storing its neighbours again.
const HEAD_BYTES: usize = 256;

/// Cutting is cheaper in long runs; this is also what the cutter holds at the most, plus one write.
const RUN: usize = 1 << 20;

impl Cutter {
    pub(super) fn new(grain: Grain, seed: u64) -> Self {
        Self { grain, seed, pending: BytesMut::new(), headed: false }
    }

    /// Takes bytes; calls `chunk` for each chunk that is complete.
    pub(super) fn push(&mut self, bytes: &[u8], chunk: impl FnMut(Bytes)) {
        self.pending.extend_from_slice(bytes);
        if self.pending.len() >= RUN {
            // A cut this close to the end could lie elsewhere once more bytes are known.
            self.cut(self.grain.max, chunk);
        }
    }

    /// Gives what is left.
    pub(super) fn finish(mut self, chunk: impl FnMut(Bytes)) {
        self.cut(0, chunk);
    }

    fn cut(&mut self, keep: usize, mut chunk: impl FnMut(Bytes)) {
        if !self.headed && self.pending.len() > self.grain.min {
            chunk(self.pending.split_to(HEAD_BYTES).freeze());
        }
        self.headed = true;
        let Grain { min, average, max, .. } = self.grain;
        let cutter = FastCDC::with_level_and_seed(&self.pending, min, average, max, Normalization::Level1, self.seed);
        let (mut lengths, mut start, total) = (Vec::new(), 0, self.pending.len());
        while total - start > keep {
            let (_, end) = cutter.cut(start, total - start);
            lengths.push(end - start);
            start = end;
        }
        let mut done = std::mem::take(&mut self.pending);
        let rest = done.split_off(start);
        let mut done = done.freeze();
        for length in lengths {
            chunk(done.split_to(length));
        }
        self.pending.reserve(RUN + max);
        self.pending.extend_from_slice(&rest);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn chunks(body: &[u8], writes: &[usize]) -> Vec<Bytes> {
        let (mut cutter, mut chunks, mut rest) = (Cutter::new(Grain::FINE, 5), Vec::new(), body);
        for &write in writes.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (now, later) = rest.split_at(write.clamp(1, rest.len()));
            cutter.push(now, |chunk| chunks.push(chunk));
            rest = later;
        }
        cutter.finish(|chunk| chunks.push(chunk));
        chunks
    }

    fn noise(length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        blake3::Hasher::new().finalize_xof().fill(&mut bytes);
        bytes
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20))]
        #[test]
        fn cuts_depend_on_the_content_alone(length in 0usize..3 << 20, writes in prop::collection::vec(1usize..200_000, 1..8)) {
            let body = noise(length);
            let cut = chunks(&body, &writes);
            prop_assert_eq!(cut.concat(), body.clone());
            prop_assert!(cut.iter().all(|chunk| !chunk.is_empty() && chunk.len() <= Grain::FINE.max));
            prop_assert_eq!(cut, chunks(&body, &[body.len().max(1)]));
        }
    }

    #[test]
    fn an_insertion_changes_few_chunks() {
        let before = noise(2 << 20);
        let mut after = before.clone();
        after.splice(1 << 20..1 << 20, *b"one more resource");
        let known: std::collections::HashSet<_> = chunks(&before, &[70_000]).into_iter().collect();
        let fresh = chunks(&after, &[70_000]).into_iter().filter(|chunk| !known.contains(chunk)).count();
        assert!(fresh <= 3, "{fresh} chunks changed");
    }

    #[test]
    fn an_empty_body_has_no_chunks() {
        assert!(chunks(b"", &[1]).is_empty());
    }
}
