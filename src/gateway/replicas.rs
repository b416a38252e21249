//! How many replicas share the rate and the limits of classes: the ready endpoints of the gateway's own Service.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use futures::{StreamExt, future};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client, ResourceExt};
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

use super::watches::{self, Kind, Readiness};
use crate::ask::limits::Part;
use crate::stack::causes::causes;

/// The label that says whose endpoints a slice has.
/// <https://kubernetes.io/docs/concepts/services-networking/endpoint-slices/>
const SERVICE: &str = "kubernetes.io/service-name";

/// Counts the ready replicas of a Service until it is dropped. While nobody answers, the last count stands.
pub struct Replicas {
    part: watch::Receiver<Part>,
    _watch: Option<AbortOnDropHandle<()>>,
}

impl Replicas {
    /// Those of a Service, by namespace and name; without one this replica is alone. `own` is this pod's name. Nobody is let in
    /// before they are counted once: each replica would take the whole rate.
    pub fn watch(
        client: &Client,
        service: Option<&(String, String)>,
        own: String,
        readiness: &Arc<Readiness>,
    ) -> Self {
        let (sender, part) = watch::channel(Part::WHOLE);
        if service.is_none() {
            readiness.is_listed(Kind::EndpointSlices);
        }
        let watching = service.map(|(namespace, name)| {
            let api = Api::<EndpointSlice>::namespaced(client.clone(), namespace);
            let config = watches::config().labels(&format!("{SERVICE}={name}"));
            let events = watcher(api, config).default_backoff();
            let (mut slices, readiness) = (Slices::default(), readiness.clone());
            let each = events.for_each(move |event| {
                match event {
                    Ok(event) => {
                        let is_listed = matches!(event, watcher::Event::InitDone);
                        if slices.take(event) {
                            sender.send_if_modified(|part| {
                                let now = slices.part_of(&own);
                                std::mem::replace(part, now) != now
                            });
                        }
                        if is_listed {
                            readiness.is_listed(Kind::EndpointSlices);
                        }
                    }
                    Err(error) => {
                        let why = causes(&error);
                        tracing::warn!(
                            error = why,
                            "replicas cannot be counted; the last count stands, and without one the gateway is not ready"
                        );
                        readiness.refused(Kind::EndpointSlices, &why);
                    }
                }
                future::ready(())
            });
            AbortOnDropHandle::new(tokio::spawn(each))
        });
        Self { part, _watch: watching }
    }

    /// Tells this replica's part, and again when that changes.
    pub async fn follow(mut self, told: impl Fn(Part)) {
        loop {
            let now = *self.part.borrow_and_update();
            told(now);
            if self.part.changed().await.is_err() {
                // Nobody counts: there will be no other.
                return future::pending().await;
            }
        }
    }
}

/// What the watch has shown.
#[derive(Default)]
struct Slices {
    shown: HashMap<String, EndpointSlice>,
    /// Those of a listing that goes on.
    listed: HashMap<String, EndpointSlice>,
}

impl Slices {
    /// Takes in what a watch tells. Answers whether the count may be another.
    fn take(&mut self, event: watcher::Event<EndpointSlice>) -> bool {
        match event {
            watcher::Event::Init => self.listed.clear(),
            watcher::Event::InitApply(slice) => drop(self.listed.insert(slice.name_any(), slice)),
            watcher::Event::InitDone => {
                self.shown = std::mem::take(&mut self.listed);
                return true;
            }
            watcher::Event::Apply(slice) => {
                self.shown.insert(slice.name_any(), slice);
                return true;
            }
            watcher::Event::Delete(slice) => {
                self.shown.remove(&slice.name_any());
                return true;
            }
        }
        false
    }

    /// How many pods are ready, as far as they are shown, and how many of those come before the one of this name. A pod with
    /// addresses of two families is in two slices. This one is among them as soon as it is asked: a Service sends nothing to a pod
    /// that is not ready.
    fn part_of(&self, own: &str) -> Part {
        let endpoints = self.shown.values().flat_map(|slice| &slice.endpoints);
        let ready = endpoints.filter(|endpoint| {
            let said = endpoint.conditions.as_ref().and_then(|conditions| conditions.ready);
            said.unwrap_or(true)
        });
        let pods = ready.filter_map(|endpoint| {
            let pod = endpoint.target_ref.as_ref();
            let named = pod.and_then(|pod| pod.name.as_deref().or(pod.uid.as_deref()));
            named.or_else(|| endpoint.addresses.first().map(String::as_str))
        });
        let pods: HashSet<_> = pods.collect();
        let before = pods.iter().filter(|pod| **pod < own).count();
        Part { replicas: pods.len().max(1), before }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::Duration;

    use serde_json::{Value, json};

    use super::super::mocked::{Said, watched};
    use super::*;

    fn slice(name: &str, family: &str, endpoints: Value) -> EndpointSlice {
        serde_json::from_value(json!({
            "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": family,
            "metadata": {"name": name}, "endpoints": endpoints,
        }))
        .unwrap()
    }

    fn pod(uid: &str, address: &str, ready: Option<bool>) -> Value {
        json!({"addresses": [address], "conditions": {"ready": ready}, "targetRef": {"kind": "Pod", "name": uid, "uid": uid}})
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_is_let_in_before_replicas_were_counted() {
        let may = Arc::new(AtomicBool::new(false));
        let allowed = may.clone();
        let two = json!({
            "metadata": {"name": "two", "resourceVersion": "1"}, "addressType": "IPv4",
            "endpoints": [pod("a", "10.0.0.1", Some(true)), pod("b", "10.0.0.2", Some(true))],
        });
        let client = watched(move |uri| match uri.query().unwrap_or_default().contains("watch=true") {
            true => Said::Events(Vec::new()),
            false if allowed.load(Ordering::SeqCst) => Said::list(std::slice::from_ref(&two)),
            false => Said::forbidden("endpointslices.discovery.k8s.io is forbidden"),
        });
        let readiness = Arc::<Readiness>::default();
        for kind in [Kind::Tenants, Kind::SharedStacks, Kind::TenantClasses] {
            readiness.is_listed(kind);
        }
        let service = ("tenantry".to_owned(), "gateway".to_owned());
        let replicas = Replicas::watch(&client, Some(&service), "a".into(), &readiness);
        tokio::time::sleep(Duration::from_secs(60)).await;
        let said = readiness.is_ready().unwrap_err();
        assert!(said.contains("EndpointSlices") && said.contains("is forbidden"), "{said}");
        may.store(true, Ordering::SeqCst);
        readiness.listed().await;
        assert!(readiness.is_ready().is_ok());
        assert_eq!(*replicas.part.borrow(), Part { replicas: 2, before: 0 });

        let alone = Arc::<Readiness>::default();
        let _replicas = Replicas::watch(&client, None, "a".into(), &alone);
        let said = alone.is_ready().unwrap_err();
        assert!(!said.contains("EndpointSlices"), "nobody else is there: {said}");
    }

    #[test]
    fn a_pod_counts_once_and_only_while_it_is_ready() {
        let mut slices = Slices::default();
        assert_eq!(slices.part_of("b"), Part::WHOLE, "this one is there, shown or not");
        let four = json!([
            pod("a", "10.0.0.1", Some(true)),
            pod("b", "10.0.0.2", None),
            pod("c", "10.0.0.3", Some(false)),
        ]);
        assert!(slices.take(watcher::Event::Apply(slice("four", "IPv4", four))));
        assert_eq!(slices.part_of("a"), Part { replicas: 2, before: 0 });
        let six = json!([pod("a", "fd00::1", Some(true)), {"addresses": ["fd00::9"]}]);
        assert!(slices.take(watcher::Event::Apply(slice("six", "IPv6", six))));
        assert_eq!(slices.part_of("a"), Part { replicas: 3, before: 0 });
        assert_eq!(slices.part_of("z"), Part { replicas: 3, before: 3 }, "it is not shown yet");
        assert!(slices.take(watcher::Event::Delete(slice("six", "IPv6", json!([])))));
        assert_eq!(slices.part_of("a"), Part { replicas: 2, before: 0 });
    }

    #[test]
    fn a_listing_forgets_what_it_does_not_show() {
        let mut slices = Slices::default();
        let both = json!([pod("a", "10.0.0.1", Some(true)), pod("b", "10.0.0.2", Some(true))]);
        slices.take(watcher::Event::Apply(slice("old", "IPv4", both)));
        assert!(!slices.take(watcher::Event::Init));
        let one = json!([pod("a", "10.0.0.1", Some(true))]);
        assert!(!slices.take(watcher::Event::InitApply(slice("new", "IPv4", one))));
        assert_eq!(slices.part_of("a").replicas, 2, "until the listing is complete");
        assert!(slices.take(watcher::Event::InitDone));
        assert_eq!(slices.part_of("a"), Part::WHOLE);
    }
}
