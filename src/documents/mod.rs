//! The documents: whose each one is, when they are read, and how they go.
//!
//! This is not a task of its own but the last step of the pass that owns a knowledge base: [`schedule`] decides,
//! [`stamp`] marks a pool's documents, [`sync`] starts the job and reports what became of it.

pub mod marker;
pub mod purge;
pub mod relocate;
pub mod schedule;
pub mod sidecar;
pub mod stamp;
pub mod sync;
