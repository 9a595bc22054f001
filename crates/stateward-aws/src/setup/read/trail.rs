//! What there is of trails.

use aws_sdk_cloudtrail::Client;
use aws_sdk_cloudtrail::types::ResourceTag;

use super::super::{TAG, Trail, TrailSettings};
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
    let is_ours = is_ours(trail, found.trail_arn().unwrap_or(name)).await?;
    Ok(Trail::There(TrailSettings {
        is_ours,
        bucket: found.s3_bucket_name.unwrap_or_default(),
        logging: status.is_logging == Some(true),
        selectors: selected.event_selectors.unwrap_or_default(),
        advanced: selected.advanced_event_selectors.unwrap_or_default(),
    }))
}

/// By its tag; one whose tags may not be read is taken for somebody else's.
async fn is_ours(trail: &Client, arn: &str) -> Result<bool, Failed> {
    let answer = trail.list_tags().resource_id_list(arn).send().await;
    let tags = match answer.map_err(|error| Failed::new("CloudTrail: ListTags", &error)) {
        Err(failed) if failed.is_refused() => return Ok(false),
        answer => answer?.resource_tag_list.unwrap_or_default(),
    };
    let mut tags = tags.iter().flat_map(ResourceTag::tags_list);
    Ok(tags.any(|tag| tag.key() == TAG.0 && tag.value() == Some(TAG.1)))
}
