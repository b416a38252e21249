//! What surrounds a gateway, in one process of its own: as much of an API server, of S3, of STS and of Bedrock as it asks. Each
//! answers at once and as briefly as it can, so that a bench measures the gateway and not its surroundings. How the real ones
//! behave is seen by the end-to-end tests.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Instant;

use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::{Method, Request, Response, StatusCode, header};
use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::process::{CONTROL, Process, serve as serve_process};
use crate::program::INSTALLATION;

/// What the process is started with.
pub const SERVE: &str = "serve-around-gateway";
/// The bucket with documents and records.
const BUCKET: &str = "bench";
/// The SharedStack of all tenants.
const STACK: &str = "standard";
/// How many passages answer a question.
const PASSAGES: usize = 5;
/// What each says: as much as a chunk of 300 tokens.
const TEXT: usize = 1200;

/// A tenant, by its number.
pub fn tenant(n: usize) -> String {
    format!("customer-{n:05}")
}

/// The process.
pub struct Around(Process);

impl Around {
    /// With so many tenants, of which each may be asked.
    pub async fn start(tenants: usize) -> anyhow::Result<Self> {
        let around = Self(Process::start(SERVE)?);
        around.0.control(&format!("tenants?{tenants}")).await?;
        Ok(around)
    }

    pub fn endpoint(&self) -> &str {
        self.0.endpoint()
    }

    /// Bedrock grants so many questions a second from now on, as many in a moment, and throttles the others.
    pub async fn grant(&self, per_second: usize) -> anyhow::Result<()> {
        self.0.control(&format!("grant?{per_second}")).await.map(drop)
    }

    /// How many requests there were of each kind since this was last asked.
    pub async fn served(&self) -> anyhow::Result<BTreeMap<String, usize>> {
        Ok(serde_json::from_str(&self.0.control("served").await?)?)
    }
}

type Body = UnsyncBoxBody<Bytes, Infallible>;

struct Server {
    tenants: usize,
    granted: Option<f64>,
    left: f64,
    at: Instant,
    served: BTreeMap<&'static str, usize>,
}

/// Serves until the standard input ends.
pub async fn serve() -> anyhow::Result<()> {
    let server = Server { tenants: 0, granted: None, left: 0.0, at: Instant::now(), served: BTreeMap::new() };
    serve_process(server, answer).await
}

async fn answer(
    server: Arc<Mutex<Server>>,
    request: Request<Incoming>,
) -> Result<Response<Body>, Infallible> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let (path, query) = (head.uri.path(), head.uri.query().unwrap_or_default());
    let mut server = server.lock();
    if let Some(what) = path.strip_prefix(CONTROL) {
        return Ok(whole(StatusCode::OK, "text/plain", server.control(what, query)));
    }
    let (kind, answer) = match (&head.method, path) {
        (&Method::POST, path) if path.ends_with("/retrieve") => ("Retrieve", server.retrieve(&body)),
        (&Method::POST, "/") => ("AssumeRole", xml(SESSION)),
        (&Method::POST, path) if path.ends_with("/tokenreviews") => {
            ("TokenReview", told(token_review(&body)))
        }
        (&Method::POST, path) if path.ends_with("/subjectaccessreviews") => {
            ("SubjectAccessReview", told(access_review(&body)))
        }
        (&Method::GET, _) if query.contains("watch=") => ("watch", watch()),
        (&Method::GET, path) if path.ends_with("/tenants") => ("list", told(server.list(query))),
        (&Method::GET, path) if path.ends_with("/sharedstacks") => ("list", told(stacks())),
        (&Method::GET, path) if path.starts_with("/apis/") => ("list", told(nothing(path))),
        (&Method::GET, path) => ("GetObject", record(path)),
        _ => ("other", whole(StatusCode::NOT_FOUND, "text/plain", "")),
    };
    *server.served.entry(kind).or_default() += 1;
    Ok(answer)
}

fn whole(status: StatusCode, content: &'static str, body: impl Into<Bytes>) -> Response<Body> {
    let mut response = Response::new(Full::new(body.into()).boxed_unsync());
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(content));
    response
}

fn told(value: Value) -> Response<Body> {
    whole(StatusCode::OK, "application/json", value.to_string())
}

fn xml(body: &'static str) -> Response<Body> {
    whole(StatusCode::OK, "text/xml", body)
}

/// A watch in which nothing happens.
fn watch() -> Response<Body> {
    let never = futures::stream::pending::<Result<Frame<Bytes>, Infallible>>();
    let mut response = Response::new(StreamBody::new(never).boxed_unsync());
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
    response
}

/// Whoever has a token is who asks.
fn token_review(body: &[u8]) -> Value {
    let asked: Value = serde_json::from_slice(body).unwrap_or_default();
    json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "metadata": {}, "spec": asked["spec"], "status": {
        "authenticated": true, "audiences": asked["spec"]["audiences"],
        "user": {"username": "system:serviceaccount:bench:loader", "uid": "u", "groups": ["system:authenticated"]},
    }})
}

/// Everybody may ask everything.
fn access_review(body: &[u8]) -> Value {
    let asked: Value = serde_json::from_slice(body).unwrap_or_default();
    json!({"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "metadata": {}, "spec": asked["spec"],
        "status": {"allowed": true}})
}

/// The pool of all tenants.
fn stacks() -> Value {
    let stack = json!({
        "metadata": {"name": STACK, "uid": STACK, "generation": 1, "resourceVersion": "1",
            "finalizers": [format!("tenantry.dev/{INSTALLATION}")]},
        "spec": {"pool": {"tenantIdKey": "tenantId"}},
        "status": {"knowledgeBaseId": "KB12345678", "bucket": BUCKET},
    });
    json!({"apiVersion": "tenantry.dev/v1alpha1", "kind": "SharedStackList", "metadata": {"resourceVersion": "1"},
        "items": [stack]})
}

fn nothing(path: &str) -> Value {
    let version = path.trim_start_matches("/apis/").split('/').take(2).collect::<Vec<_>>().join("/");
    json!({"apiVersion": version, "kind": "List", "metadata": {"resourceVersion": "1"}, "items": []})
}

/// The record of a tenant, in whatever way the bucket is addressed.
fn record(path: &str) -> Response<Body> {
    let name = path.rsplit('/').next().and_then(|name| name.strip_suffix(".json")).unwrap_or_default();
    let record = json!({
        "tenantId": name, "state": "held", "pattern": "Pool", "stack": STACK, "since": "2026-01-01T00:00:00Z", "nonce": "n",
        "holder": {"cluster": "c", "namespace": "bench", "name": name, "uid": name},
    });
    let mut response = told(record);
    response.headers_mut().insert(header::ETAG, header::HeaderValue::from_static("\"e\""));
    response
}

const SESSION: &str = "<AssumeRoleResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><AssumeRoleResult><Credentials>\
    <AccessKeyId>ASIABENCHBENCHBENCHB</AccessKeyId><SecretAccessKey>not-a-secret</SecretAccessKey>\
    <SessionToken>bench</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration></Credentials>\
    <AssumedRoleUser><AssumedRoleId>AROABENCH:bench</AssumedRoleId><Arn>arn:aws:sts::111122223333:assumed-role/ask/bench</Arn>\
    </AssumedRoleUser></AssumeRoleResult><ResponseMetadata><RequestId>r</RequestId></ResponseMetadata></AssumeRoleResponse>";

impl Server {
    fn control(&mut self, what: &str, query: &str) -> String {
        let number = query.parse().unwrap_or_default();
        match what {
            "tenants" => self.tenants = number,
            "grant" => (self.granted, self.left) = (Some(number as f64), number as f64),
            "served" => {
                return serde_json::to_string(&std::mem::take(&mut self.served)).unwrap_or_default();
            }
            _ => {}
        }
        String::new()
    }

    /// A page of all Tenants, as the operator leaves them.
    fn list(&self, query: &str) -> Value {
        let number = |name: &str| {
            let value = query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
            value.and_then(|value| value.parse::<usize>().ok())
        };
        let from = number("continue").unwrap_or(0);
        let to = self.tenants.min(from + number("limit").filter(|it| *it > 0).unwrap_or(usize::MAX - from));
        let more = (to < self.tenants).then(|| to.to_string());
        json!({"apiVersion": "tenantry.dev/v1alpha1", "kind": "TenantList",
            "metadata": {"resourceVersion": "1", "continue": more},
            "items": (from..to).map(object).collect::<Vec<_>>()})
    }

    fn is_granted(&mut self) -> bool {
        let Some(per_second) = self.granted else { return true };
        self.left = (self.left + self.at.elapsed().as_secs_f64() * per_second).min(per_second);
        self.at = Instant::now();
        let is_granted = self.left >= 1.0;
        self.left -= f64::from(u8::from(is_granted));
        is_granted
    }

    /// Passages of whoever's filter it is.
    fn retrieve(&mut self, body: &[u8]) -> Response<Body> {
        if !self.is_granted() {
            let mut response =
                whole(StatusCode::TOO_MANY_REQUESTS, "application/json", r#"{"message":"Rate exceeded"}"#);
            let code = header::HeaderValue::from_static("ThrottlingException");
            response.headers_mut().insert("x-amzn-errortype", code);
            return response;
        }
        const OWN: &[u8] = b"\"value\":\"";
        let at = body.windows(OWN.len()).position(|it| it == OWN).map_or(body.len(), |at| at + OWN.len());
        let whose: Vec<u8> = body[at..].iter().copied().take_while(|byte| *byte != b'"').collect();
        let whose = String::from_utf8_lossy(&whose);
        let text = "a word ".repeat(TEXT / 7);
        let passages = (0..PASSAGES).map(|n| {
            format!(
                r#"{{"content":{{"text":"{text}","type":"TEXT"}},"location":{{"s3Location":{{"uri":"s3://{BUCKET}/pool/{whose}/{n}.md"}},"type":"S3"}},"metadata":{{"tenantId":"{whose}","x-amz-bedrock-kb-chunk-id":"{n}"}},"score":0.5}}"#
            )
        });
        let body = format!(r#"{{"retrievalResults":[{}]}}"#, passages.collect::<Vec<_>>().join(","));
        whole(StatusCode::OK, "application/json", body)
    }
}

fn object(n: usize) -> Value {
    let name = tenant(n);
    let condition = |kind: &str| {
        json!({"type": kind, "status": "True", "reason": kind, "message": "The stack is ready to query",
            "lastTransitionTime": "2026-01-01T00:00:00Z", "observedGeneration": 1})
    };
    let conditions = ["Ready", "Accepted", "StackReady", "DocumentsCurrent"].map(condition);
    json!({
        "apiVersion": "tenantry.dev/v1alpha1", "kind": "Tenant",
        "metadata": {"name": name, "namespace": "bench", "uid": name, "generation": 1, "resourceVersion": "1",
            "creationTimestamp": "2026-01-01T00:00:00Z", "finalizers": [format!("tenantry.dev/{INSTALLATION}")]},
        "spec": {"tenantId": name, "pattern": "Pool", "stackRef": {"name": STACK}, "deletionPolicy": "Retain"},
        "status": {
            "observedGeneration": 1, "conditions": conditions,
            "knowledgeBaseId": "KB12345678", "knowledgeBaseArn": "arn:aws:bedrock:us-east-1:111122223333:knowledge-base/KB12345678",
            "dataSourceId": "DS12345678", "indexName": "bench", "vectorStore": "OpenSearchServerless", "bucket": BUCKET,
            "prefix": format!("pool/{name}/"), "region": "us-east-1", "idRecord": "0123456789ab",
            "retrievalFilter": {"equals": {"key": "tenantId", "value": name}},
        },
    })
}
