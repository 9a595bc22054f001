//! The bucket that a trail writes to: `PREFIX/AWSLogs/[ORGANIZATION/]ACCOUNT/CloudTrail/REGION/YYYY/MM/DD/…json.gz`.

use std::io::{self, Read};
use std::sync::Arc;

use aws_sdk_s3::Client;
use aws_sdk_s3::operation::get_object::GetObjectOutput;
use bytes::Bytes;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::records::{self, Content, Unreadable};
use super::tally::{Denied, Tally, Wanted};
use crate::Failed;

/// Objects read side by side.
const TOGETHER: usize = 8;
/// Tries to read an object whose body breaks off on the way.
const TRIES: u32 = 3;
/// An event is delivered some five minutes later, and lies under the day of its delivery.
const LATEST: SignedDuration = SignedDuration::from_hours(1);
/// More days than this, and all are listed.
const DAYS_MAX: usize = 4000;

/// A trail's bucket, or a part of it.
#[derive(Debug, Clone)]
pub struct TrailBucket {
    client: Client,
    bucket: String,
    prefix: String,
}

/// Why a trail's bucket was not read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BucketError {
    /// A request failed.
    #[error(transparent)]
    Failed(#[from] Failed),
    /// No logs of `CloudTrail` lie there.
    #[error("there are no logs of CloudTrail under `{prefix}`{}", list(.there))]
    NoLogs {
        /// Where they were looked for.
        prefix: String,
        /// What is there in their place.
        there: Vec<String>,
    },
    /// An object is not what its name says.
    #[error("`{key}`: {why}")]
    Object {
        /// Its key.
        key: String,
        /// Why.
        why: Unreadable,
    },
}

fn list(there: &[String]) -> String {
    if there.is_empty() { String::new() } else { format!("; there is `{}`", there.join("`, `")) }
}

/// What an object held, and why no more of it was read, if it is damaged.
struct Part {
    content: Content,
    denied: Vec<Denied>,
    fault: Option<BucketError>,
}

impl TrailBucket {
    /// No request is sent. `prefix` is that of the trail, or goes on as far into the names of its logs as one likes.
    pub fn new(client: Client, bucket: impl Into<String>, prefix: &str) -> Self {
        let prefix = prefix.trim_matches('/');
        let prefix = if prefix.is_empty() { String::new() } else { format!("{prefix}/") };
        Self { client, bucket: bucket.into(), prefix }
    }

    /// Reads the logs of the days that are wanted, of all accounts and Regions below the prefix. `now` ends what has no end.
    /// Objects that are damaged count as far as they can be read, and are told.
    pub async fn read(
        &self,
        wanted: &Wanted,
        now: Timestamp,
        tally: &mut Tally,
    ) -> Result<(Content, Vec<BucketError>), BucketError> {
        let wanted = Arc::new(wanted.clone());
        let mut content = Content::default();
        let mut faults = Vec::new();
        let mut running: JoinSet<Result<Part, BucketError>> = JoinSet::new();
        let mut take = |part: Part| {
            content = content.and(part.content);
            faults.extend(part.fault);
            part.denied.into_iter().for_each(|denied| tally.add(denied));
        };
        for prefix in self.prefixes(&wanted, now).await? {
            let mut token = None;
            loop {
                let (keys, next) = self.page(&prefix, token).await?;
                for key in keys {
                    if running.len() >= TOGETHER
                        && let Some(part) = running.join_next().await
                    {
                        take(part.map_err(|_| gone(&key))??);
                    }
                    let (own, wanted) = (self.clone(), Arc::clone(&wanted));
                    running.spawn(async move { own.object(key, &wanted).await });
                }
                token = next;
                if token.is_none() {
                    break;
                }
            }
        }
        while let Some(part) = running.join_next().await {
            take(part.map_err(|_| gone(&self.prefix))??);
        }
        Ok((content, faults))
    }

    /// Where logs that are wanted can lie.
    async fn prefixes(&self, wanted: &Wanted, now: Timestamp) -> Result<Vec<String>, BucketError> {
        let mut prefixes = vec![self.prefix.clone()];
        if !self.prefix.split('/').any(|part| part == "AWSLogs") {
            prefixes = vec![format!("{}AWSLogs/", self.prefix)];
        }
        let mut regions = Vec::new();
        while let Some(prefix) = prefixes.pop() {
            match step(&prefix) {
                Step::Days => regions.push(prefix),
                Step::Into(name) => prefixes.push(format!("{prefix}{name}/")),
                Step::Each => {
                    let below = self.below(&prefix).await?;
                    // Regions are the last; what else lies beside accounts is of other services.
                    prefixes.extend(below.into_iter().filter(|below| is_part(below)));
                }
            }
        }
        if regions.is_empty() {
            let there = self.below(&self.prefix).await?;
            return Err(BucketError::NoLogs { prefix: format!("s3://{}/{}", self.bucket, self.prefix), there });
        }
        regions.sort();
        let days = days(wanted, now);
        let with_days = |region: String| match &days {
            Some(days) if dated(&region) == 0 => days.iter().map(|day| format!("{region}{day}/")).collect(),
            _ => vec![region],
        };
        Ok(regions.into_iter().flat_map(with_days).collect())
    }

    /// What lies in a folder, as prefixes.
    async fn below(&self, prefix: &str) -> Result<Vec<String>, Failed> {
        let mut below = Vec::new();
        let request = self.client.list_objects_v2().bucket(&self.bucket).prefix(prefix).delimiter("/");
        let mut pages = request.into_paginator().send();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| Failed::new("S3: ListObjectsV2", &error))?;
            below.extend(page.common_prefixes().iter().filter_map(|prefix| prefix.prefix.clone()));
        }
        Ok(below)
    }

    async fn page(&self, prefix: &str, token: Option<String>) -> Result<(Vec<String>, Option<String>), Failed> {
        let request = self.client.list_objects_v2().bucket(&self.bucket).prefix(prefix);
        let page = request.set_continuation_token(token).send().await;
        let page = page.map_err(|error| Failed::new("S3: ListObjectsV2", &error))?;
        let keys = page.contents().iter().filter_map(|object| object.key.clone());
        let next = page.next_continuation_token().map(str::to_owned);
        Ok((keys.filter(|key| !key.ends_with('/')).collect(), next))
    }

    async fn object(self, key: String, wanted: &Arc<Wanted>) -> Result<Part, BucketError> {
        let mut tries = 1;
        loop {
            let request = self.client.get_object().bucket(&self.bucket).key(&key);
            let object = request.send().await.map_err(|error| Failed::new("S3: GetObject", &error))?;
            match unpack(object, Arc::clone(wanted)).await {
                (content, denied, Ok(())) => return Ok(Part { content, denied, fault: None }),
                // The network's; what is wrong with the object itself stays wrong.
                (_, _, Err(Unreadable::Io(error))) if error.kind() == io::ErrorKind::ConnectionAborted => {
                    if tries == TRIES {
                        return Err(BucketError::Object { key, why: Unreadable::Io(error) });
                    }
                    tries += 1;
                }
                (content, denied, Err(why)) => {
                    return Ok(Part { content, denied, fault: Some(BucketError::Object { key, why }) });
                }
            }
        }
    }
}

/// A task of ours came to its end without a result: it has panicked, or everything is being shut down.
fn gone(key: &str) -> BucketError {
    BucketError::Object { key: key.to_owned(), why: Unreadable::Io(io::ErrorKind::Interrupted.into()) }
}

/// Reads an object as it comes, on a thread that may block.
async fn unpack(mut object: GetObjectOutput, wanted: Arc<Wanted>) -> (Content, Vec<Denied>, Result<(), Unreadable>) {
    let (sender, pieces) = mpsc::channel(4);
    let reading = tokio::task::spawn_blocking(move || {
        let mut denied = Vec::new();
        let from = Pieces { pieces, piece: Bytes::new() };
        let (content, outcome) = records::read(from, &mut |record| denied.extend(wanted.denied(record)));
        (content, denied, outcome)
    });
    while let Some(piece) = object.body.next().await {
        let piece = piece.map_err(|error| io::Error::new(io::ErrorKind::ConnectionAborted, error));
        if sender.send(piece).await.is_err() {
            break;
        }
    }
    drop(sender);
    reading.await.unwrap_or_else(|error| (Content::default(), Vec::new(), Err(Unreadable::Io(io::Error::other(error)))))
}

/// Pieces that another task receives.
struct Pieces {
    pieces: mpsc::Receiver<io::Result<Bytes>>,
    piece: Bytes,
}

impl Read for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.piece.is_empty() {
            match self.pieces.blocking_recv() {
                Some(piece) => self.piece = piece?,
                None => return Ok(0),
            }
        }
        let length = buffer.len().min(self.piece.len());
        let taken = self.piece.split_to(length);
        if let Some(buffer) = buffer.get_mut(..length) {
            buffer.copy_from_slice(&taken);
        }
        Ok(length)
    }
}

/// How the names of logs go on.
enum Step {
    /// With any of several names.
    Each,
    /// With this one.
    Into(&'static str),
    /// With the year, or it is there already.
    Days,
}

/// The parts of a prefix behind `AWSLogs`.
fn parts(prefix: &str) -> Vec<&str> {
    let parts = prefix.trim_end_matches('/').split('/');
    let parts: Vec<&str> = parts.skip_while(|part| *part != "AWSLogs").skip(1).collect();
    // An organization's logs have its ID before the account's.
    if parts.first().is_some_and(|part| part.starts_with("o-")) {
        parts.get(1..).unwrap_or_default().to_vec()
    } else {
        parts
    }
}

fn step(prefix: &str) -> Step {
    match parts(prefix).as_slice() {
        [] | [_, _] => Step::Each,
        [_] => Step::Into("CloudTrail"),
        _ => Step::Days,
    }
}

/// Whether a folder is one that logs are in: of an organization, an account, or a Region.
fn is_part(prefix: &str) -> bool {
    let last = prefix.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
    let is_account = last.len() == 12 && last.bytes().all(|byte| byte.is_ascii_digit());
    last.starts_with("o-") || is_account || parts(prefix).len() == 3
}

/// How many parts of a date a prefix has.
fn dated(prefix: &str) -> usize {
    parts(prefix).len().saturating_sub(3)
}

/// The days under which wanted events can lie; `None` for all.
fn days(wanted: &Wanted, now: Timestamp) -> Option<Vec<String>> {
    let day = |time: Timestamp| time.to_zoned(TimeZone::UTC).date();
    let since = day(wanted.since?);
    let until = wanted.until.map_or(now, |until| until.checked_add(LATEST).unwrap_or(until).min(now.max(until)));
    let until: Date = day(until);
    let days: Vec<String> = since
        .series(1.day())
        .take_while(|day| *day <= until)
        .take(DAYS_MAX)
        .map(|day| day.strftime("%Y/%m/%d").to_string())
        .collect();
    (days.len() < DAYS_MAX).then_some(days)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(since: &str, until: Option<&str>) -> Wanted {
        let time = |text: &str| text.parse().unwrap();
        Wanted { since: Some(time(since)), until: until.map(time), ..Wanted::default() }
    }

    #[test]
    fn only_the_days_that_are_needed() {
        let now = "2026-03-02T00:10:00Z".parse().unwrap();
        let check = |wanted: Wanted, expected: &[&str]| assert_eq!(days(&wanted, now).unwrap(), expected);
        check(wanted("2026-03-02T00:00:00Z", None), &["2026/03/02"]);
        check(wanted("2026-02-28T23:00:00Z", None), &["2026/02/28", "2026/03/01", "2026/03/02"]);
        // Delivered after midnight.
        check(wanted("2026-02-27T22:00:00Z", Some("2026-02-27T23:30:00Z")), &["2026/02/27", "2026/02/28"]);
        check(wanted("2026-02-27T02:00:00Z", Some("2026-02-27T03:00:00Z")), &["2026/02/27"]);
        assert_eq!(days(&Wanted::default(), now), None);
    }

    #[test]
    fn names_of_logs() {
        let account = "p/AWSLogs/o-abc/111122223333/";
        assert!(matches!(step("p/AWSLogs/"), Step::Each));
        assert!(matches!(step("p/AWSLogs/o-abc/"), Step::Each));
        assert!(matches!(step(account), Step::Into("CloudTrail")));
        assert!(matches!(step(&format!("{account}CloudTrail/")), Step::Each));
        assert!(matches!(step(&format!("{account}CloudTrail/eu-west-1/")), Step::Days));
        assert_eq!(dated(&format!("{account}CloudTrail/eu-west-1/2026/03/")), 2);
        assert!(is_part("AWSLogs/111122223333/") && is_part("AWSLogs/o-abc/") && !is_part("AWSLogs/elb/"));
    }
}
