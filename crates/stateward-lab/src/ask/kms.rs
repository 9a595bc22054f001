//! Requests to KMS.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::{Call, Check, Known, NotUnderstood, Service, Then, Told};
use crate::incoming::Incoming;

/// Operations that no key can be named for.
const OF_NO_KEY: &[&str] = &["ListKeys", "ListAliases", "GenerateRandom"];

/// The ARN of a key by its ARN, ID or alias. What is not known is taken for an ID in the caller's account.
pub(super) fn arn_of(named: &str, known: &Known<'_>) -> String {
    match known.world.key(named) {
        Some((arn, _)) => arn.to_owned(),
        None if named.starts_with("arn:") => named.to_owned(),
        None => {
            let kind = if named.starts_with("alias/") { "" } else { "key/" };
            format!("arn:aws:kms:{}:{}:{kind}{named}", known.region, known.own_account())
        }
    }
}

pub(super) fn call(request: &Incoming, known: &Known<'_>) -> Result<Call, NotUnderstood> {
    let operation = request.target().unwrap_or_default();
    let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
    let text = |name: &str| body.get(name).and_then(Value::as_str);
    let action = format!("kms:{operation}");
    if stateward_iam::data::action(&action).is_none() && operation != "ReEncrypt" {
        return Err(NotUnderstood(format!("the lab does not know the operation `{operation}` of KMS")));
    }
    let key = |named: &str| arn_of(named, known);
    let checks = match operation {
        // https://docs.aws.amazon.com/kms/latest/APIReference/API_CreateKey.html: with tags the right to give them is needed too.
        "CreateKey" => {
            let tags = super::tags(body.get("Tags"), "TagKey", "TagValue");
            let all = format!("arn:aws:kms:{}:{}:key/*", known.region, known.own_account());
            let tagging = (!tags.is_empty()).then(|| Check::new("kms:TagResource", all).with_tags(&tags));
            [Check::new(action, "*").with_tags(&tags)].into_iter().chain(tagging).collect()
        }
        _ if OF_NO_KEY.contains(&operation) => vec![Check::new(action, "*")],
        "CreateAlias" | "DeleteAlias" | "UpdateAlias" => {
            let alias = text("AliasName").unwrap_or_default();
            let alias_arn = format!("arn:aws:kms:{}:{}:{alias}", known.region, known.own_account());
            let target = text("TargetKeyId").map(key).or_else(|| known.world.key(alias).map(|(arn, _)| arn.to_owned()));
            let targets = target.map(|target| Check::new(action.as_str(), target));
            [Check::new(action.as_str(), alias_arn)].into_iter().chain(targets).collect()
        }
        "ReEncrypt" => {
            let from =
                text("SourceKeyId").map(key).or_else(|| text("CiphertextBlob").and_then(|blob| sealed(blob, known)));
            let to = text("DestinationKeyId").map(key);
            let pair = [("kms:ReEncryptFrom", from), ("kms:ReEncryptTo", to)];
            let named = pair.into_iter().filter_map(|(action, key)| Some(Check::new(action, key?)));
            named.collect()
        }
        _ => {
            let named = text("KeyId").map(key).or_else(|| text("CiphertextBlob").and_then(|blob| sealed(blob, known)));
            let named = named.unwrap_or_else(|| format!("arn:aws:kms:{}:{}:key/*", known.region, known.own_account()));
            vec![Check::new(action, named)]
        }
    };
    let checks: Vec<Check> = checks.into_iter().map(|check| with_context(check, &body)).collect();
    let account = checks.first().and_then(|check| crate::world::account_of(&check.resource)).or(known.account);
    let account = account.map(str::to_owned);
    let told =
        checks.first().filter(|check| operation == "GetKeyPolicy" && known.world.keys.contains_key(&check.resource));
    let then = told.map_or(Then::Forward, |check| Then::Tell(Told::KeyPolicy { arn: check.resource.clone() }));
    Ok(Call { service: Service::Kms, operation: operation.to_owned(), checks, then, account })
}

fn with_context(check: Check, body: &Value) -> Check {
    let Some(Value::Object(pairs)) = body.get("EncryptionContext") else { return check };
    let names: Vec<Value> = pairs.keys().map(|name| Value::from(name.as_str())).collect();
    let check = check.with("kms:EncryptionContextKeys", names);
    pairs
        .iter()
        .fold(check, |check, (name, value)| check.with_some(&format!("kms:EncryptionContext:{name}"), value.as_str()))
}

/// The key that made a ciphertext, where what stands in for KMS begins it with the key's ID as moto does.
fn sealed(blob: &str, known: &Known<'_>) -> Option<String> {
    let bytes = STANDARD.decode(blob).ok()?;
    let id = std::str::from_utf8(bytes.get(..36)?).ok()?;
    id.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-').then(|| arn_of(id, known))
}
