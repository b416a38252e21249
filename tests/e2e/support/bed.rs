//! The test bed: one for the whole process, up at the first test and gone with the process.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{ChildStdin, Command, Stdio};
use std::time::Duration;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{DynamicObject, ListParams, Patch, PatchParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::{ApiResource, GroupVersionKind};
use kube::runtime::wait::{await_condition, conditions};
use kube::{Api, Client, Config, ResourceExt};
use serde::Deserialize;
use tokio::sync::OnceCell;

use crate::support::record;
use crate::support::world::INSTALLATION;

/// What the bed says of itself when it is up.
#[derive(Debug, Deserialize)]
pub struct Bed {
    /// How to reach the API server as somebody who may do everything.
    pub kubeconfig: String,
    /// And as the operator: under the service account of the chart, with the rights that the chart gives it.
    pub operator_kubeconfig: String,
    /// And as the gateway.
    pub gateway_kubeconfig: String,
    /// The administrator's own token.
    pub token: String,
    /// A kubectl of the right version.
    pub kubectl: String,
    /// Where the AWS double answers.
    pub aws_endpoint: String,
    /// The standard input of its process: the system closes it when this process ends, however that happens, and then the bed ends.
    #[serde(skip)]
    _life_line: Option<ChildStdin>,
}

/// Where the AWS double writes which statements of the operator's policies were needed, for `tests/bed/rights.py`.
const EVIDENCE: &str = "target/e2e-evidence.jsonl";

static BED: OnceCell<Bed> = OnceCell::const_new();

/// The bed, up and with our definitions in it.
pub async fn bed() -> &'static Bed {
    BED.get_or_init(|| async {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        tracing_subscriber::fmt()
            .with_env_filter(std::env::var("RUST_LOG").unwrap_or_else(|_| "warn,tenantry=info".into()))
            .with_test_writer()
            .init();
        record::begin();
        let _ = std::fs::remove_file(root().join(EVIDENCE));
        let bed = tokio::task::spawn_blocking(|| up(&[])).await.unwrap();
        define(&bed).await;
        bed
    })
    .await
}

/// A bed of its own, for a test that others would not survive beside.
pub async fn another() -> &'static Bed {
    another_with(&[]).await
}

/// A bed of its own in which namespaces can be deleted.
pub async fn another_with_namespaces() -> &'static Bed {
    another_with(&["--namespaces"]).await
}

/// A bed of its own that does not have our definitions yet.
pub async fn another_without_definitions() -> &'static Bed {
    bed().await;
    let another = tokio::task::spawn_blocking(|| up(&[])).await.unwrap();
    Box::leak(Box::new(another))
}

async fn another_with(options: &'static [&'static str]) -> &'static Bed {
    bed().await;
    let another = tokio::task::spawn_blocking(|| up(options)).await.unwrap();
    define(&another).await;
    // It lives as long as the process.
    Box::leak(Box::new(another))
}

/// The repository's root.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn up(options: &[&str]) -> Bed {
    let mut process = Command::new("python3")
        .args(["tests/bed/bed.py", "up", "--installation", INSTALLATION, "--evidence", EVIDENCE])
        .args(options)
        .current_dir(root())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the test bed needs python3");
    let mut line = String::new();
    let mut output = BufReader::new(process.stdout.take().unwrap());
    output.read_line(&mut line).unwrap();
    let bed: Bed = serde_json::from_str(&line).expect("the test bed did not come up; it said why above");
    let life_line = process.stdin.take();
    // Without a bed every test that is left would fail with a connection refused, and hide what the bed has said.
    std::thread::spawn(move || {
        let ended = process.wait();
        eprintln!(
            "error: the test bed has ended by itself ({ended:?}); it said why above, and no test can go on without it"
        );
        std::process::exit(1);
    });
    Bed { _life_line: life_line, ..bed }
}

/// Puts our definitions into a bed.
pub async fn define(bed: &Bed) {
    let api: Api<CustomResourceDefinition> = Api::all(bed.client().await);
    for file in std::fs::read_dir(root().join("crds")).unwrap() {
        let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
        let definition: CustomResourceDefinition = serde_saphyr::from_str(&text).unwrap();
        let name = definition.name_any();
        api.patch(&name, &PatchParams::apply("e2e").force(), &Patch::Apply(&definition)).await.unwrap();
        let established = await_condition(api.clone(), &name, conditions::is_crd_established());
        let in_time = tokio::time::timeout(Duration::from_secs(60), established).await;
        in_time.unwrap_or_else(|_| panic!("{name} was not established in a minute")).unwrap();
        served(bed, &definition).await;
    }
}

/// An established kind is refused for another moment, while the API server prepares its storage.
async fn served(bed: &Bed, definition: &CustomResourceDefinition) {
    let names = &definition.spec.names;
    let kind = GroupVersionKind::gvk(&definition.spec.group, &definition.spec.versions[0].name, &names.kind);
    let api: Api<DynamicObject> =
        Api::all_with(bed.client().await, &ApiResource::from_gvk_with_plural(&kind, &names.plural));
    for _ in 0..600 {
        match api.list(&ListParams::default()).await {
            Ok(_) => return,
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
    panic!("{} could not be listed in a minute", names.plural);
}

impl Bed {
    /// A client of the API server. Each test has its own, because a client belongs to the runtime that made it.
    pub async fn client(&self) -> Client {
        client_of(&self.kubeconfig).await
    }

    /// The operator's client.
    pub async fn operator_client(&self) -> Client {
        client_of(&self.operator_kubeconfig).await
    }
}

/// A client as `tenantry run` has it.
pub async fn client_of(kubeconfig: &str) -> Client {
    let kubeconfig = Kubeconfig::read_from(kubeconfig).unwrap();
    let mut config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap();
    config.default_retry = false;
    Client::try_from(config).unwrap()
}
