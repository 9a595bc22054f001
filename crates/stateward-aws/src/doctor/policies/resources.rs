//! The policies of what is asked for: the bucket, the tables and the key.

use futures::future::{self, BoxFuture, FutureExt};
use stateward_iam::{Named, PolicyKind};

use super::super::Patient;
use super::super::basics::account_of;
use super::super::target::table_name;
use super::{KEY, Read, Unread, named, unread};
use crate::Failed;

/// The service whose requests it is about, and what it is the policy of; `None` where there is none.
type Policy = (&'static str, String, Read<Option<Named>>);

impl Patient {
    pub(super) async fn of_resources(&self, caller: &str, kms_key: Option<&str>) -> Vec<Policy> {
        let mut reading: Vec<BoxFuture<'_, Policy>> = Vec::new();
        if let Some(bucket) = &self.bucket {
            let name = format!("the policy of {}", bucket.name);
            let read = async move {
                let policy = match self.bucket_policy(bucket).await {
                    Ok(document) => document.map(|text| named(name.clone(), text, PolicyKind::Resource)).transpose(),
                    Err(failed) => Err(Unread::of(failed)),
                };
                ("s3", name, policy)
            };
            reading.push(read.boxed());
        }
        for table in [self.target.lock_table.as_deref(), self.target.state_table()].into_iter().flatten() {
            let arn = self.table_arn(table, caller);
            let name = format!("the policy of {}", table_name(table));
            reading.push(async move { ("dynamodb", name.clone(), self.table_policy(name, &arn).await) }.boxed());
        }
        if let Some(key) = kms_key.map(str::to_owned) {
            reading.push(async move { ("kms", KEY.to_owned(), self.key_policy(&key).await) }.boxed());
        }
        future::join_all(reading).await
    }

    fn table_arn(&self, table: &str, caller: &str) -> String {
        if table.starts_with("arn:") {
            return table.to_owned();
        }
        let partition = caller.split(':').nth(1).unwrap_or("aws");
        let region = self.configuration.region().map_or("", |region| region.as_ref());
        format!("arn:{partition}:dynamodb:{region}:{}:table/{table}", account_of(caller).unwrap_or_default())
    }

    async fn table_policy(&self, name: String, arn: &str) -> Read<Option<Named>> {
        match self.services.dynamodb.get_resource_policy().resource_arn(arn).send().await {
            Ok(answer) => answer.policy.map(|text| named(name, &text, PolicyKind::Resource)).transpose(),
            Err(error) => {
                let failed = Failed::new("DynamoDB: GetResourcePolicy", &error);
                if failed.is("PolicyNotFoundException") { Ok(None) } else { Err(Unread::of(&failed)) }
            }
        }
    }

    pub(super) async fn key_policy(&self, key: &str) -> Read<Option<Named>> {
        let request = self.services.kms.get_key_policy().key_id(key).policy_name("default");
        let text = request.send().await.map_err(unread("KMS: GetKeyPolicy"))?.policy;
        text.map(|text| named(KEY.to_owned(), &text, PolicyKind::Resource)).transpose()
    }
}
