//! Waiting as a value: how far one step of a stack has come.

use std::time::Duration;

use crate::api::Reason;

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

/// How eagerly to look again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
        let cadence = Cadence::After(Duration::from_secs(300));
        Progress::Waiting { reason: Reason::Failed, message: message.into(), cadence }
    }

    /// Whether nothing is left to do.
    pub fn is_done(&self) -> bool {
        matches!(self, Progress::Done)
    }
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
}
