//! May this object be acted upon? As far as its spec, the labels of its namespace and its SharedStack say.

use std::collections::BTreeMap;

use kube::ResourceExt;
use kube::core::{Selector, SelectorExt};

use super::cron::Schedule;
use super::identity::Scope;
use super::max_knowledge_bases::{self, MAX_KNOWLEDGE_BASES};
use super::model::blocked::Blocked;
use super::tenant_ids::{Allowed, TENANT_IDS};
use crate::api::{
    Conflict, IngestionSettings, Invalid, Isolation, Reason, Shared, SharedStack, SharedStackSpec, Tenant,
    TenantClassSpec,
};

impl From<Invalid> for Blocked {
    fn from(invalid: Invalid) -> Self {
        Blocked { reason: Reason::SpecInvalid, message: invalid.to_string() }
    }
}

impl From<Conflict> for Blocked {
    fn from(conflict: Conflict) -> Self {
        let Conflict { reason, message } = conflict;
        Blocked { reason, message }
    }
}

/// A refusal.
pub fn refused<T>(reason: Reason, message: impl Into<String>) -> Result<T, Blocked> {
    Err(Blocked { reason, message: message.into() })
}

/// A Tenant's spec, parsed once, if nothing in it is invalid.
pub fn tenant(tenant: &Tenant) -> Result<Isolation, Blocked> {
    let isolation = tenant.isolation()?;
    schedule(isolation.ingestion())?;
    Ok(isolation)
}

/// A SharedStack's spec, likewise.
pub fn shared_stack(spec: &SharedStackSpec) -> Result<Shared, Blocked> {
    let shared = spec.shared()?;
    schedule(shared.pool.as_ref().map(|pool| &pool.ingestion))?;
    Ok(shared)
}

/// A schedule that can be read, if there is one.
fn schedule(ingestion: Option<&IngestionSettings>) -> Result<(), Blocked> {
    match ingestion.map(Schedule::parse) {
        Some(Err(unreadable)) => refused(Reason::ScheduleInvalid, unreadable),
        _ => Ok(()),
    }
}

/// May this namespace have that tenantId? Answers with what it may have. Says nothing of whose the id is.
pub fn tenant_id(
    namespace: &str,
    annotation: Option<&str>,
    required: bool,
    tenant_id: &str,
) -> Result<Allowed, Blocked> {
    let allowed = match Allowed::parse(annotation, required) {
        Ok(allowed) => allowed,
        Err(why) => {
            let message = format!(
                "Which tenantIds namespace '{namespace}' may have cannot be read: in its annotation {TENANT_IDS}, {why}. Ask \
                 an administrator"
            );
            return refused(Reason::TenantIdNotAllowed, message);
        }
    };
    if allowed.admits(tenant_id) {
        return Ok(allowed);
    }
    let message = format!(
        "Namespace '{namespace}' may not have tenantId '{tenant_id}': its annotation {TENANT_IDS} does not name it. Ask an \
         administrator, or choose another tenantId in a new Tenant"
    );
    refused(Reason::TenantIdNotAllowed, message)
}

/// How many knowledge bases may the tenants of this namespace have? What cannot be read allows none.
pub fn knowledge_bases(namespace: &str, annotation: Option<&str>) -> Result<Option<usize>, Blocked> {
    max_knowledge_bases::parse(annotation).or_else(|why| {
        let message = format!(
            "How many knowledge bases namespace '{namespace}' may have cannot be read: in its annotation \
             {MAX_KNOWLEDGE_BASES}, {why}. Use the Pool pattern, or ask an administrator"
        );
        refused(Reason::QuotaReserved, message)
    })
}

/// May a tenant of this namespace do that? Asked until the tenant has its hold: what is narrowed later leaves who is
/// already there in peace.
pub fn namespace(
    namespace: &str,
    labels: &BTreeMap<String, String>,
    silo_namespaces: Option<&Selector>,
    isolation: &Isolation,
    stack: Option<&SharedStack>,
) -> Result<(), Blocked> {
    match (isolation, stack) {
        (Isolation::Silo(_), _) => match silo_namespaces {
            Some(selector) if !selector.matches(labels) => refused(
                Reason::SiloNotAllowed,
                format!(
                    "Namespace '{namespace}' may not have Silo tenants: its labels do not match the operator's \
                     --silo-namespaces ({selector}). Use another pattern, or ask an administrator"
                ),
            ),
            _ => Ok(()),
        },
        (_, Some(stack)) => match &stack.spec.allowed_namespaces {
            Some(allowed) if !allowed.matches(labels) => refused(
                Reason::NamespaceNotAllowed,
                "The SharedStack does not allow tenants of this namespace: the namespace's labels do not match its \
                 `allowedNamespaces`. Ask an administrator, or name another SharedStack",
            ),
            _ => Ok(()),
        },
        (_, None) => Ok(()),
    }
}

/// May tenants of a namespace with these labels be of this class?
pub fn class(name: &str, class: &TenantClassSpec, labels: &BTreeMap<String, String>) -> Result<(), Blocked> {
    match &class.allowed_namespaces {
        Some(allowed) if !allowed.matches(labels) => refused(
            Reason::ClassNotAllowed,
            format!(
                "TenantClass '{name}' does not allow tenants of this namespace: the namespace's labels do not match its \
                 `allowedNamespaces`. Ask an administrator, or name another class"
            ),
        ),
        _ => Ok(()),
    }
}

/// May a Tenant be of no class, where the operator requires one? `left` is the class that it was accepted under. Who was accepted
/// under none goes on.
pub fn without_class(is_accepted: bool, left: Option<&str>) -> Result<(), Blocked> {
    const REQUIRED: &str = "the operator requires a class (--require-class)";
    match left {
        None if is_accepted => Ok(()),
        None => refused(
            Reason::ClassNotAllowed,
            format!("The Tenant is of no class, and {REQUIRED}: name a TenantClass in `classRef`"),
        ),
        Some(left) => refused(
            Reason::ClassNotAllowed,
            format!(
                "The Tenant may not leave TenantClass '{left}' for none: {REQUIRED}. Name that class in `classRef`, or another"
            ),
        ),
    }
}

/// Does the vector store of this SharedStack have what a Bridge tenant asks of it? The API server cannot know.
pub fn store_serves(tenant: &Tenant, isolation: &Isolation, stack: &SharedStack) -> Result<(), Blocked> {
    let Isolation::Bridge(_) = isolation else { return Ok(()) };
    let store = stack.spec.vector_store.unwrap_or_default();
    let served = store.serves(tenant.spec.index.as_ref(), tenant.spec.knowledge_base.as_ref());
    served.map_err(|lacks| Blocked {
        reason: Reason::Invalid,
        message: format!("{}. The store is that of SharedStack '{}'", lacks.message, stack.name_any()),
    })
}

/// Does this SharedStack serve that pattern?
pub fn stack_serves(isolation: &Isolation, stack: &SharedStack) -> Result<(), Blocked> {
    if matches!(isolation, Isolation::Pool(_)) && stack.spec.pool.is_none() {
        return refused(
            Reason::StackHasNoPool,
            "The SharedStack has no pool; set `pool` on it, or choose the Bridge pattern in a new Tenant",
        );
    }
    Ok(())
}

/// Is this key where the stack is? The only thing about it that needs no question to AWS.
pub fn key_is_here(scope: &Scope, arn: &str) -> Result<(), Blocked> {
    if arn.starts_with(&scope.arn("kms", "key/")) {
        return Ok(());
    }
    let place = format!("{} in account {}", scope.region, scope.account);
    not_allowed(arn, &format!("it is not in region {place}, where the stack is"))
}

/// A key that may not be used.
pub fn not_allowed(arn: &str, why: &str) -> Result<(), Blocked> {
    refused(Reason::KeyNotAllowed, format!("KMS key {arn} may not be used: {why}. Nothing was built"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_the_store_of_its_stack_lacks_is_told_a_bridge_tenant_as_what_it_is() {
        let read = |value| serde_json::from_value::<Tenant>(value).unwrap();
        let of = |pattern: &str, index: serde_json::Value| {
            read(json!({"metadata": {"name": "acme"},
                "spec": {"tenantId": "acme", "pattern": pattern, "stackRef": {"name": "standard"}, "index": index}}))
        };
        let lists = json!({"attributes": [{"name": "topics", "type": "StringList"}]});
        for (index, on_collections, on_s3_vectors) in [
            (json!({}), None, None),
            (json!({"hnsw": {"m": 8}}), None, Some("index.hnsw")),
            (lists, None, Some("StringList")),
            (json!({"distance": "Cosine"}), Some("Cosine"), None),
        ] {
            for (store, told) in [("OpenSearchServerless", on_collections), ("S3Vectors", on_s3_vectors)] {
                let stack = json!({"metadata": {"name": "standard"}, "spec": {"vectorStore": store}});
                let stack: SharedStack = serde_json::from_value(stack).unwrap();
                let bridge = of("Bridge", index.clone());
                let refused = store_serves(&bridge, &bridge.isolation().unwrap(), &stack).err();
                assert_eq!(
                    refused.as_ref().map(|it| it.reason),
                    told.map(|_| Reason::Invalid),
                    "{store}: {index}"
                );
                let says = |word: &str| {
                    refused.is_some_and(|it| it.message.contains(word) && it.message.contains("'standard'"))
                };
                assert!(told.is_none_or(says), "{store}: {index}");
            }
        }
    }

    #[test]
    fn only_a_schedule_of_five_fields_in_a_real_time_zone_is_accepted() {
        let reason = |line: &str, zone: &str| {
            let settings =
                IngestionSettings { schedule: Some(line.into()), time_zone: zone.into(), suspend: false };
            schedule(Some(&settings)).err().map(|blocked| blocked.reason)
        };
        for line in ["0 */2 * * *", "15 4 * * 1-5", "*/30 8-18 1 * *"] {
            assert_eq!(reason(line, "Europe/Vienna"), None, "{line}");
        }
        for line in [
            "",
            "0 0",
            "0 0 */2 * * *",
            "61 * * * *",
            "TZ=UTC 0 * * * *",
            "CRON_TZ=UTC 0 * * * *",
            "often",
            "0 0 30 2 *",
        ] {
            assert_eq!(reason(line, "Etc/UTC"), Some(Reason::ScheduleInvalid), "{line}");
        }
        assert_eq!(reason("0 * * * *", "Mars/Olympus"), Some(Reason::ScheduleInvalid));
        let alone = |zone: &str| {
            let settings = IngestionSettings { schedule: None, time_zone: zone.into(), suspend: true };
            schedule(Some(&settings)).err().map(|blocked| blocked.reason)
        };
        assert_eq!(alone("Etc/UTC"), None);
        assert_eq!(alone("Mars/Olympus"), Some(Reason::ScheduleInvalid), "also where nothing is due in it");
    }
}
