//! Whose a question is: the one Tenant that has a tenantId, and what may be asked for it.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::ResourceExt;

use super::refusal::Refusal;
use crate::api::{Pattern, Standing, Status, Tenant, VectorStore, finalizer_name};
use crate::stack::identity::Owner;
use crate::stack::record::{Record, State};
use crate::stack::target::{NotQueryable, Target};

/// What a client may write in place of its knowledge base's id: as long as one, so that every SDK takes it.
pub const PLACEHOLDER: &str = "TENANTRYKB";

/// The Tenant that has an id, of all that say so: this installation has taken it up and has accepted it. Of two nobody knows
/// which is meant, so that it is neither.
pub fn holder<'a>(
    installation: &str,
    tenant_id: &str,
    tenants: impl IntoIterator<Item = &'a Tenant>,
) -> Option<&'a Tenant> {
    let hold = finalizer_name(installation);
    let is_its = |tenant: &&Tenant| {
        let status = tenant.status.as_ref();
        tenant.spec.tenant_id == tenant_id
            && tenant.finalizers().contains(&hold)
            && status.is_some_and(Status::is_accepted)
    };
    let mut found = tenants.into_iter().filter(is_its);
    let first = found.next()?;
    if found.next().is_some() { None } else { Some(first) }
}

/// Whether a record says that its id is this Tenant's. What a Tenant says of itself is not enough: only the record outlives
/// whoever can write Tenants.
pub fn is_recorded(tenant: &Tenant, record: &Record) -> bool {
    let ObjectMeta { name, namespace, uid, .. } = &tenant.metadata;
    let holder = &record.holder;
    record.state == State::Held
        && record.tenant_id == tenant.spec.tenant_id
        && tenant.standing() == Some(Standing { pattern: record.pattern, stack: record.stack.as_deref() })
        && Some(&holder.name) == name.as_ref()
        && Some(&holder.namespace) == namespace.as_ref()
        && Some(&holder.uid) == uid.as_ref()
}

/// Where a tenant's documents are: the beginning of every URI of theirs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place(String);

impl Place {
    /// Everything in a bucket under a prefix, which ends with a slash.
    pub fn new(bucket: &str, prefix: &str) -> Option<Self> {
        let is_folder = prefix.len() > 1 && prefix.ends_with('/');
        (crate::stack::names::is_bucket(bucket) && is_folder).then(|| Self(format!("s3://{bucket}/{prefix}")))
    }

    /// Whether it is in this bucket.
    pub fn is_in(&self, bucket: &str) -> bool {
        let rest = self.0.strip_prefix("s3://").and_then(|place| place.strip_prefix(bucket));
        rest.is_some_and(|rest| rest.starts_with('/'))
    }

    /// Whether a document lies there. URIs are compared as they are: nothing is decoded, as S3 decodes nothing.
    pub fn has(&self, uri: &str) -> bool {
        uri.strip_prefix(&self.0).is_some_and(|rest| !rest.is_empty())
    }
}

/// What may be asked for a tenant, and as whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// `spec.tenantId`.
    pub tenant_id: String,
    /// The Tenant's namespace,
    pub namespace: String,
    /// its name,
    pub name: String,
    /// and its uid, which tells it from its namesake of yesterday.
    pub uid: String,
    /// How isolated it is.
    pub pattern: Pattern,
    /// The SharedStack that it borrows from.
    pub stack: Option<String>,
    /// The installation that has built what is asked.
    pub installation: String,
    /// Whose the knowledge base is, as its tag says.
    pub owner: String,
    /// Which store the vectors are in.
    pub store: VectorStore,
    /// Where all that answers must lie.
    pub place: Place,
    target: Target,
}

impl Asked {
    /// For a Tenant, which [`holder`] has found and of which [`is_recorded`] says yes. It may be said to whoever may ask why not.
    pub fn of(installation: &str, tenant: &Tenant) -> Result<Self, Refusal> {
        if tenant.metadata.deletion_timestamp.is_some() {
            return Err(Refusal::Leaving);
        }
        let target = Target::of(tenant).map_err(|why| not_ready(&why))?;
        let (namespace, name) = (tenant.namespace().unwrap_or_default(), tenant.name_any());
        let spec = &tenant.spec;
        let Some(Standing { pattern, stack }) = tenant.standing() else {
            return Err(Refusal::NotReady("its status does not say where its class has placed it".into()));
        };
        let stack = stack.map(str::to_owned);
        let owner = Owner::Tenant {
            namespace: namespace.clone(),
            name: name.clone(),
            tenant_id: spec.tenant_id.clone(),
            pattern,
            stack: stack.clone(),
        };
        let place = place(&target, &owner)
            .ok_or_else(|| Refusal::NotReady("its status does not say where its documents are".into()))?;
        let owner = match (pattern, &stack) {
            (Pattern::Pool, Some(stack)) => Owner::Stack { name: stack.clone() },
            _ => owner,
        };
        let status = tenant.status.as_ref();
        Ok(Self {
            tenant_id: spec.tenant_id.clone(),
            namespace,
            name,
            uid: tenant.uid().unwrap_or_default(),
            pattern,
            stack,
            installation: installation.into(),
            owner: owner.tag(),
            store: status.and_then(|status| status.vector_store).unwrap_or_default(),
            place,
            target,
        })
    }

    /// The knowledge base, by its id.
    pub fn knowledge_base(&self) -> &str {
        self.target.knowledge_base()
    }

    /// The metadata key, and the value that it must have in all that answers.
    pub fn filter(&self) -> Option<(&str, &str)> {
        self.target.filter()
    }

    /// Whether a client that names this knowledge base means the tenant's own.
    pub fn is_called(&self, knowledge_base: &str) -> bool {
        knowledge_base == PLACEHOLDER || knowledge_base == self.knowledge_base()
    }
}

fn not_ready(why: &NotQueryable) -> Refusal {
    Refusal::NotReady(why.to_string())
}

/// The place in the status, if it is the one that follows from whose it is.
fn place(target: &Target, owner: &Owner) -> Option<Place> {
    let said = target.place();
    let prefix = said.prefix.as_deref().filter(|prefix| *prefix == owner.prefix())?;
    Place::new(said.bucket.as_deref()?, prefix)
}

#[cfg(test)]
pub(crate) mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::ask::session;

    /// A Tenant as the operator leaves it, with these changes by their pointers.
    fn tenant(pattern: Pattern, changes: &[(&str, Value)]) -> Tenant {
        let prefix = match pattern {
            Pattern::Silo => "documents/",
            Pattern::Bridge => "bridge/acme/",
            Pattern::Pool => "pool/acme/",
        };
        let mut tenant = json!({
            "apiVersion": "tenantry.dev/v1alpha1", "kind": "Tenant",
            "metadata": {"name": "acme", "namespace": "tenants", "uid": "u-1", "finalizers": ["tenantry.dev/prod"]},
            "spec": {"tenantId": "acme", "pattern": pattern},
            "status": {
                "knowledgeBaseId": "KB12345678", "bucket": "demo-bucket", "prefix": prefix,
                "conditions": [{"type": "Accepted", "status": "True", "reason": "Accepted", "message": "",
                    "lastTransitionTime": "2026-01-01T00:00:00Z"}],
            },
        });
        if pattern != Pattern::Silo {
            tenant["spec"]["stackRef"] = json!({"name": "standard"});
        }
        if pattern == Pattern::Pool {
            tenant["status"]["retrievalFilter"] = json!({"equals": {"key": "customer", "value": "acme"}});
        }
        for (path, value) in changes {
            let (parent, name) = path.rsplit_once('/').unwrap();
            tenant.pointer_mut(parent).unwrap()[name] = value.clone();
        }
        serde_json::from_value(tenant).unwrap()
    }

    /// What may be asked for tenant `acme`.
    pub fn asked(pattern: Pattern) -> Asked {
        Asked::of("prod", &tenant(pattern, &[])).unwrap()
    }

    fn record(changes: &[(&str, Value)]) -> Record {
        let mut record = json!({
            "tenantId": "acme", "state": "held", "pattern": "Pool", "stack": "standard", "since": "2026-01-01T00:00:00Z",
            "holder": {"cluster": "c", "namespace": "tenants", "name": "acme", "uid": "u-1"}, "nonce": "n",
        });
        for (path, value) in changes {
            let (parent, name) = path.rsplit_once('/').unwrap();
            record.pointer_mut(parent).unwrap()[name] = value.clone();
        }
        serde_json::from_value(record).unwrap()
    }

    #[test]
    fn an_id_is_found_by_the_one_tenant_that_was_accepted() {
        let good = tenant(Pattern::Pool, &[]);
        let other = tenant(Pattern::Pool, &[("/spec/tenantId", json!("umbrella"))]);
        let elsewhere = tenant(Pattern::Pool, &[("/metadata/finalizers", json!(["tenantry.dev/prod2"]))]);
        let bare = tenant(Pattern::Pool, &[("/metadata/finalizers", json!([]))]);
        let refused = tenant(Pattern::Pool, &[("/status/conditions/0/status", json!("False"))]);
        let unseen = tenant(Pattern::Pool, &[("/status/conditions", json!([]))]);
        let all = [&other, &elsewhere, &bare, &refused, &unseen];
        assert_eq!(holder("prod", "acme", all), None);
        assert_eq!(holder("prod", "acme", all.into_iter().chain([&good])), Some(&good));
        let twin =
            tenant(Pattern::Silo, &[("/metadata/namespace", json!("b")), ("/metadata/uid", json!("u-2"))]);
        assert_eq!(holder("prod", "acme", [&good, &twin]), None, "of two it is neither's");
        let leaving =
            tenant(Pattern::Pool, &[("/metadata/deletionTimestamp", json!("2026-01-01T00:00:00Z"))]);
        assert_eq!(holder("prod", "acme", [&leaving]), Some(&leaving), "who leaves still has its id");
        assert_eq!(holder("prod", "acme", [&good, &leaving]), None);
    }

    #[test]
    fn a_record_names_one_tenant() {
        let own = tenant(Pattern::Pool, &[]);
        assert!(is_recorded(&own, &record(&[])));
        for change in [
            ("/tenantId", json!("umbrella")),
            ("/state", json!("retained")),
            ("/state", json!("gone")),
            ("/state", json!("free")),
            ("/pattern", json!("Bridge")),
            ("/stack", json!("other")),
            ("/stack", json!(null)),
            ("/holder/namespace", json!("b")),
            ("/holder/name", json!("b")),
            ("/holder/uid", json!("u-2")),
            ("/holder/uid", json!("")),
        ] {
            assert!(!is_recorded(&own, &record(std::slice::from_ref(&change))), "{change:?}");
        }
    }

    #[test]
    fn what_is_asked_follows_from_the_pattern() {
        for (pattern, owner, filter, place) in [
            (Pattern::Silo, "Tenant/tenants/acme", None, "s3://demo-bucket/documents/x"),
            (Pattern::Bridge, "Tenant/tenants/acme", None, "s3://demo-bucket/bridge/acme/x"),
            (
                Pattern::Pool,
                "SharedStack/standard",
                Some(("customer", "acme")),
                "s3://demo-bucket/pool/acme/x",
            ),
        ] {
            let asked = asked(pattern);
            assert_eq!((asked.owner.as_str(), asked.filter(), asked.place.has(place)), (owner, filter, true));
            assert_eq!((asked.knowledge_base(), asked.store), ("KB12345678", VectorStore::default()));
            assert!(asked.is_called("TENANTRYKB") && asked.is_called("KB12345678"));
            for other in
                ["", "KB1234567", "kb12345678", "KB12345679", "arn:aws:bedrock:::knowledge-base/KB12345678"]
            {
                assert!(!asked.is_called(other), "{other}");
            }
            let tags = [
                ("tenantry-installation", "prod"),
                ("tenantry-owner", owner),
                ("tenantry-tenant-id", "acme"),
            ];
            assert_eq!(session::tags(&asked), tags);
        }
    }

    #[test]
    fn who_cannot_be_asked_is_told_why_not() {
        let of = |pattern, path, value| Asked::of("prod", &tenant(pattern, &[(path, value)])).unwrap_err();
        let leaving = of(Pattern::Pool, "/metadata/deletionTimestamp", json!("2026-01-01T00:00:00Z"));
        assert_eq!(leaving, Refusal::Leaving);
        for (path, value) in [
            ("/status/knowledgeBaseId", json!(null)),
            ("/status/bucket", json!(null)),
            ("/status/bucket", json!("../other")),
            ("/status/prefix", json!(null)),
            ("/status/prefix", json!("")),
            ("/status/prefix", json!("/")),
            ("/status/prefix", json!("pool/")),
            ("/status/prefix", json!("pool/umbrella/")),
            ("/status/prefix", json!("pool/acme")),
            ("/status/retrievalFilter", json!(null)),
            ("/status/retrievalFilter/equals/value", json!("umbrella")),
        ] {
            let refused = of(Pattern::Pool, path, value.clone());
            assert!(matches!(refused, Refusal::NotReady(_)), "{path} {value}: {refused:?}");
        }
    }
}
