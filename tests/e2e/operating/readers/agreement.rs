//! Each reader is given every status of the table, by a real API server, and says what the table says.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use futures::StreamExt;
use futures::stream;
use kube::api::{Patch, PatchParams};
use serde_json::json;
use tokio::process::Command;

use super::{Opinions, Row, health, kept, opinions, program, table};
use crate::support::bed::bed;
use crate::support::objects::Object;
use crate::support::world::World;

/// How long kubectl and Helm wait: long for what comes, and not very long for what does not.
fn timeout(told: &str) -> &'static str {
    if told == "waits" { "--timeout=8s" } else { "--timeout=60s" }
}

#[tokio::test]
async fn all_readers_say_what_the_table_says() {
    let rows = table();
    let named: BTreeSet<_> = rows.iter().map(|row| format!("{}.yaml", row.name)).collect();
    let files = fs::read_dir(health().join("testdata")).unwrap();
    let files = files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    assert_eq!(named, files, "the table's statuses and those that are kept");

    // Without an operator, and so without a record of what it writes.
    let w = World::new(bed().await, |_| {}).await;
    let helm = program("helm").await;
    let judged = stream::iter(&rows).map(async |row| {
        let object = w.put(row).await;
        let Opinions { kstatus, argo } = opinions(std::slice::from_ref(&object.as_it_is)).await.remove(0);
        let (kubectl, helm) =
            (kubectl_wait(&w, row, &object).await, helm_wait(&w, &helm, row, &object).await);
        w.let_go(row, &object).await;
        let (heard, told) = (
            [&kubectl, &kstatus.status, &helm, &argo.status],
            [&row.kubectl, &row.kstatus, &row.helm, &row.argo],
        );
        (heard != told).then(|| format!("{}: the table says {told:?}, and they said {heard:?}", row.name))
    });
    // Side by side, for most of it is waiting.
    let wrong: Vec<_> = judged.buffered(8).filter_map(async |wrong| wrong).collect().await;
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

impl World {
    /// Makes an object that nobody reconciles, named like its row, with the status of the row.
    async fn put(&self, row: &Row) -> Object {
        let kept = kept(&row.name);
        let name = self.called(row);
        let metadata = json!({
            "name": row.name,
            "annotations": kept["metadata"]["annotations"],
            "finalizers": kept["metadata"]["finalizers"],
        });
        self.apply(&json!({"kind": kept["kind"], "metadata": metadata, "spec": kept["spec"]}).to_string())
            .await;
        // Deletion makes a generation too.
        let leaving = kept["metadata"]["deletionTimestamp"].is_string();
        let generation = kept["metadata"]["generation"].as_i64().unwrap() - i64::from(leaving);
        while self.get(&name).await.meta.generation < Some(generation) {
            self.touch(&name).await;
        }
        if leaving {
            self.delete(&name).await;
        }
        let (api, really) = self.find(&name);
        // Recorded in an account that an operator beside this test may have: it must not take these objects for its own.
        let mut status = kept["status"].clone();
        status["idRecord"] = json!("elsewhere");
        let status = Patch::Merge(json!({"status": status}));
        api.patch_status(&really, &PatchParams::default(), &status).await.unwrap().into()
    }

    /// Lets an object go that was deleted.
    async fn let_go(&self, row: &Row, object: &Object) {
        if object.is_leaving() {
            self.patch(&self.called(row), json!({"metadata": {"finalizers": null}})).await;
        }
    }

    fn called(&self, row: &Row) -> String {
        if kept(&row.name)["kind"] == "SharedStack" {
            format!("SharedStack/{}", row.name)
        } else {
            row.name.clone()
        }
    }
}

/// kubectl waits for Ready.
async fn kubectl_wait(w: &World, row: &Row, object: &Object) -> String {
    let (kind, name) = (&object.as_it_is.types.as_ref().unwrap().kind, object.meta.name.as_ref().unwrap());
    let namespace = w.namespace_name("");
    let object = format!("{kind}.tenantry.dev/{name}");
    let mut kubectl = Command::new(&w.bed.kubectl);
    kubectl.args(["wait", &object, "-n", &namespace, "--for=condition=Ready", timeout(&row.kubectl)]);
    match outcome(kubectl, w).await {
        Ok(()) => "returns".into(),
        Err(said) if said.contains("timed out waiting for the condition") => "waits".into(),
        Err(said) => said,
    }
}

/// Helm upgrades to a chart that is nothing but the object as it is, and waits.
async fn helm_wait(w: &World, helm: &str, row: &Row, object: &Object) -> String {
    let home = tempfile::tempdir().unwrap();
    let chart = home.path().join("chart");
    write_chart(&chart, object);
    let mut command = Command::new(helm);
    for kind in ["CACHE", "CONFIG", "DATA"] {
        command.env(format!("HELM_{kind}_HOME"), home.path());
    }
    let release = object.meta.name.as_ref().unwrap();
    command.args(["upgrade", "--install", release]).arg(chart).args(["-n", &w.namespace_name("")]);
    command.args(["--wait", "--take-ownership", "--force-conflicts", timeout(&row.helm)]);
    match outcome(command, w).await {
        Ok(()) => "returns".into(),
        Err(said) if said.contains("context deadline exceeded") => "waits".into(),
        // At once, and with our words.
        Err(said) if said.contains("status: Failed") && said.contains(object.message("Stalled")) => {
            "fails".into()
        }
        Err(said) => said,
    }
}

fn write_chart(chart: &Path, object: &Object) {
    let types = object.as_it_is.types.as_ref().unwrap();
    let manifest = json!({
        "apiVersion": types.api_version,
        "kind": types.kind,
        "metadata": {"name": object.meta.name, "namespace": object.meta.namespace},
        "spec": object.spec,
    });
    fs::create_dir_all(chart.join("templates")).unwrap();
    fs::write(chart.join("Chart.yaml"), "{apiVersion: v2, name: one-object, version: 0.0.0}").unwrap();
    fs::write(chart.join("templates/object.yaml"), manifest.to_string()).unwrap();
}

/// Whether a program succeeds; if not, what it said.
async fn outcome(mut command: Command, w: &World) -> Result<(), String> {
    let output = command.envs(w.environment()).output().await.unwrap();
    if output.status.success() {
        return Ok(());
    }
    Err(String::from_utf8_lossy(&output.stderr).into_owned())
}
