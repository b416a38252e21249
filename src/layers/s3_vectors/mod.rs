//! The layers that are S3 Vectors.

pub(crate) mod bucket;
pub(crate) mod index;
