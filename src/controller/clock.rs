//! All waits, and their one scale. `--clock ÷N` makes every wait N times shorter, so that a test need not sit through
//! a collection's minute; at 1, as in production, it changes nothing.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;

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

    /// How long it has been since a Kubernetes time stamp, in the terms in which waits are written down.
    pub fn since_stamp(self, stamp: Timestamp) -> Duration {
        Duration::try_from(Timestamp::now().duration_since(stamp)).unwrap_or_default() * self.divisor
    }
}

/// The time of day, as precisely as Kubernetes writes it, and later than `last`.
pub fn stamp_after(last: Option<Timestamp>) -> MicroTime {
    let now = Timestamp::now().as_microsecond();
    let micros = last.map_or(now, |last| now.max(last.as_microsecond() + 1));
    MicroTime(Timestamp::from_microsecond(micros).unwrap_or(Timestamp::MAX))
}
