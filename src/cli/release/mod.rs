//! `tenantry release`: an administrator gives a tenantId to anybody, or to a Tenant that is there.
//!
//! It writes one record, over what it read, with the credentials of whoever runs it. The operator learns of it when somebody
//! asks for the id.

mod decision;
mod remains;

use std::sync::Arc;

use anyhow::{Context, bail, ensure};
use clap::Args;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Namespace;
use kube::{Api, Client, ResourceExt};
use serde::Serialize;

use self::decision::{Decision, Holder, Left, out_of_sight};
use super::args::{OfInstallation, OfStores, Output, tenant_id};
use super::cluster::{Cluster, InCluster};
use super::help;
use super::inspect;
use super::place::Place;
use crate::api::Tenant;
use crate::records::lock::Lock;
use crate::records::{Records, S3, Wrote};
use crate::stack::identity::Scope;
use crate::stack::names;
use crate::stack::record::{Record, State};

#[derive(Debug, Args)]
#[command(after_help = help::after("tenantry release acme --installation prod --dry-run", &help::both()))]
pub(super) struct Release {
    /// The tenantId.
    #[arg(value_name = "TENANT_ID", value_parser = tenant_id)]
    tenant_id: String,

    #[command(flatten)]
    of: OfInstallation,

    /// Give it to this Tenant, which is there and has this tenantId in its spec, with all that lies under it: for one that
    /// got the id from a release that knew no records.
    #[arg(long, value_name = "NAMESPACE/NAME", value_parser = object)]
    to: Option<Object>,

    /// Say what would be written, and write nothing.
    #[arg(long)]
    dry_run: bool,

    #[command(flatten)]
    stores: OfStores,

    #[command(flatten)]
    within: InCluster,

    #[command(flatten)]
    output: Output,
}

/// A Tenant, by name.
#[derive(Clone, Debug)]
struct Object {
    namespace: String,
    name: String,
}

/// What became of it.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
enum Outcome {
    Unchanged,
    Refused,
    WouldBeWritten,
    Written,
}

/// What is told.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    tenant_id: String,
    outcome: Outcome,
    message: String,
    left: Vec<Left>,
    /// The record as it is then, or would be.
    record: Option<Record>,
}

fn object(text: &str) -> Result<Object, String> {
    match text.split_once('/') {
        Some((namespace, name)) if names::is_label(namespace) && names::is_object_name(name) => {
            Ok(Object { namespace: namespace.into(), name: name.into() })
        }
        _ => Err("not of the form namespace/name".into()),
    }
}

impl Release {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let (aws, scope) = inspect::aws(&self.of.installation).await?;
        let bucket = self.of.bucket(&scope);
        ensure!(
            bucket.look(&aws, &scope).await?.is_some(),
            "there is no bucket '{}' in account {} and region {}: no operator with records works there",
            bucket.name,
            scope.account,
            scope.region
        );
        let records = Records::new(Arc::new(S3::new(&aws.objects, &bucket.name)));
        let lock = lock(&records, &scope, &bucket.name).await?;
        let cluster = self.within.connect().await?;
        let client = cluster.client.clone();
        let here = cluster_uid(&client).await?;
        let kept = records.get(&self.tenant_id).await?;
        let (record, etag) = match kept {
            Some(kept) => (Some(kept.says), Some(kept.etag)),
            None => (None, None),
        };
        let holder = holder(&client, record.as_ref(), &lock, &here).await?;
        let mut left = Vec::new();
        let decision = match &self.to {
            Some(to) => {
                ensure!(
                    lock.place.cluster == here,
                    "your kubeconfig leads to the cluster with the uid {here}, and the installation works in the one with the \
                     uid {}",
                    lock.place.cluster
                );
                let wanted = self.wanted(&cluster, scope, to, &here).await?;
                decision::give(record.as_ref(), &holder, wanted)
            }
            None => {
                if record.as_ref().is_some_and(|record| record.state != State::Free) {
                    left = remains::of(&aws, &scope, &self.tenant_id, &self.stores.stores()).await?;
                }
                decision::release(&self.tenant_id, record.as_ref(), &holder, &left, Timestamp::now())
            }
        };
        let (outcome, message, record) = match decision {
            Decision::Nothing(message) => (Outcome::Unchanged, message, record),
            Decision::Refused(message) => (Outcome::Refused, message, record),
            Decision::Write(wanted) if self.dry_run => (
                Outcome::WouldBeWritten,
                format!("{}. Nothing was changed", told(&wanted, true)),
                Some(*wanted),
            ),
            Decision::Write(wanted) => match records.put(*wanted, etag.as_deref()).await? {
                Wrote::Done(kept) => (Outcome::Written, told(&kept.says, false), Some(kept.says)),
                Wrote::Other(_) => bail!(
                    "the record of tenantId '{}' was changed by somebody else at this moment. Nothing was changed here; look \
                     again",
                    self.tenant_id
                ),
            },
        };
        self.tell(Report { tenant_id: self.tenant_id.clone(), outcome, message, left, record })
    }

    /// The record of the Tenant that is to have the id.
    async fn wanted(
        &self,
        cluster: &Cluster,
        scope: Arc<Scope>,
        to: &Object,
        here: &str,
    ) -> anyhow::Result<Record> {
        let Object { namespace, name } = to;
        let tenant = cluster.tenant(name, namespace).await?;
        Place::must_be(&tenant, &scope)?;
        ensure!(
            tenant.spec.tenant_id == self.tenant_id,
            "the tenantId of Tenant '{namespace}/{name}' is '{}'",
            tenant.spec.tenant_id
        );
        ensure!(
            tenant.metadata.deletion_timestamp.is_none(),
            "Tenant '{namespace}/{name}' is being deleted: it can be given nothing"
        );
        if let Some(other) = inspect::installation(&tenant)? {
            ensure!(
                other == self.of.installation,
                "Tenant '{namespace}/{name}' is that of installation '{other}'"
            );
        }
        let uid = uid(&cluster.client, namespace).await?;
        let record =
            Record::of(&inspect::identity(scope, &tenant)?, here, Some(uid), State::Held, Timestamp::now());
        let store = tenant.status.as_ref().and_then(|status| status.vector_store);
        let store = store.or(tenant.spec.vector_store).unwrap_or_default();
        Ok(record.context("a Tenant has a record")?.in_store(store))
    }

    fn tell(&self, report: Report) -> anyhow::Result<()> {
        // A refusal in text is this command's error.
        if self.output.is_json() || !matches!(report.outcome, Outcome::Refused) {
            inspect::print(&self.output.of(&report, || report.message.clone())?)?;
        }
        match report.outcome {
            Outcome::Refused => bail!(report.message),
            _ => Ok(()),
        }
    }
}

/// What is said of a record that is written.
fn told(record: &Record, would: bool) -> String {
    let (id, is) = (&record.tenant_id, if would { "would be" } else { "is" });
    match record.state {
        State::Held => format!("tenantId '{id}' {is} that of {}", record.holder.tag()),
        _ => format!("tenantId '{id}' {is} anybody's: the first Tenant that asks for it gets it"),
    }
}

/// The lock of this installation. Before all that was there has a record, nothing is given away.
async fn lock(records: &Records, scope: &Scope, bucket: &str) -> anyhow::Result<Lock> {
    let Some(kept) = records.lock().await? else {
        bail!("the bucket '{bucket}' has no lock.json: no operator has worked with it, or it was lost");
    };
    let place = &kept.says.place;
    ensure!(
        (&place.installation, &place.account, &place.region)
            == (&scope.installation, &scope.account, &scope.region),
        "the bucket '{bucket}' has the records of installation '{}' of account {} in {}",
        place.installation,
        place.account,
        place.region
    );
    ensure!(
        kept.says.complete,
        "the operator is still recording what was there before there were records; try again when it has"
    );
    Ok(kept.says)
}

/// Whether the Tenant that a record names is there, or one of its name that has the id in its spec: that takes its place.
async fn holder(client: &Client, record: Option<&Record>, lock: &Lock, here: &str) -> anyhow::Result<Holder> {
    let Some(record) = record.filter(|record| record.state == State::Held) else { return Ok(Holder::Gone) };
    if let Some(why) = out_of_sight(record, lock, here) {
        return Ok(Holder::OutOfSight(why));
    }
    let api: Api<Tenant> = Api::namespaced(client.clone(), &record.holder.namespace);
    let there = api.get_opt(&record.holder.name).await?;
    Ok(match there {
        Some(it)
            if it.uid().as_ref() == Some(&record.holder.uid) || it.spec.tenant_id == record.tenant_id =>
        {
            Holder::Lives
        }
        _ => Holder::Gone,
    })
}

/// What tells a cluster from all others.
async fn cluster_uid(client: &Client) -> anyhow::Result<String> {
    uid(client, "kube-system").await
}

async fn uid(client: &Client, namespace: &str) -> anyhow::Result<String> {
    let found = Api::<Namespace>::all(client.clone()).get_metadata(namespace).await;
    let found = found.with_context(|| format!("the namespace {namespace} cannot be read"))?;
    found.uid().with_context(|| format!("the namespace {namespace} has no uid"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenant_is_named_with_its_namespace() {
        let Object { namespace, name } = object("tenants/acme.1").unwrap();
        assert_eq!((namespace.as_str(), name.as_str()), ("tenants", "acme.1"));
        for bad in ["acme", "/acme", "tenants/", "a/b/c", "Tenants/acme", ""] {
            assert!(object(bad).is_err(), "{bad}");
        }
        assert!(tenant_id("acme-1").is_ok() && tenant_id("../acme").is_err());
    }
}
