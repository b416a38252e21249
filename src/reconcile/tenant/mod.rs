//! A pass over a Tenant: resolve → observe → plan → act → report.

pub mod pool;
pub mod teardown;

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use kube::runtime::controller::Action;
use kube::{Api, Resource, ResourceExt};

use super::context::{Context, asker, was_acted_upon};
use super::engine::case::Case;
use super::engine::{self, Passed};
use super::memory::Memory;
use super::{
    Error, Guarded, conditions_writer, existing_key, finalizer, ingestion, offer_status, registry,
    restore_documents,
};
use crate::api::{
    APPROVE, ConditionType, EncryptionSettings, Equals, Isolation, PAUSED, Reason, RetrievalFilter,
    SYNC_REQUESTED_AT, SharedStack, Status, Tenant,
};
use crate::clock;
use crate::documents::schedule::Ask;
use crate::stack::accept;
use crate::stack::hash::fingerprint;
use crate::stack::identity::{Claim, Identity};
use crate::stack::model::blocked::Blocked;
use crate::stack::model::desired::Blueprint;
use crate::stack::model::outcome::{Documents, Standing, Verdict};
use crate::stack::model::plan;
use crate::stack::model::progress::STALLED;
use crate::stack::offer::Offer;

/// What metrics call this controller.
pub const NAME: &str = "tenant";

/// One pass.
pub async fn reconcile(tenant: Arc<Guarded<Tenant>>, cx: Arc<Context>) -> Result<Action, Error> {
    cx.caches().await;
    let pass = async {
        if tenant.meta().deletion_timestamp.is_some() {
            return teardown::pass(&cx, tenant.meta()).await;
        }
        match &tenant.0 {
            Ok(tenant) => live(&cx, tenant).await,
            Err(invalid) => {
                tracing::error!(error = invalid.error, "this Tenant cannot be read; fix its spec");
                Ok(Action::await_change())
            }
        }
    };
    crate::reconcile::in_time(pass.boxed()).await
}

/// What `resolve` comes to.
enum Resolved {
    /// It may not be acted upon.
    Refused(Blocked),
    /// It waits for its SharedStack.
    Waits(Standing),
    /// On with it.
    Go { isolation: Box<Isolation>, offer: Option<Box<Offer>> },
}

async fn live(cx: &Context, seen: &Tenant) -> Result<Action, Error> {
    let api: Api<Tenant> = Api::namespaced(cx.client.clone(), &seen.namespace().unwrap_or_default());
    let mut tenant = seen.clone();
    let before = tenant.status.clone().unwrap_or_default();
    let generation = tenant.metadata.generation.unwrap_or(0);
    if let Some(holder) = finalizer::held_by_another(&tenant, &cx.hold()) {
        conditions_writer::held_by_another(cx, &conditions_writer::subject(&tenant), &holder).await;
        return Ok(Action::await_change());
    }
    if tenant.annotations().get(PAUSED).is_some_and(|value| value == "true") {
        step_back(cx, &tenant);
        return super::teardown::paused(
            cx,
            &api,
            &conditions_writer::subject(&tenant),
            tenant.meta(),
            &before,
        )
        .await;
    }
    let resolved = resolve(cx, &api, &mut tenant).await?;
    let waits_for_its_id =
        matches!(&resolved, Resolved::Refused(Blocked { reason: Reason::TenantIdTaken, .. }));
    if !matches!(resolved, Resolved::Go { .. }) && !waits_for_its_id {
        step_back(cx, &tenant);
    }
    let uid = tenant.uid().unwrap_or_default();
    let mut memory = cx.memories.get(&uid);
    let pass = match resolved {
        Resolved::Refused(refused) => {
            let layers = crate::reconcile::untouched(tenant.spec.pattern.into());
            let documents = Documents::last(&before.conditions);
            let verdict = Verdict { refused: Some(refused), layers, documents, ..Verdict::default() };
            Pass { verdict, status: before.clone(), look_again: Some(STALLED), error: None }
        }
        Resolved::Waits(standing) => {
            let layers = crate::reconcile::untouched(tenant.spec.pattern.into());
            let verdict = Verdict {
                borrowed: Some(standing),
                layers,
                undecided: !before.is_true(ConditionType::Accepted),
                documents: Documents::last(&before.conditions),
                ..Verdict::default()
            };
            Pass { verdict, status: before.clone(), look_again: None, error: None }
        }
        Resolved::Go { isolation, offer } => {
            go(cx, &tenant, &before, &isolation, offer.as_deref(), &mut memory).await?
        }
    };
    let Pass { mut verdict, mut status, look_again, error } = pass;
    let mirrored = {
        let (spec, ready) = (&tenant.spec, verdict.ready(&before.conditions));
        let stack = spec.stack_ref.as_ref().map(|stack| stack.name.as_str());
        let id = cx.tenant_identity(&tenant, &spec.tenant_id, spec.pattern, stack);
        registry::mirror(cx, &tenant, &id, &status, ready, &mut memory).await
    };
    verdict.registered = mirrored.standing;
    let look_again = clock::earliest(look_again, mirrored.look_again);
    let error = error.or(mirrored.fault.map(Error::from));
    conditions_writer::judge(&mut status, &verdict, generation);
    let quiet = matches!(tenant.spec.pattern, crate::api::Pattern::Pool);
    conditions_writer::write(cx, &api, &conditions_writer::subject(&tenant), &before, &status, quiet).await?;
    if let Some(error) = error {
        cx.memories.put(&uid, memory);
        return Err(error);
    }
    memory.failures = 0;
    cx.memories.put(&uid, memory);
    let again = look_again.map_or(cx.resync(&uid), |again| again.min(cx.resync(&uid)));
    Ok(Action::requeue(cx.clock.outside(again)))
}

/// Who cannot go on and has no hold gives back what it asked for, and whoever waits for the tenantId goes on.
fn step_back(cx: &Context, tenant: &Tenant) {
    if !finalizer::is_held(tenant, &cx.hold()) {
        let uid = tenant.uid().unwrap_or_default();
        cx.reservations.forget(&uid);
        cx.release_claim(&tenant.spec.tenant_id, &uid);
    }
}

/// What a pass has to report.
struct Pass {
    verdict: Verdict,
    status: Status,
    look_again: Option<Duration>,
    error: Option<Error>,
}

/// Everything that is decided without AWS: is it allowed, has it its tenantId, and who lends to it. Ends with the hold
/// on and the SharedStack looked at live: flag, then look, so that a SharedStack that is leaving either sees the hold
/// or is seen leaving.
async fn resolve(cx: &Context, api: &Api<Tenant>, tenant: &mut Tenant) -> Result<Resolved, Error> {
    let held = finalizer::is_held(tenant, &cx.hold());
    // Whoever makes an object can write our finalizer into it; a status only we write.
    let settled = held && was_acted_upon(tenant.status.as_ref());
    let isolation = match accept::tenant(tenant) {
        Ok(isolation) => isolation,
        Err(refused) => return Ok(Resolved::Refused(refused)),
    };
    let stack_name = isolation.stack().map(str::to_owned);
    let stack = stack_name.as_deref().and_then(|name| cx.stack(name));
    let stack = stack.as_ref().and_then(|stack| stack.0.as_ref().ok());
    if let (Some(name), None) = (&stack_name, stack) {
        let message = format!("There is no SharedStack '{name}'; create it, or name another in a new Tenant");
        return Ok(Resolved::Waits(Standing::Waiting(Reason::StackNotFound, message)));
    }
    if let (Some(name), Some(stack), false) = (&stack_name, stack, settled)
        && stack.metadata.deletion_timestamp.is_some()
    {
        return Ok(Resolved::Waits(stack_leaves(name)));
    }
    if !settled {
        let namespace = tenant.namespace().unwrap_or_default();
        if let Err(refused) = accept::namespace(
            &namespace,
            &cx.namespace_labels(&namespace),
            cx.settings.silo_namespaces.as_ref(),
            &isolation,
            stack,
        ) {
            return Ok(Resolved::Refused(refused));
        }
    }
    if let Some(Err(refused)) = stack.map(|stack| accept::stack_serves(&isolation, stack)) {
        return Ok(Resolved::Refused(refused));
    }
    if !cx.claims.ask(&tenant.spec.tenant_id, &asker(tenant)) {
        return Ok(Resolved::Refused(taken(&tenant.spec.tenant_id)));
    }
    let offer = match (&stack_name, stack) {
        (Some(name), Some(stack)) => match borrow(cx, tenant, name, stack, settled) {
            Ok(offer) => Some(offer),
            Err(resolved) => return Ok(resolved),
        },
        _ => None,
    };
    if let Some(refused) = room(cx, tenant, &isolation).await? {
        return Ok(Resolved::Refused(refused));
    }
    if !held && !cx.settings.read_only {
        *tenant = finalizer::take(api, tenant, &cx.hold()).await?;
    }
    let accepted =
        held && tenant.status.as_ref().is_some_and(|status| status.is_true(ConditionType::Accepted));
    if let (Some(name), false) = (&stack_name, accepted)
        && let Some(waits) = look_live(cx, name).await?
    {
        if !held {
            // Nothing was built under it yet, and the SharedStack waits for it to go.
            if let Some(released) = finalizer::release(api, tenant, &cx.hold()).await? {
                *tenant = released;
            }
        }
        return Ok(Resolved::Waits(waits));
    }
    Ok(Resolved::Go { isolation: Box::new(isolation), offer: offer.map(Box::new) })
}

/// What only AWS can say before anything is built: may the key be used, is there room for a knowledge base. Not asked
/// again of a Tenant that was accepted.
async fn room(cx: &Context, tenant: &Tenant, isolation: &Isolation) -> Result<Option<Blocked>, Error> {
    if matches!(isolation, Isolation::Pool(_)) {
        return Ok(None);
    }
    let spec = &tenant.spec;
    let id = cx.tenant_identity(tenant, &spec.tenant_id, spec.pattern, isolation.stack());
    let status = tenant.status.as_ref();
    if finalizer::is_held(tenant, &cx.hold())
        && status.is_some_and(|status| status.is_true(ConditionType::Accepted))
    {
        cx.reservations.promise(&id);
        return Ok(None);
    }
    let blueprint = Blueprint::Tenant { isolation, tags: &spec.tags };
    if let Some(key) = blueprint.existing_key()
        && let Err(refused) =
            existing_key::may_be_used(&cx.aws.keys, &cx.scope, key, tenant.namespace().as_deref()).await?
    {
        return Ok(Some(refused));
    }
    Ok(cx.reserve(&id).await?.err())
}

fn taken(tenant_id: &str) -> Blocked {
    Blocked {
        reason: Reason::TenantIdTaken,
        message: format!(
            "tenantId '{tenant_id}' is held by another Tenant. This one goes on by itself when the other is deleted; or \
             choose another tenantId in a new Tenant"
        ),
    }
}

/// What the SharedStack lends, or why it does not.
fn borrow(
    cx: &Context,
    tenant: &Tenant,
    name: &str,
    stack: &SharedStack,
    settled: bool,
) -> Result<Offer, Resolved> {
    let waits = |reason, message: String| Resolved::Waits(Standing::Waiting(reason, message));
    let id = Identity::of_stack(cx.scope.clone(), name, "");
    let needs_pool = matches!(tenant.spec.pattern, crate::api::Pattern::Pool);
    let offer = offer_status::offer_of(&id, stack).filter(|offer| offer.pool.is_some() || !needs_pool);
    let Some(offer) = offer else {
        let message =
            format!("SharedStack '{name}' is not ready to lend yet; this Tenant goes on when it is");
        return Err(waits(Reason::StackNotReady, message));
    };
    if settled {
        // What is retained under its id is nobody else's; a restart must not put it off until the markers are read.
        return Ok(offer);
    }
    let tenant_id = &tenant.spec.tenant_id;
    let approved = tenant.annotations().get(APPROVE).map(String::as_str);
    let whose = cx.tenant_identity(tenant, tenant_id, tenant.spec.pattern, Some(name)).adopting(approved);
    match cx.retained.get(name) {
        None => {
            let message = format!("SharedStack '{name}' is still being read; this Tenant goes on when it is");
            Err(waits(Reason::StackNotReady, message))
        }
        Some(retained) => {
            let Some(claim) = retained.get(tenant_id).map(|marker| marker.claim(&whose)) else {
                return Ok(offer);
            };
            let message = match &claim {
                claim if whose.owns(claim) => return Ok(offer),
                Claim::Neighbour { owner, uid } => {
                    plan::retained_by_neighbour(&whose, tenant_id, owner, uid, "its documents")
                }
                _ => format!(
                    "tenantId '{tenant_id}' is retained in SharedStack '{name}': an earlier Tenant with this id was deleted \
                     and its documents are still there. Choose another tenantId"
                ),
            };
            Err(Resolved::Refused(Blocked { reason: Reason::TenantIdRetained, message }))
        }
    }
}

/// The SharedStack as the API server has it now: there, and not leaving.
async fn look_live(cx: &Context, name: &str) -> Result<Option<Standing>, Error> {
    let stack = Api::<SharedStack>::all(cx.client.clone()).get_metadata_opt(name).await?;
    Ok(match stack {
        None => Some(Standing::Waiting(Reason::StackNotFound, format!("There is no SharedStack '{name}'"))),
        Some(stack) if stack.metadata.deletion_timestamp.is_some() => Some(stack_leaves(name)),
        Some(_) => None,
    })
}

fn stack_leaves(name: &str) -> Standing {
    let message = format!("SharedStack '{name}' is being deleted; name another in a new Tenant");
    Standing::Waiting(Reason::StackLeaving, message)
}

async fn go(
    cx: &Context,
    tenant: &Tenant,
    before: &Status,
    isolation: &Isolation,
    offer: Option<&Offer>,
    memory: &mut Memory,
) -> Result<Pass, Error> {
    let spec = &tenant.spec;
    let approved = tenant.annotations().get(APPROVE).map(String::as_str);
    let id = cx.tenant_identity(tenant, &spec.tenant_id, spec.pattern, isolation.stack()).adopting(approved);
    let mut status = before.clone();
    if let Some(offer) = offer
        && let Some(standing) = restore_documents::documents(cx, tenant, &id, offer, &mut status).await?
    {
        let verdict = Verdict {
            borrowed: Some(standing),
            layers: crate::reconcile::untouched(spec.pattern.into()),
            documents: Documents::last(&before.conditions),
            ..Verdict::default()
        };
        return Ok(Pass { verdict, status, look_again: Some(Duration::from_secs(1)), error: None });
    }
    status.region = Some(cx.scope.region.clone());
    status.prefix = Some(id.prefix());
    if let Some(offer) = offer {
        offer_status::borrowed(&mut status, offer);
    }
    if let Isolation::Pool(_) = isolation {
        pool(cx, tenant, &mut status, offer, memory);
        let documents =
            offer.and_then(|offer| ingestion::of_pool_tenant(cx, &offer.stack, &spec.tenant_id, before));
        let verdict = Verdict { borrowed: Some(Standing::Whole), documents, ..Verdict::default() };
        return Ok(Pass { verdict, status, look_again: None, error: None });
    }
    let case = Case {
        id: &id,
        column: spec.pattern.into(),
        offer,
        status: before,
        creates_key: matches!(isolation, Isolation::Silo(silo) if matches!(silo.encryption, EncryptionSettings::Create)),
        approved,
        blueprint: Blueprint::Tenant { isolation, tags: &spec.tags },
    };
    let generation = tenant.metadata.generation.unwrap_or(0);
    let Passed { layers, blocked, look_again, fault, passing, adopts, given_up } =
        engine::forward(cx, &case, memory, generation).await;
    if adopts {
        conditions_writer::adopted(cx, &conditions_writer::subject(tenant)).await;
    }
    offer_status::give_up(&mut status, &given_up);
    offer_status::owned(&mut status, &case.want(&memory.sight), &memory.sight, &layers);
    let asks: Vec<_> = request(tenant).map(Ask::Request).into_iter().collect();
    let ingestion = match isolation {
        Isolation::Silo(silo) => silo.ingestion.clone(),
        Isolation::Bridge(bridge) => bridge.ingestion.clone(),
        Isolation::Pool(_) => None,
    };
    let whole = blocked.is_none() && layers.iter().all(|(_, l)| matches!(l, None | Some(Standing::Whole)));
    let source = whole.then(|| ingestion::source(&status, &id, approved, ingestion.as_ref())).flatten();
    let step = ingestion::last_step(cx, source.as_ref(), &asks, before, &mut memory.documents).await;
    let refilling = ingestion::refilling(before, &mut status, &step);
    if refilling.is_none() {
        status.ingestion = step.ingestion.or(status.ingestion);
    }
    let verdict = Verdict {
        blocked,
        layers,
        borrowed: offer.map(|_| Standing::Whole),
        documents: Some(step.documents),
        passing,
        refilling,
        ..Verdict::default()
    };
    let error = fault.or(step.fault).map(Error::from);
    Ok(Pass { verdict, status, look_again: clock::earliest(look_again, step.look_again), error })
}

/// A Pool tenant owns nothing: all it needs is in the offer. A new request wakes its SharedStack, which runs the job.
fn pool(cx: &Context, tenant: &Tenant, status: &mut Status, offer: Option<&Offer>, memory: &mut Memory) {
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
