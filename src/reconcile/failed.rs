//! A pass that could not be made: told as a condition once that has lasted, whatever the cause is. Nobody waits for a log.

use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::DynamicObject;
use kube::{Api, Resource, ResourceExt};
use serde::de::DeserializeOwned;

use super::context::Context;
use super::memory::lasts;
use super::{Error, conditions_writer, finalizer, teardown};
use crate::api::{ConditionType, PerLayer, Reason, Status};
use crate::stack::model::blocked::Blocked;
use crate::stack::model::outcome::{Documents, LayerStatus, Outcome};
use crate::stack::model::progress::{Cadence, Progress};

/// What of an object nothing is known of in such a pass.
pub struct Unknown {
    /// The layers that it owns.
    pub layers: PerLayer<Option<LayerStatus>>,
    /// Whether it borrows.
    pub borrows: bool,
}

/// What is said of an object of which no pass could be made for so long.
fn verdict(before: &Status, unknown: Unknown, error: &Error, lasts: Option<Duration>) -> Option<Outcome> {
    let late = lasts.is_some_and(|lasts| lasts > teardown::DEADLINE) && !before.is_true(ConditionType::Ready);
    let (transient, blocked) = match (error.needs_person(), lasts) {
        (Some(reason), _) => (None, Some(Blocked { reason, message: error.to_string() })),
        (None, Some(_)) if late => {
            let minutes = teardown::DEADLINE.as_secs() / 60;
            let message = format!("Nothing has made progress for more than {minutes} minutes. {error}");
            (None, Some(Blocked { reason: Reason::DeadlineExceeded, message }))
        }
        (None, Some(_)) => (Some((error.lasting(), error.to_string())), None),
        (None, None) => return None,
    };
    Some(Outcome {
        layers: unknown.layers,
        borrowed: unknown.borrows.then_some(LayerStatus::Unchanged),
        undecided: !before.is_true(ConditionType::Accepted),
        documents: Documents::last(&before.conditions),
        transient,
        blocked,
        ..Outcome::default()
    })
}

/// Tells it of an object that lives, and hands the error on: backoff follows.
pub async fn tell<K>(
    cx: &Context,
    api: &Api<K>,
    object: &K,
    before: &Status,
    unknown: Unknown,
    error: Error,
) -> Error
where
    K: DeserializeOwned + Resource<DynamicType = ()>,
{
    if error.is_no_news() {
        return error;
    }
    let meta = object.meta();
    let (uid, mut lasting) = (meta.uid.clone().unwrap_or_default(), None);
    let passes = error.needs_person().is_none();
    cx.memories.note(&uid, |memory| lasting = lasts(&mut memory.failing_since, cx.clock, passes));
    if let Some(verdict) = verdict(before, unknown, &error, lasting) {
        let mut after = before.clone();
        conditions_writer::set_conditions(&mut after, &verdict, meta.generation.unwrap_or(0));
        // Objects that get nowhere keep no place from others.
        cx.settle(&uid, &after, cx.memories.get(&uid).observed.knowledge_base.ours().is_some());
        let object = conditions_writer::subject(object);
        if let Err(unsaid) = conditions_writer::write(cx, api, &object, before, &after, true).await {
            tracing::debug!(%unsaid, "a failure could not be told");
        }
    }
    error
}

/// The same of an object that is being deleted, of which nothing but its name is known.
pub async fn tell_leaver(cx: &Context, api: &Api<DynamicObject>, meta: &ObjectMeta, error: Error) -> Error {
    if error.is_no_news() {
        return error;
    }
    let (uid, mut lasting) = (meta.uid.clone().unwrap_or_default(), None);
    cx.memories.note(&uid, |memory| lasting = lasts(&mut memory.failing_since, cx.clock, true));
    if lasting.is_none() && error.needs_person().is_none() {
        return error;
    }
    let live = api.get_opt(meta.name.as_deref().unwrap_or_default()).await.ok().flatten();
    let live = live.filter(|it| it.uid() == meta.uid && finalizer::has_finalizer(it, &cx.finalizer()));
    if let Some(live) = live.filter(|it| it.metadata.deletion_timestamp.is_some()) {
        let before: Status = teardown::field(&live, "/status").unwrap_or_default();
        let reason = error.needs_person().unwrap_or_else(|| error.lasting());
        let progress = Progress::Waiting { reason, message: error.to_string(), cadence: Cadence::Probe };
        if let Err(unsaid) = teardown::report(cx, api, &live, &before, before.clone(), &progress).await {
            tracing::debug!(%unsaid, "a failure could not be told");
        }
    }
    error
}

#[cfg(test)]
mod tests {
    use kube::core::Status as Refusal;
    use serde_json::json;

    use super::*;
    use crate::api::Tenant;
    use crate::reconcile::mocked::{
        ApiServer, TENANT, api_server, context, event, merge_patch, read, tenant,
    };
    use crate::records::Trouble;
    use crate::stack::fault::{Class, Fault};

    fn kube(code: u16) -> Error {
        kube::Error::Api(Refusal::failure("no", "").with_code(code).boxed()).into()
    }

    fn aws(class: Class) -> Error {
        let (code, message) = ("Code".into(), "AWS says no".into());
        let resource = "all".into();
        Fault { class, service: "s3", operation: "ListObjectsV2", resource, code, message, request_id: None }
            .into()
    }

    fn unknown() -> Unknown {
        let layers = PerLayer { role: Some(LayerStatus::Unchanged), ..PerLayer::default() };
        Unknown { layers, borrows: true }
    }

    /// Whatever fails, and wherever in a pass.
    #[test]
    fn nothing_that_lasts_is_told_to_the_log_alone() {
        const MINUTES: fn(u64) -> Option<Duration> = |minutes| Some(Duration::from_secs(minutes * 60));
        let is_ready = |is: bool| {
            let mut status = Status::default();
            for kind in [ConditionType::Ready, ConditionType::RoleReady, ConditionType::StackReady] {
                status.set(
                    kind,
                    if is { "True" } else { "False" },
                    Reason::Ready,
                    "",
                    None,
                    crate::clock::now(),
                );
            }
            status
        };
        let lost = || Error::Records(Box::new(Trouble::Lost("It".into())));
        let contended = || Error::Records(Box::new(Trouble::Contended));
        type Expected = Option<(&'static str, &'static str, Reason)>;
        let passes = |ready| -> Expected { Some((ready, "False", Reason::Transient)) };
        let stalls = |reason| -> Expected { Some(("False", "True", reason)) };
        let late = stalls(Reason::DeadlineExceeded);
        let waits = Some(("False", "False", Reason::WaitingForRecords));
        for (error, lasts, was_ready, expected) in [
            (kube(500), None, false, None),
            (kube(500), MINUTES(3), false, passes("False")),
            (kube(422), MINUTES(3), true, passes("True")),
            (kube(403), MINUTES(31), false, late),
            (kube(403), MINUTES(31), true, passes("True")),
            (Error::Timeout, MINUTES(3), false, passes("False")),
            (Error::Timeout, MINUTES(31), false, late),
            (aws(Class::Transient), None, false, None),
            (aws(Class::Transient), MINUTES(3), false, passes("False")),
            (aws(Class::Unnamed), MINUTES(31), false, late),
            (aws(Class::Denied), None, false, stalls(Reason::Denied)),
            (aws(Class::Invalid), None, true, stalls(Reason::Invalid)),
            (lost(), None, false, stalls(Reason::RecordsLost)),
            (contended(), None, false, None),
            (contended(), MINUTES(3), false, waits),
        ] {
            let before = is_ready(was_ready);
            let Some(verdict) = verdict(&before, unknown(), &error, lasts) else {
                assert_eq!(None, expected, "{error}");
                continue;
            };
            let mut after = before.clone();
            conditions_writer::set_conditions(&mut after, &verdict, 1);
            let of = |kind| after.condition(kind).map(|it| (it.status.as_str(), it.reason.as_str())).unwrap();
            let reconciling = after.condition(ConditionType::Reconciling).unwrap();
            let (ready, stalled, reason) = expected.unwrap_or_else(|| panic!("{error}: {after:?}"));
            assert_eq!(
                (of(ConditionType::Ready).0, of(ConditionType::Stalled).0),
                (ready, stalled),
                "{error}"
            );
            assert_eq!(reconciling.reason, reason.as_str(), "{error}");
            assert!(reconciling.message.contains(&error.to_string()), "{reconciling:?}");
        }
    }

    #[tokio::test]
    async fn a_failure_is_written_once_it_has_lasted_and_what_the_status_says_already_is_not() {
        let api_of = |server: &ApiServer| -> Api<Tenant> { Api::namespaced(server.client(), "tenants") };
        let acme: Tenant = read(tenant(json!({})));
        let silent = api_server([]);
        let cx = context(silent.client());
        for error in [kube(500), kube(409), Error::Told(Box::new(kube(500)))] {
            tell(&cx, &api_of(&silent), &acme, &Status::default(), unknown(), error).await;
        }
        assert!(silent.seen().is_empty(), "nobody's news");

        let said = tenant(json!({"resourceVersion": "8"}));
        let patch = merge_patch(format!("{TENANT}/status"), json!("*")).answered(said);
        let server = api_server([patch, event("Warning", "Transient", "Reconcile", "Kubernetes: *")]);
        let cx = context(server.client());
        let since = std::time::Instant::now().checked_sub(Duration::from_secs(200));
        cx.memories.note("uid-acme", |memory| memory.failing_since = since);
        tell(&cx, &api_of(&server), &acme, &Status::default(), unknown(), kube(500)).await;
        let written = &server.seen()[0].body["status"]["conditions"];
        let role = written.as_array().unwrap().iter().find(|it| it["type"] == "RoleReady");
        assert_eq!(role.unwrap()["status"], "Unknown", "{written:#}");
    }
}
