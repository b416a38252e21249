//! What a pass over the layers came to.

use std::time::Duration;

use crate::api::{Layer, PerLayer};
use crate::stack::fault::Fault;
use crate::stack::model::outcome::{LayerStatus, Outcome};

/// How the layers stand, and when to look again.
#[derive(Default)]
pub struct Passed {
    /// How each owned layer stands.
    pub layers: PerLayer<Option<LayerStatus>>,
    /// Whether the stack can go on: not if something with our name is not ours.
    pub outcome: Outcome,
    /// When to look again.
    pub look_again: Option<Duration>,
    /// A passing failure: backoff decides when to look again.
    pub fault: Option<Fault>,
    /// What is to be told besides.
    pub news: News,
    /// Whether what AWS was asked for is done already, so that the next step can follow.
    pub at_once: bool,
}

impl Passed {
    /// The steps that followed at once: they have the last word, and all news are told.
    pub fn then(self, next: Passed) -> Self {
        let News { adopts, mut drift, mut approved_loss } = self.news;
        drift.extend(next.news.drift);
        approved_loss.extend(next.news.approved_loss);
        let news = News { adopts: adopts || next.news.adopts, drift, approved_loss };
        // Where the last look did not come to a word, the one before it stands.
        let layers = next.layers.map(|layer, status| match status {
            Some(LayerStatus::Unchanged) => self.layers.get(layer).clone(),
            status => status,
        });
        Passed { news, layers, ..next }
    }
}

/// What a pass did that somebody should know of.
#[derive(Default)]
pub struct News {
    /// Whether it takes over what an earlier object of the same name left behind.
    pub adopts: bool,
    /// What somebody else had changed of layers that were whole, in words. It is put right.
    pub drift: Vec<String>,
    /// What was lost, and is made anew because somebody has approved it.
    pub approved_loss: Vec<Layer>,
}
