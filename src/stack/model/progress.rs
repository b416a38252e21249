//! Waiting as a value: how far one step of a stack has come.

use std::cmp::Ordering;
use std::time::Duration;

use crate::api::{Layer, Reason, Severity};
use crate::stack::fault::{Class, Fault};

/// How long a stack that waits for a person is left alone: a right may be given, a quota raised, without our knowing.
pub const STALLED: Duration = Duration::from_secs(300);

/// How far a layer, or a whole teardown, has come. Never an error, never a sleep: whoever waits is looked at again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// It is as it should be.
    Done,
    /// It is under way.
    Waiting {
        /// The machine-readable cause.
        reason: Reason,
        /// What a person should know.
        message: String,
        /// How eagerly to look again.
        cadence: Cadence,
    },
}

/// How eagerly to look again, the most eager first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cadence {
    /// By the time already waited: 5 %, between 1 s and 10 s.
    Steady,
    /// A probe that AWS refuses meanwhile: 25 % of the time already waited, at least 1 s.
    Probe,
    /// At a given distance.
    After(Duration),
    /// Whoever is waited for will wake us.
    Woken,
}

impl Progress {
    /// Being made, or waited for.
    pub fn waiting(reason: Reason, message: impl Into<String>) -> Self {
        Progress::Waiting { reason, message: message.into(), cadence: Cadence::Steady }
    }

    /// Given up by AWS: a person must act, and nothing changes before.
    pub fn failed(message: impl Into<String>) -> Self {
        let cadence = Cadence::After(STALLED);
        Progress::Waiting { reason: Reason::Failed, message: message.into(), cadence }
    }

    /// A key that somebody has switched off: a person must act.
    pub fn unusable(message: impl Into<String>) -> Self {
        let cadence = Cadence::After(STALLED);
        Progress::Waiting { reason: Reason::KeyNotAllowed, message: message.into(), cadence }
    }

    /// What a failure is to be waited for, unless it passes by itself.
    pub fn of_fault(fault: &Fault) -> Option<Self> {
        let (reason, cadence) = match (fault.class.needs_person(), fault.class) {
            (Some(reason), _) => (reason, Cadence::After(STALLED)),
            (None, Class::NotYet | Class::Conflict) => (Reason::NotYet, Cadence::Probe),
            _ => return None,
        };
        Some(Progress::Waiting { reason, message: fault.to_string(), cadence })
    }

    /// Two things that go on side by side, as one. What needs a person is told before what is only waited for, and both
    /// are told if neither is worse; whoever looks again does so for the more eager one.
    pub fn beside(self, other: Self) -> Self {
        let (
            Progress::Waiting { reason, message, cadence },
            Progress::Waiting { reason: other_reason, message: other_message, cadence: other_cadence },
        ) = (&self, &other)
        else {
            return if self.is_done() { other } else { self };
        };
        let cadence = (*cadence).min(*other_cadence);
        let (reason, message) = match reason.severity().cmp(&other_reason.severity()) {
            Ordering::Less => (*other_reason, other_message.clone()),
            Ordering::Equal => (*reason, format!("{message}; {other_message}")),
            Ordering::Greater => (*reason, message.clone()),
        };
        Progress::Waiting { reason, message, cadence }
    }

    /// This, or if nothing is left to do, something else.
    pub fn or(self, other: impl FnOnce() -> Self) -> Self {
        if self.is_done() { other() } else { self }
    }

    /// What has not gone when its deadline is over needs a person; it is looked at on, and goes on by itself if the
    /// cause goes away. The emptying of a bucket is our own work and takes as long as there are documents.
    pub fn by_deadline(self, layer: Layer, waited: Duration) -> Self {
        match self {
            Progress::Waiting { reason, message, cadence }
                if reason.severity() < Severity::Stalled
                    && (layer, reason) != (Layer::Bucket, Reason::Deleting)
                    && waited > deadline(layer) =>
            {
                let minutes = deadline(layer).as_secs() / 60;
                let message = format!("Not gone after {minutes} minutes. {message}");
                Progress::Waiting { reason: Reason::DeadlineExceeded, message, cadence }
            }
            other => other,
        }
    }

    /// Whether nothing is left to do.
    pub fn is_done(&self) -> bool {
        matches!(self, Progress::Done)
    }
}

/// How long a layer may take, as AWS says (`docs.aws.amazon.com`: a data access policy takes a minute, five at most; a
/// collection several minutes) and as others have measured, with room.
pub const fn deadline(layer: Layer) -> Duration {
    Duration::from_secs(match layer {
        Layer::Key | Layer::Bucket => 5 * 60,
        Layer::Role | Layer::Index => 10 * 60,
        Layer::Collection | Layer::KnowledgeBase => 30 * 60,
    })
}

impl Cadence {
    /// When to look again, `waited` after the waiting began; `None`: not by time.
    pub fn look_again(self, waited: Duration) -> Option<Duration> {
        const FLOOR: Duration = Duration::from_secs(1);
        match self {
            Cadence::Steady => Some((waited / 20).clamp(FLOOR, Duration::from_secs(10))),
            Cadence::Probe => Some((waited / 4).max(FLOOR)),
            Cadence::After(distance) => Some(distance),
            Cadence::Woken => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn look_again_grows_with_the_wait_within_its_bounds() {
        let steady = |secs| Cadence::Steady.look_again(Duration::from_secs(secs));
        assert_eq!(steady(0), Some(Duration::from_secs(1)));
        assert_eq!(steady(60), Some(Duration::from_secs(3)));
        assert_eq!(steady(3600), Some(Duration::from_secs(10)));
        assert_eq!(Cadence::Probe.look_again(Duration::from_secs(40)), Some(Duration::from_secs(10)));
        assert_eq!(Cadence::Woken.look_again(Duration::from_secs(40)), None);
    }

    #[test]
    fn of_two_things_the_graver_is_told_and_the_more_eager_decides_when_to_look() {
        let wait =
            |reason, message: &str, cadence| Progress::Waiting { reason, message: message.into(), cadence };
        let going = wait(Reason::Deleting, "the collection goes", Cadence::Steady);
        let denied = wait(Reason::Denied, "the role may not", Cadence::After(Duration::from_secs(300)));
        let both = wait(Reason::Denied, "the role may not", Cadence::Steady);
        assert_eq!(going.clone().beside(denied.clone()), both);
        assert_eq!(denied.clone().beside(going.clone()), both);
        let twice = wait(Reason::Deleting, "the collection goes; the collection goes", Cadence::Steady);
        assert_eq!(going.clone().beside(going.clone()), twice);
        assert_eq!(Progress::Done.beside(denied.clone()), denied);
        assert_eq!(denied.clone().beside(Progress::Done), denied);
    }
}
