//! The policies of whoever calls, by what IAM tells.

use aws_sdk_iam::types::AttachedPolicy;
use stateward_iam::{Named, PolicyKind, PolicySet};

use super::super::Patient;
use super::{Read, Unread, named, unread};

/// Whose policies.
#[derive(Debug, Clone, Copy)]
enum Owner<'a> {
    User(&'a str),
    Role(&'a str),
    Group(&'a str),
}

impl Patient {
    /// Those of a user or role, and its boundary.
    pub(super) async fn of_caller(&self, caller: &str) -> Read<PolicySet> {
        let resource = caller.splitn(6, ':').nth(5).unwrap_or_default();
        let parts: Vec<&str> = resource.split('/').collect();
        match parts.as_slice() {
            ["user", .., name] => self.of_user(name).await,
            ["root"] => Ok(PolicySet::default()),
            ["assumed-role", name, ..] | ["role", .., name] => self.of_role(name).await,
            _ => Err(Unread(format!("`{resource}` is neither a user nor a role"))),
        }
    }

    async fn of_user(&self, name: &str) -> Read<PolicySet> {
        let iam = &self.services.iam;
        let user = iam
            .get_user()
            .user_name(name)
            .send()
            .await
            .map_err(unread("IAM: GetUser"))?
            .user
            .ok_or_else(|| Unread::lacking("user"))?;
        let mut identity = self.of_owner(Owner::User(name)).await?;
        let groups = iam.list_groups_for_user().user_name(name).into_paginator().items().send();
        for group in groups.try_collect().await.map_err(unread("IAM: ListGroupsForUser"))? {
            identity.extend(self.of_owner(Owner::Group(&group.group_name)).await?);
        }
        let boundary = user.permissions_boundary.and_then(|boundary| boundary.permissions_boundary_arn);
        self.with_boundary(identity, boundary).await
    }

    async fn of_role(&self, name: &str) -> Read<PolicySet> {
        let role = self
            .services
            .iam
            .get_role()
            .role_name(name)
            .send()
            .await
            .map_err(unread("IAM: GetRole"))?
            .role
            .ok_or_else(|| Unread::lacking("role"))?;
        let identity = self.of_owner(Owner::Role(name)).await?;
        let boundary = role.permissions_boundary.and_then(|boundary| boundary.permissions_boundary_arn);
        self.with_boundary(identity, boundary).await
    }

    async fn with_boundary(&self, identity: Vec<Named>, boundary: Option<String>) -> Read<PolicySet> {
        let boundary = match boundary {
            Some(arn) => Some(vec![self.managed(&arn, PolicyKind::Boundary).await?]),
            None => None,
        };
        Ok(PolicySet { identity, boundary, ..PolicySet::default() })
    }

    /// Those attached, and those within.
    async fn of_owner(&self, owner: Owner<'_>) -> Read<Vec<Named>> {
        let iam = &self.services.iam;
        let mut policies = Vec::new();
        for arn in self.attached(owner).await?.into_iter().filter_map(|policy| policy.policy_arn) {
            policies.push(self.managed(&arn, PolicyKind::Identity).await?);
        }
        for name in self.inline(owner).await? {
            let document = match owner {
                Owner::User(user) => {
                    let request = iam.get_user_policy().user_name(user).policy_name(&name);
                    request.send().await.map_err(unread("IAM: GetUserPolicy"))?.policy_document
                }
                Owner::Role(role) => {
                    let request = iam.get_role_policy().role_name(role).policy_name(&name);
                    request.send().await.map_err(unread("IAM: GetRolePolicy"))?.policy_document
                }
                Owner::Group(group) => {
                    let request = iam.get_group_policy().group_name(group).policy_name(&name);
                    request.send().await.map_err(unread("IAM: GetGroupPolicy"))?.policy_document
                }
            };
            policies.push(named(name, &document, PolicyKind::Identity)?);
        }
        Ok(policies)
    }

    async fn attached(&self, owner: Owner<'_>) -> Read<Vec<AttachedPolicy>> {
        let iam = &self.services.iam;
        match owner {
            Owner::User(name) => {
                let pages = iam.list_attached_user_policies().user_name(name).into_paginator();
                pages.items().send().try_collect().await.map_err(unread("IAM: ListAttachedUserPolicies"))
            }
            Owner::Role(name) => {
                let pages = iam.list_attached_role_policies().role_name(name).into_paginator();
                pages.items().send().try_collect().await.map_err(unread("IAM: ListAttachedRolePolicies"))
            }
            Owner::Group(name) => {
                let pages = iam.list_attached_group_policies().group_name(name).into_paginator();
                pages.items().send().try_collect().await.map_err(unread("IAM: ListAttachedGroupPolicies"))
            }
        }
    }

    /// The names of those within.
    async fn inline(&self, owner: Owner<'_>) -> Read<Vec<String>> {
        let iam = &self.services.iam;
        match owner {
            Owner::User(name) => {
                let pages = iam.list_user_policies().user_name(name).into_paginator();
                pages.items().send().try_collect().await.map_err(unread("IAM: ListUserPolicies"))
            }
            Owner::Role(name) => {
                let pages = iam.list_role_policies().role_name(name).into_paginator();
                pages.items().send().try_collect().await.map_err(unread("IAM: ListRolePolicies"))
            }
            Owner::Group(name) => {
                let pages = iam.list_group_policies().group_name(name).into_paginator();
                pages.items().send().try_collect().await.map_err(unread("IAM: ListGroupPolicies"))
            }
        }
    }

    /// The version of a managed policy that is in force.
    pub(super) async fn managed(&self, arn: &str, kind: PolicyKind) -> Read<Named> {
        let iam = &self.services.iam;
        let policy = iam.get_policy().policy_arn(arn).send().await.map_err(unread("IAM: GetPolicy"))?.policy;
        let version = policy.and_then(|policy| policy.default_version_id).ok_or_else(|| Unread::lacking("version"))?;
        let answer = iam
            .get_policy_version()
            .policy_arn(arn)
            .version_id(version)
            .send()
            .await
            .map_err(unread("IAM: GetPolicyVersion"))?;
        let document =
            answer.policy_version.and_then(|version| version.document).ok_or_else(|| Unread::lacking("document"))?;
        named(arn.to_owned(), &document, kind)
    }
}
