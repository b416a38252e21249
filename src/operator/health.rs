//! How far the process is, as `/readyz` says it.

use std::sync::Arc;

use parking_lot::Mutex;

use crate::reconcile::context::Context;

/// How far the process is. It is ready when nothing of Kubernetes is missing: whether AWS answers, or whether this
/// process leads, is no reason to start another in its place.
#[derive(Default)]
pub struct Health(Mutex<Phase>);

/// See [`Health`].
#[derive(Default)]
pub enum Phase {
    /// It has just begun.
    #[default]
    Starts,
    /// It waits for something, and cannot do without.
    Waits(String),
    /// It asks AWS what it must know before it works, and waits for an answer if there is something to say of that.
    AsksAws(Option<String>),
    /// It waits for the lease; an error if the API server did not answer.
    StandsBy(Result<(), String>),
    /// It acts.
    Works(Arc<Context>),
}

impl Health {
    /// The process has come so far.
    pub fn is(&self, phase: Phase) {
        *self.0.lock() = phase;
    }

    /// What it says when it is ready, or why it is not.
    pub fn is_ready(&self) -> Result<String, String> {
        match &*self.0.lock() {
            Phase::Starts => Err("starting".into()),
            Phase::Waits(why) => Err(why.clone()),
            Phase::AsksAws(Some(why)) => Ok(format!("ok; {why}")),
            Phase::StandsBy(Err(why)) => Err(format!("the lease cannot be had: {why}")),
            Phase::Works(cx) if !cx.filled.all() => Err("the first lists are not complete".into()),
            Phase::AsksAws(None) | Phase::StandsBy(Ok(())) | Phase::Works(_) => Ok("ok".into()),
        }
    }
}
