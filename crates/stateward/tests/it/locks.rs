//! `lock list`, `show`, `release`, and what a lock keeps from happening.

use insta::assert_snapshot;
use serde_json::json;

use crate::world::World;

/// Ages are of one digit here, and differ.
fn without_ages(text: &str) -> String {
    (0..10).fold(text.to_owned(), |text, age| text.replace(&format!(" {age} s"), " N s"))
}

#[test]
fn locks_are_listed_shown_and_broken() {
    let world = World::served().with_versions();
    world.lock("net/prod", "11111111-aaaa");
    let told = world.told(&[
        "lock list",
        "lock show net/prod",
        "lock release net/prod",
        "lock release net/prod --id other",
        "lock release net/prod --id 11111111-aaaa",
        "lock release net/prod --force",
        "lock release net/prod",
        "lock list",
        "lock show net/prod",
    ]);
    assert_snapshot!(without_ages(&told), @"
    $ lock list
    STATE     MODE   WHO             OPERATION           AGE  QUEUE  ID
    net/prod  whole  tester@testkit  OperationTypeApply  N s      0  11111111-aaaa

    $ lock show net/prod
    state      net/prod
    mode       whole
    id         11111111-aaaa
    who        tester@testkit
    operation  OperationTypeApply
    created    [TIME]
    last seen  [TIME]
    waiting    0
    advice     in use: wait for it, or ask its holder

    $ lock release net/prod
    ! error: nothing was done
    !   why: this asks first (Break the lock 11111111-aaaa that tester@testkit has held for N s (OperationTypeApply)?), and standard input is no terminal
    !   next: if you are sure, say so with `--id 11111111-aaaa`
    [exit 2]

    $ lock release net/prod --id other
    ! error: the lock was not released
    !   why: it is held under another lock ID, 11111111-aaaa, by tester@testkit
    !   next: release it under its own ID; if its holder is dead, `stateward lock release NAME --id ID`
    [exit 3]

    $ lock release net/prod --id 11111111-aaaa
    released 11111111-aaaa

    $ lock release net/prod --force
    ! error: `net/prod` was left as it is
    !   why: it is not locked
    !   next: `stateward lock list` shows the locks there are
    [exit 1]

    $ lock release net/prod
    ! error: `net/prod` was left as it is
    !   why: it is not locked
    !   next: `stateward lock list` shows the locks there are
    [exit 1]

    $ lock list
    ! nothing is locked

    $ lock show net/prod
    net/prod is not locked
    ");
}

#[test]
fn locks_in_json() {
    let world = World::served().with_versions();
    world.lock("net/prod", "id-1");
    let locks = world.json("lock list");
    assert_eq!(locks["schema"], 1);
    let mut lock = locks["items"][0].clone();
    assert!(lock["age_s"].is_u64() && lock["advice"].is_string());
    for key in ["age_s", "advice", "created", "last_seen"] {
        lock.as_object_mut().unwrap().remove(key);
    }
    let expected = json!({
        "state": "net/prod", "workspace": "default", "mode": "whole", "id": "id-1", "who": "tester@testkit",
        "operation": "OperationTypeApply", "fence": 1, "queue": 0, "addresses": [],
    });
    assert_eq!(lock, expected);
    assert_eq!(world.json("state list")["items"][0]["locked"], true);
    assert_eq!(world.json("lock release net/prod --id id-1"), json!({ "schema": 1, "released": ["id-1"] }));
}

#[test]
fn a_held_state_is_not_changed() {
    let world = World::served().with_versions();
    world.lock("net/prod", "id-1");
    let told = world.told(&[
        "state push net/prod v1.tfstate --force",
        "state restore net/prod v1",
        "state delete net/prod --yes",
    ]);
    assert_snapshot!(told, @"
    $ state push net/prod v1.tfstate --force
    ! error: the state was not changed
    !   why: it is locked by tester@testkit (lock id-1), and the request names no lock
    !   next: wait until the lock is released, or take it with LOCK first
    [exit 3]

    $ state restore net/prod v1
    ! error: the state was not changed
    !   why: it is locked by tester@testkit (lock id-1), and the request names no lock
    !   next: wait until the lock is released, or take it with LOCK first
    [exit 3]

    $ state delete net/prod --yes
    ! error: the state was not changed
    !   why: it is locked by tester@testkit (lock id-1), and the request names no lock
    !   next: wait until the lock is released, or take it with LOCK first
    [exit 3]
    ");
    assert_eq!(world.json("state list")["items"][0]["version"], "v3");
}

#[test]
fn refusals_and_forced_releases_are_in_the_audit_log() {
    let world = World::served().with_versions();
    world.lock("net/prod", "id-1");
    world.run("state restore net/prod v1").expect_code(3);
    world.ok("lock release net/prod --force");
    let audit = world.json("audit --state net/prod --limit 4");
    let deeds: Vec<_> =
        audit["items"].as_array().unwrap().iter().map(|item| item["action"].as_str().unwrap()).collect();
    assert_eq!(deeds, ["force_unlock", "refuse", "lock", "write"]);
    assert_eq!(audit["items"][0]["who"], "ana@laptop");
    assert_snapshot!(world.told(&["audit --limit 3", "audit --state other"]), @"
    $ audit --limit 3
    TIME                  ACTION        STATE     WHO             DETAIL
    [TIME]  force_unlock  net/prod  ana@laptop      taken from tester@testkit
    [TIME]  refuse        net/prod  ana@laptop      restore: it is locked by tester@testkit (lock id-1), and the request names no lock
    [TIME]  lock          net/prod  tester@testkit  OperationTypeApply

    $ audit --state other
    ! nothing has been noted
    ");
}
