//! Without the definitions of its kinds the operator waits; it neither dies nor needs a restart.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::json;

use crate::support::bed::{another_without_definitions, define};
use crate::support::double::Call;
use crate::support::world::{World, world_in};

#[tokio::test]
async fn definitions_are_waited_for() {
    let test = async |w: World| {
        let mut operator = w.replica("first", &[]).await;
        operator
            .says(&w, "waiting for the definitions tenants.tenantry.dev and sharedstacks.tenantry.dev and tenantclasses.tenantry.dev")
            .await;
        assert!(operator.log().contains("tenantry crds"), "it says what to do");
        assert_eq!(operator.get("/healthz").await.0, 200);
        let (ready, why) = operator.ready().await;
        assert!(!ready && why.contains("tenants.tenantry.dev"), "{why}");
        assert!(w.double.journal(0).await.is_empty(), "nothing is asked of AWS");

        define(w.bed).await;
        let ready = || async { operator.ready().await.0.then_some(()) };
        w.eventually("it is ready", ready).await;
        w.apply("{kind: Tenant, metadata: {name: acme}, spec: {tenantId: acme, pattern: Silo}}").await;
        let built = w.ready("acme").await.status.knowledge_base_id;
        assert!(built.is_some());

        // Deleted again, with all objects: those keep what they have in AWS.
        let mark = w.double.mark().await;
        let definitions: Api<CustomResourceDefinition> = Api::all(w.client.clone());
        definitions.delete("tenants.tenantry.dev", &DeleteParams::default()).await.unwrap();
        operator.says(&w, "its definition is gone").await;
        define(w.bed).await;
        w.apply("{kind: Tenant, metadata: {name: acme}, spec: {tenantId: acme, pattern: Silo}}").await;
        assert_eq!(w.ready("acme").await.status.knowledge_base_id, built, "it has what it had");
        let journal = w.double.journal(mark).await;
        // Whoever comes back needs no marker that says who has left.
        let is_marker = |call: &Call| call.text().contains("tenantry/retained/acme.json");
        let lost = journal.only(|call| call.operation.starts_with("Delete") && !is_marker(call));
        let lost: Vec<_> = lost.iter().map(Call::text).collect();
        assert!(lost.is_empty(), "its definition is gone, and it lost: {lost:?}");
        let log = operator.log();
        operator.die().await;
        assert_eq!(log.matches("serving metrics").count(), 1, "it went on without a restart");
    };
    world_in(another_without_definitions().await, |_| {}, test).await;
}

/// As after a rollback: a newer definition let in what this release does not know.
#[tokio::test]
async fn an_object_that_this_release_cannot_read_says_so_itself() {
    let test = async |w: World| {
        define(w.bed).await;
        let definitions: Api<CustomResourceDefinition> = Api::all(w.client.clone());
        let policies =
            "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/deletionPolicy/enum/-";
        let newer = json!([{"op": "add", "path": policies, "value": "Archive"}]);
        let patch = Patch::Json::<()>(serde_json::from_value(newer).unwrap());
        definitions.patch("tenants.tenantry.dev", &PatchParams::default(), &patch).await.unwrap();
        let acme = "{kind: Tenant, metadata: {name: acme}, spec: {tenantId: acme, pattern: Silo, deletionPolicy: Archive}}";
        w.eventually("the newer definition is served", || async { w.try_apply(acme).await.ok() }).await;
        // The older definition is back, and lets no such object in any more.
        define(w.bed).await;
        w.start_operator().await;
        w.granted().await;
        let told = w.condition("acme", "Accepted=False/SpecInvalid").await;
        for wanted in ["Stalled=True/SpecInvalid", "Ready=False/SpecInvalid", "Reconciling=False"] {
            assert!(told.is(wanted), "{}", told.describe());
        }
        assert!(told.message("Ready").contains("Archive"), "{}", told.describe());
        w.event("acme", "SpecInvalid").await;
        // Nobody else is held up, and once it is mended it is built.
        w.apply("{kind: Tenant, metadata: {name: other}, spec: {tenantId: other, pattern: Silo}}").await;
        w.ready("other").await;
        w.patch("acme", json!({"spec": {"deletionPolicy": "Delete"}})).await;
        w.ready("acme").await;
    };
    world_in(another_without_definitions().await, |_| {}, test).await;
}
