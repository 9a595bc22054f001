//! Requests about trails.

use aws_sdk_cloudtrail::Client;
use aws_sdk_cloudtrail::error::SdkError;
use aws_sdk_cloudtrail::operation::create_trail::CreateTrailError;
use aws_sdk_cloudtrail::types::Tag;

use super::super::trail::{ALL_REGIONS, CHECKED, GLOBAL};
use super::super::{Act, Wanted};
use crate::Failed;

pub(super) async fn send(trail: &Client, wanted: &Wanted, of: &str, act: &Act) -> Result<(), Failed> {
    let select = || trail.put_event_selectors().trail_name(of);
    match act {
        Act::CreateTrail => {
            create(trail, wanted, of).await.map_err(|error| Failed::new("CloudTrail: CreateTrail", &error))
        }
        Act::Select(all) => {
            let answer = select().set_event_selectors(Some(all.clone())).send().await;
            answer.map(drop).map_err(|error| Failed::new("CloudTrail: PutEventSelectors", &error))
        }
        Act::SelectAdvanced(all) => {
            let answer = select().set_advanced_event_selectors(Some(all.clone())).send().await;
            answer.map(drop).map_err(|error| Failed::new("CloudTrail: PutEventSelectors", &error))
        }
        _ => {
            let answer = trail.start_logging().name(of).send().await;
            answer.map(drop).map_err(|error| Failed::new("CloudTrail: StartLogging", &error))
        }
    }
}

async fn create(trail: &Client, wanted: &Wanted, name: &str) -> Result<(), SdkError<CreateTrailError>> {
    let tags = wanted.all_tags().into_iter().map(|(key, value)| Tag::builder().key(key).value(value).build());
    let request = trail
        .create_trail()
        .name(name)
        .set_s3_bucket_name(wanted.log_bucket.clone())
        .enable_log_file_validation(CHECKED)
        .include_global_service_events(GLOBAL)
        .is_multi_region_trail(ALL_REGIONS)
        .set_tags_list(Some(tags.collect::<Result<_, _>>().map_err(SdkError::construction_failure)?));
    request.send().await.map(drop)
}
