//! How long is waited for whoever the gateway asks.

use std::time::Duration;

use tokio::sync::Semaphore;

/// How long an answer may take: callers are told that there is none before they give up.
pub const PATIENCE: Duration = Duration::from_secs(5);

/// An answer, if it comes in time. The wait for a place, where so many may ask at a time, is part of that.
pub async fn in_time<T>(places: &Semaphore, answer: impl Future<Output = T>) -> Option<T> {
    let asked = async {
        // Nobody closes the places.
        let _place = places.acquire().await;
        answer.await
    };
    tokio::time::timeout(PATIENCE, asked).await.ok()
}
