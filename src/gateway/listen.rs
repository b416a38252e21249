//! Where callers connect: HTTP/1.1 and HTTP/2, over TLS, or without it where the settings say so. Whoever connects can hold
//! little, and not for long.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::beginning::Beginning;
use super::metrics::ConnectionMetrics;
use super::places::{Place, Places};
use super::tls::Certificate;

/// How many connections there are at most. Those that come later are closed at once: another replica may have room.
const CONNECTIONS: usize = 8192;
/// How many of them one address may have. A pod has an address of its own; behind a proxy, or a node that lends its own, many
/// programs share one.
const OF_AN_ADDRESS: usize = 1024;
/// How often a connection is looked at. One that had no request under way between two looks is closed.
const LOOK: Duration = Duration::from_secs(120);
/// How often it is said that connections are refused.
const SAY: Duration = Duration::from_secs(60);
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
    /// The answer to whoever is at an address, whatever comes.
    fn answer(
        &self,
        request: Request<Incoming>,
        peer: IpAddr,
    ) -> impl Future<Output = Response<Full<Bytes>>> + Send;
}

/// An address at which callers are answered.
pub struct Listener {
    listener: TcpListener,
    certificate: Option<Certificate>,
    places: Arc<Places<IpAddr>>,
    metrics: ConnectionMetrics,
}

impl Listener {
    /// Takes the address. Without a certificate there is no TLS.
    pub async fn bind(
        address: SocketAddr,
        certificate: Option<Certificate>,
        metrics: ConnectionMetrics,
    ) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(address).await.with_context(|| format!("questions: {address}"))?;
        let how = if certificate.is_some() { "TLS" } else { "no TLS" };
        let places = Places::new(CONNECTIONS, OF_AN_ADDRESS);
        let bound = Self { listener, certificate, places, metrics };
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
        let (tasks, mut said) = (TaskTracker::new(), None);
        loop {
            let accepted = tokio::select! {
                () = stop.cancelled() => break,
                accepted = self.listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, peer)) => match self.places.take(&peer.ip().to_canonical()) {
                    Some(place) => self.begin(stream, place, &tasks, answers.clone(), stop.clone()),
                    None => self.refuse(peer, &mut said),
                },
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    // Such as when there are too many open files: a loop would make it worse.
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            }
        }
        drop(self.listener);
        tasks.close();
        tokio::select! {
            () = tasks.wait() => tracing::info!("all that was under way is answered"),
            () = over => tracing::warn!("the time is over; what is under way is cut off"),
        }
    }

    /// Counts a connection that is closed at once. Whoever opens very many is not to fill the log, too.
    fn refuse(&self, peer: SocketAddr, said: &mut Option<Instant>) {
        self.metrics.refused.inc();
        if said.is_none_or(|said| said.elapsed() >= SAY) {
            *said = Some(Instant::now());
            tracing::warn!(%peer, "connections are refused: all together, or those of this address, are too many");
        }
    }

    fn begin(
        &self,
        stream: TcpStream,
        place: Place<IpAddr>,
        tasks: &TaskTracker,
        answers: Arc<impl Answers>,
        stop: CancellationToken,
    ) {
        let open = self.metrics.open.clone();
        let acceptor = self.certificate.as_ref().map(|certificate| TlsAcceptor::from(certificate.now()));
        // Small answers are not to wait for others.
        let _ = stream.set_nodelay(true);
        tasks.spawn(async move {
            open.inc();
            let peer = *place.who();
            match acceptor {
                None => converse(stream, peer, answers, stop).await,
                Some(acceptor) => match tokio::time::timeout(HANDSHAKE, acceptor.accept(stream)).await {
                    Ok(Ok(stream)) => converse(stream, peer, answers, stop).await,
                    Ok(Err(error)) => tracing::debug!(%error, "a caller does not agree about TLS"),
                    Err(_) => tracing::debug!("a caller took too long for TLS"),
                },
            }
            open.dec();
            drop(place);
        });
    }
}

/// The requests of a connection.
#[derive(Default)]
struct Requests {
    begun: AtomicUsize,
    ended: AtomicUsize,
}

/// A request that is under way, as long as this is kept.
struct UnderWay<'a>(&'a Requests);

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.ended.fetch_add(1, Ordering::Relaxed);
    }
}

impl Requests {
    fn begin(&self) -> UnderWay<'_> {
        self.begun.fetch_add(1, Ordering::Relaxed);
        UnderWay(self)
    }

    /// Waits until there was none for a while: from one look to the next.
    async fn are_over(&self) {
        let mut seen = self.ended.load(Ordering::Relaxed);
        loop {
            tokio::time::sleep(LOOK).await;
            let ended = self.ended.load(Ordering::Relaxed);
            if ended == seen && ended == self.begun.load(Ordering::Relaxed) {
                return;
            }
            seen = ended;
        }
    }
}

/// All requests of a connection.
async fn converse(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    peer: IpAddr,
    answers: Arc<impl Answers>,
    stop: CancellationToken,
) {
    let requests = Arc::<Requests>::default();
    let of_this = requests.clone();
    let service = service_fn(move |request| {
        let (answers, requests) = (answers.clone(), of_this.clone());
        async move {
            let _under_way = requests.begin();
            Ok::<_, Infallible>(answers.answer(request, peer).await)
        }
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
    let mut connection = pin!(http.serve_connection(stream, service));
    tokio::select! {
        biased;
        ended = connection.as_mut() => return told(ended),
        () = stop.cancelled() => {}
        () = requests.are_over() => {}
    }
    // A caller on HTTP/2 hears of it before the end. One that then neither ends nor asks is cut off.
    connection.as_mut().graceful_shutdown();
    tokio::select! {
        biased;
        ended = connection => told(ended),
        () = requests.are_over() => tracing::debug!("a caller does not end its connection; it is cut off"),
    }
}

/// Says why a connection has ended.
fn told(ended: Result<(), impl std::fmt::Display>) {
    if let Err(error) = ended {
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
        async fn answer(&self, request: Request<Incoming>, _: IpAddr) -> Response<Full<Bytes>> {
            Response::new(Full::new(format!("{:?}", request.version()).into()))
        }
    }

    async fn served(certificate: Option<Certificate>) -> (SocketAddr, AbortOnDropHandle<()>) {
        let metrics = ConnectionMetrics::default();
        let listener = Listener::bind(([127, 0, 0, 1], 0).into(), certificate, metrics).await.unwrap();
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

    #[tokio::test]
    async fn one_address_has_not_all_connections() {
        let metrics = ConnectionMetrics::default();
        let mut listener = Listener::bind(([127, 0, 0, 1], 0).into(), None, metrics.clone()).await.unwrap();
        listener.places = Places::new(10, 2);
        let address = listener.address().unwrap();
        let served = listener.serve(Arc::new(Version), CancellationToken::new(), std::future::pending());
        let _served = AbortOnDropHandle::new(tokio::spawn(served));
        let from = async |ip: [u8; 4]| {
            let socket = tokio::net::TcpSocket::new_v4().unwrap();
            socket.bind((ip, 0).into()).unwrap();
            socket.connect(address).await.unwrap()
        };
        let is_answered = async |stream: &mut TcpStream| {
            let _ = stream.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
            let mut begins = [0; 8];
            stream.read_exact(&mut begins).await.is_ok() && begins == *b"HTTP/1.1"
        };
        let mut first = [from([127, 0, 0, 1]).await, from([127, 0, 0, 1]).await];
        for stream in &mut first {
            assert!(is_answered(stream).await);
        }
        assert!(!is_answered(&mut from([127, 0, 0, 1]).await).await, "it has all that it may have");
        assert_eq!(metrics.refused.get(), 1);
        assert!(is_answered(&mut from([127, 0, 0, 2]).await).await, "which is no harm to others");
        drop(first);
        while metrics.open.get() > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert!(is_answered(&mut from([127, 0, 0, 1]).await).await, "who goes makes room");
    }

    const ANYBODY: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
    const MINUTE: Duration = Duration::from_secs(60);

    /// A connection over HTTP/2, by a client that answers pings; and when it ends, for the client and here.
    async fn by_http_2() -> (hyper::client::conn::http2::SendRequest<Full<Bytes>>, [AbortOnDropHandle<()>; 2])
    {
        let (client, stream) = tokio::io::duplex(1 << 16);
        let here = tokio::spawn(converse(stream, ANYBODY, Arc::new(Version), CancellationToken::new()));
        let (asks, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(client)).await.unwrap();
        let there = tokio::spawn(async move { drop(connection.await) });
        (asks, [AbortOnDropHandle::new(there), AbortOnDropHandle::new(here)])
    }

    fn question() -> Request<Full<Bytes>> {
        Request::post("http://gateway/").body(Full::default()).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn who_only_answers_pings_does_not_keep_its_connection() {
        let (mut asks, ends) = by_http_2().await;
        assert_eq!(asks.send_request(question()).await.unwrap().status(), 200);
        let begun = Instant::now();
        for end in ends {
            tokio::time::timeout(10 * MINUTE, end).await.expect("it is closed").unwrap();
        }
        let took = begun.elapsed();
        assert!(LOOK <= took && took <= 2 * LOOK + MINUTE, "after {took:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn who_asks_now_and_then_keeps_its_connection() {
        let (mut asks, ends) = by_http_2().await;
        for _ in 0..20 {
            tokio::time::sleep(MINUTE).await;
            assert_eq!(asks.send_request(question()).await.unwrap().status(), 200);
        }
        assert!(ends.iter().all(|end| !end.is_finished()));
    }

    #[tokio::test(start_paused = true)]
    async fn who_does_not_read_its_answer_is_cut_off() {
        let (mut client, stream) = tokio::io::duplex(64);
        let here = tokio::spawn(converse(stream, ANYBODY, Arc::new(Version), CancellationToken::new()));
        client.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
        tokio::time::timeout(10 * MINUTE, here).await.expect("it is closed").unwrap();
    }
}
