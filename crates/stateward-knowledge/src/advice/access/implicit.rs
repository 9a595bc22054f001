//! Nothing allows it: what is to be added, and by whom.

use stateward_denial::{Layer, PrincipalType};

use super::super::asked::{has_policies, is_service_linked, permission_set};
use super::super::{Advice, PolicyFor, Who, words};
use super::Case;

pub(super) fn advise(case: &Case<'_>) -> Advice {
    match case.denial.layer {
        Layer::Identity => identity(case),
        Layer::Resource => resource(case),
        Layer::Boundary => boundary(case),
        Layer::Session => session(case),
        Layer::Scp => scp(case),
        Layer::VpcEndpoint => endpoint(case),
        Layer::Trust => trust(case),
        layer => Advice::new(
            format!("{} refused: {} does not allow it", case.target(), words::layer(layer)),
            format!("{} does not allow {}.", words::layer(layer), case.target()),
        ),
    }
}

/// Where a policy of whoever asked is attached.
pub(super) fn attach(case: &Case<'_>) -> String {
    match case.denial.principal.kind {
        _ if permission_set(case.denial).is_some() => format!(
            "Add this to the inline policy of {} in IAM Identity Center, and provision it again. Its role in IAM cannot be changed.",
            case.who
        ),
        PrincipalType::AssumedRole | PrincipalType::Role => format!("Attach this policy to {}.", case.who),
        PrincipalType::User => format!("Attach this policy to {}, or to a group that it is in.", case.who),
        PrincipalType::FederatedUser => {
            "Attach this policy to the user who called `GetFederationToken`, and pass it in that call.".to_owned()
        }
        _ => "Attach this policy to the user or role that asked.".to_owned(),
    }
}

fn identity(case: &Case<'_>) -> Advice {
    let target = case.target();
    let advice = Advice::new(
        format!("{target} refused: no identity-based policy allows it"),
        format!("No policy of {} allows {target}, and no policy of the resource stands in for it.", case.who),
    );
    let policy = case.policy(PolicyFor::Identity);
    let why = match &policy {
        Some(_) if case.problem.locking && case.service() != "kms" => {
            "The smallest policy for the lock: whoever may take it must be able to look at it and to give it back."
        }
        Some(_) => "The smallest policy that allows what was refused.",
        None => case.why_none(),
    };
    let step = match &policy {
        Some(_) => attach(case),
        None if is_service_linked(case.denial) => {
            format!(
                "Look at the service that {} is for, and its settings: AWS alone changes the policies of this role.",
                case.who
            )
        }
        None if case.risk().is_some() => {
            format!("Decide whether {} should do {target} at all.", case.who)
        }
        None => format!("Allow {} in a policy of {}.", case.target(), case.who),
    };
    let mut advice = advice.propose(Who::AccountAdmin, step, why, policy);
    if case.problem.locking || is_state(case) {
        advice = advice.then(
            Who::AccountAdmin,
            "Give the run all that it needs at once: `stateward policy generate --for apply --bucket BUCKET --key KEY` prints it.",
            "A run needs the state object, the lock, and the key where there is one; it stops at the first that is refused.",
        );
    }
    if case.service() == "kms" {
        advice = advice.then(
            Who::KeyOwner,
            "Look whether the key's policy lets the account's policies decide: a statement for the account's `root` with `kms:*`.",
            "Without it a policy of the user or role has no say about the key.",
        );
    }
    if case.crosses_accounts() {
        advice = advice.then(
            Who::ResourceOwner,
            format!("Allow {} in the resource's own policy too.", case.who),
            "The resource belongs to another account: both sides must allow the request.",
        );
    }
    advice.but_not(
        "`AdministratorAccess`, or `\"Action\": \"*\"`",
        "It ends this refusal, and everybody who gets hold of these credentials can do all else as well.",
    )
}

fn is_state(case: &Case<'_>) -> bool {
    let resource = case.denial.resource.as_deref().unwrap_or_default();
    resource.ends_with(".tfstate") || resource.ends_with(".tflock")
}

fn resource(case: &Case<'_>) -> Advice {
    let target = case.target();
    let kind = if case.service() == "kms" { PolicyFor::Key } else { PolicyFor::Resource };
    let owner = if kind == PolicyFor::Key { Who::KeyOwner } else { Who::ResourceOwner };
    let mut advice = Advice::new(
        format!("{target} refused: the resource's own policy does not allow it"),
        match kind {
            PolicyFor::Key => format!("The key's policy allows {target} neither to {} nor to its account.", case.who),
            _ => format!(
                "The policy of the resource does not allow {target} to {}. For a resource of another account it must, beside the \
                 policies of whoever asks.",
                case.who
            ),
        },
    )
    .propose(
        owner,
        if kind == PolicyFor::Key {
            "Add this statement to the key's policy; keep those that are there.".to_owned()
        } else {
            "Add this statement to the resource's policy; keep those that are there.".to_owned()
        },
        "A policy that is put there replaces the whole one that is there.",
        case.policy(kind),
    );
    if has_policies(case.denial) {
        let policy = case.policy(PolicyFor::Identity);
        let attach = policy.as_ref().map(|_| format!(" If nothing does: {}", attach(case))).unwrap_or_default();
        advice = advice.propose(
            Who::AccountAdmin,
            format!("See whether a policy of {} allows it as well.{attach}", case.who),
            "Where the resource is of another account, or is a key, both must allow.",
            policy,
        );
    }
    if case.service() == "s3" {
        advice = advice
            .then(
                Who::ResourceOwner,
                "Look at Block Public Access: `IgnorePublicAcls` answers with the same words.",
                "A grant by a public ACL does not count while it is on; grant by a policy that names who may.",
            )
            .but_not("Switching Block Public Access off", "It opens what others meant to keep closed.");
    }
    advice
}

fn boundary(case: &Case<'_>) -> Advice {
    let target = case.target();
    Advice::new(
        format!("{target} refused: the permissions boundary does not allow it"),
        format!(
            "{} has a permissions boundary that does not allow {target}. A boundary gives nothing: it limits what other policies give.",
            sentence(&case.who)
        ),
    )
    .propose(
        Who::AccountAdmin,
        "Add this statement to the policy that is the boundary.",
        "Both the boundary and a policy of the user or role must allow it.",
        case.policy(PolicyFor::Boundary),
    )
    .propose(
        Who::AccountAdmin,
        format!("Look whether a policy of {} allows it as well.", case.who),
        "The boundary alone does not.",
        case.policy(PolicyFor::Identity),
    )
    .but_not("Attaching more policies", "While the boundary does not allow it, none of them helps.")
    .but_not(
        "Taking the boundary away",
        "It is there so that whoever makes roles cannot give them more than was agreed; who set it has to decide.",
    )
}

fn session(case: &Case<'_>) -> Advice {
    let target = case.target();
    Advice::new(
        format!("{target} refused: the session policy does not allow it"),
        format!(
            "The session{} was opened with a policy of its own, and that does not allow {target}.",
            case.denial.principal.session.as_ref().map(|name| format!(" `{name}`")).unwrap_or_default()
        ),
    )
    .propose(
        Who::You,
        "Add this statement to the policy that the session is opened with, or open it without one.",
        "It stands where the role is assumed: `policy` and `policy_arns` in `assume_role` of the backend or provider, \
         `inline-session-policy` and `managed-session-policies` of a workflow's login step, `--policy` of `sts assume-role`. \
         Amazon Cognito's enhanced flow has a fixed one.",
        case.policy(PolicyFor::Session),
    )
    .propose(
        Who::AccountAdmin,
        format!("Look whether a policy of {} allows it as well.", case.who),
        "A session policy gives nothing: it limits what the role may do.",
        case.policy(PolicyFor::Identity),
    )
    .but_not("Attaching more policies to the role", "The session keeps to what both allow.")
}

fn scp(case: &Case<'_>) -> Advice {
    let target = case.target();
    Advice::new(
        format!("{target} refused: no service control policy allows it"),
        format!(
            "At some level between the organization's root and the account no service control policy allows {target}. Every level must. \
             Logs of before 2024 name this one way of refusing for the other: an explicit deny is possible as well."
        ),
    )
    .propose(
        Who::OrganizationAdmin,
        "Find the level that does not allow it, and add this statement to a policy there, or attach `FullAWSAccess` again.",
        "Service control policies give nothing: they limit what an account's own policies can give.",
        case.policy(PolicyFor::Scp),
    )
    .but_not("Changing policies in the account", "Nothing in a member account gets past the organization, not even its root user.")
}

fn endpoint(case: &Case<'_>) -> Advice {
    let target = case.target();
    Advice::new(
        format!("{target} refused: the VPC endpoint's policy does not allow it"),
        format!("The request went through a VPC endpoint whose policy does not allow {target}."),
    )
    .propose(
        Who::NetworkAdmin,
        "Add this statement to the policy of the endpoint of this service in the VPC that the run is in.",
        "An endpoint's policy gives nothing: it limits what can be reached through it. Changes take some minutes.",
        case.policy(PolicyFor::VpcEndpoint),
    )
    .then(
        Who::You,
        "If this happens from one machine only, compare its network with that of one where it works.",
        "The same credentials are refused behind the endpoint and not elsewhere.",
    )
    .but_not("Attaching more policies", "While the endpoint does not let it through, none of them helps.")
}

fn trust(case: &Case<'_>) -> Advice {
    let target = case.target();
    Advice::new(
        format!("{target} refused: the role's trust policy does not allow it"),
        format!("The trust policy of the role does not let {} assume it, or not under these conditions.", case.who),
    )
    .propose(
        Who::ResourceOwner,
        "Add this statement to the role's trust policy; keep the conditions that similar statements have.",
        "A role is assumed by whom its own trust policy names, and by nobody else.",
        case.policy(PolicyFor::Trust),
    )
    .then(
        Who::You,
        "Compare the conditions: `sts:ExternalId`, `aws:MultiFactorAuthPresent`, and for a web identity `sub` and `aud`.",
        "A statement whose condition does not hold does not allow anything.",
    )
    .but_not(
        "`\"Principal\": \"*\"` or a whole account without a condition",
        "Everybody, or everybody in that account, could become the role.",
    )
}

/// A phrase at the start of a sentence.
pub(super) fn sentence(phrase: &str) -> String {
    let mut letters = phrase.chars();
    match letters.next() {
        Some(first) => first.to_uppercase().chain(letters).collect(),
        None => String::new(),
    }
}
