//! What has a name of ours in AWS and is somebody else's.

use super::identity::OwnershipClaim;

/// A resource that has our name and is not ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Foreign {
    /// What and which, such as `bucket prod-ta-acme-…`.
    pub resource: String,
    /// Left behind by an earlier object of ours, or anybody's.
    pub claim: OwnershipClaim,
}
