//! What nobody but a person can set right, as a value.

use crate::api::Reason;

/// The user, or an administrator, must act: nothing will change before something is changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blocked {
    /// The machine-readable cause.
    pub reason: Reason,
    /// Cause, resource and what to do.
    pub message: String,
}
