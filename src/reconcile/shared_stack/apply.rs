//! A pool's documents: the last step of its SharedStack's pass.

use std::collections::BTreeSet;
use std::sync::Arc;

use kube::ResourceExt;
use kube::runtime::events::EventType;

use crate::api::{Reason, Shared, SharedStack, Sidecars, Status, annotations};
use crate::documents::findings::{Findings, Losses};
use crate::documents::quarantine::{NO_ROOM, QUARANTINE};
use crate::documents::schedule::Ask;
use crate::documents::sidecar::{self, Pool, Rules};
use crate::documents::source::Source;
use crate::reconcile::context::Context;
use crate::reconcile::memory::Memory;
use crate::reconcile::tenant::request;
use crate::reconcile::tenants::Kept;
use crate::reconcile::{conditions_writer, ingestion};
use crate::stack::identity::Identity;
use crate::stack::model::outcome::Documents;

/// The pool's documents: requests of its own and of its tenants, and tenants that leave.
pub(super) async fn pool_documents(
    cx: &Context,
    stack: &SharedStack,
    shared: &Shared,
    before: &Status,
    status: &Status,
    whole: bool,
    memory: &mut Memory,
) -> Option<ingestion::LastStep> {
    let pool = shared.pool.as_ref()?;
    let (name, uid) = (stack.name_any(), stack.uid().unwrap_or_default());
    let id = Identity::of_stack(cx.scope.clone(), &name, &uid);
    let mut asks: Vec<Ask> = request(&stack.metadata).map(Ask::Request).into_iter().collect();
    // Before the tenants: whoever has a record now is among them, or has no Tenant.
    let recorded = cx.ids.recorded();
    let tenants = pool_tenants(cx, &name);
    asks.extend(tenants.iter().filter_map(|tenant| request(tenant.meta())).map(Ask::Request));
    // One job for all whose documents moved before it.
    asks.extend(tenants.iter().filter_map(|tenant| tenant.moved()).max().map(Ask::Moved));
    let approved = annotations::approved(&stack.metadata);
    let rules = Rules {
        tenant_id_key: pool.tenant_id_key.clone(),
        attributes: pool.index.attributes.clone(),
        max_bytes: sidecar::max_bytes(shared.vector_store.kind()),
    };
    // What stays of a tenant that has been taken away is found by nobody any more.
    let taken_away = taken_away(&tenants);
    let is_somebodys = |tenant_id: &str| cx.ids.has_record(tenant_id) && !taken_away.contains(tenant_id);
    let bounds = cx.document_bounds(recorded, &tenants);
    let source =
        ingestion::source(status, &id, approved, cx.schedule(&pool.ingestion, &uid)).filter(|_| whole);
    let source = source.map(|source| Source {
        pool: Some(Pool { rules: &rules, is_somebodys: &is_somebodys, bounds: &bounds }),
        merges: pool.sidecars == Sidecars::Merge,
        some_were_told: some_were_told(cx, &name),
        leaving: leaving(&tenants),
        limit: cx.settings.job_size,
        ..source
    });
    let mut step = ingestion::last_step(cx, source.as_ref(), &asks, before, memory).await;
    if let Some(findings) = &step.synced.findings {
        conditions_writer::reviewed(cx, &conditions_writer::subject(stack), findings).await;
        tell_each(cx, &name, findings).await;
    }
    if let Some(tallies) = step.synced.tallies.take() {
        ingestion::tell_counts(cx, &name, tallies);
    }
    if let Some(failures) = step.synced.failures.take() {
        ingestion::tell_tenants(cx, &name, failures);
    }
    Some(step)
}

/// The reason of the event that tells a tenant of metadata that are not kept.
const METADATA_LOST: &str = "MetadataLost";

/// One tenant's large deletion holds nobody, and may yet be a mistake; nor do documents for which a job has no room. It is
/// told.
async fn tell_each(cx: &Context, stack: &str, findings: &Findings) {
    let losses = findings.large_losses().map(|(tenant_id, Losses { known, gone })| {
        let note = format!(
            "{gone} of {known} documents are gone since the last job, and the next forgets them. If that was a mistake, put \
             them back; older versions are in the bucket"
        );
        (tenant_id, Reason::LargeDeletion.as_str(), note)
    });
    let set_aside = findings.set_aside.iter().map(|(tenant_id, names)| {
        let note = format!(
            "{} of the newest documents were {NO_ROOM}. They are under {QUARANTINE}: {names}",
            names.count
        );
        (tenant_id.as_str(), "DocumentsQuarantined", note)
    });
    let lost = findings.lost.iter().map(|(tenant_id, names)| {
        let note = format!(
            "{} metadata files contained more than the pool keeps, and were replaced; the originals are under {QUARANTINE}. The pool keeps what it declares (index.attributes), of its type, in JSON that has each key once: text of 1 to 2,048 characters, lists of 1 \
             to 10 of them, of a file of records the declared columns. Beside: {names}",
            names.count
        );
        (tenant_id.as_str(), METADATA_LOST, note)
    });
    let notes: Vec<_> = losses.chain(set_aside).chain(lost).collect();
    let tenants = if notes.is_empty() { Vec::new() } else { pool_tenants(cx, stack) };
    for (tenant_id, reason, note) in notes {
        if let Some(tenant) = tenants.iter().find(|tenant| tenant.tenant_id() == Some(tenant_id))
            && let Ok(tenant) = &tenant.whole().0
        {
            let subject = conditions_writer::subject(tenant);
            cx.event(&subject, EventType::Warning, reason, "Sync", note).await;
        }
    }
}

/// The Pool tenants that have their tenantId in this stack, from the cache. Anybody can write an object that names the
/// stack, another's tenantId and our finalizer; the records know whose it is.
fn pool_tenants(cx: &Context, stack: &str) -> Vec<Arc<Kept>> {
    let mut tenants = cx.tenants.of_pool(stack);
    tenants.retain(|tenant| {
        let uid = tenant.meta().uid.as_deref().unwrap_or_default();
        cx.ids.is_holder(tenant.tenant_id().unwrap_or_default(), uid)
    });
    tenants
}

/// Whether the status of one of its tenants speaks of documents that are not indexed.
fn some_were_told(cx: &Context, stack: &str) -> bool {
    let told = |tenant: &Kept| {
        let status = tenant.common().and_then(|(_, status)| status);
        status.is_some_and(|status| Documents::were_in_trouble(&status.conditions))
    };
    !cx.failures.lock().contains_key(stack) && cx.tenants.of_pool(stack).iter().any(|tenant| told(tenant))
}

/// The tenantIds of those that leave.
fn leaving(tenants: &[Arc<Kept>]) -> BTreeSet<String> {
    let leaving = tenants.iter().filter(|tenant| tenant.meta().deletion_timestamp.is_some());
    leaving.filter_map(|tenant| tenant.tenant_id().map(str::to_owned)).collect()
}

/// The tenantIds of those that leave, and whose documents are deleted or moved.
fn taken_away(tenants: &[Arc<Kept>]) -> BTreeSet<String> {
    let is_taken = |tenant: &&Arc<Kept>| {
        let deleted = tenant.meta().deletion_timestamp.as_ref();
        deleted.is_some_and(|deleted| tenant.moved().is_some_and(|moved| moved >= deleted.0))
    };
    let taken = tenants.iter().filter(is_taken);
    taken.filter_map(|tenant| tenant.tenant_id().map(str::to_owned)).collect()
}
