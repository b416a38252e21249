use futures::FutureExt;
use serde_json::{Value, json};

use super::*;
use crate::api::{ConditionType, Reason, Status};
use crate::reconcile::conditions_writer::subject;
use crate::reconcile::mocked::{
    FINALIZER, api_server, context, event, event_of, merge_patch, read, shared_stack, store, tenant, tenants,
    with,
};
use crate::reconcile::places::Applicant;
use crate::reconcile::stop::PassStop;
use crate::stack::identity::{Adopts, Generation};

const EVENTS: &str = "/apis/events.k8s.io/v1/namespaces/tenants/events";

/// The Tenant at a version.
fn acme(version: &str) -> ObjectReference {
    subject(&read::<Tenant>(tenant(json!({"resourceVersion": version}))))
}

/// A process that has nothing to say to Kubernetes.
fn silent() -> Context {
    context(api_server([]).client())
}

/// A Tenant of a name, with some of its spec and its status as given. Its uid is its name.
fn named(name: &str, metadata: Value, spec: Value, status: Value) -> Value {
    let tenant = tenant(with(json!({"name": name, "uid": name}), metadata));
    let spec = with(tenant["spec"].clone(), spec);
    with(tenant, json!({"spec": spec, "status": status}))
}

fn stack_named(name: &str, spec: Value, status: Value) -> Value {
    with(shared_stack(json!({"name": name, "uid": name})), json!({"spec": spec, "status": status}))
}

fn unreadable(name: &str) -> Value {
    named(name, json!({"finalizers": [FINALIZER]}), json!({"tenantId": 5}), json!({}))
}

fn accepted(status: &str) -> Value {
    json!({"conditions": [{
        "type": "Accepted", "status": status, "reason": "Accepted", "message": "",
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }]})
}

/// Who was woken, by namespace and name.
fn heard<K: kube::runtime::reflector::Lookup<DynamicType = ()>>(
    receiver: &mut mpsc::UnboundedReceiver<ObjectRef<K>>,
) -> Vec<String> {
    let woken = std::iter::from_fn(|| receiver.try_recv().ok());
    let mut woken: Vec<_> =
        woken.map(|it| format!("{}/{}", it.namespace.unwrap_or_default(), it.name)).collect();
    woken.sort();
    woken
}

#[tokio::test]
async fn a_note_is_told_as_far_as_the_api_server_takes_it() {
    let cut = |n: usize, what: &str| format!("{}…", what.repeat(n));
    for (note, told) in [
        ("It rains".into(), "It rains".into()),
        (String::new(), String::new()),
        ("a".repeat(1000), "a".repeat(1000)),
        ("a".repeat(1001), cut(1000, "a")),
        ("ü".repeat(500), "ü".repeat(500)),
        ("ü".repeat(501), cut(500, "ü")),
        (format!("a{}", "ü".repeat(500)), format!("a{}", cut(499, "ü"))),
        (format!("a{}", "ü".repeat(5000)), format!("a{}", cut(499, "ü"))),
        ("😀".repeat(250), "😀".repeat(250)),
        ("😀".repeat(251), cut(250, "😀")),
        (format!("aaa{}", "😀".repeat(250)), format!("aaa{}", cut(249, "😀"))),
    ] {
        assert!(told.len() <= 1024);
        let server = api_server([event("Warning", "Denied", "Reconcile", &told)]);
        let cx = context(server.client());
        cx.event(&acme("7"), EventType::Warning, "Denied", "Reconcile", note).await;
    }
}

#[tokio::test]
async fn an_event_is_told_where_its_object_is() {
    let stack = shared_stack(json!({}));
    let server = api_server([
        event("Normal", "Ready", "Reconcile", "All is well"),
        event_of(&stack, "Warning", "Quota", "Sync", "Too many"),
    ]);
    let cx = context(server.client());
    cx.event(&acme("7"), EventType::Normal, "Ready", "Reconcile", "All is well").await;
    let stack = subject(&read::<SharedStack>(stack));
    cx.event(&stack, EventType::Warning, "Quota", "Sync", "Too many").await;
}

#[tokio::test]
async fn an_event_that_cannot_be_written_is_told_anew_next_time() {
    let told = event("Warning", "Denied", "Reconcile", "no");
    let server = api_server([told.clone().refused(403), told.clone().refused(500), told]);
    let cx = context(server.client());
    for _ in 0..3 {
        cx.event(&acme("7"), EventType::Warning, "Denied", "Reconcile", "no").await;
    }
}

#[tokio::test]
async fn no_event_is_lost_because_another_of_its_reason_was_told_a_moment_ago() {
    let counted = |count: u32| {
        let event = json!({
            "apiVersion": "events.k8s.io/v1", "kind": "Event", "eventTime": "*",
            "metadata": {"name": "acme.*", "namespace": "tenants"},
            "type": "Warning", "reason": "Denied", "action": "Reconcile", "note": "no",
            "regarding": {
                "apiVersion": "tenantry.dev/v1alpha1", "kind": "Tenant", "name": "acme",
                "namespace": "tenants", "uid": "uid-acme",
            },
            "reportingController": "tenantry", "reportingInstance": "prod",
            "series": {"count": count, "lastObservedTime": "*"},
        });
        merge_patch(format!("{EVENTS}/acme.*"), event)
    };
    let server = api_server([
        event("Warning", "Denied", "Reconcile", "no"),
        counted(2),
        counted(3).refused(500),
        counted(3),
        event("Warning", "Denied", "Reconcile", "another note"),
        counted(4),
        event("Warning", "Denied", "Register", "no"),
        event("Warning", "Quota", "Reconcile", "no"),
        event("Normal", "Denied", "Reconcile", "no"),
    ]);
    let cx = context(server.client());
    for (version, type_, reason, action, note) in [
        ("7", EventType::Warning, "Denied", "Reconcile", "no"),
        ("8", EventType::Warning, "Denied", "Reconcile", "no"),
        ("8", EventType::Warning, "Denied", "Reconcile", "no"),
        ("9", EventType::Warning, "Denied", "Reconcile", "no"),
        ("9", EventType::Warning, "Denied", "Reconcile", "another note"),
        ("9", EventType::Warning, "Denied", "Reconcile", "no"),
        ("9", EventType::Warning, "Denied", "Register", "no"),
        ("9", EventType::Warning, "Quota", "Reconcile", "no"),
        ("9", EventType::Normal, "Denied", "Reconcile", "no"),
    ] {
        cx.event(&acme(version), type_, reason, action, note).await;
    }
    let seen = server.seen();
    let name = |asked: usize| seen[asked].body["metadata"]["name"].as_str().unwrap().to_string();
    for patch in [1, 2, 3, 5] {
        assert_eq!(seen[patch].target, format!("{EVENTS}/{}", name(0)), "it is the same event");
        assert_eq!(seen[patch].body["eventTime"], seen[0].body["eventTime"]);
    }
}

/// As `kubectl delete events --all` does.
#[tokio::test]
async fn no_event_is_lost_because_somebody_has_deleted_the_one_that_it_would_count_on() {
    let told = event("Warning", "Denied", "Reconcile", "no");
    let counted_on = merge_patch(format!("{EVENTS}/acme.*"), json!("*"));
    let server = api_server([told.clone(), counted_on.refused(404), told]);
    let cx = context(server.client());
    for _ in 0..2 {
        cx.event(&acme("7"), EventType::Warning, "Denied", "Reconcile", "no").await;
    }
}

#[tokio::test]
async fn what_is_not_about_a_pass_is_derived_from_the_settings() {
    let mut cx = silent();
    assert_eq!(cx.finalizer(), FINALIZER);
    // 90 % and up to a fifth more.
    for (uid, millis) in [("", 540_000), ("a", 598_200), ("ab", 594_000), ("uid-acme", 616_800)] {
        assert_eq!(cx.resync(uid), Duration::from_millis(millis), "{uid}");
    }
    assert_eq!(cx.resync_after(), Duration::from_secs(540));
    cx.settings.resync = Duration::from_secs(60);
    assert_eq!(cx.resync(""), Duration::from_secs(54));
    assert_eq!(cx.resync_after(), Duration::from_secs(54));
}

#[tokio::test]
async fn passes_wait_until_all_stores_are_filled() {
    for last in 0..4 {
        let cx = silent();
        let stores = [&cx.filled.tenants, &cx.filled.stacks, &cx.filled.namespaces, &cx.filled.classes];
        for store in (0..4).filter(|store| *store != last) {
            assert!(!cx.filled.all() && cx.caches().now_or_never().is_none());
            stores[store].set(()).unwrap();
        }
        assert!(!cx.filled.all() && cx.caches().now_or_never().is_none(), "{last}");
        stores[last].set(()).unwrap();
        assert!(cx.filled.all() && cx.caches().now_or_never().is_some());
    }
}

/// One that trusts its caches.
async fn trusting(mut cx: Context, tenants: Vec<Value>, stacks: Vec<Value>) -> Context {
    (cx.tenants, cx.stacks) = (self::tenants(tenants), store(stacks));
    for filled in [&cx.filled.tenants, &cx.filled.stacks, &cx.filled.namespaces, &cx.filled.classes] {
        filled.set(()).unwrap();
    }
    cx.caches().await;
    cx
}

#[tokio::test]
async fn whoever_has_an_id_by_the_records_asks_for_it_first() {
    let held = |year: u32| json!({"creationTimestamp": format!("{year}-01-01T00:00:00Z"), "finalizers": [FINALIZER]});
    let tenants = vec![
        named("old", held(2001), json!({"tenantId": "first"}), json!({"prefix": "documents/"})),
        named("young", held(2003), json!({"tenantId": "first"}), Value::Null),
    ];
    let cx = silent();
    cx.ids.trusted("first", "young");
    cx.ids.trusted("out-of-sight", "its-label-was-taken-off");
    let cx = trusting(cx, tenants, vec![]).await;
    assert!(cx.claims.is_holder("first", "young") && cx.has_id("first", "young"));
    assert!(!cx.claims.is_holder("first", "old") && !cx.has_id("first", "old"));
    assert!(cx.claims.is_holder("out-of-sight", "its-label-was-taken-off"));
}

#[tokio::test]
async fn what_was_accepted_keeps_the_promise_of_its_knowledge_base() {
    let (yes, no) = (accepted("True"), accepted("False"));
    let pattern = |pattern: &str| json!({"pattern": pattern, "stackRef": {"name": "standard"}});
    let silo = json!({});
    let tenants = vec![
        named("silo", json!({}), silo.clone(), yes.clone()),
        named("bridge", json!({}), pattern("Bridge"), yes.clone()),
        named("pool", json!({}), pattern("Pool"), yes.clone()),
        named("refused", json!({}), silo.clone(), no.clone()),
        named("refused-pool", json!({}), pattern("Pool"), no.clone()),
        named("new", json!({}), silo, Value::Null),
        unreadable("unreadable"),
    ];
    let pool = json!({"pool": {}});
    let stacks = vec![
        stack_named("stack", pool.clone(), yes.clone()),
        stack_named("stack-without", json!({}), yes),
        stack_named("stack-refused", pool.clone(), no),
        stack_named("stack-new", pool, Value::Null),
        stack_named("stack-unreadable", json!({"pool": 5}), json!({})),
    ];
    let cx = trusting(silent(), tenants, stacks).await;
    assert_eq!(cx.reservations.promised(), ["bridge", "silo", "stack"]);
}

/// What was Stalled when the process ended keeps no place from others when the next begins.
#[tokio::test]
async fn a_restart_gives_no_promise_to_what_does_not_get_on() {
    let condition = |kind: &str, reason: &str| {
        json!({"type": kind, "status": "True", "reason": reason, "message": "",
            "lastTransitionTime": "2026-01-01T00:00:00Z"})
    };
    let says = |reason: &str| json!([condition("Accepted", "Accepted"), condition("Stalled", reason)]);
    let leaves = json!({"deletionTimestamp": "2026-01-02T00:00:00Z"});
    let with_one = |status: Value| with(status, json!({"knowledgeBaseId": "KB1"}));
    let tenants = vec![
        named("stalled", json!({}), json!({}), json!({"conditions": says("Invalid")})),
        named("waits", json!({}), json!({}), json!({"conditions": says("QuotaReserved")})),
        named("leaves", leaves.clone(), json!({}), accepted("True")),
        named("has-one", json!({}), json!({}), with_one(json!({"conditions": says("Denied")}))),
        named("leaves-one", leaves, json!({}), with_one(accepted("True"))),
        named("is-built", json!({}), json!({}), accepted("True")),
    ];
    let stalled = json!({"conditions": says("Invalid")});
    let stacks = vec![
        stack_named("stack-stalled", json!({"pool": {}}), stalled.clone()),
        stack_named("stack-has-one", json!({"pool": {}}), with_one(stalled)),
    ];
    let cx = trusting(silent(), tenants, stacks).await;
    assert_eq!(cx.reservations.promised(), ["has-one", "is-built", "leaves-one", "stack-has-one"]);
}

#[tokio::test]
async fn a_promise_lapses_with_the_word_that_a_person_is_needed_and_the_next_is_woken() {
    let mut cx = silent();
    let (sender, mut tenants) = mpsc::unbounded_channel();
    cx.wake_tenant = sender;
    cx.settings.max_knowledge_bases = 0;
    let found = ["bogus", "built", "honest"].map(|name| named(name, json!({}), json!({}), Value::Null));
    cx.tenants = self::tenants(found.clone());
    let [bogus, built, honest] = found.map(|it| cx.applicant(&read(it)).unwrap());
    for promised in [&bogus, &built] {
        cx.reservations.promise(&promised.id);
    }
    let ask = || async { Ok(Vec::new()) };
    let limits = cx.limits(None);
    let refused = cx.reservations.reserve(cx.clock, &honest, limits, ask).await;
    assert!(matches!(refused, Err(PassStop::Refused(full)) if full.reason == Reason::QuotaReserved));
    let mut stalled = Status::default();
    cx.settle("bogus", &stalled, false);
    assert_eq!(heard(&mut tenants), [] as [&str; 0], "it gets on");
    stalled.set(ConditionType::Stalled, "True", Reason::Invalid, "", None, crate::clock::now());
    cx.settle("built", &stalled, true);
    assert_eq!(cx.reservations.promised(), ["bogus", "built"], "what is there keeps its place");
    cx.settle("bogus", &stalled, false);
    assert_eq!(cx.reservations.promised(), ["built"]);
    assert_eq!(heard(&mut tenants), ["tenants/honest"]);
    // Who is paused, or leaves, keeps none either, and waits for none.
    cx.no_further("built", &Status::default());
    assert_eq!(heard(&mut tenants), ["tenants/honest"]);
    cx.no_further("honest", &Status::default());
    assert_eq!(heard(&mut tenants), [] as [&str; 0]);
    assert_eq!(cx.reservations.promised(), [] as [&str; 0]);
}

#[tokio::test]
async fn tenants_are_counted_by_the_ids_that_they_have() {
    let mut cx = silent();
    let (sender, mut woken) = mpsc::unbounded_channel();
    cx.wake_tenant = sender;
    cx.settings.max_tenants_per_namespace = 1;
    let held = json!({"finalizers": [FINALIZER]});
    let tenants = vec![
        named("has-it", held.clone(), json!({"tenantId": "acme"}), Value::Null),
        named("forged", held, json!({"tenantId": "acme"}), accepted("True")),
        named("waits", json!({}), json!({"tenantId": "globex"}), Value::Null),
    ];
    cx.ids.trusted("acme", "has-it");
    let cx = trusting(cx, tenants.clone(), vec![]).await;
    let [has_it, forged, waits] = [0, 1, 2].map(|n| cx.applicant(&read(tenants[n].clone())).unwrap());
    assert_eq!(cx.enter(&has_it, true), Ok(()));
    for refused in [&waits, &forged] {
        assert_eq!(cx.enter(refused, false).unwrap_err().reason, Reason::TooManyTenants);
    }
    cx.stops_waiting("forged");
    assert_eq!(heard(&mut woken), ["tenants/waits"]);
    cx.forget("has-it");
    assert_eq!(heard(&mut woken), ["tenants/waits"]);
    assert_eq!(cx.enter(&waits, true), Ok(()));
}

/// The number is raised by a restart, and then all ask at about the same time.
#[tokio::test]
async fn a_restart_lets_nobody_in_before_an_older_one_that_waited() {
    let waited = json!({"conditions": [{"type": "Accepted", "status": "False", "reason": "TooManyTenants",
        "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z"}]});
    let born = |year: u32| json!({"creationTimestamp": format!("{year}-01-01T00:00:00Z")});
    let leaves = with(born(2001), json!({"deletionTimestamp": "2026-01-02T00:00:00Z"}));
    let tenants = vec![
        named("leaves", leaves, json!({"tenantId": "leaves"}), waited.clone()),
        named("old", born(2002), json!({"tenantId": "old"}), waited.clone()),
        named("young", born(2003), json!({"tenantId": "young"}), waited),
    ];
    let [old, young] = [1, 2].map(|n| read::<Tenant>(tenants[n].clone()));
    for (limit, let_in) in [(1, false), (2, true), (0, true)] {
        let mut cx = silent();
        cx.settings.max_tenants_per_namespace = limit;
        let cx = trusting(cx, tenants.clone(), vec![]).await;
        assert_eq!(cx.enter(&cx.applicant(&young).unwrap(), true).is_ok(), let_in, "{limit}");
        assert_eq!(cx.enter(&cx.applicant(&old).unwrap(), true), Ok(()), "{limit}");
    }
}

#[tokio::test]
async fn every_knowledge_base_that_is_there_may_have_a_job() {
    let base = |id: &str| json!({"knowledgeBaseId": id});
    let pattern = |pattern: &str| json!({"pattern": pattern, "stackRef": {"name": "standard"}});
    let tenants = vec![
        named("silo", json!({}), json!({}), base("KBSILO")),
        named("bridge", json!({}), pattern("Bridge"), base("KBBRIDGE")),
        named("pool", json!({}), pattern("Pool"), base("KBOFTHEPOOL")),
        named("new", json!({}), json!({}), Value::Null),
        unreadable("unreadable"),
    ];
    let stacks = vec![stack_named("stack", json!({"pool": {}}), base("KBSTACK"))];
    let cx = trusting(silent(), tenants, stacks).await;
    for (base, may_have) in [("KBSILO", true), ("KBBRIDGE", true), ("KBSTACK", true), ("KBOFTHEPOOL", false)]
    {
        assert_eq!(cx.job_slots.too_early(base).is_some(), may_have, "{base}");
    }
}

#[tokio::test]
async fn without_an_answer_from_aws_there_is_neither_room_nor_a_refusal() {
    let cx = silent();
    let id = Identity::of_stack(cx.scope.clone(), "standard", "uid");
    let answer = cx.reserve(&Applicant { id, born: None, begun: false }, None).await;
    let Err(PassStop::Failed(crate::reconcile::Error::Aws(fault))) = answer else {
        panic!("it was answered")
    };
    assert_eq!(fault.operation, "ListKnowledgeBases");
    assert_eq!(cx.reservations.promised(), [] as [&str; 0]);
}

#[tokio::test]
async fn nothing_is_remembered_of_an_object_that_is_gone() {
    let tenants = ["gone", "stays"].map(|name| {
        let status = with(accepted("True"), json!({"knowledgeBaseId": name}));
        named(name, json!({}), json!({"tenantId": name}), status)
    });
    let cx = trusting(silent(), tenants.into(), vec![]).await;
    for uid in ["gone", "stays"] {
        cx.memories.lend(uid).rounds = 5;
        cx.written.note(uid.into(), "8".into());
    }
    cx.forget("gone");
    for (uid, remembered) in [("gone", false), ("stays", true)] {
        assert_eq!(cx.memories.get(uid).rounds == 5, remembered, "{uid}");
        assert_eq!(cx.written.get(uid).is_some(), remembered, "{uid}");
        assert_eq!(cx.job_slots.too_early(uid).is_some(), remembered, "{uid}");
    }
    assert_eq!(cx.reservations.promised(), ["stays"]);
}

#[tokio::test]
async fn stacks_and_the_labels_of_namespaces_are_in_the_caches() {
    let mut cx = silent();
    cx.stacks = store([stack_named("standard", json!({}), Value::Null)]);
    let namespace = |metadata| json!({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata});
    cx.namespaces = store([
        namespace(json!({"name": "tenants", "labels": {"team": "a"}})),
        namespace(json!({"name": "bare"})),
    ]);
    assert_eq!(cx.stack("standard").unwrap().name_any(), "standard");
    assert!(cx.stack("other").is_none());
    assert_eq!(cx.namespace("tenants").unwrap().labels()["team"], "a");
    assert!(cx.namespace("bare").is_some() && cx.namespace("other").is_none());
}

#[tokio::test]
async fn whom_something_concerns_is_woken() {
    let mut cx = silent();
    let (sender, mut tenants) = mpsc::unbounded_channel();
    cx.wake_tenant = sender;
    let (sender, mut stacks) = mpsc::unbounded_channel();
    cx.wake_stack = sender;
    let borrows = |stack: &str| json!({"pattern": "Bridge", "stackRef": {"name": stack}});
    let elsewhere = |finalizers: &[&str]| json!({"namespace": "elsewhere", "finalizers": finalizers});
    cx.tenants = self::tenants([
        named("a", json!({"finalizers": [FINALIZER]}), borrows("standard"), Value::Null),
        named("b", json!({}), borrows("other"), Value::Null),
        named("c", elsewhere(&[FINALIZER]), json!({}), Value::Null),
        named("d", elsewhere(&["tenantry.dev/test"]), borrows("standard"), Value::Null),
        unreadable("unreadable"),
    ]);
    cx.wake_borrowers("standard");
    assert_eq!(heard(&mut tenants), ["elsewhere/d", "tenants/a"]);
    cx.wake_namespace("tenants");
    assert_eq!(heard(&mut tenants), ["tenants/b"]);
    cx.wake_namespace("elsewhere");
    assert_eq!(heard(&mut tenants), ["elsewhere/d"]);
    cx.wake_tenants(|tenant| ["a", "b"].map(Some).contains(&tenant.meta().name.as_deref()));
    assert_eq!(heard(&mut tenants), ["tenants/a", "tenants/b"]);
    assert_eq!(heard(&mut stacks), [] as [&str; 0]);
    cx.wake_stack("standard");
    assert_eq!(heard(&mut stacks), ["/standard"]);
    assert_eq!(heard(&mut tenants), [] as [&str; 0]);
}

#[tokio::test]
async fn who_waits_for_a_tenant_id_is_woken_when_it_is_free() {
    let mut cx = silent();
    let (sender, mut tenants) = mpsc::unbounded_channel();
    cx.wake_tenant = sender;
    let asks = |name: &str| claimant(&read(named(name, json!({}), json!({}), Value::Null)));
    assert!(cx.claims.ask("acme", &asks("holder")) && !cx.claims.ask("acme", &asks("waits")));
    cx.release_claim("acme", "somebody");
    assert_eq!(heard(&mut tenants), [] as [&str; 0]);
    cx.release_claim("acme", "holder");
    assert_eq!(heard(&mut tenants), ["tenants/waits"]);
}

#[tokio::test]
async fn a_stack_is_its_tenants_whoever_else_has_its_name() {
    let cx = silent();
    let tenant = read::<Tenant>(tenant(json!({"creationTimestamp": "2026-01-01T00:00:00Z"})));
    let identity = cx.tenant_identity(&tenant, "acme-1", Pattern::Bridge, Some("standard"));
    let expected = Identity {
        scope: cx.scope.clone(),
        owner: Owner::Tenant {
            namespace: "tenants".into(),
            name: "acme".into(),
            tenant_id: "acme-1".into(),
            pattern: Pattern::Bridge,
            stack: Some("standard".into()),
        },
        uid: "uid-acme".into(),
        generation: Generation::A,
        adopts: Adopts::Nothing,
    };
    assert_eq!(identity, expected);
    let found = ObjectRef::new("acme").within("tenants");
    assert_eq!(reference(&tenant), found);
    let born = "2026-01-01T00:00:00Z".parse().unwrap();
    assert_eq!(claimant(&tenant), Claimant { age: (Some(born), "uid-acme".into()), object: found });
}
