//! The way back: in which order a stack is taken apart.
//!
//! A layer goes when all that was built on it is gone: Bedrock first, while everything it leans on still stands; then
//! what held the vectors; then who could touch them; a key last. Layers that share nothing go side by side, and one
//! that is stuck holds up only what it stands on.

use crate::api::{DeletionPolicy, Layer, VectorStore};
use crate::stack::store::needs;

/// The layers, each before all that it was built on.
pub(crate) const ORDER: [Layer; 6] =
    [Layer::KnowledgeBase, Layer::Index, Layer::VectorStore, Layer::Role, Layer::Bucket, Layer::Key];

/// Whether `above` was built on `below`, directly or by way of others, and so goes before it. A data access policy, which
/// is the role's, thereby outlives its index, and the key what it encrypts.
pub fn is_built_on(store: VectorStore, above: Layer, below: Layer) -> bool {
    needs(store, above).iter().any(|needed| *needed == below || is_built_on(store, *needed, below))
}

/// What a deletion does to a stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OnDelete {
    /// Everything stays; a marker says who left it.
    Keep,
    /// The documents stay, with the key that they are encrypted with and a marker; what answers from them goes.
    KeepDocuments,
    /// Everything goes.
    Delete,
}

impl OnDelete {
    /// Whether a layer stays.
    pub const fn keeps(self, layer: Layer) -> bool {
        match self {
            OnDelete::Keep => true,
            OnDelete::KeepDocuments => matches!(layer, Layer::Bucket | Layer::Key),
            OnDelete::Delete => false,
        }
    }
}

/// Deletion's outcome. A policy that is missing, or that this version cannot read, keeps what is there: it must never
/// cost anybody their documents.
pub(crate) fn on_delete(policy: Option<&DeletionPolicy>) -> OnDelete {
    match policy {
        Some(DeletionPolicy::Delete) => OnDelete::Delete,
        Some(DeletionPolicy::RetainDocuments) => OnDelete::KeepDocuments,
        Some(DeletionPolicy::Retain) | None => OnDelete::Keep,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_layer_goes_exactly_once_and_after_what_is_built_on_it() {
        let mut sorted = ORDER;
        sorted.sort();
        assert_eq!(sorted, Layer::ALL);
        for (n, layer) in ORDER.into_iter().enumerate() {
            for later in &ORDER[n..] {
                for store in VectorStore::ALL {
                    assert!(!is_built_on(store, *later, layer), "{later:?} is built on {layer:?}: {store}");
                }
            }
        }
    }

    #[test]
    fn what_shares_nothing_goes_side_by_side() {
        let store = VectorStore::OpenSearchServerless;
        let before =
            |below| ORDER.into_iter().filter(|above| is_built_on(store, *above, below)).collect::<Vec<_>>();
        assert_eq!(before(Layer::KnowledgeBase), []);
        assert_eq!(before(Layer::Index), [Layer::KnowledgeBase]);
        assert_eq!(before(Layer::Bucket), [Layer::KnowledgeBase], "documents wait for no index");
        assert_eq!(before(Layer::VectorStore), [Layer::KnowledgeBase, Layer::Index]);
        assert_eq!(before(Layer::Role), [Layer::KnowledgeBase, Layer::Index]);
        assert_eq!(before(Layer::Key), ORDER[..5]);
        // No policy beside the role opens an index of S3 Vectors, and so the role does not outlive it.
        let on_s3_vectors = |below| {
            let built_on = |above: &Layer| is_built_on(VectorStore::S3Vectors, *above, below);
            ORDER.into_iter().filter(built_on).collect::<Vec<_>>()
        };
        assert_eq!(on_s3_vectors(Layer::Role), [Layer::KnowledgeBase]);
        for layer in [Layer::KnowledgeBase, Layer::Index, Layer::Bucket, Layer::VectorStore, Layer::Key] {
            assert_eq!(on_s3_vectors(layer), before(layer), "{layer}");
        }
    }

    #[test]
    fn only_delete_deletes() {
        assert_eq!(on_delete(Some(&DeletionPolicy::Delete)), OnDelete::Delete);
        assert_eq!(on_delete(Some(&DeletionPolicy::Retain)), OnDelete::Keep);
        assert_eq!(on_delete(Some(&DeletionPolicy::RetainDocuments)), OnDelete::KeepDocuments);
        assert_eq!(on_delete(None), OnDelete::Keep);
        for layer in Layer::ALL {
            assert!(OnDelete::Keep.keeps(layer) && !OnDelete::Delete.keeps(layer));
        }
        let kept: Vec<_> =
            Layer::ALL.into_iter().filter(|layer| OnDelete::KeepDocuments.keeps(*layer)).collect();
        assert_eq!(kept, [Layer::Key, Layer::Bucket], "documents that nobody can decrypt are not kept");
    }
}
