//! deletionPolicy Retain: everything stays, and a marker says who left it.

use std::collections::BTreeSet;

use serde_json::Value;
use tenantry::api::Layer;

use super::{LEAVE, STAY, assert_never_named, identity, six_tenants};
use crate::support::inventory;
use crate::support::world::world;

#[tokio::test]
async fn everything_stays_and_a_marker_says_whose_it_was() {
    world(|w| async move {
        six_tenants(&w, "Retain").await;
        let (mut leave, mut stay) = (Vec::new(), Vec::new());
        for name in LEAVE {
            leave.push(w.get(name).await);
        }
        for name in STAY {
            stay.push(w.get(name).await);
        }
        let before = w.inventory().await;
        let mark = w.double.mark().await;

        for name in LEAVE {
            w.delete(name).await;
        }
        for name in LEAVE {
            w.gone(name).await;
        }

        // The last word says what it costs: a collection, and a key.
        let note = w.last_word(&leave[0], "Retain").await;
        assert!(note.contains("about $351 a month") && note.contains("tenantry retained"), "{note}");

        let mut expected = before.clone();
        let mut markers = BTreeSet::new();
        for tenant in &leave {
            let name = tenant.meta.name.as_deref().unwrap();
            let (bucket, key) =
                (tenant.status.bucket.clone().unwrap(), format!("tenantry/retained/{name}.json"));
            let marker = w.sdk.s3.get_object().bucket(&bucket).key(&key).send().await.unwrap();
            let marker: Value =
                serde_json::from_slice(&marker.body.collect().await.unwrap().into_bytes()).unwrap();
            assert_eq!(marker["tenantId"], *name);
            assert_eq!(marker["ownerUid"], tenant.uid());
            assert_eq!(marker["prefix"], tenant.status.prefix.as_deref().unwrap());
            expected.insert(format!("object {bucket}/{key}"), Default::default());
            markers.insert(format!("{bucket}/{key}"));
        }
        assert_eq!(inventory::names(&w.inventory().await), inventory::names(&expected));

        let writes = w.double.journal(mark).await.mutating();
        assert_eq!(
            writes.besides_tags().iter().map(|call| call.resource.clone()).collect::<BTreeSet<_>>(),
            markers,
            "{writes}"
        );
        assert_never_named(&w, &writes, &stay);

        // A client that still knows the ids is still answered.
        for tenant in &leave {
            let name = tenant.meta.name.as_deref().unwrap();
            let knowledge_base = tenant.status.knowledge_base_id.as_deref().unwrap();
            let home = format!("/{}", tenant.status.prefix.as_deref().unwrap());
            let answers = w.retrieve_unfiltered(knowledge_base, "When does the office open?").await;
            assert!(answers.iter().any(|(uri, _)| uri.contains(&home)), "{name}: {answers:?}");
        }
        let silo = identity(&w, LEAVE[0], leave[0].uid());
        let tags = &w.inventory().await[&format!("bucket {}", silo.name(Layer::Bucket))];
        assert_eq!(tags["tenantry.dev/owner-uid"], leave[0].uid());
    })
    .await;
}
