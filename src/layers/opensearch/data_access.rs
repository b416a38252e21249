//! The data access policy of an index, which stands beside the role that it opens the index to.

use serde_json::Value;

use super::policies::{self, describe, own_policy};
use crate::api::Layer;
use crate::aws::{Aws, PolicyKind, Tags};
use crate::stack::fault::Fault;
use crate::stack::identity::Identity;
use crate::stack::model::observed::{Foreign, PolicyFacts};

/// Reads it, whosever it is.
pub async fn find(aws: &Aws, id: &Identity) -> Result<Option<PolicyFacts>, Fault> {
    aws.policies.find(PolicyKind::DataAccess, &id.name(Layer::Index)).await
}

/// The one that was found, if it is ours; if it is not, whose it is.
pub fn own(id: &Identity, found: Option<PolicyFacts>, foreign: &mut Option<Foreign>) -> Option<PolicyFacts> {
    own_policy(id, "data access policy", &id.name(Layer::Index), found, foreign)
}

/// Makes it say `document`, and its description these tags.
pub async fn put(
    aws: &Aws,
    index: &str,
    document: &Value,
    tags: &Tags,
    found: Option<&PolicyFacts>,
) -> Result<(), Fault> {
    policies::put(aws, PolicyKind::DataAccess, index, document, tags, found).await
}

/// Writes the tags into its description, which stands for them.
pub async fn tag(aws: &Aws, id: &Identity, found: &PolicyFacts, tags: &Tags) -> Result<(), Fault> {
    describe(aws, PolicyKind::DataAccess, &id.name(Layer::Index), found, tags).await
}

/// Deletes it.
pub async fn delete(aws: &Aws, id: &Identity) -> Result<(), Fault> {
    aws.policies.delete(PolicyKind::DataAccess, &id.name(Layer::Index)).await
}
