//! What is made of a [`Fault`].

use crate::stack::fault::{Class, Fault};

/// What is not there is an answer.
pub(super) fn found<T>(result: Result<T, Fault>) -> Result<Option<T>, Fault> {
    match result {
        Err(fault) if fault.class == Class::NotFound => Ok(None),
        result => result.map(Some),
    }
}

/// What was gone already is as good as deleted.
pub(super) fn gone<T>(result: Result<T, Fault>) -> Result<(), Fault> {
    found(result).map(drop)
}
