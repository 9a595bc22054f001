//! A key that refuses, or cannot be asked; services that are down one by one; and what blocks public access.

use serde_json::{Value, json};
use stateward_aws::doctor::Status;
use stateward_denial::{Effect, Layer};
use stateward_store_aws::Encryption;
use stateward_testkit::{Fault, Moto, Rule, SeenRequest};

use crate::denials;
use crate::lab_place::{ACCOUNT, LabPlace, all_but, everything, policy};
use crate::place::{KEY, Place};
use crate::planted::{planted, says};
use crate::reading::{kms, made_key};

const USES: &str = "kms:GenerateDataKey";

fn under(place: &mut Place, key: &str) {
    place.target.objects.encryption = Encryption::Kms { key: key.to_owned() };
    place.target.lock_table = None;
    place.target.use_lockfile = true;
}

fn of_key(effect: &str, principal: &str, action: &str) -> Value {
    json!({ "Effect": effect, "Principal": { "AWS": principal }, "Action": action, "Resource": "*" })
}

/// What is read shows that its key may be used: that one, and no other.
#[tokio::test]
async fn a_state_that_is_read_shows_the_use_of_its_key() {
    let [of_state, another] = [made_key().await, made_key().await];
    for (named, expected) in [(&of_state, Status::Ok), (&another, Status::Untested)] {
        let mut place = Place::new();
        under(&mut place, named);
        Moto::shared().put_encrypted(place.bucket(), KEY, "{}", &of_state);
        let found = place.examine().await;
        let told = found.iter().find(|finding| finding.check == "right:kms:Decrypt").unwrap();
        assert_eq!(told.status, expected, "{told:?}");
    }
}

/// Each layer that has a say about a key refuses its use in turn.
#[tokio::test]
async fn a_key_refuses_by_its_layer() {
    type Change = Box<dyn Fn(&mut Value)>;
    let mut at = LabPlace::new();
    let key = made_key().await;
    under(&mut at.place, &key);
    let root = format!("arn:aws:iam::{ACCOUNT}:root");
    let own = of_key("Allow", &root, "kms:*");
    let with_key = |statements: &[&Value]| -> Change {
        let policy = json!({ "Statement": statements });
        let key = key.clone();
        Box::new(move |world| world["keys"] = json!([{ "arn": key, "policy": policy }]))
    };
    let of_caller =
        |policies: Value| -> Change { Box::new(move |world| world["users"][0]["policies"] = policies.clone()) };
    let of_organization = |levels: Value| -> Change {
        Box::new(move |world| world["accounts"][ACCOUNT] = json!({ "organization": "o-lab", "scps": levels }))
    };
    let deny = policy("Deny", USES);
    let denies = of_key("Deny", &root, USES);
    let reads = of_key("Allow", &root, "kms:Describe*");
    // Nothing but a grant would let the caller in.
    let other = of_key("Allow", &at.role(5), USES);
    let cases: [(&str, Change, Layer, Effect); 7] = [
        ("no policy of the caller", of_caller(json!([all_but(USES)])), Layer::Identity, Effect::Implicit),
        ("a policy of the caller", of_caller(json!([everything(), deny])), Layer::Identity, Effect::Explicit),
        ("the key's policy denies", with_key(&[&own, &denies]), Layer::Resource, Effect::Explicit),
        ("the key's policy is silent", with_key(&[&reads]), Layer::Resource, Effect::Implicit),
        ("no grant", with_key(&[&reads, &other]), Layer::Resource, Effect::Implicit),
        ("no SCP", of_organization(json!([[everything()], [all_but(USES)]])), Layer::Scp, Effect::Implicit),
        ("an SCP", of_organization(json!([[everything()], [everything(), deny]])), Layer::Scp, Effect::Explicit),
    ];
    for (index, (name, change, layer, effect)) in cases.into_iter().enumerate() {
        let number = index + 1;
        at.place.credentials = Some(at.keys(number, &at.user(number)));
        at.set(number, |world| change(world));
        let found = at.place.examine().await;
        says(name, &found, &[("right:kms:GenerateDataKey", Status::Fail)]);
        let denial = found.iter().find_map(|finding| finding.denial.as_ref()).unwrap();
        assert_eq!((denial.layer, denial.effect, denial.action.as_deref()), (layer, effect, Some(USES)), "{name}");
    }
}

/// A key that nobody can use is one fault, however many requests it fails.
#[tokio::test]
async fn a_key_that_is_disabled_or_about_to_be_deleted() {
    for state in ["disabled", "pending_deletion"] {
        let mut at = LabPlace::new();
        let key = made_key().await;
        under(&mut at.place, &key);
        let id = key.rsplit('/').next().unwrap();
        if state == "disabled" {
            kms().disable_key().key_id(id).send().await.unwrap();
        } else {
            kms().schedule_key_deletion().key_id(id).pending_window_in_days(7).send().await.unwrap();
        }
        at.place.credentials = Some(at.keys(1, &at.user(1)));
        at.set(1, |world| world["keys"] = json!([{ "arn": key, "state": state }]));
        let found = at.place.examine().await;
        says(state, &found, &[("bucket-encryption", Status::Fail)]);
        let entry = found.iter().find_map(|finding| finding.entry.clone());
        assert_eq!(entry.as_deref(), Some("kms/key-disabled"), "{state}");
    }
}

/// What is down is told as such, and nothing is made up about what could not be asked.
#[tokio::test]
async fn one_service_is_down() {
    let key = made_key().await;
    let of_kms =
        |request: &SeenRequest| request.header("x-amz-target").is_some_and(|to| to.starts_with("TrentService"));
    planted("KMS", &[("endpoint", Status::Fail)], |place| {
        under(place, &key);
        place.proxy.inject(Rule::new(Fault::LoseRequest).when(of_kms));
    })
    .await;
    planted("IAM", &[], |place| {
        let reads = |request: &SeenRequest| {
            let is_query = request.method == "POST" && request.path == "/" && request.header("x-amz-target").is_none();
            is_query && request.operation() != "GetCallerIdentity"
        };
        place.proxy.inject(Rule::new(Fault::LoseRequest).when(reads));
    })
    .await;
}

/// Whoever answers there cannot show that it is AWS.
#[tokio::test]
async fn an_endpoint_that_is_asked_by_https_and_does_not_speak_it() {
    let mut place = Place::new();
    place.endpoint = Some(place.proxy.url().replace("http:", "https:"));
    let found = place.examine().await;
    says("TLS", &found, &[("endpoint", Status::Fail)]);
    let told = found.iter().find(|finding| finding.check == "endpoint").unwrap();
    assert!(format!("{told:?}").contains("TLS"), "{told:?}");
}

/// What blocks public access is no policy, and is told as what it is.
#[tokio::test]
async fn public_access_is_blocked() {
    let place = Place::new();
    let end = "because public ACLs are prevented by the BlockPublicAcls setting in S3 Block Public Access.";
    let fault = denials::s3("s3:PutObject", end);
    for operation in ["CreateMultipartUpload", "UploadPart"] {
        place.proxy.inject(Rule::new(fault.clone()).operation(operation));
    }
    let found = place.examine().await;
    says("blocked", &found, &[("right:s3:PutObject", Status::Fail)]);
    let finding = found.iter().find(|finding| finding.check == "right:s3:PutObject").unwrap();
    let denial = finding.denial.as_ref().unwrap();
    assert_eq!((denial.layer, denial.action.as_deref()), (Layer::S3BlockPublicAccess, Some("s3:PutObject")));
    assert!(finding.entry.is_some(), "{finding:#?}");
}
