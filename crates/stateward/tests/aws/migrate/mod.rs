//! States on their way to another backend, and to another lock, with real Terraform before and after.

mod left;
mod locks;
mod meanwhile;
mod places;
mod refused;
mod rights;
mod states;
mod unwritable;

use std::path::Path;

use serde_json::{Value, json};
use stateward_testkit::{
    AwsEnv, Moto, Output, RawHttp, S3Backend, SeenRequest, ServerProcess, Terraform, TestDir, Workdir,
};

use crate::{LIMIT, cli, serve, state};

pub(crate) const KEY: &str = "net/prod.tfstate";
const CONFIGURATION: &str = r#"
variable "n" { default = "1" }
resource "terraform_data" "x" { input = "${terraform.workspace}-${var.n}" }
"#;

/// A lock file is given back: the question whether it may be, under a condition that nothing meets, does not count.
pub(crate) fn gives_file_back(seen: &SeenRequest) -> bool {
    let asks = seen.header("if-match").is_some_and(|tag| tag.trim_matches('"').bytes().all(|byte| byte == b'0'));
    seen.operation() == "DeleteObject" && seen.path.contains(".tflock") && !asks
}

/// A bucket that keeps versions, and a table beside it.
pub(crate) struct Place {
    pub(crate) bucket: String,
    pub(crate) table: String,
}

impl Place {
    pub(crate) fn new() -> Self {
        let moto = Moto::shared();
        let place = Self { bucket: moto.create_bucket(), table: moto.create_lock_table() };
        moto.keep_versions(&place.bucket);
        place
    }

    /// A backend block without a lock.
    fn backend(&self, url: &str) -> S3Backend {
        S3Backend::new(url, &self.bucket, KEY).set("max_retries", "0")
    }

    fn table_backend(&self, url: &str) -> S3Backend {
        self.backend(url).lock_table(url, &self.table)
    }

    /// What `--to` takes, with both locks.
    fn url(&self, endpoint: &str) -> String {
        let Self { bucket, table } = self;
        format!(
            "s3://{bucket}/{KEY}?region=us-east-1&use_path_style=true&max_retries=0&use_lockfile=true&lock_table={table}\
             &endpoint={endpoint}&dynamodb_endpoint={endpoint}"
        )
    }

    /// The key of a workspace.
    fn key(workspace: &str) -> String {
        if workspace == "default" { KEY.to_owned() } else { format!("env:/{workspace}/{KEY}") }
    }

    fn object(&self, workspace: &str) -> String {
        String::from_utf8(Moto::shared().get_object(&self.bucket, &Self::key(workspace))).unwrap()
    }

    /// The keys of the table: digests, and the other items, which are locks.
    fn items(&self) -> (Vec<String>, usize) {
        let items = Moto::shared().dynamodb("Scan", &json!({"TableName": self.table}).to_string())["Items"].clone();
        let ids: Vec<String> =
            items.as_array().unwrap().iter().map(|item| item["LockID"]["S"].as_str().unwrap().to_owned()).collect();
        let (mut digests, locks): (Vec<_>, Vec<_>) = ids.into_iter().partition(|id| id.ends_with("-md5"));
        digests.sort();
        (digests, locks.len())
    }

    fn put_digest(&self, digest: &str) {
        let item = json!({"LockID": {"S": format!("{}/{KEY}-md5", self.bucket)}, "Digest": {"S": digest}});
        Moto::shared().dynamodb("PutItem", &json!({"TableName": self.table, "Item": item}).to_string());
    }

    /// Panics where a lock is left.
    #[track_caller]
    fn expect_no_lock(&self, when: &str) {
        let files = Moto::shared().objects(&self.bucket).into_iter().filter(|key| key.ends_with(".tflock")).count();
        assert_eq!((files, self.items().1), (0, 0), "{when}: a lock is left");
    }
}

pub(crate) fn workdir(dir: &TestDir) -> Workdir {
    let work = Terraform::find().workdir(dir, "work").envs(Moto::shared().env().pairs()).limit(LIMIT);
    work.write("main.tf", CONFIGURATION);
    work
}

/// The state of two workspaces.
fn two_workspaces(work: &Workdir) {
    work.run(&["init"]).expect_success();
    apply(work, "1");
    work.run(&["workspace", "new", "dev"]).expect_success();
    apply(work, "1");
}

#[track_caller]
fn apply(work: &Workdir, n: &str) {
    work.run(&["apply", "-auto-approve", &format!("-var=n={n}")]).expect_success();
}

/// Terraform takes the block that stands there, and finds nothing to do in either workspace.
#[track_caller]
fn expect_no_change(work: &Workdir) {
    work.run(&["init", "-reconfigure"]).expect_success();
    for workspace in ["default", "dev"] {
        work.clone().env("TF_WORKSPACE", workspace).run(&["plan", "-detailed-exitcode"]).expect_success();
    }
}

fn migrate(dir: &TestDir, env: &AwsEnv, work: &Path, arguments: &[&str]) -> Output {
    cli(dir, env).run(&[&["migrate", "--json", "--dir", work.to_str().unwrap()], arguments].concat())
}

/// Refused with these words, and the block is as it was.
#[track_caller]
fn refused(dir: &TestDir, work: &Workdir, arguments: &[&str], code: i32, says: &str) {
    let block = || std::fs::read_to_string(work.path().join("backend.tf")).ok();
    let before = block();
    let refused = migrate(dir, &Moto::shared().env(), work.path(), &[arguments, &["--yes"]].concat());
    let refused = refused.expect_code(code);
    assert!(refused.stderr.contains(says), "{says}: {}", refused.report());
    assert_eq!(block(), before, "{says}: the block is as it was");
}

/// The URL of a store in a file.
fn sqlite(dir: &TestDir, name: &str) -> String {
    format!("sqlite:{}", dir.join(name).display())
}

/// Puts a state into a store.
fn import(dir: &TestDir, store: &str, name: &str, text: &str) {
    let file = dir.write("some.tfstate", text);
    let arguments = ["state", "import", name, file.to_str().unwrap(), "--store", store];
    cli(dir, &AwsEnv::new()).run(&arguments).expect_success();
}

/// A server with one state, to which the block of a directory leads.
fn at_server(dir: &TestDir, work: &Workdir) -> (ServerProcess, RawHttp) {
    let server = serve(dir, &AwsEnv::new(), &sqlite(dir, "here.db"));
    let http = server.http().limit(LIMIT);
    http.request("POST", "/state/net/prod", &[], state(3, "x").as_str()).expect_status(200);
    work.write_http_backend(&server.url("/state/net/prod"));
    (server, http)
}

#[track_caller]
fn answer(output: &Output) -> Value {
    serde_json::from_str(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}", output.report()))
}
