//! Credentials for what is signed without an SDK client, which would keep its own.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use tokio::sync::Mutex;

use crate::stack::causes::causes;

/// How long before their end credentials are renewed.
const EARLY: Duration = Duration::from_secs(300);

/// The configured credentials, asked for again only when they are about to end: a web identity costs a call to STS.
#[derive(Clone)]
pub(super) struct Credentials {
    provider: Option<SharedCredentialsProvider>,
    last: Arc<Mutex<Option<aws_credential_types::Credentials>>>,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials(…)")
    }
}

impl Credentials {
    pub(super) fn new(provider: Option<SharedCredentialsProvider>) -> Self {
        Self { provider, last: Arc::default() }
    }

    /// Credentials that are good for now, or why there are none.
    pub(super) async fn get(&self) -> Result<aws_credential_types::Credentials, String> {
        let mut last = self.last.lock().await;
        if let Some(known) = last.as_ref().filter(|it| lasts(it.expiry())) {
            return Ok(known.clone());
        }
        let Some(provider) = &self.provider else {
            return Err("there are no AWS credentials".into());
        };
        let fresh = provider.provide_credentials().await.map_err(|error| causes(&error))?;
        *last = Some(fresh.clone());
        Ok(fresh)
    }
}

fn lasts(expiry: Option<SystemTime>) -> bool {
    expiry.is_none_or(|expiry| expiry > SystemTime::now() + EARLY)
}
