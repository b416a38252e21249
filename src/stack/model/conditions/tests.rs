use super::*;
use crate::api::{Layer, PerLayer, Placement, Status};
use crate::stack::model::blocked::Blocked;

fn at(second: i64) -> Time {
    Time(jiff::Timestamp::from_second(second).unwrap())
}

fn status(conditions: &[Condition], kind: ConditionType) -> (&str, &str) {
    let found = conditions.iter().find(|condition| condition.type_ == kind.as_str()).unwrap();
    (&found.status, &found.reason)
}

fn building() -> Report {
    let mut report = Report::default();
    report.layers.vector_store =
        Some(LayerStatus::Waiting(Reason::Creating, "Collection is CREATING".into()));
    report.layers.bucket = Some(LayerStatus::Ready);
    report.layers.index = Some(LayerStatus::WaitingFor(Layer::VectorStore));
    report
}

#[test]
fn what_resolves_itself_is_reconciling() {
    let conditions = building().conditions(&[], 3, &at(1));
    assert_eq!(conditions[0].type_, "Ready");
    assert_eq!(status(&conditions, ConditionType::Ready), ("False", "Creating"));
    assert_eq!(status(&conditions, ConditionType::Reconciling), ("True", "Creating"));
    assert_eq!(status(&conditions, ConditionType::Stalled), ("False", "Creating"));
    assert_eq!(status(&conditions, ConditionType::IndexReady), ("Unknown", "WaitingForVectorStore"));
    assert_eq!(status(&conditions, ConditionType::BucketReady), ("True", "Ready"));
    assert!(conditions.iter().all(|condition| condition.observed_generation == Some(3)));
}

#[test]
fn what_needs_a_person_is_stalled_with_the_same_reason() {
    let mut report = building();
    report.layers.role = Some(LayerStatus::Stalled(Reason::Denied, "iam:CreateRole".into()));
    let conditions = report.conditions(&[], 1, &at(1));
    assert_eq!(status(&conditions, ConditionType::Stalled), ("True", "Denied"));
    assert_eq!(status(&conditions, ConditionType::Reconciling), ("False", "Denied"));
    assert_eq!(status(&conditions, ConditionType::Ready), ("False", "Denied"));
    let refused = Report {
        outcome: Outcome::Refused(Blocked { reason: Reason::TenantIdTaken, message: "taken".into() }),
        ..Report::default()
    };
    let conditions = refused.conditions(&[], 1, &at(1));
    assert_eq!(status(&conditions, ConditionType::Accepted), ("False", "TenantIdTaken"));
    assert_eq!(status(&conditions, ConditionType::Stalled), ("True", "TenantIdTaken"));
}

#[test]
fn only_news_changes_a_condition() {
    let first = building().conditions(&[], 1, &at(1));
    let mut again = building();
    assert_eq!(again.conditions(&first, 1, &at(2)), first, "the same again is no news");
    again.layers.vector_store = Some(LayerStatus::Unchanged);
    let later = again.conditions(&first, 1, &at(2));
    assert_eq!(status(&later, ConditionType::VectorStoreReady), ("False", "Creating"));
    assert_eq!(status(&later, ConditionType::Ready), ("False", "Creating"), "a transient failure is no news");
    again.layers.vector_store = Some(LayerStatus::Ready);
    again.layers.index = Some(LayerStatus::Ready);
    let done = again.conditions(&first, 1, &at(3));
    assert_eq!(status(&done, ConditionType::Ready), ("True", "Ready"));
    assert_eq!(done[0].last_transition_time, at(3));
    let mut failing = again.clone();
    failing.layers.bucket = Some(LayerStatus::Unchanged);
    failing.outcome = Outcome::of_layers(Some((Reason::Transient, "AWS answers with 503".into())));
    let still = failing.conditions(&done, 1, &at(4));
    assert_eq!(status(&still, ConditionType::Ready), ("True", "Ready"), "what was whole still counts");
    assert_eq!(status(&still, ConditionType::Reconciling), ("True", "Transient"));
    let bucket = done.iter().find(|condition| condition.type_ == "BucketReady").unwrap();
    assert_eq!(bucket.last_transition_time, at(1));
}

#[test]
fn what_is_changed_while_it_answers_takes_nobodys_ready_away() {
    let whole = Report {
        layers: PerLayer {
            bucket: Some(LayerStatus::Ready),
            role: Some(LayerStatus::Ready),
            ..PerLayer::default()
        },
        ..Report::default()
    };
    let before = whole.conditions(&[], 1, &at(1));
    let mut changing = whole.clone();
    changing.layers.bucket = Some(LayerStatus::Serving(Reason::Updating, "it is changed".into()));
    let during = changing.conditions(&before, 2, &at(2));
    assert!(changing.ready(&before));
    assert_eq!(status(&during, ConditionType::Ready), ("True", "Ready"));
    assert_eq!(status(&during, ConditionType::Reconciling), ("True", "Updating"));
    assert_eq!(status(&during, ConditionType::Stalled), ("False", "Ready"));
    assert_eq!(status(&during, ConditionType::BucketReady), ("True", "Updating"));
    // A look that fails in between leaves it so.
    changing.layers = changing.layers.map(|_, it| it.map(|_| LayerStatus::Unchanged));
    let unseen = changing.conditions(&during, 2, &at(3));
    assert_eq!(unseen, during, "what was begun is not done");
    changing.layers.role = Some(LayerStatus::WaitingFor(Layer::Key));
    let ready = changing.conditions(&during, 2, &at(3));
    assert_eq!(status(&ready, ConditionType::Ready), ("False", "Updating"), "rather than a mere look");
    let after = whole.conditions(&unseen, 2, &at(4));
    assert_eq!(after[0].last_transition_time, at(1), "it was Ready all the time");
    assert_eq!(status(&after, ConditionType::Reconciling), ("False", "Ready"));
}

#[test]
fn trouble_with_the_registry_leaves_ready_alone() {
    let mut report = Report { registered: Some(LayerStatus::Unchanged), ..Report::default() };
    let first = report.conditions(&[], 1, &at(1));
    assert_eq!(status(&first, ConditionType::Registered), ("Unknown", "Progressing"));
    report.registered = Some(LayerStatus::Ready);
    let told = report.conditions(&first, 1, &at(2));
    assert_eq!(status(&told, ConditionType::Registered), ("True", "Registered"));
    let conflict = LayerStatus::Stalled(Reason::RegistryConflict, "not ours".into());
    report.registered = Some(conflict);
    let refused = report.conditions(&told, 1, &at(3));
    assert_eq!(status(&refused, ConditionType::Registered), ("False", "RegistryConflict"));
    assert_eq!(status(&refused, ConditionType::Ready), ("True", "Ready"));
    assert_eq!(status(&refused, ConditionType::Stalled), ("False", "Ready"));
    assert!(report.ready(&told));
    report.registered = Some(LayerStatus::Unchanged);
    assert_eq!(report.conditions(&refused, 1, &at(4)), refused, "its last word stands");
    report.registered = None;
    let without = report.conditions(&refused, 1, &at(5));
    assert!(
        !without.iter().any(|condition| condition.type_ == "Registered"),
        "without --registry it is gone"
    );
}

#[test]
fn ready_is_never_true_while_leaving() {
    let mut report = building();
    report.layers = PerLayer::default();
    report.outcome = Outcome::Leaving(Leaving {
        reason: Reason::Borrowed,
        message: "2 Tenants still borrow".into(),
        blocked: true,
        stalled: false,
    });
    let before = building().conditions(&[], 1, &at(1));
    let conditions = report.conditions(&before, 1, &at(2));
    assert_eq!(status(&conditions, ConditionType::Ready), ("False", "Borrowed"));
    assert_eq!(status(&conditions, ConditionType::DeletionBlocked), ("True", "Borrowed"));
    assert_eq!(
        status(&conditions, ConditionType::BucketReady),
        ("True", "Ready"),
        "layers keep their last word"
    );
}

fn waiting(reason: Reason, message: &str) -> LayerStatus {
    LayerStatus::Waiting(reason, message.into())
}

fn stalled(reason: Reason, message: &str) -> LayerStatus {
    LayerStatus::Stalled(reason, message.into())
}

fn said(kind: ConditionType, status: &str, reason: &str, message: &str) -> Condition {
    Condition {
        type_: kind.to_string(),
        status: status.into(),
        reason: reason.into(),
        message: message.into(),
        observed_generation: Some(1),
        last_transition_time: at(1),
    }
}

/// A condition's status, reason and message.
fn told(conditions: &[Condition], kind: ConditionType) -> Option<(&str, &str, &str)> {
    let found = conditions.iter().find(|condition| condition.type_ == kind.as_str())?;
    Some((&found.status, &found.reason, &found.message))
}

fn kinds(conditions: &[Condition]) -> Vec<&str> {
    conditions.iter().map(|condition| condition.type_.as_str()).collect()
}

#[test]
fn what_was_last_said_of_the_documents_is_read_back() {
    let conditions = |documents| Report { documents, ..Report::default() }.conditions(&[], 1, &at(1));
    for current in [Some(true), Some(false), None] {
        let said = Documents { current, reason: Reason::SyncFailed, message: "why".into() };
        assert_eq!(Documents::last(&conditions(Some(said.clone()))), Some(said));
    }
    assert_eq!(Documents::last(&conditions(None)), None);
}

#[test]
fn the_worst_is_told_first() {
    const PERSON: (&str, &str) = ("False", "True");
    const BY_ITSELF: (&str, &str) = ("True", "False");
    let blocked = |reason, message: &str| Blocked { reason, message: message.into() };
    let leaving =
        |stalled| Leaving { reason: Reason::Deleting, message: "leaving".into(), blocked: false, stalled };
    let layers = |transient: bool, reindexing: bool| Outcome::Layers {
        undecided: false,
        transient: transient.then(|| (Reason::Throttled, "slower".into())),
        reindexing: reindexing.then(|| (Reason::SyncRequested, "reindexing".into())),
    };
    let mut report = Report {
        layers: PerLayer {
            key: Some(waiting(Reason::Creating, "the key waits")),
            bucket: Some(stalled(Reason::Denied, "the bucket")),
            vector_store: Some(waiting(Reason::Updating, "the vector store waits")),
            index: Some(LayerStatus::WaitingFor(Layer::VectorStore)),
            role: Some(stalled(Reason::Quota, "the role")),
            knowledge_base: None,
        },
        borrowed: Some(stalled(Reason::StackNotFound, "no stack")),
        ..Report::default()
    };
    let check = |report: &Report, (reconciling, stalls): (&str, &str), reason: &str, why: &str| {
        let conditions = report.conditions(&[], 1, &at(1));
        let told = |kind| told(&conditions, kind).unwrap();
        assert_eq!(told(ConditionType::Ready), ("False", reason, why));
        assert_eq!(told(ConditionType::Reconciling), (reconciling, reason, why));
        assert_eq!(told(ConditionType::Stalled), (stalls, reason, why));
        assert!(!report.ready(&[]), "{why}");
    };
    for (outcome, who, reason, why) in [
        (Outcome::Leaving(leaving(false)), BY_ITSELF, "Deleting", "leaving"),
        (Outcome::Leaving(leaving(true)), PERSON, "Deleting", "leaving"),
        (Outcome::Refused(blocked(Reason::TenantIdTaken, "refused")), PERSON, "TenantIdTaken", "refused"),
        (Outcome::Withheld(blocked(Reason::RecordsLost, "lost")), PERSON, "RecordsLost", "lost"),
        (Outcome::blocked(blocked(Reason::OwnedByAnother, "blocked")), PERSON, "OwnedByAnother", "blocked"),
    ] {
        check(&Report { outcome, ..report.clone() }, who, reason, why);
    }
    report.outcome = layers(true, true);
    check(&report, PERSON, "Denied", "the bucket");
    report.layers.bucket = Some(LayerStatus::Ready);
    check(&report, PERSON, "Quota", "the role");
    report.layers.role = Some(LayerStatus::Ready);
    check(&report, PERSON, "StackNotFound", "no stack");
    report.borrowed = Some(waiting(Reason::StackNotReady, "not yet"));
    check(&report, BY_ITSELF, "Throttled", "slower");
    report.outcome = layers(false, true);
    check(&report, BY_ITSELF, "Creating", "the key waits");
    report.layers.key = Some(LayerStatus::Ready);
    check(&report, BY_ITSELF, "Updating", "the vector store waits");
    report.layers.vector_store = Some(LayerStatus::Ready);
    check(&report, BY_ITSELF, "StackNotReady", "not yet");
    report.borrowed = Some(LayerStatus::Ready);
    check(&report, BY_ITSELF, "SyncRequested", "reindexing");
    report.outcome = layers(false, false);
    // Nothing waits but for others, so that what was said before stands: here, nothing was.
    check(&report, BY_ITSELF, "Progressing", "Looking at what exists in AWS");
    report.layers.index = Some(LayerStatus::Ready);
    report.outcome = layers(true, false);
    let conditions = report.conditions(&[], 1, &at(1));
    let ready = ("True", "Ready", "The stack is ready to query");
    assert_eq!(told(&conditions, ConditionType::Ready), Some(ready));
    assert_eq!(told(&conditions, ConditionType::Reconciling), Some(("True", "Throttled", "slower")));
    let nobody = ("False", "Ready", "Nothing needs a person");
    assert_eq!(told(&conditions, ConditionType::Stalled), Some(nobody));
    report.outcome = layers(false, false);
    let conditions = report.conditions(&[], 1, &at(1));
    let nothing = ("False", "Ready", "Nothing is left to do");
    assert_eq!(told(&conditions, ConditionType::Reconciling), Some(nothing));
    assert!(report.ready(&[]));
}

#[test]
fn a_spec_is_accepted_refused_or_not_decided_yet() {
    let no = |reason| Blocked { reason, message: "no".into() };
    let decided = Outcome::default;
    let leaving =
        Leaving { reason: Reason::Deleting, message: String::new(), blocked: false, stalled: false };
    let is_open = ("Unknown", "Progressing", "Not decided yet");
    let accepted = ("True", "Accepted", "The spec is valid and is being applied");
    let table = [
        (Outcome::Refused(no(Reason::SpecInvalid)), ("False", "SpecInvalid", "no")),
        (Outcome::Withheld(no(Reason::WaitingForRecords)), ("Unknown", "WaitingForRecords", "no")),
        (decided().while_undecided(true), is_open),
        (decided(), accepted),
        (Outcome::blocked(no(Reason::OwnedByAnother)).while_undecided(true), is_open),
        (Outcome::blocked(no(Reason::OwnedByAnother)), accepted),
    ];
    let before = [said(ConditionType::Accepted, "True", "Accepted", "as before")];
    for (outcome, expected) in table {
        let conditions = Report { outcome, ..Report::default() }.conditions(&[], 1, &at(1));
        assert_eq!(told(&conditions, ConditionType::Accepted), Some(expected));
    }
    let leaves = Report { outcome: Outcome::Leaving(leaving), ..Report::default() };
    assert_eq!(told(&leaves.conditions(&[], 1, &at(1)), ConditionType::Accepted), None);
    let conditions = leaves.conditions(&before, 1, &at(1));
    let kept = ("True", "Accepted", "as before");
    assert_eq!(told(&conditions, ConditionType::Accepted), Some(kept), "its last word stands");
}

#[test]
fn each_layer_and_all_that_is_lent_is_told_as_it_stands() {
    let after = LayerStatus::WaitingFor(Layer::KnowledgeBase);
    let table = [
        (LayerStatus::Ready, "True", "Ready", "The {} matches the spec"),
        (waiting(Reason::Creating, "it comes"), "False", "Creating", "it comes"),
        (after.clone(), "Unknown", "WaitingForKnowledgeBase", "The {} waits for the knowledge base"),
        (stalled(Reason::Failed, "it failed"), "False", "Failed", "it failed"),
        (LayerStatus::Unchanged, "Unknown", "Progressing", "Not begun"),
    ];
    for (standing, status, reason, message) in table {
        for layer in Layer::ALL {
            let mut report = Report::default();
            *report.layers.get_mut(layer) = Some(standing.clone());
            let conditions = report.conditions(&[], 1, &at(1));
            let message = message.replace("{}", layer.words());
            let expected = (status, reason, message.as_str());
            assert_eq!(told(&conditions, ConditionType::of(layer)), Some(expected));
            assert_eq!(conditions.len(), 5, "nothing is told of layers that are not owned");
        }
    }
    let table = [
        (LayerStatus::Ready, ("True", "Lent", "The SharedStack provides all shared layers")),
        (waiting(Reason::StackNotReady, "soon"), ("False", "StackNotReady", "soon")),
        (after, ("Unknown", "WaitingForKnowledgeBase", "The SharedStack waits for the knowledge base")),
        (stalled(Reason::StackNotFound, "none"), ("False", "StackNotFound", "none")),
        (LayerStatus::Unchanged, ("Unknown", "Progressing", "Not begun")),
    ];
    for (standing, expected) in table {
        let report = Report { borrowed: Some(standing), ..Report::default() };
        let conditions = report.conditions(&[], 1, &at(1));
        assert_eq!(told(&conditions, ConditionType::StackReady), Some(expected));
    }
}

#[test]
fn documents_are_current_or_not_or_nobody_knows() {
    for (current, status) in [(Some(true), "True"), (Some(false), "False"), (None, "Unknown")] {
        let documents = Some(Documents { current, reason: Reason::Synced, message: "job 1".into() });
        let report = Report { documents, ..Report::default() };
        let conditions = report.conditions(&[], 1, &at(1));
        let expected = (status, "Synced", "job 1");
        assert_eq!(told(&conditions, ConditionType::DocumentsCurrent), Some(expected));
        assert!(report.ready(&[]), "old documents can be asked");
    }
}

#[test]
fn what_was_said_of_the_model_stands_until_there_is_news_of_it() {
    let ends = |current, reason, message: &str| Report {
        model: Some(Model { current, reason, message: message.into() }),
        ..Report::default()
    };
    fn of_model(conditions: &[Condition]) -> Option<(&str, &str)> {
        told(conditions, ConditionType::ModelCurrent).map(|(status, reason, _)| (status, reason))
    }
    let legacy = ends(Some(false), Reason::ModelLegacy, "soon");
    let said = legacy.conditions(&[], 1, &at(1));
    assert_eq!(of_model(&said), Some(("False", "ModelLegacy")));
    assert!(legacy.ready(&[]), "it can still be asked");
    assert_eq!(of_model(&Report::default().conditions(&said, 1, &at(2))), Some(("False", "ModelLegacy")));
    assert_eq!(of_model(&Report::default().conditions(&[], 1, &at(2))), None);
    let unknown = ends(None, Reason::Denied, "no").conditions(&[], 1, &at(1));
    assert_eq!(of_model(&unknown), Some(("Unknown", "Denied")));
    let leaving =
        Leaving { reason: Reason::Deleting, message: String::new(), blocked: false, stalled: false };
    let leaves = Report { outcome: Outcome::Leaving(leaving), ..Report::default() };
    assert_eq!(of_model(&leaves.conditions(&said, 1, &at(2))), None);
}

#[test]
fn a_deletion_is_blocked_only_while_it_waits_for_others() {
    let leaving = |blocked| Report {
        outcome: Outcome::Leaving(Leaving {
            reason: Reason::Borrowed,
            message: "2 borrow".into(),
            blocked,
            stalled: false,
        }),
        ..Report::default()
    };
    let blocked = leaving(true).conditions(&[], 1, &at(1));
    let expected = ("True", "Borrowed", "2 borrow");
    assert_eq!(told(&blocked, ConditionType::DeletionBlocked), Some(expected));
    let goes_on = leaving(false).conditions(&blocked, 1, &at(2));
    assert_eq!(kinds(&goes_on), ["Ready", "Reconciling", "Stalled"], "and nothing new is told of layers");
}

#[test]
fn what_is_being_taken_apart_is_not_as_it_should_be() {
    let whole = |layer| [Layer::Bucket, Layer::Role].contains(&layer).then_some(LayerStatus::Ready);
    let built = Report { layers: PerLayer::from_fn(whole), ..Report::default() };
    let before = built.conditions(&[], 1, &at(1));
    let goes =
        |layer| [Layer::Key, Layer::Role].contains(&layer).then(|| waiting(Reason::Deleting, "it goes"));
    let leaving =
        Leaving { reason: Reason::Deleting, message: String::new(), blocked: false, stalled: false };
    let leaves =
        Report { layers: PerLayer::from_fn(goes), outcome: Outcome::Leaving(leaving), ..Report::default() };
    let after = leaves.conditions(&before, 1, &at(2));
    assert_eq!(told(&after, ConditionType::RoleReady), Some(("False", "Deleting", "it goes")));
    assert_eq!(status(&after, ConditionType::BucketReady), ("True", "Ready"), "what stays is as it was");
    assert_eq!(told(&after, ConditionType::KeyReady), None, "nothing new is told of layers");
}

/// The last word on a stall is not taken back because nothing can be seen for a moment.
#[test]
fn a_passing_failure_does_not_take_a_stall_back() {
    let layers = PerLayer { bucket: Some(LayerStatus::Unchanged), ..PerLayer::default() };
    let report = Report { layers, ..Report::default() };
    for (reason, stalls) in [("Denied", "True"), ("DeadlineExceeded", "True"), ("Creating", "False")] {
        let before = [said(ConditionType::Ready, "False", reason, "so")];
        let conditions = report.conditions(&before, 1, &at(2));
        assert_eq!(status(&conditions, ConditionType::Stalled), (stalls, reason));
    }
}

/// The order of the documentation, whatever the order of what was said before.
#[test]
fn conditions_are_listed_in_their_order() {
    let whole = Some(LayerStatus::Ready);
    let report = Report {
        layers: PerLayer::from_fn(|layer| Some(layer).filter(|it| *it != Layer::Role).and(whole.clone())),
        borrowed: Some(LayerStatus::Unchanged),
        documents: Some(Documents { current: None, reason: Reason::NoDocuments, message: String::new() }),
        model: Some(Model { current: Some(true), reason: Reason::ModelStays, message: String::new() }),
        registered: whole.clone(),
        ..Report::default()
    };
    let before = report.conditions(&[], 1, &at(1));
    let all = ConditionType::ALL.iter().map(|kind| kind.as_str());
    let there: Vec<_> =
        all.clone().filter(|kind| !["RoleReady", "DeletionBlocked", "Paused"].contains(kind)).collect();
    assert_eq!(kinds(&before), there);
    let reversed: Vec<_> = before.iter().rev().cloned().collect();
    let leaving = Leaving { reason: Reason::Borrowed, message: String::new(), blocked: true, stalled: true };
    let leaves = Report { outcome: Outcome::Leaving(leaving), ..Report::default() };
    let there: Vec<_> = all
        .filter(|kind| !["RoleReady", "DocumentsCurrent", "ModelCurrent", "Paused"].contains(kind))
        .collect();
    let after = leaves.conditions(&reversed, 2, &at(2));
    assert_eq!(kinds(&after), there);
    assert!(after.iter().all(|condition| condition.observed_generation == Some(2)));
    let kept = told(&after, ConditionType::Registered);
    assert_eq!(kept, Some(("True", "Registered", "The registry item is up to date")));
}

/// What was not looked at counts as it was last seen.
#[test]
fn what_is_unchanged_counts_as_what_was_said_of_it() {
    let layers = PerLayer { bucket: Some(LayerStatus::Unchanged), ..PerLayer::default() };
    let of_layers = Report { layers, ..Report::default() };
    let of_the_stack = Report { borrowed: Some(LayerStatus::Unchanged), ..Report::default() };
    let both = Report { borrowed: Some(LayerStatus::Unchanged), ..of_layers.clone() };
    let (bucket, stack) = (ConditionType::BucketReady, ConditionType::StackReady);
    type Said<'a> = &'a [(ConditionType, &'a str)];
    let table: [(&Report, Said, bool); 11] = [
        (&of_layers, &[], false),
        (&of_layers, &[(bucket, "True")], true),
        (&of_layers, &[(bucket, "False")], false),
        (&of_layers, &[(bucket, "Unknown")], false),
        (&of_layers, &[(stack, "True")], false),
        (&of_layers, &[(stack, "True"), (bucket, "False")], false),
        (&of_the_stack, &[(bucket, "True")], false),
        (&of_the_stack, &[(stack, "True")], true),
        (&both, &[(bucket, "True"), (stack, "False")], false),
        (&both, &[(bucket, "False"), (stack, "True")], false),
        (&both, &[(bucket, "True"), (stack, "True")], true),
    ];
    for (report, before, ready) in table {
        let before: Vec<_> = before.iter().map(|(kind, status)| said(*kind, status, "Ready", "")).collect();
        assert_eq!(report.ready(&before), ready, "{before:?}");
        let conditions = report.conditions(&before, 2, &at(2));
        let expected = if ready { "True" } else { "False" };
        assert_eq!(status(&conditions, ConditionType::Ready).0, expected);
        for condition in &before {
            let kept = conditions.iter().find(|it| it.type_ == condition.type_);
            let owned = report.layers.bucket.is_some() && condition.type_ == "BucketReady"
                || report.borrowed.is_some() && condition.type_ == "StackReady";
            let expected = Condition { observed_generation: Some(2), ..condition.clone() };
            assert_eq!(kept, owned.then_some(&expected), "its last word stands");
        }
    }
}

/// While only passing failures keep it from being ready, `Ready` goes on saying why it was not.
#[test]
fn passing_failures_leave_the_last_word_on_why_it_is_not_ready() {
    let layers = PerLayer { bucket: Some(LayerStatus::Unchanged), ..PerLayer::default() };
    let report = Report { layers, ..Report::default() };
    let accepted = said(ConditionType::Accepted, "False", "SpecInvalid", "another condition's");
    let looking = ("False", "Progressing", "Looking at what exists in AWS");
    for (status, reason, message, expected) in [
        ("False", "Denied", "no", ("False", "Denied", "no")),
        ("Unknown", "Denied", "no", ("False", "Denied", "no")),
        ("False", "SomethingOld", "no", ("False", "Progressing", "no")),
        ("True", "Ready", "all is well", looking),
    ] {
        let before = [accepted.clone(), said(ConditionType::Ready, status, reason, message)];
        let conditions = report.conditions(&before, 1, &at(2));
        assert_eq!(told(&conditions, ConditionType::Ready), Some(expected));
    }
    let conditions = report.conditions(&[accepted], 1, &at(2));
    assert_eq!(told(&conditions, ConditionType::Ready), Some(looking));
}

/// The time is that of the last change of status.
#[test]
fn a_condition_keeps_its_time_with_its_status() {
    let before = said(ConditionType::KeyReady, "False", "Creating", "it comes");
    let elsewhere = said(ConditionType::BucketReady, "True", "Ready", "The key matches the spec");
    for (standing, message, time) in [
        (waiting(Reason::Creating, "it comes"), "it comes", 1),
        (waiting(Reason::Creating, "it comes at last"), "it comes at last", 1),
        (waiting(Reason::Updating, "it comes"), "it comes", 1),
        (stalled(Reason::Creating, "it comes"), "it comes", 1),
        (LayerStatus::WaitingFor(Layer::Role), "The key waits for the role", 2),
        (LayerStatus::Ready, "The key matches the spec", 2),
    ] {
        let layers = PerLayer { key: Some(standing.clone()), ..PerLayer::default() };
        let report = Report { layers, ..Report::default() };
        let conditions = report.conditions(&[elsewhere.clone(), before.clone()], 1, &at(2));
        let key = conditions.iter().find(|condition| condition.type_ == "KeyReady").unwrap();
        assert_eq!((key.message.as_str(), &key.last_transition_time), (message, &at(time)), "{standing:?}");
    }
    // The same words with another status are told at once.
    let before = said(ConditionType::KeyReady, "True", "Creating", "it comes");
    let layers = PerLayer { key: Some(waiting(Reason::Creating, "it comes")), ..PerLayer::default() };
    let conditions = Report { layers, ..Report::default() }.conditions(&[before], 1, &at(2));
    let expected = ("False", "Creating", "it comes");
    assert_eq!(told(&conditions, ConditionType::KeyReady), Some(expected));
}

/// A class may come after its tenants.
#[test]
fn who_waits_for_its_class_needs_no_person() {
    let refused = Blocked { reason: Reason::ClassNotFound, message: "none yet".into() };
    let report = Report { outcome: Outcome::Refused(refused), ..Report::default() };
    let conditions = report.conditions(&[], 1, &at(1));
    assert_eq!(status(&conditions, ConditionType::Accepted), ("False", "ClassNotFound"));
    assert_eq!(status(&conditions, ConditionType::Reconciling), ("True", "ClassNotFound"));
    assert_eq!(status(&conditions, ConditionType::Stalled), ("False", "ClassNotFound"));
}

/// What stands goes on; that something else is refused needs a person, or something that comes by itself.
#[test]
fn a_change_that_is_refused_leaves_ready_alone() {
    let change = |reason| Some(Blocked { reason, message: "not that".into() });
    for (reason, reconciling, stalled) in
        [(Reason::Immutable, "False", "True"), (Reason::ClassNotFound, "True", "False")]
    {
        let report = Report { change: change(reason), ..Report::default() };
        let conditions = report.conditions(&[], 4, &at(1));
        assert_eq!(status(&conditions, ConditionType::Ready), ("True", "Ready"));
        assert_eq!(status(&conditions, ConditionType::Accepted), ("False", reason.as_str()));
        assert_eq!(status(&conditions, ConditionType::Reconciling), (reconciling, reason.as_str()));
        assert_eq!(status(&conditions, ConditionType::Stalled), (stalled, reason.as_str()));
        assert!(report.ready(&[]));
        // It is told again while a pass fails, by what was said before.
        let before = Status { placement: Some(Placement::nowhere()), conditions, ..Status::default() };
        assert!(before.is_accepted());
        assert_eq!(Blocked::of_change(&before), change(reason));
        let never = Status { placement: None, ..before };
        assert!(
            !never.is_accepted() && Blocked::of_change(&never).is_none(),
            "who never was let in is refused"
        );
    }
    let waiting = PerLayer {
        index: Some(LayerStatus::Waiting(Reason::Creating, "soon".into())),
        ..PerLayer::default()
    };
    let report = Report { change: change(Reason::Immutable), layers: waiting, ..Report::default() };
    let conditions = report.conditions(&[], 4, &at(1));
    assert_eq!(status(&conditions, ConditionType::Ready), ("False", "Creating"));
    assert_eq!(status(&conditions, ConditionType::Accepted), ("False", "Immutable"));
}
