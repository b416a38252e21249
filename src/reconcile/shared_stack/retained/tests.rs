use std::collections::BTreeMap;
use std::time::Duration;

use parking_lot::Mutex;

use super::*;
use crate::api::{Layer, Reason};
use crate::aws::Tags;
use crate::clock::Clock;
use crate::layers::existing_key::{OldTag, Unusable};
use crate::layers::{Answer, Hints, LayerObservation, Layers};
use crate::stack::fault::Class;
use crate::stack::identity::OwnershipClaim;
use crate::stack::model::desired::Desired;
use crate::stack::model::ideal;
use crate::stack::model::observed::{Foreign, Observation, Observed};

/// AWS as some tenants see it, by uid.
#[derive(Default)]
struct Tenants(Mutex<BTreeMap<String, Has>>);

#[derive(Default)]
struct Has {
    observed: Observation,
    /// What each change is answered with instead of being made.
    refuses: Option<Fault>,
    torn: Vec<Layer>,
}

impl Layers for Tenants {
    fn look<'a>(&'a self, id: &'a Identity, layer: Layer, _: &'a Hints) -> Answer<'a, LayerObservation> {
        async move {
            let observed = &self.0.lock()[&id.uid].observed;
            Ok(match layer {
                Layer::Index => LayerObservation::Index(observed.index.clone()),
                Layer::Role => LayerObservation::Role(observed.role.clone()),
                Layer::KnowledgeBase => LayerObservation::KnowledgeBase(observed.knowledge_base.clone()),
                other => panic!("a Bridge tenant owns no {other}"),
            })
        }
        .boxed()
    }

    fn teardown<'a>(
        &'a self,
        id: &'a Identity,
        layer: Layer,
        _: &'a Observation,
        _: &'a Hints,
    ) -> Answer<'a, Progress> {
        async move {
            let mut all = self.0.lock();
            let has = all.get_mut(&id.uid).unwrap();
            has.torn.push(layer);
            match &has.refuses {
                Some(fault) => Err(fault.clone()),
                None => {
                    ideal::teardown(layer, &mut has.observed);
                    Ok(Progress::Done)
                }
            }
        }
        .boxed()
    }

    fn ensure<'a>(
        &'a self,
        _: &'a Identity,
        layer: Layer,
        _: &'a Desired,
        _: &'a Observation,
    ) -> Answer<'a, Progress> {
        panic!("nobody makes a {layer} on the way back")
    }

    fn tag<'a>(&'a self, _: &'a Identity, layer: Layer, _: &'a Observation, _: &'a Tags) -> Answer<'a, ()> {
        panic!("nobody tags a {layer} that goes")
    }

    fn existing_key<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Option<OldTag>, Unusable>> {
        panic!("nobody asks for a key")
    }
}

impl Tenants {
    /// Of each of these tenants everything is there.
    fn with(names: &[&str]) -> (Self, Vec<(String, Besides)>) {
        let bridge = ideal::samples().into_iter().find(|sample| sample.name == "bridge").unwrap();
        let tenants = Self::default();
        for name in names {
            tenants.0.lock().insert(uid(name), Has { observed: bridge.built(), ..Has::default() });
        }
        let leavers = names.iter().map(|name| (name.to_string(), named(name))).collect();
        (tenants, leavers)
    }

    fn change(&self, name: &str, change: impl FnOnce(&mut Has)) {
        change(self.0.lock().get_mut(&uid(name)).unwrap());
    }

    fn torn(&self, name: &str) -> Vec<Layer> {
        self.0.lock()[&uid(name)].torn.clone()
    }

    /// One pass, `documents` being what becomes of what lies in the bucket.
    async fn pass(
        &self,
        leavers: &[(String, Besides)],
        memory: &mut Memory,
        documents: Result<Progress, Fault>,
    ) -> Result<Progress, Fault> {
        let world = World {
            layers: self,
            clock: Clock::new(1),
            resync_after: Duration::from_secs(540),
            read_only: false,
        };
        let leavers: Vec<_> =
            leavers.iter().map(|(tenant_id, besides)| (tenant_id.as_str(), besides)).collect();
        let documents = |_: &Identity| {
            let documents = documents.clone();
            async { documents }.boxed()
        };
        let offer = ideal::lent_by("standard");
        take_along(&world, offer.store.kind(), Some(&offer), &leavers, OnDelete::Delete, memory, documents)
            .await
    }
}

fn uid(name: &str) -> String {
    format!("uid-{name}")
}

fn stack() -> Identity {
    Identity::of_stack(ideal::scope(), "standard", "uid-standard")
}

fn marker(tenant_id: &str, pattern: Pattern) -> Marker {
    Marker {
        owner: format!("Tenant/tenants/{tenant_id}"),
        owner_uid: uid(tenant_id),
        installation: "prod".into(),
        tenant_id: Some(tenant_id.into()),
        pattern: Some(pattern),
        prefix: format!("bridge/{tenant_id}/"),
        left: Left::Everything,
        since: None,
    }
}

fn named(tenant_id: &str) -> Besides {
    besides(&stack(), tenant_id, &marker(tenant_id, Pattern::Bridge), &BTreeSet::new())
}

fn fault(class: Class) -> Fault {
    Fault {
        class,
        service: "bedrock",
        operation: "DeleteKnowledgeBase",
        resource: "knowledge base".into(),
        code: format!("{class:?}"),
        message: "AWS says no".into(),
        request_id: None,
    }
}

fn message(progress: &Progress) -> (Reason, &str) {
    match progress {
        Progress::Waiting { reason, message, .. } => (*reason, message),
        Progress::Done => panic!("it waits for nothing"),
    }
}

#[test]
fn a_markers_word_is_taken_for_its_own_tenant_alone() {
    let Besides::Layers(acme) = named("acme") else { panic!("a Bridge has layers of its own") };
    assert_eq!(acme.owner_tag(), "Tenant/tenants/acme");
    assert_eq!((acme.uid.as_str(), acme.tenant_id()), ("uid-acme", Some("acme")));
    assert_eq!(acme.tags()["tenantry.dev/stack"], "standard");
    assert_eq!(acme.adopts, crate::stack::identity::Adopts::Nothing, "only what is provably its own goes");

    type Change = fn(&mut Marker);
    let changes: [(Change, Besides); 8] = [
        (|it| it.pattern = Some(Pattern::Pool), Besides::Nothing),
        (|it| it.left = Left::Documents, Besides::Nothing),
        (|it| *it = Marker::default(), Besides::Unknown),
        (|it| it.pattern = Some(Pattern::Silo), Besides::Unknown),
        (|it| it.owner = "SharedStack/other".into(), Besides::Unknown),
        (|it| it.tenant_id = Some("globex".into()), Besides::Unknown),
        (|it| it.owner_uid = String::new(), Besides::Unknown),
        (|it| it.installation = "test".into(), Besides::Unknown),
    ];
    for (n, (change, expected)) in changes.into_iter().enumerate() {
        let mut marker = marker("acme", Pattern::Bridge);
        change(&mut marker);
        assert_eq!(besides(&stack(), "acme", &marker, &BTreeSet::new()), expected, "{n}");
    }
    let alive = [uid("acme")].into();
    let of_the_living = besides(&stack(), "acme", &marker("acme", Pattern::Bridge), &alive);
    assert_eq!(of_the_living, Besides::Unknown, "whoever is there retains nothing");
}

#[tokio::test]
async fn one_that_is_stuck_holds_up_none_of_the_others() {
    let (tenants, leavers) = Tenants::with(&["acme", "globex", "initech"]);
    tenants.change("globex", |has| has.refuses = Some(fault(Class::Denied)));
    let mut memory = Memory::default();
    let mut last = Progress::Done;
    for _ in 0..6 {
        last = tenants.pass(&leavers, &mut memory, Ok(Progress::Done)).await.unwrap();
    }
    let order = [Layer::KnowledgeBase, Layer::Index, Layer::Role];
    assert_eq!((tenants.torn("acme"), tenants.torn("initech")), (order.to_vec(), order.to_vec()));
    let (reason, told) = message(&last);
    assert_eq!(reason, Reason::Denied);
    assert!(told.starts_with("What 1 tenants had retained goes first. globex: "), "{told}");
    assert!(!told.contains("acme") && !told.contains("initech"), "{told}");
    assert_eq!(tenants.torn("globex"), [Layer::KnowledgeBase], "what was refused is not tried at each pass");

    // Another process remembers nothing: it begins again, and finds what is gone gone.
    tenants.change("globex", |has| has.refuses = None);
    let mut memory = Memory::default();
    for _ in 0..4 {
        last = tenants.pass(&leavers, &mut memory, Ok(Progress::Done)).await.unwrap();
    }
    assert_eq!((last, left_alone(&memory)), (Progress::Done, String::new()));
    assert_eq!(tenants.torn("acme"), order);
}

#[tokio::test]
async fn a_failure_that_passes_holds_up_none_of_the_others() {
    let (tenants, leavers) = Tenants::with(&["acme", "globex"]);
    tenants.change("acme", |has| has.refuses = Some(fault(Class::Transient)));
    let mut memory = Memory::default();
    for _ in 0..4 {
        let failed = tenants.pass(&leavers, &mut memory, Ok(Progress::Done)).await;
        assert_eq!(failed.map_err(|fault| fault.class), Err(Class::Transient));
    }
    assert_eq!(tenants.torn("globex"), [Layer::KnowledgeBase, Layer::Index, Layer::Role]);
}

#[tokio::test]
async fn what_is_in_the_bucket_is_waited_for_too() {
    let (tenants, leavers) = Tenants::with(&["acme"]);
    let (mut memory, emptying) =
        (Memory::default(), || Ok(Progress::waiting(Reason::Deleting, "a ledger goes")));
    for _ in 0..5 {
        let progress = tenants.pass(&leavers, &mut memory, emptying()).await.unwrap();
        assert_eq!(message(&progress).0, Reason::Deleting);
    }
    assert_eq!(tenants.pass(&leavers, &mut memory, Ok(Progress::Done)).await, Ok(Progress::Done));
}

#[tokio::test]
async fn what_is_not_theirs_is_left_alone_and_named() {
    let (tenants, mut leavers) = Tenants::with(&["acme", "globex"]);
    let others = Foreign { resource: "role somebodys".into(), claim: OwnershipClaim::Foreign };
    tenants.change("acme", |has| has.observed.role = Observed::Foreign(others));
    leavers.push(("lost".into(), Besides::Unknown));
    leavers.push(("pool".into(), Besides::Nothing));
    let mut memory = Memory::default();
    for _ in 0..4 {
        tenants.pass(&leavers, &mut memory, Ok(Progress::Done)).await.unwrap();
    }
    assert_eq!(tenants.pass(&leavers, &mut memory, Ok(Progress::Done)).await, Ok(Progress::Done));
    assert_eq!(tenants.torn("acme"), [Layer::KnowledgeBase, Layer::Index]);
    let leavers: Vec<_> = leavers.iter().map(|(tenant_id, besides)| (tenant_id.as_str(), besides)).collect();
    assert!(are_gone(&memory, &leavers) && !are_gone(&Memory::default(), &leavers));
    assert_eq!(
        left_alone(&memory),
        "of what tenants had retained this was left alone, because it is not provably theirs: role somebodys (tenantId \
         acme), whatever tenantId lost had, whose marker does not say whose it is"
    );
}

#[test]
fn those_that_need_a_person_are_named_first_and_ten_at_most() {
    let mut waits = Vec::new();
    let names: Vec<_> = (0..11).map(|n| format!("t{n}")).collect();
    for name in &names {
        waits.push((name.as_str(), Progress::waiting(Reason::Deleting, "it goes")));
    }
    waits.push(("stuck", Progress::failed("it does not go")));
    waits.push(("gone", Progress::Done));
    let progress = together(waits);
    let (reason, told) = message(&progress);
    assert_eq!(reason, Reason::Failed);
    let expected =
        "What 12 tenants had retained goes first. stuck: it does not go; t0: it goes; t1: it goes; ";
    assert!(told.starts_with(expected), "{told}");
    assert!(told.ends_with("t8: it goes and 2 more"), "{told}");
    assert!(matches!(progress, Progress::Waiting { cadence: Cadence::Steady, .. }), "the most eager counts");
    assert_eq!(together(vec![("gone", Progress::Done)]), Progress::Done);
}
