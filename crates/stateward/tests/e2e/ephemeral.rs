//! Ephemeral variables, which no saved plan keeps, in an apply that is made of a plan and its apply.

use serde_json::Value;
use stateward_testkit::{Output, Running, Terraform, Workdir};

use crate::LIMIT;
use crate::run::{Bench, HTTP};

const WORLD: &str = r#"
variable "token" {
  type      = string
  ephemeral = true
}
variable "pin" {
  type      = string
  ephemeral = true
  default   = "none"
}
variable "kept" { default = "0" }
resource "terraform_data" "a" {
  triggers_replace = var.kept
  provisioner "local-exec" {
    command     = "echo $TOKEN $PIN >> seen"
    environment = { TOKEN = var.token, PIN = var.pin }
  }
}
"#;

struct World {
    bench: Bench,
    work: Workdir,
    tool: &'static str,
}

impl World {
    fn new(terraform: Terraform, tool: &'static str) -> Self {
        let bench = Bench::with(terraform);
        let work = bench.work("work", &format!("{HTTP}{WORLD}"));
        let world = Self { bench, work, tool };
        world.command(&["init"]).wait(LIMIT).expect_success();
        world
    }

    fn command(&self, arguments: &[&str]) -> Running {
        self.bench.spawn(&self.work, &[&["--state", "app", "--", self.tool], arguments].concat())
    }

    fn apply(&self, arguments: &[&str]) -> Output {
        self.command(&[&["apply", "-auto-approve"], arguments].concat()).wait(LIMIT)
    }

    fn transactions(&self) -> usize {
        let all: Value = self.bench.ask(&["tx", "list", "app", "--all"]);
        all["items"].as_array().expect("transactions").len()
    }
}

fn they_are_given_again(world: &World) {
    world.apply(&["-var", "token=one", "-var", "kept=1"]).expect_success();
    world.work.write("values.tfvars", "token = \"two\"\npin = \"2\"\nkept = \"2\"\n");
    world.apply(&["-var-file", "values.tfvars"]).expect_success();
    world.work.write("run.auto.tfvars", "token = \"three\"\n");
    world.apply(&["-var=kept=3", "-var=pin=3"]).expect_success();
    assert_eq!(world.transactions(), 3);
    world.work.remove("run.auto.tfvars");

    // Of a plan of the user's own, they come with its apply.
    world.command(&["plan", "-out=plan", "-var", "token=four", "-var", "kept=4"]).wait(LIMIT).expect_success();
    world.command(&["apply", "-var", "token=late", "plan"]).wait(LIMIT).expect_success();
    assert_eq!(world.transactions(), 4);
    let seen = std::fs::read_to_string(world.work.path().join("seen")).expect("what it saw");
    assert_eq!(seen, "one none\ntwo 2\nthree 3\nlate none\n");
    assert_eq!(world.bench.locks(), 0);
}

#[test]
fn terraform_gets_them_again_with_the_plan() {
    let world = World::new(Terraform::find(), "terraform");
    they_are_given_again(&world);

    // Asked for once, the value is gone when the plan is applied: Terraform does it in one go.
    let refused = world.apply(&["-input=false"]).expect_code(1);
    let why = "the whole state is locked: the ephemeral variable `token` has no value";
    assert!(refused.stderr.contains(why), "{}", refused.report());
    assert_eq!(world.transactions(), 4);
}

#[test]
fn opentofu_gets_them_again_with_the_plan() {
    let Some(tofu) = Terraform::find_tofu() else { return };
    they_are_given_again(&World::new(tofu, "tofu"));
}
