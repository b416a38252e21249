//! A pass over a SharedStack: the same engine, with a pool's documents as its last step, and borrowers to wait for on
//! the way back.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures::FutureExt;
use kube::api::{DynamicObject, ListParams};
use kube::core::ApiResource;
use kube::runtime::controller::Action;
use kube::runtime::events::EventType;
use kube::{Api, CustomResourceExt, Resource, ResourceExt};

use super::context::Context;
use super::engine::case::Case;
use super::engine::{self, Passed};
use super::memory::Memory;
use super::tenant::request;
use super::{Error, Guarded, conditions_writer, existing_key, finalizer, ingestion, offer_status, teardown};
use crate::api::{
    APPROVE, Column, ConditionType, DeletionPolicy, EncryptionSettings, Layer, PAUSED, Pattern, Reason,
    Shared, SharedStack, Sidecars, Status, Tenant,
};
use crate::clock;
use crate::documents::marker::{self, Left, Marker};
use crate::documents::schedule::Ask;
use crate::documents::sidecar::Rules;
use crate::documents::source::Source;
use crate::layers;
use crate::stack::identity::Identity;
use crate::stack::model::blocked::Blocked;
use crate::stack::model::desired::Blueprint;
use crate::stack::model::observed::Seen;
use crate::stack::model::outcome::{Documents, Standing, Verdict};
use crate::stack::model::progress::{Cadence, Progress, STALLED};
use crate::stack::model::teardown_order::Fate;
use crate::stack::{accept, approval};

/// How many names a message lists before it counts.
const LISTED: usize = 10;

/// What metrics call this controller.
pub const NAME: &str = "sharedstack";

/// One pass.
pub async fn reconcile(stack: Arc<Guarded<SharedStack>>, cx: Arc<Context>) -> Result<Action, Error> {
    cx.caches().await;
    let pass = async {
        match &stack.0 {
            _ if stack.meta().deletion_timestamp.is_some() => leave(&cx, &stack).await,
            Ok(stack) => live(&cx, stack).await,
            Err(invalid) => {
                tracing::error!(error = invalid.error, "this SharedStack cannot be read; fix its spec");
                Ok(Action::await_change())
            }
        }
    };
    crate::reconcile::in_time(pass.boxed()).await
}

async fn live(cx: &Context, seen: &SharedStack) -> Result<Action, Error> {
    let api: Api<SharedStack> = Api::all(cx.client.clone());
    let mut stack = seen.clone();
    let before = stack.status.clone().unwrap_or_default();
    let generation = stack.metadata.generation.unwrap_or(0);
    if let Some(holder) = finalizer::held_by_another(&stack, &cx.hold()) {
        conditions_writer::held_by_another(cx, &conditions_writer::subject(&stack), &holder).await;
        return Ok(Action::await_change());
    }
    if stack.annotations().get(PAUSED).is_some_and(|value| value == "true") {
        return teardown::paused(cx, &api, &conditions_writer::subject(&stack), stack.meta(), &before).await;
    }
    let shared = match accept::shared_stack(&stack.spec) {
        Ok(shared) => shared,
        Err(refused) => return refuse(cx, &api, &stack, &before, refused).await,
    };
    if let Some(refused) = room(cx, &stack, &shared, &before).await? {
        return refuse(cx, &api, &stack, &before, refused).await;
    }
    if !finalizer::is_held(&stack, &cx.hold()) && !cx.settings.read_only {
        stack = finalizer::take(&api, &stack, &cx.hold()).await?;
    }
    let name = stack.name_any();
    let uid = stack.uid().unwrap_or_default();
    let approved = stack.annotations().get(APPROVE).map(String::as_str);
    let id = Identity::of_stack(cx.scope.clone(), &name, &uid).adopting(approved);
    let mut memory = cx.memories.get(&uid);
    let case = Case {
        id: &id,
        column: shared.column(),
        offer: None,
        status: &before,
        creates_key: matches!(shared.encryption, EncryptionSettings::Create),
        approved,
        blueprint: Blueprint::Stack(&shared),
    };
    let Passed { mut layers, blocked, look_again: mut again, fault, passing, adopts, given_up } =
        engine::forward(cx, &case, &mut memory, generation).await;
    if adopts {
        conditions_writer::adopted(cx, &conditions_writer::subject(&stack)).await;
    }
    let mut status = before.clone();
    status.region = Some(cx.scope.region.clone());
    status.prefix = shared.pool.as_ref().map(|_| id.prefix());
    offer_status::give_up(&mut status, &given_up);
    offer_status::owned(&mut status, &case.want(&memory.sight), &memory.sight, &layers);
    let mut error = fault;
    if matches!(layers.bucket, Some(Standing::Whole)) && cx.retained.get(&name).is_none() {
        match marker::retained(&cx.aws, &id.name(Layer::Bucket)).await {
            Ok(retained) => {
                cx.retained.lock().insert(name.clone(), retained);
                cx.wake_borrowers(&name);
            }
            Err(unread) => match Standing::from(&unread) {
                stalled @ Standing::Stalled(..) => {
                    layers.bucket = Some(stalled);
                    again = clock::earliest(again, Some(STALLED));
                }
                _ => error = Some(unread),
            },
        }
    }
    let whole = blocked.is_none() && layers.iter().all(|(_, l)| matches!(l, None | Some(Standing::Whole)));
    let step = pool_documents(cx, &stack, &shared, &before, &status, whole, &mut memory).await;
    let mut refilling = None;
    let documents = step.map(|step| {
        refilling = ingestion::refilling(&before, &mut status, &step);
        if refilling.is_none() {
            status.ingestion = step.ingestion.or(status.ingestion.take());
        }
        again = clock::earliest(again, step.look_again);
        error = error.take().or(step.fault);
        step.documents
    });
    let verdict = Verdict { blocked, layers, documents, passing, refilling, ..Verdict::default() };
    conditions_writer::judge(&mut status, &verdict, generation);
    conditions_writer::write(cx, &api, &conditions_writer::subject(&stack), &before, &status, false).await?;
    memory.failures = if error.is_some() { memory.failures } else { 0 };
    cx.memories.put(&uid, memory);
    let resync = cx.resync(&uid);
    match error {
        Some(fault) => Err(fault.into()),
        None => Ok(Action::requeue(cx.clock.outside(again.map_or(resync, |again| again.min(resync))))),
    }
}

/// A SharedStack that may not be acted upon.
async fn refuse(
    cx: &Context,
    api: &Api<SharedStack>,
    stack: &SharedStack,
    before: &Status,
    refused: Blocked,
) -> Result<Action, Error> {
    let mut after = before.clone();
    let has_pool = stack.spec.pool.is_some();
    let column = if has_pool { Column::SharedStackWithPool } else { Column::SharedStack };
    let layers = crate::reconcile::untouched(column);
    let documents = Documents::last(&before.conditions);
    let verdict = Verdict { refused: Some(refused), layers, documents, ..Verdict::default() };
    conditions_writer::judge(&mut after, &verdict, stack.metadata.generation.unwrap_or(0));
    conditions_writer::write(cx, api, &conditions_writer::subject(stack), before, &after, false).await?;
    Ok(Action::requeue(cx.clock.outside(STALLED)))
}

/// What only AWS can say before anything is built; not asked again of a SharedStack that was accepted.
async fn room(
    cx: &Context,
    stack: &SharedStack,
    shared: &Shared,
    before: &Status,
) -> Result<Option<Blocked>, Error> {
    let id = Identity::of_stack(cx.scope.clone(), &stack.name_any(), &stack.uid().unwrap_or_default());
    let accepted = finalizer::is_held(stack, &cx.hold()) && before.is_true(ConditionType::Accepted);
    // A pool may be added later, and its knowledge base needs room then.
    let has_pool = before.condition(ConditionType::KnowledgeBaseReady).is_some();
    if accepted && shared.pool.is_some() && has_pool {
        cx.reservations.promise(&id);
    }
    if accepted && (has_pool || shared.pool.is_none()) {
        return Ok(None);
    }
    if let Some(key) = Blueprint::Stack(shared).existing_key()
        && let Err(refused) = existing_key::may_be_used(&cx.aws.keys, &cx.scope, key, None).await?
    {
        return Ok(Some(refused));
    }
    match shared.pool {
        Some(_) => Ok(cx.reserve(&id).await?.err()),
        None => Ok(None),
    }
}

/// The pool's documents: requests of its own and of its tenants, and tenants that leave.
async fn pool_documents(
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
    let mut asks: Vec<Ask> = request(stack).map(Ask::Request).into_iter().collect();
    let tenants = tenants_of(cx, &name);
    asks.extend(tenants.iter().filter_map(request).map(Ask::Request));
    // One job for all whose documents moved before it.
    asks.extend(tenants.iter().filter_map(moved).max().map(Ask::Moved));
    let approved = stack.annotations().get(APPROVE).map(String::as_str);
    let source = ingestion::source(status, &id, approved, pool.ingestion.as_ref()).filter(|_| whole);
    let source = source.map(|source| Source {
        rules: Some(Rules {
            tenant_id_key: pool.tenant_id_key.clone(),
            attributes: pool.index.attributes.clone(),
        }),
        merges: pool.sidecars == Sidecars::Merge,
        leaving: leaving_of(cx, &name),
        ..source
    });
    let mut step = ingestion::last_step(cx, source.as_ref(), &asks, before, &mut memory.documents).await;
    if let Some(findings) = &step.findings {
        conditions_writer::reviewed(cx, &conditions_writer::subject(stack), findings).await;
    }
    if let Some(failures) = step.failures.take() {
        ingestion::tell_tenants(cx, &name, failures);
    }
    Some(step)
}

/// The tenantIds of the Pool tenants that leave this stack, from the cache.
fn leaving_of(cx: &Context, stack: &str) -> BTreeSet<String> {
    let tenants = cx.tenants.state();
    let readable = tenants.iter().filter_map(|tenant| tenant.0.as_ref().ok());
    let leaving = readable
        .filter(|tenant| tenant.metadata.deletion_timestamp.is_some() && tenant.spec.borrows_from(stack));
    leaving.map(|tenant| tenant.spec.tenant_id.clone()).collect()
}

/// The Pool tenants that hold an id in this stack and ask for a job, from the cache.
fn tenants_of(cx: &Context, stack: &str) -> Vec<Tenant> {
    let tenants = cx.tenants.state();
    let readable = tenants.iter().filter_map(|tenant| tenant.0.as_ref().ok());
    let pool =
        readable.filter(|tenant| tenant.spec.pattern == Pattern::Pool && tenant.spec.borrows_from(stack));
    let asks = |tenant: &Tenant| request(tenant).is_some() || moved(tenant).is_some();
    pool.filter(|tenant| finalizer::is_held(*tenant, &cx.hold()) && asks(tenant)).cloned().collect()
}

/// When the operator last moved or deleted this tenant's documents.
fn moved(tenant: &Tenant) -> Option<jiff::Timestamp> {
    tenant.status.as_ref()?.documents_moved_time.as_ref().map(|at| at.0)
}

/// One pass of a SharedStack that is being deleted.
async fn leave(cx: &Context, seen: &Guarded<SharedStack>) -> Result<Action, Error> {
    let api: Api<DynamicObject> = Api::all_with(cx.client.clone(), &ApiResource::erase::<SharedStack>(&()));
    let name = seen.name_any();
    let Some(live) = api.get_opt(&name).await?.filter(|live| live.uid() == seen.meta().uid) else {
        return Ok(Action::await_change());
    };
    if live.meta().deletion_timestamp.is_none() || !finalizer::is_held(&live, &cx.hold()) {
        return Ok(Action::await_change());
    }
    let policy: Option<DeletionPolicy> = teardown::field(&live, "/spec/deletionPolicy");
    let status: Status = teardown::field(&live, "/status").unwrap_or_default();
    let has_pool = live.data.pointer("/spec/pool").is_some();
    let creates_key = teardown::creates_key(&live);
    if live.annotations().get(PAUSED).is_some_and(|value| value == "true") {
        return teardown::paused(cx, &api, &teardown::reference(&live), live.meta(), &status).await;
    }
    let id = Identity::of_stack(cx.scope.clone(), &name, &live.uid().unwrap_or_default());
    let column = if has_pool { Column::SharedStackWithPool } else { Column::SharedStack };
    let case = Case {
        id: &id,
        column,
        offer: None,
        status: &status,
        creates_key,
        approved: live.annotations().get(APPROVE).map(String::as_str),
        blueprint: Blueprint::Nothing,
    };
    let fate = teardown::fate(cx, SharedStack::crd_name(), policy.as_ref()).await?;
    let progress = match borrowers(cx, &name).await? {
        Some(waiting) => {
            // Pool tenants that leave still need their job.
            if let Ok(stack) = &seen.0
                && let Ok(shared) = stack.spec.shared()
            {
                let mut memory = cx.memories.get(&id.uid);
                let step = pool_documents(cx, stack, &shared, &status, &status, true, &mut memory).await;
                cx.memories.put(&id.uid, memory);
                if let Some(fault) = step.and_then(|step| step.fault) {
                    return Err(fault.into());
                }
            }
            waiting
        }
        None => match &fate {
            _ if cx.settings.read_only => teardown::read_only(),
            Err(waiting) => waiting.clone(),
            Ok(Fate::Stays) => teardown::or_stalled(cx, &id.uid, retain(cx, &case, Fate::Stays).await)?,
            Ok(fate) => match teardown::grace(cx, &live) {
                Some(waiting) => waiting,
                None => teardown::or_stalled(cx, &id.uid, remove(cx, &case, *fate).await)?,
            },
        },
    };
    if !progress.is_done() {
        return teardown::report(cx, &api, &live, &status, status.clone(), &progress).await;
    }
    let (action, note) = match fate {
        Ok(Fate::Stays) | Err(_) => ("Retain", teardown::retained_note(cx, Fate::Stays, &id)),
        Ok(fate @ Fate::DocumentsStay) => ("RetainDocuments", teardown::retained_note(cx, fate, &id)),
        Ok(Fate::Goes) => ("Delete", teardown::deleted_note(cx, "SharedStack", &id.uid)),
    };
    cx.event(&teardown::reference(&live), EventType::Normal, action, "Delete", note).await;
    finalizer::release(&api, &live, &cx.hold()).await?;
    cx.forget(&id.uid);
    cx.retained.lock().remove(&name);
    cx.failures.lock().remove(&name);
    Ok(Action::await_change())
}

/// Who still borrows: a live LIST, because a cache may not have seen the newest hold. A Tenant without our hold borrows
/// nothing, and will see us leaving before it does.
async fn borrowers(cx: &Context, name: &str) -> Result<Option<Progress>, Error> {
    let api: Api<DynamicObject> = Api::all_with(cx.client.clone(), &ApiResource::erase::<Tenant>(&()));
    let tenants = match api.list(&ListParams::default()).await {
        Ok(tenants) => tenants.items,
        // A kind that is not defined any more has no objects.
        Err(kube::Error::Api(status)) if status.code == 404 => Vec::new(),
        Err(error) => return Err(error.into()),
    };
    let borrowing: Vec<_> = tenants
        .iter()
        .filter(|tenant| tenant.data.pointer("/spec/stackRef/name").and_then(|v| v.as_str()) == Some(name))
        .filter(|tenant| finalizer::is_held(*tenant, &cx.hold()))
        .map(|tenant| format!("{}/{}", tenant.namespace().unwrap_or_default(), tenant.name_any()))
        .collect();
    if borrowing.is_empty() {
        return Ok(None);
    }
    let count = borrowing.len();
    let listed = borrowing.iter().take(LISTED).cloned().collect::<Vec<_>>().join(", ");
    let more = if count > LISTED { format!(" and {} more", count - LISTED) } else { String::new() };
    Ok(Some(Progress::Waiting {
        reason: Reason::Borrowed,
        message: format!("{count} Tenants still borrow from it: {listed}{more}. Delete them first"),
        cadence: Cadence::Steady,
    }))
}

/// Leaves word of what stays, in its tags and in a marker, and lets go.
async fn retain(cx: &Context, case: &Case<'_>, fate: Fate) -> Result<Progress, Error> {
    let mut memory = cx.memories.get(&case.id.uid);
    engine::retain(cx, case, fate, &mut memory).await?;
    if let Seen::Ours(_) = memory.sight.bucket {
        let left = if fate == Fate::Stays { Left::Everything } else { Left::Documents };
        let marker = Marker::of(case.id, left, clock::stamp_after(None).0);
        marker::leave(&cx.aws, &case.id.name(Layer::Bucket), case.id, &marker).await?;
    }
    cx.memories.put(&case.id.uid, memory);
    Ok(Progress::Done)
}

/// Takes apart what does not stay, unless that would take along what tenants have retained in it and nobody has said yes.
async fn remove(cx: &Context, case: &Case<'_>, fate: Fate) -> Result<Progress, Error> {
    let id = case.id;
    if let Seen::Ours(_) = layers::bucket::look(&cx.aws, id, case.status.bucket.as_deref()).await? {
        let retained = marker::retained(&cx.aws, &id.name(Layer::Bucket)).await?;
        // Where the documents stay, who has retained nothing else loses nothing.
        let loses = |marker: &Marker| fate == Fate::Goes || marker.left == Left::Everything;
        let losing = retained.iter().filter(|(_, marker)| loses(marker));
        let tenants: Vec<_> = losing.map(|(tenant_id, _)| tenant_id.as_str()).collect();
        let code = approval::code(&id.uid, Reason::RetainedTenants, &tenants);
        if !tenants.is_empty() && case.approved != Some(code.as_str()) {
            let count = tenants.len();
            let listed = tenants[..count.min(LISTED)].join(", ");
            let more = if count > LISTED { format!(" and {} more", count - LISTED) } else { String::new() };
            return Ok(Progress::Waiting {
                reason: Reason::RetainedTenants,
                message: format!(
                    "{count} tenants have retained what would go with this SharedStack: {listed}{more}. Set \
                     deletionPolicy to Retain to keep it. {}, and it goes too",
                    approval::ask(&code)
                ),
                cadence: Cadence::Steady,
            });
        }
    }
    let mut memory = cx.memories.get(&id.uid);
    let progress = engine::back(cx, case, fate, &mut memory, async { Ok(Progress::Done) }.boxed()).await;
    cx.memories.put(&id.uid, memory);
    match (progress?, fate) {
        (Progress::Done, Fate::DocumentsStay) => retain(cx, case, fate).await,
        (progress, _) => Ok(progress),
    }
}
