//! The policies of the organization, where the caller may read them: its management account and who is delegated.

use std::collections::BTreeMap;

use aws_sdk_organizations::types::{OrganizationFeatureSet, ParentType, PolicyType};
use futures::future;
use stateward_iam::{Named, PolicyKind};

use super::super::Patient;
use super::super::basics::account_of;
use super::{Read, Unread, named, unread};
use crate::Failed;

/// Levels from the root to the account, each with its policies.
type Levels = Vec<Vec<Named>>;

/// What the organization has to say about an account; `None` where that kind of policy does not apply.
#[derive(Debug, Default)]
pub(super) struct Limits {
    pub(super) scps: Option<Levels>,
    pub(super) rcps: Option<Levels>,
}

impl Patient {
    pub(super) async fn of_organization(&self, caller: &str) -> Read<Limits> {
        let Some(account) = account_of(caller) else { return Ok(Limits::default()) };
        let organization = match self.services.organizations.describe_organization().send().await {
            Ok(answer) => answer.organization,
            Err(error) => {
                let failed = Failed::new("Organizations: DescribeOrganization", &error);
                if failed.is("AWSOrganizationsNotInUseException") {
                    return Ok(Limits::default());
                }
                return Err(Unread::of(&failed));
            }
        };
        let organization = organization.ok_or_else(|| Unread::lacking("organization"))?;
        // https://docs.aws.amazon.com/organizations/latest/userguide/orgs_manage_policies_scps.html: the management account is exempt.
        if organization.master_account_id.as_deref() == Some(account)
            || organization.feature_set != Some(OrganizationFeatureSet::All)
        {
            return Ok(Limits::default());
        }
        let targets = self.levels_of(account).await?;
        let (scps, rcps) = future::join(
            self.attached_to(&targets, PolicyType::ServiceControlPolicy, PolicyKind::Scp),
            self.attached_to(&targets, PolicyType::ResourceControlPolicy, PolicyKind::Rcp),
        )
        .await;
        Ok(Limits { scps: scps?, rcps: rcps? })
    }

    /// The root, the units below it, and the account.
    async fn levels_of(&self, account: &str) -> Read<Vec<String>> {
        let mut levels = vec![account.to_owned()];
        loop {
            let child = levels.last().cloned().unwrap_or_default();
            let answer = self.services.organizations.list_parents().child_id(child).send().await;
            let parents = answer.map_err(unread("Organizations: ListParents"))?.parents.unwrap_or_default();
            let parent = parents.into_iter().next().ok_or_else(|| Unread::lacking("parent"))?;
            levels.push(parent.id.ok_or_else(|| Unread::lacking("ID"))?);
            if parent.r#type != Some(ParentType::OrganizationalUnit) {
                levels.reverse();
                return Ok(levels);
            }
        }
    }

    async fn attached_to(&self, targets: &[String], filter: PolicyType, kind: PolicyKind) -> Read<Option<Levels>> {
        let client = &self.services.organizations;
        let list = async |target: &String| {
            let pages = client.list_policies_for_target().target_id(target).filter(filter.clone()).into_paginator();
            let pages = pages.send().try_collect().await;
            let pages = pages.map_err(unread("Organizations: ListPoliciesForTarget"))?;
            Ok(pages
                .into_iter()
                .flat_map(|page| page.policies.unwrap_or_default())
                .filter_map(|policy| Some((policy.id?, policy.name)))
                .collect::<Vec<_>>())
        };
        let levels = future::join_all(targets.iter().map(list)).await.into_iter().collect::<Read<Vec<_>>>()?;
        // The last policy cannot be detached from a level, so where there is none this kind of policy is switched off.
        if levels.first().is_none_or(Vec::is_empty) {
            return Ok(None);
        }
        // Mostly the same stands at every level: `FullAWSAccess`.
        let mut documents: BTreeMap<String, Named> = BTreeMap::new();
        for (id, name) in levels.iter().flatten() {
            if !documents.contains_key(id) {
                let answer = client.describe_policy().policy_id(id).send().await;
                let policy = answer.map_err(unread("Organizations: DescribePolicy"))?.policy;
                let text = policy.and_then(|policy| policy.content).ok_or_else(|| Unread::lacking("content"))?;
                documents.insert(id.clone(), named(name.clone().unwrap_or_else(|| id.clone()), &text, kind)?);
            }
        }
        let of_level =
            |level: &Vec<(String, _)>| level.iter().filter_map(|(id, _)| documents.get(id).cloned()).collect();
        Ok(Some(levels.iter().map(of_level).collect()))
    }
}
