//! Roles are assumed as their trust policies and the caller's own policies allow.

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
        "users": [{ "arn": USER, "policies": [own] }],
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
