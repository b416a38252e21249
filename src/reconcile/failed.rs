//! A pass that could not be made: told as a condition once that has lasted, whatever the cause is. Nobody waits for a log.

use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Api;
use kube::api::DynamicObject;

use super::context::Context;
use super::managed::Managed;
use super::memory::lasts;
use super::teardown::{self, DEADLINE, Deletion};
use super::{Error, conditions_writer};
use crate::api::{ConditionType, PerLayer, Reason, Status};
use crate::stack::model::blocked::Blocked;
use crate::stack::model::outcome::{Documents, LayerStatus, Outcome, Report};
use crate::stack::model::progress::{Cadence, Progress};

/// What is said of an object of which no pass could be made for so long.
fn report(
    before: &Status,
    layers: PerLayer<Option<LayerStatus>>,
    borrows: bool,
    error: &Error,
    lasts: Option<Duration>,
) -> Option<Report> {
    let late = lasts.is_some_and(|lasts| lasts > DEADLINE) && !before.is_true(ConditionType::Ready);
    let outcome = match (error.needs_person(), lasts) {
        (Some(reason), _) => Outcome::blocked(Blocked { reason, message: error.to_string() }),
        (None, Some(_)) if late => {
            let minutes = DEADLINE.as_secs() / 60;
            let message = format!("Nothing has made progress for more than {minutes} minutes. {error}");
            Outcome::blocked(Blocked { reason: Reason::DeadlineExceeded, message })
        }
        (None, Some(_)) => Outcome::of_layers(Some((error.lasting(), error.to_string()))),
        (None, None) => return None,
    };
    Some(Report {
        outcome: outcome.while_undecided(!before.is_accepted()),
        change: Blocked::of_change(before),
        layers,
        borrowed: borrows.then_some(LayerStatus::Unchanged),
        documents: Documents::last(&before.conditions),
        ..Report::default()
    })
}

/// Tells it of an object that lives, and hands the error on: backoff follows.
pub async fn tell<M: Managed>(cx: &Context, object: &M, error: Error) -> Error {
    if error.is_no_news() {
        return error;
    }
    let meta = object.meta();
    let (uid, mut lasting) = (meta.uid.clone().unwrap_or_default(), None);
    let passes = error.needs_person().is_none();
    cx.memories.note(&uid, |memory| lasting = lasts(&mut memory.failing_since, cx.clock, passes));
    let before = object.status().cloned().unwrap_or_default();
    if let Some(report) = report(&before, object.untouched(), object.borrows(), &error, lasting) {
        let mut after = before.clone();
        conditions_writer::set_conditions(&mut after, &report, meta.generation.unwrap_or(0));
        // Objects that get nowhere keep no place from others.
        cx.settle(&uid, &after, cx.memories.get(&uid).observed.knowledge_base.ours().is_some());
        let (api, subject) = object.address(&cx.client);
        if let Err(unsaid) = conditions_writer::write(cx, &api, &subject, &before, &after, true).await {
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
    if let Ok(Some(deletion)) = Deletion::live(cx, api, meta).await {
        let reason = error.needs_person().unwrap_or_else(|| error.lasting());
        let progress = Progress::Waiting { reason, message: error.to_string(), cadence: Cadence::Probe };
        let mut memory = cx.memories.lend(&uid);
        if let Err(unsaid) = teardown::report(&deletion, deletion.before.clone(), progress, &mut memory).await
        {
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
    use crate::reconcile::mocked::{TENANT, api_server, context, event, merge_patch, read, tenant};
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
            let layers = PerLayer { role: Some(LayerStatus::Unchanged), ..PerLayer::default() };
            let Some(report) = report(&before, layers, true, &error, lasts) else {
                assert_eq!(None, expected, "{error}");
                continue;
            };
            let mut after = before.clone();
            conditions_writer::set_conditions(&mut after, &report, 1);
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
        let acme: Tenant = read(tenant(json!({})));
        let silent = api_server([]);
        let cx = context(silent.client());
        for error in [kube(500), kube(409), Error::Told(Box::new(kube(500)))] {
            tell(&cx, &acme, error).await;
        }
        assert!(silent.seen().is_empty(), "nobody's news");

        let said = tenant(json!({"resourceVersion": "8"}));
        let patch = merge_patch(format!("{TENANT}/status"), json!("*")).answered(said);
        let server = api_server([patch, event("Warning", "Transient", "Reconcile", "Kubernetes: *")]);
        let cx = context(server.client());
        let since = std::time::Instant::now().checked_sub(Duration::from_secs(200));
        cx.memories.note("uid-acme", |memory| memory.failing_since = since);
        tell(&cx, &acme, kube(500)).await;
        let written = &server.seen()[0].body["status"]["conditions"];
        let role = written.as_array().unwrap().iter().find(|it| it["type"] == "RoleReady");
        assert_eq!(role.unwrap()["status"], "Unknown", "{written:#}");
    }
}
