//! A request that did not succeed.

use std::error::Error;

use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use stateward_denial::{Kind, Problem, Reason};
use stateward_store_aws::{Fault, fault_of, has_id, is_foreign, words};

/// A request that did not succeed.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{words}")]
pub struct Failed {
    words: String,
    /// AWS's code: `AccessDenied`, `NoSuchBucket`.
    pub code: Option<String>,
    /// The answer's status; `None` where there was no answer.
    pub status: Option<u16>,
    beside: Box<Beside>,
    /// Whether somebody else than the service answered: a web page came, or what the service never says.
    pub(crate) is_foreign: bool,
    /// Whether it may have been done, and whether to try again.
    pub fault: Fault,
}

/// What is known beside what was said.
#[derive(Debug, Clone, Default)]
struct Beside {
    /// The Region that the answer says a bucket is in: also where it refuses for other reasons.
    bucket_region: Option<Box<str>>,
    /// What the names begin with that it was to list, or the name that it was about, where whoever asked has said so.
    names: Option<Box<str>>,
}

impl Failed {
    /// What became of a request. `operation` is the service and what it was asked, as the SDK for Go names them:
    /// `S3: HeadBucket`.
    pub fn new<E>(operation: &str, error: &SdkError<E, HttpResponse>) -> Self
    where
        E: Error + ProvideErrorMetadata + Send + Sync + 'static,
    {
        let answer = error.raw_response();
        let bucket_region = answer.and_then(|answer| answer.headers().get("x-amz-bucket-region")).map(Into::into);
        Self {
            words: words(operation, error),
            code: error.code().map(str::to_owned),
            status: answer.map(|answer| answer.status().as_u16()),
            beside: Box::new(Beside { bucket_region, names: None }),
            // Of an answer that was understood there would be no error; one of AWS may have been cut off.
            is_foreign: is_foreign(error)
                || answer.is_some_and(|answer| answer.status().as_u16() < 300 && !has_id(answer)),
            fault: fault_of(operation, error),
        }
    }

    /// An answer whose body did not come to its end.
    pub(crate) fn cut(operation: &str, error: &dyn Error) -> Self {
        let words = format!("operation error {operation}, the answer was cut off: {error}");
        Self {
            code: None,
            status: None,
            beside: Box::default(),
            is_foreign: false,
            fault: Fault::Lost(words.clone()),
            words,
        }
    }

    /// With the names that it was about: those that begin so, or the one.
    pub(crate) fn about(self, names: &str) -> Self {
        let names = Some(names).filter(|names| !names.is_empty()).map(Into::into);
        Self { beside: Box::new(Beside { names, ..*self.beside }), ..self }
    }

    /// The whole answer, in the form in which Terraform prints it.
    pub fn words(&self) -> &str {
        &self.words
    }

    /// Whether AWS answered with this code.
    pub fn is(&self, code: &str) -> bool {
        self.code.as_deref() == Some(code)
    }

    /// The Region that a bucket is in, where it was asked for in another one. The answer to a HEAD has a status alone.
    pub fn elsewhere(&self) -> Option<&str> {
        let is_elsewhere =
            self.status == Some(301) || self.problem().is_some_and(|problem| problem.kind == Kind::Region);
        self.beside.bucket_region.as_deref().filter(|_| is_elsewhere)
    }

    /// Whether it was for lack of a right.
    pub fn is_refused(&self) -> bool {
        let Some(problem) = self.problem() else { return matches!(self.status, Some(401 | 403)) };
        match problem.kind {
            Kind::AccessDenied => true,
            // Answered with 403 to whoever may read it.
            Kind::Other => !is_archived(&problem) && matches!(self.status, Some(401 | 403)),
            _ => false,
        }
    }

    /// Whether the object lies in an archive.
    pub(crate) fn is_archived(&self) -> bool {
        self.problem().is_some_and(|problem| is_archived(&problem))
    }

    /// Whether a service that explains refusals to the accounts of one organization, as S3 does, has explained nothing.
    /// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/troubleshoot-403-errors.html>
    pub(crate) fn is_unexplained(&self) -> bool {
        self.problem().and_then(|problem| problem.denial).is_some_and(|denial| denial.action.is_none())
    }

    /// What it means; `None` where it is nothing that is known.
    pub fn problem(&self) -> Option<Problem> {
        let mut problem = stateward_denial::read_whole(self.words.as_bytes()).into_iter().next()?;
        if let Some(denial) = problem.denial.as_mut().filter(|denial| denial.is_listing()) {
            denial.prefix = self.beside.names.as_deref().map(str::to_owned);
        }
        Some(problem)
    }
}

fn is_archived(problem: &Problem) -> bool {
    problem.failure.as_ref().is_some_and(|failure| failure.reason == Some(Reason::Archived))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(status: u16, words: &str) -> Failed {
        let words = format!(
            "operation error S3: HeadBucket, https response error StatusCode: {status}, RequestID: A, HostID: B, {words}"
        );
        let bucket_region = Some("eu-north-1".into());
        Failed {
            code: None,
            status: Some(status),
            beside: Box::new(Beside { bucket_region, names: None }),
            is_foreign: false,
            fault: Fault::Lost(words.clone()),
            words,
        }
    }

    #[test]
    fn a_bucket_is_elsewhere_only_where_that_was_the_failure() {
        for (status, words, expected) in [
            (301, "api error MovedPermanently: Moved Permanently", Some("eu-north-1")),
            (
                301,
                "api error PermanentRedirect: The bucket you are attempting to access must be addressed using the specified endpoint.",
                Some("eu-north-1"),
            ),
            (
                400,
                "api error AuthorizationHeaderMalformed: The authorization header is malformed; the region 'us-east-1' is wrong; expecting 'eu-north-1'",
                Some("eu-north-1"),
            ),
            (403, "api error Forbidden: Forbidden", None),
            (404, "api error NotFound: Not Found", None),
        ] {
            assert_eq!(failed(status, words).elsewhere(), expected, "{status} {words}");
        }
    }
}
