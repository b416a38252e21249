//! What is left in AWS under a tenantId, whoever left it. All of an installation's buckets are looked into: an id may have been
//! in another SharedStack before.

use std::sync::Arc;

use super::decision::Left;
use crate::api::{GROUP, Layer, Pattern, VectorStore};
use crate::aws::{Aws, Tags};
use crate::cli::inspect;
use crate::documents::quarantine::QUARANTINE;
use crate::layers::{data_access, store};
use crate::stack::fault::{Class, Fault};
use crate::stack::identity::{Identity, Owner, Scope};
use crate::stack::layout::{marker_key, retained_prefix};
use crate::stack::store::features;

/// All that is left, in these vector stores. What cannot be looked at is an error: it may hide something.
pub(super) async fn of(
    aws: &Aws,
    scope: &Arc<Scope>,
    tenant_id: &str,
    stores: &[VectorStore],
) -> Result<Vec<Left>, Fault> {
    let [silo, bridge, pool] = [Pattern::Silo, Pattern::Bridge, Pattern::Pool]
        .map(|pattern| Identity::new(scope.clone(), Owner::nobody(tenant_id, pattern, None), ""));
    let mut left = Vec::new();
    for id in [&silo, &bridge] {
        left.extend(layers(aws, id).await?);
        for kind in stores {
            left.extend(in_store(aws, id, *kind).await?);
        }
    }
    let folders = [
        ("documents", pool.prefix()),
        ("documents", bridge.prefix()),
        ("documents", retained_prefix(tenant_id)),
        ("objects in quarantine", format!("{QUARANTINE}{}", pool.prefix())),
    ];
    let buckets = aws.buckets.names(&format!("{}-", scope.installation)).await?;
    for name in buckets.into_iter().filter(|name| scope.may_have_named(name)) {
        let tags = match aws.buckets.tags(&name).await {
            // Another region's, or gone meanwhile.
            Err(fault) if fault.class == Class::NotFound => continue,
            tags => tags?,
        };
        let Some(bucket) = inspect::owner_of_bucket(scope, &name, &tags) else { continue };
        match &bucket.owner {
            Owner::Stack { .. } => {
                left.extend(lent(aws, &name, &pool, &folders).await?);
                for kind in stores {
                    left.extend(lent_index(aws, &bucket, &bridge, *kind).await?);
                }
            }
            Owner::Tenant { tenant_id: said, .. } if said == tenant_id => {
                left.push(Left { what: "bucket", name });
            }
            Owner::Tenant { .. } => {}
        }
    }
    Ok(left)
}

/// What a Silo or Bridge tenant has for itself, whatever its vector store, beside a bucket.
async fn layers(aws: &Aws, id: &Identity) -> Result<Vec<Left>, Fault> {
    let [base, role] = [Layer::KnowledgeBase, Layer::Role].map(|layer| id.name(layer));
    let found = [
        ("knowledge base", aws.knowledge_bases.find(&base, None).await?.map(|it| it.tags), base),
        ("role", aws.roles.find(&role).await?.map(|it| it.tags), role),
    ];
    Ok(found.into_iter().filter_map(|(what, tags, name)| of_the_id(id, what, tags, name)).collect())
}

/// What it has in a vector store of this kind.
async fn in_store(aws: &Aws, id: &Identity, kind: VectorStore) -> Result<Vec<Left>, Fault> {
    let (features, name) = (features(kind), id.name(Layer::VectorStore));
    let mut left = Vec::new();
    if features.create_data_access.is_some() {
        let said = data_access::find(aws, id).await?.map(|it| Identity::parse_description(&it.description));
        left.extend(of_the_id(id, "data access policy", said, id.name(Layer::Index)));
    }
    let store = store::find(aws, &name, kind).await?;
    left.extend(of_the_id(id, features.words, store.map(|it| it.tags), name));
    Ok(left)
}

/// The index that a Bridge tenant has in the store of a SharedStack, where an index says whose it is.
async fn lent_index(
    aws: &Aws,
    stack: &Identity,
    id: &Identity,
    kind: VectorStore,
) -> Result<Option<Left>, Fault> {
    let (store, index) = (stack.name(Layer::VectorStore), id.name(Layer::Index));
    let tags = store::index_tags(aws, &id.scope, kind, &store, &index).await?;
    Ok(of_the_id(id, "index", tags, format!("{index} in {} {store}", features(kind).words)))
}

/// Something that was found, if it bears this tenantId.
fn of_the_id(id: &Identity, what: &'static str, tags: Option<Tags>, name: String) -> Option<Left> {
    tags.filter(|tags| is_the_ids(id, tags)).map(|_| Left { what, name })
}

/// Whether something bears this tenantId of this installation.
fn is_the_ids(id: &Identity, tags: &Tags) -> bool {
    let says = |key: &str, value: &str| tags.get(&format!("{GROUP}/{key}")).is_some_and(|it| it == value);
    says("installation", &id.scope.installation) && says("tenant-id", id.tenant_id().unwrap_or_default())
}

/// What lies in a SharedStack's bucket.
async fn lent(
    aws: &Aws,
    bucket: &str,
    id: &Identity,
    folders: &[(&'static str, String)],
) -> Result<Vec<Left>, Fault> {
    let mut left = Vec::new();
    let marker = marker_key(id);
    let page = gone_is_none(aws.objects.list(bucket, &marker, None, Some(1)).await)?;
    if page.is_some_and(|page| page.objects.iter().any(|object| object.key == marker)) {
        left.push(Left { what: "marker", name: format!("s3://{bucket}/{marker}") });
    }
    for (what, prefix) in folders {
        let Some(page) = gone_is_none(aws.objects.versions(bucket, prefix, None).await)? else { continue };
        if page.versions.is_empty() {
            continue;
        }
        let more = if page.next.is_some() { " and more" } else { "" };
        let count = page.versions.len();
        left.push(Left { what, name: format!("s3://{bucket}/{prefix} ({count} versions{more})") });
    }
    Ok(left)
}

/// A bucket that has gone meanwhile has nothing.
fn gone_is_none<T>(answer: Result<T, Fault>) -> Result<Option<T>, Fault> {
    match answer {
        Err(fault) if fault.class == Class::NotFound => Ok(None),
        answer => answer.map(Some),
    }
}
