//! Why a pass ends before all of its steps are taken.

use super::Error;
use super::engine::Passed;
use crate::layers::existing_key::Unusable;
use crate::records::Trouble;
use crate::stack::fault::Fault;
use crate::stack::model::blocked::Blocked;
use crate::stack::model::outcome::LayerStatus;

/// The answer of a step after which there is no other.
pub enum PassStop {
    /// The object may not be acted upon.
    Refused(Blocked),
    /// Nobody can say at the moment whether it may.
    Withheld(Blocked),
    /// What it asks for is refused, and what stands is left as it is.
    Stands(Blocked),
    /// It waits for its SharedStack.
    WaitsForStack(LayerStatus),
    /// What an earlier holder of its tenantId left is being brought back.
    Restores(LayerStatus),
    /// It may have its tenantId, and does not take it because of what was seen.
    NotBegun(Box<Passed>),
    /// The pass failed.
    Failed(Error),
}

impl PassStop {
    /// Who was refused although it had been let in goes on without what it was refused: the reason, if it was.
    pub fn if_let_in(answer: Result<(), PassStop>) -> Result<Option<Blocked>, PassStop> {
        match answer {
            Ok(()) => Ok(None),
            Err(PassStop::Refused(refused)) => Ok(Some(refused)),
            Err(other) => Err(other),
        }
    }

    /// AWS does not say whether an object may be acted upon. What needs a person is a refusal.
    pub fn of_asking(fault: Fault) -> Self {
        Blocked::try_from(fault).map_or_else(PassStop::from, PassStop::Refused)
    }
}

impl From<Blocked> for PassStop {
    fn from(refused: Blocked) -> Self {
        PassStop::Refused(refused)
    }
}

impl From<Unusable> for PassStop {
    fn from(unusable: Unusable) -> Self {
        match unusable {
            Unusable::Blocked(refused) => PassStop::Refused(refused),
            Unusable::Unknown(fault) => fault.into(),
        }
    }
}

impl From<Trouble> for PassStop {
    fn from(trouble: Trouble) -> Self {
        PassStop::Withheld(Blocked { reason: trouble.reason(), message: trouble.to_string() })
    }
}

impl From<Error> for PassStop {
    fn from(error: Error) -> Self {
        PassStop::Failed(error)
    }
}

impl From<kube::Error> for PassStop {
    fn from(error: kube::Error) -> Self {
        PassStop::Failed(error.into())
    }
}

impl From<Fault> for PassStop {
    fn from(fault: Fault) -> Self {
        PassStop::Failed(fault.into())
    }
}
