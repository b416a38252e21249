//! One pass over the layers that an object owns: observe → plan → act. The same for both kinds.

mod act;
mod asked;
pub(crate) mod loss;
mod observe;
mod passed;
mod stack;
mod survey;
mod teardown;
mod unready;
mod world;

pub use passed::{News, Passed};
pub use stack::Stack;
pub use survey::{Survey, survey};
pub use teardown::{nothing_wanted, retain, teardown};
pub use world::World;

use self::act::{act, collect, is_done_at_once};
use self::asked::Asked;
use self::loss::{Loss, LossDecision};
use super::memory::Memory;
use crate::api::{Layer, PerLayer, Reason, Severity};
use crate::clock;
use crate::stack::fault::Fault;
use crate::stack::model::blocked::Blocked;
use crate::stack::model::desired::Desired;
use crate::stack::model::diff;
use crate::stack::model::observed::Observation;
use crate::stack::model::outcome::LayerStatus;
use crate::stack::model::plan::Step;
use crate::stack::model::progress::{Cadence, Progress, STALLED};

/// How many steps of a layer may follow one another in a pass. A key comes before what it encrypts, and a role gets its
/// permissions with the id of the vector store.
const AT_ONCE: usize = 4;

/// Takes the steps that a look came to, and those that can follow because AWS has done at once what it was asked for.
pub async fn carry_on(
    world: &World<'_>,
    stack: &Stack<'_>,
    memory: &mut Memory,
    generation: i64,
    first: Survey,
) -> Passed {
    let mut asked = Asked::default();
    let mut passed = carry_out(world, stack, memory, first, &mut asked).await;
    for _ in 0..AT_ONCE {
        if !passed.at_once {
            break;
        }
        let next = match survey(world, stack, memory, generation).await {
            Ok(next) => carry_out(world, stack, memory, next, &mut asked).await,
            Err(ended) => ended,
        };
        passed = passed.then(next);
    }
    passed
}

/// Takes the steps that a look came to: brings a stack one step closer to what it should be. `asked` is what AWS was asked for
/// in this pass.
async fn carry_out(
    world: &World<'_>,
    stack: &Stack<'_>,
    memory: &mut Memory,
    survey: Survey,
    asked: &mut Asked,
) -> Passed {
    let Survey { desired, steps, losses, index_unseen, no_room, all } = survey;
    if world.read_only {
        return collect(world, stack, &desired, steps, only_planned(&steps), index_unseen, memory);
    }
    if all {
        memory.refused = PerLayer::default();
    }
    let adopts = memory.observed.is_adopted(stack.id);
    if all {
        tell_of_what_is_not_shown(&desired, &memory.observed);
    }
    let results = act(world, stack, &desired, memory, &steps, asked).await;
    let drift = put_right(&steps, &results, memory);
    note_asked(&desired, &results, &mut memory.observed);
    let is_new = |layer| asked.answer(&desired, &memory.observed, layer).is_none();
    let at_once = is_done_at_once(world.clock, stack.store_kind(), memory, &results, is_new);
    asked.note(&desired, &memory.observed, &results);
    let mut passed = collect(world, stack, &desired, steps, results, index_unseen, memory);
    // Whoever was refused is not asked again at once.
    passed.at_once = at_once && passed.fault.is_none();
    (passed.news.adopts, passed.news.drift) = (adopts, drift);
    for Loss { layer, decision } in losses {
        match decision {
            LossDecision::Approved => passed.news.approved_loss.push(layer),
            LossDecision::Waits(status, look_again) => {
                *passed.layers.get_mut(layer) = Some(status);
                passed.look_again = clock::earliest(passed.look_again, Some(look_again));
            }
        }
    }
    if let Some(Blocked { reason, message }) = stack.no_room.filter(|_| no_room) {
        // What AWS said of it last is the better news.
        let refused = memory.refusal(world.clock, Layer::KnowledgeBase).map(LayerStatus::from);
        let status = refused.unwrap_or_else(|| LayerStatus::Stalled(*reason, message.clone()));
        passed.layers.knowledge_base = Some(status);
        passed.look_again = clock::earliest(passed.look_again, Some(STALLED));
    }
    passed
}

/// What somebody else had changed and is put right now, however long that took.
fn put_right(
    steps: &PerLayer<Step>,
    results: &[(Layer, Result<Progress, Fault>)],
    memory: &mut Memory,
) -> Vec<String> {
    let goes_on = |result: &Result<Progress, Fault>| match result {
        Ok(Progress::Done) => true,
        Ok(Progress::Waiting { reason, .. }) => reason.severity() == Severity::UnderWay,
        Err(_) => false,
    };
    let right = |layer: &Layer| {
        *steps.get(*layer) == Step::UpToDate
            || results.iter().any(|(it, result)| it == layer && goes_on(result))
    };
    Layer::ALL.into_iter().filter(right).filter_map(|layer| memory.drift.get_mut(layer).take()).collect()
}

/// Fields that AWS took and does not show are not asked for again, and that is said.
fn tell_of_what_is_not_shown(desired: &Desired, observed: &Observation) {
    let (Some(desired), Some(facts)) = (&desired.index, observed.index.ours()) else { return };
    let lacking = diff::missing_mappings(desired, facts).into_iter().map(|(field, _)| field);
    let fields: Vec<_> = lacking.filter(|field| observed.index_asked.contains(field)).collect();
    if !fields.is_empty() {
        let index = &desired.name;
        tracing::warn!(index, ?fields, "AWS took these fields and does not show them; it is not asked again");
    }
}

/// Notes what AWS was asked to add to the index, so that it is asked once: what it does not show it may well have.
fn note_asked(desired: &Desired, results: &[(Layer, Result<Progress, Fault>)], observed: &mut Observation) {
    let is_taken = |result: &_| {
        matches!(result, Ok(Progress::Waiting { reason: Reason::Creating | Reason::Updating, .. }))
    };
    let taken = results.iter().any(|(layer, result)| *layer == Layer::Index && is_taken(result));
    match (&desired.index, observed.index.ours()) {
        (Some(desired), Some(facts)) if taken && !desired.rebuild => {
            observed
                .index_asked
                .extend(diff::missing_mappings(desired, facts).into_iter().map(|(field, _)| field));
        }
        (_, None) if observed.index_known => observed.index_asked.clear(),
        _ => {}
    }
}

/// With `--read-only` the plan is all there is.
fn only_planned(steps: &PerLayer<Step>) -> Vec<(Layer, Result<Progress, Fault>)> {
    let moving = steps.iter().filter(|(_, step)| **step == Step::Apply);
    let planned = moving.map(|(layer, _)| {
        let message =
            format!("The operator runs with --read-only; without it, it would make or change the {layer}");
        let (reason, cadence) = (Reason::ReadOnly, Cadence::Woken);
        (layer, Ok(Progress::Waiting { reason, message, cadence }))
    });
    planned.collect()
}

#[cfg(test)]
mod tests;
