use aws_sdk_s3::types::{
    ExpirationStatus, LifecycleRule, ServerSideEncryption, ServerSideEncryptionByDefault, ServerSideEncryptionRule,
};

use super::super::calls::encryption_rule;
use super::super::{Action, Found, Logging, Rule, TAG, Trail, TrailSettings, steps};
use super::*;

const KEY: &str = "arn:aws:kms:eu-west-1:111122223333:key/11111111-2222-4333-8444-555555555555";

fn wanted() -> Wanted {
    let [region, account, partition] = ["eu-west-1", "111122223333", "aws"].map(str::to_owned);
    Wanted { bucket: Some("states".to_owned()), region, account, partition, ..Wanted::default() }
}

fn planned(key: KeyIs<'_>, found: &Bucket) -> Vec<Item> {
    plan(&wanted(), "states", key, found)
}

fn actions(items: &[Item]) -> Vec<(&'static str, Action)> {
    items.iter().map(|item| (item.property, item.action)).collect()
}

fn action(items: &[Item], property: &str) -> Option<Action> {
    items.iter().find(|item| item.property == property).map(|item| item.action)
}

fn act(items: &[Item], property: &str) -> Option<Act> {
    items.iter().find(|item| item.property == property)?.call.as_ref().map(|call| call.act.clone())
}

/// Encryption with this key: whose it is, and whether it is one of AWS's.
fn encrypted(algorithm: ServerSideEncryption, key: Option<(&str, bool)>, bucket_key: bool) -> Encryption {
    let default = ServerSideEncryptionByDefault::builder().sse_algorithm(algorithm).build().expect("an algorithm");
    let rule = ServerSideEncryptionRule::builder()
        .apply_server_side_encryption_by_default(default)
        .bucket_key_enabled(bucket_key)
        .build();
    Encryption { rule, key: key.map(|(arn, by_aws)| UsedKey { arn: arn.to_owned(), by_aws, unusable: None }) }
}

fn well_set() -> Settings {
    Settings {
        ownership: Some("BucketOwnerEnforced".to_owned()),
        versioning: Some("Enabled".to_owned()),
        encryption: Some(encrypted(ServerSideEncryption::Aes256, None, false)),
        blocked: [true; 4],
        ..Settings::default()
    }
}

#[test]
fn a_bucket_that_is_missing_is_made_first_and_then_set() {
    let expected = [
        ("existence", Action::Create),
        ("ownership", Action::Keep),
        ("versioning", Action::Create),
        ("encryption", Action::Create),
        ("public-access", Action::Create),
        ("tls-only", Action::Create),
        ("lifecycle", Action::Create),
    ];
    assert_eq!(actions(&planned(KeyIs::NotWanted, &Bucket::Missing)), expected);
}

#[test]
fn a_bucket_that_is_another_accounts_or_elsewhere_is_refused() {
    for found in [Bucket::Foreign, Bucket::Elsewhere("us-east-1".to_owned())] {
        assert_eq!(actions(&planned(KeyIs::NotWanted, &found)), [("existence", Action::Refuse)]);
    }
}

/// S3 refuses to turn off an access list that lets others in: who they are, and what to do.
#[test]
fn an_access_list_that_lets_others_in_is_told() {
    let with = |ownership: Option<&str>, to: &str| {
        let grants = vec![Grant { to: to.to_owned(), permission: "WRITE".to_owned() }];
        let found = Settings { ownership: ownership.map(str::to_owned), grants, ..well_set() };
        let items = planned(KeyIs::NotWanted, &Bucket::There(Box::new(found)));
        items.into_iter().find(|item| item.property == "ownership").expect("an item")
    };
    for ownership in [None, Some("ObjectWriter"), Some("BucketOwnerPreferred")] {
        let item = with(ownership, "http://acs.amazonaws.com/groups/s3/LogDelivery");
        assert_eq!((item.action, &item.call), (Action::Refuse, &None));
        let next = "aws s3api put-bucket-acl --bucket states --acl private";
        assert!(item.why.contains("WRITE to S3 itself") && item.why.contains(next), "{}", item.why);
    }
    assert!(with(None, "9f2c").why.contains("WRITE to 9f2c"));
}

#[test]
fn what_is_stricter_stays_and_what_is_half_made_goes_on() {
    let found = Settings {
        ownership: Some("ObjectWriter".to_owned()),
        versioning: Some("Suspended".to_owned()),
        encryption: Some(encrypted(ServerSideEncryption::AwsKms, Some((KEY, false)), false)),
        blocked: [true, true, false, true],
        ..Settings::default()
    };
    let expected = [
        ("existence", Action::Keep),
        ("ownership", Action::Change),
        ("versioning", Action::Change),
        ("encryption", Action::Keep),
        ("public-access", Action::Change),
        ("tls-only", Action::Create),
        ("lifecycle", Action::Keep),
    ];
    assert_eq!(actions(&planned(KeyIs::NotWanted, &Bucket::There(Box::new(found)))), expected);
}

/// Blocking public access takes it from whoever has it by the bucket's policy: said before it is done.
#[test]
fn who_reads_by_a_public_policy_is_told_of() {
    let everybody = r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::states/*"}}"#;
    let told = |public: Option<bool>, blocked: [bool; 4], policy: Option<&str>| {
        let found = Settings { blocked, public, policy: policy.map(str::to_owned), ..well_set() };
        let items = planned(KeyIs::NotWanted, &Bucket::There(Box::new(found)));
        let last = items.iter().rposition(|item| item.action != Action::Keep);
        let at = items.iter().position(|item| item.property == "public-access").expect("an item");
        (items[at].why.clone(), last == Some(at))
    };
    let (why, is_last) = told(Some(true), [false; 4], Some(everybody));
    assert!(
        why.starts_with("Warning: the bucket's policy lets everybody in.")
            && why.contains("this account and services of AWS alone"),
        "{why}"
    );
    assert!(is_last, "before it S3 takes the policy with what is in it");
    let (why, _) = told(None, [false; 4], Some(everybody));
    assert!(why.contains("could not be read: where it does, nobody but this account"), "{why}");
    for (public, blocked, policy) in [
        (Some(false), [false; 4], Some(everybody)),
        (None, [false; 4], None),
        (None, [false, false, false, true], Some(everybody)),
        (None, [true; 4], Some(everybody)),
    ] {
        assert_eq!(told(public, blocked, policy).0, PRIVATE);
    }
}

#[test]
fn what_the_plan_puts_is_kept_by_the_next_one() {
    let items = planned(KeyIs::NotWanted, &Bucket::Missing);
    let Some(Act::Policy(policy)) = act(&items, "tls-only") else { panic!("a policy is put") };
    let found = Settings { policy: Some(policy), ..well_set() };
    let again = planned(KeyIs::NotWanted, &Bucket::There(Box::new(found)));
    assert!(again.iter().all(|item| item.action == Action::Keep), "{again:?}");
}

#[test]
fn the_key_takes_the_place_of_those_of_aws_and_of_no_others() {
    use ServerSideEncryption::{Aes256, AwsKms, AwsKmsDsse};
    let other = "arn:aws:kms:eu-west-1:111122223333:key/other";
    for (found, expected) in [
        (None, Action::Create),
        (Some(encrypted(Aes256, None, false)), Action::Change),
        (Some(encrypted(AwsKms, None, true)), Action::Change),
        (Some(encrypted(AwsKms, Some((other, true)), true)), Action::Change),
        (Some(encrypted(AwsKms, Some((KEY, false)), false)), Action::Keep),
        (Some(encrypted(AwsKms, Some((KEY, false)), true)), Action::Keep),
        (Some(encrypted(AwsKmsDsse, Some((KEY, false)), false)), Action::Keep),
        (Some(encrypted(AwsKmsDsse, None, false)), Action::Change),
        (Some(encrypted(AwsKms, Some((other, false)), true)), Action::Refuse),
        (Some(encrypted(AwsKmsDsse, Some((other, false)), false)), Action::Refuse),
    ] {
        let settings = Settings { encryption: found.clone(), ..well_set() };
        let items = planned(KeyIs::Made(KEY), &Bucket::There(Box::new(settings)));
        assert_eq!(action(&items, "encryption"), Some(expected), "{found:?}");
    }
}

/// A bucket that encrypts with a key which is gone keeps nothing, whatever else it is set to.
#[test]
fn a_default_key_that_does_not_work_is_told() {
    for key in [KeyIs::NotWanted, KeyIs::NotMade, KeyIs::Made(KEY)] {
        let mut broken = encrypted(ServerSideEncryption::AwsKms, Some((KEY, false)), true);
        broken.key.as_mut().expect("a key").unusable = Some("PendingDeletion".to_owned());
        let items = planned(key, &Bucket::There(Box::new(Settings { encryption: Some(broken), ..well_set() })));
        let item = items.iter().find(|item| item.property == "encryption").expect("an item");
        assert_eq!(item.action, Action::Refuse, "{key:?}");
        assert!(item.why.contains(KEY) && item.why.contains("PendingDeletion"), "{}", item.why);
    }
}

/// Whoever reads by the name of an object in the key's policy would be kept out by a bucket key.
#[test]
fn a_bucket_key_is_its_owners_choice() {
    let found = encrypted(ServerSideEncryption::AwsKms, Some((KEY, false)), false);
    let settings = Settings { encryption: Some(found), ..well_set() };
    let items = planned(KeyIs::Made(KEY), &Bucket::There(Box::new(settings)));
    let item = items.iter().find(|item| item.property == "encryption").expect("an item");
    assert!(item.current["bucket_key"] == false && item.why.contains("kms:EncryptionContext"), "{item:#?}");
}

/// S3 refuses such a policy whatever is added to it: before anything is done, and not in the middle of it.
#[test]
fn a_policy_that_cannot_be_put_is_told_before() {
    let everybody = r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::states/*"}}"#;
    let tls = |public, blocked: [bool; 4], policy: &str| {
        let found = Settings { blocked, public, policy: Some(policy.to_owned()), ..well_set() };
        let items = planned(KeyIs::NotWanted, &Bucket::There(Box::new(found)));
        let at = |property: &str| items.iter().position(|item| item.property == property).expect("an item");
        let is_before = at("tls-only") < at("public-access");
        (items[at("tls-only")].action, items[at("tls-only")].why.clone(), is_before)
    };
    for blocked in [[true; 4], [true, true, true, false], [false, false, true, false]] {
        let (action, why, _) = tls(Some(true), blocked, everybody);
        assert!(action == Action::Refuse && why.contains("`BlockPublicPolicy`"), "{blocked:?}: {why}");
    }
    let (action, _, is_before) = tls(Some(true), [true, true, false, true], everybody);
    assert_eq!((action, is_before), (Action::Change, true), "it is put before the block is");
    assert_eq!(tls(Some(false), [true; 4], everybody).0, Action::Change);

    let long = |count: usize| {
        let names: Vec<String> = (0..count).map(|at| format!("arn:aws:iam::111122223333:role/{at:060}")).collect();
        json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"AWS": names}, "Action": "s3:GetObject", "Resource": "arn:aws:s3:::states/*"}]})
            .to_string()
    };
    let (action, why, _) = tls(Some(false), [true; 4], &long(220));
    assert!(action == Action::Refuse && why.contains("S3 takes 20480"), "{why}");
    assert_eq!(tls(Some(false), [true; 4], &long(200)).0, Action::Change);
}

/// Two layers of encryption are stricter than one: they get the key, and stay two.
#[test]
fn two_layers_stay_two() {
    use aws_sdk_s3::types::{BlockedEncryptionTypes, EncryptionType};
    let mut two = encrypted(ServerSideEncryption::AwsKmsDsse, None, false);
    let blocked = BlockedEncryptionTypes::builder().encryption_type(EncryptionType::SseC).build();
    two.rule.blocked_encryption_types = Some(blocked.clone());
    let found = Bucket::There(Box::new(Settings { encryption: Some(two), ..well_set() }));
    let wanted = |key| {
        let items = planned(key, &found);
        items.into_iter().find(|item| item.property == "encryption").expect("an item")
    };
    assert_eq!(wanted(KeyIs::NotWanted).action, Action::Keep);
    assert_eq!(wanted(KeyIs::NotMade).wanted, json!("aws:kms:dsse"));
    let put = wanted(KeyIs::Made(KEY));
    assert_eq!(put.wanted, json!({"algorithm": "aws:kms:dsse", "key": KEY, "bucket_key": false}));
    let Some(Act::Encryption { key, over }) = put.call.map(|call| call.act) else { panic!("it is put") };
    let rule = encryption_rule(key.as_deref(), over.as_deref()).expect("a rule");
    let default = rule.apply_server_side_encryption_by_default.expect("a default");
    assert_eq!(default.sse_algorithm, ServerSideEncryption::AwsKmsDsse);
    assert_eq!(default.kms_master_key_id.as_deref(), Some(KEY));
    assert_eq!((rule.bucket_key_enabled, rule.blocked_encryption_types), (Some(false), Some(blocked)));
}

#[test]
fn before_the_key_is_there_nothing_is_asked_that_names_it() {
    let items = planned(KeyIs::NotMade, &Bucket::There(Box::new(well_set())));
    for property in ["encryption", "wrong-keys"] {
        assert!(action(&items, property).is_some_and(|action| action != Action::Keep), "{property}");
        assert_eq!(act(&items, property), None, "{property}");
    }
}

#[test]
fn a_bucket_tells_of_requests_in_one_place() {
    let wanted = Wanted { log_bucket: Some("logs".to_owned()), ..wanted() };
    let planned = |logging: Option<&str>| {
        let logging = logging.map(|bucket| Logging { bucket: bucket.to_owned(), prefix: String::new() });
        let found = Bucket::There(Box::new(Settings { logging, ..well_set() }));
        action(&plan(&wanted, "states", KeyIs::NotWanted, &found), "access-log")
    };
    assert_eq!(planned(None), Some(Action::Create));
    assert_eq!(planned(Some("logs")), Some(Action::Keep));
    assert_eq!(planned(Some("theirs")), Some(Action::Keep));
}

/// The plan for the bucket of logs, beside a trail whose files go there.
fn logs(trail: Option<&str>, found: &Bucket) -> Vec<Item> {
    let wanted = Wanted { log_bucket: Some("logs".to_owned()), ..wanted() };
    plan_logs(&wanted, "logs", trail, found)
}

#[test]
fn the_bucket_for_logs_may_be_written_by_those_who_log() {
    let items = logs(Some("t"), &Bucket::Missing);
    let Some(Act::Policy(policy)) = act(&items, "log-delivery") else { panic!("a policy is put") };
    for part in ["logging.s3.amazonaws.com", "cloudtrail.amazonaws.com", "aws:SecureTransport", "AWSLogs/111122223333/"]
    {
        assert!(policy.contains(part), "{part} in {policy}");
    }
    let Some(Act::Lifecycle { added, .. }) = act(&items, "lifecycle") else { panic!("old logs go in the end") };
    let rule = |rule: &Rule| LifecycleRule::builder().id(rule.id()).status(ExpirationStatus::Enabled).build();
    let rules = added.iter().map(rule).collect::<Result<Vec<_>, _>>().expect("rules");
    assert_eq!(rules.len(), 2);
    let theirs = Bucket::There(Box::new(Settings { lifecycle: (Vec::new(), None), ..well_set() }));
    assert_eq!(action(&logs(Some("t"), &theirs), "lifecycle"), Some(Action::Keep), "not from theirs");
    let tags = [(TAG.0.to_owned(), TAG.1.to_owned())].into();
    let found = Settings { policy: Some(policy), lifecycle: (rules, None), tags, ..well_set() };
    let again = logs(Some("t"), &Bucket::There(Box::new(found)));
    assert!(again.iter().all(|item| item.action == Action::Keep), "{again:?}");
}

/// S3 says nothing where it cannot put its logs: a record that stays empty is none.
#[test]
fn a_bucket_that_takes_no_access_logs_is_refused() {
    use ServerSideEncryption::AwsKms;
    let refusal = |found: Settings| {
        let items = logs(None, &Bucket::There(Box::new(found)));
        let item = items.into_iter().find(|item| item.property == LOG_DELIVERY).expect("an item");
        (item.action == Action::Refuse).then_some(item.why)
    };
    let lock = |mode: Option<&str>| Some(ObjectLock { mode: mode.map(str::to_owned), ..ObjectLock::default() });
    let unsaid = r#"{"Statement":{"Sid":"NothingUnsaid","Effect":"Deny","Principal":"*","Action":"s3:PutObject","Resource":"arn:aws:s3:::logs/*","Condition":{"Null":{"s3:x-amz-server-side-encryption":"true"}}}}"#;
    for (found, word) in [
        (Settings { encryption: Some(encrypted(AwsKms, None, false)), ..well_set() }, "AWS's own key"),
        (Settings { encryption: Some(encrypted(AwsKms, Some((KEY, true)), true)), ..well_set() }, "AWS's own key"),
        (Settings { policy: Some(unsaid.to_owned()), ..well_set() }, "(NothingUnsaid)"),
        (Settings { object_lock: lock(Some("GOVERNANCE")), ..well_set() }, "Object Lock"),
    ] {
        let why = refusal(found).expect(word);
        assert!(why.contains(word) && why.contains("another bucket"), "{why}");
    }
    assert_eq!(refusal(Settings { object_lock: lock(None), ..well_set() }), None);
    let by_owners_key = Settings { encryption: Some(encrypted(AwsKms, Some((KEY, false)), true)), ..well_set() };
    let delivery = |wanted: &Wanted| {
        let items = plan_logs(wanted, "logs", Some("t"), &Bucket::There(Box::new(by_owners_key.clone())));
        let item = items.into_iter().find(|item| item.property == LOG_DELIVERY).expect("an item");
        (item.action, item.why.contains("lets logging.s3.amazonaws.com use it"))
    };
    assert_eq!(delivery(&wanted()), (Action::Create, true), "it is told, and up to the key's policy");
    let of_trail = Wanted { bucket: None, state_table: Some("states".to_owned()), ..wanted() };
    assert_eq!(delivery(&of_trail), (Action::Create, false), "a trail is another matter");
}

/// A trail that was there before may have its files elsewhere: then it writes nothing here.
#[test]
fn a_trail_that_writes_elsewhere_gets_no_right_to_write_here() {
    let found = |bucket: &str| Found {
        trail: Some(Trail::There(TrailSettings { bucket: bucket.to_owned(), ..TrailSettings::default() })),
        ..Found::default()
    };
    let [log_bucket, trail] = ["logs", "t"].map(|name| Some(name.to_owned()));
    let wanted = Wanted { log_bucket, trail, ..wanted() };
    let policy = |wanted: &Wanted, found: &Found| {
        let of = |item: &Item| item.resource == "bucket logs" && item.property == LOG_DELIVERY;
        match steps(wanted, found).into_iter().find(of)?.call?.act {
            Act::Policy(policy) => Some(policy),
            other => panic!("{other:?}"),
        }
    };
    for (found, writes) in [(Found::default(), true), (found("logs"), true), (found("others"), false)] {
        let policy = policy(&wanted, &found).expect("S3 writes its logs");
        assert_eq!(policy.contains("cloudtrail.amazonaws.com"), writes, "{policy}");
        assert!(policy.contains("logging.s3.amazonaws.com"), "{policy}");
    }
    let of_table = Wanted { bucket: None, state_table: Some("states".to_owned()), ..wanted };
    assert_eq!(policy(&of_table, &found("others")), None, "nobody writes there");
}
