//! How old is what the watches have shown. A watch of a quiet cluster says nothing for a long time, so that the API server is
//! asked whether it is there.

use std::sync::Arc;
use std::time::Duration;

use kube::Api;
use kube::Client;
use kube::api::ListParams;
use parking_lot::Mutex;
use tokio::time::Instant;

use super::patience::PATIENCE;
use crate::api::Tenant;
use crate::api::guarded::Guarded;

/// When the API server last answered. Clones are the same one.
#[derive(Clone)]
pub struct Freshness(Arc<Mutex<Instant>>);

impl Default for Freshness {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Instant::now())))
    }
}

impl Freshness {
    /// It has answered.
    pub fn heard(&self) {
        *self.0.lock() = Instant::now();
    }

    /// How long ago that was.
    pub fn age(&self) -> Duration {
        self.0.lock().elapsed()
    }

    /// Asks the API server every so often.
    pub async fn follow(self, client: Client, every: Duration) {
        let api: Api<Guarded<Tenant>> = Api::all(client);
        // One object: it costs next to nothing.
        let one = ListParams::default().limit(1);
        loop {
            let asked = tokio::time::timeout(PATIENCE, api.list_metadata(&one)).await;
            if matches!(asked, Ok(Ok(_))) {
                self.heard();
            }
            tokio::time::sleep(every).await;
        }
    }
}
