//! A tenantId stays the text that it is, also where another language reads a date, a number, a boolean or nothing.

use std::process::Stdio;

use serde_json::{Value, json};
use tenantry::api::{Layer, Pattern};

use crate::registry::{SPEED, registered};
use crate::world::{World, world, world_with};

const IDS: [&str; 8] = ["2024-01-01", "true", "null", "1e5", "100000", "007", "7", "1-2"];
/// One of a knowledge base of its own.
const BRIDGE: &str = "0x1f";
const STACK: &str = "SharedStack/standard";
const QUESTION: &str = "How many days of annual leave do employees get?";

fn handbook(tenant: &str) -> String {
    format!("Employees of tenant '{tenant}' get their own number of days of annual leave.")
}

#[tokio::test]
async fn an_id_that_looks_like_something_else_is_text_all_the_way() {
    let test = async |w: World| {
        w.double.settings(json!({"speedup": SPEED})).await;
        w.table().await;
        w.apply("{kind: SharedStack, metadata: {name: standard}, spec: {pool: {}}}").await;
        for (id, pattern) in IDS.map(|id| (id, "Pool")).into_iter().chain([(BRIDGE, "Bridge")]) {
            w.apply(&format!(
                "{{kind: Tenant, metadata: {{name: \"{id}\"}}, spec: {{tenantId: \"{id}\", pattern: {pattern}, \
                 stackRef: {{name: standard}}}}}}"
            ))
            .await;
        }
        for id in IDS.into_iter().chain([BRIDGE]) {
            w.ready(id).await;
            w.upload(id, &[("handbook.md", &handbook(id))]).await;
        }
        w.request_sync(IDS[0]).await;
        w.request_sync(BRIDGE).await;
        let stack = w.condition(STACK, "DocumentsCurrent=True/Synced").await;
        let bucket = stack.status.bucket.clone().unwrap();
        for id in IDS.into_iter().chain([BRIDGE]) {
            let folder = if id == BRIDGE { "bridge" } else { "pool" };
            let own = (format!("s3://{bucket}/{folder}/{id}/handbook.md"), handbook(id));
            assert_eq!(w.retrieve(id, QUESTION).await, std::slice::from_ref(&own), "{id}");
            assert_eq!(w.retrieve_by_command(id, QUESTION).await, [own], "{id}");
            let item = w.item(id).await;
            assert_eq!((&item["tenantId"], &item["state"]), (&json!(id), &json!("ready")));
        }
        for id in IDS {
            let filter = w.get(id).await.status.retrieval_filter.unwrap().equals;
            assert_eq!((filter.key.as_str(), filter.value.as_str()), ("tenantId", id));
            assert_eq!(w.item(id).await["filter"]["equals"]["value"], id);
            let sidecar = format!("pool/{id}/handbook.md.metadata.json");
            let sidecar = w.sdk.s3.get_object().bucket(&bucket).key(sidecar).send().await.unwrap();
            let sidecar: Value =
                serde_json::from_slice(&sidecar.body.collect().await.unwrap().into_bytes()).unwrap();
            assert_eq!(sidecar, json!({"metadataAttributes": {"tenantId": id}}));
        }

        // OpenSearch would take the first of them for a date, and refuse all that come after it.
        let (_, collection) = stack.status.store_arn.as_deref().unwrap().rsplit_once('/').unwrap();
        let index = w.stack_identity("standard", stack.uid()).name(Layer::Index);
        let schema = w.adapters().indexes.find(collection, &index).await.unwrap().expect("the index");
        let text = json!({"type": "text", "fields": {"keyword": {"type": "keyword"}}});
        assert_eq!(schema["mappings"]["properties"]["tenantId"], text, "{schema:#}");
        assert_eq!(schema["mappings"]["date_detection"], false, "{schema:#}");

        let bridge = w.tenant_identity(BRIDGE, Pattern::Bridge, Some("standard"), w.get(BRIDGE).await.uid());
        let role = w.sdk.iam.list_role_policies().role_name(bridge.name(Layer::Role)).send().await.unwrap();
        let policy = w.sdk.iam.get_role_policy().role_name(bridge.name(Layer::Role));
        let policy = policy.policy_name(&role.policy_names()[0]).send().await.unwrap().policy_document;
        let policy = percent_encoding::percent_decode_str(&policy).decode_utf8().unwrap().into_owned();
        let prefix = format!("bridge/{BRIDGE}/");
        assert!(policy.contains(&format!(r#"["{prefix}","{prefix}*"]"#)), "{policy}");
    };
    world_with(registered, test).await;
}

/// Without quotes YAML makes something else of most of them, and no tenant is made of that: not by the API server, and not
/// by `tenantry plan`.
#[tokio::test]
async fn without_quotes_it_is_refused_where_yaml_takes_it_for_something_else() {
    world(|w| async move {
        let folder = tempfile::tempdir().unwrap();
        for (id, is_text) in [
            ("2024-01-01", true),
            ("1-2", true),
            ("true", false),
            ("no", false),
            ("null", false),
            ("1e5", false),
            ("007", false),
            ("0x1f", false),
        ] {
            let file = folder.path().join(format!("{id}.yaml"));
            let namespace = w.namespace_name("");
            let manifest = format!(
                "apiVersion: tenantry.dev/v1alpha1\nkind: Tenant\nmetadata: {{name: it, namespace: {namespace}}}\n\
                 spec:\n  tenantId: {id}\n  pattern: Silo\n"
            );
            std::fs::write(&file, manifest).unwrap();
            let file = file.to_str().unwrap();
            let apply = ["create", "--dry-run=server", "-o", "jsonpath={.spec.tenantId}", "-f", file];
            let plan = ["plan", "--installation", "e2e", "--account", &w.account, "--region", "us-east-1", "-f", file];
            for (program, arguments) in [(w.bed.kubectl.as_str(), &apply[..]), (env!("CARGO_BIN_EXE_tenantry"), &plan)] {
                let said = run(&w, program, arguments).await;
                if is_text {
                    assert!(said.as_ref().is_ok_and(|said| said.contains(id)), "{program} {id}: {said:?}");
                } else {
                    let refused = said.expect_err(id);
                    assert!(refused.contains("spec.tenantId: "), "{program} {id}: {refused}");
                }
            }
        }
    })
    .await;
}

/// What a program prints, or what it says as it refuses.
async fn run(w: &World, program: &str, arguments: &[&str]) -> Result<String, String> {
    let mut command = tokio::process::Command::new(program);
    let output = command.args(arguments).envs(w.environment()).stdin(Stdio::null()).output().await.unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    if output.status.success() { Ok(text(output.stdout)) } else { Err(text(output.stderr)) }
}
