//! What the engine can check by itself: that packs are whole.

use stateward_store::{Problem, Result};

use crate::item::{Item, RANGE, number_in};
use crate::pack::{BYTES, Bulk, COUNT, DOOMED, HEAD_IDS, IDS, OUTSIDE, PackId, SIZE, next_shard};
use crate::places::At;
use crate::shared::Shared;

/// Headers that are read together.
const HEADERS: usize = 64;

impl Shared {
    /// Finds packs that lack some of their bytes or the list of their blobs.
    pub(crate) async fn verify(&self) -> Result<Vec<Problem>> {
        let mut problems = Vec::new();
        let mut shard = Some(PackId(0));
        while let Some(first) = shard {
            let mut stretch = self.layout().headers_from(first);
            loop {
                let page = self.table().query(&stretch, Some(HEADERS)).await?;
                for header in &page.items {
                    problems.extend(self.verify_pack(header).await?);
                }
                let Some(next) = page.next else { break };
                stretch.first = next;
            }
            shard = next_shard(first);
        }
        Ok(problems)
    }

    async fn verify_pack(&self, header: &Item) -> Result<Vec<Problem>> {
        let (Some(id), Some(size)) = (number_in::<u64>(header, RANGE), number_in::<u64>(header, SIZE)) else {
            // Not published yet, or not to be.
            return Ok(Vec::new());
        };
        if header.contains_key(DOOMED) {
            return Ok(Vec::new());
        }
        let pack = PackId(id);
        let count: u64 = number_in(header, COUNT).unwrap_or(0);
        let (head_bytes, part_bytes) = (Bulk::Table.head_bytes(), Bulk::Table.part_bytes());
        let in_table = if header.contains_key(OUTSIDE) { 0 } else { size };
        let mut wanted: Vec<(At, &str, u64)> = (0..Bulk::Table.parts(in_table))
            .map(|part| {
                let start = head_bytes + part * part_bytes;
                (self.layout().part(pack, part + 1), BYTES, (size - start).min(part_bytes))
            })
            .collect();
        let mut problems = Vec::new();
        if let Some(depot) = self.depot.as_ref().filter(|_| header.contains_key(OUTSIDE)) {
            let damaged = depot.check(pack, size).await?;
            problems.extend(damaged.into_iter().map(|(what, why)| Problem { what, why }));
        }
        let mut check = |item: Option<&Item>, at: &At, name: &str, expected: u64| {
            let held = item.and_then(|item| item.get(name)?.as_b().ok()).map(|bytes| bytes.as_ref().len() as u64);
            if held != Some(expected) {
                let held = held.map_or_else(|| "none".to_owned(), |held| held.to_string());
                problems.push(Problem {
                    what: format!("pack {id:016x}, item `{}` {}", at.partition, at.range),
                    why: format!("`{name}` should have {expected} bytes and has {held}"),
                });
            }
        };
        if !header.contains_key(OUTSIDE) {
            check(Some(header), &self.layout().header(pack), BYTES, size.min(head_bytes));
        }
        if count > HEAD_IDS as u64 && !header.contains_key(IDS) {
            wanted.push((self.layout().part(pack, 0), IDS, count * 32));
        } else {
            check(Some(header), &self.layout().header(pack), IDS, count * 32);
        }
        for some in wanted.chunks(100) {
            let found = self.table().get_many(some.iter().map(|(at, ..)| at.clone()).collect(), true).await?;
            for (at, name, expected) in some {
                check(found.get(at), at, name, *expected);
            }
        }
        Ok(problems)
    }
}
