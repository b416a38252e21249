//! The fence before everything that changes something: it is open while this process may act, and nobody else can.
//!
//! Whoever leads says until when; after that the fence is closed by itself, whatever became of the leader's own tasks.
//! A process that was stopped for a while, or whose network or machine was away, finds it closed when it comes back.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use parking_lot::Mutex;

/// A moment by two clocks: one that never jumps, but stands still while the machine is suspended, and the time of day,
/// which goes on.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// By the clock that never jumps.
    pub steady: Instant,
    of_day: SystemTime,
}

impl Moment {
    /// This one.
    pub fn now() -> Self {
        Self { steady: Instant::now(), of_day: SystemTime::now() }
    }

    /// The one that is so much later.
    pub fn after(self, wait: Duration) -> Self {
        Self { steady: self.steady + wait, of_day: self.of_day + wait }
    }

    /// Whether it is over by either clock. If somebody sets the time of day forward it is so too early, which costs no
    /// more than the time until the next renewal.
    fn is_over(self) -> bool {
        Instant::now() >= self.steady || SystemTime::now() >= self.of_day
    }
}

/// The fence. Clones are the same one.
#[derive(Clone, Debug, Default)]
pub struct Fence(Option<Arc<Mutex<Option<Moment>>>>);

impl Fence {
    /// A fence that stands open: this is the only process.
    pub fn open() -> Self {
        Self(None)
    }

    /// A fence that is closed until somebody opens it.
    pub fn closed() -> Self {
        Self(Some(Arc::default()))
    }

    /// Opens it until then, or closes it now.
    pub fn set(&self, until: Option<Moment>) {
        if let Some(open_until) = &self.0 {
            *open_until.lock() = until;
        }
    }

    /// Whether something may be changed at this moment.
    pub fn is_open(&self) -> bool {
        let Some(until) = &self.0 else { return true };
        let until = *until.lock();
        until.is_some_and(|until| !until.is_over())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn it_is_open_only_until_then() {
        let fence = Fence::closed();
        let clone = fence.clone();
        assert!(!fence.is_open());
        fence.set(Some(Moment::now().after(HOUR)));
        assert!(clone.is_open());
        fence.set(Some(Moment::now()));
        assert!(!clone.is_open());
        fence.set(None);
        assert!(!fence.is_open());
        assert!(Fence::open().is_open());
    }

    #[test]
    fn either_clock_closes_it() {
        let (fence, now, later) = (Fence::closed(), Moment::now(), Moment::now().after(HOUR));
        for until in [Moment { of_day: now.of_day, ..later }, Moment { steady: now.steady, ..later }] {
            fence.set(Some(until));
            assert!(!fence.is_open(), "{until:?}");
        }
    }
}
