//! What is known by a SharedStack's name.

use std::collections::HashMap;

use parking_lot::{Mutex, MutexGuard};

/// Values by a SharedStack's name.
pub struct PerStack<T>(Mutex<HashMap<String, T>>);

impl<T> Default for PerStack<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T: Clone> PerStack<T> {
    /// All of them, locked.
    pub fn lock(&self) -> MutexGuard<'_, HashMap<String, T>> {
        self.0.lock()
    }

    /// One of them.
    pub fn get(&self, stack: &str) -> Option<T> {
        self.lock().get(stack).cloned()
    }
}
