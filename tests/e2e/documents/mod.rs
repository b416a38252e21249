//! From an uploaded document to one that is found, and what is told of those that are not.

pub mod bad_objects;
pub mod door;
pub mod ingestion;
pub mod job_size;
pub mod large_deletions;
pub mod ledger;
pub mod metadata;
pub mod models;
pub mod neighbours;
pub mod slots;
pub mod unclaimed;
