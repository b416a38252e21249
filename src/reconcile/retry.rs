//! What follows a failed pass: backoff by object, with jitter, forgotten at the first success.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};

use super::context::Context;
use super::{Action, Error};

/// The distance to the next try, after `failures` in a row: a second, doubling, five minutes at the most.
pub fn distance(failures: u32) -> Duration {
    let backoff = ExponentialBuilder::new()
        .with_min_delay(Duration::from_secs(1))
        .with_max_delay(Duration::from_secs(300))
        .without_max_times()
        .with_jitter();
    // Ten doublings are past the maximum.
    backoff.build().nth(failures.clamp(1, 10) as usize - 1).unwrap_or(Duration::from_secs(300))
}

/// The error policy of both controllers.
pub fn after(cx: &Context, uid: Option<&str>, error: &Error) -> Action {
    if error.is_stale() {
        tracing::debug!(%error, "the object has changed meanwhile");
        // We looked at an old version of the object; the newer one is on its way.
        return Action::requeue(cx.clock.outside(Duration::from_secs(1)));
    }
    let failures = uid.map_or(1, |uid| cx.memories.failed(uid));
    tracing::warn!(%error, failures, "the pass failed and is tried again");
    Action::requeue(cx.clock.outside(distance(failures)))
}

#[cfg(test)]
mod tests {
    use kube::core::Status;

    use super::*;
    use crate::clock::Clock;
    use crate::reconcile::mocked::{api_server, context};
    use crate::stack::fault::{Class, Fault};

    fn refused(code: u16) -> Error {
        kube::Error::Api(Status::failure("refused", "").with_code(code).boxed()).into()
    }

    /// With the jitter that the next call has, too.
    fn after_failures(clock: Clock, failures: u32) -> Action {
        fastrand::seed(7);
        let action = Action::requeue(clock.outside(distance(failures)));
        fastrand::seed(7);
        action
    }

    #[tokio::test]
    async fn an_old_view_of_the_object_is_no_failure() {
        let server = api_server([]);
        let mut cx = context(server.client());
        for (divisor, wait) in [(1, Duration::from_secs(1)), (10, Duration::from_millis(100))] {
            cx.clock = Clock::new(divisor);
            for uid in [Some("uid"), None] {
                assert_eq!(after(&cx, uid, &refused(409)), Action::requeue(wait));
            }
        }
        assert_eq!(cx.memories.get("uid").failures, 0);
    }

    #[tokio::test]
    async fn failures_in_a_row_are_counted_for_each_object_and_waited_for_ever_longer() {
        let server = api_server([]);
        let mut cx = context(server.client());
        let fault = Fault {
            class: Class::Conflict,
            service: "s3",
            operation: "CreateBucket",
            resource: "prod-ta-acme".into(),
            code: "409".into(),
            message: "Conflict".into(),
            request_id: None,
        };
        let broken = serde_json::from_str::<()>("{").unwrap_err();
        let errors = [
            refused(404),
            refused(410),
            refused(422),
            refused(500),
            kube::Error::SerdeError(broken).into(),
            fault.into(),
            Error::Timeout,
        ];
        for (failures, error) in (1..).zip(&errors) {
            let expected = after_failures(cx.clock, failures);
            assert_eq!(after(&cx, Some("uid"), error), expected, "{error}");
            assert_eq!(cx.memories.get("uid").failures, failures, "{error}");
        }
        cx.clock = Clock::new(10);
        let expected = after_failures(cx.clock, 1);
        assert_eq!(after(&cx, Some("another"), &errors[0]), expected, "each object for itself");
        for _ in 0..2 {
            let expected = after_failures(cx.clock, 1);
            assert_eq!(after(&cx, None, &errors[0]), expected, "without a uid nothing is counted");
        }
    }

    #[test]
    fn the_distance_doubles_to_five_minutes() {
        for failures in 1..100 {
            let distance = distance(failures);
            let bare = Duration::from_secs(1 << (failures - 1).min(9)).min(Duration::from_secs(300));
            assert!(distance >= bare && distance <= bare * 2, "{failures}: {distance:?}");
        }
    }
}
