//! The steps that can be taken now, side by side, and what has become of them.

use std::time::{Duration, Instant};

use futures::future::join_all;

use super::case::Case;
use super::passed::Passed;
use super::unready::{in_time, is_passing, of_unseen};
use super::world::World;
use crate::api::{ConditionType, Layer, PerLayer, Reason, Severity};
use crate::clock;
use crate::reconcile::memory::{self, Memory};
use crate::stack::fault::Fault;
use crate::stack::model::answers;
use crate::stack::model::desired::Desired;
use crate::stack::model::outcome::LayerStatus;
use crate::stack::model::plan::Step;
use crate::stack::model::progress::{Cadence, Progress, STALLED};

/// All that can move moves, side by side. What AWS refused in a way that needs a person is left alone for a while, even
/// if other layers bring on the next pass before.
pub(super) async fn act(
    world: &World<'_>,
    case: &Case<'_>,
    want: &Desired,
    memory: &Memory,
    steps: &PerLayer<Step>,
) -> Vec<(Layer, Result<Progress, Fault>)> {
    let moving = steps.iter().filter(|(_, step)| **step == Step::Apply);
    join_all(moving.map(|(layer, _)| async move {
        let result = match memory.refusal(world.clock, layer) {
            Some(fault) => Err(fault.clone()),
            None => world.layers.ensure(case.id, layer, want, &memory.observed).await,
        };
        (layer, result)
    }))
    .await
}

/// What has become of the steps, and when to look again.
pub(super) fn collect(
    world: &World<'_>,
    case: &Case<'_>,
    want: &Desired,
    steps: PerLayer<Step>,
    results: Vec<(Layer, Result<Progress, Fault>)>,
    index_unseen: Option<Fault>,
    memory: &mut Memory,
) -> Passed {
    let goes_on = steps.map(|layer, _| answers::go_on(&case.id.scope, want, &memory.observed, layer));
    let answers = goes_on.map(|_, goes_on| goes_on && case.status.is_true(ConditionType::Ready));
    let mut standings = steps.map(|layer, step| match step {
        Step::None => None,
        Step::UpToDate | Step::Apply => Some(LayerStatus::Ready),
        Step::WaitFor(needed) if *answers.get(layer) => {
            let message = format!("The {layer} is changed after the {needed}");
            Some(LayerStatus::Serving(Reason::waiting_for(needed), message))
        }
        Step::WaitFor(needed) => Some(LayerStatus::WaitingFor(needed)),
        Step::Unseen => Some(LayerStatus::Unchanged),
    });
    memory.whole = steps.map(|_, step| matches!(step, Step::None | Step::UpToDate));
    // A knowledge base that is being made narrows its role's trust.
    memory.whole.role &= steps.knowledge_base != Step::Apply;
    for (layer, step) in steps.iter() {
        if !matches!(step, Step::Apply | Step::Unseen) {
            *memory.waiting_since.get_mut(layer) = None;
            *memory.late.get_mut(layer) = None;
        }
    }
    let passes =
        |result: &Result<Progress, Fault>| result.as_ref().is_err_and(|it| it.class.needs_person().is_none());
    let fails =
        results.iter().any(|(_, result)| passes(result)) || index_unseen.as_ref().is_some_and(is_passing);
    let lasts = memory::lasts(&mut memory.failing_since, world.clock, fails);
    let mut look_again: Option<Duration> = None;
    let mut fault = None;
    for (layer, result) in results {
        let since = memory.waiting_since.get_mut(layer).get_or_insert_with(Instant::now);
        let waited = world.clock.since(*since);
        let (was_ready, goes_on) = (case.was_ready(layer), *goes_on.get(layer));
        let at_work = matches!(&result, Ok(Progress::Waiting { reason, .. }) if reason.severity() == Severity::UnderWay);
        let (standing, again) = match &result {
            Ok(Progress::Done) => (LayerStatus::Ready, Cadence::Steady.look_again(waited)),
            Ok(progress @ Progress::Waiting { cadence, .. }) => (progress.into(), cadence.look_again(waited)),
            Err(failed) => {
                let again = failed.class.needs_person().map(|_| STALLED);
                match again {
                    None => fault = Some(failed.clone()),
                    Some(_) => memory.note_refusal(world.clock, layer, failed),
                }
                (LayerStatus::after_failure(failed, layer, lasts, was_ready && goes_on), again)
            }
        };
        let standing = standing.answering(*answers.get(layer));
        *standings.get_mut(layer) =
            Some(match in_time(world, case, memory, layer, standing, at_work, waited) {
                // Why it is not done yet is nobody's news; that it is not, is.
                LayerStatus::Unchanged if was_ready => {
                    let message = format!("The {layer} does not match the spec yet");
                    LayerStatus::Waiting(Reason::Updating, message).answering(goes_on)
                }
                standing => standing,
            });
        if matches!(result, Ok(Progress::Waiting { reason: Reason::WaitingForVectorStore, .. })) {
            *memory.waiting_since.get_mut(layer) = None;
        }
        look_again = clock::earliest(look_again, again.map(|again| again.min(STALLED)));
    }
    if let Some(failed) = index_unseen {
        let (standing, again) = of_unseen(world, case, memory, Layer::Index, &failed, lasts);
        standings.index = Some(standing);
        look_again = clock::earliest(look_again, again);
        fault = fault.or(Some(failed).filter(is_passing));
    }
    if let (Some(hidden), Some(LayerStatus::WaitingFor(_))) =
        (&memory.observed.index_hidden, &standings.index)
    {
        standings.index = Some(hidden.into());
        look_again = clock::earliest(look_again, Some(STALLED));
    }
    let transient = memory.transient(world.clock, fault.as_ref());
    Passed { layers: standings, look_again, fault, transient, ..Passed::default() }
}
