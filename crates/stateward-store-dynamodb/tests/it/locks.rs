//! The lock table as other programs see it.

use std::sync::Arc;

use aws_sdk_dynamodb::types::AttributeValue;
use stateward_store::outside::{LockPlace, Spot, Taken};
use stateward_store_dynamodb::{LockTable, Options};
use stateward_testkit::{DynamoDbLocal, fresh_name};

use crate::place::{client, open, options};

fn spot(workspace: &str) -> Spot {
    Spot { name: "net/prod".into(), workspace: workspace.into() }
}

fn info(id: &str) -> String {
    format!(
        r#"{{"ID":"{id}","Operation":"OperationTypeApply","Info":"","Who":"ci@vm","Version":"1.15.5","Created":"2026-11-21T10:00:00.5Z","Path":""}}"#
    )
}

fn with_path(id: &str, path: &str) -> String {
    info(id).replace(r#""Path":"""#, &format!(r#""Path":"{path}""#))
}

async fn locks() -> (Options, LockTable) {
    let mut options = options(DynamoDbLocal::shared().url());
    options.lock_table = Some(fresh_name("locks"));
    let store = open(&options).await;
    (options, LockTable::of(&store).unwrap())
}

/// What stands in the lock table under a key.
async fn item(options: &Options, lock_id: &str) -> Option<String> {
    let table = options.lock_table.clone().unwrap();
    let request = client(options).get_item().table_name(table).key("LockID", AttributeValue::S(lock_id.into()));
    let item = request.consistent_read(true).send().await.unwrap().item?;
    assert_eq!(item.len(), 2, "only `LockID` and `Info`: {item:?}");
    Some(item["Info"].as_s().unwrap().clone())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lock_stands_there_as_terraform_writes_it() {
    let (options, locks) = locks().await;
    let table = &options.state_table;
    for (workspace, lock_id) in
        [("default", format!("{table}/net/prod")), ("blue", format!("{table}/workspace=blue/net/prod"))]
    {
        assert_eq!(locks.lock(&spot(workspace), "L", info("L").as_bytes()).await.unwrap(), Taken::Yes);
        assert_eq!(item(&options, &lock_id).await, Some(with_path("L", &lock_id)));
        // Once more, as after a lost answer.
        assert_eq!(locks.lock(&spot(workspace), "L", info("L").as_bytes()).await.unwrap(), Taken::Yes);
        let held = Taken::Held(with_path("L", &lock_id).into());
        assert_eq!(locks.lock(&spot(workspace), "M", info("M").as_bytes()).await.unwrap(), held);

        locks.unlock(&spot(workspace), "M", info("M").as_bytes()).await.unwrap();
        assert!(item(&options, &lock_id).await.is_some(), "another's lock is left as it is");
        locks.unlock(&spot(workspace), "L", info("L").as_bytes()).await.unwrap();
        assert_eq!(item(&options, &lock_id).await, None);
        locks.unlock(&spot(workspace), "L", info("L").as_bytes()).await.unwrap();
    }
}

/// A lock that somebody else put there holds, is shown with its bytes, and is broken only by its ID or by force.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn locks_of_others_hold() {
    let (options, locks) = locks().await;
    let lock_id = format!("{}/net/prod", options.state_table);
    let theirs = with_path("theirs", &lock_id);
    let put = |key: &str, name: &str, value: &str| {
        let request = client(&options).put_item().table_name(options.lock_table.clone().unwrap());
        request.item("LockID", AttributeValue::S(key.into())).item(name, AttributeValue::S(value.into())).send()
    };
    put(&lock_id, "Info", &theirs).await.unwrap();
    put(&format!("{lock_id}-md5"), "Digest", "d41d8cd98f00b204e9800998ecf8427e").await.unwrap();
    put("another-table/x", "Info", &theirs).await.unwrap();

    let held = locks.lock(&spot("default"), "ours", info("ours").as_bytes()).await.unwrap();
    assert_eq!(held, Taken::Held(theirs.clone().into()));
    assert_eq!(locks.holder(&spot("default")).await.unwrap(), Some(theirs.clone().into()));
    assert_eq!(locks.holders().await.unwrap(), [(spot("default"), theirs.clone().into())]);

    assert_eq!(locks.break_lock(&spot("default"), Some("another")).await.unwrap(), None);
    assert_eq!(item(&options, &lock_id).await, Some(theirs.clone()));
    assert_eq!(locks.break_lock(&spot("default"), Some("theirs")).await.unwrap(), Some(theirs.into()));
    assert_eq!(locks.break_lock(&spot("default"), None).await.unwrap(), None);
    assert_eq!(locks.lock(&spot("default"), "ours", info("ours").as_bytes()).await.unwrap(), Taken::Yes);
    assert!(locks.break_lock(&spot("default"), None).await.unwrap().is_some());
    assert!(locks.holders().await.unwrap().is_empty());
}

/// Of many who ask for the same lock, one gets it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_many_gets_the_lock() {
    let (_, locks) = locks().await;
    let locks = Arc::new(locks);
    let asked = (0..8).map(|n| {
        let locks = Arc::clone(&locks);
        tokio::spawn(async move {
            let id = format!("L{n}");
            locks.lock(&spot("default"), &id, info(&id).as_bytes()).await.unwrap()
        })
    });
    let mut taken = 0;
    for asked in asked.collect::<Vec<_>>() {
        taken += usize::from(asked.await.unwrap() == Taken::Yes);
    }
    assert_eq!(taken, 1);
}
