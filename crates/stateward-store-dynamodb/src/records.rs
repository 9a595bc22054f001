//! Reading records, one by one and in the order of their keys.

use std::fmt;

use bytes::Bytes;
use futures::future::{BoxFuture, FutureExt};
use stateward_store::{Entry, Key, Listing, Record, Result, Revision};

use crate::item::{Item, KEY, RANGE, TTL, VALUE, WRITE, foreign, number_in, take_bytes, text_in};
use crate::places::{At, Layout, Scope, order, scope};
use crate::table::Table;

/// Names that are read beyond those asked for: some may be of records that have gone.
const NAMES_MORE: usize = 16;
/// Records that are read together by their names.
const TOGETHER: usize = 100;

use crate::store::Now;

/// The records of a store.
#[derive(Clone)]
pub(crate) struct Records {
    pub(crate) table: Table,
    pub(crate) layout: Layout,
    pub(crate) now: Now,
}

impl fmt::Debug for Records {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Records").field("table", &self.table.name).field("layout", &self.layout).finish_non_exhaustive()
    }
}

/// What is still to be listed.
#[derive(Debug, Clone, Copy)]
struct Ask<'a> {
    prefix: &'a str,
    after: Option<&'a str>,
    limit: usize,
}

impl Ask<'_> {
    fn takes(&self, key: &str) -> bool {
        key.starts_with(self.prefix) && self.after.is_none_or(|after| key > after)
    }

    /// Whether there may be something below a stem.
    fn may_be_below(&self, stem: &str) -> bool {
        let reaches = stem.starts_with(self.prefix) || self.prefix.starts_with(stem);
        reaches && self.after.is_none_or(|after| after < stem || after.starts_with(stem))
    }
}

impl Records {
    pub(crate) async fn get(&self, key: &Key) -> Result<Option<Record>> {
        let at = self.layout.place(key).at;
        let Some(item) = self.table.get(&at).await? else { return Ok(None) };
        self.decode(&at, item, Some(key.as_str())).map(|entry| entry.map(|entry| entry.record))
    }

    pub(crate) async fn list(&self, listing: &Listing) -> Result<Vec<Entry>> {
        let after = listing.after.as_ref().map(Key::as_str);
        let ask = Ask { prefix: &listing.prefix, after, limit: listing.limit.max(1) };
        match scope(&listing.prefix) {
            Scope::Series(stem) => self.series(stem, ask).await,
            Scope::Segment(segment) => self.segment(segment, ask).await,
            Scope::Top => self.names("", ask).await,
        }
    }

    /// Everything below a segment: numbered records and others.
    async fn segment(&self, segment: &str, ask: Ask<'_>) -> Result<Vec<Entry>> {
        let (mut entries, numbered) = tokio::try_join!(self.names(segment, ask), self.series(segment, ask))?;
        entries.extend(numbered);
        entries.sort_unstable_by(|one, other| one.key.cmp(&other.key));
        entries.truncate(ask.limit);
        Ok(entries)
    }

    async fn series(&self, stem: &str, ask: Ask<'_>) -> Result<Vec<Entry>> {
        let Some(mut stretch) = self.layout.in_series(stem, ask.prefix, ask.after) else { return Ok(Vec::new()) };
        let mut entries: Vec<Entry> = Vec::new();
        let mut last = None;
        'pages: loop {
            let page = self.table.query(&stretch, Some((ask.limit - entries.len()).max(1) + 1)).await?;
            for item in page.items {
                let range: u128 = number_in(&item, RANGE).unwrap_or_default();
                // Those that are ordered alike are all needed before any can be left out.
                if entries.len() >= ask.limit && last != Some(order(range)) {
                    break 'pages;
                }
                last = Some(order(range));
                let at = At { partition: stretch.partition.clone(), range };
                entries.extend(self.decode(&at, item, None)?.filter(|entry| ask.takes(entry.key.as_str())));
            }
            let Some(next) = page.next else { break };
            if entries.len() > ask.limit {
                entries.sort_unstable_by(|one, other| one.key.cmp(&other.key));
                entries.truncate(ask.limit);
            }
            stretch.first = next;
        }
        entries.sort_unstable_by(|one, other| one.key.cmp(&other.key));
        entries.truncate(ask.limit);
        Ok(entries)
    }

    /// What is named in a partition of names, and what is below its marks.
    fn names<'a>(&'a self, segment: &'a str, ask: Ask<'a>) -> BoxFuture<'a, Result<Vec<Entry>>> {
        async move {
            let Some(mut stretch) = self.layout.in_names(segment, ask.prefix, ask.after) else { return Ok(Vec::new()) };
            let mut entries = Vec::new();
            let mut names: Vec<(u128, String)> = Vec::new();
            loop {
                let page = self.table.query(&stretch, Some(ask.limit - entries.len() + NAMES_MORE)).await?;
                for item in &page.items {
                    let range: u128 = number_in(item, RANGE).unwrap_or_default();
                    let at = || At { partition: stretch.partition.clone(), range };
                    let name = text_in(item, KEY).ok_or_else(|| foreign(&at(), KEY))?;
                    names.push((order(range), name.to_owned()));
                }
                // Those that are ordered like the last may go on in the next page.
                let held = match (page.next, names.last()) {
                    (Some(_), Some((last, _))) => names.iter().position(|(order, _)| order == last),
                    _ => None,
                };
                let rest = held.map(|held| names.split_off(held)).unwrap_or_default();
                let mut ready: Vec<String> = names.into_iter().map(|(_, name)| name).collect();
                ready.sort_unstable();
                self.expand(ready, ask, &mut entries).await?;
                names = rest;
                match page.next {
                    Some(next) if entries.len() < ask.limit => stretch.first = next,
                    _ => return Ok(entries),
                }
            }
        }
        .boxed()
    }

    /// Appends what names and marks stand for, until there is enough.
    async fn expand(&self, names: Vec<String>, ask: Ask<'_>, entries: &mut Vec<Entry>) -> Result<()> {
        let is_mark = |name: &String| matches!(scope(name), Scope::Series(stem) | Scope::Segment(stem) if stem == name);
        let mut names = names.into_iter().peekable();
        while entries.len() < ask.limit && names.peek().is_some() {
            let left = ask.limit - entries.len();
            let mut run = Vec::new();
            while run.len() < left.min(TOGETHER)
                && let Some(name) = names.next_if(|name| !is_mark(name))
            {
                run.extend(ask.takes(&name).then_some(name));
            }
            entries.extend(self.named(&run).await?);
            let Some(stem) = names.next_if(is_mark) else { continue };
            let left = ask.limit.saturating_sub(entries.len());
            if left == 0 || !ask.may_be_below(&stem) {
                continue;
            }
            let ask = Ask { limit: left, ..ask };
            let below =
                if stem.ends_with('#') { self.series(&stem, ask).boxed() } else { self.segment(&stem, ask).boxed() };
            entries.extend(below.await?);
        }
        Ok(())
    }

    async fn named(&self, names: &[String]) -> Result<Vec<Entry>> {
        let places: Vec<At> = names.iter().map(|name| self.layout.place(&Key::new(name.as_str())).at).collect();
        let mut found = self.table.get_many(places.clone(), true).await?;
        let mut entries = Vec::with_capacity(names.len());
        for (name, at) in names.iter().zip(places) {
            let Some(item) = found.remove(&at) else { continue };
            entries.extend(self.decode(&at, item, Some(name))?);
        }
        Ok(entries)
    }

    /// A record as its item says; none where the item is another's, or has expired.
    fn decode(&self, at: &At, mut item: Item, expected: Option<&str>) -> Result<Option<Entry>> {
        let key = text_in(&item, KEY).ok_or_else(|| foreign(at, KEY))?.to_owned();
        if self.has_expired(&item) || expected.is_some_and(|expected| expected != key) {
            return Ok(None);
        }
        let revision = Revision::new(text_in(&item, WRITE).ok_or_else(|| foreign(at, WRITE))?);
        let value: Bytes = take_bytes(&mut item, VALUE).ok_or_else(|| foreign(at, VALUE))?;
        Ok(Some(Entry { key: Key::new(key), record: Record { value, revision } }))
    }

    /// `DynamoDB` removes what has expired hours or days later.
    pub(crate) fn has_expired(&self, item: &Item) -> bool {
        number_in::<u64>(item, TTL).is_some_and(|expiry| expiry > 0 && expiry < (self.now)())
    }
}
