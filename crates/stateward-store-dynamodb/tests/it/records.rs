//! Records at the edges of what the service takes.

use aws_sdk_dynamodb::types::AttributeValue;
use bytes::Bytes;
use stateward_store::{Expect, Key, Listing, Store, StoreError, Write};
use stateward_testkit::DynamoDbLocal;

use crate::place::{NOW, client, open, options};

fn write(key: String, value: Bytes, expect: Expect) -> Write {
    Write { key: Key::new(key), value: Some(value), expect }
}

/// More than one transaction takes is written all the same: what nobody else writes goes ahead, and the last write decides.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_may_be_larger_than_a_transaction() {
    let store = open(&options(DynamoDbLocal::shared().url())).await;
    for (count, size) in [(300_u32, 10), (20, 256 << 10)] {
        let value = Bytes::from(vec![7; size]);
        let key = |n: u32| format!("version/big{size}@default#{n:016x}-{n:032x}");
        let mut writes: Vec<Write> = (0..count).map(|n| write(key(n), value.clone(), Expect::Any)).collect();
        writes.push(write(format!("state/big{size}@default"), Bytes::from_static(b"head"), Expect::Absent));
        store.commit(writes.clone()).await.unwrap();
        assert!(matches!(store.commit(writes).await, Err(StoreError::Conflict { .. })));
        let prefix = format!("version/big{size}@default#");
        let entries = store.list(&Listing { prefix, after: None, limit: 1000 }).await.unwrap();
        assert_eq!(entries.len(), count as usize);
        assert!(entries.iter().all(|entry| entry.record.value == value));
    }
    let many = (0..120).map(|n| write(format!("cas/{n}"), Bytes::new(), Expect::Absent)).collect();
    assert!(
        matches!(store.commit(many).await, Err(StoreError::Unsupported { .. })),
        "these would have to be written at once"
    );
}

/// `DynamoDB` deletes what has expired days later. Until then it is there, and counts for nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_has_expired_is_not_there() {
    let options = options(DynamoDbLocal::shared().url());
    let store = open(&options).await;
    let value = || Bytes::from_static(b"value");
    store.commit(vec![write("state/a@default".into(), value(), Expect::Absent)]).await.unwrap();
    for (expiry, there) in [(NOW + 1, true), (0, true), (NOW - 1, false)] {
        let update = client(&options).update_item().table_name(&options.state_table);
        let update = update.key("StateID", AttributeValue::S("record/state/a@default".into()));
        let update = update.key("VersionID", AttributeValue::N("0".into())).update_expression("SET #ttl = :ttl");
        let update = update.expression_attribute_names("#ttl", "TTL");
        update.expression_attribute_values(":ttl", AttributeValue::N(expiry.to_string())).send().await.unwrap();
        let found = store.get(&Key::new("state/a@default")).await.unwrap();
        assert_eq!(found.is_some(), there, "{expiry}");
        let listing = Listing { prefix: "state/".into(), after: None, limit: 10 };
        assert_eq!(store.list(&listing).await.unwrap().len(), usize::from(there));
    }
    store.commit(vec![write("state/a@default".into(), value(), Expect::Absent)]).await.unwrap();
    assert!(store.get(&Key::new("state/a@default")).await.unwrap().is_some());
}

/// A pack that lost a part is found.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pack_that_is_not_whole_is_found() {
    let options = options(DynamoDbLocal::shared().url());
    let store = open(&options).await;
    let mut session = store.session(&Key::new("a"));
    let blob = stateward_store::NewBlob { id: stateward_store::BlobId([7; 32]), sealed: vec![1; 200_000].into() };
    session.put(vec![blob]).await.unwrap();
    session.commit(vec![write("a".into(), Bytes::new(), Expect::Absent)]).await.unwrap();
    assert_eq!(store.verify().await.unwrap(), []);

    let client = client(&options);
    let items = client.scan().table_name(&options.state_table).send().await.unwrap().items.unwrap();
    let part = items.iter().find(|item| item["StateID"].as_s().unwrap().starts_with("pack/")).unwrap();
    let delete = client.delete_item().table_name(&options.state_table);
    delete.key("StateID", part["StateID"].clone()).key("VersionID", part["VersionID"].clone()).send().await.unwrap();
    let problems = store.verify().await.unwrap();
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert!(problems[0].what.contains(part["StateID"].as_s().unwrap()), "{problems:?}");
}
