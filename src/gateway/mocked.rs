//! For unit tests: an API server that answers as a test says at each moment, or not at all.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use futures::{StreamExt, stream};
use http::{Request, Response, Uri};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Bytes, Frame};
use kube::Client;
use kube::client::Body;
use serde_json::{Value, json};
use tower::{BoxError, service_fn};

/// See the [module](self).
#[derive(Clone)]
pub struct ApiServer {
    pub client: Client,
    /// How many requests have come.
    pub asked: Arc<AtomicUsize>,
    is_away: Arc<AtomicBool>,
    hangs: Arc<AtomicBool>,
}

impl ApiServer {
    /// Answers a request of this path and body.
    pub fn new(answer: impl Fn(&str, Value) -> Value + Send + Sync + 'static) -> Self {
        let (asked, is_away) = (Arc::<AtomicUsize>::default(), Arc::<AtomicBool>::default());
        let hangs = Arc::<AtomicBool>::default();
        let (count, away, answer) = (asked.clone(), is_away.clone(), Arc::new(answer));
        let hang = hangs.clone();
        let service = service_fn(move |request: Request<Body>| {
            let (count, away, hang, answer) = (count.clone(), away.clone(), hang.clone(), answer.clone());
            async move {
                count.fetch_add(1, Ordering::SeqCst);
                if away.load(Ordering::SeqCst) {
                    return Err(BoxError::from("connection refused"));
                }
                if hang.load(Ordering::SeqCst) {
                    std::future::pending::<()>().await;
                }
                let (head, body) = request.into_parts();
                let body = body.collect().await?.to_bytes();
                let body = serde_json::from_slice(&body).unwrap_or_default();
                let said = answer(head.uri.path(), body).to_string();
                Ok(Response::builder().status(201).body(Body::from(said.into_bytes()))?)
            }
        });
        Self { client: Client::new(service, "here"), asked, is_away, hangs }
    }

    /// From now on it does not answer, or does so again.
    pub fn is_away(&self, away: bool) {
        self.is_away.store(away, Ordering::SeqCst);
    }

    /// From now on it takes requests and says nothing.
    pub fn hangs(&self) {
        self.hangs.store(true, Ordering::SeqCst);
    }

    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

/// What is said to somebody who lists or watches.
pub enum Said {
    /// An answer with its status.
    All(u16, Value),
    /// Events of a watch by type and object, which then is silent for good.
    Events(Vec<(&'static str, Value)>),
}

impl Said {
    /// All that there is of a kind.
    pub fn list(items: &[Value]) -> Self {
        Self::All(200, json!({"metadata": {"resourceVersion": "1"}, "items": items}))
    }

    /// Whoever asks has no right to.
    pub fn forbidden(message: &str) -> Self {
        let status = json!({"kind": "Status", "status": "Failure", "reason": "Forbidden", "message": message, "code": 403});
        Self::All(403, status)
    }
}

/// A line of a watch. The type comes first, as API servers write it.
fn event((kind, object): &(&str, Value)) -> String {
    format!("{{\"type\":\"{kind}\",\"object\":{object}}}\n")
}

/// An API server that is listed and watched.
pub fn watched(answer: impl Fn(&Uri) -> Said + Send + Sync + 'static) -> Client {
    let service = service_fn(move |request: Request<Body>| {
        let (status, lines, goes_on) = match answer(request.uri()) {
            Said::All(status, value) => (status, vec![value.to_string()], false),
            Said::Events(events) => (200, events.iter().map(event).collect(), true),
        };
        let frame = |line| Ok::<_, Infallible>(Frame::data(Bytes::from(line)));
        let lines = stream::iter(lines.into_iter().map(frame).collect::<Vec<_>>());
        let body = if goes_on { lines.chain(stream::pending()).boxed() } else { lines.boxed() };
        let answer = Response::builder().status(status).body(StreamBody::new(body));
        std::future::ready(answer.map_err(BoxError::from))
    });
    Client::new(service, "here")
}

/// What a program asks the gateway with. The client wants a provider of TLS even where it uses none.
pub fn program() -> reqwest::ClientBuilder {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    reqwest::Client::builder().no_proxy()
}
