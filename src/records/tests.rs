//! Records over a bucket that loses answers, objects and itself.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::json;

use super::in_memory::{InMemory, Mishap};
use super::lock::{Lock, Place};
use super::*;

const KEY: &str = "tenants/acme.json";

/// A record of `acme`, whose Tenant has this uid.
fn record(uid: &str) -> Record {
    let record = json!({
        "tenantId": "acme", "state": "held", "pattern": "Silo", "since": "2026-01-01T00:00:00Z", "nonce": "",
        "holder": {"cluster": "here", "namespace": "tenants", "namespaceUid": "n-1", "name": "acme", "uid": uid},
    });
    serde_json::from_value(record).unwrap()
}

fn over(shelf: InMemory) -> (Arc<InMemory>, Records) {
    let shelf = Arc::new(shelf);
    (shelf.clone(), Records::new(shelf))
}

/// A bucket in which the calls of these numbers go wrong.
fn failing(mishaps: &'static [(usize, Mishap)]) -> (Arc<InMemory>, Records) {
    let calls = AtomicUsize::new(0);
    over(InMemory::with(move |_| {
        let number = calls.fetch_add(1, Ordering::Relaxed);
        mishaps.iter().find(|(at, _)| *at == number).map_or(Mishap::None, |(_, mishap)| *mishap)
    }))
}

/// Who the record in the bucket names.
fn named(shelf: &InMemory) -> Option<String> {
    Some(shelf.says(KEY)?["holder"]["uid"].as_str().unwrap().to_owned())
}

/// The ETag of a write that was done.
fn etag(wrote: Result<Wrote<Record>, Trouble>) -> String {
    match wrote {
        Ok(Wrote::Done(kept)) => kept.etag,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn what_is_written_is_read_and_costs_one_call_each() {
    let (shelf, records) = over(InMemory::default());
    assert_eq!(records.get("acme").await, Ok(None));
    let first = etag(records.put(record("u-1"), None).await);
    let second = etag(records.put(record("u-2"), Some(&first)).await);
    assert_eq!(shelf.calls(), ["GET tenants/acme.json", "PUT tenants/acme.json", "PUT tenants/acme.json"]);
    let kept = records.get("acme").await.unwrap().unwrap();
    assert_eq!((kept.says.holder.uid.as_str(), &kept.etag), ("u-2", &second));
}

#[tokio::test]
async fn a_write_whose_answer_is_lost_is_done_if_it_took_effect() {
    let (shelf, records) = failing(&[(0, Mishap::After)]);
    let there = etag(records.put(record("u-1"), None).await);
    assert_eq!(shelf.calls(), ["PUT tenants/acme.json", "GET tenants/acme.json"]);
    assert_eq!(records.get("acme").await.unwrap().unwrap().etag, there);
}

#[tokio::test]
async fn a_write_that_took_no_effect_is_not_done() {
    let (shelf, records) = failing(&[(0, Mishap::Before)]);
    let wrote = records.put(record("u-1"), None).await;
    assert!(matches!(wrote, Err(Trouble::Away(_))), "{wrote:?}");
    assert_eq!(named(&shelf), None);
}

#[tokio::test]
async fn where_neither_the_write_nor_the_look_after_it_is_answered_nothing_is_said() {
    for mishaps in
        [&[(0, Mishap::After), (1, Mishap::Before)][..], &[(0, Mishap::Before), (1, Mishap::After)]]
    {
        let (_, records) = failing(mishaps);
        let wrote = records.put(record("u-1"), None).await;
        assert!(matches!(wrote, Err(Trouble::Away(_))), "{wrote:?}");
    }
}

#[tokio::test]
async fn who_loses_its_answer_and_is_overtaken_does_not_take_the_other_record_for_its_own() {
    // The write is lost, and before the look another writes over nothing.
    let (shelf, records) = failing(&[(0, Mishap::Before)]);
    let ours = records.put(record("u-1"), None);
    let theirs = async {
        tokio::task::yield_now().await;
        records.put(record("u-2"), None).await
    };
    let (ours, theirs) = futures::join!(ours, theirs);
    etag(theirs);
    assert!(matches!(ours, Err(Trouble::Away(_)) | Ok(Wrote::Other(_))), "{ours:?}");
    assert_eq!(named(&shelf).as_deref(), Some("u-2"));
}

/// A bucket whose first write is made and then refused: a proxy has sent it twice.
struct Twice(InMemory);

impl Shelf for Twice {
    fn get<'a>(&'a self, key: &'a str) -> shelf::Answer<'a, Option<crate::aws::Content>> {
        self.0.get(key)
    }

    fn put<'a>(&'a self, key: &'a str, content: Vec<u8>, over: Over<'a>) -> shelf::Answer<'a, Put> {
        Box::pin(async move {
            self.0.put(key, content.clone(), over).await?;
            self.0.put(key, content, over).await
        })
    }

    fn list<'a>(&'a self, prefix: &'a str) -> shelf::Answer<'a, Vec<(String, String)>> {
        self.0.list(prefix)
    }
}

#[tokio::test]
async fn who_is_refused_by_its_own_write_has_written() {
    let records = Records::new(Arc::new(Twice(InMemory::default())));
    let first = etag(records.put(record("u-1"), None).await);
    let second = etag(records.put(record("u-2"), Some(&first)).await);
    assert_ne!(first, second);
}

#[tokio::test]
async fn who_is_refused_by_another_learns_what_is_there() {
    let (shelf, records) = over(InMemory::default());
    let first = etag(records.put(record("u-1"), None).await);
    let second = etag(records.put(record("u-2"), Some(&first)).await);
    for stale in [None, Some(first.as_str())] {
        match records.put(record("u-3"), stale).await {
            Ok(Wrote::Other(Some(there))) => {
                assert_eq!((there.says.holder.uid.as_str(), &there.etag), ("u-2", &second));
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(named(&shelf).as_deref(), Some("u-2"));
}

#[tokio::test]
async fn a_record_that_must_be_there_and_is_not_is_lost() {
    let (shelf, records) = over(InMemory::default());
    let first = etag(records.put(record("u-1"), None).await);
    shelf.lose(KEY);
    let wrote = records.put(record("u-1"), Some(&first)).await;
    assert_eq!(wrote, Err(Trouble::Lost("tenants/acme.json in the installation's bucket".into())));
    assert_eq!(named(&shelf), None, "nothing is made anew");
}

#[tokio::test]
async fn a_bucket_that_is_gone_is_lost_and_not_empty() {
    let (shelf, records) = over(InMemory::default());
    shelf.is_there(false);
    let lost = Trouble::Lost("The installation's bucket".into());
    assert_eq!(records.get("acme").await, Err(lost.clone()));
    assert_eq!(records.put(record("u-1"), None).await, Err(lost.clone()));
    assert_eq!(records.put(record("u-1"), Some("\"1\"")).await, Err(lost.clone()));
    assert_eq!(records.list().await, Err(lost.clone()));
    assert_eq!(records.lock().await, Err(lost.clone()));
    assert_eq!(lost.reason(), Reason::RecordsLost);
}

#[tokio::test]
async fn what_is_no_record_of_this_id_is_nobodys_to_write_over() {
    let of_another = serde_json::to_string(&Record { tenant_id: "globex".into(), ..record("u-1") }).unwrap();
    for broken in
        ["", "{}", "null", "[1]", "not JSON", r#"{"tenantId": "acme", "state": "lent"}"#, &of_another]
    {
        let (shelf, records) = over(InMemory::default());
        shelf.overwrite(KEY, broken);
        let read = records.get("acme").await;
        let Err(trouble @ Trouble::Unreadable { .. }) = read else { panic!("{broken}: {read:?}") };
        assert_eq!(trouble.reason(), Reason::RecordsLost);
        assert!(
            trouble.to_string().starts_with("tenants/acme.json in the installation's bucket cannot be read")
        );
        let wrote = records.put(record("u-2"), None).await;
        assert!(matches!(wrote, Err(Trouble::Unreadable { .. })), "{broken}: {wrote:?}");
    }
}

#[tokio::test]
async fn no_two_writes_are_alike() {
    let (shelf, records) = over(InMemory::default());
    let (mut nonces, mut last) = (BTreeSet::new(), None);
    for _ in 0..100 {
        last = Some(etag(records.put(record("u-1"), last.as_deref()).await));
        nonces.insert(shelf.says(KEY).unwrap()["nonce"].as_str().unwrap().to_owned());
    }
    assert_eq!(nonces.len(), 100);
    assert!(nonces.iter().all(|nonce| nonce.len() == 32));
}

#[tokio::test]
async fn a_listing_shows_records_and_nothing_else() {
    let (shelf, records) = over(InMemory::default());
    for key in ["tenants/acme.json", "tenants/acme-1.json", "tenants/b.json"] {
        shelf.overwrite(key, "{}");
    }
    for key in [
        "lock.json",
        "tenants/",
        "tenants/.json",
        "tenants/Acme.json",
        "tenants/acme",
        "tenants/acme.json.bak",
        "tenants/a/b.json",
        "tenants/-a.json",
        "tenants-old/acme.json",
    ] {
        shelf.overwrite(key, "{}");
    }
    let mut ids: Vec<_> = records.list().await.unwrap().into_iter().map(|(id, _)| id).collect();
    ids.sort();
    assert_eq!(ids, ["acme", "acme-1", "b"]);
    assert_eq!(shelf.calls(), ["LIST tenants/"]);
}

#[tokio::test]
async fn of_two_who_take_the_lock_one_has_it() {
    let (_, records) = over(InMemory::default());
    let lock = |cluster: &str| Lock {
        place: Place { cluster: cluster.into(), ..Place::default() },
        took_over: Vec::new(),
        complete: false,
        nonce: String::new(),
    };
    let (one, other) =
        futures::join!(records.put_lock(lock("one"), None), records.put_lock(lock("other"), None));
    let there = records.lock().await.unwrap().unwrap();
    let done = |wrote: &Result<Wrote<Lock>, Trouble>| matches!(wrote, Ok(Wrote::Done(_)));
    assert!(done(&one) != done(&other), "{one:?} {other:?}");
    assert_eq!(there.says.place.cluster, if done(&one) { "one" } else { "other" });
}
