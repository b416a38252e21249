//! One pass over an object: resolve → observe → plan → act → report. For a deleted object the plan is the way back.

pub(crate) mod claims;
pub(crate) mod conditions_writer;
pub(crate) mod context;
pub(crate) mod engine;
pub(crate) mod finalizer;
pub(crate) mod ids;
pub(crate) mod ingestion;
pub(crate) mod leftovers;
pub(crate) mod listing;
pub(crate) mod memory;
#[cfg(test)]
mod mocked;
pub(crate) mod models;
pub(crate) mod offer_status;
pub(crate) mod places;
pub(crate) mod quota;
pub(crate) mod registry;
pub(crate) mod restore_documents;
pub(crate) mod retry;
pub(crate) mod shared_stack;
pub(crate) mod teardown;
pub(crate) mod tenant;

use std::time::Duration;

use futures::future::BoxFuture;
use kube::core::DeserializeGuard;

use crate::api::{Column, Ownership, PerLayer, ownership};
use crate::records::Trouble;
use crate::stack::fault::Fault;
use crate::stack::model::outcome::Standing;

/// An object that may be unreadable: one of them must not blind the watch for the others.
pub type Guarded<K> = DeserializeGuard<K>;

/// A pass that takes longer than this is given up and tried again.
const PASS_TIMEOUT: Duration = Duration::from_secs(900);

/// What follows a pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Action {
    /// After how long there is another, although nothing happens.
    pub after: Option<Duration>,
}

impl Action {
    /// Another pass, at the latest after a while.
    pub const fn requeue(after: Duration) -> Self {
        Self { after: Some(after) }
    }

    /// Nothing, until something happens.
    pub const fn await_change() -> Self {
        Self { after: None }
    }
}

/// Why a pass failed. None of these is news to a user: backoff follows, and what a person must know is a condition.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Kubernetes refused.
    #[error("Kubernetes: {0}")]
    Kube(Box<kube::Error>),
    /// AWS refused.
    #[error("AWS: {0}")]
    Aws(Box<Fault>),
    /// The records of tenantIds do not answer.
    #[error("{0}")]
    Records(Box<Trouble>),
    /// It took too long.
    #[error("the pass took longer than {} s", PASS_TIMEOUT.as_secs())]
    Timeout,
}

impl From<kube::Error> for Error {
    fn from(error: kube::Error) -> Self {
        Error::Kube(Box::new(error))
    }
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        Error::Aws(Box::new(fault))
    }
}

impl From<Trouble> for Error {
    fn from(trouble: Trouble) -> Self {
        Error::Records(Box::new(trouble))
    }
}

/// Boxed, because a pass is large and the compiler cannot otherwise tell that it is `Send`.
async fn in_time(pass: BoxFuture<'_, Result<Action, Error>>) -> Result<Action, Error> {
    tokio::time::timeout(PASS_TIMEOUT, pass).await.unwrap_or(Err(Error::Timeout))
}

/// The layers of an object on which nothing is done: what was said of them before stands.
fn untouched(column: Column) -> PerLayer<Option<Standing>> {
    PerLayer::from_fn(|layer| {
        matches!(ownership(column, layer), Ownership::Owns).then_some(Standing::Unchanged)
    })
}
