//! Faults that are answers.

use crate::stack::fault::{Class, Fault};

/// That something does not exist is an answer, and no failure.
pub(super) fn found<T>(result: Result<T, Fault>) -> Result<Option<T>, Fault> {
    match result {
        Err(fault) if fault.class == Class::NotFound => Ok(None),
        result => result.map(Some),
    }
}

/// What does not exist need not be deleted.
pub(super) fn gone<T>(result: Result<T, Fault>) -> Result<(), Fault> {
    found(result).map(drop)
}
