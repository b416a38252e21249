//! The layers that are OpenSearch Serverless, and the policies of all that it holds.

pub(crate) mod collection;
pub(crate) mod data_access;
pub(crate) mod index;
pub(crate) mod policies;
