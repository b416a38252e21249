//! What a store runs on while nobody uses it.

use serde::Serialize;

/// Stores for which all of this is the same share their compute units.
/// <https://docs.aws.amazon.com/opensearch-service/latest/developerguide/serverless-scaling.html>
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Capacity {
    /// The key that encrypts.
    pub key: String,
    /// Whether there are copies in other availability zones.
    pub standby_replicas: bool,
}

impl Capacity {
    /// OpenSearch compute units, each for an hour an hour: one, or two with copies.
    pub const fn idle_units(&self) -> f64 {
        idle_units(self.standby_replicas)
    }
}

pub(super) const fn idle_units(standby_replicas: bool) -> f64 {
    if standby_replicas { 2.0 } else { 1.0 }
}
