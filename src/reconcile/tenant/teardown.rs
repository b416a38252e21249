//! The way back of a Tenant. It reads four strings of the spec, live and unparsed, so that neither a stale cache nor
//! an invalid spec stands in the way; what is borrowed is found by the SharedStack's name alone.

use crate::reconcile::Action;
use futures::FutureExt;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::DynamicObject;
use kube::core::ApiResource;
use kube::runtime::events::EventType;
use kube::{Api, CustomResourceExt, Resource, ResourceExt};

use super::pool::{self, DeletedTenant};
use crate::api::{Column, DeletionPolicy, Layer, Pattern, Reason, Status, Tenant, annotations};
use crate::clock;
use crate::documents::marker::{self, Marker};
use crate::documents::purge;
use crate::layers;
use crate::reconcile::context::Context;
use crate::reconcile::engine;
use crate::reconcile::engine::Stack;
use crate::reconcile::ids::{self, Claimed};
use crate::reconcile::teardown::{self, field};
use crate::reconcile::{Error, finalizer, registry};
use crate::stack::fault::{Class, Fault};
use crate::stack::identity::{Identity, OwnershipClaim};
use crate::stack::layout::{ledger_key, retained_prefix};
use crate::stack::model::desired::Blueprint;
use crate::stack::model::observed::Observed;
use crate::stack::model::progress::{Cadence, Progress};
use crate::stack::model::teardown_order::OnDelete;
use crate::stack::offer::Offer;
use crate::stack::record::State;

/// The four strings, and what else a way back needs.
struct LastSpec {
    object: DynamicObject,
    tenant_id: String,
    pattern: Pattern,
    stack: Option<String>,
    policy: Option<DeletionPolicy>,
    status: Status,
    /// Whether the tenantId is its own, and with it what lies under that in a SharedStack. Our finalizer does not prove it:
    /// whoever makes an object can write it, and name another's tenantId.
    has_id: bool,
}

/// What became of a Tenant that leaves.
struct Left {
    progress: Progress,
    /// Whether something of it stays.
    stays: bool,
}

impl From<Progress> for Left {
    fn from(progress: Progress) -> Self {
        Self { progress, stays: false }
    }
}

impl LastSpec {
    /// The object, as the engine takes it on the way back.
    fn case<'a>(&'a self, id: &'a Identity, offer: Option<&'a Offer>) -> Stack<'a> {
        Stack {
            id,
            column: Column::from(self.pattern),
            offer,
            status: &self.status,
            creates_key: teardown::creates_key(&self.object),
            approved: None,
            no_room: None,
            blueprint: Blueprint::Nothing,
        }
    }
}

/// One pass of a Tenant that is being deleted.
pub async fn pass(cx: &Context, seen: &ObjectMeta) -> Result<Action, Error> {
    let (namespace, name) =
        (seen.namespace.clone().unwrap_or_default(), seen.name.clone().unwrap_or_default());
    let api: Api<DynamicObject> =
        Api::namespaced_with(cx.client.clone(), &namespace, &ApiResource::erase::<Tenant>(&()));
    let Some(object) = api.get_opt(&name).await?.filter(|live| live.uid() == seen.uid) else {
        return Ok(Action::await_change());
    };
    if object.meta().deletion_timestamp.is_none() || !finalizer::has_finalizer(&object, &cx.finalizer()) {
        return Ok(Action::await_change());
    }
    let (Some(tenant_id), Some(pattern)) =
        (field(&object, "/spec/tenantId"), field(&object, "/spec/pattern"))
    else {
        let message = "A Tenant without a tenantId and a pattern that this release knows cannot be taken apart. Give it both, \
                       or run the release that let it in";
        let status: Status = field(&object, "/status").unwrap_or_default();
        let (reason, cadence) = (Reason::SpecInvalid, Cadence::Woken);
        let waits = Progress::Waiting { reason, message: message.into(), cadence };
        return teardown::report(cx, &api, &object, &status, status.clone(), &waits).await;
    };
    let mut last = LastSpec {
        tenant_id,
        pattern,
        stack: field(&object, "/spec/stackRef/name"),
        policy: field(&object, "/spec/deletionPolicy"),
        status: field(&object, "/status").unwrap_or_default(),
        has_id: false,
        object,
    };
    if annotations::pause(last.object.meta()).is_some() {
        let object = teardown::reference(&last.object);
        return teardown::paused(cx, &api, &object, last.object.meta(), &last.status).await;
    }
    let id = cx.tenant_identity(&last.object, &last.tenant_id, last.pattern, last.stack.as_deref());
    cx.no_further(&id.uid, &last.status);
    let claimed = match cx.settings.read_only {
        true => Ok(Claimed::NotOurs),
        false => cx.ids.claimed(&id).await,
    };
    last.has_id = claimed == Ok(Claimed::Ours);
    let claimed_before = claimed == Ok(Claimed::Over);
    let on_delete = teardown::on_delete(cx, Tenant::crd_name(), last.policy.as_ref()).await?;
    let mut status = last.status.clone();
    let told = match &on_delete {
        Ok(on_delete) if last.has_id => unregister(cx, &last, &id, *on_delete, &mut status).await?,
        _ => Progress::Done,
    };
    let left = match (&on_delete, claimed) {
        _ if cx.settings.read_only => teardown::read_only().into(),
        (_, Err(trouble)) => ids::waits(&trouble).into(),
        (_, Ok(Claimed::Over)) => Progress::Done.into(),
        (Err(waiting), _) => waiting.clone().into(),
        _ if !told.is_done() => told.into(),
        (Ok(on_delete), _) => leave(cx, &last, &id, *on_delete, &mut status).await?,
    };
    let progress = match left {
        Left { progress: Progress::Done, stays } if last.has_id => {
            give_up_id(cx, &last, &id, stays, status.had_documents == Some(true)).await
        }
        Left { progress, .. } => progress,
    };
    if !progress.is_done() {
        return teardown::report(cx, &api, &last.object, &last.status, status, &progress).await;
    }
    let (action, note) = match on_delete {
        Ok(OnDelete::Keep) | Err(_) => ("Retain", teardown::retained_note(cx, OnDelete::Keep, &id)),
        Ok(on_delete @ OnDelete::KeepDocuments) => {
            ("RetainDocuments", teardown::retained_note(cx, on_delete, &id))
        }
        Ok(OnDelete::Delete) => ("Delete", teardown::deleted_note(cx, "Tenant", &id.uid)),
    };
    let note = match last.has_id || claimed_before {
        true => note,
        false => format!("The tenantId was not this Tenant's: what lies under it was left alone. {note}"),
    };
    cx.event(&teardown::reference(&last.object), EventType::Normal, action, "Delete", note).await;
    finalizer::release(&api, &last.object, &cx.finalizer()).await?;
    let uid = last.object.uid().unwrap_or_default();
    cx.forget(&uid);
    cx.release_claim(&last.tenant_id, &uid);
    if let Some(stack) = &last.stack {
        cx.wake_stack(stack);
    }
    Ok(Action::await_change())
}

/// Tells the registry, before anything else is done.
async fn unregister(
    cx: &Context,
    last: &LastSpec,
    id: &Identity,
    on_delete: OnDelete,
    status: &mut Status,
) -> Result<Progress, Error> {
    let Some(since) = &last.object.metadata.deletion_timestamp else { return Ok(Progress::Done) };
    let object = &teardown::reference(&last.object);
    let mut memory = cx.memories.lend(&id.uid);
    let leaver = registry::DeletedTenant { id, pattern: last.pattern, on_delete, since, object };
    let told = registry::tombstone(cx, &leaver, status, &mut memory).await;
    drop(memory);
    teardown::or_stalled(cx, &id.uid, told)
}

/// Leaves or takes away, as far as this goes in one pass. A refusal that needs a person is a wait.
async fn leave(
    cx: &Context,
    last: &LastSpec,
    id: &Identity,
    on_delete: OnDelete,
    status: &mut Status,
) -> Result<Left, Error> {
    let mut stays = false;
    let gone = async {
        if last.has_id && status.had_documents != Some(true) && has_documents(cx, last, id).await? {
            status.had_documents = Some(true);
        }
        if on_delete == OnDelete::Keep {
            return retain(cx, last, id, on_delete, status.had_documents == Some(true)).await;
        }
        if let Some(waiting) = teardown::grace(cx, last.object.meta(), status) {
            return Ok(waiting.into());
        }
        let noted = cx.memories.get(&id.uid).documents_noted;
        if status.had_documents != last.status.had_documents && !noted {
            // It must be in the status before any of them is deleted. A definition that is older than the field drops it.
            cx.memories.note(&id.uid, |memory| memory.documents_noted = true);
            return Ok(Progress::waiting(Reason::Deleting, "The deletion begins").into());
        }
        remove(cx, last, id, on_delete, status).await
    };
    let progress = gone.await.map(|left| {
        stays = left.stays;
        left.progress
    });
    Ok(Left { progress: teardown::or_stalled(cx, &id.uid, progress)?, stays })
}

/// The last step before the hold is taken off: the record says what became of the id.
async fn give_up_id(
    cx: &Context,
    last: &LastSpec,
    id: &Identity,
    stays: bool,
    had_documents: bool,
) -> Progress {
    let state = if stays { State::Retained } else { State::Gone };
    let namespace = cx.namespace(&last.object.namespace().unwrap_or_default()).and_then(|it| it.uid());
    match cx.ids.leave(id, state, !stays && !had_documents, namespace).await {
        Ok(_) => Progress::Done,
        Err(trouble) => ids::waits(&trouble),
    }
}

/// Whether anything lies under its prefix, or aside. A bucket that stood once and is gone may have had it.
async fn has_documents(cx: &Context, last: &LastSpec, id: &Identity) -> Result<bool, Fault> {
    let owner = last.stack.as_deref().map_or_else(|| id.clone(), |stack| stack_identity(cx, stack));
    for prefix in [id.prefix(), retained_prefix(&last.tenant_id)] {
        let page = match cx.aws.objects.versions(&owner.name(Layer::Bucket), &prefix, None).await {
            Err(fault) if fault.class == Class::NotFound => return Ok(last.status.bucket.is_some()),
            page => page?,
        };
        if !page.versions.is_empty() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Leaves word of what stays. Who was never given its id and built nothing leaves nothing; nor does a Pool tenant that
/// never had a document.
async fn retain(
    cx: &Context,
    last: &LastSpec,
    id: &Identity,
    on_delete: OnDelete,
    had_documents: bool,
) -> Result<Left, Error> {
    let owner = match &last.stack {
        None => id.clone(),
        Some(stack) => stack_identity(cx, stack),
    };
    let stays = match last.pattern {
        Pattern::Silo => true,
        Pattern::Bridge if on_delete == OnDelete::Keep => {
            last.has_id || matches!(layers::role::look(&cx.aws, id).await?, Observed::Ours(_))
        }
        Pattern::Bridge => last.has_id,
        Pattern::Pool => last.has_id && had_documents,
    };
    let bucket = layers::bucket::look(&cx.aws, &owner, last.status.bucket.as_deref()).await?;
    let there = if last.stack.is_some() { is_stacks(&bucket) } else { matches!(bucket, Observed::Ours(_)) };
    let offer = match &last.stack {
        Some(_) => teardown::borrowed(cx, &owner).await?,
        None => None,
    };
    let case = last.case(id, offer.as_ref());
    let mut memory = cx.memories.lend(&id.uid);
    engine::retain(&cx.world(), &case, on_delete, &mut memory).await?;
    if stays && there && (last.has_id || last.stack.is_none()) {
        let what =
            if on_delete == OnDelete::Keep { marker::Left::Everything } else { marker::Left::Documents };
        let marker = Marker::of(id, what, clock::stamp_after(None).0);
        marker::leave(&cx.aws, &owner.name(Layer::Bucket), id, &marker).await?;
    }
    Ok(Left { progress: Progress::Done, stays: stays && (there || last.pattern == Pattern::Bridge) })
}

/// The SharedStack by its name; its uid as the cache has it, or none if it is gone.
fn stack_identity(cx: &Context, stack: &str) -> Identity {
    let uid = cx.stack(stack).and_then(|stack| stack.meta().uid.clone()).unwrap_or_default();
    Identity::of_stack(cx.scope.clone(), stack, &uid)
}

/// Whether what was seen is that SharedStack's, be it of today or of an earlier object of its name: a tenant's
/// documents in it are the tenant's either way.
fn is_stacks<T>(seen: &Observed<T>) -> bool {
    match seen {
        Observed::Ours(_) => true,
        Observed::Foreign(foreign) => {
            matches!(foreign.claim, OwnershipClaim::Adoptable | OwnershipClaim::Earlier)
        }
        Observed::Absent => false,
    }
}

/// Takes apart what is this Tenant's own, in its order, and its documents in a borrowed bucket, as far as they are not to
/// stay; of what stays, the marker is the last thing that is written.
async fn remove(
    cx: &Context,
    last: &LastSpec,
    id: &Identity,
    on_delete: OnDelete,
    status: &mut Status,
) -> Result<Left, Error> {
    let progress = match last.pattern {
        Pattern::Pool => leave_pool(cx, last, id, on_delete, status).await?,
        Pattern::Silo | Pattern::Bridge => take_apart(cx, last, id, on_delete).await?,
    };
    match (progress, on_delete) {
        (Progress::Done, OnDelete::KeepDocuments) => {
            retain(cx, last, id, on_delete, status.had_documents == Some(true)).await
        }
        (progress, _) => Ok(progress.into()),
    }
}

async fn leave_pool(
    cx: &Context,
    last: &LastSpec,
    id: &Identity,
    on_delete: OnDelete,
    status: &mut Status,
) -> Result<Progress, Error> {
    let Some(stack_name) = last.stack.as_deref().filter(|_| last.has_id) else {
        return Ok(Progress::Done);
    };
    let stack = &stack_identity(cx, stack_name);
    if !is_stacks(&layers::bucket::look(&cx.aws, stack, last.status.bucket.as_deref()).await?) {
        return Ok(Progress::Done);
    }
    let mut memory = cx.memories.lend(&id.uid);
    let since = last.object.metadata.deletion_timestamp.as_ref();
    let leaver = DeletedTenant { id, stack, stack_name, since, on_delete };
    pool::step(cx, &leaver, status, &mut memory).await
}

async fn take_apart(
    cx: &Context,
    last: &LastSpec,
    id: &Identity,
    on_delete: OnDelete,
) -> Result<Progress, Error> {
    let mut memory = cx.memories.lend(&id.uid);
    let stack_id = last.stack.as_deref().map(|stack| stack_identity(cx, stack));
    let offer = match &stack_id {
        Some(stack_id) => teardown::borrowed(cx, stack_id).await?,
        None => None,
    };
    let case = last.case(id, offer.as_ref());
    let bucket_of = stack_id.as_ref().filter(|_| last.has_id);
    let documents = borrowed_documents(cx, last, bucket_of, id, on_delete).boxed();
    Ok(engine::teardown(&cx.world(), &case, on_delete, &mut memory, documents).await?)
}

/// Deletes this Tenant's ledger, and, unless they stay, its documents in a bucket that it borrows.
async fn borrowed_documents(
    cx: &Context,
    last: &LastSpec,
    stack_id: Option<&Identity>,
    id: &Identity,
    on_delete: OnDelete,
) -> Result<Progress, Fault> {
    let Some(stack_id) = stack_id else {
        return Ok(Progress::Done);
    };
    if !is_stacks(&layers::bucket::look(&cx.aws, stack_id, last.status.bucket.as_deref()).await?) {
        return Ok(Progress::Done);
    }
    let mut prefixes = vec![ledger_key(id)];
    if on_delete == OnDelete::Delete {
        prefixes.push(id.prefix());
    }
    purge::all_under(&cx.aws, &stack_id.name(Layer::Bucket), &prefixes).await
}
