//! How a layer stands that is waited for, or cannot be looked at: as what it was, until its time is over.

use std::time::{Duration, Instant};

use super::stack::Stack;
use super::world::World;
use crate::api::{Layer, Reason};
use crate::reconcile::memory::{Late, Memory};
use crate::stack::fault::{Class, Fault};
use crate::stack::model::outcome::LayerStatus;
use crate::stack::model::progress::{Cadence, STALLED};

/// A layer that is waited for, or is late. What is late is so until it is as it should be: that AWS goes on refusing it is no
/// other news. Once AWS is at work on what it refused, that has all its time.
pub(super) fn in_time(
    world: &World<'_>,
    stack: &Stack<'_>,
    memory: &mut Memory,
    layer: Layer,
    status: LayerStatus,
    at_work: bool,
    mut waited: Duration,
) -> LayerStatus {
    let late = memory.late.get_mut(layer);
    if at_work && *late == Some(Late::NotBegun) {
        (*late, waited) = (None, Duration::ZERO);
        *memory.waiting_since.get_mut(layer) = Some(Instant::now());
    }
    let since = match status {
        _ if late.is_some() => Some(Duration::MAX),
        LayerStatus::Serving(..) => Some(waited),
        _ => stack.unready_for(world.clock, layer, waited),
    };
    let status = status.by_deadline(layer, since);
    match status {
        LayerStatus::Unchanged => {}
        LayerStatus::Stalled(Reason::DeadlineExceeded, _) => {
            late.get_or_insert(if at_work { Late::AtWork } else { Late::NotBegun });
        }
        _ => *late = None,
    }
    status
}

/// Whether a failure is nobody's news as long as it does not last.
pub(super) fn is_passing(fault: &Fault) -> bool {
    LayerStatus::from(fault) == LayerStatus::Unchanged
}

/// How a layer stands that cannot be looked at, and when to look again.
pub(super) fn of_unseen(
    world: &World<'_>,
    stack: &Stack<'_>,
    memory: &mut Memory,
    layer: Layer,
    fault: &Fault,
    lasts: Option<Duration>,
) -> (LayerStatus, Option<Duration>) {
    let since = *memory.waiting_since.get_mut(layer).get_or_insert_with(Instant::now);
    let waited = world.clock.since(since);
    let status = LayerStatus::after_failure(fault, layer, lasts, stack.was_ready(layer));
    let look_again = match fault.class {
        Class::NotYet => Cadence::Probe.look_again(waited).map(|again| again.min(STALLED)),
        _ => Some(STALLED),
    };
    (in_time(world, stack, memory, layer, status, false, waited), look_again)
}
