//! TenantClasses: the watch of them, and our finalizer on those that are used. They are several installations', so no
//! selector narrows them.

use std::collections::HashMap;
use std::time::Duration;

use futures::StreamExt;
use kube::runtime::reflector::store::Writer;
use kube::runtime::watcher::Event;
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Resource, ResourceExt};

use super::watches::failed;
use crate::api::TenantClass;
use crate::reconcile::Guarded;
use crate::reconcile::classes::concerns;
use crate::reconcile::context::Context;

/// How often it is looked whether a class is not used any more, if nothing tells so before.
const LOOK_AGAIN: Duration = Duration::from_secs(10);

/// Watches classes, and wakes the Tenants of one that has changed in what concerns them. It never ends.
pub(super) async fn watch(cx: &Context, writer: Writer<Guarded<TenantClass>>) {
    let api = Api::<Guarded<TenantClass>>::all(cx.client.clone());
    let mut told = HashMap::new();
    watcher(api, watcher::Config::default())
        .default_backoff()
        .modify(|class| class.meta_mut().managed_fields = None)
        .reflect(writer)
        .for_each(|event| {
            match event {
                Ok(event) => seen(cx, &mut told, &event),
                Err(error) => failed::<TenantClass>(&error),
            }
            async {}
        })
        .await;
}

/// A class wakes its Tenants when it comes, goes, or says something else than what only the gateway looks at.
fn seen(cx: &Context, told: &mut HashMap<String, String>, event: &Event<Guarded<TenantClass>>) {
    let (name, says) = match event {
        Event::Apply(class) | Event::InitApply(class) => {
            let says = match &class.0 {
                Ok(class) => concerns(class),
                Err(unreadable) => unreadable.error.clone(),
            };
            (class.name_any(), Some(says))
        }
        Event::Delete(class) => (class.name_any(), None),
        Event::Init => return,
        Event::InitDone => {
            // A listing does not say what has gone since the last.
            let there: Vec<_> = cx.tenant_classes.state().iter().map(|class| class.name_any()).collect();
            told.retain(|name, _| {
                let is_there = there.contains(name);
                if !is_there {
                    cx.class_gone(name);
                    cx.wake_class(name);
                }
                is_there
            });
            let _ = cx.filled.classes.set(());
            return;
        }
    };
    let before = match says.clone() {
        Some(says) => told.insert(name.clone(), says),
        None => told.remove(&name),
    };
    if before != says {
        cx.wake_class(&name);
    }
    match event {
        Event::Apply(class) | Event::InitApply(class) => cx.class_seen(class),
        _ => cx.class_gone(&name),
    }
}

/// Takes our finalizer off classes that nobody uses any more. It never ends.
pub(super) async fn release(cx: &Context) -> std::convert::Infallible {
    cx.caches().await;
    loop {
        if let Err(error) = cx.release_classes().await {
            tracing::debug!(%error, "a TenantClass could not be released; trying again");
        }
        tokio::select! {
            () = cx.classes.unused.notified() => {}
            () = tokio::time::sleep(cx.clock.outside(LOOK_AGAIN)) => {}
        }
    }
}
