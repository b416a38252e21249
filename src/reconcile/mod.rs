//! One pass over an object: resolve → observe → plan → act → report. For a deleted object the plan is the way back.

mod attention;
pub(crate) mod claims;
pub(crate) mod classes;
pub(crate) mod conditions_writer;
pub(crate) mod context;
pub(crate) mod engine;
pub(crate) mod events;
pub(crate) mod failed;
pub(crate) mod finalizer;
pub(crate) mod ids;
pub(crate) mod ingestion;
pub(crate) mod leftovers;
pub(crate) mod listing;
pub(crate) mod managed;
pub(crate) mod memory;
#[cfg(test)]
pub(crate) mod mocked;
pub(crate) mod models;
pub(crate) mod offer_status;
pub(crate) mod pass;
pub(crate) mod places;
pub(crate) mod quota;
pub(crate) mod registry;
pub(crate) mod resolved;
pub(crate) mod restore_documents;
pub(crate) mod retry;
pub(crate) mod shared_stack;
pub(crate) mod stop;
pub(crate) mod teardown;
pub(crate) mod tenant;
pub(crate) mod tenants;
pub(crate) mod unparsed;
pub(crate) mod unreadable;
pub(crate) mod untouched;
pub(crate) mod written;

use std::time::Duration;

use crate::api::Reason;
pub use crate::api::guarded::{Guarded, Unread};
use crate::records::Trouble;
use crate::stack::causes::causes;
use crate::stack::fault::Fault;

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

/// Why a pass failed. Backoff follows; what lasts is told by [`failed`], because nobody waits for a log.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Kubernetes refused.
    #[error("Kubernetes: {}", in_words(.0))]
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
    /// Something failed of which the status speaks already, as far as it is news.
    #[error("{0}")]
    Told(Box<Error>),
}

impl Error {
    /// Whether we looked at an old version of the object. The newer one is on its way.
    pub fn is_stale(&self) -> bool {
        matches!(self, Error::Kube(error) if matches!(&**error, kube::Error::Api(status) if status.code == 409))
    }

    /// Whether nobody need hear of it.
    fn is_no_news(&self) -> bool {
        self.is_stale() || matches!(self, Error::Told(_))
    }

    /// Why a person must act, if nothing goes on before.
    fn needs_person(&self) -> Option<Reason> {
        match self {
            Error::Aws(fault) => fault.class.needs_person(),
            Error::Records(trouble) => {
                Some(trouble.reason()).filter(|reason| *reason != Reason::WaitingForRecords)
            }
            Error::Kube(_) | Error::Timeout | Error::Told(_) => None,
        }
    }

    /// Why nothing goes on, once that has lasted.
    fn lasting(&self) -> Reason {
        match self {
            Error::Aws(fault) => fault.class.lasting(),
            Error::Records(trouble) => trouble.reason(),
            Error::Kube(_) | Error::Timeout | Error::Told(_) => Reason::Transient,
        }
    }
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

/// What the API server says, without the structure that it says it in.
fn in_words(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) => format!("{} ({} {})", status.message, status.code, status.reason),
        error => causes(error),
    }
}
