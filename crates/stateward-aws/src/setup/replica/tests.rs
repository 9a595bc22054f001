use aws_sdk_s3::types::{
    Destination, ReplicationRuleFilter, ServerSideEncryption, ServerSideEncryptionByDefault, ServerSideEncryptionRule,
};

use super::super::calls::replication;
use super::super::{Encryption, KeySettings, Replica, UsedKey};
use super::*;

const KEY: &str = "arn:aws:kms:eu-west-1:111122223333:key/1";
const KEY_THERE: &str = "arn:aws:kms:eu-north-1:111122223333:key/2";
const ROLE: &str = "arn:aws:iam::111122223333:role/stateward-states-replication";

fn wanted(key: Option<&str>) -> Wanted {
    let [region, account, partition] = ["eu-west-1", "111122223333", "aws"].map(str::to_owned);
    let key = key.map(str::to_owned);
    let replica = Replica { bucket: "copies".to_owned(), region: Some("eu-north-1".to_owned()), key };
    Wanted {
        bucket: Some("states".to_owned()),
        replica: Some(replica),
        region,
        account,
        partition,
        ..Wanted::default()
    }
}

fn there(replication: Option<ReplicationConfiguration>) -> Found {
    let bucket = Some(Bucket::There(Box::new(Settings { replication, ..Settings::default() })));
    Found { bucket, ..Found::default() }
}

fn rule_of(wanted: &Wanted, found: &Found) -> Item {
    plan(wanted, found).into_iter().find(|item| item.property == "replication").expect("a rule")
}

fn configured(role: &str, to: &str) -> ReplicationConfiguration {
    replication(&[], role, to, None).expect("a configuration")
}

#[test]
fn each_request_goes_where_it_belongs() {
    let items = plan(&wanted(None), &there(None));
    for item in &items {
        let Some(call) = &item.call else { continue };
        assert_eq!(call.at_replica, item.resource == "bucket copies", "{item:#?}");
    }
    let made = &items[0];
    assert_eq!((made.property, &made.wanted), ("existence", &json!("eu-north-1")));
    assert_eq!(items.iter().filter(|item| item.resource == "role stateward-states-replication").count(), 2);
}

#[test]
fn what_is_copied_already_stays() {
    let to = "arn:aws:s3:::copies";
    for role in [ROLE, "arn:aws:iam::111122223333:role/theirs"] {
        let kept = rule_of(&wanted(None), &there(Some(configured(role, to))));
        assert_eq!(kept.action, Action::Keep, "{kept:#?}");
        let items = plan(&wanted(None), &there(Some(configured(role, to))));
        assert_eq!(items.iter().any(|item| item.resource.starts_with("role ")), role == ROLE);
    }
    let elsewhere = configured("arn:aws:iam::111122223333:role/theirs", "arn:aws:s3:::others");
    let refused = rule_of(&wanted(None), &there(Some(elsewhere)));
    assert_eq!(refused.action, Action::Refuse);
    assert!(refused.why.contains("role/theirs"), "{}", refused.why);
    let ours = rule_of(&wanted(None), &there(Some(configured(ROLE, "arn:aws:s3:::before"))));
    let Some(Act::Replicate { kept, .. }) = ours.call.map(|call| call.act) else { panic!("it is put") };
    assert!(kept.is_empty(), "our rule takes the place of the one before");
}

#[test]
fn a_rule_for_some_objects_is_not_enough() {
    let mut some = configured(ROLE, "arn:aws:s3:::copies");
    some.rules[0].id = Some("theirs".to_owned());
    some.rules[0].filter = Some(ReplicationRuleFilter::builder().prefix("dev/").build());
    let put = rule_of(&wanted(None), &there(Some(some.clone())));
    let Some(Act::Replicate { kept, .. }) = put.call.map(|call| call.act) else { panic!("it is put") };
    assert_eq!(kept, some.rules);
    let both = replication(&kept, ROLE, "arn:aws:s3:::copies", None).expect("a configuration");
    assert_eq!(both.rules.iter().map(|rule| rule.priority).collect::<Vec<_>>(), [Some(1), Some(2)]);
    let mut off = configured(ROLE, "arn:aws:s3:::copies");
    off.rules[0].status = ReplicationRuleStatus::Disabled;
    assert_eq!(rule_of(&wanted(None), &there(Some(off))).action, Action::Change);
    let mut other = configured(ROLE, "arn:aws:s3:::copies");
    other.rules[0].destination = Destination::builder().bucket("arn:aws:s3:::copies-2").build().ok();
    assert_eq!(rule_of(&wanted(None), &there(Some(other))).action, Action::Change);
}

/// S3 passes over what a key encrypts, where it has no key for the copies.
#[test]
fn a_key_needs_another_for_the_copies() {
    let mut found = there(None);
    let used = Encryption {
        rule: ServerSideEncryptionRule::builder().build(),
        key: Some(UsedKey { arn: KEY.to_owned(), ..UsedKey::default() }),
    };
    if let Some(Bucket::There(settings)) = &mut found.bucket {
        settings.encryption = Some(used);
    }
    let refused = rule_of(&wanted(None), &found);
    assert_eq!(refused.action, Action::Refuse);
    assert!(refused.why.contains("--replica-kms-key"), "{}", refused.why);
    let missing = plan(&wanted(Some(KEY_THERE)), &found);
    assert_eq!(
        (missing[0].resource.as_str(), missing[0].action),
        (format!("key {KEY_THERE}").as_str(), Action::Refuse)
    );
    let key = KeySettings {
        arn: KEY_THERE.to_owned(),
        state: "Enabled".to_owned(),
        encrypts: true,
        ..KeySettings::default()
    };
    found.replica = Some(Box::new(Found { key: Some(Key::There(key)), ..Found::default() }));
    let items = plan(&wanted(Some(KEY_THERE)), &found);
    let Some(Act::Replicate { key, .. }) = items.last().and_then(|item| item.call.clone()).map(|call| call.act) else {
        panic!("it is put")
    };
    assert_eq!(key.as_deref(), Some(KEY_THERE));
    let rights = items.iter().find(|item| item.property == "rights").and_then(|item| item.call.clone());
    let Some(Act::RolePolicy { document, .. }) = rights.map(|call| call.act) else { panic!("it is put") };
    let document: Value = serde_json::from_str(&document).expect("JSON");
    let of = |key: &str| {
        let mut all = document["Statement"].as_array().expect("statements").iter();
        all.find(|one| one["Resource"] == key).expect("a statement").clone()
    };
    assert_eq!(of(KEY)["Action"], json!(["kms:Decrypt"]));
    assert_eq!(of(KEY_THERE)["Condition"]["StringLike"]["kms:ViaService"], "s3.eu-north-1.amazonaws.com*");
}

/// A bucket that KMS encrypts by default, and how it is copied.
fn by_kms(key: Option<UsedKey>, replication: Option<ReplicationConfiguration>) -> Found {
    let default = ServerSideEncryptionByDefault::builder().sse_algorithm(ServerSideEncryption::AwsKms);
    let rule = ServerSideEncryptionRule::builder()
        .apply_server_side_encryption_by_default(default.build().expect("an algorithm"))
        .build();
    let encryption = Some(Encryption { rule, key });
    let bucket = Some(Bucket::There(Box::new(Settings { encryption, replication, ..Settings::default() })));
    Found { bucket, ..Found::default() }
}

/// A rule from before the bucket had a key passes over all that is written since.
#[test]
fn a_rule_that_passes_over_what_kms_encrypts_is_not_enough() {
    let (to, theirs) = ("arn:aws:s3:::copies", "arn:aws:iam::111122223333:role/theirs");
    let own = || Some(UsedKey { arn: KEY.to_owned(), ..UsedKey::default() });
    let key = KeySettings {
        arn: KEY_THERE.to_owned(),
        state: "Enabled".to_owned(),
        encrypts: true,
        ..KeySettings::default()
    };
    let replica = || Some(Box::new(Found { key: Some(Key::There(key.clone())), ..Found::default() }));
    let found = Found { replica: replica(), ..by_kms(own(), Some(configured(ROLE, to))) };
    let put = rule_of(&wanted(Some(KEY_THERE)), &found);
    assert_eq!(put.action, Action::Change, "{put:#?}");
    let Some(Act::Replicate { kept, key: Some(key), .. }) = put.call.map(|call| call.act) else { panic!("it is put") };
    assert!(kept.is_empty() && key == KEY_THERE, "ours takes the place of ours");
    let with_keys = replication(&[], ROLE, to, Some(KEY_THERE)).expect("a configuration");
    let found = Found { replica: replica(), ..by_kms(own(), Some(with_keys)) };
    assert_eq!(rule_of(&wanted(Some(KEY_THERE)), &found).action, Action::Keep);

    let told = rule_of(&wanted(None), &by_kms(own(), Some(configured(theirs, to))));
    assert_eq!(told.action, Action::Refuse);
    assert!(told.why.contains(theirs) && told.why.contains("passes over what KMS encrypts"), "{}", told.why);
}

/// By AWS's own key, as Terragrunt makes a bucket: a rule without a word of keys would copy none of it.
#[test]
fn what_the_key_of_aws_encrypts_is_not_told_to_be_copied() {
    let of_aws = || Some(UsedKey { arn: "alias/aws/s3".to_owned(), by_aws: true, unusable: None });
    for (key, replica) in [(None, None), (of_aws(), None), (None, Some(KEY_THERE)), (of_aws(), Some(KEY_THERE))] {
        let refused = rule_of(&wanted(replica), &by_kms(key, None));
        assert_eq!(refused.action, Action::Refuse, "{refused:#?}");
        assert!(refused.why.contains("`--kms-key`"), "{}", refused.why);
    }
}

#[test]
fn what_somebody_else_made_is_not_used() {
    let role = Role { trust: "{}".to_owned(), ..Role::default() };
    let mut found = Found { replicator: Some(role), ..there(None) };
    let of_role = |found: &Found| {
        let items = plan(&wanted(None), found);
        items.into_iter().find(|item| item.resource.starts_with("role ")).expect("the role")
    };
    assert_eq!(of_role(&found).action, Action::Refuse);
    let tags = [(TAG.0, TAG.1), (OF, "states")].map(|(key, value)| (key.to_owned(), value.to_owned()));
    found.replicator = Some(Role { tags: tags.into(), ..Role::default() });
    assert_eq!(of_role(&found).action, Action::Keep);
    found.replica =
        Some(Box::new(Found { bucket: Some(Bucket::Elsewhere("us-east-1".to_owned())), ..Found::default() }));
    let refused = plan(&wanted(None), &found).remove(0);
    assert!(refused.action == Action::Refuse && refused.why.contains("copies@us-east-1"), "{refused:#?}");
}

#[test]
fn names_fit() {
    let name = |bucket: &str| Wanted { bucket: Some(bucket.to_owned()), ..wanted(None) }.replicator();
    assert_eq!(name("states").as_deref(), Some("stateward-states-replication"));
    assert_eq!(name(&"b".repeat(63)).map(|name| name.len()), Some(64));
}
