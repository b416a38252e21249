//! What a pass amounts to: the conditions of an object, worked out from how each layer stands.
//!
//! What needs a person is `Stalled`; what resolves itself is `Reconciling`; `Ready` sums up and is never True while
//! the object is leaving.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use super::blocked::Blocked;
use super::progress::{Progress, deadline};
use crate::api::{ConditionType, Layer, PerLayer, Reason, Severity};
use crate::stack::fault::{Class, Fault};

/// How a layer, or all that is borrowed, stands after a pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// As it should be.
    Whole,
    /// On its way.
    Waiting(Reason, String),
    /// Not reached, because another layer comes first.
    After(Layer),
    /// It cannot go on without a person.
    Stalled(Reason, String),
    /// Not looked at, or a passing failure that nobody needs to read of: the last word stands.
    Unchanged,
}

impl From<&Progress> for Standing {
    fn from(progress: &Progress) -> Self {
        match progress {
            Progress::Done => Standing::Whole,
            Progress::Waiting { reason, message, .. } if reason.severity() == Severity::Stalled => {
                Standing::Stalled(*reason, message.clone())
            }
            Progress::Waiting { reason, message, .. } => Standing::Waiting(*reason, message.clone()),
        }
    }
}

impl From<&Fault> for Standing {
    fn from(fault: &Fault) -> Self {
        match (fault.class.needs_person(), fault.class) {
            (Some(reason), _) => Standing::Stalled(reason, fault.to_string()),
            (None, Class::NotYet) => Standing::Waiting(Reason::NotYet, fault.to_string()),
            _ => Standing::Unchanged,
        }
    }
}

impl TryFrom<Fault> for Blocked {
    type Error = Fault;

    /// A failure that needs a person; others are given back.
    fn try_from(fault: Fault) -> Result<Self, Fault> {
        match fault.class.needs_person() {
            Some(reason) => Ok(Blocked { reason, message: fault.to_string() }),
            None => Err(fault),
        }
    }
}

impl Standing {
    /// What is still waited for when its deadline is over needs a person; it is looked at on, and goes on by itself if
    /// the cause goes away. `since` says since when the layer has not been ready.
    pub fn by_deadline(self, layer: Layer, since: Option<std::time::Duration>) -> Self {
        match self {
            Standing::Waiting(reason, message)
                if reason != Reason::WaitingForCollection
                    && since.is_some_and(|since| since > deadline(layer)) =>
            {
                let minutes = deadline(layer).as_secs() / 60;
                let message = format!("Not ready after {minutes} minutes. {message}");
                Standing::Stalled(Reason::DeadlineExceeded, message)
            }
            other => other,
        }
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
    /// What the conditions last said of the documents.
    pub fn last(conditions: &[Condition]) -> Option<Self> {
        let said = conditions.iter().find(|it| it.type_ == ConditionType::DocumentsCurrent.as_str())?;
        let current = match said.status.as_str() {
            "True" => Some(true),
            "False" => Some(false),
            _ => None,
        };
        Some(Documents { current, reason: Reason::parse(&said.reason)?, message: said.message.clone() })
    }
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
pub struct Verdict {
    /// Why the object may not be acted upon.
    pub refused: Option<Blocked>,
    /// Why the whole stack is refused: something of our name is not ours.
    pub blocked: Option<Blocked>,
    /// Every owned layer.
    pub layers: PerLayer<Option<Standing>>,
    /// All that is borrowed.
    pub borrowed: Option<Standing>,
    /// Everything stands, and yet it cannot be asked: what it would answer from is being made anew.
    pub refilling: Option<(Reason, String)>,
    /// Whether it is still open if the object may be acted upon.
    pub undecided: bool,
    /// AWS has been failing in a way that passes for so long that a person may wonder.
    pub passing: Option<(Reason, String)>,
    /// The documents.
    pub documents: Option<Documents>,
    /// The item in the registry, where there is one.
    pub registered: Option<Standing>,
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

impl Verdict {
    /// The conditions that follow, in the order of the documentation. What did not change keeps its time, and its
    /// message too where only a request id differs.
    pub fn conditions(&self, previous: &[Condition], generation: i64, now: &Time) -> Vec<Condition> {
        let mut drafts = self.summary(previous);
        drafts.extend(self.details());
        let said = |kind: &ConditionType| previous.iter().find(|c| c.type_ == kind.as_str());
        let (kept, new): (Vec<_>, Vec<_>) =
            self.unchanged().into_iter().partition(|kind| said(kind).is_some());
        let kept: Vec<_> = kept
            .iter()
            .filter_map(said)
            .map(|condition| Condition { observed_generation: Some(generation), ..condition.clone() })
            .collect();
        if self.leaving.is_none() {
            drafts.extend(new.into_iter().map(|kind| draft(kind, UNKNOWN, Reason::Progressing, "Not begun")));
        }
        let mut conditions: Vec<_> =
            drafts.into_iter().map(|draft| settle(draft, previous, generation, now)).chain(kept).collect();
        let rank = |c: &Condition| ConditionType::ALL.iter().position(|kind| kind.as_str() == c.type_);
        conditions.sort_by_key(rank);
        conditions
    }

    /// Whether `Ready` will be True.
    pub fn ready(&self, previous: &[Condition]) -> bool {
        self.trouble(previous).is_none()
    }

    /// Whether everything is as it should be, or was when it was last looked at.
    fn is_ready(&self, previous: &[Condition]) -> bool {
        let whole = |kind: ConditionType, standing: &Option<Standing>| match standing {
            None | Some(Standing::Whole) => true,
            Some(Standing::Unchanged) => {
                previous.iter().any(|said| said.type_ == kind.as_str() && said.status == TRUE)
            }
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
        let standings =
            || self.layers.iter().filter_map(|(_, standing)| standing.as_ref()).chain(self.borrowed.as_ref());
        let stalled = standings().find_map(|standing| match standing {
            Standing::Stalled(reason, message) => Some((true, *reason, message.clone())),
            _ => None,
        });
        let waiting = || {
            standings().find_map(|standing| match standing {
                Standing::Waiting(reason, message) => Some((false, *reason, message.clone())),
                _ => None,
            })
        };
        let refilling = || self.refilling.clone().map(|(reason, message)| (false, reason, message));
        stalled.or_else(waiting).or_else(refilling).or_else(|| {
            if self.is_ready(previous) {
                return None;
            }
            // Only passing failures: what was said before still stands.
            let said = previous.iter().find(|c| c.type_ == ConditionType::Ready.as_str() && c.status != TRUE);
            let reason = said.and_then(|c| Reason::parse(&c.reason)).unwrap_or(Reason::Progressing);
            let message = said.map_or_else(|| "Looking at what is there".to_string(), |c| c.message.clone());
            Some((false, reason, message))
        })
    }

    fn summary(&self, previous: &[Condition]) -> Vec<Draft> {
        use ConditionType::{Accepted, Ready, Reconciling, Stalled};
        let mut drafts = match self.trouble(previous) {
            None => vec![
                draft(Ready, TRUE, Reason::Ready, "Everything is built and can be asked"),
                match &self.passing {
                    Some((reason, message)) => draft(Reconciling, TRUE, *reason, message.clone()),
                    None => draft(Reconciling, FALSE, Reason::Ready, "Nothing is left to do"),
                },
                draft(Stalled, FALSE, Reason::Ready, "Nothing waits for a person"),
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
                None if self.undecided => draft(Accepted, UNKNOWN, Reason::Progressing, "Not decided yet"),
                None => draft(Accepted, TRUE, Reason::Accepted, "The spec is acted upon"),
            });
        }
        drafts
    }

    fn details(&self) -> Vec<Draft> {
        let mut drafts = Vec::new();
        for (layer, standing) in self.layers.iter() {
            let kind = ConditionType::of(layer);
            drafts.extend(
                standing.as_ref().and_then(|standing| detail(kind, standing, &format!("The {layer}"))),
            );
        }
        let borrowed = self.borrowed.as_ref();
        drafts.extend(borrowed.and_then(|standing| match standing {
            Standing::Whole => {
                Some(draft(ConditionType::StackReady, TRUE, Reason::Lent, "All that is borrowed is lent"))
            }
            other => detail(ConditionType::StackReady, other, "What is borrowed"),
        }));
        if let Some(Documents { current, reason, message }) = &self.documents {
            let status = current.map_or(UNKNOWN, |current| if current { TRUE } else { FALSE });
            drafts.push(draft(ConditionType::DocumentsCurrent, status, *reason, message.clone()));
        }
        drafts.extend(self.registered.as_ref().and_then(|standing| match standing {
            Standing::Whole => {
                let message = "The registry says where to ask";
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
        let layers = self
            .layers
            .iter()
            .filter(move |(_, standing)| leaving || matches!(standing, Some(Standing::Unchanged)));
        let kinds = layers.map(|(layer, _)| ConditionType::of(layer));
        let borrowed = leaving || matches!(self.borrowed, Some(Standing::Unchanged));
        let accepted = leaving.then_some(ConditionType::Accepted);
        let registered = leaving || matches!(self.registered, Some(Standing::Unchanged));
        let registered = registered.then_some(ConditionType::Registered);
        let borrowed = borrowed.then_some(ConditionType::StackReady);
        kinds.chain(borrowed).chain(accepted).chain(registered).collect()
    }
}

fn detail(kind: ConditionType, standing: &Standing, what: &str) -> Option<Draft> {
    match standing {
        Standing::Whole => Some(draft(kind, TRUE, Reason::Ready, format!("{what} is as it should be"))),
        Standing::Waiting(reason, message) => Some(draft(kind, FALSE, *reason, message.clone())),
        Standing::After(layer) => {
            Some(draft(kind, UNKNOWN, Reason::waiting_for(*layer), format!("{what} waits for the {layer}")))
        }
        Standing::Stalled(reason, message) => Some(draft(kind, FALSE, *reason, message.clone())),
        Standing::Unchanged => None,
    }
}

fn settle(draft: Draft, previous: &[Condition], generation: i64, now: &Time) -> Condition {
    let Draft { kind, status, reason, message } = draft;
    let before = previous.iter().find(|condition| condition.type_ == kind.as_str());
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
fn news(message: &str) -> String {
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

    fn building() -> Verdict {
        let mut verdict = Verdict::default();
        verdict.layers.collection =
            Some(Standing::Waiting(Reason::Creating, "Collection is CREATING (request 1)".into()));
        verdict.layers.bucket = Some(Standing::Whole);
        verdict.layers.index = Some(Standing::After(Layer::Collection));
        verdict
    }

    #[test]
    fn what_resolves_itself_is_reconciling() {
        let conditions = building().conditions(&[], 3, &at(1));
        assert_eq!(conditions[0].type_, "Ready");
        assert_eq!(status(&conditions, ConditionType::Ready), ("False", "Creating"));
        assert_eq!(status(&conditions, ConditionType::Reconciling), ("True", "Creating"));
        assert_eq!(status(&conditions, ConditionType::Stalled), ("False", "Creating"));
        assert_eq!(status(&conditions, ConditionType::IndexReady), ("Unknown", "WaitingForCollection"));
        assert_eq!(status(&conditions, ConditionType::BucketReady), ("True", "Ready"));
        assert!(conditions.iter().all(|condition| condition.observed_generation == Some(3)));
    }

    #[test]
    fn what_needs_a_person_is_stalled_with_the_same_reason() {
        let mut verdict = building();
        verdict.layers.role = Some(Standing::Stalled(Reason::Denied, "iam:CreateRole".into()));
        let conditions = verdict.conditions(&[], 1, &at(1));
        assert_eq!(status(&conditions, ConditionType::Stalled), ("True", "Denied"));
        assert_eq!(status(&conditions, ConditionType::Reconciling), ("False", "Denied"));
        assert_eq!(status(&conditions, ConditionType::Ready), ("False", "Denied"));
        let refused = Verdict {
            refused: Some(Blocked { reason: Reason::TenantIdTaken, message: "taken".into() }),
            ..Verdict::default()
        };
        let conditions = refused.conditions(&[], 1, &at(1));
        assert_eq!(status(&conditions, ConditionType::Accepted), ("False", "TenantIdTaken"));
        assert_eq!(status(&conditions, ConditionType::Stalled), ("True", "TenantIdTaken"));
    }

    #[test]
    fn only_news_changes_a_condition() {
        let first = building().conditions(&[], 1, &at(1));
        let mut again = building();
        again.layers.collection =
            Some(Standing::Waiting(Reason::Creating, "Collection is CREATING (request 2)".into()));
        assert_eq!(again.conditions(&first, 1, &at(2)), first, "another request id is no news");
        again.layers.collection = Some(Standing::Unchanged);
        let later = again.conditions(&first, 1, &at(2));
        assert_eq!(status(&later, ConditionType::CollectionReady), ("False", "Creating"));
        assert_eq!(
            status(&later, ConditionType::Ready),
            ("False", "Creating"),
            "a passing failure is no news"
        );
        again.layers.collection = Some(Standing::Whole);
        again.layers.index = Some(Standing::Whole);
        let done = again.conditions(&first, 1, &at(3));
        assert_eq!(status(&done, ConditionType::Ready), ("True", "Ready"));
        assert_eq!(done[0].last_transition_time, at(3));
        let mut failing = again.clone();
        failing.layers.bucket = Some(Standing::Unchanged);
        failing.passing = Some((Reason::Transient, "AWS answers with 503".into()));
        let still = failing.conditions(&done, 1, &at(4));
        assert_eq!(status(&still, ConditionType::Ready), ("True", "Ready"), "what was whole still counts");
        assert_eq!(status(&still, ConditionType::Reconciling), ("True", "Transient"));
        let bucket = done.iter().find(|condition| condition.type_ == "BucketReady").unwrap();
        assert_eq!(bucket.last_transition_time, at(1));
    }

    #[test]
    fn trouble_with_the_registry_leaves_ready_alone() {
        let mut verdict = Verdict { registered: Some(Standing::Unchanged), ..Verdict::default() };
        let first = verdict.conditions(&[], 1, &at(1));
        assert_eq!(status(&first, ConditionType::Registered), ("Unknown", "Progressing"));
        verdict.registered = Some(Standing::Whole);
        let told = verdict.conditions(&first, 1, &at(2));
        assert_eq!(status(&told, ConditionType::Registered), ("True", "Registered"));
        let conflict = Standing::Stalled(Reason::RegistryConflict, "not ours (request 1)".into());
        verdict.registered = Some(conflict);
        let refused = verdict.conditions(&told, 1, &at(3));
        assert_eq!(status(&refused, ConditionType::Registered), ("False", "RegistryConflict"));
        assert_eq!(status(&refused, ConditionType::Ready), ("True", "Ready"));
        assert_eq!(status(&refused, ConditionType::Stalled), ("False", "Ready"));
        assert!(verdict.ready(&told));
        verdict.registered = Some(Standing::Unchanged);
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
}
