//! As much of S3 as a review needs, in memory and in a process of its own: what it needs is not counted as the operator's,
//! and it is fast enough that a bench measures the operator and not its surroundings. How S3 really behaves is the AWS
//! double's matter.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::ops::Bound;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::{Method, Request, Response, StatusCode};
use parking_lot::Mutex;
use percent_encoding::percent_decode_str;

use crate::account::Account;
use crate::process::{self, CONTROL, Process};
use crate::program::INSTALLATION;

/// What the process is started with.
pub const SERVE: &str = "serve-s3";

/// The only bucket.
pub const BUCKET: &str = "bench";
/// Objects of a page.
const PAGE: usize = 1000;

/// The key of a tenant's document, in the order of their numbers.
pub fn document(tenant: &str, n: usize) -> String {
    format!("pool/{tenant}/{n:07}.md")
}

/// The process.
pub struct S3(Process);

impl S3 {
    pub fn start() -> anyhow::Result<Self> {
        Ok(Self(Process::start(SERVE)?))
    }

    pub fn endpoint(&self) -> &str {
        self.0.endpoint()
    }

    /// The bucket holds so many documents of each of these tenants, and nothing else.
    pub async fn fill(&self, tenants: &[(&str, usize)]) -> anyhow::Result<()> {
        let tenants: Vec<_> =
            tenants.iter().map(|(tenant, documents)| format!("{tenant}={documents}")).collect();
        self.0.control(&format!("fill?{}", tenants.join("&"))).await.map(drop)
    }

    /// Each call takes so long from now on, as in a network.
    pub async fn slow(&self, by: Duration) -> anyhow::Result<()> {
        self.0.control(&format!("slow?milliseconds={}", by.as_millis())).await.map(drop)
    }

    /// How many calls of each operation there were since this was last asked.
    pub async fn served(&self) -> anyhow::Result<BTreeMap<String, usize>> {
        Ok(serde_json::from_str(&self.0.control("served").await?)?)
    }
}

/// Serves until the standard input ends.
pub async fn serve() -> anyhow::Result<()> {
    process::serve(Store::default(), answer).await
}

async fn answer(
    store: Arc<Mutex<Store>>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let asked = Asked::new(&head.method, head.uri.path(), head.uri.query().unwrap_or_default());
    let body = body.collect().await;
    let by = store.lock().slow;
    if !by.is_zero() && !asked.path.starts_with(CONTROL) {
        tokio::time::sleep(by).await;
    }
    if asked.path == "/" || asked.path.starts_with("/knowledgebases") {
        let target = head.headers.get("x-amz-target").and_then(|target| target.to_str().ok());
        let mut store = store.lock();
        *store.served.entry("of other services").or_default() += 1;
        let (status, answer) =
            store.account.answer(&asked.path, target, &body.map(|it| it.to_bytes()).unwrap_or_default());
        let mut response = Response::new(Full::from(answer));
        *response.status_mut() = status;
        return Ok(response);
    }
    let answer = match body {
        Ok(body) => {
            let mut store = store.lock();
            store.answer(&asked, body.to_bytes())
        }
        Err(_) => None,
    };
    let mut response = Response::new(Full::default());
    match answer {
        Some(Answer { body, etag }) => {
            *response.body_mut() = Full::new(body);
            if let Ok(etag) = etag.parse() {
                response.headers_mut().insert("etag", etag);
            }
        }
        None => {
            *response.status_mut() = StatusCode::NOT_FOUND;
            let code = if asked.key.is_empty() { "NoSuchBucketPolicy" } else { "NoSuchKey" };
            *response.body_mut() =
                Full::from(format!("<Error><Code>{code}</Code><Message>{code}</Message></Error>"));
        }
    }
    Ok(response)
}

/// What is asked for.
struct Asked {
    method: Method,
    path: String,
    key: String,
    query: BTreeMap<String, String>,
}

impl Asked {
    fn new(method: &Method, path: &str, query: &str) -> Self {
        let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
        let pairs = query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        let path = decoded(path);
        let key = path.strip_prefix(&format!("/{BUCKET}/")).unwrap_or_default().to_owned();
        let query = pairs.map(|(name, value)| (decoded(name), decoded(value))).collect();
        Self { method: method.clone(), path, key, query }
    }

    fn query(&self, name: &str) -> Option<&str> {
        self.query.get(name).map(String::as_str)
    }
}

#[derive(Default)]
struct Answer {
    body: Bytes,
    etag: String,
}

impl From<String> for Answer {
    fn from(body: String) -> Self {
        Self { body: body.into(), ..Self::default() }
    }
}

/// Everything that is there.
#[derive(Default)]
struct Store {
    objects: BTreeMap<String, (String, Bytes)>,
    slow: Duration,
    served: BTreeMap<&'static str, usize>,
    writes: usize,
    policy: Option<Bytes>,
    account: Account,
}

impl Store {
    /// The answer; `None` is 404.
    fn answer(&mut self, asked: &Asked, body: Bytes) -> Option<Answer> {
        if let Some(control) = asked.path.strip_prefix(CONTROL) {
            return self.control(control, asked);
        }
        if asked.key.is_empty()
            && let Some(answer) = self.bucket(asked, &body)
        {
            *self.served.entry("of the bucket").or_default() += 1;
            return answer;
        }
        let (operation, answer) = match (&asked.method, asked.key.is_empty()) {
            (&Method::GET, true) => ("ListObjectsV2", Some(self.page(asked).into())),
            (&Method::GET, false) => ("GetObject", self.object(&asked.key)),
            (&Method::POST, true) => {
                let body = String::from_utf8_lossy(&body).into_owned();
                let keys = body.split("<Key>").skip(1).filter_map(|rest| rest.split("</Key>").next());
                keys.for_each(|key| drop(self.objects.remove(key)));
                ("DeleteObjects", Some("<DeleteResult/>".to_owned().into()))
            }
            (&Method::PUT, false) => {
                let etag = self.put(&asked.key, body);
                ("PutObject", Some(Answer { etag, ..Answer::default() }))
            }
            _ => ("anything else", None),
        };
        *self.served.entry(operation).or_default() += 1;
        answer
    }

    /// What is asked of the bucket itself, if it is that: it is the installation's, and keeps a policy.
    fn bucket(&mut self, asked: &Asked, body: &Bytes) -> Option<Option<Answer>> {
        let answer = match asked.method {
            Method::HEAD => Some(Answer::default()),
            Method::PUT if asked.query("policy").is_some() => {
                self.policy = Some(body.clone());
                Some(Answer::default())
            }
            _ if asked.query("policy").is_some() => {
                self.policy.clone().map(|body| Answer { body, ..Answer::default() })
            }
            _ if asked.query("versioning").is_some() => {
                Some("<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>".to_owned().into())
            }
            _ if asked.query("tagging").is_some() => Some(
                format!(
                    "<Tagging><TagSet><Tag><Key>tenantry.dev/installation</Key><Value>{INSTALLATION}</Value></Tag>\
                     </TagSet></Tagging>"
                )
                .into(),
            ),
            _ => return None,
        };
        Some(answer)
    }

    fn control(&mut self, what: &str, asked: &Asked) -> Option<Answer> {
        match what {
            "fill" => {
                *self = Store { slow: self.slow, ..Store::default() };
                for (tenant, documents) in &asked.query {
                    for n in 0..documents.parse().ok()? {
                        self.put(&document(tenant, n), Bytes::from_static(b"A document."));
                    }
                }
                Some(Answer::default())
            }
            "slow" => {
                self.slow = Duration::from_millis(asked.query("milliseconds")?.parse().ok()?);
                Some(Answer::default())
            }
            "served" => Some(serde_json::to_string(&std::mem::take(&mut self.served)).ok()?.into()),
            _ => None,
        }
    }

    fn put(&mut self, key: &str, content: Bytes) -> String {
        self.writes += 1;
        let etag = format!("\"{:032x}\"", self.writes);
        self.objects.insert(key.into(), (etag.clone(), content));
        etag
    }

    fn object(&self, key: &str) -> Option<Answer> {
        let (etag, content) = self.objects.get(key)?;
        Some(Answer { body: content.clone(), etag: etag.clone() })
    }

    /// The token of the next page is the last key of this one.
    fn page(&self, asked: &Asked) -> String {
        let prefix = asked.query("prefix").unwrap_or_default();
        let from = match asked.query("continuation-token").or(asked.query("start-after")) {
            Some(last) => Bound::Excluded(last),
            None => Bound::Included(prefix),
        };
        let mut rest = self.objects.range::<str, _>((from, Bound::Unbounded));
        let mut rest = rest.by_ref().take_while(|(key, _)| key.starts_with(prefix)).peekable();
        let mut page = String::from("<ListBucketResult><EncodingType>url</EncodingType>");
        let mut last = "";
        for (key, (etag, content)) in rest.by_ref().take(PAGE) {
            last = key;
            let size = content.len();
            page += &format!(
                "<Contents><Key>{key}</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified>\
                 <ETag>{etag}</ETag><Size>{size}</Size></Contents>"
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
