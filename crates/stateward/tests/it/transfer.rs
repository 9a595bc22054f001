//! `state copy` and `state move`.

use std::time::Duration;

use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::stalling::Stalling;
use crate::world::{State, World, words};

const LIMIT: Duration = Duration::from_mins(1);

/// History less what a copy changes.
pub(crate) fn kept(history: &Value) -> Vec<Value> {
    let mut items = history["items"].as_array().unwrap().clone();
    for item in &mut items {
        let item = item.as_object_mut().unwrap();
        item.retain(|name, _| !["hash", "stored_size", "imported"].contains(&name.as_str()));
    }
    items
}

#[test]
fn a_state_is_copied_with_its_history() {
    let world = World::local().with_versions();
    assert_snapshot!(world.told(&[
        "state copy net/prod copy",
        "state copy net/prod copy",
        "state copy net/prod --to-store sqlite:other.db",
        "state history copy",
        "state copy net/prod other --from-store sqlite:other.db --json",
        "state verify",
    ]), @r#"
    $ state copy net/prod copy
    copy is copied from net/prod in sqlite:[DIR]/s.db: 3 versions, the current one v3 (serial 3); 1.4 KiB compared

    $ state copy net/prod copy
    copy is there already: 3 versions, the current one v3 (serial 3); 1.4 KiB compared

    $ state copy net/prod --to-store sqlite:other.db
    net/prod is copied from net/prod in sqlite:[DIR]/s.db: 3 versions, the current one v3 (serial 3); 1.4 KiB compared

    $ state history copy
    VERSION  SERIAL  CREATED               BY          OPERATION  CHANGES    SIZE  NOTE
    v3            3  [TIME]  ana@laptop  push       +0 ~0 -1  398 B  current, imported
    v2            2  [TIME]  ana@laptop  push       +1 ~1 -0  668 B  imported
    v1            1  [TIME]  ana@laptop  push       +1 ~0 -0  398 B  imported

    $ state copy net/prod other --from-store sqlite:other.db --json
    {
      "schema": 1,
      "items": [
        {
          "state": "other",
          "workspace": "default",
          "from": "net/prod in sqlite:[DIR]/other.db",
          "outcome": "copied",
          "version": "v3",
          "serial": 3,
          "lineage": "lineage-1",
          "sha256": "215bdf7876c7402fc4e4c17f8b517dad0136cf222b8a63965ef2d2a6bb3cf021",
          "versions": 3,
          "copied": 3,
          "bytes_compared": 1464,
          "let_go": 0
        }
      ]
    }

    $ state verify
    all is well: 3 states, 9 versions, 2.5 KiB read
    "#);
    let history = |line: &str| world.json(line);
    let original = history("state history net/prod");
    for copy in ["state history copy", "state history other", "state history net/prod --store sqlite:other.db"] {
        assert_eq!(kept(&history(copy)), kept(&original), "{copy}");
    }
    for version in 1..=3 {
        assert_eq!(
            world.ok(&format!("state pull copy --version v{version}")),
            world.dir.read(format!("v{version}.tfstate"))
        );
    }
    let audit = world.json("audit --state copy");
    assert_eq!(audit["items"][0]["action"], "import");
}

#[test]
fn between_servers_and_stores() {
    let (here, there) = (World::served().with_versions(), World::served());
    let to = there.server().url("");
    here.ok(&format!("state copy net/prod team/net --to-server {to}"));
    assert_eq!(kept(&there.json("state history team/net")), kept(&here.json("state history net/prod")));
    let from = here.server().url("");
    there.ok(&format!("state copy net/prod --from-server {from} --to-store sqlite:third.db"));
    assert!(there.ok("state list --store sqlite:third.db").contains("net/prod"));
    there.ok(&format!("state copy net/prod here --from-server {from}"));
    assert_eq!(there.ok("state pull here"), here.ok("state pull net/prod"));
}

#[test]
fn a_server_that_asks_for_a_token_gets_its_own() {
    let (here, there) = (World::local().with_versions(), World::local());
    let token = there.ok("token new ci --file t.toml").trim().to_owned();
    let server = there.serve(&["--tokens", &there.dir.join("t.toml").display().to_string()]);
    let copy = format!("state copy net/prod --to-server {}", server.url(""));
    let refused = here.cli().env("STATEWARD_TOKEN", &token).run(&words(&copy)).expect_code(4);
    assert!(refused.stderr.contains("asks for a token"), "{}", refused.report());
    let copied = here.cli().env("STATEWARD_TO_TOKEN", &token).run(&words(&copy)).expect_success();
    assert!(!copied.stdout.contains(&token), "{}", copied.report());
    let item = here.cli().env("STATEWARD_SERVER", server.url("")).env("STATEWARD_TOKEN", &token);
    let history: Value = serde_json::from_str(&item.run(&words("state history net/prod --json")).stdout).unwrap();
    assert_eq!(history["items"][0]["imported"]["token"], "ci");
    assert_eq!(history["items"][0]["who"], "ana@laptop");
}

#[test]
fn many_at_once_and_what_fails_stops_no_other() {
    let world = World::local().with_versions();
    for name in ["net/dev", "net/dev@blue", "app"] {
        world.dir.write("x.tfstate", State::new(1).text());
        world.ok(&format!("state push {name} x.tfstate"));
    }
    world.dir.write("other.tfstate", State::new(9).lineage(2).text());
    world.ok("state push net/dev other.tfstate --store sqlite:other.db");
    let told = world.told(&[
        "state copy net/ team/net/",
        "state copy --all --to-store sqlite:other.db",
        "state list --store sqlite:other.db",
        "state copy nothing/ x/",
    ]);
    assert_snapshot!(told, @"
    $ state copy net/ team/net/
    team/net/dev@blue is copied from net/dev@blue in sqlite:[DIR]/s.db: 1 version, the current one v1 (serial 1); 125 B compared
    team/net/dev is copied from net/dev in sqlite:[DIR]/s.db: 1 version, the current one v1 (serial 1); 125 B compared
    team/net/prod is copied from net/prod in sqlite:[DIR]/s.db: 3 versions, the current one v3 (serial 3); 1.4 KiB compared
    3 states: 3 copied

    $ state copy --all --to-store sqlite:other.db
    app is copied from app in sqlite:[DIR]/s.db: 1 version, the current one v1 (serial 1); 125 B compared
    net/dev@blue is copied from net/dev@blue in sqlite:[DIR]/s.db: 1 version, the current one v1 (serial 1); 125 B compared
    net/prod is copied from net/prod in sqlite:[DIR]/s.db: 3 versions, the current one v3 (serial 3); 1.4 KiB compared
    team/net/dev@blue is copied from team/net/dev@blue in sqlite:[DIR]/s.db: 1 version, the current one v1 (serial 1); 125 B compared
    team/net/dev is copied from team/net/dev in sqlite:[DIR]/s.db: 1 version, the current one v1 (serial 1); 125 B compared
    team/net/prod is copied from team/net/prod in sqlite:[DIR]/s.db: 3 versions, the current one v3 (serial 3); 1.4 KiB compared
    7 states: 6 copied, 1 not
    ! error: there is another `net/dev` already
    !   why: its v1 (serial 9) is not the version that net/dev in sqlite:[DIR]/s.db has in that place (serial 1), so its history is not the beginning of that one
    !   next: choose a name that has nothing yet; `stateward state history` shows what is there
    [exit 3]

    $ state list --store sqlite:other.db
    STATE              SERIAL  VERSION  RESOURCES   SIZE  UPDATED               BY          NOTE
    app                     1       v1          0  125 B  [TIME]  ana@laptop
    net/dev@blue            1       v1          0  125 B  [TIME]  ana@laptop
    net/dev                 9       v1          0  125 B  [TIME]  ana@laptop
    net/prod                3       v3          1  398 B  [TIME]  ana@laptop
    team/net/dev@blue       1       v1          0  125 B  [TIME]  ana@laptop
    team/net/dev            1       v1          0  125 B  [TIME]  ana@laptop
    team/net/prod           3       v3          1  398 B  [TIME]  ana@laptop

    $ state copy nothing/ x/
    ! error: there is nothing to do
    !   why: no state's name begins so
    !   next: `stateward state list` shows the states there are
    [exit 1]
    ");
    let output = world.run("state copy --all --to-store sqlite:other.db --json").expect_code(3);
    let items: Value = serde_json::from_str(&output.stdout).unwrap();
    let outcomes: Vec<_> =
        items["items"].as_array().unwrap().iter().map(|item| item["outcome"].as_str().unwrap()).collect();
    assert_eq!(outcomes.iter().filter(|outcome| **outcome == "failed").count(), 1);
    assert_eq!(outcomes.iter().filter(|outcome| **outcome == "unchanged").count(), 6);
    let failed = items["items"].as_array().unwrap().iter().find(|item| item["outcome"] == "failed").unwrap();
    assert_eq!(
        (&failed["state"], &failed["error"]["what"]),
        (&json!("net/dev"), &json!("there is another `net/dev` already"))
    );
}

#[test]
fn a_move_leaves_nothing_behind_but_the_way_back() {
    let world = World::local().with_versions();
    assert_snapshot!(world.told(&[
        "state move net/prod team/net",
        "state list --deleted",
        "lock list",
        "state move net/prod again",
        "state undelete net/prod",
        "state move team/net --to-store sqlite:other.db --json",
        "state verify",
    ]), @r#"
    $ state move net/prod team/net
    team/net is moved from net/prod in sqlite:[DIR]/s.db: 3 versions, the current one v3 (serial 3); 1.4 KiB compared

    $ state list --deleted
    STATE     SERIAL  VERSION  RESOURCES   SIZE  UPDATED               BY          NOTE
    net/prod       3       v3          1  398 B  [TIME]  ana@laptop  deleted
    team/net       3       v3          1  398 B  [TIME]  ana@laptop

    $ lock list
    ! nothing is locked

    $ state move net/prod again
    ! error: `net/prod` was not moved
    !   why: it is deleted
    !   next: bring it back first: `stateward state undelete net/prod`
    [exit 1]

    $ state undelete net/prod
    net/prod is back, at v3

    $ state move team/net --to-store sqlite:other.db --json
    {
      "schema": 1,
      "items": [
        {
          "state": "team/net",
          "workspace": "default",
          "from": "team/net in sqlite:[DIR]/s.db",
          "outcome": "moved",
          "version": "v3",
          "serial": 3,
          "lineage": "lineage-1",
          "sha256": "215bdf7876c7402fc4e4c17f8b517dad0136cf222b8a63965ef2d2a6bb3cf021",
          "versions": 3,
          "copied": 3,
          "bytes_compared": 1464,
          "let_go": 0
        }
      ]
    }

    $ state verify
    all is well: 2 states, 6 versions, 2.2 KiB read
    "#);
    assert_eq!(world.ok("state pull team/net --store sqlite:other.db"), world.dir.read("v3.tfstate"));
}

#[test]
fn nothing_moves_while_somebody_holds_it() {
    let world = World::served().with_versions();
    world.lock("net/prod", "apply-1");
    let told = world.told(&["state move net/prod elsewhere", "state list"]);
    assert_snapshot!(told, @"
    $ state move net/prod elsewhere
    ! error: `net/prod` was not moved
    !   why: tester@testkit holds it (OperationTypeApply, lock apply-1)
    !   next: wait for the end of that run, or if it is gone: stateward lock release net/prod --id apply-1
    [exit 3]

    $ state list
    STATE     SERIAL  VERSION  RESOURCES   SIZE  UPDATED               BY          NOTE
    net/prod       3       v3          1  398 B  [TIME]  ana@laptop  locked
    ");
    world.ok("lock release net/prod --id apply-1");
    world.ok("state move net/prod elsewhere");
    world.lock("elsewhere", "apply-2");
    // Its target is held: the source stays, and is not left locked.
    world.ok("state undelete net/prod");
    world.dir.write("v4.tfstate", State::new(4).text());
    world.ok("state push net/prod v4.tfstate");
    world.run("state move net/prod elsewhere").expect_code(3);
    let locks = world.json("lock list");
    assert_eq!(locks["items"].as_array().unwrap().len(), 1, "{locks}");
}

#[test]
fn the_same_state_by_another_way_is_not_moved_onto_itself() {
    let world = World::served().with_versions();
    let output = world.run("state move net/prod --to-store sqlite:s.db").expect_code(1);
    assert!(output.stderr.contains("is the same state as"), "{}", output.report());
    assert_eq!(world.ok("state pull net/prod"), world.dir.read("v3.tfstate"));
    assert_eq!(world.json("lock list")["items"], json!([]));
}

/// Five versions, in a store of this machine.
fn five() -> World {
    let world = World::local();
    for serial in 1..=5 {
        world.dir.write("x.tfstate", State::new(serial).text());
        world.ok("state push a x.tfstate");
    }
    world
}

#[test]
fn a_copy_that_is_killed_goes_on_where_it_stopped() {
    let (here, there) = (five(), World::served());
    let way = Stalling::before(there.server().address(), "PUT /api/v1/import", 2);
    let running = here.cli().spawn(&words(&format!("state copy a --to-server http://{}", way.address)));
    way.wait();
    running.kill9();
    assert!(there.ok("state list").is_empty(), "half a state shows");
    let copied = here.json(&format!("state copy a --to-server {}", there.server().url("")));
    assert_eq!((&copied["items"][0]["versions"], &copied["items"][0]["copied"]), (&json!(5), &json!(3)));
    assert_eq!(kept(&there.json("state history a")), kept(&here.json("state history a")));
}

#[test]
fn a_move_that_is_killed_keeps_its_source_and_goes_on() {
    let (here, there) = (five(), World::served());
    let way = Stalling::before(there.server().address(), "GET /api/v1/content", 2);
    let line = format!("state move a --to-server http://{}", way.address);
    let running = here.cli().spawn(&words(&line));
    way.wait();
    running.kill9();
    // All is copied and not all compared, so nothing is deleted, and nobody else gets at it.
    assert_eq!(here.json("state list")["items"][0]["locked"], true);
    assert_eq!(here.json("lock list")["items"][0]["operation"], "state-move");
    let other = here.run("state move a elsewhere").expect_code(3);
    assert!(other.stderr.contains("`a` was not moved"), "{}", other.report());
    way.open();
    here.ok(&line);
    assert_eq!(here.json("lock list")["items"], json!([]));
    assert_eq!(here.json("state list")["items"], json!([]));
    assert_eq!(there.json("state history a")["items"].as_array().unwrap().len(), 5);
}

#[test]
fn an_interrupted_move_gives_its_lock_back() {
    let (here, there) = (five(), World::served());
    let way = Stalling::before(there.server().address(), "PUT /api/v1/import", 1);
    let running = here.cli().spawn(&words(&format!("state move a --to-server http://{}", way.address)));
    way.wait();
    running.interrupt();
    let output = running.wait(LIMIT).expect_code(1);
    assert!(output.stderr.contains("it goes on where it stopped"), "{}", output.report());
    assert_eq!(here.json("lock list")["items"], json!([]));
    assert_eq!(here.json("state list")["items"][0]["state"], "a");
}

#[test]
fn what_makes_no_sense_is_a_matter_of_usage() {
    let world = World::local().with_versions();
    assert_snapshot!(world.told(&[
        "state copy net/prod",
        "state copy net/prod team/",
        "state copy net/ team",
        "state move net/ net/old/",
        "state copy net/prod x --to-store redis://h",
        "state copy net/prod x --to-server ftp://secret@h",
        "state move net/prod net/prod --to-store sqlite:s.db",
    ]), @"
    $ state copy net/prod
    ! error: nothing was done
    !   why: FROM and TO are the same
    !   next: name another state as TO, or another place with `--to-store` or `--to-server`
    [exit 2]

    $ state copy net/prod team/
    ! error: nothing was done
    !   why: FROM is one state, and TO ends with `/`
    !   next: write its new name in full, such as `team/net/prod`
    [exit 2]

    $ state copy net/ team
    ! error: nothing was done
    !   why: FROM is several states, and TO is one
    !   next: write TO as `team/`
    [exit 2]

    $ state move net/ net/old/
    ! error: nothing was done
    !   why: TO lies within FROM: when it is run again, it would take what it has brought there too
    !   next: choose a TO that does not begin as FROM does
    [exit 2]

    $ state copy net/prod x --to-store redis://h
    ! error: `--to-store` cannot be used
    !   why: `redis://h` is no store: write it as `sqlite:PATH`, `s3://BUCKET/PREFIX`, `dynamodb://TABLE` or `memory:`
    !   next: see `stateward state copy --help`
    [exit 2]

    $ state copy net/prod x --to-server ftp://secret@h
    ! error: `--to-server` cannot be used
    !   why: a server's URL begins with `http://` or `https://`
    !   next: see `stateward state copy --help`
    [exit 2]

    $ state move net/prod net/prod --to-store sqlite:s.db
    ! error: nothing was done
    !   why: FROM and TO are the same
    !   next: name another state as TO, or another place with `--to-store` or `--to-server`
    [exit 2]
    ");
    for line in [
        "state copy",
        "state copy --all x",
        "state copy a b --to-store sqlite:x --to-server http://h",
        "state copy a//",
    ] {
        world.run(line).expect_code(2);
    }
    world.run("state copy net/prod x --from-store sqlite:none.db").expect_code(1);
    assert!(!world.dir.join("none.db").exists());
}
