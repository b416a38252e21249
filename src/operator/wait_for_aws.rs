//! What a process must know of AWS, or have from it, before it works. An answer, a right or credentials may come later
//! than the process: they are waited for, because a restart would bring them no sooner.

use tokio_util::sync::CancellationToken;

use super::serve::{Health, Phase};
use crate::clock::Clock;
use crate::reconcile::retry;
use crate::records::Trouble;
use crate::stack::fault::Fault;

/// After so many tries the distance grows no more. It is then half a minute to a minute: a person who has just allowed
/// something watches what comes of it.
const DOUBLINGS: u32 = 6;

/// Tries until AWS does not refuse; `None` if it is stopped before. What is no refusal of AWS's is not waited for. `phase`
/// says what the process is meanwhile.
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
        // Each try has a request id of its own; the rest says whether this is news.
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

/// The answer of the records. A failure of AWS is waited for, as [`wait`] says.
pub(super) fn answered<T>(result: Result<T, Trouble>) -> anyhow::Result<T> {
    result.map_err(|trouble| match trouble {
        Trouble::Away(fault) => fault.into(),
        other => other.into(),
    })
}
