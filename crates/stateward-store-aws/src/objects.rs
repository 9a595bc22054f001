//! How a bucket is addressed, and how objects are written to it.

use std::fmt;
use std::path::PathBuf;

use aws_sdk_s3::types::{ChecksumAlgorithm, ObjectCannedAcl, ServerSideEncryption};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use md5::{Digest, Md5};

use crate::access::named;
use crate::bucket::Headers;
use crate::query::parse;
use crate::refusal::BucketError;

/// How a bucket is addressed, and how objects are written to it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Objects {
    /// The bucket's name goes in the path, not in the host.
    pub path_style: bool,
    /// How what is written is encrypted.
    pub encryption: Encryption,
    /// A canned ACL for what is written (`bucket-owner-full-control`).
    pub acl: Option<String>,
    /// Tags on what is written.
    pub tags: Vec<(String, String)>,
    /// Do not send or check checksums, for stores that do not know them.
    pub skip_checksum: bool,
}

/// How what is written is encrypted at rest.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Encryption {
    /// As the bucket says.
    #[default]
    Bucket,
    /// With S3's own key.
    S3,
    /// With a key in KMS.
    Kms {
        /// The key's ARN, id or alias.
        key: String,
    },
    /// With a key that the customer keeps.
    Customer(CustomerKey),
}

/// Where the customer's own key is: 32 bytes in base64.
#[derive(Clone, PartialEq, Eq)]
pub enum CustomerKey {
    /// In this file.
    File(PathBuf),
    /// This is it.
    Given(String),
}

impl fmt::Debug for CustomerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
            Self::Given(_) => f.write_str("Given(..)"),
        }
    }
}

/// Options about encryption, which only together make sense.
#[derive(Debug, Default)]
pub struct KeyQuery {
    encrypt: Option<bool>,
    kms_key: Option<String>,
    customer_key: Option<PathBuf>,
}

impl Objects {
    /// The options that [`Objects::set`] knows, as messages name them.
    pub const KNOWN: &'static str = "`use_path_style`, `encrypt`, `kms_key_id`, `sse_customer_key_file`, `acl`, `tag.NAME`, \
                                     `skip_s3_checksum`";

    /// Takes an option of a URL; false where it is none of these.
    pub fn set(&mut self, key: &mut KeyQuery, name: &str, value: &str) -> Result<bool, String> {
        match name {
            "use_path_style" => self.path_style = parse(name, value)?,
            "encrypt" => key.encrypt = Some(parse(name, value)?),
            "kms_key_id" => key.kms_key = Some(value.to_owned()),
            "sse_customer_key_file" => key.customer_key = Some(value.into()),
            "sse_customer_key" => {
                return Err("holds a key, which lists of processes would show: put it in a file and name that with `sse_customer_key_file`".into());
            }
            "acl" => self.acl = Some(value.to_owned()),
            "skip_s3_checksum" => self.skip_checksum = parse(name, value)?,
            _ => match name.strip_prefix("tag.") {
                Some(tag) if !tag.is_empty() => self.tags.push((tag.to_owned(), value.to_owned())),
                _ => return Ok(false),
            },
        }
        Ok(true)
    }

    /// What [`Objects::set`] takes to come to this. Of a customer's key that is no file nothing: it is a secret.
    pub fn options(&self) -> Vec<(String, String)> {
        let flag = |is_set: bool| is_set.then(|| "true".to_owned());
        let (kms_key, customer_key) = match &self.encryption {
            Encryption::Kms { key } => (Some(key.clone()), None),
            Encryption::Customer(CustomerKey::File(file)) => (None, Some(file.display().to_string())),
            Encryption::Bucket | Encryption::S3 | Encryption::Customer(CustomerKey::Given(_)) => (None, None),
        };
        let mut options = named(vec![
            ("use_path_style", flag(self.path_style)),
            ("encrypt", flag(self.encryption == Encryption::S3)),
            ("kms_key_id", kms_key),
            ("sse_customer_key_file", customer_key),
            ("acl", self.acl.clone()),
            ("skip_s3_checksum", flag(self.skip_checksum)),
        ]);
        options.extend(self.tags.iter().map(|(name, text)| (format!("tag.{name}"), text.clone())));
        options
    }

    /// What goes with requests. Reads the customer's key where that is in a file.
    pub(crate) fn headers(&self) -> Result<Headers, BucketError> {
        let mut headers = Headers {
            acl: self.acl.as_deref().map(ObjectCannedAcl::from),
            tagging: (!self.tags.is_empty()).then(|| tagging(&self.tags)),
            checksum: (!self.skip_checksum).then_some(ChecksumAlgorithm::Sha256),
            ..Headers::default()
        };
        match &self.encryption {
            Encryption::Bucket => {}
            Encryption::S3 => headers.encryption = Some(ServerSideEncryption::Aes256),
            Encryption::Kms { key } => {
                headers.encryption = Some(ServerSideEncryption::AwsKms);
                headers.kms_key = Some(key.clone());
            }
            Encryption::Customer(key) => headers.customer = Some(customer(key)?),
        }
        Ok(headers)
    }
}

impl KeyQuery {
    /// The encryption that the options name.
    pub fn finish(self) -> Result<Encryption, String> {
        Ok(match (self.encrypt, self.kms_key, self.customer_key) {
            (_, Some(_), Some(_)) => return Err("has both `kms_key_id` and `sse_customer_key_file`: choose one".into()),
            (Some(false), Some(_), _) | (Some(false), _, Some(_)) => {
                return Err("says `encrypt=false` and names a key: leave one of them out".into());
            }
            (_, Some(key), None) => Encryption::Kms { key },
            (_, None, Some(file)) => Encryption::Customer(CustomerKey::File(file)),
            (Some(true), None, None) => Encryption::S3,
            (_, None, None) => Encryption::Bucket,
        })
    }
}

/// A customer's key as it is sent.
#[derive(Clone)]
pub struct CustomerHeaders {
    key: String,
    md5: String,
}

impl CustomerHeaders {
    /// `None` where this is not 32 bytes in base64.
    fn new(key: &str) -> Option<Self> {
        let bytes = BASE64_STANDARD.decode(key).ok().filter(|bytes| bytes.len() == 32)?;
        Some(Self { key: key.to_owned(), md5: BASE64_STANDARD.encode(Md5::digest(bytes)) })
    }

    /// The header of the algorithm.
    pub fn algorithm(customer: Option<&Self>) -> Option<String> {
        customer.map(|_| "AES256".to_owned())
    }

    /// The header of the key.
    pub fn key(customer: Option<&Self>) -> Option<String> {
        customer.map(|customer| customer.key.clone())
    }

    /// The header of the key's digest.
    pub fn md5(customer: Option<&Self>) -> Option<String> {
        customer.map(|customer| customer.md5.clone())
    }
}

fn customer(key: &CustomerKey) -> Result<CustomerHeaders, BucketError> {
    let refused = |reason: String| BucketError::CustomerKey { reason };
    let text = match key {
        CustomerKey::Given(text) => text.clone(),
        CustomerKey::File(path) => std::fs::read_to_string(path)
            .map_err(|error| refused(format!("`{}` cannot be read: {error}", path.display())))?,
    };
    CustomerHeaders::new(text.trim()).ok_or_else(|| refused("it is not 32 bytes in base64 (44 characters)".into()))
}

fn tagging(tags: &[(String, String)]) -> String {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(tags).finish()
}
