//! `tenantry plan` says beforehand which calls an onboarding then makes.

use std::collections::BTreeMap;
use std::process::Stdio;

use serde_json::{Value, json};
use tenantry::api::{Layer, VectorStore};
use tenantry::stack::store::needs;

use crate::support::double::{Call, Journal};
use crate::support::world::{World, world};
use crate::support::{aws, bed};

/// Every pattern, and every setting that adds a call or spares one.
const STACKS: &str = "
    {kind: SharedStack, metadata: {name: standard}, spec: {pool: {}}}
    ---
    kind: SharedStack
    metadata: {name: keyed}
    spec: {encryption: {key: Create}, documents: {noncurrentExpirationDays: 0}, collection: {network: {access: Public}}}
    ---
    kind: Tenant
    metadata: {name: silo}
    spec: {tenantId: silo, pattern: Silo, encryption: {key: Create}, tags: {costCenter: '42'}}
    ---
    kind: Tenant
    metadata: {name: plain}
    spec:
      tenantId: plain
      pattern: Silo
      documents: {versioning: Suspended}
      collection: {standbyReplicas: Disabled}
      index: {attributes: [{name: year, type: Number}]}
    ---
    {kind: Tenant, metadata: {name: bridge}, spec: {tenantId: bridge, pattern: Bridge, stackRef: {name: standard}}}
    ---
    {kind: Tenant, metadata: {name: locked}, spec: {tenantId: locked, pattern: Bridge, stackRef: {name: keyed}}}
    ---
    {kind: Tenant, metadata: {name: pool}, spec: {tenantId: pool, pattern: Pool, stackRef: {name: standard}}}";

/// What is printed for these objects.
async fn plan(w: &World, yaml: &str) -> Value {
    let file = tempfile::Builder::new().suffix(".json").tempfile().unwrap();
    let list = json!({"apiVersion": "v1", "kind": "List", "items": w.objects(yaml)});
    std::fs::write(file.path(), list.to_string()).unwrap();
    let output = tokio::process::Command::new(env!("CARGO_BIN_EXE_tenantry"))
        .args(["plan", "-o", "json", "--installation", &w.settings.installation])
        .args(["--account", &w.account, "--region", aws::REGION, "-f"])
        .arg(file.path())
        .current_dir(bed::root())
        .env_clear()
        .stdin(Stdio::null())
        .output()
        .await
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// A call as plan and journal both tell it: service, operation, kind of policy, name.
type Told = (String, String, String, String);

fn planned(call: &Value) -> Told {
    let text = |field: &str| call[field].as_str().unwrap().to_owned();
    let kind = match text("what").as_str() {
        "encryption policy" => "encryption",
        "network policy" => "network",
        "data access policy" => "data",
        _ => "",
    };
    let (operation, mut name) = (text("operation"), text("name"));
    if operation == "CreateKey" {
        name.clear(); // a key has no name before its alias
    }
    (text("service"), operation, kind.into(), name)
}

fn made(call: &Call) -> Told {
    let param = |name: &str| call.params[name].as_str().unwrap_or_default().to_owned();
    let (service, name) = match call.service.as_str() {
        "kms" if call.operation == "CreateKey" => ("kms", String::new()),
        "kms" => ("kms", call.resource.trim_start_matches("alias/").to_owned()),
        "aoss" if call.operation == "CreateIndex" => ("aoss", param("indexName")),
        "aoss" => ("aoss", param("name")),
        // The trust's new knowledge base is its role's business.
        "bedrock" | "bedrock-agent" => ("bedrock", param("name")),
        other => (other, call.resource.clone()),
    };
    let kind = if call.operation.ends_with("Policy") { param("type") } else { String::new() };
    (service.into(), call.operation.clone(), kind, name)
}

fn counted(calls: impl Iterator<Item = Told>) -> BTreeMap<Told, usize> {
    let mut counted = BTreeMap::new();
    calls.for_each(|call| *counted.entry(call).or_default() += 1);
    counted
}

#[tokio::test]
async fn an_onboarding_makes_the_calls_that_were_planned() {
    world(|w| async move {
        let plan = plan(&w, STACKS).await;
        w.apply(STACKS).await;
        for object in
            ["SharedStack/standard", "SharedStack/keyed", "silo", "plain", "bridge", "locked", "pool"]
        {
            w.ready(object).await;
        }
        let journal = w.double.journal(0).await.mutating().only(Call::succeeded);

        let objects = || plan["objects"].as_array().unwrap().iter();
        let calls = |object: &Value| object["calls"].as_array().unwrap().clone();
        let all =
            plan["operatorCalls"].as_array().unwrap().clone().into_iter().chain(objects().flat_map(calls));
        let (planned_calls, made_calls) =
            (counted(all.map(|call| planned(&call))), counted(journal.iter().map(made)));
        let differ = |a: &BTreeMap<Told, usize>, b: &BTreeMap<Told, usize>| -> Vec<Told> {
            a.iter()
                .filter(|(call, count)| b.get(*call) != Some(count))
                .map(|(call, _)| call.clone())
                .collect()
        };
        assert!(
            planned_calls == made_calls,
            "planned, and not or otherwise made:\n{:#?}\nmade, and not or otherwise planned:\n{:#?}",
            differ(&planned_calls, &made_calls),
            differ(&made_calls, &planned_calls),
        );
        for object in objects() {
            assert_in_order(object, &journal);
        }
        let count = |title: &str| {
            let object = objects().find(|it| it["object"].as_str().unwrap().ends_with(title)).unwrap();
            object["calls"].as_array().unwrap().len()
        };
        // A created key is two calls, and the bucket's encryption one more.
        assert_eq!((count("/silo"), count("/bridge"), count("/pool")), (19, 7, 0));
    })
    .await;
}

/// The calls of a layer come one after another, and after those of all layers that it needs.
fn assert_in_order(object: &Value, journal: &Journal) {
    let mut of_layer: BTreeMap<Layer, Vec<u64>> = BTreeMap::new();
    for call in object["calls"].as_array().unwrap() {
        let layer = Layer::ALL.into_iter().find(|layer| call["layer"] == layer.words()).unwrap();
        let told = planned(call);
        // Keys cannot be told apart; each is before its alias, or there would be none.
        if told.1 != "CreateKey" {
            let seq = journal.iter().find(|it| made(it) == told).unwrap().seq;
            of_layer.entry(layer).or_default().push(seq);
        }
    }
    for (layer, calls) in &of_layer {
        assert!(calls.is_sorted(), "the {layer} of {} was made otherwise in\n{journal}", object["object"]);
        for needed in needs(VectorStore::default(), *layer).iter().filter_map(|needed| of_layer.get(needed)) {
            assert!(
                needed.last() < calls.first(),
                "the {layer} of {} came too early in\n{journal}",
                object["object"]
            );
        }
    }
}
