//! Laws of merging what a run wrote into a state that others have changed.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use stateward_state::edit::{Merge, MergeError, Merged};
use stateward_state::generate::{Spec, state};
use stateward_state::{Action, Document, counts};

use super::restoring::{Body, without};
use super::{specs, summary};

/// What a run started from, what it wrote, and what another run made of the start meanwhile.
#[derive(Debug, Clone)]
struct Three {
    base: Body,
    ours: Body,
    theirs: Body,
}

fn three() -> impl Strategy<Value = Three> {
    let touched = || prop::collection::btree_set(0_usize..60, 0..8);
    let drops = || prop::collection::vec(any::<bool>(), 60);
    (specs(), any::<bool>(), any::<bool>(), touched(), touched(), drops(), drops()).prop_map(
        |(spec, ours_indented, theirs_indented, ours, theirs, ours_dropped, theirs_dropped)| {
            let write = |touched, indented, serial, drops: &[bool]| {
                Body(without(&state(&Spec { touched, indented, serial, ..spec.clone() }), drops))
            };
            Three {
                base: write(BTreeSet::new(), spec.indented, 7, &[]),
                ours: write(ours, ours_indented, 8, &ours_dropped),
                theirs: write(theirs, theirs_indented, 9, &theirs_dropped),
            }
        },
    )
}

/// What differs between two bodies, by address.
fn changes(before: &[u8], after: &[u8]) -> BTreeMap<String, Action> {
    let (before, after) = (summary(before), summary(after));
    let mut found = BTreeMap::new();
    for (before, after) in [(before.instances, after.instances), (before.outputs, after.outputs)] {
        counts::merge_join(before, after, |address, action| {
            found.insert(address.to_owned(), action);
        });
    }
    found
}

fn merge(base: &[u8], head: &[u8], post: &[u8], mine: &dyn Fn(&str) -> bool) -> Result<Merged, MergeError> {
    Merge { base: Some(base), head, post, mine, serial: 10 }.run()
}

/// Every address with the bytes that stand there.
fn parts(body: &[u8]) -> BTreeMap<String, Vec<u8>> {
    let document = Document::parse(body).expect("valid");
    let instances =
        document.instances().map(|instance| (instance.address.clone(), document.raw(&instance.span).to_vec()));
    let outputs =
        document.outputs.iter().map(|output| (format!("output.{}", output.name), document.raw(&output.value).to_vec()));
    instances.chain(outputs).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_run_that_changed_nothing_changes_nothing(three in three()) {
        let merged = merge(&three.base.0, &three.theirs.0, &three.base.0, &|_| false).expect("merges");
        prop_assert!(merged.taken.is_empty() && merged.left.is_empty());
        prop_assert_eq!(parts(&merged.body), parts(&three.theirs.0));
        prop_assert_eq!(summary(&merged.body).serial, 10);
    }

    #[test]
    fn what_the_run_holds_is_as_it_wrote_it_and_all_else_byte_for_byte_as_it_was(three in three()) {
        let holds: BTreeSet<String> = changes(&three.base.0, &three.ours.0).into_keys().collect();
        let merged = merge(&three.base.0, &three.theirs.0, &three.ours.0, &|address| holds.contains(address)).expect("merges");
        let (head, post, body) = (parts(&three.theirs.0), parts(&three.ours.0), parts(&merged.body));
        let differs = changes(&three.ours.0, &merged.body);
        for address in head.keys().chain(post.keys()) {
            if holds.contains(address) {
                prop_assert!(!differs.contains_key(address), "{} is not what the run wrote", address);
            } else {
                prop_assert_eq!(body.get(address), head.get(address), "{}", address);
            }
        }
        prop_assert!(body.keys().all(|address| head.contains_key(address) || post.contains_key(address)));
        prop_assert_eq!(changes(&three.theirs.0, &merged.body).into_iter().collect::<Vec<_>>(), merged.taken);
        prop_assert_eq!(summary(&merged.body).lineage, summary(&three.base.0).lineage);
    }

    #[test]
    fn merging_again_finds_nothing_to_take(three in three()) {
        let holds: BTreeSet<String> = changes(&three.base.0, &three.ours.0).into_keys().collect();
        let mine = |address: &str| holds.contains(address);
        let once = merge(&three.base.0, &three.theirs.0, &three.ours.0, &mine).expect("merges");
        let twice = merge(&three.base.0, &once.body, &three.ours.0, &mine).expect("merges");
        prop_assert!(twice.taken.is_empty());
        prop_assert!(twice.body == once.body, "the same bytes");
    }

    #[test]
    fn a_run_that_holds_everything_makes_the_state_its_own(three in three()) {
        let merged = merge(&three.base.0, &three.theirs.0, &three.ours.0, &|_| true).expect("merges");
        prop_assert!(changes(&merged.body, &three.ours.0).is_empty());
    }

    #[test]
    fn disjoint_runs_may_come_in_any_order(three in three()) {
        let ours: BTreeSet<String> = changes(&three.base.0, &three.ours.0).into_keys().collect();
        let theirs: BTreeSet<String> = changes(&three.base.0, &three.theirs.0).into_keys().collect();
        prop_assume!(ours.is_disjoint(&theirs));
        let (ours, theirs) = (|address: &str| ours.contains(address), |address: &str| theirs.contains(address));
        let base = &three.base.0;
        let one = merge(base, &merge(base, base, &three.ours.0, &ours).expect("merges").body, &three.theirs.0, &theirs);
        let other = merge(base, &merge(base, base, &three.theirs.0, &theirs).expect("merges").body, &three.ours.0, &ours);
        let (one, other) = (one.expect("merges"), other.expect("merges"));
        prop_assert!(changes(&one.body, &other.body).is_empty());
        prop_assert!(one.left.is_empty() && other.left.is_empty());
    }

    #[test]
    fn nothing_that_only_others_changed_is_lost(three in three()) {
        // Nothing is held: all that the run changed is taken only where nobody else changed it.
        let (ours, theirs) = (changes(&three.base.0, &three.ours.0), changes(&three.base.0, &three.theirs.0));
        match merge(&three.base.0, &three.theirs.0, &three.ours.0, &|_| false) {
            Ok(merged) => {
                let differs = changes(&three.theirs.0, &merged.body);
                prop_assert!(differs.keys().all(|address| !theirs.contains_key(address)));
                prop_assert!(ours.keys().filter(|address| !theirs.contains_key(*address)).all(|address| differs.contains_key(address)));
            }
            Err(MergeError::Conflict { addresses }) => {
                prop_assert!(addresses.iter().all(|address| ours.contains_key(address) && theirs.contains_key(address)));
            }
            Err(error) => prop_assert!(false, "{}", error),
        }
    }
}

/// A state of instances of one type, each written as `(name, members)`, with more members of the block and of the top level.
fn handmade(serial: u64, instances: &[(&str, &str)], top: &str) -> Vec<u8> {
    let blocks: Vec<String> = instances
        .iter()
        .map(|(name, members)| {
            let (block, members) = members.split_once('|').unwrap_or(("", members));
            format!(
                r#"{{"mode":"managed","type":"t","name":"{name}","provider":"provider[\"p\"]"{block},"instances":[{{"schema_version":0,{members}}}]}}"#
            )
        })
        .collect();
    format!(
        r#"{{"version":4,"terraform_version":"1.15.5","serial":{serial},"lineage":"l"{top},"outputs":{{}},"resources":[{}],"check_results":null}}"#,
        blocks.join(",")
    )
    .into_bytes()
}

fn text(merged: &Merged) -> String {
    String::from_utf8(merged.body.clone()).expect("UTF-8")
}

#[test]
fn what_no_tool_knows_is_kept() {
    let base = handmade(
        1,
        &[("a", r#","x_block":1|"attributes":{"n":1},"x_instance":[1]"#), ("b", r#""attributes":{"n":1.50},"x":2"#)],
        r#","x_top":{}"#,
    );
    let post = handmade(2, &[("a", r#""attributes":{"n":2}"#), ("b", r#""attributes":{"n":1.50}"#)], "");
    let merged = merge(&base, &base, &post, &|address| address == "t.a").expect("merges");
    let expected = handmade(
        10,
        &[("a", r#","x_block":1|"attributes":{"n":2},"x_instance":[1]"#), ("b", r#""attributes":{"n":1.50},"x":2"#)],
        r#","x_top":{}"#,
    );
    assert_eq!(text(&merged), String::from_utf8(expected).expect("UTF-8"));
    assert_eq!(merged.taken, [("t.a".to_owned(), Action::Change)]);
}

#[test]
fn spelling_and_lost_fields_are_no_change() {
    let base = handmade(1, &[("a", r#""attributes":{"n":1.0,"s":"<&>"},"identity_schema_version":0,"unknown":1"#)], "");
    let post = handmade(2, &[("a", r#""attributes":{"s":"\u003c\u0026\u003e","n":1}"#)], "");
    let merged = merge(&base, &base, &post, &|_| true).expect("merges");
    assert!(merged.taken.is_empty(), "{merged:?}");
}

#[test]
fn of_two_blocks_with_one_name_each_keeps_its_instances() {
    let states = |serial, zero, one| {
        let instances = [0, 1].map(|key| format!(r#""index_key":{key},"attributes":{{"n":{}}}"#, [zero, one][key]));
        handmade(serial, &[("a", &instances[0]), ("a", &instances[1])], "")
    };
    let base = states(1, 1, 1);
    let (head, post) = (states(2, 5, 1), states(2, 1, 7));
    for mine in [&|_: &str| false, &(|address: &str| address == "t.a[1]") as &dyn Fn(&str) -> bool] {
        let merged = merge(&base, &head, &post, mine).expect("merges");
        assert_eq!(text(&merged), String::from_utf8(states(10, 5, 7)).expect("UTF-8"));
    }
    let (other, grown) = (handmade(1, &[("b", r#""attributes":{}"#)], ""), states(2, 1, 1));
    let merged = merge(&other, &other, &grown, &|_| true).expect("merges");
    assert_eq!(merged.taken.len(), 3, "{merged:?}");
    Document::parse(&merged.body).expect("no address stands twice");
}

#[test]
fn a_refresh_gives_way_to_what_somebody_else_wrote() {
    let base = handmade(1, &[("a", r#""attributes":{"n":1}"#), ("b", r#""attributes":{"n":1}"#)], "");
    let head = handmade(2, &[("a", r#""attributes":{"n":1}"#), ("b", r#""attributes":{"n":5}"#)], "");
    let post = handmade(2, &[("a", r#""attributes":{"n":2}"#), ("b", r#""attributes":{"n":3}"#)], "");
    let merged = merge(&base, &head, &post, &|_| false).expect("merges");
    assert_eq!(merged.taken, [("t.a".to_owned(), Action::Change)]);
    assert_eq!(merged.left, ["t.b"]);
    assert!(text(&merged).contains("\"n\":5") && text(&merged).contains("\"n\":2"));
}

#[test]
fn adding_or_removing_what_one_does_not_hold_conflicts() {
    let base = handmade(1, &[("a", r#""attributes":{"n":1}"#)], "");
    let head = handmade(2, &[("a", r#""attributes":{"n":5}"#), ("new", r#""attributes":{"by":"them"}"#)], "");
    let post = handmade(2, &[("new", r#""attributes":{"by":"us"}"#)], "");
    match merge(&base, &head, &post, &|_| false) {
        Err(MergeError::Conflict { addresses }) => assert_eq!(addresses, ["t.a", "t.new"]),
        other => panic!("expected a conflict, got {other:?}"),
    }
    let error = merge(&base, &head, &post, &|_| false).expect_err("conflicts").to_string();
    assert!(error.contains("t.a, t.new") && !error.contains("them"), "{error}");
}

#[test]
fn two_first_runs_merge_under_the_lineage_of_the_first() {
    let head = handmade(1, &[("a", r#""attributes":{"n":1}"#)], "");
    let post = String::from_utf8(handmade(1, &[("b", r#""attributes":{"n":1}"#)], "")).expect("UTF-8");
    let post = post.replace("\"lineage\":\"l\"", "\"lineage\":\"other\"").into_bytes();
    let first = Merge { base: None, head: &head, post: &post, mine: &|address| address == "t.b", serial: 2 };
    let merged = first.run().expect("merges");
    assert_eq!(summary(&merged.body).lineage, "l");
    assert_eq!(parts(&merged.body).keys().collect::<Vec<_>>(), ["t.a", "t.b"]);
    let later = Merge { base: Some(&head), ..first };
    assert_eq!(later.run(), Err(MergeError::OtherLineage));
}

#[test]
fn a_changed_provider_goes_with_its_resource() {
    let base = handmade(1, &[("a", r#","x":1|"attributes":{"n":1}"#)], "");
    let post = String::from_utf8(handmade(2, &[("a", r#""attributes":{"n":1}"#)], "")).expect("UTF-8");
    let post = post.replace(r#"provider[\"p\"]"#, r#"provider[\"q\"].west"#).into_bytes();
    let merged = merge(&base, &base, &post, &|address| address == "t.a").expect("merges");
    assert!(text(&merged).contains(r#""provider":"provider[\"q\"].west","x":1,"#), "{}", text(&merged));
}

#[test]
fn check_results_go_by_object() {
    let check = |address: &str, status: &str| {
        format!(r#"{{"object_kind":"resource","config_addr":"{address}","status":"{status}","objects":null}}"#)
    };
    let with = |serial, checks: &[String]| {
        let body = String::from_utf8(handmade(serial, &[("a", r#""attributes":{}"#)], "")).expect("UTF-8");
        let list = if checks.is_empty() { "null".to_owned() } else { format!("[{}]", checks.join(",")) };
        body.replace("\"check_results\":null", &format!("\"check_results\":{list}")).into_bytes()
    };
    let base = with(1, &[check("t.b", "pass"), check("t.a", "pass")]);
    let head = with(2, &[check("t.b", "fail"), check("t.a", "pass")]);
    let post = with(2, &[check("t.b", "pass"), check("t.a", "fail"), check("t.c", "pass")]);
    let merged = merge(&base, &head, &post, &|_| false).expect("merges");
    let expected = with(10, &[check("t.b", "fail"), check("t.a", "fail"), check("t.c", "pass")]);
    assert_eq!(text(&merged), String::from_utf8(expected).expect("UTF-8"));
    let from_none = merge(&with(1, &[]), &with(1, &[]), &post, &|_| false).expect("merges");
    assert!(text(&from_none).contains(&format!("\"check_results\":[{},", check("t.b", "pass"))));
}

#[test]
fn encrypted_states_are_not_merged() {
    let opaque = br#"{"serial":5,"lineage":"l","meta":{},"encrypted_data":"x","encryption_version":"v0"}"#;
    let plain = handmade(1, &[], "");
    assert_eq!(merge(&plain, &plain, opaque, &|_| true), Err(MergeError::Opaque));
    assert_eq!(merge(opaque, opaque, &plain, &|_| true), Err(MergeError::Opaque));
    assert!(matches!(merge(b"{", &plain, &plain, &|_| true), Err(MergeError::Unreadable { .. })));
}
