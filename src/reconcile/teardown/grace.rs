//! The first brake: a deletion begins some minutes after the operator could have begun with it. When the grace began and
//! when it was over are in the status before anything follows from them. Memory keeps both too, because a definition that
//! is older than these fields drops them.

use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::deletion::Deletion;
use super::stop::TeardownStop;
use crate::api::{Reason, Status};
use crate::clock;
use crate::reconcile::memory::Memory;
use crate::stack::model::grace::{self, Grace};
use crate::stack::model::progress::{Cadence, Progress};

/// Goes on only once the grace is over.
pub fn is_over(
    deletion: &Deletion<'_>,
    status: &mut Status,
    memory: &mut Memory,
) -> Result<(), TeardownStop> {
    let clock = deletion.cx.clock;
    let (now, grace) = how_far(deletion, status, memory);
    let until = match grace {
        Grace::Over => return Ok(()),
        Grace::Ends => {
            note(status, memory, status.grace_started_time.clone(), Some(now));
            return Err(TeardownStop::Waits(Progress::waiting(Reason::Deleting, "The deletion begins")));
        }
        Grace::Begins(began) => {
            note(status, memory, Some(Time(began)), None);
            grace::ends(began, clock.outside(deletion.cx.settings.deletion_grace))
        }
        Grace::Runs(until) => until,
    };
    let left = Duration::try_from(until.duration_since(now.0)).unwrap_or_default();
    let cadence = Cadence::After(clock.inside(left));
    Err(TeardownStop::Waits(Progress::Waiting {
        reason: Reason::GracePeriod,
        message: grace::says(until),
        cadence,
    }))
}

/// The grace begins although something else is waited for first: whoever reads of it can say no meanwhile.
pub fn begin(deletion: &Deletion<'_>, status: &mut Status, memory: &mut Memory) {
    if let (_, Grace::Begins(began)) = how_far(deletion, status, memory) {
        note(status, memory, Some(Time(began)), None);
    }
}

/// Whoever was given time to think is given all of it again.
pub fn begin_anew(status: &mut Status, memory: &mut Memory) {
    note(status, memory, None, None);
}

/// How far the grace is now.
fn how_far(deletion: &Deletion<'_>, status: &Status, memory: &Memory) -> (Time, Grace) {
    let cx = deletion.cx;
    let moment = |said: &Option<Time>, noted: &Option<Time>| said.as_ref().or(noted.as_ref()).map(|at| at.0);
    let known = grace::Deletion {
        asked: deletion.since.0,
        grace_started: moment(&status.grace_started_time, &memory.grace_started),
        started: moment(&status.deletion_started_time, &memory.deletion_started),
        acts_since: cx.acts_since,
    };
    let now = clock::now().0.max(known.asked);
    (Time(now), known.grace(cx.clock.outside(cx.settings.deletion_grace), now))
}

/// Puts both moments into the status, and into memory.
fn note(status: &mut Status, memory: &mut Memory, grace: Option<Time>, deletion: Option<Time>) {
    (memory.grace_started, memory.deletion_started) = (grace.clone(), deletion.clone());
    (status.grace_started_time, status.deletion_started_time) = (grace, deletion);
}
