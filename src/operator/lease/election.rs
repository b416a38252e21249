//! One process's part in the election: it waits for the Lease, renews it, and gives it back.

use std::time::Instant;

use anyhow::anyhow;
use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use kube::api::PostParams;
use kube::{Api, Client};
use tokio_util::sync::CancellationToken;

use super::{Next, Seen, decide, observe};
use crate::aws::{Fence, Moment};
use crate::settings::LeaderElection;

/// One process's part in the election.
pub struct Election {
    leases: Api<Lease>,
    name: String,
    terms: LeaderElection,
    fence: Fence,
    seen: Option<Seen>,
    /// The Lease as it was last read or written,
    lease: Lease,
    /// and whether it may have changed since.
    stale: bool,
    /// When the last try began that succeeded.
    renewed: Instant,
}

impl Election {
    /// Stands for election. `client` must be one that the fence does not stop.
    pub fn new(client: Client, lease: &str, terms: LeaderElection, fence: Fence) -> Self {
        Self {
            leases: Api::namespaced(client, &terms.namespace),
            name: lease.into(),
            terms,
            fence,
            seen: None,
            lease: Lease::default(),
            stale: true,
            renewed: Instant::now(),
        }
    }

    /// Waits until this process leads; false if it is stopped before. Each answer, or why there was none, is `heard`.
    pub async fn win(&mut self, stop: &CancellationToken, heard: impl Fn(Result<(), String>)) -> bool {
        let identity = self.terms.identity.clone();
        tracing::info!(
            lease = self.name,
            namespace = self.terms.namespace,
            identity,
            "waiting for the lease"
        );
        let mut holder = None;
        loop {
            let begun = Moment::now();
            let wait = match self.attempt_in_time().await {
                Ok(Next::Wait(left)) => {
                    heard(Ok(()));
                    let is = self.seen.as_ref().and_then(|seen| seen.holder.clone());
                    if is != holder {
                        tracing::info!(lease = self.name, holder = is, "another process leads");
                        holder = is;
                    }
                    left.min(self.terms.retry_period)
                }
                Ok(_) => {
                    self.holds_since(begun);
                    heard(Ok(()));
                    tracing::info!(lease = self.name, identity, "this process leads");
                    return true;
                }
                Err(error) => {
                    tracing::warn!(error, lease = self.name, "the lease cannot be had; trying again");
                    heard(Err(error));
                    self.terms.retry_period
                }
            };
            tokio::select! {
                () = stop.cancelled() => return false,
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    /// A try that began then made it ours: we may act for a while.
    fn holds_since(&mut self, begun: Moment) {
        self.renewed = begun.steady;
        self.fence.set(Some(begun.after(self.terms.renew_deadline)));
    }

    /// Renews the Lease until `done`, and gives it back then. An error says why it is lost; nothing may be changed any
    /// more, and the fence is closed already.
    pub async fn keep(mut self, done: CancellationToken) -> anyhow::Result<()> {
        loop {
            tokio::select! {
                () = done.cancelled() => {
                    self.release().await;
                    return Ok(());
                }
                () = tokio::time::sleep(self.terms.retry_period) => {}
            }
            if let Err(lost) = self.renew_in_time().await {
                self.fence.set(None);
                return Err(lost.context(format!("the lease '{}' is lost", self.name)));
            }
        }
    }

    /// A renewal that comes after the deadline is none: others may lead by then, even if the API server says otherwise.
    async fn renew_in_time(&mut self) -> anyhow::Result<()> {
        let deadline = self.renewed + self.terms.renew_deadline;
        let late = anyhow!("it could not be renewed within {} s", self.terms.renew_deadline.as_secs());
        if Instant::now() >= deadline {
            return Err(late);
        }
        match tokio::time::timeout_at(deadline.into(), self.renew()).await {
            Ok(Ok(begun)) if Instant::now() < deadline => {
                self.holds_since(begun);
                Ok(())
            }
            Ok(Err(lost)) => Err(lost),
            Ok(Ok(_)) | Err(_) => Err(late),
        }
    }

    /// One renewal, tried until it succeeds; answers when the try began. An error says that another process leads.
    async fn renew(&mut self) -> anyhow::Result<Moment> {
        loop {
            let begun = Moment::now();
            match self.attempt_in_time().await {
                Ok(Next::Wait(_)) => {
                    let holder = self.seen.as_ref().and_then(|seen| seen.holder.clone());
                    return Err(anyhow!("'{}' holds it", holder.unwrap_or_default()));
                }
                Ok(_) => return Ok(begun),
                Err(error) => tracing::warn!(error, lease = self.name, "the lease was not renewed"),
            }
            tokio::time::sleep(self.terms.retry_period).await;
        }
    }

    /// One try; one that hangs leaves time for another before the renew deadline.
    async fn attempt_in_time(&mut self) -> Result<Next, String> {
        match tokio::time::timeout(self.terms.renew_deadline / 2, self.attempt()).await {
            Ok(answer) => answer.map_err(|error| error.to_string()),
            Err(_) => Err("the API server does not answer".into()),
        }
    }

    /// Looks, unless the last that was seen is what we wrote, and writes if that is ours to do. Whatever goes wrong, a
    /// conflict too, is looked into next time.
    async fn attempt(&mut self) -> Result<Next, kube::Error> {
        if std::mem::replace(&mut self.stale, true) {
            let found = self.leases.get_opt(&self.name).await?;
            self.seen = observe(Instant::now(), self.seen.take(), found.as_ref(), self.terms.duration);
            self.lease = found.unwrap_or_default();
        }
        let next = decide(Instant::now(), &self.terms.identity, self.seen.as_ref());
        let lease = self.ours();
        let written = match next {
            Next::Wait(_) => return Ok(next),
            Next::Create => self.leases.create(&PostParams::default(), &lease).await?,
            Next::Write => self.leases.replace(&self.name, &PostParams::default(), &lease).await?,
        };
        self.seen = observe(Instant::now(), self.seen.take(), Some(&written), self.terms.duration);
        (self.lease, self.stale) = (written, false);
        Ok(next)
    }

    /// The Lease as it should be: held by us, and renewed now. What others wrote beside stays.
    fn ours(&self) -> Lease {
        let spec = self.lease.spec.clone().unwrap_or_default();
        let now = MicroTime(Timestamp::now());
        let mine = spec.holder_identity.as_ref() == Some(&self.terms.identity);
        let transitions = spec.lease_transitions.unwrap_or(0);
        let first = self.lease.metadata.resource_version.is_none();
        let metadata = ObjectMeta { name: Some(self.name.clone()), ..self.lease.metadata.clone() };
        let spec = LeaseSpec {
            holder_identity: Some(self.terms.identity.clone()),
            lease_duration_seconds: i32::try_from(self.terms.duration.as_secs()).ok(),
            acquire_time: spec.acquire_time.filter(|_| mine).or_else(|| Some(now.clone())),
            renew_time: Some(now),
            lease_transitions: Some(if mine || first { transitions } else { transitions + 1 }),
            ..spec
        };
        Lease { metadata, spec: Some(spec) }
    }

    /// Gives the Lease back, so that nobody has to wait for it.
    async fn release(self) {
        self.fence.set(None);
        let mut lease = self.ours();
        if let Some(spec) = &mut lease.spec {
            spec.holder_identity = None;
        }
        let how = PostParams::default();
        let replaced = self.leases.replace(&self.name, &how, &lease);
        match tokio::time::timeout(self.terms.retry_period, replaced).await {
            Ok(Ok(_)) => tracing::info!(lease = self.name, "the lease is given back"),
            Ok(Err(error)) => tracing::warn!(%error, lease = self.name, "the lease was not given back"),
            Err(_) => tracing::warn!(lease = self.name, "the lease was not given back: no answer"),
        }
    }
}
