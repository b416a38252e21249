//! Sessions with AWS, one a tenant: made when they are first needed, renewed before they end while the old one goes on, and
//! used to their end while STS is away.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use prometheus_client::metrics::gauge::Gauge;
use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;

use super::kept::{Answer, Kept, Life, Not};
use super::patience::in_time;
use crate::ask::refusal::Refusal;
use crate::ask::session;
use crate::ask::whose::Asked;
use crate::aws::{AskRole, Session};
use crate::stack::fault::Fault;

/// How many sessions are kept.
const MOST: NonZeroUsize = NonZeroUsize::MIN.saturating_add(19_999);
/// How many are made at a time.
const AT_A_TIME: usize = 20;
/// How long a refusal counts, and how long STS is left alone that does not answer.
const REFUSED: Duration = Duration::from_secs(5);
/// So long before its end, but no more than a tenth of it, nobody begins with a session any more: a question may be under way
/// for that long.
const BEFORE_END: Duration = Duration::from_secs(15);

/// Who makes sessions.
pub trait Makes: Send + Sync {
    /// One of this name, with these tags.
    fn make<'a>(
        &'a self,
        name: &'a str,
        tags: &'a [(&'a str, &'a str)],
    ) -> BoxFuture<'a, Result<Session, Fault>>;
}

impl Makes for AskRole {
    fn make<'a>(
        &'a self,
        name: &'a str,
        tags: &'a [(&'a str, &'a str)],
    ) -> BoxFuture<'a, Result<Session, Fault>> {
        self.session(name, tags).boxed()
    }
}

/// The sessions. Clones are the same ones.
#[derive(Clone)]
pub struct Sessions {
    role: Arc<dyn Makes>,
    places: Arc<Semaphore>,
    kept: Kept<Key, Session, Refusal>,
    count: Gauge,
}

impl Sessions {
    /// Of this role; `count` says how many there are.
    pub fn new(role: Arc<dyn Makes>, count: Gauge) -> Self {
        let places = Arc::new(Semaphore::new(AT_A_TIME));
        Self { role, places, kept: Kept::new(MOST, REFUSED), count }
    }

    /// The session in which is asked for a tenant.
    pub async fn get(&self, asked: &Arc<Asked>) -> Result<Session, Refusal> {
        let session = self.kept.get(&key(asked), || self.clone().make(asked.clone())).await;
        self.count.set(i64::try_from(self.kept.len()).unwrap_or(i64::MAX));
        session
    }

    /// AWS does not take the tenant's session any more.
    pub fn forget(&self, asked: &Asked) {
        self.kept.forget(&key(asked));
    }

    async fn make(self, asked: Arc<Asked>) -> Answer<Session, Refusal> {
        let (name, tags) = (session::name(&asked.tenant_id), session::tags(&asked));
        let tenant_id = &asked.tenant_id;
        match in_time(&self.places, self.role.make(&name, &tags)).await {
            Some(Ok(session)) => {
                let life = life(session.lasts());
                return Ok((session, life));
            }
            Some(Err(fault)) => tracing::warn!(tenant_id, %fault, "there is no session for a tenant"),
            None => tracing::warn!(tenant_id, "there is no session for a tenant in time"),
        }
        // A session that is there is good to its end, whatever is said of new ones.
        Err(Not::Away(Refusal::NoSession))
    }
}

/// What tells sessions apart: whatever its tags say is in it, so that who moves gets another.
type Key = [u8; 32];

fn key(asked: &Asked) -> Key {
    let mut sum = Sha256::new();
    for part in [&asked.uid, &asked.tenant_id, &asked.owner] {
        sum.update(part);
        sum.update([0]);
    }
    sum.finalize().into()
}

/// How long a session counts that lasts so long.
fn life(lasts: Duration) -> Life {
    let usable = lasts.saturating_sub(BEFORE_END.min(lasts / 10));
    Life { young: lasts.mul_f64(0.75).min(usable), fresh: usable, usable }
}

#[cfg(test)]
pub(super) mod tests {
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

    use parking_lot::Mutex;

    use super::*;
    use crate::api::Pattern;
    use crate::ask::whose::tests::asked;
    use crate::gateway::patience::PATIENCE;

    const MINUTE: Duration = Duration::from_secs(60);

    /// Makes sessions of an hour, as long as it is there.
    #[derive(Default)]
    pub struct Sts {
        pub is_away: AtomicBool,
        pub hangs: AtomicBool,
        pub made: Mutex<Vec<String>>,
        under_way: AtomicUsize,
        most: AtomicUsize,
    }

    impl Makes for Sts {
        fn make<'a>(
            &'a self,
            name: &'a str,
            tags: &'a [(&'a str, &'a str)],
        ) -> BoxFuture<'a, Result<Session, Fault>> {
            async move {
                let now = self.under_way.fetch_add(1, Ordering::SeqCst) + 1;
                self.most.fetch_max(now, Ordering::SeqCst);
                if self.hangs.load(Ordering::SeqCst) {
                    std::future::pending::<()>().await;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
                self.under_way.fetch_sub(1, Ordering::SeqCst);
                if self.is_away.load(Ordering::SeqCst) {
                    return Err(away());
                }
                self.made.lock().push(format!("{name} {tags:?}"));
                Ok(Session::lasting(60 * MINUTE))
            }
            .boxed()
        }
    }

    fn away() -> Fault {
        Fault {
            class: crate::stack::fault::Class::Transient,
            service: "sts",
            operation: "AssumeRole",
            resource: "role".into(),
            code: "Connection".into(),
            message: "refused".into(),
            request_id: None,
        }
    }

    pub fn sessions() -> (Sessions, Arc<Sts>) {
        let sts = Arc::<Sts>::default();
        (Sessions::new(sts.clone(), Gauge::default()), sts)
    }

    fn tenant(id: &str) -> Arc<Asked> {
        let mut asked = asked(Pattern::Pool);
        (asked.tenant_id, asked.uid) = (id.into(), format!("uid-{id}"));
        Arc::new(asked)
    }

    #[tokio::test(start_paused = true)]
    async fn each_tenant_has_one_session_whose_tags_say_whose_it_is() {
        let (sessions, sts) = sessions();
        let (acme, globex) = (tenant("acme"), tenant("globex"));
        for _ in 0..3 {
            assert!(sessions.get(&acme).await.is_ok() && sessions.get(&globex).await.is_ok());
        }
        let made = sts.made.lock().clone();
        assert_eq!(made.len(), 2, "{made:?}");
        assert!(made[0].starts_with("acme ") && made[0].contains("SharedStack/standard"), "{made:?}");
        assert_eq!(sessions.count.get(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_session_is_renewed_before_it_ends_and_nobody_waits_for_that() {
        let (sessions, sts) = sessions();
        let acme = tenant("acme");
        assert!(sessions.get(&acme).await.is_ok());
        tokio::time::advance(44 * MINUTE).await;
        assert!(sessions.get(&acme).await.is_ok());
        assert_eq!(sts.made.lock().len(), 1);
        tokio::time::advance(2 * MINUTE).await;
        let begun = tokio::time::Instant::now();
        assert!(sessions.get(&acme).await.is_ok());
        assert_eq!(begun.elapsed(), Duration::ZERO);
        tokio::time::sleep(MINUTE).await;
        assert_eq!(sts.made.lock().len(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn while_sts_is_away_sessions_are_used_to_their_end() {
        let (sessions, sts) = sessions();
        let acme = tenant("acme");
        assert!(sessions.get(&acme).await.is_ok());
        sts.is_away.store(true, Ordering::SeqCst);
        tokio::time::advance(59 * MINUTE).await;
        assert!(sessions.get(&acme).await.is_ok());
        assert_eq!(sessions.get(&tenant("new")).await.unwrap_err(), Refusal::NoSession);
        tokio::time::advance(MINUTE).await;
        assert_eq!(sessions.get(&acme).await.unwrap_err(), Refusal::NoSession);
        sts.is_away.store(false, Ordering::SeqCst);
        tokio::time::advance(REFUSED).await;
        assert!(sessions.get(&acme).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn an_sts_that_hangs_keeps_nobody_for_long() {
        let (sessions, sts) = sessions();
        let acme = tenant("acme");
        assert!(sessions.get(&acme).await.is_ok());
        sts.hangs.store(true, Ordering::SeqCst);
        let new: Vec<_> = (0..5 * AT_A_TIME).map(|n| tenant(&format!("new{n}"))).collect();
        let begun = tokio::time::Instant::now();
        let all = futures::future::join_all(new.iter().map(|tenant| sessions.get(tenant))).await;
        assert!(all.iter().all(|said| matches!(said, Err(Refusal::NoSession))), "{all:?}");
        assert_eq!(begun.elapsed(), PATIENCE, "whoever waits for a place too");
        assert!(sessions.get(&acme).await.is_ok() && sessions.get(&new[0]).await.is_err());
        assert_eq!(begun.elapsed(), PATIENCE);
        sts.hangs.store(false, Ordering::SeqCst);
        tokio::time::sleep(REFUSED).await;
        assert!(sessions.get(&new[0]).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn no_more_than_so_many_are_made_at_a_time() {
        let (sessions, sts) = sessions();
        let tenants: Vec<_> = (0..100).map(|n| tenant(&format!("t{n}"))).collect();
        let all = futures::future::join_all(tenants.iter().map(|tenant| sessions.get(tenant))).await;
        assert!(all.iter().all(Result::is_ok));
        assert_eq!((sts.most.load(Ordering::SeqCst), sts.made.lock().len()), (AT_A_TIME, 100));
    }
}
