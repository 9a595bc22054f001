//! A request that did not succeed.

use std::error::Error;

use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use stateward_denial::{Kind, Problem};
use stateward_store_aws::{Fault, fault_of, words};

/// A request that did not succeed.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{words}")]
pub struct Failed {
    words: String,
    /// AWS's code: `AccessDenied`, `NoSuchBucket`.
    pub code: Option<String>,
    /// The answer's status; `None` where there was no answer.
    pub status: Option<u16>,
    /// The Region that the answer says a bucket is in.
    pub bucket_region: Option<Box<str>>,
    /// Whether it may have been done, and whether to try again.
    pub fault: Fault,
}

impl Failed {
    /// What became of a request. `operation` is the service and what it was asked, as the SDK for Go names them:
    /// `S3: HeadBucket`.
    pub fn new<E>(operation: &str, error: &SdkError<E, HttpResponse>) -> Self
    where
        E: Error + ProvideErrorMetadata + Send + Sync + 'static,
    {
        let answer = error.raw_response();
        Self {
            words: words(operation, error),
            code: error.code().map(str::to_owned),
            status: answer.map(|answer| answer.status().as_u16()),
            bucket_region: answer.and_then(|answer| answer.headers().get("x-amz-bucket-region")).map(Into::into),
            fault: fault_of(operation, error),
        }
    }

    /// An answer whose body did not come to its end.
    pub(crate) fn cut(operation: &str, error: &dyn Error) -> Self {
        let words = format!("operation error {operation}, the answer was cut off: {error}");
        Self { code: None, status: None, bucket_region: None, fault: Fault::Lost(words.clone()), words }
    }

    /// The whole answer, in the form in which Terraform prints it.
    pub fn words(&self) -> &str {
        &self.words
    }

    /// Whether AWS answered with this code.
    pub fn is(&self, code: &str) -> bool {
        self.code.as_deref() == Some(code)
    }

    /// Whether it was for lack of a right.
    pub fn is_refused(&self) -> bool {
        match self.problem().map(|problem| problem.kind) {
            Some(Kind::AccessDenied) => true,
            Some(Kind::Other) | None => matches!(self.status, Some(401 | 403)),
            Some(_) => false,
        }
    }

    /// Whether a service that explains refusals to the accounts of one organization, as S3 does, has explained nothing.
    /// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/troubleshoot-403-errors.html>
    pub(crate) fn is_unexplained(&self) -> bool {
        self.problem().and_then(|problem| problem.denial).is_some_and(|denial| denial.action.is_none())
    }

    /// What it means; `None` where it is nothing that is known.
    pub fn problem(&self) -> Option<Problem> {
        stateward_denial::read(self.words.as_bytes()).into_iter().next()
    }
}
