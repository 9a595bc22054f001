//! `stateward trail` on files: what people and scripts are told of refused calls.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::world::World;

/// One refused call of a session.
fn refused(id: u32, session: &str, time: &str, why: &str) -> Value {
    let table = "arn:aws:dynamodb:eu-west-1:111122223333:table/locks";
    json!({
        "eventVersion": "1.11", "eventID": format!("00000000-0000-0000-0000-{id:012}"), "eventTime": time,
        "eventSource": "dynamodb.amazonaws.com", "eventName": "PutItem", "awsRegion": "eu-west-1",
        "sourceIPAddress": "192.0.2.7", "errorCode": "AccessDenied",
        "errorMessage": format!("User: arn:aws:sts::111122223333:assumed-role/ci/{session} is not authorized to perform: \
            dynamodb:PutItem on resource: {table} {why}"),
        "userIdentity": {"type": "AssumedRole", "arn": format!("arn:aws:sts::111122223333:assumed-role/ci/{session}"),
            "accountId": "111122223333"},
    })
}

const NOT_ALLOWED: &str = "because no identity-based policy allows the dynamodb:PutItem action";
const BY_SCP: &str = "with an explicit deny in a service control policy";

fn compressed(document: &Value) -> Vec<u8> {
    compressed_bytes(document.to_string().as_bytes())
}

fn compressed_bytes(bytes: &[u8]) -> Vec<u8> {
    let mut writer = GzEncoder::new(Vec::new(), Compression::default());
    writer.write_all(bytes).unwrap();
    writer.finish().unwrap()
}

fn world() -> World {
    let world = World::local();
    let first = json!({"Records": [
        refused(1, "run-1", "2026-03-01T10:00:00Z", NOT_ALLOWED),
        refused(2, "run-2", "2026-03-01T11:00:00Z", NOT_ALLOWED),
        {"eventSource": "s3.amazonaws.com", "eventName": "GetObject", "eventTime": "2026-03-01T11:00:00Z"},
    ]});
    world.dir.write("logs/a/1.json.gz", compressed(&first));
    let second = refused(3, "run-3", "2026-03-02T10:00:00Z", BY_SCP);
    // The second trail has recorded the first one's events too.
    world.dir.write("logs/b.ndjson", format!("{second}\n{}\n", first["Records"][0]));
    world
}

#[test]
fn a_directory_of_logs() {
    let world = world();
    let output = world.cli().run(&["trail", "logs"]);
    assert_eq!((output.code(), output.stderr.as_str()), (Some(0), ""));
    assert_snapshot!(output.stdout, @"
    LAST                  COUNT  WHO                                ACTION            RESOURCE                                     LAYER          FROM       ENTRY
    2026-03-02T10:00:00Z      1  111122223333:role/ci               dynamodb:PutItem  dynamodb:eu-west-1:111122223333:table/locks  scp, explicit  192.0.2.7  policy/lock-table-scp-explicit
    2026-03-01T11:00:00Z      2  111122223333:role/ci (2 sessions)  dynamodb:PutItem  dynamodb:eu-west-1:111122223333:table/locks  identity       192.0.2.7  policy/lock-table-identity-implicit
    ");
    let output =
        world.cli().run(&["trail", "logs", "--json", "--since", "2026-03-01T10:30:00Z", "--action", "dynamodb:*"]);
    let answer: Value = serde_json::from_str(&output.expect_success().stdout).unwrap();
    let counts: Vec<(&str, u64)> = answer["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| (item["layer"].as_str().unwrap(), item["count"].as_u64().unwrap()))
        .collect();
    assert_eq!(counts, [("scp", 1), ("identity", 1)]);
    assert_eq!((&answer["schema"], &answer["records"], &answer["warnings"]), (&json!(1), &json!(5), &json!([])));
    let item = &answer["items"][1];
    assert_eq!(item["principal"], "arn:aws:iam::111122223333:role/ci");
    assert_eq!(item["event_ids"], json!(["00000000-0000-0000-0000-000000000002"]));
    assert_eq!((&item["effect"], &item["source_ip"]), (&json!("implicit"), &json!("192.0.2.7")));
}

#[test]
fn what_cannot_be_read_is_said() {
    let world = world();
    let whole = world.dir.read_bytes("logs/a/1.json.gz");
    world.dir.write("cut.gz", &whole[..whole.len() - 12]);
    world.dir.write("digest.json", r#"{"digestStartTime":"2026-03-01T10:00:00Z","digestS3Bucket":"b","logFiles":[]}"#);
    world.dir.write("state.json", r#"{"version":4,"resources":[]}"#);
    world.dir.write("text.log", "Error: AccessDenied\n");
    let run = |arguments: &[&str]| {
        let output = world.cli().run(&[&["trail"], arguments].concat());
        (output.code(), output.stderr.split_whitespace().collect::<Vec<_>>().join(" "))
    };
    let (code, said) = run(&["cut.gz"]);
    assert!(code == Some(1) && said.contains("`cut.gz`: it is cut off"), "{said}");
    assert!(said.contains("fetch it again; the 2 records before count"), "{said}");
    world.dir.write("head.gz", &whole[..12]);
    let (code, said) = run(&["head.gz"]);
    assert!(code == Some(2) && said.contains("`head.gz`: it is cut off"), "{said}");
    assert!(said.contains("this says nothing of refused calls") && !said.contains("no call was refused"), "{said}");
    let (code, said) = run(&["cut.gz", "logs"]);
    assert!(code == Some(1) && said.contains("`cut.gz`: it is cut off"), "{said}");
    let (code, said) = run(&["digest.json", "logs"]);
    assert!(code == Some(0) && said.contains("1 digest file left out"), "{said}");
    let (code, said) = run(&["state.json", "logs"]);
    assert!(code == Some(1) && said.contains("`state.json` holds no records of CloudTrail"), "{said}");
    let (code, said) = run(&["state.json"]);
    assert!(code == Some(2) && said.contains("`state.json` holds no records of CloudTrail"), "{said}");
    let (code, said) = run(&["text.log"]);
    assert!(code == Some(2) && said.contains("from line 1, column 1 on it is no JSON"), "{said}");
    assert!(said.contains("are for `stateward explain`"), "{said}");
    let (code, said) = run(&["missing"]);
    assert!(code == Some(1) && said.contains("`missing`: no such file or directory"), "{said}");
    let (code, said) = run(&["logs", "--since", "2026-03-02T00:00:00Z", "--until", "2026-03-01T00:00:00Z"]);
    assert!(code == Some(2) && said.contains("give `--until` a later time"), "{said}");
    let (code, said) = run(&["logs", "--since", "9999-01-01"]);
    assert!(code == Some(2) && said.contains("give `--since` a time before now"), "{said}");
    let (code, said) = run(&["logs", "--principal", "nobody"]);
    assert!(code == Some(0) && said.contains("no call was refused in 5 records"), "{said}");
    let (code, said) = run(&[]);
    assert!(code == Some(2) && said.contains("<SOURCE>"), "{said}");
}

#[test]
fn where_there_is_nothing_to_read_nothing_is_said_of_refusals() {
    let world = World::local();
    world.dir.write("empty.json", "");
    world.dir.write("blank.json.gz", compressed_bytes(b" \n"));
    world.dir.write("nothing/.hidden", "x");
    world.dir.write("quiet.json", r#"{"Records":[]}"#);
    for (arguments, input, said) in [
        (["trail", "-"], "", "standard input is empty"),
        (["trail", "-"], "\n", "standard input is empty"),
        (["trail", "empty.json"], "", "`empty.json` is empty"),
        (["trail", "blank.json.gz"], "", "`blank.json.gz` is empty"),
        (["trail", "nothing"], "", "`nothing` is a directory without files"),
    ] {
        let output = world.cli().run_with_input(&arguments, input).expect_code(2);
        let words = output.stderr.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(words.contains(said) && words.contains("says nothing of refused calls"), "{}", output.report());
        assert!(!words.contains("no call was refused"), "{}", output.report());
    }
    let output = world.cli().run(&["trail", "quiet.json"]).expect_success();
    assert!(output.stderr.contains("no call was refused in 0 records"), "{}", output.report());
    let output = world.cli().run(&["trail", "empty.json", "--json"]).expect_code(2);
    let answer: Value = serde_json::from_str(&output.stdout).unwrap();
    assert_eq!(answer["records"], 0);
    assert!(answer["warnings"][0].as_str().unwrap().contains("is empty"), "{answer}");
}

#[test]
fn standard_input_is_a_source() {
    let world = World::local();
    let event = refused(1, "run-1", "2026-03-01T10:00:00Z", NOT_ALLOWED).to_string();
    let looked_up = json!({"Events": [{"EventId": "1", "EventName": "PutItem", "CloudTrailEvent": event}]}).to_string();
    let output = world.cli().run_with_input(&["trail", "-", "--json"], looked_up).expect_success();
    let answer: Value = serde_json::from_str(&output.stdout).unwrap();
    assert_eq!(answer["items"][0]["action"], "dynamodb:PutItem");
    assert_eq!(answer["items"][0]["session_names"], json!(["run-1"]));
}

#[test]
fn what_powershell_saves_is_read_and_times_and_actions_are_written_as_people_do() {
    let world = World::local();
    let event = refused(1, "run-1", "2026-03-01T10:00:00Z", NOT_ALLOWED).to_string();
    let saved: Vec<u8> = format!("\u{feff}{event}\r\n").encode_utf16().flat_map(u16::to_le_bytes).collect();
    let count = |arguments: &[&str]| {
        let output = world.cli().run_with_input(&[&["trail", "-", "--json"], arguments].concat(), saved.clone());
        let answer: Value = serde_json::from_str(&output.expect_success().stdout).unwrap();
        answer["items"].as_array().unwrap().len()
    };
    for (arguments, expected) in [
        (&[][..], 1),
        (&["--since", "2026-03-01"], 1),
        (&["--since", "2026-03-02"], 0),
        (&["--until", "-1h"], 1),
        (&["--action", "PutItem"], 1),
        (&["--action", "GetItem"], 0),
    ] {
        assert_eq!(count(arguments), expected, "{arguments:?}");
    }
}

#[test]
fn a_policy_that_would_have_allowed_it() {
    let world = world();
    let output = world.cli().run(&["trail", "logs", "--fix"]).expect_success();
    let (_, fix) = output.stdout.split_once("\n\n").unwrap();
    assert_snapshot!(fix, @r#"
    allow arn:aws:iam::111122223333:role/ci
    {
      "Version": "2012-10-17",
      "Statement": [
        {
          "Effect": "Allow",
          "Action": [
            "dynamodb:PutItem"
          ],
          "Resource": [
            "arn:aws:dynamodb:eu-west-1:111122223333:table/locks"
          ]
        }
      ]
    }

    left out
    - dynamodb:PutItem to arn:aws:iam::111122223333:role/ci on
      arn:aws:dynamodb:eu-west-1:111122223333:table/locks: a policy denies it
      explicitly: none that allows it helps
    "#);
    let output = world.cli().run(&["trail", "logs", "--fix", "--json"]).expect_success();
    let answer: Value = serde_json::from_str(&output.stdout).unwrap();
    assert_eq!(answer["fix"]["policies"][0]["policy"]["Statement"][0]["Action"], json!(["dynamodb:PutItem"]));
    assert_eq!(answer["fix"]["left_out"][0]["reason"], "explicit");
}
