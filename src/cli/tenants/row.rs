//! What is told of a Tenant.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use kube::ResourceExt;
use serde::Serialize;

use crate::api::{ConditionType, DocumentsStatus, Pattern, Tenant, TenantClassSpec, VectorStore};

/// How many bytes a gigabyte of a limit has.
const GIGABYTE: i64 = 1_000_000_000;

/// The classes that there are, if that is known.
#[derive(Debug)]
pub(super) enum Classes {
    Known(BTreeMap<String, TenantClassSpec>),
    Unknown,
}

impl Classes {
    pub(super) fn get(&self, name: &str) -> Option<&TenantClassSpec> {
        match self {
            Self::Known(classes) => classes.get(name),
            Self::Unknown => None,
        }
    }
}

/// A Tenant.
#[derive(Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Row {
    pub namespace: String,
    pub name: String,
    pub tenant_id: String,
    /// Absent until a class has placed it.
    pub pattern: Option<Pattern>,
    pub stack: Option<String>,
    pub vector_store: Option<VectorStore>,
    /// The class under which it stands.
    pub class: Option<String>,
    /// The class that its spec names, if it is not accepted there.
    pub wants: Option<String>,
    /// The status of the condition `Ready`,
    pub ready: String,
    /// and its reason.
    pub reason: Option<String>,
    /// As the last look before a job found them.
    pub documents: Option<DocumentsStatus>,
    /// How much of each limit is used, the nearest first. Absent if the class cannot be read.
    pub usage: Option<Vec<Usage>>,
}

/// How much of a limit is used.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Usage {
    pub limit: &'static str,
    pub used: i64,
    pub allowed: i64,
    pub percent: f64,
}

impl Usage {
    fn of(limit: &'static str, used: i64, allowed: i64) -> Self {
        let percent = (used as f64 * 1000.0 / allowed.max(1) as f64).round() / 10.0;
        Self { limit, used, allowed, percent }
    }
}

impl Row {
    pub(super) fn of(tenant: &Tenant, classes: &Classes) -> Self {
        let status = tenant.status.clone().unwrap_or_default();
        let ready = status.condition(ConditionType::Ready).cloned();
        let wants = tenant.spec.class_ref.as_ref().map(|class| class.name.clone());
        let usage = match &status.class {
            None => Some(Vec::new()),
            Some(class) => classes.get(class).map(|class| usage(class, status.documents)),
        };
        Self {
            namespace: tenant.namespace().unwrap_or_default(),
            name: tenant.name_any(),
            tenant_id: tenant.spec.tenant_id.clone(),
            pattern: tenant.pattern(),
            stack: tenant.stack().map(Into::into),
            vector_store: status.vector_store,
            wants: wants.filter(|wanted| status.class.as_ref() != Some(wanted)),
            class: status.class,
            reason: ready.as_ref().map(|it| it.reason.clone()),
            ready: ready.map_or_else(|| "Unknown".into(), |it| it.status),
            documents: status.documents,
            usage,
        }
    }

    /// The limit of which most is used.
    pub(super) fn nearest(&self) -> Option<&Usage> {
        self.usage.as_ref()?.first()
    }

    pub(super) fn is_ready(&self) -> bool {
        self.ready == "True"
    }
}

/// What is used of the limits of a class, as far as it is counted.
fn usage(class: &TenantClassSpec, documents: Option<DocumentsStatus>) -> Vec<Usage> {
    let (Some(limits), Some(DocumentsStatus { count, bytes })) = (&class.limits, documents) else {
        return Vec::new();
    };
    let counted = limits.documents.map(|allowed| Usage::of("documents", count, allowed));
    let sized = limits.gigabytes.map(|allowed| Usage::of("bytes", bytes, allowed.saturating_mul(GIGABYTE)));
    let mut usage: Vec<_> = counted.into_iter().chain(sized).collect();
    usage.sort_by(|a, b| b.percent.total_cmp(&a.percent));
    usage
}

/// Those first that are nearest to a limit; others by their names.
pub(super) fn sorted(rows: impl Iterator<Item = Row>) -> Vec<Row> {
    let mut rows: Vec<_> = rows.collect();
    let near = |row: &Row| row.nearest().map_or(-1.0, |usage| usage.percent);
    let named = |row: &Row| (row.namespace.clone(), row.name.clone());
    rows.sort_by(|a, b| match near(b).total_cmp(&near(a)) {
        Ordering::Equal => named(a).cmp(&named(b)),
        other => other,
    });
    rows
}

#[cfg(test)]
pub(super) mod tests {
    use serde_json::{Value, json};

    use super::*;

    pub fn classes() -> Classes {
        let basic = json!({"limits": {"documents": 1000, "gigabytes": 2}, "gateway": {"requestsPerMinute": 60, "concurrent": 4}});
        let premium = json!({"gateway": {"weight": 4, "enforcement": "Shadow"}});
        let read = |value: Value| serde_json::from_value(value).unwrap();
        Classes::Known([("basic".to_owned(), read(basic)), ("premium".to_owned(), read(premium))].into())
    }

    pub fn tenant(name: &str, class: Option<&str>, documents: Value) -> Tenant {
        serde_json::from_value(json!({
            "apiVersion": "tenantry.dev/v1alpha1", "kind": "Tenant",
            "metadata": {"name": name, "namespace": "tenants"},
            "spec": {"tenantId": format!("{name}-id"), "classRef": class.map(|name| json!({"name": name}))},
            "status": {
                "class": class, "placement": {"pattern": "Pool", "stackRef": {"name": "standard"}}, "documents": documents,
                "vectorStore": VectorStore::default(),
                "conditions": [{"type": "Ready", "status": "True", "reason": "Ready", "message": "",
                    "lastTransitionTime": "2026-01-01T00:00:00Z"}],
            },
        }))
        .unwrap()
    }

    pub fn rows(tenants: &[Tenant], classes: &Classes) -> Vec<Row> {
        sorted(tenants.iter().map(|tenant| Row::of(tenant, classes)))
    }

    #[test]
    fn who_is_nearest_to_a_limit_comes_first() {
        let tenants = [
            tenant("none", None, json!({"count": 999_999, "bytes": 1})),
            tenant("few", Some("basic"), json!({"count": 10, "bytes": 1})),
            tenant("many", Some("basic"), json!({"count": 950, "bytes": 1_000_000_000})),
            tenant("large", Some("basic"), json!({"count": 1, "bytes": 2_500_000_000_i64})),
            tenant("new", Some("basic"), json!(null)),
            tenant("free", Some("premium"), json!({"count": 5, "bytes": 5})),
        ];
        let rows = rows(&tenants, &classes());
        let near: Vec<_> =
            rows.iter().map(|row| (&*row.name, row.nearest().map(|it| (it.limit, it.percent)))).collect();
        assert_eq!(
            near,
            [
                ("large", Some(("bytes", 125.0))),
                ("many", Some(("documents", 95.0))),
                ("few", Some(("documents", 1.0))),
                ("free", None),
                ("new", None),
                ("none", None),
            ]
        );
        assert_eq!(rows[1].usage.as_ref().unwrap()[1], Usage::of("bytes", 1_000_000_000, 2_000_000_000));
    }

    #[test]
    fn a_tenant_says_where_it_is_and_what_it_waits_for() {
        let mut acme = tenant("acme", Some("basic"), json!({"count": 7, "bytes": 70}));
        acme.spec.class_ref.as_mut().unwrap().name = "premium".into();
        let row = Row::of(&acme, &classes());
        assert_eq!((row.class.as_deref(), row.wants.as_deref()), (Some("basic"), Some("premium")));
        assert_eq!(
            serde_json::to_value(&row).unwrap(),
            json!({"namespace": "tenants", "name": "acme", "tenantId": "acme-id", "pattern": "Pool", "stack": "standard",
                "vectorStore": VectorStore::default(), "class": "basic", "wants": "premium", "ready": "True", "reason": "Ready",
                "documents": {"count": 7, "bytes": 70},
                "usage": [{"limit": "documents", "used": 7, "allowed": 1000, "percent": 0.7},
                    {"limit": "bytes", "used": 70, "allowed": 2_000_000_000, "percent": 0.0}]})
        );
        acme.status = None;
        let row = Row::of(&acme, &classes());
        assert_eq!(
            (row.ready.as_str(), row.pattern, row.wants.as_deref()),
            ("Unknown", None, Some("premium"))
        );
    }

    #[test]
    fn limits_that_nobody_may_read_are_not_taken_for_none() {
        let tenants = [
            tenant("acme", Some("basic"), json!({"count": 7, "bytes": 70})),
            tenant("other", None, json!(null)),
        ];
        let rows = rows(&tenants, &Classes::Unknown);
        assert_eq!([&rows[0].usage, &rows[1].usage], [&None, &Some(Vec::new())]);
    }
}
