//! Policies that would have allowed what was refused, where that is safe to give, and why the rest is left out.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::{Value, json};
use stateward_denial::{Effect, Layer};
use stateward_iam::{
    Context, Named, Outcome, Policy, PolicyKind, PolicySet, Request, Risk, Severity, data, lint, risk,
};
use stateward_knowledge::advice::{Asked, has_policies, literal};

use super::tally::{Listed, Refusal};

/// The characters of a managed policy, white space not counted.
const SIZE_MAX: usize = 6_144;
/// What would have allowed what was refused.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Fix {
    /// For each principal the policies to attach; several only where one would be too large.
    pub policies: Vec<FixPolicy>,
    /// What no policy is given for.
    pub left_out: Vec<LeftOut>,
}

/// A policy to attach as it is.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FixPolicy {
    /// To whom: the ARN of a user or a role.
    pub principal: String,
    /// The document.
    pub policy: Value,
}

/// Refused calls that no policy is given for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LeftOut {
    /// Who asked.
    pub principal: String,
    /// The action.
    pub action: String,
    /// What it was to be done to.
    pub resource: Option<String>,
    /// How often.
    pub count: u64,
    /// Why, for programs.
    pub reason: Reason,
    /// Why.
    pub why: String,
}

/// Why there is no policy for a refused call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// A policy denies it explicitly.
    Explicit,
    /// A layer refused that an identity policy cannot open, or AWS does not say which.
    Layer,
    /// Whoever asked can have no policies.
    Principal,
    /// It could be used to get more rights, to open or to destroy ([`risk`]).
    Unsafe,
    /// The record does not name what it was to be done to.
    Unknown,
    /// The resource is of another account.
    OtherAccount,
    /// The evaluator or the linter does not agree with the policy that would be made.
    NotProven,
}

/// An action on a resource, as a policy writes it, and what the names begin with that may be listed: with any, where there is nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Grant {
    action: String,
    resource: String,
    prefixes: BTreeSet<String>,
}

/// Grants by their actions and resources.
type Grants = BTreeMap<(String, String), BTreeSet<String>>;

/// The policies for what was refused. Each has been run through the evaluator: with it, what it is for is allowed.
pub fn fix(refusals: &[Refusal]) -> Fix {
    let mut grants: BTreeMap<&str, Grants> = BTreeMap::new();
    let mut left_out = Vec::new();
    for refusal in refusals {
        match grant(refusal) {
            Ok(grant) => {
                let Grant { action, resource, prefixes } = grant;
                match grants.entry(&refusal.principal).or_default().entry((action, resource)) {
                    Entry::Vacant(place) => drop(place.insert(prefixes)),
                    Entry::Occupied(mut known) if prefixes.is_empty() || known.get().is_empty() => {
                        known.get_mut().clear();
                    }
                    Entry::Occupied(mut known) => known.get_mut().extend(prefixes),
                }
            }
            Err((reason, why)) => left_out.push(LeftOut {
                principal: refusal.principal.clone(),
                action: refusal.action.clone(),
                resource: refusal.resource.clone(),
                count: refusal.count,
                reason,
                why,
            }),
        }
    }
    let mut policies = Vec::new();
    for (principal, grants) in grants {
        let policy = |policy| FixPolicy { principal: principal.to_owned(), policy };
        policies.extend(documents(&grants).into_iter().map(policy));
    }
    Fix { policies, left_out }
}

/// What to grant for a refused call, or why not.
fn grant(refusal: &Refusal) -> Result<Grant, (Reason, String)> {
    let no = |reason, why: &str| Err((reason, why.to_owned()));
    let Some(denial) = &refusal.problem.denial else { return no(Reason::Unknown, "the record does not tell it") };
    if refusal.effect == Effect::Explicit {
        return no(Reason::Explicit, "a policy denies it explicitly: none that allows it helps");
    }
    match refusal.layer {
        Layer::Identity => {}
        Layer::Unknown => {
            return no(Reason::Layer, "AWS does not say which kind of policy refused: see `stateward explain`");
        }
        _ => {
            return no(
                Reason::Layer,
                "a layer refused that a policy of the user or role cannot open: see `stateward explain`",
            );
        }
    }
    let parts: Vec<&str> = refusal.principal.splitn(6, ':').collect();
    let [_, _, "iam", _, account, name] = parts.as_slice() else {
        return no(Reason::Principal, "who asked is no user or role that a policy can be attached to");
    };
    if !has_policies(denial) || !(name.starts_with("user/") || name.starts_with("role/")) {
        return no(Reason::Principal, "who asked is no user or role that a policy can be attached to");
    }
    if name.starts_with("role/aws-service-role/") || name.contains("AWSReservedSSO_") {
        return no(Reason::Principal, "AWS makes this role: its policies are changed where it comes from");
    }
    let Some(asked) = Asked::of(&refusal.problem) else {
        return no(Reason::Unknown, "the record does not name the resource");
    };
    let (action, resource) = (refusal.action.clone(), asked.pattern());
    if let Some(risk) = risk(&action) {
        return no(
            Reason::Unsafe,
            match risk {
                Risk::MoreRights => "who may do this can get more rights: decide about it by hand",
                Risk::Exposure => "who may do this can lay open what others own: decide about it by hand",
                Risk::Loss => "who may do this can destroy what cannot be brought back: decide about it by hand",
            },
        );
    }
    let needs_one = data::action(&action).is_none_or(|action| !action.resources.is_empty());
    let is_open = resource == "*" || !action.starts_with("s3:") && resource.contains(['*', '?', '$']);
    if needs_one && is_open {
        return no(Reason::Unknown, "the record does not name a single resource");
    }
    let owner = resource.split(':').nth(4).filter(|owner| !owner.is_empty());
    if owner.is_some_and(|owner| owner != *account) {
        return no(
            Reason::OtherAccount,
            "the resource is of another account, whose own policies must allow it as well",
        );
    }
    if asked.prefix.is_some() && refusal.listed == Listed::Many {
        return no(Reason::Unknown, "the names of many prefixes were to be listed: decide by hand which of them");
    }
    let prefixes = if asked.prefix.is_some() { refusal.prefixes.clone() } else { BTreeSet::new() };
    let grant = Grant { action, resource, prefixes };
    proven(refusal, &asked, &grant).map(|()| grant)
}

/// Whether the linter takes a policy of this grant alone, and the evaluator allows the refused call with it.
fn proven(refusal: &Refusal, asked: &Asked, grant: &Grant) -> Result<(), (Reason, String)> {
    let document = document(&[statement(&[&grant.action], &[&grant.resource], &grant.prefixes)]).to_string();
    let findings = lint(&document, PolicyKind::Identity);
    if let Some(finding) = findings.into_iter().find(|finding| finding.severity == Severity::Error) {
        return Err((Reason::NotProven, finding.message));
    }
    let named = |text: &str, kind| Policy::parse(text, kind).map(|policy| Named { name: "fix".to_owned(), policy });
    // A key's policy must let the account's policies decide: AWS has just said that they do.
    let delegating =
        json!({"Statement": {"Effect": "Allow", "Principal": {"AWS": asked.account}, "Action": "*", "Resource": "*"}});
    let resource =
        if asked.resource.contains(":kms:") { named(&delegating.to_string(), PolicyKind::Resource).ok() } else { None };
    let allowed = named(&document, PolicyKind::Identity).is_ok_and(|policy| {
        let set = PolicySet { identity: vec![policy], resource, ..PolicySet::default() };
        let is_allowed = |context| {
            let request = Request::new(&refusal.principal, &refusal.action, &asked.resource, None, context);
            request.is_ok_and(|request| set.evaluate(&request).outcome == Outcome::Allowed)
        };
        let of_prefix = |prefix: &String| {
            let mut context = Context::default();
            context.value("s3:prefix", prefix.as_str());
            is_allowed(context)
        };
        if grant.prefixes.is_empty() { is_allowed(Context::default()) } else { grant.prefixes.iter().all(of_prefix) }
    });
    if allowed { Ok(()) } else { Err((Reason::NotProven, "a policy for it would not be enough".to_owned())) }
}

fn document(statements: &[Value]) -> Value {
    json!({"Version": "2012-10-17", "Statement": statements})
}

/// Resources on which the same actions were refused stand in one statement, so that nothing else is granted.
fn documents(grants: &Grants) -> Vec<Value> {
    let mut actions: BTreeMap<(&str, &BTreeSet<String>), Vec<&str>> = BTreeMap::new();
    for ((action, resource), prefixes) in grants {
        actions.entry((resource, prefixes)).or_default().push(action);
    }
    let mut statements: BTreeMap<(Vec<&str>, &BTreeSet<String>), Vec<&str>> = BTreeMap::new();
    for ((resource, prefixes), actions) in actions {
        statements.entry((actions, prefixes)).or_default().push(resource);
    }
    let mut documents = Vec::new();
    let mut current: Vec<Value> = Vec::new();
    let mut size = 0;
    let empty = document(&[]).to_string().len();
    for ((actions, prefixes), resources) in statements {
        let mut fitting: Vec<&str> = Vec::new();
        let head = statement(&actions, &[], prefixes).to_string().len() + 1;
        size += head;
        for resource in resources {
            // Quotes and a comma beside it.
            let length = Value::from(resource).to_string().len() + 1;
            if empty + size + length > SIZE_MAX && !(fitting.is_empty() && current.is_empty()) {
                if !fitting.is_empty() {
                    current.push(statement(&actions, &fitting, prefixes));
                }
                documents.push(document(&current));
                current.clear();
                fitting.clear();
                size = head;
            }
            fitting.push(resource);
            size += length;
        }
        current.push(statement(&actions, &fitting, prefixes));
    }
    if !current.is_empty() {
        documents.push(document(&current));
    }
    documents
}

fn statement(actions: &[&str], resources: &[&str], prefixes: &BTreeSet<String>) -> Value {
    let mut statement = json!({"Effect": "Allow", "Action": actions, "Resource": resources});
    if !prefixes.is_empty() {
        statement["Condition"] =
            json!({"StringEquals": {"s3:prefix": prefixes.iter().map(|prefix| literal(prefix)).collect::<Vec<_>>()}});
    }
    statement
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trail::{Tally, Wanted};

    const CI: &str = "arn:aws:iam::111122223333:user/ci";
    const BECAUSE: &str = "because no identity-based policy allows the action";

    fn refused(who: &str, action: &str, resource: &str, how: &str) -> Value {
        let (service, name) = action.split_once(':').unwrap();
        json!({
            "eventSource": format!("{service}.amazonaws.com"), "eventName": name, "errorCode": "AccessDenied",
            "userIdentity": {"arn": who},
            "errorMessage": format!("User: {who} is not authorized to perform: {action} on resource: {resource} {how}"),
        })
    }

    fn fixed(records: &[Value]) -> (Vec<Refusal>, Fix) {
        let mut tally = Tally::default();
        let denied = records.iter().filter_map(|record| Wanted::default().denied(record));
        denied.for_each(|denied| tally.add(denied));
        let refusals = tally.finish().0;
        let fix = fix(&refusals);
        (refusals, fix)
    }

    #[test]
    fn exactly_what_was_refused_is_allowed() {
        let table = "arn:aws:dynamodb:eu-west-1:111122223333:table/locks";
        let (_, fix) = fixed(&[
            refused(CI, "dynamodb:PutItem", table, BECAUSE),
            refused(CI, "dynamodb:GetItem", table, BECAUSE),
            refused(CI, "s3:GetObject", "arn:aws:s3:::b/a*b", BECAUSE),
            refused(CI, "s3:ListAllMyBuckets", "*", BECAUSE),
            refused(CI, "kms:Decrypt", "arn:aws:kms:eu-west-1:111122223333:key/1", BECAUSE),
        ]);
        assert_eq!(fix.left_out, []);
        let [FixPolicy { principal, policy }] = fix.policies.as_slice() else { panic!("{fix:?}") };
        assert_eq!(principal, CI);
        let statements = json!([
            {"Effect": "Allow", "Action": ["dynamodb:GetItem", "dynamodb:PutItem"], "Resource": [table]},
            {"Effect": "Allow", "Action": ["kms:Decrypt"], "Resource": ["arn:aws:kms:eu-west-1:111122223333:key/1"]},
            {"Effect": "Allow", "Action": ["s3:GetObject"], "Resource": ["arn:aws:s3:::b/a${*}b"]},
            {"Effect": "Allow", "Action": ["s3:ListAllMyBuckets"], "Resource": ["*"]},
        ]);
        assert_eq!(policy["Statement"], statements);
        assert_eq!(lint(&policy.to_string(), PolicyKind::Identity), []);
    }

    fn listing(parameters: Value) -> Value {
        let mut record = refused(CI, "s3:ListBucket", "arn:aws:s3:::b", BECAUSE);
        record["requestParameters"] = parameters;
        record
    }

    #[test]
    fn no_more_names_may_be_listed_than_were_asked_for() {
        let statement = |records: &[Value]| {
            let (refusals, fix) = fixed(records);
            assert_eq!((refusals.len(), fix.left_out.len(), fix.policies.len()), (1, 0, 1), "{fix:?}");
            let policy = &fix.policies[0].policy;
            assert_eq!(lint(&policy.to_string(), PolicyKind::Identity), []);
            policy["Statement"][0].clone()
        };
        let net = listing(json!({"bucketName": "b", "prefix": "net/", "list-type": "2"}));
        let env = listing(json!({"bucketName": "b", "prefix": "env:/$x/"}));
        let all = listing(json!({"bucketName": "b"}));
        let prefix = |prefixes: &[&str]| json!({"StringEquals": {"s3:prefix": prefixes}});
        assert_eq!(statement(std::slice::from_ref(&net))["Condition"], prefix(&["net/"]));
        assert_eq!(statement(&[net.clone(), env.clone(), net.clone()])["Condition"], prefix(&["env:/${$}x/", "net/"]));
        for records in [[net.clone(), all.clone()], [all, net]] {
            assert_eq!(statement(&records)["Condition"], Value::Null, "all names were to be listed, too");
        }
        let many: Vec<Value> = (0..21).map(|number| listing(json!({"prefix": format!("{number}/")}))).collect();
        let (_, fix) = fixed(&many);
        assert_eq!((fix.policies.len(), fix.left_out[0].reason), (0, Reason::Unknown));
    }

    #[test]
    fn what_is_left_out_has_its_reason() {
        let object = "arn:aws:s3:::b/k";
        for (who, action, resource, how, reason) in [
            (CI, "s3:GetObject", object, "with an explicit deny in an identity-based policy", Reason::Explicit),
            (
                CI,
                "s3:GetObject",
                object,
                "because no service control policy allows the s3:GetObject action",
                Reason::Layer,
            ),
            (
                CI,
                "s3:GetObject",
                object,
                "because no permissions boundary allows the s3:GetObject action",
                Reason::Layer,
            ),
            (CI, "s3:GetObject", object, "because no session policy allows the s3:GetObject action", Reason::Layer),
            (
                CI,
                "s3:GetObject",
                object,
                "because no resource-based policy allows the s3:GetObject action",
                Reason::Layer,
            ),
            (
                CI,
                "s3:GetObject",
                object,
                "because no VPC endpoint policy allows the s3:GetObject action",
                Reason::Layer,
            ),
            (CI, "s3:GetObject", object, "", Reason::Layer),
            ("arn:aws:iam::111122223333:root", "s3:GetObject", object, BECAUSE, Reason::Principal),
            ("arn:aws:sts::111122223333:federated-user/bo", "s3:GetObject", object, BECAUSE, Reason::Principal),
            (
                "arn:aws:sts::111122223333:assumed-role/AWSReservedSSO_Dev_0123456789abcdef/ana",
                "s3:GetObject",
                object,
                BECAUSE,
                Reason::Principal,
            ),
            (CI, "iam:PassRole", "arn:aws:iam::111122223333:role/r", BECAUSE, Reason::Unsafe),
            (CI, "s3:PutBucketPolicy", "arn:aws:s3:::b", BECAUSE, Reason::Unsafe),
            (CI, "kms:PutKeyPolicy", "arn:aws:kms:eu-west-1:111122223333:key/1", BECAUSE, Reason::Unsafe),
            (CI, "dynamodb:DeleteTable", "arn:aws:dynamodb:eu-west-1:111122223333:table/t", BECAUSE, Reason::Unsafe),
            (CI, "sts:AssumeRole", "*", BECAUSE, Reason::Unknown),
            (CI, "dynamodb:Query", "arn:aws:dynamodb:eu-west-1:111122223333:table/*", BECAUSE, Reason::Unknown),
            (CI, "dynamodb:PutItem", "arn:aws:dynamodb:eu-west-1:444455556666:table/t", BECAUSE, Reason::OtherAccount),
        ] {
            let (_, fix) = fixed(&[refused(who, action, resource, how)]);
            let reasons: Vec<Reason> = fix.left_out.iter().map(|left| left.reason).collect();
            assert_eq!((reasons, fix.policies.len()), (vec![reason], 0), "{who} {action} {resource} {how}");
        }
    }

    #[test]
    fn policies_that_would_be_too_large_are_split_and_still_allow_all() {
        let key = |number: usize| format!("arn:aws:s3:::bucket-of-states/{}/{number}.tfstate", "long/".repeat(8));
        let records: Vec<Value> = (0..400)
            .map(|number| {
                refused(CI, if number % 2 == 0 { "s3:GetObject" } else { "s3:PutObject" }, &key(number), BECAUSE)
            })
            .collect();
        let (refusals, fix) = fixed(&records);
        assert!(fix.policies.len() > 3 && fix.left_out.is_empty(), "{}", fix.policies.len());
        let identity = fix.policies.iter().map(|part| {
            let text = part.policy.to_string();
            assert!(text.len() <= SIZE_MAX, "{}", text.len());
            Named { name: String::new(), policy: Policy::parse(&text, PolicyKind::Identity).unwrap() }
        });
        let set = PolicySet { identity: identity.collect(), ..PolicySet::default() };
        let outcome = |action: &str, resource: &str| {
            set.evaluate(&Request::new(CI, action, resource, None, Context::default()).unwrap()).outcome
        };
        for refusal in &refusals {
            let resource = refusal.resource.as_deref().unwrap();
            assert_eq!(outcome(&refusal.action, resource), Outcome::Allowed, "{resource}");
            let other = if refusal.action == "s3:GetObject" { "s3:PutObject" } else { "s3:GetObject" };
            assert_eq!(outcome(other, resource), Outcome::ImplicitDeny, "{other} {resource}");
        }
    }
}
