//! Records that do not answer, and records that are gone.

use serde_json::json;
use tenantry::settings::Settings;

use super::{STACK, tenant};
use crate::support::world::{World, world, world_without_operator};

/// While S3 does not write records, nobody new gets an id, whoever leaves waits at its last step, and others go on.
#[tokio::test]
async fn while_records_do_not_answer_others_go_on() {
    world(|w| async move {
        w.apply(STACK).await;
        w.ready("SharedStack/standard").await;
        for id in ["leaves", "stays"] {
            w.apply(&tenant("", id, id, "Pool", "Delete")).await;
            w.ready(id).await;
        }
        let away = json!({"operation": "PutObject", "resource": format!("{}/*", w.records()),
            "code": "ServiceUnavailable", "status": 503, "message": "Please reduce your request rate.", "count": 1_000_000});
        let fault = w.double.fault(away).await;
        w.apply(&tenant("", "new", "new", "Pool", "Delete")).await;
        let told = w.condition("new", "Accepted=Unknown/WaitingForRecords").await;
        assert!(told.is("Ready=False/WaitingForRecords") && told.is("Stalled=False"), "{}", told.describe());
        w.delete("leaves").await;
        let told = w.condition("leaves", "DeletionBlocked=True/WaitingForRecords").await;
        assert!(told.message("Ready").contains("s3:PutObject"), "{}", told.describe());
        w.touch("stays").await;
        w.until("stays", "was seen", |it| it.status.observed_generation == it.meta.generation).await;
        assert!(w.get("stays").await.is("Ready=True"));
        drop(fault);
        w.double.heal().await;
        w.ready("new").await;
        w.gone("leaves").await;
        assert!(w.state_of("leaves").await.starts_with("gone"));
    })
    .await;
}

/// A record that is lost is not made anew: nobody knows what else is lost.
#[tokio::test]
async fn a_lost_record_lets_nobody_in_until_somebody_says_so() {
    let test = async |w: World| {
        w.start_operator().await;
        w.apply(STACK).await;
        w.ready("SharedStack/standard").await;
        for id in ["leaves", "stays"] {
            w.apply(&tenant("", id, id, "Pool", "Delete")).await;
            w.ready(id).await;
            w.upload(id, &[("a.md", "a document")]).await;
        }
        w.stop_operator().await;
        w.lose("tenants/leaves.json").await;
        w.start_operator().await;
        w.apply(&tenant("", "new", "new", "Pool", "Delete")).await;
        let told = w.condition("new", "Accepted=Unknown/RecordsLost").await;
        assert!(told.is("Stalled=True/RecordsLost"), "{}", told.describe());
        assert!(told.message("Ready").contains("--rebuild-records"), "{}", told.describe());
        w.delete("leaves").await;
        w.condition("leaves", "DeletionBlocked=True/RecordsLost").await;
        w.touch("stays").await;
        w.until("stays", "was seen", |it| it.status.observed_generation == it.meta.generation).await;
        assert!(w.get("stays").await.is("Ready=True"));
        assert!(w.record_of("leaves").await.is_none(), "made anew by itself");
        let bucket = w.get("SharedStack/standard").await.status.bucket.unwrap();
        assert!(w.keys(&bucket, "pool/leaves/").await.contains(&"pool/leaves/a.md".to_owned()));

        w.stop_operator().await;
        let rebuilt = w.another_operator(|settings: &mut Settings| settings.rebuild_records = true).await;
        w.ready("new").await;
        w.gone("leaves").await;
        rebuilt.stop().await;
        for (id, state) in [("leaves", "gone"), ("stays", "held"), ("new", "held")] {
            assert_eq!(w.state_of(id).await, state, "{id}");
        }
        w.start_operator().await;
        w.touch("new").await;
        w.ready("new").await;
    };
    world_without_operator(|_| {}, test).await;
}

/// The whole bucket is gone: it is not made anew, because an empty one would give every id to whoever asks.
#[tokio::test]
async fn a_lost_bucket_is_not_made_anew_by_itself() {
    let test = async |w: World| {
        w.namespace("theirs", &[]).await;
        w.start_operator().await;
        w.apply(STACK).await;
        w.ready("SharedStack/standard").await;
        for (id, policy) in [("held", "Delete"), ("left", "Retain"), ("passed", "Delete")] {
            w.apply(&tenant("", id, id, "Pool", policy)).await;
            w.ready(id).await;
            w.upload(id, &[("a.md", "a document")]).await;
        }
        for id in ["left", "passed"] {
            w.delete(id).await;
            w.gone(id).await;
        }
        w.stop_operator().await;
        w.lose_records().await;
        w.start_operator().await;
        w.touch("held").await;
        w.until("held", "was seen", |it| it.status.observed_generation == it.meta.generation).await;
        assert!(w.get("held").await.is("Ready=True"));
        for id in ["left", "passed", "held"] {
            w.apply(&tenant("theirs", id, id, "Pool", "Delete")).await;
            w.until(&format!("theirs/{id}"), "is told", |it| {
                it.is("Accepted=Unknown/RecordsLost") || it.is("Accepted=False/TenantIdTaken")
            })
            .await;
        }
        assert!(w.sdk.s3.head_bucket().bucket(w.records()).send().await.is_err(), "made anew by itself");
        w.stop_operator().await;

        // What is left in the cluster and in AWS is recorded; an id of which nothing is left is forgotten.
        let rebuilt = w.another_operator(|settings: &mut Settings| settings.rebuild_records = true).await;
        w.ready("theirs/passed").await;
        for id in ["left", "held"] {
            w.condition(&format!("theirs/{id}"), "Stalled=True/TenantIdTaken").await;
        }
        rebuilt.stop().await;
        assert_eq!((w.state_of("held").await, w.state_of("left").await), ("held".into(), "retained".into()));
    };
    world_without_operator(|_| {}, test).await;
}

/// A record that is none is nobody's; whoever is asked says which it is.
#[tokio::test]
async fn a_record_that_cannot_be_read_gives_the_id_to_nobody() {
    world(|w| async move {
        w.apply(STACK).await;
        w.ready("SharedStack/standard").await;
        w.apply(&tenant("", "acme", "acme", "Pool", "Delete")).await;
        w.ready("acme").await;
        w.delete("acme").await;
        w.gone("acme").await;
        w.rewrite("tenants/acme.json", |record| *record = json!({"state": "free"})).await;
        w.apply(&tenant("", "acme", "acme", "Pool", "Delete")).await;
        let told = w.condition("acme", "Accepted=Unknown/RecordsLost").await;
        assert!(told.message("Ready").contains("tenants/acme.json"), "{}", told.describe());
        w.apply(&tenant("", "other", "other", "Pool", "Delete")).await;
        w.ready("other").await;

        // Nor does one keep a start from the others, be it that of a Tenant that is there.
        w.stop_operator().await;
        w.rewrite("tenants/other.json", |record| *record = json!({"state": "free"})).await;
        w.start_operator().await;
        w.apply(&tenant("", "third", "third", "Pool", "Delete")).await;
        w.ready("third").await;
        w.touch("other").await;
        w.condition("other", "Accepted=Unknown/RecordsLost").await;
    })
    .await;
}
