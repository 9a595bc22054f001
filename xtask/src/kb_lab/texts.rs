//! The texts that AWS prints for a cause.

use stateward_iam::{Layer, Outcome};

use super::causes::Cause;

/// With the reason, as within an account or organization; and without, as AWS prints it else, and printed it once.
pub(super) fn of(cause: &Cause) -> Vec<String> {
    let mut texts = vec![enveloped(cause, &message(cause, &reason(cause)))];
    let (service, action) = (cause.target.service(), cause.target.action);
    match service {
        "dynamodb" | "sts" => texts.push(enveloped(cause, &message(cause, ""))),
        "s3" => texts.push(enveloped(cause, "Access Denied")),
        _ => {}
    }
    // Terraform looks for a state with HEAD; whoever may not list learns nothing of what is missing.
    if matches!(action, "s3:GetObject" | "s3:ListBucket") {
        texts.push(format!("operation error S3: HeadObject, {}, api error Forbidden: Forbidden", answered(403, true)));
    }
    texts
}

fn message(cause: &Cause, reason: &str) -> String {
    let resource = cause.request("resource");
    let resource = if cause.target.service() == "s3" { format!("\"{resource}\"") } else { resource.to_owned() };
    let principal = cause.request("principal");
    let text = format!(
        "User: {principal} is not authorized to perform: {} on resource: {resource} {reason}",
        cause.target.action
    );
    text.trim_end().to_owned()
}

fn reason(cause: &Cause) -> String {
    let action = cause.target.action;
    if cause.target.service() == "kms" && cause.layer == Layer::Resource && cause.other_account() {
        return "because the resource does not exist in this Region, no resource-based policies allow access, or a resource-based policy explicitly denies access".to_owned();
    }
    let is_deny = cause.outcome == Outcome::ExplicitDeny;
    let policy = match cause.layer {
        Layer::Identity => "identity-based policy",
        Layer::Resource if cause.target.service() == "sts" && is_deny => {
            return "with an explicit deny in the role trust policy".to_owned();
        }
        Layer::Resource if cause.target.service() == "sts" => "role trust policy",
        Layer::Resource => "resource-based policy",
        Layer::Boundary => "permissions boundary",
        Layer::Session => "session policy",
        Layer::Scp => "service control policy",
        Layer::Rcp => "resource control policy",
        Layer::VpcEndpoint => "VPC endpoint policy",
    };
    let article = if cause.layer == Layer::Identity { "an" } else { "a" };
    match is_deny {
        true => format!("with an explicit deny in {article} {policy}"),
        false => format!("because no {policy} allows the {action} action"),
    }
}

/// As SDKs for Go print it, which Terraform and OpenTofu use.
fn enveloped(cause: &Cause, message: &str) -> String {
    let (operation, status, code, has_host) = match cause.target.action {
        // S3 asks for the key, and answers for it.
        "kms:Decrypt" | "s3:GetObject" => ("S3: GetObject", 403, "AccessDenied", true),
        "kms:GenerateDataKey" | "s3:PutObject" => ("S3: PutObject", 403, "AccessDenied", true),
        "s3:DeleteObject" => ("S3: DeleteObject", 403, "AccessDenied", true),
        "s3:ListBucket" => ("S3: ListObjectsV2", 403, "AccessDenied", true),
        "dynamodb:PutItem" => ("DynamoDB: PutItem", 400, "AccessDeniedException", false),
        "dynamodb:GetItem" => ("DynamoDB: GetItem", 400, "AccessDeniedException", false),
        "dynamodb:DeleteItem" => ("DynamoDB: DeleteItem", 400, "AccessDeniedException", false),
        _ => ("STS: AssumeRole", 403, "AccessDenied", false),
    };
    format!("operation error {operation}, {}, api error {code}: {message}", answered(status, has_host))
}

fn answered(status: u16, has_host: bool) -> String {
    let host = if has_host { ", HostID: 71Tg6Idj" } else { "" };
    format!("https response error StatusCode: {status}, RequestID: TRTAA1RYFJD08N9P{host}")
}
