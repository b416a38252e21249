//! An operator that only reads says what it would do, and does nothing.

use crate::inventory;
use crate::world::world;

#[tokio::test]
async fn nothing_is_written_to_aws_and_no_hold_is_taken() {
    world(|w| async move {
        w.apply(
            "
            kind: Tenant
            metadata: {name: acme}
            spec: {tenantId: acme, pattern: Silo, deletionPolicy: Delete}",
        )
        .await;
        w.ready("acme").await;
        w.stop_operator().await;
        let (mark, before) = (w.double.mark().await, inventory::names(&w.inventory().await));
        w.start_operator_with(|settings| settings.read_only = true).await;

        w.apply("{kind: Tenant, metadata: {name: new}, spec: {tenantId: new, pattern: Silo}}").await;
        let new = w.condition("new", "Ready=False").await;
        assert!(new.meta.finalizers.is_none(), "{}", new.describe());
        w.touch("acme").await;
        w.ready("acme").await;
        w.delete("acme").await;
        w.condition("acme", "DeletionBlocked=True/ReadOnly").await;
        let writes = w.double.journal(mark).await.mutating();
        assert!(writes.is_empty(), "{writes}");
        assert_eq!(inventory::names(&w.inventory().await), before);

        // The next operator that may write goes on where this one stood.
        w.restart_operator().await;
        w.gone("acme").await;
        w.ready("new").await;
    })
    .await;
}
