//! End-to-end tests: a real Kubernetes API server, a double in place of AWS, and the operator in this process.
//!
//! | room | what its tests are about |
//! |---|---|
//! | `apply` | from an applied spec to a stack that answers, and what is changed of it later |
//! | `isolation` | whose something is, and who is kept from what |
//! | `documents` | from an uploaded document to one that is found, and what is told of those that are not |
//! | `gateway` | a tenant's passages and nobody else's, whatever a program asks and a store answers |
//! | `failures` | what goes wrong in AWS, in the cluster and in the process: it is told, and mended |
//! | `teardown` | the way back, what stays, and who gets it |
//! | `operating` | what people and machines read of a running operator, and what its work costs |
//! | `support` | what all of them stand on |
//!
//! All tests share one test bed, which lives as long as this process. Each has a world of its own in it: an operator,
//! an AWS account, and a label by which that operator tells its objects from everybody else's; so tests run side by
//! side and never wait for one another. A test waits for what it wants to see, with a deadline, and never for time to
//! pass. One that fails prints what its objects, their events and the AWS journal say.
//!
//! Tests wait more than they work. `.cargo/config.toml` sets `RUST_TEST_THREADS` to more than the machine's processors.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

mod apply;
mod documents;
mod failures;
mod gateway;
mod isolation;
mod operating;
mod teardown;
