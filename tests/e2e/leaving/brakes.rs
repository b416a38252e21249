//! What holds a deletion up: its grace, a change of mind, and the pause.

use std::time::Duration;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{Api, CustomResourceExt};
use serde_json::json;
use tenantry::api::{PAUSED, SharedStack, Tenant};

use crate::bed::another;
use crate::inventory;
use crate::world::{World, world, world_in, world_with};

const STACK: &str =
    "{kind: SharedStack, metadata: {name: standard}, spec: {pool: {}, deletionPolicy: Delete}}";
const TENANT: &str = "
    kind: Tenant
    metadata: {name: acme}
    spec: {tenantId: acme, pattern: Pool, stackRef: {name: standard}, deletionPolicy: Delete}";

/// A Pool tenant with a document that is indexed.
async fn acme(w: &World) {
    w.apply(STACK).await;
    w.apply(TENANT).await;
    w.ready("acme").await;
    w.upload("acme", &[("hours.md", "The office opens at nine.")]).await;
    w.condition("SharedStack/standard", "DocumentsCurrent=True/Synced").await;
}

#[tokio::test]
async fn deletion_begins_when_its_grace_is_over() {
    // Ten seconds, as the clock of these tests goes.
    world_with(
        |settings| settings.deletion_grace = Duration::from_secs(100),
        |w| async move {
            acme(&w).await;
            let mark = w.double.mark().await;
            w.delete("acme").await;
            let waits = w.condition("acme", "Ready=False/GracePeriod").await;
            assert!(waits.is("Reconciling=True/GracePeriod"), "{}", waits.describe());
            assert!(waits.message("Ready").contains("Retain"), "it says what saves it: {}", waits.describe());
            let asked = waits.meta.deletion_timestamp.unwrap().0.as_second() as f64;
            w.gone("acme").await;
            let writes = w.double.journal(mark).await.mutating();
            assert!(
                writes[0].time >= asked + 10.0,
                "deletion began {} s after {asked}:\n{writes}",
                writes[0].time - asked
            );
        },
    )
    .await;
}

#[tokio::test]
async fn setting_retain_within_the_grace_saves_everything() {
    world_with(
        |settings| settings.deletion_grace = Duration::from_secs(36_000),
        |w| async move {
            acme(&w).await;
            let bucket = w.get("acme").await.status.bucket.unwrap();
            let mut expected = inventory::names(&w.inventory().await);
            let mark = w.double.mark().await;
            w.delete("acme").await;
            w.condition("acme", "Ready=False/GracePeriod").await;
            w.patch("acme", json!({"spec": {"deletionPolicy": "Retain"}})).await;
            w.gone("acme").await;
            expected.insert(format!("object {bucket}/tenantry/retained/acme.json"));
            assert_eq!(inventory::names(&w.inventory().await), expected);
            let writes = w.double.journal(mark).await.mutating();
            assert_eq!(writes.len(), 1, "the marker, and nothing else:\n{writes}");
        },
    )
    .await;
}

#[tokio::test]
async fn a_paused_object_is_not_worked_on() {
    world(|w| async move {
        let mark = w.double.mark().await;
        let paused = format!(
            "{{kind: Tenant, metadata: {{name: acme, annotations: {{{PAUSED}: 'true'}}}},
               spec: {{tenantId: acme, pattern: Silo, deletionPolicy: Delete}}}}"
        );
        w.apply(&paused).await;
        let told = w.condition("acme", "Paused=True").await;
        assert!(told.is("Ready=False/Paused") && told.meta.finalizers.is_none(), "{}", told.describe());
        assert_eq!(told.status.observed_generation, told.meta.generation);
        assert!(w.double.journal(mark).await.mutating().is_empty());
        w.annotate("acme", PAUSED, None).await;
        let ready = w.ready("acme").await;
        assert!(ready.condition("Paused").is_none(), "{}", ready.describe());
    })
    .await;
}

#[tokio::test]
async fn a_paused_object_is_not_taken_apart() {
    world(|w| async move {
        acme(&w).await;
        let mark = w.double.mark().await;
        for object in ["acme", "SharedStack/standard"] {
            w.annotate(object, PAUSED, Some("true")).await;
            w.condition(object, "Paused=True").await;
            w.delete(object).await;
            // Deletion is a new generation: what speaks of it has seen it.
            let told = w
                .until(object, "is paused in its deletion", |told| {
                    told.is_leaving() && told.is("Paused=True")
                })
                .await;
            assert!(
                !told.is("Ready=True"),
                "nothing is Ready while it is being deleted: {}",
                told.describe()
            );
            assert!(told.meta.finalizers.is_some());
        }
        assert!(w.double.journal(mark).await.mutating().is_empty());
        w.annotate("acme", PAUSED, None).await;
        w.annotate("SharedStack/standard", PAUSED, None).await;
        w.gone("acme").await;
        w.gone("SharedStack/standard").await;
    })
    .await;
}

/// Deleting a definition deletes every object of its kind, whatever any policy or admission says. Nobody's documents go.
#[tokio::test]
async fn deleting_a_definition_deletes_nothing_in_aws() {
    let test = async |w: World| {
        w.start_operator().await;
        w.granted().await;
        acme(&w).await;
        w.apply("{kind: Tenant, metadata: {name: silo}, spec: {tenantId: silo, pattern: Silo, deletionPolicy: Delete}}").await;
        w.ready("silo").await;
        let before = inventory::resources(&w.inventory().await);
        let mark = w.double.mark().await;
        let definitions: Api<CustomResourceDefinition> = Api::all(w.client.clone());
        for definition in [Tenant::crd_name(), SharedStack::crd_name()] {
            definitions.delete(definition, &Default::default()).await.unwrap();
            let gone = async || definitions.get_opt(definition).await.unwrap().is_none().then_some(());
            w.eventually("the definition is gone", gone).await;
        }
        assert_eq!(inventory::resources(&w.inventory().await), before);
        let deleted = w.double.journal(mark).await.only(|call| call.operation.starts_with("Delete"));
        assert!(deleted.is_empty(), "{deleted}");
    };
    world_in(another().await, |_| {}, test).await;
}
