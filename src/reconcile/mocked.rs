//! For unit tests: an API server that expects what a test scripts, in that order, and answers as scripted; and a
//! [`Context`] around it.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use http::{Request, Response, header};
use http_body_util::BodyExt;
use jiff::Timestamp;
use kube::client::Body;
use kube::runtime::events::Reporter;
use kube::runtime::reflector::{self, Store};
use kube::runtime::watcher;
use kube::{Client, Resource};
use parking_lot::Mutex;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::sync::{OnceCell, mpsc};

use super::context::Context;
use super::events::Events;
use super::ids::Ids;
use super::tenants::Tenants;
use crate::aws::{Aws, Gate, SdkConfig};
use crate::clock::Clock;
use crate::documents::job_slots::JobSlots;
use crate::documents::scheduler::Limits;
use crate::records::Records;
use crate::records::in_memory::InMemory;
use crate::settings::Settings;
use crate::stack::identity::Scope;
use crate::stack::record::Terms;

/// The installation of [`context`], and the hold that goes with it.
pub const INSTALLATION: &str = "prod";
pub const FINALIZER: &str = "tenantry.dev/prod";

/// A request, as far as tests look at it. In one that is expected, a text that ends in `*` stands for every text that
/// begins so: what has the time of day in it. `*` alone stands for anything.
#[derive(Clone, Debug, PartialEq)]
pub struct Asked {
    pub method: String,
    /// The path, and what of a query there is.
    pub target: String,
    pub content_type: String,
    pub body: Value,
}

/// A request that is expected, and the answer that it gets.
#[derive(Clone, Debug)]
pub struct Exchange {
    asked: Asked,
    /// `None` sends back what was sent.
    answer: Option<(u16, Value)>,
}

fn exchange(method: &str, target: impl Into<String>, content_type: &str, body: Value) -> Exchange {
    let (method, content_type) = (method.into(), content_type.into());
    Exchange { asked: Asked { method, target: target.into(), content_type, body }, answer: None }
}

/// As kube asks for an object's metadata.
pub fn get(target: impl Into<String>) -> Exchange {
    exchange("GET", target, "application/json", Value::Null)
}

/// As kube asks for an object.
pub fn get_object(target: impl Into<String>) -> Exchange {
    exchange("GET", target, "", Value::Null)
}

pub fn json_patch(target: impl Into<String>, body: Value) -> Exchange {
    exchange("PATCH", target, "application/json-patch+json", body)
}

pub fn merge_patch(target: impl Into<String>, body: Value) -> Exchange {
    exchange("PATCH", target, "application/merge-patch+json", body)
}

pub fn post(target: impl Into<String>, body: Value) -> Exchange {
    exchange("POST", target, "application/json", body)
}

impl Exchange {
    pub fn answered(self, body: Value) -> Self {
        Self { answer: Some((200, body)), ..self }
    }

    pub fn refused(self, code: u16) -> Self {
        Self { answer: Some((code, refusal(code, "refused, as the test wants it"))), ..self }
    }
}

fn refusal(code: u16, message: &str) -> Value {
    let reason = if code == 404 { "NotFound" } else { "" };
    json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": reason, "message": message})
}

#[derive(Default)]
struct Script {
    expected: VecDeque<Exchange>,
    seen: Vec<Asked>,
    differences: Vec<String>,
}

/// The server. Dropped, it fails the test if it was asked anything else than was expected.
pub struct ApiServer {
    client: Client,
    script: Arc<Mutex<Script>>,
}

/// A server that expects these requests, in this order, and none besides.
pub fn api_server(expected: impl IntoIterator<Item = Exchange>) -> ApiServer {
    let script = Script { expected: expected.into_iter().collect(), ..Script::default() };
    let script = Arc::new(Mutex::new(script));
    let (service, mut handle) = tower_test::mock::pair::<Request<Body>, Response<Body>>();
    let scripted = script.clone();
    tokio::spawn(async move {
        while let Some((request, respond)) = handle.next_request().await {
            let asked = Asked::read(request).await;
            let (code, body) = scripted.lock().answer(asked);
            let body = Body::from(body.to_string().into_bytes());
            respond.send_response(Response::builder().status(code).body(body).expect("a response"));
        }
    });
    ApiServer { client: Client::new(service, "tenants"), script }
}

impl ApiServer {
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// What was asked so far.
    pub fn seen(&self) -> Vec<Asked> {
        self.script.lock().seen.clone()
    }
}

impl Drop for ApiServer {
    fn drop(&mut self) {
        let script = self.script.lock();
        let missing =
            script.expected.iter().map(|missing| format!("expected and never asked:\n{}", missing.asked));
        let wrong: Vec<_> = script.differences.iter().cloned().chain(missing).collect();
        let wrong = wrong.join("\n");
        // A second panic would hide the first.
        if std::thread::panicking() { eprintln!("{wrong}") } else { assert!(wrong.is_empty(), "{wrong}") }
    }
}

impl Script {
    /// The answer, which is no success if something else was expected.
    fn answer(&mut self, asked: Asked) -> (u16, Value) {
        self.seen.push(asked.clone());
        match self.expected.pop_front() {
            Some(Exchange { asked: expected, answer }) if expected.stands_for(&asked) => {
                answer.unwrap_or((200, asked.body))
            }
            other => {
                let expected = other.map_or("nothing\n".into(), |expected| expected.asked.to_string());
                let difference = format!("expected:\n{expected}found:\n{asked}");
                let answer = refusal(501, &difference);
                self.differences.push(difference);
                (501, answer)
            }
        }
    }
}

impl Asked {
    async fn read(request: Request<Body>) -> Self {
        let (parts, body) = request.into_parts();
        let body = body.collect().await.expect("a body").to_bytes();
        let query = parts.uri.query().filter(|query| !query.is_empty());
        let content_type = parts.headers.get(header::CONTENT_TYPE).and_then(|it| it.to_str().ok());
        Self {
            method: parts.method.to_string(),
            target: query.map_or(parts.uri.path().into(), |query| format!("{}?{query}", parts.uri.path())),
            content_type: content_type.unwrap_or_default().into(),
            body: serde_json::from_slice(&body).unwrap_or(Value::Null),
        }
    }

    fn stands_for(&self, found: &Asked) -> bool {
        self.method == found.method
            && text_stands_for(&self.target, &found.target)
            && self.content_type == found.content_type
            && stands_for(&self.body, &found.body)
    }
}

fn text_stands_for(expected: &str, found: &str) -> bool {
    match expected.strip_suffix('*') {
        Some(beginning) => found.starts_with(beginning),
        None => expected == found,
    }
}

fn stands_for(expected: &Value, found: &Value) -> bool {
    match (expected, found) {
        (Value::Object(expected), Value::Object(found)) => {
            expected.len() == found.len()
                && expected
                    .iter()
                    .all(|(key, value)| found.get(key).is_some_and(|found| stands_for(value, found)))
        }
        (Value::Array(expected), Value::Array(found)) => {
            expected.len() == found.len() && expected.iter().zip(found).all(|(a, b)| stands_for(a, b))
        }
        (Value::String(anything), _) if anything == "*" => true,
        (Value::String(expected), Value::String(found)) => text_stands_for(expected, found),
        _ => expected == found,
    }
}

impl fmt::Display for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { method, target, content_type, body } = self;
        writeln!(f, "{method} {target}\n{content_type}\n{body:#}")
    }
}

/// An event about the Tenant of [`tenant`], or, without a namespace, about the SharedStack of [`shared_stack`].
pub fn event_of(regarding: &Value, type_: &str, reason: &str, action: &str, note: &str) -> Exchange {
    let meta = &regarding["metadata"];
    let mut about = json!({
        "apiVersion": regarding["apiVersion"], "kind": regarding["kind"], "name": meta["name"], "uid": meta["uid"],
    });
    let mut metadata = json!({"name": format!("{}.*", meta["name"].as_str().expect("a name"))});
    if let Some(namespace) = meta.get("namespace") {
        about["namespace"] = namespace.clone();
        metadata["namespace"] = namespace.clone();
    }
    let namespace = meta["namespace"].as_str().unwrap_or("default");
    post(
        format!("/apis/events.k8s.io/v1/namespaces/{namespace}/events"),
        json!({
            "apiVersion": "events.k8s.io/v1", "kind": "Event", "metadata": metadata, "eventTime": "*",
            "type": type_, "reason": reason, "action": action, "note": note, "regarding": about,
            "reportingController": "tenantry", "reportingInstance": INSTALLATION,
        }),
    )
}

/// An event about the Tenant of [`tenant`].
pub fn event(type_: &str, reason: &str, action: &str, note: &str) -> Exchange {
    event_of(&tenant(json!({})), type_, reason, action, note)
}

/// Where the Tenant of [`tenant`] is.
pub const TENANT: &str = "/apis/tenantry.dev/v1alpha1/namespaces/tenants/tenants/acme";

/// A Tenant at its version 7, with some of its metadata as given.
pub fn tenant(metadata: Value) -> Value {
    let whole = json!({
        "name": "acme", "namespace": "tenants", "uid": "uid-acme", "resourceVersion": "7", "generation": 3,
    });
    json!({
        "apiVersion": "tenantry.dev/v1alpha1", "kind": "Tenant", "metadata": with(whole, metadata),
        "spec": {"tenantId": "acme", "pattern": "Silo"},
    })
}

/// A SharedStack, with some of its metadata as given.
pub fn shared_stack(metadata: Value) -> Value {
    let whole = json!({"name": "standard", "uid": "uid-standard", "resourceVersion": "7", "generation": 3});
    json!({
        "apiVersion": "tenantry.dev/v1alpha1", "kind": "SharedStack", "metadata": with(whole, metadata), "spec": {},
    })
}

/// An object with some of its fields as given.
pub fn with(mut object: Value, fields: Value) -> Value {
    let fields = fields.as_object().expect("an object").clone();
    object.as_object_mut().expect("an object").extend(fields);
    object
}

/// What such JSON reads as.
pub fn read<K: DeserializeOwned>(object: Value) -> K {
    serde_json::from_value(object).expect("an object of its kind")
}

/// A cache that has these Tenants.
pub fn tenants(objects: impl IntoIterator<Item = Value>) -> Arc<Tenants> {
    let tenants = Arc::<Tenants>::default();
    objects.into_iter().for_each(|it| drop(tenants.take(watcher::Event::Apply(read(it)))));
    tenants
}

/// A cache that has these objects.
pub fn store<K>(objects: impl IntoIterator<Item = Value>) -> Store<K>
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + 'static,
{
    let (store, mut writer) = reflector::store();
    objects.into_iter().for_each(|it| writer.apply_watcher_event(&watcher::Event::Apply(read(it))));
    store
}

/// The records that lie in this bucket, all of them, for a cluster with the uid `here`.
pub fn ids(bucket: InMemory) -> Ids {
    let terms = Terms { cluster: "here".into(), ..Terms::default() };
    let scope = Scope::new(INSTALLATION, "123456789012", "eu-central-1");
    let ids = Ids::new(Records::new(Arc::new(bucket)), terms, &scope, false);
    ids.are_complete();
    ids
}

/// A process that has seen nothing yet, has no work, and cannot reach AWS. Nobody hears whom it wakes, unless a test
/// puts channels of its own in place.
pub fn context(client: Client) -> Context {
    // Its clients are made once, because reading the machine's certificates takes time.
    static AWS: LazyLock<Aws> =
        LazyLock::new(|| Aws::new(&SdkConfig::builder().build(), "123456789012", &Gate::default()));
    let reporter = Reporter { controller: "tenantry".into(), instance: Some(INSTALLATION.into()) };
    let limits = Limits { jobs: 5, interval: Duration::ZERO };
    Context {
        events: Events::new(client.clone(), reporter),
        clock: Clock::new(1),
        acts_since: Timestamp::UNIX_EPOCH,
        job_slots: JobSlots::new(limits, |at| at, |_| {}),
        reviews: Default::default(),
        models: Default::default(),
        client,
        aws: AWS.clone(),
        scope: Arc::new(Scope::new(INSTALLATION, "123456789012", "eu-central-1")),
        settings: Settings::new(INSTALLATION),
        tenants: Default::default(),
        stacks: reflector::store().0,
        namespaces: reflector::store().0,
        tenant_classes: reflector::store().0,
        classes: Default::default(),
        filled: Default::default(),
        ids: ids(InMemory::default()),
        claims: Default::default(),
        memories: Default::default(),
        wake_tenant: mpsc::unbounded_channel().0,
        wake_stack: mpsc::unbounded_channel().0,
        failures: Default::default(),
        tallies: Default::default(),
        written: Default::default(),
        reservations: Default::default(),
        ready: OnceCell::new(),
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::Namespace;
    use kube::Api;
    use kube::api::{Patch, PatchParams};

    use super::*;

    async fn change(server: &ApiServer, labels: Value) -> Result<Namespace, kube::Error> {
        let patch = Patch::Merge(json!({"metadata": {"labels": labels}}));
        Api::all(server.client()).patch("here", &PatchParams::default(), &patch).await
    }

    fn expected() -> Exchange {
        merge_patch("/api/v1/namespaces/here", json!({"metadata": {"labels": {"a": "b*"}}}))
    }

    #[tokio::test]
    async fn what_is_expected_is_answered_as_scripted() {
        let server = api_server([
            expected(),
            expected().answered(json!({"metadata": {"name": "there"}})),
            expected().refused(409),
        ]);
        let echoed = change(&server, json!({"a": "bc"})).await.unwrap();
        assert_eq!(echoed.metadata.labels.unwrap()["a"], "bc");
        assert_eq!(change(&server, json!({"a": "b"})).await.unwrap().metadata.name.unwrap(), "there");
        let refused = change(&server, json!({"a": "b"})).await.unwrap_err();
        assert!(matches!(refused, kube::Error::Api(status) if status.code == 409));
        let seen: Vec<_> = server.seen().into_iter().map(|seen| seen.body).collect();
        assert_eq!(seen[0], json!({"metadata": {"labels": {"a": "bc"}}}));
        assert_eq!(seen.len(), 3);
    }

    #[tokio::test]
    #[should_panic = "expected:\nPATCH /api/v1/namespaces/here"]
    async fn what_is_said_otherwise_fails_the_test() {
        let server = api_server([expected()]);
        let refused = change(&server, json!({"a": "c"})).await.unwrap_err();
        assert!(matches!(refused, kube::Error::Api(status) if status.code == 501));
    }

    #[tokio::test]
    #[should_panic = "expected and never asked:\nPATCH /api/v1/namespaces/here"]
    async fn what_is_missing_fails_the_test() {
        let server = api_server([expected(), expected()]);
        change(&server, json!({"a": "b"})).await.unwrap();
    }

    #[tokio::test]
    #[should_panic = "expected:\nnothing\nfound:\nPATCH /api/v1/namespaces/here"]
    async fn what_nobody_expected_fails_the_test() {
        let server = api_server([]);
        assert!(change(&server, json!({"a": "b"})).await.is_err());
    }

    #[test]
    fn requests_are_told_apart_by_each_of_their_parts() {
        let body = json!({"list": ["a", {"b": 1}], "text": "x*"});
        let Exchange { asked, .. } = post("/path/x*", body);
        let found = Asked {
            target: "/path/xy?z".into(),
            body: json!({"list": ["a", {"b": 1}], "text": "xy"}),
            ..asked.clone()
        };
        assert!(asked.stands_for(&found));
        let otherwise = |change: fn(&mut Asked)| {
            let mut found = found.clone();
            change(&mut found);
            !asked.stands_for(&found)
        };
        assert!(otherwise(|it| it.method = "PUT".into()));
        assert!(otherwise(|it| it.target = "/path/y".into()));
        assert!(otherwise(|it| it.content_type = "text/plain".into()));
        assert!(otherwise(|it| it.body["text"] = json!("y")));
        assert!(otherwise(|it| it.body["text"] = json!(null)));
        assert!(otherwise(|it| it.body["more"] = json!(null)));
        assert!(otherwise(|it| it.body["list"] = json!(["a", {"b": 2}])));
        assert!(otherwise(|it| it.body["list"] = json!(["a"])));
        assert!(otherwise(|it| it.body = json!({"list": ["a", {"b": 1}], "other": "x"})));
    }
}
