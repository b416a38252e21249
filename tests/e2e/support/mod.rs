//! What tests stand on: the test bed, a world for each, both sides of it, and what is watched in every test.

pub mod aws;
pub mod bed;
pub mod cluster;
pub mod double;
pub mod fleet;
pub mod forward;
pub mod gateway;
pub mod inventory;
pub mod kubectl;
pub mod objects;
pub mod one_owner;
pub mod operators;
pub mod others;
pub mod parts;
pub mod proxy;
pub mod read_only;
pub mod record;
pub mod records;
pub mod replicas;
pub mod report;
pub mod retrieval;
pub mod witness;
pub mod world;
