//! Something denies it: who has to look for the statement, and what such statements usually want.

use stateward_denial::{Layer, PrincipalType};

use super::super::{Advice, Who, words};
use super::Case;

pub(super) fn advise(case: &Case<'_>) -> Advice {
    let target = case.target();
    let layer = match case.denial.layer {
        Layer::Identity => "a policy of the user or role",
        layer => words::layer(layer),
    };
    let named = match &case.denial.policy_arn {
        Some(arn) => format!(" AWS names it: `{arn}`."),
        None => String::new(),
    };
    let advice = Advice::new(
        format!("{target} refused: {layer} denies it"),
        format!(
            "A statement with `\"Effect\": \"Deny\"` in {layer} covers {target}. A deny counts before every allow.{named}"
        ),
    );
    let find = match &case.denial.policy_arn {
        Some(arn) => format!("Find the `Deny` statement in `{arn}` that covers {target}, and read its condition."),
        None => format!("Find the `Deny` statement in {layer} that covers {target}, and read its condition."),
    };
    let advice = match case.denial.layer {
        Layer::Identity => identity(case, advice, find),
        Layer::Resource => resource(case, advice, find),
        Layer::Boundary => advice
            .then(Who::AccountAdmin, find, "The boundary is a policy of the account, set on the user or role.")
            .but_not("Taking the boundary away", "It is there so that roles cannot get more than was agreed."),
        Layer::Session => advice.then(
            Who::You,
            format!("{find} It stands where the session is opened."),
            "A session policy is passed when the role is assumed; it stands in no role.",
        ),
        Layer::Scp => organization(case, advice, find),
        Layer::Rcp => advice
            .then(
                Who::OrganizationAdmin,
                find,
                "It belongs to the organization of whoever owns the resource; usual ones want requests from the own organization, or by TLS.",
            )
            .but_not("Changing the resource's own policy", "No policy in the account gets past the organization."),
        Layer::VpcEndpoint => advice
            .then(Who::NetworkAdmin, find, "It belongs to whoever owns the VPC that the run is in.")
            .then(
                Who::You,
                "Compare with a machine outside of this VPC.",
                "The same credentials are refused behind the endpoint and not elsewhere.",
            ),
        Layer::Trust => advice.then(
            Who::ResourceOwner,
            find,
            "It stands in the trust policy of the role that was to be assumed.",
        ),
        _ => advice.then(Who::AccountAdmin, find, "It refuses until it is changed or no longer applies."),
    };
    advice.but_not("Adding another `Allow`", "A deny counts before every allow, wherever that stands.")
}

fn identity(case: &Case<'_>, advice: Advice, find: String) -> Advice {
    let mut advice = advice;
    if case.denial.principal.kind == PrincipalType::User {
        advice = advice.then(
            Who::You,
            "If the account wants MFA, open a session with it: `aws sts get-session-token --serial-number ARN --token-code CODE`.",
            "The usual deny for users applies to all that has no MFA; keys of a user alone never have it.",
        );
    }
    let why = match case.denial.policy_arn {
        Some(_) => "Take the user or role out of it by a condition, or change what it covers.",
        None => {
            "Where AWS names no policy, it is mostly an inline one: of the user, a group of the user's, or the role."
        }
    };
    advice.then(Who::AccountAdmin, find, why)
}

fn resource(case: &Case<'_>, advice: Advice, find: String) -> Advice {
    if case.service() == "kms" {
        return advice.then(Who::KeyOwner, find, "It stands in the key's policy.");
    }
    let mut advice = advice.then(Who::ResourceOwner, find, "Nobody else can change the policy of the resource.");
    if matches!(case.service(), "s3" | "s3express") {
        advice = advice
            .then(
                Who::You,
                "See what the bucket wants of a request: TLS (`aws:SecureTransport`), a VPC endpoint or network (`aws:SourceVpce`, \
                 `aws:SourceIp`), encryption (`encrypt = true`, `kms_key_id` in the backend block), the own organization (`aws:PrincipalOrgID`).",
                "Most denies in buckets' policies are such conditions: the run can meet them without anybody changing a policy.",
            )
            .then(
                Who::ResourceOwner,
                "Look at Block Public Access: `RestrictPublicBuckets` answers with the same words.",
                "While it is on, a bucket with a public policy is open only to its own account.",
            )
            .but_not(
                "Deleting the bucket's policy",
                "What it keeps out comes in. Only where a policy has locked everybody out does the account's root user delete it.",
            );
    }
    advice
}

fn organization(case: &Case<'_>, advice: Advice, find: String) -> Advice {
    advice
        .then(
            Who::You,
            "See whether the run can meet it: the Region (`aws:RequestedRegion`), tags (`aws:RequestTag/…`), encryption, instance types.",
            "Most denies in service control policies are such guard rails: a request in the right Region, or with the tag, goes through.",
        )
        .then(
            Who::OrganizationAdmin,
            find,
            format!("Only the organization can take {} out of it, by a condition on `aws:PrincipalArn` or in another unit.", case.who),
        )
        .but_not(
            "Signing in as root user",
            "Service control policies hold for the root user of a member account too.",
        )
}

/// Block Public Access refused.
pub(super) fn public_access(case: &Case<'_>) -> Advice {
    let setting = case.denial.setting.as_deref().unwrap_or("Block Public Access");
    let (what, instead) = match setting {
        "BlockPublicAcls" => {
            ("an ACL that is public", "Leave the ACL out, or make it `private`; grant by a policy that names who may.")
        }
        _ => (
            "a policy that is public",
            "Name who may in `Principal`, or limit it by `aws:SourceAccount`, `aws:PrincipalOrgID` or a fixed network.",
        ),
    };
    Advice::new(
        format!("{} refused: S3 Block Public Access ({setting})", case.target()),
        format!("`{setting}` of the bucket, or of its account, refuses {what}. Rights have nothing to do with it."),
    )
    .then(Who::You, instead, "What names no public does not meet it.")
    .then(
        Who::ResourceOwner,
        "If it is meant to be public, switch this setting off for this one bucket, and for the account if it is on there.",
        "The stricter of the two counts.",
    )
    .but_not("Switching Block Public Access off for a bucket of states", "States hold secrets in plain text.")
}

/// A setting of the bucket that is no policy refused.
pub(super) fn setting(case: &Case<'_>) -> Advice {
    let setting = case.denial.setting.as_deref().unwrap_or("a setting");
    Advice::new(
        format!("{} refused by a setting of the bucket", case.target()),
        format!("The bucket refuses it by a setting (`{setting}`), not by a policy: it takes no uploads that are encrypted with a key of the client (SSE-C)."),
    )
    .then(
        Who::You,
        "Encrypt with SSE-S3 or SSE-KMS: in the backend block `encrypt = true`, with `kms_key_id` or without, and no `sse_customer_key`.",
        "S3 has blocked keys of the client for buckets where nobody allowed them.",
    )
    .then(Who::ResourceOwner, "Or allow SSE-C in the bucket's encryption settings.", "It is a setting of each bucket.")
}
