//! What a command found or did is told by its exit code, also where nobody reads what it prints: `… | head -1`.

use std::io;
use std::process::Stdio;

use serde_json::json;

use crate::world::{World, words};

/// Runs a command whose reader has gone.
#[track_caller]
fn unread(world: &World, line: &str) -> Option<i32> {
    let (reader, writer) = io::pipe().unwrap();
    drop(reader);
    let mut command = world.cli().env("AWS_EC2_METADATA_DISABLED", "true").command(&words(line));
    let ended = command.stdin(Stdio::null()).stdout(writer).stderr(Stdio::piped()).output().unwrap();
    let told = String::from_utf8_lossy(&ended.stderr);
    assert!(!told.contains("could not be written") && !told.contains("bug"), "{line}: {told}");
    ended.status.code()
}

#[test]
fn what_was_found_is_told_by_the_exit_code() {
    let world = World::local().with_versions();
    let all = json!({"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}});
    let none = json!({"Version": "2012-10-17", "Statement": {"Effect": "Deny", "Action": "*", "Resource": "*"}});
    world.dir.write("all.json", all.to_string());
    world.dir.write("none.json", none.to_string());
    world.dir.write("wrong.json", r#"{"Statement": []"#);
    world.dir.write("log.txt", "all went well\n");
    let environment = |name: &str| {
        let principal = format!("arn:aws:iam::111122223333:role/{name}");
        format!(
            "[environments.{name}]\nbucket = \"b-states\"\nprefix = \"{name}\"\nprincipal = \"{principal}\"\npolicies = [\"all.json\"]\n"
        )
    };
    world.dir.write("environments.toml", environment("dev") + &environment("prod"));
    let check = "policy check --bucket b-states --key k --principal arn:aws:iam::111122223333:role/ci --policy";
    for (line, code) in [
        ("policy check --isolation environments.toml", 4),
        ("policy check --isolation environments.toml --json", 4),
        (&format!("{check} none.json"), 4),
        (&format!("{check} none.json --json"), 4),
        (&format!("{check} all.json"), 0),
        ("policy lint wrong.json", 1),
        ("policy lint wrong.json --json", 1),
        ("explain log.txt --json", 1),
        ("doctor --bucket b-states --key k --region eu-west-1", 1),
        ("doctor --bucket b-states --key k --region eu-west-1 --json", 1),
        ("state verify", 0),
        ("state list", 0),
        ("state pull net/prod", 0),
        ("kb list", 0),
    ] {
        assert_eq!(unread(&world, line), Some(code), "{line}");
    }
    world.damage();
    for line in ["state verify", "state verify --json"] {
        assert_eq!(unread(&world, line), Some(5), "{line}");
    }
}

/// It does not stop half-way either.
#[test]
fn what_was_asked_for_is_done() {
    let world = World::local().with_versions();
    assert_eq!(unread(&world, "state copy net/prod net/dev"), Some(0));
    assert_eq!(unread(&world, "state move net/dev net/moved"), Some(0));
    assert_eq!(unread(&world, "state copy --all --to-store sqlite:all.db"), Some(0));
    for store in ["s.db", "all.db"] {
        let listed = world.json(&format!("state list --store sqlite:{store}"));
        let names: Vec<_> = listed["items"].as_array().unwrap().iter().map(|item| item["state"].clone()).collect();
        assert_eq!(names, ["net/moved", "net/prod"], "{store}");
    }
}
