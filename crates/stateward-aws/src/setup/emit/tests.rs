use std::collections::BTreeMap;

use aws_sdk_cloudtrail::types::ReadWriteType;
use aws_sdk_dynamodb::types::{BillingMode, ScalarAttributeType};
use aws_sdk_s3::types::{
    BucketVersioningStatus, DeleteMarkerReplicationStatus, ExpirationStatus, ObjectOwnership, ReplicationRuleStatus,
    ServerSideEncryption, SseKmsEncryptedObjectsStatus,
};
use hcl_edit::expr::Expression;
use hcl_edit::structure::{Block, BlockLabel, Body};
use serde_json::Value;

use super::super::{Action, Environment, Found, Replica, WantedKey, plan, steps};
use super::paper::Paper;
use super::unknown::{is_in, stand_in};
use super::*;

const ARN: &str = "arn:aws:kms:eu-west-1:111122223333:key/11111111-2222-4333-8444-555555555555";
/// What it stands for nobody but AWS knows.
const ALIAS: &str = "arn:aws:kms:eu-west-1:111122223333:alias/mine";
const FORMATS: [Format; 3] = [Format::Terraform, Format::CloudFormation, Format::Json];

fn everything() -> Wanted {
    Wanted {
        bucket: Some("acme-states".to_owned()),
        lock_table: Some("acme-locks".to_owned()),
        key: Some(WantedKey::Made("alias/stateward-acme-states".to_owned())),
        log_bucket: Some("acme-logs".to_owned()),
        trail: Some("acme-states".to_owned()),
        tags: BTreeMap::from(
            [("cost centre", "${a} \"b\" %{c}"), ("for", "x")].map(|(key, value)| (key.to_owned(), value.to_owned())),
        ),
        region: "eu-west-1".to_owned(),
        ..Wanted::default()
    }
}

/// What can be asked for, one by one and together.
fn all() -> Vec<Wanted> {
    let little = Wanted { bucket: Some("acme-states".to_owned()), ..Wanted::default() };
    let keys = ["alias/mine", ALIAS, ARN].map(|key| Some(WantedKey::Given(key.to_owned())));
    let given = keys.into_iter().map(|key| Wanted { key, ..everything() });
    let tables = Wanted {
        bucket: None,
        log_bucket: None,
        trail: None,
        state_table: Some("acme-versions".to_owned()),
        ..everything()
    };
    let copied = [None, Some("eu-west-1".to_owned())].map(|region| Wanted {
        replica: Some(Replica { bucket: "acme-copies".to_owned(), region, key: Some(ARN.to_owned()) }),
        ..everything()
    });
    let plainly = Replica { bucket: "acme-copies".to_owned(), region: None, key: None };
    let plainly = Wanted { replica: Some(plainly), ..little.clone() };
    let no_region = Wanted { region: String::new(), ..everything() };
    let logged = Wanted { log_bucket: Some("acme-logs".to_owned()), ..little.clone() };
    given.chain(copied).chain([everything(), no_region, tables, little, logged, plainly]).collect()
}

#[test]
fn what_is_there_on_paper_is_all_that_is_wanted() {
    for wanted in all() {
        let paper = Paper::of(stand_in(&wanted)).expect("a set-up");
        let items = plan(&paper.wanted, &paper.found);
        assert!(items.iter().all(|item| item.action == Action::Keep), "{items:?}");
        assert!(!paper.calls.is_empty());
    }
}

#[test]
fn nothing_is_left_that_stands_for_something() {
    for (wanted, format) in all().iter().flat_map(|wanted| FORMATS.map(|format| (wanted, format))) {
        let text = emit(wanted, format).expect("code");
        assert!(!is_in(&text), "{format:?}: {text}");
        let is_compared = text.contains(&format!("{ALIAS}\",")) || text.contains(&format!("{ALIAS}\\\","));
        assert!(!is_compared, "a policy that compares with an alias meets no key: {text}");
    }
}

#[test]
fn everything_as_code() {
    insta::assert_snapshot!("terraform", emit(&everything(), Format::Terraform).expect("code"));
    insta::assert_snapshot!("cloudformation", emit(&everything(), Format::CloudFormation).expect("code"));
    insta::assert_snapshot!("json", emit(&everything(), Format::Json).expect("code"));
}

/// Environments, also such whose names are no labels.
fn with_environments() -> Vec<Wanted> {
    let trusted = [
        "arn:aws:iam::111122223333:root",
        "prod.eu=arn:aws:iam::111122223333:oidc-provider/token.actions.githubusercontent.com#repo:acme/infra:environment:prod",
    ];
    let bucket = Some("acme-states".to_owned());
    let bare = Wanted { bucket, environments: environments(&["dev", "prod.eu"], &[]), ..Wanted::default() };
    vec![Wanted { environments: environments(&["dev", "prod.eu"], &trusted), ..everything() }, bare]
}

fn environments(names: &[&str], trusted: &[&str]) -> Vec<Environment> {
    let [names, trusted] = [names, trusted].map(|all| all.iter().map(|&one| one.to_owned()).collect::<Vec<_>>());
    Environment::all("acme-states", &names, &trusted).expect("environments")
}

/// Whatever is planned has its rule, which is the same once it is there.
#[test]
fn every_setting_has_a_rule() {
    for wanted in all().into_iter().chain(with_environments()) {
        let known = stand_in(&wanted);
        let paper = Paper::of(known.clone()).expect("a set-up");
        let first = steps(&known, &Found::default());
        for item in first.iter().chain(&steps(&paper.wanted, &paper.found)) {
            assert!(!item.rule.is_empty(), "{item:#?}");
        }
        for there in steps(&paper.wanted, &paper.found) {
            let made = first.iter().find(|item| item.resource == there.resource && item.property == there.property);
            assert_eq!(made.map_or(there.rule, |made| made.rule), there.rule, "{there:#?}");
        }
    }
}

#[test]
fn environments_as_code() {
    for wanted in with_environments() {
        let paper = Paper::of(stand_in(&wanted)).expect("a set-up");
        let items = steps(&paper.wanted, &paper.found);
        assert!(items.iter().all(|item| item.action == Action::Keep), "{items:#?}");
        for format in FORMATS {
            let text = emit(&wanted, format).expect("code");
            assert!(!is_in(&text) && !text.contains("unknown-region") && !text.contains("000000000000"), "{text}");
        }
    }
    let all = with_environments().remove(0);
    let text = emit(&Wanted { key: None, trail: None, log_bucket: None, ..all }, Format::Terraform).expect("code");
    let (_, access) = text.split_once("resource \"aws_iam_policy\"").expect("a policy");
    insta::assert_snapshot!("terraform-environments", access);
    let all = with_environments().remove(0);
    let little = Wanted { key: None, trail: None, log_bucket: None, lock_table: None, ..all };
    let text = emit(&little, Format::CloudFormation).expect("a template");
    let template: Value = serde_json::from_str(&text).expect("JSON");
    let resources = template["Resources"].as_object().expect("resources");
    let access: serde_json::Map<_, _> = resources
        .clone()
        .into_iter()
        .filter(|(_, one)| one["Type"].as_str().is_some_and(|of| of.contains("IAM")))
        .collect();
    insta::assert_snapshot!("cloudformation-environments", format!("{:#}", Value::Object(access)));
}

/// One that lets the other in is not written.
#[test]
fn environments_that_are_not_kept_apart() {
    let dev = "arn:aws:iam::111122223333:role/stateward-acme-states-dev";
    let wanted = Wanted { environments: environments(&["dev", "prod"], &[dev]), ..everything() };
    let error = emit(&wanted, Format::Json).expect_err("dev may take prod's role").to_string();
    assert!(error.contains("sts:AssumeRole"), "{error}");
}

/// The command refuses them too: a policy that lets nobody use another key cannot be about one whose policy nobody can change.
#[test]
fn no_code_is_about_a_key_of_aws() {
    for (name, format) in
        ["alias/aws/s3", &ALIAS.replace("mine", "aws/s3")].iter().flat_map(|name| FORMATS.map(|of| (*name, of)))
    {
        let wanted = Wanted { key: Some(WantedKey::Given(name.to_owned())), ..everything() };
        let error = emit(&wanted, format).expect_err("a key of AWS's").to_string();
        assert!(error.contains("AWS makes for a service") && error.contains(name), "{error}");
    }
}

/// Of which partition the account is nobody has said: those that are trusted are of one.
#[test]
fn nobody_of_another_partition_is_let_in() {
    let of = |partition: &str| format!("arn:{partition}:iam::111122223333:role/ci");
    let written = |trusted: &[&str]| {
        let wanted = Wanted { environments: environments(&["dev"], trusted), ..everything() };
        emit(&wanted, Format::Terraform).map_err(|error| error.to_string())
    };
    assert!(written(&[&of("aws-cn")]).is_ok());
    let error = written(&[&of("aws-cn"), &of("aws")]).expect_err("two partitions");
    assert!(error.contains("arn:aws:iam::111122223333:role/ci is of the partition aws,"), "{error}");
}

/// Copies that go to another Region, under a key there.
#[test]
fn a_copy_elsewhere_as_code() {
    let key = ARN.replace("eu-west-1", "eu-north-1");
    let replica = Replica { bucket: "acme-copies".to_owned(), region: Some("eu-north-1".to_owned()), key: Some(key) };
    let bucket = Some("acme-states".to_owned());
    let key = Some(WantedKey::Given(ARN.to_owned()));
    let wanted = Wanted { bucket, key, replica: Some(replica), region: "eu-west-1".to_owned(), ..Wanted::default() };
    insta::assert_snapshot!("terraform-copy", emit(&wanted, Format::Terraform).expect("code"));
    insta::assert_snapshot!("json-copy", emit(&wanted, Format::Json).expect("code"));
    let error = emit(&wanted, Format::CloudFormation).expect_err("two Regions").to_string();
    assert!(error.contains("the copy goes to eu-north-1"), "{error}");
}

/// Each name is one of the provider's, each value has its type and is one of those that there are, and what it needs is there.
#[test]
fn the_provider_knows_every_name_and_value() {
    let provider: Value = serde_json::from_str(include_str!("testdata/provider.json")).expect("an extract");
    for wanted in all().into_iter().chain(with_environments()) {
        let text = emit(&wanted, Format::Terraform).expect("code");
        let body: Body = text.parse().expect("Terraform's language");
        let mut checked = 0;
        for block in body.blocks() {
            let kind = block.ident.as_str();
            if ["resource", "data"].contains(&kind) {
                let name = block.labels.first().map(BlockLabel::as_str).unwrap_or_default();
                known(name, block, &provider[kind][name]);
                checked += 1;
            }
        }
        assert!(checked > 3, "{text}");
    }
}

/// What every resource may have.
const ANY: [&str; 3] = ["depends_on", "lifecycle", "provider"];

fn known(place: &str, block: &Block, schema: &Value) {
    assert!(schema.is_object(), "the provider has no {place}");
    let own = block.body.attributes().filter(|attribute| !ANY.contains(&attribute.key.as_str()));
    for (name, value) in own.map(|attribute| (attribute.key.as_str(), &attribute.value)) {
        let kind = ["required", "optional"].iter().find_map(|list| schema[*list][name].as_str());
        let kind = kind.unwrap_or_else(|| panic!("{place} has no {name}"));
        assert!(fits(value, kind), "{place}.{name} is a {kind}, not {value}");
        if let (Some(value), Some(all)) = (value.as_str(), values(&format!("{place}.{name}"))) {
            assert!(all.contains(&value), "{place}.{name} is one of {all:?}, not {value}");
        }
    }
    for name in schema["required"].as_object().expect("names").keys() {
        assert!(block.body.has_attribute(name), "{place} needs {name}");
    }
    for inner in block.body.blocks().filter(|inner| !ANY.contains(&inner.ident.as_str())) {
        known(&format!("{place}.{}", inner.ident.as_str()), inner, &schema["blocks"][inner.ident.as_str()]);
    }
    for (name, inner) in schema["blocks"].as_object().into_iter().flatten() {
        let (least, most) = (inner["min"].as_u64().unwrap_or_default(), inner["max"].as_u64().unwrap_or(u64::MAX));
        let count = block.body.get_blocks(name).count() as u64;
        assert!((least..=most).contains(&count), "{place} takes {least} to {most} of {name}, not {count}");
    }
}

/// Whether a value has a type. What is written down elsewhere, and what a function makes, has the one it has there.
fn fits(value: &Expression, kind: &str) -> bool {
    match value {
        Expression::Bool(_) => kind == "bool",
        Expression::Number(_) => kind == "number",
        Expression::String(_) | Expression::StringTemplate(_) => kind == "string",
        Expression::Array(_) => ["list", "set"].contains(&kind),
        Expression::Object(_) => kind == "map",
        Expression::Traversal(_) | Expression::FuncCall(_) => true,
        _ => false,
    }
}

/// The values that there are, where they are few. The provider's schema does not say them: they are those of AWS's own interface.
fn values(place: &str) -> Option<&'static [&'static str]> {
    let all = match place.split_once('.')?.1 {
        "versioning_configuration.status" => BucketVersioningStatus::values(),
        "rule.object_ownership" => ObjectOwnership::values(),
        "rule.apply_server_side_encryption_by_default.sse_algorithm" => ServerSideEncryption::values(),
        "rule.status" if place.contains("replication") => ReplicationRuleStatus::values(),
        "rule.delete_marker_replication.status" => DeleteMarkerReplicationStatus::values(),
        "rule.source_selection_criteria.sse_kms_encrypted_objects.status" => SseKmsEncryptedObjectsStatus::values(),
        "rule.status" => ExpirationStatus::values(),
        "billing_mode" => BillingMode::values(),
        "attribute.type" => ScalarAttributeType::values(),
        "event_selector.read_write_type" => ReadWriteType::values(),
        "event_selector.data_resource.type" => &["AWS::S3::Object", "AWS::DynamoDB::Table"],
        other => {
            let is_one_of_few =
                ["status", "type", "mode", "algorithm", "ownership"].iter().any(|end| other.ends_with(end));
            assert!(!is_one_of_few, "{place} has few values, and they are not known here");
            return None;
        }
    };
    Some(all)
}

/// Each property is one of the resource's, each value has its type and is one of those that there are, and what it needs is there.
#[test]
fn cloudformation_knows_every_name_and_value() {
    let types: Value = serde_json::from_str(include_str!("testdata/cloudformation.json")).expect("an extract");
    for wanted in all().into_iter().chain(with_environments()) {
        let text = emit(&wanted, Format::CloudFormation).expect("code");
        let template: Value = serde_json::from_str(&text).expect("JSON");
        let resources = template["Resources"].as_object().expect("resources");
        let is_id = |id: &String| id.chars().all(|char| char.is_ascii_alphanumeric());
        assert!(resources.keys().all(is_id), "{:?}", resources.keys());
        for resource in resources.values() {
            let kind = resource["Type"].as_str().expect("a type");
            has(kind, &resource["Properties"], &types["types"][kind]);
        }
    }
}

fn has(place: &str, value: &Value, schema: &Value) {
    let is_known_later = |value: &Value| {
        let only = value.as_object().filter(|all| all.len() == 1).and_then(|all| all.keys().next());
        only.is_some_and(|name| name == "Ref" || name.starts_with("Fn::"))
    };
    let fits = match (schema, value) {
        (Value::Null, _) => panic!("there is no {place}"),
        (_, value) if is_known_later(value) => true,
        (Value::Array(item), Value::Array(all)) => {
            all.iter().for_each(|one| has(place, one, item.first().unwrap_or(&Value::Null)));
            true
        }
        (Value::Object(kind), value) if kind.contains_key("=") => {
            kind["="].as_array().is_some_and(|all| all.contains(value))
        }
        (Value::Object(members), Value::Object(all)) => {
            all.iter().for_each(|(name, of)| has(&format!("{place}.{name}"), of, &schema[name.as_str()]));
            for needed in members.get("!").and_then(Value::as_array).into_iter().flatten() {
                assert!(value.get(needed.as_str().unwrap_or_default()).is_some(), "{place} needs {needed}");
            }
            true
        }
        (Value::String(kind), value) => match kind.as_str() {
            "any" => true,
            "string" => value.is_string(),
            "boolean" => value.is_boolean(),
            "integer" => value.is_i64(),
            _ => false,
        },
        _ => false,
    };
    assert!(fits, "{place} is {schema}, not {value}");
}
