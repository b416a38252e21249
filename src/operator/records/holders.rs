//! The Tenants that have an id.

use std::sync::Arc;

use anyhow::Context as _;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Client;
use kube::api::DynamicObject;

use super::listing::each;
use crate::api::{Layer, Pattern, Tenant, finalizer_name};
use crate::reconcile::finalizer;
use crate::reconcile::ids::Ids;
use crate::reconcile::tenants::Tenants;
use crate::reconcile::unparsed::{self, field};
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
}

/// What of a Tenant says whether it is a holder.
struct Said {
    tenant_id: String,
    pattern: Pattern,
    stack: Option<String>,
    id_record: Option<String>,
    prefix: Option<String>,
    bucket: Option<String>,
}

impl Said {
    fn of_unparsed(object: &DynamicObject) -> Option<Self> {
        let text = |pointer| field::<String>(object, pointer);
        Some(Self {
            tenant_id: text("/spec/tenantId")?,
            pattern: field(object, "/spec/pattern")?,
            stack: text("/spec/stackRef/name"),
            id_record: text("/status/idRecord"),
            prefix: text("/status/prefix"),
            bucket: text("/status/bucket"),
        })
    }

    fn of(tenant: Tenant) -> Self {
        let (spec, status) = (tenant.spec, tenant.status.unwrap_or_default());
        Self {
            tenant_id: spec.tenant_id,
            pattern: spec.pattern,
            stack: spec.stack_ref.map(|stack| stack.name),
            id_record: status.id_record,
            prefix: status.prefix,
            bucket: status.bucket,
        }
    }
}

impl Holder {
    /// None if nothing was built for it, or if it is in another account or region.
    fn of(scope: &Arc<Scope>, meta: &ObjectMeta, said: Said) -> Option<Self> {
        let Said { tenant_id, pattern, stack, id_record, prefix, bucket } = said;
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
        Some(Self { age: (born, uid), id, id_record })
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

/// The same, of what a watch has listed. One that cannot be read is looked at unparsed: it may have its id all the same.
pub async fn kept(client: &Client, scope: &Arc<Scope>, tenants: &Tenants) -> anyhow::Result<Vec<Holder>> {
    let finalizer = finalizer_name(&scope.installation);
    let mut holders = Vec::new();
    for tenant in tenants.readable().filter(|tenant| finalizer::has_finalizer(tenant, &finalizer)) {
        let meta = tenant.metadata.clone();
        holders.extend(Holder::of(scope, &meta, Said::of(tenant)));
    }
    for kept in tenants.kept().iter().filter(|kept| kept.common().is_none()) {
        let meta = kept.meta();
        let api = unparsed::api::<Tenant>(client.clone(), meta);
        let found = api.get_opt(meta.name.as_deref().unwrap_or_default()).await;
        let found = found.context("a Tenant cannot be read")?;
        if let Some(object) = found.filter(|object| finalizer::has_finalizer(object, &finalizer))
            && let Some(said) = Said::of_unparsed(&object)
        {
            holders.extend(Holder::of(scope, &object.metadata, said));
        }
    }
    Ok(oldest_first(holders))
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
