//! What keeps a namespace in bounds, and those who can never be built from keeping others out.

use std::fs;

use serde_json::json;

use crate::support::bed::root;
use crate::support::world::{World, world, world_with};

const STACK: &str = "{kind: SharedStack, metadata: {name: standard}, spec: {pool: {}}}";
const MAX_KNOWLEDGE_BASES: &str = "tenantry.dev/max-knowledge-bases";

fn tenant(namespace: &str, name: &str, pattern: &str) -> String {
    let namespace = if namespace.is_empty() { String::new() } else { format!(", namespace: {namespace}") };
    format!(
        "{{kind: Tenant, metadata: {{name: {name}{namespace}}}, spec: {{tenantId: {name}, pattern: {pattern},
           stackRef: {{name: standard}}, deletionPolicy: Delete}}}}"
    )
}

#[tokio::test]
async fn a_tenant_beyond_its_namespaces_number_does_not_get_in_before_another_goes() {
    let test = async |w: World| {
        w.namespace("other", &[]).await;
        w.apply(STACK).await;
        w.ready("SharedStack/standard").await;
        for name in ["one", "two"] {
            w.apply(&tenant("", name, "Pool")).await;
            w.ready(name).await;
        }
        let mark = w.double.mark().await;
        // Of two that were made in the same second, the name decides.
        for name in ["three", "youngest"] {
            w.apply(&tenant("", name, "Pool")).await;
            let told = w.condition(name, "Accepted=False/TooManyTenants").await;
            assert!(told.is("Stalled=True/TooManyTenants"), "{}", told.describe());
            assert!(told.meta.finalizers.is_none(), "{}", told.describe());
            let message = told.message("Accepted");
            for wanted in ["2 Tenants", "--max-tenants-per-namespace is 2", "Delete one"] {
                assert!(message.contains(wanted), "'{wanted}' is not in: {message}");
            }
            assert!(!message.contains("two"), "another's name: {message}");
        }
        let journal = w.double.journal(mark).await.only(|call| call.text().contains("three"));
        assert!(journal.is_empty(), "nothing was to be asked:\n{journal}");
        w.apply(&tenant("other", "elsewhere", "Pool")).await;
        w.ready("other/elsewhere").await;

        // Whoever is in stays in, and nobody else gets in by a restart.
        w.restart_operator().await;
        w.touch("one").await;
        w.ready("one").await;
        w.touch("three").await;
        w.condition("three", "Accepted=False/TooManyTenants").await;
        w.delete("one").await;
        w.gone("one").await;
        w.ready("three").await;
        assert!(w.get("youngest").await.is("Accepted=False/TooManyTenants"));
    };
    world_with(|settings| settings.max_tenants_per_namespace = 2, test).await;
}

#[tokio::test]
async fn a_namespace_has_as_many_knowledge_bases_as_its_annotation_says() {
    world(|w| async move {
        w.apply(STACK).await;
        w.ready("SharedStack/standard").await;
        w.annotate_namespace("", MAX_KNOWLEDGE_BASES, Some(" 1 ")).await;
        w.apply(&tenant("", "one", "Bridge")).await;
        w.ready("one").await;
        w.apply(&tenant("", "two", "Bridge")).await;
        let told = w.condition("two", "Accepted=False/QuotaReserved").await;
        assert!(told.meta.finalizers.is_none(), "{}", told.describe());
        for wanted in ["1 knowledge bases", "tenantry.dev/max-knowledge-bases is 1"] {
            assert!(told.message("Accepted").contains(wanted), "{}", told.describe());
        }
        // Who needs none of its own is welcome, and who waits goes on when there may be more.
        w.apply(&tenant("", "pool", "Pool")).await;
        w.ready("pool").await;
        w.annotate_namespace("", MAX_KNOWLEDGE_BASES, Some("2")).await;
        w.ready("two").await;
        // What cannot be read allows none, and says why; who is there already stays.
        w.annotate_namespace("", MAX_KNOWLEDGE_BASES, Some("plenty")).await;
        w.apply(&tenant("", "three", "Bridge")).await;
        let told = w.condition("three", "Accepted=False/QuotaReserved").await;
        assert!(told.message("Accepted").contains("'plenty'"), "{}", told.describe());
        w.touch("one").await;
        w.ready("one").await;
        w.annotate_namespace("", MAX_KNOWLEDGE_BASES, None).await;
        w.ready("three").await;
    })
    .await;
}

#[tokio::test]
async fn tenants_that_can_never_be_built_keep_no_knowledge_base_from_others() {
    let test = async |w: World| {
        w.apply(STACK).await;
        w.ready("SharedStack/standard").await;
        let bogus = ["bogus-1", "bogus-2", "bogus-3", "bogus-4", "bogus-5"];
        for name in bogus {
            w.apply(&format!(
                "{{kind: Tenant, metadata: {{name: {name}}}, spec: {{tenantId: {name}, pattern: Bridge,
                   stackRef: {{name: standard}}, deletionPolicy: Delete,
                   knowledgeBase: {{embeddingModel: no.such-model, dimensions: 8}}}}}}"
            ))
            .await;
        }
        for name in bogus {
            let told = w.condition(name, "Stalled=True/Invalid").await;
            assert!(told.is("Accepted=True"), "{}", told.describe());
        }
        w.apply(&tenant("", "honest-1", "Bridge")).await;
        w.ready("honest-1").await;
        // The next process remembers nothing, and promises nothing to who does not get on.
        w.restart_operator().await;
        for name in ["honest-2", "honest-3", "honest-4", "honest-5"] {
            w.apply(&tenant("", name, "Bridge")).await;
            w.ready(name).await;
        }
        // All places are taken: who lost one waits for it, as accepted as before.
        for name in bogus {
            let told = w.condition(name, "KnowledgeBaseReady=False/QuotaReserved").await;
            assert!(told.is("Accepted=True") && told.is("Stalled=True"), "{}", told.describe());
            let message = told.message("KnowledgeBaseReady");
            assert!(message.contains("--max-knowledge-bases is 6"), "{message}");
        }
        w.apply(&tenant("", "honest-6", "Bridge")).await;
        w.condition("honest-6", "Accepted=False/QuotaReserved").await;
        w.delete("honest-1").await;
        w.gone("honest-1").await;
        w.ready("honest-6").await;
    };
    let tell = |settings: &mut tenantry::settings::Settings| {
        settings.max_knowledge_bases = 6;
    };
    world_with(tell, test).await;
}

#[tokio::test]
async fn the_manifests_of_the_page_are_taken_by_the_api_server() {
    world(|w| async move {
        let page = fs::read_to_string(root().join("docs/limits.md")).unwrap();
        let manifests = page.split("```yaml\n").nth(1).unwrap().split("```").next().unwrap();
        let namespace = w.namespace_name("bounded");
        let mut objects: Vec<serde_json::Value> = serde_saphyr::from_multiple(manifests).unwrap();
        objects[0]["metadata"]["name"] = namespace.clone().into();
        objects[1]["metadata"]["namespace"] = namespace.clone().into();
        let file = tempfile::NamedTempFile::with_suffix(".json").unwrap();
        fs::write(file.path(), json!({"apiVersion": "v1", "kind": "List", "items": objects}).to_string())
            .unwrap();
        let created = w.kubectl(&["apply", "-f", file.path().to_str().unwrap()]).await;
        assert_eq!(created.lines().filter(|line| line.ends_with(" created")).count(), 2, "{created}");
        w.apply(STACK).await;
        w.ready("SharedStack/standard").await;
        // Its annotations are what the operator reads.
        w.apply(&tenant("bounded", "acme", "Bridge")).await;
        w.ready("bounded/acme").await;
        w.apply(&tenant("bounded", "initech", "Bridge")).await;
        w.condition("bounded/initech", "Accepted=False/TenantIdNotAllowed").await;
    })
    .await;
}
