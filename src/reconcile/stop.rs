//! Why a pass ends before all of its steps are taken.

use super::Error;
use super::engine::Passed;
use crate::layers::existing_key::Unusable;
use crate::records::Trouble;
use crate::stack::fault::Fault;
use crate::stack::model::blocked::Blocked;
use crate::stack::model::outcome::LayerStatus;

/// The answer of a step after which there is no other.
pub enum Stop {
    /// The object may not be acted upon.
    Refused(Blocked),
    /// Nobody can say at the moment whether it may.
    Withheld(Blocked),
    /// It waits for its SharedStack.
    WaitsForStack(LayerStatus),
    /// What an earlier holder of its tenantId left is being brought back.
    Restores(LayerStatus),
    /// It may have its tenantId, and does not take it because of what was seen.
    NotBegun(Box<Passed>),
    /// The pass failed.
    Failed(Error),
}

impl Stop {
    /// Who was refused although it had been let in goes on without what it was refused: the reason, if it was.
    pub fn if_let_in(answer: Result<(), Stop>) -> Result<Option<Blocked>, Stop> {
        match answer {
            Ok(()) => Ok(None),
            Err(Stop::Refused(refused)) => Ok(Some(refused)),
            Err(other) => Err(other),
        }
    }

    /// AWS does not say whether an object may be acted upon. What needs a person is a refusal.
    pub fn of_asking(fault: Fault) -> Self {
        Blocked::try_from(fault).map_or_else(Stop::from, Stop::Refused)
    }
}

impl From<Blocked> for Stop {
    fn from(refused: Blocked) -> Self {
        Stop::Refused(refused)
    }
}

impl From<Unusable> for Stop {
    fn from(unusable: Unusable) -> Self {
        match unusable {
            Unusable::Blocked(refused) => Stop::Refused(refused),
            Unusable::Unknown(fault) => fault.into(),
        }
    }
}

impl From<Trouble> for Stop {
    fn from(trouble: Trouble) -> Self {
        Stop::Withheld(Blocked { reason: trouble.reason(), message: trouble.to_string() })
    }
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Stop::Failed(error)
    }
}

impl From<kube::Error> for Stop {
    fn from(error: kube::Error) -> Self {
        Stop::Failed(error.into())
    }
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Self {
        Stop::Failed(fault.into())
    }
}
