//! What `CloudTrail` itself keeps for ninety days: management events, and no data events.

use std::time::Duration;

use aws_sdk_cloudtrail::Client;
use aws_sdk_cloudtrail::primitives::DateTime;
use aws_sdk_cloudtrail::types::{LookupAttribute, LookupAttributeKey};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use tokio::time::{MissedTickBehavior, interval};

use super::tally::{Tally, Wanted};
use crate::Failed;

/// So long events are kept.
pub const KEPT: SignedDuration = SignedDuration::from_hours(90 * 24);
/// Two requests a second are answered, in an account and Region.
const PACE: Duration = Duration::from_millis(500);
const PAGE: i32 = 50;
/// Services that are called in events what they are called in actions.
const SOURCES: &[&str] = &["cloudtrail", "dynamodb", "ec2", "iam", "kms", "organizations", "s3", "sts"];

/// Reads the events of one Region from `wanted.since` on, and says how many there were. `progress` is told that number now
/// and then.
pub async fn look_up(
    client: &Client,
    wanted: &Wanted,
    tally: &mut Tally,
    progress: &mut (dyn FnMut(u64) + Send),
) -> Result<u64, Failed> {
    let mut ticks = interval(PACE);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut records, mut token) = (0, None);
    loop {
        ticks.tick().await;
        let request = client
            .lookup_events()
            .max_results(PAGE)
            .set_start_time(wanted.since.map(date))
            .set_end_time(wanted.until.map(date))
            .set_lookup_attributes(attribute(wanted).map(|attribute| vec![attribute]))
            .set_next_token(token);
        let page = request.send().await.map_err(|error| Failed::new("CloudTrail: LookupEvents", &error))?;
        for event in page.events() {
            records += 1;
            let record = event.cloud_trail_event().and_then(|text| serde_json::from_str::<Value>(text).ok());
            if let Some(denied) = record.and_then(|record| wanted.denied(&record)) {
                tally.add(denied);
            }
        }
        progress(records);
        token = page.next_token().filter(|token| !token.is_empty()).map(str::to_owned);
        if token.is_none() {
            return Ok(records);
        }
    }
}

fn date(time: Timestamp) -> DateTime {
    DateTime::from_secs(time.as_second())
}

/// What the service can leave out for us: all but one service's events.
fn attribute(wanted: &Wanted) -> Option<LookupAttribute> {
    let source = event_source(wanted.action.as_deref()?)?;
    LookupAttribute::builder().attribute_key(LookupAttributeKey::EventSource).attribute_value(source).build().ok()
}

/// The event source of an action, or of a pattern of actions of one service, where it is known for certain.
pub fn event_source(action: &str) -> Option<String> {
    let service = action.split_once(':')?.0.to_ascii_lowercase();
    SOURCES.contains(&service.as_str()).then(|| format!("{service}.amazonaws.com"))
}
