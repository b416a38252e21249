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
use crate::reconcile::classes::Says;
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

/// A class wakes its Tenants when it comes, goes, or says something else to them. What only the gateway looks at wakes nobody.
fn seen(cx: &Context, told: &mut HashMap<String, Says>, event: &Event<Guarded<TenantClass>>) {
    let (name, says) = match event {
        Event::Apply(class) | Event::InitApply(class) => (class.name_any(), Some(Says::of(class))),
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
    match (before, says) {
        (Some(before), Some(says)) => cx.class_changed(&name, says.since(&before)),
        (None, None) => {}
        _ => cx.wake_class(&name),
    }
    match event {
        Event::Apply(class) | Event::InitApply(class) => cx.class_seen(class),
        _ => drop(cx.class_gone(&name)),
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::{Value, json};
    use tokio::sync::mpsc;

    use super::*;
    use crate::reconcile::mocked::{api_server, context, read, tenant, tenants, with};

    /// How many Tenants of the class are in pools.
    const MANY: usize = 10_000;

    fn class(spec: Value) -> Event<Guarded<TenantClass>> {
        let metadata = json!({"name": "basic", "uid": "u-1"});
        Event::Apply(read(
            json!({"apiVersion": "tenantry.dev/v1alpha1", "kind": "TenantClass", "metadata": metadata, "spec": spec}),
        ))
    }

    fn of_basic(name: &str, pattern: Value, accepted: &str) -> Value {
        let spec = with(json!({"tenantId": name, "classRef": {"name": "basic"}}), pattern.clone());
        let condition = json!({"type": "Accepted", "status": accepted, "reason": "Accepted", "message": "",
            "lastTransitionTime": "2026-01-01T00:00:00Z"});
        let status = json!({"class": "basic", "placement": pattern, "conditions": [condition]});
        with(tenant(json!({"name": name, "uid": name})), json!({"spec": spec, "status": status}))
    }

    /// An edit of a class, and who is woken by it: so many Tenants by their patterns, and which SharedStacks.
    #[tokio::test]
    async fn ten_thousand_tenants_of_one_class_are_woken_by_what_concerns_them_and_by_nothing_else() {
        let server = api_server([]);
        let mut cx = context(server.client());
        let pool = |n: usize| json!({"pattern": "Pool", "stackRef": {"name": if n.is_multiple_of(2) { "one" } else { "two" }}});
        let in_pools = (0..MANY).map(|n| of_basic(&format!("t{n}"), pool(n), "True"));
        let silos = (0..5).map(|n| of_basic(&format!("silo{n}"), json!({"pattern": "Silo"}), "True"));
        let refused = (0..3).map(|n| of_basic(&format!("refused{n}"), pool(n), "False"));
        cx.tenants = tenants(in_pools.chain(silos).chain(refused));
        let (sender, mut woken) = mpsc::unbounded_channel();
        cx.wake_tenant = sender;
        let (sender, mut stacks) = mpsc::unbounded_channel();
        cx.wake_stack = sender;
        let mut told = HashMap::new();
        let limits = json!({"limits": {"documents": 9}, "gateway": {"weight": 1}});
        let mut after = |spec: Value| {
            seen(&cx, &mut told, &class(spec));
            let mut kinds: BTreeMap<String, usize> = BTreeMap::new();
            while let Ok(tenant) = woken.try_recv() {
                let kind = tenant.name.trim_end_matches(|it: char| it.is_ascii_digit()).to_owned();
                *kinds.entry(kind).or_default() += 1;
            }
            let mut names = Vec::new();
            while let Ok(stack) = stacks.try_recv() {
                names.push(stack.name);
            }
            let of = |kind: &str| kinds.get(kind).copied().unwrap_or(0);
            ([of("t"), of("silo"), of("refused")], names)
        };
        let none = Vec::<String>::new();
        assert_eq!(after(limits.clone()), ([MANY, 5, 3], none.clone()), "it has come");
        assert_eq!(after(limits.clone()), ([0, 0, 0], none.clone()), "nothing is another");
        let mut spec = limits;
        spec["gateway"] = json!({"weight": 4, "requestsPerMinute": 60, "concurrent": 2, "maxWait": "2s"});
        assert_eq!(after(spec.clone()), ([0, 0, 0], none.clone()), "only the gateway looks at that");
        spec["limits"] = json!({"documents": 10, "gigabytes": 1, "minutesBetweenJobs": 5});
        assert_eq!(after(spec.clone()), ([0, 5, 0], vec!["one".into(), "two".into()]));
        spec["allowedNamespaces"] = json!({"matchLabels": {"plan": "paid"}});
        assert_eq!(after(spec.clone()), ([0, 0, 3], none.clone()), "who is there stays");
        spec["defaults"] = json!({"answers": {"model": "small"}});
        assert_eq!(after(spec), ([MANY, 5, 3], none.clone()));
        seen(
            &cx,
            &mut told,
            &Event::Delete(read(json!({"apiVersion": "tenantry.dev/v1alpha1", "kind": "TenantClass",
            "metadata": {"name": "basic"}, "spec": {}}))),
        );
    }
}
