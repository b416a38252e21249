//! What is watched: each watch fills a store, and says which objects have changed.

use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use futures::{Stream, StreamExt, TryStreamExt, future};
use k8s_openapi::api::core::v1::Namespace;
use kube::core::PartialObjectMeta;
use kube::runtime::reflector::ObjectRef;
use kube::runtime::reflector::store::Writer;
use kube::runtime::{PredicateConfig, WatchStreamExt, watcher};
use kube::{Api, Resource, ResourceExt};
use parking_lot::Mutex;
use serde::de::DeserializeOwned;
use tokio::sync::SetOnce;

use super::definitions;
use crate::api::{SharedStack, Tenant};
use crate::reconcile::context::Context;
use crate::reconcile::{Guarded, offer_status};
use crate::stack::causes::causes;
use crate::stack::identity::Identity;

/// What SharedStacks offered when their borrowers were last woken, by name.
pub(super) type Offers = Mutex<HashMap<String, String>>;

/// The one watch of a kind. It fills the store, and tells `seen` of everything. It triggers passes only by changes that
/// may not be the operator's own.
pub(super) fn watch<K>(
    api: Api<Guarded<K>>,
    filter: watcher::Config,
    writer: Writer<Guarded<K>>,
    seen: impl Fn(&watcher::Event<Guarded<K>>) + Send + 'static,
) -> impl Stream<Item = Result<Guarded<K>, watcher::Error>>
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + std::fmt::Debug + Send + Sync + 'static,
{
    watcher(api, filter)
        .default_backoff()
        .modify(|object| object.managed_fields_mut().clear())
        .reflect(writer)
        .inspect_ok(seen)
        .applied_objects()
        .predicate_filter(news::<K>, PredicateConfig::default())
}

/// What of an object is news. Its status and its finalizer are not: the operator writes them.
fn news<K: Resource>(object: &Guarded<K>) -> Option<u64> {
    let meta = object.meta();
    let mut hasher = DefaultHasher::new();
    (&meta.uid, meta.generation, &meta.labels, &meta.annotations, meta.deletion_timestamp.is_some())
        .hash(&mut hasher);
    Some(hasher.finish())
}

/// The objects that a watch shows. A watch that fails is begun again, and the log says so.
pub(super) fn changed<K: Resource<DynamicType = ()>>(
    watch: impl Stream<Item = Result<K, watcher::Error>>,
) -> impl Stream<Item = ObjectRef<K>> {
    watch.filter_map(|event| {
        future::ready(match event {
            Ok(object) => Some(ObjectRef::from_obj(&object)),
            Err(error) if definitions::is_gone(&error) => {
                let kind = K::kind(&()).into_owned();
                tracing::warn!(kind, "its definition is gone; {}", definitions::ADVICE);
                None
            }
            Err(error) => {
                tracing::warn!(error = causes(&error), "a watch failed; trying again");
                None
            }
        })
    })
}

/// Watches namespaces, for their labels. A change wakes all Tenants in the namespace.
pub(super) async fn namespaces(cx: &Context, writer: Writer<PartialObjectMeta<Namespace>>) {
    let api = Api::<PartialObjectMeta<Namespace>>::all(cx.client.clone());
    watcher(api, watcher::Config::default())
        .default_backoff()
        .modify(|namespace| namespace.managed_fields_mut().clear())
        .reflect(writer)
        .for_each(|event| {
            match event {
                Ok(watcher::Event::Apply(namespace)) => cx.wake_namespace(&namespace.name_any()),
                Ok(watcher::Event::InitDone) => fill(&cx.filled.namespaces),
                Ok(_) => {}
                Err(error) => {
                    tracing::warn!(error = causes(&error), "namespaces cannot be watched; trying again");
                }
            }
            async {}
        })
        .await;
}

/// A Tenant that is gone, or that the selector does not show any more, no longer asks for its tenantId. Its SharedStack may
/// be waiting for that. The record still says whose the id is.
pub(super) fn tenant_seen(cx: &Context, event: &watcher::Event<Guarded<Tenant>>) {
    let gone = match event {
        watcher::Event::Delete(gone) => gone,
        watcher::Event::InitDone => {
            // A listing does not say what has gone since the last.
            let there: HashSet<_> =
                cx.tenants.state().iter().filter_map(|it| it.meta().uid.clone()).collect();
            for next in cx.claims.keep(|uid| there.contains(uid)) {
                let _ = cx.wake_tenant.send(next);
            }
            return fill(&cx.filled.tenants);
        }
        _ => return,
    };
    let uid = gone.meta().uid.clone().unwrap_or_default();
    cx.forget(&uid);
    let Ok(gone) = &gone.0 else { return };
    cx.release_claim(&gone.spec.tenant_id, &uid);
    if let Some(stack) = &gone.spec.stack_ref {
        cx.wake_stack(&stack.name);
    }
}

/// A SharedStack wakes its borrowers when its offer has changed.
pub(super) fn stack_seen(cx: &Context, offers: &Offers, event: &watcher::Event<Guarded<SharedStack>>) {
    let (stack, offer) = match event {
        watcher::Event::Apply(stack) | watcher::Event::InitApply(stack) => {
            let id = Identity::of_stack(cx.scope.clone(), &stack.name_any(), "");
            let offer = stack.0.as_ref().ok().map(|stack| {
                let offer = offer_status::offer_of(&id, stack).map(|offer| offer.hash());
                let spec =
                    serde_json::to_string(&(&stack.spec.allowed_namespaces, stack.spec.pool.is_some())).ok();
                format!("{:?} {offer:?} {spec:?}", stack.metadata.deletion_timestamp.is_some())
            });
            (stack.name_any(), offer)
        }
        watcher::Event::Delete(stack) => (stack.name_any(), None),
        watcher::Event::InitDone => return fill(&cx.filled.stacks),
        watcher::Event::Init => return,
    };
    let mut offers = offers.lock();
    let offer = offer.unwrap_or_default();
    if offers.get(&stack) != Some(&offer) {
        offers.insert(stack.clone(), offer);
        cx.wake_borrowers(&stack);
    }
}

/// A store is filled; each new listing fills it again.
fn fill(filled: &SetOnce<()>) {
    let _ = filled.set(());
}
