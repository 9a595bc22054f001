//! Requests to one bucket, each as one function, with all headers that the options ask for.

use std::collections::HashMap;
use std::fmt;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::Builder;
use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::operation::create_multipart_upload::builders::CreateMultipartUploadFluentBuilder;
use aws_sdk_s3::operation::get_object::builders::GetObjectFluentBuilder;
use aws_sdk_s3::operation::head_object::HeadObjectOutput;
use aws_sdk_s3::operation::put_object::builders::PutObjectFluentBuilder;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{ChecksumAlgorithm, ChecksumMode, ObjectCannedAcl, ServerSideEncryption};
use bytes::Bytes;
use tracing::debug;

use crate::fault::{Fault, Refused, fault_of};
use crate::objects::CustomerHeaders;
use crate::reach::NOT_THERE;

type Result<T> = std::result::Result<T, Fault>;

/// One bucket, and how to write to it.
#[derive(Clone)]
pub struct Bucket {
    /// The client, which tries again by itself.
    pub client: Client,
    /// The bucket's name.
    pub name: String,
    /// What goes with requests.
    pub headers: Headers,
}

/// What goes with every write, and with reads where a key is needed.
#[derive(Clone, Default)]
pub struct Headers {
    /// How to encrypt.
    pub encryption: Option<ServerSideEncryption>,
    /// The key in KMS.
    pub kms_key: Option<String>,
    /// The customer's own key.
    pub customer: Option<CustomerHeaders>,
    /// The ACL.
    pub acl: Option<ObjectCannedAcl>,
    /// Tags, encoded as in a URL.
    pub tagging: Option<String>,
    /// Which checksum is sent and checked.
    pub checksum: Option<ChecksumAlgorithm>,
}

impl fmt::Debug for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Bucket").field(&self.name).finish()
    }
}

/// What has to be there for a write to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// No object.
    Absent,
    /// The object with this `ETag`.
    Tag(String),
}

/// An object as it was read.
#[derive(Debug, Clone)]
pub struct Object {
    /// Its `ETag`.
    pub tag: String,
    /// All of it.
    pub content: Bytes,
}

/// An object in a listing.
#[derive(Debug, Clone)]
pub struct Listed {
    /// Its name.
    pub name: String,
    /// Its `ETag`.
    pub tag: String,
    /// Its bytes.
    pub size: u64,
}

/// What is told of an object without its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// Its `ETag`.
    pub tag: String,
    /// Its bytes.
    pub size: u64,
    /// What was written with it (`x-amz-meta-…`).
    pub metadata: HashMap<String, String>,
}

impl Condition {
    /// That this is what is there.
    pub fn of(there: Option<&Head>) -> Self {
        there.map_or(Self::Absent, |there| Self::Tag(there.tag.clone()))
    }
}

/// A part of a listing.
#[derive(Debug, Default)]
pub struct Page {
    /// In order of their names.
    pub objects: Vec<Listed>,
    /// There are more.
    pub more: bool,
}

/// What to list.
#[derive(Debug, Clone, Default)]
pub struct Names {
    /// What they begin with.
    pub prefix: String,
    /// The name before the first.
    pub after: Option<String>,
    /// At most so many, and never more than [`LISTED_MAX`].
    pub limit: usize,
}

/// The most names that one request lists.
pub const LISTED_MAX: usize = 1000;

/// How often an answer may be cut short before a read is given up.
const CUT_ANSWERS_MAX: u32 = 3;

/// Sends once: an SDK that sends a conditional write again reports a conflict with its own first try.
pub fn once() -> Builder {
    Builder::new().retry_config(RetryConfig::disabled())
}

impl Bucket {
    /// What the answer to a request to this bucket means.
    pub fn fault<E>(&self, operation: &str, error: &SdkError<E, HttpResponse>) -> Fault
    where
        E: std::error::Error + ProvideErrorMetadata + Send + Sync + 'static,
    {
        fault_of(operation, error).of_bucket(&self.name)
    }

    /// Reads an object.
    pub async fn get(&self, name: &str) -> Result<Option<Object>> {
        self.read(name, None).await
    }

    /// Reads a part of an object: from the first offset up to, and not with, the second, or its end.
    pub async fn get_range(&self, name: &str, from: u64, to: u64) -> Result<Option<Bytes>> {
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
                return match self.fault("S3: GetObject", &error) {
                    Fault::Missing => Ok(Ok(None)),
                    fault => Err(fault),
                };
            }
        };
        let Some(tag) = answer.e_tag else {
            let reason = format!("S3: GetObject: the answer has no `ETag`, {NOT_THERE} S3");
            return Err(Fault::Refused(Refused::Foreign(reason)));
        };
        let content = answer.body.collect().await;
        let object = content.map(|content| Some(Object { tag, content: content.into_bytes() }));
        Ok(object.map_err(|error| format!("S3: GetObject: the answer was cut short: {error}")))
    }

    /// Looks at an object.
    pub async fn head(&self, name: &str) -> Result<Option<Head>> {
        let customer = self.headers.customer.as_ref();
        let request = self
            .client
            .head_object()
            .bucket(&self.name)
            .key(name)
            .set_sse_customer_algorithm(CustomerHeaders::algorithm(customer))
            .set_sse_customer_key(CustomerHeaders::key(customer))
            .set_sse_customer_key_md5(CustomerHeaders::md5(customer));
        match request.send().await {
            Ok(HeadObjectOutput { e_tag, content_length, metadata, .. }) => Ok(Some(Head {
                tag: e_tag.unwrap_or_default(),
                size: content_length.and_then(|length| u64::try_from(length).ok()).unwrap_or_default(),
                metadata: metadata.unwrap_or_default(),
            })),
            Err(error) => match self.fault("S3: HeadObject", &error) {
                Fault::Missing => Ok(None),
                fault => Err(fault),
            },
        }
    }

    /// Writes an object whose name nobody else uses; sent again where that may help.
    pub async fn put(&self, name: &str, content: Bytes) -> Result<()> {
        let answer = self.writing(name, content).send().await;
        answer.map(drop).map_err(|error| self.fault("S3: PutObject", &error))
    }

    /// Writes an object if the condition holds; sent once. Gives the new `ETag`.
    pub async fn put_if(&self, name: &str, content: Bytes, condition: &Condition) -> Result<String> {
        self.send_if(self.writing(name, content), condition).await
    }

    /// Sends a write once, under a condition. Gives the new `ETag`.
    pub async fn send_if(&self, request: PutObjectFluentBuilder, condition: &Condition) -> Result<String> {
        let request = match condition {
            Condition::Absent => request.if_none_match("*"),
            Condition::Tag(tag) => request.if_match(tag),
        };
        let answer = request.customize().config_override(once()).send().await;
        match answer {
            Ok(answer) => Ok(answer.e_tag.unwrap_or_default()),
            Err(error) => Err(match self.fault("S3: PutObject", &error) {
                // S3 answers `If-Match` on what is not there so.
                Fault::Missing => Fault::Precondition,
                fault => fault,
            }),
        }
    }

    /// The request that reads an object.
    pub fn reading(&self, name: &str) -> GetObjectFluentBuilder {
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

    /// The request that writes an object.
    pub fn writing(&self, name: &str, content: Bytes) -> PutObjectFluentBuilder {
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

    /// The request that begins to write an object in parts.
    pub fn uploading(&self, name: &str) -> CreateMultipartUploadFluentBuilder {
        let Headers { encryption, kms_key, customer, acl, tagging, checksum } = self.headers.clone();
        self.client
            .create_multipart_upload()
            .bucket(&self.name)
            .key(name)
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
    pub async fn delete(&self, name: &str) -> Result<()> {
        let answer = self.client.delete_object().bucket(&self.name).key(name).send().await;
        answer.map(drop).map_err(|error| self.fault("S3: DeleteObject", &error))
    }

    /// Removes an object if it is the one with this `ETag`; sent once. Only for stores that honour the condition.
    pub async fn delete_if(&self, name: &str, tag: &str) -> Result<()> {
        let request = self.client.delete_object().bucket(&self.name).key(name).if_match(tag);
        let answer = request.customize().config_override(once()).send().await;
        answer.map(drop).map_err(|error| self.fault("S3: DeleteObject", &error))
    }

    /// Lists names, in order.
    pub async fn list(&self, names: &Names) -> Result<Page> {
        let request = self
            .client
            .list_objects_v2()
            .bucket(&self.name)
            .prefix(&names.prefix)
            .set_start_after(names.after.clone())
            .max_keys(i32::try_from(names.limit.min(LISTED_MAX)).unwrap_or(1));
        let answer = request.send().await.map_err(|error| self.fault("S3: ListObjectsV2", &error))?;
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
