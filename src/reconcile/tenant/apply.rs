//! What a Tenant does beside its layers: it takes its tenantId, takes up what was left under it, and looks after its
//! documents.

use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::api::{Equals, Pattern, RetrievalFilter, SYNC_REQUESTED_AT, Status, Tenant};
use crate::documents::schedule::Ask;
use crate::documents::source::Source;
use crate::documents::tally::Bound;
use crate::reconcile::classes::Class;
use crate::reconcile::context::Context;
use crate::reconcile::ids::Ids;
use crate::reconcile::ingestion::LastStep;
use crate::reconcile::managed::Pass;
use crate::reconcile::memory::Memory;
use crate::reconcile::resolved::{Grant, Resolved, Stands};
use crate::reconcile::stop::PassStop;
use crate::reconcile::{ingestion, offer_status, restore_documents};
use crate::records::Trouble;
use crate::stack::hash::fingerprint;
use crate::stack::model::outcome::LayerStatus;
use crate::stack::offer::Offer;
use crate::stack::record::Claimant;

/// Takes the tenantId and what was left under it, and notes what is borrowed.
pub(super) async fn begin(
    cx: &Context,
    tenant: &Tenant,
    resolved: &Resolved,
    pass: &mut Pass<'_>,
    memory: &mut Memory,
) -> Result<(), PassStop> {
    let (id, tenant_id) = (&resolved.id, &tenant.spec.tenant_id);
    let inherits = match &resolved.grant {
        Some(_) if cx.settings.read_only => false,
        Some(grant) => {
            take_id(&cx.ids, resolved, grant).await?;
            grant.inherits
        }
        // Whether it has taken up everything is known once its status says that it has the id.
        None => {
            let word = cx.ids.word(tenant_id, &id.uid);
            word.is_some() && pass.before.id_record != word
        }
    };
    if let Some(offer) = resolved.offer.as_ref().filter(|_| inherits) {
        restore_documents::documents(cx, tenant, id, offer, &mut pass.status, memory).await?;
    }
    if let Some(stands) = &resolved.stands {
        note_standing(cx, tenant, resolved, stands, pass);
    }
    let word = cx.ids.word(tenant_id, &id.uid).filter(|_| !cx.settings.read_only);
    pass.status.id_record = word.or(pass.status.id_record.take());
    if let Some(offer) = &resolved.offer {
        offer_status::borrowed(&mut pass.status, offer);
        pass.report.borrowed = Some(LayerStatus::Ready);
        if tenant.pattern() == Some(Pattern::Pool) {
            pool(cx, tenant, offer, &mut pass.status, memory);
            let failures = cx.failures.get(&offer.stack);
            let tallies = cx.tallies.get(&offer.stack);
            let tallies = tallies.as_deref();
            pass.status.documents =
                ingestion::count_of_pool_tenant(tallies, tenant_id, pass.before.documents);
            pass.report.documents =
                ingestion::of_pool_tenant(failures.as_deref(), tallies, tenant_id, &pass.status);
        }
    }
    Ok(())
}

/// Notes where the Tenant stands from now on, and under which class. Who only would be let in is let in nowhere.
fn note_standing(cx: &Context, tenant: &Tenant, resolved: &Resolved, stands: &Stands, pass: &mut Pass<'_>) {
    let Stands { placement, class, refused } = stands;
    pass.report.change.clone_from(refused);
    if cx.settings.read_only && resolved.grant.is_some() {
        return;
    }
    pass.status.placement = Some(placement.clone());
    pass.status.class = class.as_ref().map(|class| class.name.clone());
    pass.status.answers.clone_from(&tenant.spec.answers);
}

/// Writes the record that gives a Tenant its id.
async fn take_id(ids: &Ids, resolved: &Resolved, grant: &Grant) -> Result<(), PassStop> {
    let Grant { namespace_uid, named, over, .. } = grant;
    let approved = resolved.approved.as_deref();
    let store = resolved.store_kind();
    let claimant = Claimant { id: &resolved.id, store, namespace_uid, named: *named, approved };
    if ids.give(&claimant, over.as_deref()).await? {
        return Ok(());
    }
    // It is read again.
    Err(Trouble::Contended.into())
}

/// Looks after its own documents, once the knowledge base is whole.
pub(super) async fn documents(
    cx: &Context,
    tenant: &Tenant,
    resolved: &Resolved,
    pass: &Pass<'_>,
    memory: &mut Memory,
) -> LastStep {
    let asks: Vec<_> = request(&tenant.metadata).map(Ask::Request).into_iter().collect();
    let schedule = resolved.asks.ingestion().and_then(|it| cx.schedule(it, &resolved.id.uid));
    let approved = resolved.approved.as_deref();
    let source = ingestion::source(&pass.status, &resolved.id, approved, schedule);
    let class = resolved.stands.as_ref().and_then(|stands| stands.class.as_ref());
    let limits = class.map(Class::limits).unwrap_or_default();
    let minutes = limits.minutes_between_jobs.and_then(|it| u64::try_from(it).ok()).unwrap_or(0);
    let source = source.filter(|_| pass.is_whole()).map(|source| Source {
        bound: class.and_then(|class| Bound::of(&class.name, &limits)),
        between: Duration::from_secs(minutes * 60),
        ..source
    });
    ingestion::last_step(cx, source.as_ref(), &asks, pass.before, memory).await
}

/// A Pool tenant owns nothing: all it needs is in the offer. A new request wakes its SharedStack, which runs the job.
fn pool(cx: &Context, tenant: &Tenant, offer: &Offer, status: &mut Status, memory: &mut Memory) {
    let Some(pool) = &offer.pool else { return };
    status.knowledge_base_id = Some(pool.knowledge_base_id.clone());
    status.knowledge_base_arn = Some(pool.knowledge_base_arn.clone());
    status.data_source_id = Some(pool.data_source_id.clone());
    status.index_name = Some(pool.index_name.clone());
    status.role_arn = Some(pool.role_arn.clone());
    status.retrieval_filter = Some(RetrievalFilter {
        equals: Equals { key: pool.tenant_id_key.clone(), value: tenant.spec.tenant_id.clone() },
    });
    let request = request(&tenant.metadata);
    let stack = cx.stack(&offer.stack);
    let pools = stack.as_ref().and_then(|it| it.0.as_ref().ok()?.status.as_ref()?.ingestion.as_ref());
    status.ingestion = ingestion::of_the_pool(cx.clock, status.ingestion.as_ref(), pools, request.is_some());
    if request.is_some() && request != memory.request {
        cx.wake_stack(&offer.stack);
    }
    memory.request = request;
}

/// The fingerprint of an object's request for a job.
pub fn request(meta: &ObjectMeta) -> Option<String> {
    let value = meta.annotations.as_ref()?.get(SYNC_REQUESTED_AT)?;
    Some(fingerprint(&format!("{} {value}", meta.uid.as_deref().unwrap_or_default())))
}
