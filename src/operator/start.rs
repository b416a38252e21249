//! From settings to the one process that acts: it says how it is, waits for the definitions, asks AWS who it is, and waits
//! for the lease. A process that cannot act does not stand for election: it would keep out one that can.

use std::sync::Arc;

use anyhow::Context as _;
use aws_types::SdkConfig;
use k8s_openapi::api::core::v1::Namespace;
use kube::{Api, Client, ResourceExt};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::health::{Health, Phase};
use super::installation_owner::Grant;
use super::lead::{Ended, Leader};
use super::lease::{Election, lease_name};
use super::metrics::Metrics;
use super::records::Installation;
use super::{definitions, wait_for_aws};
use crate::api_server;
use crate::aws;
use crate::aws::{Aws, Fence, Gate, Pace};
use crate::clock::Clock;
use crate::records::bucket::InstallationBucket;
use crate::serve;
use crate::settings::Settings;
use crate::stack::identity::Scope;
use crate::stack::store::{INDEX_API_REGIONS, WITHOUT_INDEX_API};

/// Runs the operator until `stop`. `sdk` is where AWS and its credentials are; it decides account and region.
pub async fn run(
    settings: Settings,
    client: Client,
    sdk: &SdkConfig,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let (metrics, health) = (Arc::new(Metrics::default()), Arc::new(Health::default()));
    let _answers = answer(&settings, &metrics, &health).await?;
    let reader = api_server::behind(&Fence::open(), &client, &metrics.kubernetes);
    let clock = Clock::new(settings.clock);
    if !definitions::wait(&reader, &settings.api_server, clock, &stop, |why| health.is(Phase::Waits(why)))
        .await
    {
        return Ok(());
    }
    // A process that only reads need not be alone.
    let terms = settings.leader_election.clone().filter(|_| !settings.read_only);
    let fence = if terms.is_some() { Fence::closed() } else { Fence::open() };
    let client = api_server::behind(&fence, &client, &metrics.kubernetes);
    let lease = lease_name(&settings.installation);
    if terms.is_some() {
        metrics.leads(&lease, false);
    }
    let cluster = cluster_uid(&client).await?;
    let who = || identify(&settings, cluster.clone(), sdk, &fence, &metrics);
    let known = wait_for_aws::wait(clock, &stop, &health, Phase::AsksAws, who).await?;
    let Some((aws, maker, installation)) = known else { return Ok(()) };
    installation.is_here(&reader, &settings).await.context("the operator does not start")?;
    // A release that cannot read the records is not ready, so that the one before it goes on.
    let unready = |why: Option<String>| why.map_or(Phase::AsksAws(None), Phase::Waits);
    let maker = (!settings.read_only).then_some(&maker);
    let may = || installation.may_lead(&aws, maker, &reader, &settings);
    let (may, ()) = tokio::join!(
        wait_for_aws::wait(clock, &stop, &health, unready, may),
        learn_index_api(&aws, &installation.grant.scope.region)
    );
    if may.context("the operator does not start")?.is_none() {
        return Ok(());
    }
    let leader = Leader {
        settings,
        client,
        aws,
        installation,
        metrics: &metrics,
        health: &health,
        stop: stop.clone(),
    };
    let work = leader.lead();
    let Some(terms) = terms else { return work.await.map(drop) };
    let mut election = Election::new(reader, &lease, terms, fence);
    if !election.win(&stop, |heard| health.is(Phase::StandsBy(heard))).await {
        return Ok(());
    }
    metrics.leads(&lease, true);
    while_held(election, work).await
}

/// Answers probes and scrapes, where the settings ask for that, until this is dropped.
async fn answer(
    settings: &Settings,
    metrics: &Arc<Metrics>,
    health: &Arc<Health>,
) -> anyhow::Result<impl Sized + use<>> {
    let Settings { health_probe_bind_address: probes, metrics_bind_address: scrapes, .. } = settings;
    let (metrics, health) = (metrics.clone(), health.clone());
    serve::probes_and_scrapes(*probes, *scrapes, move || health.is_ready(), move || metrics.text()).await
}

/// Works as long as the lease is held, and gives it back after that if nothing is under way. If something may be, the
/// lease runs out by itself: a call that was sent has that time to arrive, before another process acts. If the lease is
/// lost, the work is dropped where it stands: the fence refuses every change.
async fn while_held(
    election: Election,
    work: impl Future<Output = anyhow::Result<Ended>>,
) -> anyhow::Result<()> {
    let done = CancellationToken::new();
    // A task of its own: what keeps this one busy must not cost us the lease.
    let mut kept = AbortOnDropHandle::new(tokio::spawn(election.keep(done.clone())));
    let outcome = tokio::select! {
        ended = &mut kept => {
            return ended?.inspect_err(|lost| {
                tracing::error!(error = format!("{lost:#}"), "this process may not act any more, and ends");
            });
        }
        outcome = work => outcome,
    };
    if matches!(outcome, Ok(Ended::Drained)) {
        done.cancel();
        kept.await??;
    } else {
        tracing::warn!("the lease is not given back, because a call may be under way; it runs out by itself");
    }
    outcome.map(drop)
}

/// Who we are to AWS. Changes nothing.
async fn identify(
    settings: &Settings,
    cluster: String,
    sdk: &SdkConfig,
    fence: &Fence,
    metrics: &Metrics,
) -> anyhow::Result<(Aws, Aws, Installation)> {
    let region = aws::region(sdk)?;
    let caller = aws::caller(sdk).await?;
    let gate = Gate::new(Pace { percent: settings.pace, clock: settings.clock });
    let guarded = |fence: &Fence| gate.clone().guarded(fence.clone(), metrics.aws.clone());
    let aws = Aws::new(sdk, &caller.account, &guarded(fence));
    let scope = Scope::new(&settings.installation, &caller.account, &region);
    let scope = scope.in_partition_of(&caller.arn).context("the operator does not start")?;
    let operator = caller.principal_arn(&aws.roles).await?;
    let scope = Arc::new(Scope {
        permissions_boundary: settings.permissions_boundary.clone(),
        operator: Some(operator.clone()),
        ..scope
    });
    let bucket = InstallationBucket::of(&scope, settings.installation_bucket.as_deref());
    let grant = Grant { scope, operator, cluster, records: bucket.name.clone() };
    let installation = Installation::new(&aws, grant, bucket, settings);
    // No lease stands before the making of the bucket.
    let maker = Aws::new(sdk, &caller.account, &guarded(&Fence::open()));
    Ok((aws, maker, installation))
}

/// Learns whether the region has an API for indexes.
async fn learn_index_api(aws: &Aws, region: &str) {
    match aws.indexes.missing_api().await {
        Some(refusal) => {
            tracing::warn!(region, "the control plane has no API for indexes here, so {WITHOUT_INDEX_API}");
            aws.index_endpoints.note_needed(&refusal);
        }
        None if !INDEX_API_REGIONS.contains(&region) => {
            tracing::warn!(
                region,
                "AWS lists no API for indexes here; if there is none, {WITHOUT_INDEX_API}"
            );
        }
        None => {}
    }
}

/// The uid of the kube-system namespace: what tells one cluster from another.
async fn cluster_uid(client: &Client) -> anyhow::Result<String> {
    let system = Api::<Namespace>::all(client.clone()).get_metadata("kube-system").await;
    system
        .context("the namespace kube-system cannot be read")?
        .uid()
        .context("the namespace kube-system has no uid")
}
