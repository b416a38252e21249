//! Who leaves a pool: one job forgets all of them, and not before the last of their documents is gone.

use serde_json::json;

use crate::support::double::Journal;
use crate::support::world::{World, world};

const STACK: &str = "SharedStack/standard";

async fn tenants(w: &World, names: &[String]) {
    w.apply("{kind: SharedStack, metadata: {name: standard}, spec: {pool: {}}}").await;
    let spec = |name: &String| {
        format!(
            "{{kind: Tenant, metadata: {{name: {name}}},
               spec: {{tenantId: {name}, pattern: Pool, stackRef: {{name: standard}}, deletionPolicy: Delete}}}}"
        )
    };
    w.apply(&names.iter().map(spec).collect::<Vec<_>>().join("\n---\n")).await;
    for name in names {
        w.ready(name).await;
        w.upload(name, &[("hours.md", &format!("The office of {name} opens at nine."))]).await;
    }
    w.request_sync(STACK).await;
    w.condition(STACK, "DocumentsCurrent=True/Synced").await;
}

fn started(journal: &Journal) -> Journal {
    journal.of("StartIngestionJob").only(|call| call.succeeded())
}

#[tokio::test]
async fn one_job_serves_twenty_who_leave() {
    world(|w| async move {
        let names: Vec<_> = (1..=21).map(|n| format!("t{n}")).collect();
        tenants(&w, &names).await;
        let pool = w.get(STACK).await.status.knowledge_base_id.unwrap();
        let (mark, leave) = (w.double.mark().await, &names[1..]);
        // None of them may begin before all are asked to go.
        w.annotate(STACK, "tenantry.dev/paused", Some("true")).await;
        w.condition(STACK, "Paused=True").await;
        for name in leave {
            w.delete(name).await;
        }
        for name in leave {
            w.until(name, "has no documents any more", |it| it.status.documents_moved_time.is_some()).await;
        }
        w.annotate(STACK, "tenantry.dev/paused", None).await;
        for name in leave {
            w.gone(name).await;
        }
        let journal = w.double.journal(mark).await;
        assert_eq!(started(&journal).len(), 1, "{}", started(&journal));
        let answers = w.retrieve_unfiltered(&pool, "When does the office open?").await;
        assert!(
            !answers.is_empty() && answers.iter().all(|(uri, _)| uri.contains("/pool/t1/")),
            "{answers:?}"
        );
    })
    .await;
}

#[tokio::test]
async fn what_comes_after_the_job_needs_another() {
    world(|w| async move {
        tenants(&w, &["acme".into(), "other".into()]).await;
        let acme = w.get("acme").await;
        let pool = acme.status.knowledge_base_id.clone().unwrap();
        let (bucket, prefix) = (acme.status.bucket.clone().unwrap(), acme.status.prefix.clone().unwrap());
        let mark = w.double.mark().await;
        // Each job finds that somebody goes on writing.
        for round in 1..=3 {
            let held = w.double.hold("ingestion.list", "*").await;
            if round == 1 {
                w.delete("acme").await;
            }
            w.eventually("a job begins to list", || async {
                (!held.waiting().await.is_empty()).then_some(())
            })
            .await;
            w.sdk.upload(&bucket, &format!("{prefix}late.md"), "The office opens at noon.").await;
            held.release().await;
        }
        let blocked = w.condition("acme", "DeletionBlocked=True/DocumentsRemain").await;
        let message = blocked.message("DeletionBlocked");
        assert!(
            message.contains(&format!("s3://{bucket}/{prefix}")) && message.contains("Stop"),
            "{message}"
        );
        // Nobody writes any more.
        w.touch("acme").await;
        w.gone("acme").await;
        let journal = w.double.journal(mark).await;
        assert_eq!(started(&journal).len(), 4, "{}", started(&journal));
        let answers = w.retrieve_unfiltered(&pool, "When does the office open?").await;
        assert!(
            !answers.is_empty() && answers.iter().all(|(uri, _)| uri.contains("/pool/other/")),
            "{answers:?}"
        );
    })
    .await;
}

/// Schedules are for who stays.
#[tokio::test]
async fn a_suspended_pool_forgets_all_the_same() {
    world(|w| async move {
        tenants(&w, &["acme".into(), "other".into()]).await;
        let suspended = json!({"spec": {"pool": {"ingestion": {"schedule": "0 4 * * *", "suspend": true}}}});
        w.patch(STACK, suspended).await;
        w.delete("acme").await;
        w.gone("acme").await;
    })
    .await;
}
