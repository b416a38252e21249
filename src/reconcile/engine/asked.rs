//! What a pass has asked AWS for: AWS may show late what it has done at once, and the same is not asked for twice in a pass.

use crate::api::{Layer, PerLayer};
use crate::stack::fault::Fault;
use crate::stack::model::desired::Desired;
use crate::stack::model::observed::Observation;
use crate::stack::model::progress::Progress;

/// The steps of a pass.
#[derive(Default)]
pub struct Asked(Vec<Step>);

/// What was wanted and seen before steps were taken, and what they came to. The changes of a layer follow from both.
struct Step {
    desired: Desired,
    observed: Observation,
    answers: PerLayer<Option<Progress>>,
}

impl Asked {
    /// What AWS answered in this pass when it was asked for the same changes of a layer.
    pub fn answer(&self, desired: &Desired, observed: &Observation, layer: Layer) -> Option<&Progress> {
        let same = |step: &&Step| is_same((&step.desired, &step.observed), (desired, observed), layer);
        self.0
            .iter()
            .find(|step| step.answers.get(layer).is_some() && same(step))?
            .answers
            .get(layer)
            .as_ref()
    }

    /// What steps came to. A failure is no answer: whether it is tried again is not decided here.
    pub fn note(
        &mut self,
        desired: &Desired,
        observed: &Observation,
        results: &[(Layer, Result<Progress, Fault>)],
    ) {
        let mut answers = PerLayer::default();
        for (layer, result) in results {
            *answers.get_mut(*layer) = result.as_ref().ok().cloned();
        }
        self.0.push(Step { desired: desired.clone(), observed: observed.clone(), answers });
    }
}

/// Whether the changes of a layer are the same.
fn is_same(one: (&Desired, &Observation), other: (&Desired, &Observation), layer: Layer) -> bool {
    let ((want, seen), (wanted, saw)) = (one, other);
    match layer {
        Layer::Key => (&want.key, &seen.key) == (&wanted.key, &saw.key),
        Layer::Bucket => (&want.bucket, &seen.bucket) == (&wanted.bucket, &saw.bucket),
        Layer::VectorStore => {
            (&want.vector_store, &seen.vector_store) == (&wanted.vector_store, &saw.vector_store)
        }
        Layer::Index => {
            (&want.index, &seen.index, &seen.index_asked) == (&wanted.index, &saw.index, &saw.index_asked)
        }
        Layer::Role => (&want.role, &seen.role) == (&wanted.role, &saw.role),
        Layer::KnowledgeBase => {
            (&want.knowledge_base, &seen.knowledge_base) == (&wanted.knowledge_base, &saw.knowledge_base)
        }
    }
}
