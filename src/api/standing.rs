//! Where a Tenant stands: as it was accepted, or else as its spec says. What its class would say counts only once the Tenant
//! was accepted.

use super::{Answers, Encryption, Pattern, Status, Tenant, TenantSpec, VectorStore};

/// A Tenant's pattern, and from whom it borrows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing<'a> {
    /// How isolated it is.
    pub pattern: Pattern,
    /// The SharedStack that it borrows from.
    pub stack: Option<&'a str>,
}

/// Where a Tenant stands. None: it leaves that to its class, and was not accepted yet.
pub fn standing<'a>(spec: &'a TenantSpec, status: Option<&'a Status>) -> Option<Standing<'a>> {
    match status.and_then(|status| status.placement.as_ref()) {
        Some(frozen) => Some(Standing { pattern: frozen.pattern, stack: frozen.stack() }),
        None => Some(Standing { pattern: spec.pattern?, stack: spec.stack() }),
    }
}

impl Tenant {
    /// Where it stands. None: it leaves that to its class, and was not accepted yet.
    pub fn standing(&self) -> Option<Standing<'_>> {
        standing(&self.spec, self.status.as_ref())
    }

    /// Its pattern, if it stands anywhere.
    pub fn pattern(&self) -> Option<Pattern> {
        self.standing().map(|it| it.pattern)
    }

    /// The SharedStack that it borrows from.
    pub fn stack(&self) -> Option<&str> {
        self.standing()?.stack
    }

    /// The key that it was accepted with, or asks for.
    pub fn encryption(&self) -> Option<&Encryption> {
        match self.frozen() {
            Some(frozen) => frozen.encryption.as_ref(),
            None => self.spec.encryption.as_ref(),
        }
    }

    /// The vector store of its own that it was accepted with, or asks for; none where that is the usual one.
    pub fn own_store(&self) -> Option<VectorStore> {
        match self.frozen() {
            Some(frozen) => frozen.vector_store,
            None => self.spec.vector_store,
        }
    }

    /// Which model answers, where that was accepted, or else as it asks.
    pub fn answers(&self) -> Option<&Answers> {
        let told = self.status.as_ref().filter(|it| it.placement.is_some());
        told.map_or(self.spec.answers.as_ref(), |it| it.answers.as_ref())
    }

    fn frozen(&self) -> Option<&super::Placement> {
        self.status.as_ref()?.placement.as_ref()
    }
}

impl TenantSpec {
    /// The SharedStack that it names.
    pub fn stack(&self) -> Option<&str> {
        self.stack_ref.as_ref().map(|stack| stack.name.as_str())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn of(spec: Value, status: Value) -> Option<(Pattern, Option<String>)> {
        let mut spec_and_id = json!({"tenantId": "acme"});
        spec_and_id.as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
        let (spec, status): (TenantSpec, Status) =
            (serde_json::from_value(spec_and_id).unwrap(), serde_json::from_value(status).unwrap());
        standing(&spec, Some(&status)).map(|it| (it.pattern, it.stack.map(str::to_owned)))
    }

    #[test]
    fn what_was_accepted_goes_before_what_is_asked_for() {
        let pool = json!({"placement": {"pattern": "Pool", "stackRef": {"name": "standard"}}});
        let in_pool = Some((Pattern::Pool, Some("standard".to_owned())));
        for (spec, status, expected) in [
            (json!({"pattern": "Silo"}), json!({}), Some((Pattern::Silo, None))),
            (json!({"pattern": "Pool", "stackRef": {"name": "standard"}}), json!({}), in_pool.clone()),
            (json!({"classRef": {"name": "basic"}}), json!({}), None),
            (json!({"classRef": {"name": "basic"}}), pool.clone(), in_pool.clone()),
            (json!({"pattern": "Silo"}), pool.clone(), in_pool.clone()),
            (json!({"pattern": "Bridge", "stackRef": {"name": "other"}}), pool, in_pool),
        ] {
            assert_eq!(of(spec.clone(), status), expected, "{spec}");
        }
    }
}
