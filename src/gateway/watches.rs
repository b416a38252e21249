//! The watches of Tenants, SharedStacks and TenantClasses, and whether these and that of replicas have shown what there is.

use std::future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::{Stream, StreamExt};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client};
use parking_lot::Mutex;
use tokio::sync::SetOnce;
use tokio_util::task::AbortOnDropHandle;

use super::classes::Classes;
use super::freshness::Freshness;
use super::metrics::Metrics;
use super::tenants::Tenants;
use crate::api::guarded::Guarded;
use crate::api::metric::GATEWAY_TENANTS;
use crate::api::{SharedStack, Tenant, TenantClass};
use crate::stack::causes::causes;

/// After how many seconds the API server ends a watch, which then goes on where it was. A connection whose other end has gone
/// without a word looks like that of a quiet cluster until then. kube waits five seconds longer before it gives a watch up.
const RENEWED: u32 = 20;
/// For how long a connection to the API server may be silent: a watch that is well never is, and kube has given up one that is
/// not.
pub const SILENCE: Duration = Duration::from_secs(RENEWED as u64 + 10);

/// How a watch of the gateway's is made.
pub fn config() -> watcher::Config {
    watcher::Config::default().timeout(RENEWED)
}

/// What is listed before callers come in.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    Tenants,
    SharedStacks,
    TenantClasses,
    /// Of the gateway's own Service, if it has one.
    EndpointSlices,
}

impl Kind {
    const ALL: [Self; 4] = [Self::Tenants, Self::SharedStacks, Self::TenantClasses, Self::EndpointSlices];
}

/// Whether all of a kind was shown once, and if not, why.
#[derive(Default)]
struct First {
    listed: SetOnce<()>,
    refused: Mutex<Option<String>>,
}

/// How far the process is, as `/readyz` says it.
#[derive(Default)]
pub struct Readiness {
    first: [First; Kind::ALL.len()],
    ends: AtomicBool,
}

impl Readiness {
    /// It takes no new callers any more.
    pub fn ends(&self) {
        self.ends.store(true, Ordering::Relaxed);
    }

    /// All of a kind was shown. Each new listing says so again.
    pub fn is_listed(&self, kind: Kind) {
        let _ = self.first[kind as usize].listed.set(());
    }

    /// A kind could not be listed.
    pub fn refused(&self, kind: Kind, why: &str) {
        *self.first[kind as usize].refused.lock() = Some(why.to_owned());
    }

    /// What it says when it is ready, or why it is not. Whether AWS answers is no reason to send callers elsewhere.
    pub fn is_ready(&self) -> Result<String, String> {
        if self.ends.load(Ordering::Relaxed) {
            return Err("stopping".into());
        }
        for kind in Kind::ALL {
            let First { listed, refused } = &self.first[kind as usize];
            if listed.get().is_none() {
                let why = refused.lock().as_ref().map(|why| format!(": {why}")).unwrap_or_default();
                return Err(format!("the first list of {kind:?} is not complete{why}"));
            }
        }
        Ok("ok".into())
    }

    /// Waits until all that is there was shown.
    pub async fn listed(&self) {
        for First { listed, .. } in &self.first {
            listed.wait().await;
        }
    }
}

/// Follows all kinds until the answer is dropped. Classes are for all installations, and have no selector.
pub fn watch(
    client: &Client,
    selector: Option<&str>,
    (tenants, classes): (&Arc<Tenants>, &Arc<Classes>),
    readiness: &Arc<Readiness>,
    freshness: &Freshness,
) -> [AbortOnDropHandle<()>; 3] {
    let of = || watcher::Config { label_selector: selector.map(Into::into), ..config() };
    let heard = (readiness, freshness);
    let known = tenants.clone();
    let of_tenants = watcher(Api::<Guarded<Tenant>>::all(client.clone()), of());
    let of_tenants = follow(Kind::Tenants, of_tenants, heard, move |event| known.take(event));
    let known = tenants.clone();
    let of_stacks = watcher(Api::<Guarded<SharedStack>>::all(client.clone()), of());
    let of_stacks = follow(Kind::SharedStacks, of_stacks, heard, move |event| known.take_stack(event));
    let known = classes.clone();
    let of_classes = watcher(Api::<Guarded<TenantClass>>::all(client.clone()), config());
    let of_classes = follow(Kind::TenantClasses, of_classes, heard, move |event| known.take(event));
    [of_tenants, of_stacks, of_classes]
}

/// Hands over what a watch shows.
fn follow<K: Send + 'static>(
    kind: Kind,
    watch: impl Stream<Item = Result<watcher::Event<K>, watcher::Error>> + Send + 'static,
    (readiness, freshness): (&Arc<Readiness>, &Freshness),
    take: impl Fn(watcher::Event<K>) + Send + 'static,
) -> AbortOnDropHandle<()> {
    let (readiness, fresh) = (readiness.clone(), freshness.clone());
    let follows = watch.default_backoff().for_each(move |event| {
        match heard(kind, event, &fresh) {
            Ok(event) => {
                let is_listed = matches!(event, watcher::Event::InitDone);
                take(event);
                if is_listed {
                    readiness.is_listed(kind);
                }
            }
            Err(why) => readiness.refused(kind, &why),
        }
        future::ready(())
    });
    AbortOnDropHandle::new(tokio::spawn(follows))
}

/// What a watch shows, or why it shows nothing.
fn heard<K>(
    kind: Kind,
    event: Result<watcher::Event<K>, watcher::Error>,
    freshness: &Freshness,
) -> Result<watcher::Event<K>, String> {
    match event {
        Ok(event) => {
            // kube says this one by itself, before it has asked, and again after each list that fails.
            if !matches!(event, watcher::Event::Init) {
                freshness.heard();
            }
            Ok(event)
        }
        Err(error) => {
            let why = causes(&error);
            tracing::warn!(error = why, "{kind:?} cannot be watched; trying again");
            Err(why)
        }
    }
}

/// Says how many Tenants there are.
pub fn count(tenants: &Tenants, metrics: &Metrics) {
    for (state, count) in tenants.count() {
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        metrics.tenants.get_or_create(&GATEWAY_TENANTS.of([state])).set(count);
    }
}

#[cfg(test)]
mod tests {
    use http::Uri;
    use serde_json::json;

    use super::super::mocked::{Said, watched};
    use super::super::tenants::tests::tenant;
    use super::*;

    fn is_watch(uri: &Uri) -> bool {
        uri.query().unwrap_or_default().contains("watch=true")
    }

    #[tokio::test(start_paused = true)]
    async fn what_the_api_server_has_not_said_is_no_news() {
        let (freshness, hour) = (Freshness::default(), Duration::from_secs(3600));
        let age_after = async |event| {
            tokio::time::advance(hour).await;
            let shown = heard::<()>(Kind::Tenants, event, &freshness).is_ok();
            (shown, freshness.age())
        };
        assert_eq!(age_after(Ok(watcher::Event::Init)).await, (true, hour), "nobody was asked yet");
        assert_eq!(age_after(Err(watcher::Error::NoResourceVersion)).await, (false, 2 * hour));
        assert_eq!(age_after(Ok(watcher::Event::Init)).await, (true, 3 * hour), "it tries again");
        for event in [
            watcher::Event::InitApply(()),
            watcher::Event::InitDone,
            watcher::Event::Apply(()),
            watcher::Event::Delete(()),
        ] {
            assert_eq!(age_after(Ok(event)).await, (true, Duration::ZERO));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_watch_that_dies_without_a_word_is_given_up() {
        let acme = tenant("a", "acme", &json!({"metadata": {"resourceVersion": "2"}}));
        let (asked, acme) = (Arc::<Mutex<Vec<Uri>>>::default(), json!(acme.0.unwrap()));
        let seen = asked.clone();
        let client = watched(move |uri| {
            let mut seen = seen.lock();
            let before = seen.iter().filter(|it| it.path() == uri.path() && is_watch(it)).count();
            seen.push(uri.clone());
            match (uri.path().ends_with("/tenants"), is_watch(uri)) {
                (true, false) => Said::list(std::slice::from_ref(&acme)),
                // The first watch never tells it.
                (true, true) if before > 0 => Said::Events(vec![("DELETED", acme.clone())]),
                (_, true) => Said::Events(Vec::new()),
                (false, false) => Said::list(&[]),
            }
        });
        let tenants = Arc::new(Tenants::new("prod"));
        let classes = Arc::new(Classes::new(Duration::from_secs(60), Arc::default()));
        let (readiness, freshness) = (Arc::<Readiness>::default(), Freshness::default());
        let _watches = watch(&client, None, (&tenants, &classes), &readiness, &freshness);
        readiness.is_listed(Kind::EndpointSlices);
        readiness.listed().await;
        assert!(tenants.get("acme").is_some());
        tokio::time::sleep(SILENCE).await;
        assert!(tenants.get("acme").is_none(), "{:?}", asked.lock());
        let watches = asked.lock().iter().filter(|it| is_watch(it)).cloned().collect::<Vec<_>>();
        let renewed = format!("timeoutSeconds={RENEWED}");
        assert!(watches.iter().all(|it| it.query().unwrap().contains(&renewed)), "{watches:?}");
        assert_eq!(watches.len(), 6, "each of the three once more: {watches:?}");
    }
}
