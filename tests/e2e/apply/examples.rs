//! The examples work as they are, and applying them again changes nothing.

use std::collections::BTreeMap;

use crate::support::bed::root;
use crate::support::objects::Object;
use crate::support::world::{World, world};

const EXAMPLES: [&str; 8] = [
    "shared-stack",
    "silo",
    "bridge",
    "pool",
    "leaving",
    "silo-s3-vectors",
    "shared-stack-s3-vectors",
    "tiers",
];
const TENANTS: [&str; 11] = [
    "tenants/globex",
    "tenants/initech",
    "tenants/acme",
    "tenants/umbrella",
    "tenants/vandelay",
    "tenants/hooli",
    "tenants/soylent",
    "tenants/wonka",
    "tenants/cyberdyne",
    "tenants/oscorp",
    "tenants/tyrell",
];

#[tokio::test]
async fn every_example_becomes_ready_and_kubectl_has_nothing_to_add() {
    world(|w| async move {
        w.namespace("tenants", &[]).await;
        let file = examples(&w);
        let path = file.path().to_str().unwrap();
        let created = w.kubectl(&["apply", "-f", path]).await;
        assert_eq!(created.lines().filter(|line| line.ends_with(" created")).count(), 15, "{created}");
        for tenant in TENANTS {
            w.ready(tenant).await;
        }
        w.ready("SharedStack/standard").await;
        w.ready("SharedStack/vectors").await;

        let before = versions(&w).await;
        let again = w.kubectl(&["apply", "-f", path]).await;
        assert_eq!(again.lines().filter(|line| line.ends_with(" unchanged")).count(), 15, "{again}");
        assert_eq!(versions(&w).await, before);
        let difference = w.kubectl(&["diff", "-f", path]).await;
        assert_eq!(difference, "");

        // Argo CD applies server-side, and compares with what that would make of an object.
        let as_argo_cd = |verb| {
            [verb, "--server-side", "--force-conflicts", "--field-manager=argocd-controller", "-f", path]
        };
        w.kubectl(&as_argo_cd("apply")).await;
        let difference = w.kubectl(&as_argo_cd("diff")).await;
        assert_eq!(difference, "");
        for object in w.all().await {
            assert_operator_writes_only_its_own(&object);
        }
    })
    .await;
}

/// What Git or Helm write would be in conflict with anything else that the operator wrote.
fn assert_operator_writes_only_its_own(object: &Object) {
    let written = object.meta.managed_fields.iter().flatten();
    let by_others = |manager: &str| manager.starts_with("kubectl") || manager == "argocd-controller";
    let by_us: Vec<_> = written.filter(|entry| !by_others(entry.manager.as_deref().unwrap())).collect();
    assert!(!by_us.is_empty(), "the operator has written nothing: {}", object.describe());
    for entry in by_us {
        let fields = entry.fields_v1.as_ref().unwrap().0.as_object().unwrap();
        let ours = |field: &str| match field {
            "f:status" => entry.subresource.as_deref() == Some("status"),
            "f:metadata" => fields[field].as_object().unwrap().keys().all(|field| field == "f:finalizers"),
            _ => false,
        };
        assert!(
            fields.keys().all(|field| ours(field)),
            "{} wrote {fields:?}",
            entry.manager.as_deref().unwrap()
        );
    }
}

/// All examples as they are in their files, but for this world's names and label.
fn examples(w: &World) -> tempfile::NamedTempFile {
    let file = tempfile::Builder::new().suffix(".json").tempfile().unwrap();
    let read = |name| std::fs::read_to_string(root().join("examples").join(format!("{name}.yaml"))).unwrap();
    let items: Vec<_> = EXAMPLES.iter().flat_map(|name| w.objects(&read(name))).collect();
    let list = serde_json::json!({"apiVersion": "v1", "kind": "List", "items": items});
    std::fs::write(file.path(), list.to_string()).unwrap();
    file
}

async fn versions(w: &World) -> BTreeMap<String, String> {
    let objects = w.all().await.into_iter();
    objects.map(|object| (object.meta.name.clone().unwrap(), object.version().to_owned())).collect()
}
