//! Whom a question is put to: a knowledge base, and of a pool the filter without which it would answer from everybody's
//! documents. Nothing but a Tenant or its item in the registry makes one, so no pool can be asked without: that does not
//! compile.
//!
//! ```
//! use tenantry::aws::Retrieval;
//! use tenantry::stack::target::Target;
//!
//! async fn ask(retrieval: &Retrieval, target: &Target) {
//!     let _ = retrieval.retrieve(target, "How many days of annual leave?", 5).await;
//! }
//! ```
//!
//! ```compile_fail,E0451
//! use tenantry::stack::target::{Place, Pooled};
//!
//! // A pool's fields are private: the key and the tenantId come from whoever is asked for, or not at all.
//! let place = Place { bucket: None, prefix: None };
//! let (key, tenant_id) = (String::new(), String::new());
//! let unfiltered = Pooled { knowledge_base: "KB12345678".into(), key, tenant_id, place };
//! ```
//!
//! ```compile_fail,E0451
//! use tenantry::stack::target::{Own, Place};
//!
//! // Nor can a pool's knowledge base be passed off as somebody's own.
//! let own = Own { knowledge_base: "KB12345678".into(), place: Place { bucket: None, prefix: None } };
//! ```
//!
//! ```compile_fail,E0308
//! use tenantry::aws::Retrieval;
//!
//! // Whoever asks needs a target: an id alone does not do.
//! async fn ask(retrieval: &Retrieval) {
//!     let _ = retrieval.retrieve("KB12345678", "How many days of annual leave?", 5).await;
//! }
//! ```

use serde::Deserialize;
use serde_json::Value;

use crate::api::{ConditionType, Pattern, RetrievalFilter, Status, Tenant};
use crate::stack::registry::State;

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
    /// The registry's item says that it cannot be asked, or not how.
    #[error("the registry's item does not say whom to ask for tenantId '{tenant_id}': {why}")]
    NotRegistered {
        /// Who was to be asked for.
        tenant_id: String,
        /// What is wrong with the item.
        why: String,
    },
}

/// An item of the registry, as far as it says whom to ask.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Item {
    tenant_id: String,
    state: State,
    pattern: Pattern,
    #[serde(rename = "knowledgebaseId")]
    knowledge_base_id: Option<String>,
    filter: Option<RetrievalFilter>,
    bucket: Option<String>,
    prefix: Option<String>,
}

impl Target {
    /// The knowledge base of a tenant, and the filter that goes with it, where spec and status agree on whose that is.
    pub fn of(tenant: &Tenant) -> Result<Self, NotQueryable> {
        let none = Status::default();
        let status = tenant.status.as_ref().unwrap_or(&none);
        let said = |kind| status.condition(kind).map(|condition| condition.message.clone());
        if !status.is_accepted() {
            let why = said(ConditionType::Accepted);
            let why = why.unwrap_or_else(|| "the operator has not seen it yet".into());
            return Err(NotQueryable::NotAccepted(why));
        }
        let Some(knowledge_base) = status.knowledge_base_id.clone() else {
            return Err(NotQueryable::NoKnowledgeBase(said(ConditionType::Ready).unwrap_or_default()));
        };
        let place = Place { bucket: status.bucket.clone(), prefix: status.prefix.clone() };
        let filter = status.retrieval_filter.as_ref();
        let pattern = tenant.pattern().ok_or(NotQueryable::NoFilter)?;
        Self::new(&tenant.spec.tenant_id, pattern, knowledge_base, filter, place)
            .ok_or(NotQueryable::NoFilter)
    }

    /// The same by an item of the registry, in which a release may have written no place yet. It must be the tenant's own.
    pub fn of_item(tenant_id: &str, item: &Value) -> Result<Self, NotQueryable> {
        let not = |why: &str| NotQueryable::NotRegistered { tenant_id: tenant_id.into(), why: why.into() };
        let item = Item::deserialize(item).map_err(|error| not(&error.to_string()))?;
        if item.tenant_id != tenant_id {
            return Err(not("it is another tenant's"));
        }
        if item.state != State::Ready {
            return Err(not(&format!("it says {}", item.state.as_str())));
        }
        let knowledge_base = item.knowledge_base_id.ok_or_else(|| not("it has no knowledge base"))?;
        let place = Place { bucket: item.bucket, prefix: item.prefix };
        Self::new(tenant_id, item.pattern, knowledge_base, item.filter.as_ref(), place)
            .ok_or_else(|| not("it is in a pool, and there is no filter for this tenantId"))
    }

    /// `None` where the pattern asks for a filter and there is none for this tenantId.
    fn new(
        tenant_id: &str,
        pattern: Pattern,
        knowledge_base: String,
        filter: Option<&RetrievalFilter>,
        place: Place,
    ) -> Option<Self> {
        Some(match pattern {
            Pattern::Silo | Pattern::Bridge => Self::Own(Own { knowledge_base, place }),
            Pattern::Pool => {
                let equals = filter.map(|filter| &filter.equals).filter(|it| it.value == tenant_id)?;
                let (key, tenant_id) = (equals.key.clone(), equals.value.clone());
                Self::Pooled(Pooled { knowledge_base, key, tenant_id, place })
            }
        })
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

    /// Such as `docs/registry.md` shows, with these fields changed; null takes one away.
    fn item(change: Value) -> Value {
        let mut item = json!({
            "tenantId": "acme", "state": "ready", "pattern": "Pool", "knowledgebaseId": "KB12345678",
            "filter": {"equals": {"key": "customer", "value": "acme"}}, "bucket": "b", "prefix": "p/",
            "modelArn": "m", "installation": "demo", "region": "us-east-1", "owner": "Tenant/t/a", "uid": "1",
        });
        for (name, value) in change.as_object().unwrap() {
            item[name] = value.clone();
        }
        item.as_object_mut().unwrap().retain(|_, value| !value.is_null());
        item
    }

    #[test]
    fn the_registry_says_the_same_as_the_tenant() {
        let of_tenant = |pattern| Target::of(&tenant(pattern, &answers(Some("acme"))));
        assert_eq!(Target::of_item("acme", &item(json!({}))), of_tenant("Pool"));
        for pattern in ["Silo", "Bridge"] {
            let own = item(json!({"pattern": pattern, "filter": null}));
            assert_eq!(Target::of_item("acme", &own), of_tenant(pattern));
        }
        let earlier = item(json!({"bucket": null, "prefix": null}));
        let asked = Target::of_item("acme", &earlier).unwrap();
        assert_eq!((asked.filter(), asked.place()), (Some(("customer", "acme")), &Place::default()));
    }

    #[test]
    fn an_item_that_does_not_say_whom_this_tenant_may_ask_is_not_asked_by() {
        let others = json!({"equals": {"key": "customer", "value": "umbrella"}});
        for (change, why) in [
            (json!({"tenantId": "umbrella"}), "it is another tenant's"),
            (json!({"state": "deleted"}), "it says deleted"),
            (json!({"state": "retained", "knowledgebaseId": null}), "it says retained"),
            (json!({"knowledgebaseId": null}), "it has no knowledge base"),
            (json!({"filter": null}), "it is in a pool, and there is no filter for this tenantId"),
            (json!({"filter": others}), "it is in a pool, and there is no filter for this tenantId"),
            (json!({"pattern": null}), "missing field `pattern`"),
            (
                json!({"state": "other"}),
                "unknown variant `other`, expected one of `ready`, `retained`, `deleted`",
            ),
        ] {
            let refused = Target::of_item("acme", &item(change.clone())).unwrap_err();
            let not = NotQueryable::NotRegistered { tenant_id: "acme".into(), why: why.into() };
            assert_eq!(refused, not, "{change}");
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
