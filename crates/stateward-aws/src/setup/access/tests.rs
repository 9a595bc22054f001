use std::collections::BTreeMap;

use aws_sdk_s3::types::ServerSideEncryptionRule;
use stateward_iam::{CheckItem, Named, Outcome, Policy, PolicyKind, PolicySet, check};

use super::super::{Action, Bucket, Call, Encryption, Key, KeySettings, Settings, Table, UsedKey, WantedKey};
use super::*;

const KEY: &str = "arn:aws:kms:eu-west-1:111122223333:key/11111111-2222-4333-8444-555555555555";
const ROOT: &str = "arn:aws:iam::111122223333:root";

fn wanted(trusted: &[&str]) -> Wanted {
    let [region, account, partition] = ["eu-west-1", "111122223333", "aws"].map(str::to_owned);
    let names = ["dev", "prod"].map(str::to_owned);
    let trusted: Vec<String> = trusted.iter().map(|&one| one.to_owned()).collect();
    let environments = Environment::all("states", &names, &trusted).expect("environments");
    let lock_table = Some("locks".to_owned());
    Wanted {
        bucket: Some("states".to_owned()),
        lock_table,
        environments,
        region,
        account,
        partition,
        ..Wanted::default()
    }
}

fn planned(wanted: &Wanted, found: &Found) -> Vec<Item> {
    plan(wanted, found).into_iter().chain(apart(wanted, found)).collect()
}

/// The same with a key, and what is there once that is made.
fn with_key(wanted: Wanted) -> (Wanted, Found) {
    let key = KeySettings { arn: KEY.to_owned(), ..KeySettings::default() };
    let found = Found { key: Some(Key::There(key)), ..Found::default() };
    (Wanted { key: Some(WantedKey::Made("alias/states".to_owned())), ..wanted }, found)
}

fn acting(items: &[Item]) -> Vec<(&str, &str, Action)> {
    let acting = items.iter().filter(|item| item.action != Action::Keep);
    acting.map(|item| (item.resource.as_str(), item.property, item.action)).collect()
}

fn item<'a>(items: &'a [Item], resource: &str, property: &str) -> &'a Item {
    let found = items.iter().find(|item| item.resource == resource && item.property == property);
    found.unwrap_or_else(|| panic!("no {property} of {resource}: {items:#?}"))
}

/// What is there once the calls of a plan are done.
fn done(items: &[Item], mut found: Found) -> Found {
    for Call { of, act, .. } in items.iter().filter_map(|item| item.call.clone()) {
        let access = found.access.entry(of).or_default();
        match (act, &mut access.policy, &mut access.role) {
            (Act::CreatePolicy { document, tags, description }, policy, _) => {
                *policy = Some(ManagedPolicy { document, tags, description, ..ManagedPolicy::default() });
            }
            (Act::PolicyVersion(document), Some(policy), _) => {
                policy.versions.push(format!("v{}", policy.versions.len() + 1));
                policy.document = document;
            }
            (Act::TagPolicy(tags), Some(policy), _) => policy.tags.extend(tags),
            (Act::CreateRole { trust, tags, .. }, _, role) => *role = Some(Role { trust, tags, ..Role::default() }),
            (Act::Trust(trust), _, Some(role)) => role.trust = trust,
            (Act::AttachPolicy, _, Some(role)) => role.carries = true,
            (Act::TagRole(tags), _, Some(role)) => role.tags.extend(tags),
            (other, ..) => panic!("{other:?} of what is not there"),
        }
    }
    found
}

fn made(wanted: &Wanted) -> Found {
    done(&planned(wanted, &Found::default()), Found::default())
}

/// `CloudFormation` gives policies no tags: by its description one is known, and by that of another environment it is not.
#[test]
fn a_policy_without_tags_is_known_by_what_it_says_it_is_for() {
    let wanted = wanted(&[]);
    let mut found = made(&wanted);
    policy_of_dev(&mut found).tags.clear();
    assert_eq!(acting(&planned(&wanted, &found)), []);
    for description in
        ["", "Plan, apply and open locks of Terraform state, in one environment. stateward:environment=states/prod"]
    {
        description.clone_into(&mut policy_of_dev(&mut found).description);
        let items = planned(&wanted, &found);
        assert_eq!(item(&items, DEV, "existence").action, Action::Refuse, "{description}");
    }
}

fn policy_of_dev(found: &mut Found) -> &mut ManagedPolicy {
    found.access.get_mut("stateward-states-dev").and_then(|access| access.policy.as_mut()).expect("a policy")
}

fn role_of_prod(found: &mut Found) -> &mut Role {
    found.access.get_mut("stateward-states-prod").and_then(|access| access.role.as_mut()).expect("a role")
}

/// IAM would refuse the role in the middle of the set-up.
#[test]
fn a_trust_policy_that_is_too_long_is_told() {
    const GITHUB: &str = "arn:aws:iam::111122223333:oidc-provider/token.actions.githubusercontent.com";
    let subjects = |count: usize| -> Vec<String> {
        (0..count).map(|at| format!("prod={GITHUB}#repo:acme/infra-{at}:environment:prod")).collect()
    };
    let told = |before: usize, count: usize| {
        let [before, all] = [before, count].map(subjects);
        let words = |all: &[String]| wanted(&all.iter().map(String::as_str).collect::<Vec<_>>());
        let found = if before.is_empty() { Found::default() } else { made(&words(&before)) };
        let items = planned(&words(&all), &found);
        let first = items.iter().find(|item| item.resource == PROD && item.why.contains("characters"));
        first.map(|item| (item.action, item.property, item.why.contains("`repo:OWNER/*`")))
    };
    assert_eq!(told(0, 5), None);
    assert_eq!(told(0, 8), Some((Action::Create, "existence", true)));
    assert_eq!(told(0, 20), Some((Action::Refuse, "trust", true)));
    assert_eq!(told(5, 8), Some((Action::Change, "trust", true)));
    assert_eq!(told(5, 20), Some((Action::Refuse, "trust", true)));
    assert_eq!(told(8, 8), None, "it was taken");
}

/// As many lock a bucket down: a bucket's policy that refuses all but those whom it names.
#[test]
fn a_role_that_the_buckets_policy_locks_out_is_told() {
    let wanted = wanted(&[ROOT]);
    let [admin, dev] = ["admin", "stateward-states-dev"].map(|name| format!("arn:aws:iam::111122223333:role/{name}"));
    let told = |who: Value, condition: Value| {
        let mut statement = json!({"Sid": "OnlyNamed", "Effect": "Deny", "Action": "s3:*", "Resource": ["arn:aws:s3:::states", "arn:aws:s3:::states/*"], "Condition": condition});
        statement.as_object_mut().expect("a statement").extend(who.as_object().expect("who").clone());
        let policy = Some(json!({"Version": "2012-10-17", "Statement": [statement]}).to_string());
        let bucket = Some(Bucket::There(Box::new(Settings { policy, ..Settings::default() })));
        let items = planned(&wanted, &Found { bucket, ..made(&wanted) });
        let told = items.iter().filter(|item| item.property == "let-in");
        told.map(|item| {
            assert!(
                item.action == Action::Keep && item.why.contains("OnlyNamed") && !item.rule.is_empty(),
                "{item:#?}"
            );
            item.resource.clone()
        })
        .collect::<Vec<_>>()
    };
    let everybody = || json!({"Principal": "*"});
    let [of_dev, of_prod] = ["dev", "prod"].map(|name| format!("role stateward-states-{name}"));
    let both = [of_dev, of_prod.clone()];
    assert_eq!(told(everybody(), json!({"StringNotEquals": {"aws:PrincipalArn": [admin]}})), both);
    assert_eq!(told(everybody(), json!({"ArnNotLike": {"aws:PrincipalArn": [admin, dev]}})), [of_prod]);
    assert_eq!(told(json!({"NotPrincipal": {"AWS": [admin]}}), json!({"Bool": {"aws:SecureTransport": "true"}})), both);
    // That it names the role spares no session of it.
    let over_tls = || json!({"Bool": {"aws:SecureTransport": "true"}});
    assert_eq!(told(json!({"NotPrincipal": {"AWS": [admin, dev]}}), over_tls()), both);
    let nobody = Vec::<String>::new();
    assert_eq!(
        told(everybody(), json!({"StringNotLike": {"aws:PrincipalArn": "arn:aws:iam::111122223333:role/*"}})),
        nobody
    );
    // Whether these hold is not known.
    assert_eq!(told(everybody(), json!({"StringNotLike": {"aws:userId": "AROAADMIN:*"}})), nobody);
    assert_eq!(told(everybody(), json!({"Null": {"s3:x-amz-server-side-encryption": "true"}})), nobody);
    assert_eq!(told(everybody(), json!({"Bool": {"aws:SecureTransport": "false"}})), nobody);
}

const DEV: &str = "policy stateward-states-dev";
const PROD: &str = "role stateward-states-prod";

#[test]
fn what_the_plan_makes_is_kept_by_the_next_one() {
    let wanted = wanted(&[&format!("prod={ROOT}")]);
    let items = planned(&wanted, &Found::default());
    let prod = "policy stateward-states-prod";
    let expected = [(DEV, "existence"), (prod, "existence"), (PROD, "existence"), (PROD, "policy")];
    assert_eq!(acting(&items), expected.map(|(resource, property)| (resource, property, Action::Create)));
    assert_eq!(acting(&planned(&wanted, &made(&wanted))), []);
}

#[test]
fn nothing_is_planned_where_there_are_no_environments() {
    assert_eq!(planned(&Wanted { environments: Vec::new(), ..wanted(&[]) }, &Found::default()), []);
}

/// Terraform and stateward itself can do all that they do, and in the other environment nothing.
#[test]
fn a_policy_is_enough_for_its_environment() {
    let (wanted, found) = with_key(wanted(&[]));
    let items = planned(&wanted, &found);
    let rights = item(&items, DEV, "rights").wanted.to_string();
    let policy = Policy::parse(&rights, PolicyKind::Identity).expect("a policy");
    assert!(policy.size() < 6_144, "{}", policy.size());
    let identity = vec![Named { name: "dev".to_owned(), policy }];
    let set = PolicySet { identity, ..PolicySet::default() };
    let tried = |layout, key: &str| {
        let keeping = Keeping {
            below: layout == Layout::S3,
            workspaces: true,
            workspace_prefix: Some(key.to_owned()),
            lock_table: wanted.lock_table.clone(),
            kms_key: Some(KEY.to_owned()),
            lock_table_key: Some(KEY.to_owned()),
            ..Keeping::new(layout, "states", key)
        };
        let principal = "arn:aws:sts::111122223333:assumed-role/dev/run";
        check(&keeping, Purpose::Apply, principal, &set, &[]).expect("checked")
    };
    let refused = |items: &[CheckItem]| items.iter().filter(|item| item.decision != Outcome::Allowed).count();
    for layout in [Layout::S3, Layout::Stateward] {
        assert_eq!(refused(&tried(layout, "dev")), 0, "{layout:?}");
        let of_prod = tried(layout, "prod");
        let of_key = of_prod.iter().filter(|item| item.action.starts_with("kms:")).count();
        assert_eq!(refused(&of_prod), of_prod.len() - of_key, "{layout:?}");
    }
}

#[test]
fn isolation_is_proven_and_told() {
    let items = planned(&wanted(&[ROOT]), &Found::default());
    let proof = item(&items, "environments dev, prod", "isolation");
    assert_eq!((proof.action, &proof.wanted["pairs"]), (Action::Keep, &json!(2)));
    assert!(proof.wanted["requests"].as_u64().is_some_and(|requests| requests > 300), "{proof:?}");
}

/// One alone is tried on what another one would have, by names that a pattern with a bare beginning or end would reach.
#[test]
fn one_environment_is_kept_apart_from_what_is_not_its_own() {
    let name = "e".repeat(54);
    for name in ["dev", &name] {
        let one = Environment { name: name.to_owned(), trusted: vec![Trusted::Principal(ROOT.to_owned())] };
        let wanted = Wanted { environments: vec![one], ..wanted(&[]) };
        let found = made(&wanted);
        let resource = format!("environments {name}");
        let proof = item(&planned(&wanted, &found), &resource, "isolation").clone();
        assert_eq!((proof.action, &proof.wanted["pairs"]), (Action::Keep, &json!(2)), "{}", proof.why);
        assert!(proof.why.contains("the only one") && proof.wanted["requests"].as_u64() > Some(300), "{proof:?}");
        for (pattern, reaches) in [
            (format!("states/{name}*"), true),
            (format!("states/*{name}/*"), true),
            ("states/*".to_owned(), true),
            (format!("states/{name}/net/*"), false),
        ] {
            let allow = json!({"Statement": {"Effect": "Allow", "Action": "s3:GetObject", "Resource": format!("arn:aws:s3:::{pattern}")}});
            let mut found = found.clone();
            let role =
                found.access.get_mut(&format!("stateward-states-{name}")).and_then(|access| access.role.as_mut());
            role.expect("a role").others = vec![("more".to_owned(), allow.to_string())];
            let items = planned(&wanted, &found);
            let proof = item(&items, &resource, "isolation");
            assert_eq!(proof.action == Action::Refuse, reaches, "{pattern}: {}", proof.why);
            assert!(!reaches || proof.why.contains("from others, such as"), "{}", proof.why);
        }
    }
}

/// Whatever lets one of them reach the other's states keeps anything from being done.
#[test]
fn a_leak_is_found_before_anything_is_done() {
    let trusting = wanted(&[ROOT]);
    let bucket = |policy: Value| Found {
        bucket: Some(Bucket::There(Box::new(Settings { policy: Some(policy.to_string()), ..Settings::default() }))),
        ..made(&trusting)
    };
    let all = "arn:aws:s3:::states/*";
    let of_account = json!({"Statement": {"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:role/stateward-states-dev"}, "Action": "s3:GetObject", "Resource": all}});
    let within = json!({"Statement": {"Effect": "Allow", "Action": "s3:PutObject", "Resource": all}});
    let mut other = made(&trusting);
    role_of_prod(&mut other).others = vec![("everything".to_owned(), within.to_string())];
    let mut lets_dev_in = made(&trusting);
    role_of_prod(&mut lets_dev_in).trust = json!({"Statement": {"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:role/stateward-states-dev"}, "Action": "sts:AssumeRole"}}).to_string();
    let of_policies = json!({"Statement": {"Effect": "Allow", "Action": "iam:CreatePolicyVersion", "Resource": "arn:aws:iam::111122223333:policy/stateward-states-dev"}});
    let mut changes_policies = made(&trusting);
    role_of_prod(&mut changes_policies).others = vec![("policies".to_owned(), of_policies.to_string())];
    let mut unreadable = made(&trusting);
    role_of_prod(&mut unreadable).others = vec![("broken".to_owned(), "{".to_owned())];
    for (found, words) in [
        (bucket(of_account), "dev reaches what is of prod with s3:GetObject on arn:aws:s3:::states/prod/"),
        (other, "prod reaches what is of dev with s3:PutObject"),
        (lets_dev_in, "sts:AssumeRole"),
        (
            changes_policies,
            "prod reaches what is of dev with iam:CreatePolicyVersion on arn:aws:iam::111122223333:policy/",
        ),
        (unreadable, "broken of its role cannot be read"),
    ] {
        let items = planned(&trusting, &found);
        let proof = item(&items, "environments dev, prod", "isolation");
        assert!(proof.action == Action::Refuse && proof.why.contains(words), "{words}: {proof:#?}");
    }
}

#[test]
fn a_policy_waits_for_its_key() {
    let (wanted, found) = with_key(wanted(&[]));
    let items = planned(&wanted, &Found::default());
    assert_eq!(item(&items, DEV, "existence").call, None);
    let items = planned(&wanted, &found);
    let Some(Call { act: Act::CreatePolicy { document, .. }, .. }) = &item(&items, DEV, "existence").call else {
        panic!("{items:#?}")
    };
    assert!(document.contains(KEY), "{document}");
}

#[test]
fn what_an_earlier_set_up_made_gives_way() {
    let earlier = wanted(&[]);
    let later = Wanted { lock_table: None, ..wanted(&[]) };
    let found = made(&earlier);
    let items = planned(&later, &found);
    assert!(acting(&items).contains(&(DEV, "rights", Action::Change)), "{items:#?}");
    let rights = item(&items, DEV, "rights");
    assert!(rights.why.contains("earlier set-up") && rights.why.contains("dynamodb:PutItem"), "{}", rights.why);
    // Of which set-up it is shows once it says what it shall.
    assert_eq!(item(&items, DEV, "fingerprint").call, None);
    let found = done(&items, found);
    let items = planned(&later, &found);
    assert!(acting(&items).iter().all(|(_, property, _)| *property == "fingerprint"), "{items:#?}");
    let found = done(&items, found);
    assert_eq!(acting(&planned(&later, &found)), []);
}

/// From the table to the file everybody takes both for a while, and then the table is left.
#[test]
fn on_the_way_from_one_lock_to_the_other_there_are_the_rights_of_both() {
    let both = Wanted { both_locks: true, ..wanted(&[]) };
    let found = made(&wanted(&[]));
    let items = planned(&both, &found);
    let rights = item(&items, DEV, "rights");
    assert!(rights.why.contains("Given back: s3:DeleteObject") && !rights.why.contains("Taken away"), "{}", rights.why);
    let file = Wanted { lock_table: None, ..wanted(&[]) };
    let items = planned(&file, &made(&both));
    let rights = item(&items, DEV, "rights");
    assert!(rights.why.contains("Taken away: dynamodb:") && !rights.why.contains("Given back"), "{}", rights.why);
}

#[test]
fn a_policy_that_was_made_stricter_stays() {
    let wanted = wanted(&[]);
    let mut found = made(&wanted);
    let policy = policy_of_dev(&mut found);
    policy.document = policy.document.replace("\"s3:PutObject\",", "").replace("\"s3:PutObject\"", "\"s3:GetObject\"");
    let items = planned(&wanted, &found);
    let rights = item(&items, DEV, "rights");
    assert!(rights.action == Action::Keep && rights.why.contains("s3:PutObject"), "{rights:#?}");
}

/// Nothing can be said of it but that it is not what set-up put.
#[test]
fn a_policy_that_cannot_be_read_is_put_right() {
    let wanted = wanted(&[]);
    for document in ["", "{}", r#"{"Statement": "x"}"#, r#"{"Statement": [7]}"#] {
        let mut found = made(&wanted);
        policy_of_dev(&mut found).document = document.to_owned();
        let items = planned(&wanted, &found);
        let rights = item(&items, DEV, "rights");
        assert!(rights.action != Action::Keep && rights.why.contains("cannot be compared"), "{document}: {rights:#?}");
    }
}

/// What somebody has the policy refuse stays, also where the rest is put right and where it cannot be compared.
#[test]
fn refusals_of_others_stay() {
    let wanted = wanted(&[]);
    let refusal = json!({"Sid": "OnlyS3", "Effect": "Deny", "NotAction": "s3:*", "Resource": "*"});
    let mut found = made(&wanted);
    let policy = policy_of_dev(&mut found);
    let mut document: Value = serde_json::from_str(&policy.document).expect("JSON");
    document["Statement"].as_array_mut().expect("statements").push(refusal.clone());
    policy.document = document.to_string();
    let items = planned(&wanted, &found);
    let rights = item(&items, DEV, "rights");
    assert!(rights.action == Action::Keep && rights.why.contains("what OnlyS3 refuses"), "{rights:#?}");
    let more = json!({"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::states/dev2/*"});
    for more in [more, json!({"Effect": "Allow", "NotAction": "iam:*", "Resource": "arn:aws:s3:::states/dev2/*"})] {
        let mut document = document.clone();
        document["Statement"].as_array_mut().expect("statements").push(more);
        let mut found = found.clone();
        policy_of_dev(&mut found).document = document.to_string();
        let items = planned(&wanted, &found);
        let Some(Act::PolicyVersion(put)) = item(&items, DEV, "rights").call.as_ref().map(|call| &call.act) else {
            panic!("it is put right: {items:#?}")
        };
        let put: Value = serde_json::from_str(put).expect("JSON");
        assert_eq!(put["Statement"].as_array().and_then(|all| all.last()), Some(&refusal));
        assert_eq!(acting(&planned(&wanted, &done(&items, found))), []);
    }
}

/// Who may work with a bucket under its owner's key may use the key, asked for or not.
#[test]
fn a_key_that_is_there_is_in_the_rights() {
    let wanted = wanted(&[]);
    let mut found = made(&wanted);
    let (rule, key) =
        (ServerSideEncryptionRule::builder().build(), UsedKey { arn: KEY.to_owned(), ..UsedKey::default() });
    let encryption = Some(Encryption { rule, key: Some(key) });
    found.bucket = Some(Bucket::There(Box::new(Settings { encryption, ..Settings::default() })));
    let items = planned(&wanted, &found);
    let rights = item(&items, DEV, "rights");
    assert!(rights.wanted.to_string().contains("kms:GenerateDataKey"), "{rights:#?}");
    assert_eq!(KeysInUse::of(&wanted, &found), KeysInUse { state: Some(KEY.to_owned()), lock_table: None });
}

/// A role that an earlier run made, or that somebody gave the policy, has its say also where this run gives nobody a role.
#[test]
fn a_role_that_is_there_is_tried() {
    let mut found = made(&wanted(&[ROOT]));
    let everything = json!({"Statement": {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}});
    role_of_prod(&mut found).others = vec![("more".to_owned(), everything.to_string())];
    let items = planned(&wanted(&[]), &found);
    assert_eq!(item(&items, "environments dev, prod", "isolation").action, Action::Refuse);
    let role = role_of_prod(&mut found);
    (role.carries, role.tags) = (false, BTreeMap::new());
    let items = planned(&wanted(&[]), &found);
    assert_eq!(item(&items, "environments dev, prod", "isolation").action, Action::Keep, "it is somebody else's");
}

/// Beyond its boundary a role can do nothing, whatever else it carries.
#[test]
fn the_boundary_of_a_role_counts() {
    let wanted = wanted(&[ROOT]);
    let within =
        |resource: &str| json!({"Statement": {"Effect": "Allow", "Action": "s3:*", "Resource": resource}}).to_string();
    for (boundary, action) in [
        (None, Action::Refuse),
        (Some(within("*")), Action::Refuse),
        (Some(within("arn:aws:s3:::states/prod/*")), Action::Keep),
        (Some("{".to_owned()), Action::Refuse),
    ] {
        let mut found = made(&wanted);
        let role = role_of_prod(&mut found);
        role.others = vec![("everything".to_owned(), within("*"))];
        role.boundary = boundary.clone().map(|text| ("arn:aws:iam::111122223333:policy/limits".to_owned(), text));
        let items = planned(&wanted, &found);
        let proof = item(&items, "environments dev, prod", "isolation");
        assert_eq!(proof.action, action, "{boundary:?}: {}", proof.why);
        let unread =
            proof.why.contains("the boundary arn:aws:iam::111122223333:policy/limits of its role cannot be read");
        assert_eq!(unread, boundary.as_deref() == Some("{"), "{}", proof.why);
    }
}

/// A table may let somebody in by a policy of its own.
#[test]
fn the_policy_of_the_lock_table_is_tried() {
    let mut found = made(&wanted(&[ROOT]));
    let policy = json!({"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "dynamodb:GetItem", "Resource": "*",
        "Principal": {"AWS": "arn:aws:iam::111122223333:role/stateward-states-dev"}}});
    found.lock_table = Some(Table { policy: Some(policy.to_string()), ..Table::default() });
    let items = planned(&wanted(&[ROOT]), &found);
    let proof = item(&items, "environments dev, prod", "isolation");
    assert!(proof.action == Action::Refuse && proof.why.contains("the lock table's policy"), "{proof:#?}");
}

#[test]
fn what_was_added_by_hand_is_told_and_taken_back() {
    let wanted = wanted(&[]);
    let mut found = made(&wanted);
    let policy = policy_of_dev(&mut found);
    policy.document = policy.document.replace("dev/*", "*");
    let items = planned(&wanted, &found);
    let rights = item(&items, DEV, "rights");
    assert!(rights.action == Action::Change && rights.why.contains("changed since"), "{rights:#?}");
    assert!(rights.why.contains("s3:GetObject on arn:aws:s3:::states/*"), "{}", rights.why);
    assert_eq!(acting(&planned(&wanted, &done(&items, found))), []);
}

#[test]
fn no_version_of_a_policy_is_deleted() {
    let wanted = wanted(&[]);
    let mut found = made(&wanted);
    let policy = policy_of_dev(&mut found);
    policy.document = policy.document.replace("dev/*", "*");
    policy.versions = ["v2", "v3", "v4", "v5"].map(str::to_owned).to_vec();
    let items = planned(&wanted, &found);
    let rights = item(&items, DEV, "rights");
    let next =
        "delete-policy-version --policy-arn arn:aws:iam::111122223333:policy/stateward-states-dev --version-id v2";
    assert!(rights.action == Action::Refuse && rights.why.contains(next), "{rights:#?}");
}

#[test]
fn what_is_somebodys_or_another_environments_is_refused() {
    let wanted = wanted(&[ROOT]);
    for (key, value) in [("stateward:made-by", "them"), ("stateward:environment", "states-dev/x")] {
        let mut found = made(&wanted);
        policy_of_dev(&mut found).tags.insert(key.to_owned(), value.to_owned());
        role_of_prod(&mut found).tags.clear();
        let refused = [(DEV, "existence", Action::Refuse), (PROD, "existence", Action::Refuse)];
        assert_eq!(acting(&planned(&wanted, &found)), refused);
    }
}

/// IAM would refuse to make them, and knows neither capital letters nor paths in names.
#[test]
fn a_name_that_is_the_same_to_iam_is_taken() {
    let wanted = wanted(&[ROOT]);
    let arn = |kind: &str| format!("arn:aws:iam::111122223333:{kind}/Stateward-states-DEV");
    let with = |policy: Namesake, role: Namesake| {
        let dev = Access { policy_namesake: policy, role_namesake: role, ..Access::default() };
        Found { access: [("stateward-states-dev".to_owned(), dev)].into(), ..Found::default() }
    };
    let items = planned(&wanted, &with(Namesake::Other(arn("policy")), Namesake::Other(arn("role"))));
    for kind in ["policy", "role"] {
        let taken = item(&items, &format!("{kind} stateward-states-dev"), "existence");
        assert!(taken.action == Action::Refuse && taken.why.contains(&arn(kind)), "{taken:#?}");
    }
    let unseen = |action: &str| Namesake::Unseen(format!("`iam:{action}` is refused"));
    let items = planned(&wanted, &with(unseen("ListPolicies"), unseen("ListRoles")));
    for (kind, action) in [("policy", "iam:ListPolicies"), ("role", "iam:ListRoles")] {
        let made = item(&items, &format!("{kind} stateward-states-dev"), "existence");
        assert!(made.action == Action::Create && made.why.contains(action), "{made:#?}");
    }
}

#[test]
fn nobody_of_another_partition_may_take_a_role() {
    let theirs = "prod=arn:aws-cn:iam::444455556666:role/ci";
    let found = made(&wanted(&[ROOT]));
    for (wanted, found) in [(wanted(&[theirs]), &Found::default()), (wanted(&[ROOT, theirs]), &found)] {
        let items = planned(&wanted, found);
        let trust = item(&items, PROD, "trust");
        assert_eq!((trust.action, &trust.call), (Action::Refuse, &None));
        assert!(trust.why.contains("of the partition aws-cn, and the role of aws:"), "{}", trust.why);
    }
}

#[test]
fn who_may_take_a_role_stays_and_others_are_added() {
    let found = made(&wanted(&[ROOT]));
    let ci = "arn:aws:iam::444455556666:role/ci";
    let more = wanted(&[ci, "dev=arn:aws:iam::111122223333:oidc-provider/ci.example#team/infra"]);
    let items = planned(&more, &found);
    assert_eq!(item(&items, PROD, "trust").wanted, json!([ROOT, ci]));
    let found = done(&items, found);
    let trust = &found.access["stateward-states-dev"].role.as_ref().expect("a role").trust;
    assert!(trust.contains(r#""StringLike":{"ci.example:sub":"team/infra"}"#), "{trust}");
    assert_eq!(acting(&planned(&more, &found)), []);
}

#[test]
fn a_condition_on_who_may_take_a_role_stays() {
    let wanted = wanted(&[ROOT]);
    let mut found = made(&wanted);
    let role = role_of_prod(&mut found);
    let mfa = json!({"Bool": {"aws:MultiFactorAuthPresent": "true"}});
    role.trust = json!({"Statement": [{"Effect": "Allow", "Principal": {"AWS": [ROOT]}, "Action": "sts:AssumeRole", "Condition": mfa}]}).to_string();
    assert_eq!(acting(&planned(&wanted, &found)), []);
}

#[test]
fn tags_that_were_asked_for_are_added() {
    let mut wanted = wanted(&[ROOT]);
    let found = made(&wanted);
    wanted.tags = [("team".to_owned(), "network".to_owned())].into();
    let items = planned(&wanted, &found);
    assert_eq!(
        item(&items, DEV, "tags").call.as_ref().map(|call| &call.act),
        Some(&Act::TagPolicy(wanted.tags.clone()))
    );
    assert_eq!(item(&items, PROD, "tags").action, Action::Create);
    assert_eq!(acting(&planned(&wanted, &done(&items, found))), []);
}
