//! The documents: whose each one is, when they are read, and how they go.
//!
//! This is not a task of its own but the last step of the pass that owns a knowledge base: [`schedule`] decides what is
//! wanted, by [`cron`] or because somebody asks, [`turns`] whose turn it is among all passes ([`scheduler`]), [`review`] compares everything with the [`ledger`] and puts a pool's metadata files right ([`sidecar`]; [`reviews`] counts), [`sync`] starts
//! the job and reports what became of it.

pub mod begin;
pub mod draft;
pub mod failures;
pub mod findings;
pub mod ledger;
pub mod marker;
pub mod purge;
pub mod quarantine;
pub mod relocate;
pub mod review;
pub mod reviews;
pub mod schedule;
pub mod scheduler;
pub mod sidecar;
pub mod source;
pub mod sync;
pub mod turns;
