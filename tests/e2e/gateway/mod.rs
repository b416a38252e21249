//! Through the gateway a program gets its own tenant's passages or nothing, whatever it asks, whoever it is, and whatever the
//! store behind it answers.

pub mod asking;
pub mod changes;
pub mod classes;
pub mod failures;
pub mod hostile;
pub mod issuers;
pub mod replicas;
pub mod unsound;
pub mod whose;
