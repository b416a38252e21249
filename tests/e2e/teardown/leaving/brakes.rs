//! What holds a deletion up: its grace, a change of mind, and the pause.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{Api, CustomResourceExt};
use serde_json::json;
use tenantry::api::{PAUSED, SharedStack, Tenant};
use tenantry::settings::Settings;

use crate::support::bed::another;
use crate::support::inventory;
use crate::support::objects::Object;
use crate::support::world::{World, world, world_in, world_with};

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

/// Waits until the clock on the wall shows this: what is waited for is that something does not count.
async fn wait_until(w: &World, moment: f64) {
    let is_over = async || (Timestamp::now().as_millisecond() as f64 / 1000.0 > moment).then_some(());
    w.eventually("the time has come", is_over).await;
}

fn now() -> f64 {
    Timestamp::now().as_millisecond() as f64 / 1000.0
}

/// Six seconds, as the clock of these tests goes.
fn with_a_grace(settings: &mut Settings) {
    settings.deletion_grace = Duration::from_secs(60);
}

const GRACE: f64 = 6.0;

/// Nothing was deleted before the grace was over that began at `since`, in seconds; and both were told.
async fn was_given_its_grace(w: &World, mark: u64, leaving: &Object, since: f64) {
    w.gone("acme").await;
    let writes = w.double.journal(mark).await.mutating();
    let first = writes[0].time - since;
    // Stamps are whole seconds.
    assert!(first >= GRACE - 1.0, "deletion began {first} s after it could:\n{writes}");
    for reason in ["GracePeriod", "Deleting"] {
        assert!(!w.last_word(leaving, reason).await.is_empty());
    }
}

#[tokio::test]
async fn the_grace_does_not_run_out_during_a_pause() {
    world_with(with_a_grace, |w| async move {
        acme(&w).await;
        let mark = w.double.mark().await;
        w.annotate("acme", PAUSED, Some("Yes")).await;
        w.condition("acme", "Paused=True").await;
        w.delete("acme").await;
        let paused =
            w.until("acme", "is paused in its deletion", |told| told.is_leaving() && told.is("Paused=True"));
        let asked = paused.await.meta.deletion_timestamp.unwrap().0.as_second() as f64;
        wait_until(&w, asked + GRACE + 1.0).await;
        let resumed = now();
        w.annotate("acme", PAUSED, None).await;
        let leaving = w.condition("acme", "Ready=False/GracePeriod").await;
        was_given_its_grace(&w, mark, &leaving, resumed).await;
    })
    .await;
}

#[tokio::test]
async fn the_grace_does_not_run_out_while_the_operator_is_down() {
    world_with(with_a_grace, |w| async move {
        acme(&w).await;
        w.stop_operator().await;
        let mark = w.double.mark().await;
        w.delete("acme").await;
        let asked = w.get("acme").await.meta.deletion_timestamp.unwrap().0.as_second() as f64;
        wait_until(&w, asked + GRACE + 1.0).await;
        w.start_operator().await;
        let begun = w.until("acme", "has its grace", |told| told.status.grace_started_time.is_some()).await;
        let first = begun.status.grace_started_time.unwrap().0;
        // It ends while nobody is there.
        w.stop_operator().await;
        assert!(
            w.double
                .journal(mark)
                .await
                .mutating()
                .only(|call| call.operation.starts_with("Delete"))
                .is_empty()
        );
        wait_until(&w, first.as_second() as f64 + GRACE + 1.0).await;
        let back = now();
        w.start_operator().await;
        let anew = w.until("acme", "has its grace anew", |told| {
            told.status.grace_started_time.as_ref().is_some_and(|began| began.0 > first)
        });
        let leaving = anew.await;
        was_given_its_grace(&w, mark, &leaving, back).await;
    })
    .await;
}

#[tokio::test]
async fn a_process_that_takes_over_does_not_begin_the_grace_anew() {
    let test = |w: World| async move {
        acme(&w).await;
        w.delete("acme").await;
        let before = w.condition("acme", "Ready=False/GracePeriod").await;
        w.restart_operator().await;
        // What wakes it shows that the new process has looked.
        w.annotate("acme", PAUSED, Some("false")).await;
        w.patch("acme", json!({"spec": {"deletionPolicy": "RetainDocuments"}})).await;
        let after = w.until("acme", "was looked at again", |told| {
            told.status.observed_generation == told.meta.generation
                && told.meta.generation > before.meta.generation
        });
        let after = after.await;
        assert!(after.is("Ready=False/GracePeriod"), "{}", after.describe());
        assert_eq!(after.status.grace_started_time, before.status.grace_started_time);
        w.patch("acme", json!({"spec": {"deletionPolicy": "Retain"}})).await;
        w.gone("acme").await;
    };
    world_with(|settings| settings.deletion_grace = Duration::from_secs(36_000), test).await;
}

#[tokio::test]
async fn a_pause_that_is_spelt_otherwise_or_not_understood_lets_nothing_be_deleted() {
    world(|w| async move {
        acme(&w).await;
        let mark = w.double.mark().await;
        for (value, told) in [
            ("ja", "Paused=True/AnnotationInvalid"),
            ("True", "Paused=True/Paused"),
            ("", "Paused=True/AnnotationInvalid"),
            (" 1", "Paused=True/Paused"),
        ] {
            for object in ["acme", "SharedStack/standard"] {
                w.annotate(object, PAUSED, Some(value)).await;
                w.condition(object, told).await;
            }
        }
        w.annotate("acme", PAUSED, Some("until Monday")).await;
        w.condition("acme", "Paused=True/AnnotationInvalid").await;
        w.delete("acme").await;
        let leaving = w
            .until("acme", "is paused in its deletion", |told| {
                told.is_leaving() && told.is("Ready=False/AnnotationInvalid")
            })
            .await;
        assert!(w.double.journal(mark).await.mutating().is_empty());
        assert!(w.last_word(&leaving, "AnnotationInvalid").await.contains(PAUSED));
        w.annotate("SharedStack/standard", PAUSED, None).await;
        w.annotate("acme", PAUSED, Some("No")).await;
        w.gone("acme").await;
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
