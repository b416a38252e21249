//! A policy of OpenSearch Serverless, which has a description in place of tags.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::stack::identity::Identity;

/// A policy of OpenSearch Serverless.
#[derive(Clone, Debug, PartialEq)]
pub struct PolicyFacts {
    /// What it says.
    pub document: Value,
    /// Its version: the lock of an update.
    pub version: String,
    /// Where policies carry what other resources have as tags.
    pub description: String,
}

impl PolicyFacts {
    /// What its description says, which stands for its tags.
    pub fn tags(&self) -> BTreeMap<String, String> {
        Identity::parse_description(&self.description)
    }

    /// Whether its description, which stands for its tags, says what it should.
    pub fn describes(&self, wanted: &BTreeMap<String, String>) -> bool {
        self.description == Identity::description(wanted)
    }
}
