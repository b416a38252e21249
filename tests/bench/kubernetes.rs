//! As much of an API server as the operator needs, in memory and in a process of its own: objects with versions, lists in
//! pages, watches, and the three kinds of patches. It validates nothing, deletes nothing, and has no managedFields. How a
//! real one behaves is seen by the end-to-end tests, which have one.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::{Method, Request, Response, StatusCode, header};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::objects::{Asked, Objects, Refused};
use crate::process::{CONTROL, Process, serve as serve_process};

/// What the process is started with.
pub const SERVE: &str = "serve-kubernetes";

/// How long requests take. A real API server asks etcd, which writes to a disk.
#[derive(Clone, Copy, Default)]
pub struct Times {
    pub read: Duration,
    pub write: Duration,
    /// Of each object in a list.
    pub listed: Duration,
}

/// The process.
pub struct Kubernetes(Process);

impl Kubernetes {
    pub fn start() -> anyhow::Result<Self> {
        Ok(Self(Process::start(SERVE)?))
    }

    pub fn endpoint(&self) -> &str {
        self.0.endpoint()
    }

    /// Requests take so long from now on.
    pub async fn slow(&self, times: Times) -> anyhow::Result<()> {
        let [read, write, listed] = [times.read, times.write, times.listed].map(|time| time.as_micros());
        self.0.control(&format!("slow?read={read}&write={write}&listed={listed}")).await.map(drop)
    }

    /// So many more Tenants are there, all at once.
    pub async fn create(&self, tenants: usize) -> anyhow::Result<()> {
        self.0.control(&format!("create?tenants={tenants}")).await.map(drop)
    }

    /// How many Tenants are Ready.
    pub async fn ready(&self) -> anyhow::Result<usize> {
        Ok(self.0.control("ready").await?.parse()?)
    }

    /// All watches end, and can only be begun again with a list.
    pub async fn expire(&self) -> anyhow::Result<()> {
        self.0.control("expire").await.map(drop)
    }

    /// How many requests there were of each kind since this was last asked.
    pub async fn served(&self) -> anyhow::Result<BTreeMap<String, usize>> {
        Ok(serde_json::from_str(&self.0.control("served").await?)?)
    }
}

type Body = UnsyncBoxBody<Bytes, Infallible>;

#[derive(Default)]
struct Server {
    objects: Objects,
    times: Times,
    served: BTreeMap<String, usize>,
}

/// Serves until the standard input ends.
pub async fn serve() -> anyhow::Result<()> {
    serve_process(Server::default(), answer).await
}

async fn answer(
    server: Arc<Mutex<Server>>,
    request: Request<Incoming>,
) -> Result<Response<Body>, Infallible> {
    let (head, body) = request.into_parts();
    let text = |name| head.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let (accepts, content) = (text(header::ACCEPT), text(header::CONTENT_TYPE));
    let asked = Asked::new(head.uri.path(), head.uri.query().unwrap_or_default(), accepts);
    let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    if let Some(what) = head.uri.path().strip_prefix(CONTROL) {
        return Ok(whole(StatusCode::OK, server.lock().control(what, &asked)));
    }
    let pause = {
        let mut server = server.lock();
        server.count(&head.method, &asked);
        server.pause(&head.method, &asked)
    };
    if !pause.is_zero() {
        tokio::time::sleep(pause).await;
    }
    if head.method == Method::GET && asked.query("watch").is_some() {
        return Ok(watch(&server, &asked));
    }
    let body = || serde_json::from_slice::<Value>(&body).unwrap_or_default();
    let objects = &mut server.lock().objects;
    let answer = match head.method {
        Method::GET if asked.name.is_empty() => Ok(objects.list(&asked)),
        Method::GET => objects.get(&asked),
        Method::POST => objects.create(&asked, body()),
        Method::PUT => objects.replace(&asked, body()),
        Method::PATCH => objects.patch(&asked, content, body()),
        _ => Err(Refused(405, "MethodNotAllowed")),
    };
    Ok(match answer {
        Ok(body) => whole(StatusCode::OK, body),
        Err(Refused(code, reason)) => {
            let status = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
                "message": reason, "reason": reason, "code": code});
            whole(StatusCode::from_u16(code).unwrap_or_default(), status.to_string())
        }
    })
}

fn whole(status: StatusCode, body: impl Into<Bytes>) -> Response<Body> {
    let mut response = Response::new(Full::new(body.into()).boxed_unsync());
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
    response
}

/// A watch. It ends when its time is over, and its versions are marked once a minute.
fn watch(server: &Arc<Mutex<Server>>, asked: &Asked) -> Response<Body> {
    let (sender, mut events) = mpsc::unbounded_channel();
    server.lock().objects.watch(asked, sender.clone());
    let (server, path, kind) = (server.clone(), asked.collection.clone(), asked.metadata_only);
    let time = asked.query("timeoutSeconds").and_then(|seconds| seconds.parse().ok()).unwrap_or(290);
    tokio::spawn(async move {
        let over = tokio::time::sleep(Duration::from_secs(time));
        tokio::pin!(over);
        let mut minute = tokio::time::interval(Duration::from_secs(60));
        minute.tick().await;
        loop {
            tokio::select! {
                () = &mut over => return server.lock().objects.end_watch(&path, &sender),
                () = sender.closed() => return server.lock().objects.end_watch(&path, &sender),
                _ = minute.tick() => drop(sender.send(server.lock().objects.bookmark(&path, kind))),
            }
        }
    });
    let frames = futures::stream::poll_fn(move |context| events.poll_recv(context));
    let frames = futures::StreamExt::map(frames, |event| Ok(Frame::data(event)));
    let mut response = Response::new(StreamBody::new(frames).boxed_unsync());
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
    response
}

impl Server {
    fn count(&mut self, method: &Method, asked: &Asked) {
        let verb = match (method, asked.name.is_empty(), asked.query("watch")) {
            (&Method::GET, true, Some(_)) => "WATCH",
            (&Method::GET, true, None) => "LIST",
            (method, ..) => method.as_str(),
        };
        let kind = asked.collection.rsplit('/').next().unwrap_or_default();
        *self.served.entry(format!("{verb} {kind}{}", asked.subresource())).or_default() += 1;
    }

    fn pause(&self, method: &Method, asked: &Asked) -> Duration {
        let Times { read, write, listed } = self.times;
        match *method {
            Method::GET if asked.query("watch").is_some() => Duration::ZERO,
            Method::GET if asked.name.is_empty() => read + listed * self.objects.page(asked),
            Method::GET => read,
            _ => write,
        }
    }

    fn control(&mut self, what: &str, asked: &Asked) -> String {
        let number = |name: &str| asked.query(name).and_then(|text| text.parse().ok()).unwrap_or(0);
        match what {
            "slow" => {
                let [read, write, listed] =
                    ["read", "write", "listed"].map(number).map(Duration::from_micros);
                self.times = Times { read, write, listed };
            }
            "create" => self.objects.add_tenants(number("tenants") as usize),
            "expire" => self.objects.expire(),
            "ready" => return self.objects.ready().to_string(),
            "served" => return serde_json::to_string(&std::mem::take(&mut self.served)).unwrap_or_default(),
            _ => {}
        }
        String::new()
    }
}
