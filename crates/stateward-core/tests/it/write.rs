use std::sync::Arc;

use bytes::Bytes;
use stateward_core::{BodyStream, Kind, Limits, Post, Settings};
use stateward_store::MemStore;

use crate::bench::{Bench, bench, id, kind, state};

#[tokio::test]
async fn a_body_comes_back_byte_for_byte_at_every_size() {
    let bench = bench().await;
    for (n, resources) in [0usize, 1, 20, 500, 3_000].into_iter().enumerate() {
        let names: Vec<(String, String)> =
            (0..resources).map(|n| (format!("r{n}"), format!("{:064x}", n * 7919))).collect();
        let names: Vec<(&str, &str)> = names.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let body = state(n as u64 + 1, &names);
        let written = bench.post("a", None, body.clone()).await.unwrap();
        assert_eq!((written.version.0, written.changed), (n as u64 + 1, true));
        assert_eq!(bench.get("a").await.unwrap(), body);
    }
    assert_eq!(bench.get("none").await, None);
}

#[tokio::test]
async fn a_repeated_post_is_the_same_version() {
    let bench = bench().await;
    bench.lock("a", "L").await.unwrap();
    let first = bench.post("a", Some("L"), state(1, &[("x", "1")])).await.unwrap();
    let again = bench.post("a", Some("L"), state(1, &[("x", "1")])).await.unwrap();
    assert_eq!((again.version, again.changed), (first.version, false));
    // Several snapshots under one lock.
    for serial in 2..5 {
        assert!(bench.post("a", Some("L"), state(serial, &[("x", "1")])).await.unwrap().changed);
    }
}

#[tokio::test]
async fn what_is_no_state_is_refused_and_the_head_stays() {
    let bench = bench().await;
    let good = state(1, &[("x", "1")]);
    bench.post("a", None, good.clone()).await.unwrap();
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let cut = &state(2, &[("x", "2")])[..200];
    let bad = [
        "",
        "{}",
        "null",
        "not json",
        r#"{"version":4,"serial":2}"#,
        r#"{"version":4,"lineage":"x"}"#,
        cut,
        deep.as_str(),
    ];
    for body in bad {
        let error = bench.post("a", None, body.to_owned()).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Invalid, "{error}");
        assert!(!error.why().is_empty() && !error.next().is_empty());
    }
    assert_eq!(bench.get("a").await.unwrap(), good);
}

#[tokio::test]
async fn a_wrong_md5_is_refused() {
    let bench = bench().await;
    let post = Post { lock_id: None, md5: Some([0; 16]), body: BodyStream::of(state(1, &[])) };
    assert_eq!(kind(bench.backend.write(&bench.caller, &id("a"), post).await), Kind::Invalid);
    assert_eq!(bench.get("a").await, None);
}

#[tokio::test]
async fn serial_and_lineage_are_kept_unless_forced() {
    let bench = bench().await;
    bench.post("a", None, state(5, &[("x", "1")])).await.unwrap();
    assert_eq!(kind(bench.post("a", None, state(4, &[("x", "1")])).await), Kind::Conflict);
    assert_eq!(kind(bench.post("a", None, state(5, &[("x", "2")])).await), Kind::Conflict);
    let other = state(6, &[]).replace("11111111", "99999999");
    assert_eq!(kind(bench.post("a", None, other.clone()).await), Kind::Conflict);

    let settings = Settings { allow_force_push: true, ..Settings::default() };
    let forced = Bench::over(bench.backend.store().clone(), settings).await;
    forced.post("a", None, state(4, &[("x", "1")])).await.unwrap();
    forced.post("a", None, other).await.unwrap();
    let history = bench.backend.history(&bench.caller, &id("a"), None, None).await.unwrap();
    assert_eq!(history.items.len(), 3, "history stays");
}

#[tokio::test]
async fn after_a_delete_a_new_lineage_is_welcome() {
    let bench = bench().await;
    bench.post("a", None, state(5, &[("x", "1")])).await.unwrap();
    bench.backend.delete(&bench.caller, &id("a"), None).await.unwrap();
    assert_eq!(bench.get("a").await, None);
    let fresh = state(1, &[]).replace("11111111", "99999999");
    assert_eq!(bench.post("a", None, fresh).await.unwrap().version.0, 2);
}

#[tokio::test]
async fn the_size_limit_holds_with_and_without_a_known_length() {
    let limits = Limits { body_bytes: 200_000, ..Limits::default() };
    let bench = Bench::over(Arc::new(MemStore::default()), Settings { limits, ..Settings::default() }).await;
    let big = vec![b' '; 300_000];
    assert_eq!(kind(bench.post("a", None, big.clone()).await), Kind::TooLarge);
    let pieces: Vec<_> = big.chunks(1000).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
    let body = BodyStream { length: None, bytes: Box::pin(futures::stream::iter(pieces)) };
    let post = Post { lock_id: None, md5: None, body };
    assert_eq!(kind(bench.backend.write(&bench.caller, &id("a"), post).await), Kind::TooLarge);
}

#[tokio::test]
async fn an_encrypted_state_is_kept_as_it_is() {
    let bench = bench().await;
    let sealed = r#"{"serial":5,"lineage":"L","meta":{"key_provider.pbkdf2.k":"e30="},"encrypted_data":"AAAA","encryption_version":"v0"}"#;
    bench.post("a", None, sealed).await.unwrap();
    assert_eq!(bench.get("a").await.unwrap(), sealed);
    let list = bench.backend.states(&bench.caller, &stateward_core::StatesQuery::default()).await.unwrap();
    assert!(list.items[0].opaque && list.items[0].serial == 5);
    assert_eq!(kind(bench.backend.read_outputs(&bench.caller, &id("a")).await), Kind::Unsupported);
    bench.post("a", None, sealed.replace(":5", ":6")).await.unwrap();
    assert_eq!(kind(bench.backend.diff(&bench.caller, &id("a"), None, None).await), Kind::Unsupported);
    assert_eq!(
        kind(bench.backend.restore(&bench.caller, &id("a"), stateward_core::Version(1), &[]).await),
        Kind::Unsupported
    );
}

#[tokio::test]
async fn outputs_can_be_read_alone() {
    let bench = bench().await;
    bench.post("a", None, state(7, &[("x", "a secret")])).await.unwrap();
    let outputs = bench.backend.read_outputs(&bench.caller, &id("a")).await.unwrap().unwrap();
    let outputs: serde_json::Value = serde_json::from_slice(&outputs).unwrap();
    assert_eq!(outputs["outputs"]["size"]["value"], 7);
    assert_eq!((outputs["serial"].clone(), outputs["resources"].clone()), (7.into(), serde_json::json!([])));
    assert_eq!(outputs["terraform_version"], "1.15.5");
}

#[tokio::test]
async fn push_follows_terraform_s_rules() {
    let bench = bench().await;
    let push =
        async |body: String, force| bench.backend.push(&bench.caller, &id("a"), BodyStream::of(body), force).await;
    push(state(5, &[("x", "1")]), false).await.unwrap();
    assert!(!push(state(5, &[("x", "1")]), false).await.unwrap().changed, "the same again is fine");
    assert_eq!(kind(push(state(5, &[("x", "2")]), false).await), Kind::Conflict);
    assert_eq!(
        kind(push(state(4, &[("x", "2")]), true).await),
        Kind::Conflict,
        "a lower serial must be renumbered first"
    );
    push(state(6, &[]).replace("11111111", "99999999"), true).await.unwrap();
    bench.lock("a", "L").await.unwrap();
    assert_eq!(kind(push(state(9, &[]), true).await), Kind::Locked);
}
