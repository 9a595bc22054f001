//! Opening: tables that are missing, wrong, or out of reach are refused with what, why and what next.

use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType, TimeToLiveStatus,
};
use stateward_store::Store;
use stateward_store_dynamodb::{DynamoStore, OpenError, Options};
use stateward_testkit::{DynamoDbLocal, Fault, FaultProxy, Rule, fresh_name};

use crate::place::{client, now, open, options, seed};

async fn refused(options: &Options) -> OpenError {
    DynamoStore::open(options, now(), seed()).await.map(|_| ()).unwrap_err()
}

/// Options for a server that answers every request so.
async fn refused_with(fault: Fault) -> OpenError {
    let proxy = FaultProxy::to(DynamoDbLocal::shared().url());
    proxy.inject(Rule::new(fault));
    refused(&options(proxy.url())).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tables_are_made_as_the_docs_say() {
    let mut options = options(DynamoDbLocal::shared().url());
    options.lock_table = Some(fresh_name("locks"));
    let store = open(&options).await;
    store.ready().await.unwrap();
    assert!(store.describe().location.starts_with(&format!("dynamodb://{}?lock_table=", options.state_table)));
    let client = client(&options);
    let table = client.describe_table().table_name(&options.state_table).send().await.unwrap().table.unwrap();
    let key: Vec<_> = table.key_schema().iter().map(|key| (key.attribute_name(), key.key_type().as_str())).collect();
    assert_eq!(key, [("StateID", "HASH"), ("VersionID", "RANGE")]);
    assert_eq!(table.billing_mode_summary().unwrap().billing_mode(), Some(&BillingMode::PayPerRequest));
    let expiry = client.describe_time_to_live().table_name(&options.state_table).send().await.unwrap();
    let expiry = expiry.time_to_live_description.unwrap();
    assert_eq!(expiry.time_to_live_status(), Some(&TimeToLiveStatus::Enabled));
    assert_eq!(expiry.attribute_name(), Some("TTL"));

    // The second time they are there.
    open(&options).await.ready().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_table_is_refused_with_the_command_that_makes_it() {
    let mut options = options(DynamoDbLocal::shared().url());
    options.create_tables = false;
    let error = refused(&options).await;
    let OpenError::NoTable { table, region, create } = &error else { panic!("{error:?}") };
    assert_eq!((table, region.as_str()), (&options.state_table, "us-east-1"));
    assert!(create.contains("AttributeName=StateID,KeyType=HASH AttributeName=VersionID,KeyType=RANGE"), "{create}");
    assert!(error.advice().contains(create.as_str()) && error.advice().contains("create_tables=true"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_with_another_key_is_left_alone() {
    let options = options(DynamoDbLocal::shared().url());
    // The key that the documentation of seed's backend gives, and its code does not take.
    let mut request = client(&options).create_table().table_name(&options.state_table);
    for (name, role, kind) in
        [("StateID", KeyType::Hash, ScalarAttributeType::S), ("SegmentID", KeyType::Range, ScalarAttributeType::N)]
    {
        let attribute = AttributeDefinition::builder().attribute_name(name).attribute_type(kind).build().unwrap();
        let key = KeySchemaElement::builder().attribute_name(name).key_type(role).build().unwrap();
        request = request.attribute_definitions(attribute).key_schema(key);
    }
    request.billing_mode(BillingMode::PayPerRequest).send().await.unwrap();
    let error = refused(&options).await;
    assert_eq!(
        error.to_string(),
        format!(
            "the table `{}` has the key `StateID` HASH S, `SegmentID` RANGE N, and `StateID` HASH S, `VersionID` RANGE N is needed",
            options.state_table
        )
    );
    assert!(error.advice().contains("this one was left as it is"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_denial_is_shown_whole() {
    let denial = "User: arn:aws:iam::111122223333:user/ci is not authorized to perform: dynamodb:DescribeTable on resource: \
                  arn:aws:dynamodb:us-east-1:111122223333:table/states because no identity-based policy allows the dynamodb:DescribeTable action";
    let error = refused_with(Fault::dynamodb(400, "AccessDeniedException", denial)).await;
    assert!(matches!(&error, OpenError::Denied { .. }) && error.to_string().contains(denial), "{error}");
    assert!(error.advice().contains("stateward explain"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_refusals_say_what_to_do() {
    let expired =
        Fault::dynamodb(400, "ExpiredTokenException", "The security token included in the request is expired");
    let error = refused_with(expired).await;
    assert!(matches!(&error, OpenError::Expired { .. }) && error.advice().contains("aws sso login"), "{error}");

    let region = "Credential should be scoped to a valid region, not 'us-east-1'. ";
    let error = refused_with(Fault::dynamodb(400, "InvalidSignatureException", region)).await;
    assert!(matches!(&error, OpenError::Region { .. }) && error.advice().contains("region="), "{error}");

    let mut nowhere = options("http://127.0.0.1:1");
    nowhere.access.max_retries = 1;
    let error = refused(&nowhere).await;
    assert!(matches!(&error, OpenError::Unavailable { .. }) && error.advice().contains("network"), "{error}");

    let mut nobody = options(DynamoDbLocal::shared().url());
    nobody.access.profile = Some("nobody".into());
    let error = refused(&nobody).await;
    assert!(matches!(&error, OpenError::NoCredentials { .. }), "{error:?}");

    let mut unseen = options(DynamoDbLocal::shared().url());
    open(&unseen).await.ready().await.unwrap();
    unseen.create_tables = false;
    unseen.skip_table_check = true;
    open(&unseen).await.ready().await.unwrap();
    unseen.region_suffix = true;
    let error = refused(&unseen).await;
    assert!(
        matches!(&error, OpenError::NoStore { .. }) && error.advice().contains("without `skip_table_check`"),
        "{error}"
    );
}
