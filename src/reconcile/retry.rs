//! What follows a failed pass: backoff by object, with jitter, forgotten at the first success.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use kube::runtime::controller::Action;

use super::Error;
use super::context::Context;

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
    let stale = matches!(error, Error::Kube(error) if matches!(&**error, kube::Error::Api(status) if status.code == 409));
    if stale {
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
    use super::*;

    #[test]
    fn the_distance_doubles_to_five_minutes() {
        for failures in 1..100 {
            let distance = distance(failures);
            let bare = Duration::from_secs(1 << (failures - 1).min(9)).min(Duration::from_secs(300));
            assert!(distance >= bare && distance <= bare * 2, "{failures}: {distance:?}");
        }
    }
}
