//! What a process knows of the records, what that costs, and what it does while they are not whole.

use std::sync::Arc;

use super::*;
use crate::api::{Pattern, VectorStore};
use crate::records::in_memory::{InMemory, Mishap};
use crate::stack::identity::Owner;

const PUT: &str = "PUT tenants/acme.json";
const GET: &str = "GET tenants/acme.json";

fn scope() -> Scope {
    Scope::new("prod", "111122223333", "eu-central-1")
}

/// A Tenant of a namespace with this uid, which wants `acme`.
fn tenant(namespace: &str, uid: &str) -> Identity {
    let owner = Owner::Tenant {
        namespace: namespace.into(),
        name: "acme".into(),
        tenant_id: "acme".into(),
        pattern: Pattern::Pool,
        stack: Some("standard".into()),
    };
    Identity::new(Arc::new(scope()), owner, uid)
}

fn ours() -> Identity {
    tenant("tenants", "u-1")
}

fn claimant(id: &Identity) -> Claimant<'_> {
    Claimant { id, store: VectorStore::default(), namespace_uid: "n-1", named: false, approved: None }
}

/// One whose namespace nobody knows any more.
fn leaver(id: &Identity) -> Claimant<'_> {
    Claimant { namespace_uid: "", ..claimant(id) }
}

/// A process that knows nothing yet.
fn reading(shelf: &Arc<InMemory>) -> Ids {
    let terms = Terms { cluster: "here".into(), ..Terms::default() };
    Ids::new(Records::new(shelf.clone()), terms, &scope(), false)
}

/// A process after its start.
async fn started(shelf: &Arc<InMemory>) -> Ids {
    let ids = reading(shelf);
    for (tenant_id, etag) in ids.records.list().await.unwrap() {
        ids.listed(tenant_id, etag);
    }
    ids.are_complete();
    shelf.calls();
    ids
}

/// A bucket in which `acme` is ours, and what its status says of that.
async fn given() -> (Arc<InMemory>, String) {
    let shelf = Arc::new(InMemory::default());
    let ids = started(&shelf).await;
    assert_eq!(ids.give(&claimant(&ours()), None).await, Ok(true));
    let word = ids.word("acme", "u-1").unwrap();
    shelf.calls();
    (shelf, word)
}

fn state(shelf: &InMemory) -> Option<String> {
    Some(shelf.says("tenants/acme.json")?["state"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn whoever_is_new_costs_one_write_and_no_look() {
    let shelf = Arc::new(InMemory::default());
    let ids = started(&shelf).await;
    assert!(!ids.has_record("acme"));
    let kept = ids.read("acme").await.unwrap();
    assert_eq!(ids.rule(None, &claimant(&ours()), false), Ruling::Granted { inherits: false });
    assert_eq!(kept, None);
    assert_eq!(ids.give(&claimant(&ours()), None).await, Ok(true));
    assert_eq!(shelf.calls(), [PUT]);
    assert!(ids.is_holder("acme", "u-1") && ids.has_record("acme") && !ids.is_holder("acme", "u-2"));
}

#[tokio::test]
async fn whoever_is_settled_costs_no_call_after_a_restart() {
    let (shelf, word) = given().await;
    let ids = started(&shelf).await;
    assert!(!ids.is_holder("acme", "u-1"), "a listing does not say who has it");
    assert!(ids.recognises("acme", "u-1", Some(&word)));
    assert!(ids.is_holder("acme", "u-1"));
    assert_eq!(ids.word("acme", "u-1").as_ref(), Some(&word));
    assert_eq!(ids.holders().into_iter().collect::<Vec<_>>(), [("acme".to_owned(), "u-1".to_owned())]);
    assert_eq!(ids.claimed(&ours()).await, Ok(Claimed::Ours));
    assert_eq!(shelf.calls(), [] as [&str; 0]);
}

#[tokio::test]
async fn a_status_is_believed_only_of_its_own_object_and_the_record_as_it_is() {
    let (shelf, word) = given().await;
    let ids = started(&shelf).await;
    for (tenant_id, uid, said) in [
        ("acme", "u-2", Some(word.as_str())),
        ("acme", "u-1", Some("111122223333/eu-central-1/0000")),
        ("acme", "u-1", None),
        ("globex", "u-1", Some(&word)),
    ] {
        assert!(!ids.recognises(tenant_id, uid, said), "{tenant_id} {uid} {said:?}");
        assert!(ids.holders().is_empty());
    }
    started(&shelf).await.leave(&leaver(&ours()), State::Retained, false).await.unwrap();
    assert!(!started(&shelf).await.recognises("acme", "u-1", Some(&word)), "the record is another since");
}

#[tokio::test]
async fn leaving_costs_one_write() {
    let (shelf, word) = given().await;
    let ids = started(&shelf).await;
    assert!(ids.recognises("acme", "u-1", Some(&word)));
    assert_eq!(ids.leave(&claimant(&ours()), State::Gone, true).await, Ok(true));
    assert_eq!(shelf.calls(), [PUT]);
    let said = shelf.says("tenants/acme.json").unwrap();
    assert_eq!((&said["state"], &said["empty"]), (&"gone".into(), &true.into()));
    assert_eq!(said["holder"]["namespaceUid"], "n-1");
    assert!(!ids.is_holder("acme", "u-1"));
    assert_eq!(ids.word("acme", "u-1"), None);
    assert_eq!(ids.leave(&leaver(&ours()), State::Gone, true).await, Ok(true), "once more is once");
    assert_eq!(shelf.calls(), [GET]);
}

#[tokio::test]
async fn whose_namespace_is_out_of_sight_leaves_it_as_its_record_has_it() {
    let (shelf, _) = given().await;
    let ids = started(&shelf).await;
    assert_eq!(ids.leave(&leaver(&ours()), State::Retained, false).await, Ok(true));
    assert_eq!(shelf.calls(), [GET, PUT]);
    assert_eq!(shelf.says("tenants/acme.json").unwrap()["holder"]["namespaceUid"], "n-1");
}

#[tokio::test]
async fn whoever_has_left_is_known_by_the_record_when_it_asks_again() {
    for (state, claimed) in [
        (State::Held, Claimed::Ours),
        (State::Retained, Claimed::Ours),
        (State::Gone, Claimed::Over),
        (State::Free, Claimed::Over),
    ] {
        let (shelf, _) = given().await;
        started(&shelf).await.leave(&leaver(&ours()), state, false).await.unwrap();
        let ids = started(&shelf).await;
        assert_eq!(ids.claimed(&ours()).await, Ok(claimed), "{state:?}");
        assert_eq!(ids.claimed(&tenant("others", "u-2")).await, Ok(Claimed::NotOurs), "{state:?}");
    }
}

#[tokio::test]
async fn one_that_was_never_given_its_id_bars_the_way_to_an_earlier_leaders_write() {
    let shelf = Arc::new(InMemory::default());
    let (earlier, later) = (started(&shelf).await, started(&shelf).await);
    assert_eq!(later.claimed(&ours()).await, Ok(Claimed::NotOurs));
    assert_eq!(shelf.calls(), [PUT]);
    assert_eq!(state(&shelf).as_deref(), Some("free"));
    assert_eq!(earlier.give(&claimant(&ours()), None).await, Ok(false), "it arrives late");
    assert_eq!(state(&shelf).as_deref(), Some("free"));
    assert_eq!(later.claimed(&ours()).await, Ok(Claimed::NotOurs), "asked again after a crash");
    assert!(
        !later.read("acme").await.unwrap().unwrap().says.was_held(),
        "it is nobody's, and never was anybody's"
    );
}

/// Whoever cannot have been given an id leaves its record as it is: a thousand forged objects change nothing.
#[tokio::test]
async fn a_stranger_that_leaves_writes_nobodys_record() {
    for left in [State::Held, State::Gone, State::Retained] {
        let (shelf, _) = given().await;
        if left != State::Held {
            started(&shelf).await.leave(&leaver(&ours()), left, false).await.unwrap();
        }
        let before = shelf.says("tenants/acme.json");
        let ids = started(&shelf).await;
        assert_eq!(ids.claimed(&tenant("others", "u-2")).await, Ok(Claimed::NotOurs));
        assert_eq!(shelf.says("tenants/acme.json"), before, "{left:?}");
    }
}

/// What is free, or gone, is given over a record; so that is written anew, or the late write would find it as it was.
#[tokio::test]
async fn one_that_was_never_given_an_id_that_others_had_bars_the_way_too() {
    for left in [State::Gone, State::Free, State::Retained] {
        let (shelf, _) = given().await;
        started(&shelf).await.leave(&leaver(&ours()), left, false).await.unwrap();
        let before = shelf.says("tenants/acme.json").unwrap();
        let (earlier, later) = (started(&shelf).await, started(&shelf).await);
        let read = earlier.read("acme").await.unwrap().unwrap();
        let successor = tenant("tenants", "u-2");
        assert_eq!(later.claimed(&successor).await, Ok(Claimed::NotOurs));
        assert_eq!(
            earlier.give(&claimant(&successor), Some(&read.etag)).await,
            Ok(false),
            "{left:?}: it arrives late"
        );
        let mut after = shelf.says("tenants/acme.json").unwrap();
        after["nonce"] = before["nonce"].clone();
        assert_eq!(after, before, "it says what it said");
    }
}

#[tokio::test]
async fn a_tenant_that_leaves_does_not_touch_what_another_has() {
    let (shelf, word) = given().await;
    let ids = started(&shelf).await;
    let stranger = tenant("others", "u-2");
    assert_eq!(ids.claimed(&stranger).await, Ok(Claimed::NotOurs));
    assert_eq!(
        ids.leave(&Claimant { namespace_uid: "n-9", ..claimant(&stranger) }, State::Gone, true).await,
        Ok(false)
    );
    assert!(!shelf.calls().contains(&PUT.to_owned()));
    assert!(started(&shelf).await.recognises("acme", "u-1", Some(&word)));
}

#[tokio::test]
async fn whoever_is_overtaken_is_told_so_and_gets_the_right_answer_next() {
    let shelf = Arc::new(InMemory::default());
    let (one, other) = (started(&shelf).await, started(&shelf).await);
    assert_eq!(one.give(&claimant(&ours()), None).await, Ok(true));
    let second = tenant("others", "u-2");
    assert_eq!(other.read("acme").await, Ok(None), "it has no reason to look");
    assert_eq!(other.give(&claimant(&second), None).await, Ok(false));
    assert!(other.is_holder("acme", "u-1") && !other.is_holder("acme", "u-2"));
    let kept = other.read("acme").await.unwrap().unwrap();
    let told = other.rule(Some(&kept.says), &claimant(&second), false);
    assert_eq!(told, Ruling::Refused(crate::stack::record::taken("acme")));
    assert_eq!(other.rule(Some(&kept.says), &claimant(&ours()), false), Ruling::Held);
}

#[tokio::test]
async fn while_what_is_there_is_being_recorded_nobody_new_gets_an_id_and_none_is_freed() {
    let (shelf, word) = given().await;
    let ids = reading(&shelf);
    assert_eq!(ids.closed(), Some(Trouble::Incomplete(String::new())));
    assert!(ids.has_record("globex"), "any id may be somebody's");
    let stranger = tenant("others", "u-2");
    assert_eq!(ids.claimed(&stranger).await, Err(Trouble::Incomplete(String::new())));
    assert_eq!(shelf.calls(), [] as [&str; 0]);
    for (tenant_id, etag) in ids.records.list().await.unwrap() {
        ids.listed(tenant_id, etag);
    }
    assert!(ids.recognises("acme", "u-1", Some(&word)));
    assert_eq!(ids.claimed(&ours()).await, Ok(Claimed::Ours), "who is settled goes on, and may leave");
    ids.are_complete();
    assert_eq!((ids.closed(), ids.has_record("globex")), (None, false));
}

#[tokio::test]
async fn when_a_record_is_lost_who_is_settled_goes_on_and_nobody_comes_or_leaves() {
    let (shelf, _) = given().await;
    let ids = started(&shelf).await;
    ids.trusted("globex", "u-7");
    shelf.lose("tenants/acme.json");
    let lost = Trouble::Lost("The record of tenantId 'acme'".into());
    assert_eq!(ids.read("acme").await, Err(lost.clone()));
    ids.are_complete();
    assert_eq!(ids.phase(), Phase::Lost(lost.clone()), "it stays so");
    assert_eq!(ids.closed(), Some(lost.clone()));
    assert!(ids.is_holder("globex", "u-7") && ids.has_record("anything"));
    assert_eq!(ids.word("globex", "u-7"), None, "its status keeps the word that it has");
    for id in [ours(), tenant("others", "u-7"), tenant("others", "u-2")] {
        assert_eq!(ids.claimed(&id).await, Err(lost.clone()));
    }
    ids.are_lost(&Trouble::Lost("The bucket".into()));
    assert_eq!(ids.closed(), Some(lost), "the first loss is the one that is told");
    assert_eq!(shelf.calls(), [GET]);
}

#[tokio::test]
async fn a_record_of_an_id_that_has_one_is_not_written_again() {
    let (shelf, _) = given().await;
    let (informed, ignorant) = (started(&shelf).await, reading(&shelf));
    let record =
        Record::of(&tenant("others", "u-2"), "", None, State::Retained, Timestamp::UNIX_EPOCH).unwrap();
    assert_eq!(informed.record(record.clone()).await, Ok(false));
    assert_eq!(shelf.calls(), [] as [&str; 0]);
    assert_eq!(ignorant.record(record).await, Ok(false), "S3 says so");
    assert_eq!(state(&shelf).as_deref(), Some("held"));
}

#[tokio::test]
async fn what_was_retained_is_gone_with_the_bucket_and_nothing_else_is() {
    for (before, uid, after) in [
        (State::Retained, "u-1", "gone"),
        (State::Retained, "u-2", "retained"),
        (State::Held, "u-1", "held"),
        (State::Gone, "u-1", "gone"),
    ] {
        let (shelf, _) = given().await;
        let ids = started(&shelf).await;
        ids.leave(&leaver(&ours()), before, false).await.unwrap();
        assert_eq!(ids.gone_with_bucket("acme", uid).await, Ok(()));
        assert_eq!(state(&shelf).as_deref(), Some(after), "{before:?} {uid}");
    }
    let none = Arc::new(InMemory::default());
    assert_eq!(started(&none).await.gone_with_bucket("acme", "u-1").await, Ok(()));
    assert_eq!(state(&none), None);
}

#[tokio::test]
async fn with_read_only_nothing_is_freed() {
    let shelf = Arc::new(InMemory::default());
    let ids = Ids { read_only: true, ..started(&shelf).await };
    assert_eq!(ids.claimed(&ours()).await, Ok(Claimed::NotOurs));
    assert_eq!(state(&shelf), None);
}

#[tokio::test]
async fn where_the_records_do_not_answer_nobody_gets_or_leaves_and_later_all_is_well() {
    let away = Arc::new(std::sync::atomic::AtomicBool::new(true));
    let is_away = away.clone();
    let shelf = Arc::new(InMemory::with(move |_| {
        if is_away.load(std::sync::atomic::Ordering::Relaxed) { Mishap::Before } else { Mishap::None }
    }));
    let ids = reading(&shelf);
    ids.are_complete();
    let waits = |trouble: &Trouble| matches!(trouble, Trouble::Away(_));
    assert!(ids.give(&claimant(&ours()), None).await.is_err_and(|trouble| waits(&trouble)));
    assert!(ids.claimed(&ours()).await.is_err_and(|trouble| waits(&trouble)));
    assert!(!ids.is_holder("acme", "u-1"));
    away.store(false, std::sync::atomic::Ordering::Relaxed);
    assert_eq!(ids.phase(), Phase::Complete);
    assert_eq!(ids.give(&claimant(&ours()), None).await, Ok(true));
}
