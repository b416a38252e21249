//! The keys by which an issuer signs: found by its discovery document, read again from time to time, and at once when a
//! token names one that nobody knows.
//! <https://openid.net/specs/openid-connect-discovery-1_0.html>

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use jsonwebtoken::jwk::Jwk;
use parking_lot::Mutex;
use serde::Deserialize;
use serde_json::Value;
use tokio::time::Instant;

use crate::ask::refusal::Refusal;
use crate::aws::{Unread, Web};
use crate::gateway::kept::{Answer, Kept, Life, Not};

/// How long keys count. One that is withdrawn is read no more in time for the minute in which its tokens are refused; while the
/// issuer is away its users go on for an hour.
const LIFE: Life = Life {
    young: Duration::from_secs(30),
    fresh: Duration::from_secs(45),
    usable: Duration::from_secs(3600),
};
/// How long an issuer is left alone that does not answer, or whose answer is none.
const PAUSE: Duration = Duration::from_secs(5);
/// How often keys are read again because a token names one that is not among them.
const UNKNOWN: Duration = Duration::from_secs(10);
/// How many keys an issuer has at most.
const MOST: usize = 64;

/// Who reads documents.
pub trait Reads: Send + Sync {
    /// The document at a URL.
    fn read<'a>(&'a self, url: &'a str) -> BoxFuture<'a, Result<Vec<u8>, Unread>>;
}

impl Reads for Web {
    fn read<'a>(&'a self, url: &'a str) -> BoxFuture<'a, Result<Vec<u8>, Unread>> {
        self.get(url).boxed()
    }
}

/// The keys of one issuer. Clones are the same ones.
#[derive(Clone)]
pub struct Keys {
    issuer: Arc<str>,
    web: Arc<dyn Reads>,
    kept: Kept<(), Arc<Vec<Jwk>>, Refusal>,
    searched: Arc<Mutex<Option<Instant>>>,
}

impl Keys {
    /// Of the issuer of this URL.
    pub fn new(issuer: &str, web: Arc<dyn Reads>) -> Self {
        Self {
            issuer: issuer.into(),
            web,
            kept: Kept::new(NonZeroUsize::MIN, PAUSE),
            searched: Arc::default(),
        }
    }

    /// Those that may have signed a token: the one that it names, or all if it names none.
    pub async fn of(&self, key_id: Option<&str>) -> Result<Vec<Jwk>, Refusal> {
        let found = named(&self.all().await?, key_id);
        if !found.is_empty() || !self.may_search() {
            return Ok(found);
        }
        let renewed = self.kept.renew(&(), || self.clone().ask()).await?;
        Ok(named(&renewed, key_id))
    }

    async fn all(&self) -> Result<Arc<Vec<Jwk>>, Refusal> {
        self.kept.get(&(), || self.clone().ask()).await
    }

    /// Whether it is time to look for a key that nobody knows: anybody can name one.
    fn may_search(&self) -> bool {
        let (mut searched, now) = (self.searched.lock(), Instant::now());
        let may = searched.is_none_or(|last| now.duration_since(last) >= UNKNOWN);
        if may {
            *searched = Some(now);
        }
        may
    }

    async fn ask(self) -> Answer<Arc<Vec<Jwk>>, Refusal> {
        match self.read().await {
            Ok(keys) => Ok((Arc::new(keys), LIFE)),
            Err(why) => {
                tracing::warn!(issuer = &*self.issuer, why, "an issuer does not say its keys");
                Err(Not::Away(Refusal::IssuerAway))
            }
        }
    }

    async fn read(&self) -> Result<Vec<Jwk>, String> {
        let url = format!("{}/.well-known/openid-configuration", self.issuer.trim_end_matches('/'));
        let document = self.web.read(&url).await.map_err(|error| error.to_string())?;
        let discovered: Discovered = serde_json::from_slice(&document).map_err(|error| error.to_string())?;
        if discovered.issuer != *self.issuer {
            return Err(format!("{url} speaks of the issuer '{}'", discovered.issuer));
        }
        if self.issuer.starts_with("https:") && !discovered.jwks_uri.starts_with("https:") {
            return Err(format!("{url} names keys that are not read over https"));
        }
        let document = self.web.read(&discovered.jwks_uri).await.map_err(|error| error.to_string())?;
        let set: Set = serde_json::from_slice(&document).map_err(|error| error.to_string())?;
        // One that nobody can read must not keep others from being used.
        let keys = set.keys.into_iter().filter_map(|key| serde_json::from_value(key).ok());
        Ok(keys.take(MOST).collect())
    }
}

#[derive(Deserialize)]
struct Discovered {
    issuer: String,
    jwks_uri: String,
}

#[derive(Deserialize)]
struct Set {
    keys: Vec<Value>,
}

fn named(keys: &[Jwk], key_id: Option<&str>) -> Vec<Jwk> {
    let fits = |key: &&Jwk| key_id.is_none() || key.common.key_id.as_deref() == key_id;
    keys.iter().filter(fits).cloned().collect()
}
