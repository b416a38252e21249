//! Which pattern may set which field, and where the setting lives otherwise.
//!
//! One table makes the validation rules of the API server and the checks of [`super::resolved`], which
//! meets objects that were stored before a rule existed.

use kube::core::Rule;

use super::Pattern::{self, Bridge, Pool, Silo};
use super::rules::rule;

/// A field of a Tenant, or of a class's placement, that not every pattern has.
pub struct Row {
    pub field: &'static str,
    pub patterns: &'static [Pattern],
    /// Said to those who set it in another pattern.
    pub instead: &'static str,
}

/// Every optional field that some pattern forbids.
pub const PLACEMENTS: &[Row] = &[
    Row {
        field: "stackRef",
        patterns: &[Bridge, Pool],
        instead: "`stackRef` must not be set in the 'Silo' pattern: a Silo owns its whole stack and borrows nothing",
    },
    Row {
        field: "encryption",
        patterns: &[Silo],
        instead: "the key is shared in the 'Bridge' and 'Pool' patterns; set `encryption` on the SharedStack",
    },
    Row {
        field: "documents",
        patterns: &[Silo],
        instead: "the bucket is shared in the 'Bridge' and 'Pool' patterns; set `documents` on the SharedStack",
    },
    Row {
        field: "vectorStore",
        patterns: &[Silo],
        instead: "the vector store is shared in the 'Bridge' and 'Pool' patterns; set `vectorStore` on the SharedStack",
    },
    Row {
        field: "standbyReplicas",
        patterns: &[Silo],
        instead: "the collection is shared in the 'Bridge' and 'Pool' patterns; set `collection` on the SharedStack",
    },
    Row {
        field: "collection",
        patterns: &[Silo],
        instead: "the collection is shared in the 'Bridge' and 'Pool' patterns; set `collection` on the SharedStack",
    },
    Row {
        field: "knowledgeBase",
        patterns: &[Silo, Bridge],
        instead: "embedding model, dimensions and chunking are shared in the 'Pool' pattern; \
                  set `pool.knowledgeBase` on the SharedStack",
    },
    Row {
        field: "index",
        patterns: &[Silo, Bridge],
        instead: "distance, HNSW parameters and attributes are shared in the 'Pool' pattern; \
                  set `pool.index` on the SharedStack",
    },
    Row {
        field: "ingestion",
        patterns: &[Silo, Bridge],
        instead: "ingestion is shared in the 'Pool' pattern; set `pool.ingestion` on the SharedStack",
    },
    Row {
        field: "dataDeletionPolicy",
        patterns: &[Silo, Bridge],
        instead: "`dataDeletionPolicy` must not be set in the 'Pool' pattern: the data source is the SharedStack's, \
                  and what becomes of a tenant's documents is decided by `deletionPolicy`",
    },
    Row {
        field: "tags",
        patterns: &[Silo, Bridge],
        instead: "a tenant in the 'Pool' pattern owns nothing that could be tagged; set `tags` on the SharedStack",
    },
];

/// Whether a pattern has this field.
pub(super) fn has_place(field: &str, pattern: Pattern) -> bool {
    PLACEMENTS.iter().find(|row| row.field == field).is_none_or(|row| row.patterns.contains(&pattern))
}

/// The placement of `field` as a rule for the API server.
pub(super) fn placed(field: &str) -> Rule {
    // A field without a placement would be a programming error; the rule then refuses everything.
    let Some(placement) = PLACEMENTS.iter().find(|placement| placement.field == field) else {
        return rule("false", format!("`{field}` has no placement"));
    };
    let patterns = placement.patterns.iter().map(|pattern| format!("'{pattern}'")).collect::<Vec<_>>();
    // An empty map says nothing: templates write one where there is none.
    let absent = match field {
        "tags" => "!has(self.tags) || self.tags.size() == 0".to_owned(),
        _ => format!("!has(self.{field})"),
    };
    // A Tenant may leave its pattern to its class; then the operator sees to it.
    rule(
        format!("{absent} || !has(self.pattern) || self.pattern in [{}]", patterns.join(", ")),
        placement.instead,
    )
}

/// The placement of a field of a class's `defaults`, where the class places its tenants.
pub(super) fn placed_default(field: &str) -> Rule {
    let Rule { rule, message, .. } = placed(field);
    let rule = rule.replace(&format!("self.{field}"), &format!("self.defaults.{field}"));
    let rule = rule.replace("self.pattern", "self.placement.pattern");
    Rule { message, ..Rule::new(format!("!has(self.placement) || !has(self.defaults) || ({rule})")) }
}

/// Bridge and Pool cannot be without a stack.
pub(super) fn stack_is_named() -> Rule {
    rule("!has(self.pattern) || self.pattern == 'Silo' || has(self.stackRef)", STACK_REF_REQUIRED)
}

pub(super) const STACK_REF_REQUIRED: &str =
    "`stackRef` is required in the 'Bridge' and 'Pool' patterns: it names the SharedStack to borrow from";
