//! From settings to a process that answers: it reads its certificate, lists what there is, and then lets callers in.

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use anyhow::Context as _;
use aws_types::SdkConfig;
use futures::FutureExt;
use kube::Client;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::access_log::AccessLog;
use super::alarm::Alarm;
use super::callers::{Callers, Oidc, Reviewer};
use super::classes::Classes;
use super::door::Door;
use super::freshness::Freshness;
use super::kept::Life;
use super::listen::Listener;
use super::metrics::Metrics;
use super::records::{self, Recorded};
use super::replicas::Replicas;
use super::rights::Rights;
use super::server::{Here, Server, of_strangers, of_tenants};
use super::sessions::Sessions;
use super::settings::Settings;
use super::tenants::Tenants;
use super::tls::Certificate;
use super::turns::Turns;
use super::upstream::Upstream;
use super::watches::{self, Readiness};
use crate::api_server;
use crate::ask::fair;
use crate::aws::{self, AskRole, Fence, Gate, Objects, Pace, Questions, Web};
use crate::clock::Clock;
use crate::records::bucket::InstallationBucket;
use crate::records::{Records, S3};
use crate::serve;
use crate::stack::identity::Scope;

/// How long a refusal counts, and how long somebody is left alone who does not answer.
const PAUSE: Duration = Duration::from_secs(5);
/// How often the namespace of a tenant is told that passages came back which are not the tenant's.
const ALARM: Duration = Duration::from_secs(3600);
/// For how long callers still come after the process was told to end: nobody knows of it at once.
const LINGER: Duration = Duration::from_secs(5);
/// How often it is said how many Tenants there are.
const SAY: Duration = Duration::from_secs(5);
/// How often the API server is asked whether it is there, and the certificate's files are looked at.
const LOOK: Duration = Duration::from_secs(10);
const SECOND: Duration = Duration::from_secs(1);
/// In which a class says how many questions.
const MINUTE: Duration = Duration::from_secs(60);

/// Runs the gateway until `stop`. `sdk` is where AWS and its credentials are.
pub async fn run(
    settings: Settings,
    client: Client,
    sdk: &SdkConfig,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let (metrics, readiness) = (Arc::new(Metrics::default()), Arc::new(Readiness::default()));
    let _answers = answer(&settings, &metrics, &readiness).await?;
    let client = api_server::behind(&Fence::open(), &client, &metrics.kubernetes);
    let scope = scope(&settings, sdk)?;
    let clock = Clock::new(settings.clock);
    let start = Start { settings: &settings, client: &client, sdk, scope: &scope, clock, metrics: &metrics };
    let (tenants, freshness) = (Arc::new(Tenants::new(&settings.installation)), Freshness::default());
    let classes = Arc::new(Classes::new(clock.outside(MINUTE), metrics.clone()));
    let selector = settings.selector.as_deref();
    let _watches = watches::watch(&client, selector, (&tenants, &classes), &readiness, &freshness);
    let certificate = settings.tls_cert_dir.as_deref();
    let certificate = certificate.map(|folder| Certificate::read(folder, metrics.certificate.clone()));
    let certificate = certificate.transpose()?;
    let listener = Listener::bind(settings.bind_address, certificate.clone(), metrics.connections.clone());
    let listener = listener.await?;
    let turns = Turns::new(start.rate(1), metrics.clone());
    let door = start.door(tenants.clone(), freshness.clone())?;
    let server = Arc::new(start.server(door, classes.clone(), start.upstream(turns.clone())?)?);
    let look = clock.outside(LOOK);
    let replicas = Replicas::watch(&client, settings.service.as_ref(), replica(), &readiness);
    let _follows = (
        spawn(turns.clone().follow()),
        spawn(certificate.map_or_else(|| pending().boxed(), |certificate| certificate.follow(look).boxed())),
        spawn(say(freshness.clone(), tenants, metrics.clone(), clock.outside(SAY))),
        spawn(freshness.follow(client.clone(), look)),
    );
    let share = replicas.follow(|part| {
        metrics.replicas.set(i64::try_from(part.replicas).unwrap_or(i64::MAX));
        turns.set_rate(start.rate(part.replicas));
        classes.set_part(part);
    });
    tokio::select! {
        () = share => Ok(()),
        () = serve(listener, server, &readiness, clock, settings.drain, stop) => Ok(()),
    }
}

/// Answers callers once all is listed, and until they had time to go elsewhere.
async fn serve(
    listener: Listener,
    server: Arc<Server>,
    readiness: &Readiness,
    clock: Clock,
    drain: Duration,
    stop: CancellationToken,
) {
    tokio::select! {
        () = stop.cancelled() => return,
        () = readiness.listed() => tracing::info!("the gateway answers"),
    }
    let drain = clock.outside(drain);
    let (closed, over) = (CancellationToken::new(), CancellationToken::new());
    let end = async {
        stop.cancelled().await;
        readiness.ends();
        let linger = clock.outside(LINGER).min(drain / 2);
        tokio::time::sleep(linger).await;
        closed.cancel();
        tokio::time::sleep(drain.saturating_sub(linger)).await;
        over.cancel();
        pending::<()>().await
    };
    tokio::select! {
        () = listener.serve(server, closed.clone(), over.clone().cancelled_owned()) => {}
        () = end => {}
    }
}

/// Answers probes and scrapes, where the settings ask for that, until this is dropped.
async fn answer(
    settings: &Settings,
    metrics: &Arc<Metrics>,
    readiness: &Arc<Readiness>,
) -> anyhow::Result<impl Sized + use<>> {
    let Settings { health_probe_bind_address: probes, metrics_bind_address: scrapes, .. } = settings;
    let (metrics, readiness) = (metrics.clone(), readiness.clone());
    serve::probes_and_scrapes(*probes, *scrapes, move || readiness.is_ready(), move || metrics.text()).await
}

/// Where the installation is: in the account of the role in whose sessions AWS is asked.
fn scope(settings: &Settings, sdk: &SdkConfig) -> anyhow::Result<Scope> {
    let region = aws::region(sdk)?;
    let account = settings.ask_role.split(':').nth(4).unwrap_or_default();
    let scope = Scope::new(&settings.installation, account, &region);
    scope.in_partition_of(&settings.ask_role).context("the gateway does not start")
}

/// Runs beside, until it is dropped.
fn spawn(task: impl Future<Output = ()> + Send + 'static) -> AbortOnDropHandle<()> {
    AbortOnDropHandle::new(tokio::spawn(task))
}

/// Says how many Tenants there are, and how old that is.
async fn say(freshness: Freshness, tenants: Arc<Tenants>, metrics: Arc<Metrics>, every: Duration) {
    loop {
        metrics.tenants_age.set(freshness.age().as_secs_f64());
        watches::count(&tenants, &metrics);
        tokio::time::sleep(every).await;
    }
}

/// What the parts of the process are made of.
struct Start<'a> {
    settings: &'a Settings,
    client: &'a Client,
    sdk: &'a SdkConfig,
    scope: &'a Scope,
    clock: Clock,
    metrics: &'a Arc<Metrics>,
}

impl Start<'_> {
    /// How many questions a second one of so many replicas may put.
    fn rate(&self, replicas: usize) -> f64 {
        let Settings { retrieve_rate, pace, .. } = self.settings;
        fair::share(f64::from(*retrieve_rate), *pace, replicas) * self.clock.inside(SECOND).as_secs_f64()
    }

    fn life(&self, life: Life) -> Life {
        let outside = |wait| self.clock.outside(wait);
        Life { young: outside(life.young), fresh: outside(life.fresh), usable: outside(life.usable) }
    }

    fn gate(&self) -> Gate {
        Gate::new(Pace::FULL).guarded(Fence::open(), self.metrics.aws.clone())
    }

    fn door(&self, tenants: Arc<Tenants>, freshness: Freshness) -> anyhow::Result<Door> {
        let Settings { audience, issuers, installation_bucket, .. } = self.settings;
        let (life, pause) = (self.life(Life::OF_THE_CLUSTERS_WORD), self.clock.outside(PAUSE));
        let issuers = issuers.iter().map(|issuer| {
            let web = Web::new(self.sdk, issuer.ca.as_deref());
            let web = web.with_context(|| format!("the issuer {}", issuer.url))?;
            Ok(Oidc::new(issuer.clone(), Arc::new(web)))
        });
        let issuers = issuers.collect::<anyhow::Result<Vec<_>>>()?;
        let reviewer = Reviewer::new(self.client.clone(), audience);
        let bucket = InstallationBucket::of(self.scope, installation_bucket.as_deref());
        let objects = Objects::of(self.sdk, &self.scope.account, &self.gate());
        let records = Records::new(Arc::new(S3::new(&objects, &bucket.name)));
        Ok(Door {
            callers: Callers::new(reviewer, audience, issuers, life, pause),
            tenants,
            freshness,
            usable: life.usable,
            rights: Rights::new(self.client.clone(), life, pause),
            recorded: Recorded::new(records, self.life(records::LIFE), pause),
        })
    }

    fn upstream(&self, turns: Turns) -> anyhow::Result<Upstream> {
        let (gate, metrics) = (self.gate(), self.metrics);
        let role = AskRole::new(self.sdk, &self.settings.ask_role, &gate);
        Ok(Upstream {
            questions: Arc::new(Questions::new(self.sdk, &gate)?),
            sessions: Sessions::new(Arc::new(role), metrics.sessions.clone()),
            turns,
        })
    }

    fn server(&self, door: Door, classes: Arc<Classes>, upstream: Upstream) -> anyhow::Result<Server> {
        let Settings { installation, access_log, max_in_flight, .. } = self.settings;
        let replica = replica();
        let alarm = Alarm::new(self.client.clone(), &replica, self.clock.outside(ALARM));
        let here = Here { installation: installation.clone(), region: self.scope.region.clone(), replica };
        Ok(Server {
            here,
            door,
            classes,
            upstream,
            alarm,
            metrics: self.metrics.clone(),
            log: AccessLog::open(access_log, self.metrics.lines_dropped.clone())?,
            max_in_flight: *max_in_flight,
            in_flight: AtomicUsize::new(0),
            strangers: of_strangers(*max_in_flight),
            questions: of_tenants(*max_in_flight),
        })
    }
}

/// How this replica is called: by its pod's name, if it is one.
fn replica() -> String {
    let pod = std::env::var("POD_NAME").ok().filter(|pod| !pod.is_empty());
    pod.unwrap_or_else(|| {
        hostname::get().map_or_else(|_| "gateway".into(), |it| it.to_string_lossy().into_owned())
    })
}
