//! What is asked of AWS, call by call, and the IAM policies that follow from it.

pub mod ask;
pub mod boundary;
pub(crate) mod client_policy;
pub mod grant;
pub mod guard;
pub mod operation;
pub mod permissions;
