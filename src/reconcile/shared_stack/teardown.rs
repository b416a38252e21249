//! The way back of a SharedStack: not while anybody borrows from it.

use crate::reconcile::Action;
use futures::FutureExt;
use k8s_openapi::api::core::v1::ObjectReference;
use kube::api::{DynamicObject, ListParams};
use kube::core::ApiResource;
use kube::runtime::events::EventType;
use kube::{Api, CustomResourceExt, Resource, ResourceExt};

use super::apply::pool_documents;
use super::retained::{self, Besides};
use crate::api::{
    Column, ConditionType, DeletionPolicy, Layer, Reason, SharedStack, Status, Tenant, annotations,
};
use crate::clock;
use crate::documents::marker::{self, Left, Marker};
use crate::documents::purge;
use crate::layers;
use crate::reconcile::context::Context;
use crate::reconcile::engine;
use crate::reconcile::engine::case::Case;
use crate::reconcile::memory::Memory;
use crate::reconcile::{Error, Guarded, finalizer, ids, teardown};
use crate::records::Trouble;
use crate::stack::approval;
use crate::stack::identity::Identity;
use crate::stack::layout::ledger_key;
use crate::stack::model::desired::Blueprint;
use crate::stack::model::observed::Observed;
use crate::stack::model::outcome::Documents;
use crate::stack::model::progress::{Cadence, Progress};
use crate::stack::model::teardown_order::OnDelete;

/// One pass of a SharedStack that is being deleted.
pub(super) async fn leave(cx: &Context, seen: &Guarded<SharedStack>) -> Result<Action, Error> {
    let api: Api<DynamicObject> = Api::all_with(cx.client.clone(), &ApiResource::erase::<SharedStack>(&()));
    let name = seen.name_any();
    let Some(live) = api.get_opt(&name).await?.filter(|live| live.uid() == seen.meta().uid) else {
        return Ok(Action::await_change());
    };
    if live.meta().deletion_timestamp.is_none() || !finalizer::has_finalizer(&live, &cx.finalizer()) {
        return Ok(Action::await_change());
    }
    let policy: Option<DeletionPolicy> = teardown::field(&live, "/spec/deletionPolicy");
    let status: Status = teardown::field(&live, "/status").unwrap_or_default();
    let mut now = status.clone();
    let has_pool = live.data.pointer("/spec/pool").is_some();
    let creates_key = teardown::creates_key(&live);
    if annotations::pause(live.meta()).is_some() {
        return teardown::paused(cx, &api, &teardown::reference(&live), live.meta(), &status).await;
    }
    let id = Identity::of_stack(cx.scope.clone(), &name, &live.uid().unwrap_or_default());
    cx.no_further(&id.uid, &status);
    let column = if has_pool { Column::SharedStackWithPool } else { Column::SharedStack };
    let case = Case {
        id: &id,
        column,
        offer: None,
        status: &status,
        creates_key,
        approved: annotations::approved(live.meta()),
        no_room: None,
        blueprint: Blueprint::Nothing,
    };
    let on_delete = teardown::on_delete(cx, SharedStack::crd_name(), policy.as_ref()).await?;
    let tenants = tenants(cx).await?;
    let borrowed = match cx.ids.closed() {
        // Who borrows, and what was retained, cannot be told.
        Some(trouble) => Some(ids::waits(&trouble)),
        None => borrowed_by(cx, &tenants, &name).await.unwrap_or_else(|trouble| Some(ids::waits(&trouble))),
    };
    let progress = match borrowed {
        Some(waiting) => {
            if matches!(on_delete, Ok(OnDelete::Delete | OnDelete::KeepDocuments)) && !cx.settings.read_only {
                teardown::begin_grace(cx, live.meta(), &mut now);
            }
            // Pool tenants that leave still need their job.
            if let Ok(stack) = &seen.0
                && let Ok(shared) = stack.spec.shared()
            {
                let mut memory = cx.memories.lend(&id.uid);
                let step = pool_documents(cx, stack, &shared, &status, &status, true, &mut memory).await;
                drop(memory);
                if let Some(step) = step {
                    let kind = ConditionType::DocumentsCurrent;
                    let Documents { reason, message, .. } = &step.documents;
                    let generation = live.metadata.generation;
                    now.set(kind, step.documents.status(), *reason, message, generation, clock::now());
                    if let Some(fault) = step.fault {
                        return Err(fault.into());
                    }
                }
            }
            waiting
        }
        None => match &on_delete {
            _ if cx.settings.read_only => teardown::read_only(),
            Err(waiting) => waiting.clone(),
            Ok(OnDelete::Keep) => teardown::or_stalled(cx, &id.uid, retain(cx, &case, OnDelete::Keep).await)?,
            Ok(on_delete) => match teardown::grace(cx, live.meta(), &mut now) {
                Some(waiting) => waiting,
                None => {
                    let removed = remove(cx, &case, *on_delete, &tenants, &teardown::reference(&live)).await;
                    teardown::or_stalled(cx, &id.uid, removed)?
                }
            },
        },
    };
    if !progress.is_done() {
        return teardown::report(cx, &api, &live, &status, now, &progress).await;
    }
    let (action, note) = match on_delete {
        Ok(OnDelete::Keep) | Err(_) => ("Retain", teardown::retained_note(cx, OnDelete::Keep, &id)),
        Ok(on_delete @ OnDelete::KeepDocuments) => {
            ("RetainDocuments", teardown::retained_note(cx, on_delete, &id))
        }
        Ok(OnDelete::Delete) => ("Delete", teardown::deleted_note(cx, "SharedStack", &id.uid)),
    };
    let left_alone = retained::left_alone(&cx.memories.get(&id.uid));
    let note = if left_alone.is_empty() { note } else { format!("{note}; {left_alone}") };
    cx.event(&teardown::reference(&live), EventType::Normal, action, "Delete", note).await;
    finalizer::release(&api, &live, &cx.finalizer()).await?;
    cx.forget(&id.uid);
    cx.failures.lock().remove(&name);
    Ok(Action::await_change())
}

/// All Tenants: a live LIST, because a cache may not have seen the newest hold.
async fn tenants(cx: &Context) -> Result<Vec<DynamicObject>, Error> {
    let api: Api<DynamicObject> = Api::all_with(cx.client.clone(), &ApiResource::erase::<Tenant>(&()));
    match api.list(&ListParams::default()).await {
        Ok(tenants) => Ok(tenants.items),
        // A kind that is not defined any more has no objects.
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(Vec::new()),
        Err(error) => Err(error.into()),
    }
}

/// Who still borrows. A Tenant without our hold, or whose tenantId is not its own, borrows nothing, and will see us
/// leaving before it does. Whose an id is that this process has not met is read.
async fn borrowed_by(
    cx: &Context,
    tenants: &[DynamicObject],
    name: &str,
) -> Result<Option<Progress>, Trouble> {
    let held = tenants
        .iter()
        .filter(|tenant| tenant.data.pointer("/spec/stackRef/name").and_then(|v| v.as_str()) == Some(name))
        .filter(|tenant| finalizer::has_finalizer(*tenant, &cx.finalizer()));
    let mut borrowing = Vec::new();
    for tenant in held {
        let tenant_id: String = teardown::field(tenant, "/spec/tenantId").unwrap_or_default();
        let uid = tenant.uid().unwrap_or_default();
        if cx.has_id(&tenant_id, &uid)
            || (cx.ids.read(&tenant_id).await?.is_some() && cx.has_id(&tenant_id, &uid))
        {
            borrowing.push(format!("{}/{}", tenant.namespace().unwrap_or_default(), tenant.name_any()));
        }
    }
    if borrowing.is_empty() {
        return Ok(None);
    }
    let (count, listed) = (borrowing.len(), retained::listed(&borrowing, ", "));
    Ok(Some(Progress::Waiting {
        reason: Reason::Borrowed,
        message: format!("{count} Tenants still borrow from it: {listed}. Delete them first"),
        cadence: Cadence::Steady,
    }))
}

/// Leaves word of what stays, in its tags and in a marker, and lets go.
async fn retain(cx: &Context, case: &Case<'_>, on_delete: OnDelete) -> Result<Progress, Error> {
    let mut memory = cx.memories.lend(&case.id.uid);
    engine::retain(&cx.world(), case, on_delete, &mut memory).await?;
    if let Observed::Ours(_) = memory.observed.bucket {
        let left = if on_delete == OnDelete::Keep { Left::Everything } else { Left::Documents };
        let marker = Marker::of(case.id, left, clock::stamp_after(None).0);
        marker::leave(&cx.aws, &case.id.name(Layer::Bucket), case.id, &marker).await?;
    }
    Ok(Progress::Done)
}

/// Takes apart what does not stay, unless that would take along what tenants have retained in it and nobody has said yes.
async fn remove(
    cx: &Context,
    case: &Case<'_>,
    on_delete: OnDelete,
    tenants: &[DynamicObject],
    object: &ObjectReference,
) -> Result<Progress, Error> {
    let id = case.id;
    let mut losing = Vec::new();
    if let Observed::Ours(_) = layers::bucket::look(&cx.aws, id, case.status.bucket.as_deref()).await? {
        let alive = tenants.iter().filter_map(ResourceExt::uid).collect();
        for (tenant_id, marker) in marker::retained(&cx.aws, &id.name(Layer::Bucket)).await? {
            // Where the documents stay, who has retained nothing else loses nothing.
            if on_delete == OnDelete::Delete || marker.left == Left::Everything {
                let besides = retained::besides(id, &tenant_id, &marker, &alive);
                losing.push((tenant_id, marker, besides));
            }
        }
        if let Some(waiting) = approval(cx, case, on_delete, &losing).await? {
            return Ok(waiting);
        }
    }
    let mut memory = cx.memories.lend(&id.uid);
    let progress = take_apart(cx, case, on_delete, &losing, &mut memory, object).await?;
    drop(memory);
    if !progress.is_done() || on_delete == OnDelete::Delete {
        return Ok(progress);
    }
    let progress = retain(cx, case, on_delete).await?;
    for (_, marker, besides) in losing {
        if let Besides::Layers(tenant) = besides {
            let marker = Marker { left: Left::Documents, ..marker };
            marker::leave(&cx.aws, &id.name(Layer::Bucket), &tenant, &marker).await?;
        }
    }
    Ok(progress)
}

/// First what tenants have left besides, then the word of it, then what is its own.
async fn take_apart(
    cx: &Context,
    case: &Case<'_>,
    on_delete: OnDelete,
    losing: &[(String, Marker, Besides)],
    memory: &mut Memory,
    object: &ObjectReference,
) -> Result<Progress, Error> {
    let leavers: Vec<_> =
        losing.iter().map(|(tenant_id, _, besides)| (tenant_id.as_str(), besides)).collect();
    let gone = take_along(cx, case.id, on_delete, &leavers, memory, object).await?;
    if !gone.is_done() {
        return Ok(gone);
    }
    let told = tell_records(cx, on_delete, losing, memory).await;
    if !told.is_done() {
        return Ok(told);
    }
    let documents = async { Ok(Progress::Done) }.boxed();
    Ok(engine::teardown(&cx.world(), case, on_delete, memory, documents).await?)
}

/// The records say that the ids of what goes along are gone, before the bucket is emptied: its markers are how this is known
/// after a crash. Where the documents stay, so do the ids.
async fn tell_records(
    cx: &Context,
    on_delete: OnDelete,
    losing: &[(String, Marker, Besides)],
    memory: &mut Memory,
) -> Progress {
    if memory.records_told || on_delete != OnDelete::Delete {
        return Progress::Done;
    }
    for (tenant_id, marker, _) in losing {
        if let Err(trouble) = cx.ids.gone_with_bucket(tenant_id, &marker.owner_uid).await {
            return ids::waits(&trouble);
        }
    }
    memory.records_told = true;
    Progress::Done
}

/// What to wait for until somebody has said yes to what tenants lose.
async fn approval(
    cx: &Context,
    case: &Case<'_>,
    on_delete: OnDelete,
    losing: &[(String, Marker, Besides)],
) -> Result<Option<Progress>, Error> {
    let id = case.id;
    let tenants: Vec<_> = losing.iter().map(|(tenant_id, ..)| tenant_id.clone()).collect();
    let facts: Vec<_> = tenants.iter().map(String::as_str).collect();
    let code = approval::code(&id.uid, Reason::RetainedTenants, &facts);
    if tenants.is_empty() || case.approved == Some(code.as_str()) {
        return Ok(None);
    }
    // Its own marker is written when all but the documents is gone: then only the tenants' are still to be put right, and
    // those that are change the code.
    if on_delete == OnDelete::KeepDocuments {
        let own = marker::find(&cx.aws, &id.name(Layer::Bucket), id).await?;
        if own.is_some_and(|own| own.owner_uid == id.uid && own.left == Left::Documents) {
            return Ok(None);
        }
    }
    let has_bridges = losing.iter().any(|(.., besides)| matches!(besides, Besides::Layers(_)));
    let too = match has_bridges {
        true => ", with the knowledge base, index and role of each Bridge tenant among them",
        false => "",
    };
    Ok(Some(Progress::Waiting {
        reason: Reason::RetainedTenants,
        message: format!(
            "{} tenants have retained what would go with this SharedStack: {}. Set deletionPolicy to Retain to keep it. \
             {}, and it goes too{too}",
            tenants.len(),
            retained::listed(&tenants, ", "),
            approval::ask(&code, case.approved)
        ),
        cadence: Cadence::Steady,
    }))
}

/// Takes apart what tenants have left besides. What had to be left alone is told before the bucket goes: without the markers
/// in it, another process could not name it at the end.
async fn take_along(
    cx: &Context,
    id: &Identity,
    on_delete: OnDelete,
    leavers: &[(&str, &Besides)],
    memory: &mut Memory,
    object: &ObjectReference,
) -> Result<Progress, Error> {
    if retained::are_gone(memory, leavers) {
        return Ok(Progress::Done);
    }
    // A collection that is not ACTIVE cannot be asked for an index; it takes it along.
    let collection = cx.aws.collections.find(&id.name(Layer::VectorStore)).await?;
    let offer = collection.filter(|it| it.status == "ACTIVE").map(|it| teardown::lent(id, it));
    let documents = |tenant: &Identity| {
        let (bucket, ledger) = (id.name(Layer::Bucket), ledger_key(tenant));
        async move {
            match on_delete {
                OnDelete::KeepDocuments => purge::all_under(&cx.aws, &bucket, &[ledger]).await,
                // All of the bucket goes.
                OnDelete::Delete | OnDelete::Keep => Ok(Progress::Done),
            }
        }
        .boxed()
    };
    let progress =
        retained::take_along(&cx.world(), offer.as_ref(), leavers, on_delete, memory, documents).await?;
    let left_alone = retained::left_alone(memory);
    if progress.is_done() && !left_alone.is_empty() {
        let note = format!("The SharedStack goes; {left_alone}");
        cx.event(object, EventType::Warning, "LeftAlone", "Delete", note).await;
    }
    Ok(progress)
}
