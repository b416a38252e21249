//! Leaving a stack on S3 Vectors: the documents can stay without their vectors, and what is somebody else's stays in any case.

use tenantry::api::{Column, Layer, Pattern};
use tenantry::stack::identity::Identity;

use crate::support::inventory::{self, owned_on_s3_vectors};
use crate::support::world::{World, world, world_without_operator};

const OWNER: &str = "tenantry.dev/owner";
const SOMEBODY: &str = "Tenant/elsewhere/somebody";

/// A Silo on S3 Vectors, and a Bridge tenant in a SharedStack there.
fn both(policy: &str) -> String {
    format!(
        "
        kind: SharedStack
        metadata: {{name: vectors}}
        spec: {{vectorStore: S3Vectors, deletionPolicy: {policy}}}
        ---
        kind: Tenant
        metadata: {{name: acme}}
        spec: {{tenantId: acme, pattern: Silo, vectorStore: S3Vectors, deletionPolicy: {policy}}}
        ---
        kind: Tenant
        metadata: {{name: globex}}
        spec: {{tenantId: globex, pattern: Bridge, stackRef: {{name: vectors}}, deletionPolicy: {policy}}}"
    )
}

const BOTH: [&str; 2] = ["acme", "globex"];

fn identities(w: &World) -> [(Identity, Column); 2] {
    [
        (w.tenant_identity("acme", Pattern::Silo, None, ""), Column::Silo),
        (w.tenant_identity("globex", Pattern::Bridge, Some("vectors"), ""), Column::Bridge),
    ]
}

async fn are_synced(w: &World) {
    for tenant in BOTH {
        w.ready(tenant).await;
        w.condition(tenant, "DocumentsCurrent=True/Synced").await;
    }
}

#[tokio::test]
async fn documents_stay_without_their_vectors_and_the_same_manifest_brings_these_back() {
    world(|w| async move {
        w.apply(&both("RetainDocuments")).await;
        for tenant in BOTH {
            w.ready(tenant).await;
            w.upload(tenant, &[("leave.md", &format!("{tenant} has thirty days of annual leave."))]).await;
        }
        are_synced(&w).await;
        let before = inventory::names(&w.inventory().await);
        for tenant in BOTH {
            w.delete(tenant).await;
        }
        for tenant in BOTH {
            w.gone(tenant).await;
        }
        let after = inventory::names(&w.inventory().await);
        for (id, column) in identities(&w) {
            for part in owned_on_s3_vectors(&id, column, false) {
                let stays = part.starts_with("bucket ");
                assert!(before.contains(&part) && after.contains(&part) == stays, "{part}: {after:?}");
            }
            assert!(
                after.iter().any(|it| it.starts_with("object ") && it.ends_with("/leave.md")),
                "{after:?}"
            );
        }

        w.apply(&both("Delete")).await;
        are_synced(&w).await;
        for tenant in BOTH {
            let answers = w.retrieve(tenant, "How many days of annual leave?").await;
            assert!(answers.iter().any(|(_, text)| text.contains(tenant)), "{tenant}: {answers:?}");
        }
    })
    .await;
}

/// A vector bucket that somebody has made their own, with all that is in it; and an index alone.
#[tokio::test]
async fn what_somebody_has_made_their_own_stays_and_all_else_goes() {
    world(|w| async move {
        w.apply(&both("Delete")).await;
        for tenant in BOTH {
            w.ready(tenant).await;
        }
        let acmes = w.get("acme").await.status.store_arn.unwrap();
        let globexs = w.get("globex").await.status.index_arn.unwrap();
        for arn in [&acmes, &globexs] {
            w.sdk.s3vectors.tag_resource().resource_arn(arn).tags(OWNER, SOMEBODY).send().await.unwrap();
        }
        let mark = w.double.mark().await;
        for tenant in BOTH {
            w.delete(tenant).await;
        }
        for tenant in BOTH {
            w.gone(tenant).await;
        }
        let left = w.inventory().await;
        let [(acme, of_a_silo), (globex, of_a_bridge)] = identities(&w);
        let bucket = format!("vector bucket {}", acme.name(Layer::VectorStore));
        let [inside, index] = [&acme, &globex].map(|id| format!("index {}", id.name(Layer::Index)));
        for what in [&bucket, &index] {
            assert_eq!(left[what][OWNER], SOMEBODY, "{what}");
        }
        let stays = [bucket, inside, index];
        for (id, column) in [(&acme, of_a_silo), (&globex, of_a_bridge)] {
            for part in owned_on_s3_vectors(id, column, false) {
                assert_eq!(left.contains_key(&part), stays.contains(&part), "{part}");
            }
        }
        let touched = w.double.journal(mark).await.mutating().only(|call| call.service == "s3vectors");
        assert!(touched.is_empty(), "{touched}");
    })
    .await;
}

/// Before anything is made.
#[tokio::test]
async fn a_name_that_is_taken_stops_the_stack_until_it_is_free() {
    world_without_operator(|_| {}, |w| async move {
        let [(id, _), _] = identities(&w);
        let name = id.name(Layer::VectorStore);
        w.sdk.s3vectors.create_vector_bucket().vector_bucket_name(&name).send().await.unwrap();
        w.start_operator().await;
        w.granted().await;
        let mark = w.double.mark().await;
        w.apply("{kind: Tenant, metadata: {name: acme}, spec: {tenantId: acme, pattern: Silo, vectorStore: S3Vectors}}").await;
        let told = w.condition("acme", "Stalled=True/OwnedByAnother").await;
        assert!(told.message("Ready").contains(&format!("vector bucket {name}")), "{}", told.describe());
        let changes = w.double.journal(mark).await.mutating();
        assert!(changes.is_empty(), "{changes}");
        w.sdk.s3vectors.delete_vector_bucket().vector_bucket_name(&name).send().await.unwrap();
        w.annotate("acme", "tenantry.dev/retry-requested-at", Some("now")).await;
        w.ready("acme").await;
        assert_eq!(w.inventory().await[&format!("vector bucket {name}")][OWNER], id.owner_tag());
    })
    .await;
}
