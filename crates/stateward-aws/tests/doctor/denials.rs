//! Refusals as AWS words them.

use stateward_denial::Layer;
use stateward_testkit::Fault;

const WHO: &str = "arn:aws:iam::123456789012:user/ci";

/// The end of a refusal's text by each layer, and the layer.
pub(crate) fn layers(action: &str) -> Vec<(Layer, String)> {
    let implicit = |layer, kind: &str| (layer, format!("because no {kind} allows the {action} action"));
    let explicit = |layer, kind: &str| (layer, format!("with an explicit deny in {kind}"));
    vec![
        implicit(Layer::Identity, "identity-based policy"),
        explicit(Layer::Identity, "an identity-based policy: arn:aws:iam::123456789012:policy/no"),
        implicit(Layer::Resource, "resource-based policy"),
        explicit(Layer::Resource, "a resource-based policy"),
        implicit(Layer::Boundary, "permissions boundary"),
        explicit(Layer::Boundary, "a permissions boundary"),
        implicit(Layer::Session, "session policy"),
        implicit(Layer::Scp, "service control policy"),
        explicit(Layer::Scp, "a service control policy"),
        explicit(Layer::Rcp, "a resource control policy"),
        implicit(Layer::VpcEndpoint, "VPC endpoint policy"),
        explicit(Layer::VpcEndpoint, "a VPC endpoint policy"),
    ]
}

pub(crate) fn words(action: &str, resource: &str, end: &str) -> String {
    format!("User: {WHO} is not authorized to perform: {action} on resource: {resource} {end}")
}

pub(crate) fn s3(action: &str, end: &str) -> Fault {
    Fault::s3(403, "AccessDenied", &words(action, "\"arn:aws:s3:::states/net/prod.tfstate\"", end))
}

pub(crate) fn dynamodb(action: &str, end: &str) -> Fault {
    let message = words(action, "arn:aws:dynamodb:us-east-1:123456789012:table/locks", end);
    Fault::Answer {
        status: 400,
        headers: vec![("Content-Type".to_owned(), "application/x-amz-json-1.0".to_owned())],
        body: format!(r#"{{"__type":"com.amazon.coral.service#AccessDeniedException","Message":"{message}"}}"#),
    }
}
