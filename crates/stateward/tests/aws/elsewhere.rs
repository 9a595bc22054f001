//! Buckets that are another account's or in another Region: what S3 answers to the commands and to Terraform itself.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};
use stateward_lab::{Config, Running, Surroundings};
use stateward_testkit::{AwsEnv, Cli, Moto, Output, SecondOpinion, Seconded, Terraform, TestDir};

use crate::{LIMIT, cli};

/// A bucket of somebody's and one of ours far away, seen by somebody who may do everything in his own account.
struct Elsewhere {
    lab: Seconded<Running>,
    dir: TestDir,
    theirs: String,
    far: String,
    env: Vec<(&'static str, String)>,
}

impl Elsewhere {
    fn new() -> Self {
        let moto = Moto::shared();
        let (theirs, far) = (moto.create_bucket(), moto.create_bucket());
        let everything = json!({ "Statement": { "Effect": "Allow", "Action": "*", "Resource": "*" } });
        let world = json!({
            "upstream": { "url": moto.url() },
            "users": [{ "arn": "arn:aws:iam::123456789012:user/ci", "policies": [everything] }],
            "buckets": [
                { "name": theirs, "account": "999988887777", "region": AwsEnv::REGION },
                { "name": far, "region": "ap-south-1" },
            ],
        });
        let config: Config = world.to_string().parse().unwrap();
        let world = config.compile(&|path| panic!("no file is named, not {}", path.display())).unwrap();
        let keys = world.credentials().next().unwrap().1.clone();
        #[expect(clippy::disallowed_methods, reason = "Terraform signs with the real time")]
        let now = Arc::new(Timestamp::now);
        let opinion = SecondOpinion::new();
        let surroundings = Surroundings { now, seed: [2; 32], on_decision: opinion.hears() };
        let lab = opinion.of(Running::start(world, surroundings).unwrap());
        let own = [("AWS_ACCESS_KEY_ID", keys.access_key), ("AWS_SECRET_ACCESS_KEY", keys.secret_key)];
        let env = AwsEnv::new().others(lab.url()).pairs().into_iter().chain(own).collect();
        Self { lab, dir: TestDir::new(), theirs, far, env }
    }

    fn cli(&self) -> Cli<'_> {
        cli(&self.dir, &AwsEnv::new()).envs(self.env.clone())
    }

    fn setup(&self, bucket: &str) -> Output {
        self.cli().run(&["setup", "aws", "--bucket", bucket, "--use-lockfile", "--yes"])
    }

    fn look(&self, bucket: &str, more: &[&str]) -> Output {
        let words =
            ["doctor", "--bucket", bucket, "--key", "k", "--use-lockfile", "--backend-config", "use_path_style=true"];
        self.cli().run(&[&words, more].concat())
    }

    /// The checks that failed.
    fn doctor(&self, bucket: &str) -> Vec<Value> {
        let output = self.look(bucket, &["--json"]);
        let answer: Value = serde_json::from_str(&output.stdout).unwrap_or_else(|_| panic!("{}", output.report()));
        answer["items"].as_array().unwrap().iter().filter(|item| item["status"] == "fail").cloned().collect()
    }

    /// What Terraform prints, and what `stateward explain` makes of that.
    fn init(&self, name: &str, bucket: &str) -> (String, String) {
        let work = Terraform::find().workdir(&self.dir, name).limit(LIMIT).envs(self.env.clone());
        let block = format!(
            "terraform {{\n  backend \"s3\" {{\n    bucket         = \"{bucket}\"\n    key            = \"k\"\n    use_path_style = true\n  }}\n}}\n"
        );
        work.write("main.tf", block);
        let printed = work.run(&["init"]).expect_code(1).stderr;
        let explained = self.cli().run_with_input(&["explain"], printed.as_str()).stdout;
        (printed, explained.split_whitespace().collect::<Vec<_>>().join(" "))
    }

    /// What was let through to the server that does it.
    fn allowed(&self) -> Vec<String> {
        let decisions = self.lab.lab().decisions();
        let allowed = decisions.into_iter().filter(stateward_lab::Decision::is_allowed);
        allowed.map(|decision| decision.action).filter(|action| action.starts_with("s3:")).collect()
    }
}

#[test]
fn a_bucket_in_another_region() {
    let place = Elsewhere::new();
    let refused = place.setup(&place.far).expect_code(1);
    assert!(refused.stderr.contains("--region ap-south-1"), "{}", refused.report());
    let failed = place.doctor(&place.far);
    assert!(matches!(failed.as_slice(), [one] if one["check"] == "region"), "{failed:#?}");
    assert_eq!(failed[0]["title"], "the bucket is in ap-south-1");
    assert!(failed[0]["fix"].as_str().unwrap().contains("AWS_REGION=ap-south-1"), "{failed:#?}");
    let (printed, explained) = place.init("far", &place.far);
    assert!(explained.contains("storage/wrong-region"), "{explained}\n{printed}");
    assert_eq!(place.allowed(), Vec::<String>::new());
}

/// S3 gives no reason to accounts that are not the bucket's, and the caller's own policies allow everything.
#[test]
fn a_bucket_of_somebody_else() {
    let place = Elsewhere::new();
    let refused = place.setup(&place.theirs).expect_code(1);
    assert!(refused.stderr.contains("another account's"), "{}", refused.report());
    let output = place.look(&place.theirs, &[]).expect_code(4);
    for words in [
        "S3 gives no reason, as it does where a bucket is another account's",
        "the policies that could be read allow it",
    ] {
        let told = output.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(told.contains(words), "{words:?} is not in\n{}", output.report());
    }
    let failed = place.doctor(&place.theirs);
    assert!(failed.iter().all(|item| item["check"].as_str().unwrap().starts_with("right:s3:")), "{failed:#?}");
    let (printed, explained) = place.init("theirs", &place.theirs);
    assert!(explained.contains("s3:ListBucket"), "{explained}\n{printed}");
    assert_eq!(place.allowed(), Vec::<String>::new());
}
