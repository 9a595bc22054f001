//! Networks and services that fail in the middle.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use stateward_store::outside::{LockPlace, Spot, Taken};
use stateward_store::{Expect, Key, Store, StoreError, Write};
use stateward_store_dynamodb::{DynamoStore, LockTable};
use stateward_testkit::{DynamoDbLocal, Fault, FaultProxy, Rule, fresh_name};

use crate::place::{open, options};

fn write(key: &str, value: &str, expect: Expect) -> Write {
    Write { key: Key::new(key), value: Some(Bytes::copy_from_slice(value.as_bytes())), expect }
}

async fn value(store: &dyn Store, key: &str) -> Option<String> {
    let record = store.get(&Key::new(key)).await.unwrap()?;
    Some(String::from_utf8(record.value.to_vec()).unwrap())
}

/// A store behind a proxy, and the same store without.
async fn behind_a_proxy() -> (FaultProxy, Arc<DynamoStore>, Arc<DynamoStore>) {
    let proxy = FaultProxy::to(DynamoDbLocal::shared().url());
    let direct = options(DynamoDbLocal::shared().url());
    let mut proxied = direct.clone();
    proxied.access.endpoint = Some(proxy.url().to_owned());
    proxied.access.max_retries = 3;
    let (store, other) = (open(&direct).await, open(&proxied).await);
    (proxy, other, store)
}

/// Creation is a transaction (the record and its name), replacement one conditional put: in both, an answer that is lost after
/// success is no conflict with oneself.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_answer_is_no_conflict_with_oneself() {
    let (proxy, store, other) = behind_a_proxy().await;
    for fault in [Fault::LoseAnswer, Fault::LoseRequest, Fault::DuplicateAnsweredFirst, Fault::DuplicateAnsweredSecond]
    {
        for operation in ["TransactWriteItems", "PutItem"] {
            let key = format!("{fault:?} {operation}");
            let first = if operation == "PutItem" {
                Expect::Revision(other.commit(vec![write(&key, "0", Expect::Absent)]).await.unwrap())
            } else {
                Expect::Absent
            };
            proxy.heal();
            proxy.inject(Rule::new(fault.clone()).operation(operation).nth(1));
            let before = proxy.injected();
            let revision = store.commit(vec![write(&key, "1", first)]).await.unwrap();
            assert_eq!(proxy.injected(), before + 1, "{key}");
            assert_eq!(value(&*other, &key).await.as_deref(), Some("1"));
            other.commit(vec![write(&key, "2", Expect::Revision(revision))]).await.unwrap();
        }
    }
}

/// What stands before the service may refuse in its own name what it has let through: a lock that nobody knows of would keep all out.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_lock_is_left_by_a_refusal_of_what_was_done() {
    let proxy = FaultProxy::to(DynamoDbLocal::shared().url());
    let mut options = options(DynamoDbLocal::shared().url());
    options.lock_table = Some(fresh_name("locks"));
    let direct = LockTable::of(&open(&options).await).unwrap();
    options.access.endpoint = Some(proxy.url().to_owned());
    let locks = LockTable::of(&open(&options).await).unwrap();
    let at = Spot { name: "net".into(), workspace: "default".into() };
    let info = br#"{"ID":"L"}"#;
    for fault in [Fault::page(200), Fault::page(403), Fault::status(403)] {
        for operation in ["PutItem", "DeleteItem"] {
            let (name, before) = (format!("{fault:?} {operation}"), proxy.injected());
            proxy.inject(Rule::new(fault.clone().though_done()).operation(operation).nth(1));
            let taken = locks.lock(&at, "L", info).await;
            assert_eq!(taken.unwrap_or_else(|error| panic!("{name}: {error}")), Taken::Yes, "{name}");
            assert!(direct.holder(&at).await.unwrap().is_some(), "{name}");
            locks.unlock(&at, "L", info).await.unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(direct.holder(&at).await.unwrap(), None, "{name}");
            assert_eq!(proxy.injected(), before + 1, "{name}");
            proxy.heal();
        }
    }
    let denied = Fault::dynamodb(400, "AccessDeniedException", "not authorized");
    proxy.inject(Rule::new(denied).operation("PutItem"));
    assert!(matches!(locks.lock(&at, "L", info).await, Err(StoreError::Denied { .. })));
}

/// If no answer ever comes, it is said that the outcome is not known, and only then.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outcome_is_unknown_only_where_it_is() {
    let (proxy, store, other) = behind_a_proxy().await;
    proxy.inject(Rule::new(Fault::LoseAnswer).operation("TransactWriteItems"));
    let outcome = store.commit(vec![write("a", "1", Expect::Absent)]).await;
    assert!(matches!(outcome, Err(StoreError::OutcomeUnknown { .. })), "{outcome:?}");
    assert_eq!(value(&*other, "a").await.as_deref(), Some("1"), "it was done, in fact");

    proxy.heal();
    proxy.inject(Rule::new(Fault::throttling(Duration::ZERO)).operation("TransactWriteItems"));
    let outcome = store.commit(vec![write("b", "1", Expect::Absent)]).await;
    assert!(matches!(outcome, Err(StoreError::Unavailable { .. })), "{outcome:?}");
    assert_eq!(value(&*other, "b").await, None);
}

/// Requests are tried again a few times where the service is busy, also when another transaction is in the way.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_busy_service_is_asked_again() {
    let (proxy, store, other) = behind_a_proxy().await;
    let conflict = Fault::dynamodb(400, "TransactionConflictException", "Transaction is ongoing for the item");
    let slow = Fault::dynamodb(
        400,
        "ProvisionedThroughputExceededException",
        "The level of configured provisioned throughput was exceeded",
    );
    for (n, fault) in [conflict, slow, Fault::throttling(Duration::ZERO), Fault::status(503)].into_iter().enumerate() {
        let key = format!("busy/{n}");
        proxy.heal();
        proxy.inject(Rule::new(fault).first(2));
        let revision = store.commit(vec![write(&key, "1", Expect::Absent)]).await.unwrap();
        proxy.heal();
        store.commit(vec![write(&key, "2", Expect::Revision(revision))]).await.unwrap();
        assert_eq!(value(&*other, &key).await.as_deref(), Some("2"));
    }
}

/// Whatever goes wrong, increments are neither lost nor done twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn increments_survive_all_faults() {
    let (proxy, store, other) = behind_a_proxy().await;
    let faults = [
        Fault::LoseAnswer,
        Fault::LoseRequest,
        Fault::DuplicateAnsweredFirst,
        Fault::DuplicateAnsweredSecond,
        Fault::status(500),
        Fault::throttling(Duration::ZERO),
    ];
    for (n, fault) in faults.into_iter().enumerate() {
        proxy.inject(Rule::new(fault).random(6, n as u64));
    }
    let mut done = 0_u64;
    while done < 40 {
        let Ok(record) = store.get(&Key::new("n")).await else { continue };
        let (now, expect) = match record {
            Some(record) => {
                let now: u64 = std::str::from_utf8(&record.value).unwrap().parse().unwrap();
                (now, Expect::Revision(record.revision))
            }
            None => (0, Expect::Absent),
        };
        assert!(now == done || now == done + 1, "{now} after {done} acknowledged increments");
        done = now;
        let outcome = store.commit(vec![write("n", &(now + 1).to_string(), expect)]).await;
        assert!(!matches!(outcome, Err(StoreError::Conflict { .. })), "nobody else writes: {outcome:?}");
        done += u64::from(outcome.is_ok());
    }
    assert!(proxy.injected() > 5);
    assert_eq!(value(&*other, "n").await, Some(done.to_string()));
}
