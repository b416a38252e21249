//! Two operators of one installation each see what their selector shows them, and nothing else.

use crate::support::world::{World, world};

#[tokio::test]
async fn operators_with_different_selectors_ignore_each_others_objects() {
    world(|ours| async move {
        world(|theirs| async move {
            let file = |name: &str| {
                format!(
                    "{{kind: Tenant, metadata: {{name: {name}}}, spec: {{tenantId: same, pattern: Silo}}}}"
                )
            };
            ours.apply(&file("ours")).await;
            theirs.apply(&file("theirs")).await;
            // The same tenantId: each operator knows of one holder only.
            for (w, name, other) in [(&ours, "ours", &theirs), (&theirs, "theirs", &ours)] {
                let ready = w.ready(name).await;
                assert_never_mentioned(other, &ready.meta.uid.unwrap()).await;
            }
        })
        .await;
    })
    .await;
}

async fn assert_never_mentioned(w: &World, uid: &str) {
    let journal = w.double.journal(0).await;
    let mentioned = journal.only(|call| call.text().contains(uid));
    assert!(mentioned.is_empty(), "another operator's object:\n{mentioned}");
}
