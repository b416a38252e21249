//! The way back, what stays, and who gets it.

pub mod adoption;
pub mod dry_run;
pub mod leaving;
pub mod release;
pub mod retained;
pub mod stores;
