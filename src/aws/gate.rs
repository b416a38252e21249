//! The gate that every call to AWS passes: at the pace that AWS grants to the account, whoever else uses it; and, if it
//! changes anything, only while the [`Fence`] is open.
//!
//! A pass cannot forget it: a request is sent by [`Call::send`](super::call::Call::send) or not at all. Waiting here is
//! short, because only what AWS grants many times a second is waited for. What it grants more rarely is refused with
//! `NotYet`, so that the pass ends and comes back.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use tokio::sync::Mutex;

use super::fence::Fence;
use super::requests::Requests;
use crate::stack::iam::operation::Operation;

/// How much of what AWS grants is used.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Percent of AWS's own limits, 1 to 100.
    pub percent: u32,
    /// How many times faster than in production time goes by.
    pub clock: u32,
}

impl Pace {
    /// All that AWS grants, for a program that makes a few calls.
    pub const FULL: Pace = Pace { percent: 100, clock: 1 };
}

/// The gate. Clones are the same one.
#[derive(Clone, Debug, Default)]
pub struct Gate {
    pub(super) turnstiles: Arc<HashMap<Operation, Turnstile>>,
    pub(super) fence: Fence,
    pub(super) requests: Requests,
}

/// The pace of one operation.
#[derive(Debug)]
pub(super) struct Turnstile {
    /// Between two calls, in AWS's time.
    pub(super) period: Duration,
    pub(super) limiter: DefaultDirectRateLimiter,
    /// Whoever has this is the next: first come, first served. The limiter alone lets through whoever happens to ask
    /// when it opens, so that of a crowd one call may wait for hundreds that came after it.
    pub(super) line: Mutex<()>,
}

impl Turnstile {
    fn new(per_second: f64, pace: Pace) -> Option<Self> {
        let rate = per_second * f64::from(pace.percent.clamp(1, 100)) / 100.0;
        let period = Duration::from_secs_f64(1.0 / rate);
        // A second's worth may come at once, as AWS counts by the second.
        let burst = NonZeroU32::new(rate as u32).unwrap_or(NonZeroU32::MIN);
        let quota = Quota::with_period(period / pace.clock.max(1))?.allow_burst(burst);
        Some(Self { period, limiter: RateLimiter::direct(quota), line: Mutex::default() })
    }
}

impl Gate {
    /// A gate for one account and region.
    pub fn new(pace: Pace) -> Self {
        let limited = Operation::all().filter_map(|operation| Some((operation, operation.per_second()?)));
        let turnstiles =
            limited.filter_map(|(operation, rate)| Some((*operation, Turnstile::new(rate, pace)?))).collect();
        Self { turnstiles: Arc::new(turnstiles), ..Self::default() }
    }

    /// The same, which lets what changes something pass only while the fence is open, and counts what passes.
    pub fn guarded(self, fence: Fence, requests: Requests) -> Self {
        Self { fence, requests, ..self }
    }

    /// A gate that stands open, for a single call.
    pub(super) fn open() -> Self {
        Self::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stack::iam::operation::bedrock;

    fn calls(gate: &Gate, operation: Operation) -> usize {
        let turnstile = gate.turnstiles.get(&operation).expect("a limit");
        (0..100).filter(|_| turnstile.limiter.check().is_ok()).count()
    }

    #[test]
    fn a_second_of_the_pace_may_come_at_once_and_no_more() {
        let gate = |percent| Gate::new(Pace { percent, clock: 1 });
        assert_eq!(calls(&gate(80), bedrock::GetKnowledgeBase), 8);
        assert_eq!(calls(&gate(100), bedrock::CreateKnowledgeBase), 2);
        assert_eq!(calls(&gate(80), bedrock::CreateKnowledgeBase), 1);
        assert_eq!(calls(&gate(1), bedrock::GetKnowledgeBase), 1);
    }
}
