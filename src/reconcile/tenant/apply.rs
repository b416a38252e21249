//! What a Tenant asks for is brought a step closer: its layers, and its documents as the last step.

use std::time::Duration;

use kube::ResourceExt;

use super::resolve::{Grant, Ready};
use crate::api::{
    EncryptionSettings, Equals, Isolation, Reason, RetrievalFilter, SYNC_REQUESTED_AT, Status, Tenant,
    annotations,
};
use crate::clock;
use crate::documents::schedule::Ask;
use crate::reconcile::context::Context;
use crate::reconcile::engine::case::Case;
use crate::reconcile::engine::{self, Passed};
use crate::reconcile::memory::Memory;
use crate::reconcile::{
    Error, conditions_writer, ids, ingestion, offer_status, restore_documents, untouched,
};
use crate::records::Trouble;
use crate::stack::hash::fingerprint;
use crate::stack::identity::Identity;
use crate::stack::model::blocked::Blocked;
use crate::stack::model::desired::Blueprint;
use crate::stack::model::outcome::{Documents, LayerStatus, Outcome};
use crate::stack::model::progress::STALLED;
use crate::stack::offer::Offer;
use crate::stack::record::Claimant;

/// What a pass has to report.
pub(super) struct Pass {
    pub(super) verdict: Outcome,
    pub(super) status: Status,
    pub(super) look_again: Option<Duration>,
    pub(super) error: Option<Error>,
}

pub(super) async fn go(
    cx: &Context,
    tenant: &Tenant,
    before: &Status,
    ready: &Ready,
    memory: &mut Memory,
) -> Result<Pass, Error> {
    let Ready { isolation, offer, grant, no_room } = ready;
    let (offer, spec) = (offer.as_ref(), &tenant.spec);
    let approved = annotations::approved(&tenant.metadata);
    let id = cx.tenant_identity(tenant, &spec.tenant_id, spec.pattern, isolation.stack()).adopting(approved);
    let generation = tenant.metadata.generation.unwrap_or(0);
    let creates_key =
        matches!(isolation, Isolation::Silo(silo) if matches!(silo.encryption, EncryptionSettings::Create));
    let case = Case {
        id: &id,
        column: spec.pattern.into(),
        offer,
        status: before,
        creates_key,
        approved,
        no_room: no_room.as_ref(),
        blueprint: Blueprint::Tenant { isolation, tags: &spec.tags },
    };
    let survey = match isolation {
        Isolation::Pool(_) => None,
        _ => match engine::survey(&cx.world(), &case, memory, generation).await {
            // Whoever is refused by what is there takes over nothing: neither the id, nor documents, nor a marker.
            Err(passed) if grant.is_some() => return Ok(not_begun(before, passed)),
            survey => Some(survey),
        },
    };
    let inherits = match grant {
        Some(_) if cx.settings.read_only => false,
        Some(grant) => {
            if let Some(pass) = take_id(cx, tenant, &id, grant, before).await {
                return Ok(pass);
            }
            grant.inherits
        }
        // Whether it has taken up everything is known once its status says that it has the id.
        None => {
            let word = cx.ids.word(&spec.tenant_id, &id.uid);
            word.is_some() && before.id_record != word
        }
    };
    let mut status = before.clone();
    if let Some(offer) = offer.filter(|_| inherits)
        && let Some(standing) =
            restore_documents::documents(cx, tenant, &id, offer, &mut status, memory).await?
    {
        let verdict = Outcome {
            borrowed: Some(standing),
            layers: untouched::of_tenant(tenant),
            documents: Documents::last(&before.conditions),
            ..Outcome::default()
        };
        return Ok(Pass { verdict, status, look_again: Some(Duration::from_secs(1)), error: None });
    }
    let word = cx.ids.word(&spec.tenant_id, &id.uid).filter(|_| !cx.settings.read_only);
    status.id_record = word.or(status.id_record);
    status.region = Some(cx.scope.region.clone());
    status.prefix = Some(id.prefix());
    if let Some(offer) = offer {
        offer_status::borrowed(&mut status, offer);
    }
    let Some(survey) = survey else {
        pool(cx, tenant, &mut status, offer, memory);
        let documents =
            offer.and_then(|offer| ingestion::of_pool_tenant(cx, &offer.stack, &spec.tenant_id, &status));
        let verdict = Outcome { borrowed: Some(LayerStatus::Ready), documents, ..Outcome::default() };
        return Ok(Pass { verdict, status, look_again: None, error: None });
    };
    let passed = match survey {
        Ok(survey) => engine::go_on(&cx.world(), &case, memory, survey).await,
        Err(passed) => passed,
    };
    let Passed { layers, blocked, look_again, fault, transient, adopts, drift, approved_loss } = passed;
    if adopts {
        conditions_writer::adopted(cx, &conditions_writer::subject(tenant)).await;
    }
    conditions_writer::drift_repaired(cx, &conditions_writer::subject(tenant), &drift).await;
    conditions_writer::tag_is_old(cx, &conditions_writer::subject(tenant), memory).await;
    offer_status::approve_loss(&mut status, &approved_loss);
    let want = case.want(&memory.observed);
    offer_status::owned(&mut status, &want, &memory.observed, &layers);
    let model = cx.models.word(cx.clock, &cx.scope, &cx.aws.models, &want, before).await;
    let asks: Vec<_> = request(tenant).map(Ask::Request).into_iter().collect();
    let schedule = match isolation {
        Isolation::Silo(silo) => cx.schedule(&silo.ingestion, &id.uid),
        Isolation::Bridge(bridge) => cx.schedule(&bridge.ingestion, &id.uid),
        Isolation::Pool(_) => None,
    };
    let whole = blocked.is_none() && layers.iter().all(|(_, l)| matches!(l, None | Some(LayerStatus::Ready)));
    let source = whole.then(|| ingestion::source(&status, &id, approved, schedule)).flatten();
    let step = ingestion::last_step(cx, source.as_ref(), &asks, before, memory).await;
    let reindexing = ingestion::reindexing(before, &mut status, &step);
    let verdict = Outcome {
        blocked,
        layers,
        borrowed: offer.map(|_| LayerStatus::Ready),
        documents: Some(step.documents),
        model,
        transient,
        reindexing,
        ..Outcome::default()
    };
    let error = fault.or(step.fault).map(Error::from);
    Ok(Pass { verdict, status, look_again: clock::earliest(look_again, step.look_again), error })
}

/// A Tenant that may have its id, and does not take it because of what it has seen.
fn not_begun(before: &Status, passed: Passed) -> Pass {
    let Passed { layers, blocked, look_again, fault, transient, .. } = passed;
    let verdict = Outcome {
        undecided: blocked.is_none(),
        refused: blocked,
        layers,
        transient,
        documents: Documents::last(&before.conditions),
        ..Outcome::default()
    };
    Pass { verdict, status: before.clone(), look_again, error: fault.map(Error::from) }
}

/// Writes the record that gives a Tenant its id; a pass if it cannot be written now.
async fn take_id(
    cx: &Context,
    tenant: &Tenant,
    id: &Identity,
    grant: &Grant,
    before: &Status,
) -> Option<Pass> {
    let Grant { namespace_uid, named, over, .. } = grant;
    let approved = annotations::approved(&tenant.metadata);
    let claimant = Claimant { id, namespace_uid, named: *named, approved };
    let trouble = match cx.ids.give(&claimant, over.as_deref()).await {
        Ok(true) => return None,
        // It is read again.
        Ok(false) => Trouble::Contended,
        Err(trouble) => trouble,
    };
    let withheld = Blocked { reason: trouble.reason(), message: trouble.to_string() };
    Some(withhold(tenant, before, withheld))
}

/// Nobody can say at the moment whether this Tenant may be acted upon.
pub(super) fn withhold(tenant: &Tenant, before: &Status, withheld: Blocked) -> Pass {
    let passes = withheld.reason == Reason::WaitingForRecords;
    let look_again = if passes { ids::LOOK_AGAIN } else { STALLED };
    let verdict = Outcome {
        withheld: Some(withheld),
        layers: untouched::of_tenant(tenant),
        documents: Documents::last(&before.conditions),
        ..Outcome::default()
    };
    Pass { verdict, status: before.clone(), look_again: Some(look_again), error: None }
}

/// A Pool tenant owns nothing: all it needs is in the offer. A new request wakes its SharedStack, which runs the job.
pub(super) fn pool(
    cx: &Context,
    tenant: &Tenant,
    status: &mut Status,
    offer: Option<&Offer>,
    memory: &mut Memory,
) {
    let Some((offer, pool)) = offer.and_then(|offer| Some((offer, offer.pool.as_ref()?))) else {
        return;
    };
    status.knowledge_base_id = Some(pool.knowledge_base_id.clone());
    status.knowledge_base_arn = Some(pool.knowledge_base_arn.clone());
    status.data_source_id = Some(pool.data_source_id.clone());
    status.index_name = Some(pool.index_name.clone());
    status.role_arn = Some(pool.role_arn.clone());
    status.retrieval_filter = Some(RetrievalFilter {
        equals: Equals { key: pool.tenant_id_key.clone(), value: tenant.spec.tenant_id.clone() },
    });
    let request = request(tenant);
    let stack = cx.stack(&offer.stack);
    let pools = stack.as_ref().and_then(|it| it.0.as_ref().ok()?.status.as_ref()?.ingestion.as_ref());
    status.ingestion = ingestion::of_the_pool(cx.clock, status.ingestion.as_ref(), pools, request.is_some());
    if request.is_some() && request != memory.request {
        cx.wake_stack(&offer.stack);
    }
    memory.request = request;
}

/// The fingerprint of a Tenant's request for a job.
pub fn request(tenant: &impl ResourceExt) -> Option<String> {
    let value = tenant.annotations().get(SYNC_REQUESTED_AT)?;
    Some(fingerprint(&format!("{} {value}", tenant.uid().unwrap_or_default())))
}
