//! Who calls: the token says it, and whoever issued it vouches for it, the cluster or a configured issuer. What they say is
//! kept for a while by the token's sum.

pub mod caller;
mod keys;
mod oidc;
mod review;

pub use self::keys::Reads;
pub use self::oidc::Oidc;
pub use self::review::Reviewer;

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use sha2::{Digest, Sha256};

use self::caller::{Caller, May};
use super::kept::{Answer, Kept, Life, Not};
use crate::ask::access::Subject;
use crate::ask::refusal::Refusal;
use crate::ask::token::{self, Judge, Unverified};

/// How long it counts that an issuer's token is good. The keys by which that was found are up to 45 seconds old, and both together
/// are the minute in which a key is withdrawn. While the issuer is away it is the keys that go on.
const OF_AN_ISSUERS_KEY: Life =
    Life { young: Duration::from_secs(10), fresh: Duration::from_secs(15), usable: Duration::from_secs(15) };

/// How many tokens are known at a time.
const MOST: NonZeroUsize = NonZeroUsize::MIN.saturating_add(65_535);

/// Knows callers by their tokens. Clones are the same one.
#[derive(Clone)]
pub struct Callers {
    audience: Arc<str>,
    reviewer: Reviewer,
    issuers: Arc<[Oidc]>,
    life: Life,
    kept: Kept<[u8; 32], Arc<Caller>, Refusal>,
}

impl Callers {
    /// Of the cluster, with tokens of an audience, and of these issuers. What the cluster says counts so long, a refusal as long as
    /// `pause`, after which also somebody is asked again who did not answer.
    pub fn new(reviewer: Reviewer, audience: &str, issuers: Vec<Oidc>, life: Life, pause: Duration) -> Self {
        Self {
            audience: audience.into(),
            reviewer,
            issuers: issuers.into(),
            life,
            kept: Kept::new(MOST, pause),
        }
    }

    /// Who has this token.
    pub async fn identify(&self, token: &str) -> Result<Arc<Caller>, Refusal> {
        let token = token::trimmed(token).ok_or(Refusal::TokenInvalid)?;
        let sum = Sha256::digest(token).into();
        let caller = self.kept.get(&sum, || self.clone().ask(token.to_owned())).await?;
        if caller.ends <= SystemTime::now() { Err(Refusal::TokenExpired) } else { Ok(caller) }
    }

    async fn ask(self, token: String) -> Answer<Arc<Caller>, Refusal> {
        let says = Unverified::read(&token).ok_or(Not::Refused(Refusal::TokenInvalid))?;
        let ends = says.expires().ok_or(Not::Refused(Refusal::TokenInvalid))?;
        let ends = SystemTime::from(ends);
        if ends <= SystemTime::now() {
            return Err(Not::Refused(Refusal::TokenExpired));
        }
        let (caller, life) = match says.judge(self.issuers.iter().map(Oidc::url)) {
            Judge::Issuer(url) => {
                let issuer = self.issuers.iter().find(|issuer| issuer.url() == url);
                let issuer = issuer.ok_or(Not::Refused(Refusal::TokenInvalid))?;
                (issuer.verify(&token, &says).await?, OF_AN_ISSUERS_KEY)
            }
            Judge::Cluster => {
                // The API server need not be asked about what says itself that it is for somebody else.
                if !is_for(&says, &self.audience) {
                    return Err(Not::Refused(Refusal::TokenInvalid));
                }
                let user = self.reviewer.review(&token).await?;
                let caller = Caller {
                    subject: Subject::Subject(user.name.clone()),
                    name: user.name.clone(),
                    ends,
                    may: May::Cluster(user),
                };
                (caller, self.life)
            }
        };
        Ok((Arc::new(caller), life))
    }
}

/// Whether a token says that it is for an audience.
fn is_for(says: &Unverified, audience: &str) -> bool {
    match says.claims.get("aud") {
        Some(serde_json::Value::String(one)) => one == audience,
        Some(serde_json::Value::Array(several)) => several.iter().any(|it| it.as_str() == Some(audience)),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use data_encoding::BASE64URL_NOPAD;
    use serde_json::{Value, json};

    use super::oidc::tests::{Site, oidc, token};
    use super::*;
    use crate::gateway::mocked::ApiServer;

    const SECOND: Duration = Duration::from_secs(1);
    const LIFE: Life = Life::OF_THE_CLUSTERS_WORD;

    /// A token as the cluster makes them; whose signature is `c2ln` is good.
    fn account(audience: &Value, ends_in: i64) -> String {
        let ends = jiff::Timestamp::now().as_second() + ends_in;
        let part = |value: Value| BASE64URL_NOPAD.encode(value.to_string().as_bytes());
        let claims = json!({"iss": "https://kubernetes.default.svc", "aud": audience, "exp": ends});
        format!("{}.{}.c2ln", part(json!({"alg": "RS256", "kid": "c"})), part(claims))
    }

    fn ours() -> String {
        account(&json!(["tenantry-gateway"]), 3600)
    }

    fn server() -> ApiServer {
        ApiServer::new(|path, mut review| {
            assert_eq!(path, "/apis/authentication.k8s.io/v1/tokenreviews");
            assert_eq!(review["spec"]["audiences"], json!(["tenantry-gateway"]));
            let is_good = review["spec"]["token"].as_str().unwrap().ends_with(".c2ln");
            review["status"] = json!({"authenticated": is_good, "audiences": ["tenantry-gateway"],
                "user": {"username": "system:serviceaccount:shop:web"}});
            review
        })
    }

    fn callers(server: &ApiServer, issuers: Vec<Oidc>) -> Callers {
        let reviewer = Reviewer::new(server.client.clone(), "tenantry-gateway");
        Callers::new(reviewer, "tenantry-gateway", issuers, LIFE, 5 * SECOND)
    }

    #[tokio::test(start_paused = true)]
    async fn a_token_is_reviewed_once_in_a_while() {
        let server = server();
        let callers = callers(&server, Vec::new());
        let token = ours();
        for _ in 0..5 {
            let caller = callers.identify(&format!(" {token}\n")).await.unwrap();
            assert_eq!(caller.name, "system:serviceaccount:shop:web");
        }
        assert_eq!(server.asked(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn the_api_server_is_not_asked_about_what_cannot_be_good() {
        let server = server();
        let callers = callers(&server, Vec::new());
        for (token, refusal) in [
            (String::new(), Refusal::TokenInvalid),
            ("opaque".into(), Refusal::TokenInvalid),
            (account(&json!("https://kubernetes.default.svc"), 3600), Refusal::TokenInvalid),
            (account(&Value::Null, 3600), Refusal::TokenInvalid),
            (account(&json!("tenantry-gateway"), -1), Refusal::TokenExpired),
        ] {
            assert_eq!(callers.identify(&token).await, Err(refusal), "{token}");
        }
        assert_eq!(server.asked(), 0);
        let forged = ours().replace(".c2ln", ".AAAA");
        assert_eq!(callers.identify(&forged).await, Err(Refusal::TokenInvalid));
        assert_eq!(callers.identify(&forged).await, Err(Refusal::TokenInvalid));
        assert_eq!(server.asked(), 1, "a refusal is kept for a moment");
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_the_cluster_knows_no_more_is_refused_within_a_minute() {
        let is_gone = Arc::new(std::sync::atomic::AtomicBool::new(false));
        let gone = is_gone.clone();
        let server = ApiServer::new(move |_, mut review| {
            let is_there = !gone.load(std::sync::atomic::Ordering::SeqCst);
            review["status"] = json!({"authenticated": is_there, "audiences": ["tenantry-gateway"],
                "user": {"username": "system:serviceaccount:shop:web"}});
            review
        });
        let callers = callers(&server, Vec::new());
        // Whoever asks all the time, and whoever asks once and then again.
        for quiet in [false, true] {
            let token = account(&json!("tenantry-gateway"), 3600 + i64::from(quiet));
            is_gone.store(false, std::sync::atomic::Ordering::SeqCst);
            assert!(callers.identify(&token).await.is_ok());
            is_gone.store(true, std::sync::atomic::Ordering::SeqCst);
            assert!(callers.identify(&token).await.is_ok(), "it is not asked at each question");
            for _ in 0..60 {
                tokio::time::sleep(SECOND).await;
                if !quiet {
                    let _ = callers.identify(&token).await;
                }
            }
            assert_eq!(callers.identify(&token).await, Err(Refusal::TokenInvalid), "{quiet}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn while_the_api_server_is_away_whoever_is_known_is_for_five_minutes() {
        let server = server();
        let callers = callers(&server, Vec::new());
        let token = ours();
        assert!(callers.identify(&token).await.is_ok());
        server.is_away(true);
        tokio::time::sleep(290 * SECOND).await;
        assert!(callers.identify(&token).await.is_ok());
        let new = account(&json!(["tenantry-gateway", "x"]), 3600);
        assert_eq!(callers.identify(&new).await, Err(Refusal::IssuerAway), "nobody new");
        tokio::time::sleep(20 * SECOND).await;
        assert_eq!(callers.identify(&token).await, Err(Refusal::IssuerAway));
    }

    #[tokio::test(start_paused = true)]
    async fn while_the_api_server_hangs_nobody_who_is_known_waits() {
        let server = server();
        let callers = callers(&server, Vec::new());
        let known: Vec<_> = (0..300).map(|n| account(&json!("tenantry-gateway"), 3600 + n)).collect();
        let ask_all = async || {
            let begun = tokio::time::Instant::now();
            let all = futures::future::join_all(known.iter().map(|token| callers.identify(token))).await;
            (all.iter().filter(|said| said.is_ok()).count(), begun.elapsed())
        };
        assert_eq!(ask_all().await.0, known.len());
        server.hangs();
        for second in 1..290 {
            tokio::time::sleep(SECOND).await;
            assert_eq!(ask_all().await, (known.len(), Duration::ZERO), "after {second} s");
        }
        let begun = tokio::time::Instant::now();
        let new = account(&json!(["tenantry-gateway", "x"]), 3600);
        assert_eq!(callers.identify(&new).await, Err(Refusal::IssuerAway), "nobody new");
        assert!(begun.elapsed() <= 5 * SECOND, "after {:?}", begun.elapsed());
    }

    #[tokio::test]
    async fn an_issuers_token_goes_to_no_api_server() {
        let server = server();
        let callers = callers(&server, vec![oidc(&Site::new(&[0]))]);
        let caller = callers.identify(&token(0, Some("k0"), &json!({}))).await.unwrap();
        assert_eq!(caller.may, May::One("acme".into()));
        let forged = token(1, Some("k0"), &json!({"aud": "tenantry-gateway"}));
        assert_eq!(callers.identify(&forged).await, Err(Refusal::TokenInvalid));
        assert_eq!(server.asked(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_key_that_an_issuer_withdraws_is_good_for_a_minute_at_most() {
        let (site, server) = (Site::new(&[0, 1]), server());
        let callers = callers(&server, vec![oidc(&site)]);
        let [old, new] = [0, 1].map(|number| token(number, Some(&format!("k{number}")), &json!({})));
        assert!(callers.identify(&old).await.is_ok());
        // At the worst moment: keys are about to be read again.
        tokio::time::sleep(29 * SECOND).await;
        assert!(callers.identify(&old).await.is_ok());
        site.keys.lock().remove(0);
        for _ in 0..60 {
            tokio::time::sleep(SECOND).await;
            let _ = callers.identify(&old).await;
            assert!(callers.identify(&new).await.is_ok());
        }
        assert_eq!(callers.identify(&old).await, Err(Refusal::TokenInvalid));
        assert!(callers.identify(&new).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn a_key_that_is_withdrawn_unnoticed_is_not_good_for_longer() {
        let (site, server) = (Site::new(&[0]), server());
        let callers = callers(&server, vec![oidc(&site)]);
        let (old, begun) = (token(0, Some("k0"), &json!({})), tokio::time::Instant::now());
        assert!(callers.identify(&old).await.is_ok());
        site.keys.lock().clear();
        // Nobody asks until what is known is all but too old, in keys and then in tokens.
        tokio::time::sleep(44 * SECOND).await;
        assert!(callers.identify(&old).await.is_ok());
        tokio::time::sleep(14 * SECOND).await;
        let _ = callers.identify(&old).await;
        tokio::time::sleep(2 * SECOND).await;
        assert_eq!(begun.elapsed(), 60 * SECOND);
        assert_eq!(callers.identify(&old).await, Err(Refusal::TokenInvalid));
    }

    #[tokio::test(start_paused = true)]
    async fn while_an_issuer_is_away_its_keys_count_for_an_hour() {
        let (site, server) = (Site::new(&[0]), server());
        let callers = callers(&server, vec![oidc(&site)]);
        let token_of = |n: u64| token(0, Some("k0"), &json!({"exp": 9_999_999_999_u64, "jti": n}));
        assert!(callers.identify(&token_of(0)).await.is_ok());
        *site.is_away.lock() = true;
        tokio::time::sleep(3590 * SECOND).await;
        for n in [0, 1] {
            assert!(callers.identify(&token_of(n)).await.is_ok(), "new tokens too");
        }
        let unknown = token(1, Some("k1"), &json!({}));
        assert_eq!(callers.identify(&unknown).await, Err(Refusal::TokenInvalid));
        tokio::time::sleep(30 * SECOND).await;
        for n in [0, 1, 2] {
            assert_eq!(callers.identify(&token_of(n)).await, Err(Refusal::IssuerAway));
        }
    }

    #[tokio::test]
    async fn a_token_that_ends_while_it_is_known_is_refused() {
        let server = server();
        let callers = callers(&server, Vec::new());
        let token = account(&json!("tenantry-gateway"), 1);
        assert!(callers.identify(&token).await.is_ok());
        tokio::time::sleep(Duration::from_millis(1500)).await;
        assert_eq!(callers.identify(&token).await, Err(Refusal::TokenExpired));
    }
}
