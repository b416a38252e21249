//! End-to-end tests: a real Kubernetes API server, a double in place of AWS, and the operator in this process.
//!
//! All tests share one test bed, which lives as long as this process. Each has a world of its own in it: an operator,
//! an AWS account, and a label by which that operator tells its objects from everybody else's; so tests run side by
//! side and never wait for one another. A test waits for what it wants to see, with a deadline, and never for time to
//! pass. One that fails prints what its objects, their events and the AWS journal say.
//!
//! Tests wait more than they work. `.cargo/config.toml` sets `RUST_TEST_THREADS` to more than the machine's processors.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod api_server;
mod aws;
mod bed;
mod cluster;
mod double;
mod fleet;
mod forward;
mod inventory;
mod kubectl;
mod objects;
mod one_owner;
mod operators;
mod others;
mod parts;
mod proxy;
mod record;
mod records;
mod replicas;
mod report;
mod retained;
mod retrieval;
mod witness;
mod world;

mod admission;
mod adoption;
mod again;
mod aws_answers;
mod bad_objects;
mod changes;
mod client_policies;
mod conditions;
mod crash;
mod definitions;
mod door;
mod drift;
mod dry_run;
mod edges;
mod elsewhere;
mod examples;
mod foreign;
mod foreign_layers;
mod forged;
mod guarded;
mod hostile_sidecars;
mod index_by_endpoint;
mod ingestion;
mod installations;
mod job_size;
mod keys;
mod large_deletions;
mod lasting_faults;
mod leaders;
mod leaving;
mod ledger;
mod limits;
mod loss;
mod lost_answers;
mod lost_parts;
mod metadata;
mod metrics;
mod models;
mod neighbours;
mod onboarding;
mod one_tenant_id;
mod overlap;
mod pace;
mod pages;
mod permissions;
mod plan;
mod pool_isolation;
mod proxies;
mod quota;
mod races;
mod read_only;
mod readers;
mod refusals;
mod registry;
mod release;
mod selectors;
mod slots;
mod steady_state;
mod sweep;
mod tenant_ids;
mod trust;
mod turns;
mod unclaimed;
mod whose_id;
mod writes;
