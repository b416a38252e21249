//! The way there.

use std::time::Duration;

use serde_json::json;

use super::*;
use crate::stack::model::observed::{DataSourceFacts, RoleDetail};
use crate::stack::model::outcome::LayerStatus::{Ready, Serving, Stalled, Unchanged, Waiting, WaitingFor};
use crate::stack::model::policy;
use Layer::{Bucket, Index, Key, KnowledgeBase, Role, VectorStore};

#[tokio::test]
async fn what_can_move_moves_and_what_builds_on_it_waits() {
    let mut silo = Object::named("silo with a key");
    let passes = silo.until_ready().await;
    // A role's permissions name the collection, and a data source comes after its knowledge base.
    let expected: [&[Layer]; 6] =
        [&[Key], &[Bucket, VectorStore, Role], &[Role], &[Index], &[KnowledgeBase], &[KnowledgeBase]];
    assert_eq!(passes, expected);
    let mut bridge = Object::named("bridge");
    let expected: [&[Layer]; 4] = [&[Role], &[Index], &[KnowledgeBase], &[KnowledgeBase]];
    assert_eq!(bridge.until_ready().await, expected, "what is borrowed is nobody's to build");
    let mut stack = Object::named("shared stack");
    let expected: [&[Layer]; 2] = [&[Key], &[Bucket, VectorStore]];
    assert_eq!(stack.until_ready().await, expected);
}

#[tokio::test]
async fn a_layer_that_waits_says_for_which() {
    let mut silo = Object::named("silo");
    let passed = silo.pass().await;
    assert_eq!(*status_of(&passed, Index), WaitingFor(VectorStore));
    assert_eq!(*status_of(&passed, KnowledgeBase), WaitingFor(Bucket));
    assert!(
        matches!(status_of(&passed, Role), Waiting(Reason::WaitingForVectorStore, _)),
        "{:?}",
        passed.layers
    );
    assert!(matches!(status_of(&passed, Bucket), Waiting(Reason::Creating, _)));
    assert!(passed.layers.key.is_none(), "nothing to own");
    assert!(passed.look_again.is_some() && blocked(&passed).is_none() && passed.fault.is_none());
}

#[tokio::test]
async fn what_stands_is_left_in_peace_until_the_resync_or_a_new_spec() {
    let mut silo = Object::built("silo").await;
    assert_eq!(silo.pass().await.look_again, None);
    assert_eq!(silo.calls(), Vec::<String>::new(), "nothing is asked twice");
    silo.generation = 2;
    silo.pass().await;
    assert_eq!(silo.layers_of("look").len(), 5 + 1, "all layers, and a key that may be there");
    silo.clock = later();
    silo.pass().await;
    assert_eq!(silo.layers_of("look").len(), 6);
    assert!(silo.is_ready());
}

#[tokio::test]
async fn while_something_waits_only_that_is_looked_at() {
    let mut silo = Object::built("silo").await;
    silo.aws(|aws| {
        aws.slow.vector_store = true;
        found_collection(&mut aws.observed).network = None;
    });
    silo.generation = 2;
    silo.pass().await;
    silo.calls();
    let passed = silo.pass().await;
    assert_eq!(silo.calls(), ["look VectorStore", "ensure VectorStore"]);
    assert!(matches!(status_of(&passed, VectorStore), Waiting(..)));
}

#[tokio::test]
async fn drift_is_put_right_in_its_own_layer() {
    for layer in [Bucket, VectorStore, Role, KnowledgeBase] {
        let mut silo = Object::built("silo").await;
        silo.aws(|aws| match layer {
            Bucket => ours(&mut aws.observed.bucket).policy = None,
            VectorStore => found_collection(&mut aws.observed).network = None,
            Role => ours(&mut aws.observed.role).data_access = None,
            _ => drop(ours(&mut aws.observed.knowledge_base).tags.remove("costCenter")),
        });
        silo.generation = 2;
        assert_eq!(silo.until_ready().await, [[layer]], "{layer:?}");
    }
}

/// What of a stack may differ while everybody is answered, and what may not.
type Differs = (&'static str, fn(&mut Observation), bool);

const DIFFERS: &[Differs] = &[
    ("all tags", untag, true),
    ("the bucket's policy", |it| ours(&mut it.bucket).policy = None, true),
    ("the bucket's lifecycle", |it| ours(&mut it.bucket).lifecycle.clear(), true),
    ("the bucket's versioning", |it| ours(&mut it.bucket).versioned = false, true),
    ("the encryption policy", |it| found_collection(it).encryption = None, true),
    ("who may reach the collection", network_of_others, true),
    ("the network policy", |it| found_collection(it).network = None, false),
    ("a field of the index", forget_a_field, true),
    ("the index", |it| it.index = Observed::Absent, false),
    ("the description of the data access", undescribe, true),
    ("the data access policy", |it| ours(&mut it.role).data_access = None, false),
    ("the role's permissions", |it| role(it).policies.clear(), false),
    ("the role's trust", |it| role(it).trust = json!({}), false),
    ("what the data source deletes", |it| source(it).data_deletion_policy = "NEVER".into(), true),
    ("the data source", |it| ours(&mut it.knowledge_base).data_source = None, false),
    ("the knowledge base's state", |it| ours(&mut it.knowledge_base).status = "UPDATING".into(), false),
];

fn role(observed: &mut Observation) -> &mut RoleDetail {
    ours(&mut observed.role).role.as_mut().unwrap()
}

fn source(observed: &mut Observation) -> &mut DataSourceFacts {
    ours(&mut observed.knowledge_base).data_source.as_mut().unwrap()
}

fn untag(observed: &mut Observation) {
    ours(&mut observed.bucket).tags.remove("costCenter");
    found_collection(observed).collection.as_mut().unwrap().tags.remove("costCenter");
    role(observed).tags.remove("costCenter");
    ours(&mut observed.knowledge_base).tags.remove("costCenter");
}

fn network_of_others(observed: &mut Observation) {
    let network = found_collection(observed).network.as_mut().unwrap();
    network.document[0]["SourceVPCEs"] = json!(["vpce-others"]);
}

fn forget_a_field(observed: &mut Observation) {
    let schema = &mut ours(&mut observed.index).schema;
    schema["mappings"]["properties"].as_object_mut().unwrap().remove("AMAZON_BEDROCK_METADATA");
}

fn undescribe(observed: &mut Observation) {
    ours(&mut observed.role).data_access.as_mut().unwrap().description = "others".into();
}

/// `Ready` is what people are woken by.
#[tokio::test]
async fn what_answers_is_not_unready_while_it_is_changed() {
    for (what, differ, answers) in DIFFERS {
        let mut silo = Object::built("silo").await;
        silo.aws(|aws| differ(&mut aws.observed));
        silo.generation = 2;
        silo.pass().await;
        let conditions = &silo.status.conditions;
        assert_eq!(silo.is_ready(), *answers, "{what}: {conditions:?}");
        let reconciling = silo.status.condition(ConditionType::Reconciling).unwrap();
        assert_eq!(reconciling.status, "True", "{what}: {reconciling:?}");
        if *answers {
            assert_eq!(reconciling.reason, "Updating", "{what}");
        }
    }
}

#[tokio::test]
async fn who_waits_for_a_change_of_another_layer_goes_on_answering() {
    let mut silo = Object::built("silo with a key").await;
    silo.aws(|aws| {
        ours(&mut aws.observed.key).has_alias = false;
        untag(&mut aws.observed);
    });
    silo.generation = 2;
    for _ in 0..10 {
        silo.pass().await;
        assert!(silo.is_ready(), "{:?}", silo.status.conditions);
    }
    assert!(!silo.status.is_true(ConditionType::Reconciling), "{:?}", silo.status.conditions);
}

/// What AWS does not let us see for a moment answers all the same.
#[tokio::test]
async fn what_answers_is_not_unready_because_it_is_not_seen_for_a_moment() {
    let mut silo = Object::built("silo").await;
    silo.aws(|aws| aws.blind.index = Some(fault(Class::NotYet)));
    silo.generation = 2;
    silo.pass().await;
    let reconciling = silo.status.condition(ConditionType::Reconciling).unwrap();
    assert_eq!((silo.is_ready(), reconciling.reason.as_str()), (true, "NotYet"));
}

/// A look at the index that fails is told, or not, as if nothing else differed: the bucket hides no index.
#[tokio::test]
async fn an_index_that_is_not_seen_for_a_moment_is_not_unready_because_another_layer_differs() {
    for class in [Class::Throttled, Class::Transient, Class::Unnamed, Class::NotYet] {
        let mut silo = Object::built("silo").await;
        silo.aws(|aws| {
            ours(&mut aws.observed.bucket).lifecycle.clear();
            aws.blind.index = Some(fault(class));
        });
        silo.generation = 2;
        for _ in 0..3 {
            silo.pass().await;
            assert!(silo.is_ready(), "{class:?}: {:?}", silo.status.conditions);
            assert!(silo.status.is_true(ConditionType::IndexReady), "{class:?}");
        }
        assert_eq!(silo.ensured(), [Bucket], "{class:?}: the rest goes on");
        silo.aws(|aws| aws.blind.index = None);
        assert_eq!(silo.until_ready().await, Vec::<Vec<Layer>>::new());
    }
}

/// What differs may never be put right: nobody may, or it is refused for good.
#[tokio::test]
async fn why_the_index_cannot_be_seen_is_not_kept_back_because_another_layer_differs() {
    for read_only in [false, true] {
        for (class, reason) in [
            (Class::Denied, Reason::Denied),
            (Class::NotYet, Reason::DeadlineExceeded),
            (Class::Unnamed, Reason::DeadlineExceeded),
            (Class::Transient, Reason::Transient),
        ] {
            let mut silo = Object::built("silo").await;
            silo.read_only = read_only;
            silo.aws(|aws| {
                ours(&mut aws.observed.bucket).lifecycle.clear();
                aws.refuses.bucket = Some(fault(Class::Transient));
                aws.blind.index = Some(fault(class));
            });
            silo.generation = 2;
            silo.pass().await;
            silo.clock = later();
            silo.pass().await;
            let passes = class == Class::Transient;
            let kind = if passes { ConditionType::Reconciling } else { ConditionType::Stalled };
            let told = silo.status.condition(kind).unwrap();
            let said = (told.status.as_str(), told.reason.as_str());
            assert_eq!(said, ("True", reason.as_str()), "{class:?}, {read_only}: {told:?}");
            assert_eq!(silo.is_ready(), passes, "{class:?}");
        }
    }
}

/// That it cannot be put right at once does not make it answer.
#[tokio::test]
async fn what_may_not_answer_is_not_ready_because_the_call_that_repairs_it_fails() {
    let classes = [Class::NotYet, Class::Throttled, Class::Transient, Class::Conflict, Class::Unnamed];
    for (what, differ, _) in DIFFERS.iter().filter(|(.., answers)| !answers) {
        for class in classes {
            let mut silo = Object::built("silo").await;
            silo.aws(|aws| {
                differ(&mut aws.observed);
                aws.refuses = PerLayer::from_fn(|_| Some(fault(class)));
            });
            silo.generation = 2;
            for _ in 0..3 {
                silo.pass().await;
                let conditions = &silo.status.conditions;
                assert!(!silo.is_ready(), "{what}, {class:?}: {conditions:?}");
                assert!(silo.status.is_true(ConditionType::Reconciling), "{what}, {class:?}: {conditions:?}");
            }
            silo.aws(|aws| aws.refuses = PerLayer::default());
            if *what != "the knowledge base's state" {
                silo.until_ready().await;
            }
        }
    }
}

/// Whoever waits for the end of a change does not take a failure for it, and the failure is still nobody's news.
#[tokio::test]
async fn a_change_is_not_done_because_the_call_that_makes_it_fails() {
    for (what, differ, _) in DIFFERS.iter().filter(|(.., answers)| *answers) {
        let mut silo = Object::built("silo").await;
        silo.aws(|aws| {
            differ(&mut aws.observed);
            aws.refuses = PerLayer::from_fn(|_| Some(fault(Class::Transient)));
        });
        silo.generation = 2;
        for (clock, reason) in [(Clock::new(1), Reason::Updating), (later(), Reason::Transient)] {
            silo.clock = clock;
            for _ in 0..3 {
                silo.pass().await;
                let reconciling = silo.status.condition(ConditionType::Reconciling).unwrap();
                let said = (reconciling.status.as_str(), reconciling.reason.as_str());
                assert_eq!((silo.is_ready(), said), (true, ("True", reason.as_str())), "{what}");
            }
        }
    }
}

/// AWS has accepted it, and works: nobody needs to act. What then takes too long itself is for a person.
#[tokio::test]
async fn what_aws_has_begun_at_last_is_not_stalled_for_having_begun_late() {
    let mut silo = Object::named("silo");
    let hours_ago = |silo: &mut Object| {
        silo.memory.waiting_since.vector_store = Instant::now().checked_sub(Duration::from_secs(7200));
        silo.memory.attention.age(Duration::from_secs(7200));
        let earlier = jiff::SignedDuration::from_secs(7200);
        silo.status.conditions.iter_mut().for_each(|it| it.last_transition_time.0 -= earlier);
    };
    let stalls = |silo: &Object, reason: Reason| {
        let stalled = silo.status.condition(ConditionType::Stalled).unwrap();
        assert_eq!(stalled.reason, reason.as_str(), "{stalled:?}");
        assert_eq!(stalled.status == "True", reason.severity() == Severity::Stalled);
    };
    silo.aws(|aws| aws.refuses.vector_store = Some(fault(Class::NotYet)));
    silo.pass().await;
    hours_ago(&mut silo);
    silo.pass().await;
    stalls(&silo, Reason::DeadlineExceeded);
    silo.aws(|aws| (aws.refuses.vector_store, aws.slow.vector_store) = (None, true));
    for _ in 0..3 {
        silo.pass().await;
        stalls(&silo, Reason::Creating);
    }
    hours_ago(&mut silo);
    for _ in 0..3 {
        silo.pass().await;
        stalls(&silo, Reason::DeadlineExceeded);
    }
    // What AWS said that it makes is not asked for again before it had time to show.
    hours_ago(&mut silo);
    silo.aws(|aws| aws.slow.vector_store = false);
    silo.until_ready().await;
}

/// A change, or a look, that AWS refuses for longer than that may take, is told once, and until it is over.
#[tokio::test]
async fn what_is_late_does_not_stall_and_go_on_by_turns() {
    for (class, is_look) in [(Class::NotYet, true), (Class::Unnamed, true), (Class::Unnamed, false)] {
        let mut silo = Object::built("silo").await;
        silo.aws(|aws| {
            let fails = if is_look { &mut aws.blind } else { &mut aws.refuses };
            fails.index = Some(fault(class));
            forget_a_field(&mut aws.observed);
        });
        silo.generation = 2;
        silo.pass().await;
        assert!(silo.is_ready(), "{class:?}: {:?}", silo.status.conditions);
        silo.clock = later();
        for _ in 0..3 {
            silo.pass().await;
            let stalled = silo.status.condition(ConditionType::Stalled).unwrap();
            let said = (stalled.status.as_str(), stalled.reason.as_str());
            assert_eq!(said, ("True", "DeadlineExceeded"), "{class:?}: {stalled:?}");
        }
        // Whoever says that the cause is gone gives it all its time anew.
        silo.clock = Clock::new(1);
        silo.memory.retry(Some("now"));
        silo.pass().await;
        assert_eq!(silo.memory.late.index, None, "{class:?}");
        silo.aws(|aws| (aws.refuses.index, aws.blind.index) = (None, None));
        silo.until_ready().await;
    }
}

/// Who has said that the cause is gone is not told at once that the time is over.
#[tokio::test]
async fn a_deadline_that_is_over_begins_anew_when_somebody_has_mended_the_cause() {
    let mut silo = Object::named("silo");
    silo.aws(|aws| aws.slow.vector_store = true);
    silo.pass().await;
    silo.clock = later();
    let earlier = jiff::SignedDuration::from_secs(2);
    silo.status.conditions.iter_mut().for_each(|it| it.last_transition_time.0 -= earlier);
    silo.pass().await;
    assert!(silo.status.is_true(ConditionType::Stalled));
    silo.clock = Clock::new(1);
    silo.memory.retry(Some("now"));
    silo.pass().await;
    assert!(!silo.status.is_true(ConditionType::Stalled), "{:?}", silo.status.conditions);
}

/// What fails is put right later, and told then.
#[tokio::test]
async fn what_somebody_else_has_changed_is_told_although_it_could_not_be_put_right_at_once() {
    let mut silo = Object::built("silo").await;
    silo.aws(|aws| {
        aws.refuses.bucket = Some(fault(Class::Transient));
        ours(&mut aws.observed.bucket).policy = None;
    });
    silo.memory.looked_at_all = None;
    assert_eq!(silo.pass().await.news.drift, [] as [&str; 0], "it is not put right");
    silo.aws(|aws| aws.refuses.bucket = None);
    let drift = silo.pass().await.news.drift;
    assert_eq!(drift.len(), 1, "{drift:?}");
    assert_eq!(silo.pass().await.news.drift, [] as [&str; 0], "once");
}

/// Somebody's remediation may fight us for ever, and nobody would see it.
#[tokio::test]
async fn what_somebody_else_has_changed_is_not_put_right_without_a_word() {
    let stray = json!({"Sid": "SecurityTeam", "Effect": "Deny", "Principal": "*", "Action": "s3:PutObject"});
    let changes = |silo: &mut Object, layer: Layer| {
        silo.aws(|aws| match layer {
            Bucket => {
                let facts = ours(&mut aws.observed.bucket);
                let statements = facts.policy.as_mut().unwrap()["Statement"].as_array_mut().unwrap();
                statements.push(stray.clone());
                facts.lifecycle.clear();
            }
            VectorStore => found_collection(&mut aws.observed).network = None,
            Role => ours(&mut aws.observed.role).data_access = None,
            _ => drop(ours(&mut aws.observed.knowledge_base).tags.remove("costCenter")),
        });
    };
    for (layer, told) in [
        (Bucket, "its policy (with SecurityTeam), its lifecycle rules"),
        (VectorStore, "its network policy"),
        (Role, "the data access policy of its index"),
        (KnowledgeBase, "its tags"),
    ] {
        let mut silo = Object::built("silo").await;
        assert_eq!(silo.pass().await.news.drift, [] as [&str; 0], "nothing has changed");
        changes(&mut silo, layer);
        silo.clock = later();
        let drift = silo.pass().await.news.drift;
        assert_eq!(drift.len(), 1, "{layer:?}: {drift:?}");
        assert!(drift[0].starts_with(layer.words()) && drift[0].ends_with(told), "{drift:?}");
        assert_eq!(silo.pass().await.news.drift, [] as [&str; 0], "once each time");

        // With another spec it may be our own change.
        let mut silo = Object::built("silo").await;
        changes(&mut silo, layer);
        silo.generation = 2;
        assert_eq!(silo.pass().await.news.drift, [] as [&str; 0]);
    }
}

#[tokio::test]
async fn what_is_denied_is_told_and_left_alone_while_the_rest_goes_on() {
    let mut silo = Object::named("silo");
    silo.aws(|aws| aws.refuses.bucket = Some(fault(Class::Denied)));
    let passed = silo.pass().await;
    assert!(matches!(status_of(&passed, Bucket), Stalled(Reason::Denied, _)), "{:?}", passed.layers);
    assert!(passed.fault.is_none(), "no backoff: a person must act");
    for _ in 0..3 {
        let passed = silo.pass().await;
        assert!(matches!(status_of(&passed, Bucket), Stalled(Reason::Denied, _)), "it is still told");
        assert_eq!(passed.look_again.map(|again| again <= STALLED), Some(true));
    }
    let calls = silo.calls();
    assert_eq!(calls.iter().filter(|call| *call == "ensure Bucket").count(), 1, "{calls:?}");
    assert!(calls.contains(&"ensure Index".to_string()), "{calls:?}");
    assert!(!calls.contains(&"ensure KnowledgeBase".to_string()), "it builds on the bucket");
    silo.clock = later();
    silo.pass().await;
    assert!(silo.ensured().contains(&Bucket), "after five minutes it is tried again");
    silo.clock = Clock::new(1);
    silo.aws(|aws| aws.refuses.bucket = None);
    silo.generation = 2;
    silo.until_ready().await;
}

#[tokio::test]
async fn each_class_of_refusal_has_its_reason() {
    for (class, reason) in [
        (Class::Denied, Reason::Denied),
        (Class::Quota, Reason::Quota),
        (Class::Unreachable, Reason::EndpointUnreachable),
        (Class::Invalid, Reason::Invalid),
    ] {
        let mut silo = Object::named("silo");
        silo.aws(|aws| aws.refuses.vector_store = Some(fault(class)));
        let passed = silo.pass().await;
        let Stalled(told, message) = status_of(&passed, VectorStore) else { panic!("{:?}", passed.layers) };
        assert_eq!(*told, reason);
        assert!(message.contains("AWS says no"), "{message}");
        assert!(silo.memory.refused.vector_store.is_some(), "{class:?} is not tried at each pass");
    }
}

#[tokio::test]
async fn a_passing_failure_is_nobodys_news_for_two_minutes() {
    for (class, reason) in [(Class::Throttled, Reason::Throttled), (Class::Transient, Reason::Transient)] {
        let mut silo = Object::built("silo").await;
        silo.aws(|aws| {
            aws.refuses.bucket = Some(fault(class));
            ours(&mut aws.observed.bucket).policy = None;
        });
        silo.generation = 2;
        let passed = silo.pass().await;
        assert!(matches!(status_of(&passed, Bucket), Serving(Reason::Updating, _)), "{:?}", passed.layers);
        assert_eq!(passed.fault.map(|fault| fault.class), Some(class), "backoff decides");
        assert_eq!(passed.outcome.transient(), None);
        assert!(silo.memory.refused.bucket.is_none() && silo.is_ready(), "what stood still stands");
        silo.clock = later();
        let passed = silo.pass().await;
        assert_eq!(passed.outcome.transient().map(|(reason, _)| *reason), Some(reason));
        silo.aws(|aws| aws.refuses.bucket = None);
        silo.clock = Clock::new(1);
        silo.pass().await;
        assert_eq!(silo.memory.failing_since, None, "the next failure has its own two minutes");
    }
}

/// Whether it is a look or a change that fails, and whether or not anybody knows the code.
#[tokio::test]
async fn what_fails_while_a_stack_is_built_is_told_with_its_cause_and_later_needs_a_person() {
    for (class, reason) in [
        (Class::Throttled, Reason::Throttled),
        (Class::Transient, Reason::Transient),
        (Class::Unnamed, Reason::Transient),
    ] {
        for is_look in [false, true] {
            let mut silo = Object::named("silo");
            silo.aws(|aws| {
                let fails = if is_look { &mut aws.blind } else { &mut aws.refuses };
                fails.bucket = Some(fault(class));
            });
            let passed = silo.pass().await;
            assert_eq!(*status_of(&passed, Bucket), Unchanged, "nobody's news yet");
            silo.clock = later();
            let passed = silo.pass().await;
            let Waiting(told, message) = status_of(&passed, Bucket) else { panic!("{:?}", passed.layers) };
            assert!(*told == reason && message.contains("AWS says no"), "{message}");
            assert!(passed.fault.is_some(), "backoff decides");
            let ready = silo.status.condition(ConditionType::Ready).unwrap();
            assert_eq!(
                (ready.reason.as_str(), ready.message.contains("AWS says no")),
                (reason.as_str(), true)
            );
            let earlier = jiff::SignedDuration::from_secs(2);
            silo.status.conditions.iter_mut().for_each(|it| it.last_transition_time.0 -= earlier);
            let passed = silo.pass().await;
            let Stalled(told, message) = status_of(&passed, Bucket) else { panic!("{:?}", passed.layers) };
            assert!(*told == Reason::DeadlineExceeded && message.contains("AWS says no"), "{message}");
            assert!(silo.status.is_true(ConditionType::Stalled));
            silo.aws(|aws| (aws.refuses.bucket, aws.blind.bucket) = (None, None));
            silo.clock = Clock::new(1);
            silo.until_ready().await;
            assert_eq!(silo.memory.failing_since, None);
        }
    }
}

/// AWS may be away for an hour, and what stands stands. What nobody can explain is for a person to look at.
#[tokio::test]
async fn what_was_ready_stalls_for_what_nobody_knows_and_for_nothing_else_that_passes() {
    for (class, stalls) in [(Class::Throttled, false), (Class::Transient, false), (Class::Unnamed, true)] {
        let mut silo = Object::built("silo").await;
        silo.aws(|aws| aws.blind.role = Some(fault(class)));
        silo.generation = 2;
        silo.pass().await;
        assert!(silo.is_ready() && !silo.status.is_true(ConditionType::Reconciling));
        silo.clock = later();
        silo.pass().await;
        let stalled = silo.status.is_true(ConditionType::Stalled);
        assert_eq!((silo.is_ready(), stalled), (!stalls, stalls), "{:?}", silo.status.conditions);
        assert_eq!(silo.status.is_true(ConditionType::Reconciling), !stalls, "it is told either way");
        silo.aws(|aws| aws.blind.role = None);
        silo.pass().await;
        assert!(silo.is_ready() && !silo.status.is_true(ConditionType::Reconciling));
    }
}

#[tokio::test]
async fn whoever_has_mended_the_cause_need_not_wait_for_the_next_try() {
    let mut silo = Object::named("silo");
    silo.aws(|aws| aws.refuses.bucket = Some(fault(Class::Denied)));
    silo.pass().await;
    silo.aws(|aws| aws.refuses.bucket = None);
    silo.calls();
    silo.pass().await;
    assert!(!silo.ensured().contains(&Bucket), "it was refused a moment ago");
    silo.memory.retry(Some("now"));
    silo.pass().await;
    let calls = silo.calls();
    assert!(calls.contains(&"ensure Bucket".to_string()), "{calls:?}");
    silo.memory.retry(Some("now"));
    assert!(silo.memory.looked_at_all.is_some(), "what was asked for once is not asked for again");
    silo.until_ready().await;
}

#[tokio::test]
async fn what_does_not_come_in_time_needs_a_person() {
    let mut silo = Object::named("silo");
    silo.aws(|aws| aws.slow.vector_store = true);
    let passed = silo.pass().await;
    assert!(matches!(status_of(&passed, VectorStore), Waiting(Reason::Creating, _)));
    silo.clock = later();
    // Stamps are whole seconds: without one gone by, no time has.
    silo.status
        .conditions
        .iter_mut()
        .for_each(|it| it.last_transition_time.0 -= jiff::SignedDuration::from_secs(2));
    let passed = silo.pass().await;
    let Stalled(Reason::DeadlineExceeded, message) = status_of(&passed, VectorStore) else {
        panic!("{:?}", passed.layers)
    };
    assert!(message.starts_with("Not ready after 30 minutes. The vector store is slow"), "{message}");
}

#[tokio::test]
async fn without_knowing_what_is_there_nothing_is_done_anywhere() {
    for (class, told) in [(Class::Denied, true), (Class::Transient, false)] {
        let mut silo = Object::named("silo");
        silo.aws(|aws| aws.blind.bucket = Some(fault(class)));
        let passed = silo.pass().await;
        assert_eq!(silo.ensured(), []);
        assert_eq!(matches!(status_of(&passed, Bucket), Stalled(Reason::Denied, _)), told);
        assert_eq!(passed.fault.is_some(), !told);
        assert_eq!(*status_of(&passed, VectorStore), Unchanged);
        assert_eq!(silo.memory.looked_at_all, None, "the next pass looks at all layers");
        assert_eq!(passed.look_again, Some(STALLED));
        silo.aws(|aws| aws.blind.bucket = None);
        silo.until_ready().await;
    }
}

#[tokio::test]
async fn what_is_not_ours_stops_the_whole_stack() {
    let mut silo = Object::named("silo");
    silo.aws(|aws| aws.observed.bucket = Observed::Foreign(foreign()));
    let passed = silo.pass().await;
    let blocked = blocked(&passed);
    assert_eq!((blocked, passed.look_again), (Some(Reason::OwnedByAnother), Some(STALLED)));
    assert_eq!(silo.ensured(), []);
    silo.pass().await;
    assert_eq!(silo.layers_of("look").len(), 6, "it is looked at anew, or nobody would see it gone");
    silo.aws(|aws| aws.observed.bucket = Observed::Absent);
    silo.until_ready().await;
}

#[tokio::test]
async fn what_hides_the_index_may_be_just_what_is_put_right() {
    let mut silo = Object::built("silo").await;
    silo.aws(|aws| {
        aws.no_way_to_index = Some(fault(Class::Unreachable));
        found_collection(&mut aws.observed).network = None;
    });
    silo.generation = 2;
    let passed = silo.pass().await;
    assert_eq!(silo.ensured(), [VectorStore], "the index is not made a second time");
    assert!(
        matches!(status_of(&passed, Index), Stalled(Reason::EndpointUnreachable, _)),
        "{:?}",
        passed.layers
    );
    silo.aws(|aws| aws.no_way_to_index = None);
    assert_eq!(silo.until_ready().await, Vec::<Vec<Layer>>::new());
}

#[tokio::test]
async fn an_update_of_the_index_that_changed_nothing_is_not_repeated() {
    let mut silo = Object::built("silo").await;
    silo.aws(|aws| {
        aws.index_shows_no_change = true;
        let properties = &mut ours(&mut aws.observed.index).schema["mappings"]["properties"];
        drop(properties.as_object_mut().unwrap().remove("year"));
    });
    for generation in 2..4 {
        silo.generation = generation;
        let expected = if generation == 2 { vec![vec![Index]] } else { Vec::new() };
        assert_eq!(silo.until_ready().await, expected, "generation {generation}");
    }
    // What AWS refuses for now it has not taken.
    let mut silo = Object::built("silo").await;
    silo.aws(|aws| {
        aws.refuses.index = Some(fault(Class::NotYet));
        let properties = &mut ours(&mut aws.observed.index).schema["mappings"]["properties"];
        drop(properties.as_object_mut().unwrap().remove("year"));
    });
    silo.generation = 2;
    silo.pass().await;
    silo.pass().await;
    assert_eq!(silo.ensured(), [Index, Index]);
}

#[tokio::test]
async fn an_index_that_cannot_be_looked_at_waits_for_what_is_being_put_right() {
    let mut silo = Object::built("silo").await;
    silo.aws(|aws| {
        aws.blind.index = Some(fault(Class::Denied));
        ours(&mut aws.observed.role).data_access = None;
    });
    silo.generation = 2;
    let passed = silo.pass().await;
    assert_eq!((silo.ensured(), status_of(&passed, Index)), (vec![Role], &WaitingFor(Role)));
    let passed = silo.pass().await;
    assert_eq!(silo.ensured(), [], "with nothing to put right it is told");
    assert!(matches!(status_of(&passed, Index), Stalled(Reason::Denied, _)), "{:?}", passed.layers);
    silo.aws(|aws| aws.blind.index = None);
    silo.until_ready().await;
}

#[tokio::test]
async fn vectors_of_a_knowledge_base_that_is_gone_go_before_a_new_one_comes() {
    let mut silo = Object::built("silo").await;
    silo.aws(|aws| aws.observed.knowledge_base = Observed::Absent);
    silo.generation = 2;
    // The index goes, and comes; the trust names the one that is gone until then.
    let expected: [&[Layer]; 5] = [&[Index], &[Role], &[Index], &[KnowledgeBase], &[KnowledgeBase]];
    assert_eq!(silo.until_ready().await, expected);
}

#[tokio::test]
async fn an_index_that_is_lost_takes_its_data_source_along() {
    let mut silo = Object::built("silo").await;
    silo.aws(|aws| aws.observed.index = Observed::Absent);
    silo.generation = 2;
    let passed = silo.pass().await;
    assert_eq!(silo.ensured(), [KnowledgeBase], "first the data source goes");
    assert_eq!(*status_of(&passed, Index), WaitingFor(KnowledgeBase));
    let expected: [&[Layer]; 2] = [&[Index], &[KnowledgeBase]];
    assert_eq!(silo.until_ready().await, expected);
}

#[tokio::test]
async fn a_knowledge_base_that_no_list_shows_is_found_by_the_id_that_its_role_trusts() {
    let mut silo = Object::built("silo").await;
    silo.aws(|aws| aws.lists_lag = true);
    // A restart, before its id was in the status.
    (silo.memory, silo.status) = (Memory::default(), Status::default());
    silo.pass().await;
    assert_eq!(silo.ensured(), []);
    assert!(silo.is_ready() && silo.status.knowledge_base_id.is_some());
}

#[tokio::test]
async fn what_is_lost_with_data_in_it_is_made_anew_only_if_a_person_says_so() {
    for (layer, leaning) in [(Bucket, vec![KnowledgeBase]), (VectorStore, vec![Index, KnowledgeBase])] {
        let mut silo = Object::built("silo").await;
        silo.aws(|aws| match layer {
            Bucket => aws.observed.bucket = Observed::Absent,
            _ => aws.observed.vector_store = Observed::Absent,
        });
        silo.generation = 2;
        let untouched = |silo: &Object, why: &str| {
            let ensured = silo.ensured();
            let touched = ensured.iter().find(|it| **it == layer || leaning.contains(it));
            assert_eq!(touched, None, "{layer:?}, {why}");
        };
        let passed = silo.pass().await;
        let message = lost(&passed, layer);
        assert!(message.ends_with("Checking once more"), "{message}");
        assert!(passed.look_again <= Some(Duration::from_secs(5)), "one answer may be wrong");
        untouched(&silo, "seen once");
        let message = lost(&silo.pass().await, layer);
        let code =
            message.split("tenantry.dev/approve=").nth(1).unwrap().split(':').next().unwrap().to_owned();
        untouched(&silo, "seen twice");
        silo.approved = Some("DataLost-000000".into());
        assert_eq!(silo.pass().await.news.approved_loss, []);
        untouched(&silo, "another's code");
        silo.approved = Some(code);
        let passed = silo.pass().await;
        assert_eq!(passed.news.approved_loss, [layer]);
        assert!(silo.ensured().contains(&layer));
        silo.until_ready().await;
    }
}

#[tokio::test]
async fn a_store_that_an_earlier_release_made_is_lost_and_not_made_anew() {
    let mut silo = Object::built("silo").await;
    (silo.status.collection_arn, silo.status.vector_store) = (silo.status.store_arn.take(), None);
    (silo.memory, silo.generation) = (Memory::default(), 2);
    silo.aws(|aws| aws.observed.vector_store = Observed::Absent);
    for _ in 0..2 {
        lost(&silo.pass().await, VectorStore);
        assert!(!silo.ensured().contains(&VectorStore));
    }
}

/// What is said of a layer that is lost.
fn lost(passed: &Passed, layer: Layer) -> String {
    match status_of(passed, layer) {
        // At first it is only looked for once more.
        Stalled(Reason::DataLost, message) | Waiting(Reason::DataLost, message) => {
            assert_eq!(
                message.contains("approve="),
                matches!(status_of(passed, layer), Stalled(..)),
                "{message}"
            );
            message.clone()
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn what_was_not_lost_after_all_goes_on_by_itself() {
    let mut silo = Object::built("silo").await;
    let bucket = silo.aws.0.lock().observed.bucket.clone();
    silo.aws(|aws| aws.observed.bucket = Observed::Absent);
    silo.generation = 2;
    silo.pass().await;
    silo.aws(|aws| aws.observed.bucket = bucket);
    assert_eq!(silo.until_ready().await, Vec::<Vec<Layer>>::new());
}

#[tokio::test]
async fn under_a_key_that_somebody_has_switched_off_nothing_is_changed() {
    let spec = json!({"tenantId": "acme", "pattern": "Silo",
        "encryption": {"key": "Existing", "kmsKeyArn": "arn:aws:kms:eu-central-1:123456789012:key/theirs"}});
    let mut silo = Object::new(ideal::tenant("silo under somebody's key", spec));
    silo.aws(|aws| {
        let blocked = Blocked { reason: Reason::KeyNotAllowed, message: "it is Disabled".into() };
        aws.existing_key = Some(Unusable::Blocked(blocked));
    });
    let passed = silo.pass().await;
    assert_eq!(blocked(&passed), Some(Reason::KeyNotAllowed));
    assert_eq!((silo.calls(), passed.look_again), (vec!["look at the key".to_string()], Some(STALLED)));
    silo.aws(|aws| aws.existing_key = Some(Unusable::Unknown(fault(Class::Transient))));
    let passed = silo.pass().await;
    assert_eq!(passed.fault.map(|fault| fault.class), Some(Class::Transient));
    assert_eq!(silo.ensured(), []);
    silo.aws(|aws| aws.existing_key = None);
    silo.until_ready().await;
}

#[tokio::test]
async fn who_only_reads_says_what_it_would_do() {
    let mut silo = Object::named("silo");
    silo.read_only = true;
    let passed = silo.pass().await;
    assert_eq!(silo.ensured(), []);
    assert!(
        matches!(status_of(&passed, Bucket), Waiting(Reason::ReadOnly, message) if message.contains("the bucket"))
    );
    assert_eq!(*status_of(&passed, Index), WaitingFor(VectorStore));
    silo.aws(|aws| aws.observed = silo.sample.built());
    silo.memory = Memory::default();
    assert_eq!(*status_of(&silo.pass().await, Bucket), Ready);
}

/// What it leaves as it is goes on answering, however long.
#[tokio::test]
async fn who_only_reads_takes_nobodys_ready_away() {
    for (what, differ, answers) in DIFFERS {
        let mut silo = Object::built("silo").await;
        silo.read_only = true;
        silo.aws(|aws| differ(&mut aws.observed));
        silo.generation = 2;
        for clock in [Clock::new(1), later(), later()] {
            silo.clock = clock;
            silo.pass().await;
            let reconciling = silo.status.condition(ConditionType::Reconciling).unwrap();
            let said = (reconciling.status.as_str(), reconciling.reason.as_str());
            assert_eq!((silo.is_ready(), said), (*answers, ("True", "ReadOnly")), "{what}");
        }
        assert_eq!(silo.ensured(), [], "{what}");
    }
}

#[tokio::test]
async fn what_an_earlier_object_left_is_taken_over_or_refused_with_both_values() {
    let earlier = Object::named("silo").sample.built();
    let mut silo = Object::named("silo");
    silo.aws(|aws| aws.observed = earlier.clone());
    silo.sample.id.uid = "another".into();
    let passed = silo.pass().await;
    assert!(blocked(&passed).is_some() && !passed.news.adopts, "nobody said that it may");
    silo.sample.id.adopts = Adopts::Left { approved: None };
    let passed = silo.pass().await;
    assert!(passed.news.adopts && blocked(&passed).is_none());
    assert_eq!(silo.ensured(), [Bucket, VectorStore, Role], "each in its turn");
    silo.until_ready().await;
    assert!(!silo.pass().await.news.adopts, "it is taken over once");

    let spec = json!({"tenantId": "acme", "pattern": "Silo", "index": {"hnsw": {"m": 32}}});
    let mut other = Object::new(ideal::tenant("other settings", spec));
    other.aws(|aws| aws.observed = earlier);
    other.sample.id.uid = "another".into();
    other.sample.id.adopts = Adopts::Left { approved: None };
    let Outcome::Blocked { why, .. } = other.pass().await.outcome else { panic!("it is taken over") };
    assert_eq!(why.reason, Reason::RetainedDiffers);
    assert!(why.message.contains("index.hnsw.m is 16 and should be 32"), "{}", why.message);
    assert_eq!(other.ensured(), []);
}

/// Its store would stay behind, with nobody to look after it, and cost money.
#[tokio::test]
async fn what_was_left_in_another_store_is_found_and_not_taken_over() {
    let stack = |spec| Object::new(ideal::stack("a stack", spec));
    let s3_vectors = json!({"vectorStore": "S3Vectors"});
    for (left, comes) in [(json!({}), s3_vectors.clone()), (s3_vectors.clone(), json!({}))] {
        let earlier = stack(left).sample.built();
        let mut other = stack(comes.clone());
        other.sample.id.uid = "another".into();
        other.sample.id.adopts = Adopts::Left { approved: None };
        other.aws(|aws| aws.observed = earlier.clone());
        let Outcome::Blocked { why, .. } = other.pass().await.outcome else { panic!("it is taken over") };
        assert_eq!(why.reason, Reason::RetainedDiffers);
        assert!(why.message.contains("vectorStore is "), "{}", why.message);
        assert_eq!(other.ensured(), []);

        // Where only documents were left, any store may hold what is made of them.
        other.aws(|aws| aws.observed.vector_store = Observed::Absent);
        other.pass().await;
        assert!(other.ensured().contains(&VectorStore), "{comes}");
        other.until_ready().await;
    }
    let mut new = stack(s3_vectors);
    new.sample.id.adopts = Adopts::Left { approved: None };
    new.pass().await;
    let looks = new.layers_of("look").into_iter().filter(|layer| *layer == VectorStore).count();
    assert_eq!(looks, 1, "whoever finds nothing of an earlier one asks for no other store");
}

#[tokio::test]
async fn trust_that_is_narrowed_while_the_knowledge_base_is_made_is_looked_at_again() {
    let mut silo = Object::built("silo").await;
    silo.aws(|aws| {
        ours(&mut aws.observed.knowledge_base).data_source = None;
        let role = ours(&mut aws.observed.role).role.as_mut().unwrap();
        role.trust = policy::trust(&ideal::scope(), None);
    });
    silo.generation = 2;
    silo.pass().await;
    silo.calls();
    silo.pass().await;
    assert!(silo.layers_of("look").contains(&Role));
    assert!(silo.is_ready());
}

fn no_room() -> Option<Blocked> {
    Some(Blocked { reason: Reason::QuotaReserved, message: "90 of 90".into() })
}

#[tokio::test]
async fn without_room_for_its_knowledge_base_the_rest_is_built_and_that_is_not() {
    let mut bridge = Object::named("bridge");
    bridge.no_room = no_room();
    for _ in 0..5 {
        bridge.pass().await;
    }
    let ensured = bridge.ensured();
    assert!(ensured.contains(&Index) && !ensured.contains(&KnowledgeBase), "{ensured:?}");
    let passed = bridge.pass().await;
    assert_eq!(*status_of(&passed, KnowledgeBase), Stalled(Reason::QuotaReserved, "90 of 90".into()));
    assert!(passed.look_again.is_some(), "nobody would ask again");
    let is_true = |kind| bridge.status.is_true(kind);
    assert!(is_true(ConditionType::Accepted) && is_true(ConditionType::Stalled));
    bridge.no_room = None;
    bridge.until_ready().await;
}

#[tokio::test]
async fn a_knowledge_base_that_is_there_is_looked_after_whatever_room_there_is() {
    let mut bridge = Object::built("bridge").await;
    bridge.no_room = no_room();
    bridge.generation = 2;
    bridge.aws(|aws| drop(ours(&mut aws.observed.knowledge_base).tags.remove("costCenter")));
    assert_eq!(bridge.until_ready().await, [[KnowledgeBase]]);
}

#[tokio::test]
async fn what_aws_said_of_a_knowledge_base_is_told_before_that_there_is_no_room() {
    let mut bridge = Object::named("bridge");
    bridge.aws(|aws| aws.refuses.knowledge_base = Some(fault(Class::Invalid)));
    for _ in 0..5 {
        bridge.pass().await;
    }
    bridge.no_room = no_room();
    let passed = bridge.pass().await;
    assert!(matches!(status_of(&passed, KnowledgeBase), Stalled(Reason::Invalid, _)), "{:?}", passed.layers);
}
