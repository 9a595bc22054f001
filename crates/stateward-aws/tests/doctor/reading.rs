//! What the doctor reads of policies, and what it says where it may not.

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_sdk_s3::config::SharedCredentialsProvider;
use serde_json::{Value, json};
use stateward_aws::doctor::{Finding, Status};
use stateward_iam::{Keeping, Layer, Layout, Outcome, Purpose, endpoint_policies, generate};
use stateward_store_aws::{Encryption, Role};
use stateward_testkit::{Moto, Rule};

use crate::denials;
use crate::lab_place::{ACCOUNT, LabPlace, all_but, everything, policy};
use crate::place::{KEY, finding};

/// The right that is refused, and no other one; and what is said of it.
async fn refused(at: &mut LabPlace, number: usize, right: &str, change: impl FnOnce(&mut Value)) -> Finding {
    at.place.credentials = Some(at.keys(number, &at.user(number)));
    at.set(number, change);
    let found = at.place.examine().await;
    let mut fails = found.into_iter().filter(|finding| finding.status == Status::Fail);
    let finding = fails.next().unwrap();
    assert_eq!(finding.check, right, "{finding:#?}");
    assert!(fails.next().is_none());
    finding
}

/// They allow listings of the state's names alone, and so no request that names none.
#[tokio::test]
async fn with_a_generated_policy_nothing_is_missing() {
    let mut at = LabPlace::new();
    let (bucket, table) = (at.place.bucket().to_owned(), at.place.table().to_owned());
    for (number, layout, key) in [(1, Layout::S3, KEY), (2, Layout::Stateward, "net")] {
        let mut keeping = Keeping::new(layout, bucket.as_str(), key);
        keeping.workspaces = true;
        keeping.lock_table = Some(table.clone());
        let generated = serde_json::to_value(generate(&keeping, Purpose::Admin).unwrap()).unwrap();
        at.place.credentials = Some(at.keys(number, &at.user(number)));
        at.set(number, |world| world["users"][0]["policies"] = json!([generated]));
        at.place.target.layout = layout;
        at.place.target.key = key.to_owned();
        let found = at.place.examine().await;
        let open: Vec<_> = found.iter().filter(|finding| finding.status >= Status::Warn).collect();
        assert!(open.is_empty(), "{layout:?}: {open:#?}");
        let right = |right: &str| found.iter().find(|finding| finding.check == right).map(|finding| finding.status);
        assert_eq!(right("right:s3:ListBucket"), Some(Status::Ok), "{layout:?}");
        assert_eq!(right("bucket-exists"), Some(Status::Ok), "{layout:?}");
    }
}

fn in_organization(world: &mut Value, scps: &Value) {
    world["accounts"][ACCOUNT] = json!({ "organization": "o-lab", "scps": scps });
}

#[tokio::test]
async fn the_organization() {
    let mut at = LabPlace::new();
    let put = "right:dynamodb:PutItem";
    let guarded = || json!([[everything()], [everything()], [everything(), policy("Deny", "dynamodb:PutItem")]]);

    let read = refused(&mut at, 1, put, |world| in_organization(world, &guarded())).await;
    let offline = read.offline.unwrap();
    assert_eq!((offline.decision, offline.layer), (Outcome::ExplicitDeny, Some(Layer::Scp)));
    assert_eq!(offline.unread, Vec::<String>::new());

    let not_read = refused(&mut at, 2, put, |world| {
        in_organization(world, &guarded());
        world["users"][0]["policies"] = json!([all_but("organizations:*")]);
    })
    .await;
    let offline = not_read.offline.unwrap();
    assert_eq!(offline.decision, Outcome::Allowed);
    let unread = "the policies of the organization (`organizations:DescribeOrganization` is refused)";
    assert_eq!(offline.unread, [unread]);
    let why = not_read.why.unwrap();
    assert!(why.contains("unlike what was seen") && why.ends_with(&format!("not read: {unread}")), "{why}");

    // A level without an allow refuses, however much the others allow.
    let lacking = json!([[everything()], [all_but("dynamodb:PutItem")]]);
    let implicit = refused(&mut at, 3, put, |world| in_organization(world, &lacking)).await.offline.unwrap();
    assert_eq!((implicit.decision, implicit.layer), (Outcome::ImplicitDeny, Some(Layer::Scp)));
}

/// Its management account is spared by the organization, and so is whoever is in none.
#[tokio::test]
async fn where_no_organization_has_a_say() {
    let mut at = LabPlace::new();
    for (number, account) in [
        (1, json!({})),
        (2, json!({ "organization": "o-lab", "management": true, "scps": [[policy("Deny", "dynamodb:*")]] })),
        (3, json!({ "organization": "o-lab" })),
    ] {
        let finding = refused(&mut at, number, "right:dynamodb:PutItem", |world| {
            world["accounts"][ACCOUNT] = account;
            world["users"][0]["policies"] = json!([all_but("dynamodb:PutItem")]);
        })
        .await;
        let offline = finding.offline.unwrap();
        assert_eq!((offline.decision, offline.layer), (Outcome::ImplicitDeny, Some(Layer::Identity)), "{number}");
        assert_eq!(offline.unread, Vec::<String>::new(), "{number}");
    }
}

/// Who may read no policy is told so, and nothing fails for it.
#[tokio::test]
async fn who_may_read_nothing() {
    let mut at = LabPlace::new();
    at.place.credentials = Some(at.keys(1, &at.user(1)));
    let silent = json!({ "Version": "2012-10-17", "Statement": [
        { "Effect": "Deny", "Action": ["iam:*", "organizations:*", "dynamodb:GetResourcePolicy", "s3:GetBucketPolicy"], "Resource": "*" },
        { "Effect": "Allow", "Action": "*", "Resource": "*" },
    ] });
    at.set(1, |world| world["users"][0]["policies"] = json!([silent]));
    let found = at.place.examine().await;
    let told: Vec<_> = found.iter().filter(|finding| finding.status >= Status::Warn).collect();
    assert!(told.is_empty(), "{told:#?}");
    assert!(found.iter().all(|finding| finding.offline.is_none()));
}

/// Whether a condition is met is not known, and that it was refused tells.
#[tokio::test]
async fn what_a_deny_asks_for() {
    let mut at = LabPlace::new();
    let mut guard = policy("Deny", "dynamodb:PutItem");
    guard["Statement"][0]["Condition"] = json!({ "BoolIfExists": { "aws:MultiFactorAuthPresent": "false" } });
    let finding = refused(&mut at, 1, "right:dynamodb:PutItem", |world| {
        world["users"][0]["policies"] = json!([everything(), guard]);
    })
    .await;
    let offline = finding.offline.unwrap();
    assert_eq!(offline.decision, Outcome::Depends);
    assert_eq!(offline.depends_on, ["aws:MultiFactorAuthPresent"]);
    let (why, fix) = (finding.why.unwrap(), finding.fix.unwrap());
    assert!(
        why.contains("leave it open (Own of users-0-.policies-1-): it depends on `aws:MultiFactorAuthPresent`"),
        "{why}"
    );
    assert!(fix.ends_with("asks for: a session that was opened with MFA; keys of a user have none."), "{fix}");
}

/// The statement was read: what others usually ask for is not told.
#[tokio::test]
async fn a_deny_that_asks_for_nothing() {
    let mut at = LabPlace::new();
    let finding = refused(&mut at, 1, "right:dynamodb:PutItem", |world| {
        world["users"][0]["policies"] = json!([everything(), policy("Deny", "dynamodb:PutItem")]);
    })
    .await;
    let fix = finding.fix.unwrap();
    assert!(fix.starts_with("have Own of users-0-.policies-1- changed"), "{fix}");
    assert!(finding.steps.iter().all(|step| !step.step.contains("MFA")), "{:?}", finding.steps);
}

/// What the backend block opens a session with is known.
#[tokio::test]
async fn the_session_policy_of_the_backend_block() {
    let mut at = LabPlace::new();
    at.place.target.access.role =
        Some(Role { arn: at.role(1), policy: Some(all_but("dynamodb:PutItem").to_string()), ..Role::default() });
    let finding = refused(&mut at, 1, "right:dynamodb:PutItem", |_| {}).await;
    assert_eq!(finding.denial.unwrap().layer, stateward_denial::Layer::Session);
    let offline = finding.offline.unwrap();
    assert_eq!((offline.decision, offline.layer), (Outcome::ImplicitDeny, Some(Layer::Session)));
    assert_eq!(offline.unread, Vec::<String>::new());
}

#[tokio::test]
async fn the_policy_of_the_key() {
    let mut at = LabPlace::new();
    let key = made_key().await;
    at.place.target.objects.encryption = Encryption::Kms { key: key.clone() };
    at.place.target.lock_table = None;
    at.place.target.use_lockfile = true;
    let of_key = |actions: &[&str]| {
        let root = format!("arn:aws:iam::{ACCOUNT}:root");
        json!({ "Statement": { "Effect": "Allow", "Principal": { "AWS": root }, "Action": actions, "Resource": "*" } })
    };
    let right = "right:kms:GenerateDataKey";
    let read = refused(&mut at, 1, right, |world| {
        world["keys"] = json!([{ "arn": key, "policy": of_key(&["kms:DescribeKey", "kms:GetKeyPolicy"]) }]);
    })
    .await;
    let offline = read.offline.unwrap();
    assert_eq!((offline.decision, offline.layer), (Outcome::ImplicitDeny, Some(Layer::Resource)));

    let not_read = refused(&mut at, 2, right, |world| {
        world["keys"] = json!([{ "arn": key, "policy": of_key(&["kms:DescribeKey"]) }]);
    })
    .await;
    let offline = not_read.offline.unwrap();
    assert_eq!(offline.unread, ["the key's policy (`kms:GetKeyPolicy` is refused)"]);
    // What is not known is taken to be as AWS makes it.
    assert_eq!(offline.decision, Outcome::Allowed);
    assert!(not_read.why.unwrap().contains("unlike what was seen"));
}

/// Nobody can read it but who may ask EC2, so it is given; that of S3 says nothing of tables.
#[tokio::test]
async fn the_policy_of_the_vpc_endpoint() {
    let mut at = LabPlace::new();
    let put = "right:dynamodb:PutItem";
    let for_everybody = |mut document: Value| {
        for statement in document["Statement"].as_array_mut().unwrap() {
            statement["Principal"] = json!("*");
        }
        document
    };
    let of_table = for_everybody(all_but("dynamodb:PutItem"));
    let endpoint = |id: &str, service: &str, document: &Value| json!({ "VpcEndpointId": id, "ServiceName": format!("com.amazonaws.us-east-1.{service}"), "PolicyDocument": document.to_string() });
    let of_bucket = endpoint("vpce-2", "s3", &for_everybody(policy("Allow", "s3:*")));
    let given = |endpoints: &[&Value], at: &LabPlace| {
        let printed = json!({ "VpcEndpoints": endpoints }).to_string();
        Some(endpoint_policies(&[("vpce.json", &printed)], &at.place.target.services()).unwrap())
    };
    at.place.vpc_endpoint = given(&[&of_bucket, &endpoint("vpce-1", "dynamodb", &of_table)], &at);
    let read = refused(&mut at, 1, put, |world| {
        world["vpc_endpoint"] = json!({ "id": "vpce-1", "policy": of_table });
    })
    .await;
    let offline = read.offline.unwrap();
    assert_eq!((offline.decision, offline.layer), (Outcome::ImplicitDeny, Some(Layer::VpcEndpoint)));
    assert_eq!(offline.unread, Vec::<String>::new());

    at.place.vpc_endpoint = given(&[&of_bucket], &at);
    let not_given = refused(&mut at, 2, put, |world| {
        world["vpc_endpoint"] = json!({ "id": "vpce-1", "policy": of_table });
    })
    .await;
    let offline = not_given.offline.unwrap();
    assert_eq!(offline.decision, Outcome::Allowed);
    let unread = "the policy of a VPC endpoint of `dynamodb`, if there is one (`--vpc-endpoint` has none of it)";
    assert_eq!(offline.unread, [unread]);
    let why = not_given.why.unwrap();
    assert!(why.ends_with(&format!("not read: {unread}")), "{why}");

    // Nobody says which layer it was, and the policies that were read allow it: one that stands in the routes is not to be seen.
    at.place.vpc_endpoint = None;
    at.place.credentials = Some(at.keys(3, &at.user(3)));
    at.set(3, |_| ());
    let no_reason = denials::dynamodb("dynamodb:PutItem", "");
    at.place.proxy.inject(Rule::new(no_reason).operation("PutItem"));
    let found = at.place.examine().await;
    let offline = finding(&found, put).offline.as_ref().unwrap();
    assert_eq!(offline.decision, Outcome::Allowed);
    let told = offline
        .unread
        .iter()
        .any(|unread| unread.starts_with("the policy of a VPC endpoint of `dynamodb`, if there is one on the way"));
    assert!(told, "{:?}", offline.unread);
}

/// A key that moto has.
pub(crate) async fn made_key() -> String {
    let made = kms().create_key().send().await.unwrap();
    made.key_metadata.and_then(|key| key.arn).unwrap()
}

/// KMS, past what is planted.
pub(crate) fn kms() -> aws_sdk_kms::Client {
    let configuration = SdkConfig::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .endpoint_url(Moto::shared().url())
        .region(Region::new("us-east-1"))
        .credentials_provider(SharedCredentialsProvider::new(Credentials::for_tests()))
        .build();
    aws_sdk_kms::Client::new(&configuration)
}

/// A session is limited by policies that are named by their ARNs, too.
#[tokio::test]
async fn the_session_policies_that_the_backend_block_names() {
    let mut at = LabPlace::new();
    let name = stateward_testkit::fresh_name("limit");
    let arn = format!("arn:aws:iam::{ACCOUNT}:policy/{name}");
    let made = json!({"service": "iam", "operation": "CreatePolicy", "parameters": {
        "PolicyName": name, "PolicyDocument": all_but("dynamodb:PutItem").to_string(),
    }});
    Moto::shared().send_all(&stateward_testkit::TestDir::new(), &json!({"items": [made]}).to_string());
    at.place.target.access.role = Some(Role { arn: at.role(1), policy_arns: vec![arn.clone()], ..Role::default() });
    at.set(1, |_| {});
    at.place.credentials = Some(at.keys(1, &at.user(1)));
    let found = at.place.examine().await;
    // The lab was not told of them, and so the two differ.
    let told = finding(&found, "right:dynamodb:PutItem");
    let offline = told.offline.as_ref().unwrap();
    assert_eq!((offline.decision, offline.layer), (Outcome::ImplicitDeny, Some(Layer::Session)));
    assert_eq!(offline.unread, Vec::<String>::new());
    assert_eq!(finding(&found, "right:dynamodb:DeleteItem").offline.as_ref().unwrap().decision, Outcome::Allowed);

    at.place.target.access.role.as_mut().unwrap().policy_arns = vec![format!("{arn}-gone")];
    let found = at.place.examine().await;
    let unread = &finding(&found, "right:dynamodb:PutItem").offline.as_ref().unwrap().unread;
    assert!(unread.iter().any(|unread| unread.starts_with("the session policy (")), "{unread:?}");
}
