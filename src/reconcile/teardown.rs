//! What both kinds have in common on the way back: the grace, the pause, and what is reported of it.

use std::time::Duration;

use crate::reconcile::Action;
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use kube::api::DynamicObject;
use kube::{Api, Resource, ResourceExt};
use serde::de::DeserializeOwned;

use super::context::Context;
use super::{Error, conditions_writer};
use crate::api::{DeletionPolicy, Layer, PerLayer, Reason, Severity, Status};
use crate::clock;
use crate::stack::forecast::price::Prices;
use crate::stack::identity::Identity;
use crate::stack::layout::marker_key;
use crate::stack::model::grace::{self, Deletion, Grace};
use crate::stack::model::observed::CollectionDetail;
use crate::stack::model::outcome::{Documents, LayerStatus, Leaving, Outcome};
use crate::stack::model::progress::{Cadence, Progress, STALLED};
use crate::stack::model::teardown_order::{self, OnDelete};
use crate::stack::offer::Offer;

/// How long AWS may refuse a step of the way back before a person should look.
pub const DEADLINE: Duration = Duration::from_secs(30 * 60);

/// A field of an object whose spec may not be readable as a whole.
pub fn field<T: DeserializeOwned>(object: &DynamicObject, pointer: &str) -> Option<T> {
    object.data.pointer(pointer).and_then(|value| serde_json::from_value(value.clone()).ok())
}

/// Whether the object had a key made for it.
pub fn creates_key(object: &DynamicObject) -> bool {
    field::<String>(object, "/spec/encryption/key").is_some_and(|key| key == "Create")
}

/// The first brake: deletion begins some minutes after the operator could have begun with it. Both moments are in the status
/// before anything follows from them.
pub fn grace(cx: &Context, meta: &ObjectMeta, status: &mut Status) -> Option<Progress> {
    let (now, until) = match how_far(cx, meta, status)? {
        (_, Grace::Over) => return None,
        (now, Grace::Ends) => {
            note(cx, meta, status, status.grace_started_time.clone(), Some(now));
            return Some(Progress::waiting(Reason::Deleting, "The deletion begins"));
        }
        (now, Grace::Begins(began)) => {
            note(cx, meta, status, Some(Time(began)), None);
            (now, grace::ends(began, cx.clock.outside(cx.settings.deletion_grace)))
        }
        (now, Grace::Runs(until)) => (now, until),
    };
    let left = Duration::try_from(until.duration_since(now.0)).unwrap_or_default();
    let cadence = Cadence::After(cx.clock.inside(left));
    Some(Progress::Waiting { reason: Reason::GracePeriod, message: grace::says(until), cadence })
}

/// The grace begins although something else is waited for first: whoever reads of it can say no meanwhile.
pub fn begin_grace(cx: &Context, meta: &ObjectMeta, status: &mut Status) {
    if let Some((_, Grace::Begins(began))) = how_far(cx, meta, status) {
        note(cx, meta, status, Some(Time(began)), None);
    }
}

/// How far the grace is now, of an object that is being deleted.
fn how_far(cx: &Context, meta: &ObjectMeta, status: &Status) -> Option<(Time, Grace)> {
    let asked = meta.deletion_timestamp.as_ref()?.0;
    let memory = cx.memories.get(meta.uid.as_deref().unwrap_or_default());
    let moment = |said: &Option<Time>, noted: Option<Time>| said.clone().or(noted).map(|at| at.0);
    let deletion = Deletion {
        asked,
        grace_started: moment(&status.grace_started_time, memory.grace_started),
        started: moment(&status.deletion_started_time, memory.deletion_started),
        acts_since: cx.acts_since,
    };
    let now = Time(clock::now().0.max(asked));
    let grace = cx.clock.outside(cx.settings.deletion_grace);
    Some((now.clone(), deletion.grace(grace, now.0)))
}

/// Puts both moments into the status, and into memory.
fn note(cx: &Context, meta: &ObjectMeta, status: &mut Status, grace: Option<Time>, deletion: Option<Time>) {
    cx.memories.note(meta.uid.as_deref().unwrap_or_default(), |memory| {
        memory.grace_started = grace.clone();
        memory.deletion_started = deletion.clone();
    });
    status.grace_started_time = grace;
    status.deletion_started_time = deletion;
}

/// The second brake: what becomes of the stack. While our own definition is being deleted, everything stays: that
/// deletes all objects at once and passes admission by, and whoever does it seldom means the documents. An error is a
/// wait: without an answer nothing is deleted.
pub async fn on_delete(
    cx: &Context,
    definition: &str,
    policy: Option<&DeletionPolicy>,
) -> Result<Result<OnDelete, Progress>, Error> {
    let on_delete = teardown_order::on_delete(policy);
    if on_delete == OnDelete::Keep {
        return Ok(Ok(on_delete));
    }
    let definitions: Api<CustomResourceDefinition> = Api::all(cx.client.clone());
    match definitions.get_metadata_opt(definition).await {
        Ok(Some(found)) if found.metadata.deletion_timestamp.is_none() => Ok(Ok(on_delete)),
        Ok(_) => Ok(Ok(OnDelete::Keep)),
        Err(kube::Error::Api(status)) if status.code == 403 => Ok(Err(Progress::Waiting {
            reason: Reason::Denied,
            message: format!(
                "Whether the definition {definition} is being deleted cannot be seen, and until then nothing is deleted. \
                 Allow the operator's service account to get customresourcedefinitions"
            ),
            cadence: Cadence::After(STALLED),
        })),
        Err(error) => Err(error.into()),
    }
}

/// With `--read-only` nothing is taken apart.
pub fn read_only() -> Progress {
    Progress::Waiting {
        reason: Reason::ReadOnly,
        message: "The operator runs with --read-only; without it, this object would be taken apart".into(),
        cadence: Cadence::Woken,
    }
}

/// What needs a person on the way back, or has been failing for minutes, is a condition, not only a log line.
pub fn or_stalled(cx: &Context, uid: &str, result: Result<Progress, Error>) -> Result<Progress, Error> {
    let fault = match &result {
        Err(Error::Aws(fault)) => fault,
        _ => return result,
    };
    if let Some(progress) = Progress::of_fault(fault) {
        return Ok(progress);
    }
    let transient = cx.memories.lend(uid).transient(cx.clock, Some(fault));
    match transient {
        Some((reason, message)) => Ok(Progress::Waiting { reason, message, cadence: Cadence::Probe }),
        None => result,
    }
}

/// What is said of a way back that ends with something left: what it costs, and where it is listed.
pub fn retained_note(cx: &Context, on_delete: OnDelete, id: &Identity) -> String {
    let observed = cx.memories.get(&id.uid).observed;
    let (policy, what, cost) = match on_delete {
        OnDelete::KeepDocuments => (
            "RetainDocuments",
            "the documents stay in AWS and everything else is deleted",
            Prices::LIST.key_of(&observed),
        ),
        _ => {
            let cost = Prices::LIST.key_of(&observed) + Prices::LIST.collection_of(&observed);
            ("Retain", "everything stays in AWS", cost)
        }
    };
    format!(
        "deletionPolicy {policy}: {what}. It continues to cost money: at list prices about ${cost:.0} a month while nobody \
         uses it, and what the documents cost. The marker {} in its bucket says whose it was, and `tenantry retained` \
         lists it",
        marker_key(id)
    )
}

/// What is said of a way back that has ended: also what had our name and was left alone, because nobody will look at it
/// again.
pub fn deleted_note(cx: &Context, kind: &str, uid: &str) -> String {
    let memory = cx.memories.get(uid);
    let foreign: Vec<_> = memory.observed.foreign().iter().map(|foreign| foreign.resource.as_str()).collect();
    if foreign.is_empty() {
        return format!("Everything of this {kind} in AWS is deleted");
    }
    let key = memory.observed.key.ours().filter(|_| memory.observed.stays(Layer::Key));
    let key =
        key.map(|key| format!("; and KMS key {}, which may have encrypted it", key.arn)).unwrap_or_default();
    format!(
        "Everything of this {kind} in AWS is deleted; left alone, because it is not provably its own: {}{key}",
        foreign.join(", ")
    )
}

/// What a way back needs to know of a SharedStack that may be gone: where the collection is.
pub async fn borrowed(cx: &Context, stack_id: &Identity) -> Result<Option<Offer>, Error> {
    let collection = cx.aws.collections.find(&stack_id.name(Layer::VectorStore)).await?;
    Ok(collection.map(|collection| lent(stack_id, collection)))
}

/// What a way back needs to know of a SharedStack with this collection.
pub fn lent(stack_id: &Identity, collection: CollectionDetail) -> Offer {
    Offer {
        stack: String::new(),
        uid: stack_id.uid.clone(),
        bucket: stack_id.name(Layer::Bucket),
        collection_name: stack_id.name(Layer::VectorStore),
        collection_arn: collection.arn,
        collection_endpoint: collection.endpoint,
        kms_key_arn: None,
        pool: None,
    }
}

/// Reports how far the way back is, and says when to look again. `now` is the status but for its conditions.
pub async fn report(
    cx: &Context,
    api: &Api<DynamicObject>,
    object: &DynamicObject,
    before: &Status,
    now: Status,
    progress: &Progress,
) -> Result<Action, Error> {
    let Progress::Waiting { reason, message, cadence } = progress else {
        return Ok(Action::await_change());
    };
    let uid = object.uid().unwrap_or_default();
    let mut memory = cx.memories.lend(&uid);
    let waited = cx.clock.since(memory.leaves());
    let passes = matches!(reason, Reason::NotYet | Reason::Transient | Reason::Throttled);
    let (told, message) = match passes && waited > DEADLINE {
        true => {
            let minutes = DEADLINE.as_secs() / 60;
            (Reason::DeadlineExceeded, format!("Not gone after {minutes} minutes. {message}"))
        }
        false => (*reason, message.clone()),
    };
    let stalled = told.severity() == Severity::Stalled;
    let blocked = stalled || told.severity() == Severity::Blocked;
    let leaving = Leaving { reason: told, message, blocked, stalled };
    let mut after = now;
    // What is being taken apart is not as it should be, whatever was said of it last.
    let goes = |layer: Layer| {
        LayerStatus::Waiting(Reason::Deleting, format!("The {layer} is being deleted, or is gone"))
    };
    let layers = PerLayer::from_fn(|layer| memory.goes.get(layer).then(|| goes(layer)));
    let verdict = Outcome {
        leaving: Some(leaving),
        layers,
        documents: Documents::last(&after.conditions),
        ..Outcome::default()
    };
    conditions_writer::set_conditions(&mut after, &verdict, object.metadata.generation.unwrap_or(0));
    conditions_writer::write(cx, api, &reference(object), before, &after, true).await?;
    memory.failures = 0;
    if !matches!(reason, Reason::Throttled | Reason::Transient) {
        memory.failing_since = None;
    }
    let again = cadence.look_again(waited).map(|again| again.min(STALLED));
    let again = again.unwrap_or_else(|| cx.resync(&uid));
    Ok(Action::requeue(cx.clock.outside(again)))
}

/// Where events and patches go.
pub fn reference(object: &DynamicObject) -> ObjectReference {
    let kind = object.types.clone().unwrap_or_default();
    ObjectReference {
        api_version: Some(kind.api_version),
        kind: Some(kind.kind),
        name: object.metadata.name.clone(),
        namespace: object.metadata.namespace.clone(),
        uid: object.metadata.uid.clone(),
        resource_version: object.metadata.resource_version.clone(),
        field_path: None,
    }
}

/// A paused object: pausing stops the way back too.
pub async fn paused<K: DeserializeOwned + Resource>(
    cx: &Context,
    api: &Api<K>,
    object: &ObjectReference,
    meta: &ObjectMeta,
    before: &Status,
) -> Result<Action, Error> {
    let mut after = before.clone();
    // What it was given to think begins anew when somebody lets it go on.
    note(cx, meta, &mut after, None, None);
    cx.memories.note(meta.uid.as_deref().unwrap_or_default(), |memory| memory.leaving_since = None);
    conditions_writer::pause(&mut after, meta);
    conditions_writer::write(cx, api, object, before, &after, true).await?;
    Ok(Action::await_change())
}
