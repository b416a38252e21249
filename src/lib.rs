//! Tenantry turns a `Tenant` into an isolated RAG stack on Amazon Bedrock Knowledge Bases.

pub mod api;
