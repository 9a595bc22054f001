//! `state history`, `diff`, `timeline`, `restore`.

use insta::assert_snapshot;
use serde_json::json;

use crate::world::{World, everywhere};

#[test]
fn versions_are_told_the_same_here_and_by_a_server() {
    let told = everywhere(|world| {
        let world = world.with_versions();

        world.told(&[
            "state history net/prod",
            "state history net/prod --limit 1",
            "state history net/prod --before v2",
            "state diff net/prod",
            "state diff net/prod v1",
            "state diff net/prod v1 v2",
            "state diff net/prod v3 v3",
            "state timeline net/prod terraform_data.b",
            "state timeline net/prod terraform_data.never",
        ])
    });
    assert_snapshot!(told, @r#"
    $ state history net/prod
    VERSION  SERIAL  CREATED               BY          OPERATION  CHANGES    SIZE  NOTE
    v3            3  [TIME]  ana@laptop  push       +0 ~0 -1  398 B  current
    v2            2  [TIME]  ana@laptop  push       +1 ~1 -0  668 B
    v1            1  [TIME]  ana@laptop  push       +1 ~0 -0  398 B

    $ state history net/prod --limit 1
    VERSION  SERIAL  CREATED               BY          OPERATION  CHANGES    SIZE  NOTE
    v3            3  [TIME]  ana@laptop  push       +0 ~0 -1  398 B  current
    ! there are more: `--before v3`

    $ state history net/prod --before v2
    VERSION  SERIAL  CREATED               BY          OPERATION  CHANGES    SIZE  NOTE
    v1            1  [TIME]  ana@laptop  push       +1 ~0 -0  398 B

    $ state diff net/prod
    - terraform_data.b
        - id      "id-b"
        - input   "b"
        - secret  (sensitive)
    0 added, 0 changed, 1 removed

    $ state diff net/prod v1
    ~ terraform_data.a
        ~ input   "one" -> "two"
        ~ secret  (sensitive)
    0 added, 1 changed, 0 removed

    $ state diff net/prod v1 v2
    ~ terraform_data.a
        ~ input   "one" -> "two"
        ~ secret  (sensitive)
    + terraform_data.b
        + id      "id-b"
        + input   "b"
        + secret  (sensitive)
    1 added, 1 changed, 0 removed

    $ state diff net/prod v3 v3
    no differences

    $ state timeline net/prod terraform_data.b
    VERSION  SERIAL  CREATED               BY          ACTION  ADDRESS
    v3            3  [TIME]  ana@laptop  remove  terraform_data.b
    v2            2  [TIME]  ana@laptop  add     terraform_data.b

    $ state timeline net/prod terraform_data.never
    ! net/prod never had anything at this address
    "#);
}

#[test]
fn history_in_json() {
    let world = World::local().with_versions();
    let history = world.json("state history net/prod");
    let mut oldest = history["items"][2].clone();
    assert_eq!(history["items"][1]["parent"], "v1");
    assert_eq!(oldest["created"].as_str().map(|time| time.ends_with('Z')), Some(true));
    for (key, length) in [("sha256", 64), ("md5", 32), ("hash", 64)] {
        assert_eq!(oldest[key].as_str().map(str::len), Some(length), "{key}");
    }
    assert!(oldest["stored_size"].is_u64() && oldest["size"].is_u64());
    for key in ["created", "sha256", "md5", "hash", "stored_size", "size"] {
        oldest.as_object_mut().unwrap().remove(key);
    }
    let expected = json!({
        "version": "v1", "serial": 1, "lineage": "lineage-1", "who": "ana@laptop", "operation": "push", "lock_id": null,
        "tool": concat!("stateward/", env!("CARGO_PKG_VERSION")), "parent": null, "changes": { "added": 1, "changed": 0, "removed": 0 },
        "resources": 1, "opaque": false, "head": false, "pruned": false,
    });
    assert_eq!(oldest, expected);
}

#[test]
fn diff_and_timeline_in_json() {
    for world in [World::local(), World::served()] {
        let world = world.with_versions();
        let diff = world.json("state diff net/prod v1 v2");
        assert_eq!(diff["items"][0]["address"], "terraform_data.a");
        assert_eq!(diff["items"][0]["action"], "change");
        let attributes = json!([
            { "path": "input", "before": "one", "after": "two", "sensitive": false },
            { "path": "secret", "before": null, "after": null, "sensitive": true },
        ]);
        assert_eq!(diff["items"][0]["attributes"], attributes);
        assert!(!diff.to_string().contains("hunter"));

        let timeline = world.json("state timeline net/prod terraform_data.b");
        let steps: Vec<_> =
            timeline["items"].as_array().unwrap().iter().map(|step| (&step["version"], &step["action"])).collect();
        assert_eq!(steps, [(&json!("v3"), &json!("remove")), (&json!("v2"), &json!("add"))]);
        assert_eq!(timeline["items"][0]["who"], "ana@laptop");
    }
}

#[test]
fn versions_and_single_resources_are_restored() {
    let told = everywhere(|world| {
        let world = world.with_versions();
        let told = world.told(&[
            "state restore net/prod v1",
            "state restore net/prod v2 --only terraform_data.b",
            "state restore net/prod v2 --only terraform_data.b --json",
            "state restore net/prod v5",
            "state restore net/prod v6",
            "state restore net/prod v99",
            "state restore net/prod v1 --only !!",
            "state restore net/prod zero",
        ]);
        let restored = world.ok("state pull net/prod --version v4");
        assert_eq!(restored, world.dir.read("v1.tfstate").replace("\"serial\":1", "\"serial\":4"));
        world.ok("state verify");
        told
    });
    assert_snapshot!(told, @r#"
    $ state restore net/prod v1
    net/prod is restored from v1, now v4 (serial 4)

    $ state restore net/prod v2 --only terraform_data.b
    net/prod is restored from v2, now v5 (serial 5, 1 instance)
      terraform_data.b

    $ state restore net/prod v2 --only terraform_data.b --json
    ! error: nothing was restored
    !   why: nothing to restore: what was named is the same in both states
    !   next: `stateward state diff` shows what differs between the two versions
    [exit 1]

    $ state restore net/prod v5
    ! error: nothing was restored
    !   why: v5 is the current version
    !   next: choose an older one: `stateward state history` lists them
    [exit 1]

    $ state restore net/prod v6
    ! error: `net/prod` has no version v6
    !   why: its versions go from v1 to v5
    !   next: `stateward state history` lists them
    [exit 1]

    $ state restore net/prod v99
    ! error: `net/prod` has no version v99
    !   why: its versions go from v1 to v5
    !   next: `stateward state history` lists them
    [exit 1]

    $ state restore net/prod v1 --only !!
    ! error: this is no address
    !   why: not an address: a name of letters, digits, `_` and `-` is missing at byte 0; give an instance (`aws_s3_bucket.b["k"]`, `module.a.data.x.y[0]`), a whole resource (`aws_s3_bucket.b`), a module (`module.a`, `module.a["x"]`) or an output (`output.NAME`)
    !   next: write it as `terraform state list` does, such as `module.a["x"].aws_s3_bucket.b[0]`
    [exit 1]

    $ state restore net/prod zero
    ! error: invalid value 'zero' for '<VERSION>': a version is a number from 1 on, such as `v7`
    !
    ! For more information, try '--help'.
    [exit 2]
    "#);
}

#[test]
fn long_histories_come_whole_from_a_server() {
    let world = World::served();
    // More than a page of the list of states.
    for number in 0..3 {
        world.dir.write("s.tfstate", crate::world::State::new(1).text());
        world.ok(&format!("state push s{number} s.tfstate"));
    }
    assert_eq!(world.json("state list")["items"].as_array().unwrap().len(), 3);
    let first = world.json("state list --limit 2");
    let next = first["next"].as_str().unwrap();
    let rest = world.json(&format!("state list --after {next}"));
    assert_eq!(rest["items"].as_array().unwrap().len(), 1);
}
