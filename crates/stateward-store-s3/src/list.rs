//! Listing records.

use std::collections::VecDeque;

use futures::FutureExt;
use stateward_store::{Entry, Key, Listing, Result};
use stateward_store_aws::{LISTED_MAX, Names, together};

use crate::names;
use crate::records::Records;

impl Records {
    /// Lists records in the order of their keys.
    pub(crate) async fn list(&self, listing: &Listing) -> Result<Vec<Entry>> {
        let mut names = Listed::new(self, listing);
        let mut entries = Vec::new();
        while entries.len() < listing.limit {
            let some = names.next(listing.limit - entries.len()).await?;
            if some.is_empty() {
                break;
            }
            let read = |name: String| async move { self.entry(&name, listing).await }.boxed();
            let found = together::all(some.into_iter().map(read)).await?;
            let mut some: Vec<Entry> = found.into_iter().flatten().collect();
            // Only keys whose names were cut can be out of order, and those stand together.
            some.sort_unstable_by(|one, other| one.key.cmp(&other.key));
            entries.append(&mut some);
        }
        entries.truncate(listing.limit);
        Ok(entries)
    }

    /// The record in an object, if it is one of the listing and not gone.
    async fn entry(&self, name: &str, listing: &Listing) -> Result<Option<Entry>> {
        let Some(found) = self.read_object(name).await? else { return Ok(None) };
        let key = found.known.header.key.clone();
        let follows = listing.after.as_ref().is_none_or(|after| key.as_str() > after.as_str());
        // A copy under another name, made by hand, is no record; `verify` tells of it.
        let fits = follows && key.starts_with(&listing.prefix) && self.name(&key) == name;
        Ok(found.record().filter(|_| fits).map(|record| Entry { key: Key::new(key), record }))
    }
}

/// Goes through the names of objects in their order.
struct Listed<'a> {
    records: &'a Records,
    directory: String,
    prefix: String,
    after: Option<String>,
    ahead: VecDeque<String>,
    more: bool,
}

impl<'a> Listed<'a> {
    fn new(records: &'a Records, listing: &Listing) -> Self {
        let directory = records.directory();
        let prefix = format!("{directory}{}", names::prefix_of(&listing.prefix));
        let after = listing.after.as_ref().map(|after| format!("{directory}{}", names::before(after.as_str())));
        // A start before all names is none; some stores take such a start for one within.
        let after = after.filter(|after| *after > prefix);
        Self { records, directory, prefix, after, ahead: VecDeque::new(), more: true }
    }

    /// The next names: about as many as are wanted, and never a part of those that stand together.
    async fn next(&mut self, wanted: usize) -> Result<Vec<String>> {
        let mut some: Vec<String> = Vec::new();
        loop {
            let open = some.last().and_then(|last| self.group(last)).map(str::to_owned);
            if some.len() >= wanted && open.is_none() {
                return Ok(some);
            }
            if self.ahead.is_empty() && !self.fill(wanted).await? {
                return Ok(some);
            }
            let goes_on =
                self.ahead.front().is_some_and(|name| some.len() < wanted || self.group(name) == open.as_deref());
            match goes_on.then(|| self.ahead.pop_front()).flatten() {
                Some(name) => some.push(name),
                None => return Ok(some),
            }
        }
    }

    fn group<'b>(&self, name: &'b str) -> Option<&'b str> {
        names::group(name.strip_prefix(&self.directory)?)
    }

    /// Asks for more names; false where there are none.
    async fn fill(&mut self, wanted: usize) -> Result<bool> {
        while self.more && self.ahead.is_empty() {
            let names = Names {
                prefix: self.prefix.clone(),
                after: self.after.clone(),
                // One more, to see whether those that stand together go on.
                limit: wanted.saturating_add(1).min(LISTED_MAX),
            };
            let page = self.records.bucket.list(&names).await?;
            self.more = page.more && !page.objects.is_empty();
            self.after = page.objects.last().map(|last| last.name.clone()).or(self.after.take());
            self.ahead.extend(page.objects.into_iter().map(|object| object.name));
        }
        Ok(!self.ahead.is_empty())
    }
}
