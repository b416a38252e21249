//! A limit of AWS's, as a row of a table.

use serde::Serialize;

/// What happens to a layer that does not fit.
pub(crate) const STALLS: &str = "the layer is Stalled with the reason Quota";

/// One limit, and what is taken of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Quota {
    /// What is limited, and where.
    pub what: &'static str,
    /// What this plan takes.
    pub used: u64,
    /// How much there is.
    pub limit: u64,
    /// Whether AWS raises it for who asks.
    pub adjustable: bool,
    /// Whether all of the plan can be built.
    pub fits: bool,
    /// What happens to what does not fit.
    pub beyond: &'static str,
    /// Who says so.
    pub source: &'static str,
}

impl Quota {
    /// A row: what is limited, what is taken of it, how much there is, whether AWS raises it, what happens beyond, and who
    /// says so.
    pub(crate) const fn of(
        what: &'static str,
        used: u64,
        limit: u64,
        adjustable: bool,
        beyond: &'static str,
        source: &'static str,
    ) -> Self {
        Self { what, used, limit, adjustable, fits: used <= limit, beyond, source }
    }
}
