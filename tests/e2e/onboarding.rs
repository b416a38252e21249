//! From create to Ready, in every pattern.

use tenantry::api::{Column, Pattern};

use crate::inventory::{self, owned};
use crate::world::world;

#[tokio::test]
async fn a_silo_gets_a_stack_of_its_own_and_nothing_else() {
    world(|w| async move {
        w.apply(
            "{kind: Tenant, metadata: {name: acme}, spec: {tenantId: acme, pattern: Silo, encryption: {key: Create}}}",
        )
        .await;
        let acme = w.ready("acme").await;
        let id = w.tenant_identity("acme", Pattern::Silo, None, acme.uid());
        let mut expected = owned(&id, Column::Silo, true);
        expected.insert(w.grant());
        assert_eq!(inventory::resources(&w.inventory().await), expected);
    })
    .await;
}
