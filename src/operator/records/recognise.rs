//! What Tenants say of their ids, compared with the records.

use std::collections::HashMap;

use futures::{FutureExt, StreamExt, stream};
use jiff::Timestamp;
use kube::Client;

use super::holders::{Holder, lost};
use super::listing::namespace_uids;
use crate::operator::wait_for_aws::answered;
use crate::reconcile::ids::Ids;
use crate::records::Trouble;
use crate::settings::Settings;
use crate::stack::identity::Owner;
use crate::stack::record::{Record, State};

/// Records that are read side by side.
const CONCURRENCY: usize = 16;
/// So many ids a message names before it counts.
const LISTED: usize = 10;

/// What it works with.
pub struct Recognition<'a> {
    pub ids: &'a Ids,
    pub client: &'a Client,
    pub settings: &'a Settings,
    /// The uid of the cluster.
    pub cluster: &'a str,
}

impl Recognition<'_> {
    /// Compares the Tenants that have an id with the records. A Tenant of a release that knew no records gets its record.
    pub async fn of(&self, holders: &[Holder]) -> anyhow::Result<()> {
        let (mut unread, mut unlisted) = (Vec::new(), Vec::new());
        for holder in holders {
            let tenant_id = holder.id.tenant_id().unwrap_or_default();
            if !self.ids.is_listed(tenant_id) {
                unlisted.push(holder);
            } else if !self.ids.recognises(tenant_id, &holder.id.uid, holder.id_record.as_deref()) {
                unread.push(tenant_id);
            }
        }
        self.read(unread).await?;
        let missing = self.record(unlisted).await?;
        if !missing.is_empty() {
            lost(self.ids, &missing, &Trouble::Lost(named(&missing)));
        }
        Ok(())
    }

    /// Reads the records of Tenants whose status does not say what is in them: a SharedStack that is deleted must know who
    /// borrows from it.
    async fn read(&self, unread: Vec<&str>) -> anyhow::Result<()> {
        let read: Vec<_> = unread.into_iter().map(|tenant_id| self.ids.read(tenant_id).boxed()).collect();
        for read in stream::iter(read).buffer_unordered(CONCURRENCY).collect::<Vec<_>>().await {
            match read {
                // A Tenant that asks for that id is told. All others go on.
                Err(trouble @ (Trouble::Unreadable { .. } | Trouble::Lost(_))) => {
                    tracing::error!("{trouble}");
                }
                read => drop(answered(read)?),
            }
        }
        Ok(())
    }

    /// Records the ids that have no record. Answers which had one before.
    async fn record(&self, unlisted: Vec<&Holder>) -> anyhow::Result<Vec<Holder>> {
        let (mut missing, mut namespaces): (_, Option<HashMap<String, String>>) = (Vec::new(), None);
        for holder in unlisted {
            if self.ids.is_listed(holder.id.tenant_id().unwrap_or_default()) {
                // An older Tenant with the same id was here before.
                continue;
            }
            if holder.id_record.is_some() && !self.settings.rebuild_records {
                missing.push(holder.clone());
                continue;
            }
            if self.settings.read_only {
                continue;
            }
            let uids = match &mut namespaces {
                Some(uids) => uids,
                none => none.insert(namespace_uids(self.client).await?),
            };
            let Owner::Tenant { namespace, .. } = &holder.id.owner else { continue };
            let uid = uids.get(namespace).cloned();
            let record = Record::of(&holder.id, self.cluster, uid, State::Held, Timestamp::now());
            if let Some(record) = record {
                answered(self.ids.record(record.in_store(holder.store)).await)?;
            }
        }
        Ok(missing)
    }
}

/// What is missing, in words.
fn named(missing: &[Holder]) -> String {
    let names: Vec<_> = missing.iter().filter_map(|holder| holder.id.tenant_id()).take(LISTED).collect();
    match missing.len() {
        1 => format!("The record of tenantId '{}'", names[0]),
        count => format!("A set of {count} records, among them those of tenantIds {},", names.join(", ")),
    }
}
