//! `serve`: how it starts, what it says, and how it ends.

use std::time::{Duration, Instant};

use insta::assert_snapshot;
use stateward_testkit::{Cli, TestDir};

use crate::world::{State, World};

const SOON: Duration = Duration::from_secs(20);

#[test]
fn it_says_where_it_listens_and_what_to_paste() {
    let world = World::local();
    let server = world.serve(&[]);
    let output = server.terminate(SOON).expect_success();
    assert_eq!(output.stdout, "");
    let is_log = |line: &&str| !line.contains("INFO");
    let told: Vec<&str> = output.stderr.lines().filter(is_log).collect();
    assert_snapshot!(world.filtered(&told.join("\n")), @r#"
    listening on http://127.0.0.1:[PORT]

    terraform {
      backend "http" {
        address        = "http://127.0.0.1:[PORT]/state/NAME"
        lock_address   = "http://127.0.0.1:[PORT]/state/NAME" # with ?wait=10m it waits its turn in the queue
        unlock_address = "http://127.0.0.1:[PORT]/state/NAME"
      }
    }

    # States are kept in sqlite:[DIR]/s.db
    # No tokens: everybody on this machine may read and write every state (see --tokens).
    "#);
}

#[test]
fn an_address_that_others_reach_needs_tokens() {
    let world = World::local();
    assert_snapshot!(world.told(&["serve --listen 0.0.0.0:0", "serve --listen [::]:0", "serve --listen nowhere", "serve --server http://h:1"]), @"
    $ serve --listen 0.0.0.0:0
    ! error: `serve` does not listen on 0.0.0.0:0 without tokens
    !   why: everybody who reaches this address could read and write every state
    !   next: make a tokens file (`stateward token new NAME --file tokens.toml`) and give it with `--tokens tokens.toml`; or, where something else keeps strangers out, add `--insecure-no-auth`
    [exit 2]

    $ serve --listen [::]:0
    ! error: `serve` does not listen on [::]:0 without tokens
    !   why: everybody who reaches this address could read and write every state
    !   next: make a tokens file (`stateward token new NAME --file tokens.toml`) and give it with `--tokens tokens.toml`; or, where something else keeps strangers out, add `--insecure-no-auth`
    [exit 2]

    $ serve --listen nowhere
    ! error: the setting `listen` is wrong
    !   why: `nowhere`, from --listen, is no address: write it as `IP:PORT`, such as `127.0.0.1:[PORT]`
    !   next: put it right; `stateward config show` lists all settings
    [exit 2]

    $ serve --server http://h:1
    ! error: `serve` takes no `--server`
    !   why: it is a server itself, over a store of this machine
    !   next: give the store with `--store`
    [exit 2]
    ");
    assert!(!world.dir.join("s.db").exists());
    let told = Cli::new(env!("CARGO_BIN_EXE_stateward"), &world.dir).env("STATEWARD_STORE", "memory:");
    let mut open = told.spawn(&["serve", "--listen", "0.0.0.0:0", "--insecure-no-auth"]);
    open.wait_for("WARNING: no tokens", SOON);
    open.terminate();
    open.wait(SOON).expect_success();
}

#[test]
fn a_port_in_use_is_told() {
    let world = World::local();
    let server = world.serve(&[]);
    let output = world.run(&format!("--store memory: serve --listen {}", server.address())).expect_code(1);
    assert_snapshot!(world.filtered(&output.stderr), @"
    error: `serve` cannot listen on 127.0.0.1:[PORT]
      why: address already in use
      next: stop the program that listens there, or choose another port with `--listen`
    ");
}

#[test]
fn the_command_line_works_on_a_store_that_is_being_served() {
    let world = World::served();
    let local = |line: &str| {
        let cli = Cli::new(env!("CARGO_BIN_EXE_stateward"), &world.dir).env("STATEWARD_STORE", "sqlite:s.db");
        cli.run(&line.split(' ').collect::<Vec<_>>()).expect_success().stdout
    };
    world.dir.write("a.tfstate", State::new(1).text());
    world.ok("state push a a.tfstate");
    assert!(local("state list --json").contains("\"state\": \"a\""));
    local("state push b a.tfstate");
    assert_eq!(world.json("state list")["items"].as_array().unwrap().len(), 2);
    local("state verify");
}

#[test]
fn interrupts_end_it_too() {
    let world = World::local();
    let cli = Cli::new(env!("CARGO_BIN_EXE_stateward"), &world.dir).env("STATEWARD_STORE", "memory:");
    let mut server = cli.spawn(&["serve", "--listen", "127.0.0.1:0"]);
    server.wait_for("listening on", SOON);
    server.interrupt();
    server.wait(SOON).expect_success();
}

#[test]
fn a_second_interrupt_does_not_wait() {
    let dir = TestDir::new();
    let cli = Cli::new(env!("CARGO_BIN_EXE_stateward"), &dir)
        .env("STATEWARD_STORE", "memory:")
        .env("STATEWARD_SERVE_DRAIN", "50s");
    let mut server = cli.spawn(&["serve", "--listen", "127.0.0.1:0"]);
    server.wait_for("unlock_address", SOON);
    let stderr = server.stderr();
    let address = stderr.split("listening on http://").nth(1).and_then(|rest| rest.lines().next()).unwrap();
    let mut silent = stateward_testkit::RawHttp::new(address.parse().unwrap()).connect().unwrap();
    // The head of a request whose body never comes.
    silent.send_head("POST", "/state/a", &[("Content-Length", "1000")]).unwrap();
    std::thread::sleep(Duration::from_millis(300));
    server.interrupt();
    server.wait_for("shutting down", SOON);
    std::thread::sleep(Duration::from_millis(100));
    #[expect(clippy::disallowed_methods, reason = "the test is about how long it takes")]
    let began = Instant::now();
    server.interrupt();
    server.wait(SOON).expect_code(1);
    assert!(began.elapsed() < Duration::from_secs(10));
}

#[test]
fn logs_can_be_json() {
    let world = World::local();
    let cli = world.cli().env("STATEWARD_LOG_FORMAT", "json").env("STATEWARD_LOG", "info");
    let server = cli.serve::<&str>(&[]);
    let output = server.terminate(SOON).expect_success();
    let logs: Vec<serde_json::Value> =
        output.stderr.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    assert!(logs.iter().any(|log| log["message"] == "shutting down" && log["level"] == "INFO"), "{}", output.stderr);
}

#[test]
fn it_prunes_now_and_then() {
    let world = World::local().with_versions();
    let cli = world.cli().env("STATEWARD_SERVE_PRUNE_EVERY", "100ms").env("STATEWARD_RETENTION_KEEP_VERSIONS", "1");
    let _server = cli.serve::<&str>(&[]);
    for _ in 0..200 {
        if world.json("state history net/prod")["items"][2]["pruned"] == true {
            return;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("nothing was pruned in ten seconds");
}
