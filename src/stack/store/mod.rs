//! Where vectors are kept: what each store wants to be told.

pub mod opensearch;
