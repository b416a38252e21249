//! What the records cost.

use super::{STACK, tenant};
use crate::support::double::Journal;
use crate::support::world::{World, world};

fn s3(journal: &Journal) -> Vec<String> {
    journal.of_records().iter().map(|call| call.operation.clone()).collect()
}

async fn about(w: &World, mark: u64) -> Vec<String> {
    s3(&w.double.journal(mark).await)
}

#[tokio::test]
async fn a_pool_tenant_costs_one_write_to_come_and_one_to_go_and_nothing_at_rest() {
    world(|w| async move {
        w.apply(STACK).await;
        w.ready("SharedStack/standard").await;
        let mark = w.double.mark().await;
        w.apply(&tenant("", "acme", "acme", "Pool", "Delete")).await;
        w.ready("acme").await;
        assert_eq!(about(&w, mark).await, ["PutObject"]);

        let mark = w.double.mark().await;
        w.touch("acme").await;
        w.until("acme", "was seen", |it| it.status.observed_generation == it.meta.generation).await;
        assert_eq!(about(&w, mark).await, [] as [&str; 0]);

        // A start reads the lock and one listing; who has an id is known without a look at its record.
        let mark = w.double.mark().await;
        w.restart_operator().await;
        w.touch("acme").await;
        w.until("acme", "was seen", |it| it.status.observed_generation == it.meta.generation).await;
        let calls = w.double.journal(mark).await.of_records();
        assert!(calls.only(|call| call.mutating).is_empty(), "{calls}");
        assert_eq!(calls.of("ListObjectsV2").len(), 1, "{calls}");
        assert!(!calls.iter().any(|call| call.resource.ends_with("/acme.json")), "{calls}");

        let mark = w.double.mark().await;
        w.delete("acme").await;
        w.gone("acme").await;
        assert_eq!(about(&w, mark).await, ["PutObject"]);
    })
    .await;
}
