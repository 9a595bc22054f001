//! What was there before, and what AWS refuses.

use std::io::Read;
use std::net::TcpListener;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use aws_credential_types::Credentials;
use aws_sdk_kms::types::{KeySpec, KeyUsageType, Tag as KeyTag};
use aws_sdk_s3::config::SharedCredentialsProvider;
use aws_sdk_s3::types::{
    AccessControlPolicy, BucketVersioningStatus, Destination, ExpirationStatus, Grant, Grantee, LifecycleRule,
    LifecycleRuleFilter, Permission, PublicAccessBlockConfiguration, ReplicationConfiguration, ReplicationRule,
    ReplicationRuleFilter, ReplicationRuleStatus, ServerSideEncryption, ServerSideEncryptionByDefault,
    ServerSideEncryptionConfiguration, ServerSideEncryptionRule, Tag, Tagging, Type, VersioningConfiguration,
};
use jiff::Timestamp;
use serde_json::{Value, json};
use stateward_aws::setup::{self, Action, ApplyError, Item, TAG, Wanted, WantedKey};
use stateward_aws::{Layout, Services};
use stateward_denial::{Kind, Layer, Reason};
use stateward_lab::{Config, Running, Surroundings};
use stateward_store_aws::{Access, configuration};
use stateward_testkit::{Fault, Moto, Rule, SecondOpinion, Seconded, fresh_name};
use tokio::time::sleep;

use crate::account::{Account, ELSEWHERE};

fn action(items: &[Item], property: &str) -> Option<Action> {
    items.iter().find(|item| item.property == property).map(|item| item.action)
}

/// A bucket of somebody's, with settings of theirs.
async fn theirs(account: &Account) {
    let (s3, bucket) = (&account.services.s3, account.bucket());
    s3.create_bucket().bucket(bucket).send().await.unwrap();
    let policy = json!({"Version": "2012-10-17", "Id": "theirs", "Statement": [{
        "Sid": "Reader", "Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::123456789012:role/reader"},
        "Action": ["s3:GetObject"], "Resource": format!("arn:aws:s3:::{bucket}/*"),
    }]});
    s3.put_bucket_policy().bucket(bucket).policy(policy.to_string()).send().await.unwrap();
    let rule = LifecycleRule::builder().id("theirs").status(ExpirationStatus::Enabled);
    let rule = rule.filter(LifecycleRuleFilter::builder().prefix("tmp/").build());
    let rule = rule.expiration(aws_sdk_s3::types::LifecycleExpiration::builder().days(9).build()).build().unwrap();
    let rules = aws_sdk_s3::types::BucketLifecycleConfiguration::builder().rules(rule).build().unwrap();
    s3.put_bucket_lifecycle_configuration().bucket(bucket).lifecycle_configuration(rules).send().await.unwrap();
    let tag = Tag::builder().key("owner").value("them").build().unwrap();
    s3.put_bucket_tagging()
        .bucket(bucket)
        .tagging(Tagging::builder().tag_set(tag).build().unwrap())
        .send()
        .await
        .unwrap();
    let on = VersioningConfiguration::builder().status(BucketVersioningStatus::Enabled).build();
    s3.put_bucket_versioning().bucket(bucket).versioning_configuration(on).send().await.unwrap();
    let blocks = PublicAccessBlockConfiguration::builder().block_public_acls(true).block_public_policy(true).build();
    s3.put_public_access_block().bucket(bucket).public_access_block_configuration(blocks).send().await.unwrap();
}

async fn key(account: &Account) -> String {
    let request = account.services.kms.create_key();
    let request = request.key_usage(KeyUsageType::EncryptDecrypt).key_spec(KeySpec::SymmetricDefault);
    request.send().await.unwrap().key_metadata.unwrap().arn.unwrap()
}

async fn encrypt_with(account: &Account, key: &str) {
    let default = ServerSideEncryptionByDefault::builder().sse_algorithm(ServerSideEncryption::AwsKms);
    let rule = ServerSideEncryptionRule::builder()
        .apply_server_side_encryption_by_default(default.kms_master_key_id(key).build().unwrap())
        .build();
    let settings = ServerSideEncryptionConfiguration::builder().rules(rule).build().unwrap();
    let request = account.services.s3.put_bucket_encryption().bucket(account.bucket());
    request.server_side_encryption_configuration(settings).send().await.unwrap();
}

#[tokio::test]
async fn what_others_made_stays() {
    let account = Account::new("theirs");
    theirs(&account).await;
    let key = key(&account).await;
    encrypt_with(&account, &key).await;
    let mut account = account;
    account.wanted.tags = [("team".to_owned(), "network".to_owned())].into();
    let planned = account.plan().await;
    assert_eq!(action(&planned, "encryption"), Some(Action::Keep), "a key is stricter than none");
    assert_eq!(action(&planned, "lifecycle"), Some(Action::Keep), "nothing of theirs is deleted");
    let told = planned.iter().find(|item| item.property == "lifecycle-danger").unwrap();
    assert!(
        told.action == Action::Keep && told.why.contains("`theirs` deletes what lies under `tmp/` 9 days"),
        "{told:?}"
    );
    assert_eq!(action(&planned, "versioning"), Some(Action::Keep));
    account.apply().await.unwrap();

    let (s3, bucket) = (&account.services.s3, account.bucket());
    let policy = s3.get_bucket_policy().bucket(bucket).send().await.unwrap().policy.unwrap();
    let policy: Value = serde_json::from_str(&policy).unwrap();
    assert_eq!((&policy["Id"], &policy["Statement"][0]["Sid"]), (&json!("theirs"), &json!("Reader")));
    assert_eq!(policy["Statement"][0]["Action"], json!(["s3:GetObject"]));
    assert_eq!(policy["Statement"][1]["Condition"], json!({"Bool": {"aws:SecureTransport": "false"}}));
    let tags = s3.get_bucket_tagging().bucket(bucket).send().await.unwrap().tag_set;
    let mut tags: Vec<_> = tags.iter().map(|tag| (tag.key.as_str(), tag.value.as_str())).collect();
    tags.sort_unstable();
    assert_eq!(tags, [("owner", "them"), ("team", "network")]);
    let encryption = s3.get_bucket_encryption().bucket(bucket).send().await.unwrap();
    let rule = &encryption.server_side_encryption_configuration.unwrap().rules[0];
    let default = rule.apply_server_side_encryption_by_default.as_ref().unwrap();
    assert_eq!(default.kms_master_key_id.as_deref(), Some(key.as_str()));
    let rules = s3.get_bucket_lifecycle_configuration().bucket(bucket).send().await.unwrap().rules.unwrap();
    assert_eq!(rules.iter().filter_map(|rule| rule.id.as_deref()).collect::<Vec<_>>(), ["theirs"]);
}

/// A setting that is stricter than ours: the key that is asked for comes in the place of AWS's, and two layers stay two.
#[tokio::test]
async fn two_layers_of_encryption_stay() {
    let mut account = Account::new("two-layers");
    // moto gives a table no other key.
    account.wanted.lock_table = None;
    let (s3, bucket) = (account.services.s3.clone(), account.bucket().to_owned());
    s3.create_bucket().bucket(&bucket).send().await.unwrap();
    let two = ServerSideEncryptionByDefault::builder().sse_algorithm(ServerSideEncryption::AwsKmsDsse).build().unwrap();
    let rule = ServerSideEncryptionRule::builder().apply_server_side_encryption_by_default(two).build();
    let settings = ServerSideEncryptionConfiguration::builder().rules(rule).build().unwrap();
    let request = s3.put_bucket_encryption().bucket(&bucket).server_side_encryption_configuration(settings);
    request.send().await.unwrap();
    let is_said = || async {
        let read = s3.get_bucket_encryption().bucket(&bucket).send().await.unwrap();
        let default = read.server_side_encryption_configuration.unwrap().rules.remove(0);
        default.apply_server_side_encryption_by_default.unwrap()
    };
    account.apply().await.unwrap();
    assert_eq!(is_said().await.kms_master_key_id, None, "no key was asked for");
    account.wanted.key = Some(WantedKey::Given(key(&account).await));
    let done = account.apply().await.unwrap();
    assert_eq!(action(&done, "encryption"), Some(Action::Keep));
    let (found, key) = (is_said().await, account.wanted.key.clone());
    assert_eq!(found.sse_algorithm, ServerSideEncryption::AwsKmsDsse);
    assert_eq!(found.kms_master_key_id.map(WantedKey::Given), key);
    account.proxy.forget_requests();
    account.apply().await.unwrap();
    assert_eq!(account.writes(), Vec::<String>::new());
}

/// Who reads by it is kept out from then on, and told of before; what the policy says stays in it.
#[tokio::test]
async fn a_policy_that_lets_everybody_in() {
    for is_restricted in [false, true] {
        lets_everybody_in(is_restricted).await;
    }
}

async fn lets_everybody_in(is_restricted: bool) {
    let account = Account::new("public");
    let (s3, bucket) = (&account.services.s3, account.bucket());
    s3.create_bucket().bucket(bucket).send().await.unwrap();
    if is_restricted {
        let blocks = PublicAccessBlockConfiguration::builder().restrict_public_buckets(true).build();
        s3.put_public_access_block().bucket(bucket).public_access_block_configuration(blocks).send().await.unwrap();
    }
    let policy = json!({"Version": "2012-10-17", "Statement": [{
        "Sid": "Everybody", "Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": format!("arn:aws:s3:::{bucket}/*"),
    }]});
    s3.put_bucket_policy().bucket(bucket).policy(policy.to_string()).send().await.unwrap();
    // As AWS does, and moto does not.
    let status =
        "<PolicyStatus xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><IsPublic>true</IsPublic></PolicyStatus>";
    let public = Fault::Answer { status: 200, headers: Vec::new(), body: status.to_owned() };
    let asks =
        |request: &stateward_testkit::SeenRequest| request.method == "GET" && request.query.contains("policyStatus");
    account.proxy.inject(Rule::new(public).when(asks));
    let planned = account.plan().await;
    let told = planned.iter().find(|item| item.property == "public-access").unwrap();
    assert!(told.acts() && told.why.contains("lets everybody in") != is_restricted, "{told:?}");
    account.proxy.forget_requests();
    account.apply().await.unwrap();
    let requests = account.proxy.requests();
    let at =
        |setting: &str| requests.iter().position(|request| request.method == "PUT" && request.query.contains(setting));
    assert!(at("policy") < at("publicAccessBlock") && at("policy").is_some(), "S3 takes no such policy behind it");
}

#[tokio::test]
async fn a_bucket_under_another_key_is_not_changed() {
    let mut account = Account::new("other-key");
    theirs(&account).await;
    let (used, other) = (key(&account).await, key(&account).await);
    encrypt_with(&account, &used).await;
    account.wanted.key = Some(WantedKey::Given(other));
    account.proxy.forget_requests();
    let error = account.apply().await.unwrap_err();
    assert!(matches!(&error, ApplyError::Refused(item) if item.property == "encryption"), "{error}");
    assert!(error.to_string().contains(&used), "{error}");
    assert_eq!(account.writes(), Vec::<String>::new());
}

#[tokio::test]
async fn keys_that_cannot_be_used() {
    let mut account = Account::new("keys");
    let gone = key(&account).await;
    let id = gone.rsplit('/').next().unwrap();
    account.services.kms.schedule_key_deletion().key_id(id).pending_window_in_days(7).send().await.unwrap();
    let elsewhere = gone.replace("us-east-1", "eu-west-1");
    for (key, why) in [(gone, "PendingDeletion"), (elsewhere, "eu-west-1"), ("alias/nobody".to_owned(), "no such key")]
    {
        account.wanted.key = Some(WantedKey::Given(key));
        let items = account.plan().await;
        let refused: Vec<_> = items.iter().filter(|item| item.action == Action::Refuse).collect();
        assert!(matches!(refused.as_slice(), [item] if item.why.contains(why)), "{why}: {refused:#?}");
    }
    assert!(account.proxy.requests().iter().all(|request| request.method != "PUT"));
}

/// A place that nothing can be written to is not called ready, whether a key is asked for or not.
#[tokio::test]
async fn a_default_key_that_is_about_to_go() {
    let account = Account::new("going");
    account.services.s3.create_bucket().bucket(account.bucket()).send().await.unwrap();
    let gone = key(&account).await;
    encrypt_with(&account, &gone).await;
    assert_eq!(action(&account.plan().await, "encryption"), Some(Action::Keep));
    let id = gone.rsplit('/').next().unwrap();
    account.services.kms.schedule_key_deletion().key_id(id).pending_window_in_days(7).send().await.unwrap();
    account.proxy.forget_requests();
    let error = account.apply().await.unwrap_err();
    assert!(matches!(&error, ApplyError::Refused(item) if item.property == "encryption"), "{error}");
    assert!(error.to_string().contains("PendingDeletion") && error.to_string().contains(&gone), "{error}");
    assert_eq!(account.writes(), Vec::<String>::new());
}

/// The name that a key would be made under is taken, and where it may not be looked for one that was made before, that is told.
#[tokio::test]
async fn a_key_that_somebody_else_named_or_that_may_not_be_looked_for() {
    let mut account = Account::new("alias");
    let alias = format!("alias/{}", fresh_name("key"));
    account.wanted.key = Some(WantedKey::Made(alias.clone()));
    let denied = Fault::dynamodb(400, "AccessDeniedException", "You are not authorized to perform: kms:ListKeys");
    account.proxy.inject(Rule::new(denied).operation("ListKeys").nth(1));
    let unseen = account.plan().await;
    assert_eq!(unseen[0].action, Action::Create);
    assert!(unseen[0].why.contains("this makes a second"), "{unseen:#?}");
    assert!(!account.plan().await[0].why.contains("second"), "it may be looked for, and there is none");
    let theirs = key(&account).await;
    account.services.kms.create_alias().alias_name(&alias).target_key_id(&theirs).send().await.unwrap();
    let taken = account.plan().await;
    assert_eq!(taken[0].action, Action::Refuse);
    assert!(taken[0].why.contains(&theirs) && taken[0].why.contains(&alias), "{taken:#?}");
}

/// Two set-ups at the same time: the key that came second is not left behind untold. The next run takes the one that has the name.
#[tokio::test]
async fn a_key_that_comes_second() {
    let mut account = Account::new("second");
    let alias = format!("alias/{}", fresh_name("second"));
    // moto gives a table no other key.
    account.wanted = Wanted { lock_table: None, key: Some(WantedKey::Made(alias.clone())), ..account.wanted };
    let first = Account::new("first");
    account.proxy.inject(Rule::new(Fault::Delay(Duration::from_secs(3))).operation("CreateAlias").nth(1));
    let ahead = async {
        while account.proxy.count("CreateAlias") == 0 {
            sleep(Duration::from_millis(5)).await;
        }
        let kms = &first.services.kms;
        let tag = |key: &str, value: &str| KeyTag::builder().tag_key(key).tag_value(value).build().unwrap();
        let request = kms.create_key().key_usage(KeyUsageType::EncryptDecrypt).key_spec(KeySpec::SymmetricDefault);
        let made = request.tags(tag(TAG.0, TAG.1)).send().await.unwrap().key_metadata.unwrap();
        kms.create_alias().alias_name(&alias).target_key_id(&made.key_id).send().await.unwrap();
        made.arn.unwrap()
    };
    let (outcome, named) = tokio::join!(account.apply(), ahead);
    let ApplyError::SecondKey { name, named: told, left } = outcome.unwrap_err() else { panic!("there are two") };
    assert_eq!((name, &told), (alias, &named));
    assert!(left.contains(":key/") && left != named, "{left}");
    account.apply().await.unwrap();
}

#[tokio::test]
async fn buckets_that_cannot_be_used() {
    let account = Account::new("foreign");
    account.proxy.inject(Rule::new(Fault::status(403)).operation("HeadBucket").nth(1));
    let foreign = account.plan().await;
    assert_eq!(action(&foreign, "existence"), Some(Action::Refuse));
    assert!(foreign[0].why.contains("another account's"), "{foreign:#?}");
    let moved = Fault::status(301).header("x-amz-bucket-region", "ap-south-1");
    account.proxy.inject(Rule::new(moved).operation("HeadBucket").nth(1));
    let elsewhere = account.plan().await;
    assert_eq!(action(&elsewhere, "existence"), Some(Action::Refuse));
    assert!(elsewhere[0].why.contains("--region ap-south-1"), "{elsewhere:#?}");
}

/// S3 does not turn access lists off as long as one lets others in: it is told before anything is done.
#[tokio::test]
async fn a_bucket_whose_access_list_lets_others_in() {
    let account = Account::new("listed");
    let (s3, bucket) = (&account.services.s3, account.bucket());
    s3.create_bucket().bucket(bucket).send().await.unwrap();
    let list = s3.get_bucket_acl().bucket(bucket).send().await.unwrap();
    let grant = |to: Grantee, what: Permission| Grant::builder().grantee(to).permission(what).build();
    let everybody = Grantee::builder().r#type(Type::Group).uri("http://acs.amazonaws.com/groups/global/AllUsers");
    let partner = Grantee::builder().r#type(Type::CanonicalUser).id("9f".repeat(32));
    let more = AccessControlPolicy::builder()
        .set_owner(list.owner)
        .set_grants(list.grants)
        .grants(grant(everybody.build().unwrap(), Permission::Read))
        .grants(grant(partner.build().unwrap(), Permission::Write));
    assert_eq!(action(&account.plan().await, "ownership"), Some(Action::Create), "its owner alone is on the list");
    s3.put_bucket_acl().bucket(bucket).access_control_policy(more.build()).send().await.unwrap();
    account.proxy.forget_requests();
    let ApplyError::Refused(item) = account.apply().await.unwrap_err() else { panic!("it stands in the way") };
    assert_eq!(item.property, "ownership");
    for told in ["READ to everybody (AllUsers)", &format!("WRITE to {}", "9f".repeat(32)), "--acl private", bucket] {
        assert!(item.why.contains(told), "{told}: {}", item.why);
    }
    assert_eq!(account.writes(), Vec::<String>::new());
    s3.put_bucket_acl().bucket(bucket).acl(aws_sdk_s3::types::BucketCannedAcl::Private).send().await.unwrap();
    account.apply().await.unwrap();
}

#[tokio::test]
async fn a_table_with_another_key_is_refused_and_nothing_is_made() {
    let account = Account::new("schema");
    let table = json!({"TableName": account.table(), "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
        "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}]});
    Moto::shared().dynamodb("CreateTable", &table.to_string());
    let error = account.apply().await.unwrap_err().to_string();
    assert!(error.contains("LockID"), "{error}");
    assert_eq!(account.writes(), Vec::<String>::new());
}

/// What is set of it would go with it.
#[tokio::test]
async fn a_table_that_is_being_deleted() {
    let account = Account::new("deleted");
    let body = json!({"Table": {"TableName": account.table(), "TableStatus": "DELETING",
        "AttributeDefinitions": [{"AttributeName": "LockID", "AttributeType": "S"}],
        "KeySchema": [{"AttributeName": "LockID", "KeyType": "HASH"}]}});
    let deleting = Fault::Answer { status: 200, headers: Vec::new(), body: body.to_string() };
    account.proxy.inject(Rule::new(deleting).operation("DescribeTable"));
    let error = account.apply().await.unwrap_err();
    assert!(matches!(&error, ApplyError::Refused(item) if item.property == "existence"), "{error}");
    assert!(error.to_string().contains("Wait until it is gone"), "{error}");
    assert_eq!((account.writes(), account.proxy.count("DescribeContinuousBackups")), (Vec::<String>::new(), 0));
    account.proxy.heal();
    account.apply().await.unwrap();
}

/// What somebody put in force is taken back as one more version, and that they once looked at it is not forgotten.
#[tokio::test]
async fn a_policy_that_somebody_widened() {
    let mut account = Account::new("widened");
    account.wanted.environments = account.environments(&["dev", "prod"], &[]);
    account.apply().await.unwrap();
    let (iam, arn) = (&account.services.iam, account.wanted.policy_arn(&account.wanted.environments[0]).unwrap());
    let all =
        json!({"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}});
    let request = iam.create_policy_version().policy_arn(&arn).policy_document(all.to_string());
    request.set_as_default(true).send().await.unwrap();
    let planned = account.plan().await;
    let changed: Vec<_> = planned.iter().filter(|item| item.acts()).collect();
    assert!(
        matches!(changed.as_slice(), [item] if item.property == "rights" && item.why.contains("s3:GetObject on *"))
    );
    account.proxy.forget_requests();
    account.apply().await.unwrap();
    assert_eq!(account.writes(), ["CreatePolicyVersion"]);
    let versions = iam.list_policy_versions().policy_arn(&arn).send().await.unwrap().versions.unwrap();
    assert_eq!(versions.len(), 3);
}

/// A role of ours that was given more than its environment keeps everything from being done.
#[tokio::test]
async fn a_role_that_reaches_over() {
    let mut account = Account::new("reaching");
    account.wanted.environments = account.environments(&["dev", "prod"], &["arn:aws:iam::123456789012:root"]);
    account.apply().await.unwrap();
    let role = format!("stateward-{}-dev", account.bucket());
    let all = json!({"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}});
    let request = account.services.iam.put_role_policy().role_name(&role).policy_name("more");
    request.policy_document(all.to_string()).send().await.unwrap();
    account.wanted.environments = account.environments(&["dev", "prod", "test"], &["arn:aws:iam::123456789012:root"]);
    account.proxy.forget_requests();
    let error = account.apply().await.unwrap_err().to_string();
    assert!(error.contains("dev reaches what is of prod") && error.contains("the policy more of its role"), "{error}");
    assert_eq!(account.writes(), Vec::<String>::new());
    // Within a boundary that keeps it where it belongs it may carry what it will.
    let own = format!("arn:aws:s3:::{}/dev/*", account.bucket());
    let own = json!({"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "s3:*", "Resource": own}});
    let iam = &account.services.iam;
    let boundary = iam.create_policy().policy_name(fresh_name("boundary")).policy_document(own.to_string());
    let boundary = boundary.send().await.unwrap().policy.unwrap().arn.unwrap();
    iam.put_role_permissions_boundary().role_name(&role).permissions_boundary(boundary).send().await.unwrap();
    account.apply().await.unwrap();
}

/// To IAM it is the name of another one that an earlier run made.
#[tokio::test]
async fn an_environment_that_differs_from_another_one_in_capital_letters() {
    let mut account = Account::new("capitals");
    account.wanted.environments = account.environments(&["dev"], &["arn:aws:iam::123456789012:root"]);
    account.apply().await.unwrap();
    account.wanted.environments = account.environments(&["DEV"], &["arn:aws:iam::123456789012:root"]);
    account.proxy.forget_requests();
    let ApplyError::Refused(item) = account.apply().await.unwrap_err() else { panic!("IAM would refuse it") };
    let there = format!("arn:aws:iam::123456789012:policy/stateward-{}-dev", account.bucket());
    assert!(item.property == "existence" && item.why.contains(&there), "{}", item.why);
    assert_eq!(account.writes(), Vec::<String>::new());
    for operation in ["ListPolicies", "ListRoles"] {
        account.proxy.inject(Rule::new(Fault::status(403)).operation(operation));
    }
    let unseen = account.plan().await;
    assert!(unseen.iter().all(|item| item.action != Action::Refuse), "{unseen:#?}");
    let told = unseen.iter().filter(|item| item.why.contains("cannot be seen (`iam:List")).count();
    assert_eq!(told, 2, "{unseen:#?}");

    // As IAM answers then, and moto does not.
    let exists = "<ErrorResponse xmlns=\"https://iam.amazonaws.com/doc/2010-05-08/\"><Error><Type>Sender</Type><Code>EntityAlreadyExists</Code>\
                  <Message>A policy called stateward already exists.</Message></Error><RequestId>r</RequestId></ErrorResponse>";
    let exists = Fault::Answer { status: 409, headers: Vec::new(), body: exists.to_owned() };
    account.proxy.inject(Rule::new(exists).operation("CreatePolicy"));
    let error = account.apply().await.unwrap_err();
    assert!(matches!(&error, ApplyError::Taken(item) if item.resource.contains("-DEV")), "{error}");
    assert!(error.to_string().contains("`iam:ListPolicies`"), "{error}");
}

/// A lab of an account in an organization whose second level forbids an action.
fn forbids(action: &str) -> Seconded<Running> {
    let credentials = Credentials::for_tests();
    let policy =
        |effect: &str, action: &str| json!({"Statement": [{"Effect": effect, "Action": action, "Resource": "*"}]});
    let everything = policy("Allow", "*");
    let world = json!({
        "upstream": { "url": Moto::shared().url() },
        "accounts": { "123456789012": { "organization": "o-lab", "scps": [[everything], [everything, policy("Deny", action)]] } },
        "users": [{
            "arn": format!("arn:aws:iam::123456789012:user/{}", fresh_name("ci")), "policies": [everything],
            "access_key": credentials.access_key_id(), "secret_key": credentials.secret_access_key(),
        }],
    });
    let config: Config = world.to_string().parse().unwrap();
    let world = config.compile(&|path| panic!("no file is named, not {}", path.display())).unwrap();
    #[expect(clippy::disallowed_methods, reason = "clients sign with the real time")]
    let now = Arc::new(Timestamp::now);
    let opinion = SecondOpinion::new();
    let surroundings = Surroundings { now, seed: [3; 32], on_decision: opinion.hears() };
    opinion.of(Running::start(world, surroundings).unwrap())
}

/// A step that a service control policy forbids ends it, with AWS's words; what was done before stays, and the rest is done once it may be.
#[tokio::test]
async fn a_step_that_is_forbidden() {
    let lab = forbids("s3:PutBucketPolicy");
    let account = Account::at(lab.url(), "forbidden");
    let ApplyError::Failed(failed) = account.apply().await.unwrap_err() else { panic!("a request that failed") };
    let denial = failed.problem().unwrap_or_else(|| panic!("unknown: {failed}")).denial.unwrap();
    assert_eq!((denial.action.as_deref(), denial.layer), (Some("s3:PutBucketPolicy"), Layer::Scp), "{failed}");
    let account = Account { wanted: account.wanted, ..Account::new("allowed") };
    let left = account.plan().await;
    assert_eq!(action(&left, "existence"), Some(Action::Keep));
    assert_eq!(action(&left, "tls-only"), Some(Action::Create));
    account.apply().await.unwrap();
}

/// Where the account's own settings hold public access, an organization may refuse to everybody to set a bucket's.
#[tokio::test]
async fn public_access_that_may_not_be_set_can_be_left() {
    let there = Account::new("unblocked");
    there.services.s3.create_bucket().bucket(there.bucket()).send().await.unwrap();
    let lab = forbids("s3:PutBucketPublicAccessBlock");
    let mut account = Account { wanted: there.wanted.clone(), ..Account::at(lab.url(), "unblocked") };
    let ApplyError::Failed(failed) = account.apply().await.unwrap_err() else { panic!("a request that failed") };
    assert!(failed.words().contains("s3:PutBucketPublicAccessBlock"), "{failed}");
    account.wanted.leaves_public_access = true;
    account.apply().await.unwrap();
    let plan = account.plan().await;
    assert!(plan.iter().all(|item| item.action == Action::Keep), "{plan:#?}");
    let left = plan.iter().find(|item| item.property == "public-access").unwrap();
    assert!(left.current != left.wanted && left.why.contains("get-public-access-block"), "{left:#?}");
}

#[tokio::test]
async fn a_service_that_has_too_much_to_do() {
    let account = Account::new("down");
    account.proxy.inject(Rule::new(Fault::slow_down()).operation("HeadBucket"));
    account.proxy.inject(Rule::new(Fault::throttling(Duration::ZERO)));
    let ApplyError::Failed(failed) = account.apply().await.unwrap_err() else { panic!("a request that failed") };
    assert_eq!(failed.problem().map(|problem| problem.kind), Some(Kind::Throttled), "{failed}");
}

/// The services of an endpoint, each asked once.
async fn services_at(endpoint: &str) -> Services {
    let access = Access { region: Some("us-east-1".to_owned()), max_retries: 0, ..Access::default() };
    let settings = configuration(&access).await.into_builder().endpoint_url(endpoint);
    let credentials = SharedCredentialsProvider::new(Credentials::for_tests());
    Services::new(&settings.credentials_provider(credentials).build(), Layout::Path)
}

/// Which host, what went wrong, and that it is the network.
#[tokio::test]
async fn a_service_that_is_not_reached() {
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let hangs_up = silent.local_addr().unwrap();
    thread::spawn(move || {
        for connection in silent.incoming() {
            drop(connection.map(|mut connection| connection.read(&mut [0; 64])));
        }
    });
    let plain = Moto::shared().url().replace("http:", "https:");
    for (url, reason, word) in [
        (format!("http://{nobody}"), Reason::Refused, "connection refused"),
        (format!("http://{hangs_up}"), Reason::Refused, "connection"),
        (plain, Reason::Tls, "TLS handshake failed"),
    ] {
        let failed = setup::caller(&services_at(&url).await).await.unwrap_err();
        let problem = failed.problem().unwrap_or_else(|| panic!("unknown: {failed}"));
        assert_eq!((problem.kind, problem.failure.unwrap().reason), (Kind::Network, Some(reason)), "{failed}");
        let start = format!("operation error STS: GetCallerIdentity, request send failed, POST \"{url}\": ");
        let told = failed.words().strip_prefix(&start).unwrap_or_else(|| panic!("{failed}"));
        assert!(told.contains(word) && told.len() < 80, "{failed}");
    }
}

/// The copy of a set-up, and somebody else's replication, which stays.
#[tokio::test]
async fn a_bucket_that_is_copied() {
    let mut account = Account::with_everything("copied").await;
    account.apply().await.unwrap();
    let replica = account.wanted.replica.clone().unwrap();
    let (s3, bucket) = (&account.services.s3, account.bucket());
    let read = s3.get_bucket_replication().bucket(bucket).send().await.unwrap().replication_configuration.unwrap();
    let to = read.rules[0].destination.as_ref().unwrap();
    assert_eq!(to.bucket, format!("arn:aws:s3:::{}", replica.bucket));
    assert_eq!(to.encryption_configuration.as_ref().unwrap().replica_kms_key_id, replica.key);
    let place = s3.get_bucket_location().bucket(&replica.bucket).send().await.unwrap();
    assert_eq!(place.location_constraint.map(|region| region.as_str().to_owned()).as_deref(), Some(ELSEWHERE));

    let theirs = format!("arn:aws:iam::123456789012:role/{}", fresh_name("theirs"));
    let target = Destination::builder().bucket("arn:aws:s3:::somewhere").build().unwrap();
    let rule = ReplicationRule::builder().status(ReplicationRuleStatus::Enabled).priority(1).destination(target);
    let rule = rule.filter(ReplicationRuleFilter::builder().prefix("").build()).build().unwrap();
    let theirs = ReplicationConfiguration::builder().role(theirs).rules(rule).build().unwrap();
    s3.put_bucket_replication().bucket(bucket).replication_configuration(theirs).send().await.unwrap();
    account.proxy.forget_requests();
    let error = account.apply().await.unwrap_err();
    assert!(matches!(&error, ApplyError::Refused(item) if item.property == "replication"), "{error}");
    assert_eq!(account.writes(), Vec::<String>::new());
    // Without a copy it is nobody's business.
    account.wanted.replica = None;
    account.apply().await.unwrap();
}
