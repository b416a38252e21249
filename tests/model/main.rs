//! Fast tests of what users write and read: no cluster, no AWS.

mod crds;
