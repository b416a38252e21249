//! Names at the edge of what is admitted: the longest, those that begin alike, and those that look like something else.

use crate::support::world::{World, world};

const LONGEST: &str = "a23456789-123456789-123456789-123456789-123456789-123456789-123";

#[tokio::test]
async fn the_longest_names_fit_everywhere() {
    world(|w| async move {
        assert_eq!(LONGEST.len(), 63);
        w.apply(&format!(
            "{{kind: Tenant, metadata: {{name: {LONGEST}}},
               spec: {{tenantId: {LONGEST}, pattern: Silo, encryption: {{key: Create}}, deletionPolicy: Delete}}}}"
        ))
        .await;
        w.ready(LONGEST).await;
        w.upload(LONGEST, &[("hours.md", "The office opens at nine.")]).await;
        w.condition(LONGEST, "DocumentsCurrent=True/Synced").await;
        let answers = w.retrieve_by_command(LONGEST, "When does the office open?").await;
        assert_eq!(answers.len(), 1, "{answers:?}");
        w.delete(LONGEST).await;
        w.gone(LONGEST).await;
    })
    .await;
}

/// An id that begins like another's, and one that a store might take for a date: each is answered from its own
/// documents, and what one leaves behind takes nothing of the others along.
#[tokio::test]
async fn ids_that_look_alike_are_kept_apart() {
    const IDS: [&str; 4] = ["acme", "acme-2", "2024-01-01", "2024"];
    world(|w| async move {
        w.apply("{kind: SharedStack, metadata: {name: standard}, spec: {pool: {}}}").await;
        for id in IDS {
            w.apply(&format!(
                "{{kind: Tenant, metadata: {{name: '{id}'}},
                   spec: {{tenantId: '{id}', pattern: Pool, stackRef: {{name: standard}}, deletionPolicy: Delete}}}}"
            ))
            .await;
        }
        for id in IDS {
            w.ready(id).await;
            w.upload(id, &[("hours.md", "The office opens at nine.")]).await;
        }
        w.request_sync("acme").await;
        for id in IDS {
            assert_answered_from_its_own(&w, id).await;
        }
        w.delete("acme").await;
        w.delete("2024").await;
        w.gone("acme").await;
        w.gone("2024").await;
        for id in ["acme-2", "2024-01-01"] {
            assert_answered_from_its_own(&w, id).await;
        }
    })
    .await;
}

async fn assert_answered_from_its_own(w: &World, id: &str) {
    let answers = w.retrieve(id, "When does the office open?").await;
    let home = format!("/pool/{id}/hours.md");
    assert!(answers.len() == 1 && answers[0].0.ends_with(&home), "{id}: {answers:?}");
}
