use std::time::Duration;

use jiff::SignedDuration;
use stateward_core::{ForceUnlock, Grant, Kind, LockRequest, PlanLocks, Settings, StatesQuery};

use crate::bench::{Bench, bench, id, kind, lock_info, state};

#[tokio::test]
async fn the_holder_s_bytes_are_shown_as_they_were_sent() {
    let bench = bench().await;
    bench.lock("a", "L").await.unwrap();
    let error = bench.lock("a", "M").await.unwrap_err();
    assert_eq!(error.kind(), Kind::Locked);
    assert_eq!(error.holder().unwrap(), &lock_info("L", "OperationTypeApply"));
}

#[tokio::test]
async fn lock_and_unlock_can_be_repeated() {
    let bench = bench().await;
    let fence = bench.lock("a", "L").await.unwrap();
    assert_eq!(bench.lock("a", "L").await.unwrap(), fence);
    assert_eq!(bench.unlock("a", "L").await.unwrap(), ["L"]);
    assert!(bench.unlock("a", "L").await.unwrap().is_empty());
    bench.lock("a", "M").await.unwrap();
    assert!(bench.unlock("a", "L").await.unwrap().is_empty(), "a late repetition");
    assert_eq!(kind(bench.unlock("a", "N").await), Kind::Conflict);
}

#[tokio::test]
async fn writes_are_bound_to_the_live_lock() {
    let bench = bench().await;
    assert_eq!(kind(bench.post("a", Some("L"), state(1, &[])).await), Kind::Conflict, "an ID on an unlocked state");
    bench.lock("a", "L").await.unwrap();
    assert_eq!(kind(bench.post("a", None, state(1, &[])).await), Kind::Locked);
    assert_eq!(kind(bench.post("a", Some("M"), state(1, &[])).await), Kind::Conflict);
    bench.post("a", Some("L"), state(1, &[])).await.unwrap();
    assert_eq!(kind(bench.backend.delete(&bench.caller, &id("a"), None).await), Kind::Locked);
    assert_eq!(
        kind(bench.backend.restore(&bench.caller, &id("a"), stateward_core::Version(9), &[]).await),
        Kind::NotFound
    );
}

#[tokio::test]
async fn a_lock_that_was_broken_and_taken_anew_fences_the_old_writer() {
    let bench = bench().await;
    bench.lock("a", "L").await.unwrap();
    let (send, receive) = futures::channel::mpsc::unbounded();
    let body = stateward_core::BodyStream { length: None, bytes: Box::pin(receive) };
    let post = stateward_core::Post { lock_id: Some("L".into()), md5: None, body };
    let (backend, caller) = (bench.backend.clone(), bench.caller.clone());
    let writer = tokio::spawn(async move { backend.write(&caller, &id("a"), post).await });
    send.unbounded_send(Ok(state(1, &[]).into())).unwrap();
    tokio::task::yield_now().await;
    bench.backend.unlock(&bench.caller, &id("a"), b"").await.unwrap();
    bench.lock("a", "L").await.unwrap();
    drop(send);
    assert_eq!(kind(writer.await.unwrap()), Kind::Conflict);
    assert_eq!(bench.get("a").await, None);
}

#[tokio::test]
async fn plan_locks() {
    let bench = bench().await;
    bench.lock("a", "L").await.unwrap();
    let plan = bench.lock_for("a", "P", "OperationTypePlan", Duration::ZERO).await.unwrap();
    plan.delivered();
    assert_eq!(kind(bench.post("a", Some("P"), state(1, &[])).await), Kind::Conflict);
    let list = bench.backend.locks(&bench.caller, Some(&id("a"))).await.unwrap();
    let modes: Vec<_> = list.items.iter().map(|item| (item.mode.as_str(), item.id.as_str())).collect();
    assert_eq!(modes, [("whole", "L"), ("plan", "P")]);
    assert_eq!(bench.unlock("a", "P").await.unwrap(), ["P"]);

    let exclusive = Settings { plan_locks: PlanLocks::Exclusive, ..Settings::default() };
    let strict = Bench::over(bench.backend.store().clone(), exclusive).await;
    assert_eq!(kind(strict.lock_for("a", "P", "OperationTypePlan", Duration::ZERO).await), Kind::Locked);
}

#[tokio::test]
async fn force_unlock_by_terraform_and_by_opentofu() {
    let bench = bench().await;
    bench.lock("a", "L").await.unwrap();
    assert_eq!(kind(bench.backend.unlock(&bench.caller, &id("a"), br#"{"ID":"M"}"#).await), Kind::Conflict);
    assert_eq!(bench.backend.unlock(&bench.caller, &id("a"), br#"{"ID":"L"}"#).await.unwrap().released, ["L"]);
    bench.lock("a", "L").await.unwrap();
    let refusing = Settings { force_unlock: ForceUnlock::Refused, ..Settings::default() };
    let strict = Bench::over(bench.backend.store().clone(), refusing).await;
    assert_eq!(kind(strict.backend.unlock(&bench.caller, &id("a"), b"").await), Kind::Denied);
    assert_eq!(bench.backend.unlock(&bench.caller, &id("a"), b"").await.unwrap().released, ["L"]);
    let audit = bench.backend.audit(&bench.caller, None, None, None).await.unwrap();
    let forced = audit.items.iter().filter(|item| item.action == stateward_core::audit::Deed::ForceUnlock).count();
    assert_eq!(forced, 2);
}

#[tokio::test(start_paused = true)]
async fn who_waits_is_served_in_order() {
    let bench = bench().await;
    bench.lock("a", "holder").await.unwrap();
    let (send, mut order) = tokio::sync::mpsc::unbounded_channel();
    for n in 0..5 {
        let (backend, caller, send) = (bench.backend.clone(), bench.caller.clone(), send.clone());
        let request =
            LockRequest { raw: lock_info(&format!("w{n}"), "x"), wait: Some(Duration::from_mins(10)), lease: None };
        tokio::spawn(async move {
            backend.lock(&caller, &id("a"), request).await.unwrap().delivered();
            send.send(n).unwrap();
        });
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(kind(bench.lock("a", "late").await), Kind::Locked);
    bench.unlock("a", "holder").await.unwrap();
    for n in 0..5 {
        assert_eq!(order.recv().await, Some(n));
        bench.unlock("a", &format!("w{n}")).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_hangs_up_leaves_no_lock_and_no_place() {
    let bench = bench().await;
    bench.lock("a", "holder").await.unwrap();
    let wait =
        tokio::time::timeout(Duration::from_secs(3), bench.lock_for("a", "gone", "x", Duration::from_mins(10))).await;
    assert!(wait.is_err(), "it hung up while waiting");
    tokio::time::sleep(Duration::from_millis(100)).await;
    bench.unlock("a", "holder").await.unwrap();
    bench.lock("a", "next").await.unwrap();
    bench.unlock("a", "next").await.unwrap();

    let grant = bench.lock_for("a", "gone", "x", Duration::ZERO).await.unwrap();
    drop(grant); // The answer never reached it.
    bench.backend.settled().await;
    bench.lock("a", "next").await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_wait_ends_with_the_holder_s_name() {
    let bench = bench().await;
    bench.lock("a", "holder").await.unwrap();
    let started = tokio::time::Instant::now();
    let error = bench.lock_for("a", "w", "x", Duration::from_secs(30)).await.unwrap_err();
    assert_eq!((error.kind(), started.elapsed().as_secs()), (Kind::Locked, 30));
    bench.unlock("a", "holder").await.unwrap();
    assert_eq!(kind(bench.lock("a", "other").await), Kind::Locked, "it keeps its place for its next try");
    bench.lock("a", "w").await.unwrap();
}

#[tokio::test]
async fn sixteen_clients_and_one_lock() {
    let bench = std::sync::Arc::new(bench().await);
    let held = std::sync::Arc::new(std::sync::atomic::AtomicU32::new(0));
    let clients = (0..16).map(|n| {
        let (bench, held) = (bench.clone(), held.clone());
        tokio::spawn(async move {
            let lock = format!("c{n}");
            for _ in 0..5 {
                bench.lock_for("a", &lock, "x", Duration::from_mins(1)).await.unwrap().delivered();
                assert_eq!(held.fetch_add(1, std::sync::atomic::Ordering::SeqCst), 0, "two holders");
                tokio::task::yield_now().await;
                held.fetch_sub(1, std::sync::atomic::Ordering::SeqCst);
                bench.unlock("a", &lock).await.unwrap();
            }
        })
    });
    for client in clients.collect::<Vec<_>>() {
        client.await.unwrap();
    }
}

#[tokio::test]
async fn a_lock_with_a_lease_ends_by_itself_and_fences_its_holder() {
    let bench = bench().await;
    bench.lease("a", "L").await.unwrap();
    let shown = bench.backend.locks(&bench.caller, Some(&id("a"))).await.unwrap().items.remove(0);
    assert_eq!(shown.lease_until.unwrap().duration_since(shown.created).as_secs(), 60);
    assert_eq!(kind(bench.lock("a", "M").await), Kind::Locked);

    bench.clock.advance(SignedDuration::from_secs(50));
    let minute = Duration::from_mins(1);
    bench.backend.renew(&bench.caller, &id("a"), "L", minute).await.unwrap();
    bench.clock.advance(SignedDuration::from_secs(50));
    assert_eq!(kind(bench.lock("a", "M").await), Kind::Locked);
    bench.post("a", Some("L"), state(1, &[])).await.unwrap();

    bench.clock.advance(SignedDuration::from_secs(11));
    assert!(!bench.backend.states(&bench.caller, &StatesQuery::default()).await.unwrap().items[0].locked);
    bench.post("a", Some("L"), state(2, &[])).await.unwrap();
    bench.lock("a", "M").await.unwrap();
    assert_eq!(kind(bench.post("a", Some("L"), state(3, &[])).await), Kind::Conflict, "the late write");
    assert_eq!(kind(bench.backend.renew(&bench.caller, &id("a"), "L", minute).await), Kind::Conflict);
    assert!(bench.unlock("a", "L").await.unwrap().is_empty(), "its late UNLOCK changes nothing");
    let audit = bench.backend.audit(&bench.caller, Some(&id("a")), None, None).await.unwrap();
    let lapsed = audit.items.iter().find(|item| item.detail.starts_with("its lease had lapsed")).unwrap();
    assert_eq!((lapsed.who.as_str(), lapsed.lock_id.as_deref()), ("L@host", Some("L")));
}

#[tokio::test(start_paused = true)]
async fn who_waits_gets_a_lock_whose_lease_lapses() {
    let bench = bench().await;
    bench.lease("a", "L").await.unwrap();
    let (backend, caller) = (bench.backend.clone(), bench.caller.clone());
    let request = LockRequest { raw: lock_info("M", "x"), wait: Some(Duration::from_mins(10)), lease: None };
    let waiting = tokio::spawn(async move { backend.lock(&caller, &id("a"), request).await.map(Grant::delivered) });
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert!(!waiting.is_finished());
    bench.clock.advance(SignedDuration::from_secs(61));
    waiting.await.unwrap().unwrap();
}

#[tokio::test]
async fn what_is_no_lease() {
    let bench = bench().await;
    bench.lock("a", "plain").await.unwrap();
    let renew = |seconds| {
        let (backend, caller) = (bench.backend.clone(), bench.caller.clone());
        async move { backend.renew(&caller, &id("a"), "plain", Duration::from_secs(seconds)).await }
    };
    assert_eq!(renew(60).await.unwrap(), None, "a plain lock stays without a lease");
    for seconds in [0, 3601] {
        assert_eq!(kind(renew(seconds).await), Kind::Invalid);
        let lease = Some(Duration::from_secs(seconds));
        let request = LockRequest { raw: lock_info("L", "x"), wait: None, lease };
        assert_eq!(kind(bench.backend.lock(&bench.caller, &id("b"), request).await), Kind::Invalid);
    }
}
