//! IAM: service roles and their inline policies.

use aws_sdk_iam::Client;
use aws_sdk_iam::error::BuildError;
use aws_sdk_iam::types::{Role, Tag};
use futures::future::try_join_all;
use percent_encoding::percent_decode_str;
use serde_json::Value;

use super::fault::{found, gone};
use super::gate::Gate;
use super::values::{Tags, tags};
use crate::stack::fault::Fault;
use crate::stack::iam::operation::iam;
use crate::stack::model::observed::RoleDetail;

/// IAM roles and their inline policies.
#[derive(Clone, Debug)]
pub struct Roles {
    client: Client,
    gate: Gate,
}

impl Roles {
    pub(super) fn new(client: Client, gate: &Gate) -> Self {
        Self { client, gate: gate.clone() }
    }

    /// A role with its trust, its inline policies and its tags.
    /// <https://docs.aws.amazon.com/IAM/latest/APIReference/API_GetRole.html>
    pub async fn find(&self, name: &str) -> Result<Option<RoleDetail>, Fault> {
        let Some(role) = found(self.get(name).await)? else {
            return Ok(None);
        };
        let Some(names) = found(self.policy_names(name).await)? else {
            return Ok(None);
        };
        let policies = try_join_all(names.iter().map(|policy| self.policy(name, policy))).await?;
        Ok(Some(RoleDetail {
            trust: role.assume_role_policy_document.as_deref().map(decoded).unwrap_or_default(),
            policies: policies.into_iter().flatten().collect(),
            boundary: role.permissions_boundary.and_then(|boundary| boundary.permissions_boundary_arn),
            tags: tags(role.tags, |tag| (tag.key, tag.value)),
            arn: role.arn,
        }))
    }

    /// A role's ARN, which alone knows its path.
    pub async fn arn(&self, name: &str) -> Result<String, Fault> {
        self.get(name).await.map(|role| role.arn)
    }

    /// Makes a role under `path`, which begins and ends with a slash. `name` has at most 64 characters, `description`
    /// 1,000; at most 50 tags. Also needs iam:TagRole; `boundary` is a managed policy's ARN.
    /// <https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreateRole.html>
    pub async fn create(
        &self,
        name: &str,
        path: &str,
        trust: &Value,
        description: &str,
        boundary: Option<&str>,
        tags: &Tags,
    ) -> Result<(), Fault> {
        let call = self.gate.call(iam::CreateRole, name);
        let tags = sdk_tags(tags).map_err(call.unbuilt())?;
        let request = self.client.create_role().role_name(name).path(path).description(description);
        let request = request.assume_role_policy_document(trust.to_string());
        let request = request.set_permissions_boundary(boundary.map(Into::into)).set_tags(Some(tags));
        call.send(request.send()).await.map(drop)
    }

    /// Adds tags to a role, over those of the same names.
    pub async fn tag(&self, name: &str, tags: &Tags) -> Result<(), Fault> {
        let call = self.gate.call(iam::TagRole, name);
        let tags = sdk_tags(tags).map_err(call.unbuilt())?;
        let request = self.client.tag_role().role_name(name).set_tags(Some(tags));
        call.send(request.send()).await.map(drop)
    }

    /// Puts a role within a permissions boundary, a managed policy's ARN.
    pub async fn put_boundary(&self, name: &str, boundary: &str) -> Result<(), Fault> {
        let call = self.gate.call(iam::PutRolePermissionsBoundary, name);
        let request =
            self.client.put_role_permissions_boundary().role_name(name).permissions_boundary(boundary);
        call.send(request.send()).await.map(drop)
    }

    /// Says anew who may assume a role.
    pub async fn put_trust(&self, name: &str, trust: &Value) -> Result<(), Fault> {
        let call = self.gate.call(iam::UpdateAssumeRolePolicy, name);
        let request =
            self.client.update_assume_role_policy().role_name(name).policy_document(trust.to_string());
        call.send(request.send()).await.map(drop)
    }

    /// Writes an inline policy, over one of the same name. All of a role's together have at most 10,240 characters.
    /// <https://docs.aws.amazon.com/IAM/latest/APIReference/API_PutRolePolicy.html>
    pub async fn put_policy(&self, role: &str, policy: &str, document: &Value) -> Result<(), Fault> {
        let call = self.gate.call(iam::PutRolePolicy, role);
        let request = self.client.put_role_policy().role_name(role).policy_name(policy);
        call.send(request.policy_document(document.to_string()).send()).await.map(drop)
    }

    /// Removes an inline policy.
    pub async fn delete_policy(&self, role: &str, policy: &str) -> Result<(), Fault> {
        let call = self.gate.call(iam::DeleteRolePolicy, role);
        let request = self.client.delete_role_policy().role_name(role).policy_name(policy);
        gone(call.send(request.send()).await)
    }

    /// Deletes a role, which must have no inline policy any more.
    pub async fn delete(&self, name: &str) -> Result<(), Fault> {
        let call = self.gate.call(iam::DeleteRole, name);
        gone(call.send(self.client.delete_role().role_name(name).send()).await)
    }

    async fn get(&self, name: &str) -> Result<Role, Fault> {
        let call = self.gate.call(iam::GetRole, name);
        let answer = call.send(self.client.get_role().role_name(name).send()).await?;
        answer.role.ok_or_else(|| call.empty())
    }

    async fn policy_names(&self, role: &str) -> Result<Vec<String>, Fault> {
        let call = self.gate.call(iam::ListRolePolicies, role);
        let pages = call
            .pages(self.client.list_role_policies().role_name(role).into_paginator().send(), |page| {
                page.is_truncated
            })
            .await?;
        Ok(pages.into_iter().flat_map(|page| page.policy_names).collect())
    }

    async fn policy(&self, role: &str, policy: &str) -> Result<Option<(String, Value)>, Fault> {
        let call = self.gate.call(iam::GetRolePolicy, role);
        let request = self.client.get_role_policy().role_name(role).policy_name(policy);
        let answer = found(call.send(request.send()).await)?;
        Ok(answer.map(|answer| (answer.policy_name, decoded(&answer.policy_document))))
    }
}

fn sdk_tags(tags: &Tags) -> Result<Vec<Tag>, BuildError> {
    tags.iter().map(|(key, value)| Tag::builder().key(key).value(value).build()).collect()
}

/// IAM gives policy documents URL-encoded. One that cannot be read is null, which equals none that we write.
fn decoded(document: &str) -> Value {
    let text = percent_decode_str(document).decode_utf8_lossy();
    serde_json::from_str(&text).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn policy_documents_come_url_encoded() {
        assert_eq!(decoded("%7B%22Version%22%3A%20%222012-10-17%22%7D"), json!({"Version": "2012-10-17"}));
        assert_eq!(decoded("nonsense"), Value::Null);
    }
}
