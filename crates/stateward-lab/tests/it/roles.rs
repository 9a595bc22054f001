//! Roles and policies that requests make hold from then on.

use serde_json::{Value, json};
use stateward_aws::Failed;
use stateward_lab::Credentials;
use stateward_testkit::{Moto, fresh_name};

use crate::lab::{Lab, USER, block_on, everything, policy, world};

fn config() -> Value {
    json!({ "upstream": { "url": Moto::shared().url() }, "users": [{ "arn": USER, "policies": [everything()] }] })
}

fn trust(principal: &str) -> String {
    let statement = json!({ "Effect": "Allow", "Principal": { "AWS": principal }, "Action": "sts:AssumeRole" });
    json!({ "Version": "2012-10-17", "Statement": [statement] }).to_string()
}

async fn session(lab: &Lab, role: &str) -> Result<Credentials, Failed> {
    let answer = lab.services(USER).sts.assume_role().role_arn(role).role_session_name("run").send().await;
    let given = answer.map_err(|error| Failed::new("STS: AssumeRole", &error))?.credentials.expect("credentials");
    let (access_key, secret_key) = (given.access_key_id, given.secret_access_key);
    Ok(Credentials { access_key, secret_key, token: Some(given.session_token) })
}

/// Whether a session of the role may read an object, and whether it may write one. Nothing is there.
async fn may(lab: &Lab, role: &str) -> (bool, bool) {
    let s3 = lab.services_with(&session(lab, role).await.expect("trusted")).s3;
    let bucket = fresh_name("none");
    let read = s3.get_object().bucket(&bucket).key("a").send().await.expect_err("no bucket");
    let write = s3.put_object().bucket(&bucket).key("a").send().await.expect_err("no bucket");
    let is_allowed = |failed: Failed| failed.code.as_deref() == Some("NoSuchBucket");
    (is_allowed(Failed::new("S3: GetObject", &read)), is_allowed(Failed::new("S3: PutObject", &write)))
}

#[test]
fn a_role_carries_what_was_attached_to_it() {
    let lab = Lab::new(&config());
    let iam = lab.services(USER).iam;
    let [role, managed] = ["role", "policy"].map(fresh_name);
    let (arn, policy_arn) =
        (format!("arn:aws:iam::123456789012:role/{role}"), format!("arn:aws:iam::123456789012:policy/{managed}"));
    let lists = policy("Allow", "s3:ListBucket", "*");
    let reads = |action: &str| {
        json!({ "Version": "2012-10-17", "Statement": [lists["Statement"][0], policy("Allow", action, "*")["Statement"][0]] }).to_string()
    };
    block_on(async {
        let create = iam.create_role().role_name(&role).assume_role_policy_document(trust(USER));
        create.send().await.expect("allowed");
        assert_eq!(may(&lab, &arn).await, (false, false), "it carries nothing yet");
        let create = iam.create_policy().policy_name(&managed).policy_document(reads("s3:GetObject"));
        create.send().await.expect("allowed");
        assert_eq!(may(&lab, &arn).await, (false, false), "it is not attached yet");
        iam.attach_role_policy().role_name(&role).policy_arn(&policy_arn).send().await.expect("allowed");
        assert_eq!(may(&lab, &arn).await, (true, false));
        let version = iam.create_policy_version().policy_arn(&policy_arn).policy_document(reads("s3:PutObject"));
        version.set_as_default(true).send().await.expect("allowed");
        assert_eq!(may(&lab, &arn).await, (false, true));
        let own = iam.put_role_policy().role_name(&role).policy_name("own").policy_document(reads("s3:GetObject"));
        own.send().await.expect("allowed");
        assert_eq!(may(&lab, &arn).await, (true, true));
        // Who is let in later changes nothing about it.
        lab.running.lab().change(world(&config()));
        assert_eq!(may(&lab, &arn).await, (true, true));
        let nobody = trust("arn:aws:iam::123456789012:root").replace("Allow", "Deny");
        iam.update_assume_role_policy().role_name(&role).policy_document(nobody).send().await.expect("allowed");
        session(&lab, &arn).await.expect_err("it trusts nobody");
    });
}

#[test]
fn nobody_is_trusted_who_is_not_there() {
    let lab = Lab::new(&config());
    let services = lab.services(USER);
    let gone = "arn:aws:iam::123456789012:user/gone";
    block_on(async {
        let create = services.iam.create_role().role_name(fresh_name("role")).assume_role_policy_document(trust(gone));
        let failed = Failed::new("IAM: CreateRole", &create.send().await.expect_err("nobody"));
        assert_eq!((failed.status, failed.code.as_deref()), (Some(400), Some("MalformedPolicyDocument")));
        assert!(failed.words().contains(&format!("Invalid principal in policy: \"AWS\":\"{gone}\"")), "{failed}");
        let reads = json!({ "Statement": { "Effect": "Allow", "Principal": { "AWS": gone }, "Action": "s3:GetObject", "Resource": "arn:aws:s3:::states/*" } });
        let put = services.s3.put_bucket_policy().bucket("states").policy(reads.to_string());
        let failed = Failed::new("S3: PutBucketPolicy", &put.send().await.expect_err("nobody"));
        assert_eq!((failed.status, failed.code.as_deref()), (Some(400), Some("MalformedPolicy")));
        assert!(failed.words().contains("Invalid principal in policy"), "{failed}");
    });
}
