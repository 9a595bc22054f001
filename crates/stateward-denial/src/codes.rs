//! What the codes of AWS's errors mean.

use crate::problem::{Kind, Reason};

/// A code, and what it tells.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Code {
    /// The code, without a namespace.
    pub(crate) name: &'static str,
    /// The kind of problem.
    pub(crate) kind: Kind,
    /// Closer than that.
    pub(crate) reason: Option<Reason>,
}

const fn code(name: &'static str, kind: Kind) -> Code {
    Code { name, kind, reason: None }
}

const fn reason(name: &'static str, kind: Kind, reason: Reason) -> Code {
    Code { name, kind, reason: Some(reason) }
}

/// What `CloudTrail` calls it in events of network activity that a VPC endpoint's policy refused.
pub(crate) const BY_ENDPOINT: &str = "VpceAccessDenied";

/// Codes that hardly anybody but AWS has, so that they are found wherever they stand.
pub(crate) const CODES: &[Code] = &[
    code("AccessDenied", Kind::AccessDenied),
    code("AccessDeniedException", Kind::AccessDenied),
    code("AccessDeniedFault", Kind::AccessDenied),
    code("UnauthorizedOperation", Kind::AccessDenied),
    code("UnauthorizedAccess", Kind::AccessDenied),
    code("AuthorizationError", Kind::AccessDenied),
    code("AuthorizationErrorException", Kind::AccessDenied),
    code("KMSAccessDeniedException", Kind::AccessDenied),
    code("KmsAccessDenied", Kind::AccessDenied),
    code("KMSAccessDeniedFault", Kind::AccessDenied),
    code("AllAccessDisabled", Kind::AccessDenied),
    code(BY_ENDPOINT, Kind::AccessDenied),
    reason("ExpiredToken", Kind::Authentication, Reason::ExpiredCredentials),
    reason("ExpiredTokenException", Kind::Authentication, Reason::ExpiredCredentials),
    reason("TokenRefreshRequired", Kind::Authentication, Reason::ExpiredCredentials),
    reason("RequestExpired", Kind::Authentication, Reason::ExpiredCredentials),
    reason("InvalidClientTokenId", Kind::Authentication, Reason::InvalidCredentials),
    reason("UnrecognizedClientException", Kind::Authentication, Reason::InvalidCredentials),
    reason("InvalidAccessKeyId", Kind::Authentication, Reason::InvalidCredentials),
    reason("SignatureDoesNotMatch", Kind::Authentication, Reason::BadSignature),
    reason("InvalidSignatureException", Kind::Authentication, Reason::BadSignature),
    reason("IncompleteSignature", Kind::Authentication, Reason::BadSignature),
    reason("IncompleteSignatureException", Kind::Authentication, Reason::BadSignature),
    reason("RequestTimeTooSkewed", Kind::Authentication, Reason::ClockSkew),
    reason("MissingAuthenticationToken", Kind::Authentication, Reason::NotSigned),
    reason("MissingAuthenticationTokenException", Kind::Authentication, Reason::NotSigned),
    reason("NoCredentialProviders", Kind::Authentication, Reason::NoCredentials),
    reason("NoCredentialsError", Kind::Authentication, Reason::NoCredentials),
    reason("PartialCredentialsError", Kind::Authentication, Reason::NoCredentials),
    reason("CredentialsProviderError", Kind::Authentication, Reason::NoCredentials),
    reason("CredentialsNotLoaded", Kind::Authentication, Reason::NoCredentials),
    reason("EnvAccessKeyNotFound", Kind::Authentication, Reason::NoCredentials),
    reason("SharedConfigProfileNotExistsError", Kind::Authentication, Reason::NoCredentials),
    reason("InvalidIdentityToken", Kind::Authentication, Reason::WebIdentity),
    reason("InvalidIdentityTokenException", Kind::Authentication, Reason::WebIdentity),
    reason("IDPRejectedClaim", Kind::Authentication, Reason::WebIdentity),
    reason("IDPCommunicationError", Kind::Authentication, Reason::WebIdentity),
    reason("SSOTokenLoadError", Kind::Authentication, Reason::SsoSession),
    reason("SSOProviderInvalidToken", Kind::Authentication, Reason::SsoSession),
    reason("UnauthorizedSSOTokenError", Kind::Authentication, Reason::SsoSession),
    reason("NoSuchBucket", Kind::NotFound, Reason::Bucket),
    reason("NoSuchKey", Kind::NotFound, Reason::Object),
    reason("NoSuchVersion", Kind::NotFound, Reason::Object),
    code("NoSuchUpload", Kind::NotFound),
    code("NoSuchBucketPolicy", Kind::NotFound),
    code("NoSuchLifecycleConfiguration", Kind::NotFound),
    reason("NoSuchEntity", Kind::NotFound, Reason::Entity),
    reason("NoSuchEntityException", Kind::NotFound, Reason::Entity),
    code("ResourceNotFoundException", Kind::NotFound),
    reason("TableNotFoundException", Kind::NotFound, Reason::Table),
    reason("AuthorizationHeaderMalformed", Kind::Region, Reason::WrongRegion),
    reason("PermanentRedirect", Kind::Region, Reason::WrongRegion),
    reason("BucketRegionError", Kind::Region, Reason::WrongRegion),
    reason("IllegalLocationConstraintException", Kind::Region, Reason::WrongRegion),
    reason("IncorrectEndpoint", Kind::Region, Reason::WrongRegion),
    reason("NoRegionError", Kind::Region, Reason::NoRegion),
    reason("MissingRegionError", Kind::Region, Reason::NoRegion),
    reason("InvalidRegionError", Kind::Region, Reason::WrongRegion),
    code("ThrottlingException", Kind::Throttled),
    code("ThrottledException", Kind::Throttled),
    code("RequestThrottled", Kind::Throttled),
    code("RequestThrottledException", Kind::Throttled),
    code("RequestLimitExceeded", Kind::Throttled),
    code("ProvisionedThroughputExceededException", Kind::Throttled),
    code("SlowDown", Kind::Throttled),
    code("TooManyRequestsException", Kind::Throttled),
    code("PriorRequestNotComplete", Kind::Throttled),
    code("EC2ThrottledException", Kind::Throttled),
    code("TransactionInProgressException", Kind::Conflict),
    code("EndpointConnectionError", Kind::Network),
    reason("ConnectTimeoutError", Kind::Network, Reason::Timeout),
    reason("ReadTimeoutError", Kind::Network, Reason::Timeout),
    code("ConnectionClosedError", Kind::Network),
    reason("ConditionalCheckFailedException", Kind::Conflict, Reason::ConditionFailed),
    reason("ConditionalRequestConflict", Kind::Conflict, Reason::ConditionFailed),
    reason("TransactionConflictException", Kind::Conflict, Reason::InUse),
    code("TransactionCanceledException", Kind::Conflict),
    reason("ResourceInUseException", Kind::Conflict, Reason::InUse),
    reason("ResourceConflictException", Kind::Conflict, Reason::InUse),
    reason("BucketAlreadyExists", Kind::Conflict, Reason::Exists),
    reason("BucketAlreadyOwnedByYou", Kind::Conflict, Reason::Exists),
    reason("EntityAlreadyExists", Kind::Conflict, Reason::Exists),
    reason("EntityAlreadyExistsException", Kind::Conflict, Reason::Exists),
    reason("KMS.DisabledException", Kind::Other, Reason::KeyState),
    reason("KMS.KMSInvalidStateException", Kind::Other, Reason::KeyState),
    reason("KMSInvalidStateException", Kind::Other, Reason::KeyState),
    reason("KMS.NotFoundException", Kind::NotFound, Reason::Key),
    reason("KMSNotFoundException", Kind::NotFound, Reason::Key),
    reason("MalformedPolicyDocument", Kind::Other, Reason::MalformedPolicy),
    reason("MalformedPolicyDocumentException", Kind::Other, Reason::MalformedPolicy),
    reason("MalformedPolicy", Kind::Other, Reason::MalformedPolicy),
    reason("OptInRequired", Kind::Other, Reason::NotSubscribed),
    reason("SubscriptionRequiredException", Kind::Other, Reason::NotSubscribed),
    reason("InvalidObjectState", Kind::Other, Reason::Archived),
    reason("EntityTooLarge", Kind::Other, Reason::TooLarge),
    code("InvalidBucketAclWithObjectOwnership", Kind::Other),
    code("AccessControlListNotSupported", Kind::Other),
    code("InvalidBucketName", Kind::Other),
    code("InvalidAuthorizationMessageException", Kind::Other),
];

/// Codes that are words to others too: taken only where something else shows that AWS is speaking.
pub(crate) const WORDS: &[Code] = &[
    code("Forbidden", Kind::AccessDenied),
    code("ForbiddenException", Kind::AccessDenied),
    code("UnauthorizedException", Kind::AccessDenied),
    reason("NotAuthorizedException", Kind::Authentication, Reason::InvalidCredentials),
    code("NotAuthorized", Kind::AccessDenied),
    reason("InvalidToken", Kind::Authentication, Reason::InvalidCredentials),
    reason("InvalidSecurity", Kind::Authentication, Reason::InvalidCredentials),
    reason("AuthFailure", Kind::Authentication, Reason::InvalidCredentials),
    reason("NotSignedUp", Kind::Authentication, Reason::InvalidCredentials),
    code("ResourceNotFound", Kind::NotFound),
    code("NotFoundException", Kind::NotFound),
    reason("MissingRegion", Kind::Region, Reason::NoRegion),
    code("Throttling", Kind::Throttled),
    code("TooManyRequests", Kind::Throttled),
    code("RequestError", Kind::Network),
    reason("RequestTimeout", Kind::Network, Reason::Timeout),
    reason("RequestTimeoutException", Kind::Network, Reason::Timeout),
    reason("PreconditionFailed", Kind::Conflict, Reason::ConditionFailed),
    reason("OperationAborted", Kind::Conflict, Reason::InUse),
    code("ConflictException", Kind::Conflict),
    reason("DisabledException", Kind::Other, Reason::KeyState),
    reason("NotImplemented", Kind::Other, Reason::Unsupported),
    code("ValidationException", Kind::Other),
    code("ValidationError", Kind::Other),
    code("InternalServerError", Kind::Other),
    code("InternalError", Kind::Other),
    code("ServiceUnavailable", Kind::Other),
    code("LimitExceededException", Kind::Other),
];

/// The row of a code, with or without the side that `CloudTrail` puts before those of EC2.
pub(crate) fn find(code: &str) -> Option<&'static Code> {
    let code = bare(code);
    CODES.iter().chain(WORDS).find(|row| row.name == code)
}

/// Whether hardly anybody but AWS has a code.
pub(crate) fn is_own(code: &str) -> bool {
    CODES.iter().any(|row| row.name == bare(code))
}

/// What a code, or else a status, tells.
pub(crate) fn meaning(code: Option<&str>, status: Option<u16>) -> (Kind, Option<Reason>) {
    if let Some(row) = code.and_then(find) {
        return (row.kind, row.reason);
    }
    // Answers without a body, as to HEAD, have nothing but a status, for which SDKs make up a code.
    let status = match code {
        Some("NotFound" | "Not Found") => Some(404),
        Some("MovedPermanently" | "Moved Permanently") => Some(301),
        Some(code) if code.len() == 3 => code.parse().ok(),
        Some(_) => None,
        None => status,
    };
    match status {
        Some(403) => (Kind::AccessDenied, None),
        Some(404) => (Kind::NotFound, None),
        Some(301 | 307) => (Kind::Region, Some(Reason::WrongRegion)),
        Some(409) => (Kind::Conflict, None),
        Some(412) => (Kind::Conflict, Some(Reason::ConditionFailed)),
        Some(429 | 503) => (Kind::Throttled, None),
        _ => (Kind::Other, None),
    }
}

/// Without the side that is at fault.
pub(crate) fn bare(code: &str) -> &str {
    code.strip_prefix("Client.").or_else(|| code.strip_prefix("Server.")).unwrap_or(code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_code_stands_twice() {
        let all: Vec<&str> = CODES.iter().chain(WORDS).map(|row| row.name).collect();
        for (index, code) in all.iter().enumerate() {
            assert!(!all.iter().skip(index + 1).any(|other| other == code), "{code}");
        }
    }

    #[test]
    fn a_code_counts_more_than_a_status() {
        assert_eq!(meaning(Some("Client.UnauthorizedOperation"), Some(400)).0, Kind::AccessDenied);
        assert_eq!(meaning(Some("ExpiredToken"), Some(403)).0, Kind::Authentication);
        assert_eq!(meaning(Some("SomethingElse"), Some(403)).0, Kind::Other);
        assert_eq!(meaning(Some("Forbidden"), None).0, Kind::AccessDenied);
        assert_eq!(meaning(Some("404"), None).0, Kind::NotFound);
        assert_eq!(meaning(None, Some(403)).0, Kind::AccessDenied);
        assert_eq!(meaning(None, None).0, Kind::Other);
    }
}
