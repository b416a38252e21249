//! Validation rules that the API server evaluates (CEL), in the few shapes that both kinds need.

use kube::core::{Message, Rule};

/// A rule with its message.
pub fn rule(expression: impl Into<String>, message: impl Into<String>) -> Rule {
    Rule::new(expression).message(Message::Message(message.into()))
}

/// `path` is decided at creation: afterwards it is not changed, added or removed.
///
/// An optional field needs its presence compared as well, or it could be removed and then added with
/// another value. Comparing two optionals does both, through any number of optional parents.
pub fn fixed(path: &str, instead: &str) -> Rule {
    let leaf = path
        .split('.')
        .map(|field| format!(".?{field}"))
        .collect::<String>();
    rule(
        format!("self{leaf} == oldSelf{leaf}"),
        format!("`{path}` must not be changed, added or removed after creation; {instead}"),
    )
}

/// How to migrate what only a knowledge base, its index or its collection knows: the documents can stay.
pub const REBUILD: &str = "to rebuild from the same documents, set `deletionPolicy` to 'RetainDocuments', \
                           delete this Tenant and create it again";
/// How to migrate what a tenant's documents or its identity depend on.
pub const SECOND_TENANT: &str =
    "create a second Tenant with another `tenantId`, copy the documents to it and delete this one";
/// How to migrate what all borrowers of a stack share.
pub const SECOND_STACK: &str = "create a second SharedStack and move its tenants there one by one";
