//! A set-up that is broken off goes on, one that is done writes nothing, and what was there before stays.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod account;
mod obstacles;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use stateward_aws::setup::{Action, ApplyError, Item};
use stateward_denial::Layer;
use stateward_testkit::{Fault, Rule, SeenRequest};

use self::account::Account;

/// What the next write meets, and all that comes after it: the end, as of a process that is killed there.
fn break_off(account: &Account, fault: Fault) {
    let ended = Arc::new(AtomicBool::new(false));
    let is_over = Arc::clone(&ended);
    account.proxy.inject(Rule::new(Fault::status(403)).when(move |_| is_over.load(Ordering::SeqCst)));
    account.proxy.inject(Rule::new(fault).when(move |request| request.writes() && !ended.swap(true, Ordering::SeqCst)));
}

fn acting(items: &[Item]) -> Vec<(&str, &str)> {
    items.iter().filter(|item| item.acts()).map(|item| (item.resource.as_str(), item.property)).collect()
}

/// After each single write it is broken off twice: before AWS does it, and after AWS has done it and before it says so. Each time the next
/// run goes on from what is there.
#[tokio::test]
async fn a_set_up_that_is_broken_off_anywhere_goes_on() {
    let account = Account::with_everything("broken").await;
    let all = acting(&account.plan().await).len();
    let mut done = 0;
    while done < all {
        break_off(&account, Fault::LoseRequest);
        account.apply().await.unwrap_err();
        account.proxy.heal();
        break_off(&account, Fault::LoseAnswer);
        account.apply().await.unwrap_err();
        account.proxy.heal();
        done += 1;
        let left = account.plan().await;
        assert_eq!(acting(&left).len(), all - done, "it was done, and is seen: {:#?}", acting(&left));
    }
    assert!(all >= 20, "{all} writes");
    account.proxy.forget_requests();
    let items = account.apply().await.unwrap();
    assert!(items.iter().all(|item| item.action == Action::Keep), "{items:#?}");
    assert_eq!(account.writes(), Vec::<String>::new());
}

/// AWS's words where a service control policy forbids an operation, as its service wraps them.
fn forbidden(request: &SeenRequest) -> Fault {
    let operation = request.operation();
    let target = request.header("x-amz-target").unwrap_or_default();
    let service = match target.split(['_', '.']).next() {
        Some("DynamoDB") => "dynamodb",
        Some("TrentService") => "kms",
        Some("CloudTrail" | "com") => "cloudtrail",
        _ if request.method == "POST" && request.path == "/" => "iam",
        _ => "s3",
    };
    let words = format!(
        "User: arn:aws:iam::123456789012:user/ci is not authorized to perform: {service}:{operation} on resource: arn:aws:{service}:::it \
         with an explicit deny in a service control policy"
    );
    match service {
        "s3" => Fault::s3(403, "AccessDenied", &words),
        "iam" => {
            let body = format!(
                "<ErrorResponse xmlns=\"https://iam.amazonaws.com/doc/2010-05-08/\"><Error><Type>Sender</Type><Code>AccessDenied</Code>\
                 <Message>{words}</Message></Error><RequestId>R</RequestId></ErrorResponse>"
            );
            Fault::Answer { status: 403, headers: Vec::new(), body }
        }
        _ => Fault::dynamodb(400, "AccessDeniedException", &words),
    }
}

/// Whatever step a service control policy forbids: it ends there, with the action and the layer, what was done before stays, and once it is
/// allowed the next run goes on with this step.
#[tokio::test]
async fn each_step_that_is_forbidden_ends_it_there() {
    let first = Account::with_everything("allowed").await;
    first.proxy.forget_requests();
    first.apply().await.unwrap();
    let requests = first.proxy.requests();
    let steps: Vec<&SeenRequest> = requests.iter().filter(|request| request.writes()).collect();
    let kinds: BTreeMap<&str, &SeenRequest> = steps.iter().map(|step| (step.operation(), *step)).collect();
    let account = Account::with_everything("forbidden").await;
    for (at, step) in steps.iter().enumerate() {
        // One write is allowed: the one that was forbidden before.
        let (allowed, writes) = (at.min(1), Arc::new(AtomicUsize::new(0)));
        for (operation, one) in &kinds {
            let writes = Arc::clone(&writes);
            let is_over = move |_: &SeenRequest| writes.fetch_add(1, Ordering::SeqCst) >= allowed;
            account.proxy.inject(Rule::new(forbidden(one)).operation(operation).when(is_over));
        }
        let ApplyError::Failed(failed) = account.apply().await.unwrap_err() else { panic!("a request that failed") };
        let denial = failed.problem().unwrap_or_else(|| panic!("unknown: {failed}")).denial.unwrap();
        let action = denial.action.unwrap_or_default();
        let is_it = action.ends_with(&format!(":{}", step.operation())) && denial.layer == Layer::Scp;
        assert!(is_it && failed.is_refused(), "{step}: {action} by {:?} in {failed}", denial.layer);
        account.proxy.heal();
    }
    account.apply().await.unwrap();
    assert!(kinds.len() >= 18, "{:?}", kinds.keys());
}

/// Each request is sent once, in an order in which it can be done, and a second run sends none.
#[tokio::test]
async fn a_set_up_is_done_once() {
    let account = Account::with_everything("once").await;
    let planned = account.plan().await;
    assert!(planned.iter().all(|item| item.action != Action::Refuse), "{planned:#?}");
    account.proxy.forget_requests();
    let items = account.apply().await.unwrap();
    assert!(items.iter().all(|item| item.action == Action::Keep), "{items:#?}");
    assert_eq!(account.writes().len(), acting(&planned).len(), "{:#?}", account.writes());
    account.proxy.forget_requests();
    account.apply().await.unwrap();
    assert_eq!(account.writes(), Vec::<String>::new());
}

/// AWS says that it has too much to do, now and then.
#[tokio::test]
async fn a_busy_service_is_asked_again() {
    let account = Account::new("busy");
    account
        .proxy
        .inject(Rule::new(Fault::slow_down()).when(|request| request.header("x-amz-target").is_none()).every(3));
    let items = account.apply().await.unwrap();
    assert!(items.iter().all(|item| item.action == Action::Keep), "{items:#?}");
    assert!(account.proxy.injected() > 10);
}
