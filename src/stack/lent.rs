//! Whom the owner of a key lets use it, as the key's tag says.
//!
//! An installation and a namespace can have the same name, so the value says which it means: `installation/prod` is for the
//! SharedStacks of an installation, `namespace/team-a` for the Silo tenants of a namespace.

/// The tag.
pub const TAG: &str = "tenantry.dev/allow";

/// The value for the SharedStacks of an installation.
pub fn to_installation(name: &str) -> String {
    format!("installation/{name}")
}

/// The value for the Silo tenants of a namespace.
pub fn to_namespace(name: &str) -> String {
    format!("namespace/{name}")
}

/// Whether a key with this tag may be used, by a tenant of that namespace or by a SharedStack.
pub fn is_lent(tag: Option<&str>, installation: &str, namespace: Option<&str>) -> bool {
    let Some(tag) = tag else { return false };
    if is_old(tag) {
        return tag == installation || Some(tag) == namespace;
    }
    tag == wanted(installation, namespace)
}

/// The value that lets a tenant of that namespace, or a SharedStack, use a key.
pub fn wanted(installation: &str, namespace: Option<&str>) -> String {
    namespace.map_or_else(|| to_installation(installation), to_namespace)
}

/// Whether a value is of a release that did not tell installations from namespaces. This release still reads it, the next will
/// not.
pub fn is_old(tag: &str) -> bool {
    !tag.contains('/')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_lent_to_none_but_whom_its_tag_names_by_kind_and_name() {
        // The namespace is called like the installation.
        for (tag, stack, tenant) in [
            (Some("installation/prod"), true, false),
            (Some("namespace/prod"), false, true),
            (Some("namespace/team-a"), false, false),
            (Some("installation/prod2"), false, false),
            (Some("installation/"), false, false),
            (Some("namespace/prod/"), false, false),
            (Some("Namespace/prod"), false, false),
            (Some("other/prod"), false, false),
            (Some("namespace/*"), false, false),
            (Some(""), false, false),
            (None, false, false),
            // As an older release wrote it.
            (Some("prod"), true, true),
        ] {
            assert_eq!(is_lent(tag, "prod", None), stack, "{tag:?} to a SharedStack");
            assert_eq!(is_lent(tag, "prod", Some("prod")), tenant, "{tag:?} to a tenant");
        }
        assert!(is_lent(Some("team-a"), "prod", Some("team-a")) && !is_lent(Some("team-a"), "prod", None));
        assert!(is_old("prod") && is_old("") && !is_old("namespace/prod"));
    }
}
