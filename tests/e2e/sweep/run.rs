//! One run of a scenario in a world of its own, with one thing that goes wrong in it, or none.

use std::collections::BTreeSet;
use std::fmt;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::time::Duration;

use futures::FutureExt;
use kube::Client;
use serde_json::{Value, json};
use tenantry::operator;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::outcome::{Outcome, Words};
use super::point::{Operation, Point};
use super::scenario::{Act, NEIGHBOUR, Scenario};
use crate::bed::Bed;
use crate::double::{Call, Journal};
use crate::objects::Object;
use crate::operators::kill;
use crate::proxy::{Proxy, Request};
use crate::world::{PATIENCE, World};
use crate::{one_owner, report};

/// What goes wrong.
#[derive(Clone, Debug)]
pub enum Disturbance {
    /// Nothing, and all is written down.
    None,
    /// This call is the last thing that the process does.
    Killed(Point),
    /// This call takes effect, and its answer is lost.
    Lost(Point),
    /// The first call of every operation of AWS meets this.
    Aws { name: &'static str, fault: Value },
    /// The first request of each of these to Kubernetes meets this.
    Kubernetes { name: &'static str, fault: Value, requests: BTreeSet<Operation> },
}

impl fmt::Display for Disturbance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Disturbance::None => write!(f, "undisturbed"),
            Disturbance::Killed(point) => write!(f, "{point}/killed"),
            Disturbance::Lost(point) => write!(f, "{point}/lost"),
            Disturbance::Aws { name, .. } => write!(f, "every-aws-operation/{name}"),
            Disturbance::Kubernetes { name, .. } => write!(f, "every-kubernetes-request/{name}"),
        }
    }
}

/// A scenario and what goes wrong in it.
#[derive(Clone, Debug)]
pub struct Run {
    pub scenario: Scenario,
    pub disturbance: Disturbance,
}

impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.scenario, self.disturbance)
    }
}

/// What is known after a run.
#[derive(Clone, Debug)]
pub struct Ended {
    pub outcome: Outcome,
    /// The operator's calls of the act.
    pub journal: Journal,
    /// Its requests to Kubernetes, where there was a proxy.
    pub requests: Vec<Operation>,
    /// The same without those that only read or did not take effect.
    pub changes: Vec<Operation>,
    /// How many calls the disturbance struck.
    pub struck: u64,
}

/// How much faster than in production everything is.
const CLOCK: u32 = 50;
/// The same where five minutes have to pass for each operation.
const FAST: u32 = 200;
/// How long a call that comes after the act is waited for.
const AFTERTHOUGHT: Duration = Duration::from_secs(5);
/// How long after its end an operator is started again.
const RESTART: Duration = Duration::from_millis(100);

impl Run {
    fn clock(&self) -> u32 {
        match self.disturbance {
            Disturbance::Aws { .. } | Disturbance::Kubernetes { .. } => FAST,
            _ => CLOCK,
        }
    }

    /// Whether it is about a status that was written before.
    pub fn is_a_later_report(&self) -> bool {
        match &self.disturbance {
            Disturbance::Killed(point) | Disturbance::Lost(point) => point.nth > 1 && point.is_a_report(),
            _ => false,
        }
    }

    /// Runs it; an error is what is to be read of a failure.
    pub async fn run(&self, bed: &'static Bed) -> Result<Ended, String> {
        let clock = self.clock();
        let w = World::new(bed, |settings| settings.clock = clock).await;
        w.hurry(clock).await;
        let ended = AssertUnwindSafe(self.in_world(&w)).catch_unwind().await;
        let ended = match ended {
            Ok(ended) => Ok(ended),
            Err(panic) => {
                let text = panic.downcast_ref::<String>().cloned();
                let text = text.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string));
                Err(format!("{}\n{}", text.unwrap_or_default(), report::of(&w).await))
            }
        };
        w.stop_operator().await;
        w.cleared().await;
        ended
    }

    async fn in_world(&self, w: &World) -> Ended {
        let scenario = self.scenario;
        let operator_was_here = scenario.act != Act::Arrive;
        if operator_was_here {
            w.start_operator().await;
        }
        let mut objects = scenario.prepare(w).await;
        scenario.settled(w).await;
        w.stop_operator().await;
        let before = w.all().await;
        let mark = w.double.mark().await;

        let proxy = self.proxy(w.bed).await;
        self.arm(w, proxy.as_ref()).await;
        let struck = self.disturbed(w, proxy.as_ref()).await;
        let journal = w.double.journal(mark).await;

        let after = w.all().await;
        self.assert_others_untouched(w, &journal, &before, &after);
        one_owner::assert(&w.double.journal(0).await);
        if let Disturbance::None = self.disturbance {
            scenario.assert_sound(w).await;
        }
        objects.extend(before.into_iter().chain(after));
        let words = Words::new(w, scenario, &objects);
        let requests = match &proxy {
            Some(proxy) => proxy.requests().await,
            None => Vec::new(),
        };
        let operations = |wanted: fn(&Request) -> bool| {
            let wanted = requests.iter().filter(|request| wanted(request));
            wanted.map(|request| Operation::of_request(w, request)).collect()
        };
        Ended {
            outcome: Outcome::of(w, &words, &journal).await,
            requests: operations(|_| true),
            changes: operations(|request| request.method != "GET" && request.status < 300),
            journal,
            struck,
        }
    }

    /// The way to Kubernetes, where something is to happen or to be seen on it.
    async fn proxy(&self, bed: &'static Bed) -> Option<Proxy> {
        let wanted = match &self.disturbance {
            Disturbance::None | Disturbance::Kubernetes { .. } => true,
            Disturbance::Killed(point) | Disturbance::Lost(point) => point.is_in_kubernetes(),
            Disturbance::Aws { .. } => false,
        };
        if wanted { Some(tokio::task::spawn_blocking(|| Proxy::before(bed)).await.unwrap()) } else { None }
    }

    async fn arm(&self, w: &World, proxy: Option<&Proxy>) {
        match (&self.disturbance, proxy) {
            (Disturbance::None, _) => {}
            (Disturbance::Killed(point), Some(proxy)) => proxy.rule(point.rule(&json!({"do": "last"}))).await,
            (Disturbance::Lost(point), Some(proxy)) => {
                proxy.rule(point.rule(&json!({"do": "drop-after"}))).await;
            }
            (Disturbance::Kubernetes { fault, requests, .. }, proxy) => {
                for request in requests {
                    proxy.unwrap().rule(request.once(fault)).await;
                }
            }
            (Disturbance::Killed(point), None) => {
                w.double.fault(point.rule(&json!({"drop": "last"}))).await;
            }
            (Disturbance::Lost(point), None) => {
                w.double.fault(point.rule(&json!({"drop": "after"}))).await;
            }
            (Disturbance::Aws { fault, .. }, _) => {
                let mut rule = json!({"caller": "*/operator", "each": "operation"});
                rule.as_object_mut().unwrap().extend(fault.as_object().unwrap().clone());
                w.double.fault(rule).await;
            }
        }
    }

    /// The act, and what happens in it. How many calls were struck.
    async fn disturbed(&self, w: &World, proxy: Option<&Proxy>) -> u64 {
        let struck = async || match proxy {
            Some(proxy) => proxy.hits().await,
            None => w.double.struck().await,
        };
        let strike = async || {
            while struck().await == 0 {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let act = async {
            self.scenario.act(w).await;
            self.scenario.settled(w).await;
        };
        if let Disturbance::Killed(_) = self.disturbance {
            let mut program = w.program(&["--resync", "36000"]).await;
            if let Some(proxy) = proxy {
                program.env("KUBECONFIG", proxy.kubeconfig());
            }
            let operator = program.spawn().unwrap();
            let mut act = pin!(act);
            let done = tokio::select! {
                () = &mut act => true,
                () = strike() => false,
            };
            if done {
                // What comes after all is done, such as an event.
                let _ = tokio::time::timeout(AFTERTHOUGHT, strike()).await;
            }
            kill(operator).await;
            let struck = struck().await;
            w.double.heal().await;
            let next = Supervised::start(w, w.bed.operator_client().await);
            if done {
                self.scenario.settled(w).await
            } else {
                act.await
            }
            next.stop().await;
            return struck;
        }
        let client = match proxy {
            Some(proxy) => proxy.client().await,
            None => w.bed.operator_client().await,
        };
        let operator = Supervised::start(w, client);
        act.await;
        if let Disturbance::Lost(_) = self.disturbance {
            let _ = tokio::time::timeout(AFTERTHOUGHT, strike()).await;
            self.scenario.settled(w).await;
        }
        operator.stop().await;
        struck().await
    }

    /// No call names what is somebody else's, and the objects around are as they were to the last letter.
    fn assert_others_untouched(&self, w: &World, journal: &Journal, before: &[Object], after: &[Object]) {
        let named = |name: &str| {
            let is = |object: &&Object| w.name_of(object) == name;
            (before.iter().find(is), after.iter().find(is))
        };
        let neighbour = named(NEIGHBOUR).0;
        let words = self.scenario.words_of_others(w, neighbour);
        // A metadata file that may not be read is replaced, whoever's document it stands beside: it is the pool's.
        let others = |call: &Call| call.mutating && !call.resource.ends_with(".metadata.json");
        for call in journal.only(others).iter() {
            let text = call.text();
            let word = words.iter().find(|word| text.contains(*word));
            assert!(word.is_none(), "{word:?} is somebody else's, and yet in a change:\n{text}");
        }
        // A fault of an operation strikes whoever comes first, and whom it strikes says so.
        if let Disturbance::Aws { .. } | Disturbance::Kubernetes { .. } = self.disturbance {
            return;
        }
        for name in self.scenario.undisturbed() {
            let (before, after) = named(name);
            let version = |object: Option<&Object>| object.map(|object| object.version().to_owned());
            assert_eq!(version(before), version(after), "{name} has nothing to do with it, and was written");
        }
    }
}

/// An operator in this process that is started again when it ends, as Kubernetes does.
struct Supervised {
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Supervised {
    fn start(w: &World, client: Client) -> Self {
        let (stop, w) = (CancellationToken::new(), w.clone());
        let token = stop.clone();
        let task = tokio::spawn(async move {
            while !token.is_cancelled() {
                let sdk = w.operator_session().await;
                let run = operator::run(w.settings.clone(), client.clone(), &sdk, token.clone());
                if let Err(error) = run.await {
                    tracing::warn!(%error, "the operator ended and is started again");
                    tokio::time::sleep(RESTART).await;
                }
            }
        });
        Self { stop, task }
    }

    /// Stops it after the passes under way.
    async fn stop(mut self) {
        self.stop.cancel();
        let ended = tokio::time::timeout(PATIENCE, &mut self.task).await;
        ended.expect("the operator did not stop").expect("the operator panicked");
    }
}

impl Drop for Supervised {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}
