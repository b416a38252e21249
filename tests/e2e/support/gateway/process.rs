//! A gateway: the program, with the rights of the chart in the cluster and those of its printed policies in AWS.

use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use reqwest::{Certificate, Client, Method, RequestBuilder};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::{Child, Command};

use super::answer::Answer;
use super::authority::Authority;
use crate::support::aws::REGION;
use crate::support::world::{PATIENCE, World};

/// What a client may write in place of its knowledge base's id.
pub const PLACEHOLDER: &str = "TENANTRYKB";

/// A running gateway. It is killed when it is dropped.
pub struct Gateway {
    process: Child,
    log: Arc<Mutex<String>>,
    access: Arc<Mutex<Vec<Value>>>,
    /// Where it answers.
    pub url: String,
    probes: String,
    metrics: String,
    /// The authority of its certificate.
    pub authority: Authority,
    certificates: TempDir,
    http: Client,
    session: String,
}

/// Which HTTP a client speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Http {
    One,
    Two,
}

impl World {
    /// Starts a gateway with a certificate of an authority of its own, and waits until it is ready.
    pub async fn gateway(&self, arguments: &[&str]) -> Gateway {
        self.gateway_by(&self.bed.gateway_kubeconfig, arguments).await
    }

    /// The same, which reaches the API server another way.
    pub async fn gateway_by(&self, kubeconfig: &str, arguments: &[&str]) -> Gateway {
        let gateway = self.gateway_starts(kubeconfig, arguments).await;
        self.eventually("the gateway is ready", || async { gateway.is_ready().await.then_some(()) }).await;
        gateway
    }

    /// The same, without waiting for it.
    pub async fn gateway_starts(&self, kubeconfig: &str, arguments: &[&str]) -> Gateway {
        let sdk = self.gateway_session().await;
        let authority = Authority::new();
        let certificates = tempfile::tempdir().unwrap();
        authority.serve_from(certificates.path());
        let [url, probes, metrics] = free_addresses();
        let plaintext = arguments.contains(&"--plaintext");
        let settings = &self.settings;
        let mut command = Command::new(env!("CARGO_BIN_EXE_tenantry"));
        command
            .args(["gateway", "--installation", &settings.installation])
            .args(["--selector", settings.selector.as_deref().unwrap(), "--ask-role", &self.ask_role()])
            .args(["--bind-address", &url, "--health-probe-bind-address", &probes])
            .args(["--metrics-bind-address", &metrics])
            .args(arguments)
            .envs(self.environment_under(&sdk).await)
            .env("KUBECONFIG", kubeconfig)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        if !plaintext {
            command.arg("--tls-cert-dir").arg(certificates.path());
        }
        if !arguments.contains(&"--clock") {
            command.args(["--clock", &settings.clock.to_string()]);
        }
        let mut process = command.spawn().unwrap();
        let (log, access) = (Arc::new(Mutex::new(String::new())), Arc::new(Mutex::new(Vec::new())));
        let written = log.clone();
        each_line(process.stderr.take().unwrap(), move |line| {
            println!("gateway: {line}");
            *written.lock().unwrap() += &format!("{line}\n");
        });
        let recorded = access.clone();
        each_line(process.stdout.take().unwrap(), move |line| {
            let said = serde_json::from_str(&line).unwrap_or_else(|_| json!({"not JSON": line}));
            recorded.lock().unwrap().push(said);
        });
        let url = format!("{}://{url}", if plaintext { "http" } else { "https" });
        let http = client(&authority, Http::One);
        let session = self.account.clone();
        Gateway { process, log, access, url, probes, metrics, authority, certificates, http, session }
    }
}

impl Gateway {
    /// A client that trusts its authority and speaks one version of HTTP, if need be without being told that it may.
    pub fn client(&self, http: Http) -> Client {
        client(&self.authority, http)
    }

    /// A request to it.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.url))
    }

    /// Sends one.
    pub async fn sent(&self, request: RequestBuilder) -> Answer {
        Answer::of(request.send().await.unwrap()).await
    }

    /// A question as an SDK signs it, after it has got the credentials of a tenant.
    pub async fn retrieve(&self, token: &str, tenant: &str, body: &Value) -> Answer {
        self.retrieve_by(&self.http, token, tenant, body).await
    }

    /// The same by another client.
    pub async fn retrieve_by(&self, client: &Client, token: &str, tenant: &str, body: &Value) -> Answer {
        let request = client.post(format!("{}{}", self.url, asking(PLACEHOLDER)));
        self.sent(signed(request, token, tenant).json(body)).await
    }

    /// The plainest question.
    pub async fn ask(&self, token: &str, tenant: &str, question: &str) -> Answer {
        self.retrieve(token, tenant, &json!({"retrievalQuery": {"text": question}})).await
    }

    /// Asks for credentials, as an SDK does before its first question.
    pub async fn assume(&self, token: &str, role_arn: &str) -> Answer {
        let form = [
            ("Action", "AssumeRoleWithWebIdentity"),
            ("Version", "2011-06-15"),
            ("RoleArn", role_arn),
            ("RoleSessionName", "e2e"),
            ("WebIdentityToken", token),
        ];
        self.sent(self.request(Method::POST, "/").form(&form)).await
    }

    /// Whether it says that it is ready.
    pub async fn is_ready(&self) -> bool {
        let answer = self.http.get(format!("http://{}/readyz", self.probes)).send().await;
        answer.is_ok_and(|answer| answer.status().is_success())
    }

    /// Its metrics, as Prometheus reads them.
    pub async fn metrics(&self) -> String {
        let answer = self.http.get(format!("http://{}/metrics", self.metrics)).send().await.unwrap();
        answer.text().await.unwrap()
    }

    /// The sum of all series of a metric whose labels have this text.
    pub async fn metric(&self, name: &str, labels: &str) -> f64 {
        let text = self.metrics().await;
        let of = |line: &str| {
            let (series, value) = line.rsplit_once(' ')?;
            let (found, its) = series.split_once('{').unwrap_or((series, ""));
            (found == name && its.contains(labels)).then(|| value.parse::<f64>().unwrap())
        };
        let values: Vec<f64> = text.lines().filter_map(of).collect();
        assert!(!values.is_empty(), "there is no {name} with {labels} in\n{text}");
        values.iter().sum()
    }

    /// Waits until a metric is at least this.
    pub async fn reaches(&self, w: &World, name: &str, labels: &str, least: f64) {
        w.eventually(&format!("{name} with {labels} is {least} or more"), || async {
            (self.metric(name, labels).await >= least).then_some(())
        })
        .await;
    }

    /// Its log.
    pub fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// The lines of its access log so far.
    pub fn access_log(&self) -> Vec<Value> {
        self.access.lock().unwrap().clone()
    }

    /// Gives it another certificate, of the same authority.
    pub fn renew_certificate(&self) {
        self.authority.serve_from(self.certificates.path());
    }

    /// Breaks its certificate's files.
    pub fn spoil_certificate(&self) {
        std::fs::write(self.certificates.path().join("tls.crt"), "this is no certificate").unwrap();
    }

    /// Sends it a signal: TERM, KILL, STOP or CONT.
    pub async fn signal(&self, signal: &str) {
        let id = self.process.id().expect("it has ended").to_string();
        let sent = Command::new("kill").args([&format!("-{signal}"), &id]).status();
        assert!(sent.await.unwrap().success(), "it could not be signalled");
    }

    /// Kills it, as if its machine had died.
    pub async fn die(&mut self) {
        assert!(self.process.try_wait().unwrap().is_none(), "it has ended by itself:\n{}", self.log());
        self.process.kill().await.unwrap();
    }

    /// Waits until it has ended.
    pub async fn ended(&mut self) -> ExitStatus {
        let ended = tokio::time::timeout(PATIENCE, self.process.wait());
        ended.await.unwrap_or_else(|_| panic!("the gateway of {} does not end", self.session)).unwrap()
    }
}

/// The path of a question.
pub fn asking(knowledge_base: &str) -> String {
    format!("/knowledgebases/{knowledge_base}/retrieve")
}

/// The access key id that says which tenant is meant.
pub fn key_of(tenant: &str) -> String {
    format!("TENANTRYSESSION_{}", tenant.replace('-', "_"))
}

/// The header `Authorization` as an SDK writes it under such a key.
pub fn authorization(key: &str) -> String {
    format!(
        "AWS4-HMAC-SHA256 Credential={key}/20261129/{REGION}/bedrock/aws4_request, \
         SignedHeaders=host;x-amz-date, Signature={}",
        "0".repeat(64)
    )
}

/// A request under a token, for a tenant.
pub fn signed(request: RequestBuilder, token: &str, tenant: &str) -> RequestBuilder {
    request.header("authorization", authorization(&key_of(tenant))).header("x-amz-security-token", token)
}

fn client(authority: &Authority, http: Http) -> Client {
    let trusted = Certificate::from_pem(authority.pem().as_bytes()).unwrap();
    let builder = Client::builder().no_proxy().add_root_certificate(trusted).use_rustls_tls();
    let builder = match http {
        Http::One => builder.http1_only(),
        Http::Two => builder.http2_prior_knowledge(),
    };
    builder.build().unwrap()
}

/// Free addresses on loopback, from ports that systems do not give to outgoing connections.
pub fn free_addresses<const N: usize>() -> [String; N] {
    let mut held = Vec::new();
    while held.len() < N {
        if let Ok(listener) = std::net::TcpListener::bind(("127.0.0.1", fastrand::u16(20_000..32_000))) {
            held.push(listener);
        }
    }
    let addresses: Vec<String> =
        held.iter().map(|listener| listener.local_addr().unwrap().to_string()).collect();
    addresses.try_into().unwrap()
}

fn each_line(from: impl AsyncRead + Unpin + Send + 'static, take: impl Fn(String) + Send + 'static) {
    let mut lines = BufReader::new(from).lines();
    tokio::spawn(async move {
        while let Ok(Some(line)) = lines.next_line().await {
            take(line);
        }
    });
}

/// How long it takes until something is answered in a way, asked over and over.
pub async fn until_answered<F: Future<Output = Answer>>(
    what: &str,
    ask: impl Fn() -> F,
    wanted: impl Fn(&Answer) -> bool,
) -> Duration {
    let begun = Instant::now();
    loop {
        let answer = ask().await;
        if wanted(&answer) {
            return begun.elapsed();
        }
        assert!(begun.elapsed() < PATIENCE, "waited in vain until {what}: {answer:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
