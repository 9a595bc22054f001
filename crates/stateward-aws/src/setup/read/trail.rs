//! What there is of trails.

use aws_sdk_cloudtrail::Client;

use super::super::{Trail, TrailSettings};
use super::unless;
use crate::Failed;

pub(super) async fn find(trail: &Client, name: &str) -> Result<Trail, Failed> {
    let answer = trail.get_trail().name(name).send().await;
    let answer = answer.map_err(|error| Failed::new("CloudTrail: GetTrail", &error));
    let Some(found) = unless("TrailNotFoundException", answer)?.and_then(|answer| answer.trail) else {
        return Ok(Trail::Missing);
    };
    let status = trail.get_trail_status().name(name).send().await;
    let status = status.map_err(|error| Failed::new("CloudTrail: GetTrailStatus", &error))?;
    let selected = trail.get_event_selectors().trail_name(name).send().await;
    let selected = selected.map_err(|error| Failed::new("CloudTrail: GetEventSelectors", &error))?;
    Ok(Trail::There(TrailSettings {
        bucket: found.s3_bucket_name.unwrap_or_default(),
        logging: status.is_logging == Some(true),
        selectors: selected.event_selectors.unwrap_or_default(),
        advanced: selected.advanced_event_selectors.unwrap_or_default(),
    }))
}
