use std::collections::BTreeMap;

use hcl_edit::structure::{Block, BlockLabel, Body};
use serde_json::Value;

use super::super::{Action, Environment, Replica, WantedKey, plan, steps};
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

/// Environments, also such whose names are no labels; in the formats that know tags of policies.
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

#[test]
fn environments_as_code() {
    for wanted in with_environments() {
        let paper = Paper::of(stand_in(&wanted)).expect("a set-up");
        let items = steps(&paper.wanted, &paper.found);
        assert!(items.iter().all(|item| item.action == Action::Keep), "{items:#?}");
        for format in [Format::Terraform, Format::Json] {
            let text = emit(&wanted, format).expect("code");
            assert!(!is_in(&text) && !text.contains("unknown-region") && !text.contains("000000000000"), "{text}");
        }
        assert!(matches!(emit(&wanted, Format::CloudFormation), Err(EmitError::NoTags)));
    }
    let all = with_environments().remove(0);
    let text = emit(&Wanted { key: None, trail: None, log_bucket: None, ..all }, Format::Terraform).expect("code");
    let (_, access) = text.split_once("resource \"aws_iam_policy\"").expect("a policy");
    insta::assert_snapshot!("terraform-environments", access);
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

/// Each name is one of the provider's, and what it needs is there.
#[test]
fn the_provider_knows_every_name() {
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
    let listed = |list: &str| schema[list].as_array().expect("a list").clone();
    for name in block.body.attributes().map(|attribute| attribute.key.as_str()).filter(|name| !ANY.contains(name)) {
        let is_known = ["required", "optional"].iter().any(|list| listed(list).contains(&name.into()));
        assert!(is_known, "{place} has no {name}");
    }
    for name in listed("required") {
        let name = name.as_str().unwrap_or_default();
        assert!(block.body.has_attribute(name), "{place} needs {name}");
    }
    for inner in block.body.blocks().filter(|inner| !ANY.contains(&inner.ident.as_str())) {
        known(&format!("{place}.{}", inner.ident.as_str()), inner, &schema["blocks"][inner.ident.as_str()]);
    }
    for (name, inner) in schema["blocks"].as_object().into_iter().flatten() {
        let least = inner["min"].as_u64().unwrap_or_default();
        let count = block.body.get_blocks(name).count() as u64;
        assert!(count >= least, "{place} needs {least} {name}");
    }
}

/// Each property is one of the resource's, and what it needs is there.
#[test]
fn cloudformation_knows_every_name() {
    let types: Value = serde_json::from_str(include_str!("testdata/cloudformation.json")).expect("an extract");
    for wanted in all() {
        let text = emit(&wanted, Format::CloudFormation).expect("code");
        let template: Value = serde_json::from_str(&text).expect("JSON");
        for resource in template["Resources"].as_object().expect("resources").values() {
            let kind = resource["Type"].as_str().expect("a type");
            has(kind, &resource["Properties"], &types["types"][kind]);
        }
    }
}

fn has(place: &str, value: &Value, schema: &Value) {
    let schema = schema.as_object().unwrap_or_else(|| panic!("there is no {place}"));
    match value {
        Value::Array(all) => all.iter().for_each(|one| has(place, one, &schema.clone().into())),
        // What is free in its form has no members in the schema: a policy, a reference.
        Value::Object(all) if !schema.is_empty() => {
            for (name, of) in all {
                has(&format!("{place}.{name}"), of, &schema.get(name).cloned().unwrap_or_default());
            }
            for needed in schema.get("!").and_then(Value::as_array).into_iter().flatten() {
                assert!(value.get(needed.as_str().unwrap_or_default()).is_some(), "{place} needs {needed}");
            }
        }
        _ => {}
    }
}
