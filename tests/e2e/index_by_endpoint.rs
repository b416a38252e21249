//! Where AWS's control plane takes no vector schema, the collection's own endpoint makes the index; where there is no
//! way to that endpoint, the condition says so.

use serde_json::json;
use tenantry::api::{Layer, Pattern};

use crate::double::Journal;
use crate::world::{World, world};

/// It refuses them, and does not see the indexes that others made of them.
async fn the_control_plane_takes_no_vectors(w: &World) {
    let switches = json!({"create_index_knn": "refuse", "endpoint_indexes": "hidden"});
    w.double.settings(json!({"switches": switches})).await;
}

fn silo(network: &str) -> String {
    format!(
        "{{kind: Tenant, metadata: {{name: acme}},
          spec: {{tenantId: acme, pattern: Silo, deletionPolicy: Delete, collection: {{network: {network}}}}}}}"
    )
}

fn by_endpoint(journal: &Journal) -> Journal {
    journal.only(|call| call.operation == "PutIndex" && call.succeeded())
}

#[tokio::test]
async fn a_public_collection_gets_its_index_by_its_endpoint() {
    world(|w| async move {
        the_control_plane_takes_no_vectors(&w).await;
        w.apply(&silo("{access: Public}")).await;
        let acme = w.ready("acme").await;
        let journal = w.double.journal(0).await;
        assert_eq!(by_endpoint(&journal).len(), 1, "{journal}");
        let id = w.tenant_identity("acme", Pattern::Silo, None, acme.uid());
        assert_eq!(acme.status.index_name, Some(id.name(Layer::Index)));

        // It is looked after, also by an operator that did not make it, and goes, as any other.
        w.restart_operator().await;
        w.apply(
            &silo("{access: Public}")
                .replace("pattern: Silo", "pattern: Silo, index: {attributes: [{name: year, type: Number}]}"),
        )
        .await;
        w.ready("acme").await;
        let done =
            async |operation| w.double.journal(0).await.of(operation).only(|call| call.succeeded()).len();
        assert_eq!((done("PutMapping").await, done("PutIndex").await), (1, 1));
        w.delete("acme").await;
        w.gone("acme").await;
        let journal = w.double.journal(0).await;
        let deleted = journal.only(|call| call.operation == "DeleteIndex" && call.succeeded());
        assert!(deleted.iter().any(|call| call.service == "aoss-endpoint"), "{journal}");
    })
    .await;
}

/// An index that only the endpoint sees is not lost when there is no way to the endpoint for a while.
#[tokio::test]
async fn an_endpoint_that_cannot_be_reached_any_more_loses_no_index() {
    world(|w| async move {
        the_control_plane_takes_no_vectors(&w).await;
        w.apply(&silo("{access: Public}")).await;
        let before = w.ready("acme").await;
        let mark = w.double.mark().await;
        w.double.settings(json!({"switches": {"private_endpoint": "closed"}})).await;
        w.apply(&silo("{access: Private}")).await;
        w.ready("acme").await;
        w.restart_operator().await;
        let told = w.condition("acme", "IndexReady=False/EndpointUnreachable").await;
        assert!(told.is("Stalled=True/EndpointUnreachable"), "{}", told.describe());
        w.apply(&silo("{access: Public}")).await;
        let after = w.ready("acme").await;
        assert_eq!(after.status.data_source_id, before.status.data_source_id);
        let lost = w.double.journal(mark).await.only(|call| call.operation.starts_with("Delete"));
        assert!(lost.is_empty(), "{lost}");
    })
    .await;
}

#[tokio::test]
async fn a_private_endpoint_that_is_out_of_reach_is_said_and_goes_on_when_it_opens() {
    for looks in ["unauthorized", "forbidden", "closed"] {
        world(|w| async move {
            the_control_plane_takes_no_vectors(&w).await;
            w.double.settings(json!({"switches": {"private_endpoint": looks}})).await;
            w.apply(&silo("{access: Private}")).await;
            let told = w.condition("acme", "IndexReady=False/EndpointUnreachable").await;
            assert!(told.is("Stalled=True/EndpointUnreachable"), "{}", told.describe());
            let message = told.message("IndexReady");
            for part in ["vpcEndpointIds", "Public", "knn_vector"] {
                assert!(message.contains(part), "{looks}: {message}");
            }
            w.apply(&silo("{access: Public}")).await;
            w.ready("acme").await;
            assert_eq!(by_endpoint(&w.double.journal(0).await).len(), 1);
        })
        .await;
    }
}
