//! Which tenantIds a namespace may have.

use super::{STACK, tenant};
use crate::support::world::{World, world, world_with};

const TENANT_IDS: &str = "tenantry.dev/tenant-ids";

#[tokio::test]
async fn a_namespace_has_only_the_ids_that_its_annotation_names() {
    world(|w| async move {
        w.namespace("acme", &[]).await;
        w.apply(STACK).await;
        w.ready("SharedStack/standard").await;
        w.apply(&tenant("", "globex", "globex", "Pool", "Delete")).await;
        w.ready("globex").await;
        w.annotate_namespace("acme", TENANT_IDS, Some("acme-*,initech")).await;
        // Nobody learns from this whether an id is anybody's.
        let mut said = Vec::new();
        for id in ["globex", "nobody"] {
            w.apply(&tenant("acme", id, id, "Pool", "Delete")).await;
            let told = w.condition(&format!("acme/{id}"), "Stalled=True/TenantIdNotAllowed").await;
            assert!(told.is("Accepted=False/TenantIdNotAllowed") && told.meta.finalizers.is_none());
            said.push(told.message("Ready").replace(id, "X"));
        }
        assert_eq!(said[0], said[1]);
        for id in ["acme-1", "initech"] {
            w.apply(&tenant("acme", id, id, "Pool", "Delete")).await;
            w.ready(&format!("acme/{id}")).await;
        }
        // Narrowed later, whoever is there stays; widened, whoever waits goes on.
        w.annotate_namespace("acme", TENANT_IDS, Some("nobody")).await;
        w.ready("acme/nobody").await;
        w.touch("acme/acme-1").await;
        w.ready("acme/acme-1").await;
        // What cannot be read admits nobody, and says why.
        w.annotate_namespace("acme", TENANT_IDS, Some("acme-*, No Id!")).await;
        w.apply(&tenant("acme", "acme-2", "acme-2", "Pool", "Delete")).await;
        let told = w.condition("acme/acme-2", "Stalled=True/TenantIdNotAllowed").await;
        assert!(told.message("Ready").contains("'No Id!'"), "{}", told.describe());
    })
    .await;
}

#[tokio::test]
async fn where_ids_must_be_named_an_unnamed_one_is_refused() {
    let test = async |w: World| {
        w.apply(STACK).await;
        w.ready("SharedStack/standard").await;
        w.apply(&tenant("", "acme", "acme", "Pool", "Delete")).await;
        w.condition("acme", "Stalled=True/TenantIdNotAllowed").await;
        w.annotate_namespace("", TENANT_IDS, Some("*")).await;
        w.ready("acme").await;
    };
    world_with(|settings| settings.require_tenant_ids = true, test).await;
}
