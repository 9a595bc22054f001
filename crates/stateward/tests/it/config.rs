//! Where settings come from, and `config show`.

use insta::assert_snapshot;

use crate::world::World;

#[test]
fn values_and_where_they_come_from() {
    let world = World::local();
    world.dir.write("home/.config/stateward/stateward.toml", "log = \"debug\"\n\n[lock]\nwait = \"5m\"\n");
    world.dir.write("stateward.toml", "listen = \"127.0.0.1:1\"\n[limits]\nbody_bytes = \"10MiB\"\n");
    world.dir.subdir("below/it");
    let cli = world
        .cli()
        .env("STATEWARD_TOKEN", "geheim")
        .env("STATEWARD_SERVICE_PORT", "1")
        .current_dir(world.dir.join("below/it"));
    let output = cli.run(&["config", "show", "--who", "me"]).expect_success();
    let told = world.transcript("config show --who me", &output);
    assert_snapshot!(told, @"
    $ config show --who me
    SETTING                   VALUE        FROM
    store                     sqlite:s.db  STATEWARD_STORE
    create_tables             false        default
    server                    -            default
    token                     (set)        STATEWARD_TOKEN
    from_token                -            default
    to_token                  -            default
    who                       me           --who
    listen                    127.0.0.1:[PORT]  [DIR]/stateward.toml:1
    tokens                    -            default
    insecure_no_auth          false        default
    lock.wait                 5m           [DIR]/home/.config/stateward/stateward.toml:4
    lock.force_unlock         allow        default
    lock.plan                 shared       default
    allow_force_push          false        default
    retention.keep_versions   -            default
    retention.keep_days       -            default
    retention.fold_snapshots  false        default
    limits.body_bytes         10MiB        [DIR]/stateward.toml:3
    limits.queue              256          default
    serve.prune_every         1h           default
    serve.drain               30s          default
    store_max_bytes           -            default
    log                       debug        [DIR]/home/.config/stateward/stateward.toml:1
    log_format                text         default
    ! note: the variable `STATEWARD_SERVICE_PORT` is no setting
    ");
    assert!(!told.contains("geheim"));
    let json: serde_json::Value =
        serde_json::from_str(&cli.run(&["config", "show", "--json"]).expect_success().stdout).unwrap();
    let item = json["items"].as_array().unwrap().iter().find(|item| item["key"] == "lock.wait").unwrap();
    assert_eq!(
        (&item["value"], &item["source"], &item["variable"]),
        (&"5m".into(), &"file".into(), &"STATEWARD_LOCK_WAIT".into())
    );
    assert!(item["place"].as_str().unwrap().ends_with("stateward.toml:4"), "{item}");
}

#[test]
fn wrong_configurations_are_refused() {
    let world = World::local();
    for (text, line) in [
        ("lock.wiat = \"1s\"\n", "config show"),
        ("listen = 1\n", "state list"),
        ("store = \"memory\"\n", "state list"),
        ("=", "state list"),
    ] {
        world.dir.write("stateward.toml", text);
        world.run(line).expect_code(2);
    }
    world.dir.write("stateward.toml", "");
    world.cli().env("STATEWARD_LOG", "a=b=c").run(&["state", "list"]).expect_code(2);
    world.dir.write("stateward.toml", "[retention]\nkeep_version = 3\n");
    assert_snapshot!(world.told(&["state list"]), @"
    $ state list
    ! error: the configuration is wrong at [DIR]/stateward.toml:2
    !   why: there is no setting `retention.keep_version`
    !   next: did you mean `retention.keep_versions`?
    [exit 2]
    ");
    world.dir.write("stateward.toml", "");
    assert_snapshot!(world.told(&["--store a.db state list", "--store memory: --server http://h:1 state list", "--server h:1 state list"]), @"
    $ --store a.db state list
    ! error: the setting `store` is wrong
    !   why: `a.db`, from --store, is no store: write it as `sqlite:PATH`, `s3://BUCKET/PREFIX`, `dynamodb://TABLE` or `memory:`
    !   next: put it right; `stateward config show` lists all settings
    [exit 2]

    $ --store memory: --server http://h:1 state list
    ! error: `--store` and `--server` were both given
    !   why: a command works on a store of this machine or on a server, not on both
    !   next: leave one of them out
    [exit 2]

    $ --server h:1 state list
    ! error: the setting `server` is wrong
    !   why: `(not a URL)`, from --server, is no server: a server's URL begins with `http://` or `https://`
    !   next: put it right; `stateward config show` lists all settings
    [exit 2]
    ");
}

#[test]
fn a_file_names_the_store_from_where_it_lies() {
    let world = World::local();
    world.dir.write("stateward.toml", "store = \"sqlite:data/x.db\"\n");
    world.dir.write("below/a.tfstate", crate::world::State::new(1).text());
    let cli = world.cli().env("STATEWARD_STORE", "").current_dir(world.dir.join("below"));
    cli.run(&["state", "push", "a", "a.tfstate"]).expect_success();
    assert!(world.dir.join("data/x.db").is_file());
}

#[test]
fn without_a_home_no_store_is_made_where_a_command_happens_to_run() {
    let world = World::local();
    let cli = || world.cli().env("STATEWARD_STORE", "").env("HOME", "").env("XDG_DATA_HOME", "");
    for line in [&["state", "list"][..], &["serve", "--listen", "127.0.0.1:0"], &["backup", "b.db"]] {
        let told = cli().run(line).expect_code(2).stderr;
        assert!(told.contains("error: no store is named") && told.contains("STATEWARD_STORE"), "{told}");
    }
    assert!(!world.dir.join("stateward").exists() && !world.dir.join(".local").exists());
    // What needs no store goes on.
    cli().run(&["kb", "list"]).expect_success();
    cli().run(&["config", "show"]).expect_success();
}
