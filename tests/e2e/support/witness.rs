//! A witness sees every version of every object of a world, not only those that a test waits for.

use std::sync::{Arc, Mutex};

use futures::StreamExt;
use kube::Api;
use kube::api::DynamicObject;
use kube::core::ApiResource;
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, watcher};
use tenantry::api::{SharedStack, Tenant};
use tokio::task::JoinHandle;

use crate::support::objects::Object;
use crate::support::world::{LABEL, World};

/// Sees as long as it lives.
pub struct Witness {
    seen: Arc<Mutex<Vec<Object>>>,
    _watches: Watches,
}

/// Watches of both kinds, for as long as they live.
pub struct Watches(Vec<JoinHandle<()>>);

impl World {
    /// A witness of all that happens from now on.
    pub fn witness(&self) -> Witness {
        let seen: Arc<Mutex<Vec<Object>>> = Arc::default();
        let sees = seen.clone();
        let see = move |object: DynamicObject| sees.lock().unwrap().push(object.into());
        let _watches = self.watch(see, |error| panic!("the witness lost its watch: {error}"));
        Witness { seen, _watches }
    }

    /// Shows every version of every object of this world from now on.
    pub fn watch(
        &self,
        see: impl Fn(DynamicObject) + Clone + Send + 'static,
        lost: impl Fn(watcher::Error) + Clone + Send + 'static,
    ) -> Watches {
        let kinds = [ApiResource::erase::<SharedStack>(&()), ApiResource::erase::<Tenant>(&())];
        let watch = |kind: &ApiResource| {
            let api: Api<DynamicObject> = Api::all_with(self.client.clone(), kind);
            let ours = watcher::Config::default().labels(&format!("{LABEL}={}", self.suffix));
            let (see, lost) = (see.clone(), lost.clone());
            tokio::spawn(watcher(api, ours).default_backoff().for_each(move |event| {
                match event {
                    Ok(watcher::Event::Apply(object) | watcher::Event::InitApply(object)) => see(object),
                    Ok(_) => {}
                    Err(error) => lost(error),
                }
                async {}
            }))
        };
        Watches(kinds.iter().map(watch).collect())
    }
}

impl Drop for Watches {
    fn drop(&mut self) {
        self.0.iter().for_each(JoinHandle::abort);
    }
}

impl Witness {
    /// All versions so far, once it has seen `last`, an object as it is now.
    pub async fn versions(&self, w: &World, last: &Object) -> Vec<Object> {
        let has_seen = || {
            let seen = self.seen.lock().unwrap();
            seen.iter().any(|object| object.uid() == last.uid() && object.version() == last.version())
        };
        w.eventually("the witness has seen everything", || async { has_seen().then_some(()) }).await;
        self.seen.lock().unwrap().clone()
    }

    /// No object was ever Stalled.
    pub async fn assert_never_stalled(&self, w: &World, last: &str) {
        let last = w.get(last).await;
        for version in self.versions(w, &last).await {
            let stalled = version.condition("Stalled").is_some_and(|stalled| stalled.status == "True");
            assert!(!stalled, "nothing here needs a person, and yet:\n{}", version.describe());
        }
    }
}
