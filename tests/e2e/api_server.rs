//! The way to the API server: calls that are lost, refused or cut off leave nothing undone and nothing done twice.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use serde::Deserialize;
use serde_json::{Value, json};
use tenantry::controller;
use tokio_util::sync::CancellationToken;

use crate::bed::{Bed, client_of, root};
use crate::fleet::Fleet;
use crate::world::{PATIENCE, World, world_without_operator};

const FLEET: Fleet = Fleet { each: 1 };

/// A proxy before the API server; it ends with its standard input.
struct Proxy {
    kubeconfig: tempfile::TempPath,
    control: String,
    http: reqwest::Client,
    _process: Child,
}

#[derive(Deserialize)]
struct Started {
    control: String,
}

impl Proxy {
    fn before(bed: &Bed) -> Self {
        let kubeconfig = tempfile::NamedTempFile::new().unwrap().into_temp_path();
        let mut process = Command::new(root().join(".cache/venv/bin/python"))
            .args(["tests/bed/proxy.py", "--kubeconfig", &bed.kubeconfig, "--write"])
            .arg(&kubeconfig)
            .current_dir(root())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let Started { control } = serde_json::from_str(&line).expect("the proxy did not come up");
        Self { kubeconfig, control, http: reqwest::Client::new(), _process: process }
    }

    async fn post(&self, path: &str, body: Value) {
        let answer = self.http.post(format!("{}{path}", self.control)).json(&body).send().await.unwrap();
        assert!(answer.status().is_success(), "{}", answer.text().await.unwrap());
    }

    async fn get(&self, path: &str) -> Value {
        let answer = self.http.get(format!("{}{path}", self.control)).send().await.unwrap();
        answer.json().await.unwrap()
    }
}

/// Runs an operator behind a proxy; every second write to our own kinds meets what `deed` says.
async fn every_second_write(deed: &'static str) {
    let test = async |w: World| {
        let proxy = Proxy::before(w.bed);
        for nth in (1..60).step_by(2) {
            let rule = json!({"path": "/apis/tenantry.dev/*", "first": nth, "count": 1, "do": deed});
            proxy.post("/rules", rule).await;
        }
        let (sdk, stop) = (w.operator_session().await, CancellationToken::new());
        let client = client_of(proxy.kubeconfig.to_str().unwrap()).await;
        let (settings, token) = (w.settings.clone(), stop.clone());
        let operator = tokio::spawn(async move { controller::run(settings, client, &sdk, token).await });
        w.granted().await;
        w.apply(&FLEET.yaml()).await;
        w.condition("SharedStack/standard", "BucketReady=True").await;
        // Watches break off, too.
        proxy.post("/cut", json!({})).await;
        FLEET.ready(&w).await;
        FLEET.assert_as_if_undisturbed(&w).await;
        let hits = proxy.get("/rules").await["rules"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|rule| rule["hit"] == 1)
            .count();
        assert!(hits >= 5, "only {hits} writes were disturbed");
        for tenant in ["silo1", "bridge1", "pool1"] {
            w.patch(tenant, json!({"spec": {"deletionPolicy": "Delete"}})).await;
            w.delete(tenant).await;
            w.gone(tenant).await;
        }
        stop.cancel();
        tokio::time::timeout(PATIENCE, operator).await.expect("it did not stop").unwrap().unwrap();
    };
    world_without_operator(|_| {}, test).await;
}

#[tokio::test]
async fn an_answer_that_is_lost_is_seen_all_the_same() {
    every_second_write("drop-after").await;
}

#[tokio::test]
async fn a_request_that_is_lost_is_made_again() {
    every_second_write("drop-before").await;
}

#[tokio::test]
async fn a_request_that_is_refused_is_made_again() {
    every_second_write("refuse").await;
}
