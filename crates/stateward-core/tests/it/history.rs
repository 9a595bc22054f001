use stateward_core::{Kind, Version};

use crate::bench::{bench, id, kind, state};

#[tokio::test]
async fn every_version_is_kept_with_its_author() {
    let bench = bench().await;
    bench.lock("a", "L").await.unwrap();
    bench.post("a", Some("L"), state(1, &[("x", "1")])).await.unwrap();
    bench.post("a", Some("L"), state(2, &[("x", "2"), ("y", "1")])).await.unwrap();
    bench.unlock("a", "L").await.unwrap();
    bench.post("a", None, state(3, &[("y", "1")])).await.unwrap();
    let history = bench.backend.history(&bench.caller, &id("a"), None, None).await.unwrap().items;
    let told: Vec<_> = history
        .iter()
        .map(|item| {
            (
                item.version.0,
                item.serial,
                item.who.as_str(),
                item.operation.as_str(),
                item.changes.added,
                item.changes.changed,
                item.changes.removed,
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            (3, 3, "tester", "write", 0, 0, 1),
            (2, 2, "L@host", "OperationTypeApply", 1, 1, 0),
            (1, 1, "L@host", "OperationTypeApply", 1, 0, 0),
        ]
    );
    assert_eq!(history[0].parent, Some(Version(2)));
    assert!(history[0].head && !history[1].head);
    assert_eq!(bench.get_version("a", 1).await.unwrap(), state(1, &[("x", "1")]));
    let page = bench.backend.history(&bench.caller, &id("a"), Some(Version(3)), Some(1)).await.unwrap();
    assert_eq!((page.items[0].version, page.next.as_deref()), (Version(2), Some("v2")));
    assert_eq!(kind(bench.get_version("a", 9).await), Kind::NotFound);
    assert_eq!(kind(bench.backend.history(&bench.caller, &id("b"), None, None).await), Kind::NotFound);
}

#[tokio::test]
async fn many_versions_are_found_one_by_one() {
    let bench = bench().await;
    for serial in 1..=450 {
        bench.post("a", None, state(serial, &[("x", &serial.to_string())])).await.unwrap();
    }
    for version in [1, 2, 199, 200, 201, 449, 450] {
        assert_eq!(bench.get_version("a", version).await.unwrap(), state(version, &[("x", &version.to_string())]));
    }
    let history = bench.backend.history(&bench.caller, &id("a"), None, None).await.unwrap().items;
    assert!(history.iter().map(|item| item.version.0).eq((1..=450).rev()));
}

#[tokio::test]
async fn a_difference_names_what_changed() {
    let bench = bench().await;
    bench.post("a", None, state(1, &[("gone", "1"), ("kept", "1"), ("x", "1")])).await.unwrap();
    bench.post("a", None, state(2, &[("kept", "1"), ("new", "1"), ("x", "2")])).await.unwrap();
    let changes = bench.backend.diff(&bench.caller, &id("a"), None, None).await.unwrap().items;
    let told: Vec<_> = changes.iter().map(|change| change.address.as_str()).collect();
    assert_eq!(told, ["output.size", "terraform_data.gone", "terraform_data.new", "terraform_data.x"]);
    let same = bench.backend.diff(&bench.caller, &id("a"), Some(Version(2)), Some(Version(2))).await.unwrap();
    assert!(same.items.is_empty());
    let first = bench.backend.diff(&bench.caller, &id("a"), None, Some(Version(1))).await.unwrap();
    assert_eq!(first.items.len(), 4, "the first version against nothing");
}

#[tokio::test]
async fn the_timeline_of_a_resource() {
    let bench = bench().await;
    bench.post("a", None, state(1, &[("x", "1")])).await.unwrap();
    bench.post("a", None, state(2, &[("x", "1"), ("y", "1")])).await.unwrap();
    bench.post("a", None, state(3, &[("x", "2"), ("y", "1")])).await.unwrap();
    bench.post("a", None, state(4, &[("y", "1")])).await.unwrap();
    let steps = bench.backend.timeline(&bench.caller, &id("a"), "terraform_data.x").await.unwrap().items;
    let told: Vec<_> = steps.iter().map(|step| (step.version.0, format!("{:?}", step.action))).collect();
    assert_eq!(told, [(4, "Remove".to_owned()), (3, "Change".to_owned()), (1, "Add".to_owned())]);
    assert_eq!(kind(bench.backend.timeline(&bench.caller, &id("a"), "not an address").await), Kind::Invalid);
}

#[tokio::test]
async fn a_restore_is_a_new_serial_of_the_same_lineage() {
    let bench = bench().await;
    bench.post("a", None, state(1, &[("x", "1")])).await.unwrap();
    bench.post("a", None, state(5, &[("x", "2"), ("y", "1")])).await.unwrap();
    let stored = bench.backend.restore(&bench.caller, &id("a"), Version(1), &[]).await.unwrap();
    assert_eq!((stored.version, stored.serial, stored.changed), (Version(3), 6, true));
    assert_eq!(bench.get("a").await.unwrap(), state(1, &[("x", "1")]).replace(r#""serial":1,"#, r#""serial":6,"#));
    let item = &bench.backend.history(&bench.caller, &id("a"), None, None).await.unwrap().items[0];
    assert_eq!((item.operation.as_str(), item.who.as_str()), ("restore", "tester"));
    assert_eq!(
        kind(bench.backend.restore(&bench.caller, &id("a"), Version(3), &[]).await),
        Kind::Invalid,
        "that is the head"
    );
}

#[tokio::test]
async fn single_resources_can_be_restored() {
    let bench = bench().await;
    bench.post("a", None, state(1, &[("x", "1"), ("y", "1")])).await.unwrap();
    bench.post("a", None, state(2, &[("x", "2"), ("y", "2")])).await.unwrap();
    let stored =
        bench.backend.restore(&bench.caller, &id("a"), Version(1), &["terraform_data.x".into()]).await.unwrap();
    assert_eq!(stored.addresses, ["terraform_data.x"]);
    let restored = String::from_utf8(bench.get("a").await.unwrap().to_vec()).unwrap();
    let parsed: serde_json::Value = serde_json::from_str(&restored).unwrap();
    assert_eq!(parsed["resources"][0]["instances"][0]["attributes"]["id"], "1");
    assert_eq!(parsed["resources"][1]["instances"][0]["attributes"]["id"], "2");
    assert_eq!(parsed["serial"], 3);
    let nothing = bench.backend.restore(&bench.caller, &id("a"), Version(1), &["terraform_data.z".into()]).await;
    assert_eq!(kind(nothing), Kind::Invalid);
}

#[tokio::test]
async fn a_deleted_state_comes_back_as_it_was() {
    let bench = bench().await;
    bench.post("a", None, state(1, &[("x", "1")])).await.unwrap();
    assert_eq!(bench.backend.delete(&bench.caller, &id("a"), None).await.unwrap(), Some(Version(1)));
    assert_eq!(bench.backend.delete(&bench.caller, &id("a"), None).await.unwrap(), None);
    assert_eq!(bench.get("a").await, None);
    let query = stateward_core::StatesQuery::default();
    assert!(bench.backend.states(&bench.caller, &query).await.unwrap().items.is_empty());
    let all = stateward_core::StatesQuery { deleted: true, ..query };
    assert!(bench.backend.states(&bench.caller, &all).await.unwrap().items[0].deleted.is_some());
    assert_eq!(bench.backend.history(&bench.caller, &id("a"), None, None).await.unwrap().items.len(), 1);
    bench.backend.undelete(&bench.caller, &id("a")).await.unwrap();
    assert_eq!(bench.get("a").await.unwrap(), state(1, &[("x", "1")]));
    assert_eq!(kind(bench.backend.undelete(&bench.caller, &id("a")).await), Kind::Conflict);
    assert_eq!(kind(bench.backend.undelete(&bench.caller, &id("never")).await), Kind::NotFound);
}

#[tokio::test]
async fn changes_of_large_states_are_counted_exactly() {
    let bench = bench().await;
    let resources = |from: usize, to: usize, value: &'static str| -> Vec<(String, &'static str)> {
        (from..to).map(|n| (format!("r{n:05}"), if n % 10 == 0 { value } else { "same" })).collect()
    };
    let post = async |serial, resources: Vec<(String, &'static str)>| {
        let resources: Vec<(&str, &str)> = resources.iter().map(|(name, value)| (name.as_str(), *value)).collect();
        bench.post("a", None, state(serial, &resources)).await.unwrap();
    };
    post(1, resources(0, 3_000, "old")).await;
    post(2, resources(500, 5_000, "new")).await;
    post(3, Vec::new()).await;
    let history = bench.backend.history(&bench.caller, &id("a"), None, None).await.unwrap().items;
    let told: Vec<_> =
        history.iter().map(|item| (item.changes.added, item.changes.changed, item.changes.removed)).collect();
    assert_eq!(told, [(0, 0, 4_500), (2_000, 250, 500), (3_000, 0, 0)]);
}
