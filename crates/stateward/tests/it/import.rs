//! `state import` and `state export`.

use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::transfer::kept;
use crate::world::{State, World, words};

/// A directory of Terraform with two workspaces, and one that is left over; gives the states of both.
fn infra(world: &World) -> (String, String) {
    let (one, two) = (State::new(41).instance("a", "one", "hunter-a").text(), State::new(7).lineage(2).text());
    world.dir.write("infra/terraform.tfstate", &one);
    world.dir.write("infra/terraform.tfstate.d/dev/terraform.tfstate", &two);
    world.dir.write("infra/terraform.tfstate.d/gone/terraform.tfstate", "");
    (one, two)
}

#[test]
fn files_and_directories_are_imported() {
    let world = World::local();
    let (one, two) = infra(&world);
    let told = world.told(&[
        "state import net infra",
        "state import net infra",
        "state import file@test infra/terraform.tfstate",
        "state import other infra --workspace dev --json",
        "state list",
        "state history net",
    ]);
    assert!(!told.contains("hunter"));
    assert_snapshot!(told, @r#"
    $ state import net infra
    net is imported from [DIR]/infra: 1 version, the current one v1 (serial 41); 397 B compared
    net@dev is imported from [DIR]/infra: 1 version, the current one v1 (serial 7); 125 B compared
    2 states: 2 imported

    $ state import net infra
    net is there already: 1 version, the current one v1 (serial 41); 397 B compared
    net@dev is there already: 1 version, the current one v1 (serial 7); 125 B compared
    2 states: 2 there already

    $ state import file@test infra/terraform.tfstate
    file@test is imported from [DIR]/infra/terraform.tfstate: 1 version, the current one v1 (serial 41); 397 B compared

    $ state import other infra --workspace dev --json
    {
      "schema": 1,
      "items": [
        {
          "state": "other",
          "workspace": "dev",
          "from": "[DIR]/infra",
          "outcome": "imported",
          "version": "v1",
          "serial": 7,
          "lineage": "lineage-2",
          "sha256": "308dd32da3516c4869e8368641ef08667e690556bfbc66dc39e10dce222b502f",
          "versions": 1,
          "copied": 1,
          "bytes_compared": 125,
          "let_go": 0
        }
      ]
    }

    $ state list
    STATE      SERIAL  VERSION  RESOURCES   SIZE  UPDATED               BY       NOTE
    file@test      41       v1          1  397 B  [TIME]  unknown
    net            41       v1          1  397 B  [TIME]  unknown
    net@dev         7       v1          0  125 B  [TIME]  unknown
    other@dev       7       v1          0  125 B  [TIME]  unknown

    $ state history net
    VERSION  SERIAL  CREATED               BY       OPERATION  CHANGES    SIZE  NOTE
    v1           41  [TIME]  unknown  import     +1 ~0 -0  397 B  current, imported
    "#);
    assert_eq!((world.ok("state pull net"), world.ok("state pull net@dev")), (one.clone(), two));
    let piped = world.cli().run_with_input(&["state", "import", "piped", "-"], one.clone()).expect_success();
    assert!(piped.stdout.contains("from standard input"), "{}", piped.report());
    assert_eq!(world.ok("state pull piped"), one);
}

#[test]
fn what_is_no_source_is_not_imported() {
    let world = World::local();
    infra(&world);
    world.ok("state import net infra");
    let told = world.told(&[
        "state import net infra --workspace test",
        "state import x empty",
        "state import x missing",
        "state import x infra --workspace a/b",
        "state import x gs://bucket/key",
        "state import net infra/terraform.tfstate.d/dev/terraform.tfstate",
    ]);
    assert_snapshot!(told, @"
    $ state import net infra --workspace test
    ! error: the state was not imported
    !   why: [DIR]/infra has no workspace `test`, but default, dev
    !   next: name one of those with `--workspace`
    [exit 1]

    $ state import x empty
    ! error: the state was not imported
    !   why: `empty`: no such file or directory
    !   next: check its path, and that you may read it
    [exit 1]

    $ state import x missing
    ! error: the state was not imported
    !   why: `missing`: no such file or directory
    !   next: check its path, and that you may read it
    [exit 1]

    $ state import x infra --workspace a/b
    ! error: invalid value 'a/b' for '--workspace <NAME>': a workspace's name has a character other than letters, digits, `.`, `_` and `-`
    !
    ! For more information, try '--help'.
    [exit 2]

    $ state import x gs://bucket/key
    ! error: the state was not imported
    !   why: this version does not read `gs` URLs itself
    !   next: where Terraform uses it, run: terraform state pull | stateward state import NAME -
    [exit 1]

    $ state import net infra/terraform.tfstate.d/dev/terraform.tfstate
    ! error: there is another `net` already
    !   why: its v1 (serial 41) is not the version that [DIR]/infra/terraform.tfstate.d/dev/terraform.tfstate has in that place (serial 7), so its history is not the beginning of that one
    !   next: choose a name that has nothing yet; `stateward state history` shows what is there
    [exit 3]
    ");
}

#[test]
fn the_backend_that_a_directory_was_initialised_for_counts() {
    let world = World::served().with_versions();
    let recorded = |kind: &str, config: &Value| {
        let text = json!({ "version": 3, "backend": { "type": kind, "config": config, "hash": 1 } }).to_string();
        world.dir.write("work/.terraform/terraform.tfstate", text);
        // Left behind from before.
        world.dir.write("work/terraform.tfstate", State::new(1).lineage(9).text());
    };
    recorded("http", &json!({ "address": world.server().url("/state/net/prod"), "username": null }));
    world.ok("state import from-http work");
    assert_eq!(world.ok("state pull from-http"), world.dir.read("v3.tfstate"));
    recorded("gcs", &json!({ "bucket": "b", "prefix": "k" }));
    let told = world.told(&["state import from-gcs work"]);
    assert_snapshot!(told, @"
    $ state import from-gcs work
    ! error: the state was not imported
    !   why: this version does not read states in `gcs` backends itself
    !   next: where Terraform uses it, run: terraform state pull | stateward state import NAME -
    [exit 1]
    ");
    recorded("local", &json!({ "path": "here.json", "workspace_dir": null }));
    world.dir.write("work/here.json", State::new(3).text());
    world.ok("state import from-local work");
    assert_eq!(world.ok("state pull from-local"), State::new(3).text());
}

#[test]
fn http_backends_are_imported_with_what_terraform_is_given() {
    let (there, here) = (World::local().with_versions(), World::local());
    let token = there.ok("token new ci --file t.toml --allow read").trim().to_owned();
    let server = there.serve(&["--tokens", &there.dir.join("t.toml").display().to_string()]);
    let line = format!("state import net {}?workspace=default", server.url("/state/net/prod"));
    let refused = here.run(&line).expect_code(4);
    assert!(refused.stderr.contains("TF_HTTP_USERNAME"), "{}", refused.report());
    let with =
        |password: &str| here.cli().env("TF_HTTP_USERNAME", "any").env("TF_HTTP_PASSWORD", password).run(&words(&line));
    assert!(!with("wrong-secret").expect_code(4).stderr.contains("wrong-secret"));
    let imported = with(&token).expect_success();
    assert!(imported.stdout.contains("serial 3") && !imported.stdout.contains(&token), "{}", imported.report());
    assert_eq!(here.ok("state pull net"), there.dir.read("v3.tfstate"));
    let item = here.json("state history net")["items"][0].clone();
    assert_eq!(item["imported"]["from"], server.url("/state/net/prod"));
    // What the block does not say comes from the environment.
    let block = json!({ "address": server.url("/state/net/prod"), "username": "any", "password": null });
    let recorded = json!({ "version": 3, "backend": { "type": "http", "config": block } });
    here.dir.write("work/.terraform/terraform.tfstate", recorded.to_string());
    here.run("state import initialised work").expect_code(4);
    here.cli().env("TF_HTTP_PASSWORD", &token).run(&words("state import initialised work")).expect_success();
    let missing = format!("state import x {}", server.url("/state/nothing"));
    let missing = here.cli().env("TF_HTTP_USERNAME", "any").env("TF_HTTP_PASSWORD", &token).run(&words(&missing));
    assert!(missing.expect_code(1).stderr.contains("there is no state at"));
    here.run("state import x http://127.0.0.1:1/state/x").expect_code(1);
}

#[test]
fn an_export_comes_back_whole() {
    let world = World::local().with_versions();
    let told = world.told(&[
        "state export net/prod out --all-versions",
        "state export net/prod out",
        "state export net/prod one",
        "state import back out",
        "state import back@dev one --workspace dev",
        "state export net/prod - --all-versions",
        "state export never away",
        "state export net/prod all.json --json",
    ]);
    assert_snapshot!(told, @r#"
    $ state export net/prod out --all-versions
    net/prod is exported to out: 3 versions, 1.4 KiB; `stateward state import NAME out` takes it back in

    $ state export net/prod out
    ! error: nothing was exported
    !   why: `out` has `index.json` in it
    !   next: name an empty directory, or one that is yet to be made
    [exit 1]

    $ state export net/prod one
    net/prod is exported to one: 1 version, 398 B; `stateward state import NAME one` takes it back in

    $ state import back out
    back is imported from an export of net/prod in sqlite:[DIR]/s.db: 3 versions, the current one v3 (serial 3); 1.4 KiB compared

    $ state import back@dev one --workspace dev
    ! error: the state was not imported
    !   why: an export holds one state of one workspace
    !   next: leave `--workspace` out, and name what it shall be here: `back@WORKSPACE`
    [exit 2]

    $ state export net/prod - --all-versions
    ! error: nothing was exported
    !   why: standard output takes one version
    !   next: name a directory, or leave `--all-versions` out
    [exit 2]

    $ state export never away
    ! error: `never` was not exported
    !   why: nothing has ever been stored under this name
    !   next: `stateward state list --deleted` shows the states there are, and those that were
    [exit 1]

    $ state export net/prod all.json --json
    {
      "schema": 1,
      "state": "net/prod",
      "workspace": "default",
      "directory": "all.json",
      "index": "all.json/index.json",
      "versions": 1,
      "pruned": 0,
      "bytes": 398
    }
    "#);
    assert_eq!(kept(&world.json("state history back")), kept(&world.json("state history net/prod")));
    for version in 1..=3 {
        let file = format!("v{version}.tfstate");
        assert_eq!(world.dir.read(format!("out/{file}")), world.dir.read(&file));
        assert_eq!(world.ok(&format!("state pull back --version v{version}")), world.dir.read(&file));
    }
    assert_eq!(world.ok("state export net/prod -"), world.dir.read("v3.tfstate"));
}

#[test]
fn encrypted_states_go_through_as_they_are() {
    let world = World::local();
    let text = r#"{"serial":3,"lineage":"l","meta":{"key_provider.pbkdf2.k":"e30="},"encrypted_data":"aGk=","encryption_version":"v0"}"#;
    world.dir.write("sealed.tfstate", text);
    world.ok("state import a sealed.tfstate");
    world.ok("state copy a b");
    world.ok("state move b c");
    world.ok("state export c out");
    world.ok("state import d out");
    for state in ["a", "c", "d"] {
        assert_eq!(world.ok(&format!("state pull {state}")), text);
        assert_eq!(world.json(&format!("state history {state}"))["items"][0]["opaque"], true);
    }
}
