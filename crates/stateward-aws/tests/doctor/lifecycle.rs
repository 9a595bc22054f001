//! Lifecycle rules that take states away.

use stateward_aws::doctor::{Finding, Status};
use stateward_iam::Layout;
use stateward_testkit::{Fault, Rule};

use crate::denials;
use crate::place::{Place, finding, status};
use crate::planted::{planted, says};

const CHECK: &str = "bucket-lifecycle";
const EXPIRES: &str = "<Expiration><Days>30</Days></Expiration>";
const ARCHIVES: &str = "<Transition><Days>90</Days><StorageClass>DEEP_ARCHIVE</StorageClass></Transition>";
const FORGETS: &str = "<NoncurrentVersionExpiration><NoncurrentDays>1</NoncurrentDays></NoncurrentVersionExpiration>";

fn rules(filter: &str, does: &str) -> String {
    format!(
        "<LifecycleConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Rule><ID>clean up</ID><Status>Enabled</Status>\
         <Filter>{filter}</Filter>{does}</Rule></LifecycleConfiguration>"
    )
}

fn prefix(prefix: &str) -> String {
    format!("<Prefix>{prefix}</Prefix>")
}

/// The target is set before the rules are planted.
async fn with(filter: &str, does: &str, set: impl FnOnce(&mut Place)) -> (Place, Vec<Finding>) {
    let mut place = Place::new();
    set(&mut place);
    place.answer("lifecycle", &rules(filter, does));
    let found = place.examine().await;
    (place, found)
}

#[tokio::test]
async fn a_rule_that_deletes_the_state_or_archives_it() {
    let fail = [(CHECK, Status::Fail)];
    let (_, found) = with(&prefix("net/"), EXPIRES, |_| ()).await;
    says("it deletes", &found, &fail);
    let title = &finding(&found, CHECK).title;
    let words = "the lifecycle rule `clean up` deletes net/prod.tfstate and net/prod.tfstate.tflock 30 days after the last write";
    assert_eq!(title, words);
    let (place, found) = with(&prefix(""), ARCHIVES, |_| ()).await;
    says("it archives", &found, &fail);
    let told = finding(&found, CHECK);
    assert!(told.title.contains("to DEEP_ARCHIVE 90 days after"), "{}", told.title);
    let shown = format!("get-bucket-lifecycle-configuration --bucket {}`", place.bucket());
    assert!(told.fix.as_ref().is_some_and(|fix| fix.contains(&shown)), "{told:?}");
    let in_workspace = |place: &mut Place| place.target.workspace = "dev".to_owned();
    says("of a workspace", &with(&prefix("env:/dev/"), EXPIRES, in_workspace).await.1, &fail);
    let store = |place: &mut Place| {
        place.target.layout = Layout::Stateward;
        place.target.key = "team".to_owned();
    };
    let (_, found) = with(&prefix("team/.stateward/packs/"), EXPIRES, store).await;
    says("what a store keeps", &found, &fail);
    assert!(finding(&found, CHECK).title.contains("the store keeps under team/.stateward/"), "{found:?}");
    let (_, found) = with(&prefix("team/net"), EXPIRES, store).await;
    says("what a store shares", &found, &fail);
    let (_, found) = with(&prefix("team/"), FORGETS, store).await;
    says("a store keeps old versions itself", &found, &[]);
}

#[tokio::test]
async fn a_rule_that_takes_other_things_or_some() {
    let warn = [(CHECK, Status::Warn)];
    for filter in ["logs/", "env:/stateward-doctor-", "net/prod.tfstate.old", "env:/dev/other.tfstate"] {
        let (_, found) = with(&prefix(filter), EXPIRES, |_| ()).await;
        says(filter, &found, &[]);
        assert_eq!(finding(&found, CHECK).title, "no rule takes states away");
    }
    let tagged = "<Tag><Key>temporary</Key><Value>true</Value></Tag>";
    says("states have no tags", &with(tagged, EXPIRES, |_| ()).await.1, &[]);
    says("other workspaces", &with(&prefix("env:/"), EXPIRES, |_| ()).await.1, &warn);
    says("the lock alone", &with(&prefix("net/prod.tfstate.tflock"), EXPIRES, |_| ()).await.1, &warn);
    says("old versions", &with(&prefix(""), FORGETS, |_| ()).await.1, &warn);
    let large = "<ObjectSizeGreaterThan>500</ObjectSizeGreaterThan>";
    says("it may be so large", &with(large, EXPIRES, |_| ()).await.1, &warn);
    let of_size = |blanks: usize| {
        move |place: &mut Place| {
            let state =
                r#"{"version":4,"terraform_version":"1.15.5","serial":3,"lineage":"l","outputs":{},"resources":[]}"#;
            place.put_state("", &(state.to_owned() + &" ".repeat(blanks)));
        }
    };
    let (_, found) = with(large, EXPIRES, of_size(0)).await;
    says("it is not so large", &found, &warn);
    let why = finding(&found, CHECK).why.clone().unwrap_or_default();
    assert!(why.contains("objects of more than 500 bytes alone; the state has"), "{why}");
    says("it is so large", &with(large, EXPIRES, of_size(900)).await.1, &[(CHECK, Status::Fail)]);
}

/// S3 answers 403, and refuses nobody.
#[tokio::test]
async fn a_state_that_lies_in_an_archive() {
    let place = Place::new();
    place.put_state("", "{}");
    let archived = Fault::s3(403, "InvalidObjectState", "The operation is not valid for the object's storage class");
    let is_read = |request: &stateward_testkit::SeenRequest| {
        request.operation() == "GetObject" && request.path.ends_with("net/prod.tfstate")
    };
    place.proxy.inject(Rule::new(archived).when(is_read));
    let found = place.examine().await;
    says("archived", &found, &[(CHECK, Status::Fail)]);
    assert_eq!(finding(&found, CHECK).entry.as_deref(), Some("storage/state-archived"));
}

#[tokio::test]
async fn rules_that_cannot_be_read() {
    planted("refused", &[], |place| {
        let end = "because no identity-based policy allows the s3:GetLifecycleConfiguration action";
        place.proxy.inject(Place::setting(denials::s3("s3:GetLifecycleConfiguration", end), "lifecycle"));
    })
    .await;
    let place = Place::new();
    place.proxy.inject(Place::setting(Fault::s3(501, "NotImplemented", "not known here"), "lifecycle"));
    let found = place.examine().await;
    says("not known", &found, &[]);
    assert_eq!(status(&found, CHECK), Status::Untested);
    let place = Place::new();
    place.proxy.inject(
        Rule::new(Fault::s3(403, "AccessDenied", "Access Denied")).operation("GetBucketLifecycleConfiguration"),
    );
    let found = place.examine().await;
    assert_eq!(status(&found, CHECK), Status::Untested);
    assert!(finding(&found, CHECK).why.as_ref().is_some_and(|why| why.contains("refused")), "{found:?}");
}
