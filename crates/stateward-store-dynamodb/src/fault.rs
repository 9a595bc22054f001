//! What an error of the SDK means: whether the request was done, was not, or may have been.

use std::error::Error;
use std::fmt::Write as _;
use std::io::ErrorKind;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_dynamodb::config::http::HttpResponse;
use aws_sdk_dynamodb::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};
use stateward_store::StoreError;

/// Why a request was not answered with success.
#[derive(Debug, Clone)]
pub(crate) enum Fault {
    /// Another write of the same item was under way, or too many requests. Nothing was done.
    Busy(String),
    /// The request never left. Nothing was done.
    NotSent(String),
    /// It may have been done, or may be yet.
    Lost(String),
    /// It was refused, and will be again.
    Refused(Refused),
}

/// What will not get better by itself.
#[derive(Debug, Clone)]
pub(crate) enum Refused {
    /// The table does not exist.
    NoTable(String),
    /// The service is that of another Region.
    Region(String),
    /// For lack of a right.
    Denied(String),
    /// The credentials are no longer good.
    Expired(String),
    /// There are no credentials.
    NoCredentials(String),
    /// Anything else.
    Other(String),
}

/// A fault of a request that changes nothing, or whose outcome has been found out: it was not done.
impl From<Fault> for StoreError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Busy(reason) | Fault::NotSent(reason) | Fault::Lost(reason) => {
                Self::Unavailable { retry_after: None, reason }
            }
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
            Refused::Expired(reason) => Self::Denied {
                denial: format!(
                    "the credentials have expired; renew them (`aws sso login`, or assume the role again): {reason}"
                ),
            },
            Refused::NoCredentials(reason) => Self::Denied {
                denial: format!("there are no credentials; set a profile, a role, or `AWS_ACCESS_KEY_ID`: {reason}"),
            },
            Refused::Region(reason) => Self::Unsupported {
                what: "this Region".into(),
                reason: format!("the endpoint is that of another one; set `region`: {reason}"),
            },
            Refused::NoTable(reason) | Refused::Other(reason) => Self::Unavailable { retry_after: None, reason },
        }
    }
}

/// What the answer to a request means.
pub(crate) fn fault_of<E>(operation: &str, error: &SdkError<E, HttpResponse>) -> Fault
where
    E: Error + ProvideErrorMetadata + Send + Sync + 'static,
{
    let words = || format!("{operation}: {}", DisplayErrorContext(error));
    match error {
        SdkError::ServiceError(answer) => {
            answered(operation, answer.raw(), answer.err().code(), answer.err().message())
        }
        SdkError::ConstructionFailure(_) | SdkError::DispatchFailure(_) if lacks_credentials(error) => {
            Fault::Refused(Refused::NoCredentials(words()))
        }
        SdkError::ConstructionFailure(_) => Fault::Refused(Refused::Other(words())),
        SdkError::DispatchFailure(_) if was_not_sent(error) => Fault::NotSent(words()),
        // An answer that cannot be understood may still be the answer to something that was done.
        _ => Fault::Lost(words()),
    }
}

fn answered(operation: &str, raw: &HttpResponse, code: Option<&str>, message: Option<&str>) -> Fault {
    let status = raw.status().as_u16();
    let code = code.unwrap_or_default();
    let words = words_of(operation, raw, code, message);
    match code {
        "ThrottlingException"
        | "ProvisionedThroughputExceededException"
        | "RequestLimitExceeded"
        | "TransactionConflictException"
        | "TransactionInProgressException" => Fault::Busy(words),
        "ResourceNotFoundException" => Fault::Refused(Refused::NoTable(words)),
        "ExpiredTokenException" | "ExpiredToken" | "RequestExpired" => Fault::Refused(Refused::Expired(words)),
        "InvalidSignatureException" if message.is_some_and(|text| text.contains("scoped to a valid region")) => {
            Fault::Refused(Refused::Region(words))
        }
        "AccessDeniedException"
        | "UnrecognizedClientException"
        | "InvalidSignatureException"
        | "MissingAuthenticationTokenException"
        | "IncompleteSignatureException" => Fault::Refused(Refused::Denied(words)),
        _ if status == 429 => Fault::Busy(words),
        _ if status == 401 || status == 403 => Fault::Refused(Refused::Denied(words)),
        _ if status >= 500 || status == 408 => Fault::Lost(words),
        _ => Fault::Refused(Refused::Other(words)),
    }
}

/// The answer in the form in which Terraform prints it, whole, so that whatever explains the one explains the other.
fn words_of(operation: &str, raw: &HttpResponse, code: &str, message: Option<&str>) -> String {
    let mut words =
        format!("operation error DynamoDB: {operation}, https response error StatusCode: {}", raw.status().as_u16());
    if let Some(id) = raw.headers().get("x-amzn-requestid") {
        let _ = write!(words, ", RequestID: {id}");
    }
    match (code, message) {
        ("", None) => words.push_str(", and no reason was given"),
        (code, message) => {
            let _ = write!(words, ", api error {code}: {}", message.unwrap_or("no message"));
        }
    }
    words
}

fn sources<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| error.source())
}

fn lacks_credentials(error: &(dyn Error + 'static)) -> bool {
    sources(error).any(|source| source.downcast_ref::<CredentialsError>().is_some())
}

/// Nobody listened, or the name was not found.
fn was_not_sent(error: &(dyn Error + 'static)) -> bool {
    let refused = |error: &std::io::Error| error.kind() == ErrorKind::ConnectionRefused;
    sources(error).any(|source| source.downcast_ref().is_some_and(refused) || source.to_string() == "dns error")
}
