//! Two operators, one after the other and both at once, in all orders that ten thousand seeds come upon: no id ever has two
//! holders, nobody gets a stranger's documents, and no id is burnt.

mod cluster;
mod process;

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Waker};

use jiff::{SignedDuration, Timestamp};
use parking_lot::Mutex;

use self::cluster::{Cluster, IDS, NAMESPACES, record_before};
use self::process::{Process, World};
use crate::api::Pattern;
use crate::records::in_memory::{InMemory, Mishap};
use crate::stack::layout::record_key;
use crate::stack::record::{IdPolicy, State};

const RUNS: u64 = 10_000;
/// So many things happen in a run before it is quiet.
const STEPS: usize = 100;

thread_local! {
    static DAYS: Cell<i64> = const { Cell::new(0) };
}

/// The time in the world of a run.
fn now() -> Timestamp {
    Timestamp::UNIX_EPOCH + SignedDuration::from_hours(24 * DAYS.get())
}

/// A pass, or a start, that is under way.
struct Task {
    process: Rc<Process>,
    uid: Option<String>,
    work: Pin<Box<dyn Future<Output = ()>>>,
}

struct Run {
    world: Rc<World>,
    rng: fastrand::Rng,
    policy: IdPolicy,
    leader: Rc<Process>,
    tasks: Vec<Task>,
    /// What a leader before this one has begun arrives late: once in so many times that it could.
    late: u8,
}

impl Run {
    fn new(seed: u64) -> Self {
        DAYS.set(0);
        let mut rng = fastrand::Rng::with_seed(seed);
        let calm = Arc::new(Mutex::new((fastrand::Rng::with_seed(rng.u64(..)), false)));
        let luck = calm.clone();
        let shelf = InMemory::with(move |_| match &mut *luck.lock() {
            (_, true) => Mishap::None,
            (rng, false) => match rng.u8(..16) {
                0 => Mishap::Before,
                1 => Mishap::After,
                _ => Mishap::None,
            },
        });
        let mut cluster = Cluster::default();
        let mut left = Vec::new();
        match rng.u8(..3) {
            0 => left.push(cluster.before_there_were_records()),
            1 => cluster.complete = true,
            _ => {
                cluster.complete = true;
                for tenant_id in IDS {
                    let record = serde_json::to_string(&record_before(tenant_id, State::Free));
                    shelf.overwrite(&record_key(tenant_id), &record.expect("JSON"));
                }
            }
        }
        for namespace in NAMESPACES {
            cluster.make_namespace(namespace, false);
        }
        let world = Rc::new(World {
            cluster: RefCell::new(cluster),
            shelf: Arc::new(shelf),
            luck: RefCell::new(fastrand::Rng::with_seed(rng.u64(..))),
            is_calm: calm,
            left,
        });
        let policy = if rng.u8(..3) == 0 { IdPolicy::Reuse } else { IdPolicy::PerNamespace };
        let leader = Process::new(&world, policy);
        let late = [1, 8, 64][rng.usize(..3)];
        let mut run = Self { world, rng, policy, leader, tasks: Vec::new(), late };
        run.starts();
        run
    }

    fn starts(&mut self) {
        let process = self.leader.clone();
        self.tasks.push(Task { work: Box::pin(process.clone().start()), process, uid: None });
    }

    /// Another leads. What leaders before it have begun may still arrive.
    fn another_leads(&mut self) {
        self.world.cluster.borrow_mut().tell("another leads".into());
        self.leader.ends();
        self.leader = Process::new(&self.world, self.policy);
        self.starts();
    }

    /// A task goes on until it waits.
    fn poll(&mut self, at: usize) {
        let done = self.tasks[at].work.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready();
        if done {
            drop(self.tasks.swap_remove(at));
        }
    }

    /// A pass of the leader over an object, unless one is under way.
    fn begin(&mut self, uid: &str) {
        let leader = self.leader.clone();
        let is_busy = |task: &Task| Rc::ptr_eq(&task.process, &leader) && task.uid.as_deref() == Some(uid);
        let seen = self.world.cluster.borrow().objects.get(uid).cloned();
        if let Some(seen) = seen.filter(|_| leader.has_started.get() && !self.tasks.iter().any(is_busy)) {
            let work = Box::pin(leader.clone().pass(seen));
            self.tasks.push(Task { process: leader, uid: Some(uid.into()), work });
        }
    }

    fn any_object(&mut self) -> Option<String> {
        let cluster = self.world.cluster.borrow();
        let uids: Vec<_> = cluster.objects.keys().cloned().collect();
        (!uids.is_empty()).then(|| uids[self.rng.usize(..uids.len())].clone())
    }

    fn step(&mut self) {
        match self.rng.u8(..100) {
            0..60 if !self.tasks.is_empty() => {
                let at = self.rng.usize(..self.tasks.len());
                if Rc::ptr_eq(&self.tasks[at].process, &self.leader) || self.rng.u8(..self.late) == 0 {
                    self.poll(at);
                }
            }
            0..84 => {
                if let Some(uid) = self.any_object() {
                    self.begin(&uid);
                }
            }
            84..86 if !self.tasks.is_empty() => {
                let at = self.rng.usize(..self.tasks.len());
                if self.tasks[at].uid.is_some() {
                    drop(self.tasks.swap_remove(at));
                }
            }
            84..88 if self.late == 1 || self.rng.u8(..4) == 0 => self.another_leads(),
            _ => self.somebody_does_something(),
        }
    }

    fn somebody_does_something(&mut self) {
        let (what, object) = (self.rng.u8(..20), self.any_object());
        let namespace = NAMESPACES[self.rng.usize(..NAMESPACES.len())];
        let mut cluster = self.world.cluster.borrow_mut();
        match (what, object) {
            (0..7, _) => cluster.make_any(&mut self.rng),
            (7..12, Some(uid)) => cluster.write_document(&uid),
            (12..15, Some(uid)) => cluster.delete(&uid),
            // Before there are records a hold is all that is known.
            (15, Some(uid)) if cluster.complete => {
                cluster.tell(format!("somebody strips {uid}"));
                cluster.stripped.insert(uid.clone());
                cluster.change(&uid, |object| object.hold = false);
            }
            (16, _) => cluster.delete_namespace(namespace),
            (17, _) => cluster.make_namespace(namespace, self.rng.bool()),
            (18, _) => {
                cluster.tell("a day goes by".into());
                DAYS.set(DAYS.get() + 2);
            }
            _ => {
                for (tenant_id, uid) in std::mem::take(&mut cluster.gone) {
                    self.leader.claims.release(&tenant_id, &uid);
                }
            }
        }
    }

    /// Whatever is under way ends.
    fn settle(&mut self) {
        for _ in 0..10_000 {
            if self.tasks.is_empty() {
                return;
            }
            let at = self.rng.usize(..self.tasks.len());
            self.poll(at);
        }
        panic!("some pass never ends");
    }

    /// Passes over all objects, until nothing is to be done for them.
    fn rounds(&mut self, rounds: usize) {
        for _ in 0..rounds {
            self.settle();
            if self.world.cluster.borrow().objects.is_empty() {
                return;
            }
            let uids: Vec<_> = self.world.cluster.borrow().objects.keys().cloned().collect();
            for (tenant_id, uid) in std::mem::take(&mut self.world.cluster.borrow_mut().gone) {
                self.leader.claims.release(&tenant_id, &uid);
            }
            for uid in uids {
                self.begin(&uid);
            }
        }
        self.settle();
    }

    /// All is quiet, and everybody is deleted with all that it has: each id can be had again.
    fn ends(&mut self) {
        self.world.is_calm.lock().1 = true;
        self.settle();
        self.another_leads();
        self.settle();
        let uids: Vec<_> = self.world.cluster.borrow().objects.keys().cloned().collect();
        for uid in uids {
            let mut cluster = self.world.cluster.borrow_mut();
            cluster.change(&uid, |object| object.retains = false);
            cluster.delete(&uid);
        }
        self.rounds(6);
        assert!(self.world.cluster.borrow().objects.is_empty(), "some Tenant cannot leave");
        for tenant_id in IDS {
            self.can_be_had(tenant_id);
        }
    }

    /// An id can be had by whoever its record names, and by anybody if it never had a document.
    fn can_be_had(&mut self, tenant_id: &str) {
        let Some(record) = self.world.shelf.says(&record_key(tenant_id)) else { return };
        let text = |at: &str| record.pointer(at).and_then(|it| it.as_str()).unwrap_or_default().to_owned();
        let (state, is_silo) = (text("/state"), text("/pattern") == "Silo");
        let (was_stripped, is_used) = {
            let cluster = self.world.cluster.borrow();
            let uid = text("/holder/uid");
            let is_used = cluster.used.contains(tenant_id) || cluster.doubtful.contains(&uid);
            (cluster.stripped.contains(&uid), is_used)
        };
        assert!(state != "held" || was_stripped, "'{tenant_id}' is burnt: {record}");
        let is_anybodys = state == "free" || (state == "gone" && record["empty"] == true);
        // What a Silo retains is more than documents.
        assert!(
            is_anybodys || is_used || was_stripped || is_silo,
            "a squatter burnt '{tenant_id}': {record}"
        );
        DAYS.set(DAYS.get() + 2);
        let (namespace, name) = if is_anybodys {
            ("stranger".to_owned(), "z".to_owned())
        } else {
            (text("/holder/namespace"), text("/holder/name"))
        };
        let pattern = if is_silo { Pattern::Silo } else { Pattern::Pool };
        let made = {
            let mut cluster = self.world.cluster.borrow_mut();
            // Where the namespace was made again, an administrator says that it is to have what the earlier one had.
            cluster.namespaces.remove(&namespace);
            cluster.make_namespace(&namespace, !is_anybodys);
            cluster.make(&namespace, &name, tenant_id, pattern, false)
        };
        self.rounds(3);
        let made = made.and_then(|uid| self.world.cluster.borrow().objects.get(&uid).cloned());
        let has_it = made.is_some_and(|object| object.word.is_some());
        assert!(has_it, "{namespace}/{name} does not get '{tenant_id}': {record}");
        self.world.cluster.borrow_mut().delete_namespace(&namespace);
        self.rounds(4);
    }
}

/// What a run came upon.
fn run(seed: u64) -> Result<(), String> {
    let mut run = Run::new(seed);
    let world = run.world.clone();
    let ran = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        (0..STEPS).for_each(|_| run.step());
        run.ends();
    }));
    ran.map_err(|_| format!("seed {seed}:\n{}", world.cluster.borrow().story.join("\n")))
}

#[test]
fn no_order_of_things_gives_an_id_to_two_or_documents_to_a_stranger_or_burns_an_id() {
    let only: Option<u64> = std::env::var("TENANTRY_SEED").ok().and_then(|seed| seed.parse().ok());
    let seeds = only.map_or(0..RUNS, |seed| seed..seed + 1);
    let workers = std::thread::available_parallelism().map_or(1, usize::from).min(4);
    let found: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..workers)
            .map(|worker| seeds.clone().skip(worker).step_by(workers))
            .map(|mut part| scope.spawn(move || part.find_map(|seed| run(seed).err())))
            .collect();
        threads.into_iter().filter_map(|thread| thread.join().unwrap()).collect()
    });
    assert!(found.is_empty(), "{}\n\nTENANTRY_SEED=<seed> runs one again", found.join("\n\n"));
}
