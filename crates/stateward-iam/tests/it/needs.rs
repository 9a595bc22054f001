//! Generated policies: they allow all that is needed, and nothing of them can be left out.

use serde_json::{Value, json};
use stateward_iam::{
    CheckItem, Keeping, Layout, Named, Outcome, Policy, PolicyKind, PolicySet, Purpose, check, generate,
    generate_split, lint, size_limit,
};

use crate::case::{KEY, SESSION, USER, deny, everything};

/// Every way of keeping state.
fn keepings() -> Vec<Keeping> {
    let mut all = Vec::new();
    for layout in [Layout::S3, Layout::Dynamodb, Layout::Stateward, Layout::StatewardDynamodb] {
        for options in 0..16 {
            let has = |bit: u8| options & (1 << bit) != 0;
            let in_table = matches!(layout, Layout::Dynamodb | Layout::StatewardDynamodb);
            if in_table && has(2) {
                continue;
            }
            // A store in a table is all of the table.
            let key = if layout == Layout::StatewardDynamodb { "" } else { "prod/network.tfstate" };
            let mut keeping = Keeping::new(layout, "states", key);
            keeping.workspaces = has(0);
            keeping.lock_table = has(1).then(|| "locks".to_owned());
            keeping.use_lockfile = has(2);
            keeping.kms_key = has(3).then(|| KEY.to_owned());
            keeping.lock_table_key = (has(1) && has(3)).then(|| KEY.to_owned());
            if layout == Layout::S3 {
                all.push(Keeping { key: "prod".to_owned(), below: true, ..keeping.clone() });
                all.push(Keeping { workspace_prefix: Some("spaces".to_owned()), ..keeping.clone() });
            }
            if layout == Layout::Stateward {
                let of = |key: &str, workspaces: &str| Keeping {
                    key: key.to_owned(),
                    workspace_prefix: Some(workspaces.to_owned()),
                    ..keeping.clone()
                };
                all.extend([of("", "env:"), of("prod", "prod"), of("prod", "prod/spaces"), of("team/prod", "team")]);
            }
            all.push(keeping);
        }
    }
    all
}

fn named(name: &str, policy: &Value, kind: PolicyKind) -> Named {
    Named { name: name.to_owned(), policy: Policy::parse(&policy.to_string(), kind).expect("a policy") }
}

fn with(identity: &Value) -> PolicySet {
    PolicySet { identity: vec![named("identity", identity, PolicyKind::Identity)], ..PolicySet::default() }
}

fn generated(keeping: &Keeping, purpose: Purpose) -> Value {
    serde_json::to_value(generate(keeping, purpose).expect("a policy")).expect("JSON")
}

fn refused(keeping: &Keeping, purpose: Purpose, policies: &PolicySet) -> Vec<CheckItem> {
    let items = check(keeping, purpose, SESSION, policies, &[]).expect("checked");
    assert!(!items.is_empty(), "something is needed: {keeping:?}");
    items.into_iter().filter(|item| item.decision != Outcome::Allowed).collect()
}

#[test]
fn everything_needed_is_allowed_and_the_lint_is_silent() {
    for keeping in keepings() {
        for purpose in Purpose::ALL {
            let policy = generated(&keeping, purpose);
            assert_eq!(refused(&keeping, purpose, &with(&policy)), [], "{keeping:?} {purpose:?} {policy}");
            let document = generate(&keeping, purpose).expect("a policy").to_json();
            assert_eq!(lint(&document, PolicyKind::Identity), [], "{document}");
            let size = Policy::parse(&document, PolicyKind::Boundary).expect("a policy").size();
            assert!(size <= size_limit(PolicyKind::Boundary).0, "{size} characters: {document}");
        }
    }
}

#[test]
fn no_action_can_be_left_out() {
    for keeping in keepings() {
        for purpose in Purpose::ALL {
            let policy = generated(&keeping, purpose);
            let statements = policy["Statement"].as_array().expect("a list").iter().enumerate();
            for (number, statement) in statements.filter(|(_, statement)| statement["Effect"] == "Allow") {
                for action in 0..statement["Action"].as_array().expect("a list").len() {
                    let mut less = policy.clone();
                    let removed = less["Statement"][number]["Action"].as_array_mut().expect("a list").remove(action);
                    let broken = refused(&keeping, purpose, &with(&less));
                    let breaks = broken.iter().any(|item| item.action == removed && !item.needed_for.is_empty());
                    assert!(breaks, "{removed} is not needed: {keeping:?} {purpose:?} {policy}");
                }
            }
        }
    }
}

#[test]
fn no_resource_and_no_leading_key_can_be_left_out() {
    let keeping = Keeping {
        workspaces: true,
        use_lockfile: true,
        lock_table: Some("locks".to_owned()),
        ..Keeping::new(Layout::S3, "states", "prod/network.tfstate")
    };
    // States, lock files, lock items and digest items have two names each, and the names are of states and of lock files.
    assert_eq!(left_out(&keeping), 12);
    // A store has any names, which those of digest items and lock files are, too: listed, its own, of lock files that are deleted, of items.
    assert_eq!(left_out(&Keeping { layout: Layout::Stateward, key: "prod".to_owned(), ..keeping }), 8);
}

/// How many resources, leading keys and names the policy for an apply has beside others of its statements; none can be left out.
fn left_out(keeping: &Keeping) -> usize {
    const PATHS: [&str; 3] =
        ["Resource", "Condition/ForAllValues:StringLike/dynamodb:LeadingKeys", "Condition/StringLike/s3:prefix"];
    let policy = generated(keeping, Purpose::Apply);
    let mut tried = 0;
    for number in 0..policy["Statement"].as_array().expect("a list").len() {
        if policy["Statement"][number]["Effect"] == "Deny" {
            continue;
        }
        for path in PATHS {
            let pointer = format!("/Statement/{number}/{path}");
            let values = policy.pointer(&pointer).and_then(Value::as_array).map_or(0, Vec::len);
            for value in (0..values).filter(|_| values > 1) {
                let mut less = policy.clone();
                less.pointer_mut(&pointer).expect("there").as_array_mut().expect("a list").remove(value);
                assert_ne!(refused(keeping, Purpose::Apply, &with(&less)), [], "{pointer} {value}");
                tried += 1;
            }
        }
    }
    tried
}

/// A store lists where workspaces are, and keeps their states there: Terraform's, too.
#[test]
fn a_store_s_workspaces_are_allowed_wherever_they_are() {
    let store = |key: &str, workspaces: &str| Keeping {
        workspaces: true,
        workspace_prefix: Some(workspaces.to_owned()),
        use_lockfile: true,
        lock_table: Some("locks".to_owned()),
        ..Keeping::new(Layout::Stateward, "states", key)
    };
    for (key, workspaces) in
        [("dev", "env:"), ("dev", "dev"), ("dev", "dev/ws"), ("team/dev", "team"), ("", "env:"), ("dev", "")]
    {
        let keeping = store(key, workspaces);
        let policy = with(&generated(&keeping, Purpose::Admin));
        let state = if key.is_empty() { "network".to_owned() } else { format!("{key}/network") };
        let of_terraform = Keeping { layout: Layout::S3, key: state, ..keeping };
        assert_eq!(
            refused(&of_terraform, Purpose::Admin, &policy),
            [],
            "below `{key}`, workspaces below `{workspaces}`"
        );
    }
    // Where what covers the states covers the workspaces, nothing more is said.
    for (key, workspaces) in [("dev", "dev"), ("dev", "dev/ws"), ("", "env:")] {
        let keeping = store(key, workspaces);
        let without = Keeping { workspaces: false, ..keeping.clone() };
        for purpose in Purpose::ALL {
            assert_eq!(generated(&keeping, purpose), generated(&without, purpose), "`{key}` `{workspaces}`");
        }
    }
    // Those of a store whose prefix ends alike stay its own.
    let policy = with(&generated(&store("dev", "env:"), Purpose::Admin));
    assert_eq!(
        open(&store("prod/dev", "env:"), &policy),
        ["s3:ListBucket"],
        "the names of all workspaces are below one prefix"
    );
}

#[test]
fn the_policy_of_a_store_with_workspaces_beside_it_is_this_one() {
    let keeping = Keeping { workspaces: true, use_lockfile: true, ..Keeping::new(Layout::Stateward, "states", "dev") };
    assert_eq!(
        generated(&keeping, Purpose::Plan),
        json!({"Version": "2012-10-17", "Statement": [
            {"Sid": "Names", "Effect": "Allow", "Action": ["s3:ListBucket"], "Resource": ["arn:aws:s3:::states"],
             "Condition": {"StringLike": {"s3:prefix": ["dev/*", "env:/*/dev/*"]}, "StringNotLike": {"s3:prefix": ["env:/*/*/dev/*"]}}},
            {"Sid": "Workspaces", "Effect": "Allow", "Action": ["s3:ListBucket"], "Resource": ["arn:aws:s3:::states"],
             "Condition": {"StringEquals": {"s3:prefix": ["env:/"]}}},
            {"Sid": "Store", "Effect": "Allow", "Action": ["s3:GetObject"],
             "Resource": ["arn:aws:s3:::states/dev/*", "arn:aws:s3:::states/env:/*/dev/*"]},
            {"Sid": "Records", "Effect": "Allow", "Action": ["s3:DeleteObject", "s3:PutObject"],
             "Resource": ["arn:aws:s3:::states/dev/.stateward/*"]},
            {"Sid": "Lockfiles", "Effect": "Allow", "Action": ["s3:DeleteObject", "s3:PutObject"],
             "Resource": ["arn:aws:s3:::states/dev/*.tflock", "arn:aws:s3:::states/env:/*/dev/*.tflock"]},
            {"Sid": "OtherStates", "Effect": "Deny", "Action": ["s3:*"], "Resource": ["arn:aws:s3:::states/env:/*/*/dev/*"]},
        ]})
    );
}

#[test]
fn a_purpose_does_not_allow_the_next_one() {
    let mut keeping = Keeping::new(Layout::S3, "states", "prod/network.tfstate");
    keeping.use_lockfile = true;
    for pair in Purpose::ALL.windows(2) {
        let [less, more] = pair else { panic!("two") };
        assert_ne!(refused(&keeping, *more, &with(&generated(&keeping, *less))), [], "{less:?} {more:?}");
    }
    let split = generate_split(&keeping).expect("policies");
    for (purpose, document) in split {
        assert_eq!(serde_json::to_value(document).expect("JSON"), generated(&keeping, purpose));
    }
}

#[test]
fn another_state_is_not_allowed() {
    let mut keeping = Keeping::new(Layout::S3, "states", "prod/network.tfstate");
    keeping.lock_table = Some("locks".to_owned());
    let policy = with(&generated(&keeping, Purpose::Admin));
    let other = Keeping { key: "prod/other.tfstate".to_owned(), ..keeping };
    assert_eq!(open(&other, &policy), [""; 0], "not even names are seen");
}

fn open(keeping: &Keeping, policies: &PolicySet) -> Vec<&'static str> {
    let items = check(keeping, Purpose::Admin, SESSION, policies, &[]).expect("checked");
    let allowed = items.iter().filter(|item| item.decision == Outcome::Allowed);
    allowed.map(|item| item.action).collect()
}

/// `env:/*/network.tfstate` covers `env:/dev/prod/network.tfstate`, which is another state's.
#[test]
fn a_state_whose_key_ends_alike_is_not_allowed_in_workspaces_either() {
    for layout in [Layout::S3, Layout::Dynamodb] {
        let mut keeping = Keeping::new(layout, "states", "network.tfstate");
        keeping.workspaces = true;
        keeping.use_lockfile = layout == Layout::S3;
        keeping.lock_table = Some("locks".to_owned());
        let policy = with(&generated(&keeping, Purpose::Admin));
        let other = Keeping { key: "prod/network.tfstate".to_owned(), ..keeping };
        let shared = open(&other, &policy);
        // All workspaces stand below one prefix, and whoever may see theirs sees the names of the others.
        let expected: &[&str] = if layout == Layout::S3 { &["s3:ListBucket"] } else { &["dynamodb:Scan"] };
        assert_eq!(shared, expected, "{layout:?}");
    }
}

/// What keeps one of them out of the other's workspaces keeps a role out that has both.
#[test]
fn one_role_for_two_states_whose_keys_end_alike() {
    let outer = Keeping { workspaces: true, ..Keeping::new(Layout::S3, "states", "network.tfstate") };
    let inner = Keeping { key: "prod/network.tfstate".to_owned(), ..outer.clone() };
    let both = |outer: &Keeping, inner: &Keeping| {
        let policies = [outer, inner].map(|keeping| generated(keeping, Purpose::Apply));
        let identity = policies.iter().map(|policy| named("identity", policy, PolicyKind::Identity)).collect();
        PolicySet { identity, ..PolicySet::default() }
    };
    let blocked = refused(&inner, Purpose::Apply, &both(&outer, &inner));
    let by =
        |item: &CheckItem| item.statements.iter().map(|made| made.sid.clone().unwrap_or_default()).collect::<Vec<_>>();
    assert!(!blocked.is_empty());
    for item in &blocked {
        assert_eq!((item.decision, by(item)), (Outcome::ExplicitDeny, vec!["OtherStates".to_owned()]), "{item:?}");
        assert!(item.resource.contains("env:/dev/prod/network.tfstate"), "in a workspace alone: {item:?}");
    }
    assert_eq!(refused(&outer, Purpose::Apply, &both(&outer, &inner)), []);
    let inner = Keeping { workspace_prefix: Some("prod".to_owned()), ..inner };
    let policies = both(&outer, &inner);
    for keeping in [&outer, &inner] {
        assert_eq!(refused(keeping, Purpose::Apply, &policies), [], "each has workspaces of its own: {keeping:?}");
    }
}

#[test]
fn below_a_prefix_everything_is_allowed_and_beside_it_nothing() {
    let mut dev = Keeping::new(Layout::S3, "states", "dev");
    dev.below = true;
    dev.workspaces = true;
    dev.use_lockfile = true;
    dev.lock_table = Some("locks".to_owned());
    let policy = with(&generated(&dev, Purpose::Admin));
    let state = |key: &str| Keeping {
        key: key.to_owned(),
        below: false,
        workspace_prefix: Some(key.split('/').next().expect("a part").to_owned()),
        ..dev.clone()
    };
    assert_eq!(refused(&state("dev/a/network.tfstate"), Purpose::Admin, &policy), []);
    for key in ["prod/network.tfstate", "development/network.tfstate", "network.tfstate"] {
        assert_eq!(open(&state(key), &policy), [""; 0], "{key}");
    }
}

#[test]
fn the_policy_of_a_plan_is_this_one() {
    let mut keeping = Keeping::new(Layout::S3, "states", "prod/network.tfstate");
    keeping.use_lockfile = true;
    assert_eq!(
        generated(&keeping, Purpose::Plan),
        json!({"Version": "2012-10-17", "Statement": [
            {"Sid": "Names", "Effect": "Allow", "Action": ["s3:ListBucket"], "Resource": ["arn:aws:s3:::states"],
             "Condition": {"StringLike": {"s3:prefix": ["prod/network.tfstate", "prod/network.tfstate.tflock"]}}},
            {"Sid": "States", "Effect": "Allow", "Action": ["s3:GetObject"],
             "Resource": ["arn:aws:s3:::states/prod/network.tfstate"]},
            {"Sid": "Lockfiles", "Effect": "Allow", "Action": ["s3:DeleteObject", "s3:GetObject", "s3:PutObject"],
             "Resource": ["arn:aws:s3:::states/prod/network.tfstate.tflock"]},
        ]})
    );
}

#[test]
fn names_that_would_mean_something_else_are_refused() {
    let good = Keeping::new(Layout::S3, "states", "a");
    let table = Keeping::new(Layout::Dynamodb, "states", "a");
    let outside = Keeping { below: true, workspace_prefix: Some("env:".to_owned()), ..good.clone() };
    for (keeping, expected) in [
        (Keeping { place: "st*".to_owned(), ..good.clone() }, "`st*` is no name of a bucket"),
        (Keeping { key: "a/*".to_owned(), ..good.clone() }, "`a/*` is no key of a state"),
        (Keeping { key: String::new(), ..good.clone() }, "the state has no key"),
        (Keeping { lock_table: Some("a/b".to_owned()), ..good.clone() }, "`a/b` is no name of a table"),
        (Keeping { region: "EU".to_owned(), ..good.clone() }, "`EU` is no Region"),
        (Keeping { region: "-".to_owned(), ..good.clone() }, "`-` is no Region"),
        (Keeping { partition: "a*".to_owned(), ..good.clone() }, "`a*` is no partition"),
        (Keeping::new(Layout::StatewardDynamodb, "states", "a"), "a store in a table is all of that table"),
        (Keeping { account: "12".to_owned(), ..good.clone() }, "`12` is no account"),
        (Keeping { kms_key: Some("alias/x".to_owned()), ..good.clone() }, "`alias/x` is no ARN of a KMS key"),
        (
            Keeping { lock_table_key: Some(KEY.to_owned()), ..good },
            "there is a key for the lock table, and no lock table",
        ),
        (Keeping { below: true, ..table.clone() }, "only states of the `s3` backend are taken together"),
        (Keeping { use_lockfile: true, ..table }, "state in a table has no lock file"),
        (outside, "workspaces at `env:` do not lie below `a`"),
    ] {
        let error = generate(&keeping, Purpose::Plan).expect_err(expected).to_string();
        assert!(error.starts_with(expected), "{error}");
    }
    // Of old, or of another maker.
    let old = Keeping { place: "Acme_States".to_owned(), ..Keeping::new(Layout::S3, "states", "a") };
    assert!(generate(&old, Purpose::Plan).is_ok());
    let error = "write".parse::<Purpose>().expect_err("no purpose").to_string();
    assert_eq!(error, "`write` must be one of `read-only`, `plan`, `apply`, `admin`");
}

#[test]
fn names_that_nothing_of_aws_has_are_refused() {
    let good = Keeping { region: "eu-west-1".to_owned(), ..Keeping::new(Layout::S3, "states", "a") };
    assert_eq!(good.names(), Ok(()));
    assert_eq!(Keeping { place: "Acme_States".to_owned(), ..good.clone() }.names(), Ok(()));
    let china = |region: &str| Keeping { partition: "aws-cn".to_owned(), region: region.to_owned(), ..good.clone() };
    assert_eq!(china("cn-north-1").names(), Ok(()));
    assert_eq!(china("*").names(), Ok(()));
    for (keeping, expected) in [
        (Keeping { place: "a..b".to_owned(), ..good.clone() }, "`a..b` is no name of a bucket"),
        (Keeping { place: "states--x-s3".to_owned(), ..good.clone() }, "names such as `states--x-s3` are kept by S3"),
        (Keeping { partition: "mars".to_owned(), ..good.clone() }, "`mars` is no partition"),
        (china("eu-west-1"), "`eu-west-1` is of the partition `aws`, and not of `aws-cn`"),
        (
            Keeping { kms_key: Some(KEY.to_owned()), ..china("*") },
            "the key `arn:aws:kms:eu-west-1:111122223333:key/0a1b` is of the partition `aws`",
        ),
        (Keeping { key: "a/*".to_owned(), ..good }, "`a/*` is no key of a state"),
    ] {
        let error = keeping.names().expect_err(expected).to_string();
        assert!(error.starts_with(expected), "{error}");
    }
}

#[test]
fn the_statement_in_the_way_is_named_and_what_it_demands() {
    let keeping = Keeping::new(Layout::S3, "states", "prod/network.tfstate");
    let demands = deny(&json!({"Sid": "Tags", "Action": "s3:PutObject",
        "Condition": {"Null": {"s3:RequestObjectTag/team": "true"}}}));
    let encrypts = deny(&json!({"Sid": "Encrypt", "Action": "s3:PutObject",
        "Condition": {"StringNotEquals": {"s3:x-amz-server-side-encryption": "aws:kms"}}}));
    for (scp, sid, expected) in
        [(demands, "Tags", "the tag `team` on what is written"), (encrypts, "Encrypt", "`encrypt = true`")]
    {
        let level = vec![named("all", &everything(), PolicyKind::Scp), named("guard", &scp, PolicyKind::Scp)];
        let policies = PolicySet { scps: Some(vec![level]), ..with(&generated(&keeping, Purpose::Apply)) };
        let refused = refused(&keeping, Purpose::Apply, &policies);
        let [item] = refused.as_slice() else { panic!("one action: {refused:?}") };
        assert_eq!((item.action, item.decision), ("s3:PutObject", Outcome::ExplicitDeny));
        assert_eq!(item.needed_for, ["write the state", "write a state of more than 5 MiB"]);
        let [statement] = item.statements.as_slice() else { panic!("one statement: {item:?}") };
        assert_eq!((statement.policy.as_str(), statement.sid.as_deref()), ("guard", Some(sid)));
        assert!(item.add.iter().any(|add| add.starts_with(expected)), "{item:?}");
    }
}

/// What the first refused or open item says to add, and the keys it depends on, for a statement that denies under a condition.
fn denied(condition: &Value) -> (Outcome, Vec<String>, Vec<String>) {
    let keeping = Keeping::new(Layout::S3, "acme-states", "net.tfstate");
    let policy = json!({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": "*", "Resource": "*"},
        {"Effect": "Deny", "Action": "s3:*", "Resource": "*", "Condition": condition}
    ]});
    let items = check(&keeping, Purpose::Apply, USER, &with(&policy), &[]).expect("checked");
    let item = items.iter().find(|item| item.action == "s3:GetObject").expect("an item");
    (item.decision, item.depends_on.clone(), item.add.clone())
}

#[test]
fn what_each_request_to_s3_has_is_not_taken_for_absent() {
    for (condition, decision, key) in [
        (json!({"NumericLessThan": {"s3:TlsVersion": "1.3"}}), Outcome::Depends, Some("s3:TlsVersion")),
        (
            json!({"StringNotEquals": {"s3:ResourceAccount": "111122223333"}}),
            Outcome::Depends,
            Some("s3:ResourceAccount"),
        ),
        (
            json!({"StringEquals": {"s3:ExistingObjectTag/secret": "yes"}}),
            Outcome::Depends,
            Some("s3:ExistingObjectTag/secret"),
        ),
        (json!({"StringNotEquals": {"s3:signatureversion": "AWS4-HMAC-SHA256"}}), Outcome::Allowed, None),
        (json!({"StringNotEquals": {"s3:authType": "REST-HEADER"}}), Outcome::Allowed, None),
        (json!({"StringEquals": {"s3:authType": "REST-QUERY-STRING"}}), Outcome::Allowed, None),
    ] {
        let (decided, depends_on, _) = denied(&condition);
        assert_eq!((decided, depends_on.first().map(String::as_str)), (decision, key), "{condition}");
    }
}

#[test]
fn nothing_is_advised_that_the_statement_denies() {
    for (condition, expected) in [
        (
            json!({"StringEquals": {"aws:RequestedRegion": "eu-west-1"}}),
            "a Region that the statement does not name (it refuses `eu-west-1`)",
        ),
        (
            json!({"StringNotEquals": {"aws:RequestedRegion": "eu-west-1"}}),
            "a Region that the statement permits (`eu-west-1`)",
        ),
        (
            json!({"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}),
            "a run from another network than the statement names (`10.0.0.0/8`)",
        ),
        (
            json!({"NotIpAddress": {"aws:SourceIp": "10.0.0.0/8"}}),
            "a run from the network that the statement names (`10.0.0.0/8`)",
        ),
        (
            json!({"StringEquals": {"aws:SourceVpce": "vpce-1"}}),
            "a run from another network than the statement names (`vpce-1`)",
        ),
        (json!({"Bool": {"aws:MultiFactorAuthPresent": "true"}}), ""),
        (
            json!({"BoolIfExists": {"aws:MultiFactorAuthPresent": "false"}}),
            "a session that was opened with MFA; keys of a user have none",
        ),
        (json!({"Bool": {"aws:SecureTransport": "true"}}), ""),
    ] {
        assert_eq!(denied(&condition).2.join("; "), expected, "{condition}");
    }
}

#[test]
fn what_a_run_does_not_tell_is_left_open() {
    let keeping = Keeping::new(Layout::S3, "states", "prod/network.tfstate");
    let mut policy = generated(&keeping, Purpose::ReadOnly);
    for statement in policy["Statement"].as_array_mut().expect("a list") {
        statement["Condition"] = json!({"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}});
    }
    let items = refused(&keeping, Purpose::ReadOnly, &with(&policy));
    assert!(items.iter().all(|item| item.decision == Outcome::Depends), "{items:?}");
    assert!(items.iter().all(|item| item.depends_on == ["aws:SourceIp"]), "{items:?}");
}

#[test]
fn policies_of_resources_count_for_their_resource() {
    let mut keeping = Keeping::new(Layout::S3, "states", "prod/network.tfstate");
    keeping.kms_key = Some(KEY.to_owned());
    let statement = |action: &str, resource: &str| {
        json!({"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Principal": {"AWS": USER},
            "Action": action, "Resource": resource}})
    };
    let bucket = named("bucket", &statement("s3:*", "*"), PolicyKind::Resource);
    let key = named("key", &statement("kms:*", "*"), PolicyKind::Resource);
    let run = |resource_policies: &[Named]| {
        let items = check(&keeping, Purpose::Apply, USER, &PolicySet::default(), resource_policies).expect("checked");
        let refused: Vec<&str> =
            items.iter().filter(|item| item.decision != Outcome::Allowed).map(|item| item.action).collect();
        refused
    };
    assert_eq!(run(&[bucket.clone(), key.clone()]), [""; 0]);
    assert_eq!(run(&[bucket]), ["kms:Decrypt", "kms:GenerateDataKey"]);
    assert_eq!(run(&[key]), ["s3:GetObject", "s3:ListBucket", "s3:PutObject"]);
}

/// `DynamoDB` uses a table's key for whoever reads or writes items, and S3 a bucket's.
#[test]
fn each_service_uses_its_key() {
    let mut keeping = Keeping::new(Layout::S3, "states", "prod/network.tfstate");
    keeping.lock_table = Some("locks".to_owned());
    keeping.kms_key = Some(KEY.to_owned());
    let plain = generated(&keeping, Purpose::Apply);
    keeping.lock_table_key = Some(KEY.to_owned());
    let broken = refused(&keeping, Purpose::Apply, &with(&plain));
    let [item] = broken.as_slice() else { panic!("one action: {broken:?}") };
    assert_eq!((item.action, item.needed_for.as_slice()), ("kms:Decrypt", &["use the encrypted lock table"][..]));
    let whole = generated(&keeping, Purpose::Apply);
    let statements = whole["Statement"].as_array().expect("a list").iter();
    let of_keys: Vec<_> = statements
        .filter(|statement| statement["Resource"] == json!([KEY]))
        .map(|statement| (&statement["Action"], &statement["Condition"]["StringLike"]["kms:ViaService"]))
        .collect();
    let expected = [
        (json!(["kms:Decrypt", "kms:GenerateDataKey"]), json!(["s3.*.amazonaws.com"])),
        (json!(["kms:Decrypt"]), json!(["dynamodb.*.amazonaws.com"])),
    ];
    assert_eq!(of_keys, expected.each_ref().map(|(action, via)| (action, via)));
}

/// An endpoint of S3 has a say about what is asked of S3, and not about the key that S3 then uses.
#[test]
fn a_vpc_endpoint_has_no_say_about_the_key() {
    let mut keeping = Keeping::new(Layout::S3, "states", "prod/network.tfstate");
    keeping.kms_key = Some(KEY.to_owned());
    let of_s3 = json!({"Statement": {"Effect": "Allow", "Principal": "*", "Action": ["s3:GetObject", "s3:ListBucket"], "Resource": "*"}});
    let endpoint = named("endpoint", &of_s3, PolicyKind::VpcEndpoint);
    let policies = PolicySet { vpc_endpoint: Some(vec![endpoint]), ..with(&generated(&keeping, Purpose::Apply)) };
    let refused = refused(&keeping, Purpose::Apply, &policies);
    let actions: Vec<&str> = refused.iter().map(|item| item.action).collect();
    assert_eq!(actions, ["s3:PutObject"], "{refused:?}");
}

#[test]
fn the_region_is_the_one_that_is_named() {
    let mut keeping = Keeping::new(Layout::S3, "states", "prod/network.tfstate");
    keeping.lock_table = Some("locks".to_owned());
    let narrow = |keeping: &Keeping, region: &str| {
        let keeping = Keeping { region: region.to_owned(), ..keeping.clone() };
        with(&generated(&keeping, Purpose::Apply))
    };
    assert_eq!(refused(&keeping, Purpose::Apply, &narrow(&keeping, "us-east-2")), []);
    let told = Keeping { region: "eu-west-1".to_owned(), ..keeping.clone() };
    assert_ne!(refused(&told, Purpose::Apply, &narrow(&keeping, "us-east-2")), []);
    // The bucket is where the key is.
    keeping.kms_key = Some(KEY.replace("eu-west-1", "us-east-2"));
    assert_eq!(refused(&keeping, Purpose::Apply, &narrow(&keeping, "us-east-2")), []);
}
