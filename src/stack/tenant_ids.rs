//! Which tenantIds a namespace may have: an administrator says so in an annotation of the namespace.

use super::names;

/// The annotation of a Namespace: tenantIds, or beginnings of them with a `*`, between commas.
pub const TENANT_IDS: &str = "tenantry.dev/tenant-ids";

/// The tenantIds that a namespace may have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Allowed {
    /// All of them.
    All,
    /// Those that match.
    Only(Vec<Pattern>),
}

/// One tenantId, or all that begin so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pattern {
    /// Just this one.
    Id(String),
    /// All that begin with this.
    Beginning(String),
}

impl Allowed {
    /// What the annotation says; `required` is what an absent one means: none instead of all.
    pub fn parse(annotation: Option<&str>, required: bool) -> Result<Self, String> {
        let Some(text) = annotation else {
            return Ok(if required { Allowed::Only(Vec::new()) } else { Allowed::All });
        };
        let words = text.split(',').map(str::trim).filter(|word| !word.is_empty());
        words.map(Pattern::parse).collect::<Result<_, _>>().map(Allowed::Only)
    }

    /// Whether the namespace may have this id.
    pub fn admits(&self, tenant_id: &str) -> bool {
        match self {
            Allowed::All => true,
            Allowed::Only(patterns) => patterns.iter().any(|pattern| match pattern {
                Pattern::Id(id) => id == tenant_id,
                Pattern::Beginning(beginning) => tenant_id.starts_with(beginning),
            }),
        }
    }

    /// Whether an administrator has named this id, and did not only say nothing.
    pub fn names(&self, tenant_id: &str) -> bool {
        *self != Allowed::All && self.admits(tenant_id)
    }
}

impl Pattern {
    fn parse(word: &str) -> Result<Self, String> {
        let (beginning, is_open) = word.strip_suffix('*').map_or((word, false), |rest| (rest, true));
        // What goes on after a hyphen is no id by itself.
        let stem = if is_open { beginning.strip_suffix('-').unwrap_or(beginning) } else { beginning };
        let can_be = names::is_tenant_id(stem) || (is_open && beginning.is_empty());
        match (can_be, is_open) {
            (true, true) => Ok(Pattern::Beginning(beginning.into())),
            (true, false) => Ok(Pattern::Id(beginning.into())),
            (false, _) => {
                Err(format!("'{word}' is no tenantId, nor the beginning of one with a '*' after it"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_namespace_may_have_what_its_annotation_matches() {
        for (annotation, required, tenant_id, admits, names) in [
            (None, false, "acme", true, false),
            (None, true, "acme", false, false),
            (Some("acme"), false, "acme", true, true),
            (Some("acme"), true, "acme", true, true),
            (Some("acme"), false, "acme-1", false, false),
            (Some("acme-*,globex"), false, "acme-1", true, true),
            (Some("acme-*, globex"), false, "globex", true, true),
            (Some("acme-*"), false, "acme", false, false),
            (Some("ac*"), false, "acme", true, true),
            (Some("*"), true, "acme", true, true),
            (Some(""), false, "acme", false, false),
            (Some(" , "), false, "acme", false, false),
        ] {
            let allowed = Allowed::parse(annotation, required).unwrap();
            let said = (allowed.admits(tenant_id), allowed.names(tenant_id));
            assert_eq!(said, (admits, names), "{annotation:?} {required} {tenant_id}");
        }
    }

    #[test]
    fn what_can_be_no_tenant_id_is_refused() {
        for bad in ["Acme", "a*b", "*acme", "a**", "a--*", "acme globex", "ü", "a/b", "-", "-*", "a.b*"] {
            let refused = Allowed::parse(Some(bad), false).unwrap_err();
            assert!(refused.contains(&format!("'{bad}'")), "{refused}");
        }
    }
}
