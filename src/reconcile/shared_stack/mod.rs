//! A pass over a SharedStack: the same engine, with a pool's documents as its last step, and borrowers to wait for on
//! the way back.

mod apply;
mod borrowers;
mod losses;
mod resolve;
mod retained;
mod teardown;

use std::sync::Arc;

use futures::FutureExt;
use kube::api::DynamicObject;
use kube::core::ApiResource;
use kube::{Api, Resource, ResourceExt};

use self::apply::pool_documents;
use self::resolve::{Room, room};
use self::teardown::DeletedStack;
use super::context::Context;
use super::engine::case::Case;
use super::engine::{self, Passed};
use super::leftovers::{self, Search};
use super::{
    Action, Error, Guarded, conditions_writer, failed, finalizer, ids, in_time, ingestion, offer_status,
    unreadable, untouched,
};
use crate::api::{EncryptionSettings, Reason, SharedStack, Status, annotations};
use crate::clock;
use crate::stack::accept;
use crate::stack::identity::Identity;
use crate::stack::model::blocked::Blocked;
use crate::stack::model::desired::Blueprint;
use crate::stack::model::outcome::{Documents, LayerStatus, Outcome};
use crate::stack::model::progress::STALLED;

/// What metrics call this controller.
pub const NAME: &str = "sharedstack";

/// One pass.
pub async fn reconcile(stack: Arc<Guarded<SharedStack>>, cx: Arc<Context>) -> Result<Action, Error> {
    cx.caches().await;
    let meta = stack.meta();
    let dynamic = || {
        let kind = ApiResource::erase::<SharedStack>(&());
        Api::<DynamicObject>::all_with(cx.client.clone(), &kind)
    };
    cx.heed(meta);
    match &stack.0 {
        _ if meta.deletion_timestamp.is_some() => {
            match in_time(super::teardown::teardown::<DeletedStack>(&cx, meta).boxed()).await {
                Err(error) => Err(failed::tell_leaver(&cx, &dynamic(), meta, error).await),
                done => done,
            }
        }
        Ok(stack) => match in_time(live(&cx, stack).boxed()).await {
            Err(error) => {
                let status = stack.status.clone().unwrap_or_default();
                let unknown = failed::Unknown { layers: untouched::of_stack(stack), borrows: false };
                Err(failed::tell(&cx, &Api::all(cx.client.clone()), stack, &status, unknown, error).await)
            }
            done => done,
        },
        Err(invalid) => unreadable::tell(&cx, &dynamic(), meta, &invalid.error).await,
    }
}

async fn live(cx: &Context, seen: &SharedStack) -> Result<Action, Error> {
    let api: Api<SharedStack> = Api::all(cx.client.clone());
    let mut stack = seen.clone();
    let before = stack.status.clone().unwrap_or_default();
    let generation = stack.metadata.generation.unwrap_or(0);
    if let Some(holder) = finalizer::held_by_another(&stack, &cx.finalizer()) {
        conditions_writer::held_by_another(cx, &conditions_writer::subject(&stack), &holder).await;
        return Ok(Action::await_change());
    }
    if annotations::pause(stack.meta()).is_some() {
        cx.no_further(&stack.uid().unwrap_or_default(), &before);
        return super::teardown::paused(cx, &api, &conditions_writer::subject(&stack), stack.meta(), &before)
            .await;
    }
    if let Some(wait) = cx.too_early(stack.meta()) {
        return Ok(Action::requeue(cx.clock.outside(wait)));
    }
    let shared = match accept::shared_stack(&stack.spec) {
        Ok(shared) => shared,
        Err(refused) => return refuse(cx, &api, &stack, &before, refused).await,
    };
    let no_room = match room(cx, &stack, &shared, &before).await? {
        Room::Is => None,
        Room::Refused(refused) => return refuse(cx, &api, &stack, &before, refused).await,
        Room::Awaited(no_room) => Some(no_room),
    };
    if !finalizer::has_finalizer(&stack, &cx.finalizer()) && !cx.settings.read_only {
        stack = finalizer::take(&api, &stack, &cx.finalizer()).await?;
    }
    let name = stack.name_any();
    let uid = stack.uid().unwrap_or_default();
    let approved = annotations::approved(&stack.metadata);
    let id = Identity::of_stack(cx.scope.clone(), &name, &uid).adopting(approved);
    let mut memory = cx.memories.lend(&uid);
    let case = Case {
        id: &id,
        column: shared.column(),
        offer: None,
        status: &before,
        creates_key: matches!(shared.encryption, EncryptionSettings::Create),
        approved,
        no_room: no_room.as_ref(),
        blueprint: Blueprint::Stack(&shared),
    };
    let Passed { mut layers, blocked, look_again: mut again, fault, transient, adopts, drift, approved_loss } =
        engine::reconcile(&cx.world(), &case, &mut memory, generation).await;
    if adopts {
        conditions_writer::adopted(cx, &conditions_writer::subject(&stack)).await;
    }
    conditions_writer::drift_repaired(cx, &conditions_writer::subject(&stack), &drift).await;
    conditions_writer::tag_is_old(cx, &conditions_writer::subject(&stack), &mut memory).await;
    // What lies in a bucket that it takes over has its records before anybody new borrows.
    if matches!(layers.bucket, Some(LayerStatus::Ready))
        && before.bucket.is_none()
        && let Err(unread) = record_markers(cx, &id).await
    {
        again = clock::earliest(again, Some(ids::LOOK_AGAIN));
        layers.bucket = Some(unread);
    }
    let mut status = before.clone();
    status.region = Some(cx.scope.region.clone());
    status.prefix = shared.pool.as_ref().map(|_| id.prefix());
    offer_status::approve_loss(&mut status, &approved_loss);
    let want = case.want(&memory.observed);
    offer_status::owned(&mut status, &want, &memory.observed, &layers);
    let model = cx.models.word(cx.clock, &cx.scope, &cx.aws.models, &want, &before).await;
    let mut error = fault;
    let whole = blocked.is_none() && layers.iter().all(|(_, l)| matches!(l, None | Some(LayerStatus::Ready)));
    let step = pool_documents(cx, &stack, &shared, &before, &status, whole, &mut memory).await;
    let mut reindexing = None;
    let documents = step.map(|step| {
        reindexing = ingestion::reindexing(&before, &mut status, &step);
        if let Some(unclaimed) = step.unclaimed {
            status.unclaimed_documents = i64::try_from(unclaimed).ok().filter(|count| *count > 0);
        }
        again = clock::earliest(again, step.look_again);
        error = error.take().or(step.fault);
        step.documents
    });
    conditions_writer::records_lost(cx, &conditions_writer::subject(&stack)).await;
    let verdict = Outcome { blocked, layers, documents, model, transient, reindexing, ..Outcome::default() };
    conditions_writer::set_conditions(&mut status, &verdict, generation);
    cx.settle(&uid, &status, memory.observed.knowledge_base.ours().is_some());
    conditions_writer::write(cx, &api, &conditions_writer::subject(&stack), &before, &status, false).await?;
    if error.is_none() {
        (memory.failures, memory.failing_since) = (0, None);
    }
    let resync = cx.resync(&uid);
    match error {
        Some(fault) => Err(Error::Told(Box::new(fault.into()))),
        None => Ok(Action::requeue(cx.clock.outside(again.map_or(resync, |again| again.min(resync))))),
    }
}

/// Records the tenants that left something in the bucket, as far as they have no record.
async fn record_markers(cx: &Context, id: &Identity) -> Result<(), LayerStatus> {
    if cx.settings.read_only {
        return Ok(());
    }
    let waits = |why: String| LayerStatus::Waiting(Reason::WaitingForRecords, why);
    match leftovers::record(cx, id, Search::Markers).await {
        Ok(_) => Ok(()),
        Err(Error::Aws(fault)) => Err(match LayerStatus::from(&*fault) {
            stalled @ LayerStatus::Stalled(..) => stalled,
            _ => waits(fault.to_string()),
        }),
        Err(other) => Err(waits(other.to_string())),
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
    let uid = stack.uid().unwrap_or_default();
    if refused.reason != Reason::QuotaReserved {
        cx.stops_waiting(&uid);
    }
    let mut after = before.clone();
    let layers = untouched::of_stack(stack);
    let documents = Documents::last(&before.conditions);
    let verdict = Outcome { refused: Some(refused), layers, documents, ..Outcome::default() };
    conditions_writer::set_conditions(&mut after, &verdict, stack.metadata.generation.unwrap_or(0));
    cx.settle(&uid, &after, cx.memories.get(&uid).observed.knowledge_base.ours().is_some());
    conditions_writer::write(cx, api, &conditions_writer::subject(stack), before, &after, false).await?;
    Ok(Action::requeue(cx.clock.outside(STALLED)))
}
