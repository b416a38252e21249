//! The work of the one process that acts.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use kube::Client;
use tokio_util::sync::CancellationToken;

use super::build::{self, Parts};
use super::classes;
use super::controllers::Controllers;
use super::health::{Health, Phase};
use super::installation_owner::Taken;
use super::metrics::Metrics;
use super::records::{Installation, Opened};
use super::wait_for_aws;
use super::watches::{self, TenantWatch, Watches};
use crate::aws::Aws;
use crate::clock::Clock;
use crate::reconcile::context::Context;
use crate::records::Kept;
use crate::records::lock::Lock;
use crate::settings::Settings;
use crate::stack::identity::Scope;
use crate::stack::model::progress::STALLED;

/// How long passes under way may take to finish; Kubernetes kills after 30 s.
const SHUTDOWN: Duration = Duration::from_secs(25);

/// How the work came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// Nothing is under way any more.
    Drained,
    /// Something was: a call that was sent may still take effect.
    CutOff,
}

/// The process that acts, and what it works with. No other process acts at the same time.
pub(super) struct Leader<'a> {
    pub settings: Settings,
    pub client: Client,
    pub aws: Aws,
    pub installation: Installation,
    pub metrics: &'a Arc<Metrics>,
    pub health: &'a Health,
    pub stop: CancellationToken,
}

impl Leader<'_> {
    /// Does the work, until it is to stop.
    pub async fn lead(self) -> anyhow::Result<Ended> {
        let watches = Watches::begin(&self.client, self.settings.selector.as_ref());
        let opened = self.open(&watches.tenants).await.context("the operator does not start")?;
        let Some(Opened { ids, unrecorded, taken }) = opened else {
            return Ok(Ended::CutOff);
        };
        let Watches { tenants: watch, stacks, namespaces } = watches;
        let Self { settings, client, aws, installation, metrics, health, stop } = self;
        let (scope, operator) = (installation.grant.scope.clone(), &installation.grant.operator);
        {
            let Scope { installation, account, region, .. } = &*scope;
            tracing::info!(installation, account, region, operator, "starting");
        }
        let reviews = metrics.reviews.clone();
        let tenants = watch.tenants.clone();
        let parts = Parts { settings, client, aws, scope, ids, reviews, tenants };
        let (cx, feeds) = build::context(parts);
        let cx = Arc::new(cx);
        metrics.watch(&cx);
        health.is(Phase::Works(cx.clone()));
        let controllers = Controllers { cx: &cx, metrics, stop: &stop };
        let work = async {
            tokio::join!(
                controllers.tenants(watch, feeds.tenants_woken),
                controllers.stacks(stacks, feeds.stacks)
            );
        };
        Ok(tokio::select! {
            () = watches::namespaces(&cx, namespaces, feeds.namespaces) => Ended::CutOff,
            () = work => Ended::Drained,
            // A process that only reads has nothing to lose.
            lost = installation.watch(&cx), if !cx.settings.read_only => return Err(lost),
            () = classes::watch(&cx, feeds.classes) => Ended::CutOff,
            never = classes::release(&cx) => match never {},
            never = record(&installation, &cx, unrecorded) => match never {},
            never = take_later(&installation, &cx, taken) => match never {},
            ended = patience(&cx, &stop) => ended,
        })
    }

    /// Opens the records. None if the process is to stop before AWS has answered.
    async fn open(&self, watch: &TenantWatch) -> anyhow::Result<Option<Opened>> {
        let Self { settings, client, aws, installation, health, stop, .. } = self;
        let clock = Clock::new(settings.clock);
        let open = || installation.open(aws, client, settings, watch);
        wait_for_aws::wait(clock, stop, health, Phase::AsksAws, open).await
    }
}

/// Takes the right to indexes in collections once somebody has allowed it. It never ends.
async fn take_later(installation: &Installation, cx: &Context, mut taken: Taken) -> std::convert::Infallible {
    while taken == Taken::Denied {
        tokio::time::sleep(cx.clock.outside(STALLED)).await;
        let again = installation.grant.take(&cx.aws, cx.settings.take_over.as_deref()).await;
        taken = again.unwrap_or(Taken::Denied);
    }
    std::future::pending().await
}

/// Records what has no record yet. It never ends, so that the other work goes on.
async fn record(
    installation: &Installation,
    cx: &Context,
    unrecorded: Option<Kept<Lock>>,
) -> std::convert::Infallible {
    if let Some(lock) = unrecorded {
        cx.caches().await;
        installation.complete(cx, lock).await;
    }
    std::future::pending().await
}

/// Ends some time after `stop`. Passes under way may finish within that time. It ends at once if the stores are not filled
/// yet: the watches that would fill them have ended.
async fn patience(cx: &Context, stop: &CancellationToken) -> Ended {
    stop.cancelled().await;
    if !cx.filled.all() {
        // A pass begins only when they are filled.
        return Ended::Drained;
    }
    tokio::time::sleep(cx.clock.outside(SHUTDOWN)).await;
    tracing::warn!("stopped in the middle of a pass; the next start goes on with it");
    Ended::CutOff
}
