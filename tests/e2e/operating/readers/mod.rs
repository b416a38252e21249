//! What those make of our statuses who wait for them: kubectl, kstatus, Helm 4 and Argo CD.
//!
//! The table in docs/status.md is what they must say, and the statuses that it names are real ones. When statuses have
//! changed, these commands write them, and the tests of the health script, anew:
//!
//!     TENANTRY_REFRESH=1 cargo test --test e2e -- readers::statuses
//!     TENANTRY_REFRESH=1 cargo test --test e2e -- readers::scripts

use std::fs;
use std::path::PathBuf;
use std::process::Stdio;

use kube::api::DynamicObject;
use serde::Deserialize;
use serde_json::Value;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use crate::support::bed::root;

mod agreement;
mod scripts;
mod statuses;

/// A row of the table: a status and what its readers must say of it.
struct Row {
    name: String,
    kubectl: String,
    kstatus: String,
    helm: String,
    argo: String,
}

/// The table in docs/status.md.
fn table() -> Vec<Row> {
    let page = fs::read_to_string(root().join("docs/status.md")).unwrap();
    let lines = page.lines().skip_while(|line| !line.starts_with("| status |")).skip(2);
    let rows = lines.take_while(|line| line.starts_with('|'));
    let read = |line: &str| {
        let cells: Vec<_> = line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect();
        let [name, _, kubectl, kstatus, helm, argo] = <[String; 6]>::try_from(cells).unwrap();
        Row { name, kubectl, kstatus, helm, argo }
    };
    let rows: Vec<_> = rows.map(read).collect();
    assert!(!rows.is_empty(), "docs/status.md has lost its table");
    rows
}

/// Argo CD's scripts, their tests and the statuses, in Argo CD's own layout.
fn customizations() -> PathBuf {
    root().join("examples/argocd/resource_customizations")
}

/// Where both kinds have their health script.
fn health() -> PathBuf {
    customizations().join("tenantry.dev/_")
}

/// Where a status of the table is kept.
fn file(name: &str) -> PathBuf {
    health().join(format!("testdata/{name}.yaml"))
}

fn kept(name: &str) -> Value {
    let text = fs::read_to_string(file(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
    serde_saphyr::from_str(&text).unwrap()
}

/// Whether files are to be written anew rather than compared.
fn refreshes() -> bool {
    std::env::var_os("TENANTRY_REFRESH").is_some()
}

/// What kstatus and Argo CD say of an object.
#[derive(Deserialize)]
struct Opinions {
    kstatus: Opinion,
    argo: Opinion,
}

#[derive(Deserialize)]
struct Opinion {
    status: String,
    message: String,
}

/// Asks kstatus and Argo CD's sandbox.
async fn opinions(objects: &[DynamicObject]) -> Vec<Opinions> {
    let mut readers = Command::new(program("readers").await)
        .arg("judge")
        .arg(customizations())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = readers.stdin.take().unwrap();
    input.write_all(&serde_json::to_vec(objects).unwrap()).await.unwrap();
    drop(input);
    let output = readers.wait_with_output().await.unwrap();
    assert!(output.status.success(), "readers judge failed; it said why above");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The path of a program that the bed knows how to build.
async fn program(name: &str) -> String {
    let prepare = Command::new("python3").args(["tests/bed/prepare.py", name]).current_dir(root()).output();
    let output = prepare.await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}
