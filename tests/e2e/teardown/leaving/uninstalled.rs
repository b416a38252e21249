//! The operator is uninstalled first, and objects are deleted while none runs: they wait for the next one, which
//! finishes them.

use super::{LEAVE, STACK, STAY, six_tenants};
use crate::support::inventory;
use crate::support::world::world;

#[tokio::test]
async fn what_is_deleted_while_no_operator_runs_waits_for_one() {
    world(|w| async move {
        six_tenants(&w, "Delete").await;
        w.apply(
            "{kind: SharedStack, metadata: {name: standard},
              spec: {pool: {}, encryption: {key: Create}, deletionPolicy: Delete}}",
        )
        .await;
        w.ready(STACK).await;
        w.stop_operator().await;
        let (before, mark) = (w.inventory().await, w.double.mark().await);
        let tenants = [LEAVE, STAY].concat();
        for object in [&[STACK], &tenants[..]].concat() {
            w.delete(object).await;
            assert!(w.get(object).await.is_leaving(), "{object} waits with its finalizer");
        }
        assert_eq!(w.inventory().await, before);
        assert!(w.double.journal(mark).await.is_empty());

        w.start_operator().await;
        for object in [&tenants[..], &[STACK]].concat() {
            w.gone(object).await;
        }
        let mut left: Vec<_> = inventory::names(&w.inventory().await).into_iter().collect();
        left.retain(|name| !name.ends_with(" PendingDeletion"));
        assert_eq!(left, [w.grant()]);
    })
    .await;
}
