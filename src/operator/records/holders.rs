//! The Tenants that have an id.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Client;
use kube::api::DynamicObject;

use super::listing::each;
use crate::api::{Layer, Pattern, Tenant, VectorStore, finalizer_name, standing};
use crate::operator::watches::TenantWatch;
use crate::reconcile::finalizer;
use crate::reconcile::ids::Ids;
use crate::reconcile::tenants::{Kept, Tenants};
use crate::reconcile::unparsed::field;
use crate::records::Trouble;
use crate::stack::identity::{Identity, Owner, Scope};

/// A Tenant that has our finalizer.
#[derive(Clone)]
pub struct Holder {
    /// When it was made, and its uid.
    age: (Option<Timestamp>, String),
    /// Who it is.
    pub id: Identity,
    /// The record that its status names.
    pub id_record: Option<String>,
    /// Where its vectors are.
    pub store: VectorStore,
}

/// What of a Tenant says whether it is a holder.
struct Said {
    tenant_id: String,
    pattern: Pattern,
    stack: Option<String>,
    id_record: Option<String>,
    prefix: Option<String>,
    bucket: Option<String>,
    store: Option<VectorStore>,
}

impl Said {
    fn of_unparsed(object: &DynamicObject) -> Option<Self> {
        let text = |pointer| field::<String>(object, pointer);
        Some(Self {
            tenant_id: text("/spec/tenantId")?,
            pattern: field(object, "/status/placement/pattern").or_else(|| field(object, "/spec/pattern"))?,
            stack: match object.data.pointer("/status/placement") {
                Some(_) => text("/status/placement/stackRef/name"),
                None => text("/spec/stackRef/name"),
            },
            id_record: text("/status/idRecord"),
            prefix: text("/status/prefix"),
            bucket: text("/status/bucket"),
            store: field(object, "/status/vectorStore"),
        })
    }

    fn of(tenant: &Kept) -> Option<Self> {
        let (spec, status) = tenant.common()?;
        let text = |text: Option<&str>| text.map(str::to_owned);
        let standing = standing(spec, status)?;
        Some(Self {
            tenant_id: tenant.tenant_id()?.into(),
            pattern: standing.pattern,
            stack: text(standing.stack),
            id_record: text(tenant.id_record()),
            prefix: text(tenant.prefix()),
            bucket: status.and_then(|status| status.bucket.clone()),
            store: status.and_then(|status| status.vector_store),
        })
    }
}

impl Holder {
    /// None if nothing was built for it, or if it is in another account or region.
    fn of(scope: &Arc<Scope>, meta: &ObjectMeta, said: Said) -> Option<Self> {
        let Said { tenant_id, pattern, stack, id_record, prefix, bucket, store } = said;
        let (namespace, name) = (meta.namespace.clone(), meta.name.clone());
        let (namespace, name) = (namespace.unwrap_or_default(), name.unwrap_or_default());
        let owner = Owner::Tenant { namespace, name, tenant_id, pattern, stack };
        let uid = meta.uid.clone().unwrap_or_default();
        let id = Identity::new(scope.clone(), owner, &uid);
        // Another operator of the installation, in another account, may have Tenants of its own in the cluster. A Tenant of
        // a release that knew no records is known by the name of its bucket. A Tenant without a bucket asks like a new one.
        let is_ours = match &id_record {
            Some(word) => word.starts_with(&scope.place()),
            None => prefix.is_some() && bucket == Some(bucket_of(&id)),
        };
        if !is_ours {
            return None;
        }
        let born = meta.creation_timestamp.as_ref().map(|time| time.0);
        Some(Self { age: (born, uid), id, id_record, store: store.unwrap_or_default() })
    }
}

/// The bucket in which a Tenant has its documents.
fn bucket_of(id: &Identity) -> String {
    match &id.owner {
        Owner::Tenant { stack: Some(stack), .. } => {
            Identity::of_stack(id.scope.clone(), stack, "").name(Layer::Bucket)
        }
        _ => id.name(Layer::Bucket),
    }
}

/// The Tenants of this installation, account and region that have our finalizer, oldest first.
pub async fn listed(client: &Client, scope: &Arc<Scope>) -> anyhow::Result<Vec<Holder>> {
    let finalizer = finalizer_name(&scope.installation);
    let mut holders = Vec::new();
    each::<Tenant>(client, |object| {
        if finalizer::has_finalizer(&object, &finalizer)
            && let Some(said) = Said::of_unparsed(&object)
        {
            holders.extend(Holder::of(scope, &object.metadata, said));
        }
    })
    .await?;
    Ok(oldest_first(holders))
}

/// The same, once a watch has listed them. If that takes longer, a list says why.
pub async fn watched(
    client: &Client,
    scope: &Arc<Scope>,
    watch: &TenantWatch,
    at_most: Duration,
) -> anyhow::Result<Vec<Holder>> {
    match tokio::time::timeout(at_most, watch.listed()).await {
        Ok(()) => kept(client, scope, &watch.tenants).await,
        Err(_) => listed(client, scope).await,
    }
}

/// The same, of what a watch has listed. One that cannot be read may have its id all the same: if there is such a one, all
/// are listed unparsed.
async fn kept(client: &Client, scope: &Arc<Scope>, tenants: &Tenants) -> anyhow::Result<Vec<Holder>> {
    let all = tenants.kept();
    if all.iter().any(|kept| kept.common().is_none()) {
        return listed(client, scope).await;
    }
    let finalizer = finalizer_name(&scope.installation);
    let held = all.iter().filter(|kept| kept.meta().finalizers.iter().flatten().any(|it| *it == finalizer));
    let holders = held.filter_map(|kept| Holder::of(scope, kept.meta(), Said::of(kept)?));
    Ok(oldest_first(holders.collect()))
}

fn oldest_first(mut holders: Vec<Holder>) -> Vec<Holder> {
    holders.sort_by(|one, other| one.age.cmp(&other.age));
    holders
}

/// Records are lost. The Tenants that have an id keep it: nothing else knows who has one.
pub fn lost(ids: &Ids, holders: &[Holder], trouble: &Trouble) {
    for holder in holders {
        ids.trusted(holder.id.tenant_id().unwrap_or_default(), &holder.id.uid);
    }
    ids.are_lost(trouble);
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::reconcile::mocked::{FINALIZER, INSTALLATION, api_server, get_object, tenant, tenants, with};

    const ALL: &str = "/apis/tenantry.dev/v1alpha1/tenants?*";

    fn scope() -> Arc<Scope> {
        Arc::new(Scope::new(INSTALLATION, "111122223333", "eu-central-1"))
    }

    /// One that has an id by its status.
    fn holder(name: &str) -> Value {
        let record = format!("{} of {name}", scope().place());
        with(
            tenant(json!({"name": name, "uid": name, "finalizers": [FINALIZER]})),
            json!({"spec": {"tenantId": name, "pattern": "Silo"}, "status": {"idRecord": record}}),
        )
    }

    fn ids(holders: &[Holder]) -> Vec<&str> {
        let mut ids: Vec<_> = holders.iter().filter_map(|holder| holder.id.tenant_id()).collect();
        ids.sort_unstable();
        ids
    }

    #[tokio::test]
    async fn of_tenants_that_can_be_read_nothing_is_asked() {
        let client = api_server([]).client();
        let new = tenant(json!({"name": "new", "uid": "new"}));
        let all = tenants([holder("acme"), new, holder("globex")]);
        assert_eq!(ids(&kept(&client, &scope(), &all).await.unwrap()), ["acme", "globex"]);
    }

    #[tokio::test]
    async fn those_that_cannot_be_read_cost_one_list_however_many_they_are() {
        let spec = |name: &str| json!({"spec": {"tenantId": name, "pattern": "Silo", "deletionPolicy": 5}});
        let unreadable = |name: &str| with(holder(name), spec(name));
        let all = [holder("acme"), unreadable("globex"), unreadable("initech")];
        let list = json!({
            "apiVersion": "tenantry.dev/v1alpha1", "kind": "TenantList", "metadata": {}, "items": all.clone(),
        });
        let server = api_server([get_object(ALL).answered(list)]);
        let holders = kept(&server.client(), &scope(), &tenants(all)).await.unwrap();
        assert_eq!(ids(&holders), ["acme", "globex", "initech"]);
    }

    #[tokio::test]
    async fn a_watch_that_is_refused_is_not_waited_for_without_end() {
        let refused = || get_object(ALL).refused(403);
        let server = api_server([refused(), refused()]);
        let watch = TenantWatch::begin(server.client(), None);
        let at_most = Duration::from_millis(100);
        let holders = watched(&server.client(), &scope(), &watch, at_most).await;
        let why = format!("{:#}", holders.err().unwrap());
        assert!(why.contains("Tenants cannot be listed") && why.contains("refused"), "{why}");
    }
}
