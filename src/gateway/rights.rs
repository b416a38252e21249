//! Who may ask for a Tenant: whoever Kubernetes lets `ask` it. The cluster is asked about that Tenant by namespace and name,
//! and the answer is kept with its uid, so that no successor of its name inherits it.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec, SubjectAccessReviewStatus,
};
use kube::api::PostParams;
use kube::{Api, Client};
use tokio::sync::Semaphore;

use super::callers::caller::User;
use super::kept::{Answer, Kept, Life, Not};
use super::patience::in_time;
use super::tenants::Known;
use crate::api::{GROUP, VERSION};
use crate::ask::refusal::Refusal;
use crate::stack::causes::causes;

/// How many answers are kept: that of each caller about each tenant that it asks for.
const MOST: NonZeroUsize = NonZeroUsize::MIN.saturating_add(65_535);
/// How many questions to the API server are under way at a time.
const AT_A_TIME: usize = 32;

/// The caller's sum, and the Tenant's uid.
type Key = ([u8; 32], Arc<str>);

/// Asks the cluster who may ask. Clones are the same one.
#[derive(Clone)]
pub struct Rights {
    client: Client,
    life: Life,
    places: Arc<Semaphore>,
    kept: Kept<Key, (), Refusal>,
}

impl Rights {
    /// By this cluster. An answer counts so long, a refusal as long as `pause`, after which also somebody is asked again who
    /// did not answer.
    pub fn new(client: Client, life: Life, pause: Duration) -> Self {
        let places = Arc::new(Semaphore::new(AT_A_TIME));
        Self { client, life, places, kept: Kept::new(MOST, pause) }
    }

    /// Refuses whoever may not ask for this Tenant.
    pub async fn must_have(&self, user: &User, tenant: &Known) -> Result<(), Refusal> {
        let key = (user.sum(), tenant.uid.clone());
        self.kept.get(&key, || self.clone().ask(review(user, tenant))).await
    }

    async fn ask(self, review: SubjectAccessReview) -> Answer<(), Refusal> {
        let api: Api<SubjectAccessReview> = Api::all(self.client.clone());
        match in_time(&self.places, api.create(&PostParams::default(), &review)).await {
            Some(Ok(answer)) => said(answer.status).map(|()| ((), self.life)),
            Some(Err(error)) => {
                tracing::warn!(error = causes(&error), "the cluster does not say who may ask");
                Err(Not::Away(Refusal::IssuerAway))
            }
            None => Err(Not::Away(Refusal::IssuerAway)),
        }
    }
}

fn review(user: &User, tenant: &Known) -> SubjectAccessReview {
    let attributes = ResourceAttributes {
        group: Some(GROUP.into()),
        version: Some(VERSION.into()),
        resource: Some("tenants".into()),
        verb: Some("ask".into()),
        namespace: Some(tenant.namespace.to_string()),
        name: Some(tenant.name.to_string()),
        ..ResourceAttributes::default()
    };
    let spec = SubjectAccessReviewSpec {
        user: Some(user.name.clone()),
        uid: user.uid.clone(),
        groups: Some(user.groups.clone()),
        extra: Some(user.extra.clone()),
        resource_attributes: Some(attributes),
        ..SubjectAccessReviewSpec::default()
    };
    SubjectAccessReview { spec, ..SubjectAccessReview::default() }
}

/// What the cluster says: whoever is not let in is kept out.
fn said(status: Option<SubjectAccessReviewStatus>) -> Result<(), Not<Refusal>> {
    let is_allowed = status.is_some_and(|status| status.allowed && status.denied != Some(true));
    if is_allowed { Ok(()) } else { Err(Not::Refused(Refusal::NotAllowed)) }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::gateway::mocked::ApiServer;
    use crate::gateway::patience::PATIENCE;
    use crate::gateway::tenants::{Tenants, tests};

    const SECOND: Duration = Duration::from_secs(1);
    const LIFE: Life = Life::OF_THE_CLUSTERS_WORD;

    fn user(name: &str) -> User {
        User { name: name.into(), groups: vec!["system:serviceaccounts".into()], ..User::default() }
    }

    fn tenant(name: &str, id: &str, change: &Value) -> Arc<Known> {
        let tenants = Tenants::new("prod");
        tenants.take(kube::runtime::watcher::Event::Apply(tests::tenant(name, id, change)));
        tests::known(&tenants, id)
    }

    /// Lets `web` ask for `tenants/a`, as long as that stands.
    fn server(stands: Arc<std::sync::atomic::AtomicBool>) -> ApiServer {
        ApiServer::new(move |path, review| {
            assert_eq!(path, "/apis/authorization.k8s.io/v1/subjectaccessreviews");
            let spec = &review["spec"];
            let expected = json!({"group": "tenantry.dev", "version": "v1alpha1", "resource": "tenants", "verb": "ask",
                "namespace": "tenants", "name": "a"});
            let allowed = spec["user"] == "web" && spec["resourceAttributes"] == expected;
            let allowed = allowed && stands.load(std::sync::atomic::Ordering::SeqCst);
            let mut answer = review;
            answer["status"] = json!({"allowed": allowed});
            answer
        })
    }

    fn rights() -> (Rights, ApiServer, Arc<std::sync::atomic::AtomicBool>) {
        let stands = Arc::new(std::sync::atomic::AtomicBool::new(true));
        let server = server(stands.clone());
        (Rights::new(server.client.clone(), LIFE, 5 * SECOND), server, stands)
    }

    #[tokio::test(start_paused = true)]
    async fn the_cluster_is_asked_about_that_tenant_and_not_each_time() {
        let (rights, server, _) = rights();
        let acme = tenant("a", "acme", &json!({}));
        assert_eq!(rights.must_have(&user("web"), &acme).await, Ok(()));
        assert_eq!(rights.must_have(&user("web"), &acme).await, Ok(()));
        assert_eq!(server.asked(), 1);
        assert_eq!(rights.must_have(&user("other"), &acme).await, Err(Refusal::NotAllowed));
        let other = tenant("b", "globex", &json!({}));
        assert_eq!(rights.must_have(&user("web"), &other).await, Err(Refusal::NotAllowed));
        let successor = tenant("a", "acme", &json!({"metadata": {"uid": "another"}}));
        let asked = server.asked();
        assert_eq!(rights.must_have(&user("web"), &successor).await, Ok(()));
        assert_eq!(server.asked(), asked + 1, "a successor of its name inherits nothing");
    }

    #[tokio::test(start_paused = true)]
    async fn a_right_that_is_withdrawn_is_gone_within_a_minute() {
        let (rights, _server, stands) = rights();
        let acme = tenant("a", "acme", &json!({}));
        assert_eq!(rights.must_have(&user("web"), &acme).await, Ok(()));
        stands.store(false, std::sync::atomic::Ordering::SeqCst);
        for _ in 0..60 {
            tokio::time::sleep(SECOND).await;
            let _ = rights.must_have(&user("web"), &acme).await;
        }
        assert_eq!(rights.must_have(&user("web"), &acme).await, Err(Refusal::NotAllowed));
        stands.store(true, std::sync::atomic::Ordering::SeqCst);
        tokio::time::sleep(6 * SECOND).await;
        assert_eq!(rights.must_have(&user("web"), &acme).await, Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn while_the_api_server_is_away_whoever_is_known_may_for_five_minutes() {
        let (rights, server, _) = rights();
        let acme = tenant("a", "acme", &json!({}));
        assert_eq!(rights.must_have(&user("web"), &acme).await, Ok(()));
        server.is_away(true);
        tokio::time::sleep(290 * SECOND).await;
        assert_eq!(rights.must_have(&user("web"), &acme).await, Ok(()));
        assert_eq!(rights.must_have(&user("new"), &acme).await, Err(Refusal::IssuerAway), "nobody new");
        tokio::time::sleep(20 * SECOND).await;
        assert_eq!(rights.must_have(&user("web"), &acme).await, Err(Refusal::IssuerAway));
        server.is_away(false);
        tokio::time::sleep(6 * SECOND).await;
        assert_eq!(rights.must_have(&user("web"), &acme).await, Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn an_api_server_that_hangs_keeps_nobody_for_long() {
        let (rights, server, _) = rights();
        let acme = tenant("a", "acme", &json!({}));
        assert_eq!(rights.must_have(&user("web"), &acme).await, Ok(()));
        server.hangs();
        let (many, begun) = (0..10 * AT_A_TIME, tokio::time::Instant::now());
        let many: Vec<_> = many.map(|n| user(&format!("new{n}"))).collect();
        let all = futures::future::join_all(many.iter().map(|user| rights.must_have(user, &acme))).await;
        assert!(all.iter().all(|said| *said == Err(Refusal::IssuerAway)), "{all:?}");
        assert_eq!(begun.elapsed(), PATIENCE, "whoever waits for a place too");
        assert_eq!(rights.must_have(&user("web"), &acme).await, Ok(()));
        assert_eq!(begun.elapsed(), PATIENCE, "who is known does not wait");
    }

    #[test]
    fn whoever_is_not_let_in_is_kept_out() {
        let of = |status: Value| said(serde_json::from_value(status).unwrap());
        assert_eq!(of(json!({"allowed": true})), Ok(()));
        for status in [
            json!({"allowed": false}),
            json!({"allowed": true, "denied": true}),
            json!({"allowed": false, "evaluationError": "a webhook is away"}),
        ] {
            assert_eq!(of(status.clone()), Err(Not::Refused(Refusal::NotAllowed)), "{status}");
        }
        assert_eq!(said(None), Err(Not::Refused(Refusal::NotAllowed)));
    }
}
