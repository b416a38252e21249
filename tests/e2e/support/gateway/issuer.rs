//! An issuer of tokens, with the two pages of OpenID Connect that a verifier reads: its configuration and its keys.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use http::{Request, Response};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use super::authority::Authority;
use super::jwt::{Key, now};

/// A running issuer.
pub struct Issuer {
    /// Its name, and where its pages are.
    pub url: String,
    pub authority: Authority,
    pages: Arc<Mutex<Pages>>,
    server: JoinHandle<()>,
}

#[derive(Default)]
struct Pages {
    keys: Vec<Value>,
    asked: Vec<String>,
    is_away: bool,
}

impl Issuer {
    pub async fn start(keys: &[&Key]) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("https://{}", listener.local_addr().unwrap());
        let authority = Authority::new();
        let (certificate, key) = authority.server();
        let chain = vec![CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()];
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
        let config =
            rustls::ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key).unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let pages: Arc<Mutex<Pages>> = Arc::default();
        let (shown, its_url) = (pages.clone(), url.clone());
        let server = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, shown, url) = (acceptor.clone(), shown.clone(), its_url.clone());
                tokio::spawn(async move {
                    let Ok(stream) = acceptor.accept(stream).await else { return };
                    let service = service_fn(move |request| {
                        let answer = page(&shown, &url, &request);
                        async { Ok::<_, Infallible>(answer) }
                    });
                    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        let issuer = Self { url, authority, pages, server };
        issuer.publish(keys);
        issuer
    }

    /// From now on these are its keys.
    pub fn publish(&self, keys: &[&Key]) {
        self.pages.lock().unwrap().keys = keys.iter().map(|key| key.jwk()).collect();
    }

    /// The same, as a page has them that is none of ours.
    pub fn publish_raw(&self, keys: Vec<Value>) {
        self.pages.lock().unwrap().keys = keys;
    }

    /// Whether its pages are to be had.
    pub fn is_away(&self, is_away: bool) {
        self.pages.lock().unwrap().is_away = is_away;
    }

    /// How often its keys were read.
    pub fn reads(&self) -> usize {
        self.pages.lock().unwrap().asked.iter().filter(|path| *path == "/keys").count()
    }

    /// The claims of a token that is as it should be.
    pub fn claims(&self, tenant: &str) -> Value {
        json!({"iss": self.url, "aud": "questions", "sub": "somebody", "tenant": tenant, "iat": now(), "exp": now() + 600})
    }

    /// How a gateway is told of it.
    pub fn option(&self) -> String {
        let authority = self.authority.file();
        format!("{},audience=questions,claim=tenant,ca={}", self.url, authority.display())
    }
}

impl Drop for Issuer {
    fn drop(&mut self) {
        self.server.abort();
    }
}

fn page(pages: &Mutex<Pages>, url: &str, request: &Request<Incoming>) -> Response<Full<Bytes>> {
    let mut pages = pages.lock().unwrap();
    pages.asked.push(request.uri().path().to_owned());
    let (status, body) = match request.uri().path() {
        _ if pages.is_away => (503, json!({})),
        "/.well-known/openid-configuration" => (
            200,
            json!({"issuer": url, "jwks_uri": format!("{url}/keys"),
                "id_token_signing_alg_values_supported": ["RS256", "ES256"]}),
        ),
        "/keys" => (200, json!({"keys": pages.keys})),
        _ => (404, json!({})),
    };
    let body = Full::new(Bytes::from(body.to_string()));
    Response::builder().status(status).header("content-type", "application/json").body(body).unwrap()
}
