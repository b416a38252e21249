//! Questions over connections that stay open, and what became of them.

use std::net::SocketAddr;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use anyhow::Context;
use data_encoding::BASE64URL_NOPAD;
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Bytes};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use serde_json::json;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::around::tenant;
use super::program::Gateway;

/// The token of the one who asks, shaped as those that the cluster makes for ServiceAccounts.
static TOKEN: LazyLock<String> = LazyLock::new(|| {
    let claims = json!({"aud": ["tenantry-gateway"], "exp": 4_102_444_800_i64, "sub": "system:serviceaccount:bench:loader"});
    let parts =
        [json!({"alg": "RS256"}), claims].map(|part| BASE64URL_NOPAD.encode(part.to_string().as_bytes()));
    format!("Bearer {}.{}", parts.join("."), BASE64URL_NOPAD.encode(b"not a signature"))
});

/// Whom to ask: Bedrock itself, or a gateway before it.
#[derive(Clone)]
pub enum Whom {
    Bedrock(SocketAddr),
    Gateway(SocketAddr, Option<Arc<ClientConfig>>),
}

impl Whom {
    pub fn bedrock(endpoint: &str) -> anyhow::Result<Self> {
        Ok(Self::Bedrock(endpoint.trim_start_matches("http://").parse()?))
    }

    pub fn gateway(gateway: &Gateway) -> anyhow::Result<Self> {
        let trust = gateway.authority.as_ref().map(|authority| {
            let mut roots = RootCertStore::empty();
            roots.add(rustls::pki_types::CertificateDer::from_pem_slice(authority.pem().as_bytes())?)?;
            let config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
            anyhow::Ok(Arc::new(config))
        });
        Ok(Self::Gateway(gateway.address, trust.transpose()?))
    }

    fn address(&self) -> SocketAddr {
        match self {
            Self::Bedrock(address) | Self::Gateway(address, _) => *address,
        }
    }

    /// A question of a tenant's, as it is asked here: Bedrock gets the filter that a gateway would send.
    fn question(&self, n: usize) -> anyhow::Result<Request<Full<Bytes>>> {
        let tenant = tenant(n);
        let (path, filter) = match self {
            Self::Bedrock(_) => {
                let own = format!(r#""filter":{{"equals":{{"key":"tenantId","value":"{tenant}"}}}},"#);
                ("/knowledgebases/KB12345678/retrieve".to_owned(), own)
            }
            Self::Gateway(..) => (format!("/t/{tenant}/knowledgebases/TENANTRYKB/retrieve"), String::new()),
        };
        let body = format!(
            r#"{{"retrievalQuery":{{"text":"How many days of annual leave does everybody have?"}},"retrievalConfiguration":{{"vectorSearchConfiguration":{{{filter}"numberOfResults":5}}}}}}"#
        );
        let request = Request::post(path).header("host", "bench").header("content-type", "application/json");
        let request = request.header("authorization", TOKEN.as_str());
        Ok(request.body(Full::new(body.into()))?)
    }
}

/// A connection.
pub struct Connection {
    whom: Whom,
    sender: SendRequest<Full<Bytes>>,
}

impl Connection {
    pub async fn open(whom: &Whom) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(whom.address()).await?;
        stream.set_nodelay(true)?;
        let sender = match whom {
            Whom::Gateway(_, Some(trust)) => {
                let name = ServerName::try_from("localhost")?;
                spoken(TlsConnector::from(trust.clone()).connect(name, stream).await?).await?
            }
            _ => spoken(stream).await?,
        };
        Ok(Self { whom: whom.clone(), sender })
    }

    /// Asks for a tenant. The status, the answer, and how long it took until its last byte was there.
    pub async fn ask(&mut self, n: usize) -> anyhow::Result<(StatusCode, Bytes, Duration)> {
        let request = self.whom.question(n)?;
        let begun = Instant::now();
        self.sender.ready().await?;
        let answer = self.sender.send_request(request).await?;
        let status = answer.status();
        let body = answer.into_body().collect().await?.to_bytes();
        Ok((status, body, begun.elapsed()))
    }

    /// The same, where nothing but five passages will do.
    pub async fn answered(&mut self, n: usize) -> anyhow::Result<Duration> {
        let (status, body, took) = self.ask(n).await?;
        let is_whole = body.len() > 5 * 1000 && body.windows(5).filter(|it| it == b"s3://").count() == 5;
        anyhow::ensure!(
            status == StatusCode::OK && is_whole,
            "tenant {n} is answered {status}, not with five passages: {}",
            String::from_utf8_lossy(&body)
        );
        Ok(took)
    }
}

async fn spoken<B: Body + Send + 'static>(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
) -> anyhow::Result<SendRequest<B>>
where
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let (sender, connection) = handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    Ok(sender)
}

/// One question after the other over one connection.
pub async fn alone(whom: &Whom, count: usize) -> anyhow::Result<Vec<Duration>> {
    let mut connection = Connection::open(whom).await?;
    let mut times = Vec::with_capacity(count);
    for n in 0..count {
        times.push(connection.answered(n % 100).await?);
    }
    Ok(times)
}

/// So many a second for a while, over some connections. Each question has its moment, and what it takes counts from then on.
pub async fn steady(
    whom: &Whom,
    per_second: u32,
    lasting: Duration,
    connections: usize,
) -> anyhow::Result<Vec<Duration>> {
    let every = Duration::from_secs(1) / per_second * u32::try_from(connections)?;
    let begun = Instant::now() + Duration::from_millis(50);
    let each = (0..connections).map(|n| async move {
        let mut connection = Connection::open(whom).await?;
        let (mut times, mut due) =
            (Vec::new(), begun + every * u32::try_from(n)? / u32::try_from(connections)?);
        while due < begun + lasting {
            tokio::time::sleep_until(due.into()).await;
            // A timer is late by up to a millisecond: what it was late by is nobody's.
            let late = due.elapsed();
            connection.answered(n % 100).await?;
            times.push(due.elapsed() - late.min(Duration::from_millis(2)));
            due += every;
        }
        anyhow::Ok(times)
    });
    Ok(futures::future::try_join_all(each).await?.concat())
}

/// As many as go, over so many connections: how many a second.
pub async fn most(whom: &Whom, lasting: Duration, connections: usize) -> anyhow::Result<f64> {
    let begun = Instant::now();
    let each = (0..connections).map(|n| {
        let whom = whom.clone();
        tokio::spawn(async move {
            let mut connection = Connection::open(&whom).await?;
            let mut count = 0_usize;
            while begun.elapsed() < lasting {
                connection.answered((n + count * 7) % 100).await?;
                count += 1;
            }
            anyhow::Ok(count)
        })
    });
    let mut all = 0;
    for asked in futures::future::join_all(each).await {
        all += asked.context("a connection broke off")??;
    }
    Ok(all as f64 / begun.elapsed().as_secs_f64())
}

/// What became of one tenant's questions.
#[derive(Default)]
pub struct Outcome {
    pub answered: usize,
    pub refused: usize,
    pub times: Vec<Duration>,
}

/// A tenant that asks so many times a second, whatever becomes of it, from a moment of its own on.
pub async fn insists(
    whom: Whom,
    tenant: usize,
    per_second: f64,
    after: Duration,
    lasting: Duration,
) -> anyhow::Result<Outcome> {
    let mut asking = tokio::task::JoinSet::new();
    let begun = Instant::now();
    let mut due = after;
    while due < lasting {
        tokio::time::sleep_until((begun + due).into()).await;
        let whom = whom.clone();
        asking.spawn(async move { Connection::open(&whom).await?.ask(tenant).await });
        due += Duration::from_secs_f64(1.0 / per_second);
    }
    let mut outcome = Outcome::default();
    while let Some(asked) = asking.join_next().await {
        let (status, _, took) = asked??;
        match status {
            StatusCode::OK => {
                outcome.answered += 1;
                outcome.times.push(took);
            }
            StatusCode::TOO_MANY_REQUESTS => outcome.refused += 1,
            other => anyhow::bail!("tenant {tenant} is answered {other}"),
        }
    }
    Ok(outcome)
}
