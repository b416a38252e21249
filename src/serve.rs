//! What the process says of itself over HTTP: `/healthz` and `/readyz` on one address, `/metrics` on another. Whoever
//! reaches an address can hold little of it, and not for long: so many connections to each are served at a time, each bears
//! one answer, and each is cut off when its time is over, or when somebody waits for its place.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use parking_lot::Mutex;
use prometheus_client::registry::{Metric as Counted, Registry};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::task::AbortOnDropHandle;

use crate::api::metric::Metric;

/// How many connections to an address are served at a time.
const PLACES: usize = 32;

/// What a client may keep.
#[derive(Clone, Copy)]
struct Patience {
    /// How long it may take to send its request.
    ask: Duration,
    /// How long it may keep its place, with request and answer. Prometheus gives up after 10 seconds by default.
    all: Duration,
}

const PATIENCE: Patience = Patience { ask: Duration::from_secs(5), all: Duration::from_secs(10) };

/// How long a client surely has its place, though others wait: an honest one is done by then. All that the kernel keeps
/// waiting (1,024) so have their turn within the 10 seconds that Prometheus waits.
const SURELY: Duration = Duration::from_millis(250);

/// How old a page of metrics may be: who asks oftener gets the same.
const FRESH: Duration = Duration::from_secs(1);

const TEXT: &str = "text/plain; charset=utf-8";
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Registers what is counted under the name and with the meaning that it has in the table of metrics.
pub fn register<const LABELS: usize>(registry: &mut Registry, metric: Metric<LABELS>, counted: impl Counted) {
    // The encoder writes the ending of a counter's name, and the full stop of its meaning.
    let name = metric.name.strip_suffix("_total").unwrap_or(metric.name);
    registry.register(name, metric.meaning.trim_end_matches('.'), counted);
}

type Answer = Response<Full<Bytes>>;

fn answer(status: StatusCode, kind: &'static str, text: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(Full::new(text.into()));
    *answer.status_mut() = status;
    answer.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(kind));
    answer
}

/// A page that is made at most once in a while, and shared by all who ask meanwhile.
struct Shared<Make> {
    make: Make,
    fresh: Duration,
    last: Mutex<Option<(Instant, Bytes)>>,
}

impl<Make: Fn() -> Result<String, std::fmt::Error>> Shared<Make> {
    fn new(fresh: Duration, make: Make) -> Self {
        Self { make, fresh, last: Mutex::default() }
    }

    /// The page. The lock is held while it is made: who asks meanwhile waits for that one.
    fn get(&self) -> Result<Bytes, std::fmt::Error> {
        let mut last = self.last.lock();
        if let Some((made, page)) = &*last
            && made.elapsed() < self.fresh
        {
            return Ok(page.clone());
        }
        let page = Bytes::from((self.make)()?);
        *last = Some((Instant::now(), page.clone()));
        Ok(page)
    }
}

/// Answers probes and scrapes, each where an address is given, until the answer is dropped. `is_ready` says how the process is
/// when it is ready, or why it is not; `text` makes the page of metrics.
pub async fn probes_and_scrapes(
    probes: Option<SocketAddr>,
    scrapes: Option<SocketAddr>,
    is_ready: impl Fn() -> Result<String, String> + Send + Sync + 'static,
    text: impl Fn() -> Result<String, std::fmt::Error> + Send + Sync + 'static,
) -> anyhow::Result<[Option<AbortOnDropHandle<()>>; 2]> {
    let probes = match probes {
        Some(address) => Some(health(address, is_ready).await?),
        None => None,
    };
    let scrapes = match scrapes {
        Some(address) => Some(metrics(address, text).await?),
        None => None,
    };
    Ok([probes, scrapes])
}

/// Serves `/healthz` and `/readyz` until the answer is dropped.
async fn health(
    address: SocketAddr,
    is_ready: impl Fn() -> Result<String, String> + Send + Sync + 'static,
) -> anyhow::Result<AbortOnDropHandle<()>> {
    let probes = move |path: &str| match path {
        "/healthz" => Some(answer(StatusCode::OK, TEXT, "ok\n")),
        "/readyz" => Some(match is_ready() {
            Ok(how) => answer(StatusCode::OK, TEXT, format!("{how}\n")),
            Err(why) => answer(StatusCode::SERVICE_UNAVAILABLE, TEXT, format!("{why}\n")),
        }),
        _ => None,
    };
    listen("health probes", address, probes).await
}

/// Serves `/metrics` until the answer is dropped.
async fn metrics(
    address: SocketAddr,
    text: impl Fn() -> Result<String, std::fmt::Error> + Send + Sync + 'static,
) -> anyhow::Result<AbortOnDropHandle<()>> {
    let shared = Shared::new(FRESH, text);
    listen("metrics", address, move |path: &str| (path == "/metrics").then(|| scraped(&shared))).await
}

fn scraped(page: &Shared<impl Fn() -> Result<String, std::fmt::Error>>) -> Answer {
    match page.get() {
        Ok(text) => answer(StatusCode::OK, OPEN_METRICS, text),
        Err(error) => answer(StatusCode::INTERNAL_SERVER_ERROR, TEXT, format!("{error}\n")),
    }
}

/// What is answered to a path.
trait Pages: Fn(&str) -> Option<Answer> + Send + Sync + 'static {}
impl<T: Fn(&str) -> Option<Answer> + Send + Sync + 'static> Pages for T {}

async fn listen(
    what: &'static str,
    address: SocketAddr,
    pages: impl Pages,
) -> anyhow::Result<AbortOnDropHandle<()>> {
    let listener = TcpListener::bind(address).await.with_context(|| format!("{what}: {address}"))?;
    tracing::info!(address = %listener.local_addr()?, "serving {what}");
    Ok(AbortOnDropHandle::new(tokio::spawn(accept(what, listener, PATIENCE, Arc::new(pages)))))
}

async fn accept(what: &'static str, listener: TcpListener, patience: Patience, pages: Arc<impl Pages>) {
    let mut places: VecDeque<(Instant, AbortOnDropHandle<()>)> = VecDeque::new();
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                places.retain(|(_, served)| !served.is_finished());
                if places.len() >= PLACES
                    && let Some((since, longest)) = places.pop_front()
                {
                    // It is cut off if it is not done by then.
                    drop(tokio::time::timeout_at((since + SURELY).into(), longest).await);
                }
                let served = converse(what, stream, patience, pages.clone());
                places.push_back((Instant::now(), AbortOnDropHandle::new(tokio::spawn(served))));
            }
            Err(error) => {
                tracing::warn!(%error, "a connection for {what} could not be accepted");
                // Such as when there are too many open files: a loop would make it worse.
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
    }
}

/// One request, and its answer.
async fn converse(what: &str, stream: TcpStream, patience: Patience, pages: Arc<impl Pages>) {
    let page = service_fn(|request| {
        let page = page(&request, &*pages);
        async { Ok::<_, Infallible>(page) }
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(patience.ask).keep_alive(false);
    let served = http.serve_connection(TokioIo::new(stream), page);
    match tokio::time::timeout(patience.all, served).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "a client of {what} went away, or said what is no request"),
        Err(_) => tracing::debug!("a client of {what} was cut off: its time was over"),
    }
}

fn page(request: &Request<Incoming>, pages: &impl Fn(&str) -> Option<Answer>) -> Answer {
    if request.method() != Method::GET && request.method() != Method::HEAD {
        return answer(StatusCode::METHOD_NOT_ALLOWED, TEXT, "only GET\n");
    }
    pages(request.uri().path())
        .unwrap_or_else(|| answer(StatusCode::NOT_FOUND, TEXT, "there is no such page\n"))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    const SHORT: Patience = Patience { ask: Duration::from_millis(300), all: Duration::from_millis(600) };

    /// Longer than anybody may have to wait, and shorter than a test may hang.
    const DEADLINE: Duration = Duration::from_secs(20);

    /// More than the kernel takes for a client that does not read.
    const LARGE: usize = 32 << 20;

    /// A page that counts who still has it.
    struct Held(Arc<Vec<u8>>);

    impl AsRef<[u8]> for Held {
        fn as_ref(&self) -> &[u8] {
            &self.0
        }
    }

    async fn served(pages: impl Pages) -> (SocketAddr, AbortOnDropHandle<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        (address, AbortOnDropHandle::new(tokio::spawn(accept("a test", listener, SHORT, Arc::new(pages)))))
    }

    async fn asks(address: SocketAddr, path: &str) -> TcpStream {
        let mut client = TcpStream::connect(address).await.unwrap();
        client.write_all(format!("GET {path} HTTP/1.1\r\nHost: test\r\n\r\n").as_bytes()).await.unwrap();
        client
    }

    /// All that a client is sent until the connection is closed.
    async fn told(mut client: TcpStream) -> String {
        let mut text = String::new();
        let read = client.read_to_string(&mut text);
        tokio::time::timeout(DEADLINE, read).await.expect("it is answered, and closed").unwrap();
        text
    }

    #[tokio::test]
    async fn clients_that_do_not_read_keep_nobody_out_and_no_memory() {
        let large = Arc::new(vec![b'x'; LARGE]);
        let page = large.clone();
        let pages = move |path: &str| match path {
            "/large" => Some(answer(StatusCode::OK, TEXT, Bytes::from_owner(Held(page.clone())))),
            _ => Some(answer(StatusCode::OK, TEXT, "small\n")),
        };
        let (address, _server) = served(pages).await;
        let mut idle = Vec::new();
        for _ in 0..PLACES + 8 {
            idle.push(asks(address, "/large").await);
        }
        assert!(told(asks(address, "/small").await).await.ends_with("\r\n\r\nsmall\n"));
        let given_back = async {
            while Arc::strong_count(&large) > 2 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(DEADLINE, given_back).await.expect("no answer is kept for who does not read it");
        drop(idle);
    }

    #[tokio::test]
    async fn clients_that_say_nothing_keep_nobody_out() {
        let (address, _server) = served(|_: &str| Some(answer(StatusCode::OK, TEXT, "small\n"))).await;
        let mut silent = Vec::new();
        for _ in 0..PLACES + 8 {
            silent.push(TcpStream::connect(address).await.unwrap());
        }
        assert!(told(asks(address, "/").await).await.ends_with("small\n"));
        drop(silent);
    }

    #[tokio::test]
    async fn no_connection_outlives_its_answer() {
        let (address, _server) = served(|_: &str| Some(answer(StatusCode::OK, TEXT, "small\n"))).await;
        let text = told(asks(address, "/").await).await;
        assert!(text.to_lowercase().contains("connection: close"), "{text}");
    }

    #[tokio::test]
    async fn a_page_is_not_made_for_each_who_asks() {
        let made = Arc::new(AtomicUsize::new(0));
        let count = made.clone();
        let make = move || Ok(format!("page {}\n", count.fetch_add(1, Ordering::SeqCst)));
        let shared = Shared::new(Duration::from_secs(3600), make);
        let (address, _server) = served(move |_: &str| Some(scraped(&shared))).await;
        let asked: Vec<_> =
            (0..10).map(|_| tokio::spawn(async move { told(asks(address, "/").await).await })).collect();
        for client in asked {
            assert!(client.await.unwrap().ends_with("page 0\n"));
        }
        assert_eq!(made.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn a_page_that_is_no_longer_fresh_is_made_anew() {
        let made = AtomicUsize::new(0);
        let shared = Shared::new(Duration::ZERO, || Ok(made.fetch_add(1, Ordering::SeqCst).to_string()));
        assert_eq!([shared.get().unwrap(), shared.get().unwrap()], ["0", "1"]);
    }
}
