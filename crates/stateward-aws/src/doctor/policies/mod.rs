//! The policies that can be read, for the evaluator.

mod organization;
mod own;
mod resources;

use std::collections::BTreeMap;

use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use futures::future;
use stateward_iam::{Named, Policy, PolicyKind, PolicySet};

use super::Patient;
use super::finding::in_words;
use crate::Failed;

/// Policies that could be read.
#[derive(Debug, Default)]
pub(super) struct Known {
    pub(super) set: PolicySet,
    /// Of the bucket, the tables and the key.
    pub(super) resources: Vec<Named>,
    /// Whether the caller's own are among them: without them nothing can be said.
    pub(super) complete: bool,
    /// What could not be read, and why.
    pub(super) unread: Vec<String>,
    /// The same of resources, by the service whose requests they are about.
    pub(super) unread_resources: Vec<(&'static str, String)>,
    /// The same of endpoints, by the service that each leads to.
    pub(super) unread_endpoints: BTreeMap<&'static str, String>,
}

const KEY: &str = "the key's policy";

/// Why something could not be read.
struct Unread(String);

type Read<T> = Result<T, Unread>;

/// For a request that did not succeed.
fn unread<E>(operation: &str) -> impl FnOnce(SdkError<E, HttpResponse>) -> Unread
where
    E: std::error::Error + ProvideErrorMetadata + Send + Sync + 'static,
{
    move |error| Unread::of(&Failed::new(operation, &error))
}

impl Unread {
    fn of(failed: &Failed) -> Self {
        let elsewhere = failed.elsewhere().map(|region| format!("the bucket is in {region}"));
        Self(elsewhere.unwrap_or_else(|| in_words(failed)))
    }

    /// What an answer lacks that AWS always gives.
    fn lacking(what: &str) -> Self {
        Self(format!("the answer has no {what}"))
    }
}

/// What was read; what was not is noted.
fn take<T>(unread: &mut Vec<String>, what: &str, read: Read<T>) -> Option<T> {
    read.map_err(|Unread(why)| unread.push(format!("{what} ({why})"))).ok()
}

impl Patient {
    /// Reads what may be read; never fails.
    pub(super) async fn policies(&self, caller: Option<&str>, kms_key: Option<&str>) -> Known {
        let mut known = Known::default();
        let Some(caller) = caller else {
            known.unread.push("the caller's own policies (it is not known who that is)".to_owned());
            return known;
        };
        let read =
            future::join3(self.of_caller(caller), self.of_organization(caller), self.of_resources(caller, kms_key));
        let (own, organization, resources) = Box::pin(read).await;
        if let Some(set) = take(&mut known.unread, "the caller's own policies", own) {
            known.set = set;
            known.complete = true;
        }
        if let Some(limits) = take(&mut known.unread, "the policies of the organization", organization) {
            known.set.scps = limits.scps;
            known.set.rcps = limits.rcps;
        }
        for (service, what, read) in resources {
            let mut unread = Vec::new();
            known.resources.extend(take(&mut unread, &what, read).flatten());
            known.unread_resources.extend(unread.into_iter().map(|what| (service, what)));
        }
        let session = self.of_session(caller).await;
        known.set.session = take(&mut known.unread, "the session policy", session).flatten();
        known.set.vpc_endpoint.clone_from(&self.options.vpc_endpoint);
        let given = known.set.vpc_endpoint.as_deref();
        let services = self.target.services().into_iter();
        known.unread_endpoints =
            services.filter_map(|service| Some((service, self.unread_endpoint(service, given)?))).collect();
        known
    }

    /// The policy of a key, noted where it cannot be read.
    pub(super) async fn read_key_policy(&self, key: &str, unread: &mut Vec<String>) -> Option<Named> {
        take(unread, KEY, self.key_policy(key).await).flatten()
    }

    /// What a role was assumed with: only whoever assumed it knows.
    async fn of_session(&self, caller: &str) -> Read<Option<Vec<Named>>> {
        match &self.target.access.role {
            Some(role) => {
                let own = |text: &String| named("the session policy".to_owned(), text, PolicyKind::Session);
                let mut all: Vec<Named> = role.policy.iter().map(own).collect::<Result<_, _>>()?;
                for arn in &role.policy_arns {
                    all.push(self.managed(arn, PolicyKind::Session).await?);
                }
                Ok((!all.is_empty()).then_some(all))
            }
            None if caller.contains(":assumed-role/") => {
                Err(Unread("only whoever assumed the role knows it".to_owned()))
            }
            None => Ok(None),
        }
    }

    /// That the policy of a service's endpoint is not known: one that its URL names, or that may be there where those of others were given.
    fn unread_endpoint(&self, service: &str, given: Option<&[Named]>) -> Option<String> {
        if given.is_some_and(|given| given.iter().any(|named| named.policy.counts_for(service))) {
            return None;
        }
        let named = self.vpc_endpoint(service).map(|endpoint| not_given(service, &endpoint));
        let other = || {
            format!("the policy of a VPC endpoint of `{service}`, if there is one (`--vpc-endpoint` has none of it)")
        };
        named.or_else(|| given.map(|_| other()))
    }

    /// The VPC endpoint that a service's URL names. One that stands in routes alone cannot be seen from here.
    fn vpc_endpoint(&self, service: &str) -> Option<String> {
        let endpoints = &self.target.endpoints;
        let own = if service == "s3" { &endpoints.s3 } else { &endpoints.dynamodb };
        vpc_endpoint_of(own.as_deref().or_else(|| self.configuration.endpoint_url())?)
    }
}

/// Only EC2 knows it, and is not asked: its client is out of proportion to this one request.
pub(super) fn not_given(service: &str, endpoint: &str) -> String {
    format!("the policy of the VPC endpoint of `{service}` ({})", asked_for(&format!("--vpc-endpoint-ids {endpoint}")))
}

/// The same, where there may be one.
pub(super) fn not_seen(service: &str) -> String {
    let named = format!("--filters 'Name=service-name,Values=*.{service}'");
    format!("the policy of a VPC endpoint of `{service}`, if there is one on the way ({})", asked_for(&named))
}

fn asked_for(which: &str) -> String {
    format!("`aws ec2 describe-vpc-endpoints {which} > vpce.json`, and `--vpc-endpoint vpce.json`")
}

/// `vpce-ID` of `https://bucket.vpce-ID-ZONE.s3.REGION.vpce.amazonaws.com`.
fn vpc_endpoint_of(url: &str) -> Option<String> {
    let host = url.split_once("://").map_or(url, |(_, rest)| rest).split('/').next()?;
    let label = host.split('.').find(|label| label.starts_with("vpce-"))?;
    let id = label.split('-').nth(1)?;
    host.contains(".vpce.").then(|| format!("vpce-{id}"))
}

fn named(name: String, document: &str, kind: PolicyKind) -> Read<Named> {
    match Policy::parse_sent(document, kind) {
        Ok(policy) => Ok(Named { name, policy }),
        Err(error) => Err(Unread(format!("`{name}` cannot be read: {error}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::vpc_endpoint_of;

    #[test]
    fn the_vpc_endpoint_in_a_url() {
        let id = |url| vpc_endpoint_of(url);
        let own = "https://bucket.vpce-0a1b2c3d-5e6f.s3.eu-west-1.vpce.amazonaws.com/x";
        assert_eq!(id(own).as_deref(), Some("vpce-0a1b2c3d"));
        assert_eq!(id("https://vpce-1-2.dynamodb.eu-west-1.vpce.amazonaws.com").as_deref(), Some("vpce-1"));
        assert_eq!(id("https://s3.eu-west-1.amazonaws.com"), None);
        assert_eq!(id("http://127.0.0.1:9000/vpce-1"), None);
    }
}
