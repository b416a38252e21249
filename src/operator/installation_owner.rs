//! The operator's own right to manage indexes: one data access policy per installation. It says which cluster the
//! installation lives in, for releases that knew no records; and that there are records.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::bail;
use serde_json::Value;

use crate::api::GROUP;
use crate::aws::{Aws, PolicyKind};
use crate::stack::fault::{Class, Fault};
use crate::stack::identity::{Identity, Scope};
use crate::stack::model::observed::PolicyFacts;
use crate::stack::model::policy;
use crate::stack::store;

/// Whether the operator may make indexes in collections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// The grant says so.
    Yes,
    /// Its role has no right to policies of collections, so that no stack can have one. Other vector stores need none.
    Denied,
}

/// The grant, as it should be.
pub struct Grant {
    /// The installation.
    pub scope: Arc<Scope>,
    /// The role we run as.
    pub operator: String,
    /// The cluster we run in, by the uid of its kube-system namespace.
    pub cluster: String,
    /// The bucket that has the installation's records.
    pub records: String,
}

impl Grant {
    fn description(&self) -> String {
        let Self { scope, cluster, records, .. } = self;
        format!("installation={},owner=operator,cluster={cluster},records={records}", scope.installation)
    }

    /// What the grant says, if it is there. An installation without collections may have no right to see it, and has none.
    async fn said(&self, aws: &Aws) -> Result<BTreeMap<String, String>, Fault> {
        let found = match find(aws, &self.scope.grant_name()).await {
            Err(fault) if fault.class == Class::Denied => None,
            found => found?,
        };
        Ok(found.map(|found| Identity::parse_description(&found.description)).unwrap_or_default())
    }

    /// Whether the installation once had records: a bucket that is gone cannot say so itself.
    pub async fn had_records(&self, aws: &Aws) -> Result<bool, Fault> {
        Ok(self.said(aws).await?.contains_key(&format!("{GROUP}/records")))
    }

    /// Whether a release that knew no records works in another cluster; an error says what to do. Changes nothing.
    pub async fn may_be_taken(&self, aws: &Aws, take_over: Option<&str>) -> anyhow::Result<()> {
        let said = self.said(aws).await?;
        match said.get(&format!("{GROUP}/cluster")) {
            Some(other) if *other != self.cluster && take_over != Some(other) => bail!(self.refusal(other)),
            _ => Ok(()),
        }
    }

    fn refusal(&self, other: &str) -> String {
        format!(
            "installation '{}' of account {} in {} belongs to the cluster with the uid {other}. If that cluster is gone, \
             start with --take-over {other}; if not, choose another --installation",
            self.scope.installation, self.scope.account, self.scope.region,
        )
    }

    /// Makes the grant, or corrects it if the operator now runs as another role. Refuses to start if it is another
    /// cluster's, unless that is to be taken over. Without a right to it there is none.
    pub async fn take(&self, aws: &Aws, take_over: Option<&str>) -> anyhow::Result<Taken> {
        match self.put(aws, take_over).await {
            Ok(()) => Ok(Taken::Yes),
            Err(error) => match error.downcast_ref::<Fault>() {
                Some(fault) if fault.class == Class::Denied => {
                    tracing::warn!(%fault, "no stack can have a collection: it is tried again now and then");
                    Ok(Taken::Denied)
                }
                _ => Err(error),
            },
        }
    }

    async fn put(&self, aws: &Aws, take_over: Option<&str>) -> anyhow::Result<()> {
        let name = self.scope.grant_name();
        let wanted = store::operator_grant(&self.scope, &self.operator);
        let found = match find(aws, &name).await? {
            Some(found) => found,
            None => {
                match aws.policies.create(PolicyKind::DataAccess, &name, &wanted, &self.description()).await {
                    Err(fault) if fault.class == Class::Conflict => match find(aws, &name).await? {
                        Some(found) => found,
                        None => return Err(fault.into()),
                    },
                    made => return Ok(made?),
                }
            }
        };
        let said = Identity::parse_description(&found.description);
        let wants = Identity::parse_description(&self.description());
        let differs = |key: &str| said.get(&format!("{GROUP}/{key}")) != wants.get(&format!("{GROUP}/{key}"));
        if differs("installation") || differs("owner") {
            bail!(
                "the data access policy '{name}' does not say that it is this installation's; remove it, or choose \
                 another --installation"
            );
        }
        if let Some(other) = self.other_cluster(&found)
            && take_over != Some(&other)
        {
            bail!(self.refusal(&other));
        }
        if policy::same(&found.document, &wanted) && said == wants {
            return Ok(());
        }
        let description = self.description();
        match aws.policies.update(PolicyKind::DataAccess, &name, &wanted, &description, &found.version).await
        {
            // An older release's grant is wider than what we may write policies over, and as good.
            Err(fault)
                if fault.class == Class::Denied && said == wants && is_ours(&found.document, &wanted) =>
            {
                tracing::warn!(
                    policy = name,
                    %fault,
                    "the operator's grant covers more than its collections, and may not be narrowed: delete it, and restart the \
                     operator, which makes it anew"
                );
                Ok(())
            }
            updated => Ok(updated?),
        }
    }

    /// The cluster that a grant names, if it is not ours.
    fn other_cluster(&self, found: &PolicyFacts) -> Option<String> {
        let mut said = Identity::parse_description(&found.description);
        said.remove(&format!("{GROUP}/cluster")).filter(|cluster| *cluster != self.cluster)
    }
}

/// Whether a grant is for whom another is, whatever each covers.
fn is_ours(found: &Value, wanted: &Value) -> bool {
    let principal = |grant: &Value| grant.pointer("/0/Principal").cloned().unwrap_or_default();
    policy::same(&principal(found), &principal(wanted))
}

async fn find(aws: &Aws, name: &str) -> Result<Option<PolicyFacts>, Fault> {
    aws.policies.find(PolicyKind::DataAccess, name).await
}
