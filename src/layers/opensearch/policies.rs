//! Whose a policy of OpenSearch Serverless is. It has no tags; its description says what tags would.

use serde_json::Value;

use crate::aws::{Aws, PolicyKind, Tags};
use crate::stack::fault::Fault;
use crate::stack::identity::Identity;
use crate::stack::model::diff;
use crate::stack::model::observed::{Foreign, PolicyFacts};

/// A policy of our name if it is ours; if it is not, whose it is.
pub fn own_policy(
    id: &Identity,
    what: &str,
    name: &str,
    policy: Option<PolicyFacts>,
    foreign: &mut Option<Foreign>,
) -> Option<PolicyFacts> {
    match foreign_policy(id, what, name, policy.as_ref()) {
        None => policy,
        Some(other) => {
            foreign.get_or_insert(other);
            None
        }
    }
}

/// Whether a policy of our name is somebody else's, by its description.
pub fn foreign_policy(
    id: &Identity,
    what: &str,
    name: &str,
    policy: Option<&PolicyFacts>,
) -> Option<Foreign> {
    let claim = id.claim(&Identity::parse_description(&policy?.description));
    (!id.owns(&claim)).then(|| Foreign { resource: format!("{what} {name}"), claim })
}

/// Creates a policy, or puts this document and description in place of those that were found.
pub async fn put(
    aws: &Aws,
    kind: PolicyKind,
    name: &str,
    document: &Value,
    tags: &Tags,
    found: Option<&PolicyFacts>,
) -> Result<(), Fault> {
    let description = Identity::description(tags);
    match found {
        None => aws.policies.create(kind, name, document, &description).await,
        Some(found) => aws.policies.update(kind, name, document, &description, &found.version).await,
    }
}

/// Makes a policy's description say these tags.
pub async fn describe(
    aws: &Aws,
    kind: PolicyKind,
    name: &str,
    policy: &PolicyFacts,
    tags: &Tags,
) -> Result<(), Fault> {
    if diff::describes(policy, tags) {
        return Ok(());
    }
    put(aws, kind, name, &policy.document, tags, Some(policy)).await
}
