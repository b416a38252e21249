//! For unit tests: as much of S3 as a review of documents needs, in memory and behind the SDK. How S3 really behaves is the AWS double's
//! matter.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::body::SdkBody;
use parking_lot::Mutex;
use percent_encoding::percent_decode_str;

use super::{Aws, Gate, Pace};

/// The only bucket.
pub const BUCKET: &str = "bucket";
const ACCOUNT: &str = "111122223333";

/// See the [module](self). Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct S3(Arc<Mutex<Store>>);

#[derive(Debug, Default)]
struct Store {
    objects: BTreeMap<String, Object>,
    writes: usize,
    /// By its clock.
    minute: i64,
    page: usize,
    calls: Vec<String>,
    /// The call with this number is refused, and all after it.
    ends_at: Option<usize>,
    /// What is refused: an operation on keys that have this in them, with code and status.
    refused: Option<(&'static str, String, &'static str, u16)>,
    /// After this operation on this key its object is written anew, once.
    rewritten: Option<(&'static str, String)>,
}

#[derive(Clone, Debug)]
struct Object {
    etag: String,
    minute: i64,
    content: Vec<u8>,
}

impl S3 {
    /// An empty one, whose pages have so many objects.
    pub fn new(page: usize) -> Self {
        Self(Arc::new(Mutex::new(Store { page, ..Store::default() })))
    }

    /// The client that asks it.
    pub fn aws(&self) -> Aws {
        let connector = SharedHttpConnector::new(self.clone());
        let credentials = Credentials::new(ACCOUNT, "not-a-secret", None, None, "test");
        let config = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::from_static("us-east-1"))
            .endpoint_url("http://127.0.0.1:1")
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .retry_config(aws_config::retry::RetryConfig::disabled())
            .http_client(http_client_fn(move |_, _| connector.clone()))
            .build();
        Aws::new(&config, ACCOUNT, &Gate::new(Pace::FULL))
    }

    pub fn put(&self, key: &str, content: &str) {
        self.0.lock().put(key, content.as_bytes().to_vec());
    }

    /// What is written from now on is written in this minute.
    pub fn at_minute(&self, minute: i64) {
        self.0.lock().minute = minute;
    }

    /// From now on this operation on keys that have this in them is refused: `GET`, `PUT`, `COPY` (by the key that is copied)
    /// or `DELETE`.
    pub fn refuse(&self, operation: &'static str, fragment: &str, code: &'static str, status: u16) {
        self.0.lock().refused = Some((operation, fragment.into(), code, status));
    }

    /// Refuses nothing any more.
    pub fn heal(&self) {
        self.0.lock().refused = None;
    }

    /// Once this operation on this key has been answered, somebody writes its object anew.
    pub fn rewrite_after(&self, operation: &'static str, key: &str) {
        self.0.lock().rewritten = Some((operation, key.into()));
    }

    pub fn take(&self, key: &str) {
        self.0.lock().objects.remove(key);
    }

    pub fn content(&self, key: &str) -> Option<String> {
        let store = self.0.lock();
        store.objects.get(key).map(|it| String::from_utf8_lossy(&it.content).into_owned())
    }

    /// The keys that begin so.
    pub fn keys(&self, prefix: &str) -> Vec<String> {
        self.0.lock().objects.keys().filter(|key| key.starts_with(prefix)).cloned().collect()
    }

    /// What was asked since this was last asked for, each with its key.
    pub fn calls(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().calls)
    }

    /// So many calls are answered from now on, and no more; `None`: all.
    pub fn ends_after(&self, calls: Option<usize>) {
        let mut store = self.0.lock();
        store.ends_at = calls.map(|calls| store.calls.len() + calls);
    }
}

/// The moment at which a minute begins.
fn minute_of(minute: i64) -> jiff::Timestamp {
    jiff::Timestamp::from_second(minute * 60).unwrap_or_default()
}

impl HttpConnector for S3 {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let (path, query) = request.uri().split_once('?').unwrap_or((request.uri(), ""));
        let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
        let query: BTreeMap<_, _> = query
            .split('&')
            .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
            .map(|(name, value)| (decoded(name), decoded(value)))
            .collect();
        let path = decoded(path);
        let key = path.split_once(&format!("/{BUCKET}/")).map(|(_, key)| key.to_owned()).unwrap_or_default();
        let condition = ["if-match", "x-amz-copy-source-if-match"]
            .into_iter()
            .find_map(|name| request.headers().get(name))
            .map(str::to_owned);
        let copied = request.headers().get("x-amz-copy-source").map(|it| decoded(it.trim_start_matches('/')));
        let source = copied.and_then(|it| it.strip_prefix(&format!("{BUCKET}/")).map(str::to_owned));
        let mut store = self.0.lock();
        let (operation, body) = match &source {
            Some(source) => {
                ("COPY", store.objects.get(source).map(|it| it.content.clone()).unwrap_or_default())
            }
            None => (request.method(), request.body().bytes().unwrap_or_default().to_vec()),
        };
        let at = source.as_ref().unwrap_or(&key);
        let refused = store.refused(operation, at).or_else(|| store.is_overtaken(at, condition.as_deref()));
        let (status, etag, body) = refused.unwrap_or_else(|| store.answer(operation, &key, &query, body));
        if store.rewritten.as_ref().is_some_and(|(its, key)| *its == operation && key == at) {
            store.rewritten = None;
            store.put(at, b"It was written anew.".to_vec());
        }
        drop(store);
        let status = StatusCode::try_from(status).unwrap_or_else(|_| unreachable!("it is a status"));
        let mut response = HttpResponse::new(status, SdkBody::from(body));
        response.headers_mut().insert("etag", etag);
        HttpConnectorFuture::ready(Ok(response))
    }
}

/// An answer that refuses: its status, no ETag, and a body that has the code.
fn refusal(status: u16, code: &str) -> (u16, String, Vec<u8>) {
    let body = format!("<Error><Code>{code}</Code><Message>It is refused.</Message></Error>");
    (status, String::new(), body.into_bytes())
}

impl Store {
    fn put(&mut self, key: &str, content: Vec<u8>) -> String {
        self.writes += 1;
        let etag = format!("\"{:032x}\"", self.writes);
        let object = Object { etag: etag.clone(), minute: self.minute, content };
        self.objects.insert(key.into(), object);
        etag
    }

    fn answer(
        &mut self,
        method: &str,
        key: &str,
        query: &BTreeMap<String, String>,
        body: Vec<u8>,
    ) -> (u16, String, Vec<u8>) {
        let operation = match (method, key.is_empty()) {
            ("GET", true) => "List",
            ("POST", true) => "Delete",
            (method, _) => method,
        };
        let number = self.calls.len();
        self.calls.push(format!("{operation} {key}"));
        if self.ends_at.is_some_and(|end| number >= end) {
            return refusal(500, "InternalError");
        }
        match operation {
            "List" => (200, String::new(), self.list(query).into_bytes()),
            "Delete" => {
                let body = String::from_utf8_lossy(&body).into_owned();
                let text = |of: &str, tag: &str| {
                    let rest = of.split_once(&format!("<{tag}>"))?.1;
                    Some(rest.split_once('<')?.0.replace("&quot;", "\""))
                };
                let mut errors = String::new();
                for object in body.split("<Object>").skip(1) {
                    let key = text(object, "Key").unwrap_or_default();
                    let refused = self.refused("DELETE", &key);
                    match refused.or_else(|| self.is_overtaken(&key, text(object, "ETag").as_deref())) {
                        Some((_, _, why)) => {
                            let why = String::from_utf8_lossy(&why)
                                .replace("<Error>", &format!("<Error><Key>{key}</Key>"));
                            errors += &why;
                        }
                        None => drop(self.objects.remove(&key)),
                    }
                }
                (200, String::new(), format!("<DeleteResult>{errors}</DeleteResult>").into_bytes())
            }
            "PUT" => (200, self.put(key, body), Vec::new()),
            "COPY" => {
                let etag = self.put(key, body);
                let result = format!("<CopyObjectResult><ETag>{etag}</ETag></CopyObjectResult>");
                (200, etag, result.into_bytes())
            }
            "DELETE" => {
                self.objects.remove(key);
                (204, String::new(), Vec::new())
            }
            "GET" => match self.objects.get(key) {
                Some(it) => (200, it.etag.clone(), it.content.clone()),
                None => refusal(404, "NoSuchKey"),
            },
            _ => (501, String::new(), Vec::new()),
        }
    }

    /// The answer, if a condition does not hold.
    fn is_overtaken(&self, key: &str, etag: Option<&str>) -> Option<(u16, String, Vec<u8>)> {
        match self.objects.get(key) {
            Some(object) if etag.is_none_or(|etag| etag == object.etag) => None,
            Some(_) => Some(refusal(412, "PreconditionFailed")),
            None => etag.map(|_| refusal(404, "NoSuchKey")),
        }
    }

    fn refused(&self, operation: &str, key: &str) -> Option<(u16, String, Vec<u8>)> {
        let (_, _, code, status) = self
            .refused
            .as_ref()
            .filter(|(its, fragment, ..)| *its == operation && key.contains(fragment.as_str()))?;
        Some(refusal(*status, code))
    }

    /// The token of the next page is the last key of this one.
    fn list(&self, query: &BTreeMap<String, String>) -> String {
        let prefix = query.get("prefix").map(String::as_str).unwrap_or_default();
        let from = query.get("continuation-token").or(query.get("start-after"));
        let from = from.map_or(Bound::Included(prefix), |from| Bound::Excluded(from.as_str()));
        let rest = self.objects.range::<str, _>((from, Bound::Unbounded));
        let mut rest = rest.filter(|(key, _)| key.starts_with(prefix)).peekable();
        let (mut page, mut last) = (String::from("<ListBucketResult>"), "");
        let most = query.get("max-keys").and_then(|it| it.parse().ok()).unwrap_or(self.page);
        for (key, Object { etag, minute, content }) in rest.by_ref().take(most) {
            last = key;
            let (size, written) = (content.len(), minute_of(*minute));
            page += &format!(
                "<Contents><Key>{key}</Key><LastModified>{written}</LastModified><ETag>{etag}</ETag><Size>{size}</Size></Contents>"
            );
        }
        if rest.peek().is_some() {
            page += &format!(
                "<IsTruncated>true</IsTruncated><NextContinuationToken>{last}</NextContinuationToken>"
            );
        }
        page + "</ListBucketResult>"
    }
}
