//! What is gone from AWS with data in it: a bucket or a vector store that stood once and stands no more. It is not made
//! anew, empty, as if nothing had been in it: a person decides.

use std::time::Duration;

use super::stack::Stack;
use crate::api::{ConditionType, Layer, Reason};
use crate::stack::approval;
use crate::stack::model::desired::Desired;
use crate::stack::model::observed::Observation;
use crate::stack::model::outcome::LayerStatus;
use crate::stack::model::progress::STALLED;
use crate::stack::store::{StoreHandle, features};

/// The layers that hold what cannot be made again.
const WITH_DATA: [Layer; 2] = [Layer::Bucket, Layer::VectorStore];

/// How soon to look once more at what seems to be gone: one answer may be wrong.
const ONCE_MORE: Duration = Duration::from_secs(5);

/// A layer that is lost.
pub struct Loss {
    /// Which.
    pub layer: Layer,
    /// What follows.
    pub decision: LossDecision,
}

/// What follows from a loss.
pub enum LossDecision {
    /// Somebody has approved that it is made anew.
    Approved,
    /// It waits: what to say of it, and when to look again.
    Waits(LayerStatus, Duration),
}

/// What is lost.
pub fn losses(stack: &Stack<'_>, desired: &Desired, observed: &Observation) -> Vec<Loss> {
    WITH_DATA
        .into_iter()
        .filter(|layer| desired.owns(*layer))
        .filter_map(|layer| loss(stack, observed, layer))
        .collect()
}

fn loss(stack: &Stack<'_>, observed: &Observation, layer: Layer) -> Option<Loss> {
    let lost = match layer {
        Layer::Bucket => stack
            .status
            .bucket
            .as_ref()
            .filter(|_| observed.bucket.is_absent())
            .map(|bucket| format!("Bucket {bucket} is gone, and all documents in it")),
        _ => {
            let gone = observed.store().is_none() && observed.foreign_of(layer).is_none();
            let known = StoreHandle::of_status(stack.status).filter(|_| gone);
            known.map(|it| {
                format!("{} {} is gone, and all vectors in it", features(it.kind()).title, it.arn())
            })
        }
    }?;
    let said = stack.status.condition(ConditionType::of(layer)).filter(|it| it.status == "False");
    let Some(said) = said else {
        let message = format!("{lost}. Checking once more");
        // What it is to be told of is not known yet: the next look has the code.
        let status = LayerStatus::Waiting(Reason::DataLost, message);
        return Some(Loss { layer, decision: LossDecision::Waits(status, ONCE_MORE) });
    };
    // Since when it is not ready tells this loss from every other.
    let since = said.last_transition_time.0.to_string();
    let code = approval::code(&stack.id.uid, Reason::DataLost, &[&lost, &since]);
    if stack.approved == Some(code.as_str()) {
        return Some(Loss { layer, decision: LossDecision::Approved });
    }
    let message = format!(
        "{lost}. Nothing is created again and no job runs, because that could overwrite what can still be restored. {}: it is then \
         made anew, empty, and what is left is embedded again",
        approval::ask(&code, stack.approved)
    );
    let status = LayerStatus::Stalled(Reason::DataLost, message);
    Some(Loss { layer, decision: LossDecision::Waits(status, STALLED) })
}
