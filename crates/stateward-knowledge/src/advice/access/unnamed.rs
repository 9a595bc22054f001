//! AWS does not say which layer refused: how to find out, and what is likely.

use stateward_denial::{Effect, Layer, PrincipalType};

use super::super::{Advice, PolicyFor, Who, words};
use super::Case;
use super::implicit::{self, sentence};

pub(super) fn advise(case: &Case<'_>) -> Advice {
    let target = case.target();
    let denies = case.denial.effect == Effect::Explicit;
    let mut layers: Vec<&str> = case.problem.also_possible.iter().map(|layer| words::layer(*layer)).collect();
    if layers.is_empty() {
        layers.push("any layer");
    }
    let mut advice = Advice::new(
        if denies {
            format!("{} refused: something denies it, and AWS does not say where", sentence(&target))
        } else {
            format!("{} refused, and AWS does not say by what", sentence(&target))
        },
        format!(
            "The text names no layer. It can be {}.{}",
            words::list(&layers),
            if denies { " Somewhere a statement denies it: another allow does not help." } else { "" }
        ),
    );
    advice = identify(case, advice);
    advice = ask(case, advice);
    if case.assumes_role() {
        return role(case, advice);
    }
    if case.problem.also_possible.contains(&Layer::Identity) && !denies {
        let policy = case.policy(PolicyFor::Identity);
        advice = advice.propose(
            Who::AccountAdmin,
            format!("See whether a policy of {} allows it.{}", case.who, attach(case, policy.is_some())),
            "The likeliest cause, and the one that the account itself can mend.",
            policy,
        );
    }
    if denies {
        advice = advice.then(
            Who::AccountAdmin,
            format!("Look for a `Deny` that covers {target} in {}.", words::list(&layers)),
            "The first are the account's own; the organization's come after them.",
        );
    }
    advice = storage(case, advice);
    if let Some(rest) = beyond(case) {
        advice = advice.then(
            Who::OrganizationAdmin,
            format!("If the account's policies allow it, look at {rest}."),
            "What an account cannot see refuses with the same text.",
        );
    }
    advice.but_not(
        "Taking the text for a missing policy of the user or role",
        "Many services, and requests from another organization, get this text from every layer.",
    )
}

/// If nothing allows it yet, and there is a policy that would.
fn attach(case: &Case<'_>, is_there: bool) -> String {
    if is_there { format!(" If nothing does: {}", implicit::attach(case)) } else { String::new() }
}

/// Who is it really?
fn identify(case: &Case<'_>, advice: Advice) -> Advice {
    if matches!(case.denial.principal.kind, PrincipalType::Service | PrincipalType::Anonymous) {
        return advice;
    }
    advice.then(
        Who::You,
        "Ask AWS who you are, where the run is: `aws sts get-caller-identity`.",
        "It is allowed to everybody, and tells whether the run has the credentials that you think it has.",
    )
}

/// AWS tells more to whoever asks with what the text has.
fn ask(case: &Case<'_>, mut advice: Advice) -> Advice {
    if case.denial.has_encoded_message {
        advice = advice.then(
            Who::You,
            "Have the encoded message decoded: `aws sts decode-authorization-message --encoded-message MESSAGE`, and give what it prints to `stateward explain`.",
            "It names action, resource and whether something denies. It needs `sts:DecodeAuthorizationMessage` in the same account; ask its admin if it is refused.",
        );
    }
    if case.denial.has_authorization_id {
        advice = advice.then(
            Who::AccountAdmin,
            "Open the link in the text, in the Region that it names, within 24 hours.",
            "It shows which policies of each layer were looked at. It needs `iam:GetRequestAuthorizationDetails`. Do not pass the ID on: it opens the details to whoever may ask.",
        );
    }
    advice
}

/// A role that could not be assumed: four causes, one text.
fn role(case: &Case<'_>, advice: Advice) -> Advice {
    let own = case.policy(PolicyFor::Identity);
    let advice = if case.problem.also_possible.contains(&Layer::Identity) {
        advice
            .then(
                Who::You,
                format!("Check the role's name, path and account{}.", case.on),
                "For a role that does not exist AWS answers with the same text.",
            )
            .propose(
                Who::AccountAdmin,
                format!("See whether {} may assume it.{}", case.who, attach(case, own.is_some())),
                "Whoever assumes a role of another account needs a policy of its own for it.",
                own,
            )
    } else {
        advice.then(
            Who::You,
            "Check what the token says: `sub` and `aud`, and that the workflow may ask for one (`id-token: write`).",
            "Whoever comes with a token of another provider is nobody in AWS yet: only the role's trust policy decides, by these two.",
        )
    };
    advice
        .propose(
            Who::ResourceOwner,
            "See whether the role's trust policy names who asks, with conditions that hold (`sts:ExternalId`, MFA, `sub`, `aud`).",
            "A role is assumed by whom its own trust policy names, under the conditions that it sets.",
            case.policy(PolicyFor::Trust),
        )
        .but_not(
            "`\"Principal\": \"*\"` in the trust policy",
            "Everybody, in every account, could become the role.",
        )
}

/// S3 answers so for more than rights.
fn storage(case: &Case<'_>, mut advice: Advice) -> Advice {
    if case.service() != "s3" {
        return advice;
    }
    let reads = ["HeadObject", "GetObject", "s3:GetObject"];
    let is_read = [Some(case.what.as_str()), case.denial.operation.as_deref()]
        .into_iter()
        .flatten()
        .any(|name| reads.contains(&name));
    if is_read {
        advice = advice.then(
            Who::You,
            "Check that the object exists: ask someone who may list the bucket.",
            "Without `s3:ListBucket` S3 answers 403 and not 404 for a key that does not exist.",
        );
    }
    advice
        .then(
            Who::You,
            "Check the bucket's name and whose it is.",
            "Names are global: a bucket of somebody else's, or in another account than you think, answers with 403.",
        )
        .then(
            Who::KeyOwner,
            "If the bucket's objects are encrypted with a KMS key, see whether the key allows `kms:Decrypt`, and `kms:GenerateDataKey` for writing.",
            "S3 answers for a key that it may not use with the same text.",
        )
}

/// The layers that are not the account's own.
fn beyond(case: &Case<'_>) -> Option<String> {
    let outside: Vec<&str> = case
        .problem
        .also_possible
        .iter()
        .filter(|layer| {
            matches!(layer, Layer::Scp | Layer::Rcp | Layer::VpcEndpoint | Layer::Boundary | Layer::Session)
        })
        .map(|layer| words::layer(*layer))
        .collect();
    (!outside.is_empty()).then(|| words::list(&outside))
}

/// One text for a key that is not there and for one that refuses.
pub(super) fn key(case: &Case<'_>) -> Advice {
    let target = case.target();
    let (title, why) = match case.problem.also_possible.contains(&Layer::Identity) {
        false => (
            "is not there, or its policy refuses",
            "AWS has one text for a key that does not exist in this Region and for one whose policy does not allow, or denies. It does not \
             say which, so as not to tell strangers which keys exist.",
        ),
        true => (
            "is not there, or may not be used",
            "In these words AWS tells of a key that does not exist in this Region, of one whose policy refuses, and of one that other \
             policies refuse: of the user or role, of its organization, of the VPC endpoint. They do not say which.",
        ),
    };
    let policy = case.policy(PolicyFor::Key);
    let add = match policy {
        Some(_) => "add this statement to its policy if nothing there allows it",
        None => "whether its policy allows it",
    };
    Advice::new(format!("{target} refused: the KMS key {title}"), why.to_owned())
    .then(
        Who::You,
        "Check the key's ARN: its Region, its account, an alias in place of an ID. In a backend block it is `kms_key_id`.",
        "A key of another Region cannot be used, and aliases are of one Region and account.",
    )
    .propose(
        Who::KeyOwner,
        format!("See whether the key exists and is enabled, and {add}."),
        "A key of another account must allow it in its own policy.",
        policy,
    )
    .propose(
        Who::AccountAdmin,
        format!("See whether a policy of {} allows it as well.", case.who),
        "For a key of another account both sides must; for one of your own, if its policy leaves it to the account's.",
        case.policy(PolicyFor::Identity),
    )
    .but_not(
        "Sharing objects encrypted with the key `aws/s3` with another account",
        "The policies of AWS's own keys cannot be changed: no other account can ever use them.",
    )
}
