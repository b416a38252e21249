//! Waits for AWS before a process works. An answer, a right or credentials may come later than the process, and a restart would
//! bring them no sooner.

use tokio_util::sync::CancellationToken;

use super::health::{Health, Phase};
use crate::clock::Clock;
use crate::reconcile::retry;
use crate::records::Trouble;
use crate::stack::fault::Fault;

/// After so many tries the distance grows no more. It is then between half a minute and a minute, because a person who has just
/// allowed something waits for the result.
const DOUBLINGS: u32 = 6;

/// Tries until AWS does not refuse. `None`: it was stopped before. Other errors end it. `phase` makes the phase of the process
/// from what AWS said last.
pub async fn wait<T, F>(
    clock: Clock,
    stop: &CancellationToken,
    health: &Health,
    phase: impl Fn(Option<String>) -> Phase,
    attempt: impl Fn() -> F,
) -> anyhow::Result<Option<T>>
where
    F: Future<Output = anyhow::Result<T>>,
{
    health.is(phase(None));
    let mut last = None;
    for failures in 1.. {
        let tried = tokio::select! {
            () = stop.cancelled() => break,
            tried = attempt() => tried,
        };
        let error = match tried {
            Ok(answer) => return Ok(Some(answer)),
            Err(error) => error,
        };
        let Some(fault) = error.downcast_ref::<Fault>() else { return Err(error) };
        // Each try has another request id. A failure is news if anything else has changed.
        let fault = Fault { request_id: None, ..fault.clone() };
        if last.as_ref() != Some(&fault) {
            let why = format!("waiting for AWS: {error:#}");
            tracing::warn!("{why}");
            health.is(phase(Some(why)));
            last = Some(fault);
        }
        tokio::select! {
            () = stop.cancelled() => break,
            () = tokio::time::sleep(clock.outside(retry::distance(failures.min(DOUBLINGS)))) => {}
        }
    }
    Ok(None)
}

/// The answer of the records, with a failure of AWS as an error for which [`wait`] waits.
pub(super) fn answered<T>(result: Result<T, Trouble>) -> anyhow::Result<T> {
    result.map_err(|trouble| match trouble {
        Trouble::Away(fault) => fault.into(),
        other => other.into(),
    })
}
