//! The steps that can be taken now, side by side, and what has become of them.

use std::time::{Duration, Instant};

use futures::future::join_all;

use super::asked::Asked;
use super::passed::Passed;
use super::stack::Stack;
use super::unready::{in_time, is_passing, of_unseen};
use super::world::World;
use crate::api::{ConditionType, Layer, PerLayer, Reason, Severity, VectorStore};
use crate::clock::{self, Clock};
use crate::reconcile::attention::is_made;
use crate::reconcile::memory::{self, Memory};
use crate::stack::fault::Fault;
use crate::stack::identity::Scope;
use crate::stack::model::answers;
use crate::stack::model::desired::Desired;
use crate::stack::model::diff;
use crate::stack::model::outcome::{LayerStatus, Outcome};
use crate::stack::model::plan::Step;
use crate::stack::model::progress::{Cadence, Progress, STALLED, made_in};
use crate::stack::store::features;

/// All that can move moves, side by side. What AWS refused in a way that needs a person is left alone for a while, even
/// if other layers bring on the next pass before. What AWS was asked for in this pass is not asked for again.
pub(super) async fn act(
    world: &World<'_>,
    stack: &Stack<'_>,
    desired: &Desired,
    memory: &Memory,
    steps: &PerLayer<Step>,
    asked: &Asked,
) -> Vec<(Layer, Result<Progress, Fault>)> {
    let moving = steps.iter().filter(|(_, step)| **step == Step::Apply);
    join_all(moving.map(|(layer, _)| async move {
        let does_not_show = memory.attention.does_not_show_yet(world.clock, &memory.observed, layer);
        let on_its_way = does_not_show.or_else(|| asked.answer(desired, &memory.observed, layer));
        let result = match (memory.refusal(world.clock, layer), on_its_way) {
            (Some(fault), _) => Err(fault.clone()),
            (None, Some(progress)) => Ok(progress.clone()),
            (None, None) => world.layers.ensure(stack.id, layer, desired, &memory.observed).await,
        };
        (layer, result)
    }))
    .await
}

/// Whether AWS has done at once what some step asked for, so that the next can follow without waiting. `observed` is what was
/// seen before, and `memory` what is remembered then. `is_new` says whether a layer was not asked for the same before, and
/// `store` which store it is that is made.
pub(super) fn is_done_at_once(
    clock: Clock,
    store: VectorStore,
    memory: &Memory,
    results: &[(Layer, Result<Progress, Fault>)],
    is_new: impl Fn(Layer) -> bool,
) -> bool {
    let observed = &memory.observed;
    results.iter().any(|(layer, result)| {
        let Ok(Progress::Waiting { reason, .. }) = result else { return false };
        let is_asked =
            memory.attention.does_not_show_yet(clock, observed, *layer).is_none() && is_new(*layer);
        let is_told = *reason == Reason::Updating || is_made(observed, *layer, *reason);
        let at_once = match layer {
            Layer::Key | Layer::Bucket | Layer::Role => true,
            Layer::KnowledgeBase => observed.knowledge_base.ours().is_some_and(|it| it.status == "ACTIVE"),
            Layer::VectorStore | Layer::Index => features(store).made_at_once,
        };
        is_asked && is_told && at_once
    })
}

/// What has become of the steps, and when to look again.
pub(super) fn collect(
    world: &World<'_>,
    stack: &Stack<'_>,
    desired: &Desired,
    steps: PerLayer<Step>,
    results: Vec<(Layer, Result<Progress, Fault>)>,
    index_unseen: Option<Fault>,
    memory: &mut Memory,
) -> Passed {
    let passes =
        |result: &Result<Progress, Fault>| result.as_ref().is_err_and(|it| it.class.needs_person().is_none());
    let fails =
        results.iter().any(|(_, result)| passes(result)) || index_unseen.as_ref().is_some_and(is_passing);
    let goes_on = steps.map(|layer, _| answers::go_on(&stack.id.scope, desired, &memory.observed, layer));
    let answers = goes_on.map(|_, goes_on| goes_on && stack.status.is_true(ConditionType::Ready));
    let lasts = memory::lasts(&mut memory.failing_since, world.clock, fails);
    let taken = Taken { world, stack, goes_on, answers, lasts };
    let mut statuses = steps.map(|layer, step| planned(layer, step, *answers.get(layer)));
    note_steps(world.clock, memory, &stack.id.scope, desired, &steps, &results);
    let mut look_again: Option<Duration> = None;
    let mut fault = None;
    for (layer, result) in results {
        let (status, again) = taken.status(memory, layer, &result);
        *statuses.get_mut(layer) = Some(status);
        look_again = clock::earliest(look_again, again.map(|again| again.min(STALLED)));
        fault = result.err().filter(|failed| failed.class.needs_person().is_none()).or(fault);
    }
    if let Some(failed) = index_unseen {
        let (status, again) = of_unseen(world, stack, memory, Layer::Index, &failed, lasts);
        statuses.index = Some(status);
        look_again = clock::earliest(look_again, again);
        fault = fault.or(Some(failed).filter(is_passing));
    }
    if let (Some(hidden), Some(LayerStatus::WaitingFor(_))) = (&memory.observed.index_hidden, &statuses.index)
    {
        statuses.index = Some(hidden.into());
        look_again = clock::earliest(look_again, Some(STALLED));
    }
    let outcome = Outcome::of_layers(memory.transient(world.clock, fault.as_ref()));
    Passed { layers: statuses, outcome, look_again, fault, ..Passed::default() }
}

/// How a layer stands by what was planned for it. `answers` says whether it answers whatever becomes of it.
fn planned(layer: Layer, step: Step, answers: bool) -> Option<LayerStatus> {
    Some(match step {
        Step::None => return None,
        Step::UpToDate | Step::Apply => LayerStatus::Ready,
        Step::WaitFor(needed) if answers => {
            let message = format!("The {layer} is changed after the {needed}");
            LayerStatus::Serving(Reason::waiting_for(needed), message)
        }
        Step::WaitFor(needed) => LayerStatus::WaitingFor(needed),
        Step::Unseen => LayerStatus::Unchanged,
    })
}

/// Remembers which layers need no look in the next pass, and that those without a step are not waited for.
fn note_steps(
    clock: Clock,
    memory: &mut Memory,
    scope: &Scope,
    want: &Desired,
    steps: &PerLayer<Step>,
    results: &[(Layer, Result<Progress, Fault>)],
) {
    memory.whole = steps.map(|_, step| matches!(step, Step::None | Step::UpToDate));
    for (layer, step) in steps.iter() {
        let result = results.iter().find(|(it, _)| *it == layer).map(|(_, result)| result);
        let is_being_made = diff::is_being_made(scope, want, &memory.observed, layer);
        memory.attention.note(clock, &memory.observed, layer, *step, result, is_being_made);
    }
    // A knowledge base that was made narrows its role's trust.
    let narrows = want.knowledge_base.as_ref().is_some_and(|want| want.narrow_trust)
        && memory.observed.knowledge_base.ours().is_some()
        && !diff::is_being_made(scope, want, &memory.observed, Layer::KnowledgeBase);
    if steps.knowledge_base == Step::Apply && narrows {
        memory.whole.role = false;
        memory.attention.is_in_doubt(Layer::Role);
    }
    for (layer, step) in steps.iter() {
        if !matches!(step, Step::Apply | Step::Unseen) {
            *memory.waiting_since.get_mut(layer) = None;
            *memory.late.get_mut(layer) = None;
        }
    }
}

/// The steps that were taken.
struct Taken<'a> {
    world: &'a World<'a>,
    stack: &'a Stack<'a>,
    /// Layers that answer as before while they are changed.
    goes_on: PerLayer<bool>,
    /// Those of them that answer now.
    answers: PerLayer<bool>,
    /// For how long calls have been failing, once that is news.
    lasts: Option<Duration>,
}

impl Taken<'_> {
    /// How a layer stands after its step, and when to look again.
    fn status(
        &self,
        memory: &mut Memory,
        layer: Layer,
        result: &Result<Progress, Fault>,
    ) -> (LayerStatus, Option<Duration>) {
        let Taken { world, stack, .. } = self;
        let since = memory.waiting_since.get_mut(layer).get_or_insert_with(Instant::now);
        let waited = world.clock.since(*since);
        let (was_ready, goes_on) = (stack.was_ready(layer), *self.goes_on.get(layer));
        let made_for = memory.attention.being_made_for(world.clock, layer);
        let (status, again) = match (result, made_for) {
            (Ok(Progress::Done), _) => (LayerStatus::Ready, Cadence::Steady.look_again(waited)),
            (
                Ok(
                    progress @ Progress::Waiting {
                        reason: Reason::Creating, cadence: Cadence::Steady, ..
                    },
                ),
                Some(made_for),
            ) => (progress.into(), Some(made_in(layer, made_for))),
            (Ok(progress @ Progress::Waiting { cadence, .. }), _) => {
                (progress.into(), cadence.look_again(memory.attention.waited(world.clock, layer)))
            }
            (Err(failed), _) => {
                let again = failed.class.needs_person().map(|_| STALLED);
                if again.is_some() {
                    memory.note_refusal(world.clock, layer, failed);
                }
                (LayerStatus::after_failure(failed, layer, self.lasts, was_ready && goes_on), again)
            }
        };
        let reason = match result {
            Ok(Progress::Waiting { reason, .. }) => Some(*reason),
            _ => None,
        };
        let at_work = reason.is_some_and(|reason| reason.severity() == Severity::UnderWay);
        let status = status.answering(*self.answers.get(layer));
        let status = match in_time(world, stack, memory, layer, status, at_work, waited) {
            // Why it is not done yet is nobody's news; that it is not, is.
            LayerStatus::Unchanged if was_ready => {
                let message = format!("The {layer} does not match the spec yet");
                LayerStatus::Waiting(Reason::Updating, message).answering(goes_on)
            }
            status => status,
        };
        if reason == Some(Reason::WaitingForVectorStore) {
            *memory.waiting_since.get_mut(layer) = None;
        }
        (status, again)
    }
}
