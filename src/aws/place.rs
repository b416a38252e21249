//! Whoever waits for its turn at AWS gives up its place among those that work, and holds up nobody meanwhile.

use std::sync::Arc;

tokio::task_local! {
    /// The place of the pass that makes a call, if it has one.
    static PLACE: Arc<dyn Place>;
}

/// A place among those that work.
pub trait Place: Send + Sync {
    /// A wait begins. Calls of one pass wait side by side.
    fn leave(&self);
    /// A wait is over: the call is made now, so the place is had again at once.
    fn come_back(&self);
}

/// Runs a pass that has a place.
pub async fn with_place<T>(place: Arc<dyn Place>, pass: impl Future<Output = T>) -> T {
    PLACE.scope(place, pass).await
}

/// As long as this is there, its pass does without its place.
pub(crate) struct Away(Option<Arc<dyn Place>>);

impl Away {
    /// Gives up the place, if this call is of a pass that has one.
    pub(crate) fn now() -> Self {
        let place = PLACE.try_with(Arc::clone).ok();
        if let Some(place) = &place {
            place.leave();
        }
        Self(place)
    }
}

impl Drop for Away {
    fn drop(&mut self) {
        if let Some(place) = &self.0 {
            place.come_back();
        }
    }
}
