//! The tables themselves: their keys, how they are replicated, and how they are made.

use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::create_table::CreateTableError;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, KeySchemaElement, KeyType, MultiRegionConsistency, ScalarAttributeType,
    TableDescription, TableStatus, TimeToLiveSpecification,
};

use crate::item::{PARTITION, RANGE, TTL};
use crate::refusal::OpenError;
use stateward_store_aws::{Fault, Refused, fault_of};

/// How long a new table may take until it can be used.
const READY: Duration = Duration::from_mins(3);
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// Which table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    State,
    Lock,
}

/// What was found of a table.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// The other Regions that it is in.
    pub(crate) replicas: Vec<String>,
}

impl Kind {
    /// The key: attributes with their types.
    fn key(self) -> &'static [(&'static str, KeyType, ScalarAttributeType)] {
        match self {
            Self::State => {
                &[(PARTITION, KeyType::Hash, ScalarAttributeType::S), (RANGE, KeyType::Range, ScalarAttributeType::N)]
            }
            Self::Lock => &[("LockID", KeyType::Hash, ScalarAttributeType::S)],
        }
    }
}

/// The command that makes a table.
pub(crate) fn command(table: &str, kind: Kind, region: &str) -> String {
    let of = |shape: &dyn Fn(&(&str, KeyType, ScalarAttributeType)) -> String| {
        kind.key().iter().map(shape).collect::<Vec<_>>().join(" ")
    };
    let attributes = of(&|(name, _, kind)| format!("AttributeName={name},AttributeType={kind}"));
    let key = of(&|(name, kind, _)| format!("AttributeName={name},KeyType={kind}"));
    format!(
        "aws dynamodb create-table --region {region} --table-name {table} --billing-mode PAY_PER_REQUEST \
         --attribute-definitions {attributes} --key-schema {key}"
    )
}

/// Looks at a table, and makes it if it is not there and that was asked for.
pub(crate) async fn check(
    client: &Client,
    table: &str,
    kind: Kind,
    region: &str,
    create: bool,
) -> Result<Found, OpenError> {
    let failed = |fault| OpenError::new(table, region, &command(table, kind, region), fault);
    let described = match describe(client, table).await {
        Err(Fault::Refused(Refused::NoPlace(_))) if create => {
            self::create(client, table, kind).await.map_err(failed)?;
            let described = wait(client, table).await.map_err(failed)?;
            if kind == Kind::State {
                expire(client, table).await.map_err(failed)?;
            }
            described
        }
        other => other.map_err(failed)?,
    };
    judge(table, kind, &described)
}

fn judge(table: &str, kind: Kind, described: &TableDescription) -> Result<Found, OpenError> {
    let (found, needed) = (key_of(described), kind.key());
    let fits = found.len() == needed.len()
        && needed.iter().all(|(name, role, of)| {
            found.iter().any(|(found, found_role, found_of)| found == name && found_role == role && found_of == of)
        });
    if !fits {
        let shape = |key: &[(String, KeyType, ScalarAttributeType)]| {
            key.iter().map(|(name, role, of)| format!("`{name}` {role} {of}")).collect::<Vec<_>>().join(", ")
        };
        let needed: Vec<_> =
            needed.iter().map(|(name, role, of)| ((*name).to_owned(), role.clone(), of.clone())).collect();
        let (found, needed) = (shape(&found), shape(&needed));
        return Err(OpenError::Schema { table: table.to_owned(), found, needed });
    }
    match described.table_status() {
        None | Some(TableStatus::Active | TableStatus::Updating) => {}
        Some(status) => return Err(OpenError::NotReady { table: table.to_owned(), status: status.to_string() }),
    }
    if kind == Kind::State && described.multi_region_consistency() == Some(&MultiRegionConsistency::Strong) {
        return Err(OpenError::NoTransactions { table: table.to_owned() });
    }
    let replicas = described.replicas().iter().filter_map(|replica| replica.region_name().map(str::to_owned)).collect();
    Ok(Found { replicas })
}

fn key_of(described: &TableDescription) -> Vec<(String, KeyType, ScalarAttributeType)> {
    let of = |name: &str| {
        let mut all = described.attribute_definitions().iter();
        all.find(|attribute| attribute.attribute_name() == name).map(|attribute| attribute.attribute_type().clone())
    };
    let key = described.key_schema().iter();
    key.filter_map(|key| Some((key.attribute_name().to_owned(), key.key_type().clone(), of(key.attribute_name())?)))
        .collect()
}

async fn describe(client: &Client, table: &str) -> Result<TableDescription, Fault> {
    let answer = client.describe_table().table_name(table).send().await;
    let answer = answer.map_err(|error| fault_of("DynamoDB: DescribeTable", &error))?;
    answer.table.ok_or_else(|| Fault::Lost("DescribeTable: the answer describes no table".into()))
}

async fn create(client: &Client, table: &str, kind: Kind) -> Result<(), Fault> {
    let mut request = client.create_table().table_name(table).billing_mode(BillingMode::PayPerRequest);
    for (name, role, of) in kind.key() {
        let attribute = AttributeDefinition::builder().attribute_name(*name).attribute_type(of.clone()).build();
        let key = KeySchemaElement::builder().attribute_name(*name).key_type(role.clone()).build();
        request = request.attribute_definitions(attribute.map_err(unbuilt)?).key_schema(key.map_err(unbuilt)?);
    }
    match request.send().await {
        Ok(_) => Ok(()),
        // Somebody else was first.
        Err(error) if error.as_service_error().is_some_and(CreateTableError::is_resource_in_use_exception) => Ok(()),
        Err(error) => Err(fault_of("DynamoDB: CreateTable", &error)),
    }
}

async fn wait(client: &Client, table: &str) -> Result<TableDescription, Fault> {
    let begun = tokio::time::Instant::now();
    loop {
        match describe(client, table).await {
            Ok(described) if described.table_status() == Some(&TableStatus::Active) => return Ok(described),
            Ok(_) | Err(Fault::Refused(Refused::NoPlace(_))) if begun.elapsed() < READY => {
                tokio::time::sleep(LOOK_AGAIN).await;
            }
            Ok(described) => return Ok(described),
            Err(fault) => return Err(fault),
        }
    }
}

async fn expire(client: &Client, table: &str) -> Result<(), Fault> {
    let expiry = TimeToLiveSpecification::builder().attribute_name(TTL).enabled(true).build().map_err(unbuilt)?;
    let request = client.update_time_to_live().table_name(table).time_to_live_specification(expiry);
    match request.send().await {
        Ok(_) => Ok(()),
        Err(error) => match fault_of("DynamoDB: UpdateTimeToLive", &error) {
            // It is on already: two made the table at once.
            Fault::Refused(Refused::Other(reason)) if reason.contains("already enabled") => Ok(()),
            fault => Err(fault),
        },
    }
}

fn unbuilt(error: impl std::fmt::Display) -> Fault {
    Fault::Refused(Refused::Other(error.to_string()))
}
