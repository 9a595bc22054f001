//! What `stateward doctor` says where it does not know what to look at.

use crate::world::World;

/// Says no to what it cannot look at, and asks AWS nothing.
#[track_caller]
fn refused(world: &World, arguments: &[&str], words: &[&str]) {
    let output = world.cli().run(&[&["doctor"], arguments].concat()).expect_code(2);
    for word in words.iter().chain(&["why:", "next:"]) {
        assert!(output.stderr.contains(word), "{word:?} is not in\n{}", output.report());
    }
    assert_eq!(output.stdout, "", "{}", output.report());
}

#[test]
fn a_place_that_is_not_known() {
    let world = World::local();
    refused(&world, &[], &["has no `backend` block", "--bucket"]);
    refused(&world, &["--dir", "nowhere"], &["`nowhere`: no such directory"]);
    world.dir.write("http/main.tf", "terraform {\n  backend \"http\" {}\n}\n");
    refused(&world, &["--dir", "http"], &["keeps its state in backend \"http\""]);
    world.dir.write("broken/main.tf", "terraform {\n  backend \"s3\" {\n");
    refused(&world, &["--dir", "broken"], &["main.tf"]);
    let block = "terraform {\n  backend \"s3\" {\n    bucket = \"states\"\n    key = \"k\"\n  }\n}\n";
    world.dir.write("two/main.tf", block);
    world.dir.write("two/other.tf", block);
    refused(&world, &["--dir", "two"], &["main.tf:2 declares a backend, and other.tf:2 another one"]);
    let both = world.cli().run(&["doctor", "--dir", "http", "--bucket", "b", "--key", "k"]).expect_code(2);
    assert!(both.stderr.contains("cannot be used with"), "{}", both.report());
}

#[test]
fn a_backend_that_does_not_say_all() {
    let world = World::local();
    world.dir.write("main.tf", "terraform {\n  backend \"s3\" {\n    bucket = \"b\"\n    key = var.key\n  }\n}\n");
    refused(&world, &[], &["`key` is not written out", "--backend-config key="]);
    world.dir.write("main.tf", "terraform {\n  backend \"s3\" {\n    bucket = \"b\"\n  }\n}\n");
    refused(&world, &[], &["the backend has no `key`", "--backend-config key="]);
    refused(&world, &["--backend-config", "none.tfbackend"], &["none.tfbackend"]);
    world.dir.write("bad.tfbackend", "key = \n");
    refused(&world, &["--backend-config", "bad.tfbackend"], &["bad.tfbackend", "line"]);
    refused(
        &world,
        &["--backend-config", "key=k", "--backend-config", "use_lockfile=perhaps"],
        &["`use_lockfile` is `perhaps`", "set `use_lockfile` to a `true` or `false`"],
    );
    refused(&world, &["--backend-config", "key=/k"], &["`key` is `/k`", "take the `/` away"]);
    refused(
        &world,
        &["--backend-config", "key=k", "--backend-config", "access_key=AKIA1"],
        &["the backend has no `secret_key`"],
    );
}

#[test]
fn a_store_that_is_not_on_aws() {
    let world = World::local();
    refused(&world, &["--store", "sqlite:x.db"], &["there is nothing on AWS to look at", "sqlite:x.db"]);
}

/// The policy of another service's endpoint is not taken for that of S3.
#[test]
fn an_endpoint_of_another_service() {
    let world = World::local();
    let open = r#"{\"Statement\":{\"Effect\":\"Allow\",\"Principal\":\"*\",\"Action\":\"*\",\"Resource\":\"*\"}}"#;
    let endpoint = format!(
        r#"{{"VpcEndpoints":[{{"VpcEndpointId":"vpce-1","ServiceName":"com.amazonaws.eu-west-1.ecr.api","PolicyDocument":"{open}"}}]}}"#
    );
    world.dir.write("vpce.json", endpoint);
    let words = ["no endpoint of `s3` is among them: they are of `ecr.api`", "--filters"];
    refused(&world, &["--bucket", "states", "--key", "k", "--vpc-endpoint", "vpce.json"], &words);
}

#[test]
fn a_region_that_is_none_and_an_endpoint_that_is_no_address() {
    let world = World::local();
    let cli = || {
        let keys = world.cli().env("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE").env("AWS_SECRET_ACCESS_KEY", "secret");
        keys.env("AWS_EC2_METADATA_DISABLED", "true").env("AWS_ENDPOINT_URL", "nonsense").env("STATEWARD_STORE", "")
    };
    let arguments = ["doctor", "--bucket", "states", "--key", "k", "--read-only", "--region"];
    let output = cli().run(&[&arguments[..], &["eu west 1"]].concat()).expect_code(1);
    assert!(output.stdout.contains("`eu west 1` is no Region"), "{}", output.report());
    assert!(output.stdout.contains("before this is put right"), "{}", output.report());
    let output = cli().run(&[&arguments[..], &["eu-west-1"]].concat()).expect_code(1);
    let said = output.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(said.contains("`AWS_ENDPOINT_URL` says that it is at nonsense"), "{}", output.report());
}
