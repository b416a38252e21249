//! The order of effects. The steps of the kind that is deleted here are requests to the same API server as all others, so
//! that one script holds the order of all of them.

use std::time::{Duration, Instant};

use http::Request;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::*;
use crate::api::{PAUSED, Pattern, Reason, Tenant};
use crate::reconcile::mocked::{
    Exchange, FINALIZER, TENANT, api_server, context, event, get, get_object, json_patch, merge_patch,
    tenant, with,
};
use crate::stack::fault::{Class, Fault};

const DELETED: &str = "2026-01-01T00:00:00Z";
const UID: &str = "uid-acme";

/// How a step is answered that is not finished.
const WAITS: u16 = 423;
const DENIED: u16 = 403;
const THROTTLED: u16 = 429;

struct Recorded {
    id: Identity,
}

impl Recorded {
    /// Takes a step, of which the script says how it ends.
    async fn takes(deletion: &Deletion<'_>, step: String) -> Result<Value, TeardownStop> {
        let request = Request::get(format!("/steps/{step}")).body(Vec::new()).unwrap();
        let refused = match deletion.cx.client.request::<Value>(request).await {
            Ok(answer) => return Ok(answer),
            Err(kube::Error::Api(status)) => status.code,
            Err(other) => return Err(other.into()),
        };
        let class = match refused {
            WAITS => return Err(TeardownStop::Waits(Progress::waiting(Reason::Deleting, "It goes"))),
            DENIED => Class::Denied,
            THROTTLED => Class::Throttled,
            other => panic!("{step}: {other}"),
        };
        let (resource, code, message) = ("prod-ta-acme".into(), "Code".into(), "AWS says no".into());
        let (service, operation) = ("s3", "DeleteBucket");
        Err(Fault { class, service, operation, resource, code, message, request_id: None }.into())
    }
}

impl Deletable for Recorded {
    type Kind = Tenant;

    fn read(deletion: &Deletion<'_>) -> Result<Self, Progress> {
        let Some(tenant_id) = &deletion.last.tenant_id else {
            return Err(Progress::waiting(Reason::SpecInvalid, "It lacks a tenantId"));
        };
        Ok(Self { id: deletion.cx.tenant_identity(&deletion.object, tenant_id, Pattern::Silo, None) })
    }

    fn id(&self) -> &Identity {
        &self.id
    }

    async fn claimed(&mut self, deletion: &Deletion<'_>) -> Result<Claimed, TeardownStop> {
        let answer = Self::takes(deletion, "claimed".into()).await?;
        Ok(if answer["over"] == true { Claimed::Over } else { Claimed::Ours })
    }

    async fn prepare(
        &mut self,
        deletion: &Deletion<'_>,
        on_delete: Option<OnDelete>,
        _: &mut Status,
        memory: &mut Memory,
    ) -> Result<(), TeardownStop> {
        memory.rounds = 5;
        Self::takes(deletion, format!("prepare/{on_delete:?}")).await.map(drop)
    }

    async fn retain(
        &self,
        deletion: &Deletion<'_>,
        _: &Status,
        _: &mut Memory,
    ) -> Result<Left, TeardownStop> {
        Self::takes(deletion, "retain".into()).await.map(|_| Left::Something)
    }

    async fn remove(
        &self,
        deletion: &Deletion<'_>,
        on_delete: OnDelete,
        _: &mut Status,
        _: &mut Memory,
    ) -> Result<Left, TeardownStop> {
        Self::takes(deletion, format!("remove/{on_delete:?}")).await.map(|_| Left::Nothing)
    }

    async fn give_id_back(
        &self,
        deletion: &Deletion<'_>,
        left: Left,
        _: &Status,
    ) -> Result<(), TeardownStop> {
        Self::takes(deletion, format!("give-id-back/{left:?}")).await.map(drop)
    }

    fn note(&self, note: String, _: &Memory) -> String {
        format!("{note}!")
    }

    fn forget(&self, deletion: &Deletion<'_>) {
        deletion.cx.wake_stack("forgotten");
    }
}

/// A Tenant that is being deleted, with this policy and status.
fn deleted(policy: &str, status: Value) -> Value {
    let metadata = json!({"finalizers": [FINALIZER], "deletionTimestamp": DELETED});
    let spec = json!({"tenantId": "acme", "pattern": "Silo", "deletionPolicy": policy});
    with(tenant(metadata), json!({"spec": spec, "status": status}))
}

/// Its grace is over.
fn begun() -> Value {
    json!({"graceStartedTime": DELETED, "deletionStartedTime": DELETED})
}

fn marked(metadata: Value) -> Value {
    let mut object = deleted("Delete", begun());
    object["metadata"] = with(object["metadata"].clone(), metadata);
    object
}

fn step(step: &str) -> Exchange {
    get_object(format!("/steps/{step}")).answered(json!({}))
}

/// The definition is asked for, and being deleted since then, if it is.
fn definition(since: Option<&str>) -> Exchange {
    let name = "tenants.tenantry.dev";
    let mut metadata = json!({"name": name, "uid": "uid-definition"});
    if let Some(since) = since {
        metadata["deletionTimestamp"] = since.into();
    }
    let found =
        json!({"apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata", "metadata": metadata});
    get(format!("/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{name}")).answered(found)
}

fn told() -> Exchange {
    merge_patch(format!("{TENANT}/status"), json!("*")).answered(tenant(json!({"resourceVersion": "8"})))
}

/// The last event, and the finalizer after it.
fn end(reason: &str, note: &str) -> [Exchange; 2] {
    let path = "/metadata/finalizers/0";
    let release = json!([
        {"op": "test", "path": "/metadata/uid", "value": UID},
        {"op": "test", "path": path, "value": FINALIZER},
        {"op": "remove", "path": path},
    ]);
    let patched = tenant(json!({"finalizers": []}));
    [event("Normal", reason, "Delete", note), json_patch(TENANT, release).answered(patched)]
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Ends {
    /// There is nothing to do.
    AtRest,
    /// It is looked at again.
    Waiting,
    /// The pass failed.
    Failed,
    /// The object is gone.
    Gone,
}

type Changes = fn(&mut Context);

/// One pass over what the API server has of the object, with these requests after the first.
async fn passes(live: Exchange, then: Vec<Exchange>, changes: Changes) -> Ends {
    let mut script = vec![live];
    script.extend(then);
    let server = api_server(script);
    let mut cx = context(server.client());
    let (woken, mut hears) = mpsc::unbounded_channel();
    cx.wake_stack = woken;
    changes(&mut cx);
    cx.memories.note(UID, |memory| memory.rounds = 1);
    let seen = serde_json::from_value(tenant(json!({}))["metadata"].clone()).unwrap();
    let ended = teardown::<Recorded>(&cx, &seen).await;
    let prepared = server.seen().iter().any(|asked| asked.target.starts_with("/steps/prepare"));
    let remembered = cx.memories.get(UID).rounds;
    let forgotten = hears.try_recv().is_ok();
    assert_eq!(
        remembered,
        if forgotten {
            0
        } else if prepared {
            5
        } else {
            1
        },
        "whatever becomes of a pass"
    );
    match ended {
        Ok(Action { after: None }) if forgotten => Ends::Gone,
        Ok(Action { after: None }) => Ends::AtRest,
        Ok(Action { after: Some(_) }) => Ends::Waiting,
        Err(_) => Ends::Failed,
    }
}

#[tokio::test]
async fn what_is_not_ours_to_take_apart_is_left_alone() {
    for (why, live) in [
        ("it is gone", get_object(TENANT).refused(404)),
        ("another has its name", get_object(TENANT).answered(marked(json!({"uid": "another"})))),
        ("it lives", get_object(TENANT).answered(tenant(json!({"finalizers": [FINALIZER]})))),
        (
            "it is another's",
            get_object(TENANT).answered(marked(json!({"finalizers": ["tenantry.dev/test"]}))),
        ),
    ] {
        assert_eq!(passes(live, vec![], |_| {}).await, Ends::AtRest, "{why}");
    }
}

#[tokio::test]
async fn effects_have_their_order_and_nothing_comes_after_what_is_waited_for() {
    const DELETE: &str = "prepare/Some(Delete)";
    let refused = |at: &str, code| get_object(format!("/steps/{at}")).refused(code);
    let claimed = || step("claimed");
    let over = || get_object("/steps/claimed").answered(json!({"over": true}));
    let prepared = |last: Exchange| vec![claimed(), definition(None), last];
    let before = |rest: Vec<Exchange>| [prepared(step(DELETE)), rest].concat();
    let gone = "Everything of this Tenant in AWS is deleted!";
    let stays = "deletionPolicy Retain: everything stays in AWS.*";
    let blocked = |reason| vec![told(), event("Warning", reason, "Delete", "*")];
    let stalled = |reason| {
        let stalled = event("Warning", reason, "Reconcile", "*");
        vec![told(), stalled, event("Warning", reason, "Delete", "*")]
    };
    let begins = || vec![told(), event("Normal", "Deleting", "Delete", "The deletion begins")];
    let in_grace = || vec![told(), event("Normal", "GracePeriod", "Delete", "Deletion begins at *")];
    let invalid = || with(marked(json!({})), json!({"spec": {"deletionPolicy": "Delete"}}));
    let read_only: Changes = |cx| cx.settings.read_only = true;
    let lasts: Changes = |cx| {
        let since = Instant::now().checked_sub(Duration::from_secs(200));
        cx.memories.note(UID, |memory| memory.failing_since = since);
    };
    let as_is: Changes = |_| {};
    let delete = || deleted("Delete", begun());
    let all = before(vec![step("remove/Delete"), step("give-id-back/Nothing")]);
    let kept = vec![claimed(), step("prepare/Some(Keep)"), step("retain"), step("give-id-back/Something")];
    let by_definition =
        [vec![claimed(), definition(Some(DELETED))], kept[1..].to_vec(), end("Retain", stays).to_vec()];
    let documents = vec![
        claimed(),
        definition(None),
        step("prepare/Some(KeepDocuments)"),
        step("remove/KeepDocuments"),
        step("give-id-back/Nothing"),
    ];
    let unseen = || definition(None).refused(403);
    let [last_event, release] = end("Delete", gone);
    for (why, object, then, changes, ends) in [
        ("all goes", delete(), [all.clone(), end("Delete", gone).to_vec()].concat(), as_is, Ends::Gone),
        (
            "all stays",
            deleted("Retain", json!({})),
            [kept.clone(), end("Retain", stays).to_vec()].concat(),
            as_is,
            Ends::Gone,
        ),
        (
            "the documents stay",
            deleted("RetainDocuments", begun()),
            [documents, end("RetainDocuments", "deletionPolicy RetainDocuments: *").to_vec()].concat(),
            as_is,
            Ends::Gone,
        ),
        (
            "a policy that this release does not know",
            deleted("Archive", begun()),
            [kept, end("Retain", stays).to_vec()].concat(),
            as_is,
            Ends::Gone,
        ),
        ("the definition is being deleted", delete(), by_definition.concat(), as_is, Ends::Gone),
        (
            "nobody can tell whether it is",
            delete(),
            [vec![claimed(), unseen(), step("prepare/None")], stalled("Denied")].concat(),
            as_is,
            Ends::Waiting,
        ),
        (
            "the API server does not answer",
            delete(),
            vec![claimed(), definition(None).refused(500)],
            as_is,
            Ends::Failed,
        ),
        ("it cannot be read", invalid(), stalled("SpecInvalid"), as_is, Ends::Waiting),
        ("it is paused", marked(json!({"annotations": {PAUSED: "true"}})), vec![told()], as_is, Ends::AtRest),
        (
            "the records do not answer",
            delete(),
            vec![refused("claimed", WAITS), told()],
            as_is,
            Ends::Waiting,
        ),
        (
            "its way back is over",
            delete(),
            [vec![over(), definition(None)], end("Delete", gone).to_vec()].concat(),
            as_is,
            Ends::Gone,
        ),
        (
            "it is over, and the definition cannot be seen",
            delete(),
            [vec![over(), unseen()], end("Retain", stays).to_vec()].concat(),
            as_is,
            Ends::Gone,
        ),
        (
            "somebody still uses it",
            delete(),
            [prepared(refused(DELETE, WAITS)), vec![told()]].concat(),
            as_is,
            Ends::Waiting,
        ),
        ("nothing may be changed", delete(), before(blocked("ReadOnly")), read_only, Ends::Waiting),
        ("the grace begins", deleted("Delete", json!({})), before(in_grace()), as_is, Ends::Waiting),
        (
            "without a grace, the beginning is told first",
            deleted("Delete", json!({})),
            before(begins()),
            |cx| cx.settings.deletion_grace = Duration::ZERO,
            Ends::Waiting,
        ),
        (
            "something is left",
            delete(),
            before(vec![refused("remove/Delete", WAITS), told()]),
            as_is,
            Ends::Waiting,
        ),
        (
            "AWS refuses",
            delete(),
            before([vec![refused("remove/Delete", DENIED)], stalled("Denied")].concat()),
            as_is,
            Ends::Waiting,
        ),
        ("AWS is slow", delete(), before(vec![refused("remove/Delete", THROTTLED)]), as_is, Ends::Failed),
        (
            "AWS has been slow for minutes",
            delete(),
            before([vec![refused("remove/Delete", THROTTLED)], blocked("Throttled")].concat()),
            lasts,
            Ends::Waiting,
        ),
        (
            "the id cannot be given back",
            delete(),
            before(vec![step("remove/Delete"), refused("give-id-back/Nothing", WAITS), told()]),
            as_is,
            Ends::Waiting,
        ),
        (
            "the finalizer cannot be taken off",
            delete(),
            [all, vec![last_event, release.refused(500)]].concat(),
            as_is,
            Ends::Failed,
        ),
    ] {
        println!("{why}");
        assert_eq!(passes(get_object(TENANT).answered(object), then, changes).await, ends, "{why}");
    }
}

#[tokio::test]
async fn both_moments_of_a_grace_are_in_the_status_before_anything_is_deleted() {
    let pass = async |status: Value, then: Vec<Exchange>, grace: u64| {
        let begins = [step("claimed"), definition(None), step("prepare/Some(Delete)")];
        let mut script = vec![get_object(TENANT).answered(deleted("Delete", status))];
        script.extend(begins.into_iter().chain(then));
        let server = api_server(script);
        let mut cx = context(server.client());
        cx.settings.deletion_grace = Duration::from_secs(grace);
        let seen = serde_json::from_value(tenant(json!({}))["metadata"].clone()).unwrap();
        teardown::<Recorded>(&cx, &seen).await.unwrap();
        let told = server.seen().into_iter().find(|asked| asked.method == "PATCH").unwrap();
        told.body["status"].clone()
    };
    let in_grace = event("Normal", "GracePeriod", "Delete", "Deletion begins at *");
    let begins = pass(json!({}), vec![told(), in_grace], 600).await;
    assert!(begins["graceStartedTime"].is_string() && begins["deletionStartedTime"].is_null(), "{begins:#}");
    let ready = begins["conditions"].as_array().unwrap().iter().find(|it| it["type"] == "Ready").unwrap();
    assert_eq!(ready["reason"], "GracePeriod");
    let begins = event("Normal", "Deleting", "Delete", "The deletion begins");
    let ends = pass(json!({"graceStartedTime": DELETED}), vec![told(), begins], 600).await;
    assert_eq!(ends["graceStartedTime"], DELETED);
    assert!(ends["deletionStartedTime"].is_string(), "{ends:#}");
    let after = get_object("/steps/remove/Delete").refused(WAITS);
    let goes = pass(begun(), vec![after, told()], 600).await;
    assert_eq!((&goes["graceStartedTime"], &goes["deletionStartedTime"]), (&json!(DELETED), &json!(DELETED)));
}
