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

/// An optional field, perhaps of an optional parent, that is decided at creation. Left out it is its default, a literal of
/// CEL: that may be written down afterwards, and be left out again.
pub fn fixed(path: &str, default: &str, instead: &str) -> Rule {
    let is_default = |root: &str| format!("{root}.{path} == {default}");
    fixed_where(path, is_default, &format!(" (left out, it is {default})"), instead)
}

/// The same of a field that has no default: it is not added or removed either.
pub fn fixed_as_it_is(path: &str, instead: &str) -> Rule {
    fixed_where(path, |_| "false".into(), "", instead)
}

/// The same where it takes an expression to say whether the field, which is there, is as if it were left out; and words to
/// say what that is.
pub fn fixed_where(path: &str, is_default: impl Fn(&str) -> String, default: &str, instead: &str) -> Rule {
    // Two optionals (`self.?a.?b`) would compare more shortly, but the API server cannot estimate what that costs.
    let (now, before) = (present("self", path), present("oldSelf", path));
    let (now_default, before_default) = (is_default("self"), is_default("oldSelf"));
    rule(
        format!(
            "({now}) ? (({before}) ? self.{path} == oldSelf.{path} : ({now_default})) : (!({before}) || ({before_default}))"
        ),
        format!("`{path}` must not be changed after creation{default}; {instead}"),
    )
}

/// The same rule of a Tenant, as long as it says its pattern itself before and after. Where its class comes to say it, or no
/// longer does, the operator compares with what was accepted.
pub fn while_placed(stays: Rule) -> Rule {
    let same = "has(self.pattern) && has(oldSelf.pattern)";
    Rule { rule: format!("!({same}) || ({})", stays.rule), ..stays }
}

/// A field of which the class says all, where it says the pattern.
pub fn class_says(path: &str) -> Rule {
    let field = path.split('.').next().unwrap_or(path);
    rule(
        format!("has(self.pattern) || !({})", present("self", path)),
        format!(
            "`{path}` must not be set without `pattern`: whoever leaves the pattern to its class leaves it this too; remove `{field}`, \
             or set `pattern`"
        ),
    )
}

/// Whether `path` is there, parent by parent.
pub fn present(root: &str, path: &str) -> String {
    let ends = path.match_indices('.').map(|(end, _)| end).chain([path.len()]);
    ends.map(|end| format!("has({root}.{})", &path[..end])).collect::<Vec<_>>().join(" && ")
}

/// How to migrate what a tenant's documents or its identity depend on.
pub const SECOND_TENANT: &str =
    "create a second Tenant with another `tenantId`, copy the documents to it and delete this one";
/// How to come to another stack. It may only have been misspelt.
pub const ANOTHER_STACK: &str = "while nothing is built, delete this Tenant and apply it with another `stackRef`; afterwards create a \
                                 second Tenant with another `tenantId`, copy the documents to it and delete this one";
/// How to migrate what all borrowers of a stack share.
pub const SECOND_STACK: &str = "create a second SharedStack and move its tenants there one by one";
/// How to come to another placement of a class.
pub const SECOND_CLASS: &str =
    "create a second TenantClass, and name it in the `classRef` of the Tenants that are to have it";
