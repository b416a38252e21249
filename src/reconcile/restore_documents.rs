//! Taking up what an earlier object of the same name left in a SharedStack's bucket.

use kube::runtime::events::EventType;

use super::conditions_writer;
use super::context::Context;
use super::memory::Memory;
use super::stop::PassStop;
use crate::api::{Reason, Status, Tenant};
use crate::clock;
use crate::documents::marker::{self, Left};
use crate::documents::relocate::{self, Move, OnConflict};
use crate::stack::fault::Fault;
use crate::stack::identity::Identity;
use crate::stack::layout::retained_prefix;
use crate::stack::model::outcome::LayerStatus;
use crate::stack::model::progress::Progress;
use crate::stack::offer::Offer;

/// The documents are looked after again, if there are any; stops the pass until they are.
pub async fn documents(
    cx: &Context,
    tenant: &Tenant,
    id: &Identity,
    offer: &Offer,
    status: &mut Status,
    memory: &mut Memory,
) -> Result<(), PassStop> {
    match step(cx, tenant, id, offer, status, memory).await {
        Ok(Progress::Done) => Ok(()),
        Ok(waiting) => Err(PassStop::Restores((&waiting).into())),
        Err(fault) => match LayerStatus::from(&fault) {
            LayerStatus::Unchanged => Err(fault.into()),
            status => Err(PassStop::Restores(status)),
        },
    }
}

/// A pool's documents that were moved aside come back; then the marker goes. When they came back is in the status before
/// that, so that the job that must read them is asked for whatever happens.
async fn step(
    cx: &Context,
    tenant: &Tenant,
    id: &Identity,
    offer: &Offer,
    status: &mut Status,
    memory: &mut Memory,
) -> Result<Progress, Fault> {
    let Some(tenant_id) = id.tenant_id() else { return Ok(Progress::Done) };
    if cx.settings.read_only {
        return Ok(Progress::Done);
    }
    // A marker that somebody else left is no concern of ours.
    let marker = marker::find(&cx.aws, &offer.bucket, id).await?.filter(|marker| id.owns(&marker.claim(id)));
    let Some(marker) = marker else {
        // It may be gone, and the answer that said so lost: the job that must read what came back is still asked for.
        if status.documents_moved_time.is_some() {
            cx.wake_stack(&offer.stack);
        }
        return Ok(Progress::Done);
    };
    let (aside, home) = (retained_prefix(tenant_id), id.prefix());
    let are_back = || status.documents_moved_time.as_ref().is_some_and(|at| Some(at.0) > marker.since);
    if marker.left == Left::Documents && marker.prefix == aside && !are_back() {
        // What was put there meanwhile is newer.
        let stopped_at = &mut memory.move_stopped_at;
        let back = Move {
            from: aside.clone(),
            to: home,
            on_conflict: OnConflict::KeepExisting,
            is_read: false,
            with_files: true,
        };
        let moved = relocate::all(&cx.aws, &offer.bucket, &[back], stopped_at).await?;
        if moved.stuck.count > 0 {
            let note = format!(
                "{}. They stay under s3://{}/{aside}; restore or copy them yourself",
                moved.stuck, offer.bucket
            );
            let subject = conditions_writer::subject(tenant);
            cx.event(&subject, EventType::Warning, Reason::DocumentsStuck, "Adopt", note).await;
        }
        if !moved.progress.is_done() {
            return Ok(moved.progress);
        }
        status.documents_moved_time = Some(clock::stamp_after(marker.since));
        return Ok(Progress::waiting(Reason::Updating, "The retained documents are restored"));
    }
    marker::remove(&cx.aws, &offer.bucket, id).await?;
    conditions_writer::adopted(cx, &conditions_writer::subject(tenant)).await;
    if status.documents_moved_time.is_some() {
        cx.wake_stack(&offer.stack);
    }
    Ok(Progress::Done)
}
