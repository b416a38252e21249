//! The way back of a SharedStack: not while anybody borrows from it.

use futures::FutureExt;
use kube::api::{DynamicObject, ListParams};
use kube::core::ApiResource;
use kube::runtime::controller::Action;
use kube::runtime::events::EventType;
use kube::{Api, CustomResourceExt, Resource, ResourceExt};

use super::apply::pool_documents;
use crate::api::{APPROVE, Column, DeletionPolicy, Layer, PAUSED, Reason, SharedStack, Status, Tenant};
use crate::clock;
use crate::documents::marker::{self, Left, Marker};
use crate::layers;
use crate::reconcile::context::Context;
use crate::reconcile::engine;
use crate::reconcile::engine::case::Case;
use crate::reconcile::{Error, Guarded, finalizer, ids, teardown};
use crate::stack::approval;
use crate::stack::identity::Identity;
use crate::stack::model::desired::Blueprint;
use crate::stack::model::observed::Seen;
use crate::stack::model::progress::{Cadence, Progress};
use crate::stack::model::teardown_order::Fate;

/// How many names a message lists before it counts.
pub(super) const LISTED: usize = 10;

/// One pass of a SharedStack that is being deleted.
pub(super) async fn leave(cx: &Context, seen: &Guarded<SharedStack>) -> Result<Action, Error> {
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
    cx.failures.lock().remove(&name);
    Ok(Action::await_change())
}

/// Who still borrows: a live LIST, because a cache may not have seen the newest hold. A Tenant without our hold, or whose
/// tenantId is not its own, borrows nothing, and will see us leaving before it does.
pub(super) async fn borrowers(cx: &Context, name: &str) -> Result<Option<Progress>, Error> {
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
        .filter(|tenant| {
            let tenant_id: String = teardown::field(tenant, "/spec/tenantId").unwrap_or_default();
            cx.has_id(&tenant_id, &tenant.uid().unwrap_or_default())
        })
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
pub(super) async fn retain(cx: &Context, case: &Case<'_>, fate: Fate) -> Result<Progress, Error> {
    let mut memory = cx.memories.get(&case.id.uid);
    engine::retain(&cx.world(), case, fate, &mut memory).await?;
    if let Seen::Ours(_) = memory.sight.bucket {
        let left = if fate == Fate::Stays { Left::Everything } else { Left::Documents };
        let marker = Marker::of(case.id, left, clock::stamp_after(None).0);
        marker::leave(&cx.aws, &case.id.name(Layer::Bucket), case.id, &marker).await?;
    }
    cx.memories.put(&case.id.uid, memory);
    Ok(Progress::Done)
}

/// Takes apart what does not stay, unless that would take along what tenants have retained in it and nobody has said yes.
pub(super) async fn remove(cx: &Context, case: &Case<'_>, fate: Fate) -> Result<Progress, Error> {
    let id = case.id;
    let mut goes_along = Vec::new();
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
        // Where the documents stay, so do the ids.
        let goes = retained.into_iter().filter(|_| fate == Fate::Goes);
        goes_along = goes.map(|(tenant_id, marker)| (tenant_id, marker.owner_uid)).collect();
    }
    let mut memory = cx.memories.get(&id.uid);
    // Before the bucket is emptied: its markers are how this is known after a crash.
    if !memory.records_told {
        for (tenant_id, owner_uid) in goes_along {
            if let Err(trouble) = cx.ids.gone_with_bucket(&tenant_id, &owner_uid).await {
                return Ok(ids::waits(&trouble));
            }
        }
        memory.records_told = true;
    }
    let progress =
        engine::back(&cx.world(), case, fate, &mut memory, async { Ok(Progress::Done) }.boxed()).await;
    cx.memories.put(&id.uid, memory);
    match (progress?, fate) {
        (Progress::Done, Fate::DocumentsStay) => retain(cx, case, fate).await,
        (progress, _) => Ok(progress),
    }
}
