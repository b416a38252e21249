//! The ids that AWS answered when it made something. Its lists show that seconds later, and its id leads there at once.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;

/// The last id by name. It is a hint, and never the truth: what it leads to is asked for its name, and if nothing is there
/// the list is asked. A process that has forgotten it does the same.
#[derive(Clone, Debug, Default)]
pub(super) struct Made(Arc<Mutex<HashMap<String, String>>>);

impl Made {
    /// AWS has answered that it makes this.
    pub(super) fn note(&self, name: &str, id: &str) {
        self.0.lock().insert(name.into(), id.into());
    }

    /// The id that it answered last.
    pub(super) fn of(&self, name: &str) -> Option<String> {
        self.0.lock().get(name).cloned()
    }

    /// That id is gone, or was asked to go. Another may have been answered meanwhile.
    pub(super) fn forget(&self, name: &str, id: &str) {
        let mut made = self.0.lock();
        if made.get(name).is_some_and(|last| last == id) {
            made.remove(name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_answer_counts_until_it_led_nowhere() {
        let made = Made::default();
        assert_eq!(made.of("acme"), None);
        made.note("acme", "KB1");
        made.clone().note("acme", "KB2");
        assert_eq!((made.of("acme").as_deref(), made.of("globex")), (Some("KB2"), None));
        made.forget("acme", "KB1");
        assert_eq!(made.of("acme").as_deref(), Some("KB2"), "it was another that is gone");
        made.forget("acme", "KB2");
        assert_eq!(made.of("acme"), None);
    }
}
