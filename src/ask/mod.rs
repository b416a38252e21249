//! Questions to a tenant's knowledge base, as the gateway takes them from clients and puts them to AWS. Pure: no async, no
//! client, no clock, no environment. `tests/model` holds this folder to it.
//!
//! `strict` reads what a client sends, [`wire`] makes a question of it, [`filter`] joins its filter with the tenant's,
//! [`whose`] knows what may be asked for a tenant, and [`answer`] holds what comes back against that. [`sts`], [`token`] and
//! [`session`] are the way in and the way on; [`limits`] says how much a tenant's class lets it ask, and [`fair`] whose turn it is;
//! [`refusal`] and [`access`] are what is said.

pub mod access;
pub mod answer;
pub mod fair;
pub mod filter;
pub mod limits;
pub mod page;
pub mod refusal;
pub mod session;
mod strict;
pub mod sts;
pub mod token;
pub mod whose;
pub mod wire;
