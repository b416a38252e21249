//! A world: one operator, one AWS account, and one label by which the operator knows its objects.

use std::collections::BTreeMap;
use std::ops::Deref;
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use aws_config::SdkConfig;
use aws_sdk_sts::config::ProvideCredentials;
use futures::FutureExt;
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{Patch, PatchParams};
use kube::{Api, Client};
use serde_json::{Value, json};
use tenantry::api::Pattern;
use tenantry::operator;
use tenantry::settings::Settings;
use tenantry::stack::identity::{Adopts, Generation, Identity, Owner, Scope};
use tokio::sync::Mutex;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::support::aws::{REGION, Role, Sdk, TESTS_GRANT, role_may, session};
use crate::support::bed::{Bed, bed};
use crate::support::double::{Call, Double, OPERATOR};
use crate::support::gateway::roles::ASK;
use crate::support::inventory::{self, Inventory};
use crate::support::{one_owner, report};

/// All operators here have one installation name: what keeps them apart is the account and the label.
pub const INSTALLATION: &str = "e2e";
/// The label that says whose an object is.
pub const LABEL: &str = "tenantry-e2e";
/// How much faster than in production the operator waits. The double is as much faster.
const CLOCK: u32 = 10;
/// How long a test waits for anything: several times what it takes on two busy processors.
pub const PATIENCE: Duration = Duration::from_secs(150);

/// A world; a clone is the same one.
#[derive(Clone)]
pub struct World(Arc<Inner>);

pub struct Inner {
    /// Tells this world's names from all others'.
    pub suffix: String,
    /// The AWS account, which is all this world's.
    pub account: String,
    pub bed: &'static Bed,
    pub client: Client,
    /// AWS as the test sees it.
    pub sdk: Sdk,
    pub sdk_config: SdkConfig,
    /// The AWS double.
    pub double: Double,
    pub settings: Settings,
    operator: Mutex<Option<Operator>>,
}

impl Deref for World {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.0
    }
}

struct Operator {
    stop: CancellationToken,
    task: JoinHandle<anyhow::Result<()>>,
}

/// Runs a test in a world of its own.
pub async fn world<F: Future<Output = ()>>(test: impl FnOnce(World) -> F) {
    world_with(|_| {}, test).await;
}

/// Runs a test in a world of its own, whose operator has been told something else than usual.
pub async fn world_with<F: Future<Output = ()>>(
    tell: impl FnOnce(&mut Settings),
    test: impl FnOnce(World) -> F,
) {
    let test = async |world: World| {
        world.start_operator().await;
        if !world.settings.read_only {
            world.granted().await;
        }
        test(world).await;
    };
    world_without_operator(tell, test).await;
}

/// Runs a test in a world of its own that begins without an operator.
pub async fn world_without_operator<F: Future<Output = ()>>(
    tell: impl FnOnce(&mut Settings),
    test: impl FnOnce(World) -> F,
) {
    world_in(bed().await, tell, test).await;
}

/// The same, in a bed of its own.
pub async fn world_in<F: Future<Output = ()>>(
    bed: &'static Bed,
    tell: impl FnOnce(&mut Settings),
    test: impl FnOnce(World) -> F,
) {
    let world = World::new(bed, tell).await;
    let record = world.record();
    let outcome = AssertUnwindSafe(test(world.clone())).catch_unwind().await;
    if let Err(panic) = outcome {
        println!("{}", report::of(&world).await);
        world.stop_operator().await;
        resume_unwind(panic);
    }
    world.stop_operator().await;
    record.end(&world).await;
    let round = async {
        world.read_only_round().await;
        one_owner::assert(&world.double.journal(0).await);
        let (_, wrong) = world.double.asked(ASK).await;
        assert!(wrong.is_empty(), "no gateway may ask this:\n{}", wrong.join("\n"));
    };
    let round = AssertUnwindSafe(round).catch_unwind().await;
    if let Err(panic) = round {
        println!("{}", report::of(&world).await);
        resume_unwind(panic);
    }
    // Every operator reads all objects of the cluster when it starts, of whatever test.
    world.remove_all().await;
}

impl World {
    /// A world without an operator yet.
    pub async fn new(bed: &'static Bed, tell: impl FnOnce(&mut Settings)) -> World {
        static NUMBER: AtomicU32 = AtomicU32::new(1);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let (suffix, account) =
            (format!("w{number}"), format!("{}", 100_000_000_000_u64 + u64::from(number)));
        let mut settings = Settings {
            selector: Some(format!("{LABEL}={suffix}")),
            clock: CLOCK,
            deletion_grace: Duration::ZERO,
            // No test lasts so long: who wants a resync asks for it.
            resync: Duration::from_secs(36_000),
            // Nor until documents are looked for by themselves.
            look_for_documents: Duration::from_secs(36_000_000),
            ..Settings::new(INSTALLATION)
        };
        tell(&mut settings);
        let sdk_config = session(&bed.aws_endpoint, &account, Role::of_test(), "test").await;
        let world = World(Arc::new(Inner {
            double: Double::new(&bed.aws_endpoint, &account),
            sdk: Sdk::new(&sdk_config),
            client: bed.client().await,
            operator: Mutex::default(),
            sdk_config,
            settings,
            suffix,
            account,
            bed,
        }));
        world.namespace("", &[]).await;
        world
            .others_access_policy(
                TESTS_GRANT,
                &format!("{}-*", world.settings.installation),
                &[&world.own_role()],
            )
            .await;
        world
    }

    /// The session under which this world's operator calls AWS.
    pub async fn operator_session(&self) -> SdkConfig {
        self.session_of_operator(OPERATOR).await
    }

    /// Another session of the operator's role.
    pub async fn session_of_operator(&self, name: &str) -> SdkConfig {
        let role = Role::of_operator(&self.settings, &self.account);
        session(&self.bed.aws_endpoint, &self.account, role, name).await
    }

    /// Starts the operator, as `tenantry run` does.
    pub async fn start_operator(&self) {
        let (stop, settings) = (CancellationToken::new(), self.settings.clone());
        let sdk = self.operator_session().await;
        let (client, token) = (self.bed.operator_client().await, stop.clone());
        let task = tokio::spawn(async move { operator::run(settings, client, &sdk, token).await });
        let before = self.operator.lock().await.replace(Operator { stop, task });
        assert!(before.is_none(), "this world's operator runs already");
    }

    /// Stops the operator after the passes under way.
    pub async fn stop_operator(&self) {
        let Some(Operator { stop, task }) = self.operator.lock().await.take() else { return };
        stop.cancel();
        let ended = tokio::time::timeout(PATIENCE, task).await;
        ended
            .expect("the operator did not stop")
            .expect("the operator panicked")
            .expect("the operator failed");
    }

    /// Another operator takes over.
    pub async fn restart_operator(&self) {
        self.stop_operator().await;
        self.start_operator().await;
    }

    /// Why the operator does not run any more, if it should.
    pub async fn operator_trouble(&self) -> Option<String> {
        let mut operator = self.operator.lock().await;
        if !operator.as_ref()?.task.is_finished() {
            return None;
        }
        let ended = operator.take()?.task.await;
        Some(format!("the operator ended by itself: {ended:?}"))
    }

    /// Makes a namespace of this world. The one without a name is where objects go that name none.
    pub async fn namespace(&self, name: &str, labels: &[(&str, &str)]) {
        let mut namespace = Namespace::default();
        namespace.metadata.name = Some(self.namespace_name(name));
        namespace.metadata.labels =
            Some(labels.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect());
        Api::<Namespace>::all(self.client.clone()).create(&Default::default(), &namespace).await.unwrap();
    }

    /// Changes a label of a namespace.
    pub async fn relabel(&self, name: &str, label: &str, value: &str) {
        let patch = Patch::Merge(json!({"metadata": {"labels": {label: value}}}));
        let api: Api<Namespace> = Api::all(self.client.clone());
        api.patch(&self.namespace_name(name), &PatchParams::default(), &patch).await.unwrap();
    }

    /// What a namespace of this world is really called.
    pub fn namespace_name(&self, name: &str) -> String {
        if name.is_empty() { self.suffix.clone() } else { format!("{name}-{}", self.suffix) }
    }

    /// What a SharedStack of this world is really called.
    pub fn stack_name(&self, name: &str) -> String {
        format!("{name}-{}", self.suffix)
    }

    fn scope(&self) -> Arc<Scope> {
        Arc::new(Scope::new(&self.settings.installation, &self.account, REGION))
    }

    /// What the operator calls a SharedStack's parts in AWS.
    pub fn stack_identity(&self, name: &str, uid: &str) -> Identity {
        Identity::of_stack(self.scope(), &self.stack_name(name), uid)
    }

    /// What the operator calls a Tenant's parts in AWS. In these tests a Tenant of the default namespace has the name
    /// of its tenantId.
    pub fn tenant_identity(
        &self,
        tenant_id: &str,
        pattern: Pattern,
        stack: Option<&str>,
        uid: &str,
    ) -> Identity {
        let owner = Owner::Tenant {
            namespace: self.namespace_name(""),
            name: tenant_id.into(),
            tenant_id: tenant_id.into(),
            pattern,
            stack: stack.map(|stack| self.stack_name(stack)),
        };
        Identity {
            scope: self.scope(),
            owner,
            uid: uid.into(),
            generation: Generation::A,
            adopts: Adopts::Nothing,
        }
    }

    /// The operator's own grant, which is there as soon as it runs.
    pub fn grant(&self) -> String {
        format!("data policy {}", self.scope().grant_name())
    }

    /// Waits until the operator has its grant, whether or not it was told so, and with it all that it ever writes without an
    /// object asking for it.
    pub async fn granted(&self) {
        let granted = async || {
            let made = self.double.journal(0).await.of("CreateAccessPolicy");
            let is_made = made.iter().any(Call::took_effect);
            (is_made && self.records_are_complete().await).then_some(())
        };
        self.eventually("the operator has its grant, and its records are complete", granted).await;
    }

    /// Everything in this world's AWS account. While it is taken the double's lists show new things at once.
    pub async fn inventory(&self) -> Inventory {
        self.double.settings(json!({"lag": {"list": 0}})).await;
        let inventory = inventory::take(&self.sdk, &self.double.journal_of_all(0).await).await;
        self.double.settings(json!({"lag": {"list": 5}})).await;
        inventory
    }

    /// Puts documents where a tenant's belong: names and texts.
    pub async fn upload(&self, tenant: &str, documents: &[(&str, &str)]) {
        let status = self.get(tenant).await.status;
        let (bucket, prefix) = (status.bucket.unwrap(), status.prefix.unwrap());
        for (name, text) in documents {
            self.sdk.upload(&bucket, &format!("{prefix}{name}"), *text).await;
        }
    }

    /// The environment in which kubectl, `tenantry` and any AWS client reach this world.
    pub fn environment(&self) -> BTreeMap<String, String> {
        let pairs = [
            ("KUBECONFIG", self.bed.kubeconfig.as_str()),
            ("AWS_ENDPOINT_URL", &self.bed.aws_endpoint),
            ("AWS_ACCESS_KEY_ID", &self.account),
            ("AWS_SECRET_ACCESS_KEY", "not-a-secret"),
            ("AWS_REGION", REGION),
        ];
        pairs.into_iter().map(|(name, value)| (name.into(), value.into())).collect()
    }

    /// The same under the credentials of a session.
    pub async fn environment_under(&self, session: &SdkConfig) -> BTreeMap<String, String> {
        let keys = session.credentials_provider().unwrap().provide_credentials().await.unwrap();
        let mut environment = self.environment();
        environment.insert("AWS_ACCESS_KEY_ID".into(), keys.access_key_id().into());
        environment.insert("AWS_SECRET_ACCESS_KEY".into(), keys.secret_access_key().into());
        environment.insert("AWS_SESSION_TOKEN".into(), keys.session_token().unwrap().into());
        environment
    }

    /// Gives a role another policy.
    pub async fn role_may(&self, role: &str, policy: Value) {
        role_may(&self.sdk.iam, &self.account, role, &policy).await;
    }
}
