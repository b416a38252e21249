//! Independent layers are built side by side: waiting for one costs no time for another.

use crate::world::world;

#[tokio::test]
async fn collection_bucket_and_role_are_requested_before_any_of_them_is_ready() {
    world(|w| async move {
        let creating = w.double.hold("collection_create", "*").await;
        w.apply("{kind: Tenant, metadata: {name: acme}, spec: {tenantId: acme, pattern: Silo}}").await;
        w.eventually("the collection is being made", || async {
            (!creating.waiting().await.is_empty()).then_some(())
        })
        .await;
        w.condition("acme", "BucketReady=True").await;
        let acme = w.condition("acme", "VectorStoreReady=False/Creating").await;
        assert!(acme.is("IndexReady=Unknown/WaitingForVectorStore"), "{}", acme.describe());
        assert!(
            acme.is("KnowledgeBaseReady=Unknown") && acme.is("Ready=False/Creating"),
            "{}",
            acme.describe()
        );

        let journal = w.double.journal(0).await;
        let requested =
            ["CreateCollection", "CreateBucket", "CreateRole"].map(|call| journal.first(call).seq);
        // The last of a bucket's settings, and a role's permissions, make them ready.
        let settings = journal.only(|call| call.mutating && call.operation.starts_with("PutBucket"));
        let bucket_ready = settings.last().unwrap().seq;
        let role_ready = journal.first("PutRolePolicy").seq;
        assert!(
            requested.iter().all(|request| *request < bucket_ready.min(role_ready)),
            "{}",
            journal.mutating()
        );
        assert!(journal.of("CreateIndex").is_empty() && journal.of("CreateKnowledgeBase").is_empty());

        creating.release().await;
        w.ready("acme").await;
    })
    .await;
}
