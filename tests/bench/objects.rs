//! The objects of the bench's API server.

use std::collections::BTreeMap;
use std::ops::Bound;

use hyper::body::Bytes;
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};
use tokio::sync::mpsc::UnboundedSender;

/// The collection of all Tenants.
const TENANTS: &str = "/apis/tenantry.dev/v1alpha1/tenants";
/// The namespaces in which Tenants are, as many in each.
const NAMESPACES: usize = 100;
/// The SharedStack that they borrow from.
pub const STACK: &str = "standard";

/// Why a request is refused.
pub struct Refused(pub u16, pub &'static str);

/// What is asked for.
pub struct Asked {
    /// The path of all objects of the kind, whatever namespace is asked for.
    pub collection: String,
    pub namespace: String,
    pub name: String,
    pub of_status: bool,
    /// Whether only the metadata are wanted.
    pub metadata_only: bool,
    query: BTreeMap<String, String>,
}

impl Asked {
    pub fn new(path: &str, query: &str, accepts: &str) -> Self {
        let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
        let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        let query = pairs.map(|(name, value)| (decoded(name), decoded(value))).collect();
        let parts: Vec<_> = path.trim_matches('/').split('/').collect();
        let (api, rest) = parts.split_at(parts.len().min(if path.starts_with("/api/") { 2 } else { 3 }));
        let (namespace, rest) = match rest {
            ["namespaces", namespace, rest @ ..] if !rest.is_empty() => (*namespace, rest),
            _ => ("", rest),
        };
        let part = |at: usize| rest.get(at).copied().unwrap_or_default();
        Self {
            collection: format!("/{}/{}", api.join("/"), part(0)),
            namespace: namespace.into(),
            name: decoded(part(1)),
            of_status: part(2) == "status",
            metadata_only: accepts.contains("as=PartialObjectMetadata"),
            query,
        }
    }

    pub fn query(&self, name: &str) -> Option<&str> {
        self.query.get(name).map(String::as_str)
    }

    pub fn subresource(&self) -> &'static str {
        if self.of_status { "/status" } else { "" }
    }

    fn key(&self) -> Key {
        (self.namespace.clone(), self.name.clone())
    }

    fn limit(&self) -> usize {
        self.query("limit")
            .and_then(|limit| limit.parse().ok())
            .filter(|limit| *limit > 0)
            .unwrap_or(usize::MAX)
    }
}

/// Namespace and name.
type Key = (String, String);

struct Object {
    value: Value,
    text: Bytes,
    version: u64,
}

impl Object {
    fn shown(&self, metadata_only: bool) -> Bytes {
        if metadata_only { partial(&self.value).to_string().into() } else { self.text.clone() }
    }
}

fn partial(value: &Value) -> Value {
    json!({"apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata", "metadata": value["metadata"]})
}

struct Watch {
    metadata_only: bool,
    events: UnboundedSender<Bytes>,
}

#[derive(Default)]
struct Collection {
    objects: BTreeMap<Key, Object>,
    watches: Vec<Watch>,
}

/// All that is there.
pub struct Objects {
    version: u64,
    collections: BTreeMap<String, Collection>,
    tenants: usize,
    ready: usize,
}

impl Default for Objects {
    fn default() -> Self {
        let mut objects = Self { version: 0, collections: BTreeMap::new(), tenants: 0, ready: 0 };
        for name in ["kube-system", "default", "tenantry"]
            .map(String::from)
            .into_iter()
            .chain((0..NAMESPACES).map(namespace))
        {
            let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
            objects.add("/api/v1/namespaces", namespace);
        }
        for plural in tenantry::api::crds::crds().into_iter().map(|it| it.spec.names.plural) {
            let definition = json!({
                "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
                "metadata": {"name": format!("{plural}.tenantry.dev")},
                "spec": {"group": "tenantry.dev", "scope": "Namespaced", "versions": [], "names": {"kind": "Any", "plural": plural}},
                "status": {"conditions": [{"type": "Established", "status": "True"}]},
            });
            objects.add("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", definition);
        }
        objects.add("/apis/tenantry.dev/v1alpha1/sharedstacks", crate::fleet::stack());
        objects
    }
}

fn namespace(n: usize) -> String {
    format!("team-{:02}", n % NAMESPACES)
}

impl Objects {
    /// So many more Tenants, in all namespaces in turn.
    pub fn add_tenants(&mut self, count: usize) {
        for n in self.tenants..self.tenants + count {
            let name = format!("customer-{n:05}");
            self.add(TENANTS, json!({
                "apiVersion": "tenantry.dev/v1alpha1", "kind": "Tenant",
                "metadata": {"name": name, "namespace": namespace(n)},
                "spec": {"tenantId": name, "pattern": "Pool", "stackRef": {"name": STACK}, "deletionPolicy": "Retain"},
            }));
        }
        self.tenants += count;
    }

    pub fn ready(&self) -> usize {
        self.ready
    }

    fn add(&mut self, collection: &str, mut value: Value) {
        self.version += 1;
        let meta = &mut value["metadata"];
        meta["uid"] = format!("{:08x}-0000-4000-8000-{:012x}", self.version, self.version).into();
        meta["generation"] = 1.into();
        meta["creationTimestamp"] = "2026-01-01T00:00:00Z".into();
        self.put(collection, value, "ADDED");
    }

    /// Stores an object under a new version, and tells the watches.
    fn put(&mut self, path: &str, mut value: Value, event: &str) -> Bytes {
        self.version += 1;
        value["metadata"]["resourceVersion"] = self.version.to_string().into();
        let name = |field: &str| value["metadata"][field].as_str().unwrap_or_default().to_owned();
        let key = (name("namespace"), name("name"));
        let text = Bytes::from(value.to_string());
        let object = Object { value, text: text.clone(), version: self.version };
        let collection = self.collections.entry(path.into()).or_default();
        collection.watches.retain(|watch| {
            let told = told(event, &object.shown(watch.metadata_only));
            watch.events.send(told).is_ok()
        });
        let is_ready = usize::from(path == TENANTS && is_ready(&object.value));
        let before = collection.objects.insert(key, object);
        self.ready += is_ready;
        self.ready -= before.map_or(0, |before| usize::from(path == TENANTS && is_ready_value(&before)));
        text
    }

    fn found(&self, asked: &Asked) -> Result<&Object, Refused> {
        let collection = self.collections.get(&asked.collection);
        collection.and_then(|all| all.objects.get(&asked.key())).ok_or(Refused(404, "NotFound"))
    }

    pub fn get(&self, asked: &Asked) -> Result<Bytes, Refused> {
        Ok(self.found(asked)?.shown(asked.metadata_only))
    }

    /// How many objects the page has that is asked for.
    pub fn page(&self, asked: &Asked) -> u32 {
        let all = self.collections.get(&asked.collection).map_or(0, |all| all.objects.len());
        u32::try_from(all.min(asked.limit())).unwrap_or(u32::MAX)
    }

    pub fn list(&self, asked: &Asked) -> Bytes {
        let from = match asked.query("continue").and_then(|token| token.split_once('/')) {
            Some((namespace, name)) => Bound::Excluded((namespace.to_owned(), name.to_owned())),
            None => Bound::Unbounded,
        };
        let mut items = Vec::new();
        let (mut last, mut next) = (String::new(), String::new());
        let all = self.collections.get(&asked.collection);
        for (key, object) in
            all.into_iter().flat_map(|all| all.objects.range((from.clone(), Bound::Unbounded)))
        {
            if items.len() == asked.limit() {
                next = std::mem::take(&mut last);
                break;
            }
            if asked.namespace.is_empty() || asked.namespace == key.0 {
                items.push(object.shown(asked.metadata_only));
                last = format!("{}/{}", key.0, key.1);
            }
        }
        let (api, kind) = match (asked.metadata_only, asked.collection.rsplit('/').next()) {
            (true, _) => ("meta.k8s.io/v1", "PartialObjectMetadataList"),
            (_, Some("tenants")) => ("tenantry.dev/v1alpha1", "TenantList"),
            (_, Some("sharedstacks")) => ("tenantry.dev/v1alpha1", "SharedStackList"),
            _ => ("v1", "List"),
        };
        let mut text = format!(
            r#"{{"apiVersion":"{api}","kind":"{kind}","metadata":{{"resourceVersion":"{}","continue":"{next}"}},"items":["#,
            self.version
        )
        .into_bytes();
        for (n, item) in items.iter().enumerate() {
            text.extend_from_slice(if n > 0 { b"," } else { b"" });
            text.extend_from_slice(item);
        }
        text.extend_from_slice(b"]}");
        text.into()
    }

    /// Events are not kept: nobody reads them.
    pub fn create(&mut self, asked: &Asked, mut value: Value) -> Result<Bytes, Refused> {
        if asked.collection.ends_with("/events") {
            return Ok(value.to_string().into());
        }
        value["metadata"]["namespace"] = asked.namespace.clone().into();
        self.add(&asked.collection, value);
        let key = self
            .collections
            .get(&asked.collection)
            .and_then(|all| all.objects.values().max_by_key(|it| it.version));
        key.map(|made| made.text.clone()).ok_or(Refused(500, "InternalError"))
    }

    pub fn replace(&mut self, asked: &Asked, value: Value) -> Result<Bytes, Refused> {
        let found = self.found(asked)?;
        if value["metadata"]["resourceVersion"] != found.value["metadata"]["resourceVersion"] {
            return Err(Refused(409, "Conflict"));
        }
        Ok(self.put(&asked.collection, value, "MODIFIED"))
    }

    pub fn patch(&mut self, asked: &Asked, content: &str, patch: Value) -> Result<Bytes, Refused> {
        if asked.collection.ends_with("/events") {
            return Ok(patch.to_string().into());
        }
        let found = self.found(asked)?;
        let mut value = found.value.clone();
        if content == "application/json-patch+json" {
            let operations: json_patch::Patch =
                serde_json::from_value(patch).map_err(|_| Refused(400, "BadRequest"))?;
            json_patch::patch(&mut value, &operations).map_err(|_| Refused(422, "Invalid"))?;
        } else {
            let version = &patch["metadata"]["resourceVersion"];
            if version.is_string() && *version != found.value["metadata"]["resourceVersion"] {
                return Err(Refused(409, "Conflict"));
            }
            json_patch::merge(&mut value, &patch);
        }
        // A patch of the one part leaves the other alone.
        let other = if asked.of_status { "spec" } else { "status" };
        value[other] = found.value[other].clone();
        if asked.of_status {
            value["metadata"] = found.value["metadata"].clone();
        }
        if value[other].is_null() {
            value.as_object_mut().map(|all| all.remove(other));
        }
        if value == found.value {
            return Ok(found.text.clone());
        }
        if value["spec"] != found.value["spec"] {
            value["metadata"]["generation"] =
                (value["metadata"]["generation"].as_i64().unwrap_or(0) + 1).into();
        }
        Ok(self.put(&asked.collection, value, "MODIFIED"))
    }

    /// Tells of everything that is newer than a version, and then of every change.
    pub fn watch(&mut self, asked: &Asked, events: UnboundedSender<Bytes>) {
        let since = asked.query("resourceVersion").and_then(|version| version.parse().ok()).unwrap_or(0);
        let collection = self.collections.entry(asked.collection.clone()).or_default();
        let mut newer: Vec<_> = collection.objects.values().filter(|object| object.version > since).collect();
        newer.sort_by_key(|object| object.version);
        for object in newer {
            let _ = events.send(told("MODIFIED", &object.shown(asked.metadata_only)));
        }
        collection.watches.push(Watch { metadata_only: asked.metadata_only, events });
    }

    pub fn end_watch(&mut self, collection: &str, events: &UnboundedSender<Bytes>) {
        if let Some(collection) = self.collections.get_mut(collection) {
            collection.watches.retain(|watch| !watch.events.same_channel(events));
        }
    }

    pub fn bookmark(&self, collection: &str, metadata_only: bool) -> Bytes {
        let any = self.collections.get(collection).and_then(|all| all.objects.values().next());
        let kind =
            any.map(|object| if metadata_only { partial(&object.value) } else { object.value.clone() });
        let (api, kind) =
            kind.map_or((Value::Null, Value::Null), |it| (it["apiVersion"].clone(), it["kind"].clone()));
        let mark = json!({"apiVersion": api, "kind": kind, "metadata": {"resourceVersion": self.version.to_string()}});
        told("BOOKMARK", mark.to_string().as_bytes())
    }

    /// Every watch is told that its version is too old.
    pub fn expire(&mut self) {
        let status = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": "too old resource version", "reason": "Expired", "code": 410});
        for watch in self.collections.values_mut().flat_map(|all| all.watches.drain(..)) {
            let _ = watch.events.send(told("ERROR", status.to_string().as_bytes()));
        }
    }
}

fn told(event: &str, object: &[u8]) -> Bytes {
    [br#"{"type":""#, event.as_bytes(), br#"","object":"#, object, b"}\n"].concat().into()
}

fn is_ready(value: &Value) -> bool {
    let conditions = value["status"]["conditions"].as_array();
    conditions.is_some_and(|all| all.iter().any(|it| it["type"] == "Ready" && it["status"] == "True"))
}

fn is_ready_value(object: &Object) -> bool {
    is_ready(&object.value)
}
