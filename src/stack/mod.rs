//! What a stack should be, what it is, and what follows. Pure: no async, no client, no clock, no environment.
//! `tests/model` holds this folder to it.

pub(crate) mod accept;
pub(crate) mod approval;
pub(crate) mod causes;
pub mod classify;
pub mod compare;
pub(crate) mod cron;
pub(crate) mod fault;
pub(crate) mod forecast;
pub mod foreign;
pub(crate) mod hash;
pub mod iam;
pub mod identity;
pub(crate) mod job;
pub mod layout;
pub mod lent;
pub(crate) mod lifecycle;
pub(crate) mod max_knowledge_bases;
pub mod model;
pub(crate) mod names;
pub(crate) mod offer;
pub(crate) mod quota;
pub mod record;
pub(crate) mod registry;
pub(crate) mod request_ids;
pub mod store;
pub mod target;
pub(crate) mod tenant_ids;
