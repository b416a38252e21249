//! The documents: whose each one is, when they are read, and how they go.
//!
//! This is not a task of its own but the last step of the pass that owns a knowledge base: [`schedule`] decides what is
//! wanted, by [`cron`](crate::stack::cron) or because somebody asks, [`job_slots`] whose turn it is among all passes
//! ([`scheduler`]), [`review`] compares everything with the [`ledger`] a [`walk`] at a time and puts what lies [`beside`] a
//! pool's documents right ([`sidecar`]; [`reviews`] counts), [`sync`] starts the job and reports what became of it.

pub(crate) mod begin;
pub(crate) mod beside;
pub(crate) mod draft;
pub(crate) mod failures;
pub mod findings;
pub(crate) mod index;
pub mod job_size;
pub(crate) mod job_slots;
pub(crate) mod kept;
pub(crate) mod known;
pub(crate) mod ledger;
pub(crate) mod ledger_index;
pub(crate) mod marker;
pub(crate) mod names;
pub(crate) mod purge;
pub(crate) mod quarantine;
pub(crate) mod range;
pub(crate) mod relocate;
pub mod review;
pub mod reviews;
pub(crate) mod room;
pub(crate) mod schedule;
pub(crate) mod scheduler;
pub mod scope;
pub mod sidecar;
pub(crate) mod source;
pub(crate) mod sync;
pub mod tally;
pub(crate) mod task;
pub(crate) mod unequivocal;
pub(crate) mod walk;
