//! What a SharedStack lends: the ids in its status, while the layer behind each is whole.

use serde::Serialize;

use super::identity::Identity;
use super::store::{StoreHandle, StoreRef};
use crate::api::Layer;

/// A SharedStack's loan to its borrowers, read from its status.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Offer {
    /// The SharedStack's name.
    pub stack: String,
    /// Its uid.
    pub uid: String,
    /// The shared bucket.
    pub bucket: String,
    /// The shared vector store, by the name that policies use,
    pub store_name: String,
    /// and how one gets at it.
    pub store: StoreHandle,
    /// The key that encrypts both, if it is a customer key.
    pub kms_key_arn: Option<String>,
    /// The shared knowledge base, where the stack has a pool and all of it is up.
    pub pool: Option<PoolOffer>,
}

/// The part of an offer that Pool tenants use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PoolOffer {
    /// The knowledge base to ask.
    pub knowledge_base_id: String,
    /// Its ARN.
    pub knowledge_base_arn: String,
    /// Its data source.
    pub data_source_id: String,
    /// The index behind it.
    pub index_name: String,
    /// The role it runs as.
    pub role_arn: String,
    /// The metadata key of the tenant filter.
    pub tenant_id_key: String,
}

impl Offer {
    /// What a teardown needs to know of a SharedStack that may be gone, without its status: where its vector store is.
    pub fn of_store(stack: &Identity, store: StoreHandle) -> Self {
        Self {
            stack: String::new(),
            uid: stack.uid.clone(),
            bucket: stack.name(Layer::Bucket),
            store_name: stack.name(Layer::VectorStore),
            store,
            kms_key_arn: None,
            pool: None,
        }
    }

    /// A short hash of everything lent: borrowers wake when it changes, and only then.
    pub fn hash(&self) -> String {
        crate::stack::hash::fingerprint(&serde_json::to_string(self).unwrap_or_default())
    }

    /// The shared vector store.
    pub fn store_ref(&self) -> StoreRef {
        StoreRef { kind: self.store.kind(), name: self.store_name.clone(), handle: Some(self.store.clone()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stack::model::ideal;
    use crate::stack::store::opensearch::CollectionHandle;

    #[test]
    fn the_hash_changes_with_everything_that_is_lent() {
        type Change = fn(&mut Offer);
        fn pool(offer: &mut Offer) -> &mut PoolOffer {
            offer.pool.as_mut().unwrap()
        }
        fn collection(offer: &mut Offer) -> &mut CollectionHandle {
            match &mut offer.store {
                StoreHandle::OpenSearchServerless(collection) => collection,
                other => panic!("no collection: {other:?}"),
            }
        }
        let changes: [(&str, Change); 15] = [
            ("nothing", |_| ()),
            ("stack", |it| it.stack.push('x')),
            ("uid", |it| it.uid.push('x')),
            ("bucket", |it| it.bucket.push('x')),
            ("store's name", |it| it.store_name.push('x')),
            ("store's ARN", |it| collection(it).arn.push('x')),
            ("endpoint", |it| collection(it).endpoint = None),
            ("key", |it| it.kms_key_arn = Some("arn:aws:kms:x".into())),
            ("pool", |it| it.pool = None),
            ("knowledge base's id", |it| pool(it).knowledge_base_id.push('x')),
            ("knowledge base's ARN", |it| pool(it).knowledge_base_arn.push('x')),
            ("data source", |it| pool(it).data_source_id.push('x')),
            ("index", |it| pool(it).index_name.push('x')),
            ("role", |it| pool(it).role_arn.push('x')),
            ("tenant key", |it| pool(it).tenant_id_key.push('x')),
        ];
        let lent = ideal::lent_by("standard");
        let mut hashes = Vec::new();
        for (what, change) in changes {
            let mut offer = lent.clone();
            change(&mut offer);
            let hash = offer.hash();
            assert!(hash.len() == 12 && hash.bytes().all(|b| b.is_ascii_hexdigit()), "{hash}");
            assert!(!hashes.contains(&hash), "the {what} changes and nobody wakes");
            hashes.push(hash);
        }
        assert_eq!(lent.hash(), hashes[0], "nobody wakes for nothing");
    }
}
