//! An object that is refused takes over nothing, and deleting it erases nothing that it did not get.

use super::STACK;
use crate::support::inventory;
use crate::support::world::{World, world};

fn bridge(dimensions: u32, policy: &str) -> String {
    format!(
        "{{kind: Tenant, metadata: {{name: initech}},
           spec: {{tenantId: initech, pattern: Bridge, stackRef: {{name: standard}}, deletionPolicy: {policy},
                   knowledgeBase: {{embeddingModel: 'amazon.titan-embed-text-v2:0', dimensions: {dimensions}}}}}}}"
    )
}

async fn what_is_there(w: &World) -> Vec<String> {
    let bucket = w.get("SharedStack/standard").await.status.bucket.unwrap();
    let mut there = w.keys(&bucket, "bridge/initech/").await;
    there.extend(w.keys(&bucket, "tenantry/retained/").await);
    there.extend(inventory::names(&w.inventory().await).into_iter().filter(|name| name.contains("-ta-")));
    there
}

#[tokio::test]
async fn whoever_has_other_settings_leaves_what_is_retained_as_it_is() {
    world(|w| async move {
        w.apply(STACK).await;
        w.ready("SharedStack/standard").await;
        w.apply(&bridge(512, "Retain")).await;
        w.ready("initech").await;
        w.upload("initech", &[("a.md", "what must never be lost")]).await;
        w.condition("initech", "DocumentsCurrent=True/Synced").await;
        w.delete("initech").await;
        w.gone("initech").await;
        let before = what_is_there(&w).await;
        assert!(before.contains(&"tenantry/retained/initech.json".to_owned()), "{before:?}");

        for _ in 0..2 {
            w.apply(&bridge(1024, "Delete")).await;
            let told = w.condition("initech", "Stalled=True/RetainedDiffers").await;
            assert!(told.message("Ready").contains("Nothing was changed"), "{}", told.describe());
            assert_eq!(w.state_of("initech").await, "retained");
            w.restart_operator().await;
            w.touch("initech").await;
            w.condition("initech", "Stalled=True/RetainedDiffers").await;
            w.delete("initech").await;
            w.gone("initech").await;
            assert_eq!(what_is_there(&w).await, before);
            assert_eq!(w.state_of("initech").await, "retained");
        }

        // With the settings that it has it is taken over, and goes.
        w.apply(&bridge(512, "Delete")).await;
        w.ready("initech").await;
        w.delete("initech").await;
        w.gone("initech").await;
        assert_eq!(what_is_there(&w).await, [] as [&str; 0]);
        assert_eq!(w.state_of("initech").await, "gone");
    })
    .await;
}
