//! `backup` and `restore-backup`.

use insta::assert_snapshot;

use crate::world::World;

#[test]
fn a_backup_is_made_while_serving_and_restored_elsewhere() {
    let world = World::served().with_versions();
    let local = |line: &str| {
        let cli = world.cli().env("STATEWARD_SERVER", "").env("STATEWARD_STORE", "sqlite:s.db");
        cli.run(&line.split(' ').collect::<Vec<_>>())
    };
    let made = local("backup b.db --json").expect_success();
    let made: serde_json::Value = serde_json::from_str(&made.stdout).unwrap();
    assert_eq!((&made["schema"], &made["file"]), (&1.into(), &"b.db".into()));
    let told = [
        "backup b.db",
        "restore-backup b.db",
        "--store sqlite:new/c.db restore-backup b.db",
        "--store sqlite:new/c.db state list",
    ];
    let told = told.map(|line| world.transcript(line, &local(line)));
    assert_snapshot!(told.join("\n"), @"
    $ backup b.db
    ! error: the backup was not made
    !   why: `b.db` exists; name a new file, or move it away
    !   next: a backup never replaces a file
    [exit 1]

    $ restore-backup b.db
    ! error: the backup was not restored
    !   why: `s.db` exists, and is never overwritten
    !   next: to replace that store, stop its server and move the file away first, with the files `-wal` and `-shm` beside it
    [exit 3]

    $ --store sqlite:new/c.db restore-backup b.db
    restored b.db to sqlite:new/c.db: 1 state with 3 versions, all checked

    $ --store sqlite:new/c.db state list
    STATE     SERIAL  VERSION  RESOURCES   SIZE  UPDATED               BY          NOTE
    net/prod       3       v3          1  398 B  [TIME]  ana@laptop
    ");
    assert_snapshot!(world.told(&["backup c.db"]), @"
    $ backup c.db
    ! error: a server's store cannot be backed up from here
    !   why: a backup is a file beside the store, and http://127.0.0.1:[PORT] is reached over the network
    !   next: run the command on the server's own machine, with its `--store`; the server may go on meanwhile
    [exit 1]
    ");
}

#[test]
fn what_is_no_good_backup_is_refused() {
    let world = World::local().with_versions();
    world.ok("backup good.db");
    let good = world.dir.read_bytes("good.db");
    world.dir.write("cut.db", &good[..good.len() / 2]);
    world.dir.write("text.db", "not a database at all");
    let told = world.told(&[
        "--store sqlite:c.db restore-backup cut.db",
        "--store sqlite:c.db restore-backup text.db",
        "--store sqlite:c.db restore-backup missing.db",
        "--store memory: restore-backup good.db",
        "--store sqlite:missing.db backup x.db",
        "backup nowhere/x.db",
    ]);
    assert_snapshot!(told, @"
    $ --store sqlite:c.db restore-backup cut.db
    ! error: the backup was not restored
    !   why: `cut.db` is damaged: database disk image is malformed
    !   next: use another backup; nothing was changed
    [exit 5]

    $ --store sqlite:c.db restore-backup text.db
    ! error: the backup was not restored
    !   why: `text.db` is not a stateward database: file is not a database
    !   next: use another backup; nothing was changed
    [exit 1]

    $ --store sqlite:c.db restore-backup missing.db
    ! error: the backup was not restored
    !   why: `missing.db`: no such file or directory
    !   next: check the backup's path, and that the disk has room
    [exit 1]

    $ --store memory: restore-backup good.db
    ! error: `memory:` has no file to copy
    !   why: such a store ends with its process
    !   next: name a `sqlite:` store with `--store`
    [exit 1]

    $ --store sqlite:missing.db backup x.db
    ! error: there is no store at `sqlite:[DIR]/missing.db`
    !   why: the file does not exist
    !   next: check the path (`stateward config show` says where it comes from); `serve` and `state push` make a new store
    [exit 1]

    $ backup nowhere/x.db
    ! error: the backup was not made
    !   why: the directory `nowhere` does not exist
    !   next: make it, or choose another
    [exit 1]
    ");
    let left: Vec<_> = std::fs::read_dir(world.dir.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert!(!left.iter().any(|name| name.contains("c.db") || name.contains("restoring")), "{left:?}");
}

#[test]
fn a_damaged_store_is_found_out() {
    let world = World::local().with_versions();
    world.damage();
    let output = world.run("state verify --json").expect_code(5);
    let verified: serde_json::Value = serde_json::from_str(&output.stdout).unwrap();
    let why = verified["items"][0]["why"].as_str().unwrap();
    assert!(why.contains("the hash chain does not hold"), "{why}");
    let told = world.run("state verify").expect_code(5).stdout;
    assert!(told.starts_with("WHERE") && told.contains("finding"), "{told}");
}
