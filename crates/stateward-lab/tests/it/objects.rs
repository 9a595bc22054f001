//! What goes through to the server, and comes back.

use aws_sdk_dynamodb::types::{AttributeValue, Put, TransactWriteItem};
use serde_json::{Value, json};
use stateward_aws::{Failed, Services};
use stateward_testkit::Moto;

use crate::lab::{Lab, ROLE, USER, block_on, everything};

fn lab(policy: &Value) -> Lab {
    Lab::new(&json!({
        "upstream": { "url": Moto::shared().url() },
        "users": [{ "arn": USER, "policies": [policy] }],
    }))
}

/// Allows these actions on everything, as far as a condition holds.
fn allows(actions: &[&str], condition: &Value) -> Value {
    json!({ "Version": "2012-10-17", "Statement": [
        { "Effect": "Allow", "Action": actions, "Resource": "*", "Condition": condition },
    ] })
}

#[test]
fn who_may_not_list_does_not_learn_what_is_not_there() {
    let bucket = Moto::shared().create_bucket();
    let code = |services: &Services| {
        let get = block_on(services.s3.get_object().bucket(&bucket).key("none").send()).expect_err("not there");
        let head = block_on(services.s3.head_object().bucket(&bucket).key("none").send()).expect_err("not there");
        let head = Failed::new("S3: HeadObject", &head);
        (Failed::new("S3: GetObject", &get).code.unwrap_or_default(), head.status.unwrap_or_default())
    };
    let lister = lab(&allows(&["s3:GetObject", "s3:ListBucket"], &json!({})));
    assert_eq!(code(&lister.services(USER)), ("NoSuchKey".to_owned(), 404));
    let reader = lab(&allows(&["s3:GetObject"], &json!({})));
    assert_eq!(code(&reader.services(USER)), ("AccessDenied".to_owned(), 403));
    assert_eq!(reader.decided(), ["+ s3:GetObject", "- s3:ListBucket", "+ s3:GetObject", "- s3:ListBucket"]);
}

#[test]
fn bytes_come_back_as_they_went() {
    let bucket = Moto::shared().create_bucket();
    let lab = lab(&everything());
    let services = lab.services(USER);
    let body: Vec<u8> = (0..100_000_u32).map(|number| number.to_le_bytes()[0]).collect();
    let back = block_on(async {
        let put = services.s3.put_object().bucket(&bucket).key("a b/é+&=~").body(body.clone().into());
        put.send().await.expect("allowed");
        let got = services.s3.get_object().bucket(&bucket).key("a b/é+&=~").send().await.expect("there");
        let listed = services.s3.list_objects_v2().bucket(&bucket).prefix("a b/").send().await.expect("allowed");
        assert_eq!(listed.key_count(), Some(1));
        got.body.collect().await.expect("whole").to_vec()
    });
    assert!(back == body);
    let decisions = lab.running.lab().decisions();
    assert_eq!(decisions[0].resource, format!("arn:aws:s3:::{bucket}/a b/é+&=~"));
    assert!(decisions.iter().map(|decision| decision.number).eq(1..=3), "counted from 1");
    let list = decisions.last().expect("some");
    assert_eq!(list.scenario["request"]["context"]["s3:prefix"], "a b/");
}

#[test]
fn a_policy_of_a_bucket_holds_from_then_on() {
    let bucket = Moto::shared().create_bucket();
    let lab = lab(&everything());
    let s3 = lab.services(USER).s3;
    let deny = json!({ "Statement": {
        "Effect": "Deny", "Principal": "*", "Action": "s3:PutObject", "Resource": format!("arn:aws:s3:::{bucket}/*"),
    } });
    block_on(async {
        s3.put_bucket_policy().bucket(&bucket).policy(deny.to_string()).send().await.expect("allowed");
        let got = s3.get_bucket_policy().bucket(&bucket).send().await.expect("there");
        let got: Value = serde_json::from_str(got.policy().expect("one")).expect("JSON");
        assert_eq!(got, deny);
        let put = s3.put_object().bucket(&bucket).key("a").send().await.expect_err("refused");
        assert!(Failed::new("S3: PutObject", &put).words().contains("explicit deny in a resource-based policy"));
        let wrong = s3.put_bucket_policy().bucket(&bucket).policy("{}").send().await.expect_err("no policy");
        assert_eq!(Failed::new("S3: PutBucketPolicy", &wrong).code.as_deref(), Some("MalformedPolicy"));
        s3.delete_bucket_policy().bucket(&bucket).send().await.expect("allowed");
        s3.put_object().bucket(&bucket).key("a").send().await.expect("allowed again");
    });
}

#[test]
fn items_are_told_apart_by_their_keys() {
    let table = Moto::shared().create_lock_table();
    let only = json!({ "ForAllValues:StringLike": { "dynamodb:LeadingKeys": ["states/*"] } });
    let lab = lab(&allows(&["dynamodb:PutItem", "dynamodb:Query", "dynamodb:BatchWriteItem"], &only));
    // Moto keeps a Region's tables apart, and makes those of the tests in its own.
    let dynamodb = lab.services(USER).dynamodb;
    let region = aws_config::Region::new(stateward_testkit::AwsEnv::REGION);
    let dynamodb = aws_sdk_dynamodb::Client::from_conf(dynamodb.config().to_builder().region(region).build());
    let item = |id: &str| AttributeValue::S(id.to_owned());
    block_on(async {
        let put = |id: &str| dynamodb.put_item().table_name(&table).item("LockID", item(id));
        put("states/a").send().await.expect("allowed");
        put("others/a").send().await.expect_err("refused");
        let query = |id: &str| {
            let query = dynamodb.query().table_name(&table).key_condition_expression("#k = :v");
            query.expression_attribute_names("#k", "LockID").expression_attribute_values(":v", item(id))
        };
        query("states/a").send().await.expect("allowed");
        query("others/a").send().await.expect_err("refused");
        let write = |id: &str| {
            let put = Put::builder().table_name(&table).item("LockID", item(id)).build().expect("whole");
            TransactWriteItem::builder().put(put).build()
        };
        let pair = dynamodb.transact_write_items().transact_items(write("states/b")).transact_items(write("others/b"));
        let failed = Failed::new("DynamoDB: TransactWriteItems", &pair.send().await.expect_err("refused"));
        let denial = failed.problem().and_then(|problem| problem.denial).expect("a denial");
        assert_eq!(denial.action.as_deref(), Some("dynamodb:PutItem"));
    });
    let asked: Vec<String> = lab
        .running
        .lab()
        .decisions()
        .iter()
        .map(|decision| {
            let keys = decision.scenario["request"]["context"]["dynamodb:LeadingKeys"].clone();
            format!("{} {}", decision.action, serde_json::to_string(&keys).expect("JSON"))
        })
        .collect();
    assert_eq!(
        asked,
        [
            r#"dynamodb:PutItem ["states/a"]"#,
            r#"dynamodb:PutItem ["others/a"]"#,
            r#"dynamodb:Query ["states/a"]"#,
            r#"dynamodb:Query ["others/a"]"#,
            r#"dynamodb:PutItem ["states/b"]"#,
            r#"dynamodb:PutItem ["others/b"]"#,
        ]
    );
}

#[test]
fn what_reads_iam_finds_the_principals() {
    let guard = "arn:aws:iam::123456789012:policy/guard";
    let lab = Lab::new(&json!({
        "upstream": { "url": Moto::shared().url() },
        "users": [{ "arn": USER, "policies": [{ "name": "own", "policy": everything() }] }],
        "roles": [{
            "arn": ROLE,
            "trust": { "Statement": { "Effect": "Allow", "Principal": { "AWS": USER }, "Action": "sts:AssumeRole" } },
            "policies": [{ "arn": guard, "policy": everything() }],
        }],
    }));
    let iam = lab.services(USER).iam;
    block_on(async {
        let user = iam.get_user_policy().user_name("ci").policy_name("own").send().await.expect("there");
        assert!(user.policy_document().contains("Allow"), "{user:?}");
        let role = iam.get_role().role_name("deploy").send().await.expect("there");
        assert_eq!(role.role().expect("one").arn(), ROLE);
        let attached = iam.list_attached_role_policies().role_name("deploy").send().await.expect("there");
        let attached = attached.attached_policies().iter().map(|policy| policy.policy_arn().unwrap_or_default());
        assert_eq!(attached.collect::<Vec<_>>(), [guard]);
    });
}

#[test]
fn what_the_lab_does_not_know_is_not_passed_on() {
    let lab = lab(&everything());
    let services = lab.services(USER);
    block_on(async {
        let failed = services.iam.create_user().user_name("new").send().await.expect_err("no such thing here");
        let failed = Failed::new("IAM: CreateUser", &failed);
        assert_eq!((failed.status, failed.code.as_deref()), (Some(501), Some("NotImplemented")));
        let failed = services.trail.describe_trails().send().await.expect_err("no such thing here");
        assert_eq!(Failed::new("CloudTrail: DescribeTrails", &failed).status, Some(501));
    });
}
