//! What was built on a layer goes with it: an index that somebody else's vectors may be in is never filled again, and
//! a data source whose index is gone never fills another.

use crate::double::Journal;
use crate::objects::Object;
use crate::world::{World, world};

/// The places of these operations in a journal, the first of each, if all succeeded in this order.
fn assert_in_order(journal: &Journal, operations: &[&str]) {
    let mut after = 0;
    for operation in operations {
        let next =
            journal.iter().find(|call| call.seq > after && call.operation == *operation && call.succeeded());
        let text = || format!("{operation} does not come next of {operations:?} in\n{}", journal.mutating());
        after = next.unwrap_or_else(|| panic!("{}", text())).seq;
    }
}

async fn trust(w: &World, role_arn: &str) -> String {
    let (_, name) = role_arn.rsplit_once('/').unwrap();
    let role = w.sdk.iam.get_role().role_name(name).send().await.unwrap().role.unwrap();
    role.assume_role_policy_document.unwrap()
}

const OWNERS: [&str; 3] = ["silo", "bridge", "SharedStack/standard"];

/// A tenant of each pattern that has documents, all of them embedded.
async fn filled(w: &World) {
    w.apply(
        "
        {kind: SharedStack, metadata: {name: standard}, spec: {pool: {}}}
        ---
        {kind: Tenant, metadata: {name: silo}, spec: {tenantId: silo, pattern: Silo}}
        ---
        kind: Tenant
        metadata: {name: bridge}
        spec: {tenantId: bridge, pattern: Bridge, stackRef: {name: standard}}
        ---
        kind: Tenant
        metadata: {name: pool}
        spec: {tenantId: pool, pattern: Pool, stackRef: {name: standard}}",
    )
    .await;
    for tenant in ["silo", "bridge", "pool"] {
        w.ready(tenant).await;
        w.upload(tenant, &[("handbook.md", "Our office opens at nine.")]).await;
    }
    for owner in OWNERS {
        w.condition(owner, "DocumentsCurrent=True/Synced").await;
    }
}

/// Waits until each owner has something new, and is not Ready before the job that refills its index has ended.
async fn assert_refilled(w: &World, renewed: impl Fn(&Object) -> bool, mark: u64, order: &[&str]) {
    let jobs = w.double.hold("job_finish", "*").await;
    w.start_operator().await;
    let held = || async { (jobs.waiting().await.len() == OWNERS.len()).then_some(()) };
    w.eventually("every owner's job is about to end", held).await;
    for owner in OWNERS {
        let found = w.until(owner, "has what is new", &renewed).await;
        assert!(found.is("Ready=False/Updating"), "its index is empty: {}", found.describe());
    }
    jobs.release().await;
    for owner in OWNERS {
        w.ready(owner).await;
        w.condition(owner, "DocumentsCurrent=True/Synced").await;
    }
    w.ready("pool").await;
    assert_in_order(&w.double.journal(mark).await, order);
}

#[tokio::test]
async fn a_role_trusts_its_knowledge_base_only_before_there_is_a_data_source() {
    world(|w| async move {
        w.apply("{kind: Tenant, metadata: {name: silo}, spec: {tenantId: silo, pattern: Silo}}").await;
        let status = w.ready("silo").await.status;
        let journal = w.double.journal(0).await;
        assert_in_order(
            &journal,
            &["CreateRole", "CreateKnowledgeBase", "UpdateAssumeRolePolicy", "CreateDataSource"],
        );
        let arn = status.knowledge_base_arn.unwrap();
        assert!(
            journal.first("CreateRole").params.to_string().contains("knowledge-base/*"),
            "it has no id yet"
        );
        let narrowed = journal.first("UpdateAssumeRolePolicy").params.to_string();
        assert!(narrowed.contains(&arn) && !narrowed.contains("knowledge-base/*"), "{narrowed}");
        let (_, id) = arn.rsplit_once('/').unwrap();
        assert!(trust(&w, &status.role_arn.unwrap()).await.contains(id));
    })
    .await;
}

#[tokio::test]
async fn a_knowledge_base_that_is_lost_takes_its_index_along() {
    world(|w| async move {
        filled(&w).await;
        w.stop_operator().await;
        let mut lost = Vec::new();
        for owner in OWNERS {
            let status = w.get(owner).await.status;
            let (kb, source) = (status.knowledge_base_id.unwrap(), status.data_source_id.unwrap());
            let delete = w.sdk.bedrock.delete_data_source().knowledge_base_id(&kb).data_source_id(source);
            delete.send().await.unwrap();
            let gone = || async {
                let deleted = w.sdk.bedrock.delete_knowledge_base().knowledge_base_id(&kb).send().await;
                deleted
                    .is_err_and(|error| error.into_service_error().is_resource_not_found_exception())
                    .then_some(())
            };
            w.eventually("the knowledge base is gone", gone).await;
            lost.push(kb);
        }
        let mark = w.double.mark().await;
        let order = [
            "DeleteIndex",
            "CreateIndex",
            "CreateKnowledgeBase",
            "UpdateAssumeRolePolicy",
            "CreateDataSource",
            "StartIngestionJob",
        ];
        let new =
            |object: &Object| object.status.knowledge_base_id.as_ref().is_some_and(|id| !lost.contains(id));
        assert_refilled(&w, new, mark, &order).await;
        for owner in OWNERS {
            let status = w.get(owner).await.status;
            assert!(
                trust(&w, &status.role_arn.unwrap()).await.contains(&status.knowledge_base_id.unwrap()),
                "{owner}"
            );
        }
    })
    .await;
}

#[tokio::test]
async fn an_index_that_is_lost_takes_its_data_source_along() {
    world(|w| async move {
        filled(&w).await;
        w.stop_operator().await;
        let mut lost = Vec::new();
        for owner in OWNERS {
            let status = w.get(owner).await.status;
            let (_, collection) = status.store_arn.as_ref().unwrap().rsplit_once('/').unwrap();
            let delete = w.sdk.aoss.delete_index().id(collection).index_name(status.index_name.unwrap());
            delete.send().await.unwrap();
            lost.push(status.data_source_id.unwrap());
        }
        let mark = w.double.mark().await;
        let order = ["DeleteDataSource", "CreateIndex", "CreateDataSource", "StartIngestionJob"];
        let new =
            |object: &Object| object.status.data_source_id.as_ref().is_some_and(|id| !lost.contains(id));
        assert_refilled(&w, new, mark, &order).await;
        assert!(w.double.journal(mark).await.of("CreateKnowledgeBase").is_empty());
    })
    .await;
}
