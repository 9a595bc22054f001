//! What AWS's own guide to a refused table names as causes, each as a scenario, and what it leaves out: the doctor finds the cause
//! and nothing else, and what Terraform prints then is read as the same.
//!
//! The guide is "How do I troubleshoot the error `AccessDeniedException` when I'm trying to access an Amazon `DynamoDB` table?" of
//! AWS re:Post. Where it is wrong, a row says so.

use aws_credential_types::Credentials;
use serde_json::{Value, json};
use stateward_aws::doctor::{Finding, Status};
use stateward_denial::{Effect, Kind, Layer};
use stateward_iam::{Outcome, Policy, PolicyKind};
use stateward_knowledge::advice::advise;
use stateward_knowledge::entry_for;
use stateward_store_aws::Role;
use stateward_testkit::{AwsEnv, Fault, FaultProxy, Rule, S3Backend, Terraform, TestDir, Workdir};

use crate::lab_place::{ACCOUNT, LabPlace, all_but, everything, policy, trust};
use crate::place::KEY;

/// Who does it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Who {
    User,
    /// A session of the role that is there already.
    Session,
    /// The user, who assumes the role first.
    Assuming,
}

struct Row {
    name: &'static str,
    who: Who,
    /// What is the matter, in a world where everybody may do everything.
    change: fn(&mut Value),
    /// The checks that fail, and no others.
    fails: &'static [&'static str],
    /// The layer that refuses; `None` where it is no matter of rights.
    layer: Option<(Layer, Effect)>,
    /// What the policies say that could be read.
    offline: Option<Outcome>,
    /// In the reason or the fix.
    says: &'static [&'static str],
    /// What goes wrong on the way.
    plant: fn(&FaultProxy),
}

fn for_everybody(effect: &str, action: &str) -> Value {
    json!({
        "Version": "2012-10-17",
        "Statement": [{ "Sid": "Own", "Effect": effect, "Principal": "*", "Action": action, "Resource": "*" }],
    })
}

/// The guide's own, whose `Resource` is empty there.
fn multi_factor(resource: &str) -> Value {
    json!({ "Version": "2012-10-17", "Statement": [{
        "Sid": "DenyAllExceptListedIfNoMFA",
        "Effect": "Deny",
        "NotAction": [
            "iam:CreateVirtualMFADevice", "iam:EnableMFADevice", "iam:GetUser", "iam:ListMFADevices",
            "iam:ListVirtualMFADevices", "iam:ResyncMFADevice", "sts:GetSessionToken",
        ],
        "Resource": resource,
        "Condition": { "BoolIfExists": { "aws:MultiFactorAuthPresent": "false" } },
    }] })
}

const OF_TABLE: &[&str] = &["right:dynamodb:DeleteItem", "right:dynamodb:GetItem", "right:dynamodb:PutItem"];
const ALL: &[&str] = &[
    "right:dynamodb:DeleteItem",
    "right:dynamodb:GetItem",
    "right:dynamodb:PutItem",
    "right:s3:GetObject",
    "right:s3:ListBucket",
    "right:s3:PutObject",
];

/// The twelve of the guide.
fn rows() -> Vec<Row> {
    let groups = [rights(), assumed_role(), access_keys(), around(), encryption()];
    groups.into_iter().flatten().collect()
}

type Change = fn(&mut Value);
type Refused = (Layer, Effect);
type Words = &'static [&'static str];

fn row(
    name: &'static str,
    who: Who,
    change: Change,
    fails: Words,
    layer: Option<Refused>,
    offline: Option<Outcome>,
    says: Words,
) -> Row {
    Row { name, who, change, fails, layer, offline, says, plant: |_| {} }
}

const PUT: &[&str] = &["right:dynamodb:PutItem"];

/// Policies of the caller.
fn rights() -> Vec<Row> {
    vec![
        row(
            "no policy of the caller allows it",
            Who::User,
            |world| world["users"][0]["policies"] = json!([all_but("dynamodb:PutItem")]),
            PUT,
            Some((Layer::Identity, Effect::Implicit)),
            Some(Outcome::ImplicitDeny),
            &["the policies that could be read do not allow it (layer: identity)"],
        ),
        row(
            "a policy of the caller denies it",
            Who::User,
            |world| {
                let arn = format!("arn:aws:iam::{ACCOUNT}:policy/guard");
                let guard = json!({ "arn": arn, "policy": policy("Deny", "dynamodb:PutItem") });
                world["users"][0]["policies"] = json!([everything(), guard]);
            },
            PUT,
            Some((Layer::Identity, Effect::Explicit)),
            Some(Outcome::ExplicitDeny),
            &[
                "AWS names it: `arn:aws:iam::123456789012:policy/guard`",
                "(Own of arn:aws:iam::123456789012:policy/guard)",
            ],
        ),
    ]
}

/// These have nothing to do with a table: they keep the role from being assumed.
fn assumed_role() -> Vec<Row> {
    vec![
        row(
            "the role's trust policy denies the caller",
            Who::Assuming,
            |world| {
                let allows = trust("Allow", &Value::Null)["Statement"][0].clone();
                let denies = trust("Deny", &Value::Null)["Statement"][0].clone();
                world["roles"][0]["trust"] = json!({ "Version": "2012-10-17", "Statement": [allows, denies] });
            },
            &["credentials"],
            Some((Layer::Trust, Effect::Explicit)),
            None,
            &["the role's trust policy"],
        ),
        row(
            "the role's trust policy does not name the caller",
            Who::Assuming,
            |world| {
                let mut other = trust("Allow", &Value::Null);
                other["Statement"][0]["Principal"] = json!({ "AWS": "arn:aws:iam::999988887777:root" });
                world["roles"][0]["trust"] = other;
            },
            &["credentials"],
            Some((Layer::Trust, Effect::Implicit)),
            None,
            &["trust policy"],
        ),
        row(
            "a condition of the role's trust policy that assuming a role never meets",
            Who::Assuming,
            |world| world["roles"][0]["trust"] = trust("Allow", &json!({ "StringEquals": { "s3:prefix": "net" } })),
            &["credentials"],
            Some((Layer::Trust, Effect::Implicit)),
            None,
            &["trust policy"],
        ),
    ]
}

/// Who one is, and not what one may.
fn access_keys() -> Vec<Row> {
    vec![
        row(
            "the access key ID is wrong",
            Who::User,
            |world| world["users"][0]["access_key"] = json!("AKIAANOTHER"),
            &["credentials"],
            None,
            None,
            &["See which key the run uses"],
        ),
        row(
            "the secret access key is wrong",
            Who::User,
            |world| world["users"][0]["secret_key"] = json!("another"),
            &["credentials"],
            None,
            None,
            &["ecret"],
        ),
    ]
}

/// What counts beside the policies of the caller.
fn around() -> Vec<Row> {
    vec![
        // Not every role of the organization: the management account is spared, and roles of services.
        row(
            "the organization denies it",
            Who::User,
            |world| {
                let scps = json!([[everything()], [everything(), { "name": "guard rail", "policy": policy("Deny", "dynamodb:*") }]]);
                world["accounts"][ACCOUNT] = json!({ "organization": "o-lab", "scps": scps });
            },
            OF_TABLE,
            Some((Layer::Scp, Effect::Explicit)),
            Some(Outcome::ExplicitDeny),
            &["deny it (Own of guard rail)", "Only the organization can"],
        ),
        row(
            "the VPC endpoint denies it",
            Who::User,
            |world| {
                let allows = for_everybody("Allow", "*")["Statement"][0].clone();
                let denies = for_everybody("Deny", "dynamodb:*")["Statement"][0].clone();
                let document = json!({ "Version": "2012-10-17", "Statement": [allows, denies] });
                world["vpc_endpoint"] = json!({ "id": "vpce-1", "policy": document });
            },
            OF_TABLE,
            Some((Layer::VpcEndpoint, Effect::Explicit)),
            Some(Outcome::Allowed),
            &[
                "allow it",
                "unlike what was seen: another policy has a say",
                "the policy of the VPC endpoint of `dynamodb` (`aws ec2 describe-vpc-endpoints",
            ],
        ),
        // It denies reading policies as well, so which one it is stands in the fix alone.
        row(
            "the account wants multi-factor sign-in",
            Who::User,
            |world| world["users"][0]["policies"] = json!([everything(), multi_factor("*")]),
            ALL,
            Some((Layer::Identity, Effect::Explicit)),
            None,
            &[
                "aws sts get-session-token",
                "not read: the caller's own policies (`iam:ListAttachedUserPolicies` is refused)",
            ],
        ),
    ]
}

/// The key that the table is encrypted with.
fn encryption() -> Vec<Row> {
    vec![
        // The guide's list of rights lacks kms:Decrypt, which is the one that is asked for.
        row(
            "the policy of the table's key does not let the caller in",
            Who::User,
            |world| {
                let admin = format!("arn:aws:iam::{ACCOUNT}:role/key-admin");
                world["roles"].as_array_mut().unwrap().push(json!({ "arn": admin }));
                let own =
                    json!({ "Effect": "Allow", "Principal": { "AWS": admin }, "Action": "kms:*", "Resource": "*" });
                let shown =
                    json!({ "Effect": "Allow", "Principal": "*", "Action": "kms:GetKeyPolicy", "Resource": "*" });
                world["keys"][0]["policy"] = json!({ "Statement": [own, shown] });
                world["tables"][0]["kms_key"] = world["keys"][0]["arn"].clone();
            },
            &["right:kms:Decrypt"],
            Some((Layer::Resource, Effect::Implicit)),
            Some(Outcome::ImplicitDeny),
            &["do not allow it (layer: resource)"],
        ),
        Row {
            plant: |proxy| {
                let key = "arn:aws:kms:us-east-1:123456789012:key/gone";
                let table = json!({ "Table": {
                    "TableStatus": "INACCESSIBLE_ENCRYPTION_CREDENTIALS",
                    "KeySchema": [{ "AttributeName": "LockID", "KeyType": "HASH" }],
                    "AttributeDefinitions": [{ "AttributeName": "LockID", "AttributeType": "S" }],
                    "SSEDescription": { "SSEType": "KMS", "KMSMasterKeyArn": key },
                } });
                let body = table.to_string();
                proxy.inject(
                    Rule::new(Fault::Answer { status: 200, headers: Vec::new(), body }).operation("DescribeTable"),
                );
                let refused = Fault::dynamodb(400, "AccessDeniedException", "KMS key access denied");
                proxy.inject(Rule::new(refused).operation("PutItem"));
            },
            ..row(
                "the table's key is gone",
                Who::User,
                |_| {},
                &["lock-table-exists"],
                Some((Layer::Kms, Effect::Unknown)),
                None,
                &["DynamoDB cannot use arn:aws:kms:us-east-1:123456789012:key/gone", "aws kms describe-key"],
            )
        },
    ]
}

/// What the guide does not know of: it has it that tables have no policies.
fn left_out() -> Vec<Row> {
    let row = |name, who, change: Change, layer, offline, says| row(name, who, change, PUT, Some(layer), offline, says);
    vec![
        row(
            "the table's own policy denies it",
            Who::User,
            |world| {
                let mut denies = for_everybody("Deny", "dynamodb:PutItem");
                denies["Statement"][0]["Resource"] = world["tables"][0]["arn"].clone();
                world["tables"][0]["policy"] = denies;
            },
            (Layer::Resource, Effect::Explicit),
            Some(Outcome::ExplicitDeny),
            &["deny it (Own of the policy of locks-"],
        ),
        row(
            "the permissions boundary does not allow it",
            Who::Session,
            |world| world["roles"][0]["boundary"] = json!({ "name": "fence", "policy": all_but("dynamodb:PutItem") }),
            (Layer::Boundary, Effect::Implicit),
            Some(Outcome::ImplicitDeny),
            &[
                "do not allow it (layer: boundary)",
                "not read: the session policy (only whoever assumed the role knows it)",
            ],
        ),
        row(
            "the session policy does not allow it",
            Who::Session,
            |world| world["sessions"][0]["policies"] = json!([all_but("dynamodb:PutItem")]),
            (Layer::Session, Effect::Implicit),
            Some(Outcome::Allowed),
            &["unlike what was seen", "not read: the session policy"],
        ),
        row(
            "the organization denies it to whoever asks for the resource",
            Who::User,
            |world| {
                let full = json!({ "name": "RCPFullAWSAccess", "policy": for_everybody("Allow", "*") });
                let levels = json!([[full], [full, for_everybody("Deny", "dynamodb:PutItem")]]);
                world["accounts"][ACCOUNT] = json!({ "organization": "o-lab", "rcps": levels });
            },
            (Layer::Rcp, Effect::Explicit),
            Some(Outcome::ExplicitDeny),
            &["the organization of whoever owns the resource"],
        ),
    ]
}

/// A place, and Terraform that keeps its state there.
struct Bench {
    at: LabPlace,
    plain: Workdir,
    assuming: Workdir,
    _dir: TestDir,
}

impl Bench {
    fn new() -> Self {
        let at = LabPlace::new();
        let (dir, keys, url) = (TestDir::new(), at.keys(0, &at.user(0)), at.place.proxy.url().to_owned());
        let backend = S3Backend::new(&url, at.place.bucket(), KEY).lock_table(&url, at.place.table());
        let workdir = |name: &str, backend: &S3Backend| {
            let work = Terraform::find().workdir(&dir, name).envs(AwsEnv::new().others(url.as_str()).pairs());
            work.write_s3_backend(backend);
            work.clone().envs(variables(&keys)).run(&["init"]).expect_success();
            work
        };
        let plain = workdir("plain", &backend);
        let role = format!("{{ role_arn = \"{}\" }}", at.role(0));
        let assuming = workdir("assuming", &backend.clone().set("assume_role", &role));
        Self { at, plain, assuming, _dir: dir }
    }

    async fn check(&mut self, number: usize, row: &Row) {
        let is_assuming = row.who == Who::Assuming;
        // Terraform has the name of the role in its configuration.
        let number = if is_assuming { 0 } else { number };
        let keys =
            self.at.keys(number, &if row.who == Who::Session { self.at.session(number) } else { self.at.user(number) });
        self.at.set(number, row.change);
        let assumed = Role { arn: self.at.role(number), ..Role::default() };
        let place = &mut self.at.place;
        (row.plant)(&place.proxy);
        place.target.access.role = is_assuming.then_some(assumed);
        place.credentials = Some(keys.clone());
        row.found(&place.examine().await);
        let work = if is_assuming { &self.assuming } else { &self.plain };
        row.explained(&work.clone().envs(variables(&keys)).run(&["plan"]).expect_code(1).report());
    }
}

impl Row {
    /// What the doctor found is this, and nothing else.
    fn found(&self, found: &[Finding]) {
        let name = self.name;
        let open = found.iter().filter(|finding| finding.status >= Status::Warn);
        let told: Vec<_> = open.clone().map(|finding| (finding.check.as_str(), finding.status)).collect();
        let fails: Vec<_> = self.fails.iter().map(|check| (*check, Status::Fail)).collect();
        assert_eq!(told, fails, "{name}: {found:#?}");
        for finding in open {
            let denial = finding.denial.as_ref().map(|denial| (denial.layer, denial.effect));
            if finding.check.starts_with("right:") || finding.check == "credentials" {
                assert_eq!(denial, self.layer, "{name}: {finding:#?}");
            }
            assert_eq!(finding.offline.as_ref().map(|offline| offline.decision), self.offline, "{name}: {finding:#?}");
            assert!(finding.entry.is_some(), "{name}: {finding:#?}");
            let all = format!("{:?} {:?} {:?}", finding.why, finding.fix, finding.steps);
            for words in self.says {
                assert!(all.contains(words), "{name}: {words:?} is not in {all}");
            }
        }
    }

    /// What Terraform printed is read as the same.
    fn explained(&self, output: &str) {
        let problems = stateward_denial::read(output.as_bytes());
        let kind = if self.layer.is_some() { Kind::AccessDenied } else { Kind::Authentication };
        let is_it = |problem: &&stateward_denial::Problem| {
            let denial = problem.denial.as_ref().map(|denial| (denial.layer, denial.effect));
            problem.kind == kind && (self.layer.is_none() || denial == self.layer)
        };
        let problem = problems.iter().find(is_it).unwrap_or_else(|| panic!("{}: {problems:#?}\n{output}", self.name));
        assert!(entry_for(problem).is_some(), "{}: {problem:#?}", self.name);
        assert!(!advise(problem).steps.is_empty(), "{}: {problem:#?}", self.name);
    }
}

#[tokio::test]
async fn each_row_is_found_and_nothing_else() {
    let rows = rows();
    assert_eq!(rows.len(), 12);
    let mut bench = Bench::new();
    for (index, row) in rows.iter().chain(&left_out()).enumerate() {
        Box::pin(bench.check(index + 1, row)).await;
    }
}

/// As it is printed, IAM takes it not at all.
#[test]
fn the_guides_policy_about_multi_factor_sign_in() {
    let parsed = |resource| Policy::parse(&multi_factor(resource).to_string(), PolicyKind::Identity);
    assert!(parsed("").is_err());
    assert!(parsed("*").is_ok());
}

/// What the guide prints as errors, its accounts of eleven digits and all.
#[test]
fn the_guides_own_errors_are_read() {
    let head = "User: arn:aws:iam::111122223333:user/article is not authorized to perform: dynamodb:ListTables on resource: arn:aws:dynamodb:us-east-1:111122223333:table";
    for (text, layer, effect) in [
        (format!("{head}/* with an explicit deny in an identity-based policy"), Layer::Identity, Effect::Explicit),
        (
            format!("{head}/* because no identity-based policy allows the dynamodb:ListTables action"),
            Layer::Identity,
            Effect::Implicit,
        ),
        (
            format!(
                "{} with an explicit deny in a service control policy",
                head.replace("111122223333", "11111222333")
            ),
            Layer::Scp,
            Effect::Explicit,
        ),
        (
            format!(
                "An error occurred (AccessDeniedException) when calling the ListTables operation: {head}/* with an explicit deny in a VPC endpoint policy"
            ),
            Layer::VpcEndpoint,
            Effect::Explicit,
        ),
    ] {
        let problem = stateward_denial::read(text.as_bytes()).remove(0);
        let denial = problem.denial.as_ref().unwrap();
        assert_eq!((denial.layer, denial.effect), (layer, effect), "{text}");
        assert_eq!(entry_for(&problem).map(|entry| entry.id.as_str()), Some("policy/lock-table-list-tables"), "{text}");
    }
}

fn variables(keys: &Credentials) -> Vec<(&'static str, String)> {
    let token = keys.session_token().map(|token| ("AWS_SESSION_TOKEN", token.to_owned()));
    let own = [("AWS_ACCESS_KEY_ID", keys.access_key_id()), ("AWS_SECRET_ACCESS_KEY", keys.secret_access_key())];
    own.map(|(name, value)| (name, value.to_owned())).into_iter().chain(token).collect()
}
