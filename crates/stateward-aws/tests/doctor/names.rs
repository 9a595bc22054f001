//! Rights are tried under the names that count, where that changes nothing.

use serde_json::{Value, json};
use stateward_aws::doctor::{Finding, Status};
use stateward_iam::{Keeping, Layout, Purpose, generate};
use stateward_testkit::{Fault, Moto, Rule, SeenRequest};

use crate::denials;
use crate::lab_place::{ACCOUNT, LabPlace, all_but, everything};
use crate::place::{KEY, Place, finding};
use crate::planted::says;

/// Denies an action on a thing alone.
fn denies(action: &str, resource: &str) -> Value {
    json!({ "Version": "2012-10-17", "Statement": [{ "Sid": "Own", "Effect": "Deny", "Action": action, "Resource": resource }] })
}

async fn with_policies(at: &mut LabPlace, number: usize, policies: &Value) -> Vec<Finding> {
    at.place.credentials = Some(at.keys(number, &at.user(number)));
    at.set(number, |world| world["users"][0]["policies"] = policies.clone());
    at.place.examine().await
}

/// A policy that names the state, or its lock, is met although it says nothing of other names.
#[tokio::test]
async fn a_policy_that_names_the_state() {
    let mut at = LabPlace::new();
    at.place.target.use_lockfile = true;
    at.place.target.workspace = "prod".to_owned();
    at.place.purpose = Purpose::Admin;
    let object = |name: &str| format!("arn:aws:s3:::{}/{name}", at.place.bucket());
    let own = object(&format!("env:/prod/{KEY}"));
    let (lock, others) = (format!("{own}.tflock"), [object(KEY), object(&format!("env:/dev/{KEY}"))]);
    let rights = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"];
    let mut number = 0;
    for action in rights {
        for resource in [&own, &lock] {
            number += 1;
            at.place.put_state("env:/prod/", "{}");
            let found = with_policies(&mut at, number, &json!([everything(), denies(action, resource)])).await;
            // Without its rights more cannot be seen, and not all is told of what could not.
            let told = finding(&found, &format!("right:{action}"));
            // No delete bears the name of a state: what the policies say is told in its place.
            let is_tried = action != "s3:DeleteObject" || resource == &lock;
            let status = if is_tried { Status::Fail } else { Status::Untested };
            assert_eq!(told.status, status, "{action} on {resource}: {found:#?}");
            assert_eq!(at.place.state("env:/prod/"), "{}", "{action} on {resource}");
        }
        number += 1;
        let found = with_policies(
            &mut at,
            number,
            &json!([everything(), denies(action, &others[0]), denies(action, &others[1])]),
        )
        .await;
        let told = finding(&found, &format!("right:{action}"));
        if action == "s3:DeleteObject" {
            let why = told.why.as_deref().unwrap_or_default();
            assert!(told.status == Status::Untested && why.contains("under the name of a state"), "{found:#?}");
            continue;
        }
        assert_eq!(told.status, Status::Ok, "{action}: {found:#?}");
    }
}

/// A policy for the state alone allows no name of the doctor's own, and may not allow to give up an upload: none is begun there.
#[tokio::test]
async fn the_policy_of_one_state() {
    let mut at = LabPlace::new();
    at.place.target.lock_table = None;
    at.place.target.use_lockfile = true;
    let mut keeping = Keeping::new(Layout::S3, at.place.bucket(), KEY);
    keeping.use_lockfile = true;
    let generated = serde_json::to_value(generate(&keeping, Purpose::Apply).unwrap()).unwrap();
    for (number, (policies, expected)) in
        [(json!([generated]), Status::Ok), (json!([generated, denies("s3:PutObject", "*")]), Status::Fail)]
            .into_iter()
            .enumerate()
    {
        at.place.credentials = Some(at.keys(number + 1, &at.user(number + 1)));
        at.set(number + 1, |world| world["users"][0]["policies"] = policies.clone());
        at.place.proxy.heal();
        if expected == Status::Ok {
            // As AWS says it of who may write; moto falls over.
            let none = Fault::s3(404, "NoSuchUpload", "The specified upload does not exist.");
            at.place.proxy.inject(Rule::new(none).operation("UploadPart"));
        }
        let patient = at.place.patient().await;
        let found = patient.examine().await;
        assert_eq!(finding(&found, "right:s3:PutObject").status, expected, "{found:#?}");
        let condition = finding(&found, "conditional-write");
        let why = condition.why.as_deref().unwrap();
        assert!(condition.status == Status::Untested && why.contains("policy generate --workspaces"), "{condition:#?}");
        assert_eq!(patient.clean().await, Vec::new());
        assert_eq!(at.place.left(), Vec::<String>::new());
    }
}

/// Where several rights are lacking, the command that prints all of them is told with each.
#[tokio::test]
async fn rights_that_are_lacking_together() {
    let mut at = LabPlace::new();
    at.place.target.use_lockfile = true;
    at.place.target.lock_table = None;
    let reads =
        json!({ "Version": "2012-10-17", "Statement": [{ "Effect": "Allow", "Action": "s3:Get*", "Resource": "*" }] });
    let found = with_policies(&mut at, 1, &json!([reads])).await;
    let all = format!(
        "`stateward policy generate --for apply --bucket {} --key {KEY} --use-lockfile --region us-east-1 --account {ACCOUNT}` prints all",
        at.place.bucket()
    );
    for right in ["right:s3:ListBucket", "right:s3:PutObject", "right:s3:DeleteObject"] {
        let told = finding(&found, right);
        assert!(told.fix.as_deref().is_some_and(|fix| fix.contains(&all)), "{all} is not in {told:#?}");
    }
    // One alone has its own policy.
    let found = with_policies(&mut at, 2, &json!([all_but("s3:PutObject")])).await;
    let told = finding(&found, "right:s3:PutObject");
    assert!(!told.fix.as_deref().unwrap().contains("at once"), "{told:#?}");
}

/// A delete that nothing allows is found without one under the lock's name: for certain where policies may be read.
#[tokio::test]
async fn a_delete_that_nothing_allows() {
    let mut at = LabPlace::new();
    at.place.target.use_lockfile = true;
    let right = "right:s3:DeleteObject";
    let own = json!({ "Version": "2012-10-17", "Statement": [{ "Effect": "Allow", "Action": "s3:DeleteObject",
        "Resource": format!("arn:aws:s3:::{}/{KEY}.tflock", at.place.bucket()) }] });
    let (lacking, hidden) = (all_but("s3:DeleteObject"), denies("iam:*", "*"));
    for (number, (policies, status, words)) in [
        (json!([lacking]), Status::Fail, "do not allow it (layer: identity)"),
        (json!([lacking, hidden]), Status::Warn, "a name of the doctor's own beside the state"),
        (json!([lacking, own]), Status::Untested, "the policies that could be read allow it"),
        (json!([lacking, own, hidden]), Status::Warn, "a name of the doctor's own beside the state"),
    ]
    .into_iter()
    .enumerate()
    {
        let found = with_policies(&mut at, number + 1, &policies).await;
        let told = finding(&found, right);
        assert_eq!(told.status, status, "{policies}: {found:#?}");
        assert!(told.why.as_deref().unwrap().contains(words), "{policies}: {told:#?}");
        let open: Vec<&str> =
            found.iter().filter(|finding| finding.status >= Status::Warn).map(|open| open.check.as_str()).collect();
        assert!(open.iter().all(|check| *check == right), "{policies}: {open:?}");
    }
}

/// Both items of a table are tried, also where nobody may see by policies that they are told apart.
#[tokio::test]
async fn a_policy_that_names_an_item() {
    let mut at = LabPlace::new();
    for (number, (action, suffix)) in [
        ("dynamodb:PutItem", ""),
        ("dynamodb:PutItem", "-md5"),
        ("dynamodb:GetItem", "-md5"),
        ("dynamodb:DeleteItem", ""),
    ]
    .into_iter()
    .enumerate()
    {
        let mut one = denies(action, "*");
        let id = format!("{}/{KEY}{suffix}", at.place.bucket());
        one["Statement"][0]["Condition"] = json!({ "ForAnyValue:StringEquals": { "dynamodb:LeadingKeys": id } });
        let policies = json!([everything(), one, denies("iam:*", "*")]);
        let found = with_policies(&mut at, number + 1, &policies).await;
        assert_eq!(finding(&found, &format!("right:{action}")).status, Status::Fail, "{action} {suffix}: {found:#?}");
    }
}

fn is_delete_under_condition(request: &SeenRequest) -> bool {
    request.method == "DELETE" && request.header("if-match").is_some()
}

/// Where a condition on a delete is not kept, none is tried under the state's name, and that is told.
#[tokio::test]
async fn a_bucket_that_deletes_whatever_the_condition() {
    let place = Place::new();
    place.put_object("", "{}");
    place.proxy.inject(Rule::new(Fault::status(204)).when(is_delete_under_condition));
    let found = place.examine().await;
    let told = finding(&found, "right:s3:DeleteObject");
    let why = told.why.as_deref().unwrap();
    assert_eq!(told.status, Status::Untested);
    assert!(
        why.contains("allowed for a name of the doctor's own") && why.contains("no condition on it is kept"),
        "{why}"
    );
    let asked: Vec<_> = place.proxy.requests().into_iter().filter(is_delete_under_condition).collect();
    assert!(!asked.is_empty() && asked.iter().all(|request| request.path.contains("stateward-doctor-")), "{asked:?}");
    assert_eq!(place.left(), Vec::<String>::new());
}

/// Names are told whole: the prefix of workspaces has a colon.
#[tokio::test]
async fn a_name_with_a_colon() {
    let mut place = Place::new();
    place.target.workspace = "w".to_owned();
    place.purpose = Purpose::Admin;
    let found = place.examine().await;
    let why = finding(&found, "right:s3:DeleteObject").why.clone().unwrap();
    let bucket = place.bucket();
    for words in [format!("allowed for {bucket}/env:/w/{KEY}.tflock;"), format!("for {bucket}/env:/w/{KEY}: ")] {
        assert!(why.contains(&words), "{words:?} is not in {why:?}");
    }
}

/// The version of an object in a bucket that keeps none any more goes with a plain delete, and nothing is told of it.
#[tokio::test]
async fn a_version_that_is_gone_is_not_left_behind() {
    let left = async |plain: Fault| {
        let place = Place::new();
        let written = Fault::status(200).header("ETag", "\"0\"").header("x-amz-version-id", "null");
        place.proxy.inject(Rule::new(written).operation("PutObject"));
        let refused = denials::s3("s3:DeleteObjectVersion", "with an explicit deny in a service control policy");
        let is_version = |request: &SeenRequest| request.query.contains("versionId");
        let is_delete = |request: &SeenRequest| request.method == "DELETE" && !request.query.contains("uploadId");
        place.proxy.inject(Rule::new(refused).when(move |request| is_delete(request) && is_version(request)));
        place.proxy.inject(Rule::new(plain).when(move |request| is_delete(request) && !is_version(request)));
        let patient = place.patient().await;
        patient.examine().await;
        patient.clean().await
    };
    assert_eq!(left(Fault::status(204)).await, Vec::new());
    // A mark of its deletion is.
    let marks = Fault::status(204).header("x-amz-delete-marker", "true").header("x-amz-version-id", "null");
    let left = left(marks).await;
    assert_eq!(left.len(), 1, "{left:?}");
    assert_eq!(left[0].0, "delete markers of objects that are gone");
    assert!(left[0].1.contains("s3:DeleteObjectVersion"), "{left:?}");
}

/// Terraform hands the name of the table to DynamoDB as it is, and DynamoDB takes its ARN.
#[tokio::test]
async fn a_lock_table_by_its_arn() {
    let mut place = Place::new();
    let arn = format!("arn:aws:dynamodb:us-east-1:123456789012:table/{}", place.table());
    place.target.lock_table = Some(arn.clone());
    let found = place.examine().await;
    says("by its ARN", &found, &[]);
    for right in ["dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:DeleteItem"] {
        assert_eq!(finding(&found, &format!("right:{right}")).status, Status::Ok, "{found:#?}");
    }
    let policies = place.proxy.requests().into_iter().filter(|request| request.operation() == "GetResourcePolicy");
    assert_eq!(policies.count(), 1);
    assert!(
        Moto::shared().dynamodb("Scan", &json!({ "TableName": place.table() }).to_string())["Items"]
            .as_array()
            .unwrap()
            .is_empty()
    );
}
