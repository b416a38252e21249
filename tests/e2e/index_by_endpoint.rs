//! Where AWS's control plane takes no vector schema, or has no API for indexes, the collection's own endpoint makes the
//! index; where there is no way to that endpoint, the condition says so.

use serde_json::json;
use tenantry::api::{Layer, Pattern, RETRY_REQUESTED_AT};

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

/// In a collection that it borrows, an index that nobody gets to would stay, with all its vectors.
#[tokio::test]
async fn a_bridge_whose_index_is_out_of_reach_does_not_wait_for_ever_without_a_word() {
    world(|w| async move {
        the_control_plane_takes_no_vectors(&w).await;
        w.double.settings(json!({"switches": {"private_endpoint": "closed"}})).await;
        let network = |access: &str| json!({"spec": {"collection": {"network": {"access": access}}}});
        w.apply("{kind: SharedStack, metadata: {name: standard}, spec: {collection: {network: {access: Public}}}}")
            .await;
        w.apply(
            "{kind: Tenant, metadata: {name: acme},
              spec: {tenantId: acme, pattern: Bridge, stackRef: {name: standard}, deletionPolicy: Delete}}",
        )
        .await;
        w.ready("acme").await;
        w.patch("SharedStack/standard", network("Private")).await;
        w.ready("SharedStack/standard").await;
        w.delete("acme").await;
        let told = w.condition("acme", "DeletionBlocked=True/EndpointUnreachable").await;
        assert!(told.is("Stalled=True/EndpointUnreachable"), "{}", told.describe());
        w.patch("SharedStack/standard", network("Public")).await;
        w.ready("SharedStack/standard").await;
        w.annotate("acme", RETRY_REQUESTED_AT, Some("now")).await;
        w.gone("acme").await;
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

/// Most regions have none, and say so as if a right were missing.
#[tokio::test]
async fn a_region_without_an_api_for_indexes_is_no_region_that_is_waited_for() {
    world(|w| async move {
        w.double.settings(json!({"switches": {"index_api": "denied"}})).await;
        w.apply(&silo("{access: Public}")).await;
        w.ready("acme").await;
        w.restart_operator().await;
        let with_year = "pattern: Silo, index: {attributes: [{name: year, type: Number}]}";
        w.apply(&silo("{access: Public}").replace("pattern: Silo", with_year)).await;
        w.ready("acme").await;
        let journal = w.double.journal(0).await;
        for (operation, times) in [("PutIndex", 1), ("PutMapping", 1)] {
            let done = journal.of(operation).only(|call| call.succeeded()).len();
            assert_eq!(done, times, "{operation}: {journal}");
        }
        w.delete("acme").await;
        w.gone("acme").await;
        let journal = w.double.journal(0).await.of("DeleteIndex").only(|call| call.succeeded());
        assert!(journal.iter().any(|call| call.service == "aoss-endpoint"), "{journal}");
    })
    .await;
}

#[tokio::test]
async fn nobody_waits_for_a_collection_to_learn_that_its_index_cannot_be_made() {
    world(|w| async move {
        w.double.settings(json!({"switches": {"index_api": "denied"}})).await;
        w.restart_operator().await;
        let held = w.double.hold("collection_create", "*").await;
        w.apply(&silo("{access: Private}")).await;
        let told = w.condition("acme", "IndexReady=False/EndpointUnreachable").await;
        assert!(told.is("Stalled=True/EndpointUnreachable"), "{}", told.describe());
        assert!(told.is("VectorStoreReady=False/Creating"), "{}", told.describe());
        let message = told.message("IndexReady");
        for part in ["vpcEndpointIds", "Public", "API is not supported"] {
            assert!(message.contains(part), "{message}");
        }
        w.apply(&silo("{access: Public}")).await;
        held.release().await;
        w.ready("acme").await;
        assert_eq!(by_endpoint(&w.double.journal(0).await).len(), 1);
    })
    .await;
}

/// AWS documents UpdateIndex for fields of text alone.
#[tokio::test]
async fn an_attribute_that_update_index_refuses_is_added_by_the_endpoint() {
    world(|w| async move {
        w.double.settings(json!({"switches": {"update_index": "text"}})).await;
        w.apply(&silo("{access: Public}")).await;
        w.ready("acme").await;
        let with_year = "pattern: Silo, index: {attributes: [{name: year, type: Number}]}";
        w.apply(&silo("{access: Public}").replace("pattern: Silo", with_year)).await;
        w.ready("acme").await;
        let journal = w.double.journal(0).await;
        assert_eq!(journal.of("PutMapping").only(|call| call.succeeded()).len(), 1, "{journal}");
        assert_eq!(journal.of("UpdateIndex").len(), 1, "{journal}");
        assert!(by_endpoint(&journal).is_empty(), "the control plane made the index");
    })
    .await;
}

/// However the control plane shows an index, it is not asked for the same thing twice, and it is taken over.
#[tokio::test]
async fn an_index_that_is_shown_in_another_way_is_not_updated_for_ever() {
    for (shown, takes, updates) in
        [("wrapped", "fields", 1), ("sparse", "fields", 1), ("normalised", "ignored", 1)]
    {
        world(|w| async move {
            w.double.settings(json!({"switches": {"get_index": shown, "update_index": takes}})).await;
            w.apply(&silo("{access: Public}").replace("deletionPolicy: Delete, ", "")).await;
            w.ready("acme").await;
            assert!(w.double.journal(0).await.of("UpdateIndex").is_empty(), "{shown}");
            let with_year = "pattern: Silo, index: {attributes: [{name: year, type: Number}]}";
            let later = silo("{access: Public}").replace("pattern: Silo", with_year);
            w.apply(&later.replace("deletionPolicy: Delete", "deletionPolicy: Retain")).await;
            w.ready("acme").await;
            let mark = w.double.mark().await;
            w.touch("acme").await;
            w.ready("acme").await;
            assert_eq!(w.double.journal(0).await.of("UpdateIndex").len(), updates, "{shown}");
            assert!(w.double.journal(mark).await.of("UpdateIndex").is_empty(), "{shown}");
            if takes == "ignored" {
                return;
            }
            let before = w.get("acme").await;
            w.delete("acme").await;
            w.gone("acme").await;
            w.apply(&later).await;
            let after = w.ready("acme").await;
            assert_eq!(after.status.knowledge_base_id, before.status.knowledge_base_id, "{shown}");
        })
        .await;
    }
}

/// Whoever looks from elsewhere does not get to the endpoint, and the index is there all the same.
#[tokio::test]
async fn an_index_that_only_its_endpoint_sees_is_not_told_to_be_gone() {
    world(|w| async move {
        let inside = json!({"index_api": "denied", "caller_vpce": "vpce-0a1b2c3d4e5f60718"});
        w.double.settings(json!({"switches": inside})).await;
        let network = "{access: Private, vpcEndpointIds: [vpce-0a1b2c3d4e5f60718]}";
        w.apply(&silo(network).replace("deletionPolicy: Delete, ", "")).await;
        w.ready("acme").await;
        w.delete("acme").await;
        w.gone("acme").await;
        w.double.settings(json!({"switches": {"caller_vpce": ""}})).await;
        let told = w.tenantry(&["retained", "--installation", &w.settings.installation, "-o", "json"]).await;
        let told: serde_json::Value = serde_json::from_str(&told).unwrap();
        let things = told[0]["things"].as_array().unwrap();
        assert!(things.iter().any(|thing| thing["what"] == "index"), "{told:#}");
    })
    .await;
}
