//! One pass over the layers that an object owns: observe → plan → act. The same for both kinds.

mod act;
pub(crate) mod case;
pub(crate) mod loss;
mod observe;
mod passed;
mod teardown;
mod unready;
mod world;

pub use passed::Passed;
pub use teardown::{retain, teardown};
pub use world::World;

use std::time::Instant;

use self::act::{act, collect};
use self::case::Case;
use self::loss::{Loss, LossDecision};
use self::observe::{observe, unseen};
use self::unready::is_passing;
use super::memory::Memory;
use crate::api::{Layer, PerLayer, Reason, Severity};
use crate::clock;
use crate::stack::fault::Fault;
use crate::stack::model::answers;
use crate::stack::model::blocked::Blocked;
use crate::stack::model::desired::Desired;
use crate::stack::model::diff;
use crate::stack::model::drift;
use crate::stack::model::observed::Observation;
use crate::stack::model::outcome::LayerStatus;
use crate::stack::model::plan::{self, Step};
use crate::stack::model::progress::{Cadence, Progress, STALLED};

/// What a look at a stack came to: what is to be done next.
pub struct Survey {
    want: Desired,
    steps: PerLayer<Step>,
    losses: Vec<Loss>,
    index_unseen: Option<Fault>,
    no_room: bool,
    all: bool,
}

/// Brings a stack one step closer to what it should be.
pub async fn reconcile(world: &World<'_>, case: &Case<'_>, memory: &mut Memory, generation: i64) -> Passed {
    match survey(world, case, memory, generation).await {
        Ok(survey) => go_on(world, case, memory, survey).await,
        Err(passed) => passed,
    }
}

/// Looks at a stack, and says what is to be done. Nothing is changed. An error is a pass that ends here: something is not
/// ours, or cannot be seen.
pub async fn survey(
    world: &World<'_>,
    case: &Case<'_>,
    memory: &mut Memory,
    generation: i64,
) -> Result<Survey, Passed> {
    let all = memory.looks_at_all(world.clock, world.resync_after, generation);
    if all {
        memory.began_to_look = Some(Instant::now());
    }
    // A process that begins, and whoever has got another spec, cannot tell others' changes from its own.
    let (before, was_whole) =
        (memory.want.clone().filter(|_| memory.generation == Some(generation)), memory.whole);
    let wanted = |memory: &Memory, layer| all || !*memory.whole.get(layer);
    if all && let Some(passed) = key_of_others(world, case, memory).await {
        return Err(passed);
    }
    let (index_unseen, mut others_unseen): (Vec<_>, Vec<_>) =
        observe(world, case, memory, wanted).await.into_iter().partition(|(layer, _)| *layer == Layer::Index);
    let mut index_unseen = index_unseen.into_iter().map(|(_, fault)| fault).next();
    if let Some((layer, fault)) = others_unseen.pop() {
        return Err(unseen(world, case, memory, layer, fault));
    }
    if all {
        memory.looked_at_all = Some(Instant::now());
        memory.takes_up(generation);
    }
    let want = case.want(&memory.observed);
    let losses = loss::losses(case, &want, &memory.observed);
    let mut steps = match plan::plan(case.id, &want, &memory.observed) {
        // What is lost waits for nobody but a person, and all that builds on it waits for that.
        Ok(steps) => steps.map(|layer, step| match losses.iter().find(|loss| loss.layer == layer) {
            Some(Loss { decision: LossDecision::Waits(..), .. }) => Step::WaitFor(layer),
            _ => step,
        }),
        Err(blocked) => {
            memory.looked_at_all = None;
            let layers = PerLayer::from_fn(|layer| want.owns(layer).then_some(LayerStatus::Unchanged));
            let (blocked, look_again) = (Some(blocked), Some(STALLED));
            return Err(Passed { layers, blocked, look_again, ..Passed::default() });
        }
    };
    let no_room = !world.read_only
        && case.no_room.is_some()
        && steps.knowledge_base == Step::Apply
        && memory.observed.knowledge_base.is_absent();
    if no_room {
        steps.knowledge_base = Step::WaitFor(Layer::KnowledgeBase);
    }
    if let Some(fault) = index_unseen.take() {
        let moving = |layer: &Layer| *layer != Layer::Index && *steps.get(*layer) == Step::Apply;
        if !Layer::ALL.iter().any(moving) {
            memory.looked_at_all = None;
            return Err(unseen(world, case, memory, Layer::Index, fault));
        }
        // What hides the index may be just what is to be put right, such as the collection's network policy.
        let hides =
            |layer: &Layer| moving(layer) && !answers::go_on(&case.id.scope, &want, &memory.observed, *layer);
        let cause = [Layer::Key, Layer::VectorStore, Layer::Role].into_iter().find(hides);
        (steps.index, index_unseen) = match cause.filter(|_| !is_passing(&fault)) {
            Some(cause) => (Step::WaitFor(cause), None),
            None => (Step::Unseen, Some(fault)),
        };
    }
    let drifted = |layer: Layer| -> Option<(Layer, String)> {
        let is_news = *was_whole.get(layer)
            && *steps.get(layer) == Step::Apply
            && !losses.iter().any(|loss| loss.layer == layer);
        let before = before.as_ref().filter(|_| is_news)?;
        Some((layer, drift::of(case.id, before, &want, &memory.observed, layer)?))
    };
    let drift: Vec<_> = steps.iter().filter_map(|(layer, _)| drifted(layer)).collect();
    for (layer, what) in drift {
        *memory.drift.get_mut(layer) = Some(what);
    }
    memory.want = Some(want.clone());
    Ok(Survey { want, steps, losses, index_unseen, no_room, all })
}

/// Takes the steps that a look came to.
pub async fn go_on(world: &World<'_>, case: &Case<'_>, memory: &mut Memory, survey: Survey) -> Passed {
    let Survey { want, steps, losses, index_unseen, no_room, all } = survey;
    if world.read_only {
        return collect(world, case, &want, steps, only_planned(&steps), index_unseen, memory);
    }
    if all {
        memory.refused = PerLayer::default();
    }
    let adopts = memory.observed.is_adopted(case.id);
    if all {
        tell_of_what_is_not_shown(&want, &memory.observed);
    }
    let results = act(world, case, &want, memory, &steps).await;
    let drift = put_right(&steps, &results, memory);
    note_asked(&want, &results, &mut memory.observed);
    let mut passed =
        Passed { adopts, drift, ..collect(world, case, &want, steps, results, index_unseen, memory) };
    for Loss { layer, decision } in losses {
        match decision {
            LossDecision::Approved => passed.approved_loss.push(layer),
            LossDecision::Waits(standing, look_again) => {
                *passed.layers.get_mut(layer) = Some(standing);
                passed.look_again = clock::earliest(passed.look_again, Some(look_again));
            }
        }
    }
    if let Some(Blocked { reason, message }) = case.no_room.filter(|_| no_room) {
        // What AWS said of it last is the better news.
        let refused = memory.refusal(world.clock, Layer::KnowledgeBase).map(LayerStatus::from);
        let standing = refused.unwrap_or_else(|| LayerStatus::Stalled(*reason, message.clone()));
        passed.layers.knowledge_base = Some(standing);
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
fn tell_of_what_is_not_shown(want: &Desired, observed: &Observation) {
    let (Some(want), Some(facts)) = (&want.index, observed.index.ours()) else { return };
    let lacking = diff::missing_mappings(want, facts).into_iter().map(|(field, _)| field);
    let fields: Vec<_> = lacking.filter(|field| observed.index_asked.contains(field)).collect();
    if !fields.is_empty() {
        let index = &want.name;
        tracing::warn!(index, ?fields, "AWS took these fields and does not show them; it is not asked again");
    }
}

/// Notes what AWS was asked to add to the index, so that it is asked once: what it does not show it may well have.
fn note_asked(want: &Desired, results: &[(Layer, Result<Progress, Fault>)], observed: &mut Observation) {
    let is_taken = |result: &_| {
        matches!(result, Ok(Progress::Waiting { reason: Reason::Creating | Reason::Updating, .. }))
    };
    let taken = results.iter().any(|(layer, result)| *layer == Layer::Index && is_taken(result));
    match (&want.index, observed.index.ours()) {
        (Some(want), Some(facts)) if taken && !want.rebuild => {
            observed
                .index_asked
                .extend(diff::missing_mappings(want, facts).into_iter().map(|(field, _)| field));
        }
        (_, None) if observed.index_known => observed.index_asked.clear(),
        _ => {}
    }
}

/// What follows if the stack's key is somebody's own who has switched it off: nothing is changed until it is on again.
async fn key_of_others(world: &World<'_>, case: &Case<'_>, memory: &mut Memory) -> Option<Passed> {
    let usable = world.layers.existing_key(case.blueprint.existing_key()?).await;
    let (blocked, fault) = match usable {
        Ok(Ok(old_tag)) => {
            memory.old_tag = old_tag;
            return None;
        }
        Ok(Err(blocked)) => (Some(blocked), None),
        Err(fault) => (None, Some(fault)),
    };
    memory.looked_at_all = None;
    let want = case.want(&memory.observed);
    let layers = PerLayer::from_fn(|layer| want.owns(layer).then_some(LayerStatus::Unchanged));
    let transient = memory.transient(world.clock, fault.as_ref());
    Some(Passed { layers, blocked, look_again: Some(STALLED), fault, transient, ..Passed::default() })
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
