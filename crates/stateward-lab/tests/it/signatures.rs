//! Who cannot say who they are is told so in each service's own words.

use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use stateward_aws::{Failed, Services};
use stateward_denial::Reason;
use stateward_lab::Credentials;

use crate::lab::{Lab, ROLE, USER, block_on, everything};

fn lab() -> Lab {
    let policies = [everything()];
    Lab::new(&json!({
        "users": [{ "arn": USER, "policies": policies }],
        "roles": [{ "arn": ROLE, "policies": policies }],
        "sessions": [{ "role": ROLE, "name": "old", "expires": "2026-01-01T00:00:00Z" }],
    }))
}

/// `CODE status` of each service, and what is made of it.
fn failures(services: &Services) -> Vec<(String, Option<Reason>)> {
    let told = |failed: Failed| {
        let code = failed.code.clone().unwrap_or_default();
        let problem = failed.problem().expect("known");
        (format!("{code} {}", failed.status.unwrap_or_default()), problem.failure.and_then(|failure| failure.reason))
    };
    block_on(async {
        let s3 = services.s3.get_object().bucket("states").key("a").send().await.expect_err("refused");
        let items = services.dynamodb.get_item().table_name("locks").key("LockID", string("a"));
        let dynamodb = items.send().await.expect_err("refused");
        let kms = services.kms.describe_key().key_id("alias/states").send().await.expect_err("refused");
        let sts = services.sts.get_caller_identity().send().await.expect_err("refused");
        vec![
            told(Failed::new("S3: GetObject", &s3)),
            told(Failed::new("DynamoDB: GetItem", &dynamodb)),
            told(Failed::new("KMS: DescribeKey", &kms)),
            told(Failed::new("STS: GetCallerIdentity", &sts)),
        ]
    })
}

fn string(text: &str) -> aws_sdk_dynamodb::types::AttributeValue {
    aws_sdk_dynamodb::types::AttributeValue::S(text.to_owned())
}

#[track_caller]
fn check(services: &Services, codes: [&str; 4], reason: Reason) {
    let expected: Vec<_> = codes.iter().map(|code| ((*code).to_owned(), Some(reason))).collect();
    assert_eq!(failures(services), expected);
}

#[test]
fn a_key_that_nobody_has() {
    let lab = lab();
    let keys = Credentials { access_key: "AKIANOBODY".to_owned(), ..lab.keys(USER) };
    check(
        &lab.services_with(&keys),
        [
            "InvalidAccessKeyId 403",
            "UnrecognizedClientException 400",
            "UnrecognizedClientException 400",
            "InvalidClientTokenId 403",
        ],
        Reason::InvalidCredentials,
    );
    assert!(lab.running.lab().decisions().iter().all(|decision| decision.decision.is_none()));
}

#[test]
fn a_secret_that_does_not_fit() {
    let lab = lab();
    let keys = Credentials { secret_key: "wrong".to_owned(), ..lab.keys(USER) };
    check(
        &lab.services_with(&keys),
        [
            "SignatureDoesNotMatch 403",
            "InvalidSignatureException 400",
            "InvalidSignatureException 400",
            "SignatureDoesNotMatch 403",
        ],
        Reason::BadSignature,
    );
}

#[test]
fn a_session_that_is_over() {
    let lab = lab();
    let session = "arn:aws:sts::123456789012:assumed-role/deploy/old";
    check(
        &lab.services(session),
        ["ExpiredToken 400", "ExpiredTokenException 400", "ExpiredTokenException 400", "ExpiredToken 403"],
        Reason::ExpiredCredentials,
    );
}

#[test]
fn temporary_credentials_without_their_token() {
    let lab = lab();
    let keys = lab.keys("arn:aws:sts::123456789012:assumed-role/deploy/old");
    let codes = [
        "InvalidAccessKeyId 403",
        "UnrecognizedClientException 400",
        "UnrecognizedClientException 400",
        "InvalidClientTokenId 403",
    ];
    let bare = Credentials { token: None, ..keys.clone() };
    check(&lab.services_with(&bare), codes, Reason::InvalidCredentials);
    let forged = Credentials { token: Some("forged".to_owned()), ..keys };
    let codes = ["InvalidToken 400", codes[1], codes[2], codes[3]];
    check(&lab.services_with(&forged), codes, Reason::InvalidCredentials);
}

#[test]
fn a_clock_that_is_wrong() {
    let lab = lab();
    #[expect(clippy::disallowed_methods, reason = "the SDK signs with the real time")]
    let now = Timestamp::now();
    let minutes = SignedDuration::from_mins(20);
    for (ahead, words) in [(minutes, "Signature expired: "), (-minutes, "Signature not yet current: ")] {
        lab.set_clock(now + ahead);
        let services = lab.services(USER);
        let failures = failures(&services);
        let codes: Vec<&str> = failures.iter().map(|(code, _)| code.as_str()).collect();
        assert_eq!(
            codes,
            [
                "RequestTimeTooSkewed 403",
                "InvalidSignatureException 400",
                "InvalidSignatureException 400",
                "SignatureDoesNotMatch 403",
            ]
        );
        assert_eq!(failures[0].1, Some(Reason::ClockSkew));
        // The others have no code of their own for it.
        let failed = block_on(services.sts.get_caller_identity().send()).expect_err("refused");
        let failed = Failed::new("STS: GetCallerIdentity", &failed);
        assert!(failed.words().contains(words), "{failed}");
    }
    // S3 is more patient than the others.
    lab.set_clock(now + SignedDuration::from_mins(10));
    let first = failures_of_s3(&lab.services(USER));
    assert_eq!(first, Some("ServiceUnavailable".to_owned()), "allowed, and there is nobody to do it");
}

fn failures_of_s3(services: &Services) -> Option<String> {
    let failed = block_on(services.s3.get_object().bucket("states").key("a").send()).expect_err("refused");
    Failed::new("S3: GetObject", &failed).code
}
