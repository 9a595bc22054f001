//! The doctor finds what was planted, and nothing else.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![expect(clippy::disallowed_methods, reason = "credentials, signatures and locks are of now")]

mod denials;
mod details;
mod keys;
mod lab_place;
mod lifecycle;
mod names;
mod own_table;
mod place;
mod planted;
mod reading;
mod rows;
mod stores;

use stateward_aws::doctor::Status;

use self::place::Place;

#[tokio::test]
async fn where_all_is_well_nothing_is_told() {
    let place = Place::new();
    let found = place.examine().await;
    let open: Vec<_> =
        found.iter().filter(|finding| finding.status != Status::Ok).map(|finding| &finding.check).collect();
    assert!(open.is_empty(), "{open:?}");
    let rights: Vec<_> = found.iter().filter_map(|finding| finding.check.strip_prefix("right:")).collect();
    let needed = [
        "dynamodb:DeleteItem",
        "dynamodb:GetItem",
        "dynamodb:PutItem",
        "s3:DeleteObject",
        "s3:GetObject",
        "s3:ListBucket",
        "s3:PutObject",
    ];
    assert_eq!(rights, needed);
    assert_eq!(place.left(), Vec::<String>::new(), "what was written is removed");
    let of_policy =
        |request: &stateward_testkit::SeenRequest| request.query.split(['&', '=']).any(|part| part == "policy");
    assert_eq!(place.proxy.requests().iter().filter(|request| of_policy(request)).count(), 1, "it is asked for once");
}

#[tokio::test]
async fn read_only_writes_nothing() {
    let mut place = Place::new();
    place.read_only = true;
    let found = place.examine().await;
    assert!(found.iter().all(|finding| matches!(finding.status, Status::Ok | Status::Untested)), "{found:#?}");
    place.only_reads();
    let of_writing = ["conditional-write", "mutual-exclusion", "right:s3:PutObject", "right:dynamodb:PutItem"];
    for check in of_writing {
        assert_eq!(place::status(&found, check), Status::Untested, "{check}");
    }
}

#[tokio::test]
async fn what_was_written_is_removed_when_nobody_waits_for_the_end() {
    let place = Place::new();
    let patient = place.patient().await;
    let written = async {
        while place.left().is_empty() {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
    };
    assert!(patient.examine_until(written).await.is_none());
    assert_eq!(patient.clean().await, Vec::new());
    assert_eq!(place.left(), Vec::<String>::new());
}

/// A write that is on its way when somebody breaks off arrives, whoever has left: it is waited for, and removed.
#[tokio::test]
async fn what_is_on_its_way_when_it_is_broken_off_is_removed() {
    for operation in ["PutObject", "CreateMultipartUpload", "PutItem"] {
        let place = Place::new();
        let late = stateward_testkit::Fault::LandLate(std::time::Duration::from_millis(500));
        place.proxy.inject(stateward_testkit::Rule::new(late).operation(operation));
        let patient = place.patient().await;
        let sent = async {
            while place.proxy.count(operation) == 0 {
                tokio::time::sleep(std::time::Duration::from_millis(1)).await;
            }
        };
        assert!(patient.examine_until(sent).await.is_none());
        place.heal();
        assert_eq!(patient.clean().await, Vec::new(), "{operation}");
        let sent = |request: &stateward_testkit::SeenRequest| request.operation() == operation;
        let waiting = || place.proxy.requests().iter().any(|request| sent(request) && request.status.is_none());
        let begun = std::time::Instant::now();
        while waiting() && begun.elapsed() < std::time::Duration::from_secs(20) {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        assert!(!waiting(), "{operation}");
        assert_eq!(place.left(), Vec::<String>::new(), "{operation}");
    }
}

#[tokio::test]
async fn what_cannot_be_removed_is_told() {
    let place = Place::new();
    let denial = denials::s3("s3:DeleteObject", "with an explicit deny in a service control policy");
    place.proxy.inject(stateward_testkit::Rule::new(denial).when(|request| request.method == "DELETE"));
    let patient = place.patient().await;
    let found = patient.examine().await;
    assert_eq!(place::status(&found, "right:s3:DeleteObject"), Status::Fail);
    let left = patient.clean().await;
    assert!(!left.is_empty());
    for (what, why) in left {
        let is_told = what.starts_with("s3://") || what.starts_with("the upload ") || what.starts_with("old versions ");
        assert!(is_told && why.contains("s3:DeleteObject"), "{what}: {why}");
    }
}

/// What a doctor that was killed has left goes with the next one that comes an hour later or more, and nothing else does.
#[tokio::test]
async fn what_a_killed_doctor_left() {
    let mut place = Place::new();
    let refused = denials::s3("s3:DeleteObject", "with an explicit deny in a service control policy");
    place.proxy.inject(stateward_testkit::Rule::new(refused).when(|request| request.method == "DELETE"));
    place.patient().await.examine().await;
    place.heal();
    // moto says of every upload that it is old, and so they go at once.
    let objects =
        |place: &Place| place.left().into_iter().filter(|left| !left.starts_with("upload of")).collect::<Vec<_>>();
    let uploads = place.left().len() - objects(&place).len();
    assert!(uploads > 0, "{:?}", place.left());
    let left = objects(&place);
    assert!(!left.is_empty());
    place.read_only = true;
    let found = place.examine().await;
    let told = place::finding(&found, "leftovers");
    let fix = told.fix.as_deref().unwrap_or_default();
    assert!(told.title.starts_with(&format!("{uploads} upload")) && fix.contains("abort-multipart-upload"), "{told:?}");
    place.read_only = false;
    let found = place.examine().await;
    let told = &place::finding(&found, "leftovers").title;
    assert!(told.starts_with(&format!("removed: {uploads} upload")), "objects may be of one at work: {told}");
    assert_eq!(place.left(), left);
    place.ahead = jiff::SignedDuration::from_hours(2);
    place.read_only = true;
    let found = place.examine().await;
    let told = place::finding(&found, "leftovers");
    assert!(
        told.status == Status::Warn && told.why.as_ref().is_some_and(|why| why.contains("stateward-doctor-")),
        "{told:?}"
    );
    assert_eq!(objects(&place), left);
    place.read_only = false;
    let theirs = "env:/stateward-doctor-blog/";
    place.put_state(theirs, "{}");
    let found = place.examine().await;
    assert_eq!(place::status(&found, "leftovers"), Status::Ok, "{found:#?}");
    assert_eq!(place.state(theirs), "{}");
    assert_eq!(objects(&place), [format!("{theirs}{}", place::KEY)], "all but what is another's");
}

/// An upload that cannot be given up is told, and none is begun under the state's own name then.
#[tokio::test]
async fn an_upload_that_cannot_be_given_up() {
    let place = Place::new();
    let denial = denials::s3(
        "s3:AbortMultipartUpload",
        "because no identity-based policy allows the s3:AbortMultipartUpload action",
    );
    place.proxy.inject(stateward_testkit::Rule::new(denial).operation("AbortMultipartUpload"));
    // As AWS says it of who may write; moto falls over.
    let none = stateward_testkit::Fault::s3(404, "NoSuchUpload", "The specified upload does not exist.");
    place.proxy.inject(stateward_testkit::Rule::new(none).operation("UploadPart").path(place::KEY));
    let patient = place.patient().await;
    let found = patient.examine().await;
    assert_eq!(place::status(&found, "right:s3:PutObject"), Status::Ok);
    let left = patient.clean().await;
    assert_eq!(left.len(), 2, "{left:?}");
    for (what, why) in &left {
        assert!(what.starts_with("the upload ") && what.contains("stateward-doctor-"), "{what}");
        assert!(why.contains("s3:AbortMultipartUpload"), "{why}");
    }
    assert_eq!(place.left().len(), 2);
    place.heal();
    assert_eq!(patient.clean().await, Vec::new());
    assert_eq!(place.left(), Vec::<String>::new());
}

/// Whatever is under way when somebody breaks off: an upload whose answer has not come yet, too.
#[tokio::test]
async fn an_upload_that_was_broken_off() {
    let place = Place::new();
    let lost = stateward_testkit::Fault::LoseAnswer;
    place.proxy.inject(stateward_testkit::Rule::new(lost).operation("CreateMultipartUpload").path("stateward-doctor"));
    let patient = place.patient().await;
    patient.examine().await;
    assert!(!place.left().is_empty());
    place.heal();
    assert_eq!(patient.clean().await, Vec::new());
    assert_eq!(place.left(), Vec::<String>::new());
}

/// A state may be called as the doctor's own names are: what others have begun there is theirs.
#[tokio::test]
async fn a_state_with_a_name_like_the_doctors() {
    let mut place = Place::new();
    place.target.key = "stateward-doctor-blog/net.tfstate".to_owned();
    let under = format!("/{}/{}", place.bucket(), place.target.key);
    place.begin_upload();
    let lost = stateward_testkit::Rule::new(stateward_testkit::Fault::LoseAnswer);
    place.proxy.inject(lost.operation("CreateMultipartUpload").when(move |request| request.path == under));
    let patient = place.patient().await;
    patient.examine().await;
    let left = patient.clean().await;
    assert!(left.iter().any(|(_, why)| why.contains("the answer to its beginning was lost")), "{left:?}");
    // What the doctor began under the state's name cannot be told from what was there.
    assert_eq!(place.left(), vec![format!("upload of {}", place.target.key); 2]);
}
