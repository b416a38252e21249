//! The examples work as they are, and applying them again changes nothing.

use std::collections::BTreeMap;

use crate::bed::root;
use crate::world::{World, world};

const EXAMPLES: [&str; 5] = ["shared-stack", "silo", "bridge", "pool", "leaving"];
const TENANTS: [&str; 7] = [
    "tenants/globex",
    "tenants/initech",
    "tenants/acme",
    "tenants/umbrella",
    "tenants/vandelay",
    "tenants/hooli",
    "tenants/soylent",
];

#[tokio::test]
async fn every_example_becomes_ready_and_kubectl_has_nothing_to_add() {
    world(|w| async move {
        w.namespace("tenants", &[]).await;
        let file = examples(&w);
        let path = file.path().to_str().unwrap();
        let created = w.kubectl(&["apply", "-f", path]).await;
        assert_eq!(created.lines().filter(|line| line.ends_with(" created")).count(), 8, "{created}");
        for tenant in TENANTS {
            w.ready(tenant).await;
        }
        w.ready("SharedStack/standard").await;

        let before = versions(&w).await;
        let again = w.kubectl(&["apply", "-f", path]).await;
        assert_eq!(again.lines().filter(|line| line.ends_with(" unchanged")).count(), 8, "{again}");
        assert_eq!(versions(&w).await, before);
        let difference = w.kubectl(&["diff", "-f", path]).await;
        assert_eq!(difference, "");
    })
    .await;
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
