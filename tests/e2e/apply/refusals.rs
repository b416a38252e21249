//! What may not be is refused before anything is built, in words, and what only waits goes on by itself.

use kube::core::Selector;

use crate::support::objects::Object;
use crate::support::world::{World, world, world_with};

/// Waits for a refusal; returns the object. It has no hold, and nothing was written to AWS since `mark`.
async fn assert_refused(w: &World, mark: u64, object: &str, reason: &str) -> Object {
    let told = w.condition(object, &format!("Accepted=False/{reason}")).await;
    for wanted in ["Stalled=True", "Ready=False", "Reconciling=False"] {
        assert!(told.is(&format!("{wanted}/{reason}")), "{}", told.describe());
    }
    assert!(told.meta.finalizers.is_none(), "who is refused has no hold");
    let writes = w.double.journal(mark).await.mutating();
    assert!(writes.is_empty(), "it was refused, and yet:\n{writes}");
    told
}

#[tokio::test]
async fn a_stack_serves_the_namespaces_that_it_allows() {
    world(|w| async move {
        w.namespace("rag", &[("team", "rag")]).await;
        w.namespace("web", &[("team", "web")]).await;
        let stack = |team: &str| {
            format!(
                "{{kind: SharedStack, metadata: {{name: standard}},
                   spec: {{allowedNamespaces: {{matchLabels: {{team: {team}}}}}, pool: {{}}}}}}"
            )
        };
        let tenant = |namespace: &str, pattern: &str| {
            format!(
                "{{kind: Tenant, metadata: {{name: {pattern}, namespace: {namespace}}},
                   spec: {{tenantId: {namespace}-{pattern}, pattern: {}, stackRef: {{name: standard}}}}}}",
                if pattern == "pool" { "Pool" } else { "Bridge" }
            )
        };
        w.apply(&stack("rag")).await;
        w.ready("SharedStack/standard").await;
        let mark = w.double.mark().await;
        for pattern in ["pool", "bridge"] {
            w.apply(&tenant("web", pattern)).await;
            let told = assert_refused(&w, mark, &format!("web/{pattern}"), "NamespaceNotAllowed").await;
            assert!(told.message("Accepted").contains("allowedNamespaces"), "{}", told.describe());
        }
        w.apply(&tenant("rag", "pool")).await;
        w.ready("rag/pool").await;

        // Narrowed later: who is there stays, who was refused may come.
        w.apply(&stack("web")).await;
        w.ready("web/pool").await;
        w.touch("rag/pool").await;
        assert!(w.ready("rag/pool").await.is("Accepted=True"));

        // A namespace that gets the label gets in without further ado.
        w.apply(&tenant("rag", "bridge")).await;
        w.condition("rag/bridge", "Accepted=False/NamespaceNotAllowed").await;
        w.relabel("rag", "team", "web").await;
        w.ready("rag/bridge").await;
    })
    .await;
}

#[tokio::test]
async fn silos_live_where_the_operator_lets_them() {
    world_with(
        |settings| settings.silo_namespaces = Some([("tier", "premium")].into_iter().collect::<Selector>()),
        |w| async move {
            w.namespace("premium", &[("tier", "premium")]).await;
            let mark = w.double.mark().await;
            w.apply("{kind: Tenant, metadata: {name: acme}, spec: {tenantId: acme, pattern: Silo}}").await;
            let told = assert_refused(&w, mark, "acme", "SiloNotAllowed").await;
            assert!(told.message("Accepted").contains("--silo-namespaces"), "{}", told.describe());
            w.apply(
                "{kind: Tenant, metadata: {name: rich, namespace: premium}, spec: {tenantId: rich, pattern: Silo}}",
            )
            .await;
            w.condition("premium/rich", "Accepted=True").await;
            // Others may be anywhere.
            w.apply("{kind: SharedStack, metadata: {name: standard}, spec: {pool: {}}}").await;
            w.apply(
                "{kind: Tenant, metadata: {name: pool},
                  spec: {tenantId: pool, pattern: Pool, stackRef: {name: standard}}}",
            )
            .await;
            w.ready("pool").await;
        },
    )
    .await;
}

#[tokio::test]
async fn a_stack_without_a_pool_serves_bridges_only() {
    world(|w| async move {
        w.apply("{kind: SharedStack, metadata: {name: plain}, spec: {}}").await;
        w.ready("SharedStack/plain").await;
        let mark = w.double.mark().await;
        w.apply(
            "{kind: Tenant, metadata: {name: acme}, spec: {tenantId: acme, pattern: Pool, stackRef: {name: plain}}}",
        )
        .await;
        let told = assert_refused(&w, mark, "acme", "StackHasNoPool").await;
        assert!(told.message("Accepted").contains("pool"), "{}", told.describe());
        // A pool may be added.
        w.apply("{kind: SharedStack, metadata: {name: plain}, spec: {pool: {}}}").await;
        w.ready("acme").await;
    })
    .await;
}

#[tokio::test]
async fn a_schedule_that_cannot_be_read_is_refused() {
    world(|w| async move {
        let mark = w.double.mark().await;
        for (name, ingestion) in [
            ("seconds", "schedule: '0 0 4 * * *'"),
            ("words", "schedule: every morning"),
            ("zone", "schedule: '0 4 * * *', timeZone: Vienna"),
        ] {
            w.apply(&format!(
                "{{kind: Tenant, metadata: {{name: {name}}},
                   spec: {{tenantId: {name}, pattern: Silo, ingestion: {{{ingestion}}}}}}}"
            ))
            .await;
            assert_refused(&w, mark, name, "ScheduleInvalid").await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_stack_that_is_not_there_yet_is_waited_for() {
    world(|w| async move {
        let mark = w.double.mark().await;
        for (name, pattern) in [("pool", "Pool"), ("bridge", "Bridge")] {
            w.apply(&format!(
                "{{kind: Tenant, metadata: {{name: {name}}},
                   spec: {{tenantId: {name}, pattern: {pattern}, stackRef: {{name: standard}}}}}}"
            ))
            .await;
            let told = w.condition(name, "Reconciling=True/StackNotFound").await;
            assert!(
                told.is("StackReady=False/StackNotFound") && told.is("Stalled=False"),
                "{}",
                told.describe()
            );
            assert!(told.message("StackReady").contains(&w.stack_name("standard")), "{}", told.describe());
            assert!(told.meta.finalizers.is_none());
        }
        assert!(w.double.journal(mark).await.mutating().is_empty());
        let creating = w.double.hold("collection_create", "*").await;
        w.apply("{kind: SharedStack, metadata: {name: standard}, spec: {pool: {}}}").await;
        for name in ["pool", "bridge"] {
            w.condition(name, "Reconciling=True/StackNotReady").await;
        }
        creating.release().await;
        for name in ["pool", "bridge"] {
            w.ready(name).await;
        }
    })
    .await;
}

/// Only the operator can see which store a Bridge tenant borrows.
#[tokio::test]
async fn what_the_store_of_its_stack_lacks_is_refused_and_later_as_a_change_only() {
    world(|w| async move {
        w.apply("{kind: SharedStack, metadata: {name: vectors}, spec: {vectorStore: S3Vectors}}").await;
        w.ready("SharedStack/vectors").await;
        let bridge = |name: &str, index: &str| {
            format!(
                "{{kind: Tenant, metadata: {{name: {name}}},
                  spec: {{tenantId: {name}, pattern: Bridge, stackRef: {{name: vectors}}, index: {{{index}}}}}}}"
            )
        };
        const YEAR: &str = "{name: year, type: Number}";
        let (without, with) = (
            format!("attributes: [{YEAR}]"),
            format!("attributes: [{YEAR}, {{name: topics, type: StringList}}]"),
        );
        let mark = w.double.mark().await;
        for (name, index, why) in
            [("graph", "hnsw: {m: 8}", "index.hnsw"), ("lists", with.as_str(), "'StringList'")]
        {
            w.apply(&bridge(name, index)).await;
            let told = assert_refused(&w, mark, name, "Invalid").await;
            let message = told.message("Accepted");
            assert!(message.contains(why) && message.contains("SharedStack 'vectors"), "{}", told.describe());
        }

        // Whoever takes it out comes, and whoever adds it later goes on as before.
        w.apply(&bridge("lists", &without)).await;
        let before = w.ready("lists").await;
        w.apply(&bridge("lists", &with)).await;
        let told = w.condition("lists", "Accepted=False/Invalid").await;
        for wanted in ["Ready=True", "Stalled=True/Invalid", "Reconciling=False/Invalid"] {
            assert!(told.is(wanted), "{}", told.describe());
        }
        w.upload("lists", &[("leave.md", "Everybody has thirty days of annual leave.")]).await;
        w.condition("lists", "DocumentsCurrent=True/Synced").await;
        assert!(!w.retrieve("lists", "How many days of annual leave?").await.is_empty());
        w.apply(&bridge("lists", &without)).await;
        let after = w.condition("lists", "Accepted=True").await;
        assert!(after.is("Ready=True") && after.is("Stalled=False"), "{}", after.describe());
        assert_eq!(after.status.knowledge_base_id, before.status.knowledge_base_id);
    })
    .await;
}
