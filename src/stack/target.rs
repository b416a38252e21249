//! Whom a question is put to: a knowledge base, and of a pool the filter without which it would answer from everybody's
//! documents. Nothing but a Tenant makes one, so no pool can be asked without.

use crate::api::{ConditionType, Pattern, Status, Tenant};

/// Whom to ask for a tenant, and as whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A knowledge base that is the tenant's own.
    Own(Own),
    /// A knowledge base that all tenants of a pool share.
    Pooled(Pooled),
}

/// A knowledge base of a Silo's or a Bridge's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Own {
    knowledge_base: String,
    place: Place,
}

/// A pool's knowledge base, as one tenant may ask it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pooled {
    knowledge_base: String,
    key: String,
    tenant_id: String,
    place: Place,
}

/// Where the documents are that may answer, as far as that is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// The bucket.
    pub bucket: Option<String>,
    /// The prefix in it.
    pub prefix: Option<String>,
}

/// Why nobody can be asked for a tenant.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotQueryable {
    /// The operator may not act for it.
    #[error("this Tenant is not accepted: {0}")]
    NotAccepted(String),
    /// Nothing is there to be asked.
    #[error("this Tenant has no knowledge base yet: {0}")]
    NoKnowledgeBase(String),
    /// It is in a pool, and its status does not say how it alone is asked.
    #[error("this Pool tenant's status has no filter for its tenantId; it is not asked without")]
    NoFilter,
}

impl Target {
    /// The knowledge base of a tenant, and the filter that goes with it, where spec and status agree on whose that is.
    pub fn of(tenant: &Tenant) -> Result<Self, NotQueryable> {
        let none = Status::default();
        let status = tenant.status.as_ref().unwrap_or(&none);
        let said = |kind| status.condition(kind).map(|condition| condition.message.clone());
        if !status.is_true(ConditionType::Accepted) {
            let why = said(ConditionType::Accepted);
            let why = why.unwrap_or_else(|| "the operator has not seen it yet".into());
            return Err(NotQueryable::NotAccepted(why));
        }
        let Some(knowledge_base) = status.knowledge_base_id.clone() else {
            return Err(NotQueryable::NoKnowledgeBase(said(ConditionType::Ready).unwrap_or_default()));
        };
        let place = Place { bucket: status.bucket.clone(), prefix: status.prefix.clone() };
        match tenant.spec.pattern {
            Pattern::Silo | Pattern::Bridge => Ok(Self::Own(Own { knowledge_base, place })),
            Pattern::Pool => {
                let filter = status.retrieval_filter.as_ref().map(|filter| &filter.equals);
                let filter = filter.filter(|equals| equals.value == tenant.spec.tenant_id);
                let filter = filter.ok_or(NotQueryable::NoFilter)?;
                let (key, tenant_id) = (filter.key.clone(), filter.value.clone());
                Ok(Self::Pooled(Pooled { knowledge_base, key, tenant_id, place }))
            }
        }
    }

    /// The knowledge base, by its id.
    pub fn knowledge_base(&self) -> &str {
        match self {
            Self::Own(Own { knowledge_base, .. }) | Self::Pooled(Pooled { knowledge_base, .. }) => {
                knowledge_base
            }
        }
    }

    /// The metadata key and the value that it must have in all that answers.
    pub fn filter(&self) -> Option<(&str, &str)> {
        match self {
            Self::Own(_) => None,
            Self::Pooled(Pooled { key, tenant_id, .. }) => Some((key, tenant_id)),
        }
    }

    /// Where the documents are that may answer.
    pub fn place(&self) -> &Place {
        match self {
            Self::Own(Own { place, .. }) | Self::Pooled(Pooled { place, .. }) => place,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn tenant(pattern: &str, status: &Value) -> Tenant {
        let mut spec = json!({"tenantId": "acme", "pattern": pattern});
        if pattern != "Silo" {
            spec["stackRef"] = json!({"name": "s"});
        }
        serde_json::from_value(json!({
            "apiVersion": "tenantry.dev/v1alpha1", "kind": "Tenant", "metadata": {"name": "a"},
            "spec": spec, "status": status,
        }))
        .unwrap()
    }

    fn condition(kind: &str, status: &str, message: &str) -> Value {
        json!({"type": kind, "status": status, "reason": "R", "message": message,
            "lastTransitionTime": "2026-01-01T00:00:00Z"})
    }

    /// Accepted, with a knowledge base, and with this value in its filter.
    fn answers(value: Option<&str>) -> Value {
        let filter = value.map(|value| json!({"equals": {"key": "customer", "value": value}}));
        json!({
            "knowledgeBaseId": "KB12345678", "bucket": "b", "prefix": "p/", "retrievalFilter": filter,
            "conditions": [condition("Accepted", "True", "")],
        })
    }

    #[test]
    fn a_pool_tenant_is_never_asked_without_its_own_filter() {
        let asked = Target::of(&tenant("Pool", &answers(Some("acme")))).unwrap();
        assert_eq!((asked.knowledge_base(), asked.filter()), ("KB12345678", Some(("customer", "acme"))));
        for value in [None, Some("umbrella"), Some("")] {
            let asked = Target::of(&tenant("Pool", &answers(value)));
            assert_eq!(asked, Err(NotQueryable::NoFilter), "{value:?}");
        }
    }

    #[test]
    fn whoever_has_a_knowledge_base_of_its_own_needs_no_filter() {
        for pattern in ["Silo", "Bridge"] {
            let asked = Target::of(&tenant(pattern, &answers(None))).unwrap();
            assert_eq!((asked.knowledge_base(), asked.filter()), ("KB12345678", None), "{pattern}");
            let place = Place { bucket: Some("b".into()), prefix: Some("p/".into()) };
            assert_eq!(*asked.place(), place, "{pattern}");
        }
    }

    #[test]
    fn who_cannot_be_asked_is_told_why() {
        let refused = condition("Accepted", "False", "its id is taken");
        let accepted = condition("Accepted", "True", "");
        for (status, why) in [
            (json!({}), "this Tenant is not accepted: the operator has not seen it yet"),
            (
                json!({"knowledgeBaseId": "KB1", "conditions": [refused]}),
                "this Tenant is not accepted: its id is taken",
            ),
            (
                json!({"conditions": [accepted, condition("Ready", "False", "the role waits")]}),
                "this Tenant has no knowledge base yet: the role waits",
            ),
            (json!({"conditions": [accepted]}), "this Tenant has no knowledge base yet: "),
            (
                answers(None),
                "this Pool tenant's status has no filter for its tenantId; it is not asked without",
            ),
        ] {
            assert_eq!(Target::of(&tenant("Pool", &status)).unwrap_err().to_string(), why);
        }
    }
}
