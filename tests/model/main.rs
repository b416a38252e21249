//! Fast tests of what users write and read: no cluster, no AWS.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod admission;
mod argocd;
mod asking;
mod calls;
mod cel;
mod crds;
mod docs;
mod iam;
mod matrix;
mod pages;
mod permissions;
mod plan;
mod purity;
mod sentences;
mod settings;
