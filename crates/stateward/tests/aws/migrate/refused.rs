//! What is refused, and what is said then.

use stateward_testkit::{AwsEnv, Cli, LockInfo, Moto, TestDir};

use super::{KEY, Place, apply, import, migrate, refused, sqlite, workdir};
use crate::{LIMIT, state};

/// Ends when the file `go` is there.
pub(super) const SLOW: &str = r#"
resource "terraform_data" "slow" {
  provisioner "local-exec" { command = "echo begun; while [ ! -e go ] && [ -e main.tf ]; do sleep 0.05; done" }
}
"#;

/// A configuration, what is wanted of it, the exit code, and words of the message.
struct Case<'a> {
    backend: String,
    arguments: Vec<&'a str>,
    code: i32,
    says: &'a str,
}

fn s3(arguments: &str) -> String {
    format!("terraform {{\n  backend \"s3\" {{\n    region = \"us-east-1\"\n    {arguments}\n  }}\n}}\n")
}

#[test]
fn blocks_and_places_that_will_not_do() {
    let (moto, place) = (Moto::shared(), Place::new());
    moto.put_object(&place.bucket, KEY, state(3, "x"));
    moto.put_object(&place.bucket, "other", state(3, "y").replace("11111111-", "99999999-"));
    moto.put_object(&place.bucket, "older", state(2, "old"));
    moto.put_object(&place.bucket, "later", state(9, "later"));
    let bucket = &place.bucket;
    let url = |key: &str| format!("s3://{bucket}/{key}?region=us-east-1");
    let (other, older, later, no_bucket) =
        (url("other"), url("older"), url("later"), "s3://no-such-bucket-here/k?region=us-east-1");
    let no_table = format!("{}&lock_table=no-such-table", url("new"));
    let no_key = format!("s3://{bucket}");
    let (hash, slash) = (format!("{}#b", url("a")), url("a/"));
    let whole = s3(&format!("bucket = \"{bucket}\"\n    key = \"{KEY}\"\n    use_lockfile = true"));
    let table = format!("dynamodb_table={}", place.table);
    let case = |backend: &str, arguments: &[&'static str], code, says| Case {
        backend: backend.to_owned(),
        arguments: arguments.to_vec(),
        code,
        says,
    };
    let to = |to| Case { backend: whole.clone(), arguments: vec!["--to", to], code: 3, says: "" };
    let cases = [
        case("", &["--to", "lockfile"], 2, "no backend block"),
        case("terraform {\n  backend \"s3\" {\n", &["--to", "lockfile"], 2, "terraform validate"),
        case(&s3("bucket = var.b\n    key = \"k\""), &["--to", "lockfile"], 2, "`bucket` is not written out"),
        case(&s3("key = \"k\""), &["--to", "lockfile"], 2, "--backend-config bucket="),
        case(&whole, &["--to", "dynamodb-lock"], 2, "--lock-table"),
        case(&whole, &["--to", "lockfile", "--lock-table", "t"], 2, "`--lock-table` goes with"),
        case(&whole, &["--to", "stateward", "--finish"], 2, "`--finish` goes with"),
        case(&whole, &["--to", "dynamodb-lock", "--finish", "--lock-table", "t"], 2, "does not name both locks"),
        case(&whole, &["--to", "dynamodb-lock", "--lock-table", "no-such-table"], 1, "no-such-table"),
        case(&whole, &["--to", "stateward", "--store", "memory:"], 2, "ends with its process"),
        case("terraform {\n  backend \"gcs\" {}\n}\n", &["--to", "s3://bbb/k?region=r"], 2, "state import"),
        Case { arguments: vec!["--to", no_bucket], code: 1, says: "setup aws --bucket no-such-bucket-here", ..to("") },
        Case { arguments: vec!["--to", &no_table], code: 1, says: "--lock-table no-such-table` makes one", ..to("") },
        Case { arguments: vec!["--to", &no_key], code: 2, says: "error: nothing was moved", ..to("") },
        Case { arguments: vec!["--to", &hash], code: 2, says: "has a `#`", ..to("") },
        Case { arguments: vec!["--to", &slash], code: 2, says: "ends with a slash", ..to("") },
        Case { says: "another state stands there", ..to(&other) },
        Case { says: "the same state stands there with serial 2", ..to(&older) },
        Case { says: "gone on to serial 9", ..to(&later) },
        Case {
            arguments: vec!["--to", "lockfile", "--finish", "--backend-config", &table],
            code: 2,
            says: "comes from `--backend-config`",
            ..to("")
        },
    ];
    for Case { backend, arguments, code, says } in cases {
        let dir = TestDir::new();
        let work = workdir(&dir);
        work.write("backend.tf", &backend);
        let refused = migrate(&dir, &moto.env(), work.path(), &[arguments.as_slice(), &["--yes"]].concat());
        let refused = refused.expect_code(code);
        assert!(refused.stderr.contains(says), "{says}: {}", refused.report());
        assert_eq!(dir.read("work/backend.tf"), backend, "{says}: the block is as it was");
        place.expect_no_lock(says);
    }
    assert_eq!(moto.get_object(bucket, "other"), state(3, "y").replace("11111111-", "99999999-").into_bytes());
}

#[test]
fn a_block_that_is_not_written_to_is_printed() {
    let (moto, dir, place) = (Moto::shared(), TestDir::new(), Place::new());
    let work = workdir(&dir);
    let json = format!(
        r#"{{"terraform": {{"backend": {{"s3": {{"bucket": "{}", "key": "{KEY}", "region": "us-east-1", "dynamodb_table": "{}"}}}}}}}}"#,
        place.bucket, place.table
    );
    work.write("backend.tf.json", &json);
    let to = ["--to", "lockfile", "--yes"];
    let refused = migrate(&dir, &moto.env(), work.path(), &to).expect_code(2);
    assert!(refused.stderr.contains("--print"), "{}", refused.report());
    let printed = migrate(&dir, &moto.env(), work.path(), &[&to[..], &["--print"]].concat()).expect_success();
    assert!(printed.stdout.contains("set use_lockfile = true"), "{}", printed.report());
    assert_eq!(dir.read("work/backend.tf.json"), json);
}

#[test]
fn files_that_terraform_holds_stay_where_they_are() {
    let (moto, dir, place) = (Moto::shared(), TestDir::new(), Place::new());
    let work = workdir(&dir);
    work.run(&["init"]).expect_success();
    apply(&work, "1");
    work.write("slow.tf", SLOW);
    let mut running = work.spawn(&["apply", "-auto-approve"]);
    running.wait_for("begun", LIMIT);
    let to = ["--to", &place.url(moto.url()), "--yes"];
    let refused = migrate(&dir, &moto.env(), work.path(), &to).expect_code(3);
    assert!(refused.stderr.contains("OperationTypeApply"), "{}", refused.report());
    assert!(!work.path().join("backend.tf").exists());
    work.write("go", "");
    running.wait(LIMIT).expect_success();
    migrate(&dir, &moto.env(), work.path(), &to).expect_success();
}

#[test]
fn a_name_that_is_none_moves_nothing() {
    let (moto, dir, place) = (Moto::shared(), TestDir::new(), Place::new());
    let work = workdir(&dir);
    let backend = "terraform {\n  backend \"http\" {}\n}\n";
    work.write("backend.tf", backend);
    let store = sqlite(&dir, "here.db");
    import(&dir, &store, "net/prod", &state(3, "x"));
    let to = ["--to", &place.url(moto.url()), "--store", &store, "--state", "net/prd", "--yes"];
    let refused = migrate(&dir, &moto.env(), work.path(), &to).expect_code(1);
    assert!(refused.stderr.contains("net/prd"), "{}", refused.report());
    assert_eq!(dir.read("work/backend.tf"), backend);
}

/// It holds its lock before there is a state.
#[test]
fn a_first_apply_that_is_under_way() {
    let (moto, dir, place) = (Moto::shared(), TestDir::new(), Place::new());
    let work = workdir(&dir);
    let arguments = format!(
        "bucket = \"{}\"\n    key = \"{KEY}\"\n    use_path_style = true\n    use_lockfile = true",
        place.bucket
    );
    work.write("main.tf", s3(&arguments));
    let info = LockInfo::new("f108b30f-8c7b-b79e-433f-91f4236138ae", "OperationTypeApply");
    moto.put_object(&place.bucket, &format!("{KEY}.tflock"), info.to_bytes());
    let store = sqlite(&dir, "here.db");
    let to = ["--to", "stateward", "--store", &store, "--state", "net/prod", "--yes"];
    let refused = migrate(&dir, &moto.env(), work.path(), &to).expect_code(3);
    assert!(refused.stderr.contains("OperationTypeApply"), "{}", refused.report());
}

#[test]
fn each_tool_has_a_backend_of_its_own() {
    let (moto, dir, place) = (Moto::shared(), TestDir::new(), Place::new());
    let work = workdir(&dir);
    let local = "terraform {\n  backend \"local\" {}\n}\n";
    work.write("terraform.tfstate", state(3, "x"));
    work.write("backend.tofu", local);
    work.write("backend.tf", "# for OpenTofu: backend.tofu\n");
    let to = ["--to", &place.url(moto.url()), "--dry-run"];
    let planned = migrate(&dir, &moto.env(), work.path(), &to).expect_success();
    assert!(planned.stdout.contains("backend.tofu"), "{}", planned.report());
    work.write("backend.tf", local);
    let refused = migrate(&dir, &moto.env(), work.path(), &to).expect_code(2);
    assert!(refused.stderr.contains("backend.tf, and OpenTofu in backend.tofu"), "{}", refused.report());
}

/// Which of the tools it is says the file.
#[test]
fn a_backend_that_opentofu_alone_reads() {
    let (moto, dir, place) = (Moto::shared(), TestDir::new(), Place::new());
    let work = workdir(&dir);
    let inspect = || crate::cli(&dir, &moto.env()).run(&["lock", "inspect", work.path().to_str().unwrap()]);
    work.write_s3_backend(&place.backend(moto.url()).lockfile());
    moto.put_object(&place.bucket, KEY, state(3, "x"));
    let seen = inspect();
    for name in ["backend.tofu", "override.tofu"] {
        work.write(name, dir.read("work/backend.tf"));
        assert_eq!(
            (inspect().code(), inspect().stdout),
            (seen.code(), seen.stdout.clone()),
            "{name}: the same in both"
        );
        work.write(name, dir.read("work/backend.tf").replace(KEY, "other"));
        let refused = inspect().expect_code(2);
        assert!(refused.stderr.contains(&format!("OpenTofu in {name}")), "{}", refused.report());
        work.remove(name);
    }
    work.write("backend.tofu", dir.read("work/backend.tf"));
    work.remove("backend.tf");
    assert_eq!((inspect().code(), inspect().stdout), (seen.code(), seen.stdout));
    let to = ["--to", &sqlite(&dir, "here.db"), "--state", "a", "--yes"];
    migrate(&dir, &moto.env(), work.path(), &to).expect_success();
    assert!(dir.read("work/backend.tofu").contains("backend \"http\""));
}

#[test]
fn notes_of_init_that_are_none() {
    let (moto, dir, place) = (Moto::shared(), TestDir::new(), Place::new());
    let work = workdir(&dir);
    work.write("terraform.tfstate", state(3, "x"));
    for text in ["", "no notes", "\u{1}\u{2}", "[]", "null", "{\"backend\":[\"s3\",{}]}"] {
        work.write(".terraform/terraform.tfstate", text);
        refused(&dir, &work, &["--to", &place.url(moto.url())], 2, ".terraform/terraform.tfstate` is not what");
    }
    assert!(moto.objects(&place.bucket).is_empty());
}

/// Terraform does not take them for empty ones, either.
#[test]
fn files_that_are_no_states() {
    let (moto, dir, place) = (Moto::shared(), TestDir::new(), Place::new());
    let work = workdir(&dir);
    for text in [" \n", "{}", "null", "[]", "{\"version\": 4"] {
        work.write("terraform.tfstate", text);
        refused(&dir, &work, &["--to", &place.url(moto.url())], 1, "terraform.tfstate` is no state");
    }
    work.write("terraform.tfstate", state(3, "x"));
    work.write("terraform.tfstate.d/dev/terraform.tfstate", " ");
    refused(
        &dir,
        &work,
        &["--to", &place.url(moto.url())],
        1,
        "terraform.tfstate.d/dev/terraform.tfstate` is no state",
    );
    assert!(moto.objects(&place.bucket).is_empty());
    work.remove("terraform.tfstate.d/dev/terraform.tfstate");
    work.write_s3_backend(&place.backend(moto.url()).lockfile());
    work.remove("terraform.tfstate");
    moto.put_object(&place.bucket, KEY, "{}");
    let to = ["--to", &sqlite(&dir, "here.db"), "--state", "a"];
    refused(&dir, &work, &to, 1, &format!("s3://{}/{KEY} is no state", place.bucket));
}

#[test]
fn commands_can_be_typed_as_they_are_told() {
    let (moto, dir, place) = (Moto::shared(), TestDir::new(), Place::new());
    dir.write("my net/main.tf", "");
    dir.write("my net/terraform.tfstate", state(3, "x"));
    let done = migrate(&dir, &moto.env(), std::path::Path::new("my net"), &["--to", &place.url(moto.url()), "--yes"]);
    let done = done.expect_success();
    assert!(done.stdout.contains("terraform -chdir='my net' init -reconfigure"), "{}", done.report());
}

/// What is not moved, and may matter.
#[test]
fn what_stays_behind_is_told() {
    let (moto, dir, place) = (Moto::shared(), TestDir::new(), Place::new());
    let work = workdir(&dir);
    work.write(
        "main.tf",
        s3(&format!("bucket = \"{}\"\n    key = \"{KEY}\"\n    use_path_style = true", place.bucket)),
    );
    for body in ["no state".to_owned(), state(3, "x")] {
        moto.put_object(&place.bucket, KEY, body);
    }
    work.write("errored.tfstate", state(4, "lost"));
    let store = sqlite(&dir, "here.db");
    let to = ["--to", &store, "--state", "net/prod", "--dry-run"];
    let planned = migrate(&dir, &moto.env(), work.path(), &to).expect_success();
    for told in ["1 old version in the bucket", "terraform state push errored.tfstate", "make the store of"] {
        assert!(planned.stdout.contains(told), "{told}: {}", planned.report());
    }
    assert!(!dir.join("here.db").exists());
}

/// It selects a workspace as long as it is set, which an `http` backend does not take.
#[test]
fn a_workspace_that_a_variable_selects() {
    let dir = TestDir::new();
    let work = workdir(&dir);
    work.write("terraform.tfstate", state(3, "x"));
    let store = sqlite(&dir, "here.db");
    let to = ["migrate", "--dir", work.path().to_str().unwrap(), "--to", &store, "--state", "a", "--dry-run"];
    for (name, is_told) in [("dev", true), ("default", false), ("", false)] {
        let env = [("TF_WORKSPACE".to_owned(), name.to_owned())];
        let planned = Cli::new(env!("CARGO_BIN_EXE_stateward"), &dir).envs(env).limit(LIMIT).run(&to).expect_success();
        assert_eq!(planned.stdout.contains("unset it"), is_told, "{name}: {}", planned.report());
    }
}

#[test]
fn without_credentials() {
    let (dir, place) = (TestDir::new(), Place::new());
    let work = workdir(&dir);
    work.write("terraform.tfstate", state(3, "x"));
    let to = ["migrate", "--dir", work.path().to_str().unwrap(), "--to", &place.url(Moto::shared().url()), "--yes"];
    let without = AwsEnv::new().pairs().into_iter().filter(|(name, _)| !name.contains("ACCESS_KEY"));
    let refused = Cli::new(env!("CARGO_BIN_EXE_stateward"), &dir).envs(without).limit(LIMIT).run(&to).expect_code(4);
    let lines: Vec<&str> = refused.stderr.lines().collect();
    assert!(
        matches!(lines[..], [_, why, next] if why.contains("AWS_ACCESS_KEY_ID") && why.contains("there are no credentials") && next.contains("stateward doctor")),
        "{}",
        refused.report()
    );
    assert!(!refused.stderr.contains("ProviderChainError"), "{}", refused.report());
}

/// Terraform takes more names than stateward: no state may be passed over.
#[test]
fn a_workspace_whose_name_is_none_here() {
    let (moto, dir, place) = (Moto::shared(), TestDir::new(), Place::new());
    let work = workdir(&dir);
    work.write_s3_backend(&place.backend(moto.url()).lockfile());
    moto.put_object(&place.bucket, KEY, state(3, "x"));
    moto.put_object(&place.bucket, &Place::key("feature:x"), state(4, "y"));
    let store = sqlite(&dir, "here.db");
    refused(&dir, &work, &["--to", &store, "--state", "net/prod"], 1, "the workspace `feature:x`");
    let other = Place::new();
    refused(&dir, &work, &["--to", &other.url(moto.url())], 1, "the workspace `feature:x`");
    assert!(moto.objects(&other.bucket).is_empty());
    let url = format!("s3://{}/{KEY}?region=us-east-1&use_path_style=true&endpoint={}", place.bucket, moto.url());
    let import = ["state", "import", "net/prod", &url, "--store", &store];
    let refused = crate::cli(&dir, &moto.env()).run(&import).expect_code(1);
    assert!(refused.stderr.contains("feature:x"), "{}", refused.report());
    let import = [&import[..], &["--workspace", "default"]].concat();
    crate::cli(&dir, &moto.env()).run(&import).expect_success();
}

/// One configuration for several environments, whose place is given to `init`.
#[test]
fn a_block_that_others_may_share() {
    let (moto, dir, place) = (Moto::shared(), TestDir::new(), Place::new());
    let work = workdir(&dir);
    work.write("backend.tf", s3("use_path_style = true\n    use_lockfile = true"));
    let prod = format!("bucket = \"{}\"\nkey = \"{KEY}\"\n", place.bucket);
    work.write("prod.tfbackend", &prod);
    work.run(&["init", "-backend-config=prod.tfbackend"]).expect_success();
    apply(&work, "1");
    let other = Place::new();
    let to = ["--to", &other.url(moto.url())];
    refused(&dir, &work, &to, 2, "`bucket` and `key` come from `-backend-config`");
    assert!(moto.objects(&other.bucket).is_empty());
    let print = [&to[..], &["--print", "--yes"]].concat();
    let printed = migrate(&dir, &moto.env(), work.path(), &print).expect_success();
    assert!(printed.stdout.contains("put the new values there"), "{}", printed.report());
    assert_eq!(other.object("default"), place.object("default"));
    assert_eq!(dir.read("work/prod.tfbackend"), prod);
}

/// A place that is a variable's, or the command line's in place of the block's.
#[test]
fn a_place_that_the_block_does_not_say() {
    let (moto, dir, place) = (Moto::shared(), TestDir::new(), Place::new());
    let work = workdir(&dir);
    let to = ["--to", &place.url(moto.url())];
    let local = |path: &str| format!("terraform {{\n  backend \"local\" {{\n    path = {path}\n  }}\n}}\n");
    work.write("states/net.tfstate", state(3, "x"));
    work.write("backend.tf", local("var.p"));
    refused(&dir, &work, &to, 2, "`path` is not written out");
    work.write("backend.tf", local("\"states/net.tfstate\""));
    work.run(&["init"]).expect_success();
    work.write("backend.tf", local("var.p"));
    refused(&dir, &work, &to, 2, "`path` comes from");
    work.write("backend.tf", "terraform {\n  backend \"http\" {\n    address = var.a\n  }\n}\n");
    work.remove(".terraform/terraform.tfstate");
    refused(&dir, &work, &[&to[..], &["--state", "net/prod"]].concat(), 2, "`address` is not written out");
    work.write_s3_backend(&place.backend(moto.url()));
    moto.put_object(&place.bucket, "other", state(4, "y"));
    let elsewhere = Place::new();
    let to = ["--to", &elsewhere.url(moto.url()), "--backend-config", "key=other"];
    refused(&dir, &work, &to, 2, "`key` comes from `-backend-config`");
    assert!(moto.objects(&elsewhere.bucket).is_empty());
}

/// `init` would ask to copy it over the one that is moved.
#[test]
fn an_unrelated_state_where_terraform_looks_for_one() {
    let (moto, dir, place) = (Moto::shared(), TestDir::new(), Place::new());
    let work = workdir(&dir);
    work.write("backend.tf", "terraform {\n  backend \"local\" {\n    path = \"net.tfstate\"\n  }\n}\n");
    work.write("net.tfstate", state(3, "x"));
    work.write("terraform.tfstate", state(1, "old"));
    refused(&dir, &work, &["--to", &place.url(moto.url())], 2, "terraform.tfstate` is a state too");
    assert!(moto.objects(&place.bucket).is_empty());
}
