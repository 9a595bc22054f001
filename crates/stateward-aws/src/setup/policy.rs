//! Policies of buckets and of who may take a role: statements are added to them, none is taken away.

use std::collections::BTreeSet;
use std::{iter, slice};

use serde_json::{Map, Value, json};

use super::{Trusted, Wanted};

/// What a write says about its encryption: how, with which key of KMS, and that it brings a key of its own (SSE-C).
pub(super) const ALGORITHM: &str = "s3:x-amz-server-side-encryption";
pub(super) const KEY: &str = "s3:x-amz-server-side-encryption-aws-kms-key-id";
pub(super) const BROUGHT: &str = "s3:x-amz-server-side-encryption-customer-algorithm";
/// By a key of KMS, in one layer and in two.
pub(super) const KMS: &str = "aws:kms";
pub(super) const TWO_LAYERS: &str = "aws:kms:dsse";

/// What a policy shall say.
pub(super) struct Statements {
    /// Without `Sid`, each with the one it gets where that is free.
    needed: Vec<(&'static str, Value)>,
    /// The bucket that it is about, where the statement that refuses plain HTTP is among them.
    tls_only: Option<String>,
}

impl Statements {
    /// Plain HTTP is refused.
    pub(super) fn tls_only(wanted: &Wanted, bucket: &str) -> Self {
        let arn = wanted.bucket_arn(bucket);
        let statement = json!({
            "Effect": "Deny",
            "Principal": {"AWS": "*"},
            "Action": "s3:*",
            "Resource": [arn, format!("{arn}/*")],
            "Condition": {"Bool": {"aws:SecureTransport": "false"}},
        });
        Self { needed: vec![("StatewardTlsOnly", statement)], tls_only: Some(bucket.to_owned()) }
    }

    /// Plain HTTP is refused, and so is writing with another key than this one, in however many layers; what asks for nothing gets the
    /// bucket's key.
    pub(super) fn of_keys(wanted: &Wanted, bucket: &str, key: &str) -> Self {
        let refuse = |condition: Value| json!({"Effect": "Deny", "Principal": {"AWS": "*"}, "Action": "s3:PutObject", "Resource": format!("{}/*", wanted.bucket_arn(bucket)), "Condition": condition});
        let id = key.rsplit('/').next().unwrap_or(key);
        let mut all = Self::tls_only(wanted, bucket);
        // A condition that negates holds also where the request says nothing: so each asks whether it says something.
        let other = json!({"Null": {KEY: "false"}, "StringNotEquals": {KEY: [key, id]}});
        let none = json!({"Null": {KEY: "true"}, "StringEquals": {ALGORITHM: [KMS, TWO_LAYERS]}});
        let not_ours = json!({"StringEquals": {ALGORITHM: "AES256"}});
        all.needed.push(("StatewardNoOtherKey", refuse(other)));
        all.needed.push(("StatewardNoKeyOfAws", refuse(none)));
        all.needed.push(("StatewardNoKeyOfS3", refuse(not_ours)));
        all.needed.push(("StatewardNoKeyBrought", refuse(json!({"Null": {BROUGHT: "false"}}))));
        all
    }

    /// Plain HTTP is refused, and S3, and `CloudTrail` for a trail whose files go there, may write what they log for the account.
    pub(super) fn of_logs(wanted: &Wanted, bucket: &str, trail: Option<&str>) -> Self {
        let (arn, account) = (wanted.bucket_arn(bucket), &wanted.account);
        let mut all = Self::tls_only(wanted, bucket);
        let allow = |service: &str, action: &str, resource: String, condition: Value| json!({"Effect": "Allow", "Principal": {"Service": service}, "Action": action, "Resource": resource, "Condition": condition});
        if let Some(source) = &wanted.bucket {
            let condition = json!({"ArnLike": {"aws:SourceArn": wanted.bucket_arn(source)}, "StringEquals": {"aws:SourceAccount": account}});
            let resource = format!("{arn}/{}*", prefix(source));
            all.needed
                .push(("StatewardAccessLog", allow("logging.s3.amazonaws.com", "s3:PutObject", resource, condition)));
        }
        if let Some(trail) = trail {
            const TRAIL: &str = "cloudtrail.amazonaws.com";
            let source = json!({"aws:SourceArn": wanted.trail_arn(trail)});
            let look = allow(TRAIL, "s3:GetBucketAcl", arn.clone(), json!({"StringEquals": source}));
            let mut condition = source;
            condition["s3:x-amz-acl"] = json!("bucket-owner-full-control");
            let resource = format!("{arn}/AWSLogs/{account}/*");
            let write = allow(TRAIL, "s3:PutObject", resource, json!({"StringEquals": condition}));
            all.needed.extend([("StatewardTrailLooks", look), ("StatewardTrailWrites", write)]);
        }
        all
    }

    /// These may take the role whose policy it is.
    pub(super) fn of_trust<'a>(trusted: impl Iterator<Item = &'a Trusted>) -> Self {
        let statement = |who: &Trusted| match who {
            Trusted::Principal(arn) => {
                json!({"Effect": "Allow", "Principal": {"AWS": arn}, "Action": "sts:AssumeRole"})
            }
            // For whom a token is meant is looked at by AWS itself: the provider there has a list of that.
            Trusted::Subject { provider, subject } => {
                let condition = json!({"StringLike": {format!("{}:sub", issuer(provider)): subject}});
                json!({"Effect": "Allow", "Principal": {"Federated": provider}, "Action": "sts:AssumeRoleWithWebIdentity", "Condition": condition})
            }
        };
        Self { needed: trusted.map(|who| ("StatewardTrusts", statement(who))).collect(), tls_only: None }
    }

    /// S3 may take the role whose policy it is.
    pub(super) fn of_replicator() -> Self {
        let statement =
            json!({"Effect": "Allow", "Principal": {"Service": "s3.amazonaws.com"}, "Action": "sts:AssumeRole"});
        Self { needed: vec![("StatewardReplicates", statement)], tls_only: None }
    }

    /// What copying a bucket takes: the key that it is encrypted with, and that of the copy.
    /// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/setting-repl-config-perm-overview.html>
    pub(super) fn of_replication(wanted: &Wanted, (from, to): (&str, &Wanted), keys: [Option<&str>; 2]) -> Self {
        let (from, target) = (wanted.bucket_arn(from), wanted.bucket_arn(to.bucket.as_deref().unwrap_or_default()));
        let allow =
            |actions: &[&str], resource: &str| json!({"Effect": "Allow", "Action": actions, "Resource": resource});
        let objects = ["s3:GetObjectVersionForReplication", "s3:GetObjectVersionAcl", "s3:GetObjectVersionTagging"];
        let copies = ["s3:ReplicateObject", "s3:ReplicateDelete", "s3:ReplicateTags"];
        let mut needed = vec![
            ("StatewardBucket", allow(&["s3:GetReplicationConfiguration", "s3:ListBucket"], &from)),
            ("StatewardObjects", allow(&objects, &format!("{from}/*"))),
            ("StatewardCopies", allow(&copies, &format!("{target}/*"))),
        ];
        let of_key = |actions: &[&str], key: &str, region: &str| {
            let mut statement = allow(actions, key);
            statement["Condition"] = json!({"StringLike": {"kms:ViaService": format!("s3.{region}.amazonaws.com*")}});
            statement
        };
        let [own, theirs] = keys;
        needed.extend(own.map(|key| ("StatewardKey", of_key(&["kms:Decrypt"], key, &wanted.region))));
        let write = ["kms:Encrypt", "kms:GenerateDataKey"];
        needed.extend(theirs.map(|key| ("StatewardKeyOfCopies", of_key(&write, key, &to.region))));
        Self { needed, tls_only: None }
    }

    /// Whether a statement of the policy does for one that is needed.
    fn said(&self, needed: &Value, statement: &Value) -> bool {
        match &self.tls_only {
            Some(bucket) if needed["Action"] == "s3:*" => refuses_plain_http(bucket, statement),
            _ => plain(needed) == plain(statement),
        }
    }
}

/// Under which prefix a bucket tells of requests.
pub(super) fn prefix(bucket: &str) -> String {
    format!("s3/{bucket}/")
}

/// By what name tokens of a provider call it.
fn issuer(provider: &str) -> &str {
    provider.split_once(":oidc-provider/").map_or(provider, |(_, issuer)| issuer)
}

/// The statements of a policy, which are one or a list of them; `None` where it has none.
pub fn statements(policy: &Value) -> Option<&[Value]> {
    match policy.get("Statement")? {
        Value::Array(all) => Some(all),
        one @ Value::Object(_) => Some(slice::from_ref(one)),
        _ => None,
    }
}

/// The statements of a policy that let somebody do something; none where it cannot be read.
fn allowing(policy: &str) -> Vec<Value> {
    let policy: Value = serde_json::from_str(policy).unwrap_or_default();
    let all = statements(&policy).unwrap_or_default().iter();
    all.filter(|statement| statement["Effect"] == "Allow").cloned().collect()
}

/// Whom a role's trust policy names.
pub(super) fn principals(trust: &str) -> Vec<String> {
    let mut all = Vec::new();
    for statement in allowing(trust) {
        let who = &statement["Principal"];
        let federated = listed(&who["Federated"]);
        for provider in &federated {
            let key = format!("{}:sub", issuer(provider));
            let conditions = statement["Condition"].as_object().into_iter().flatten();
            let names = conditions.filter(|(operator, _)| !operator.contains("Not"));
            let subjects: Vec<&str> = names.flat_map(|(_, keys)| listed(&keys[&key])).collect();
            all.extend(subjects.iter().map(|subject| format!("{provider}#{subject}")));
            all.extend(subjects.is_empty().then(|| (*provider).to_owned()));
        }
        let others = who.as_object().into_iter().flatten().filter(|(kind, _)| *kind != "Federated");
        let named = listed(who).into_iter().chain(others.flat_map(|(_, who)| listed(who)));
        all.extend(named.map(str::to_owned));
    }
    all
}

/// Whether a role's trust policy lets somebody in, under whatever conditions.
pub(super) fn trusts(trust: &str, who: &Trusted) -> bool {
    let needed = match who {
        Trusted::Principal(_) => "sts:AssumeRole",
        Trusted::Subject { .. } => "sts:AssumeRoleWithWebIdentity",
    };
    let assumes = |action: &&str| [needed, "sts:*", "*"].iter().any(|one| one.eq_ignore_ascii_case(action));
    allowing(trust).iter().filter(|statement| listed(&statement["Action"]).iter().any(assumes)).any(|statement| {
        let principal = &statement["Principal"];
        match who {
            Trusted::Principal(arn) => {
                *principal == "*" || listed(&principal["AWS"]).iter().any(|one| one == arn || *one == "*")
            }
            Trusted::Subject { provider, subject } => {
                let key = format!("{}:sub", issuer(provider));
                let conditions = statement["Condition"].as_object().into_iter().flatten();
                let mut subjects = conditions.flat_map(|(_, keys)| listed(&keys[&key]));
                listed(&principal["Federated"]).contains(&provider.as_str()) && subjects.any(|one| one == subject)
            }
        }
    })
}

/// The policy with what is needed; `None` where it says all of it already.
///
/// # Errors
///
/// What is there is no policy; the text says what is wrong with it.
pub(super) fn with(found: Option<&str>, wanted: &Statements) -> Result<Option<String>, String> {
    let mut policy: Value = match found {
        None => json!({"Version": "2012-10-17", "Statement": []}),
        Some(found) => serde_json::from_str(found).map_err(|problem| problem.to_string())?,
    };
    let mut statements = statements(&policy).ok_or("it has no statements")?.to_vec();
    let before = statements.len();
    for (sid, needed) in &wanted.needed {
        if statements.iter().any(|statement| wanted.said(needed, statement)) {
            continue;
        }
        let mut added = json!({"Sid": free_sid(sid, &statements)});
        if let (Some(added), Some(needed)) = (added.as_object_mut(), needed.as_object()) {
            added.extend(needed.clone());
        }
        statements.push(added);
    }
    if statements.len() == before {
        return Ok(None);
    }
    policy["Statement"] = Value::Array(statements);
    Ok(Some(policy.to_string()))
}

fn free_sid(sid: &str, statements: &[Value]) -> String {
    let taken = |sid: &str| statements.iter().any(|statement| statement["Sid"] == sid);
    // One name more than there are statements: one of them is free.
    let numbered = (2..=statements.len() + 1).map(|number| format!("{sid}{number}"));
    iter::once(sid.to_owned()).chain(numbered).find(|sid| !taken(sid)).unwrap_or_default()
}

/// What a statement says, without its name and however its lists are written: AWS gives back one for the other.
fn plain(statement: &Value) -> Value {
    match statement {
        Value::Array(all) => {
            let sorted: BTreeSet<String> = all.iter().map(|one| plain(one).to_string()).collect();
            match all.as_slice() {
                [one] => plain(one),
                _ => json!(sorted),
            }
        }
        Value::Object(all) if all.len() == 1 && all.get("AWS").is_some_and(|who| plain(who) == "*") => json!("*"),
        Value::Object(all) => {
            all.iter().filter(|(key, _)| *key != "Sid").map(|(key, value)| (key.clone(), plain(value))).collect()
        }
        other => other.clone(),
    }
}

/// Whether a statement refuses everybody every action on the whole bucket over plain HTTP. One that does so in other words is not
/// seen: a second statement then says the same again, which changes nothing.
fn refuses_plain_http(bucket: &str, statement: &Value) -> bool {
    let named = |name: &str| statement.get(name).map(listed).unwrap_or_default();
    let everybody = is_everybody(&statement["Principal"]);
    let every_action = named("Action").iter().any(|action| *action == "*" || action.eq_ignore_ascii_case("s3:*"));
    let whole = |suffix: &str| {
        named("Resource").iter().any(|resource| {
            *resource == "*"
                || resource.strip_prefix("arn:").and_then(|rest| rest.split_once(":s3:::")).is_some_and(|(_, rest)| {
                    rest.strip_prefix(bucket).is_some_and(|rest| rest == suffix || rest == "*")
                })
        })
    };
    statement["Effect"] == "Deny"
        && everybody
        && every_action
        && whole("")
        && whole("/*")
        && only_plain_http(&statement["Condition"])
}

/// Whether a statement is about everybody, however that is written: Terragrunt has it as `{"*": ["*"]}`.
pub(super) fn is_everybody(principal: &Value) -> bool {
    *principal == "*" || ["AWS", "*"].iter().any(|kind| listed(&principal[*kind]) == ["*"])
}

/// Whether the condition is that the request is not encrypted, and no other.
fn only_plain_http(condition: &Value) -> bool {
    let Some((operator, keys)) = condition.as_object().and_then(sole) else { return false };
    let Some((key, value)) = keys.as_object().and_then(sole) else { return false };
    let false_ = *value == Value::Bool(false) || listed(value) == ["false"];
    operator.eq_ignore_ascii_case("Bool") && key.eq_ignore_ascii_case("aws:SecureTransport") && false_
}

fn sole(map: &Map<String, Value>) -> Option<(&String, &Value)> {
    map.iter().next().filter(|_| map.len() == 1)
}

pub(super) fn listed(value: &Value) -> Vec<&str> {
    match value {
        Value::String(one) => vec![one],
        Value::Array(many) => many.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use stateward_iam::{Context, Named, Outcome, Policy, PolicyKind, PolicySet, Request};

    const ARN: &str = "arn:aws:kms:eu-west-1:111122223333:key/11111111-2222-4333-8444-555555555555";

    fn wanted() -> Wanted {
        let [region, account, partition] = ["eu-west-1", "111122223333", "aws"].map(str::to_owned);
        Wanted { region, account, partition, ..Wanted::default() }
    }

    fn merged(found: &Value) -> Option<Value> {
        let merged = with(Some(&found.to_string()), &Statements::tls_only(&wanted(), "states")).expect("a policy");
        merged.map(|text| serde_json::from_str(&text).expect("JSON"))
    }

    /// What becomes of a write by somebody who may do everything, with these headers.
    fn outcome(policy: &str, tls: bool, headers: &[(&str, &str)]) -> Outcome {
        let named =
            |text: &str, kind| Named { name: String::new(), policy: Policy::parse(text, kind).expect("a policy") };
        let all = r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}"#;
        let set = PolicySet {
            identity: vec![named(all, PolicyKind::Identity)],
            resource: Some(named(policy, PolicyKind::Resource)),
            ..PolicySet::default()
        };
        let mut context = Context::default();
        context.value("aws:SecureTransport", tls.to_string());
        for (key, value) in headers {
            context.value(&format!("s3:x-amz-server-side-encryption{key}"), *value);
        }
        let (who, object) = ("arn:aws:iam::111122223333:role/ci", "arn:aws:s3:::states/k");
        let request = Request::new(who, "s3:PutObject", object, Some("111122223333"), context).expect("a request");
        set.evaluate(&request).outcome
    }

    #[test]
    fn wrong_keys_are_refused_and_whoever_asks_for_none_gets_the_buckets() {
        let statements = Statements::of_keys(&wanted(), "states", ARN);
        let policy = with(None, &statements).expect("a policy").expect("statements");
        let id = "11111111-2222-4333-8444-555555555555";
        let other = "arn:aws:kms:eu-west-1:111122223333:key/99999999-2222-4333-8444-555555555555";
        for right in [
            &[][..],
            &[("", "aws:kms"), ("-aws-kms-key-id", ARN)],
            &[("", "aws:kms"), ("-aws-kms-key-id", id)],
            &[("", "aws:kms:dsse"), ("-aws-kms-key-id", ARN)],
        ] {
            assert_eq!(outcome(&policy, true, right), Outcome::Allowed, "{right:?}");
            assert_eq!(outcome(&policy, false, right), Outcome::ExplicitDeny, "over plain HTTP {right:?}");
        }
        for wrong in [
            &[("", "AES256")][..],
            &[("", "aws:kms")],
            &[("", "aws:kms"), ("-aws-kms-key-id", other)],
            &[("", "aws:kms:dsse")],
            &[("", "aws:kms:dsse"), ("-aws-kms-key-id", other)],
            &[("-customer-algorithm", "AES256")],
        ] {
            assert_eq!(outcome(&policy, true, wrong), Outcome::ExplicitDeny, "{wrong:?}");
        }
        assert_eq!(with(Some(&policy), &statements), Ok(None), "what it says is seen");
        let tls_only = with(None, &Statements::tls_only(&wanted(), "states")).expect("a policy").expect("a statement");
        let more = with(Some(&tls_only), &statements).expect("a policy").expect("statements");
        assert_eq!(
            serde_json::from_str::<Value>(&more).unwrap_or_default(),
            serde_json::from_str::<Value>(&policy).unwrap_or_default()
        );
    }

    #[test]
    fn lists_of_one_and_names_make_no_difference() {
        let wanted = Wanted { bucket: Some("states".to_owned()), ..wanted() };
        let statements = Statements::of_logs(&wanted, "logs", Some("t"));
        let text = with(None, &statements).expect("a policy").expect("statements");
        let mut policy: Value = serde_json::from_str(&text).expect("JSON");
        for statement in policy["Statement"].as_array_mut().expect("a list") {
            statement["Sid"] = json!("x");
            statement["Action"] = json!([statement["Action"].take()]);
        }
        assert_eq!(with(Some(&policy.to_string()), &statements), Ok(None));
        policy["Statement"][2]["Condition"] = json!({});
        assert!(
            with(Some(&policy.to_string()), &statements).is_ok_and(|merged| merged.is_some()),
            "that is another statement"
        );
    }

    #[test]
    fn statements_of_others_stay_as_they_are() {
        let theirs = json!({"Sid": "StatewardTlsOnly", "Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::123456789012:root"},
            "Action": "s3:GetObject", "Resource": "arn:aws:s3:::states/*"});
        for statement in [theirs.clone(), json!([theirs])] {
            let policy = json!({"Version": "2012-10-17", "Id": "theirs", "Statement": statement});
            let merged = merged(&policy).expect("a statement is added");
            assert_eq!(merged["Id"], "theirs");
            assert_eq!(merged["Statement"][0], theirs);
            assert_eq!(merged["Statement"][1]["Sid"], "StatewardTlsOnly2");
            assert_eq!(merged["Statement"][1]["Effect"], "Deny");
        }
    }

    #[test]
    fn a_statement_that_says_it_already_is_enough_whatever_it_is_called() {
        let said = json!({"Statement": [{"Effect": "Deny", "Principal": {"AWS": "*"}, "Action": ["s3:*"],
            "Resource": ["arn:aws:s3:::states", "arn:aws:s3:::states/*"], "Condition": {"Bool": {"aws:SecureTransport": "false"}}}]});
        assert_eq!(merged(&said), None);
        for everybody in [json!("*"), json!({"AWS": ["*"]}), json!({"*": ["*"]})] {
            let mut said = said.clone();
            said["Statement"][0]["Principal"] = everybody;
            assert_eq!(merged(&said), None, "{said}");
        }
    }

    #[test]
    fn a_statement_that_says_less_is_not_enough() {
        let base = json!({"Effect": "Deny", "Principal": "*", "Action": "s3:*",
            "Resource": ["arn:aws:s3:::states", "arn:aws:s3:::states/*"], "Condition": {"Bool": {"aws:SecureTransport": "false"}}});
        assert_eq!(merged(&json!({"Statement": base})), None, "the base is enough");
        for (name, less) in [
            ("Effect", json!("Allow")),
            ("Principal", json!({"AWS": "arn:aws:iam::123456789012:root"})),
            ("Action", json!("s3:GetObject")),
            ("Resource", json!("arn:aws:s3:::states/*")),
            ("Resource", json!(["arn:aws:s3:::other", "arn:aws:s3:::other/*"])),
            ("Condition", json!({"Bool": {"aws:SecureTransport": "true"}})),
            (
                "Condition",
                json!({"Bool": {"aws:SecureTransport": "false"}, "StringEquals": {"aws:PrincipalTag/team": "a"}}),
            ),
        ] {
            let mut statement = base.clone();
            statement[name] = less.clone();
            assert!(merged(&json!({"Statement": statement})).is_some(), "{name} {less}");
        }
    }

    const CI: &str = "arn:aws:iam::123456789012:role/ci";
    const GITHUB: &str = "arn:aws:iam::123456789012:oidc-provider/token.actions.githubusercontent.com";

    fn letting(effect: &str, who: &Value, action: &Value, condition: Option<Value>) -> String {
        let mut statement = json!({"Effect": effect, "Principal": who, "Action": action});
        if let Some(condition) = condition {
            statement["Condition"] = condition;
        }
        json!({"Version": "2012-10-17", "Statement": statement}).to_string()
    }

    /// What lets somebody do something else with the role, or is about another way to it, does not let them take it.
    #[test]
    fn who_is_let_in_is_let_in_by_the_action_that_they_take() {
        let ci = Trusted::Principal(CI.to_owned());
        let subject = "repo:acme/infra:ref:refs/heads/main".to_owned();
        let pipeline = Trusted::Subject { provider: GITHUB.to_owned(), subject: subject.clone() };
        let of_subject = Some(json!({"StringEquals": {"token.actions.githubusercontent.com:sub": [subject]}}));
        for (effect, action, role, token) in [
            ("Allow", json!("sts:AssumeRole"), true, false),
            ("Allow", json!(["sts:TagSession", "STS:assumerole"]), true, false),
            ("Allow", json!("sts:AssumeRoleWithWebIdentity"), false, true),
            ("Allow", json!(["sts:AssumeRole", "sts:AssumeRoleWithWebIdentity"]), true, true),
            ("Allow", json!("sts:*"), true, true),
            ("Allow", json!("*"), true, true),
            ("Allow", json!("sts:TagSession"), false, false),
            ("Allow", json!("sts:SetSourceIdentity"), false, false),
            ("Deny", json!("sts:*"), false, false),
        ] {
            let by_arn = letting(effect, &json!({"AWS": [CI]}), &action, None);
            assert_eq!(trusts(&by_arn, &ci), role, "{by_arn}");
            let by_token = letting(effect, &json!({"Federated": GITHUB}), &action, of_subject.clone());
            assert_eq!(trusts(&by_token, &pipeline), token, "{by_token}");
            assert!(!trusts(&by_token, &ci) && !trusts(&by_arn, &pipeline), "{effect} {action}");
        }
        let assume = json!("sts:AssumeRole");
        assert!(trusts(&letting("Allow", &json!("*"), &assume, None), &ci));
        assert!(!trusts(&letting("Allow", &json!({"AWS": CI.replace("ci", "cd")}), &assume, None), &ci));
        let other = Some(json!({"StringEquals": {"token.actions.githubusercontent.com:sub": "repo:acme/other"}}));
        let other = letting("Allow", &json!({"Federated": GITHUB}), &json!("sts:*"), other);
        assert!(!trusts(&other, &pipeline), "another subject of the same provider");
        assert!(!trusts("{", &ci));
    }

    /// Nobody is named who is kept out: neither by a statement that refuses, nor by a condition that takes somebody out.
    #[test]
    fn whom_a_trust_policy_names() {
        let assume = json!("sts:AssumeRole");
        let subject = |operator: &str, subjects: Value| {
            let mut condition =
                json!({"StringEquals": {"token.actions.githubusercontent.com:aud": "sts.amazonaws.com"}});
            condition[operator]["token.actions.githubusercontent.com:sub"] = subjects;
            letting("Allow", &json!({"Federated": GITHUB}), &json!("sts:AssumeRoleWithWebIdentity"), Some(condition))
        };
        let of = |subject: &str| format!("{GITHUB}#{subject}");
        for (trust, named) in [
            (letting("Allow", &json!({"AWS": CI}), &assume, None), vec![CI.to_owned()]),
            (letting("Allow", &json!("*"), &assume, None), vec!["*".to_owned()]),
            (
                letting("Allow", &json!({"AWS": [CI, "444455556666"], "Service": "ec2.amazonaws.com"}), &assume, None),
                vec![CI.to_owned(), "444455556666".to_owned(), "ec2.amazonaws.com".to_owned()],
            ),
            (letting("Deny", &json!({"AWS": CI}), &assume, None), Vec::new()),
            (
                subject("StringLike", json!(["repo:acme/a", "repo:acme/b*"])),
                vec![of("repo:acme/a"), of("repo:acme/b*")],
            ),
            (subject("StringEquals", json!("repo:acme/a")), vec![of("repo:acme/a")]),
            (subject("StringNotLike", json!("repo:acme/a")), vec![GITHUB.to_owned()]),
            ("{".to_owned(), Vec::new()),
        ] {
            assert_eq!(principals(&trust), named, "{trust}");
        }
    }

    #[test]
    fn what_is_no_policy_is_not_replaced() {
        for broken in ["", "[]", "{}", r#"{"Statement": "x"}"#] {
            with(Some(broken), &Statements::tls_only(&wanted(), "states")).expect_err(broken);
        }
    }
}
