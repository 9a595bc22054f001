//! Requests to one bucket, each as one function, with all headers that the options ask for.

use std::fmt;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::Builder;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::operation::get_object::builders::GetObjectFluentBuilder;
use aws_sdk_s3::operation::put_object::builders::PutObjectFluentBuilder;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{ChecksumAlgorithm, ChecksumMode, ObjectCannedAcl, ServerSideEncryption};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use md5::{Digest, Md5};
use tracing::debug;

use crate::fault::{Fault, Refused, fault_of};

type Result<T> = std::result::Result<T, Fault>;

/// One bucket, and how to write to it.
#[derive(Clone)]
pub(crate) struct Bucket {
    pub(crate) client: Client,
    pub(crate) name: String,
    pub(crate) headers: Headers,
}

/// What goes with every write, and with reads where a key is needed.
#[derive(Clone, Default)]
pub(crate) struct Headers {
    pub(crate) encryption: Option<ServerSideEncryption>,
    pub(crate) kms_key: Option<String>,
    pub(crate) customer: Option<CustomerHeaders>,
    pub(crate) acl: Option<ObjectCannedAcl>,
    pub(crate) tagging: Option<String>,
    pub(crate) checksum: Option<ChecksumAlgorithm>,
}

/// A customer's key as it is sent.
#[derive(Clone)]
pub(crate) struct CustomerHeaders {
    key: String,
    md5: String,
}

impl CustomerHeaders {
    /// `None` where this is not 32 bytes in base64.
    pub(crate) fn new(key: &str) -> Option<Self> {
        let bytes = BASE64_STANDARD.decode(key).ok().filter(|bytes| bytes.len() == 32)?;
        Some(Self { key: key.to_owned(), md5: BASE64_STANDARD.encode(Md5::digest(bytes)) })
    }

    pub(crate) fn algorithm(customer: Option<&Self>) -> Option<String> {
        customer.map(|_| "AES256".to_owned())
    }

    pub(crate) fn key(customer: Option<&Self>) -> Option<String> {
        customer.map(|customer| customer.key.clone())
    }

    pub(crate) fn md5(customer: Option<&Self>) -> Option<String> {
        customer.map(|customer| customer.md5.clone())
    }
}

impl fmt::Debug for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Bucket").field(&self.name).finish()
    }
}

/// What has to be there for a write to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Condition {
    /// No object.
    Absent,
    /// The object with this `ETag`.
    Tag(String),
}

/// An object as it was read.
#[derive(Debug, Clone)]
pub(crate) struct Object {
    pub(crate) tag: String,
    pub(crate) content: Bytes,
}

/// An object in a listing.
#[derive(Debug, Clone)]
pub(crate) struct Listed {
    pub(crate) name: String,
    pub(crate) tag: String,
    pub(crate) size: u64,
}

/// A part of a listing.
#[derive(Debug, Default)]
pub(crate) struct Page {
    pub(crate) objects: Vec<Listed>,
    pub(crate) more: bool,
}

/// What to list.
#[derive(Debug, Clone, Default)]
pub(crate) struct Names {
    pub(crate) prefix: String,
    pub(crate) after: Option<String>,
    pub(crate) limit: usize,
}

/// The most names that one request lists.
pub(crate) const LISTED_MAX: usize = 1000;

/// How often an answer may be cut short before a read is given up.
const CUT_ANSWERS_MAX: u32 = 3;

/// Sends once: an SDK that sends a conditional write again reports a conflict with its own first try.
pub(crate) fn once() -> Builder {
    Builder::new().retry_config(RetryConfig::disabled())
}

impl Bucket {
    /// Reads an object.
    pub(crate) async fn get(&self, name: &str) -> Result<Option<Object>> {
        self.read(name, None).await
    }

    /// Reads a part of an object: from the first offset up to, and not with, the second, or its end.
    pub(crate) async fn get_range(&self, name: &str, from: u64, to: u64) -> Result<Option<Bytes>> {
        let range = format!("bytes={from}-{}", to.saturating_sub(1));
        match self.read(name, Some(range)).await {
            Err(Fault::Refused(Refused::OutOfRange)) => Ok(Some(Bytes::new())),
            read => Ok(read?.map(|object| object.content)),
        }
    }

    /// The SDK sends a request again that was not answered, but not one whose answer was cut short.
    async fn read(&self, name: &str, range: Option<String>) -> Result<Option<Object>> {
        let mut cut = 0;
        loop {
            match self.read_once(name, range.clone()).await? {
                Ok(object) => return Ok(object),
                Err(reason) if cut < CUT_ANSWERS_MAX => {
                    debug!(name, reason, "an answer was cut short");
                    cut += 1;
                }
                Err(reason) => return Err(Fault::Lost(reason)),
            }
        }
    }

    /// Reads an object, or says how its answer was cut short.
    async fn read_once(
        &self,
        name: &str,
        range: Option<String>,
    ) -> Result<std::result::Result<Option<Object>, String>> {
        let answer = match self.reading(name).set_range(range).send().await {
            Ok(answer) => answer,
            Err(error) => {
                return match fault_of("S3: GetObject", &error) {
                    Fault::Missing => Ok(Ok(None)),
                    fault => Err(fault),
                };
            }
        };
        let tag = answer.e_tag.unwrap_or_default();
        let content = answer.body.collect().await;
        let object = content.map(|content| Some(Object { tag, content: content.into_bytes() }));
        Ok(object.map_err(|error| format!("S3: GetObject: the answer was cut short: {error}")))
    }

    /// Writes an object whose name nobody else uses; sent again where that may help.
    pub(crate) async fn put(&self, name: &str, content: Bytes) -> Result<()> {
        let answer = self.writing(name, content).send().await;
        answer.map(drop).map_err(|error| fault_of("S3: PutObject", &error))
    }

    /// Writes an object if the condition holds; sent once. Gives the new `ETag`.
    pub(crate) async fn put_if(&self, name: &str, content: Bytes, condition: &Condition) -> Result<String> {
        self.send_if(self.writing(name, content), condition).await
    }

    pub(crate) async fn send_if(&self, request: PutObjectFluentBuilder, condition: &Condition) -> Result<String> {
        let request = match condition {
            Condition::Absent => request.if_none_match("*"),
            Condition::Tag(tag) => request.if_match(tag),
        };
        let answer = request.customize().config_override(once()).send().await;
        match answer {
            Ok(answer) => Ok(answer.e_tag.unwrap_or_default()),
            Err(error) => Err(match fault_of("S3: PutObject", &error) {
                // S3 answers `If-Match` on what is not there so.
                Fault::Missing => Fault::Precondition,
                fault => fault,
            }),
        }
    }

    pub(crate) fn reading(&self, name: &str) -> GetObjectFluentBuilder {
        let customer = self.headers.customer.as_ref();
        self.client
            .get_object()
            .bucket(&self.name)
            .key(name)
            .set_checksum_mode(self.headers.checksum.as_ref().map(|_| ChecksumMode::Enabled))
            .set_sse_customer_algorithm(CustomerHeaders::algorithm(customer))
            .set_sse_customer_key(CustomerHeaders::key(customer))
            .set_sse_customer_key_md5(CustomerHeaders::md5(customer))
    }

    pub(crate) fn writing(&self, name: &str, content: Bytes) -> PutObjectFluentBuilder {
        let Headers { encryption, kms_key, customer, acl, tagging, checksum } = self.headers.clone();
        self.client
            .put_object()
            .bucket(&self.name)
            .key(name)
            .body(ByteStream::from(content))
            .set_server_side_encryption(encryption)
            .set_ssekms_key_id(kms_key)
            .set_sse_customer_algorithm(CustomerHeaders::algorithm(customer.as_ref()))
            .set_sse_customer_key(CustomerHeaders::key(customer.as_ref()))
            .set_sse_customer_key_md5(CustomerHeaders::md5(customer.as_ref()))
            .set_acl(acl)
            .set_tagging(tagging)
            .set_checksum_algorithm(checksum)
    }

    /// Removes an object that nobody will write again.
    pub(crate) async fn delete(&self, name: &str) -> Result<()> {
        let answer = self.client.delete_object().bucket(&self.name).key(name).send().await;
        answer.map(drop).map_err(|error| fault_of("S3: DeleteObject", &error))
    }

    /// Removes an object if it is the one with this `ETag`; sent once. Only for stores that honour the condition.
    pub(crate) async fn delete_if(&self, name: &str, tag: &str) -> Result<()> {
        let request = self.client.delete_object().bucket(&self.name).key(name).if_match(tag);
        let answer = request.customize().config_override(once()).send().await;
        answer.map(drop).map_err(|error| fault_of("S3: DeleteObject", &error))
    }

    /// Lists names, in order.
    pub(crate) async fn list(&self, names: &Names) -> Result<Page> {
        let request = self
            .client
            .list_objects_v2()
            .bucket(&self.name)
            .prefix(&names.prefix)
            .set_start_after(names.after.clone())
            .max_keys(i32::try_from(names.limit.min(LISTED_MAX)).unwrap_or(1));
        let answer = request.send().await.map_err(|error| fault_of("S3: ListObjectsV2", &error))?;
        let listed = |object: aws_sdk_s3::types::Object| {
            let size = object.size.and_then(|size| u64::try_from(size).ok()).unwrap_or_default();
            Some(Listed { name: object.key?, tag: object.e_tag.unwrap_or_default(), size })
        };
        Ok(Page {
            objects: answer.contents.unwrap_or_default().into_iter().filter_map(listed).collect(),
            more: answer.is_truncated.unwrap_or_default(),
        })
    }
}
