//! Roles are assumed as their trust policies and the caller's own policies allow.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use serde_json::{Value, json};
use stateward_aws::Failed;
use stateward_denial::{Effect, Layer};
use stateward_lab::Credentials;

use crate::lab::{Lab, ROLE, USER, block_on, everything, policy};

fn trusts(principal: &str, condition: &Value) -> Value {
    json!({ "Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Principal": { "AWS": principal }, "Action": "sts:AssumeRole", "Condition": condition,
    }] })
}

fn lab(own: &Value, trust: &Value) -> Lab {
    Lab::new(&json!({
        "users": [{ "arn": USER, "policies": [own] }, { "arn": "arn:aws:iam::123456789012:user/other" }],
        "roles": [{ "arn": ROLE, "trust": trust, "policies": [policy("Allow", "s3:*", "*")] }],
    }))
}

async fn assume(lab: &Lab, external_id: Option<&str>, session_policy: Option<&Value>) -> Result<Credentials, Failed> {
    let sts = lab.services(USER).sts;
    let request =
        sts.assume_role().role_arn(ROLE).role_session_name("run").set_external_id(external_id.map(str::to_owned));
    let request = request.set_policy(session_policy.map(Value::to_string));
    let answer = request.send().await.map_err(|error| Failed::new("STS: AssumeRole", &error))?;
    let given = answer.credentials.expect("credentials");
    Ok(Credentials {
        access_key: given.access_key_id,
        secret_key: given.secret_access_key,
        token: Some(given.session_token),
    })
}

#[test]
fn a_session_works_as_its_role() {
    let lab = lab(&policy("Allow", "sts:AssumeRole", ROLE), &trusts("123456789012", &json!({})));
    block_on(async {
        let services = lab.services_with(&assume(&lab, None, None).await.expect("trusted"));
        let who = services.sts.get_caller_identity().send().await.expect("always");
        assert_eq!(who.arn(), Some("arn:aws:sts::123456789012:assumed-role/deploy/run"));
        assert!(who.user_id().expect("one").ends_with(":run"));
        services.s3.put_object().bucket("states").key("a").send().await.expect_err("no upstream");
        services.dynamodb.describe_table().table_name("locks").send().await.expect_err("refused");
    });
    assert_eq!(
        lab.decided(),
        ["+ sts:AssumeRole", "+ sts:GetCallerIdentity", "+ s3:PutObject", "- dynamodb:DescribeTable"]
    );
    let decisions = lab.running.lab().decisions();
    // The role's path, which the session's ARN does not tell, is there for conditions.
    assert_eq!(decisions[2].scenario["request"]["context"]["aws:PrincipalArn"], ROLE);
}

#[test]
fn a_session_policy_limits() {
    let lab = lab(&everything(), &trusts(USER, &json!({})));
    let failed = block_on(async {
        let keys = assume(&lab, None, Some(&policy("Allow", "s3:GetObject", "*"))).await.expect("trusted");
        let put = lab.services_with(&keys).s3.put_object().bucket("states").key("a").send().await;
        Failed::new("S3: PutObject", &put.expect_err("refused"))
    });
    let denial = failed.problem().and_then(|problem| problem.denial).expect("a denial");
    assert_eq!((denial.layer, denial.effect), (Layer::Session, Effect::Implicit));
}

#[test]
fn who_is_not_trusted() {
    let external = json!({ "StringEquals": { "sts:ExternalId": "secret" } });
    for (own, trust, id, expected) in [
        (everything(), trusts("arn:aws:iam::123456789012:user/other", &json!({})), None, Some(Layer::Trust)),
        (everything(), trusts(USER, &external), None, Some(Layer::Trust)),
        (everything(), trusts(USER, &external), Some("secret"), None),
        (policy("Allow", "s3:*", "*"), trusts("123456789012", &json!({})), None, Some(Layer::Identity)),
        // To be named oneself is enough.
        (policy("Allow", "s3:*", "*"), trusts(USER, &json!({})), None, None),
    ] {
        let lab = lab(&own, &trust);
        let assumed = block_on(assume(&lab, id, None));
        let denial =
            assumed.as_ref().err().map(|failed| failed.problem().and_then(|own| own.denial).expect("a denial"));
        assert_eq!(denial.as_ref().map(|denial| denial.layer), expected, "{own} {trust}");
        assert_eq!(denial.and_then(|denial| denial.resource), expected.map(|_| ROLE.to_owned()));
    }
}

const PROVIDER: &str = "arn:aws:iam::123456789012:oidc-provider/token.actions.githubusercontent.com";
const SUBJECT: &str = "repo:acme/network:ref:refs/heads/main";

/// A token as a provider gives it, but for its signature.
fn token(claims: &Value) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}.c2ln", part(&json!({ "alg": "RS256" })), part(claims))
}

fn claims(subject: &str) -> Value {
    #[expect(clippy::disallowed_methods, reason = "the lab's clock is the real one")]
    let expires = Timestamp::now().as_second() + 300;
    json!({ "iss": "https://token.actions.githubusercontent.com", "aud": "sts.amazonaws.com", "sub": subject, "exp": expires })
}

/// A lab whose role trusts runs on the main branch, as GitHub tells them.
fn lab_of_runs() -> Lab {
    let condition = json!({
        "StringEquals": { "token.actions.githubusercontent.com:aud": "sts.amazonaws.com" },
        "StringLike": { "token.actions.githubusercontent.com:sub": "repo:acme/network:ref:refs/heads/*" },
    });
    let trust = json!({ "Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Principal": { "Federated": PROVIDER }, "Action": "sts:AssumeRoleWithWebIdentity", "Condition": condition,
    }] });
    let of_subject = json!({ "Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Action": "s3:*", "Resource": "*",
        "Condition": { "StringEquals": { "token.actions.githubusercontent.com:sub": SUBJECT } },
    }] });
    Lab::new(&json!({
        "providers": [{ "arn": PROVIDER }],
        "users": [{ "arn": USER, "policies": [everything()] }],
        "roles": [{ "arn": ROLE, "trust": trust, "policies": [of_subject] }],
    }))
}

/// As one who has no keys.
async fn assume_with(lab: &Lab, role: &str, token: &str) -> Result<(Option<String>, Credentials), Failed> {
    let request = lab.services(USER).sts.assume_role_with_web_identity().role_arn(role).role_session_name("run");
    let answer = request.web_identity_token(token).send().await;
    let answer = answer.map_err(|error| Failed::new("STS: AssumeRoleWithWebIdentity", &error))?;
    let given = answer.credentials.expect("credentials");
    let keys = Credentials {
        access_key: given.access_key_id,
        secret_key: given.secret_access_key,
        token: Some(given.session_token),
    };
    Ok((answer.subject_from_web_identity_token, keys))
}

#[test]
fn a_token_of_a_provider_gives_a_session() {
    let lab = lab_of_runs();
    block_on(async {
        let (subject, keys) = assume_with(&lab, ROLE, &token(&claims(SUBJECT))).await.expect("trusted");
        assert_eq!(subject.as_deref(), Some(SUBJECT));
        let services = lab.services_with(&keys);
        let who = services.sts.get_caller_identity().send().await.expect("always");
        assert_eq!(who.arn(), Some("arn:aws:sts::123456789012:assumed-role/deploy/run"));
        services.s3.put_object().bucket("states").key("a").send().await.expect_err("no upstream");
        // Another branch is trusted too, and the role's own policy asks whose session it is.
        let other = token(&claims("repo:acme/network:ref:refs/heads/other"));
        let (_, keys) = assume_with(&lab, ROLE, &other).await.expect("trusted");
        lab.services_with(&keys).s3.put_object().bucket("states").key("a").send().await.expect_err("refused");
    });
    let assumed = "+ sts:AssumeRoleWithWebIdentity";
    let expected = [assumed, "+ sts:GetCallerIdentity", "+ s3:PutObject", assumed, "- s3:PutObject"];
    assert_eq!(lab.decided(), expected);
    assert_eq!(lab.running.lab().decisions()[0].principal, PROVIDER);
}

#[test]
fn a_token_that_is_not_taken() {
    let with = |name: &str, value: Value| {
        let mut claims = claims(SUBJECT);
        claims[name] = value;
        token(&claims)
    };
    let elsewhere = "arn:aws:iam::999988887777:role/deploy";
    for (role, token, status, code, words) in [
        (
            ROLE,
            token(&claims("repo:acme/other:ref:refs/heads/main")),
            403,
            "AccessDenied",
            "Not authorized to perform sts:AssumeRoleWithWebIdentity",
        ),
        (
            ROLE,
            token(&claims("repo:acme/network:pull_request")),
            403,
            "AccessDenied",
            "Not authorized to perform sts:AssumeRoleWithWebIdentity",
        ),
        (
            ROLE,
            with("aud", json!(["somebody.else", "sts.amazonaws.com"])),
            400,
            "InvalidIdentityToken",
            "Incorrect token audience",
        ),
        (
            ROLE,
            with("iss", json!("https://gitlab.example")),
            400,
            "InvalidIdentityToken",
            "No OpenIDConnect provider found in your account for https://gitlab.example",
        ),
        (
            elsewhere,
            token(&claims(SUBJECT)),
            400,
            "InvalidIdentityToken",
            "No OpenIDConnect provider found in your account for https://token.actions.githubusercontent.com",
        ),
        (
            ROLE,
            with("exp", json!(1)),
            400,
            "ExpiredTokenException",
            "Token expired: current date/time must be before the expiration date/time",
        ),
        (ROLE, "no.token".to_owned(), 400, "InvalidIdentityToken", "The ID Token provided is not a valid JWT"),
    ] {
        let lab = lab_of_runs();
        let failed = block_on(assume_with(&lab, role, &token)).expect_err(words);
        assert_eq!((failed.status, failed.code.as_deref()), (Some(status), Some(code)), "{failed}");
        assert!(failed.words().contains(words), "{failed}");
        assert!(failed.problem().is_some(), "it is known: {failed}");
    }
}
