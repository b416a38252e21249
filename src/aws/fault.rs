//! What is made of a [`Fault`], and of an error's causes.

use std::error::Error;

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

/// An error and all its causes, in one line: the SDK's own errors say only "service error".
pub(super) fn chain(error: impl Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| (*cause).source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
