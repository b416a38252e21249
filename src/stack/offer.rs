//! What a SharedStack lends: the ids in its status, while the layer behind each is whole.

use serde::Serialize;

use super::identity::Identity;
use super::model::observed::CollectionDetail;
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
    /// The shared collection, by the name that policies use,
    pub collection_name: String,
    /// by ARN,
    pub collection_arn: String,
    /// and its endpoint.
    pub collection_endpoint: Option<String>,
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
    /// What a teardown needs to know of a SharedStack that may be gone, without its status: where its collection is.
    pub fn of_collection(stack: &Identity, collection: CollectionDetail) -> Self {
        Self {
            stack: String::new(),
            uid: stack.uid.clone(),
            bucket: stack.name(Layer::Bucket),
            collection_name: stack.name(Layer::VectorStore),
            collection_arn: collection.arn,
            collection_endpoint: collection.endpoint,
            kms_key_arn: None,
            pool: None,
        }
    }

    /// A short hash of everything lent: borrowers wake when it changes, and only then.
    pub fn hash(&self) -> String {
        crate::stack::hash::fingerprint(&serde_json::to_string(self).unwrap_or_default())
    }
}

/// The id at the end of a collection's ARN.
pub fn collection_id(arn: &str) -> Option<String> {
    arn.rsplit_once('/').map(|(_, id)| id.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stack::model::ideal;

    #[test]
    fn the_hash_changes_with_everything_that_is_lent() {
        type Change = fn(&mut Offer);
        fn pool(offer: &mut Offer) -> &mut PoolOffer {
            offer.pool.as_mut().unwrap()
        }
        let changes: [(&str, Change); 15] = [
            ("nothing", |_| ()),
            ("stack", |it| it.stack.push('x')),
            ("uid", |it| it.uid.push('x')),
            ("bucket", |it| it.bucket.push('x')),
            ("collection's name", |it| it.collection_name.push('x')),
            ("collection's ARN", |it| it.collection_arn.push('x')),
            ("endpoint", |it| it.collection_endpoint = None),
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

    #[test]
    fn a_collections_id_is_the_end_of_its_arn() {
        let arn = "arn:aws:aoss:eu-central-1:123456789012:collection/07tjusf2h91cunochc";
        assert_eq!(collection_id(arn).as_deref(), Some("07tjusf2h91cunochc"));
        assert_eq!(collection_id("a/b/c").as_deref(), Some("c"));
        assert_eq!(collection_id("arn:aws:aoss"), None);
    }
}
