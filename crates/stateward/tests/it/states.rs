//! `state list`, `show`, `push`, `pull`, `delete`, `undelete`, `verify`, `prune`.

use insta::assert_snapshot;

use crate::world::{State, World, everywhere};

#[test]
fn states_are_listed_and_shown() {
    let world = World::local().with_versions();
    world.dir.write("x.tfstate", State::new(7).lineage(2).text());
    world.ok("state push net/prod@dev x.tfstate");
    world.ok("state push app x.tfstate");
    assert_snapshot!(world.told(&["state list", "state list net/ --limit 1", "state list nothing", "state show net/prod"]), @"
    $ state list
    STATE         SERIAL  VERSION  RESOURCES   SIZE  UPDATED               BY          NOTE
    app                7       v1          0  125 B  [TIME]  ana@laptop
    net/prod           3       v3          1  398 B  [TIME]  ana@laptop
    net/prod@dev       7       v1          0  125 B  [TIME]  ana@laptop

    $ state list net/ --limit 1
    STATE     SERIAL  VERSION  RESOURCES   SIZE  UPDATED               BY          NOTE
    net/prod       3       v3          1  398 B  [TIME]  ana@laptop
    ! there are more: `--after net/prod@default`

    $ state list nothing
    ! no state's name starts with `nothing`

    $ state show net/prod
    state      net/prod
    version    v3 of 3
    serial     3
    lineage    lineage-1
    size       398 B
    resources  1
    updated    [TIME] by ana@laptop
    operation  push
    tool       stateward/[VERSION]
    sha256     215bdf7876c7402fc4e4c17f8b517dad0136cf222b8a63965ef2d2a6bb3cf021
    locked by  nobody
    ");
}

#[test]
fn states_in_json() {
    let world = World::local().with_versions();
    let list = world.ok("state list --json");
    assert_snapshot!(world.filtered(&list), @r#"
    {
      "schema": 1,
      "items": [
        {
          "state": "net/prod",
          "workspace": "default",
          "serial": 3,
          "lineage": "lineage-1",
          "version": "v3",
          "size": 398,
          "resources": 1,
          "updated": "[TIME]",
          "updated_by": "ana@laptop",
          "locked": false,
          "opaque": false
        }
      ]
    }
    "#);
    let shown = world.json("state show net/prod");
    assert_eq!(shown["schema"], 1);
    assert_eq!(shown["summary"], world.json("state list")["items"][0]);
    assert_eq!(shown["newest"], world.json("state history net/prod")["items"][0]);
    assert_eq!(
        (&shown["versions"], &shown["locks"], &shown["address"]),
        (&3.into(), &serde_json::json!([]), &serde_json::Value::Null)
    );
}

#[test]
fn what_was_pushed_comes_back_byte_for_byte() {
    for world in [World::local(), World::served()] {
        let text = State::new(4).instance("a", "größe \\u003c 1E+400", "x").text();
        world.dir.write("in.tfstate", &text);
        world.ok("state push a/b in.tfstate");
        assert_eq!(world.ok("state pull a/b"), text);
        assert_eq!(world.ok("state pull a/b --version v1"), text);
        assert_eq!(world.ok("state pull a/b -o out.tfstate"), "");
        assert_eq!(world.dir.read("out.tfstate"), text);
    }
}

#[test]
fn a_pulled_file_is_for_its_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let world = World::local().with_versions();
    world.ok("state pull net/prod -o out.tfstate");
    let mode = std::fs::metadata(world.dir.join("out.tfstate")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn pushes_follow_terraform_s_rules() {
    let told = everywhere(|world| {
        let world = world.with_versions();
        world.dir.write("same.tfstate", State::new(3).text());
        world.dir.write("foreign.tfstate", State::new(9).lineage(2).text());
        let told = world.told(&[
            "state push net/prod v3.tfstate",
            "state push net/prod v2.tfstate",
            "state push net/prod same.tfstate",
            "state push net/prod foreign.tfstate",
        ]);
        assert_eq!(world.json("state list")["items"][0]["version"], "v3");
        told
    });
    assert_snapshot!(told, @"
    $ state push net/prod v3.tfstate
    net/prod is at v3 (serial 3) already: nothing was changed

    $ state push net/prod v2.tfstate
    ! error: the state was not stored
    !   why: its serial 2 is lower than 3, the serial of the state here: it is older
    !   next: run the plan again on the current state; to go back to an old version, use `stateward state restore`
    [exit 3]

    $ state push net/prod same.tfstate
    ! error: the state was not stored
    !   why: the state here has the same serial 3 and other content
    !   next: somebody else wrote in between: run the plan again on the current state
    [exit 3]

    $ state push net/prod foreign.tfstate
    ! error: the state was not stored
    !   why: its lineage `lineage-2` is not that of the state here, `lineage-1`: it describes other infrastructure
    !   next: check the address in the backend block; to replace the state all the same, use `stateward state push --force`
    [exit 3]
    ");
}

#[test]
fn a_forced_push_renumbers_and_changes_nothing_else() {
    let told = everywhere(|world| {
        let world = world.with_versions();
        let told =
            world.told(&["state push net/prod v1.tfstate --force", "state push net/prod v1.tfstate --force --json"]);
        let pulled = world.ok("state pull net/prod --version v4");
        assert_eq!(pulled, world.dir.read("v1.tfstate").replace("\"serial\":1", "\"serial\":4"));

        // A serial that is high enough stays, and so do bytes that are there already.
        let foreign = State::new(70).lineage(2).text();
        world.dir.write("foreign.tfstate", &foreign);
        world.ok("state push net/prod foreign.tfstate --force");
        assert_eq!(world.ok("state pull net/prod"), foreign);
        let again = world.json("state push net/prod foreign.tfstate --force");
        assert_eq!((&again["changed"], &again["renumbered"]), (&false.into(), &false.into()));
        told
    });
    assert_snapshot!(told, @r#"
    $ state push net/prod v1.tfstate --force
    net/prod is stored under a new serial, now v4 (serial 4)

    $ state push net/prod v1.tfstate --force --json
    {
      "schema": 1,
      "version": "v5",
      "serial": 5,
      "changed": true,
      "renumbered": true
    }
    "#);
}

#[test]
fn standard_input_is_pushed_too() {
    let world = World::local();
    for (arguments, serial) in [(&["state", "push", "a", "-"][..], 5), (&["state", "push", "a", "-", "--force"], 6)] {
        world
            .cli()
            .run_with_input(arguments, State::new(5).instance("a", &serial.to_string(), "x").text())
            .expect_success();
        assert_eq!(world.json("state list")["items"][0]["serial"], serial);
    }
}

#[test]
fn files_that_are_no_states_are_refused() {
    let world = World::local().with_versions();
    world.dir.write("bad.json", "{\"serial\": 1, \"password\": \"hunter\"");
    world.dir.write("empty.json", "");
    world.dir.write(
        "encrypted.json",
        r#"{"serial":3,"lineage":"lineage-1","meta":{},"encrypted_data":"aGk=","encryption_version":"v0"}"#,
    );
    let told = world.told(&[
        "state push net/prod bad.json",
        "state push net/prod bad.json --force",
        "state push net/prod empty.json",
        "state push net/prod missing.json",
        "state push net/prod .",
        "state push net/prod encrypted.json --force",
    ]);
    assert_snapshot!(told, @"
    $ state push net/prod bad.json
    ! error: the state was not stored
    !   why: the body ends at byte 34, before its JSON is complete: it was cut off; send it again
    !   next: send the whole state file as Terraform or OpenTofu writes it
    [exit 1]

    $ state push net/prod bad.json --force
    ! error: the file was not pushed
    !   why: the body ends at byte 34, before its JSON is complete: it was cut off; send it again
    !   next: give a state file, as `terraform state pull` writes it
    [exit 1]

    $ state push net/prod empty.json
    ! error: the state was not stored
    !   why: the body is empty: a state is a JSON object; send the state file itself
    !   next: send the whole state file as Terraform or OpenTofu writes it
    [exit 1]

    $ state push net/prod missing.json
    ! error: the file was not pushed
    !   why: `missing.json`: no such file or directory
    !   next: check its path, and that you may read it
    [exit 1]

    $ state push net/prod .
    ! error: the file was not pushed
    !   why: `.`: is a directory
    !   next: check its path, and that you may read it
    [exit 1]

    $ state push net/prod encrypted.json --force
    ! error: the file was not pushed
    !   why: its serial 3 is not higher than 3, the serial of the state here, and it is encrypted by OpenTofu: its serial is sealed inside
    !   next: decrypt it and push it with `tofu state push -force`
    [exit 1]
    ");
    assert!(!told.contains("hunter"));
}

#[test]
fn encrypted_states_are_kept_as_they_are() {
    let world = World::local();
    let text = r#"{"serial":3,"lineage":"l","meta":{},"encrypted_data":"aGk=","encryption_version":"v0"}"#;
    world.dir.write("e.json", text);
    world.dir.write("f.json", text.replace('3', "4"));
    assert_snapshot!(world.told(&["state push e e.json", "state push e f.json", "state list", "state history e", "state diff e"]), @"
    $ state push e e.json
    e is stored, now v1 (serial 3)

    $ state push e f.json
    e is stored, now v2 (serial 4)

    $ state list
    STATE  SERIAL  VERSION  RESOURCES  SIZE  UPDATED               BY          NOTE
    e           4       v2          -  86 B  [TIME]  ana@laptop  encrypted

    $ state history e
    VERSION  SERIAL  CREATED               BY          OPERATION  CHANGES  SIZE  NOTE
    v2            4  [TIME]  ana@laptop  push       -        86 B  current, encrypted
    v1            3  [TIME]  ana@laptop  push       -        86 B  encrypted

    $ state diff e
    ! error: the state is encrypted by OpenTofu
    !   why: what is in it cannot be compared
    !   next: pull both versions with OpenTofu and compare them yourself
    [exit 1]
    ");
    assert_eq!(world.ok("state pull e --version 1"), text);
}

#[test]
fn deleting_asks_first_and_can_be_undone() {
    let told = everywhere(|world| {
        let world = world.with_versions();
        let told = world.told(&[
            "state delete net/prod",
            "state delete net/prod --yes",
            "state delete net/prod --yes",
            "state list",
            "state list --deleted",
            "state pull net/prod --version v2 -o kept.tfstate",
            "state diff net/prod",
            "state undelete net/prod",
            "state undelete net/prod",
            "state undelete never",
        ]);
        assert_eq!(world.dir.read("kept.tfstate"), world.dir.read("v2.tfstate"));
        let deleted = world.json("state delete net/prod --yes");
        assert_eq!(
            deleted,
            serde_json::json!({ "schema": 1, "state": "net/prod", "workspace": "default", "version": "v3", "deleted": true })
        );
        told
    });
    assert_snapshot!(told, @"
    $ state delete net/prod
    ! error: nothing was done
    !   why: this asks first (Delete the state net/prod? Its history stays.), and standard input is no terminal
    !   next: if you are sure, say so with `--yes`
    [exit 2]

    $ state delete net/prod --yes
    net/prod is deleted; its last version was v3, and `stateward state undelete net/prod` brings it back

    $ state delete net/prod --yes
    there was no state net/prod

    $ state list
    ! there are no states

    $ state list --deleted
    STATE     SERIAL  VERSION  RESOURCES   SIZE  UPDATED               BY          NOTE
    net/prod       3       v3          1  398 B  [TIME]  ana@laptop  deleted

    $ state pull net/prod --version v2 -o kept.tfstate

    $ state diff net/prod
    ! error: `net/prod` is deleted
    !   why: it has a history, but no current version
    !   next: bring it back with `stateward state undelete net/prod`
    [exit 1]

    $ state undelete net/prod
    net/prod is back, at v3

    $ state undelete net/prod
    ! error: nothing was undeleted
    !   why: `net/prod` is not deleted
    !   next: to go back to an old version, use `stateward state restore`
    [exit 3]

    $ state undelete never
    ! error: there is no state `never`
    !   why: nothing has ever been stored under this name
    !   next: `stateward state list` shows the states there are
    [exit 1]
    ");
}

#[test]
fn a_healthy_store_is_verified() {
    let told = everywhere(|world| {
        let world = world.with_versions();
        let verified = world.json("state verify");
        assert_eq!(
            (&verified["items"], &verified["states"], &verified["versions"]),
            (&serde_json::json!([]), &1.into(), &3.into())
        );
        assert!(world.ok("state verify net/prod").starts_with("all is well: 1 state, 3 versions, "));
        world.told(&["state verify never"])
    });
    assert_snapshot!(told, @"
    $ state verify never
    ! error: there is no state `never`
    !   why: nothing has ever been stored under this name
    !   next: `stateward state list` shows the states there are
    [exit 1]
    ");
}

#[test]
fn old_versions_are_let_go_by_the_retention_rule() {
    let world = World::local().with_versions();
    world.dir.write("stateward.toml", "[retention]\nkeep_versions = 1\n");
    assert_snapshot!(world.told(&["state prune", "state history net/prod", "state pull net/prod --version v1", "state verify"]), @"
    $ state prune
    let go of 2 versions; removed 0 chunks that nobody referred to any more, 0 B

    $ state history net/prod
    VERSION  SERIAL  CREATED               BY          OPERATION  CHANGES    SIZE  NOTE
    v3            3  [TIME]  ana@laptop  push       +0 ~0 -1  398 B  current
    v2            2  [TIME]  ana@laptop  push       +1 ~1 -0  668 B  pruned
    v1            1  [TIME]  ana@laptop  push       +1 ~0 -0  398 B  pruned

    $ state pull net/prod --version v1
    ! error: version v1 has no content any more
    !   why: the retention rule let it go
    !   next: choose a version that `stateward state history` does not mark as pruned
    [exit 1]

    $ state verify
    all is well: 1 state, 3 versions, 796 B read
    ");
    let pruned = world.json("state prune");
    assert_eq!(pruned["versions"], 0);
    assert!(pruned["blobs"].is_u64() && pruned["freed_bytes"].is_u64());
}

#[test]
fn a_state_that_is_not_there() {
    for world in [World::local().with_versions(), World::served()] {
        for line in [
            "state show x",
            "state pull x",
            "state history x",
            "state diff x",
            "state timeline x a.b",
            "state restore x v1",
        ] {
            let output = world.run(line).expect_code(1);
            assert!(
                output.stdout.is_empty() && output.stderr.starts_with("error: there is no state `x`\n  why: "),
                "{line}: {}",
                output.stderr
            );
        }
    }
}
