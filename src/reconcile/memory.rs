//! What a process remembers of an object between passes: nothing that a restart may not forget.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Mutex, MutexGuard};

use crate::api::{Layer, PerLayer, Reason};
use crate::clock::Clock;
use crate::documents::sync::Remembered;
use crate::stack::fault::{Class, Fault};
use crate::stack::model::observed::Sight;
use crate::stack::model::progress::STALLED;

/// How long passing failures are nobody's news.
const QUIET: Duration = Duration::from_secs(120);

/// One object's memory, by uid.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    /// The generation it was made for.
    pub generation: Option<i64>,
    /// What the last looks saw.
    pub sight: Sight,
    /// Layers that were whole at their last look; the others are looked at again.
    pub whole: PerLayer<bool>,
    /// When all layers were last looked at.
    pub looked_at_all: Option<Instant>,
    /// Since when each layer has been waited for.
    pub waiting_since: PerLayer<Option<Instant>>,
    /// What AWS refused in a way that needs a person, and when.
    pub refused: PerLayer<Option<(Instant, Fault)>>,
    /// Since when its way back has been going on.
    pub leaving_since: Option<Instant>,
    /// What the documents' last step remembers.
    pub documents: Remembered,
    /// Ingestion jobs that should have forgotten a leaver's documents and found new ones.
    pub rounds: u32,
    /// Since when AWS has been failing in a way that passes.
    pub failing_since: Option<Instant>,
    /// Passes that failed in a row.
    pub failures: u32,
    /// What its item in the registry says.
    pub registry: Registered,
    /// The request for a job that its SharedStack was last woken for.
    pub request: Option<String>,
}

impl Memory {
    /// The way back has begun, or goes on; answers since when. Whatever was waited for on the way there is forgotten.
    pub fn leaves(&mut self) -> Instant {
        if self.leaving_since.is_none() {
            self.waiting_since = PerLayer::default();
            self.refused = PerLayer::default();
        }
        *self.leaving_since.get_or_insert_with(Instant::now)
    }

    /// A layer that waits for a person is not waited for, and not tried at each pass.
    pub fn note_refusal(&mut self, clock: Clock, layer: Layer, fault: &Fault) {
        *self.waiting_since.get_mut(layer) = None;
        let refused = self.refused.get_mut(layer);
        if refused.as_ref().is_none_or(|(at, _)| clock.since(*at) >= STALLED) {
            *refused = Some((Instant::now(), fault.clone()));
        }
    }

    /// What a person may wonder about: AWS has been failing, in a way that passes, for some minutes.
    pub fn transient(&mut self, clock: Clock, fault: Option<&Fault>) -> Option<(Reason, String)> {
        let Some(fault) = fault else {
            self.failing_since = None;
            return None;
        };
        let since = *self.failing_since.get_or_insert_with(Instant::now);
        let reason = if fault.class == Class::Throttled { Reason::Throttled } else { Reason::Transient };
        (clock.since(since) > QUIET).then(|| (reason, fault.to_string()))
    }
}

/// What a process remembers of a Tenant's item in the registry.
#[derive(Clone, Debug, Default)]
pub struct Registered {
    /// What it said, by the entry's hash, and when that was seen.
    pub said: Option<(String, Instant)>,
    /// What could not be written for a reason that needs a person, and when.
    pub refused: Option<(String, Instant)>,
}

/// The memories of all objects. A pass takes one out, works on it and puts it back; two passes of one object never
/// run at once.
#[derive(Default)]
pub struct Memories(Mutex<HashMap<String, Arc<Memory>>>);

impl Memories {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Arc<Memory>>> {
        self.0.lock()
    }

    /// A copy to work on.
    pub fn get(&self, uid: &str) -> Memory {
        self.lock().get(uid).map(|memory| Memory::clone(memory)).unwrap_or_default()
    }

    /// What the pass has learned.
    pub fn put(&self, uid: &str, memory: Memory) {
        self.lock().insert(uid.into(), Arc::new(memory));
    }

    /// Something that must not be forgotten with a pass that fails after it.
    pub fn note(&self, uid: &str, note: impl FnOnce(&mut Memory)) {
        let mut memory = self.get(uid);
        note(&mut memory);
        self.put(uid, memory);
    }

    /// The object is gone.
    pub fn forget(&self, uid: &str) {
        self.lock().remove(uid);
    }

    /// One more failed pass; how many there were in a row.
    pub fn failed(&self, uid: &str) -> u32 {
        let mut failures = 0;
        self.note(uid, |memory| {
            memory.failures = memory.failures.saturating_add(1);
            failures = memory.failures;
        });
        failures
    }
}
