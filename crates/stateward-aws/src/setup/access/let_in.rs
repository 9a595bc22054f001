//! Whether a role is let in by the bucket's policy: one that refuses all but those whom it names refuses ours, too.

use serde_json::{Value, json};
use stateward_iam::{Context, Named, Outcome, Policy, PolicyKind, PolicySet, Request};

use super::super::policy::statements;
use super::super::{Bucket, Found, Item, Resource, Wanted};
use super::Side;

/// That the role is locked out; `None` where nothing surely keeps it out. It is told and does not stand in the way: whose the policy is
/// names the role there, which is there by then.
pub(super) fn plan(side: &Side<'_>, found: &Found) -> Option<Item> {
    let Some(Bucket::There(settings)) = found.bucket.as_ref().filter(|_| side.environment.has_role()) else {
        return None;
    };
    let policy: Value = serde_json::from_str(settings.policy.as_deref()?).ok()?;
    let role = side.wanted.iam_arn("role", &side.name);
    let all = statements(&policy)?.iter().enumerate().filter(|(_, one)| one["Effect"] == "Deny");
    let refusing: Vec<_> = all.filter(|(_, one)| refuses(one, side) == Some(true)).collect();
    let by_exception = refusing.iter().any(|(_, one)| one.get("NotPrincipal").is_some());
    let names: Vec<String> = refusing
        .into_iter()
        .map(|(at, one)| one["Sid"].as_str().map_or_else(|| format!("statement {}", at + 1), str::to_owned))
        .collect();
    (!names.is_empty()).then(|| {
        let next = match by_exception {
            false => format!("Have that statement spare {role}, as it does those whom it names."),
            // AWS compares it with the session, whose name whoever takes the role chooses, and takes no wildcard there.
            true => format!(
                "`NotPrincipal` spares no role whoever takes it, only single sessions: write `\"Principal\": \"*\"` in its place, with the \
                 condition `ArnNotEquals` on `aws:PrincipalArn`, which names {role} beside the others."
            ),
        };
        let why = format!(
            "The bucket's policy refuses the role ({}), whatever the role's own policy allows: nobody could work there. {next}",
            names.join(" and ")
        );
        let of = Resource { kind: "role", name: &side.name };
        of.stays("let-in", (json!("locked out"), json!("let in")), why)
    })
}

/// Whether a statement surely refuses the role to look for a state, to read or to write it.
fn refuses(statement: &Value, side: &Side<'_>) -> Option<bool> {
    let named = |document: Value, kind| {
        let policy = Policy::parse(&document.to_string(), kind).ok()?;
        Some(Named { name: String::new(), policy })
    };
    let everything = json!({"Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}});
    let set = PolicySet {
        identity: vec![named(everything, PolicyKind::Identity)?],
        resource: Some(named(json!({"Statement": statement}), PolicyKind::Resource)?),
        ..PolicySet::default()
    };
    // Whoever works there asks as a session of the role.
    let Wanted { partition, account, .. } = side.wanted;
    let session = format!("arn:{partition}:sts::{account}:assumed-role/{}/terraform", side.name);
    let bucket = side.wanted.bucket_arn(side.bucket);
    let state = format!("{bucket}/{}/terraform.tfstate", side.environment.name);
    let asked = [("s3:ListBucket", &bucket), ("s3:GetObject", &state), ("s3:PutObject", &state)];
    Some(asked.into_iter().any(|(action, resource)| {
        let request = Request::new(&session, action, resource, Some(&side.wanted.account), context(statement)).ok();
        request.is_some_and(|request| set.evaluate(&request).outcome == Outcome::ExplicitDeny)
    }))
}

/// What is known is who asks, and that it is not over plain HTTP.
fn context(statement: &Value) -> Context {
    const KNOWN: [&str; 4] = ["aws:principalarn", "aws:principalaccount", "aws:principaltype", "aws:securetransport"];
    let mut context = Context::default();
    context.value("aws:SecureTransport", "true");
    let operators = statement["Condition"].as_object().into_iter().flatten();
    let keys = operators.flat_map(|(_, keys)| keys.as_object().into_iter().flatten());
    let others = keys.map(|(key, _)| key.to_ascii_lowercase()).filter(|key| !KNOWN.contains(&key.as_str()));
    others.for_each(|key| _ = context.unknown(&key));
    context
}
