//! What an index that is there says of itself.

use crate::api::{Attribute, Distance};

/// What the schema of an index says; `None` where it does not say it, or in no way that we write.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct FoundIndex {
    pub(crate) dimensions: Option<i32>,
    pub(crate) distance: Option<Distance>,
    /// The distance, where it is none that we write.
    pub(crate) other_distance: Option<String>,
    pub(crate) m: Option<i32>,
    pub(crate) ef_construction: Option<i32>,
    pub(crate) ef_search: Option<i32>,
    /// Declared numbers and booleans.
    pub(crate) attributes: Vec<Attribute>,
    /// Declared text: attributes that are strings or lists of them, and a pool's tenant key.
    pub(crate) texts: Vec<String>,
}
