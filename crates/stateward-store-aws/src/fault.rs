//! What an error of the SDK means: whether the request was done, was not, or may have been.

use std::error::Error;
use std::fmt::Write as _;
use std::io::ErrorKind;
use std::time::Duration;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};
use stateward_store::StoreError;

use crate::explained::Explained;
use crate::reach::{Foreign, NO_ANSWER, Unreached, is_foreign, is_unknown_host, reason, sources};
use crate::refusal::no_bucket;

/// What stands before the code of an error, as Terraform prints it.
const API_ERROR: &str = ", api error ";

/// Why a request was not answered with success.
#[derive(Debug, Clone)]
pub enum Fault {
    /// There is no such object, item or upload. Nothing was done.
    Missing,
    /// The condition does not hold: what is there is not what was expected. Or it was this very request that changed it, sent twice.
    Precondition,
    /// Another write of the same object was under way. Nothing was done; it may be tried again.
    Contended,
    /// Too many requests, or another transaction on the same item. Nothing was done. When to try again, if the answer says.
    Busy(Option<Duration>, String),
    /// The request never left. Nothing was done.
    NotSent(String),
    /// It may have been done, or may be yet.
    Lost(String),
    /// It was refused, and will be again.
    Refused(Refused),
}

/// A bucket or table that does not exist.
#[derive(Debug, Clone)]
pub struct NoPlace {
    /// Which it is, with its name.
    pub place: String,
    /// What the service said.
    pub reason: String,
    /// How it is made.
    pub next: String,
}

/// What will not get better by itself.
#[derive(Debug, Clone)]
pub enum Refused {
    /// The bucket or table does not exist.
    NoPlace(Box<NoPlace>),
    /// It is in another Region: that one, if the answer says.
    Region(Option<String>, String),
    /// For lack of a right.
    Denied(String),
    /// The credentials are no longer good.
    Expired(String),
    /// There are no credentials.
    NoCredentials(String),
    /// No room.
    Full(String),
    /// The service cannot do what was asked.
    Unsupported(String),
    /// An object is shorter than the part that was asked for.
    OutOfRange,
    /// Somebody else than the service answered: a web page, or what the service never says.
    Foreign(String),
    /// Anything else.
    Other(String),
}

impl Fault {
    /// True where the same request may be sent again with a chance of success.
    pub fn may_pass(&self) -> bool {
        matches!(self, Self::Contended | Self::Busy(..) | Self::NotSent(_) | Self::Lost(_))
    }

    /// True where it is the service itself that refused, which gives a code. What stands before it may answer by a page of its own, and have
    /// let the request through.
    pub fn is_told_by_aws(&self) -> bool {
        match self {
            Self::Refused(refused) => match refused {
                Refused::Denied(words)
                | Refused::Expired(words)
                | Refused::Full(words)
                | Refused::Unsupported(words)
                | Refused::Region(_, words)
                | Refused::Other(words) => words.contains(API_ERROR) && !words.contains(&format!("{API_ERROR}:")),
                Refused::NoPlace(_) | Refused::NoCredentials(_) | Refused::OutOfRange => true,
                Refused::Foreign(_) => false,
            },
            _ => false,
        }
    }

    /// The same of a request to the bucket of this name.
    #[must_use]
    pub fn of_bucket(self, bucket: &str) -> Self {
        self.in_place(format!("bucket `{bucket}`"), || no_bucket(bucket))
    }

    /// The same of a request to the lock table of this name, for a bucket or for any.
    #[must_use]
    pub fn of_lock_table(self, table: &str, bucket: Option<&str>) -> Self {
        self.in_place(format!("lock table `{table}`"), || {
            const CHECK: &str = "check the name, the Region and whose credentials these are";
            match bucket {
                Some(bucket) => {
                    format!("{CHECK}; `stateward setup aws --bucket {bucket} --lock-table {table}` makes one")
                }
                None => CHECK.to_owned(),
            }
        })
    }

    /// The same of a request to a store's table of this name.
    #[must_use]
    pub fn of_table(self, table: &str) -> Self {
        self.in_place(format!("table `{table}`"), || {
            "check the name, the Region and whose credentials these are; `create_tables=true` in the store's URL makes a table".to_owned()
        })
    }

    fn in_place(self, place: String, next: impl FnOnce() -> String) -> Self {
        match self {
            Self::Refused(Refused::NoPlace(none)) => {
                Self::Refused(Refused::NoPlace(Box::new(NoPlace { place, next: next(), ..*none })))
            }
            other => other,
        }
    }
}

/// A fault of a request that changes nothing, or whose outcome has been found out: it was not done.
impl From<Fault> for StoreError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Missing => Self::NotFound { what: "the object".into() },
            Fault::Precondition | Fault::Contended => {
                Self::Unavailable { retry_after: None, reason: "others write the same object all the time".into() }
            }
            Fault::Busy(retry_after, reason) => Self::Unavailable { retry_after, reason },
            Fault::NotSent(reason) | Fault::Lost(reason) => Self::Unavailable { retry_after: None, reason },
            Fault::Refused(refused) => refused.into(),
        }
    }
}

impl From<Refused> for StoreError {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Denied(denial) => Self::Denied {
                denial: format!("{denial}; `stateward explain` says which policy refused it and what to do"),
            },
            Refused::Expired(reason) => Self::Unauthenticated {
                reason: format!(
                    "the credentials have expired; renew them (`aws sso login`, or assume the role again): {reason}"
                ),
            },
            Refused::NoCredentials(reason) => Self::Unauthenticated {
                reason: format!("there are no credentials; set a profile, a role, or `AWS_ACCESS_KEY_ID`: {reason}"),
            },
            Refused::Full(reason) => Self::Full { reason },
            Refused::Unsupported(reason) => Self::Unsupported { what: "a request to the storage".into(), reason },
            Refused::Region(Some(right), reason) => Self::Unsupported {
                what: "this Region".into(),
                reason: format!("it is in `{right}`; set `region={right}`: {reason}"),
            },
            Refused::Region(None, reason) => Self::Unsupported {
                what: "this Region".into(),
                reason: format!("it is in another one; set `region`: {reason}"),
            },
            Refused::OutOfRange => {
                Self::Unavailable { retry_after: None, reason: "an object is shorter than it was".into() }
            }
            Refused::NoPlace(none) => {
                let NoPlace { place, reason, next } = *none;
                Self::NoPlace { place, reason, next }
            }
            Refused::Foreign(reason) | Refused::Other(reason) => Self::Unavailable { retry_after: None, reason },
        }
    }
}

/// What the answer to a request means. `operation` is the service and what it was asked: `S3: GetObject`.
pub fn fault_of<E>(operation: &str, error: &SdkError<E, HttpResponse>) -> Fault
where
    E: Error + ProvideErrorMetadata + Send + Sync + 'static,
{
    let words = || words(operation, error);
    match error {
        SdkError::ServiceError(answer) => {
            answered(operation, answer.raw(), answer.err().code(), answer.err().message())
        }
        // An answer that cannot be understood may still be the answer to something that was done.
        SdkError::ResponseError(answer) if answer.raw().status().as_u16() >= 300 => {
            answered(operation, answer.raw(), None, None)
        }
        SdkError::ConstructionFailure(_) | SdkError::DispatchFailure(_) if lacks_credentials(error) => {
            Fault::Refused(Refused::NoCredentials(words()))
        }
        SdkError::ConstructionFailure(_) => Fault::Refused(Refused::Other(words())),
        SdkError::DispatchFailure(_) if was_not_sent(error) => Fault::NotSent(words()),
        SdkError::DispatchFailure(_) if is_foreign(error) => Fault::Refused(Refused::Foreign(words())),
        _ => Fault::Lost(words()),
    }
}

/// An error in the form in which Terraform prints it, whole, so that whatever explains the one explains the other.
pub fn words<E>(operation: &str, error: &SdkError<E, HttpResponse>) -> String
where
    E: Error + ProvideErrorMetadata + Send + Sync + 'static,
{
    match error {
        SdkError::ServiceError(answer) => {
            words_of(operation, answer.raw(), answer.err().code().unwrap_or_default(), answer.err().message())
        }
        SdkError::ResponseError(answer) if answer.raw().status().as_u16() >= 300 => {
            words_of(operation, answer.raw(), "", None)
        }
        SdkError::TimeoutError(_) => format!("operation error {operation}, request send failed, {NO_ANSWER}"),
        SdkError::ConstructionFailure(_) | SdkError::DispatchFailure(_) if lacks_credentials(error) => {
            // The chain of providers says of each on a line of its own why it gave none.
            let explained =
                sources(error).find_map(|source| source.downcast_ref::<Explained>()).map(ToString::to_string);
            let why = explained.or_else(|| sources(error).last().map(ToString::to_string)).unwrap_or_default();
            let why: Vec<&str> = why.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
            format!("{operation}: CredentialsNotLoaded: {}", why.join("; "))
        }
        SdkError::DispatchFailure(_) => {
            format!("operation error {operation}, request send failed, {}", told(error))
        }
        _ => format!("{operation}: {}", DisplayErrorContext(error)),
    }
}

/// Where no answer came from, and why.
fn told(error: &(dyn Error + 'static)) -> String {
    let unreached = sources(error).find_map(|source| source.downcast_ref::<Unreached>());
    let foreign = || sources(error).find_map(|source| source.downcast_ref::<Foreign>());
    unreached.map(ToString::to_string).or_else(|| foreign().map(ToString::to_string)).unwrap_or_else(|| reason(error))
}

fn answered(operation: &str, raw: &HttpResponse, code: Option<&str>, message: Option<&str>) -> Fault {
    let status = raw.status().as_u16();
    let code = code.unwrap_or_default();
    let words = words_of(operation, raw, code, message);
    match (status, code) {
        (_, "NoSuchBucket" | "ResourceNotFoundException") => Fault::Refused(Refused::NoPlace(Box::new(NoPlace {
            place: if code == "NoSuchBucket" { "such bucket" } else { "such table" }.to_owned(),
            reason: words,
            next: "check the name, the Region and whose credentials these are".to_owned(),
        }))),
        (
            _,
            "SlowDown"
            | "ThrottlingException"
            | "ProvisionedThroughputExceededException"
            | "RequestLimitExceeded"
            | "TransactionConflictException"
            | "TransactionInProgressException",
        )
        | (429, _) => Fault::Busy(retry_after(raw), words),
        // Refused before it was read. 503 is also what a proxy says that lost the answer, so only without a code is it unclear.
        (503, "ServiceUnavailable") if operation.starts_with("S3:") => Fault::Busy(retry_after(raw), words),
        (_, "ConditionalCheckFailedException") | (412, _) => Fault::Precondition,
        (_, "ExpiredToken" | "ExpiredTokenException" | "TokenRefreshRequired" | "RequestExpired") => {
            Fault::Refused(Refused::Expired(words))
        }
        (301 | 307 | 308, _)
        | (_, "PermanentRedirect" | "AuthorizationHeaderMalformed" | "IllegalLocationConstraintException") => {
            Fault::Refused(Refused::Region(right_region(raw, message.unwrap_or_default()), words))
        }
        (_, "InvalidSignatureException") if message.is_some_and(|text| text.contains("scoped to a valid region")) => {
            Fault::Refused(Refused::Region(None, words))
        }
        (507, _) | (_, "QuotaExceeded" | "InsufficientStorage") => Fault::Refused(Refused::Full(words)),
        // With 403, and yet no refusal: it lies in an archive.
        (_, "InvalidObjectState") => Fault::Refused(Refused::Other(words)),
        (501, _) | (_, "NotImplemented") => Fault::Refused(Refused::Unsupported(words)),
        (404, _) => Fault::Missing,
        (416, _) => Fault::Refused(Refused::OutOfRange),
        (409, _) => Fault::Contended,
        (401 | 403, _)
        | (
            _,
            "AccessDenied"
            | "AccessDeniedException"
            | "UnrecognizedClientException"
            | "InvalidSignatureException"
            | "MissingAuthenticationTokenException"
            | "IncompleteSignatureException",
        ) => Fault::Refused(Refused::Denied(words)),
        // An error of the service comes with the status of a success, too, where that was sent before the end was known.
        (408 | 500.. | ..=299, _) | (_, "RequestTimeout") => Fault::Lost(words),
        _ => Fault::Refused(Refused::Other(words)),
    }
}

fn words_of(operation: &str, raw: &HttpResponse, code: &str, message: Option<&str>) -> String {
    let mut words = format!("operation error {operation}, https response error StatusCode: {}", raw.status().as_u16());
    if let Some(id) = raw.headers().get("x-amz-request-id").or_else(|| raw.headers().get("x-amzn-requestid")) {
        let _ = write!(words, ", RequestID: {id}");
    }
    match (code, message) {
        ("", None) => words.push_str(", and no reason was given"),
        (code, message) => {
            let _ = write!(words, "{API_ERROR}{code}: {}", message.unwrap_or("no message"));
        }
    }
    words
}

/// The Region that the answer to a request in the wrong one names.
fn right_region(raw: &HttpResponse, message: &str) -> Option<String> {
    let header = raw.headers().get("x-amz-bucket-region").map(str::to_owned);
    // "the region 'us-east-1' is wrong; expecting 'eu-west-1'"
    let told = || message.split("expecting '").nth(1)?.split('\'').next().map(str::to_owned);
    header.or_else(told).filter(|region| !region.is_empty())
}

fn retry_after(raw: &HttpResponse) -> Option<Duration> {
    raw.headers().get("retry-after")?.trim().parse().ok().map(Duration::from_secs)
}

fn lacks_credentials(error: &(dyn Error + 'static)) -> bool {
    sources(error).any(|source| source.downcast_ref::<CredentialsError>().is_some())
}

/// Nobody listened, or the name was not found.
fn was_not_sent(error: &(dyn Error + 'static)) -> bool {
    let refused = |error: &std::io::Error| error.kind() == ErrorKind::ConnectionRefused;
    sources(error).any(|source| source.downcast_ref().is_some_and(refused)) || is_unknown_host(error)
}
