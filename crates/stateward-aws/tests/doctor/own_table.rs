//! The table that holds all of a store: its rights, and whether it keeps conditions.

use std::sync::atomic::{AtomicUsize, Ordering};

use stateward_aws::doctor::{Finding, Status};
use stateward_iam::Purpose;
use stateward_testkit::{Fault, Rule};

use crate::denials;
use crate::place::{Place, finding, status};
use crate::planted::says;
use crate::stores::in_tables;

/// A place without a lock table: all that is asked is asked of the store's own.
fn alone() -> Place {
    let mut place = Place::new();
    in_tables(&mut place);
    place.target.lock_table = None;
    place
}

fn answer(status: u16, body: &str) -> Fault {
    let headers = vec![("Content-Type".to_owned(), "application/x-amz-json-1.0".to_owned())];
    Fault::Answer { status, headers, body: body.to_owned() }
}

/// Each action, and the request that it is tried with.
const RIGHTS: [(&str, &str); 9] = [
    ("dynamodb:BatchGetItem", "BatchGetItem"),
    ("dynamodb:BatchWriteItem", "BatchWriteItem"),
    ("dynamodb:ConditionCheckItem", "TransactWriteItems"),
    ("dynamodb:DeleteItem", "DeleteItem"),
    ("dynamodb:DescribeTable", "DescribeTable"),
    ("dynamodb:GetItem", "GetItem"),
    ("dynamodb:PutItem", "PutItem"),
    ("dynamodb:Query", "Query"),
    ("dynamodb:UpdateItem", "UpdateItem"),
];

#[tokio::test]
async fn each_right_of_a_store_is_tried_and_nothing_stays() {
    for place in [alone(), {
        let mut both = Place::new();
        in_tables(&mut both);
        both
    }] {
        let found = place.examine().await;
        says("all is well", &found, &[]);
        let told = |found: &[Finding]| {
            let rights = found.iter().filter(|finding| finding.check.starts_with("right:"));
            rights.map(|finding| (finding.check["right:".len()..].to_owned(), finding.status)).collect::<Vec<_>>()
        };
        let expected: Vec<_> = RIGHTS.iter().map(|(action, _)| ((*action).to_owned(), Status::Ok)).collect();
        assert_eq!(told(&found), expected);
        for check in ["lock-table-schema", "conditional-write", "mutual-exclusion"] {
            assert_eq!(status(&found, check), Status::Ok, "{check}");
        }
        assert_eq!(place.left(), Vec::<String>::new(), "what was written is removed");
    }
}

#[tokio::test]
async fn each_right_that_is_refused_is_told() {
    for (action, operation) in RIGHTS {
        let place = alone();
        let end = format!("because no identity-based policy allows the {action} action");
        place.proxy.inject(Rule::new(denials::dynamodb(action, &end)).operation(operation));
        let right = format!("right:{action}");
        let found = place.examine().await;
        says(action, &found, &[(right.as_str(), Status::Fail)]);
        let denial = finding(&found, &right).denial.as_ref().unwrap();
        assert_eq!(denial.action.as_deref(), Some(action));
    }
    let place = alone();
    let end = "because no identity-based policy allows the dynamodb:PutItem action";
    place.proxy.inject(Rule::new(denials::dynamodb("dynamodb:PutItem", end)).operation("PutItem"));
    let found = place.examine().await;
    assert_eq!(status(&found, "mutual-exclusion"), Status::Untested);
}

#[tokio::test]
async fn a_table_that_does_not_keep_conditions() {
    let fails = async |operation: &str, fault: Fault, words: &str| {
        let place = alone();
        place.proxy.inject(Rule::new(fault).operation(operation));
        let found = place.examine().await;
        says(operation, &found, &[("conditional-write", Status::Fail)]);
        let told = finding(&found, "conditional-write");
        let text = format!("{} {}", told.title, told.why.as_deref().unwrap_or_default());
        assert!(text.contains(words), "{text}");
    };
    fails("PutItem", answer(200, "{}"), "`attribute_not_exists` did not keep").await;
    fails("TransactWriteItems", answer(200, "{}"), "a transaction was done though").await;
    let unknown =
        r#"{"__type":"com.amazonaws.dynamodb.v20120810#UnknownOperationException","message":"TransactWriteItems"}"#;
    fails("TransactWriteItems", answer(400, unknown), "knows no transactions").await;

    let place = alone();
    let count = AtomicUsize::new(0);
    // The first two tell whether a condition is kept; all that race win.
    let race = Rule::new(answer(200, "{}")).operation("PutItem");
    place.proxy.inject(race.when(move |_| count.fetch_add(1, Ordering::Relaxed) >= 3));
    let found = place.examine().await;
    says("a race", &found, &[("mutual-exclusion", Status::Fail)]);
}

/// What a run that was broken off wrote there goes, too.
#[tokio::test]
async fn items_of_a_run_that_was_broken_off() {
    let place = alone();
    let end = "with an explicit deny in a service control policy";
    place.proxy.inject(Rule::new(denials::dynamodb("dynamodb:DeleteItem", end)).operation("DeleteItem"));
    let patient = place.patient().await;
    patient.examine().await;
    let left = patient.clean().await;
    assert_eq!(left.len(), place.left().len(), "{left:?}");
    assert!(!left.is_empty());
    for (what, why) in &left {
        assert!(what.starts_with("the item `stateward-doctor-") && what.contains(&place.target.place), "{what}");
        assert!(why.contains("dynamodb:DeleteItem"), "{why}");
    }
    place.heal();
    assert_eq!(patient.clean().await, Vec::new());
    assert_eq!(place.left(), Vec::<String>::new());
}

#[tokio::test]
async fn what_only_an_administrator_needs() {
    let mut place = alone();
    place.purpose = Purpose::Admin;
    let found = place.examine().await;
    says("admin", &found, &[]);
    assert_eq!(status(&found, "right:dynamodb:Scan"), Status::Ok);
    let untested = ["right:dynamodb:CreateTable", "right:dynamodb:UpdateTimeToLive"];
    for check in untested {
        assert!(finding(&found, check).why.as_ref().is_some_and(|why| why.contains("nothing harmless")), "{found:?}");
    }
}
