//! Arguments that several commands have, and what values of arguments can be.

use clap::{Args, ValueEnum};
use serde::Serialize;

use super::cluster::InCluster;
use crate::api::{Tenant, VectorStore};
use crate::records::bucket::InstallationBucket;
use crate::stack::identity::{Scope, known_partition, partition_of};
use crate::stack::names;
use crate::stack::registry::Table;

/// A Tenant in the cluster of the kubeconfig, as a command line names it.
#[derive(Args, Clone, Debug)]
pub(super) struct OfTenant {
    /// The Tenant's name.
    tenant: String,

    /// The Tenant's namespace. Default: that of the kubeconfig's context.
    #[arg(short, long, value_name = "NAMESPACE")]
    namespace: Option<String>,

    #[command(flatten)]
    within: InCluster,
}

impl OfTenant {
    /// The Tenant.
    pub(super) async fn find(&self) -> anyhow::Result<Tenant> {
        let cluster = self.within.connect().await?;
        let namespace = self.namespace.as_deref().unwrap_or(cluster.client.default_namespace());
        cluster.tenant(&self.tenant, namespace).await
    }
}

/// An installation, as a command line names it.
#[derive(Args, Clone, Debug)]
pub(super) struct OfInstallation {
    /// Whose: the operator's --installation.
    #[arg(long, env = "TENANTRY_INSTALLATION", value_name = "NAME", value_parser = installation)]
    pub(super) installation: String,

    /// The operator's --installation-bucket. Default: the bucket that it makes itself.
    #[arg(long, env = "TENANTRY_INSTALLATION_BUCKET", value_name = "BUCKET", value_parser = bucket)]
    installation_bucket: Option<String>,
}

impl OfInstallation {
    /// The bucket with its records.
    pub(super) fn bucket(&self, scope: &Scope) -> InstallationBucket {
        InstallationBucket::of(scope, self.installation_bucket.as_deref())
    }
}

/// The vector stores of an installation, as a command line names them.
#[derive(Args, Clone, Debug)]
pub(super) struct OfStores {
    /// A vector store that the installation's stacks have, OpenSearchServerless or S3Vectors; may be repeated. Others need no
    /// right, and are not looked at. Default: both.
    #[arg(long = "store", value_name = "STORE", value_parser = store)]
    stores: Vec<VectorStore>,
}

impl OfStores {
    pub(super) fn stores(&self) -> Vec<VectorStore> {
        if self.stores.is_empty() { VectorStore::ALL.to_vec() } else { self.stores.clone() }
    }
}

/// The form in which an answer is printed.
#[derive(Args, Clone, Copy, Debug)]
pub(super) struct Output {
    /// How to print it.
    #[arg(short, long, value_enum, value_name = "FORMAT", default_value_t = Format::Text)]
    output: Format,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    Text,
    Json,
}

impl Output {
    /// An answer as it is to be printed.
    pub(super) fn of(
        self,
        answer: &impl Serialize,
        text: impl FnOnce() -> String,
    ) -> serde_json::Result<String> {
        match self.output {
            Format::Text => Ok(text()),
            Format::Json => serde_json::to_string_pretty(answer),
        }
    }

    pub(super) fn is_json(self) -> bool {
        matches!(self.output, Format::Json)
    }
}

pub(super) fn installation(name: &str) -> Result<String, String> {
    if Scope::is_valid_installation(name) {
        Ok(name.into())
    } else {
        Err("one to eight lower-case letters and digits, beginning with a letter".into())
    }
}

pub(super) fn tenant_id(text: &str) -> Result<String, String> {
    if names::is_tenant_id(text) { Ok(text.into()) } else { Err("no Tenant can have it".into()) }
}

pub(super) fn percent(text: &str) -> Result<u32, String> {
    let number = text.strip_suffix('%').unwrap_or(text).parse().ok();
    number.filter(|percent| (1..=100).contains(percent)).ok_or_else(|| "a percentage from 1% to 100%".into())
}

pub(super) fn bucket(name: &str) -> Result<String, String> {
    if names::is_bucket(name) {
        Ok(name.into())
    } else {
        Err("a bucket's name has 3 to 63 lower-case letters, digits, hyphens and dots".into())
    }
}

pub(super) fn registry(text: &str) -> Result<Table, String> {
    text.parse().map_err(Into::into)
}

fn store(name: &str) -> Result<VectorStore, String> {
    let found = VectorStore::ALL.into_iter().find(|store| store.to_string() == name);
    found.ok_or_else(|| "a store is OpenSearchServerless or S3Vectors".into())
}

pub(super) fn account(id: &str) -> Result<String, String> {
    if names::is_account(id) { Ok(id.into()) } else { Err("an account id has twelve digits".into()) }
}

pub(super) fn region(name: &str) -> Result<String, String> {
    if !names::is_region(name) {
        return Err("a region is of the form eu-central-1".into());
    }
    known_partition(partition_of(name)).map(|_| name.into()).map_err(|unknown| unknown.to_string())
}

pub(super) fn partition(name: &str) -> Result<String, String> {
    known_partition(name).map(Into::into).map_err(|unknown| unknown.to_string())
}

pub(super) fn model(text: &str) -> Result<String, String> {
    if names::is_model(text) {
        Ok(text.into())
    } else {
        Err("a model is an id or an ARN, without wildcards".into())
    }
}

/// A role, of which IAM's policies speak; they know no sessions.
pub(super) fn role(text: &str) -> Result<String, String> {
    if names::is_iam_arn(text, "role") {
        Ok(text.into())
    } else {
        Err("a role's ARN is of the form arn:aws:iam::<twelve digits>:role/<path and name>, without wildcards; that of a \
                      session (sts, assumed-role) names no role, `aws iam get-role` has the role's"
            .into())
    }
}

/// A policy that can bound roles.
pub(super) fn bounding(text: &str) -> Result<String, String> {
    if names::is_iam_arn(text, "policy") {
        Ok(text.into())
    } else {
        Err("a policy's ARN is of the form arn:aws:iam::<twelve digits>:policy/<path and name>, without wildcards".into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pace_is_a_percentage() {
        assert_eq!((percent("80%"), percent("100")), (Ok(80), Ok(100)));
        for bad in ["0", "101%", "-1", "80 %", "fast", ""] {
            assert!(percent(bad).is_err(), "{bad}");
        }
    }
}
