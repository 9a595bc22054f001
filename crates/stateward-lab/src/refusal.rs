//! The sentence in which AWS refuses.
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html>

use stateward_iam::{Answer, Layer, Outcome};

use crate::ask::Check;

/// What is said for a refused request. `arn` names the policy that denies; `explained` is false where AWS says no more than
/// that, because the resource belongs to somebody outside of the organization.
pub(crate) fn text(principal: &str, check: &Check, answer: &Answer, arn: Option<&str>, explained: bool) -> String {
    let action = check.action.as_str();
    // Whoever comes with a token learns no more.
    if action == "sts:AssumeRoleWithWebIdentity" {
        return format!("Not authorized to perform {action}");
    }
    let service = action.split(':').next().unwrap_or_default();
    if !explained && service == "s3" {
        return "Access Denied".to_owned();
    }
    let resource = if service == "s3" { format!("\"{}\"", check.resource) } else { check.resource.clone() };
    let who = if principal == "*" { "anonymous" } else { principal };
    let refused = format!("User: {who} is not authorized to perform: {action} on resource: {resource}");
    if !explained {
        return match service {
            // One text for all that can be the matter with a key of somebody else.
            "kms" => format!(
                "{refused} because the resource does not exist in this Region, no resource-based policies allow access, or a resource-based policy explicitly denies access"
            ),
            _ => refused,
        };
    }
    format!("{refused} {}", because(action, answer, arn))
}

fn because(action: &str, answer: &Answer, arn: Option<&str>) -> String {
    let layer = answer.layer.unwrap_or(Layer::Identity);
    let trust = layer == Layer::Resource && action.eq_ignore_ascii_case("sts:AssumeRole");
    let explicit = answer.decision == Outcome::ExplicitDeny;
    if trust {
        return if explicit {
            "with an explicit deny in the role trust policy".to_owned()
        } else {
            format!("because no role trust policy allows the {action} action")
        };
    }
    let policy = match layer {
        Layer::Identity => "identity-based policy",
        Layer::Resource => "resource-based policy",
        Layer::Boundary => "permissions boundary",
        Layer::Session => "session policy",
        Layer::Scp => "service control policy",
        Layer::Rcp => "resource control policy",
        Layer::VpcEndpoint => "VPC endpoint policy",
    };
    if !explicit {
        return format!("because no {policy} allows the {action} action");
    }
    let article = if layer == Layer::Identity { "an" } else { "a" };
    let names = !matches!(layer, Layer::Resource | Layer::VpcEndpoint);
    let suffix = arn.filter(|_| names).map(|arn| format!(": {arn}")).unwrap_or_default();
    format!("with an explicit deny in {article} {policy}{suffix}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(decision: Outcome, layer: Layer) -> Answer {
        let (statements, depends_on, possible, errors) = Default::default();
        Answer { decision, layer: Some(layer), statements, depends_on, possible, errors }
    }

    #[test]
    fn the_words_of_each_layer() {
        use Layer::{Boundary, Identity, Rcp, Resource, Scp, Session, VpcEndpoint};
        use Outcome::{ExplicitDeny, ImplicitDeny};
        let arn = Some("arn:aws:iam::aws:policy/Guard");
        for (action, outcome, layer, arn, expected) in [
            ("a:B", ImplicitDeny, Identity, None, "because no identity-based policy allows the a:B action"),
            ("a:B", ExplicitDeny, Identity, None, "with an explicit deny in an identity-based policy"),
            (
                "a:B",
                ExplicitDeny,
                Identity,
                arn,
                "with an explicit deny in an identity-based policy: arn:aws:iam::aws:policy/Guard",
            ),
            ("a:B", ImplicitDeny, Resource, None, "because no resource-based policy allows the a:B action"),
            ("a:B", ExplicitDeny, Resource, arn, "with an explicit deny in a resource-based policy"),
            ("a:B", ImplicitDeny, Boundary, arn, "because no permissions boundary allows the a:B action"),
            ("a:B", ExplicitDeny, Boundary, None, "with an explicit deny in a permissions boundary"),
            ("a:B", ImplicitDeny, Session, None, "because no session policy allows the a:B action"),
            ("a:B", ExplicitDeny, Session, None, "with an explicit deny in a session policy"),
            ("a:B", ImplicitDeny, Scp, None, "because no service control policy allows the a:B action"),
            (
                "a:B",
                ExplicitDeny,
                Scp,
                arn,
                "with an explicit deny in a service control policy: arn:aws:iam::aws:policy/Guard",
            ),
            ("a:B", ExplicitDeny, Rcp, None, "with an explicit deny in a resource control policy"),
            ("a:B", ImplicitDeny, VpcEndpoint, None, "because no VPC endpoint policy allows the a:B action"),
            ("a:B", ExplicitDeny, VpcEndpoint, arn, "with an explicit deny in a VPC endpoint policy"),
            (
                "sts:AssumeRole",
                ImplicitDeny,
                Resource,
                None,
                "because no role trust policy allows the sts:AssumeRole action",
            ),
            ("sts:AssumeRole", ExplicitDeny, Resource, None, "with an explicit deny in the role trust policy"),
        ] {
            assert_eq!(because(action, &answer(outcome, layer), arn), expected);
        }
    }

    #[test]
    fn resources_are_written_as_the_service_writes_them() {
        let refused = answer(Outcome::ImplicitDeny, Layer::Identity);
        let told = |action: &str, resource: &str, explained| {
            text("arn:aws:iam::1:user/ci", &Check::new(action, resource), &refused, None, explained)
        };
        assert!(told("s3:GetObject", "arn:aws:s3:::b/k", true).contains(" on resource: \"arn:aws:s3:::b/k\" because"));
        assert!(told("dynamodb:ListTables", "*", true).contains(" on resource: * because"));
        assert_eq!(told("s3:GetObject", "arn:aws:s3:::b/k", false), "Access Denied");
        assert!(told("dynamodb:GetItem", "arn:t", false).ends_with("dynamodb:GetItem on resource: arn:t"));
        assert!(told("kms:Decrypt", "arn:k", false).contains("does not exist in this Region, no resource-based"));
    }
}
