//! The way back: in which order a stack is taken apart.
//!
//! Bedrock comes first, while everything it leans on still stands; then what held the vectors; then who could touch
//! them; documents and keys last. Layers of one wave share nothing and go side by side.

use crate::api::{DeletionPolicy, Layer};

/// The layers in the order of their teardown.
pub const WAVES: &[&[Layer]] = &[
    &[Layer::KnowledgeBase],
    &[Layer::Index],
    &[Layer::Collection, Layer::Role, Layer::Bucket],
    &[Layer::Key],
];

/// What a deletion does to a stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Everything stays; a marker says who left it.
    Stays,
    /// The documents stay, with the key that they are encrypted with and a marker; what answers from them goes.
    DocumentsStay,
    /// Everything goes.
    Goes,
}

impl Fate {
    /// Whether a layer stays.
    pub const fn keeps(self, layer: Layer) -> bool {
        match self {
            Fate::Stays => true,
            Fate::DocumentsStay => matches!(layer, Layer::Bucket | Layer::Key),
            Fate::Goes => false,
        }
    }
}

/// Deletion's outcome. A policy that is missing, or that this version cannot read, keeps what is there: it must never
/// cost anybody their documents.
pub fn fate(policy: Option<&DeletionPolicy>) -> Fate {
    match policy {
        Some(DeletionPolicy::Delete) => Fate::Goes,
        Some(DeletionPolicy::RetainDocuments) => Fate::DocumentsStay,
        Some(DeletionPolicy::Retain) | None => Fate::Stays,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_layer_goes_exactly_once_and_after_what_is_built_on_it() {
        let order: Vec<Layer> = WAVES.iter().flat_map(|wave| wave.iter().copied()).collect();
        let mut sorted = order.clone();
        sorted.sort();
        assert_eq!(sorted, Layer::ALL);
        let wave_of = |layer: &Layer| WAVES.iter().position(|wave| wave.contains(layer));
        for layer in Layer::ALL {
            for needed in super::super::plan::needs(layer) {
                // The data access policy outlives its index, and the key outlives what it encrypts.
                assert!(wave_of(&layer) < wave_of(needed), "{layer:?} before {needed:?}");
            }
        }
    }

    #[test]
    fn only_delete_deletes() {
        assert_eq!(fate(Some(&DeletionPolicy::Delete)), Fate::Goes);
        assert_eq!(fate(Some(&DeletionPolicy::Retain)), Fate::Stays);
        assert_eq!(fate(Some(&DeletionPolicy::RetainDocuments)), Fate::DocumentsStay);
        assert_eq!(fate(None), Fate::Stays);
        for layer in Layer::ALL {
            assert!(Fate::Stays.keeps(layer) && !Fate::Goes.keeps(layer));
        }
        let kept: Vec<_> = Layer::ALL.into_iter().filter(|layer| Fate::DocumentsStay.keeps(*layer)).collect();
        assert_eq!(kept, [Layer::Key, Layer::Bucket], "documents that nobody can decrypt are not kept");
    }
}
