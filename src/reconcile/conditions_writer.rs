//! The only writer of status. It writes when something other than time has changed, and tells an event of what a
//! person wants to know.

use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{Patch, PatchParams};
use kube::runtime::events::EventType;
use kube::{Api, Resource};
use serde::de::DeserializeOwned;
use serde_json::json;

use super::Error;
use super::context::Context;
use crate::api::{ConditionType, Reason, Status};
use crate::clock;
use crate::documents::findings::Findings;
use crate::documents::quarantine::QUARANTINE;
use crate::stack::model::outcome::Verdict;

/// The conditions of a verdict, put into a status.
pub fn judge(status: &mut Status, verdict: &Verdict, generation: i64) {
    status.conditions = verdict.conditions(&status.conditions, generation, &clock::now());
    status.observed_generation = Some(generation);
}

/// An object whose work is paused. `Ready` keeps its last word only while that speaks of the object as it is: nothing
/// is Ready that has since been changed, or is being deleted.
pub fn pause(status: &mut Status, meta: &ObjectMeta) {
    let message = "The annotation tenantry.dev/paused stops all work on this object, its teardown included; remove it to go on";
    let says = |status: &mut Status, kind: ConditionType, status_: &str| {
        status.set(kind, status_, Reason::Paused, message, meta.generation, clock::now());
    };
    says(status, ConditionType::Paused, "True");
    if status.observed_generation != meta.generation || meta.deletion_timestamp.is_some() {
        says(status, ConditionType::Ready, "False");
        status.observed_generation = meta.generation;
    }
}

/// Where a status patch and events go: the object as it was read. kube's own reference leaves its version out, which is
/// what keeps a patch from landing on anything newer.
pub fn subject<K: Resource<DynamicType = ()>>(object: &K) -> ObjectReference {
    ObjectReference { resource_version: object.meta().resource_version.clone(), ..object.object_ref(&()) }
}

/// What an earlier object left behind is this one's now.
pub async fn adopted(cx: &Context, object: &ObjectReference) {
    let note = "What an earlier object left behind is taken over";
    cx.event(object, EventType::Normal, "Adopted", "Reconcile", note).await;
}

/// What a review of a pool's documents found that somebody should know of.
pub async fn reviewed(cx: &Context, object: &ObjectReference, findings: &Findings) {
    let Findings { corrected, quarantined, .. } = findings;
    if corrected.count > 0 {
        let note = format!(
            "Metadata files named another tenant than the one under whose prefix they are, and were corrected; the \
             originals are in {QUARANTINE}. Beside: {corrected}"
        );
        cx.event(object, EventType::Warning, "SidecarCorrected", "Sync", note).await;
    }
    if quarantined.count > 0 {
        let note = format!(
            "These keys name no tenant, or leave no room for a metadata file, and were moved to {QUARANTINE}, so that \
             nobody is answered from them: {quarantined}. Put them under pool/<tenantId>/"
        );
        cx.event(object, EventType::Warning, "DocumentsQuarantined", "Sync", note).await;
    }
}

/// An object that another installation holds is that one's to speak of: an event says so, its status does not.
pub async fn held_by_another(cx: &Context, object: &ObjectReference, holder: &str) {
    let note = format!(
        "It is held by the installation '{holder}' and left alone by '{}'. Two --selectors that overlap, or a label that \
         was moved, make it visible to both",
        cx.settings.installation
    );
    cx.event(object, EventType::Warning, "HeldByAnother", "Reconcile", note).await;
}

/// Writes a status that differs from the one that stands, and the events of its transitions. A merge patch with the
/// resourceVersion: it cannot land on a successor, and a stale view of the object is refused.
///
/// A cache that lags behind our own last word shows a status that stands no more, and one that equals it proves
/// nothing: that pass is refused too, or what was said in between would stay.
pub async fn write<K>(
    cx: &Context,
    api: &Api<K>,
    object: &ObjectReference,
    before: &Status,
    after: &Status,
    quiet: bool,
) -> Result<(), Error>
where
    K: DeserializeOwned + Resource,
{
    let uid = object.uid.clone().unwrap_or_default();
    let stale =
        cx.written.get(&uid).is_some_and(|written| Some(&written) != object.resource_version.as_ref());
    if before == after && !stale {
        return Ok(());
    }
    let patch = json!({"metadata": {"resourceVersion": object.resource_version}, "status": after});
    let name = object.name.as_deref().unwrap_or_default();
    let written = api.patch_status(name, &PatchParams::default(), &Patch::Merge(&patch)).await?;
    if let Some(version) = written.meta().resource_version.clone() {
        cx.written.lock().insert(uid, version);
    }
    transitions(cx, object, before, after, quiet).await;
    Ok(())
}

/// Trouble and its end, and, unless `quiet`, the first readiness.
async fn transitions(cx: &Context, object: &ObjectReference, before: &Status, after: &Status, quiet: bool) {
    let (was, is) = (before, after);
    let stalled = |status: &Status| {
        status.condition(ConditionType::Stalled).filter(|stalled| stalled.status == "True").cloned()
    };
    if let Some(trouble) = stalled(is)
        && stalled(was).is_none_or(|known| known.reason != trouble.reason)
    {
        cx.event(object, EventType::Warning, &trouble.reason, "Reconcile", &trouble.message).await;
    }
    if let Some(blocked) = is.condition(ConditionType::DeletionBlocked)
        && was.condition(ConditionType::DeletionBlocked).is_none_or(|known| known.reason != blocked.reason)
    {
        cx.event(object, EventType::Warning, &blocked.reason, "Delete", &blocked.message).await;
    }
    let became_ready = is.is_true(ConditionType::Ready) && !was.is_true(ConditionType::Ready);
    if became_ready && (!quiet || stalled(was).is_some()) {
        cx.event(
            object,
            EventType::Normal,
            Reason::Ready,
            "Reconcile",
            "Everything is built and can be asked",
        )
        .await;
    }
    if let Some(registered) = is.condition(ConditionType::Registered)
        && registered.status == "False"
        && matches!(
            Reason::parse(&registered.reason),
            Some(Reason::RegistryConflict | Reason::RegistryNotFound | Reason::Denied | Reason::Invalid)
        )
        && was.condition(ConditionType::Registered).is_none_or(|known| known.reason != registered.reason)
    {
        cx.event(object, EventType::Warning, &registered.reason, "Register", &registered.message).await;
    }
    if let Some(documents) = is.condition(ConditionType::DocumentsCurrent)
        && documents.status == "False"
        && matches!(Reason::parse(&documents.reason), Some(Reason::SyncFailed | Reason::DocumentsFailed))
        && was.condition(ConditionType::DocumentsCurrent).is_none_or(|known| known.reason != documents.reason)
    {
        cx.event(object, EventType::Warning, &documents.reason, "Sync", &documents.message).await;
    }
}
