//! How a layer, or all that is borrowed, stands after a pass.

use std::time::Duration;

use super::blocked::Blocked;
use super::progress::{PROPAGATION, Progress, deadline};
use crate::api::{Layer, Reason, Severity};
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

#[cfg(test)]
mod tests {
    use super::*;

    fn waiting(reason: Reason, message: &str) -> LayerStatus {
        LayerStatus::Waiting(reason, message.into())
    }

    fn stalled(reason: Reason, message: &str) -> LayerStatus {
        LayerStatus::Stalled(reason, message.into())
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
            assert!(text.contains("AWS says so") && !text.contains("R1"), "{text}");
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
}
