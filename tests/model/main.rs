//! Fast tests of what users write and read: no cluster, no AWS.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod admission;
mod cel;
mod crds;
mod docs;
mod matrix;
mod settings;
