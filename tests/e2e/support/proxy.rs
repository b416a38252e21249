//! A proxy before the API server, which loses, refuses, delays and cuts off what its script says.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use kube::Client;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::support::bed::{Bed, client_of, root};

/// It ends with its standard input, and so with this.
pub struct Proxy {
    kubeconfig: tempfile::TempPath,
    control: String,
    http: reqwest::Client,
    process: Child,
}

#[derive(Deserialize)]
struct Started {
    control: String,
}

/// A request that passed it.
#[derive(Clone, Debug, Deserialize)]
pub struct Request {
    pub method: String,
    pub path: String,
    pub status: u16,
}

impl Proxy {
    /// For an operator: who goes through it acts with the operator's rights.
    pub fn before(bed: &Bed) -> Self {
        Self::before_as(&bed.operator_kubeconfig)
    }

    /// For whoever has this kubeconfig.
    pub fn before_as(theirs: &str) -> Self {
        let kubeconfig = tempfile::NamedTempFile::new().unwrap().into_temp_path();
        let mut process = Command::new(root().join(".cache/venv/bin/python"))
            .args(["tests/bed/proxy.py", "--kubeconfig", theirs, "--write"])
            .arg(&kubeconfig)
            .current_dir(root())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let Started { control } = serde_json::from_str(&line).expect("the proxy did not come up");
        Self { kubeconfig, control, http: reqwest::Client::new(), process }
    }

    /// The way to the API server that leads through it.
    pub fn kubeconfig(&self) -> &str {
        self.kubeconfig.to_str().unwrap()
    }

    /// A client whose way leads through it.
    pub async fn client(&self) -> Client {
        client_of(self.kubeconfig()).await
    }

    async fn control(&self, request: reqwest::RequestBuilder) -> Value {
        let answer = request.send().await.unwrap();
        let (status, text) = (answer.status(), answer.text().await.unwrap());
        assert!(status.is_success(), "the proxy does not understand: {text}");
        serde_json::from_str(&text).unwrap()
    }

    /// From now on requests go wrong: which and how is described in `proxy.py`.
    pub async fn rule(&self, rule: Value) {
        self.control(self.http.post(format!("{}/rules", self.control)).json(&rule)).await;
    }

    /// Nothing goes wrong any more.
    pub async fn heal(&self) {
        self.control(self.http.delete(format!("{}/rules", self.control))).await;
    }

    /// How many requests its rules have struck.
    pub async fn hits(&self) -> u64 {
        let answer = self.control(self.http.get(format!("{}/rules", self.control))).await;
        answer["rules"].as_array().unwrap().iter().filter_map(|rule| rule["hit"].as_u64()).sum()
    }

    /// Breaks all connections.
    pub async fn cut(&self) {
        self.control(self.http.post(format!("{}/cut", self.control)).json(&json!({}))).await;
    }

    /// All requests so far, those that only read included.
    pub async fn requests(&self) -> Vec<Request> {
        let mut answer = self.control(self.http.get(format!("{}/requests?all=1", self.control))).await;
        serde_json::from_value(answer["requests"].take()).unwrap()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        let _ = self.process.wait();
    }
}
