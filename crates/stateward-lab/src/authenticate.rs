//! Who makes a request, or how AWS says that it does not know.

use jiff::{SignedDuration, Timestamp};

use crate::answer::Refused;
use crate::ask::Service;
use crate::caller::Caller;
use crate::incoming::Incoming;
use crate::sign::Claim;
use crate::web_identity;
use crate::world::{Credentials, Session, World};

/// How far clocks may differ.
const SKEW_OF_S3: SignedDuration = SignedDuration::from_mins(15);
const SKEW: SignedDuration = SignedDuration::from_mins(5);

const WRONG_SIGNATURE: &str = "The request signature we calculated does not match the signature you provided.";

/// Who signed a request.
pub(crate) fn authenticate(
    service: Service,
    claim: Option<&Claim>,
    request: &Incoming,
    world: &World,
    sessions: &[Session],
    now: Timestamp,
) -> Result<Caller, Refused> {
    let Some(claim) = claim else {
        let with_token = if service == Service::Sts { web_identity::caller(request, world, now) } else { None };
        return with_token.unwrap_or_else(|| unsigned(service));
    };
    let user = world.users.iter().find(|user| user.credentials.access_key == claim.access_key);
    let mut all = world.sessions.iter().chain(sessions);
    let session = all.find(|session| session.credentials.access_key == claim.access_key);
    let credentials = user.map(|user| &user.credentials).or(session.map(|session| &session.credentials));
    let Some(credentials) = credentials else { return Err(unknown_key(service, &claim.access_key)) };
    check_token(service, credentials, claim)?;
    check_clock(service, claim, now)?;
    if !claim.is_by(credentials, request) {
        return Err(wrong_signature(service));
    }
    if let Some(user) = user {
        return Ok(Caller::user(user));
    }
    match session {
        Some(session) if session.expires <= now => Err(expired(service)),
        // A session outlives its role; whoever has it may do nothing.
        Some(session) => Caller::session(session, world).ok_or_else(|| unknown_key(service, &claim.access_key)),
        None => Err(unknown_key(service, &claim.access_key)),
    }
}

/// Nobody signed.
fn unsigned(service: Service) -> Result<Caller, Refused> {
    let message = "Request is missing Authentication Token";
    match service {
        Service::S3 => Ok(Caller::anonymous()),
        Service::Dynamodb | Service::Kms | Service::Organizations => {
            Err(Refused::new(400, "MissingAuthenticationTokenException", message))
        }
        Service::Sts | Service::Iam => Err(Refused::new(403, "MissingAuthenticationToken", message)),
    }
}

/// A header that is none of a signature.
pub(crate) fn malformed(service: Service) -> Refused {
    match service {
        Service::S3 => Refused::new(
            400,
            "AuthorizationHeaderMalformed",
            "The authorization header that you provided is not valid.",
        ),
        Service::Dynamodb | Service::Kms | Service::Organizations => Refused::new(
            400,
            "IncompleteSignatureException",
            "Authorization header requires 'Credential' parameter. Authorization header requires 'Signature' parameter.",
        ),
        Service::Sts | Service::Iam => Refused::new(
            400,
            "IncompleteSignature",
            "Authorization header requires 'Credential' parameter. Authorization header requires 'Signature' parameter.",
        ),
    }
}

fn unknown_key(service: Service, access_key: &str) -> Refused {
    let message = "The security token included in the request is invalid.";
    match service {
        Service::S3 => Refused {
            details: vec![("AWSAccessKeyId", access_key.to_owned())],
            ..Refused::new(
                403,
                "InvalidAccessKeyId",
                "The AWS Access Key Id you provided does not exist in our records.",
            )
        },
        Service::Dynamodb | Service::Kms | Service::Organizations => {
            Refused::new(400, "UnrecognizedClientException", message)
        }
        Service::Sts | Service::Iam => Refused::new(403, "InvalidClientTokenId", message),
    }
}

fn wrong_signature(service: Service) -> Refused {
    let long = format!(
        "{WRONG_SIGNATURE} Check your AWS Secret Access Key and signing method. Consult the service documentation for details."
    );
    match service {
        Service::S3 => {
            Refused::new(403, "SignatureDoesNotMatch", format!("{WRONG_SIGNATURE} Check your key and signing method."))
        }
        Service::Dynamodb | Service::Kms | Service::Organizations => {
            Refused::new(400, "InvalidSignatureException", long)
        }
        Service::Sts | Service::Iam => Refused::new(403, "SignatureDoesNotMatch", long),
    }
}

fn expired(service: Service) -> Refused {
    let message = "The security token included in the request is expired";
    match service {
        Service::S3 => Refused::new(400, "ExpiredToken", "The provided token has expired."),
        Service::Dynamodb | Service::Kms | Service::Organizations => {
            Refused::new(400, "ExpiredTokenException", message)
        }
        Service::Sts | Service::Iam => Refused::new(403, "ExpiredToken", message),
    }
}

/// Temporary credentials come with their token, others without.
fn check_token(service: Service, credentials: &Credentials, claim: &Claim) -> Result<(), Refused> {
    if credentials.token == claim.token {
        return Ok(());
    }
    match (service, &claim.token) {
        (Service::S3, Some(_)) => {
            Err(Refused::new(400, "InvalidToken", "The provided token is malformed or otherwise invalid."))
        }
        _ => Err(unknown_key(service, &claim.access_key)),
    }
}

fn check_clock(service: Service, claim: &Claim, now: Timestamp) -> Result<(), Refused> {
    let ahead = claim.time.duration_since(now);
    let limit = if service == Service::S3 { SKEW_OF_S3 } else { SKEW };
    if ahead.abs() <= limit {
        return Ok(());
    }
    if service == Service::S3 {
        let details = vec![
            ("RequestTime", claim.time.strftime("%Y%m%dT%H%M%SZ").to_string()),
            ("ServerTime", crate::caller::second(now)),
            ("MaxAllowedSkewMilliseconds", limit.as_millis().to_string()),
        ];
        let message = "The difference between the request time and the current time is too large.";
        return Err(Refused { details, ..Refused::new(403, "RequestTimeTooSkewed", message) });
    }
    let text = |time: Timestamp| time.strftime("%Y%m%dT%H%M%SZ").to_string();
    let (signed, server) = (text(claim.time), text(now));
    let message = if ahead.is_negative() {
        let edge = now.checked_sub(SKEW).map(text).unwrap_or_default();
        format!("Signature expired: {signed} is now earlier than {edge} ({server} - 5 min.)")
    } else {
        let edge = now.checked_add(SKEW).map(text).unwrap_or_default();
        format!("Signature not yet current: {signed} is still later than {edge} ({server} + 5 min.)")
    };
    Err(match service {
        Service::Sts | Service::Iam => Refused::new(403, "SignatureDoesNotMatch", message),
        _ => Refused::new(400, "InvalidSignatureException", message),
    })
}
