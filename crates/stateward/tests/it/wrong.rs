//! Wrong inputs, stores that are not there, servers that do not answer.

use std::io::{Read, Write};
use std::net::TcpListener;

use insta::assert_snapshot;

use crate::world::World;

#[test]
fn wrong_command_lines() {
    let world = World::local();
    for line in [
        "",
        "fly",
        "state",
        "state list --fly",
        "state list --limit 0",
        "state pull",
        "state pull a b",
        "lock release a --id x --force",
        "state restore a v0",
        "state push a",
    ] {
        let output = world.run(line).expect_code(2);
        assert!(output.stdout.is_empty() && !output.stderr.is_empty(), "{line}");
    }
    assert_snapshot!(world.told(&["state pull ../x", "state pull a@b@c", "state restore a v0", "audit --limit 0"]), @"
    $ state pull ../x
    ! error: invalid value '../x' for '<NAME>': a state's name has a segment `.` or `..`; use segments of letters, digits, `.`, `_` and `-`, joined by `/`, at most 512 bytes, such as `network/prod`
    !
    ! For more information, try '--help'.
    [exit 2]

    $ state pull a@b@c
    ! error: invalid value 'a@b@c' for '<NAME>': a workspace's name has a character other than letters, digits, `.`, `_` and `-`; use segments of letters, digits, `.`, `_` and `-`, joined by `/`, at most 512 bytes, such as `network/prod`
    !
    ! For more information, try '--help'.
    [exit 2]

    $ state restore a v0
    ! error: invalid value 'v0' for '<VERSION>': a version is a number from 1 on, such as `v7`
    !
    ! For more information, try '--help'.
    [exit 2]

    $ audit --limit 0
    ! error: invalid value '0' for '--limit <N>': is no whole number from 1 on
    !
    ! For more information, try '--help'.
    [exit 2]
    ");
}

#[test]
fn a_store_that_is_not_there_is_not_made() {
    let world = World::local();
    for line in [
        "state list",
        "state pull a",
        "lock list",
        "audit",
        "state verify",
        "state delete a --yes",
        "backup b.db",
        "lock release a --force",
    ] {
        world.run(line).expect_code(1);
        assert!(!world.dir.join("s.db").exists(), "{line}");
    }
    assert_snapshot!(world.told(&["state list", "--store sqlite:no/where/s.db state list", "--store s3://b/p state list", "--store dynamodb://t lock list"]), @"
    $ state list
    ! error: there is no store at `sqlite:[DIR]/s.db`
    !   why: the file does not exist
    !   next: check the path (`stateward config show` says where it comes from); `serve` and `state push` make a new store
    [exit 1]

    $ --store sqlite:no/where/s.db state list
    ! error: there is no store at `sqlite:[DIR]/no/where/s.db`
    !   why: the file does not exist
    !   next: check the path (`stateward config show` says where it comes from); `serve` and `state push` make a new store
    [exit 1]

    $ --store s3://b/p state list
    ! error: the setting `store` is wrong
    !   why: `s3://b/p`, from --store, names the bucket `b`, and no bucket can be called so
    !   next: put it right; `stateward config show` lists all settings
    [exit 2]

    $ --store dynamodb://t lock list
    ! error: the setting `store` is wrong
    !   why: `dynamodb://t`, from --store, names the table `t`, and no table can be called so
    !   next: put it right; `stateward config show` lists all settings
    [exit 2]
    ");
}

#[test]
fn files_that_are_no_stores() {
    let world = World::local();
    world.dir.write("text.db", "hello");
    world.dir.subdir("dir.db");
    assert_snapshot!(world.told(&["--store sqlite:text.db state list", "--store sqlite:dir.db state list"]), @"
    $ --store sqlite:text.db state list
    ! error: the store cannot be opened
    !   why: `[DIR]/text.db` is not a stateward database: file is not a database
    !   next: check the path; the file was left as it is
    [exit 1]

    $ --store sqlite:dir.db state list
    ! error: the store cannot be opened
    !   why: `[DIR]/dir.db` is not a file
    !   next: name a file inside that directory
    [exit 1]
    ");
    assert_eq!(world.dir.read("text.db"), "hello");
}

#[test]
fn servers_that_do_not_answer_as_they_should() {
    let world = World::local();
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    assert_snapshot!(world.told(&[&format!("--server http://{nobody} state list")]), @"
    $ --server http://127.0.0.1:[PORT] state list
    ! error: http://127.0.0.1:[PORT] cannot be reached
    !   why: connection refused
    !   next: check the address, and that `stateward serve` runs there
    [exit 1]
    ");
    for (answer, what) in [
        ("HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno", "does not speak stateward's API v1"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>", "does not speak stateward's API v1"),
        (
            "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n",
            "does not speak stateward's API v1",
        ),
        ("HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n", "cannot answer now"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 600\r\n\r\n{", "the answer is incomplete"),
        ("SSH-2.0-OpenSSH\r\n", "broke off"),
        ("", "broke off"),
    ] {
        let output = world.run(&format!("--server {} state list", answering(answer))).expect_code(1);
        assert!(output.stderr.lines().next().unwrap().contains(what), "{answer:?}: {}", output.stderr);
    }
    let output = world
        .run(&format!(
            "--server {} state list",
            answering("HTTP/1.1 400 Bad Request\r\n\r\n").replace("http:", "https:")
        ))
        .expect_code(1);
    assert!(output.stderr.starts_with("error: no secure connection to https://127.0.0.1:"), "{}", output.stderr);
}

#[test]
fn a_pull_that_is_cut_short_leaves_no_file() {
    let world = World::local();
    let server = answering("HTTP/1.1 200 OK\r\nContent-Length: 600\r\n\r\n{\"version\":4");
    let output = world.run(&format!("--server {server} state pull a -o a.tfstate")).expect_code(1);
    assert!(output.stderr.starts_with("error: the answer is incomplete"), "{}", output.stderr);
    let left: Vec<_> = std::fs::read_dir(world.dir.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert!(!left.iter().any(|name| name.contains("tfstate")), "{left:?}");
}

/// The URL of a server that gives one answer and closes.
fn answering(answer: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let _request = stream.read(&mut [0; 4096]);
        let _gone = stream.write_all(answer.as_bytes());
    });
    format!("http://{address}")
}
