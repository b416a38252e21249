//! What waits is looked at, and only that, with the one call that can say how far it is; and what AWS said that it makes is not
//! asked for again before it had time to show. Nothing here is the truth: a process that has forgotten it looks at everything.

use std::time::{Duration, Instant};

use crate::api::{Layer, PerLayer, Reason};
use crate::clock::Clock;
use crate::stack::fault::{Class, Fault};
use crate::stack::model::observed::Observation;
use crate::stack::model::plan::Step;
use crate::stack::model::progress::{Cadence, Progress};

/// How long AWS may take to show what it said that it makes. Until then its absence is no reason to ask for it again.
const SHOWS: Duration = Duration::from_secs(30);

/// How a pass looks at a layer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Look {
    /// At all of it.
    #[default]
    All,
    /// How far AWS is with it. The rest was looked at, and is as it should be.
    Progress,
    /// Not at all: it is as it should be, or waits for another layer, or AWS says how it is when it is asked to make it.
    None,
}

/// What is waited for.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Since {
    at: Instant,
    reason: Reason,
    /// Whether nothing was there when the waiting began, so that it began when AWS did.
    from_nothing: bool,
}

/// What is remembered of each layer that is not as it should be.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Attention {
    look: PerLayer<Look>,
    /// Since when it has been waited for what it is waited for now.
    since: PerLayer<Option<Since>>,
    /// When AWS said that it makes what was not there, and how it was told.
    made: PerLayer<Option<(Instant, Progress)>>,
}

impl Attention {
    /// How the next pass looks at a layer.
    pub fn look(&self, layer: Layer) -> Look {
        *self.look.get(layer)
    }

    /// What a step came to. `observed` is what was seen before it, and `is_being_made` whether nothing is left to
    /// do but to wait for AWS.
    pub fn note(
        &mut self,
        clock: Clock,
        observed: &Observation,
        layer: Layer,
        step: Step,
        result: Option<&Result<Progress, Fault>>,
        is_being_made: bool,
    ) {
        let waits = match result {
            Some(Ok(Progress::Waiting { reason, .. })) => Some(*reason),
            _ => None,
        };
        let before = self.since.get(layer).filter(|since| Some(since.reason) == waits);
        let from_nothing = observed.lacks(layer);
        *self.since.get_mut(layer) =
            waits.map(|reason| before.unwrap_or(Since { at: Instant::now(), reason, from_nothing }));
        match result {
            Some(Ok(progress @ Progress::Waiting { reason, .. }))
                if observed.lacks(layer) && is_made(observed, layer, *reason) =>
            {
                if self.does_not_show_yet(clock, observed, layer).is_none() {
                    *self.made.get_mut(layer) = Some((Instant::now(), progress.clone()));
                }
            }
            _ => *self.made.get_mut(layer) = None,
        }
        *self.look.get_mut(layer) = match (step, result) {
            (Step::None | Step::UpToDate, _) => Look::None,
            // An index is looked for where somebody can see it, and costs nothing before.
            (Step::WaitFor(needed), _) if needed != layer && layer != Layer::Index => Look::None,
            (Step::Apply, Some(result)) if layer == Layer::KnowledgeBase && observed.lacks(layer) => {
                if is_refused_for_now(result) {
                    Look::None
                } else {
                    Look::All
                }
            }
            (Step::Apply, Some(Ok(_))) if is_being_made => Look::Progress,
            _ => Look::All,
        };
    }

    /// Something else has changed it, or may have.
    pub fn is_in_doubt(&mut self, layer: Layer) {
        *self.look.get_mut(layer) = Look::All;
    }

    /// For how long it has been waited for what it is waited for now.
    pub fn waited(&self, clock: Clock, layer: Layer) -> Duration {
        self.since.get(layer).map_or(Duration::ZERO, |since| clock.since(since.at))
    }

    /// For how long AWS has been making it, if this process knows: one that began in between does not.
    pub fn being_made_for(&self, clock: Clock, layer: Layer) -> Option<Duration> {
        self.since.get(layer).filter(|since| since.from_nothing).map(|since| clock.since(since.at))
    }

    /// How it stands if AWS said a moment ago that it makes it, and nobody sees it yet.
    pub fn does_not_show_yet(&self, clock: Clock, observed: &Observation, layer: Layer) -> Option<&Progress> {
        let (at, progress) = self.made.get(layer).as_ref().filter(|_| observed.lacks(layer))?;
        (clock.since(*at) < SHOWS).then_some(progress)
    }

    /// Whether a layer that is to be changed has to be looked at first. One that was not there when it was looked for last
    /// has not: whoever asks for a second of its name is refused.
    pub fn is_stale(observed: &Observation, layer: Layer) -> bool {
        layer != Layer::KnowledgeBase || !observed.lacks(layer)
    }

    /// So much time has gone by.
    #[cfg(test)]
    pub fn age(&mut self, by: Duration) {
        let earlier = |at: &mut Instant| *at = at.checked_sub(by).unwrap();
        for layer in Layer::ALL {
            self.since.get_mut(layer).iter_mut().for_each(|since| earlier(&mut since.at));
            self.made.get_mut(layer).iter_mut().for_each(|(at, _)| earlier(at));
        }
    }
}

/// Whether AWS has begun to make something of a layer. A role is made before its permissions, which wait for the vector store;
/// an index is not.
pub fn is_made(observed: &Observation, layer: Layer, reason: Reason) -> bool {
    match reason {
        Reason::Creating => true,
        Reason::WaitingForVectorStore => layer == Layer::Role && observed.lacks(layer),
        _ => false,
    }
}

/// Whether AWS has made nothing, because it does not see yet what that would stand on.
fn is_refused_for_now(result: &Result<Progress, Fault>) -> bool {
    match result {
        Ok(Progress::Waiting { cadence, .. }) => *cadence == Cadence::Probe,
        Ok(Progress::Done) => false,
        Err(fault) => fault.class == Class::NotYet,
    }
}
