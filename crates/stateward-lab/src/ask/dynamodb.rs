//! Requests to `DynamoDB`. A transaction is authorized as the requests that it holds:
//! <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/transaction-apis-iam.html>. A batch has an action of
//! its own.

use serde_json::{Map, Value};

use super::{Call, Check, Known, NotUnderstood, Service, Then, Told};
use crate::incoming::Incoming;
use crate::world::{account_of, resource_of};

/// Operations that no table can be named for.
const OF_NO_TABLE: &[&str] = &["ListTables", "DescribeLimits", "DescribeEndpoints"];
/// Operations that read or write items: an encrypted table's key is used for whoever asks.
const OF_ITEMS: &[&str] = &[
    "GetItem",
    "PutItem",
    "UpdateItem",
    "DeleteItem",
    "Query",
    "Scan",
    "BatchGetItem",
    "BatchWriteItem",
    "ConditionCheckItem",
];

type Body = Map<String, Value>;

pub(super) fn call(request: &Incoming, known: &Known<'_>) -> Result<Call, NotUnderstood> {
    let operation = request.target().unwrap_or_default();
    let body = body(request);
    let mut checks = match operation {
        "TransactWriteItems" | "TransactGetItems" => transaction(&body, known),
        "BatchGetItem" | "BatchWriteItem" => batch(operation, &body, known),
        _ => one(operation, &body, known)?,
    };
    let keys: Vec<Check> = checks.iter().filter_map(|check| of_key(check, known)).collect();
    for key in keys {
        if !checks.contains(&key) {
            checks.push(key);
        }
    }
    let account = checks.first().and_then(|check| account_of(&check.resource)).or(known.account).map(str::to_owned);
    let told = checks.first().filter(|_| operation == "GetResourcePolicy");
    let then = told.map_or(Then::Forward, |check| Then::Tell(Told::TablePolicy { arn: check.resource.clone() }));
    Ok(Call { service: Service::Dynamodb, operation: operation.to_owned(), checks, then, account })
}

fn body(request: &Incoming) -> Body {
    serde_json::from_slice(&request.body).unwrap_or_default()
}

fn text<'a>(body: &'a Body, name: &str) -> Option<&'a str> {
    body.get(name).and_then(Value::as_str)
}

/// The tables of a request, as it names them.
pub(super) fn tables(request: &Incoming) -> Vec<String> {
    let body = body(request);
    let own = text(&body, "TableName").map(str::to_owned);
    let batch = members(&body, "RequestItems").map(|(table, _)| table.to_owned());
    let inner = actions_of(&body).filter_map(|(_, item)| text(item, "TableName").map(str::to_owned));
    own.into_iter().chain(batch).chain(inner).collect()
}

fn members<'a>(body: &'a Body, name: &str) -> impl Iterator<Item = (&'a str, &'a Value)> {
    body.get(name).and_then(Value::as_object).into_iter().flatten().map(|(key, value)| (key.as_str(), value))
}

/// The requests in a transaction: `Put`, `Update`, `Delete`, `ConditionCheck` or `Get`, and what it says.
fn actions_of(body: &Body) -> impl Iterator<Item = (&str, &Body)> {
    let items = body.get("TransactItems").and_then(Value::as_array).into_iter().flatten();
    items.filter_map(Value::as_object).flatten().filter_map(|(name, item)| Some((name.as_str(), item.as_object()?)))
}

/// The ARN of a table that is named by its name or its ARN.
fn arn_of(table: &str, known: &Known<'_>) -> String {
    if table.starts_with("arn:") {
        return table.to_owned();
    }
    format!("arn:aws:dynamodb:{}:{}:table/{table}", known.region, known.own_account())
}

fn transaction(body: &Body, known: &Known<'_>) -> Vec<Check> {
    let mut checks: Vec<Check> = Vec::new();
    for (name, item) in actions_of(body) {
        let check = about_items(&format!("{name}Item"), text(item, "TableName").unwrap_or_default(), &[item], known);
        if !checks.contains(&check) {
            checks.push(check);
        }
    }
    checks
}

fn batch(operation: &str, body: &Body, known: &Known<'_>) -> Vec<Check> {
    let of_table = |(table, requests): (&str, &Value)| {
        let keys = requests.get("Keys").and_then(Value::as_array).into_iter().flatten();
        let writes = requests.as_array().into_iter().flatten().filter_map(Value::as_object).flatten();
        let writes = writes.filter_map(|(_, request)| request.get("Item").or_else(|| request.get("Key")));
        // As if each were asked for by itself.
        let items: Vec<Body> =
            keys.chain(writes).map(|key| Body::from_iter([("Key".to_owned(), key.clone())])).collect();
        let mut items: Vec<&Body> = items.iter().collect();
        items.extend(requests.as_object());
        about_items(operation, table, &items, known)
    };
    members(body, "RequestItems").map(of_table).collect()
}

fn one(operation: &str, body: &Body, known: &Known<'_>) -> Result<Vec<Check>, NotUnderstood> {
    let action = format!("dynamodb:{operation}");
    if stateward_iam::data::action(&action).is_none() {
        return Err(NotUnderstood(format!("the lab does not know the operation `{operation}` of DynamoDB")));
    }
    if OF_NO_TABLE.contains(&operation) {
        return Ok(vec![Check::new(action, "*")]);
    }
    let table = text(body, "TableName").or_else(|| text(body, "ResourceArn")).or_else(|| text(body, "TableArn"));
    let Some(table) = table else {
        return Err(NotUnderstood(format!("the lab cannot see which table `{operation}` is about")));
    };
    let tags = super::tags(body.get("Tags"), "Key", "Value");
    let check = about_items(operation, table, &[body], known).with_tags(&tags);
    // https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazondynamodb.html
    let tagging = (operation == "CreateTable" && !tags.is_empty())
        .then(|| Check { action: "dynamodb:TagResource".to_owned(), ..check.clone() });
    Ok([check].into_iter().chain(tagging).collect())
}

/// A check about items of a table, with the condition keys of
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/specifying-conditions.html>.
fn about_items(operation: &str, table: &str, items: &[&Body], known: &Known<'_>) -> Check {
    let arn = arn_of(table, known);
    let index = items.iter().find_map(|item| text(item, "IndexName"));
    let resource = index.map_or_else(|| arn.clone(), |index| format!("{arn}/index/{index}"));
    let mut check = Check::new(format!("dynamodb:{operation}"), resource);
    if !OF_ITEMS.contains(&operation) {
        return check;
    }
    let partition_key = (known.partition_key)(table).filter(|_| index.is_none());
    let mut leading: Vec<&str> =
        partition_key.iter().flat_map(|name| items.iter().filter_map(|item| leading(item, name))).collect();
    leading.sort_unstable();
    leading.dedup();
    if !leading.is_empty() {
        check = check.with("dynamodb:LeadingKeys", leading.into_iter().map(Value::from).collect::<Vec<_>>());
    }
    let mut attributes: Vec<&str> = items.iter().flat_map(|item| attributes(item)).collect();
    attributes.sort_unstable();
    attributes.dedup();
    if !attributes.is_empty() {
        check = check.with("dynamodb:Attributes", attributes.into_iter().map(Value::from).collect::<Vec<_>>());
    }
    for (key, parameter) in [
        ("dynamodb:Select", "Select"),
        ("dynamodb:ReturnValues", "ReturnValues"),
        ("dynamodb:ReturnConsumedCapacity", "ReturnConsumedCapacity"),
    ] {
        check = check.with_some(key, items.iter().find_map(|item| text(item, parameter)));
    }
    check
}

/// The value of the partition key in `{"S":"…"}`.
fn plain(value: &Value) -> Option<&str> {
    ["S", "N", "B"].iter().find_map(|kind| value.get(kind)?.as_str())
}

/// The partition key's value that a request names.
fn leading<'a>(item: &'a Body, name: &str) -> Option<&'a str> {
    let key = item.get("Key").or_else(|| item.get("Item")).and_then(|key| key.get(name));
    if let Some(value) = key {
        return plain(value);
    }
    if let Some(condition) = item.get("KeyConditions").and_then(|conditions| conditions.get(name)) {
        return plain(condition.get("AttributeValueList")?.get(0)?);
    }
    // `name = :value`, where the name may be an alias.
    let words: Vec<&str> = words(text(item, "KeyConditionExpression")?).collect();
    let is_name = |word: &str| word == name || alias(item, word) == Some(name);
    let named = words.windows(3).find_map(|three| match three {
        [left, "=", right] if is_name(left) => Some(*right),
        [left, "=", right] if is_name(right) => Some(*left),
        _ => None,
    });
    plain(item.get("ExpressionAttributeValues")?.get(named?)?)
}

fn alias<'a>(item: &'a Body, word: &str) -> Option<&'a str> {
    item.get("ExpressionAttributeNames")?.get(word)?.as_str()
}

/// The words and equals signs of an expression.
fn words(expression: &str) -> impl Iterator<Item = &str> {
    let is_word = |char: char| char.is_alphanumeric() || matches!(char, '_' | ':' | '#' | '-' | '.');
    let mut rest = expression;
    std::iter::from_fn(move || {
        rest = rest.trim_start_matches(|char: char| !is_word(char) && char != '=');
        let end = match rest.chars().next()? {
            '=' => 1,
            _ => rest.find(|char: char| !is_word(char)).unwrap_or(rest.len()),
        };
        let (word, after) = rest.split_at_checked(end)?;
        rest = after;
        Some(word)
    })
}

/// The top-level attributes that a request names.
fn attributes(item: &Body) -> Vec<&str> {
    let keys = ["Key", "Item", "Expected", "AttributeUpdates", "KeyConditions", "QueryFilter", "ScanFilter"];
    let keys = keys.iter().flat_map(|name| members(item, name).map(|(key, _)| key));
    let listed = item.get("AttributesToGet").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    let projected = text(item, "ProjectionExpression").into_iter().flat_map(|text| text.split(','));
    let projected = projected.filter_map(|path| path.trim().split(['.', '[']).next());
    let projected = projected.filter(|name| !name.starts_with('#'));
    let aliased = members(item, "ExpressionAttributeNames").filter_map(|(_, name)| name.as_str());
    let conditions = ["ConditionExpression", "UpdateExpression", "KeyConditionExpression", "FilterExpression"];
    let compared = conditions.iter().filter_map(|name| text(item, name)).flat_map(in_conditions);
    keys.chain(listed).chain(projected).chain(aliased).chain(compared).collect()
}

/// Names in conditions: what is neither a value nor a word of the language.
fn in_conditions(expression: &str) -> impl Iterator<Item = &str> {
    const WORDS: &[&str] = &[
        "and",
        "or",
        "not",
        "between",
        "in",
        "attribute_exists",
        "attribute_not_exists",
        "attribute_type",
        "begins_with",
        "contains",
        "size",
        "set",
        "remove",
        "add",
        "delete",
        "if_not_exists",
        "list_append",
    ];
    let names = words(expression).filter(|word| word.starts_with(|char: char| char.is_alphabetic() || char == '_'));
    names.filter_map(|word| word.split('.').next()).filter(|name| !WORDS.contains(&name.to_lowercase().as_str()))
}

/// The use of the key that encrypts a table, for whoever asks for its items.
fn of_key(check: &Check, known: &Known<'_>) -> Option<Check> {
    let operation = check.action.strip_prefix("dynamodb:")?;
    let arn = check.resource.split("/index/").next()?;
    let key = known.world.tables.get(arn)?.kms_key.as_deref().filter(|_| OF_ITEMS.contains(&operation))?;
    let table = resource_of(arn).strip_prefix("table/")?.to_owned();
    let pairs = [
        ("aws:dynamodb:tableName", table),
        ("aws:dynamodb:subscriberId", account_of(arn).unwrap_or_default().to_owned()),
    ];
    Some(Check::of_key("kms:Decrypt", key, Service::Dynamodb, known.region, &pairs))
}
