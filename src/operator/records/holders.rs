//! The Tenants that have an id.

use std::sync::Arc;

use jiff::Timestamp;
use kube::api::DynamicObject;
use kube::{Client, ResourceExt};

use super::listing::objects;
use crate::api::{Layer, Status, Tenant, finalizer_name};
use crate::reconcile::finalizer;
use crate::reconcile::ids::Ids;
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
}

impl Holder {
    /// None if nothing was built for it, or if it is in another account or region.
    fn of(scope: &Arc<Scope>, object: DynamicObject) -> Option<Self> {
        let owner = Owner::Tenant {
            namespace: object.namespace().unwrap_or_default(),
            name: object.name_any(),
            tenant_id: field(&object, "/spec/tenantId")?,
            pattern: field(&object, "/spec/pattern")?,
            stack: field(&object, "/spec/stackRef/name"),
        };
        let uid = object.uid().unwrap_or_default();
        let id = Identity::new(scope.clone(), owner, &uid);
        let status: Status = field(&object, "/status").unwrap_or_default();
        // Another operator of the installation, in another account, may have Tenants of its own in the cluster. A Tenant of
        // a release that knew no records is known by the name of its bucket. A Tenant without a bucket asks like a new one.
        let is_ours = match &status.id_record {
            Some(word) => word.starts_with(&scope.place()),
            None => status.prefix.is_some() && status.bucket == Some(bucket_of(&id)),
        };
        if !is_ours {
            return None;
        }
        let born = object.metadata.creation_timestamp.as_ref().map(|time| time.0);
        Some(Self { age: (born, uid), id, id_record: status.id_record })
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

/// The Tenants of this installation, account and region that have our finalizer, oldest first. Labels do not count: a Tenant
/// that has lost its label keeps its id.
pub async fn holders(client: &Client, scope: &Arc<Scope>) -> anyhow::Result<Vec<Holder>> {
    let finalizer = finalizer_name(&scope.installation);
    let mut holders = Vec::new();
    for object in objects::<Tenant>(client).await? {
        if finalizer::has_finalizer(&object, &finalizer)
            && let Some(holder) = Holder::of(scope, object)
        {
            holders.push(holder);
        }
    }
    holders.sort_by(|one, other| one.age.cmp(&other.age));
    Ok(holders)
}

/// Records are lost. The Tenants that have an id keep it: nothing else knows who has one.
pub fn lost(ids: &Ids, holders: &[Holder], trouble: &Trouble) {
    for holder in holders {
        ids.trusted(holder.id.tenant_id().unwrap_or_default(), &holder.id.uid);
    }
    ids.are_lost(trouble);
}
