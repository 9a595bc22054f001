//! Two Regions, each with a server of its own, and a copier that brings them together later: of two writes of an item, the later one wins.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use bytes::Bytes;
use stateward_store::{Expect, Key, Listing, Result, Revision, Store, StoreError, Write};
use stateward_store_dynamodb::{DynamoStore, Force, Moved, Options, failover, left_behind};
use stateward_testkit::{DynamoDbLocal, Fault, FaultProxy, Rule};

use crate::place::{client, now, open, options, seed};

const EUROPE: &str = "eu-west-1";
const AMERICA: &str = "us-east-1";

type Item = HashMap<String, AttributeValue>;

/// A table in two Regions. The proxies stand between a Region and the other one's clients.
struct World {
    _america: DynamoDbLocal,
    to_europe: FaultProxy,
    to_america: FaultProxy,
    europe: Options,
    america: Options,
}

impl World {
    async fn new() -> Self {
        let server = DynamoDbLocal::start();
        let (to_europe, to_america) = (FaultProxy::to(DynamoDbLocal::shared().url()), FaultProxy::to(server.url()));
        let mut base = options(DynamoDbLocal::shared().url());
        base.home_lease = Duration::ZERO;
        base.access.max_retries = 1;
        let near = |region: &str, endpoint: &str| {
            let mut options = base.clone();
            options.access.region = Some(region.into());
            options.access.endpoint = Some(endpoint.to_owned());
            options
        };
        let (mut europe, mut america) = (near(EUROPE, DynamoDbLocal::shared().url()), near(AMERICA, server.url()));
        let endpoints = |europe: &str, america: &str| {
            [(EUROPE.to_owned(), europe.to_owned()), (AMERICA.to_owned(), america.to_owned())].into()
        };
        europe.endpoints = endpoints(DynamoDbLocal::shared().url(), to_america.url());
        america.endpoints = endpoints(to_europe.url(), server.url());
        for options in [&europe, &america] {
            let mut alone = (*options).clone();
            alone.endpoints.clear();
            make_table(&alone).await;
        }
        Self { _america: server, to_europe, to_america, europe, america }
    }

    /// No Region reaches the other.
    fn part(&self) {
        for proxy in [&self.to_europe, &self.to_america] {
            proxy.inject(Rule::new(Fault::LoseRequest));
        }
    }

    fn heal(&self) {
        for proxy in [&self.to_europe, &self.to_america] {
            proxy.heal();
        }
    }

    fn copier(&self) -> Copier {
        let table = self.europe.state_table.clone();
        Copier { table, regions: [client(&self.europe), client(&self.america)], known: HashMap::new() }
    }
}

async fn make_table(options: &Options) {
    use aws_sdk_dynamodb::types::{AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType};
    let mut request = client(options).create_table().table_name(&options.state_table);
    for (name, role, kind) in
        [("StateID", KeyType::Hash, ScalarAttributeType::S), ("VersionID", KeyType::Range, ScalarAttributeType::N)]
    {
        let attribute = AttributeDefinition::builder().attribute_name(name).attribute_type(kind).build().unwrap();
        let key = KeySchemaElement::builder().attribute_name(name).key_type(role).build().unwrap();
        request = request.attribute_definitions(attribute).key_schema(key);
    }
    request.billing_mode(BillingMode::PayPerRequest).send().await.unwrap();
}

/// Replication as `DynamoDB` does it with eventual consistency. Between two copies each Region knows only its own writes.
struct Copier {
    table: String,
    regions: [Client; 2],
    /// What both had after the last copy.
    known: HashMap<(String, String), Item>,
}

impl Copier {
    /// Brings both Regions to the same. Where both wrote an item, the write of `later` is taken for the later one.
    async fn copy(&mut self, later: usize) {
        let sides = [self.items(0).await, self.items(1).await];
        let mut keys: Vec<_> = sides.iter().flat_map(HashMap::keys).chain(self.known.keys()).cloned().collect();
        keys.sort();
        keys.dedup();
        for key in keys {
            let known = self.known.get(&key).cloned();
            let changed = |side: usize| sides[side].get(&key) != known.as_ref();
            let from = match (changed(0), changed(1)) {
                (false, false) => continue,
                (true, true) => later,
                (first, _) => usize::from(!first),
            };
            let item = sides[from].get(&key).cloned();
            if item.as_ref() != sides[1 - from].get(&key) {
                self.put(1 - from, &key, item.clone()).await;
            }
            match item {
                Some(item) => drop(self.known.insert(key, item)),
                None => drop(self.known.remove(&key)),
            }
        }
    }

    async fn items(&self, side: usize) -> HashMap<(String, String), Item> {
        let mut found = HashMap::new();
        let mut start = None;
        loop {
            let scan = self.regions[side].scan().table_name(&self.table).consistent_read(true);
            let page = scan.set_exclusive_start_key(start).send().await.unwrap();
            for item in page.items() {
                let key = (item["StateID"].as_s().unwrap().clone(), item["VersionID"].as_n().unwrap().clone());
                found.insert(key, item.clone());
            }
            start = page.last_evaluated_key.filter(|key| !key.is_empty());
            if start.is_none() {
                return found;
            }
        }
    }

    async fn put(&self, side: usize, (state, version): &(String, String), item: Option<Item>) {
        let (client, table) = (&self.regions[side], &self.table);
        if let Some(item) = item {
            client.put_item().table_name(table).set_item(Some(item)).send().await.unwrap();
        } else {
            let delete = client.delete_item().table_name(table).key("StateID", AttributeValue::S(state.clone()));
            delete.key("VersionID", AttributeValue::N(version.clone())).send().await.unwrap();
        }
    }
}

async fn put(store: &dyn Store, key: &str, value: &str, expect: Expect) -> Result<Revision> {
    let value = Some(Bytes::copy_from_slice(value.as_bytes()));
    store.commit(vec![Write { key: Key::new(key), value, expect }]).await
}

async fn create(store: &dyn Store, key: &str, value: &str) -> Result<Revision> {
    put(store, key, value, Expect::Absent).await
}

async fn get(store: &dyn Store, key: &str) -> Option<String> {
    let record = store.get(&Key::new(key)).await.unwrap()?;
    Some(String::from_utf8(record.value.to_vec()).unwrap())
}

fn is_unavailable<T: std::fmt::Debug>(outcome: &Result<T>) -> bool {
    matches!(outcome, Err(StoreError::Unavailable { .. }))
}

/// Moves the home, while the copier goes on copying.
async fn move_home(options: &Options, to: &str, copier: &mut Copier) -> Moved {
    let mut moving = {
        let (options, to) = (options.clone(), to.to_owned());
        tokio::spawn(async move { failover(&options, now(), seed(), &to, Force::No).await })
    };
    loop {
        tokio::select! {
            moved = &mut moving => return moved.unwrap().unwrap(),
            () = tokio::time::sleep(Duration::from_millis(50)) => copier.copy(0).await,
        }
    }
}

/// The seed's lock: put where one is, then look whether every Region that the health check left has the same.
async fn seeds_lock(table: &str, own: &Client, healthy: &[&Client], who: &str) -> bool {
    let at = |name: &str| (AttributeValue::S(name.to_owned()), AttributeValue::N("0".into()));
    let (state, version) = at("lock");
    let put = own.put_item().table_name(table).item("StateID", state.clone()).item("VersionID", version.clone());
    let put = put.item("Info", AttributeValue::S(who.into())).condition_expression("attribute_not_exists(StateID)");
    if put.send().await.is_err() {
        return false;
    }
    for region in healthy {
        let get = region.get_item().table_name(table).consistent_read(true);
        let found = get.key("StateID", state.clone()).key("VersionID", version.clone()).send().await.unwrap().item;
        if found.is_none_or(|item| item["Info"].as_s().unwrap() != who) {
            return false;
        }
    }
    true
}

/// Two Regions that do not reach each other: the seed's health check leaves out the other one, and both get the lock. Here, only
/// those who reach the home get anything.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_seeds_lock_lets_two_in_and_ours_one() {
    let world = World::new().await;
    let mut copier = world.copier();
    let (near_home, far) = (open(&world.europe).await, open(&world.america).await);
    create(&*far, "state/ours@default", "free").await.unwrap();
    copier.copy(0).await;

    world.part();
    let table = &world.europe.state_table;
    let (europe, america) = (client(&world.europe), client(&world.america));
    let first = seeds_lock(table, &europe, &[&europe], "europe").await;
    let second = seeds_lock(table, &america, &[&america], "america").await;
    assert!(first && second, "the seed's lock lets both in");

    let free = near_home.get(&Key::new("state/ours@default")).await.unwrap().unwrap().revision;
    let far_away = put(&*far, "state/ours@default", "america", Expect::Revision(free.clone())).await;
    assert!(
        matches!(far_away, Err(StoreError::Unavailable { .. } | StoreError::OutcomeUnknown { .. })),
        "{far_away:?}"
    );
    put(&*near_home, "state/ours@default", "europe", Expect::Revision(free.clone())).await.unwrap();
    let reopened = DynamoStore::open(&world.america, now(), seed()).await;
    assert!(reopened.is_err(), "nobody begins a home of his own");

    world.heal();
    copier.copy(1).await;
    let late = put(&*far, "state/ours@default", "america", Expect::Revision(free)).await;
    assert!(matches!(late, Err(StoreError::Conflict { .. })), "{late:?}");
    assert_eq!(get(&*far, "state/ours@default").await.as_deref(), Some("europe"));
}

/// Two clients in two Regions that meet at the home, again and again: each increment is counted once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_regions_write_at_one_home() {
    let world = World::new().await;
    let stores = [open(&world.europe).await, open(&world.america).await];
    create(&*stores[0], "n", "0").await.unwrap();
    let tasks = stores.map(|store| {
        tokio::spawn(async move {
            let mut done = 0;
            while done < 10 {
                let record = store.get(&Key::new("n")).await.unwrap().unwrap();
                let next: u64 = std::str::from_utf8(&record.value).unwrap().parse::<u64>().unwrap() + 1;
                match put(&*store, "n", &next.to_string(), Expect::Revision(record.revision)).await {
                    Ok(_) => done += 1,
                    Err(StoreError::Conflict { .. } | StoreError::Unavailable { .. }) => {}
                    Err(error) => panic!("{error}"),
                }
            }
        })
    });
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(get(&*open(&world.europe).await, "n").await.as_deref(), Some("20"));
    assert!(
        client(&world.america).scan().table_name(&world.america.state_table).send().await.unwrap().items().is_empty()
    );
}

/// A planned move loses nothing, and whoever has not noticed it writes nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_planned_move_loses_nothing() {
    let world = World::new().await;
    let mut copier = world.copier();
    let (unaware, replica) = (open(&world.europe).await, {
        copier.copy(0).await;
        let mut options = world.america.clone();
        options.read_replica = true;
        options
    });
    for n in 0..20 {
        create(&*unaware, &format!("state/{n}@default"), "old").await.unwrap();
    }
    let gone = create(&*unaware, "state/gone@default", "old").await.unwrap();
    copier.copy(0).await;
    unaware.delete(&Key::new("state/gone@default"), gone).await.unwrap();
    create(&*unaware, "state/last@default", "old").await.unwrap();
    let behind = open(&replica).await;
    assert_eq!(get(&*behind, "state/last@default").await, None, "a replica may be behind");
    assert_eq!(get(&*behind, "state/gone@default").await.as_deref(), Some("old"));
    assert!(matches!(create(&*behind, "x", "y").await, Err(StoreError::Unsupported { .. })));

    let moved = move_home(&world.europe, AMERICA, &mut copier).await;
    assert_eq!((moved.epoch, moved.from.as_deref(), moved.to.as_str()), (2, Some(EUROPE), AMERICA));
    let refused = create(&*unaware, "state/late@default", "late").await;
    assert!(is_unavailable(&refused), "{refused:?}");
    let aware = open(&world.america).await;
    assert_eq!(get(&*aware, "state/last@default").await.as_deref(), Some("old"));
    assert_eq!(get(&*aware, "state/gone@default").await, None);
    assert_eq!(get(&*aware, "state/late@default").await, None);
    let listing = Listing { prefix: "state/".into(), after: None, limit: 100 };
    assert_eq!(aware.list(&listing).await.unwrap().len(), 21);

    // From then on the other writes at the new home, too.
    create(&*unaware, "state/late@default", "new").await.unwrap();
    assert_eq!(get(&*aware, "state/late@default").await.as_deref(), Some("new"));
    assert_eq!(left_behind(&world.america, now(), seed()).await.unwrap(), [""; 0]);

    // And back again; the second time there is nothing to do.
    let back = move_home(&world.america, EUROPE, &mut copier).await;
    assert_eq!((back.epoch, back.to.as_str()), (3, EUROPE));
    assert_eq!(move_home(&world.america, EUROPE, &mut copier).await.from, None);
    let stale = aware.get(&Key::new("state/late@default")).await;
    assert!(is_unavailable(&stale), "a former home is not read: {stale:?}");
    assert_eq!(get(&*aware, "state/late@default").await.as_deref(), Some("new"));
}

/// After a forced move nothing that the old home goes on to write is read or written over at the new one, and it is told what that was.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_forced_move_keeps_the_old_home_out() {
    let world = World::new().await;
    let mut copier = world.copier();
    let old_home = open(&world.europe).await;
    let first = create(&*old_home, "state/a@default", "1").await.unwrap();
    copier.copy(0).await;
    world.part();
    // Acknowledged, and not copied before the move.
    create(&*old_home, "state/lost@default", "x").await.unwrap();

    let moved = failover(&world.america, now(), seed(), AMERICA, Force::Yes).await.unwrap();
    assert_eq!((moved.epoch, moved.from.as_deref(), moved.to.as_str()), (3, Some(EUROPE), AMERICA));
    assert!(moved.items > 0);
    let new_home: Arc<DynamoStore> = open(&world.america).await;
    put(&*new_home, "state/a@default", "2", Expect::Revision(first.clone())).await.unwrap();
    assert_eq!(get(&*new_home, "state/lost@default").await, None);
    // The old home does not know yet. It wins wherever the later write wins.
    put(&*old_home, "state/a@default", "wrong", Expect::Revision(first)).await.unwrap();

    world.heal();
    copier.copy(0).await;
    assert_eq!(get(&*new_home, "state/a@default").await.as_deref(), Some("2"));
    let refused = create(&*old_home, "state/b@default", "b").await;
    assert!(is_unavailable(&refused), "{refused:?}");
    assert_eq!(get(&*old_home, "state/a@default").await.as_deref(), Some("2"), "it has come home");
    create(&*old_home, "state/b@default", "b").await.unwrap();
    assert_eq!(get(&*new_home, "state/b@default").await.as_deref(), Some("b"));
    let left = left_behind(&world.america, now(), seed()).await.unwrap();
    assert_eq!(left, ["state/a@default", "state/lost@default"]);
}
