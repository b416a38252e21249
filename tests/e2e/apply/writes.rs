//! What onboarding costs: the hold comes first, and a Pool tenant costs next to nothing.

use std::sync::{Arc, Mutex};

use futures::StreamExt;
use k8s_openapi::api::admissionregistration::v1::{
    ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding,
};
use kube::api::{DeleteParams, Patch, PatchParams};
use kube::core::WatchEvent;
use kube::{Api, ResourceExt};
use serde_json::{Value, json};
use tenantry::api::{Tenant, finalizer_name};

use crate::support::world::{INSTALLATION, LABEL, World, world};

/// A Pool tenant is onboarded with two writes, its hold and its status, and without AWS being asked anything.
#[tokio::test]
async fn a_pool_tenant_costs_two_writes_and_its_record() {
    world(|w| async move {
        w.apply("{kind: SharedStack, metadata: {name: standard}, spec: {pool: {}}}").await;
        let stack = w.ready("SharedStack/standard").await;
        // Once it has had a job, an idle stack asks AWS nothing.
        let bucket = stack.status.bucket.unwrap();
        w.sdk.upload(&bucket, "pool/nobody/x.md", "A document.").await;
        w.condition("SharedStack/standard", "DocumentsCurrent=True/Synced").await;

        let mark = w.double.mark().await;
        let seen = Arc::new(Mutex::new(Vec::new()));
        let tenants: Api<Tenant> = Api::namespaced(w.client.clone(), &w.namespace_name(""));
        let mut changes = tenants.watch(&Default::default(), "0").await.unwrap().boxed();
        let watching = tokio::spawn({
            let seen = seen.clone();
            async move {
                while let Some(change) = changes.next().await {
                    if let WatchEvent::Added(tenant) | WatchEvent::Modified(tenant) = change.unwrap() {
                        seen.lock().unwrap().push(tenant);
                    }
                }
            }
        });
        for name in ["acme", "umbrella"] {
            w.apply(&format!(
                "
                kind: Tenant
                metadata: {{name: {name}}}
                spec: {{tenantId: {name}, pattern: Pool, stackRef: {{name: standard}}}}"
            ))
            .await;
            w.ready(name).await;
        }
        // A change of our own, after which the watch has shown all that was before.
        w.annotate("acme", "e2e/last", Some("true")).await;
        w.eventually("the watch has caught up", || async {
            let seen = seen.lock().unwrap();
            seen.last().is_some_and(|tenant| tenant.annotations().contains_key("e2e/last")).then_some(())
        })
        .await;
        watching.abort();

        for name in ["acme", "umbrella"] {
            let seen = seen.lock().unwrap();
            let own: Vec<_> = seen.iter().filter(|tenant| tenant.name_any() == name).collect();
            let own: Vec<_> =
                own.iter().filter(|tenant| !tenant.annotations().contains_key("e2e/last")).collect();
            let held: Vec<_> = own.iter().map(|tenant| !tenant.finalizers().is_empty()).collect();
            assert_eq!(held, [false, true, true], "{name}: created, held, reported");
        }
        let journal = w.double.journal(mark).await;
        let asked: Vec<_> =
            journal.iter().map(|call| format!("{} {}", call.operation, call.resource)).collect();
        let record = |id: &str| format!("PutObject {}/tenants/{id}.json", w.records());
        assert_eq!(asked, [record("acme"), record("umbrella")], "AWS was asked:\n{journal}");
        w.event("acme", "Ready").await;
        assert_eq!(
            w.events("acme").await.len(),
            1,
            "a Pool tenant that simply becomes Ready makes one event"
        );
    })
    .await;
}

/// Where the hold cannot be written, nothing is written to AWS: a policy of the API server refuses the hold until the
/// operator has tried several times.
#[tokio::test]
async fn the_hold_comes_before_the_first_aws_write() {
    world(|w| async move {
        let policy = HoldsAreRefused::install(&w).await;
        let mark = w.double.mark().await;
        w.apply("{kind: Tenant, metadata: {name: acme}, spec: {tenantId: acme, pattern: Silo}}").await;
        w.apply("{kind: SharedStack, metadata: {name: standard}, spec: {pool: {}}}").await;
        let before = policy.refusals(&w).await;
        w.eventually("the hold was refused six more times", || async {
            (policy.refusals(&w).await >= before + 6).then_some(())
        })
        .await;
        let writes = w.double.journal(mark).await.mutating();
        assert!(writes.is_empty(), "there was no hold, and yet:\n{writes}");
        assert!(w.get("acme").await.meta.finalizers.is_none());

        policy.remove(&w).await;
        for object in ["acme", "SharedStack/standard"] {
            let ready = w.ready(object).await;
            assert_eq!(ready.meta.finalizers, Some(vec![finalizer_name(INSTALLATION)]));
        }
    })
    .await;
}

const NO_HOLDS: &str = "no holds today";

/// An admission policy that refuses the hold on one world's objects.
struct HoldsAreRefused {
    name: String,
}

impl HoldsAreRefused {
    async fn install(w: &World) -> Self {
        let name = format!("no-holds-{}", w.suffix);
        let object = |spec: Value| json!({"metadata": {"name": name}, "spec": spec});
        let policy: ValidatingAdmissionPolicy = serde_json::from_value(object(json!({
            "failurePolicy": "Fail",
            "matchConstraints": {"resourceRules": [{
                "apiGroups": ["tenantry.dev"], "apiVersions": ["*"], "operations": ["CREATE", "UPDATE"],
                "resources": ["tenants", "sharedstacks"],
            }]},
            "validations": [{"expression": "!has(object.metadata.finalizers)", "message": NO_HOLDS}],
        })))
        .unwrap();
        let binding: ValidatingAdmissionPolicyBinding = serde_json::from_value(object(json!({
            "policyName": name, "validationActions": ["Deny"],
            "matchResources": {"objectSelector": {"matchLabels": {LABEL: w.suffix}}},
        })))
        .unwrap();
        Api::all(w.client.clone()).create(&Default::default(), &policy).await.unwrap();
        Api::all(w.client.clone()).create(&Default::default(), &binding).await.unwrap();
        // The API server acts on it after a moment.
        let yaml = "{kind: Tenant, metadata: {name: probe}, spec: {tenantId: probe, pattern: Silo}}";
        let mut probe = w.objects(yaml).remove(0);
        probe["metadata"]["finalizers"] = json!(["tenantry.dev/probe"]);
        let tenants: Api<Tenant> = Api::namespaced(w.client.clone(), &w.namespace_name(""));
        w.eventually("holds are refused", || async {
            let dry_run = PatchParams { dry_run: true, ..PatchParams::apply("e2e") };
            let answer = tenants.patch("probe", &dry_run, &Patch::Apply(&probe)).await;
            answer.err().filter(|error| error.to_string().contains(NO_HOLDS))
        })
        .await;
        Self { name }
    }

    /// How often it has refused, by the API server's own count.
    async fn refusals(&self, w: &World) -> u64 {
        let metrics = w.kubectl(&["get", "--raw", "/metrics"]).await;
        let name = format!(r#"policy="{}""#, self.name);
        let counts = metrics.lines().filter(|line| {
            line.starts_with("apiserver_validating_admission_policy_check_total")
                && line.contains(r#"enforcement_action="deny""#)
                && line.contains(&name)
        });
        counts.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum::<f64>() as u64
    }

    async fn remove(self, w: &World) {
        let bindings: Api<ValidatingAdmissionPolicyBinding> = Api::all(w.client.clone());
        let policies: Api<ValidatingAdmissionPolicy> = Api::all(w.client.clone());
        bindings.delete(&self.name, &DeleteParams::default()).await.unwrap();
        policies.delete(&self.name, &DeleteParams::default()).await.unwrap();
    }
}
