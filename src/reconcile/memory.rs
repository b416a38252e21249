//! What a process remembers of an object between passes: nothing that a restart may not forget.

use std::collections::{BTreeMap, HashMap};
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use parking_lot::Mutex;

use super::attention::Attention;
use crate::api::{Layer, PerLayer, Reason};
use crate::clock::Clock;
use crate::documents::relocate::StoppedAt;
use crate::documents::sync::Remembered;
use crate::layers::existing_key::OldTag;
use crate::stack::fault::Fault;
use crate::stack::model::desired::Desired;
use crate::stack::model::observed::Observation;
use crate::stack::model::progress::{QUIET, STALLED};

/// Between two looks at all layers of an object, whatever becomes of it: each costs some twenty calls, and anybody who
/// may change the object can ask for one.
const BETWEEN_LOOKS: Duration = Duration::from_secs(10);

/// One object's memory, by uid.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    /// The generation it was made for.
    pub generation: Option<i64>,
    /// What the last looks saw.
    pub observed: Observation,
    /// Layers that were whole at their last look.
    pub whole: PerLayer<bool>,
    /// How the next pass looks at each of them, unless it looks at all.
    pub attention: Attention,
    /// What they should have been at the last look.
    pub desired: Option<Desired>,
    /// A tag of its key that the next release will not read, which its owner is to be told of.
    pub old_tag: Option<OldTag>,
    /// When all layers were last looked at, and nothing has been in doubt since.
    pub looked_at_all: Option<Instant>,
    /// When the last look at all layers began, whatever came of it.
    pub began_to_look: Option<Instant>,
    /// Since when each layer has been waited for.
    pub waiting_since: PerLayer<Option<Instant>>,
    /// Layers that were not ready, or not changed, in time.
    pub late: PerLayer<Option<Late>>,
    /// What somebody else has changed of layers that were whole, in words, until it is put right.
    pub drift: PerLayer<Option<String>>,
    /// What AWS refused in a way that needs a person, and when.
    pub refused: PerLayer<Option<(Instant, Fault)>>,
    /// Since when its way back has been going on.
    pub leaving_since: Option<Instant>,
    /// What the documents' last step remembers.
    pub documents: Remembered,
    /// Whether it was written into the status that there were documents.
    pub documents_noted: bool,
    /// When the grace of its deletion began. Like when that was over, its status says so too, unless its definition is older than
    /// these fields and drops them.
    pub grace_started: Option<Time>,
    /// When that was over.
    pub deletion_started: Option<Time>,
    /// Whether the records of what goes along with it say so.
    pub records_told: bool,
    /// Ingestion jobs that should have forgotten a leaver's documents and found new ones.
    pub rounds: u32,
    /// Where the move of its documents stopped, to let others have their turn.
    pub move_stopped_at: StoppedAt,
    /// Since when AWS, or Kubernetes, has been failing in a way that passes.
    pub failing_since: Option<Instant>,
    /// Since when the look after its documents has been failing so.
    pub documents_failing_since: Option<Instant>,
    /// Since when its item in the registry cannot be looked at.
    pub registry_failing_since: Option<Instant>,
    /// Passes that failed in a row.
    pub failures: u32,
    /// What its item in the registry says.
    pub registry: Registered,
    /// The request for a job that its SharedStack was last woken for.
    pub request: Option<String>,
    /// What somebody last wrote who had mended a cause.
    pub retried: Option<String>,
    /// Layers that are being taken apart.
    pub goes: PerLayer<bool>,
    /// By tenantId: how far a SharedStack that leaves has taken apart what its tenants had retained.
    pub taken_along: BTreeMap<String, TakenAlong>,
}

/// Why something was not ready in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Late {
    /// AWS was at work on it for too long.
    AtWork,
    /// AWS did not begin, or did not answer.
    NotBegun,
}

/// What a tenant had retained, on its way out with the SharedStack.
#[derive(Clone, Debug)]
pub enum TakenAlong {
    /// It is being taken apart.
    Leaving(Box<Memory>),
    /// Nothing of it is left but what had to be left alone, in words.
    Gone(Vec<String>),
}

impl Memory {
    /// Whether there is nothing to remember.
    fn is_blank(&self) -> bool {
        let Self { generation, observed, whole, attention, desired, old_tag, looked_at_all, .. } = self;
        let Self { began_to_look, .. } = self;
        let looked = generation.is_some() || looked_at_all.is_some() || began_to_look.is_some();
        let nothing_seen = *observed == BLANK.observed && desired.is_none() && old_tag.is_none();
        let Self { waiting_since, late, drift, refused, goes, .. } = self;
        let no_layer = *whole == PerLayer::default()
            && *attention == Attention::default()
            && *waiting_since == PerLayer::default()
            && *late == PerLayer::default()
            && *drift == PerLayer::default()
            && *refused == PerLayer::default()
            && *goes == PerLayer::default();
        let Self { failing_since, documents_failing_since, registry_failing_since, failures, .. } = self;
        let fails = failing_since.is_some()
            || documents_failing_since.is_some()
            || registry_failing_since.is_some()
            || *failures > 0;
        let Self { leaving_since, grace_started, deletion_started, records_told, rounds, .. } = self;
        let Self { move_stopped_at, documents_noted, taken_along, .. } = self;
        let leaves = leaving_since.is_some()
            || grace_started.is_some()
            || deletion_started.is_some()
            || *records_told
            || *rounds > 0
            || *documents_noted
            || *move_stopped_at != StoppedAt::default()
            || !taken_along.is_empty();
        let Self { documents, registry, request, retried, .. } = self;
        let asked = request.is_some() || retried.is_some();
        let registered = registry.said.is_some() || registry.refused.is_some();
        let unread = documents.is_blank();
        nothing_seen && no_layer && unread && !(looked || fails || leaves || asked || registered)
    }

    /// Whether a pass looks at all layers, or only at those that were not whole.
    pub fn looks_at_all(&self, clock: Clock, resync_after: Duration, generation: i64) -> bool {
        let due = self.looked_at_all.is_none_or(|at| clock.since(at) >= resync_after);
        due || self.generation != Some(generation)
    }

    /// How long a pass has to be put off, because it would look at all layers and has done so just now.
    pub fn too_early(&self, clock: Clock, resync_after: Duration, generation: i64) -> Option<Duration> {
        if !self.looks_at_all(clock, resync_after, generation) {
            return None;
        }
        BETWEEN_LOOKS.checked_sub(clock.since(self.began_to_look?)).filter(|left| !left.is_zero())
    }

    /// All was looked at for this generation. Another spec has its own time, and what it wants may be what others changed.
    pub fn takes_up(&mut self, generation: i64) {
        if self.generation.replace(generation) != Some(generation) {
            self.late = PerLayer::default();
            self.drift = PerLayer::default();
        }
    }

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
        if self.refusal(clock, layer).is_none() {
            *self.refused.get_mut(layer) = Some((Instant::now(), fault.clone()));
        }
    }

    /// Why a layer is not tried for the time being.
    pub fn refusal(&self, clock: Clock, layer: Layer) -> Option<&Fault> {
        let (at, fault) = self.refused.get(layer).as_ref()?;
        (clock.since(*at) < STALLED).then_some(fault)
    }

    /// What a person may wonder about: AWS has been failing, in a way that passes, for some minutes.
    pub fn transient(&mut self, clock: Clock, fault: Option<&Fault>) -> Option<(Reason, String)> {
        let lasts = lasts(&mut self.failing_since, clock, fault.is_some());
        fault.filter(|_| lasts.is_some()).map(|fault| (fault.class.lasting(), fault.to_string()))
    }

    /// Whoever writes a new value has mended a cause: what was refused is tried again at once, and all is looked at.
    pub fn retry(&mut self, asked: Option<&str>) {
        if asked.is_some() && self.retried.as_deref() != asked {
            self.refused = PerLayer::default();
            self.registry.refused = None;
            self.looked_at_all = None;
            self.failures = 0;
            // What it was waited for begins anew.
            (self.waiting_since, self.late) = (PerLayer::default(), PerLayer::default());
            self.attention = Attention::default();
            self.leaving_since = self.leaving_since.map(|_| Instant::now());
            self.failing_since = None;
            self.documents_failing_since = None;
            self.registry_failing_since = None;
        }
        self.retried = asked.map(Into::into);
    }
}

/// Notes whether something fails, and answers for how long it has done so, once that is news.
pub fn lasts(since: &mut Option<Instant>, clock: Clock, fails: bool) -> Option<Duration> {
    if !fails {
        *since = None;
        return None;
    }
    let lasts = clock.since(*since.get_or_insert_with(Instant::now));
    (lasts > QUIET).then_some(lasts)
}

/// What a process remembers of a Tenant's item in the registry.
#[derive(Clone, Debug, Default)]
pub struct Registered {
    /// What it said, by the entry's hash, and when that was seen.
    pub said: Option<(String, Instant)>,
    /// What could not be written for a reason that needs a person, and when.
    pub refused: Option<(String, Instant)>,
}

/// What there is nothing to remember of is like this. It is only looked at: copies share what a review is at.
static BLANK: LazyLock<Arc<Memory>> = LazyLock::new(Arc::default);

/// The memories of all objects. A pass borrows one and works on it; two passes of one object never run at once.
#[derive(Default)]
pub struct Memories(Mutex<HashMap<String, Arc<Memory>>>);

impl Memories {
    fn of(&self, uid: &str) -> Option<Arc<Memory>> {
        self.0.lock().get(uid).cloned()
    }

    /// A copy, to look at.
    pub fn get(&self, uid: &str) -> Memory {
        self.of(uid).map(|memory| Memory::clone(&memory)).unwrap_or_default()
    }

    /// One to work on. Whatever becomes of the pass, what it has learned is put back.
    pub fn lend(&self, uid: &str) -> Lent<'_> {
        Lent { memories: self, uid: uid.into(), memory: self.of(uid).unwrap_or_default() }
    }

    /// One of them, to look at where it is.
    pub fn look<T>(&self, uid: &str, at: impl FnOnce(&Memory) -> T) -> T {
        at(self.of(uid).as_ref().unwrap_or(&BLANK))
    }

    /// What there is nothing to remember of takes no room: a Pool tenant at rest.
    fn put(&self, uid: &str, memory: Arc<Memory>) {
        let mut all = self.0.lock();
        if memory.is_blank() {
            all.remove(uid);
        } else {
            all.insert(uid.into(), memory);
        }
    }

    /// Something that must not be forgotten with a pass that fails after it.
    pub fn note(&self, uid: &str, note: impl FnOnce(&mut Memory)) {
        let mut memory = self.of(uid).unwrap_or_default();
        note(Arc::make_mut(&mut memory));
        self.put(uid, memory);
    }

    /// The object is gone.
    pub fn forget(&self, uid: &str) {
        self.0.lock().remove(uid);
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

/// A memory that a pass works on: while it does, nobody else notes anything. It is copied when it first changes.
pub struct Lent<'a> {
    memories: &'a Memories,
    uid: String,
    memory: Arc<Memory>,
}

impl Deref for Lent<'_> {
    type Target = Memory;

    fn deref(&self) -> &Memory {
        &self.memory
    }
}

impl DerefMut for Lent<'_> {
    fn deref_mut(&mut self) -> &mut Memory {
        Arc::make_mut(&mut self.memory)
    }
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        self.memories.put(&self.uid, std::mem::replace(&mut self.memory, BLANK.clone()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stack::fault::Class;

    fn fault(class: Class, message: &str) -> Fault {
        Fault {
            class,
            service: "s3",
            operation: "CreateBucket",
            resource: "prod-ta-acme".into(),
            code: "SlowDown".into(),
            message: message.into(),
            request_id: None,
        }
    }

    fn ago(seconds: f64) -> Instant {
        Instant::now().checked_sub(Duration::from_secs_f64(seconds)).unwrap()
    }

    #[test]
    fn whoever_begins_to_leave_forgets_what_it_waited_for_on_the_way_there() {
        let (waited, refused) = (ago(60.0), (ago(60.0), fault(Class::Denied, "no")));
        let mut memory = Memory { generation: Some(3), ..Memory::default() };
        memory.waiting_since.bucket = Some(waited);
        memory.refused.role = Some(refused.clone());
        let began = Instant::now();
        let since = memory.leaves();
        assert!(began <= since && since <= Instant::now());
        assert_eq!((memory.waiting_since, memory.refused.clone()), Default::default());
        assert_eq!((memory.leaving_since, memory.generation), (Some(since), Some(3)));

        // What is waited for on the way back is remembered.
        memory.waiting_since.bucket = Some(waited);
        memory.refused.role = Some(refused.clone());
        assert_eq!(memory.leaves(), since);
        assert_eq!(memory.leaving_since, Some(since));
        assert_eq!((memory.waiting_since.bucket, memory.refused.role), (Some(waited), Some(refused)));
    }

    #[test]
    fn all_is_looked_at_once_in_ten_seconds_at_most() {
        const RESYNC: Duration = Duration::from_secs(600);
        let memory = |generation, looked: Option<f64>, began: Option<f64>| Memory {
            generation,
            looked_at_all: looked.map(ago),
            began_to_look: began.map(ago),
            ..Memory::default()
        };
        for (what, memory, divisor, left) in [
            ("a first look", memory(None, None, None), 1, None),
            ("a change long after the last look", memory(Some(1), Some(11.0), Some(11.0)), 1, None),
            ("a change just after it", memory(Some(1), Some(3.0), Some(3.0)), 1, Some(7)),
            ("a change during it", memory(Some(1), Some(0.0), Some(9.0)), 1, Some(1)),
            ("no change", memory(Some(2), Some(3.0), Some(3.0)), 1, None),
            ("a look that came to nothing", memory(None, None, Some(4.0)), 1, Some(6)),
            ("one that was in doubt", memory(Some(2), None, Some(4.0)), 1, Some(6)),
            ("a resync", memory(Some(2), Some(600.0), Some(601.0)), 1, None),
            ("a change by another clock", memory(Some(1), Some(0.3), Some(0.3)), 10, Some(7)),
            ("a change, after ten of its seconds", memory(Some(1), Some(1.1), Some(1.1)), 10, None),
        ] {
            let wait = memory.too_early(Clock::new(divisor), RESYNC, 2);
            // A moment goes by between the start of the test and the question.
            assert_eq!(wait.map(|wait| wait.as_secs_f64().ceil() as u64), left, "{what}: {wait:?}");
        }
    }

    #[test]
    fn a_refusal_stands_until_it_is_time_to_try_again() {
        let (first, second) = (fault(Class::Denied, "first"), fault(Class::Quota, "second"));
        let (waited, earlier) = (ago(1.0), (ago(60.0), fault(Class::Denied, "another's")));
        // By the clock ÷1,000, a third of a second is longer than five minutes.
        for (at, divisor, replaced) in [
            (None, 1, true),
            (Some(ago(1.0)), 1, false),
            (Some(ago(290.0)), 1, false),
            (Some(ago(301.0)), 1, true),
            (Some(ago(0.31)), 1, false),
            (Some(ago(0.31)), 1000, true),
        ] {
            let waiting_since = PerLayer { role: Some(waited), bucket: Some(waited), ..PerLayer::default() };
            let mut memory = Memory { waiting_since, ..Memory::default() };
            memory.refused.role = at.map(|at| (at, first.clone()));
            memory.refused.bucket = Some(earlier.clone());
            let now = Instant::now();
            memory.note_refusal(Clock::new(divisor), Layer::Role, &second);
            let (noted, why) = memory.refused.role.clone().unwrap();
            if replaced {
                assert!(now <= noted && noted <= Instant::now(), "{at:?}");
                assert_eq!(why, second);
            } else {
                assert_eq!((Some(noted), &why), (at, &first));
            }
            let others = PerLayer { bucket: Some(waited), ..PerLayer::default() };
            assert_eq!(memory.waiting_since, others, "only this layer is waited for no more");
            let refused =
                PerLayer { role: Some((noted, why)), bucket: Some(earlier.clone()), ..PerLayer::default() };
            assert_eq!(memory.refused, refused);
        }
    }

    #[test]
    fn what_passes_is_news_after_two_minutes() {
        for (class, reason) in [
            (Class::Throttled, Reason::Throttled),
            (Class::Transient, Reason::Transient),
            (Class::Conflict, Reason::Transient),
        ] {
            let fault = fault(class, "Please reduce your request rate.");
            let news = Some((reason, fault.to_string()));
            let mut memory = Memory::default();
            let now = Instant::now();
            assert_eq!(memory.transient(Clock::new(1), Some(&fault)), None);
            let since = memory.failing_since.unwrap();
            assert!(now <= since && since <= Instant::now());
            // By the clock ÷1,000, an eighth of a second is longer than two minutes.
            for (since, divisor, told) in [
                (ago(115.0), 1, None),
                (ago(121.0), 1, news.clone()),
                (ago(0.125), 1, None),
                (ago(0.125), 1000, news.clone()),
            ] {
                memory.failing_since = Some(since);
                assert_eq!(memory.transient(Clock::new(divisor), Some(&fault)), told);
                assert_eq!(memory.failing_since, Some(since), "it has been failing since then");
            }
            assert_eq!(memory.transient(Clock::new(1000), None), None);
            assert_eq!(memory.failing_since, None, "what has passed begins anew");
        }
    }

    #[test]
    fn nothing_that_a_pass_has_learned_is_forgotten_because_it_failed_or_was_cut_off() {
        let memories = Memories::default();
        let fails = || -> Result<(), ()> {
            let mut memory = memories.lend("a");
            memory.rounds = 5;
            Err(())?;
            memory.rounds = 6;
            Ok(())
        };
        assert!(fails().is_err());
        assert_eq!(memories.get("a").rounds, 5);
        let cut_off = async {
            let mut memory = memories.lend("a");
            memory.rounds = 7;
            std::future::pending::<()>().await;
        };
        assert_eq!(futures::FutureExt::now_or_never(cut_off), None);
        assert_eq!(memories.get("a").rounds, 7);
    }

    #[test]
    fn whoever_has_mended_a_cause_gives_everything_its_whole_time_again() {
        let waited = Some(ago(3600.0));
        let mut memory = Memory {
            failing_since: waited,
            documents_failing_since: waited,
            registry_failing_since: waited,
            leaving_since: waited,
            looked_at_all: waited,
            failures: 7,
            ..Memory::default()
        };
        (memory.waiting_since.role, memory.late.role) = (waited, Some(Late::AtWork));
        memory.refused.role = Some((ago(1.0), fault(Class::Denied, "no")));
        memory.retry(None);
        assert_eq!((memory.waiting_since.role, memory.failures), (waited, 7), "nobody has asked");
        memory.retry(Some("now"));
        let since = [memory.failing_since, memory.documents_failing_since, memory.registry_failing_since];
        assert_eq!(since, [None; 3]);
        assert_eq!((memory.waiting_since.role, memory.late.role, memory.failures), (None, None, 0));
        assert!(memory.refused.role.is_none() && memory.looked_at_all.is_none());
        assert!(memory.leaving_since > waited, "it goes on leaving");
        // What stays in its annotations is asked for once.
        memory.waiting_since.role = waited;
        memory.retry(Some("now"));
        assert_eq!(memory.waiting_since.role, waited);
    }

    #[test]
    fn each_object_has_a_memory_of_its_own() {
        let memories = Memories::default();
        let made_for = |uid: &str| memories.get(uid).generation;
        assert_eq!(made_for("a"), None);
        memories.put("a", Memory { generation: Some(1), rounds: 5, ..Memory::default() }.into());
        memories.put("b", Memory { generation: Some(2), ..Memory::default() }.into());
        assert_eq!((made_for("a"), made_for("b")), (Some(1), Some(2)));

        let mut copy = memories.get("a");
        copy.generation = Some(9);
        assert_eq!(made_for("a"), Some(1), "a copy is put back or lost");

        memories.note("a", |memory| memory.generation = memory.generation.map(|it| it + 10));
        memories.note("new", |memory| memory.generation = Some(3));
        assert_eq!((made_for("a"), made_for("b"), made_for("new")), (Some(11), Some(2), Some(3)));
        assert_eq!(memories.get("a").rounds, 5, "what was not noted stays");

        memories.forget("a");
        assert_eq!((made_for("a"), memories.get("a").rounds, made_for("b")), (None, 0, Some(2)));
    }

    #[test]
    fn failed_passes_are_counted_for_each_object() {
        let memories = Memories::default();
        memories.put("a", Memory { rounds: 5, ..Memory::default() }.into());
        assert_eq!([memories.failed("a"), memories.failed("a"), memories.failed("b")], [1, 2, 1]);
        let memory = memories.get("a");
        assert_eq!((memory.failures, memory.rounds), (2, 5));
        memories.put("a", Memory { failures: u32::MAX, ..memory }.into());
        assert_eq!(memories.failed("a"), u32::MAX, "it has no end, and panics nowhere");
    }
}
