//! What users read: the conditions, their order, the generation they speak of, and the columns.

use crate::support::objects::Object;
use crate::support::world::{World, world};

/// The types of all conditions, in order.
fn types(object: &Object) -> Vec<&str> {
    object.status.conditions.iter().map(|condition| condition.type_.as_str()).collect()
}

#[tokio::test]
async fn each_owner_has_its_conditions_in_order() {
    world(|w| async move {
        w.apply(
            "
            {kind: SharedStack, metadata: {name: plain}, spec: {}}
            ---
            {kind: SharedStack, metadata: {name: pooled}, spec: {pool: {}}}
            ---
            kind: Tenant
            metadata: {name: silo}
            spec: {tenantId: silo, pattern: Silo, encryption: {key: Create}}
            ---
            kind: Tenant
            metadata: {name: bridge}
            spec: {tenantId: bridge, pattern: Bridge, stackRef: {name: plain}}
            ---
            kind: Tenant
            metadata: {name: pool}
            spec: {tenantId: pool, pattern: Pool, stackRef: {name: pooled}}",
        )
        .await;
        let summary = ["Ready", "Reconciling", "Stalled", "Accepted"];
        let answers = ["IndexReady", "RoleReady", "KnowledgeBaseReady"];
        let documents = ["DocumentsCurrent", "ModelCurrent"];
        for (object, details) in [
            ("silo", [&["KeyReady", "BucketReady", "VectorStoreReady"][..], &answers, &documents].concat()),
            ("bridge", [&answers[..], &["StackReady"], &documents].concat()),
            ("pool", vec!["StackReady"]),
            ("SharedStack/plain", vec!["BucketReady", "VectorStoreReady"]),
            ("SharedStack/pooled", [&["BucketReady", "VectorStoreReady"][..], &answers, &documents].concat()),
        ] {
            let found = w.ready(object).await;
            assert_eq!(types(&found), [&summary[..], &details].concat(), "{object}");
            assert_eq!(found.status.observed_generation, found.meta.generation, "{object}");
            for condition in &found.status.conditions {
                let kind = &condition.type_;
                assert_eq!(condition.observed_generation, found.meta.generation, "{object}: {kind}");
                let expected =
                    if ["Reconciling", "Stalled"].contains(&kind.as_str()) { "False" } else { "True" };
                assert_eq!(condition.status, expected, "{object}: {kind}");
            }
        }

        // A new generation is spoken of everywhere, and changes nothing else.
        let before = w.get("bridge").await;
        let patch = serde_json::json!({"spec": {"answers": {"model": "amazon.nova-pro-v1:0"}}});
        let generation = w.patch("bridge", patch).await.meta.generation;
        let after = w
            .until("bridge", "speaks of its new generation", |bridge| {
                bridge.status.observed_generation == generation
            })
            .await;
        assert!(after.is("Ready=True"), "{}", after.describe());
        assert!(after.status.conditions.iter().all(|condition| condition.observed_generation == generation));
        let times = |object: &Object| {
            let times =
                object.status.conditions.iter().map(|condition| condition.last_transition_time.clone());
            times.collect::<Vec<_>>()
        };
        assert_eq!(times(&after), times(&before));
    })
    .await;
}

#[tokio::test]
async fn an_object_that_nobody_has_looked_at_does_not_seem_ready() {
    world(|w| async move {
        w.stop_operator().await;
        w.apply("{kind: Tenant, metadata: {name: acme}, spec: {tenantId: acme, pattern: Silo}}").await;
        let acme = w.get("acme").await;
        assert_eq!(acme.status.observed_generation, Some(-1));
        assert!(acme.status.conditions.is_empty());
    })
    .await;
}

#[tokio::test]
async fn kubectl_shows_the_columns() {
    world(|w| async move {
        w.apply(
            "
            {kind: SharedStack, metadata: {name: standard}, spec: {pool: {}}}
            ---
            kind: Tenant
            metadata: {name: acme}
            spec: {tenantId: acme, pattern: Pool, stackRef: {name: standard}}",
        )
        .await;
        let acme = w.ready("acme").await;
        let rows = table(&w, &["get", "tenants", "-n", &w.namespace_name(""), "-o", "wide"]).await;
        let columns =
            "NAME READY REASON PATTERN CLASS KNOWLEDGE BASE INDEX LAST SYNC AGE TENANT ID BUCKET PREFIX STORE MESSAGE";
        assert_eq!(rows[0].split_whitespace().collect::<Vec<_>>().join(" "), columns);
        for cell in ["acme", "True", "Ready", "Pool", "pool/acme/", "OpenSearchServerless"] {
            assert!(rows[1].contains(cell), "{cell} is not in: {}", rows[1]);
        }
        assert!(rows[1].contains(acme.status.knowledge_base_id.as_ref().unwrap()), "{}", rows[1]);

        w.apply("{kind: TenantClass, metadata: {name: basic}, spec: {limits: {documents: 500}, gateway: {weight: 4}}}").await;
        let class = w.stack_name("basic");
        let rows = table(&w, &["get", "tclass", &class]).await;
        let columns = "NAME PATTERN STACK DOCUMENTS GIGABYTES WEIGHT REQUESTS/MIN AGE";
        assert_eq!(rows[0].split_whitespace().collect::<Vec<_>>().join(" "), columns);
        assert!(rows[1].contains("500") && rows[1].contains('4'), "{}", rows[1]);

        let selector = w.settings.selector.as_deref().unwrap();
        let ours = w.kubectl(&["get", "tenantry", "-A", "-l", selector, "-o", "name"]).await;
        let expected =
            format!("sharedstack.tenantry.dev/{}\ntenantclass.tenantry.dev/{class}\ntenant.tenantry.dev/acme\n", w.stack_name("standard"));
        assert_eq!(ours, expected, "all kinds are of the category tenantry");
    })
    .await;
}

async fn table(w: &World, arguments: &[&str]) -> Vec<String> {
    w.kubectl(arguments).await.lines().map(str::to_owned).collect()
}
