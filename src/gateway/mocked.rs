//! For unit tests: an API server that answers as a test says at each moment, or not at all.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use http::{Request, Response};
use http_body_util::BodyExt;
use kube::Client;
use kube::client::Body;
use serde_json::Value;
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

/// What a program asks the gateway with. The client wants a provider of TLS even where it uses none.
pub fn program() -> reqwest::ClientBuilder {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    reqwest::Client::builder().no_proxy()
}
