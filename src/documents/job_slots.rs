//! The slots in which ingestion jobs start, shared by all passes of the process. A pass starts a job only while it has a slot. A
//! slot that is not used goes back by itself, however the pass ends, and the next owner is woken.

use std::time::Duration;

use jiff::Timestamp;
use parking_lot::Mutex;

use super::scheduler::{Answer, Limits, Listed, Load, Refusal, Scheduler};
use crate::stack::fault::Fault;
use crate::stack::identity::Owner;
use crate::stack::job::JobSummary;

type Calendar = Box<dyn Fn(Timestamp) -> Timestamp + Send + Sync>;
type Wake = Box<dyn Fn(&Owner) + Send + Sync>;

/// See the [module](self).
pub struct JobSlots {
    scheduler: Mutex<Scheduler<Owner>>,
    calendar: Calendar,
    wake: Wake,
}

/// The answer to a pass that asks for a slot.
pub enum JobSlot<'a> {
    /// It may start a job.
    Yours(Permit<'a>),
    /// Not yet. The pass looks again after this time, if nothing wakes it before.
    Wait(Duration),
}

/// The right to start one job. It goes back when it is dropped.
pub struct Permit<'a> {
    job_slots: &'a JobSlots,
    knowledge_base: String,
}

impl JobSlots {
    /// All slots are free. `calendar` says what schedules see at a moment, and `wake` lets an owner's pass run.
    pub fn new(
        limits: Limits,
        calendar: impl Fn(Timestamp) -> Timestamp + Send + Sync + 'static,
        wake: impl Fn(&Owner) + Send + Sync + 'static,
    ) -> Self {
        let scheduler = Mutex::new(Scheduler::new(limits, calendar(Timestamp::now())));
        Self { scheduler, calendar: Box::new(calendar), wake: Box::new(wake) }
    }

    /// What schedules see at a moment.
    pub fn calendar(&self, at: Timestamp) -> Timestamp {
        (self.calendar)(at)
    }

    /// What schedules see now.
    pub fn now(&self) -> Timestamp {
        self.calendar(Timestamp::now())
    }

    /// How long ago something was, in the terms in which waits are written down.
    pub fn since(&self, at: Timestamp) -> Duration {
        Duration::try_from(self.now().duration_since(self.calendar(at))).unwrap_or_default()
    }

    /// Notes a knowledge base that is older than this process: it may have a job.
    pub fn expect(&self, knowledge_base: &str, uid: &str) {
        self.scheduler.lock().expect(knowledge_base, uid);
    }

    /// How long to wait before the jobs of a knowledge base are listed.
    pub fn too_early(&self, knowledge_base: &str) -> Option<Duration> {
        self.scheduler.lock().too_early(knowledge_base, self.now())
    }

    /// Notes the jobs of a knowledge base, which were listed just now. Answers whether one runs, even if the list does not show
    /// it yet.
    pub fn listed(&self, knowledge_base: &str, uid: &str, jobs: &[JobSummary]) -> bool {
        let listed = jobs.iter().map(|job| Listed {
            id: &job.id,
            running: job.is_running(),
            started: self.calendar(job.started),
        });
        let listed: Vec<_> = listed.collect();
        self.then_call(|scheduler, now| scheduler.listed(knowledge_base, uid, &listed, now))
    }

    /// Asks for a slot for a job that is wanted since `since`, or else since it was first asked for.
    pub fn ask(
        &self,
        knowledge_base: &str,
        owner: &Owner,
        since: Option<Timestamp>,
        urgent: bool,
    ) -> JobSlot<'_> {
        let answer =
            self.then_call(|scheduler, now| scheduler.ask(knowledge_base, owner.clone(), since, urgent, now));
        match answer {
            Answer::JobSlot => {
                JobSlot::Yours(Permit { job_slots: self, knowledge_base: knowledge_base.into() })
            }
            Answer::Wait(wait) => JobSlot::Wait(wait),
        }
    }

    /// No job is wanted any more.
    pub fn withdraw(&self, knowledge_base: &str) {
        self.then_call(|scheduler, now| scheduler.withdraw(knowledge_base, now));
    }

    /// How busy the account is with jobs.
    pub fn load(&self) -> Load {
        self.scheduler.lock().load(self.now())
    }

    /// An object is gone.
    pub fn forget(&self, uid: &str) {
        self.then_call(|scheduler, now| scheduler.forget(uid, now));
    }

    /// Tells the scheduler something, and wakes the owners that are next because of that.
    fn then_call<T>(&self, tell: impl FnOnce(&mut Scheduler<Owner>, Timestamp) -> T) -> T {
        let now = self.now();
        let mut scheduler = self.scheduler.lock();
        let answer = tell(&mut scheduler, now);
        let next = scheduler.call(now);
        drop(scheduler);
        next.iter().for_each(|next| (self.wake)(next));
        answer
    }
}

impl Permit<'_> {
    /// The slot was used.
    pub fn started(self, job: &str) {
        self.job_slots.then_call(|scheduler, now| scheduler.started(&self.knowledge_base, job, now));
    }

    /// AWS, or our own pace, did not let the job start.
    pub fn refused(self, fault: &Fault) {
        let why = match fault.code.as_str() {
            "ServiceQuotaExceededException" => Refusal::Full,
            "ConflictException" => Refusal::Running,
            "ThrottlingException" => Refusal::Early,
            // The job may have started, and the answer was lost.
            _ if fault.class.may_have_happened() => Refusal::Running,
            // Another pass was faster, and has noted when.
            _ => return,
        };
        tracing::info!(knowledge_base = self.knowledge_base, %fault, "no room for an ingestion job");
        self.job_slots.then_call(|scheduler, now| scheduler.refused(&self.knowledge_base, why, now));
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        self.job_slots.then_call(|scheduler, now| scheduler.give_back(&self.knowledge_base, now));
    }
}
