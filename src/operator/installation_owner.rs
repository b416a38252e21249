//! The operator's own right to manage indexes: one data access policy per installation, made before anything else. It
//! says which cluster the installation lives in, so that a second cluster does not work on the same resources.

use std::sync::Arc;

use anyhow::bail;

use crate::api::GROUP;
use crate::aws::{Aws, PolicyKind};
use crate::reconcile::context::Context;
use crate::stack::fault::{Class, Fault};
use crate::stack::identity::{Identity, Scope};
use crate::stack::model::observed::PolicyFacts;
use crate::stack::model::policy;
use crate::stack::store::opensearch;

/// The grant, as it should be.
pub struct Grant {
    /// The installation.
    pub scope: Arc<Scope>,
    /// The role we run as.
    pub operator: String,
    /// The cluster we run in, by the uid of its kube-system namespace.
    pub cluster: String,
}

impl Grant {
    fn description(&self) -> String {
        format!("installation={},owner=operator,cluster={}", self.scope.installation, self.cluster)
    }

    /// Makes the grant, or corrects it if the operator now runs as another role. Refuses to start if it is another
    /// cluster's, unless that is to be taken over.
    pub async fn take(&self, aws: &Aws, take_over: Option<&str>) -> anyhow::Result<()> {
        let name = self.scope.grant_name();
        let wanted = opensearch::operator_grant(&self.scope, &self.operator);
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
            bail!(
                "installation '{}' of account {} in {} belongs to the cluster with the uid {other}. If that cluster is \
                 gone, start with --take-over {other}; if not, choose another --installation",
                self.scope.installation,
                self.scope.account,
                self.scope.region,
            );
        }
        if policy::same(&found.document, &wanted) && said == wants {
            return Ok(());
        }
        let description = self.description();
        Ok(aws.policies.update(PolicyKind::DataAccess, &name, &wanted, &description, &found.version).await?)
    }

    /// Ends with an error when another cluster has taken the installation over.
    pub async fn watch(&self, cx: &Context) -> anyhow::Error {
        loop {
            tokio::time::sleep(cx.clock.outside(cx.settings.resync)).await;
            let found = find(&cx.aws, &self.scope.grant_name()).await.ok().flatten();
            if let Some(other) = found.and_then(|found| self.other_cluster(&found)) {
                return anyhow::anyhow!("the cluster with the uid {other} has taken this installation over");
            }
        }
    }

    /// The cluster that a grant names, if it is not ours.
    fn other_cluster(&self, found: &PolicyFacts) -> Option<String> {
        let mut said = Identity::parse_description(&found.description);
        said.remove(&format!("{GROUP}/cluster")).filter(|cluster| *cluster != self.cluster)
    }
}

async fn find(aws: &Aws, name: &str) -> Result<Option<PolicyFacts>, Fault> {
    aws.policies.find(PolicyKind::DataAccess, name).await
}
