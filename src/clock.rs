//! All waits, and their one scale. `--clock ÷N` makes every wait N times shorter, so that a test need not sit through
//! a collection's minute; at 1, as in production, it changes nothing.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, Time};

/// The first moment of 2026: here a calendar that goes by faster showed the time of day.
const EPOCH: Timestamp = Timestamp::constant(1_767_225_600, 0);

/// The scale of all waits.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    divisor: u32,
}

impl Clock {
    /// `divisor` 0 counts as 1.
    pub fn new(divisor: u32) -> Self {
        Self { divisor: divisor.max(1) }
    }

    /// How long a wait takes in the world outside.
    pub fn outside(self, wait: Duration) -> Duration {
        wait / self.divisor
    }

    /// How long it has been since `start`, in the terms in which waits are written down.
    pub fn since(self, start: Instant) -> Duration {
        start.elapsed() * self.divisor
    }

    /// The moment that schedules see: `--clock ÷N` makes the calendar go by N times faster, from the same moment on in
    /// every process, so that one that starts anew sees the same days. In production it is the time of day itself.
    pub fn calendar(self, at: Timestamp) -> Timestamp {
        if self.divisor == 1 {
            return at;
        }
        let gone = at.duration_since(EPOCH).checked_mul(i32::try_from(self.divisor).unwrap_or(i32::MAX));
        gone.and_then(|gone| EPOCH.checked_add(gone).ok()).unwrap_or(Timestamp::MAX)
    }

    /// How long it has been since a Kubernetes time stamp, in the terms in which waits are written down.
    pub fn since_stamp(self, stamp: Timestamp) -> Duration {
        Duration::try_from(Timestamp::now().duration_since(stamp)).unwrap_or_default() * self.divisor
    }

    /// How long a wait in the world outside is, in the terms in which waits are written down.
    pub fn inside(self, wait: Duration) -> Duration {
        wait * self.divisor
    }
}

/// Now, in the whole seconds that Kubernetes keeps.
pub fn now() -> Time {
    let now = Timestamp::now();
    Time(Timestamp::from_second(now.as_second()).unwrap_or(now))
}

/// The earlier of two moments, where there is one.
pub fn earliest(a: Option<Duration>, b: Option<Duration>) -> Option<Duration> {
    a.into_iter().chain(b).min()
}

/// The time of day, as precisely as Kubernetes writes it, and later than `last`.
pub fn stamp_after(last: Option<Timestamp>) -> MicroTime {
    let now = Timestamp::now().as_microsecond();
    let micros = last.map_or(now, |last| now.max(last.as_microsecond() + 1));
    MicroTime(Timestamp::from_microsecond(micros).unwrap_or(Timestamp::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_calendar_goes_by_as_much_faster_as_waits_are_shorter() {
        let (now, later) =
            (EPOCH + jiff::SignedDuration::from_hours(5), EPOCH + jiff::SignedDuration::from_hours(6));
        for divisor in [1, 10, 100] {
            let clock = Clock::new(divisor);
            let passed =
                Duration::try_from(clock.calendar(later).duration_since(clock.calendar(now))).unwrap();
            assert_eq!(clock.outside(passed), Duration::from_secs(3600));
            assert_eq!(clock.calendar(EPOCH), EPOCH);
        }
        assert_eq!(Clock::new(1).calendar(now), now);
    }
}
