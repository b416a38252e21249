//! The bare client: it sees new Tenants by one watch, and makes the same requests for each as the operator, as many at a time.
//! It decides nothing, remembers nothing and compares nothing.

use std::sync::Arc;

use futures::{StreamExt, TryStreamExt};
use http::Request;
use kube::api::{ApiResource, DynamicObject, ListParams};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client, Config, ResourceExt};
use serde_json::{Value, json};
use tenantry::aws::Aws;
use tokio::task::JoinHandle;

use crate::fleet::Surroundings;
use crate::objects::STACK;
use crate::s3::BUCKET;
use crate::stamping::aws;

/// As many at a time as the operator has places.
const CONCURRENCY: usize = 32;
/// Objects of a page.
const PAGE: u32 = 500;
/// The Tenant whose status is the pattern of all.
const FIRST: (&str, &str) = ("team-00", "customer-00000");

pub struct Bare(JoinHandle<anyhow::Result<()>>);

fn client(around: &Surroundings) -> anyhow::Result<Client> {
    let mut config = Config::new(around.kubernetes.endpoint().parse()?);
    config.default_retry = false;
    Ok(Client::try_from(config)?)
}

fn tenants(client: Client) -> Api<DynamicObject> {
    let resource = ApiResource {
        group: "tenantry.dev".into(),
        version: "v1alpha1".into(),
        api_version: "tenantry.dev/v1alpha1".into(),
        kind: "Tenant".into(),
        plural: "tenants".into(),
    };
    Api::all_with(client, &resource)
}

/// The status of a Tenant, as the operator left it.
pub async fn status(around: &Surroundings) -> anyhow::Result<Value> {
    let path = format!("/apis/tenantry.dev/v1alpha1/namespaces/{}/tenants/{}", FIRST.0, FIRST.1);
    let tenant: Value = client(around)?.request(Request::get(path).body(Vec::new())?).await?;
    Ok(tenant["status"].clone())
}

/// What every process must read before it can work: all Tenants, page by page. Nothing is read of them but where the next page
/// begins. What else a process reads it can read beside that.
pub async fn list_tenants(around: &Surroundings) -> anyhow::Result<()> {
    let client = client(around)?;
    let mut next = String::new();
    loop {
        let path = format!("/apis/tenantry.dev/v1alpha1/tenants?limit={PAGE}&continue={next}");
        let page = client.request_text(Request::get(path).body(Vec::new())?).await?;
        let (_, rest) = page.split_once(r#""continue":""#).unwrap_or_default();
        next = rest.split('"').next().unwrap_or_default().to_owned();
        if next.is_empty() {
            return Ok(());
        }
    }
}

impl Bare {
    /// Works from now on. `status` is what it writes into each.
    pub async fn start(around: &Surroundings, status: Value) -> anyhow::Result<Self> {
        let client = client(around)?;
        let api = tenants(client.clone());
        // So that its connection stands.
        api.list(&ListParams::default()).await?;
        let worker =
            Arc::new(Worker { client, aws: aws(around.s3.endpoint()).await, status: status.to_string() });
        let new = watcher(api, watcher::Config::default()).applied_objects();
        let new = new.try_filter(|tenant| std::future::ready(tenant.finalizers().is_empty()));
        let work = new.map(move |tenant| {
            let worker = worker.clone();
            async move { worker.onboard(&tenant?).await }
        });
        let work = work.buffer_unordered(CONCURRENCY).try_collect::<()>();
        let work = tokio::spawn(work);
        // Its watch stands.
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        Ok(Self(work))
    }

    pub fn stop(self) {
        self.0.abort();
    }
}

struct Worker {
    client: Client,
    aws: Aws,
    status: String,
}

impl Worker {
    async fn onboard(&self, tenant: &DynamicObject) -> anyhow::Result<()> {
        let (namespace, name) = (tenant.namespace().unwrap_or_default(), tenant.name_any());
        let path = format!("/apis/tenantry.dev/v1alpha1/namespaces/{namespace}/tenants/{name}");
        self.get(&format!("/api/v1/namespaces/{namespace}")).await?;
        let hold = json!([
            {"op": "test", "path": "/metadata/uid", "value": tenant.uid()},
            {"op": "test", "path": "/metadata/resourceVersion", "value": tenant.resource_version()},
            {"op": "add", "path": "/metadata/finalizers", "value": ["tenantry.dev/bench"]},
        ]);
        let held: Value = self.send("PATCH", &path, "application/json-patch+json", &hold).await?;
        self.get(&format!("/apis/tenantry.dev/v1alpha1/sharedstacks/{STACK}")).await?;
        let record = serde_json::to_vec_pretty(&json!({
            "tenantId": name, "state": "Held", "since": "2026-01-01T00:00:00Z", "nonce": "0".repeat(32),
            "holder": {"namespace": namespace, "name": name, "uid": tenant.uid(), "pattern": "Pool", "stack": STACK,
                "cluster": "00000002-0000-4000-8000-000000000002", "namespaceUid": "00000002-0000-4000-8000-000000000002"},
        }))?;
        self.aws.objects.put(BUCKET, &format!("tenants/{name}.json"), record, "application/json").await?;
        let status: Value = serde_json::from_str(&self.status.replace("customer-00000", &name))?;
        let version = &held["metadata"]["resourceVersion"];
        let status = json!({"metadata": {"resourceVersion": version}, "status": status});
        self.send("PATCH", &format!("{path}/status"), "application/merge-patch+json", &status).await?;
        let event = json!({
            "apiVersion": "events.k8s.io/v1", "kind": "Event", "eventTime": "2026-01-01T00:00:00.000000Z",
            "metadata": {"name": format!("{name}.0"), "namespace": namespace},
            "type": "Normal", "reason": "Ready", "action": "Reconcile", "note": "The stack is ready to query",
            "regarding": {"apiVersion": "tenantry.dev/v1alpha1", "kind": "Tenant", "name": name,
                "namespace": namespace, "uid": tenant.uid()},
            "reportingController": "tenantry", "reportingInstance": "bench",
        });
        let path = format!("/apis/events.k8s.io/v1/namespaces/{namespace}/events");
        self.send("POST", &path, "application/json", &event).await.map(drop)
    }

    async fn get(&self, path: &str) -> anyhow::Result<()> {
        let accept = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";
        let request = Request::get(path).header("accept", accept).body(Vec::new())?;
        self.client.request_text(request).await.map(drop).map_err(Into::into)
    }

    async fn send(&self, method: &str, path: &str, content: &str, body: &Value) -> anyhow::Result<Value> {
        let request = Request::builder().method(method).uri(path).header("content-type", content);
        Ok(self.client.request(request.body(serde_json::to_vec(body)?)?).await?)
    }
}
