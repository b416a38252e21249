//! How far a teardown is: written into the status, with when to look again.

use std::time::Duration;

use super::deletion::Deletion;
use crate::api::{Layer, PerLayer, Reason, Severity, Status};
use crate::reconcile::memory::Memory;
use crate::reconcile::{Action, Error, conditions_writer};
use crate::stack::model::outcome::{Documents, LayerStatus, Leaving, Outcome, Report};
use crate::stack::model::progress::{Cadence, Progress, STALLED};

/// How long AWS may refuse a step of a teardown before a person should look.
pub const DEADLINE: Duration = Duration::from_secs(30 * 60);

/// With `--read-only` nothing is taken apart.
pub fn read_only() -> Progress {
    Progress::Waiting {
        reason: Reason::ReadOnly,
        message: "The operator runs with --read-only; without it, this object would be taken apart".into(),
        cadence: Cadence::Woken,
    }
}

/// Reports what is waited for, and says when to look again. `after` is the status but for its conditions.
pub async fn report(
    deletion: &Deletion<'_>,
    mut after: Status,
    progress: Progress,
    memory: &mut Memory,
) -> Result<Action, Error> {
    let Progress::Waiting { reason, message, cadence } = progress else {
        return Ok(Action::await_change());
    };
    let cx = deletion.cx;
    let waited = cx.clock.since(memory.leaves());
    let passes = matches!(reason, Reason::NotYet | Reason::Transient | Reason::Throttled);
    let (told, message) = if passes && waited > DEADLINE {
        let minutes = DEADLINE.as_secs() / 60;
        (Reason::DeadlineExceeded, format!("Not gone after {minutes} minutes. {message}"))
    } else {
        (reason, message)
    };
    let stalled = told.severity() == Severity::Stalled;
    let blocked = stalled || told.severity() == Severity::Blocked;
    // What is being taken apart is not as it should be, whatever was said of it last.
    let goes = |layer: Layer| {
        LayerStatus::Waiting(Reason::Deleting, format!("The {layer} is being deleted, or is gone"))
    };
    let said = Report {
        outcome: Outcome::Leaving(Leaving { reason: told, message, blocked, stalled }),
        layers: PerLayer::from_fn(|layer| memory.goes.get(layer).then(|| goes(layer))),
        documents: Documents::last(&after.conditions),
        ..Report::default()
    };
    let generation = deletion.object.metadata.generation.unwrap_or(0);
    conditions_writer::set_conditions(&mut after, &said, generation);
    conditions_writer::write(cx, &deletion.api, &deletion.reference(), &deletion.before, &after, true)
        .await?;
    memory.failures = 0;
    if !matches!(reason, Reason::Throttled | Reason::Transient) {
        memory.failing_since = None;
    }
    let again = cadence.look_again(waited).map(|again| again.min(STALLED));
    let again = again.unwrap_or_else(|| cx.resync(&deletion.uid));
    Ok(Action::requeue(cx.clock.outside(again)))
}
