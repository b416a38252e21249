//! Where callers connect: HTTP/1.1 and HTTP/2, over TLS, or without it where the settings say so. Whoever connects can hold
//! little, and not for long.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use prometheus_client::metrics::gauge::Gauge;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::beginning::Beginning;
use super::tls::Certificate;

/// How many connections there are at most. Those that come later wait in the kernel.
const CONNECTIONS: usize = 8192;
/// How long a caller may take for TLS.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How long a caller may take to begin.
const BEGIN: Duration = Duration::from_secs(10);
/// How long a caller may take for the head of a request, and a connection may stay without one.
const HEAD: Duration = Duration::from_secs(60);
/// After how long a caller on HTTP/2 is asked whether it is still there, and how long it may take to answer.
const STILL_THERE: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(10));
/// How many requests a connection of HTTP/2 may have under way.
const STREAMS: u32 = 256;
/// The most that the head of a request has: a token is the largest part of it.
const HEAD_BYTES: usize = 64 * 1024;

/// What answers a request.
pub trait Answers: Send + Sync + 'static {
    /// The answer, whatever comes.
    fn answer(&self, request: Request<Incoming>) -> impl Future<Output = Response<Full<Bytes>>> + Send;
}

/// An address at which callers are answered.
pub struct Listener {
    listener: TcpListener,
    certificate: Option<Certificate>,
    connections: Gauge,
}

impl Listener {
    /// Takes the address. Without a certificate there is no TLS.
    pub async fn bind(
        address: SocketAddr,
        certificate: Option<Certificate>,
        connections: Gauge,
    ) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(address).await.with_context(|| format!("questions: {address}"))?;
        let how = if certificate.is_some() { "TLS" } else { "no TLS" };
        let bound = Self { listener, certificate, connections };
        tracing::info!(address = %bound.address()?, "serving questions, with {how}");
        Ok(bound)
    }

    /// Where it is.
    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Answers until `stop`; then no connection is taken any more, and what is under way may end until `over`.
    pub async fn serve(
        self,
        answers: Arc<impl Answers>,
        stop: CancellationToken,
        over: impl Future<Output = ()>,
    ) {
        let (places, graceful) = (Arc::new(Semaphore::new(CONNECTIONS)), GracefulShutdown::new());
        loop {
            let place = tokio::select! {
                () = stop.cancelled() => break,
                place = places.clone().acquire_owned() => place,
            };
            let Ok(place) = place else { break };
            let accepted = tokio::select! {
                () = stop.cancelled() => break,
                accepted = self.listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, _)) => self.begin(stream, place, &graceful, answers.clone()),
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    // Such as when there are too many open files: a loop would make it worse.
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            }
        }
        drop(self.listener);
        tokio::select! {
            () = graceful.shutdown() => tracing::info!("all that was under way is answered"),
            () = over => tracing::warn!("the time is over; what is under way is cut off"),
        }
    }

    fn begin(
        &self,
        stream: TcpStream,
        place: OwnedSemaphorePermit,
        graceful: &GracefulShutdown,
        answers: Arc<impl Answers>,
    ) {
        let (watcher, connections) = (graceful.watcher(), self.connections.clone());
        let acceptor = self.certificate.as_ref().map(|certificate| TlsAcceptor::from(certificate.now()));
        // Small answers are not to wait for others.
        let _ = stream.set_nodelay(true);
        tokio::spawn(async move {
            connections.inc();
            match acceptor {
                None => converse(stream, watcher, answers).await,
                Some(acceptor) => match tokio::time::timeout(HANDSHAKE, acceptor.accept(stream)).await {
                    Ok(Ok(stream)) => converse(stream, watcher, answers).await,
                    Ok(Err(error)) => tracing::debug!(%error, "a caller does not agree about TLS"),
                    Err(_) => tracing::debug!("a caller took too long for TLS"),
                },
            }
            connections.dec();
            drop(place);
        });
    }
}

/// All requests of a connection.
async fn converse(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    watcher: Watcher,
    answers: Arc<impl Answers>,
) {
    let service = service_fn(move |request| {
        let answers = answers.clone();
        async move { Ok::<_, Infallible>(answers.answer(request).await) }
    });
    let mut http = auto::Builder::new(TokioExecutor::new());
    http.http1().timer(TokioTimer::new()).header_read_timeout(HEAD).max_buf_size(HEAD_BYTES);
    http.http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS)
        .max_header_list_size(HEAD_BYTES as u32)
        .keep_alive_interval(STILL_THERE.0)
        .keep_alive_timeout(STILL_THERE.1);
    let stream = TokioIo::new(Beginning::within(BEGIN, stream));
    let connection = http.serve_connection(stream, service);
    if let Err(error) = watcher.watch(connection.into_owned()).await {
        tracing::debug!(%error, "a caller went away, or said what is no request");
    }
}

#[cfg(test)]
mod tests {
    use rustls::pki_types::pem::PemObject;
    use rustls::pki_types::{CertificateDer, ServerName};
    use rustls::{ClientConfig, RootCertStore};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio_rustls::TlsConnector;
    use tokio_util::task::AbortOnDropHandle;

    use super::*;
    use crate::gateway::metrics::CertificateMetrics;
    use crate::gateway::mocked::program;
    use crate::gateway::tls::tests::{PAIRS, put};

    /// Says over which version of HTTP it was asked.
    struct Version;

    impl Answers for Version {
        async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
            Response::new(Full::new(format!("{:?}", request.version()).into()))
        }
    }

    async fn served(certificate: Option<Certificate>) -> (SocketAddr, AbortOnDropHandle<()>) {
        let listener =
            Listener::bind(([127, 0, 0, 1], 0).into(), certificate, Gauge::default()).await.unwrap();
        let address = listener.address().unwrap();
        let served = listener.serve(Arc::new(Version), CancellationToken::new(), std::future::pending());
        (address, AbortOnDropHandle::new(tokio::spawn(served)))
    }

    /// What is chosen of the protocols that a caller knows.
    async fn chosen(address: SocketAddr, root: &str, protocols: &[&str]) -> std::io::Result<Option<Vec<u8>>> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(root.as_bytes()).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config =
            ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let mut config = config.with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = protocols.iter().map(|it| it.as_bytes().to_vec()).collect();
        let stream = TcpStream::connect(address).await?;
        let name = ServerName::try_from("localhost").unwrap();
        let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await?;
        Ok(stream.get_ref().1.alpn_protocol().map(<[u8]>::to_vec))
    }

    #[tokio::test]
    async fn a_caller_over_tls_chooses_the_protocol() {
        let folder = tempfile::tempdir().unwrap();
        let [[certificate, key], _] = PAIRS;
        put(folder.path(), certificate, key, 1);
        let read = Certificate::read(folder.path(), CertificateMetrics::default()).unwrap();
        let (address, _served) = served(Some(read)).await;
        for (knows, is_chosen) in
            [(&["h2", "http/1.1"][..], Some("h2")), (&["http/1.1"], Some("http/1.1")), (&[], None)]
        {
            let protocol = chosen(address, certificate, knows).await.unwrap();
            assert_eq!(protocol.as_deref(), is_chosen.map(str::as_bytes), "{knows:?}");
        }
        assert!(chosen(address, PAIRS[1][0], &["h2"]).await.is_err(), "another authority");
    }

    #[tokio::test]
    async fn without_tls_both_protocols_are_understood_at_once() {
        let (address, _served) = served(None).await;
        let client = |builder: reqwest::ClientBuilder| builder.build().unwrap();
        let one = client(program().http1_only());
        let answer = one.post(format!("http://{address}/")).send().await.unwrap();
        assert_eq!(answer.text().await.unwrap(), "HTTP/1.1");
        let mut stream = TcpStream::connect(address).await.unwrap();
        // The preface of HTTP/2, and empty settings.
        stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();
        let mut frame = [0; 9];
        stream.read_exact(&mut frame).await.unwrap();
        assert_eq!(frame[3], 4, "settings come back: {frame:?}");
    }

    #[tokio::test]
    async fn what_is_no_request_brings_nothing_down() {
        let (address, _served) = served(None).await;
        for bytes in [
            &b"\x16\x03\x01\0\x05hello"[..],
            b"GET / HTTP/9.9\r\n\r\n",
            b"\0\0\0\0",
            b"PRI * HTTP/2.0\r\n\r\nXX",
        ] {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(bytes).await.unwrap();
            let mut rest = Vec::new();
            let _ = tokio::time::timeout(Duration::from_secs(2), stream.read_to_end(&mut rest)).await;
        }
        let http = program().build().unwrap();
        assert!(http.post(format!("http://{address}/")).send().await.is_ok());
    }
}
