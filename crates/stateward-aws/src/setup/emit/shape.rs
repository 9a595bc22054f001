//! What has one shape in AWS's own interface and in `CloudFormation`.

use std::collections::BTreeMap;

use aws_sdk_cloudtrail::types::EventSelector;
use serde_json::{Value, json};

/// An object of those members that are there.
pub(super) fn members(all: impl IntoIterator<Item = (&'static str, Option<Value>)>) -> Value {
    all.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}

pub(super) fn tags(all: &BTreeMap<String, String>) -> Value {
    all.iter().map(|(key, value)| json!({"Key": key, "Value": value})).collect()
}

/// What a trail records.
pub(super) fn selector(of: &EventSelector) -> Value {
    let resources = of.data_resources().iter();
    let resources: Vec<Value> =
        resources.map(|resource| json!({"Type": resource.r#type(), "Values": resource.values()})).collect();
    members([
        ("ReadWriteType", of.read_write_type.as_ref().map(|kind| json!(kind.as_str()))),
        ("IncludeManagementEvents", of.include_management_events.map(Value::from)),
        ("DataResources", (!resources.is_empty()).then(|| json!(resources))),
    ])
}
