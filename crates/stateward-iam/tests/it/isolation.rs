//! Environments beside each other: what the generated policies keep apart, and the leaks that others have.

use serde_json::{Value, json};
use stateward_iam::{
    Environment, IsolationError, Keeping, Layout, Named, Outcome, Policy, PolicyKind, PolicySet, Purpose, Tried,
    Verdict, generate, isolation,
};

use crate::case::KEY;

const ACCOUNT: &str = "111122223333";

fn named(name: &str, policy: &Value, kind: PolicyKind) -> Named {
    Named { name: name.to_owned(), policy: Policy::parse(&policy.to_string(), kind).expect("a policy") }
}

fn identity(policies: &[Value]) -> PolicySet {
    let named = |policy| named("identity", policy, PolicyKind::Identity);
    PolicySet { identity: policies.iter().map(named).collect(), ..PolicySet::default() }
}

fn generated(keeping: &Keeping) -> Value {
    serde_json::to_value(generate(keeping, Purpose::Admin).expect("a policy")).expect("JSON")
}

/// One bucket and one table for all, a prefix each.
fn keeping(name: &str) -> Keeping {
    let mut keeping = Keeping::new(Layout::S3, "states", name);
    keeping.below = true;
    keeping.workspaces = true;
    keeping.use_lockfile = true;
    keeping.lock_table = Some("locks".to_owned());
    keeping.kms_key = Some(KEY.to_owned());
    keeping.lock_table_key = Some(KEY.to_owned());
    keeping
}

fn environment(name: &str, keeping: Keeping) -> Environment {
    Environment {
        name: name.to_owned(),
        principal: format!("arn:aws:sts::{ACCOUNT}:assumed-role/{name}/run"),
        policies: identity(&[generated(&keeping)]),
        keeping,
        managed: Vec::new(),
        resource_policies: Vec::new(),
        trust: None,
    }
}

fn tried(environments: &[Environment]) -> Vec<Tried> {
    isolation(environments).expect("tried")
}

/// What is neither refused nor harmless, as `from -> to action`.
fn crossing(all: &[Tried]) -> Vec<String> {
    let crossing = all.iter().filter(|tried| matches!(tried.verdict, Verdict::Open | Verdict::Unproven));
    let mut crossing: Vec<String> =
        crossing.map(|tried| format!("{} -> {} {}", tried.from, tried.to, tried.action)).collect();
    crossing.dedup();
    crossing
}

#[test]
fn generated_policies_keep_environments_apart() {
    let all = tried(&["dev", "staging", "prod"].map(|name| environment(name, keeping(name))));
    assert_eq!(crossing(&all), [""; 0]);
    for pair in ["dev prod", "dev staging", "prod dev", "prod staging", "staging dev", "staging prod"] {
        let of = all.iter().filter(|tried| format!("{} {}", tried.from, tried.to) == pair);
        for needle in
            ["s3:GetObject", "s3:ListBucket", "dynamodb:PutItem", "dynamodb:Scan", "kms:Decrypt", "sts:AssumeRole"]
        {
            assert!(of.clone().any(|tried| tried.action == needle), "{pair}: {needle} was not tried");
        }
    }
    let mut shared: Vec<&str> =
        all.iter().filter(|tried| tried.verdict == Verdict::Shared).map(|tried| tried.action.as_str()).collect();
    shared.dedup();
    shared.sort_unstable();
    shared.dedup();
    assert_eq!(shared, ["kms:Decrypt", "kms:GenerateDataKey"], "one key for all, which opens no object by itself");
}

#[test]
fn generated_policies_keep_every_other_layout_apart() {
    for layout in [Layout::S3, Layout::Dynamodb, Layout::Stateward, Layout::StatewardDynamodb] {
        let environments = ["dev", "prod"].map(|name| {
            let (place, key) = match layout {
                // A store in a table is all of the table.
                Layout::StatewardDynamodb => (format!("states-{name}"), String::new()),
                Layout::S3 => ("states".to_owned(), format!("{name}/network.tfstate")),
                _ => ("states".to_owned(), name.to_owned()),
            };
            let mut keeping = Keeping::new(layout, place, key);
            keeping.lock_table = Some("locks".to_owned());
            environment(name, keeping)
        });
        let crossing = crossing(&tried(&environments));
        assert!(
            crossing.iter().all(|found| found.ends_with("dynamodb:Scan") && layout == Layout::Dynamodb),
            "{layout:?} {crossing:?}"
        );
    }
}

/// As `setup aws --environments` makes them; at the default, all would see the names of each other's workspaces.
#[test]
fn stores_are_kept_apart_where_each_has_its_own_workspaces() {
    for (prefix_of, expected) in [(Some("own"), &[][..]), (None, &["dev -> prod", "prod -> dev"])] {
        let environments = ["dev", "prod"].map(|name| {
            let keeping = Keeping {
                workspaces: true,
                workspace_prefix: prefix_of.map(|_| name.to_owned()),
                lock_table: Some("locks".to_owned()),
                ..Keeping::new(Layout::Stateward, "states", name)
            };
            environment(name, keeping)
        });
        let all = tried(&environments);
        let mut pairs: Vec<String> = all
            .iter()
            .filter(|tried| tried.verdict == Verdict::Open)
            .map(|tried| {
                assert_eq!((tried.action.as_str(), tried.about.as_deref()), ("s3:ListBucket", Some("env:/")));
                format!("{} -> {}", tried.from, tried.to)
            })
            .collect();
        pairs.dedup();
        assert_eq!(pairs, expected);
    }
}

#[test]
fn an_account_each_keeps_environments_apart_though_each_may_do_everything_in_its_own() {
    let everything = json!({"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}});
    let environments = ["dev", "prod"].map(|name| {
        let account = if name == "dev" { ACCOUNT } else { "444455556666" };
        let mut keeping = Keeping::new(Layout::S3, format!("states-{name}"), "network.tfstate");
        keeping.lock_table = Some("locks".to_owned());
        let principal = format!("arn:aws:iam::{account}:role/{name}");
        let policies = identity(std::slice::from_ref(&everything));
        Environment { principal, policies, ..environment(name, keeping) }
    });
    let all = tried(&environments);
    assert_eq!(crossing(&all), [""; 0]);
    assert!(all.iter().any(|tried| tried.action == "s3:GetObject" && tried.decision == Outcome::ImplicitDeny));
}

/// A leak, and what has to be named for it.
fn leaks() -> Vec<(Value, &'static str)> {
    let allow = |action: &str, resource: &str| json!({"Sid": "Leak", "Effect": "Allow", "Action": action, "Resource": resource});
    let object = |name: &str| format!("arn:aws:s3:::states/{name}");
    let table = format!("arn:aws:dynamodb:*:{ACCOUNT}:table/locks");
    let with = |mut statement: Value, condition: Value| {
        statement["Condition"] = condition;
        statement
    };
    let role = format!("arn:aws:iam::{ACCOUNT}:role/prod");
    vec![
        (allow("s3:GetObject", "arn:aws:s3:::states/*"), "s3:GetObject"),
        (allow("s3:GetObject", &object("*/network.tfstate")), "s3:GetObject"),
        (allow("s3:GetObject", &object("prod/secret/db.tfstate")), "s3:GetObject"),
        (allow("s3:GetObjectVersion", &object("p*")), "s3:GetObjectVersion"),
        (allow("s3:DeleteObject", &object("*.tflock")), "s3:DeleteObject"),
        (
            json!({"Sid": "Leak", "Effect": "Allow", "Action": "s3:PutObject", "NotResource": object("staging/*")}),
            "s3:PutObject",
        ),
        (
            json!({"Sid": "Leak", "Effect": "Allow", "NotAction": "s3:Delete*", "Resource": object("prod/*")}),
            "s3:GetObject",
        ),
        (allow("s3:ListBucket", "arn:aws:s3:::states"), "s3:ListBucket"),
        (
            with(
                allow("s3:ListBucket", "arn:aws:s3:::states"),
                json!({"StringLike": {"s3:prefix": ["dev/*", "prod/db*"]}}),
            ),
            "s3:ListBucket",
        ),
        (
            with(allow("s3:ListBucket", "arn:aws:s3:::states"), json!({"StringLikeIfExists": {"s3:prefix": "dev/*"}})),
            "s3:ListBucket",
        ),
        (allow("s3:PutBucketPolicy", "arn:aws:s3:::states"), "s3:PutBucketPolicy"),
        (allow("s3:*", "arn:aws:s3:::states"), "s3:DeleteBucket"),
        (allow("dynamodb:GetItem", &table), "dynamodb:GetItem"),
        (
            with(
                allow("dynamodb:PutItem", &table),
                json!({"ForAllValues:StringLike": {"dynamodb:LeadingKeys": "states/*"}}),
            ),
            "dynamodb:PutItem",
        ),
        (allow("dynamodb:Scan", &table), "dynamodb:Scan"),
        (
            with(
                allow("dynamodb:Query", &table),
                json!({"ForAllValues:StringLike": {"dynamodb:LeadingKeys": "states/dev/*"}}),
            ),
            "dynamodb:Query",
        ),
        (allow("dynamodb:DeleteTable", "*"), "dynamodb:DeleteTable"),
        (allow("dynamodb:GetRecords", &format!("{table}/stream/*")), "dynamodb:GetRecords"),
        (allow("kms:ScheduleKeyDeletion", KEY), "kms:ScheduleKeyDeletion"),
        (allow("kms:CreateGrant", "*"), "kms:CreateGrant"),
        (allow("sts:AssumeRole", &role), "sts:AssumeRole"),
        (allow("iam:UpdateAssumeRolePolicy", "*"), "iam:UpdateAssumeRolePolicy"),
        (allow("iam:PutRolePolicy", &format!("arn:aws:iam::{ACCOUNT}:role/dev")), "iam:PutRolePolicy"),
    ]
}

#[test]
fn each_planted_leak_is_found_and_its_statement_named() {
    for (statement, action) in leaks() {
        let mut leaky = environment("dev", keeping("dev"));
        leaky.policies =
            identity(&[generated(&leaky.keeping), json!({"Version": "2012-10-17", "Statement": [statement]})]);
        let all = tried(&[leaky, environment("prod", keeping("prod"))]);
        let open: Vec<&Tried> = all.iter().filter(|tried| tried.verdict == Verdict::Open).collect();
        let found = open.iter().find(|tried| tried.action == action && tried.from == "dev");
        let found = found.unwrap_or_else(|| panic!("{statement}: {:?}", crossing(&all)));
        assert!(found.statements.iter().any(|at| at.sid.as_deref() == Some("Leak")), "{found:?}");
        assert!(open.iter().all(|tried| tried.from == "dev"), "{:?}", crossing(&all));
    }
}

/// Whoever changes a policy changes what those may do that have it, or have it for a boundary.
#[test]
fn policies_themselves_are_tried() {
    let arn = |name: &str| format!("arn:aws:iam::{ACCOUNT}:policy/{name}");
    let dev = |action: &str, resource: &str| {
        let mut dev = environment("dev", keeping("dev"));
        let leak = json!({"Sid": "Leak", "Effect": "Allow", "Action": action, "Resource": resource});
        dev.policies = identity(&[generated(&dev.keeping), json!({"Version": "2012-10-17", "Statement": [leak]})]);
        dev.managed = vec![arn("dev"), arn("boundary"), "arn:aws:iam::aws:policy/ReadOnlyAccess".to_owned()];
        dev
    };
    let prod = Environment { managed: vec![arn("prod")], ..environment("prod", keeping("prod")) };
    for (action, resource, expected) in [
        ("iam:CreatePolicyVersion", arn("prod"), "dev -> prod iam:CreatePolicyVersion"),
        ("iam:SetDefaultPolicyVersion", arn("dev"), "dev -> prod iam:SetDefaultPolicyVersion"),
        ("iam:CreatePolicyVersion", arn("bound*"), "dev -> prod iam:CreatePolicyVersion"),
        ("iam:TagPolicy", arn("prod"), "dev -> prod iam:TagPolicy"),
        ("iam:TagPolicy", arn("dev"), ""),
        ("iam:GetPolicyVersion", "*".to_owned(), ""),
        ("iam:CreatePolicyVersion", arn("other"), ""),
        ("iam:CreatePolicyVersion", "arn:aws:iam::aws:policy/*".to_owned(), ""),
    ] {
        let all = tried(&[dev(action, &resource), prod.clone()]);
        assert_eq!(crossing(&all).concat(), expected, "{action} {resource}");
    }
    // In another account one's own rights reach nothing of it.
    let mut far = Environment { managed: Vec::new(), ..environment("prod", keeping("far")) };
    far.principal = "arn:aws:sts::444455556666:assumed-role/prod/run".to_owned();
    assert_eq!(crossing(&tried(&[dev("iam:CreatePolicyVersion", "*"), far])), [""; 0]);
    let odd = Environment { managed: vec!["policy/prod".to_owned()], ..prod };
    let refused = isolation(&[dev("iam:*", "*"), odd]).expect_err("no ARN");
    assert_eq!(refused.to_string(), "`prod`: `policy/prod` is no ARN of a managed policy");
}

#[test]
fn a_bucket_s_own_policy_may_open_what_the_principal_s_does_not() {
    let (dev, mut prod) = (environment("dev", keeping("dev")), environment("prod", keeping("prod")));
    let statement = json!({"Sid": "Leak", "Effect": "Allow", "Principal": {"AWS": format!("arn:aws:iam::{ACCOUNT}:role/dev")},
        "Action": "s3:GetObject", "Resource": "arn:aws:s3:::states/prod/*"});
    prod.resource_policies =
        vec![named("bucket", &json!({"Version": "2012-10-17", "Statement": [statement]}), PolicyKind::Resource)];
    let all = tried(&[dev, prod]);
    assert_eq!(crossing(&all), ["dev -> prod s3:GetObject"]);
}

#[test]
fn a_trust_policy_that_is_given_decides() {
    let assume =
        json!({"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": "*"}});
    let mut dev = environment("dev", keeping("dev"));
    dev.policies = identity(&[generated(&dev.keeping), assume]);
    let mut prod = environment("prod", keeping("prod"));
    let only = json!({"Version": "2012-10-17", "Statement": {"Effect": "Allow",
        "Principal": {"AWS": "arn:aws:iam::444455556666:root"}, "Action": "sts:AssumeRole"}});
    assert_eq!(crossing(&tried(&[dev.clone(), prod.clone()])), ["dev -> prod sts:AssumeRole"]);
    prod.trust = Some(named("trust", &only, PolicyKind::Trust));
    assert_eq!(crossing(&tried(&[dev, prod])), [""; 0]);
}

/// A store in a table is all of the table: whoever may read the table may read it.
#[test]
fn a_table_that_keeps_a_store_is_tried() {
    let [mut dev, prod] = ["dev", "prod"]
        .map(|name| environment(name, Keeping::new(Layout::StatewardDynamodb, format!("states-{name}"), "")));
    let all = json!({"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": ["dynamodb:GetItem", "dynamodb:RestoreTableFromBackup"], "Resource": "*"}});
    dev.policies = identity(&[generated(&dev.keeping), all]);
    assert_eq!(
        crossing(&tried(&[dev.clone(), prod.clone()])),
        ["dev -> prod dynamodb:GetItem", "dev -> prod dynamodb:RestoreTableFromBackup"]
    );
    let some = json!({"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "dynamodb:Query", "Resource": "*",
        "Condition": {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["a*"]}, "Null": {"dynamodb:LeadingKeys": "false"}}}});
    dev.policies = identity(&[generated(&dev.keeping), some]);
    assert_eq!(crossing(&tried(&[dev.clone(), prod.clone()])), ["dev -> prod dynamodb:Query"]);
    let mut same = prod;
    same.keeping = Keeping::new(Layout::StatewardDynamodb, "states-dev", "");
    assert!(matches!(isolation(&[dev, same]), Err(IsolationError::Same { .. })));
}

/// A listing under a shorter prefix tells the names under a longer one.
#[test]
fn listings_of_more_than_the_other_has_are_tried() {
    let prod = environment("prod", keeping("prod"));
    for (prefix, action) in
        [("", "s3:ListBucket"), ("pro", "s3:ListBucket"), ("prod", "s3:ListBucketVersions"), ("prod/", "s3:ListBucket")]
    {
        let mut dev = environment("dev", keeping("dev"));
        let lists = json!({"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": action, "Resource": "arn:aws:s3:::states",
            "Condition": {"StringEquals": {"s3:prefix": prefix}}}});
        dev.policies = identity(&[generated(&dev.keeping), lists]);
        assert_eq!(crossing(&tried(&[dev, prod.clone()])), [format!("dev -> prod {action}")], "{prefix:?}");
    }
}

/// Whoever takes a role chooses the name of the session.
#[test]
fn sessions_that_the_other_lets_in_are_tried() {
    let dev =
        Environment { principal: format!("arn:aws:iam::{ACCOUNT}:role/dev"), ..environment("dev", keeping("dev")) };
    let session = format!("arn:aws:sts::{ACCOUNT}:assumed-role/dev/maintenance");
    let policy = |action: &str, resource: Option<&str>| {
        let mut statement = json!({"Effect": "Allow", "Principal": {"AWS": session}, "Action": action});
        if let Some(resource) = resource {
            statement["Resource"] = json!(resource);
        }
        json!({"Version": "2012-10-17", "Statement": statement})
    };
    let mut prod = environment("prod", keeping("prod"));
    let bucket = policy("s3:GetObject", Some("arn:aws:s3:::states/prod/*"));
    prod.resource_policies = vec![named("bucket", &bucket, PolicyKind::Resource)];
    assert_eq!(crossing(&tried(&[dev.clone(), prod.clone()])), ["dev -> prod s3:GetObject"]);
    prod.resource_policies.clear();
    prod.trust = Some(named("trust", &policy("sts:AssumeRole", None), PolicyKind::Trust));
    assert_eq!(crossing(&tried(&[dev, prod])), ["dev -> prod sts:AssumeRole"]);
}

/// What a trust policy asks for beside the principal may be so.
#[test]
fn a_trust_policy_under_conditions_proves_nothing() {
    for (operator, key, value) in
        [("StringEquals", "aws:PrincipalOrgID", "o-1"), ("StringEquals", "sts:ExternalId", "x")]
    {
        let dev =
            Environment { principal: format!("arn:aws:iam::{ACCOUNT}:role/dev"), ..environment("dev", keeping("dev")) };
        let mut prod = environment("prod", keeping("prod"));
        let trust = json!({"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Principal": {"AWS": dev.principal},
            "Action": "sts:AssumeRole", "Condition": {operator: {key: value}}}});
        prod.trust = Some(named("trust", &trust, PolicyKind::Trust));
        let all = tried(&[dev, prod]);
        let open: Vec<&Tried> = all.iter().filter(|tried| tried.verdict == Verdict::Unproven).collect();
        assert!(matches!(open.as_slice(), [one] if one.action == "sts:AssumeRole"), "{key}: {open:?}");
    }
}

#[test]
fn what_depends_on_the_unknown_is_not_proven() {
    let mut dev = environment("dev", keeping("dev"));
    let tagged = json!({"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "s3:GetObject",
        "Resource": "arn:aws:s3:::states/prod/*", "Condition": {"StringEquals": {"s3:ExistingObjectTag/team": "dev"}}}});
    dev.policies = identity(&[generated(&dev.keeping), tagged]);
    let all = tried(&[dev, environment("prod", keeping("prod"))]);
    let open: Vec<&Tried> = all.iter().filter(|tried| tried.verdict == Verdict::Unproven).collect();
    assert!(!open.is_empty() && open.iter().all(|tried| tried.depends_on == ["s3:ExistingObjectTag/team"]), "{open:?}");
}

/// A bucket's policy that refuses writes with another key asks for what a request may or may not say; who is let do nothing stays refused.
#[test]
fn a_refusal_that_depends_on_the_unknown_opens_nothing() {
    let mut environments = ["dev", "prod"].map(|name| environment(name, keeping(name)));
    let other_key = json!({"Null": {"s3:x-amz-server-side-encryption-aws-kms-key-id": "false"}, "StringNotEquals": {"s3:x-amz-server-side-encryption-aws-kms-key-id": KEY}});
    let policy = json!({"Version": "2012-10-17", "Statement": {"Effect": "Deny", "Principal": "*", "Action": "s3:PutObject", "Resource": "arn:aws:s3:::states/*", "Condition": other_key}});
    for one in &mut environments {
        one.resource_policies = vec![named("bucket", &policy, PolicyKind::Resource)];
    }
    let all = tried(&environments);
    assert!(all.iter().any(|tried| tried.decision == Outcome::Depends), "by which statement it is refused depends");
    assert_eq!(crossing(&all), [""; 0]);
}

#[test]
fn environments_that_make_no_sense_are_refused() {
    let (dev, prod) = (environment("dev", keeping("dev")), environment("prod", keeping("prod")));
    let refused = |environments: &[Environment]| isolation(environments).expect_err("refused");
    assert_eq!(refused(std::slice::from_ref(&dev)), IsolationError::Alone);
    assert_eq!(refused(&[dev.clone(), dev.clone()]), IsolationError::Name("dev".to_owned()));
    let same = Environment { keeping: keeping("dev"), ..prod.clone() };
    assert!(matches!(refused(&[dev.clone(), same]), IsolationError::Same { .. }));
    // One role carries the policies of both, by whatever session.
    let role = Environment { principal: format!("arn:aws:iam::{ACCOUNT}:role/dev"), ..prod.clone() };
    assert!(matches!(refused(&[dev.clone(), role]), IsolationError::Principal { .. }));
    let nobody = Environment { principal: "dev".to_owned(), ..prod.clone() };
    assert!(matches!(refused(&[nobody, dev.clone()]), IsolationError::Request { .. }));
    let mut odd = prod;
    odd.keeping.key = "a/*".to_owned();
    assert!(matches!(refused(&[dev, odd]), IsolationError::Keeping { .. }));
}
