//! Two replicas: exactly one acts, whatever happens to the other.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::json;

use crate::support::double::Journal;
use crate::support::fleet::Fleet;
use crate::support::inventory::resources;
use crate::support::proxy::Proxy;
use crate::support::replicas::{DURATION, RETRY, Replica, seconds};
use crate::support::world::{World, world_without_operator};

const FLEET: Fleet = Fleet { each: 1 };
const SILO: &str = "{kind: Tenant, metadata: {name: acme}, spec: {tenantId: acme, pattern: Silo}}";
const SILO_WITH_KEY: &str = "{kind: Tenant, metadata: {name: acme}, spec: {tenantId: acme, pattern: Silo, encryption: {key: Create}}}";

fn between(from: Timestamp, to: Timestamp) -> Duration {
    Duration::try_from(to.duration_since(from)).expect("the one was before the other")
}

/// Waits until a replica has changed something in AWS so many times.
async fn changes(w: &World, replica: &Replica, mark: u64, times: usize) {
    let enough = || async {
        let made = replica.calls(&w.double.journal(mark).await).mutating().len();
        (made >= times).then_some(())
    };
    w.eventually(&format!("{times} calls that change something"), enough).await;
}

/// The leader is killed at once; how long it takes until the other leads is bounded from both sides.
async fn dies(w: &World, leader: &mut Replica) {
    leader.die().await;
    let (died, before) = (Timestamp::now(), w.lease().await);
    let taken = w.taken_over(&before).await;
    let bound = seconds(DURATION + 2 * RETRY);
    println!("taken over {:?} after it died", between(died, taken));
    assert!(between(died, taken) <= bound, "it took {:?}, not {bound:?}", between(died, taken));
    let protected = between(before.renew_time.unwrap().0, taken);
    assert!(protected >= seconds(DURATION), "taken {protected:?} after the last renewal");
}

/// How often each resource was really deleted.
fn deletes(journal: &Journal) -> BTreeMap<String, usize> {
    let mut deleted = BTreeMap::new();
    // Objects go by many in one call, and key by key.
    let whole = |call: &&crate::support::double::Call| {
        let operation = call.operation.as_str();
        (operation.starts_with("Delete") || operation == "ScheduleKeyDeletion")
            && !matches!(operation, "DeleteObjects" | "DeleteBucketLifecycle")
    };
    for call in journal.iter().filter(whole).filter(|call| call.took_effect()) {
        *deleted.entry(format!("{} {} {}", call.operation, call.resource, call.params)).or_default() += 1;
    }
    deleted
}

#[tokio::test]
async fn the_leader_is_killed_and_nothing_is_made_or_deleted_twice() {
    let test = async |w: World| {
        let mut first = w.leader("first", &["--concurrency", "1"]).await;
        let mut second = w.standby("second", &[]).await;
        assert!(second.calls(&w.double.journal(0).await).mutating().is_empty());
        w.apply(&FLEET.yaml()).await;
        changes(&w, &first, 0, 12).await;
        dies(&w, &mut first).await;
        FLEET.ready(&w).await;
        assert!(!second.calls(&w.double.journal(0).await).mutating().is_empty(), "nothing was left to do");
        FLEET.assert_as_if_undisturbed(&w).await;

        let third = w.standby("third", &[]).await;
        for object in FLEET.objects() {
            w.patch(&object, json!({"spec": {"deletionPolicy": "Delete"}})).await;
        }
        let mark = w.double.mark().await;
        for object in FLEET.objects() {
            w.delete(&object).await;
        }
        changes(&w, &second, mark, 4).await;
        dies(&w, &mut second).await;
        for object in FLEET.objects() {
            w.gone(&object).await;
        }
        let journal = w.double.journal(mark).await;
        assert!(!third.calls(&journal).mutating().is_empty(), "nothing was left to do");
        let twice: Vec<_> = deletes(&journal).into_iter().filter(|(_, times)| *times > 1).collect();
        assert!(twice.is_empty(), "deleted twice: {twice:?} in\n{}", journal.mutating());
        let made = journal.only(|call| call.operation.starts_with("Create") && call.took_effect());
        assert!(made.is_empty(), "made while everything goes:\n{made}");
        let mut left = resources(&w.inventory().await);
        left.retain(|name| !name.ends_with(" PendingDeletion"));
        assert_eq!(left.into_iter().collect::<Vec<_>>(), [w.grant()]);
    };
    world_without_operator(|_| {}, test).await;
}

#[tokio::test]
async fn one_that_is_asked_to_end_hands_over_at_once() {
    let test = async |w: World| {
        let mut first = w.leader("first", &[]).await;
        let second = w.standby("second", &[]).await;
        w.apply(SILO).await;
        changes(&w, &first, 0, 1).await;
        let before = w.lease().await;
        first.signal("TERM").await;
        assert!(first.ended().await.success(), "{}", first.log());
        let ended = Timestamp::now();
        let taken = w.taken_over(&before).await;
        // It may have been taken before we saw the process end.
        let waited = Duration::try_from(taken.duration_since(ended)).unwrap_or_default();
        assert!(waited <= seconds(2 * RETRY), "it took {waited:?}");
        w.ready("acme").await;
        let journal = w.double.journal(0).await;
        let mine = first.calls(&journal).mutating();
        let theirs = second.calls(&journal).mutating();
        assert!(mine.last().unwrap().seq < theirs[0].seq, "both acted:\n{journal}");
    };
    world_without_operator(|_| {}, test).await;
}

/// A key has no name of its own: whoever does not see one makes it.
#[tokio::test]
async fn one_that_ends_with_a_call_under_way_leaves_it_the_time_to_arrive() {
    let test = async |w: World| {
        let mut first = w.leader("first", &[]).await;
        let second = w.standby("second", &[]).await;
        // Longer than a process that ends waits for its passes, and shorter than the lease.
        let slow = json!({"operation": "CreateKey", "caller": "*/operator-first", "delay": 5});
        let slow = w.double.fault(slow).await;
        w.apply(SILO_WITH_KEY).await;
        let under_way = || async { (!slow.hits().await.is_empty()).then_some(()) };
        w.eventually("it makes the key", under_way).await;
        first.signal("TERM").await;
        assert!(first.ended().await.success(), "{}", first.log());
        assert!(first.log().contains("the lease is not given back"), "{}", first.log());
        let left = w.lease().await;
        assert!(left.holder_identity.is_some(), "it was given back");
        let taken = w.taken_over(&left).await;
        let protected = between(left.renew_time.unwrap().0, taken);
        assert!(protected >= seconds(DURATION), "taken {protected:?} after the last renewal");
        w.ready("acme").await;
        let journal = w.double.journal(0).await;
        let made = journal.only(|call| call.operation == "CreateKey" && call.took_effect());
        assert_eq!((made.len(), second.calls(&made).len()), (1, 0), "in\n{journal}");
    };
    world_without_operator(|_| {}, test).await;
}

/// What it saw before it was stopped tells it to make things that the other has made meanwhile.
#[tokio::test]
async fn one_that_wakes_after_its_lease_changes_nothing_and_ends() {
    let test = async |w: World| {
        let mut first = w.leader("first", &[]).await;
        let second = w.standby("second", &[]).await;
        let looks = json!({"operation": "HeadBucket", "caller": "*/operator-first", "delay": 2});
        let looks = w.double.fault(looks).await;
        w.apply(SILO).await;
        let under_way = || async { (!looks.hits().await.is_empty()).then_some(()) };
        w.eventually("it looks for the bucket", under_way).await;
        first.signal("STOP").await;
        let stopped = w.double.mark().await;
        w.ready("acme").await;
        first.signal("CONT").await;
        let status = first.ended().await;
        let log = first.log();
        assert_eq!(status.code(), Some(1), "{log}");
        assert!(log.contains("the lease 'tenantry-e2e' is lost"), "{log}");
        let journal = w.double.journal(stopped).await;
        let late = first.calls(&journal).mutating();
        assert!(late.is_empty(), "it acted without its lease:\n{late}");
        assert!(!second.calls(&journal).mutating().is_empty());
        assert!(w.get("acme").await.is("Ready=True"));
    };
    world_without_operator(|_| {}, test).await;
}

#[tokio::test]
async fn one_that_cannot_renew_ends_before_another_takes_over() {
    let test = async |w: World| {
        let proxy = Proxy::before(w.bed);
        let mut first = w.replica_by("first", proxy.kubeconfig(), &[]).await;
        first.says(&w, "this process leads").await;
        let second = w.standby("second", &[]).await;
        let before = w.lease().await;
        let lost = json!({"path": "*/leases/*", "method": "*", "do": "drop-before", "count": 1_000_000});
        proxy.rule(lost).await;
        let status = first.ended().await;
        let ended = Timestamp::now();
        assert_eq!(status.code(), Some(1), "{}", first.log());
        assert!(first.log().contains("could not be renewed within"), "{}", first.log());
        let taken = w.taken_over(&before).await;
        assert!(ended < taken, "it ended {ended}, the other led from {taken}");
        second.says(&w, "starting").await;
    };
    world_without_operator(|_| {}, test).await;
}
