//! The steps that can be taken now, side by side, and what has become of them.

use std::time::{Duration, Instant};

use futures::future::join_all;

use super::case::Case;
use super::passed::Passed;
use super::world::World;
use crate::api::{ConditionType, Layer, PerLayer, Reason};
use crate::clock;
use crate::reconcile::memory::{self, Memory};
use crate::stack::fault::Fault;
use crate::stack::model::answers;
use crate::stack::model::desired::Want;
use crate::stack::model::outcome::Standing;
use crate::stack::model::plan::Step;
use crate::stack::model::progress::{Cadence, Progress, STALLED};

/// All that can move moves, side by side. What AWS refused in a way that needs a person is left alone for a while, even
/// if other layers bring on the next pass before.
pub(super) async fn act(
    world: &World<'_>,
    case: &Case<'_>,
    want: &Want,
    memory: &Memory,
    steps: &PerLayer<Step>,
) -> Vec<(Layer, Result<Progress, Fault>)> {
    let moving = steps.iter().filter(|(_, step)| **step == Step::Ensure);
    join_all(moving.map(|(layer, _)| async move {
        let result = match memory.refusal(world.clock, layer) {
            Some(fault) => Err(fault.clone()),
            None => world.layers.ensure(case.id, layer, want, &memory.sight).await,
        };
        (layer, result)
    }))
    .await
}

/// A layer that is waited for, or is late. What is late is so until it is as it should be: that AWS goes on refusing it is no
/// other news.
pub(super) fn in_time(
    world: &World<'_>,
    case: &Case<'_>,
    memory: &mut Memory,
    layer: Layer,
    standing: Standing,
    waited: Duration,
) -> Standing {
    let late = memory.late.get_mut(layer);
    let since = match standing {
        _ if *late => Some(Duration::MAX),
        Standing::Answers(..) => Some(waited),
        _ => case.unready_for(world.clock, layer, waited),
    };
    let standing = standing.by_deadline(layer, since);
    match standing {
        Standing::Unchanged => {}
        _ => *late = matches!(standing, Standing::Stalled(Reason::DeadlineExceeded, _)),
    }
    standing
}

/// What has become of the steps, and when to look again.
pub(super) fn settle(
    world: &World<'_>,
    case: &Case<'_>,
    want: &Want,
    steps: PerLayer<Step>,
    results: Vec<(Layer, Result<Progress, Fault>)>,
    memory: &mut Memory,
) -> Passed {
    let mut standings = steps.map(|_, step| match step {
        Step::None => None,
        Step::Whole | Step::Ensure => Some(Standing::Whole),
        Step::After(layer) => Some(Standing::After(layer)),
    });
    memory.whole = steps.map(|_, step| matches!(step, Step::None | Step::Whole));
    // A knowledge base that is being made narrows its role's trust.
    memory.whole.role &= steps.knowledge_base != Step::Ensure;
    let answers = case.status.is_true(ConditionType::Ready);
    let answers = steps.map(|layer, _| answers && answers::go_on(&case.id.scope, want, &memory.sight, layer));
    for (layer, step) in steps.iter() {
        if *step != Step::Ensure {
            *memory.waiting_since.get_mut(layer) = None;
            *memory.late.get_mut(layer) = false;
        }
        if let (Step::After(needed), true) = (step, *answers.get(layer)) {
            let message = format!("The {layer} is changed after the {needed}");
            *standings.get_mut(layer) = Some(Standing::Answers(Reason::waiting_for(*needed), message));
        }
    }
    let passes =
        |result: &Result<Progress, Fault>| result.as_ref().is_err_and(|it| it.class.needs_person().is_none());
    let lasts = memory::lasts(
        &mut memory.failing_since,
        world.clock,
        results.iter().any(|(_, result)| passes(result)),
    );
    let mut look_again: Option<Duration> = None;
    let mut fault = None;
    for (layer, result) in results {
        let since = memory.waiting_since.get_mut(layer).get_or_insert_with(Instant::now);
        let waited = world.clock.since(*since);
        let (standing, again) = match &result {
            Ok(Progress::Done) => (Standing::Whole, Cadence::Steady.look_again(waited)),
            Ok(progress @ Progress::Waiting { cadence, .. }) => (progress.into(), cadence.look_again(waited)),
            Err(failed) => {
                let again = failed.class.needs_person().map(|_| STALLED);
                match again {
                    None => fault = Some(failed.clone()),
                    Some(_) => memory.note_refusal(world.clock, layer, failed),
                }
                (Standing::after_failure(failed, layer, lasts, case.was_ready(layer)), again)
            }
        };
        let standing = match standing {
            Standing::Waiting(reason, message) if *answers.get(layer) => Standing::Answers(reason, message),
            standing => standing,
        };
        *standings.get_mut(layer) = Some(in_time(world, case, memory, layer, standing, waited));
        if matches!(result, Ok(Progress::Waiting { reason: Reason::WaitingForCollection, .. })) {
            *memory.waiting_since.get_mut(layer) = None;
        }
        look_again = clock::earliest(look_again, again.map(|again| again.min(STALLED)));
    }
    if let (Some(hidden), Some(Standing::After(_))) = (&memory.sight.index_hidden, &standings.index) {
        standings.index = Some(hidden.into());
        look_again = clock::earliest(look_again, Some(STALLED));
    }
    let passing = memory.transient(world.clock, fault.as_ref());
    Passed { layers: standings, look_again, fault, passing, ..Passed::default() }
}
