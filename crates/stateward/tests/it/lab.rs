//! `stateward lab` as a process; what it decides is tested beside it.

use std::time::Duration;

use stateward_testkit::{RawHttp, ServerProcess};

use crate::world::World;

const LAB: &str = r#"
upstream.url = "http://127.0.0.1:9"

[[users]]
arn = "arn:aws:iam::111122223333:user/ci"
policies = ["plan.json"]

[[users]]
arn = "arn:aws:iam::111122223333:user/own"
access_key = "AKIAOWN"
secret_key = "never-shown"
"#;

const PLAN: &str =
    r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:GetObject","Resource":"*"}]}"#;

fn world(lab: &str) -> World {
    let world = World::local();
    world.dir.write("lab.toml", lab);
    world.dir.write("plan.json", PLAN);
    world
}

#[test]
fn it_listens_decides_tells_and_ends() {
    let world = world(LAB);
    let lab = ServerProcess::start(world.cli().command(&["lab", "--config", "lab.toml", "--listen", "127.0.0.1:0"]));
    let told = lab.stderr();
    assert!(told.contains(&format!("export AWS_ENDPOINT_URL=http://{}", lab.address())), "{told}");
    assert!(told.contains("# arn:aws:iam::111122223333:user/ci\nexport AWS_ACCESS_KEY_ID=AKIALAB"), "{told}");
    assert!(told.contains("AKIAOWN") && !told.contains("never-shown"), "{told}");

    let http = RawHttp::new(lab.address());
    let answer = http.request("PUT", "/states/a", &[], "state").expect_status(403);
    assert!(answer.text().contains("<Code>AccessDenied</Code>"), "{}", answer.text());
    let decisions = http.request("GET", "/lab/decisions", &[], "").expect_status(200);
    let decisions: serde_json::Value = serde_json::from_slice(&decisions.body).unwrap();
    assert_eq!(decisions["schema"], 1);
    assert_eq!(decisions["items"][0]["action"], "s3:PutObject");
    assert_eq!(decisions["items"][0]["decision"], "implicit_deny");
    // What was decided about can be asked again.
    let scenario = decisions["items"][0]["scenario"].to_string();
    world.dir.write("scenario.json", &scenario);
    let again = world.json("policy evaluate scenario.json");
    assert_eq!(again["decision"], "implicit_deny");
    let line = "denied  anonymous s3:PutObject on arn:aws:s3:::states/a, by resource\n";
    assert!(lab.stderr().ends_with(line), "{}", lab.stderr());
    lab.terminate(Duration::from_secs(30)).expect_success();
}

#[test]
fn a_wrong_file_is_told_before_anything_listens() {
    for (lab, line, expected) in [
        ("nonsense = 1", "", "the lab's file `lab.toml` is wrong"),
        ("[[users]]\narn = \"ci\"", "--upstream http://127.0.0.1:9", "`ci` is no ARN of a user or a root"),
        ("", "", "the lab has no server that does what it allows"),
        (LAB, "--upstream https://aws.example", "the lab speaks no TLS"),
        (LAB, "--upstream http://10.0.0.5:5000", "`http://10.0.0.5:5000` is not on loopback"),
        (LAB, "--upstream-dynamodb http://moto.example", "add `--upstream-elsewhere` if that one is meant"),
        ("upstream.url = \"http://moto.example\"", "", "`http://moto.example` is not on loopback"),
        (LAB, "--listen 0.0.0.0:0", "`lab` does not listen on 0.0.0.0:0"),
    ] {
        let output = world(lab).run(&format!("lab --config lab.toml {line}")).expect_code(2);
        assert!(output.report().contains(expected), "{}", output.report());
    }
    world(LAB).run("lab --config none.toml").expect_code(1);
}

/// Who says that a server elsewhere is meant gets it, and nothing else is let pass for that.
#[test]
fn a_server_elsewhere_is_used_where_it_is_meant() {
    let words = ["lab", "--config", "lab.toml", "--listen", "127.0.0.1:0", "--upstream-elsewhere"];
    let world = world(&LAB.replace("127.0.0.1:9", "upstream.invalid"));
    let lab = ServerProcess::start(world.cli().command(&words));
    assert!(lab.stderr().contains("# arn:aws:iam::111122223333:user/ci"), "{}", lab.stderr());
    lab.terminate(Duration::from_secs(30)).expect_success();
}
