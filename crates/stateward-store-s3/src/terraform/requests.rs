//! Requests for the objects of Terraform's backend: with its content type, and a label where they are ours.

use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use bytes::Bytes;
use futures::StreamExt;
use stateward_store::StoreError;
use stateward_store::outside::{Incoming, Mark, Seen};
use stateward_store_aws::{Condition, CustomerHeaders, Fault, Head, once};

use super::Inner;

type Result<T> = std::result::Result<T, Fault>;

const JSON: &str = "application/json";
/// The metadata (`x-amz-meta-…`) that holds the label.
const LABEL: &str = "stateward-label";

/// An object on its way in.
pub(super) enum Streamed {
    Absent,
    Same,
    Bytes(Incoming),
}

impl Streamed {
    pub(super) fn into_seen(self) -> Seen {
        match self {
            Self::Absent => Seen::Absent,
            Self::Same => Seen::Same,
            Self::Bytes(incoming) => Seen::Bytes(incoming),
        }
    }

    pub(super) fn into_incoming(self) -> Option<Incoming> {
        match self {
            Self::Bytes(incoming) => Some(incoming),
            Self::Absent | Self::Same => None,
        }
    }
}

/// The label of an object; `None` where it is none of ours.
pub(super) fn label_of(head: &Head) -> Option<&str> {
    head.metadata.get(LABEL).map(String::as_str)
}

impl Inner {
    /// Writes JSON if the condition holds; sent once. Gives the new `ETag`.
    pub(super) async fn put_json_if(
        &self,
        name: &str,
        content: Bytes,
        condition: &Condition,
        label: Option<&str>,
    ) -> Result<String> {
        let request = self.bucket.writing(name, content).content_type(JSON);
        let request = match label {
            Some(label) => request.metadata(LABEL, label),
            None => request,
        };
        self.bucket.send_if(request, condition).await
    }

    /// Begins to read an object, or a version of it. One with the `ETag` that is known already is not sent.
    pub(super) async fn stream(&self, name: &str, known: Option<&str>, version: Option<&str>) -> Result<Streamed> {
        let request = self
            .bucket
            .reading(name)
            .set_if_none_match(known.map(str::to_owned))
            .set_version_id(version.map(str::to_owned));
        let answer = match request.send().await {
            Ok(answer) => answer,
            Err(error) if error.raw_response().is_some_and(|raw| raw.status().as_u16() == 304) => {
                return Ok(Streamed::Same);
            }
            Err(error) => {
                return match self.bucket.fault("S3: GetObject", &error) {
                    Fault::Missing => Ok(Streamed::Absent),
                    fault => Err(fault),
                };
            }
        };
        Ok(Streamed::Bytes(Incoming {
            mark: Mark::new(answer.e_tag.unwrap_or_default()),
            label: answer.metadata.and_then(|mut metadata| metadata.remove(LABEL)),
            size: answer.content_length.and_then(|length| u64::try_from(length).ok()).unwrap_or_default(),
            bytes: futures::stream::try_unfold(answer.body, next).boxed(),
        }))
    }

    /// Begins to write an object in parts. Gives the upload's id.
    pub(super) async fn begin_upload(&self, name: &str, label: &str) -> Result<String> {
        let request = self.bucket.uploading(name).content_type(JSON).metadata(LABEL, label);
        let answer = request.send().await.map_err(|error| self.bucket.fault("S3: CreateMultipartUpload", &error))?;
        Ok(answer.upload_id.unwrap_or_default())
    }

    pub(super) async fn upload_part(
        &self,
        name: &str,
        upload: &str,
        number: i32,
        content: Bytes,
    ) -> Result<CompletedPart> {
        let customer = self.bucket.headers.customer.as_ref();
        let request = self
            .bucket
            .client
            .upload_part()
            .bucket(&self.bucket.name)
            .key(name)
            .upload_id(upload)
            .part_number(number)
            .body(ByteStream::from(content))
            .set_sse_customer_algorithm(CustomerHeaders::algorithm(customer))
            .set_sse_customer_key(CustomerHeaders::key(customer))
            .set_sse_customer_key_md5(CustomerHeaders::md5(customer))
            .set_checksum_algorithm(self.bucket.headers.checksum.clone());
        let answer = request.send().await.map_err(|error| self.bucket.fault("S3: UploadPart", &error))?;
        let part = CompletedPart::builder().part_number(number).set_e_tag(answer.e_tag);
        Ok(part.set_checksum_sha256(answer.checksum_sha256).build())
    }

    /// Makes the parts the object, if the condition holds; sent once. Gives its `ETag`.
    pub(super) async fn finish_upload(
        &self,
        name: &str,
        upload: &str,
        parts: CompletedMultipartUpload,
        condition: &Condition,
    ) -> Result<String> {
        let customer = self.bucket.headers.customer.as_ref();
        let request = self
            .bucket
            .client
            .complete_multipart_upload()
            .bucket(&self.bucket.name)
            .key(name)
            .upload_id(upload)
            .multipart_upload(parts)
            .set_sse_customer_algorithm(CustomerHeaders::algorithm(customer))
            .set_sse_customer_key(CustomerHeaders::key(customer))
            .set_sse_customer_key_md5(CustomerHeaders::md5(customer));
        let request = match condition {
            Condition::Absent => request.if_none_match("*"),
            Condition::Tag(tag) => request.if_match(tag),
        };
        let answer = request.customize().config_override(once()).send().await;
        answer
            .map(|answer| answer.e_tag.unwrap_or_default())
            .map_err(|error| self.bucket.fault("S3: CompleteMultipartUpload", &error))
    }

    pub(super) async fn abort_upload(&self, name: &str, upload: &str) -> Result<()> {
        let request = self.bucket.client.abort_multipart_upload().bucket(&self.bucket.name).key(name).upload_id(upload);
        request.send().await.map(drop).map_err(|error| self.bucket.fault("S3: AbortMultipartUpload", &error))
    }
}

/// The next bytes of a body.
async fn next(mut body: ByteStream) -> std::result::Result<Option<(Bytes, ByteStream)>, StoreError> {
    match body.next().await {
        None => Ok(None),
        Some(Ok(bytes)) => Ok(Some((bytes, body))),
        Some(Err(error)) => Err(StoreError::Unavailable {
            retry_after: None,
            reason: format!("S3: GetObject: the answer was cut short: {error}"),
        }),
    }
}
