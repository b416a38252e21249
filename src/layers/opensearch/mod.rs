//! The layers that are OpenSearch Serverless, and the policies of all that it holds.

pub mod collection;
pub mod index;
pub mod policies;
