//! Validation rules that the API server evaluates (CEL), in the few shapes that both kinds need.

use kube::core::{Message, Rule};

/// A rule with its message.
pub fn rule(expression: impl Into<String>, message: impl Into<String>) -> Rule {
    Rule::new(expression).message(Message::Message(message.into()))
}

/// A required field that is decided at creation.
pub fn unchanging(field: &str, instead: &str) -> Rule {
    rule(
        format!("self.{field} == oldSelf.{field}"),
        format!("`{field}` must not be changed after creation; {instead}"),
    )
}

/// An optional field, perhaps of an optional parent, that is decided at creation: afterwards it is not changed,
/// added or removed. Without the last two it could be removed and then added with another value.
// Two optionals (`self.?a.?b`) would compare more shortly, but the API server cannot estimate what that costs.
pub fn fixed(path: &str, instead: &str) -> Rule {
    let (now, before) = (present("self", path), present("oldSelf", path));
    rule(
        format!("({now}) ? ({before} && self.{path} == oldSelf.{path}) : !({before})"),
        format!("`{path}` must not be changed, added or removed after creation; {instead}"),
    )
}

/// Whether `path` is there, parent by parent.
fn present(root: &str, path: &str) -> String {
    let ends = path.match_indices('.').map(|(end, _)| end).chain([path.len()]);
    ends.map(|end| format!("has({root}.{})", &path[..end])).collect::<Vec<_>>().join(" && ")
}

/// How to migrate what a tenant's documents or its identity depend on.
pub const SECOND_TENANT: &str =
    "create a second Tenant with another `tenantId`, copy the documents to it and delete this one";
/// How to migrate what all borrowers of a stack share.
pub const SECOND_STACK: &str = "create a second SharedStack and move its tenants there one by one";
