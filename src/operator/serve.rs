//! What the process says of itself over HTTP: `/healthz` and `/readyz` on one address, `/metrics` on another.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use parking_lot::Mutex;
use tokio::net::TcpListener;
use tokio_util::task::AbortOnDropHandle;

use super::metrics::Metrics;
use crate::reconcile::context::Context;

/// How long a client may take to send its request.
const PATIENCE: Duration = Duration::from_secs(10);

const TEXT: &str = "text/plain; charset=utf-8";
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

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
    fn is_ready(&self) -> Result<String, String> {
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

type Answer = Response<Full<Bytes>>;

fn answer(status: StatusCode, kind: &'static str, text: String) -> Answer {
    let mut answer = Response::new(Full::from(text));
    *answer.status_mut() = status;
    answer.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(kind));
    answer
}

/// Serves `/healthz` and `/readyz` until the answer is dropped.
pub async fn health(address: SocketAddr, health: Arc<Health>) -> anyhow::Result<AbortOnDropHandle<()>> {
    let probes = move |path: &str| match path {
        "/healthz" => Some(answer(StatusCode::OK, TEXT, "ok\n".into())),
        "/readyz" => Some(match health.is_ready() {
            Ok(how) => answer(StatusCode::OK, TEXT, format!("{how}\n")),
            Err(why) => answer(StatusCode::SERVICE_UNAVAILABLE, TEXT, format!("{why}\n")),
        }),
        _ => None,
    };
    serve("health probes", address, probes).await
}

/// Serves `/metrics` until the answer is dropped.
pub async fn metrics(address: SocketAddr, metrics: Arc<Metrics>) -> anyhow::Result<AbortOnDropHandle<()>> {
    let scrape = move |path: &str| {
        (path == "/metrics").then(|| match metrics.text() {
            Ok(text) => answer(StatusCode::OK, OPEN_METRICS, text),
            Err(error) => answer(StatusCode::INTERNAL_SERVER_ERROR, TEXT, format!("{error}\n")),
        })
    };
    serve("metrics", address, scrape).await
}

async fn serve(
    what: &'static str,
    address: SocketAddr,
    pages: impl Fn(&str) -> Option<Answer> + Send + Sync + 'static,
) -> anyhow::Result<AbortOnDropHandle<()>> {
    let listener = TcpListener::bind(address).await.with_context(|| format!("{what}: {address}"))?;
    tracing::info!(address = %listener.local_addr()?, "serving {what}");
    let pages = Arc::new(pages);
    let accept = async move {
        loop {
            match listener.accept().await {
                Ok((stream, _)) => {
                    let pages = pages.clone();
                    let page = service_fn(move |request| {
                        let page = page(&request, &*pages);
                        async { Ok::<_, Infallible>(page) }
                    });
                    let mut http = http1::Builder::new();
                    http.timer(TokioTimer::new()).header_read_timeout(PATIENCE);
                    tokio::spawn(http.serve_connection(TokioIo::new(stream), page));
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection for {what} could not be accepted");
                    // Such as when there are too many open files: a loop would make it worse.
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            }
        }
    };
    Ok(AbortOnDropHandle::new(tokio::spawn(accept)))
}

fn page(request: &Request<Incoming>, pages: &impl Fn(&str) -> Option<Answer>) -> Answer {
    if request.method() != Method::GET && request.method() != Method::HEAD {
        return answer(StatusCode::METHOD_NOT_ALLOWED, TEXT, "only GET\n".into());
    }
    pages(request.uri().path())
        .unwrap_or_else(|| answer(StatusCode::NOT_FOUND, TEXT, "there is no such page\n".into()))
}
