//! The conditions of an object, worked out from what a pass has to report.
//!
//! What needs a person is `Stalled`; what resolves itself is `Reconciling`; `Ready` sums up and is never True while
//! the object is leaving.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use super::blocked::Blocked;
use super::layer_status::LayerStatus;
use super::outcome::{Cause, Documents, FALSE, Leaving, Model, Outcome, Report, TRUE, UNKNOWN, status};
use crate::api::{ConditionType, Reason, Severity, condition};

/// A condition before it has a time.
struct Draft {
    kind: ConditionType,
    status: &'static str,
    reason: Reason,
    message: String,
}

fn draft(kind: ConditionType, status: &'static str, reason: Reason, message: impl Into<String>) -> Draft {
    Draft { kind, status, reason, message: message.into() }
}

impl Report {
    /// The conditions that follow, in the order of the documentation. A status that did not change keeps its time.
    pub fn conditions(&self, previous: &[Condition], generation: i64, now: &Time) -> Vec<Condition> {
        let leaving = self.outcome.leaving().is_some();
        let mut drafts = self.summary(previous);
        drafts.extend(self.details(previous));
        let said = |kind: &ConditionType| condition::find(previous, *kind);
        let (kept, new): (Vec<_>, Vec<_>) =
            self.unchanged().into_iter().partition(|kind| said(kind).is_some());
        let model = (self.model.is_none() && !leaving).then_some(ConditionType::ModelCurrent);
        let kept: Vec<_> = kept
            .iter()
            .chain(&model)
            .filter_map(said)
            .map(|condition| Condition { observed_generation: Some(generation), ..condition.clone() })
            .collect();
        if !leaving {
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
        match &self.outcome {
            Outcome::Leaving(Leaving { stalled, reason, message, .. }) => {
                Some((*stalled, *reason, message.clone()))
            }
            Outcome::Blocked { why, .. } => Some((true, why.reason, why.message.clone())),
            Outcome::Refused(why) | Outcome::Withheld(why) => {
                Some((why.reason.severity() == Severity::Stalled, why.reason, why.message.clone()))
            }
            Outcome::Layers { transient, reindexing, .. } => {
                self.trouble_of_layers(transient.as_ref(), reindexing.as_ref(), previous)
            }
        }
    }

    /// The worst of what the layers, and what is borrowed, say.
    fn trouble_of_layers(
        &self,
        transient: Option<&Cause>,
        reindexing: Option<&Cause>,
        previous: &[Condition],
    ) -> Option<(bool, Reason, String)> {
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
        let by_itself = |cause: &Cause| (false, cause.0, cause.1.clone());
        let is_ready = self.is_ready(previous);
        // What keeps failing is the news, whatever else is waited for.
        let transient = || transient.filter(|_| !is_ready || reindexing.is_some()).map(by_itself);
        stalled.or_else(transient).or_else(waiting).or_else(|| reindexing.map(by_itself)).or_else(|| {
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
            None if self.change.is_some() => self.ready_but_for_a_change(),
            None => vec![
                draft(Ready, TRUE, Reason::Ready, "The stack is ready to query"),
                match self.outcome.transient().cloned().or_else(|| self.meanwhile(previous)) {
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
        drafts.extend(match &self.outcome {
            Outcome::Refused(why) => Some(draft(Accepted, FALSE, why.reason, why.message.clone())),
            Outcome::Withheld(why) => Some(draft(Accepted, UNKNOWN, why.reason, why.message.clone())),
            Outcome::Blocked { undecided: true, .. } | Outcome::Layers { undecided: true, .. } => {
                Some(draft(Accepted, UNKNOWN, Reason::Progressing, "Not decided yet"))
            }
            Outcome::Blocked { .. } | Outcome::Layers { .. } if self.change.is_some() => {
                self.change.as_ref().map(|why| draft(Accepted, FALSE, why.reason, why.message.clone()))
            }
            Outcome::Blocked { .. } | Outcome::Layers { .. } => {
                Some(draft(Accepted, TRUE, Reason::Accepted, "The spec is valid and is being applied"))
            }
            Outcome::Leaving(_) => None,
        });
        drafts
    }

    /// All stands as it was accepted, and something else that the spec asks for is refused.
    fn ready_but_for_a_change(&self) -> Vec<Draft> {
        use ConditionType::{Ready, Reconciling, Stalled};
        let Some(Blocked { reason, message }) = &self.change else { return Vec::new() };
        let needs_person = reason.severity() == Severity::Stalled;
        let (reconciling, stalled) = if needs_person { (FALSE, TRUE) } else { (TRUE, FALSE) };
        vec![
            draft(Ready, TRUE, Reason::Ready, "The stack is ready to query, as it was accepted before"),
            draft(Reconciling, reconciling, *reason, message.clone()),
            draft(Stalled, stalled, *reason, message.clone()),
        ]
    }

    fn details(&self, previous: &[Condition]) -> Vec<Draft> {
        let leaving = self.outcome.leaving();
        let mut drafts = Vec::new();
        for (layer, standing) in self.layers.iter() {
            let kind = ConditionType::of(layer);
            if leaving.is_some() && condition::find(previous, kind).is_none() {
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
            drafts.push(draft(ConditionType::ModelCurrent, status(*current), *reason, message.clone()));
        }
        drafts.extend(self.registered.as_ref().and_then(|standing| match standing {
            LayerStatus::Ready => {
                let message = "The registry item is up to date";
                Some(draft(ConditionType::Registered, TRUE, Reason::Registered, message))
            }
            other => detail(ConditionType::Registered, other, "The registry's item"),
        }));
        if let Some(leaving) = leaving.filter(|leaving| leaving.blocked) {
            drafts.push(draft(ConditionType::DeletionBlocked, TRUE, leaving.reason, leaving.message.clone()));
        }
        drafts
    }

    /// Conditions whose last word stands.
    fn unchanged(&self) -> Vec<ConditionType> {
        let leaving = self.outcome.leaving().is_some();
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
    Condition {
        type_: kind.to_string(),
        status: status.to_string(),
        reason: reason.to_string(),
        message,
        observed_generation: Some(generation),
        last_transition_time: same_status
            .map_or_else(|| now.clone(), |before| before.last_transition_time.clone()),
    }
}

#[cfg(test)]
mod tests;
