//! Why a step of a teardown ends before everything is gone. Whoever returns no such value has proven that nothing is left.

use crate::clock::Clock;
use crate::reconcile::memory::Memory;
use crate::reconcile::{Error, ids};
use crate::records::Trouble;
use crate::stack::fault::Fault;
use crate::stack::model::progress::{Cadence, Progress};

/// Why a step ends.
#[derive(Debug)]
pub enum TeardownStop {
    /// Something has to be waited for.
    Waits(Progress),
    /// AWS refused a call.
    Refused(Fault),
    /// The pass failed, and its status stays as it was.
    Failed(Error),
}

/// Goes on only if nothing is left to wait for.
pub fn done(progress: Progress) -> Result<(), TeardownStop> {
    if progress.is_done() { Ok(()) } else { Err(TeardownStop::Waits(progress)) }
}

impl TeardownStop {
    /// What the status says. A refusal that needs a person, or that has lasted for minutes, is a condition and not only a
    /// line in the log.
    pub fn waits(self, clock: Clock, memory: &mut Memory) -> Result<Progress, Error> {
        let fault = match self {
            TeardownStop::Waits(progress) => return Ok(progress),
            TeardownStop::Failed(error) => return Err(error),
            TeardownStop::Refused(fault) => fault,
        };
        if let Some(progress) = Progress::of_fault(&fault) {
            return Ok(progress);
        }
        match memory.transient(clock, Some(&fault)) {
            Some((reason, message)) => Ok(Progress::Waiting { reason, message, cadence: Cadence::Probe }),
            None => Err(fault.into()),
        }
    }
}

impl From<Fault> for TeardownStop {
    fn from(fault: Fault) -> Self {
        TeardownStop::Refused(fault)
    }
}

impl From<Trouble> for TeardownStop {
    fn from(trouble: Trouble) -> Self {
        TeardownStop::Waits(ids::waits(&trouble))
    }
}

impl From<kube::Error> for TeardownStop {
    fn from(error: kube::Error) -> Self {
        TeardownStop::Failed(error.into())
    }
}
