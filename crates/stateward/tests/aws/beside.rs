//! Two applies at the same time on one state in S3, shared with plain Terraform, and in `DynamoDB`.

use serde_json::Value;
use stateward_testkit::{AwsEnv, DynamoDbLocal, Moto, Running, S3Backend, Terraform, TestDir, Workdir, fresh_name};

use crate::{LIMIT, cli};

const HTTP: &str = "terraform {\n  backend \"http\" {}\n}\n";
/// Two resources that are replaced when their variables change, and then take for as long as the file `hold` is there.
const WORLD: &str = r#"
variable "a" { default = "0" }
variable "b" { default = "0" }
resource "terraform_data" "a" {
  triggers_replace = var.a
  provisioner "local-exec" { command = "echo begun; while [ -e hold ] && [ -e main.tf ]; do sleep 0.05; done" }
}
resource "terraform_data" "b" {
  triggers_replace = var.b
  provisioner "local-exec" { command = "echo begun; while [ -e hold ] && [ -e main.tf ]; do sleep 0.05; done" }
}
"#;

struct Bench {
    dir: TestDir,
    env: AwsEnv,
    store: String,
}

impl Bench {
    fn run(&self, work: &Workdir, arguments: &[&str]) -> Running {
        let mut path = std::ffi::OsString::from(Terraform::find().directory());
        path.push(":/usr/bin:/bin");
        let cli =
            cli(&self.dir, &self.env).current_dir(work.path()).env("PATH", path).env("STATEWARD_WHO", "ana@laptop");
        let all = [&["--store", &self.store, "run", "--state", "net/prod", "--"], arguments].concat();
        cli.spawn(&all)
    }

    fn work(&self, name: &str, variables: &str) -> Workdir {
        let work = Terraform::find().workdir(&self.dir, name).envs(self.env.pairs()).limit(LIMIT);
        work.write("main.tf", format!("{HTTP}{WORLD}"));
        work.write("terraform.tfvars", variables);
        self.run(&work, &["terraform", "init"]).wait(LIMIT).expect_success();
        work
    }

    /// An apply that is in the middle of it until the file `hold` goes.
    fn held(&self, work: &Workdir) -> Running {
        work.write("hold", "");
        let mut running = self.run(work, &["terraform", "apply", "-auto-approve"]);
        running.wait_for("begun", LIMIT);
        running
    }

    fn ask(&self, arguments: &[&str]) -> Value {
        let output = cli(&self.dir, &self.env).run(&[&["--store", &self.store, "--json"], arguments].concat());
        serde_json::from_str(&output.expect_success().stdout).unwrap()
    }

    /// Both are under way at the same time, and both stay; `meanwhile` is done while they are.
    fn side_by_side(&self, meanwhile: impl FnOnce()) {
        let first = self.work("first", "");
        self.run(&first, &["terraform", "apply", "-auto-approve"]).wait(LIMIT).expect_success();
        let (one, two) = (self.work("one", "a = \"1\"\n"), self.work("two", "b = \"1\"\n"));
        let (left, right) = (self.held(&one), self.held(&two));
        let open = self.ask(&["tx", "list", "net/prod"]);
        assert_eq!(open["items"].as_array().unwrap().len(), 2, "{open}");
        meanwhile();
        for (work, running) in [(&two, right), (&one, left)] {
            std::fs::remove_file(work.path().join("hold")).unwrap();
            running.wait(LIMIT).expect_success();
        }
        first.write("terraform.tfvars", "a = \"1\"\nb = \"1\"\n");
        self.run(&first, &["terraform", "plan", "-detailed-exitcode"]).wait(LIMIT).expect_success();
        assert_eq!(self.ask(&["lock", "list"])["items"], Value::Array(Vec::new()));
        self.ask(&["state", "verify"]);
    }
}

#[test]
fn on_a_bucket_that_plain_terraform_uses() {
    let (moto, dir) = (Moto::shared(), TestDir::new());
    let (bucket, table) = (moto.create_bucket(), moto.create_lock_table());
    let backend = S3Backend::new(moto.url(), &bucket, "team/net/prod").lockfile().lock_table(moto.url(), &table);
    let store = format!("s3://{bucket}/team?use_path_style=true&use_lockfile=true&lock_table={table}");
    let bench = Bench { dir, env: moto.env(), store };
    let plain = Terraform::find().workdir(&bench.dir, "plain").envs(bench.env.pairs()).limit(LIMIT);
    plain.write("main.tf", WORLD);
    plain.write("terraform.tfvars", "a = \"1\"\nb = \"1\"\n");
    plain.write_s3_backend(&backend);
    plain.run(&["init"]).expect_success();
    bench.side_by_side(|| {
        let refused = plain.run(&["apply", "-auto-approve"]).expect_code(1);
        assert!(refused.stderr.contains("Error acquiring the state lock"), "{}", refused.report());
        assert!(refused.stderr.contains("stateward tx list"), "it says where to look: {}", refused.report());
    });
    plain.run(&["plan", "-detailed-exitcode"]).expect_success();
    plain.run(&["apply", "-auto-approve"]).expect_success();
}

#[test]
fn in_dynamodb() {
    let (local, dir) = (DynamoDbLocal::shared(), TestDir::new());
    let store = format!("dynamodb://{}?create_tables=true", fresh_name("states"));
    let bench = Bench { dir, env: local.env(), store };
    bench.side_by_side(|| {});
}
