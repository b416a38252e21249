//! What a stack should be, what it is, and what follows. Pure: no async, no client, no clock, no environment.
//! `tests/model` holds this folder to it.

pub mod accept;
pub mod approval;
pub mod cron;
pub mod fault;
pub mod forecast;
pub mod hash;
pub mod iam;
pub mod identity;
pub mod job;
pub mod layout;
pub mod model;
pub mod offer;
pub mod registry;
pub mod store;
