//! What a pass amounts to: the conditions of an object, worked out from how each layer stands.
//!
//! What needs a person is `Stalled`; what resolves itself is `Reconciling`; `Ready` sums up and is never True while
//! the object is leaving.

use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use super::blocked::Blocked;
use super::progress::{PROPAGATION, Progress, deadline};
use crate::api::{ConditionType, Layer, PerLayer, Reason, Severity, condition};
use crate::stack::fault::{Class, Fault};

/// How a layer, or all that is borrowed, stands after a pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LayerStatus {
    /// As it should be.
    Ready,
    /// On its way.
    Waiting(Reason, String),
    /// Being changed, or not seen, while what stands answers as before.
    Serving(Reason, String),
    /// Not reached, because another layer comes first.
    WaitingFor(Layer),
    /// It cannot go on without a person.
    Stalled(Reason, String),
    /// Not looked at, or a passing failure that nobody needs to read of: the last word stands.
    Unchanged,
}

impl From<&Progress> for LayerStatus {
    fn from(progress: &Progress) -> Self {
        match progress {
            Progress::Done => LayerStatus::Ready,
            Progress::Waiting { reason, message, .. } if reason.severity() == Severity::Stalled => {
                LayerStatus::Stalled(*reason, message.clone())
            }
            Progress::Waiting { reason, message, .. } => LayerStatus::Waiting(*reason, message.clone()),
        }
    }
}

impl From<&Fault> for LayerStatus {
    fn from(fault: &Fault) -> Self {
        match (fault.class.needs_person(), fault.class) {
            (Some(reason), _) => LayerStatus::Stalled(reason, fault.of_spec()),
            (None, Class::NotYet) => LayerStatus::Waiting(Reason::NotYet, fault.to_string()),
            (None, Class::Throttled | Class::Transient | Class::NotFound) => LayerStatus::Unchanged,
            (None, Class::Conflict | Class::Unnamed) => LayerStatus::Unchanged,
            (None, Class::Denied | Class::Quota | Class::Unreachable | Class::Invalid) => {
                LayerStatus::Unchanged
            }
        }
    }
}

impl TryFrom<Fault> for Blocked {
    type Error = Fault;

    /// A failure that needs a person; others are given back.
    fn try_from(fault: Fault) -> Result<Self, Fault> {
        match fault.class.needs_person() {
            Some(reason) => Ok(Blocked { reason, message: fault.of_spec() }),
            None => Err(fault),
        }
    }
}

impl LayerStatus {
    /// The same of what answers as before meanwhile, if it does.
    pub fn answering(self, answers: bool) -> Self {
        match self {
            LayerStatus::Waiting(reason, message) if answers => LayerStatus::Serving(reason, message),
            other => other,
        }
    }

    /// A layer of which a call failed. `lasts` says for how long calls have been failing so, once that is news. What was
    /// ready still is, unless nobody knows what the failure means and it does not end.
    pub fn after_failure(fault: &Fault, layer: Layer, lasts: Option<Duration>, was_ready: bool) -> Self {
        let standing = LayerStatus::from(fault).answering(was_ready);
        let Some(lasts) = lasts.filter(|_| standing == LayerStatus::Unchanged) else { return standing };
        match was_ready {
            false => LayerStatus::Waiting(fault.class.lasting(), fault.to_string()),
            true if fault.class == Class::Unnamed && lasts > deadline(layer) => {
                let minutes = deadline(layer).as_secs() / 60;
                let message = format!("It has been failing for more than {minutes} minutes. {fault}");
                LayerStatus::Stalled(Reason::DeadlineExceeded, message)
            }
            true => LayerStatus::Unchanged,
        }
    }

    /// What is still waited for when its deadline is over needs a person; it is looked at on, and goes on by itself if
    /// the cause goes away. `since` says since when the layer has not been ready, or has been changed.
    pub fn by_deadline(self, layer: Layer, since: Option<Duration>) -> Self {
        match self {
            LayerStatus::Waiting(reason, message) | LayerStatus::Serving(reason, message)
                if !matches!(reason, Reason::WaitingForVectorStore | Reason::ReadOnly)
                    && since.is_some_and(|since| since > in_time(layer, reason)) =>
            {
                let minutes = in_time(layer, reason).as_secs() / 60;
                let message = format!("Not ready after {minutes} minutes. {message}");
                LayerStatus::Stalled(Reason::DeadlineExceeded, message)
            }
            other => other,
        }
    }
}

/// How long a layer may be waited for. A knowledge base takes long to make; that AWS refuses to begin, because it does not
/// see yet what the knowledge base stands on, is over much sooner.
fn in_time(layer: Layer, reason: Reason) -> Duration {
    match reason {
        Reason::NotYet => deadline(layer).min(PROPAGATION),
        _ => deadline(layer),
    }
}

/// How the documents stand, where the owner of a knowledge base, or a Pool tenant with bad news, says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Documents {
    /// Whether the last documents are indexed; `None` = unknown yet.
    pub current: Option<bool>,
    /// Why.
    pub reason: Reason,
    /// What a person should know.
    pub message: String,
}

impl Documents {
    /// The condition's status.
    pub fn status(&self) -> &'static str {
        self.current.map_or(UNKNOWN, |current| if current { TRUE } else { FALSE })
    }

    /// What the conditions last said of the documents.
    pub fn last(conditions: &[Condition]) -> Option<Self> {
        let said = condition::find(conditions, ConditionType::DocumentsCurrent)?;
        let current = match said.status.as_str() {
            "True" => Some(true),
            "False" => Some(false),
            _ => None,
        };
        Some(Documents { current, reason: Reason::parse(&said.reason)?, message: said.message.clone() })
    }

    /// Whether the conditions last said that something of the documents is not as it should be.
    pub fn were_in_trouble(conditions: &[Condition]) -> bool {
        Self::last(conditions).is_some_and(|last| last.current == Some(false))
    }
}

/// Whether the embedding model stays on offer, where the owner of a knowledge base says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Model {
    /// `None` = nobody could ask.
    pub current: Option<bool>,
    /// Why.
    pub reason: Reason,
    /// What a person should know.
    pub message: String,
}

/// How a teardown stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leaving {
    /// What it waits for or does.
    pub reason: Reason,
    /// In words.
    pub message: String,
    /// Whether it waits for something other than its own steps.
    pub blocked: bool,
    /// Whether that needs a person.
    pub stalled: bool,
}

/// Everything a pass found out.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// Why the object may not be acted upon.
    pub refused: Option<Blocked>,
    /// Why the whole stack is refused: something of our name is not ours.
    pub blocked: Option<Blocked>,
    /// Every owned layer.
    pub layers: PerLayer<Option<LayerStatus>>,
    /// All that is borrowed.
    pub borrowed: Option<LayerStatus>,
    /// Everything stands, and yet it cannot be asked: what it would answer from is being made anew.
    pub reindexing: Option<(Reason, String)>,
    /// Whether it is still open if the object may be acted upon.
    pub undecided: bool,
    /// Why nobody can say at the moment whether it may.
    pub withheld: Option<Blocked>,
    /// Something has been failing in a way that passes for so long that a person may wonder.
    pub transient: Option<(Reason, String)>,
    /// The documents.
    pub documents: Option<Documents>,
    /// The embedding model; `None` = the last word stands, if there is one.
    pub model: Option<Model>,
    /// The item in the registry, where there is one.
    pub registered: Option<LayerStatus>,
    /// The teardown, once it has begun.
    pub leaving: Option<Leaving>,
}

/// A condition before it has a time.
struct Draft {
    kind: ConditionType,
    status: &'static str,
    reason: Reason,
    message: String,
}

const TRUE: &str = "True";
const FALSE: &str = "False";
const UNKNOWN: &str = "Unknown";

fn draft(kind: ConditionType, status: &'static str, reason: Reason, message: impl Into<String>) -> Draft {
    Draft { kind, status, reason, message: message.into() }
}

impl Outcome {
    /// The conditions that follow, in the order of the documentation. What did not change keeps its time, and its
    /// message too where only a request id differs.
    pub fn conditions(&self, previous: &[Condition], generation: i64, now: &Time) -> Vec<Condition> {
        let mut drafts = self.summary(previous);
        drafts.extend(self.details(previous));
        let said = |kind: &ConditionType| condition::find(previous, *kind);
        let (kept, new): (Vec<_>, Vec<_>) =
            self.unchanged().into_iter().partition(|kind| said(kind).is_some());
        let model = (self.model.is_none() && self.leaving.is_none()).then_some(ConditionType::ModelCurrent);
        let kept: Vec<_> = kept
            .iter()
            .chain(&model)
            .filter_map(said)
            .map(|condition| Condition { observed_generation: Some(generation), ..condition.clone() })
            .collect();
        if self.leaving.is_none() {
            drafts.extend(new.into_iter().map(|kind| draft(kind, UNKNOWN, Reason::Progressing, "Not begun")));
        }
        let mut conditions: Vec<_> =
            drafts.into_iter().map(|draft| settle(draft, previous, generation, now)).chain(kept).collect();
        condition::sort(&mut conditions);
        conditions
    }

    /// Whether `Ready` will be True.
    pub fn ready(&self, previous: &[Condition]) -> bool {
        self.trouble(previous).is_none()
    }

    /// Whether everything is as it should be, or was when it was last looked at.
    fn is_ready(&self, previous: &[Condition]) -> bool {
        let whole = |kind: ConditionType, standing: &Option<LayerStatus>| match standing {
            None | Some(LayerStatus::Ready | LayerStatus::Serving(..)) => true,
            Some(LayerStatus::Unchanged) => condition::is_true(previous, kind),
            Some(_) => false,
        };
        self.layers.iter().all(|(layer, standing)| whole(ConditionType::of(layer), standing))
            && whole(ConditionType::StackReady, &self.borrowed)
    }

    /// What `Ready` says if it is not True: whether a person must act, why, and the message.
    fn trouble(&self, previous: &[Condition]) -> Option<(bool, Reason, String)> {
        if let Some(leaving) = &self.leaving {
            return Some((leaving.stalled, leaving.reason, leaving.message.clone()));
        }
        if let Some(Blocked { reason, message }) = self.refused.as_ref().or(self.blocked.as_ref()) {
            return Some((true, *reason, message.clone()));
        }
        if let Some(Blocked { reason, message }) = &self.withheld {
            return Some((reason.severity() == Severity::Stalled, *reason, message.clone()));
        }
        let standings =
            || self.layers.iter().filter_map(|(_, standing)| standing.as_ref()).chain(self.borrowed.as_ref());
        let stalled = standings().find_map(|standing| match standing {
            LayerStatus::Stalled(reason, message) => Some((true, *reason, message.clone())),
            _ => None,
        });
        let waiting = || {
            standings().find_map(|standing| match standing {
                LayerStatus::Waiting(reason, message) => Some((false, *reason, message.clone())),
                _ => None,
            })
        };
        let reindexing = || self.reindexing.clone().map(|(reason, message)| (false, reason, message));
        let is_ready = self.is_ready(previous);
        // What keeps failing is the news, whatever else is waited for.
        let transient = || {
            let transient = self.transient.clone().filter(|_| !is_ready || self.reindexing.is_some());
            transient.map(|(reason, message)| (false, reason, message))
        };
        stalled.or_else(transient).or_else(waiting).or_else(reindexing).or_else(|| {
            if is_ready {
                return None;
            }
            // Only failures that are nobody's news yet: what was said before still stands.
            let said = condition::find(previous, ConditionType::Ready).filter(|c| c.status != TRUE);
            let said =
                said.map(|c| (Reason::parse(&c.reason).unwrap_or(Reason::Progressing), c.message.clone()));
            let (reason, message) = said
                .or_else(|| self.meanwhile(previous))
                .unwrap_or_else(|| (Reason::Progressing, "Looking at what exists in AWS".into()));
            Some((reason.severity() == Severity::Stalled, reason, message))
        })
    }

    /// What is done, or waited for, while everything answers. What was begun is not done because a look failed since.
    fn meanwhile(&self, previous: &[Condition]) -> Option<(Reason, String)> {
        self.layers.iter().find_map(|(layer, standing)| match standing {
            Some(LayerStatus::Serving(reason, message)) => Some((*reason, message.clone())),
            Some(LayerStatus::Unchanged) => {
                let said =
                    condition::find(previous, ConditionType::of(layer)).filter(|c| c.status == TRUE)?;
                let reason = Reason::parse(&said.reason).filter(|reason| *reason != Reason::Ready)?;
                Some((reason, said.message.clone()))
            }
            _ => None,
        })
    }

    fn summary(&self, previous: &[Condition]) -> Vec<Draft> {
        use ConditionType::{Accepted, Ready, Reconciling, Stalled};
        let mut drafts = match self.trouble(previous) {
            None => vec![
                draft(Ready, TRUE, Reason::Ready, "The stack is ready to query"),
                match self.transient.clone().or_else(|| self.meanwhile(previous)) {
                    Some((reason, message)) => draft(Reconciling, TRUE, reason, message),
                    None => draft(Reconciling, FALSE, Reason::Ready, "Nothing is left to do"),
                },
                draft(Stalled, FALSE, Reason::Ready, "Nothing needs a person"),
            ],
            Some((stalled, reason, message)) => vec![
                draft(Ready, FALSE, reason, message.clone()),
                draft(Reconciling, if stalled { FALSE } else { TRUE }, reason, message.clone()),
                draft(Stalled, if stalled { TRUE } else { FALSE }, reason, message),
            ],
        };
        if self.leaving.is_none() {
            drafts.push(match &self.refused {
                Some(refused) => draft(Accepted, FALSE, refused.reason, refused.message.clone()),
                None if let Some(withheld) = &self.withheld => {
                    draft(Accepted, UNKNOWN, withheld.reason, withheld.message.clone())
                }
                None if self.undecided => draft(Accepted, UNKNOWN, Reason::Progressing, "Not decided yet"),
                None => draft(Accepted, TRUE, Reason::Accepted, "The spec is valid and is being applied"),
            });
        }
        drafts
    }

    fn details(&self, previous: &[Condition]) -> Vec<Draft> {
        let mut drafts = Vec::new();
        for (layer, standing) in self.layers.iter() {
            let kind = ConditionType::of(layer);
            if self.leaving.is_some() && condition::find(previous, kind).is_none() {
                continue;
            }
            drafts.extend(
                standing.as_ref().and_then(|standing| detail(kind, standing, &format!("The {layer}"))),
            );
        }
        let borrowed = self.borrowed.as_ref();
        drafts.extend(borrowed.and_then(|standing| match standing {
            LayerStatus::Ready => Some(draft(
                ConditionType::StackReady,
                TRUE,
                Reason::Lent,
                "The SharedStack provides all shared layers",
            )),
            other => detail(ConditionType::StackReady, other, "The SharedStack"),
        }));
        if let Some(documents) = &self.documents {
            let Documents { reason, message, .. } = documents;
            let kind = ConditionType::DocumentsCurrent;
            drafts.push(draft(kind, documents.status(), *reason, message.clone()));
        }
        if let Some(Model { current, reason, message }) = &self.model {
            let status = current.map_or(UNKNOWN, |known| if known { TRUE } else { FALSE });
            drafts.push(draft(ConditionType::ModelCurrent, status, *reason, message.clone()));
        }
        drafts.extend(self.registered.as_ref().and_then(|standing| match standing {
            LayerStatus::Ready => {
                let message = "The registry item is up to date";
                Some(draft(ConditionType::Registered, TRUE, Reason::Registered, message))
            }
            other => detail(ConditionType::Registered, other, "The registry's item"),
        }));
        if let Some(leaving) = self.leaving.as_ref().filter(|leaving| leaving.blocked) {
            drafts.push(draft(ConditionType::DeletionBlocked, TRUE, leaving.reason, leaving.message.clone()));
        }
        drafts
    }

    /// Conditions whose last word stands.
    fn unchanged(&self) -> Vec<ConditionType> {
        let leaving = self.leaving.is_some();
        let layers = self.layers.iter().filter(move |(_, standing)| match standing {
            None => leaving,
            Some(standing) => *standing == LayerStatus::Unchanged,
        });
        let kinds = layers.map(|(layer, _)| ConditionType::of(layer));
        let borrowed = leaving || matches!(self.borrowed, Some(LayerStatus::Unchanged));
        let accepted = leaving.then_some(ConditionType::Accepted);
        let registered = leaving || matches!(self.registered, Some(LayerStatus::Unchanged));
        let registered = registered.then_some(ConditionType::Registered);
        let borrowed = borrowed.then_some(ConditionType::StackReady);
        kinds.chain(borrowed).chain(accepted).chain(registered).collect()
    }
}

fn detail(kind: ConditionType, standing: &LayerStatus, what: &str) -> Option<Draft> {
    match standing {
        LayerStatus::Ready => Some(draft(kind, TRUE, Reason::Ready, format!("{what} matches the spec"))),
        LayerStatus::Serving(reason, message) => Some(draft(kind, TRUE, *reason, message.clone())),
        LayerStatus::Waiting(reason, message) => Some(draft(kind, FALSE, *reason, message.clone())),
        LayerStatus::WaitingFor(layer) => {
            Some(draft(kind, UNKNOWN, Reason::waiting_for(*layer), format!("{what} waits for the {layer}")))
        }
        LayerStatus::Stalled(reason, message) => Some(draft(kind, FALSE, *reason, message.clone())),
        LayerStatus::Unchanged => None,
    }
}

fn settle(draft: Draft, previous: &[Condition], generation: i64, now: &Time) -> Condition {
    let Draft { kind, status, reason, message } = draft;
    let before = condition::find(previous, kind);
    let same_status = before.filter(|before| before.status == status);
    let same_news = same_status
        .filter(|before| before.reason == reason.as_str() && news(&before.message) == news(&message));
    Condition {
        type_: kind.to_string(),
        status: status.to_string(),
        reason: reason.to_string(),
        message: same_news.map_or(message, |before| before.message.clone()),
        observed_generation: Some(generation),
        last_transition_time: same_status
            .map_or_else(|| now.clone(), |before| before.last_transition_time.clone()),
    }
}

/// A message without its request ids: every retry has another, and none of them is news.
pub(crate) fn news(message: &str) -> String {
    let mut rest = message;
    let mut kept = String::new();
    while let Some((before, after)) = rest.split_once(" (request ") {
        kept.push_str(before);
        rest = after.split_once(')').map_or("", |(_, rest)| rest);
    }
    kept + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Time {
        Time(jiff::Timestamp::from_second(second).unwrap())
    }

    fn status(conditions: &[Condition], kind: ConditionType) -> (&str, &str) {
        let found = conditions.iter().find(|condition| condition.type_ == kind.as_str()).unwrap();
        (&found.status, &found.reason)
    }

    fn building() -> Outcome {
        let mut verdict = Outcome::default();
        verdict.layers.vector_store =
            Some(LayerStatus::Waiting(Reason::Creating, "Collection is CREATING (request 1)".into()));
        verdict.layers.bucket = Some(LayerStatus::Ready);
        verdict.layers.index = Some(LayerStatus::WaitingFor(Layer::VectorStore));
        verdict
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
        let mut verdict = building();
        verdict.layers.role = Some(LayerStatus::Stalled(Reason::Denied, "iam:CreateRole".into()));
        let conditions = verdict.conditions(&[], 1, &at(1));
        assert_eq!(status(&conditions, ConditionType::Stalled), ("True", "Denied"));
        assert_eq!(status(&conditions, ConditionType::Reconciling), ("False", "Denied"));
        assert_eq!(status(&conditions, ConditionType::Ready), ("False", "Denied"));
        let refused = Outcome {
            refused: Some(Blocked { reason: Reason::TenantIdTaken, message: "taken".into() }),
            ..Outcome::default()
        };
        let conditions = refused.conditions(&[], 1, &at(1));
        assert_eq!(status(&conditions, ConditionType::Accepted), ("False", "TenantIdTaken"));
        assert_eq!(status(&conditions, ConditionType::Stalled), ("True", "TenantIdTaken"));
    }

    #[test]
    fn only_news_changes_a_condition() {
        let first = building().conditions(&[], 1, &at(1));
        let mut again = building();
        again.layers.vector_store =
            Some(LayerStatus::Waiting(Reason::Creating, "Collection is CREATING (request 2)".into()));
        assert_eq!(again.conditions(&first, 1, &at(2)), first, "another request id is no news");
        again.layers.vector_store = Some(LayerStatus::Unchanged);
        let later = again.conditions(&first, 1, &at(2));
        assert_eq!(status(&later, ConditionType::VectorStoreReady), ("False", "Creating"));
        assert_eq!(
            status(&later, ConditionType::Ready),
            ("False", "Creating"),
            "a transient failure is no news"
        );
        again.layers.vector_store = Some(LayerStatus::Ready);
        again.layers.index = Some(LayerStatus::Ready);
        let done = again.conditions(&first, 1, &at(3));
        assert_eq!(status(&done, ConditionType::Ready), ("True", "Ready"));
        assert_eq!(done[0].last_transition_time, at(3));
        let mut failing = again.clone();
        failing.layers.bucket = Some(LayerStatus::Unchanged);
        failing.transient = Some((Reason::Transient, "AWS answers with 503".into()));
        let still = failing.conditions(&done, 1, &at(4));
        assert_eq!(status(&still, ConditionType::Ready), ("True", "Ready"), "what was whole still counts");
        assert_eq!(status(&still, ConditionType::Reconciling), ("True", "Transient"));
        let bucket = done.iter().find(|condition| condition.type_ == "BucketReady").unwrap();
        assert_eq!(bucket.last_transition_time, at(1));
    }

    #[test]
    fn what_is_changed_while_it_answers_takes_nobodys_ready_away() {
        let whole = Outcome {
            layers: PerLayer {
                bucket: Some(LayerStatus::Ready),
                role: Some(LayerStatus::Ready),
                ..PerLayer::default()
            },
            ..Outcome::default()
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
        let mut verdict = Outcome { registered: Some(LayerStatus::Unchanged), ..Outcome::default() };
        let first = verdict.conditions(&[], 1, &at(1));
        assert_eq!(status(&first, ConditionType::Registered), ("Unknown", "Progressing"));
        verdict.registered = Some(LayerStatus::Ready);
        let told = verdict.conditions(&first, 1, &at(2));
        assert_eq!(status(&told, ConditionType::Registered), ("True", "Registered"));
        let conflict = LayerStatus::Stalled(Reason::RegistryConflict, "not ours (request 1)".into());
        verdict.registered = Some(conflict);
        let refused = verdict.conditions(&told, 1, &at(3));
        assert_eq!(status(&refused, ConditionType::Registered), ("False", "RegistryConflict"));
        assert_eq!(status(&refused, ConditionType::Ready), ("True", "Ready"));
        assert_eq!(status(&refused, ConditionType::Stalled), ("False", "Ready"));
        assert!(verdict.ready(&told));
        verdict.registered = Some(LayerStatus::Unchanged);
        assert_eq!(verdict.conditions(&refused, 1, &at(4)), refused, "its last word stands");
        verdict.registered = None;
        let without = verdict.conditions(&refused, 1, &at(5));
        assert!(
            !without.iter().any(|condition| condition.type_ == "Registered"),
            "without --registry it is gone"
        );
    }

    #[test]
    fn ready_is_never_true_while_leaving() {
        let mut verdict = building();
        verdict.layers = PerLayer::default();
        verdict.leaving = Some(Leaving {
            reason: Reason::Borrowed,
            message: "2 Tenants still borrow".into(),
            blocked: true,
            stalled: false,
        });
        let before = building().conditions(&[], 1, &at(1));
        let conditions = verdict.conditions(&before, 1, &at(2));
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
        let conditions = |documents| Outcome { documents, ..Outcome::default() }.conditions(&[], 1, &at(1));
        for current in [Some(true), Some(false), None] {
            let said = Documents { current, reason: Reason::SyncFailed, message: "why".into() };
            assert_eq!(Documents::last(&conditions(Some(said.clone()))), Some(said));
        }
        assert_eq!(Documents::last(&conditions(None)), None);
    }

    #[test]
    fn a_progress_stands_as_its_reason_says() {
        assert_eq!(LayerStatus::from(&Progress::Done), LayerStatus::Ready);
        for reason in Reason::ALL {
            let person = reason.severity() == Severity::Stalled;
            let expected = if person { stalled(*reason, "why") } else { waiting(*reason, "why") };
            assert_eq!(LayerStatus::from(&Progress::waiting(*reason, "why")), expected, "{reason}");
        }
    }

    #[test]
    fn a_fault_stands_as_its_class_says() {
        type Stands = fn(Reason, &str) -> LayerStatus;
        let table: [(Class, Option<Stands>, Reason); 10] = [
            (Class::Denied, Some(stalled), Reason::Denied),
            (Class::Quota, Some(stalled), Reason::Quota),
            (Class::Unreachable, Some(stalled), Reason::EndpointUnreachable),
            (Class::Invalid, Some(stalled), Reason::Invalid),
            (Class::NotYet, Some(waiting), Reason::NotYet),
            (Class::Throttled, None, Reason::Throttled),
            (Class::Transient, None, Reason::Transient),
            (Class::Conflict, None, Reason::Transient),
            (Class::NotFound, None, Reason::Transient),
            (Class::Unnamed, None, Reason::Transient),
        ];
        for (class, standing, reason) in table {
            let fault = Fault {
                class,
                service: "s3",
                operation: "CreateBucket",
                resource: "b".into(),
                code: "Code".into(),
                message: "AWS says so".into(),
                request_id: Some("R1".into()),
            };
            let text = fault.of_spec();
            assert!(text.contains("AWS says so") && text.contains("R1"));
            let expected = standing.map_or(LayerStatus::Unchanged, |standing| standing(reason, &text));
            assert_eq!(LayerStatus::from(&fault), expected, "{class:?}");
        }
    }

    #[test]
    fn what_is_not_ready_in_time_needs_a_person() {
        let minutes = [
            (Layer::Key, 5),
            (Layer::Bucket, 5),
            (Layer::VectorStore, 30),
            (Layer::Index, 10),
            (Layer::Role, 10),
            (Layer::KnowledgeBase, 30),
        ];
        for (layer, minutes) in minutes {
            let in_time = Duration::from_secs(minutes * 60);
            assert_eq!(deadline(layer), in_time, "{layer}");
            let late = in_time + Duration::from_nanos(1);
            for reason in Reason::ALL {
                let waits = waiting(*reason, "AWS says so");
                let in_time = if *reason == Reason::NotYet { in_time.min(PROPAGATION) } else { in_time };
                for since in [None, Some(Duration::ZERO), Some(in_time)] {
                    assert_eq!(waits.clone().by_deadline(layer, since), waits, "{layer}: {reason}");
                }
                // Its own time begins once there is a collection.
                let message = |minutes| format!("Not ready after {minutes} minutes. AWS says so");
                let expected = match reason {
                    Reason::WaitingForVectorStore => waits.clone(),
                    // Nobody is at work.
                    Reason::ReadOnly => waits.clone(),
                    // What AWS does not see yet is over sooner than what it takes long to make.
                    Reason::NotYet => stalled(Reason::DeadlineExceeded, &message(minutes.min(10))),
                    _ => stalled(Reason::DeadlineExceeded, &message(minutes)),
                };
                assert_eq!(waits.by_deadline(layer, Some(late)), expected, "{layer}: {reason}");
            }
            let others = [
                LayerStatus::Ready,
                LayerStatus::WaitingFor(Layer::Key),
                LayerStatus::Unchanged,
                stalled(Reason::Denied, "no"),
            ];
            for other in others {
                assert_eq!(other.clone().by_deadline(layer, Some(late)), other);
            }
        }
    }

    /// Of all that could be told in `Ready`, in the order in which it comes first.
    #[test]
    fn the_worst_is_told_first() {
        const PERSON: (&str, &str) = ("False", "True");
        const BY_ITSELF: (&str, &str) = ("True", "False");
        let blocked = |reason, message: &str| Some(Blocked { reason, message: message.into() });
        let mut verdict = Outcome {
            refused: blocked(Reason::TenantIdTaken, "refused"),
            blocked: blocked(Reason::OwnedByAnother, "blocked"),
            layers: PerLayer {
                key: Some(waiting(Reason::Creating, "the key waits")),
                bucket: Some(stalled(Reason::Denied, "the bucket")),
                vector_store: Some(waiting(Reason::Updating, "the vector store waits")),
                index: Some(LayerStatus::WaitingFor(Layer::VectorStore)),
                role: Some(stalled(Reason::Quota, "the role")),
                knowledge_base: None,
            },
            borrowed: Some(stalled(Reason::StackNotFound, "no stack")),
            reindexing: Some((Reason::SyncRequested, "reindexing".into())),
            transient: Some((Reason::Throttled, "slower".into())),
            leaving: Some(Leaving {
                reason: Reason::Deleting,
                message: "leaving".into(),
                blocked: false,
                stalled: false,
            }),
            ..Outcome::default()
        };
        let mut check =
            |step: fn(&mut Outcome), (reconciling, stalls): (&str, &str), reason: &str, why: &str| {
                let conditions = verdict.conditions(&[], 1, &at(1));
                let told = |kind| told(&conditions, kind).unwrap();
                assert_eq!(told(ConditionType::Ready), ("False", reason, why));
                assert_eq!(told(ConditionType::Reconciling), (reconciling, reason, why));
                assert_eq!(told(ConditionType::Stalled), (stalls, reason, why));
                assert!(!verdict.ready(&[]), "{why}");
                step(&mut verdict);
            };
        check(|it| it.leaving.as_mut().unwrap().stalled = true, BY_ITSELF, "Deleting", "leaving");
        check(|it| it.leaving = None, PERSON, "Deleting", "leaving");
        check(|it| it.refused = None, PERSON, "TenantIdTaken", "refused");
        check(|it| it.blocked = None, PERSON, "OwnedByAnother", "blocked");
        check(|it| it.layers.bucket = Some(LayerStatus::Ready), PERSON, "Denied", "the bucket");
        check(|it| it.layers.role = Some(LayerStatus::Ready), PERSON, "Quota", "the role");
        let lends_late = |it: &mut Outcome| it.borrowed = Some(waiting(Reason::StackNotReady, "not yet"));
        check(lends_late, PERSON, "StackNotFound", "no stack");
        check(|it| it.transient = None, BY_ITSELF, "Throttled", "slower");
        check(|it| it.layers.key = Some(LayerStatus::Ready), BY_ITSELF, "Creating", "the key waits");
        let done = |it: &mut Outcome| it.layers.vector_store = Some(LayerStatus::Ready);
        check(done, BY_ITSELF, "Updating", "the vector store waits");
        check(|it| it.borrowed = Some(LayerStatus::Ready), BY_ITSELF, "StackNotReady", "not yet");
        check(|it| it.reindexing = None, BY_ITSELF, "SyncRequested", "reindexing");
        // Nothing waits but for others, so that what was said before stands: here, nothing was.
        let done = |it: &mut Outcome| it.layers.index = Some(LayerStatus::Ready);
        check(done, BY_ITSELF, "Progressing", "Looking at what exists in AWS");
        verdict.transient = Some((Reason::Throttled, "slower".into()));
        let conditions = verdict.conditions(&[], 1, &at(1));
        let ready = ("True", "Ready", "The stack is ready to query");
        assert_eq!(told(&conditions, ConditionType::Ready), Some(ready));
        assert_eq!(told(&conditions, ConditionType::Reconciling), Some(("True", "Throttled", "slower")));
        let nobody = ("False", "Ready", "Nothing needs a person");
        assert_eq!(told(&conditions, ConditionType::Stalled), Some(nobody));
        verdict.transient = None;
        let conditions = verdict.conditions(&[], 1, &at(1));
        let nothing = ("False", "Ready", "Nothing is left to do");
        assert_eq!(told(&conditions, ConditionType::Reconciling), Some(nothing));
        assert!(verdict.ready(&[]));
    }

    #[test]
    fn a_spec_is_accepted_refused_or_not_decided_yet() {
        let refused = || Some(Blocked { reason: Reason::SpecInvalid, message: "no".into() });
        let leaving = || {
            Some(Leaving { reason: Reason::Deleting, message: String::new(), blocked: false, stalled: false })
        };
        let table = [
            (refused(), false, ("False", "SpecInvalid", "no")),
            (refused(), true, ("False", "SpecInvalid", "no")),
            (None, true, ("Unknown", "Progressing", "Not decided yet")),
            (None, false, ("True", "Accepted", "The spec is valid and is being applied")),
        ];
        let before = [said(ConditionType::Accepted, "True", "Accepted", "as before")];
        for (refused, undecided, expected) in table {
            let mut verdict = Outcome { refused, undecided, ..Outcome::default() };
            let conditions = verdict.conditions(&[], 1, &at(1));
            assert_eq!(told(&conditions, ConditionType::Accepted), Some(expected));
            verdict.leaving = leaving();
            assert_eq!(told(&verdict.conditions(&[], 1, &at(1)), ConditionType::Accepted), None);
            let conditions = verdict.conditions(&before, 1, &at(1));
            let kept = ("True", "Accepted", "as before");
            assert_eq!(told(&conditions, ConditionType::Accepted), Some(kept), "its last word stands");
        }
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
                let mut verdict = Outcome::default();
                *verdict.layers.get_mut(layer) = Some(standing.clone());
                let conditions = verdict.conditions(&[], 1, &at(1));
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
            let verdict = Outcome { borrowed: Some(standing), ..Outcome::default() };
            let conditions = verdict.conditions(&[], 1, &at(1));
            assert_eq!(told(&conditions, ConditionType::StackReady), Some(expected));
        }
    }

    #[test]
    fn documents_are_current_or_not_or_nobody_knows() {
        for (current, status) in [(Some(true), "True"), (Some(false), "False"), (None, "Unknown")] {
            let documents = Some(Documents { current, reason: Reason::Synced, message: "job 1".into() });
            let verdict = Outcome { documents, ..Outcome::default() };
            let conditions = verdict.conditions(&[], 1, &at(1));
            let expected = (status, "Synced", "job 1");
            assert_eq!(told(&conditions, ConditionType::DocumentsCurrent), Some(expected));
            assert!(verdict.ready(&[]), "old documents can be asked");
        }
    }

    #[test]
    fn what_was_said_of_the_model_stands_until_there_is_news_of_it() {
        let ends = |current, reason, message: &str| Outcome {
            model: Some(Model { current, reason, message: message.into() }),
            ..Outcome::default()
        };
        fn of_model(conditions: &[Condition]) -> Option<(&str, &str)> {
            told(conditions, ConditionType::ModelCurrent).map(|(status, reason, _)| (status, reason))
        }
        let legacy = ends(Some(false), Reason::ModelLegacy, "soon");
        let said = legacy.conditions(&[], 1, &at(1));
        assert_eq!(of_model(&said), Some(("False", "ModelLegacy")));
        assert!(legacy.ready(&[]), "it can still be asked");
        assert_eq!(
            of_model(&Outcome::default().conditions(&said, 1, &at(2))),
            Some(("False", "ModelLegacy"))
        );
        assert_eq!(of_model(&Outcome::default().conditions(&[], 1, &at(2))), None);
        let unknown = ends(None, Reason::Denied, "no").conditions(&[], 1, &at(1));
        assert_eq!(of_model(&unknown), Some(("Unknown", "Denied")));
        let leaving =
            Leaving { reason: Reason::Deleting, message: String::new(), blocked: false, stalled: false };
        let leaves = Outcome { leaving: Some(leaving), ..Outcome::default() };
        assert_eq!(of_model(&leaves.conditions(&said, 1, &at(2))), None);
    }

    #[test]
    fn a_deletion_is_blocked_only_while_it_waits_for_others() {
        let leaving = |blocked| Outcome {
            leaving: Some(Leaving {
                reason: Reason::Borrowed,
                message: "2 borrow".into(),
                blocked,
                stalled: false,
            }),
            ..Outcome::default()
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
        let built = Outcome { layers: PerLayer::from_fn(whole), ..Outcome::default() };
        let before = built.conditions(&[], 1, &at(1));
        let goes =
            |layer| [Layer::Key, Layer::Role].contains(&layer).then(|| waiting(Reason::Deleting, "it goes"));
        let leaving =
            Leaving { reason: Reason::Deleting, message: String::new(), blocked: false, stalled: false };
        let leaves =
            Outcome { layers: PerLayer::from_fn(goes), leaving: Some(leaving), ..Outcome::default() };
        let after = leaves.conditions(&before, 1, &at(2));
        assert_eq!(told(&after, ConditionType::RoleReady), Some(("False", "Deleting", "it goes")));
        assert_eq!(status(&after, ConditionType::BucketReady), ("True", "Ready"), "what stays is as it was");
        assert_eq!(told(&after, ConditionType::KeyReady), None, "nothing new is told of layers");
    }

    /// The last word on a stall is not taken back because nothing can be seen for a moment.
    #[test]
    fn a_passing_failure_does_not_take_a_stall_back() {
        let layers = PerLayer { bucket: Some(LayerStatus::Unchanged), ..PerLayer::default() };
        let verdict = Outcome { layers, ..Outcome::default() };
        for (reason, stalls) in [("Denied", "True"), ("DeadlineExceeded", "True"), ("Creating", "False")] {
            let before = [said(ConditionType::Ready, "False", reason, "so")];
            let conditions = verdict.conditions(&before, 1, &at(2));
            assert_eq!(status(&conditions, ConditionType::Stalled), (stalls, reason));
        }
    }

    /// The order of the documentation, whatever the order of what was said before.
    #[test]
    fn conditions_are_listed_in_their_order() {
        let whole = Some(LayerStatus::Ready);
        let verdict = Outcome {
            layers: PerLayer::from_fn(|layer| Some(layer).filter(|it| *it != Layer::Role).and(whole.clone())),
            borrowed: Some(LayerStatus::Unchanged),
            documents: Some(Documents { current: None, reason: Reason::NoDocuments, message: String::new() }),
            model: Some(Model { current: Some(true), reason: Reason::ModelStays, message: String::new() }),
            registered: whole.clone(),
            ..Outcome::default()
        };
        let before = verdict.conditions(&[], 1, &at(1));
        let all = ConditionType::ALL.iter().map(|kind| kind.as_str());
        let there: Vec<_> =
            all.clone().filter(|kind| !["RoleReady", "DeletionBlocked", "Paused"].contains(kind)).collect();
        assert_eq!(kinds(&before), there);
        let reversed: Vec<_> = before.iter().rev().cloned().collect();
        let leaving =
            Leaving { reason: Reason::Borrowed, message: String::new(), blocked: true, stalled: true };
        let leaves = Outcome { leaving: Some(leaving), ..Outcome::default() };
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
        let of_layers = Outcome { layers, ..Outcome::default() };
        let of_the_stack = Outcome { borrowed: Some(LayerStatus::Unchanged), ..Outcome::default() };
        let both = Outcome { borrowed: Some(LayerStatus::Unchanged), ..of_layers.clone() };
        let (bucket, stack) = (ConditionType::BucketReady, ConditionType::StackReady);
        type Said<'a> = &'a [(ConditionType, &'a str)];
        let table: [(&Outcome, Said, bool); 11] = [
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
        for (verdict, before, ready) in table {
            let before: Vec<_> =
                before.iter().map(|(kind, status)| said(*kind, status, "Ready", "")).collect();
            assert_eq!(verdict.ready(&before), ready, "{before:?}");
            let conditions = verdict.conditions(&before, 2, &at(2));
            let expected = if ready { "True" } else { "False" };
            assert_eq!(status(&conditions, ConditionType::Ready).0, expected);
            for condition in &before {
                let kept = conditions.iter().find(|it| it.type_ == condition.type_);
                let owned = verdict.layers.bucket.is_some() && condition.type_ == "BucketReady"
                    || verdict.borrowed.is_some() && condition.type_ == "StackReady";
                let expected = Condition { observed_generation: Some(2), ..condition.clone() };
                assert_eq!(kept, owned.then_some(&expected), "its last word stands");
            }
        }
    }

    /// While only passing failures keep it from being ready, `Ready` goes on saying why it was not.
    #[test]
    fn passing_failures_leave_the_last_word_on_why_it_is_not_ready() {
        let layers = PerLayer { bucket: Some(LayerStatus::Unchanged), ..PerLayer::default() };
        let verdict = Outcome { layers, ..Outcome::default() };
        let accepted = said(ConditionType::Accepted, "False", "SpecInvalid", "another condition's");
        let looking = ("False", "Progressing", "Looking at what exists in AWS");
        for (status, reason, message, expected) in [
            ("False", "Denied", "no", ("False", "Denied", "no")),
            ("Unknown", "Denied", "no", ("False", "Denied", "no")),
            ("False", "SomethingOld", "no", ("False", "Progressing", "no")),
            ("True", "Ready", "all is well", looking),
        ] {
            let before = [accepted.clone(), said(ConditionType::Ready, status, reason, message)];
            let conditions = verdict.conditions(&before, 1, &at(2));
            assert_eq!(told(&conditions, ConditionType::Ready), Some(expected));
        }
        let conditions = verdict.conditions(&[accepted], 1, &at(2));
        assert_eq!(told(&conditions, ConditionType::Ready), Some(looking));
    }

    /// The time is that of the last change of status; the message stays where only a request id differs.
    #[test]
    fn a_condition_keeps_its_time_with_its_status_and_its_message_without_news() {
        let before = said(ConditionType::KeyReady, "False", "Creating", "it comes (request 1)");
        let elsewhere = said(ConditionType::BucketReady, "True", "Ready", "The key matches the spec");
        for (standing, message, time) in [
            (waiting(Reason::Creating, "it comes (request 2)"), "it comes (request 1)", 1),
            (waiting(Reason::Creating, "it comes at last (request 2)"), "it comes at last (request 2)", 1),
            (waiting(Reason::Updating, "it comes (request 2)"), "it comes (request 2)", 1),
            (stalled(Reason::Creating, "it comes (request 2)"), "it comes (request 1)", 1),
            (LayerStatus::WaitingFor(Layer::Role), "The key waits for the role", 2),
            (LayerStatus::Ready, "The key matches the spec", 2),
        ] {
            let layers = PerLayer { key: Some(standing.clone()), ..PerLayer::default() };
            let verdict = Outcome { layers, ..Outcome::default() };
            let conditions = verdict.conditions(&[elsewhere.clone(), before.clone()], 1, &at(2));
            let key = conditions.iter().find(|condition| condition.type_ == "KeyReady").unwrap();
            assert_eq!(
                (key.message.as_str(), &key.last_transition_time),
                (message, &at(time)),
                "{standing:?}"
            );
        }
        // The same words with another status are told at once.
        let before = said(ConditionType::KeyReady, "True", "Creating", "it comes (request 1)");
        let layers =
            PerLayer { key: Some(waiting(Reason::Creating, "it comes (request 2)")), ..PerLayer::default() };
        let conditions = Outcome { layers, ..Outcome::default() }.conditions(&[before], 1, &at(2));
        let expected = ("False", "Creating", "it comes (request 2)");
        assert_eq!(told(&conditions, ConditionType::KeyReady), Some(expected));
    }

    #[test]
    fn a_request_id_is_no_news() {
        for (message, expected) in [
            ("", ""),
            ("nothing to hide (at all)", "nothing to hide (at all)"),
            ("denied (request R1)", "denied"),
            ("denied (request R1). Allow it", "denied. Allow it"),
            ("one (request R1); two (request R2) and three", "one; two and three"),
            ("cut off (request R1", "cut off"),
            ("no (requested) id", "no (requested) id"),
        ] {
            assert_eq!(news(message), expected);
        }
    }
}
