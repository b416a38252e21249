//! The only writer of status. It writes when something other than time has changed, and makes events of what a person wants
//! to know.

use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, ObjectMeta};
use kube::api::{Patch, PatchParams};
use kube::runtime::events::EventType;
use kube::{Api, Resource};
use serde::de::DeserializeOwned;
use serde_json::json;

use super::Error;
use super::context::Context;
use super::ids::Phase;
use super::memory::Memory;
use crate::api::annotations::{self, Pause};
use crate::api::{ConditionType, PAUSED, Reason, Severity, Status};
use crate::clock;
use crate::documents::findings::Findings;
use crate::documents::quarantine::QUARANTINE;
use crate::layers::existing_key::OldTag;
use crate::stack::lent;
use crate::stack::model::grace;
use crate::stack::model::outcome::Report;

/// The conditions of a report, put into a status.
pub fn set_conditions(status: &mut Status, report: &Report, generation: i64) {
    status.conditions = report.conditions(&status.conditions, generation, &clock::now());
    status.observed_generation = Some(generation);
}

/// The work on an object is paused. `Ready` stays only while it speaks of the object as it is: an object that was changed
/// since, or is being deleted, is not Ready.
pub fn pause(status: &mut Status, meta: &ObjectMeta) {
    let (reason, message) = match annotations::pause(meta) {
        Some(Pause::Unclear(why)) => (
            Reason::AnnotationInvalid,
            format!(
                "The annotation {PAUSED} stops all work on this object, its teardown included, because {why}, or remove it"
            ),
        ),
        _ => (
            Reason::Paused,
            format!(
                "The annotation {PAUSED} stops all work on this object, its teardown included; remove it to go on"
            ),
        ),
    };
    let says = |status: &mut Status, kind: ConditionType, status_: &str| {
        status.set(kind, status_, reason, &message, meta.generation, clock::now());
    };
    says(status, ConditionType::Paused, "True");
    if status.observed_generation != meta.generation || meta.deletion_timestamp.is_some() {
        says(status, ConditionType::Ready, "False");
        status.observed_generation = meta.generation;
    }
}

/// Where a status patch and events go: the object as it was read. kube's own reference leaves its version out. The version
/// keeps a patch from landing on a newer object.
pub fn subject<K: Resource<DynamicType = ()>>(object: &K) -> ObjectReference {
    ObjectReference { resource_version: object.meta().resource_version.clone(), ..object.object_ref(&()) }
}

/// What an earlier object left behind is this one's now.
pub async fn adopted(cx: &Context, object: &ObjectReference) {
    let note = "This object takes over what an earlier object of its name left in AWS";
    cx.event(object, EventType::Normal, "Adopted", "Reconcile", note).await;
}

/// Somebody else had changed something, and it was put right. Each pass that finds such a change says so. All changes of a pass
/// are one event, because events of one reason are counted as one.
pub async fn drift_repaired(cx: &Context, object: &ObjectReference, drift: &[String]) {
    if drift.is_empty() {
        return;
    }
    let note = format!(
        "{}. Somebody else had changed this. The operator repaired it, and does so each time: change the spec instead, or keep \
         others from changing it",
        drift.join("; ")
    );
    cx.event(object, EventType::Warning, "DriftRepaired", "Reconcile", note).await;
}

/// The key's tag is of an older release, and the next release will not read it. Each full look at AWS says so again.
pub async fn tag_is_old(cx: &Context, object: &ObjectReference, memory: &mut Memory) {
    let Some(OldTag { key, value }) = memory.old_tag.take() else { return };
    let installation = lent::to_installation(&cx.scope.installation);
    let namespace = lent::to_namespace(object.namespace.as_deref().unwrap_or("<namespace>"));
    let note = format!(
        "KMS key {key} is tagged {} = '{value}', which does not say whether that is an installation or a namespace. The next \
         release will not read it. Whoever owns the key tags it '{installation}', for SharedStacks, or '{namespace}', for Silo \
         tenants of that namespace",
        lent::TAG
    );
    cx.event(object, EventType::Warning, "KeyTagOld", "Reconcile", note).await;
}

/// What a review of a pool's documents found that somebody should know of. It gives numbers only: the events of SharedStacks
/// are in the namespace `default`, and have more readers than the SharedStack.
pub async fn reviewed(cx: &Context, object: &ObjectReference, findings: &Findings) {
    let Findings { corrected, quarantined, .. } = findings;
    if corrected.count > 0 {
        tracing::warn!(stack = object.name, %corrected, "metadata files named another tenant beside these documents");
        let note = format!(
            "{} metadata files named another tenant than the one under whose prefix they are, and were corrected; the \
             originals are in {QUARANTINE}, and the operator's log has their names",
            corrected.count
        );
        cx.event(object, EventType::Warning, "SidecarCorrected", "Sync", note).await;
    }
    if quarantined.count > 0 {
        tracing::warn!(stack = object.name, keys = %quarantined, "documents were put into quarantine");
        let note = format!(
            "The keys of {} documents name no tenant, or leave no room for a metadata file: they were moved to {QUARANTINE}, so \
             that nobody is answered from them, and the operator's log has their names. Put them under pool/<tenantId>/",
            quarantined.count
        );
        cx.event(object, EventType::Warning, "DocumentsQuarantined", "Sync", note).await;
    }
}

/// While records of tenantIds are lost, every SharedStack says so. Its borrowers are well, and say nothing.
pub async fn records_lost(cx: &Context, object: &ObjectReference) {
    if let Phase::Lost(trouble) = cx.ids.phase() {
        cx.event(object, EventType::Warning, Reason::RecordsLost, "Reconcile", trouble.to_string()).await;
    }
}

/// Another installation has its finalizer on the object, and writes its status. We say so in an event only.
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
/// If the cached object is older than our last write, an equal status does not prove that nothing changed. Then the write is
/// made all the same. The API server refuses it, and the pass is repeated with a fresh object.
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
    let stale = cx.written.is_stale(&uid, object.resource_version.as_deref());
    if before == after && !stale {
        return Ok(());
    }
    let write = async {
        let patch = json!({"metadata": {"resourceVersion": object.resource_version}, "status": after});
        let name = object.name.as_deref().unwrap_or_default();
        let written = api.patch_status(name, &PatchParams::default(), &Patch::Merge(&patch)).await?;
        if let Some(version) = written.meta().resource_version.clone() {
            cx.written.note(uid, version);
        }
        transitions(cx, object, before, after, quiet).await;
        Ok(())
    };
    // Most passes have nothing to write, and need no room for it.
    Box::pin(write).await
}

/// What of a condition makes its trouble another one.
#[derive(Clone, Copy, PartialEq, Eq)]
enum News {
    Reason,
    Message,
}

/// Trouble that an event tells when it begins, and when it becomes another.
struct Told {
    condition: ConditionType,
    /// The condition's status while there is trouble.
    bad: &'static str,
    /// What the operator was doing.
    action: &'static str,
    /// Which reasons are told.
    is_told: fn(Reason) -> bool,
    /// What makes it another.
    news: News,
}

impl Told {
    const fn when(
        condition: ConditionType,
        bad: &'static str,
        action: &'static str,
        is_told: fn(Reason) -> bool,
    ) -> Self {
        Self { condition, bad, action, is_told, news: News::Reason }
    }

    /// The trouble that a status has, if it is one that is told.
    fn trouble<'a>(&self, status: &'a Status) -> Option<&'a Condition> {
        let bad = status.condition(self.condition).filter(|it| it.status == self.bad)?;
        Reason::parse(&bad.reason).is_some_and(self.is_told).then_some(bad)
    }

    /// The trouble that a status has, if the status before it had another, or none.
    fn news<'a>(&self, before: &Status, after: &'a Status) -> Option<&'a Condition> {
        let trouble = self.trouble(after)?;
        let is_known = self.trouble(before).is_some_and(|known| match self.news {
            News::Reason => known.reason == trouble.reason,
            News::Message => known.message == trouble.message,
        });
        (!is_known).then_some(trouble)
    }
}

const TOLD: &[Told] = &[
    Told::when(ConditionType::Stalled, "True", "Reconcile", |_| true),
    // Only a failure that lasts. While AWS asks to go slower, all objects of an account wait at once.
    Told::when(ConditionType::Reconciling, "True", "Reconcile", |reason| reason == Reason::Transient),
    Told::when(ConditionType::StackReady, "False", "Reconcile", |reason| reason == Reason::StackNotFound),
    Told::when(ConditionType::Accepted, "False", "Reconcile", |reason| reason == Reason::ClassNotFound),
    Told::when(ConditionType::DeletionBlocked, "True", "Delete", |_| true),
    Told::when(ConditionType::Registered, "False", "Register", needs_person),
    Told::when(ConditionType::DocumentsCurrent, "False", "Sync", |reason| {
        needs_person(reason) || reason == Reason::SyncFailed
    }),
    Told::when(ConditionType::Paused, "True", "Reconcile", |reason| reason == Reason::AnnotationInvalid),
    // Its message changes 90, 30 and 7 days before the end, and at the end.
    Told { news: News::Message, ..Told::when(ConditionType::ModelCurrent, "False", "Reconcile", |_| true) },
];

fn needs_person(reason: Reason) -> bool {
    reason.severity() == Severity::Stalled
}

/// What an event says of trouble. Events of SharedStacks are in the namespace `default`. More people read them than read
/// the SharedStack, so they name no tenant.
fn told_of(object: &ObjectReference, kind: ConditionType, trouble: &Condition) -> String {
    let names_tenants = Reason::parse(&trouble.reason).filter(|reason| reason.names_tenants());
    match names_tenants.filter(|_| object.namespace.is_none()) {
        Some(reason) => {
            format!("{} The condition {kind} of the SharedStack has the details", reason.meaning())
        }
        None => trouble.message.clone(),
    }
}

/// Tells what has changed: trouble always, and readiness unless `quiet`.
async fn transitions(cx: &Context, object: &ObjectReference, before: &Status, after: &Status, quiet: bool) {
    for told in TOLD {
        if let Some(trouble) = told.news(before, after) {
            let note = told_of(object, told.condition, trouble);
            cx.event(object, EventType::Warning, &trouble.reason, told.action, note).await;
        }
    }
    deletion_began(cx, object, before, after).await;
    became_ready(cx, object, before, after, quiet).await;
    unclaimed_became_more(cx, object, before, after).await;
}

async fn deletion_began(cx: &Context, object: &ObjectReference, was: &Status, is: &Status) {
    if let Some(began) = &is.grace_started_time
        && was.grace_started_time.as_ref() != Some(began)
    {
        let until = grace::ends(began.0, cx.clock.outside(cx.settings.deletion_grace));
        cx.event(object, EventType::Normal, Reason::GracePeriod, "Delete", grace::says(until)).await;
    }
    if let Some(began) = &is.deletion_started_time
        && was.deletion_started_time.as_ref() != Some(began)
    {
        cx.event(object, EventType::Normal, Reason::Deleting, "Delete", "The deletion begins").await;
    }
}

async fn became_ready(cx: &Context, object: &ObjectReference, was: &Status, is: &Status, quiet: bool) {
    let became_ready = is.is_true(ConditionType::Ready) && !was.is_true(ConditionType::Ready);
    // All tenants of a pool follow the pool at once. Each of them tells its first readiness.
    let is_first = was.knowledge_base_id.is_none() && is.knowledge_base_id.is_some();
    if became_ready && (!quiet || is_first || was.is_true(ConditionType::Stalled)) {
        let note = "The stack is ready to query";
        cx.event(object, EventType::Normal, Reason::Ready, "Reconcile", note).await;
    }
}

async fn unclaimed_became_more(cx: &Context, object: &ObjectReference, was: &Status, is: &Status) {
    let unclaimed = |status: &Status| status.unclaimed_documents.unwrap_or(0);
    if unclaimed(is) > unclaimed(was) {
        // It gives the number only: an id that no Tenant has today may have been a tenant's.
        let note = format!(
            "{} documents lie under tenantIds that are nobody's, perhaps misspelt: no query finds them. Create the Tenant, \
             or move them to the pool/<tenantId>/ of one that is there; until then they stay as they are",
            unclaimed(is)
        );
        cx.event(object, EventType::Warning, "DocumentsUnclaimed", "Sync", note).await;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::reconcile::Action;
    use jiff::Timestamp;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

    use super::*;
    use crate::api::{SharedStack, Tenant};
    use crate::documents::findings::Names;
    use crate::reconcile::mocked::{
        ApiServer, Exchange, TENANT, api_server, context, event, event_of, merge_patch, read, shared_stack,
        tenant,
    };
    use crate::reconcile::retry;
    use crate::records::Trouble;
    use crate::stack::model::blocked::Blocked;
    use crate::stack::model::outcome::Outcome;

    const LONG_AGO: Time = Time(Timestamp::UNIX_EPOCH);
    const UID: &str = "uid-acme";

    fn acme() -> ObjectReference {
        subject(&read::<Tenant>(tenant(json!({}))))
    }

    fn says(kind: ConditionType, status: &str, reason: Reason) -> Condition {
        Condition {
            type_: kind.to_string(),
            status: status.into(),
            reason: reason.to_string(),
            message: format!("{kind} {status}: {reason}"),
            observed_generation: Some(3),
            last_transition_time: LONG_AGO,
        }
    }

    fn status(conditions: &[Condition]) -> Status {
        Status { conditions: conditions.to_vec(), ..Status::default() }
    }

    /// A status is written over version 7, which becomes version 8.
    fn writes(after: &Status) -> Exchange {
        let patch = json!({"metadata": {"resourceVersion": "7"}, "status": after});
        merge_patch(format!("{TENANT}/status"), patch).answered(tenant(json!({"resourceVersion": "8"})))
    }

    async fn written(server: &ApiServer, cx: &Context, before: &Status, after: &Status) -> Result<(), Error> {
        let api: Api<Tenant> = Api::namespaced(server.client(), "tenants");
        write(cx, &api, &acme(), before, after, false).await
    }

    fn remembered(cx: &Context) -> Option<String> {
        cx.written.get(UID)
    }

    fn ready() -> Status {
        Status {
            observed_generation: Some(3),
            bucket: Some("prod-ta-acme".into()),
            ..status(&[says(ConditionType::Ready, "True", Reason::Ready)])
        }
    }

    #[tokio::test]
    async fn what_has_not_changed_is_not_written() {
        let server = api_server([]);
        let cx = context(server.client());
        written(&server, &cx, &ready(), &ready()).await.unwrap();
        assert_eq!(remembered(&cx), None);
        cx.written.note(UID.into(), "7".into());
        cx.written.note("another".into(), "9".into());
        written(&server, &cx, &ready(), &ready()).await.unwrap();
        assert_eq!(remembered(&cx), None, "the cache has it");
    }

    #[tokio::test]
    async fn what_has_changed_is_written_whole_and_what_is_absent_removed() {
        let after = Status { knowledge_base_id: Some("KB1".into()), bucket: None, ..ready() };
        let patch = json!({
            "metadata": {"resourceVersion": "7"},
            "status": {
                "observedGeneration": 3,
                "conditions": [{
                    "type": "Ready", "status": "True", "reason": "Ready", "message": "Ready True: Ready",
                    "observedGeneration": 3, "lastTransitionTime": "1970-01-01T00:00:00Z",
                }],
                "knowledgeBaseId": "KB1",
                "knowledgeBaseArn": null, "dataSourceId": null, "indexName": null, "indexArn": null, "vectorStore": null, "storeArn": null, "collectionArn": null,
                "collectionEndpoint": null, "bucket": null, "prefix": null, "roleArn": null, "kmsKeyArn": null,
                "region": null, "retrievalFilter": null, "documentsMovedTime": null, "hadDocuments": null, "idRecord": null, "ingestion": null,
                "reindexing": null, "placement": null, "class": null, "answers": null, "documents": null, "unclaimedDocuments": null, "graceStartedTime": null, "deletionStartedTime": null,
            },
        });
        let patch = merge_patch(format!("{TENANT}/status"), patch);
        let server = api_server([patch.answered(tenant(json!({"resourceVersion": "8"})))]);
        let cx = context(server.client());
        cx.written.note("another".into(), "9".into());
        written(&server, &cx, &ready(), &after).await.unwrap();
        assert_eq!(remembered(&cx).as_deref(), Some("8"));
        assert_eq!(cx.written.get("another").as_deref(), Some("9"));
    }

    #[tokio::test]
    async fn an_older_view_than_our_last_word_is_written_although_it_says_the_same() {
        let server = api_server([writes(&ready()).refused(409), writes(&ready())]);
        let cx = context(server.client());
        cx.written.note(UID.into(), "9".into());
        let refused = written(&server, &cx, &ready(), &ready()).await.unwrap_err();
        assert!(
            matches!(&refused, Error::Kube(error) if matches!(&**error, kube::Error::Api(it) if it.code == 409))
        );
        assert_eq!(remembered(&cx).as_deref(), Some("9"));
        assert_eq!(retry::after(&cx, Some(UID), &refused), Action::requeue(Duration::from_secs(1)));
        assert_eq!(cx.memories.get(UID).failures, 0);

        // Somebody else changed the object since: nothing is left to say, and the new version is known.
        written(&server, &cx, &ready(), &ready()).await.unwrap();
        assert_eq!(remembered(&cx).as_deref(), Some("8"));
    }

    #[tokio::test]
    async fn each_shared_stack_tells_that_records_are_lost_and_of_nothing_else() {
        let object = shared_stack(json!({}));
        let stack = subject(&read::<SharedStack>(object.clone()));
        let gone = Trouble::Lost("The installation's bucket".into());
        let note = gone.to_string();
        let server = api_server([event_of(&object, "Warning", "RecordsLost", "Reconcile", &note)]);
        let cx = context(server.client());
        records_lost(&cx, &stack).await;
        assert!(server.seen().is_empty());
        cx.ids.are_lost(&gone);
        records_lost(&cx, &stack).await;
    }

    #[tokio::test]
    async fn what_was_not_written_is_told_to_nobody() {
        let stalled = status(&[says(ConditionType::Stalled, "True", Reason::Denied)]);
        for code in [403, 404, 409, 500] {
            let server = api_server([writes(&stalled).refused(code)]);
            let cx = context(server.client());
            assert!(written(&server, &cx, &Status::default(), &stalled).await.is_err());
            assert_eq!(remembered(&cx), None);
        }
    }

    #[tokio::test]
    async fn an_event_that_is_refused_does_not_undo_what_was_written() {
        let stalled = status(&[says(ConditionType::Stalled, "True", Reason::Denied)]);
        let told = event("Warning", "Denied", "Reconcile", "Stalled True: Denied");
        let server = api_server([writes(&stalled), told.refused(403)]);
        let cx = context(server.client());
        written(&server, &cx, &Status::default(), &stalled).await.unwrap();
        assert_eq!(remembered(&cx).as_deref(), Some("8"));
    }

    /// Writes `after` over `before`, and expects these events behind it.
    async fn tells(
        before: &[Condition],
        after: &[Condition],
        quiet: bool,
        events: &[(&str, &str, &str, &str)],
    ) {
        // There is always something to write.
        let after = Status { observed_generation: Some(4), ..status(after) };
        let events = events.iter().map(|(type_, reason, action, note)| event(type_, reason, action, note));
        let server = api_server(std::iter::once(writes(&after)).chain(events));
        let (cx, api) = (context(server.client()), Api::<Tenant>::namespaced(server.client(), "tenants"));
        write(&cx, &api, &acme(), &status(before), &after, quiet).await.unwrap();
    }

    #[tokio::test]
    async fn what_begins_to_stall_or_stalls_for_another_reason_is_told() {
        let stalled = |status, reason| [says(ConditionType::Stalled, status, reason)];
        let denied: &[_] = &[("Warning", "Denied", "Reconcile", "Stalled True: Denied")];
        let quota: &[_] = &[("Warning", "Quota", "Reconcile", "Stalled True: Quota")];
        let (yes, no) = ("True", "False");
        for (before, after, events) in [
            (&[][..], stalled(yes, Reason::Denied), denied),
            (&stalled(no, Reason::Ready), stalled(yes, Reason::Denied), denied),
            (&stalled(no, Reason::Denied), stalled(yes, Reason::Denied), denied),
            (&stalled("Unknown", Reason::Denied), stalled(yes, Reason::Denied), denied),
            (&stalled(yes, Reason::Denied), stalled(yes, Reason::Quota), quota),
            (&stalled(yes, Reason::Denied), stalled(yes, Reason::Denied), &[]),
            (&stalled(yes, Reason::Denied), stalled(no, Reason::Ready), &[]),
            (&stalled(no, Reason::Ready), stalled(no, Reason::Creating), &[]),
            (&[], stalled(no, Reason::Denied), &[]),
        ] {
            for quiet in [false, true] {
                tells(before, &after, quiet, events).await;
            }
        }
        let (mut before, after) = (stalled(yes, Reason::Denied), stalled(yes, Reason::Denied));
        before[0].message = "Another action is missing".into();
        tells(&before, &after, false, &[]).await;
    }

    #[tokio::test]
    async fn what_begins_to_block_a_deletion_or_blocks_it_for_another_reason_is_told() {
        let blocked = |reason| [says(ConditionType::DeletionBlocked, "True", reason)];
        let borrowed: &[_] = &[("Warning", "Borrowed", "Delete", "DeletionBlocked True: Borrowed")];
        let locked: &[_] = &[("Warning", "ObjectsLocked", "Delete", "DeletionBlocked True: ObjectsLocked")];
        for (before, after, events) in [
            (&[][..], &blocked(Reason::Borrowed)[..], borrowed),
            (&blocked(Reason::Borrowed), &blocked(Reason::ObjectsLocked), locked),
            (&blocked(Reason::Borrowed), &blocked(Reason::Borrowed), &[]),
            (&blocked(Reason::Borrowed), &[], &[]),
        ] {
            for quiet in [false, true] {
                tells(before, after, quiet, events).await;
            }
        }
    }

    #[tokio::test]
    async fn what_became_ready_is_told_unless_it_is_quiet_and_never_stalled() {
        let ready = says(ConditionType::Ready, "True", Reason::Ready);
        let building = says(ConditionType::Ready, "False", Reason::Creating);
        let unknown = says(ConditionType::Ready, "Unknown", Reason::Creating);
        let stalled = says(ConditionType::Stalled, "True", Reason::Denied);
        let going = says(ConditionType::Stalled, "False", Reason::Ready);
        let told: &[_] = &[("Normal", "Ready", "Reconcile", "The stack is ready to query")];
        for (before, after, if_loud, if_quiet) in [
            (vec![], vec![&ready], told, &[][..]),
            (vec![&building], vec![&ready], told, &[]),
            (vec![&unknown], vec![&ready], told, &[]),
            (vec![&building, &going], vec![&ready, &going], told, &[]),
            (vec![&building, &stalled], vec![&ready, &going], told, told),
            (vec![&ready], vec![&ready], &[], &[]),
            (vec![&ready, &stalled], vec![&ready], &[], &[]),
            (vec![&ready], vec![&building], &[], &[]),
            (vec![&building, &stalled], vec![&building, &going], &[], &[]),
            (vec![], vec![&building], &[], &[]),
        ] {
            let list = |conditions: Vec<&Condition>| conditions.into_iter().cloned().collect::<Vec<_>>();
            let (before, after) = (list(before), list(after));
            tells(&before, &after, false, if_loud).await;
            tells(&before, &after, true, if_quiet).await;
        }
    }

    /// Ten thousand of them follow their pool, so only the first readiness is news.
    #[tokio::test]
    async fn no_pool_tenant_becomes_ready_for_the_first_time_without_a_word() {
        let says = |ready: &str, knowledge_base: Option<&str>| Status {
            knowledge_base_id: knowledge_base.map(Into::into),
            ..status(&[says(ConditionType::Ready, ready, Reason::Ready)])
        };
        for (before, after, is_told) in [
            (Status::default(), says("True", Some("KB1")), true),
            (says("False", None), says("True", Some("KB1")), true),
            (says("False", Some("KB1")), says("True", Some("KB1")), false),
            (says("False", None), says("False", Some("KB1")), false),
        ] {
            let told = is_told.then(|| event("Normal", "Ready", "Reconcile", "The stack is ready to query"));
            let after = Status { observed_generation: Some(4), ..after };
            let server = api_server(std::iter::once(writes(&after)).chain(told));
            let api: Api<Tenant> = Api::namespaced(server.client(), "tenants");
            write(&context(server.client()), &api, &acme(), &before, &after, true).await.unwrap();
        }
    }

    /// What of a condition that is False is told, for these reasons alone.
    async fn is_told_if_false(kind: ConditionType, action: &str, reasons: &[Reason]) {
        for reason in Reason::ALL {
            let (no, note) = (says(kind, "False", *reason), format!("{kind} False: {reason}"));
            let told = [("Warning", reason.as_str(), action, note.as_str())];
            let events = if reasons.contains(reason) { &told[..] } else { &[] };
            tells(&[], std::slice::from_ref(&no), true, events).await;
            if events.is_empty() {
                continue;
            }
            let other = reasons.iter().find(|other| *other != reason).unwrap();
            let (yes, unknown) = (says(kind, "True", *reason), says(kind, "Unknown", *reason));
            let before = says(kind, "True", Reason::Registered);
            tells(&[before], std::slice::from_ref(&no), false, events).await;
            tells(&[says(kind, "False", *other)], std::slice::from_ref(&no), false, events).await;
            tells(std::slice::from_ref(&no), std::slice::from_ref(&no), false, &[]).await;
            tells(std::slice::from_ref(&no), &[], false, &[]).await;
            tells(&[], &[yes], false, &[]).await;
            tells(&[], &[unknown], false, &[]).await;
        }
        let foreign = Condition { reason: "SomebodyElses".into(), ..says(kind, "False", reasons[0]) };
        tells(&[], &[foreign], false, &[]).await;
    }

    #[tokio::test]
    async fn trouble_with_the_registry_that_needs_a_person_is_told() {
        is_told_if_false(ConditionType::Registered, "Register", &needs_person()).await;
    }

    fn needs_person() -> Vec<Reason> {
        Reason::ALL.iter().copied().filter(|reason| reason.severity() == Severity::Stalled).collect()
    }

    /// Such as LargeDeletion, Invalid, Denied, DocumentsFailed; and a job that failed is tried again, but told.
    #[tokio::test]
    async fn whatever_needs_a_person_about_documents_is_told_and_so_is_a_job_that_failed() {
        let reasons = [needs_person(), vec![Reason::SyncFailed]].concat();
        for expected in [Reason::LargeDeletion, Reason::Invalid, Reason::Denied, Reason::DocumentsFailed] {
            assert!(reasons.contains(&expected));
        }
        is_told_if_false(ConditionType::DocumentsCurrent, "Sync", &reasons).await;
    }

    #[tokio::test]
    async fn a_stack_that_is_not_there_and_a_failure_that_lasts_are_told() {
        let none = says(ConditionType::StackReady, "False", Reason::StackNotFound);
        let told = ("Warning", "StackNotFound", "Reconcile", "StackReady False: StackNotFound");
        tells(&[], std::slice::from_ref(&none), true, &[told]).await;
        tells(std::slice::from_ref(&none), std::slice::from_ref(&none), true, &[]).await;
        let other = says(ConditionType::StackReady, "False", Reason::StackNotReady);
        tells(std::slice::from_ref(&none), &[other], true, &[]).await;
        let fails = says(ConditionType::Reconciling, "True", Reason::Transient);
        let told = ("Warning", "Transient", "Reconcile", "Reconciling True: Transient");
        tells(&[], std::slice::from_ref(&fails), true, &[told]).await;
        tells(std::slice::from_ref(&fails), std::slice::from_ref(&fails), true, &[]).await;
        for (status, reason) in
            [("True", Reason::Creating), ("True", Reason::Throttled), ("False", Reason::Ready)]
        {
            tells(&[], &[says(ConditionType::Reconciling, status, reason)], true, &[]).await;
        }
    }

    #[tokio::test]
    async fn everything_that_happened_is_told() {
        let after = [
            says(ConditionType::Stalled, "True", Reason::Denied),
            says(ConditionType::DocumentsCurrent, "False", Reason::SyncFailed),
            says(ConditionType::Registered, "False", Reason::Invalid),
            says(ConditionType::DeletionBlocked, "True", Reason::Denied),
        ];
        let events = [
            ("Warning", "Denied", "Reconcile", "Stalled True: Denied"),
            ("Warning", "Denied", "Delete", "DeletionBlocked True: Denied"),
            ("Warning", "Invalid", "Register", "Registered False: Invalid"),
            ("Warning", "SyncFailed", "Sync", "DocumentsCurrent False: SyncFailed"),
        ];
        tells(&[], &after, false, &events).await;
    }

    #[test]
    fn a_report_is_put_into_the_status_that_stands() {
        let report = Report {
            outcome: Outcome::Refused(Blocked { reason: Reason::TenantIdTaken, message: "taken".into() }),
            ..Report::default()
        };
        let mut judged = Status {
            observed_generation: Some(3),
            bucket: Some("prod-ta-acme".into()),
            ..status(&[
                says(ConditionType::Ready, "False", Reason::Creating),
                says(ConditionType::Paused, "True", Reason::Paused),
            ])
        };
        let (before, began) = (judged.clone(), clock::now());
        set_conditions(&mut judged, &report, 4);
        let at = judged.condition(ConditionType::Stalled).unwrap().last_transition_time.clone();
        assert!(began <= at && at <= clock::now());
        let conditions = report.conditions(&before.conditions, 4, &at);
        assert_eq!(conditions[0].last_transition_time, LONG_AGO, "Ready was False before");
        assert_eq!(judged, Status { conditions, observed_generation: Some(4), ..before });
    }

    #[test]
    fn what_is_paused_is_ready_only_as_long_as_that_speaks_of_it() {
        let ready = says(ConditionType::Ready, "True", Reason::Ready);
        let bucket = says(ConditionType::BucketReady, "True", Reason::Ready);
        let message = "The annotation tenantry.dev/paused stops all work on this object, its teardown included; \
                       remove it to go on";
        let leaving = json!({"deletionTimestamp": "2026-01-01T00:00:00Z"});
        for (observed, meta, stands) in [
            (Some(3), json!({}), true),
            (Some(2), json!({}), false),
            (None, json!({}), false),
            (Some(3), json!({"generation": 4}), false),
            (Some(3), leaving.clone(), false),
            (Some(2), leaving, false),
        ] {
            let meta = read::<Tenant>(tenant(meta)).metadata;
            let before = Status { observed_generation: observed, ..status(&[ready.clone(), bucket.clone()]) };
            let (mut after, began) = (before.clone(), clock::now());
            pause(&mut after, &meta);
            let at = after.condition(ConditionType::Paused).unwrap().last_transition_time.clone();
            assert!(began <= at && at <= clock::now());
            let paused = |kind, status_: &str| Condition {
                message: message.into(),
                observed_generation: meta.generation,
                last_transition_time: at.clone(),
                ..says(kind, status_, Reason::Paused)
            };
            let ready = if stands { ready.clone() } else { paused(ConditionType::Ready, "False") };
            let conditions = vec![ready, bucket.clone(), paused(ConditionType::Paused, "True")];
            assert_eq!(after, Status { conditions, observed_generation: meta.generation, ..before });
        }
    }

    #[test]
    fn a_pause_that_is_not_understood_says_so() {
        for (value, reason) in
            [("true", Reason::Paused), ("Yes", Reason::Paused), ("ja", Reason::AnnotationInvalid)]
        {
            let meta = json!({"annotations": {PAUSED: value}, "generation": 4});
            let mut after = status(&[]);
            pause(&mut after, &read::<Tenant>(tenant(meta)).metadata);
            for kind in [ConditionType::Paused, ConditionType::Ready] {
                assert_eq!(after.condition(kind).unwrap().reason, reason.as_str(), "{value}: {kind}");
            }
            let names_it = after.condition(ConditionType::Paused).unwrap().message.contains("'ja'");
            assert_eq!(names_it, value == "ja");
        }
    }

    #[tokio::test]
    async fn a_pause_that_is_not_understood_is_told() {
        let unclear = [says(ConditionType::Paused, "True", Reason::AnnotationInvalid)];
        let paused = [says(ConditionType::Paused, "True", Reason::Paused)];
        let told: &[_] = &[("Warning", "AnnotationInvalid", "Reconcile", "Paused True: AnnotationInvalid")];
        for (before, after, events) in [
            (&[][..], &unclear[..], told),
            (&paused, &unclear, told),
            (&unclear, &unclear, &[]),
            (&unclear, &paused, &[]),
            (&[], &paused, &[]),
        ] {
            tells(before, after, true, events).await;
        }
    }

    #[tokio::test]
    async fn no_deletion_begins_untold() {
        let at = |second| Some(Time(Timestamp::from_second(second).unwrap()));
        let grace =
            event("Normal", "GracePeriod", "Delete", &grace::says(Timestamp::from_second(1600).unwrap()));
        let begins = event("Normal", "Deleting", "Delete", "The deletion begins");
        for (before, after, events) in [
            ((None, None), (at(1000), None), vec![grace.clone()]),
            ((at(1000), None), (at(1000), None), vec![]),
            ((at(10), None), (at(1000), None), vec![grace]),
            ((at(1000), None), (at(1000), at(1600)), vec![begins.clone()]),
            ((None, None), (None, at(1600)), vec![begins]),
            ((at(1000), at(1600)), (at(1000), at(1600)), vec![]),
            ((at(1000), at(1600)), (None, None), vec![]),
        ] {
            let status = |generation, (grace_started_time, deletion_started_time)| Status {
                observed_generation: Some(generation),
                grace_started_time,
                deletion_started_time,
                ..Status::default()
            };
            let (before, after) = (status(3, before), status(4, after));
            let server = api_server(std::iter::once(writes(&after)).chain(events));
            written(&server, &context(server.client()), &before, &after).await.unwrap();
        }
    }

    #[test]
    fn a_subject_is_the_object_as_it_was_read() {
        let whole = ObjectReference {
            api_version: Some("tenantry.dev/v1alpha1".into()),
            kind: Some("Tenant".into()),
            name: Some("acme".into()),
            namespace: Some("tenants".into()),
            uid: Some(UID.into()),
            resource_version: Some("7".into()),
            field_path: None,
        };
        assert_eq!(acme(), whole);
        let stack = subject(&read::<SharedStack>(shared_stack(json!({}))));
        let expected = ObjectReference {
            kind: Some("SharedStack".into()),
            name: Some("standard".into()),
            namespace: None,
            uid: Some("uid-standard".into()),
            ..whole
        };
        assert_eq!(stack, expected);
    }

    #[tokio::test]
    async fn what_is_taken_over_and_what_is_anothers_is_told() {
        let held = "It is held by the installation 'test' and left alone by 'prod'. Two --selectors that overlap, or a \
                    label that was moved, make it visible to both";
        let server = api_server([
            event(
                "Normal",
                "Adopted",
                "Reconcile",
                "This object takes over what an earlier object of its name left in AWS",
            ),
            event("Warning", "HeldByAnother", "Reconcile", held),
        ]);
        let cx = context(server.client());
        adopted(&cx, &acme()).await;
        held_by_another(&cx, &acme(), "test").await;
    }

    #[test]
    fn an_event_of_a_shared_stack_names_no_tenant() {
        let stack = subject(&read::<SharedStack>(shared_stack(json!({}))));
        for reason in Reason::ALL {
            let trouble = Condition {
                reason: reason.to_string(),
                message: "Tenant team-a/acme, pool/acme/salaries.md".into(),
                ..says(ConditionType::Stalled, "True", *reason)
            };
            let said = told_of(&stack, ConditionType::Stalled, &trouble);
            assert_eq!(said.contains("acme"), !reason.names_tenants(), "{said}");
            assert_eq!(
                told_of(&acme(), ConditionType::Stalled, &trouble),
                trouble.message,
                "its own is told"
            );
        }
    }

    #[tokio::test]
    async fn documents_that_are_nobodys_are_told_when_they_become_more() {
        for (before, after, is_told) in [
            (None, Some(2), true),
            (Some(1), Some(2), true),
            (Some(2), Some(2), false),
            (Some(3), Some(2), false),
            (Some(2), None, false),
        ] {
            let status = |generation, count| Status {
                observed_generation: Some(generation),
                unclaimed_documents: count,
                ..Status::default()
            };
            let (before, after) = (status(3, before), status(4, after));
            let note = "2 documents lie under tenantIds that are nobody's, perhaps misspelt: no query finds them. Create the \
                        Tenant, or move them to the pool/<tenantId>/ of one that is there; until then they stay as they are";
            let told = is_told.then(|| event("Warning", "DocumentsUnclaimed", "Sync", note));
            let server = api_server(std::iter::once(writes(&after)).chain(told));
            written(&server, &context(server.client()), &before, &after).await.unwrap();
        }
    }

    #[tokio::test]
    async fn what_a_review_corrected_or_put_into_quarantine_is_told() {
        let corrected = "2 metadata files named another tenant than the one under whose prefix they are, and were \
                         corrected; the originals are in tenantry/quarantine/, and the operator's log has their names";
        let quarantined = "The keys of 1 documents name no tenant, or leave no room for a metadata file: they were moved to \
                           tenantry/quarantine/, so that nobody is answered from them, and the operator's log has their \
                           names. Put them under pool/<tenantId>/";
        let stack = shared_stack(json!({}));
        let corrected = event_of(&stack, "Warning", "SidecarCorrected", "Sync", corrected);
        let quarantined = event_of(&stack, "Warning", "DocumentsQuarantined", "Sync", quarantined);
        let names = |count, first: &str| Names { count, first: vec![first.into()] };
        let all = Findings {
            documents: 5,
            corrected: names(2, "pool/a/x.md"),
            quarantined: names(1, "pool/y.md"),
            ..Findings::default()
        };
        for (findings, events) in [
            (Findings { corrected: Names::default(), quarantined: Names::default(), ..all.clone() }, vec![]),
            (Findings { quarantined: Names::default(), ..all.clone() }, vec![corrected.clone()]),
            (Findings { corrected: Names::default(), ..all.clone() }, vec![quarantined.clone()]),
            (all, vec![corrected, quarantined]),
        ] {
            let server = api_server(events);
            let standard = subject(&read::<SharedStack>(stack.clone()));
            reviewed(&context(server.client()), &standard, &findings).await;
        }
    }
}
