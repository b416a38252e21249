//! The fence before everything that changes something: it is open while this process may act, and nobody else can.
//!
//! Whoever leads says until when; after that the fence is closed by itself, whatever became of the leader's own tasks.
//! A process that was stopped for a while, or whose network was away, finds it closed when it comes back.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

/// The fence. Clones are the same one.
#[derive(Clone, Debug, Default)]
pub struct Fence(Option<Arc<Mutex<Option<Instant>>>>);

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
    pub fn set(&self, until: Option<Instant>) {
        if let Some(open_until) = &self.0 {
            *open_until.lock().unwrap_or_else(PoisonError::into_inner) = until;
        }
    }

    /// Whether something may be changed at this moment.
    pub fn is_open(&self) -> bool {
        let Some(until) = &self.0 else { return true };
        let until = *until.lock().unwrap_or_else(PoisonError::into_inner);
        until.is_some_and(|until| Instant::now() < until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn it_is_open_only_until_then() {
        let fence = Fence::closed();
        let clone = fence.clone();
        assert!(!fence.is_open());
        fence.set(Some(Instant::now() + Duration::from_secs(3600)));
        assert!(clone.is_open());
        fence.set(Some(Instant::now()));
        assert!(!clone.is_open());
        fence.set(None);
        assert!(!fence.is_open());
        assert!(Fence::open().is_open());
    }
}
