//! Replicas: several processes of one installation, of which one leads.

use std::fmt::Debug;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::api::rbac::v1::{Role, RoleBinding};
use kube::api::{ObjectMeta, PostParams};
use kube::core::NamespaceResourceScope;
use kube::{Api, Resource};
use regex::Regex;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Child;

use crate::support::double::{Journal, OPERATOR};
use crate::support::world::{INSTALLATION, PATIENCE, World};

/// What replicas are told: short, but long enough for two busy processors.
pub const DURATION: u64 = 6;
const DEADLINE: u64 = 4;
pub const RETRY: u64 = 1;

/// A process of the operator. It is killed when it is dropped.
pub struct Replica {
    process: Child,
    log: Arc<Mutex<String>>,
    session: String,
    http: reqwest::Client,
}

impl World {
    /// Starts a replica. Its calls to AWS bear its name, and it serves probes and metrics.
    pub async fn replica(&self, name: &str, arguments: &[&str]) -> Replica {
        self.replica_by(name, &self.bed.operator_kubeconfig, arguments).await
    }

    /// The same, which reaches the API server another way.
    pub async fn replica_by(&self, name: &str, kubeconfig: &str, arguments: &[&str]) -> Replica {
        self.allow_the_lease().await;
        let session = format!("{OPERATOR}-{name}");
        let sdk = self.session_of_operator(&session).await;
        let mut command = self.program_as(&sdk, arguments).await;
        command
            .env("KUBECONFIG", kubeconfig)
            // Arguments go before the environment.
            .env("TENANTRY_LEADER_ELECT", "true")
            .env("TENANTRY_LEADER_ELECT_RESOURCE_NAMESPACE", self.namespace_name(""))
            .env("TENANTRY_LEADER_ELECT_LEASE_DURATION", DURATION.to_string())
            .env("TENANTRY_LEADER_ELECT_RENEW_DEADLINE", DEADLINE.to_string())
            .env("TENANTRY_LEADER_ELECT_RETRY_PERIOD", RETRY.to_string())
            .args(["--health-probe-bind-address", "127.0.0.1:0", "--metrics-bind-address", "127.0.0.1:0"])
            .stderr(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let (log, mut lines) =
            (Arc::new(Mutex::new(String::new())), BufReader::new(process.stderr.take().unwrap()).lines());
        let written = log.clone();
        let name = name.to_owned();
        tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                println!("{name}: {line}");
                *written.lock().unwrap() += &format!("{line}\n");
            }
        });
        Replica { process, log, session, http: reqwest::Client::new() }
    }

    /// What the chart allows in the namespace of its release, allowed in this world's, too.
    async fn allow_the_lease(&self) {
        self.copy::<Role>("tenantry-leader").await;
        self.copy::<RoleBinding>("tenantry-leader").await;
    }

    /// An object of the release's namespace, in this world's.
    async fn copy<K>(&self, name: &str)
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>
            + Clone
            + Debug
            + Serialize
            + DeserializeOwned,
    {
        let api = |namespace: &str| Api::<K>::namespaced(self.client.clone(), namespace);
        let mut object = api("tenantry").get(name).await.unwrap();
        *object.meta_mut() = ObjectMeta { name: Some(name.into()), ..ObjectMeta::default() };
        match api(&self.namespace_name("")).create(&PostParams::default(), &object).await {
            Err(kube::Error::Api(status)) if status.is_already_exists() => {}
            created => drop(created.unwrap()),
        }
    }

    /// Starts a replica and waits until it leads.
    pub async fn leader(&self, name: &str, arguments: &[&str]) -> Replica {
        let replica = self.replica(name, arguments).await;
        replica.says(self, "this process leads").await;
        replica
    }

    /// Starts a replica and waits until it waits for another.
    pub async fn standby(&self, name: &str, arguments: &[&str]) -> Replica {
        let replica = self.replica(name, arguments).await;
        replica.says(self, "another process leads").await;
        replica
    }

    /// The Lease as it is.
    pub async fn lease(&self) -> LeaseSpec {
        let leases: Api<Lease> = Api::namespaced(self.client.clone(), &self.namespace_name(""));
        leases.get(&format!("tenantry-{INSTALLATION}")).await.unwrap().spec.unwrap()
    }

    /// Waits until another than the holder of `before` has the Lease, and says when it took it.
    pub async fn taken_over(&self, before: &LeaseSpec) -> Timestamp {
        let taken = || async {
            let now = self.lease().await;
            let is_anothers = now.holder_identity.is_some() && now.holder_identity != before.holder_identity;
            is_anothers.then(|| now.acquire_time.unwrap().0)
        };
        self.eventually("another process takes the lease", taken).await
    }
}

impl Replica {
    /// Waits until its log has something.
    pub async fn says(&self, w: &World, text: &str) {
        let said = || async { self.log().contains(text).then_some(()) };
        w.eventually(&format!("{} says '{text}'", self.session), said).await;
    }

    pub fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// What it answers on one of its own addresses.
    pub async fn get(&self, path: &str) -> (u16, String) {
        let what = if path == "/metrics" { "metrics" } else { "health probes" };
        let serving = Regex::new(&format!(r"serving {what} address=(\S+)")).unwrap();
        let log = self.log();
        let address = &serving.captures(&log).unwrap_or_else(|| panic!("not serving {what}:\n{log}"))[1];
        let answer = self.http.get(format!("http://{address}{path}")).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    /// Whether it is ready, and what it says.
    pub async fn ready(&self) -> (bool, String) {
        let (status, text) = self.get("/readyz").await;
        (status == 200, text)
    }

    /// Sends it a signal: TERM, KILL, STOP or CONT.
    pub async fn signal(&self, signal: &str) {
        let id = self.process.id().expect("it has ended").to_string();
        let sent = tokio::process::Command::new("kill").args([&format!("-{signal}"), &id]).status();
        assert!(sent.await.unwrap().success(), "it could not be signalled");
    }

    /// Waits until it has ended.
    pub async fn ended(&mut self) -> ExitStatus {
        let ended = tokio::time::timeout(PATIENCE, self.process.wait());
        ended.await.unwrap_or_else(|_| panic!("{} does not end:\n{}", self.session, self.log())).unwrap()
    }

    /// Kills it, as if its machine had died.
    pub async fn die(&mut self) {
        assert!(self.process.try_wait().unwrap().is_none(), "it has ended by itself:\n{}", self.log());
        self.process.kill().await.unwrap();
    }

    /// Its own calls.
    pub fn calls(&self, journal: &Journal) -> Journal {
        journal.only(|call| call.session() == self.session)
    }
}

/// So many seconds.
pub const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}
