//! A set-up that is broken off goes on, one that is done writes nothing, and what was there before stays.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod account;
mod obstacles;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use stateward_aws::setup::{Action, Item};
use stateward_testkit::{Fault, Rule};

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
