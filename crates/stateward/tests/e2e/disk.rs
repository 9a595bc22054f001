//! A full store, a damaged file, and files that are none of ours.

use std::fmt::Write;

use stateward_testkit::{Body, TestDir};

use crate::{LIMIT, cli, serve, state, store};

/// A state that does not compress.
fn noise(serial: u64, bytes: usize) -> String {
    let mut seed = serial;
    let mut text = String::with_capacity(bytes);
    while text.len() < bytes {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        write!(text, "{:016x}", seed ^ (seed >> 29)).unwrap();
    }
    state(serial, &text)
}

#[test]
fn a_full_store_refuses_writes_and_serves_reads() {
    let dir = TestDir::new();
    dir.write("stateward.toml", "store_max_bytes = \"2MiB\"\n");
    let store_url = store(&dir);
    let start = || cli(&dir).current_dir(dir.path()).serve(&["--store", &store_url]);
    let server = start();
    let http = server.http();
    let mut last_good = 0;
    let refused = (1..100).find_map(|serial| {
        let answer = http.request("POST", "/state/a", &[], Body::Sized(noise(serial, 200_000).as_bytes()));
        if answer.status == 200 {
            last_good = serial;
        }
        (answer.status != 200).then_some(answer)
    });
    let refused = refused.expect("the store never got full");
    assert_eq!(refused.status, 507, "{}", refused.text());
    assert!(last_good > 2 && refused.text().contains("\"next\""), "{}", refused.text());
    let read = http.request("GET", "/state/a", &[], Body::None).expect_status(200);
    assert_eq!(read.text(), noise(last_good, 200_000));
    server.terminate(LIMIT).expect_success();
    dir.write("stateward.toml", "");
    cli(&dir).run(&["state", "verify", "--store", &store_url]).expect_success();
    let server = start();
    server
        .http()
        .request("POST", "/state/a", &[], Body::Sized(noise(last_good + 1, 200_000).as_bytes()))
        .expect_status(200);
}

#[test]
fn damage_is_found_and_never_served() {
    let dir = TestDir::new();
    let server = serve(&dir, &[]);
    server.http().request("POST", "/state/a", &[], Body::Sized(noise(1, 300_000).as_bytes())).expect_status(200);
    server.terminate(LIMIT).expect_success();
    let mut file = dir.read_bytes("store.db");
    // Somewhere in the chunks: flip a bit on every eighth page of the second half.
    let (half, step) = (file.len() / 2, 8 * 4096);
    (half..file.len() - 1000).step_by(step).for_each(|at| file[at + 1000] ^= 1);
    dir.write("store.db", file);
    let verify = cli(&dir).run(&["state", "verify", "--store", &store(&dir)]);
    assert_eq!(verify.code(), Some(5), "{}", verify.report());
    let pull = cli(&dir).run(&["state", "pull", "a", "--store", &store(&dir)]);
    assert!(pull.code() == Some(5) || pull.stdout == noise(1, 300_000), "{}", pull.report());
}

#[test]
fn files_that_are_no_store_of_ours_are_refused_at_start() {
    let dir = TestDir::new();
    let refuse = |what: &str| {
        let output = cli(&dir).run(&["serve", "--store", &store(&dir), "--listen", "127.0.0.1:0"]);
        assert!(output.code().is_some_and(|code| code != 0 && code != 70), "{what}: {}", output.report());
        assert!(output.stderr.contains("next"), "{what}: {}", output.report());
    };
    dir.write("store.db", "this is a shopping list, not a database, and it is long enough to look at".repeat(20));
    refuse("a text file");
    dir.write("store.db", [0u8; 5000]);
    refuse("zeros");
    std::fs::remove_file(dir.join("store.db")).unwrap();
    std::fs::create_dir(dir.join("store.db")).unwrap();
    refuse("a directory");
}

#[test]
fn a_backup_is_a_whole_store() {
    let dir = TestDir::new();
    let server = serve(&dir, &[]);
    for serial in 1..4 {
        server.http().request("POST", "/state/a", &[], Body::Sized(state(serial, "x").as_bytes())).expect_status(200);
    }
    let copy = dir.join("copy.db").display().to_string();
    cli(&dir).run(&["backup", &copy, "--store", &store(&dir)]).expect_success();
    cli(&dir).run(&["backup", &copy, "--store", &store(&dir)]).expect_code(1);
    server.http().request("POST", "/state/a", &[], Body::Sized(state(4, "x").as_bytes())).expect_status(200);
    let from_copy = cli(&dir).run(&["state", "pull", "a", "--store", &format!("sqlite:{copy}")]).expect_success();
    assert_eq!(from_copy.stdout, state(3, "x"));
}
