//! What goes wrong in AWS, in the cluster and in the process: it is told, and mended.

pub mod api_server;
pub mod aws_answers;
pub mod crash;
pub mod definitions;
pub mod drift;
pub mod hints;
pub mod index_by_endpoint;
pub mod lasting_faults;
pub mod leaders;
pub mod loss;
pub mod lost_answers;
pub mod lost_parts;
pub mod proxies;
pub mod races;
pub mod sweep;
