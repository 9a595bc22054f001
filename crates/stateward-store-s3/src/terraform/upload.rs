//! Large states, written in parts.

use aws_sdk_s3::types::CompletedMultipartUpload;
use bytes::BytesMut;
use futures::stream::FuturesOrdered;
use futures::{FutureExt, TryStreamExt};
use stateward_store::outside::Outgoing;
use stateward_store::{Result, StoreError};
use stateward_store_aws::Condition;
use tracing::warn;

use super::Inner;
use super::bytes::conflict;

/// Bytes of a part.
const PART_BYTES: usize = 8 << 20;
/// Parts that are under way at once.
const PARTS: usize = 3;

impl Inner {
    /// Writes a state in parts, in place of what the condition names.
    pub(super) async fn upload(&self, name: &str, condition: &Condition, body: Outgoing) -> Result<String> {
        let upload = self.begin_upload(name, &body.label).await?;
        let written = self.fill(name, &upload, condition, body).await;
        if !matches!(written, Ok(_) | Err(StoreError::OutcomeUnknown { .. }))
            && let Err(fault) = self.abort_upload(name, &upload).await
        {
            warn!(name, ?fault, "an upload was left unfinished; a lifecycle rule of the bucket can remove it");
        }
        written
    }

    async fn fill(&self, name: &str, upload: &str, condition: &Condition, body: Outgoing) -> Result<String> {
        let Outgoing { label, mut bytes, .. } = body;
        let (mut done, mut under_way) = (Vec::new(), FuturesOrdered::new());
        let mut rest = BytesMut::new();
        for number in 1_i32.. {
            while rest.len() < PART_BYTES
                && let Some(some) = bytes.try_next().await?
            {
                rest.extend_from_slice(&some);
            }
            if rest.is_empty() {
                break;
            }
            if under_way.len() >= PARTS {
                done.extend(under_way.try_next().await?);
            }
            let part = rest.split_to(rest.len().min(PART_BYTES)).freeze();
            under_way.push_back(self.upload_part(name, upload, number, part));
        }
        while let Some(part) = under_way.try_next().await? {
            done.push(part);
        }
        // Not every storage heeds the condition at the end of an upload; nobody should lose what they wrote in the meantime.
        let there = self.bucket.head(name).await?;
        if Condition::of(there.as_ref()) != *condition {
            return Err(conflict(name));
        }
        let done = CompletedMultipartUpload::builder().set_parts(Some(done)).build();
        let send = || self.finish_upload(name, upload, done.clone(), condition).boxed();
        self.until_settled(name, condition, &label, send).await
    }
}
