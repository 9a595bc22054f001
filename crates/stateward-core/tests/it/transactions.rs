//! Transactions: runs side by side on one state.

use std::sync::Arc;
use std::time::Duration;

use jiff::SignedDuration;
use stateward_core::view::Phase;
use stateward_core::{
    Begin, Begun, BodyStream, Claim, Ending, Error, Kind, PlanBase, Post, Recover, Retention, Settings, StatesQuery,
    Version, Written,
};
use stateward_store::MemStore;

use crate::bench::{Bench, bench, bytes_of, id, kind, lock_info};

const LINEAGE: &str = "11111111-2222-3333-4444-555555555555";
const MINUTE: Duration = Duration::from_mins(1);

/// A state with these resources, each with one attribute.
pub(crate) fn world(serial: u64, resources: &[(&str, &str)]) -> String {
    world_of(LINEAGE, serial, resources)
}

fn world_of(lineage: &str, serial: u64, resources: &[(&str, &str)]) -> String {
    let resources = resources.iter().map(|(name, value)| {
        format!(
            r#"{{"mode":"managed","type":"x","name":"{name}","provider":"provider[\"p\"]","instances":[{{"schema_version":0,"attributes":{{"id":"{value}"}},"sensitive_attributes":[]}}]}}"#
        )
    });
    let resources = resources.collect::<Vec<_>>().join(",");
    format!(
        r#"{{"version":4,"terraform_version":"1.15.5","serial":{serial},"lineage":"{lineage}","outputs":{{}},"resources":[{resources}],"check_results":null}}
"#
    )
}

pub(crate) fn claim(write: &[&str], read: &[&str]) -> Claim {
    let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    Claim::parse(&owned(write), &owned(read)).unwrap()
}

/// The plan was made against this serial; 0 for no state.
pub(crate) fn against(serial: u64) -> PlanBase {
    PlanBase { serial, lineage: if serial == 0 { String::new() } else { LINEAGE.to_owned() } }
}

impl Bench {
    pub(crate) async fn try_begin(&self, tx: &str, plan: u64, claim: Claim, wait: Duration) -> Result<Begun, Error> {
        let raw = lock_info(tx, "OperationTypeApply");
        let begin = Begin { raw, claim, plan: against(plan), wait: Some(wait), lease: MINUTE };
        Box::pin(self.backend.begin(&self.caller, &id("a"), begin)).await
    }

    pub(crate) async fn begin(&self, tx: &str, plan: u64, write: &[&str], read: &[&str]) -> Result<u64, Error> {
        let begun = self.try_begin(tx, plan, claim(write, read), Duration::ZERO).await?;
        let fence = begun.fence;
        begun.delivered();
        Ok(fence)
    }

    pub(crate) async fn commit(&self, tx: &str, body: String) -> Result<Written, Error> {
        let post = Post { lock_id: None, md5: None, body: BodyStream::of(body) };
        Box::pin(self.backend.commit(&self.caller, &id("a"), tx, post)).await
    }

    pub(crate) async fn finish(&self, tx: &str) -> Result<(), Error> {
        self.backend.end(&self.caller, &id("a"), tx, Ending::Committed).await
    }

    async fn sees(&self, tx: &str) -> Option<String> {
        let content = self.backend.read_in(&self.caller, &id("a"), tx).await.unwrap()?;
        Some(String::from_utf8(bytes_of(content).await.to_vec()).unwrap())
    }

    pub(crate) async fn now(&self) -> String {
        String::from_utf8(self.get("a").await.unwrap().to_vec()).unwrap()
    }

    /// The transactions and how far they are.
    async fn phases(&self) -> Vec<(String, Phase)> {
        let list = self.backend.transactions(&self.caller, Some(&id("a")), true).await.unwrap();
        list.items.into_iter().map(|item| (item.tx, item.phase)).collect()
    }
}

const BEFORE: [(&str, &str); 3] = [("a", "0"), ("b", "0"), ("c", "0")];

/// A state of serial 1 with three resources.
async fn three() -> Bench {
    let bench = bench().await;
    bench.post("a", None, world(1, &BEFORE)).await.unwrap();
    bench
}

#[tokio::test]
async fn two_runs_side_by_side_both_keep_what_they_wrote() {
    let bench = three().await;
    bench.begin("A", 1, &["x.a"], &["x.c"]).await.unwrap();
    bench.begin("B", 1, &["x.b"], &["x.c"]).await.unwrap();
    bench.commit("A", world(2, &[("a", "1"), ("b", "0"), ("c", "0")])).await.unwrap();
    assert_eq!(bench.sees("B").await.unwrap(), world(1, &BEFORE), "its plan's state, so that Terraform finds it fresh");
    let written = bench.commit("B", world(2, &[("a", "0"), ("b", "1"), ("c", "0")])).await.unwrap();
    assert_eq!((written.version, written.serial), (Version(3), 3));
    assert_eq!(bench.now().await, world(3, &[("a", "1"), ("b", "1"), ("c", "0")]));
    assert_eq!(bench.sees("A").await.unwrap(), world(2, &[("a", "1"), ("b", "0"), ("c", "0")]), "its own last write");
    // A run posts several times.
    bench.commit("A", world(3, &[("a", "2"), ("b", "0"), ("c", "0")])).await.unwrap();
    bench.finish("A").await.unwrap();
    bench.finish("B").await.unwrap();
    assert_eq!(bench.now().await, world(4, &[("a", "2"), ("b", "1"), ("c", "0")]));
    let history = bench.backend.history(&bench.caller, &id("a"), None, None).await.unwrap().items;
    let txs: Vec<Option<&str>> = history.iter().map(|item| item.tx.as_deref()).collect();
    assert_eq!(txs, [Some("A"), Some("B"), Some("A"), None]);
    assert_eq!(history[0].who, "A@host");
    let verified = bench.backend.verify(&bench.caller, None, |_| {}).await.unwrap();
    assert_eq!(verified.findings, []);
    assert_eq!(bench.phases().await, [("A".into(), Phase::Committed), ("B".into(), Phase::Committed)]);
}

#[tokio::test]
async fn who_wants_the_same_waits_and_is_told_for_what() {
    let bench = three().await;
    bench.begin("A", 1, &["x.a"], &[]).await.unwrap();
    let error = bench.begin("B", 1, &["x.b"], &["x.a"]).await.unwrap_err();
    assert_eq!((error.kind(), error.holder().unwrap()), (Kind::Locked, &lock_info("A", "OperationTypeApply")));
    assert!(error.why().contains("A@host holds x.a"), "{}", error.why());
    let waits = bench.try_begin("C", 1, claim(&["x.a"], &[]), MINUTE);
    let ends = async {
        let list = loop {
            let list = bench.backend.transactions(&bench.caller, None, false).await.unwrap().items;
            if list.len() > 2 {
                break list;
            }
            tokio::task::yield_now().await;
        };
        let waiting = &list[2];
        assert_eq!(
            (waiting.tx.as_str(), waiting.phase, &waiting.waits_for[..]),
            ("C", Phase::Queued, &["A".to_owned()][..])
        );
        bench.finish("A").await.unwrap();
    };
    let (begun, ()) = futures::join!(waits, ends);
    begun.unwrap().delivered();
    bench.finish("C").await.unwrap();
}

#[tokio::test]
async fn a_plan_whose_resources_changed_is_stale_and_says_who() {
    let bench = three().await;
    bench.begin("A", 1, &["x.a", "x.c"], &[]).await.unwrap();
    bench.commit("A", world(2, &[("a", "1"), ("b", "0"), ("c", "1")])).await.unwrap();
    bench.finish("A").await.unwrap();
    let error = bench.begin("B", 1, &["x.b"], &["x.a", "x.c"]).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Stale);
    assert!(error.why().contains("x.a, and 1 more: A@host changed it at"), "{}", error.why());
    assert!(bench.backend.locks(&bench.caller, None).await.unwrap().items.is_empty(), "nothing is held");
    bench.begin("C", 1, &["x.b"], &[]).await.unwrap();
    assert_eq!(bench.sees("C").await.unwrap(), world(1, &BEFORE));
}

#[tokio::test]
async fn plans_of_another_state_are_refused() {
    let bench = three().await;
    assert_eq!(kind(bench.begin("A", 7, &["x.a"], &[]).await), Kind::Stale);
    assert_eq!(kind(bench.begin("A", 0, &["x.a"], &[]).await), Kind::Stale);
    let plan = PlanBase { serial: 1, lineage: "other".into() };
    let raw = lock_info("A", "OperationTypeApply");
    let begin = Begin { raw, claim: claim(&["x.a"], &[]), plan, wait: None, lease: MINUTE };
    let error = bench.backend.begin(&bench.caller, &id("a"), begin).await.unwrap_err();
    assert!(error.kind() == Kind::Stale && error.why().contains("another state"), "{}", error.why());
    assert_eq!(bench.phases().await.len(), 1, "only one came so far that it held anything");
}

/// The plan tells serial and lineage also where only the state is encrypted.
#[tokio::test]
async fn none_begins_on_an_encrypted_state() {
    let bench = bench().await;
    let sealed = format!(
        r#"{{"serial":1,"lineage":"{LINEAGE}","meta":{{}},"encrypted_data":"AAAA","encryption_version":"v0"}}"#
    );
    bench.post("a", None, sealed.clone()).await.unwrap();
    let error = bench.begin("A", 1, &["x.a"], &[]).await.unwrap_err();
    assert!(error.kind() == Kind::Unsupported && error.why().contains("encrypted"), "{}", error.why());
    assert!(bench.phases().await.is_empty() && bench.now().await == sealed);
}

#[tokio::test]
async fn two_first_runs_on_a_state_that_is_not_there_yet() {
    let bench = bench().await;
    bench.begin("A", 0, &["x.a"], &[]).await.unwrap();
    bench.begin("B", 0, &["x.b"], &[]).await.unwrap();
    assert_eq!(bench.sees("A").await, None);
    bench.commit("A", world_of("one", 1, &[("a", "1")])).await.unwrap();
    bench.commit("B", world_of("two", 1, &[("b", "1")])).await.unwrap();
    assert_eq!(bench.now().await, world_of("one", 2, &[("a", "1"), ("b", "1")]));
    bench.commit("B", world_of("two", 2, &[("b", "2")])).await.unwrap();
    assert_eq!(bench.now().await, world_of("one", 3, &[("a", "1"), ("b", "2")]));
}

#[tokio::test]
async fn a_repeated_post_is_one_version() {
    let bench = three().await;
    bench.begin("A", 1, &["x.a"], &[]).await.unwrap();
    let body = world(2, &[("a", "1"), ("b", "0"), ("c", "0")]);
    let first = bench.commit("A", body.clone()).await.unwrap();
    let again = bench.commit("A", body).await.unwrap();
    assert_eq!((first.changed, again.changed, again.version), (true, false, first.version));
}

#[tokio::test]
async fn beginning_and_ending_can_be_repeated() {
    let bench = three().await;
    let fence = bench.begin("A", 1, &["x.a"], &["x.b"]).await.unwrap();
    assert_eq!(bench.begin("A", 1, &["x.a"], &["x.b"]).await.unwrap(), fence);
    assert_eq!(kind(bench.begin("A", 1, &["x.b"], &[]).await), Kind::Invalid, "an ID is for one transaction");
    bench.finish("A").await.unwrap();
    bench.finish("A").await.unwrap();
    assert_eq!(kind(bench.finish("B").await), Kind::NotFound);
    let error = bench.commit("A", world(2, &BEFORE)).await.unwrap_err();
    assert!(error.kind() == Kind::Conflict && error.why().contains("was finished"), "{}", error.why());
}

#[tokio::test]
async fn whole_locks_and_transactions_keep_each_other_out_in_the_order_they_came() {
    let bench = three().await;
    bench.begin("A", 1, &["x.a"], &[]).await.unwrap();
    assert_eq!(kind(bench.lock("a", "W").await), Kind::Locked);
    assert_eq!(kind(bench.lock("a", "W").await), Kind::Locked);
    // W has come back, so it counts: who comes after it waits, though disjoint from A.
    assert_eq!(kind(bench.begin("B", 1, &["x.b"], &[]).await), Kind::Locked);
    assert_eq!(kind(bench.post("a", None, world(2, &BEFORE)).await), Kind::Locked, "nobody goes past a transaction");
    assert_eq!(kind(bench.backend.delete(&bench.caller, &id("a"), None).await), Kind::Locked);
    bench.lock_for("a", "P", "OperationTypePlan", Duration::ZERO).await.unwrap().delivered();
    bench.finish("A").await.unwrap();
    bench.lock("a", "W").await.unwrap();
    assert_eq!(kind(bench.begin("B", 1, &["x.b"], &[]).await), Kind::Locked);
    bench.unlock("a", "W").await.unwrap();
    bench.begin("B", 1, &["x.b"], &[]).await.unwrap();
}

#[tokio::test]
async fn a_lapsed_transaction_goes_on_until_somebody_takes_what_it_holds() {
    let bench = three().await;
    bench.begin("A", 1, &["x.a"], &[]).await.unwrap();
    bench.clock.advance(SignedDuration::from_secs(70));
    assert_eq!(bench.phases().await, [("A".into(), Phase::Lapsed)]);
    bench.begin("B", 1, &["x.b"], &[]).await.unwrap();
    bench.commit("A", world(2, &[("a", "1"), ("b", "0"), ("c", "0")])).await.unwrap();
    bench.backend.renew(&bench.caller, &id("a"), "A", MINUTE).await.unwrap();
    assert_eq!(kind(bench.begin("C", 2, &["x.a"], &[]).await), Kind::Locked, "it is alive again");
    bench.clock.advance(SignedDuration::from_secs(70));
    bench.begin("C", 2, &["x.a"], &[]).await.unwrap();
    let error = bench.commit("A", world(3, &[("a", "2"), ("b", "0"), ("c", "0")])).await.unwrap_err();
    assert!(error.why().contains("lapsed") && error.next().contains("tx recover"), "{error} {}", error.next());
    assert_eq!(kind(bench.backend.renew(&bench.caller, &id("a"), "A", MINUTE).await), Kind::Conflict);
    let phases = bench.phases().await;
    assert!(
        phases.contains(&("A".into(), Phase::Lapsed)) && phases.contains(&("B".into(), Phase::Lapsed)),
        "{phases:?}"
    );
}

#[tokio::test]
async fn what_others_changed_without_asking_is_noticed() {
    let bench = three().await;
    bench.begin("A", 1, &["x.a"], &[]).await.unwrap();
    bench.clock.advance(SignedDuration::from_secs(70));
    // Nobody holds anything by now, so that a push may.
    bench.post("a", None, world(2, &[("a", "theirs"), ("b", "0"), ("c", "0")])).await.unwrap();
    let error = bench.commit("A", world(2, &[("a", "mine"), ("b", "0"), ("c", "0")])).await.unwrap_err();
    assert!(error.kind() == Kind::Conflict && error.why().contains("x.a"), "{}", error.why());
    assert_eq!(bench.now().await, world(2, &[("a", "theirs"), ("b", "0"), ("c", "0")]));
}

#[tokio::test]
async fn what_a_run_does_not_hold_is_taken_only_if_nobody_else_changed_it() {
    let bench = three().await;
    bench.begin("A", 1, &["x.a"], &[]).await.unwrap();
    bench.begin("B", 1, &["x.b"], &[]).await.unwrap();
    bench.commit("B", world(2, &[("a", "0"), ("b", "1"), ("c", "0")])).await.unwrap();
    // A's refresh saw other values of b and c.
    bench.commit("A", world(2, &[("a", "1"), ("b", "seen"), ("c", "seen")])).await.unwrap();
    assert_eq!(bench.now().await, world(3, &[("a", "1"), ("b", "1"), ("c", "seen")]));
    let error = bench.commit("A", world(3, &[("a", "1"), ("c", "seen")])).await.unwrap_err();
    assert!(
        error.kind() == Kind::Conflict && error.why().contains("x.b"),
        "removed what another changed: {}",
        error.why()
    );
}

#[tokio::test]
async fn a_client_that_is_gone_before_the_answer_holds_nothing() {
    let bench = three().await;
    drop(bench.try_begin("A", 1, claim(&["x.a"], &[]), Duration::ZERO).await.unwrap());
    bench.backend.settled().await;
    bench.begin("B", 1, &["x.a"], &[]).await.unwrap();
    assert_eq!(bench.phases().await[1], ("A".into(), Phase::Aborted));
}

#[tokio::test]
async fn somebody_else_can_break_it() {
    let bench = three().await;
    bench.begin("A", 1, &["x.a"], &[]).await.unwrap();
    let locks = bench.backend.locks(&bench.caller, Some(&id("a"))).await.unwrap().items;
    assert_eq!((locks[0].mode.as_str(), &locks[0].addresses[..]), ("resources", &["x.a".to_owned()][..]));
    assert!(bench.backend.states(&bench.caller, &StatesQuery::default()).await.unwrap().items[0].locked);
    assert_eq!(bench.backend.release(&bench.caller, &id("a"), Some("A")).await.unwrap().released, ["A"]);
    assert_eq!(kind(bench.commit("A", world(2, &BEFORE)).await), Kind::Conflict);
    bench.begin("B", 1, &["x.a"], &[]).await.unwrap();
    bench.begin("C", 1, &["x.b"], &[]).await.unwrap();
    let error = bench.backend.unlock(&bench.caller, &id("a"), b"").await.unwrap_err();
    assert!(error.kind() == Kind::Conflict && error.next().contains("tx abort"), "of two it would not say which");
    bench.finish("C").await.unwrap();
    assert_eq!(bench.backend.unlock(&bench.caller, &id("a"), b"").await.unwrap().released, ["B"]);
}

#[tokio::test]
async fn another_process_knows_what_is_held() {
    let store: Arc<MemStore> = Arc::default();
    let one = Bench::over(store.clone(), Settings::default()).await;
    let two = Bench::over(store, Settings::default()).await;
    one.post("a", None, world(1, &BEFORE)).await.unwrap();
    one.begin("A", 1, &["x.a"], &[]).await.unwrap();
    assert_eq!(kind(two.begin("B", 1, &["x.a"], &[]).await), Kind::Locked);
    two.begin("B2", 1, &["x.b"], &[]).await.unwrap();
    two.commit("B2", world(2, &[("a", "0"), ("b", "1"), ("c", "0")])).await.unwrap();
    one.commit("A", world(2, &[("a", "1"), ("b", "0"), ("c", "0")])).await.unwrap();
    assert_eq!(two.now().await, world(3, &[("a", "1"), ("b", "1"), ("c", "0")]));
}

#[tokio::test]
async fn the_version_that_a_transaction_began_with_is_kept() {
    let retention = Retention { keep_versions: Some(1), ..Retention::default() };
    let bench = Bench::over(Arc::<MemStore>::default(), Settings { retention, ..Settings::default() }).await;
    bench.post("a", None, world(1, &BEFORE)).await.unwrap();
    bench.begin("A", 1, &["x.a"], &[]).await.unwrap();
    bench.begin("B", 1, &["x.b"], &[]).await.unwrap();
    for n in 2..6u64 {
        bench.commit("B", world(n, &[("a", "0"), ("b", &n.to_string()), ("c", "0")])).await.unwrap();
        bench.backend.prune(&bench.caller).await.unwrap();
    }
    bench.commit("A", world(2, &[("a", "1"), ("b", "0"), ("c", "0")])).await.unwrap();
    assert_eq!(bench.now().await, world(6, &[("a", "1"), ("b", "5"), ("c", "0")]));
    bench.finish("A").await.unwrap();
    bench.clock.advance(SignedDuration::from_hours(8 * 24));
    bench.backend.prune(&bench.caller).await.unwrap();
    assert_eq!(bench.phases().await, [("B".into(), Phase::Lapsed)], "the record of A was forgotten");
    assert!(bench.get_version("a", 1).await.is_ok(), "B may still go on");
}

#[tokio::test]
async fn what_could_not_be_stored_any_more_can_be_brought_in() {
    let bench = three().await;
    bench.begin("A", 1, &["x.a"], &[]).await.unwrap();
    bench.commit("A", world(2, &[("a", "1"), ("b", "0"), ("c", "0")])).await.unwrap();
    bench.backend.release(&bench.caller, &id("a"), Some("A")).await.unwrap();
    bench.begin("B", 2, &["x.b"], &[]).await.unwrap();
    bench.commit("B", world(3, &[("a", "1"), ("b", "1"), ("c", "0")])).await.unwrap();
    let lost = world(3, &[("a", "2"), ("b", "0"), ("c", "0")]);
    assert_eq!(kind(bench.commit("A", lost.clone()).await), Kind::Conflict);
    let recover = async |new: &str, force, body: &str| {
        let recover = Recover {
            tx: "A".into(),
            raw: lock_info(new, "recover"),
            wait: Some(Duration::ZERO),
            force,
            body: BodyStream::of(body.to_owned()),
        };
        bench.backend.recover(&bench.caller, &id("a"), recover).await
    };
    recover("A2", false, &lost).await.unwrap();
    assert_eq!(bench.now().await, world(4, &[("a", "2"), ("b", "1"), ("c", "0")]));
    let later = world(4, &[("a", "3"), ("b", "0"), ("c", "0")]);
    let error = recover("A3", false, &later).await.unwrap_err();
    assert!(
        error.kind() == Kind::Conflict && error.why().contains("x.a"),
        "others may have written it since: {}",
        error.why()
    );
    recover("A4", true, &later).await.unwrap();
    assert_eq!(bench.now().await, world(5, &[("a", "3"), ("b", "1"), ("c", "0")]));
    assert_eq!(bench.backend.locks(&bench.caller, None).await.unwrap().items.len(), 1, "B alone");
}
