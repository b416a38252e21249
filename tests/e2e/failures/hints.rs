//! What the operator remembers of AWS's answers is where it looks first, and never the truth.

use serde_json::json;

use crate::support::double::Call;
use crate::support::world::{World, world};

const SILO: &str = "
    kind: Tenant
    metadata: {name: acme}
    spec: {tenantId: acme, pattern: Silo}";

/// Each was made once, whatever was asked for besides.
async fn assert_made_once(w: &World) {
    let journal = w.double.journal(0).await;
    for operation in ["CreateKnowledgeBase", "CreateDataSource", "CreateCollection", "CreateRole"] {
        let made = journal.of(operation).only(Call::took_effect);
        assert_eq!(made.len(), 1, "{operation}:\n{journal}");
    }
}

#[tokio::test]
async fn an_id_that_leads_nowhere_is_looked_for_in_the_list() {
    world(|w| async move {
        let nowhere = json!({"operation": "Get*", "service": "bedrock*", "caller": "*/operator", "each": "operation",
            "code": "ResourceNotFoundException", "message": "no such thing", "status": 404});
        let fault = w.double.fault(nowhere).await;
        w.apply(SILO).await;
        w.ready("acme").await;
        let hits = fault.hits().await;
        for operation in ["GetKnowledgeBase", "GetDataSource"] {
            assert!(hits.iter().any(|hit| hit.contains(operation)), "{operation}: {hits:?}");
        }
        assert_made_once(&w).await;
    })
    .await;
}

#[tokio::test]
async fn a_process_that_was_told_no_id_finds_what_another_made() {
    world(|w| async move {
        let creating = w.double.hold("kb_create", "*").await;
        w.apply(SILO).await;
        let is_asked = async || {
            let asked = w.double.journal(0).await.of("CreateKnowledgeBase");
            asked.iter().any(Call::succeeded).then_some(())
        };
        w.eventually("its knowledge base is being made", is_asked).await;
        w.restart_operator().await;
        w.condition("acme", "KnowledgeBaseReady=False/Creating").await;
        creating.release().await;
        w.ready("acme").await;
        assert_made_once(&w).await;
    })
    .await;
}

/// An answer says that it is made, and somebody removes it before anybody has seen it.
#[tokio::test]
async fn what_was_removed_as_soon_as_it_was_made_is_made_again() {
    world(|w| async move {
        w.double.settings(json!({"dwell": {"kb_create": 0, "kb_delete": 0}})).await;
        // The operator's first look comes when it is gone.
        let slow = json!({"operation": "GetKnowledgeBase", "caller": "*/operator", "delay": 3});
        let slow = w.double.fault(slow).await;
        w.apply(SILO).await;
        let removed = async || {
            let asked = w.double.journal(0).await.of("CreateKnowledgeBase");
            let id = asked.iter().find(|call| call.succeeded())?.resource.clone();
            w.sdk.bedrock.delete_knowledge_base().knowledge_base_id(&id).send().await.ok()?;
            Some(id)
        };
        let id = w.eventually("its knowledge base is removed", removed).await;
        let acme = w.ready("acme").await;
        assert_ne!(acme.status.knowledge_base_id, Some(id));
        assert_eq!(slow.hits().await.len(), 1);
    })
    .await;
}
