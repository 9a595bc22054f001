//! With the rights alone that set-up's printed policies give, in the lab; and without one of them.

use serde_json::{Value, json};
use stateward_testkit::{Moto, Output};

use crate::lab::{Bench, STATE_KEY, user, without};
use crate::state;

/// Where a migration goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// From a file into the bucket.
    In,
    /// From the bucket into a store.
    Out,
}

/// A bucket that was set up, and who has the printed policy for administrators: whole, or less one action.
struct Rights {
    bench: Bench,
    less: Vec<(&'static str, &'static str)>,
}

fn who((sid, action): (&str, &str)) -> String {
    format!("less-{sid}-{}", action.replace(':', "-"))
}

impl Rights {
    fn new(table: bool, less: &[(&'static str, &'static str)]) -> Self {
        let mut bench = Bench::new(table, true);
        let policy = bench.generated("--key ", "admin");
        let lessened = less.iter().map(|&right| user(&who(right), &[&without(&policy, right)]));
        let all: Vec<Value> = [user("whole", &[&policy])].into_iter().chain(lessened).collect();
        bench.let_in(&all, &json!({}));
        Self { bench, less: less.to_vec() }
    }

    /// What is to be migrated, in a directory of this name.
    fn prepare(&self, name: &str, way: Way) {
        let (moto, bucket) = (Moto::shared(), &self.bench.bucket);
        moto.objects(bucket).iter().for_each(|key| moto.delete_object(bucket, key));
        if let Some(table) = &self.bench.table {
            let items = moto.dynamodb("Scan", &json!({ "TableName": table }).to_string());
            for item in items["Items"].as_array().unwrap() {
                let key = json!({ "LockID": item["LockID"] });
                moto.dynamodb("DeleteItem", &json!({ "TableName": table, "Key": key }).to_string());
            }
        }
        match way {
            Way::In => {
                self.bench.dir.write(format!("{name}/main.tf"), "");
                self.bench.dir.write(format!("{name}/terraform.tfstate"), state(3, "x"));
            }
            Way::Out => {
                let block = self.bench.block().replacen("    bucket", "    use_path_style = true\n    bucket", 1);
                self.bench.dir.write(format!("{name}/main.tf"), block);
                moto.put_object(bucket, STATE_KEY, state(2, "w"));
                moto.put_object(bucket, STATE_KEY, state(3, "x"));
            }
        }
    }

    fn migrate(&self, who: &str, name: &str, way: Way) -> Output {
        let lock = match &self.bench.table {
            Some(table) => format!("lock_table={table}"),
            None => "use_lockfile=true".to_owned(),
        };
        let bucket = &self.bench.bucket;
        let url = format!("s3://{bucket}/{STATE_KEY}?region=us-east-1&use_path_style=true&max_retries=0&{lock}");
        let store = format!("sqlite:{}", self.bench.dir.join(format!("{name}.db")).display());
        let to: &[&str] = match way {
            Way::In => &["--to", &url],
            Way::Out => &["--to", "stateward", "--store", &store, "--state", "net/prod"],
        };
        self.bench.cli(who).run(&[&["migrate", "--yes", "--dir", name][..], to].concat())
    }

    /// With the whole policy it goes. Without one of these rights it stops and names the action, what is to be migrated is all there, and
    /// with the right it goes to the end.
    fn check(&self, way: Way) {
        let whole = format!("whole-{way:?}");
        self.prepare(&whole, way);
        self.migrate("whole", &whole, way).expect_success();
        for &(sid, action) in &self.less {
            let name = format!("{}-{way:?}", who((sid, action)));
            self.prepare(&name, way);
            let refused = self.migrate(&who((sid, action)), &name, way).expect_code(4);
            assert!(refused.stderr.contains(action), "{action} is not named: {}", refused.report());
            match way {
                Way::In => {
                    let source = std::fs::read_to_string(self.bench.dir.join(format!("{name}/terraform.tfstate")));
                    assert_eq!(source.unwrap(), state(3, "x"));
                }
                Way::Out => assert!(Moto::shared().objects(&self.bench.bucket).contains(&STATE_KEY.to_owned())),
            }
            self.migrate("whole", &name, way).expect_success();
        }
    }
}

/// A lock that could not be given back would keep everybody out: none is taken.
#[test]
fn no_lock_file_is_taken_that_may_not_be_deleted() {
    let right = ("Lockfiles", "s3:DeleteObject");
    let rights = Rights::new(false, &[right]);
    for way in [Way::In, Way::Out] {
        let name = format!("{}-{way:?}", who(right));
        rights.prepare(&name, way);
        let before = Moto::shared().objects(&rights.bench.bucket);
        let refused = rights.migrate(&who(right), &name, way).expect_code(4);
        assert!(refused.stderr.contains("s3:DeleteObject"), "{}", refused.report());
        assert_eq!(Moto::shared().objects(&rights.bench.bucket), before, "{way:?}");
    }
}

/// Who has the rights of the lock table alone, and may write whatever lies beside the state, as by the role of an environment, learns it
/// before anybody is kept out.
#[test]
fn to_the_lock_file_with_the_rights_of_the_table_alone() {
    let mut bench = Bench::new(true, true);
    let policy = bench.generated("--key ", "admin");
    let [of_bucket, beside] =
        ["", &format!("/{STATE_KEY}.*")].map(|name| format!("arn:aws:s3:::{}{name}", bench.bucket));
    let lists = json!({ "Effect": "Allow", "Action": "s3:ListBucket", "Resource": of_bucket });
    let writes = json!({ "Effect": "Allow", "Action": ["s3:GetObject", "s3:PutObject"], "Resource": beside });
    bench.let_in(&[user("whole", &[&policy, &json!({ "Statement": [lists, writes] })])], &json!({}));
    let rights = Rights { bench, less: Vec::new() };
    let name = "to-the-file";
    rights.prepare(name, Way::Out);
    let step = || rights.bench.cli("whole").run(&["migrate", "--yes", "--dir", name, "--to", "lockfile"]);
    let refused = step().expect_code(4);
    assert!(refused.stderr.contains("since it could not be given back"), "{}", refused.report());
    assert!(refused.stderr.contains(".tflock"), "{}", refused.report());
    assert_eq!(Moto::shared().objects(&rights.bench.bucket), [STATE_KEY]);
    let items = Moto::shared().dynamodb("Scan", &json!({ "TableName": rights.bench.table }).to_string());
    assert_eq!(items["Items"], json!([]));
}

#[test]
fn into_a_bucket_and_out_of_it_with_a_lock_file() {
    let less = [("Names", "s3:ListBucket"), ("States", "s3:GetObject"), ("Lockfiles", "s3:PutObject")];
    let rights = Rights::new(false, &less);
    rights.check(Way::Out);
    let less = [("States", "s3:PutObject"), ("Key", "kms:GenerateDataKey")];
    Rights::new(false, &less).check(Way::In);
}

#[test]
fn into_a_bucket_and_out_of_it_with_a_lock_table() {
    Rights::new(true, &[("States", "s3:GetObject"), ("LockItems", "dynamodb:PutItem")]).check(Way::Out);
    let less = [("States", "s3:PutObject"), ("LockItems", "dynamodb:PutItem"), ("DigestItems", "dynamodb:GetItem")];
    Rights::new(true, &less).check(Way::In);
}

/// What Terraform itself has no need of: the current version goes, and it is told that others may be left.
#[test]
fn out_of_a_bucket_whose_old_versions_cannot_be_read() {
    let less = [("Names", "s3:ListBucketVersions"), ("States", "s3:GetObjectVersion")];
    let rights = Rights::new(true, &less);
    for right in less {
        let name = who(right);
        rights.prepare(&name, Way::Out);
        let done = rights.migrate(&name, &name, Way::Out).expect_success();
        assert!(done.stdout.contains("goes alone") && done.stdout.contains(right.1), "{}", done.report());
        let history = || {
            let store = format!("sqlite:{}", rights.bench.dir.join(format!("{name}.db")).display());
            let listed = rights.bench.cli(&name).run(&["state", "history", "net/prod", "--json", "--store", &store]);
            let listed: Value = serde_json::from_str(&listed.expect_success().stdout).unwrap();
            listed["items"].as_array().unwrap().iter().map(|item| item["serial"].as_u64().unwrap()).collect::<Vec<_>>()
        };
        assert_eq!(history(), [3]);
        // Once more, with all rights: what is there is the current version, and stays.
        let block = rights.bench.block().replacen("    bucket", "    use_path_style = true\n    bucket", 1);
        rights.bench.dir.write(format!("{name}/main.tf"), block);
        std::fs::remove_file(rights.bench.dir.join(format!("{name}/backend.tf"))).ok();
        let again = rights.migrate("whole", &name, Way::Out).expect_success();
        assert!(again.stdout.contains("a history of its own"), "{}", again.report());
        assert_eq!(history(), [3]);
    }
}
