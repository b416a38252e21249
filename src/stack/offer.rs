//! What a SharedStack lends: the ids in its status, while the layer behind each is whole.

use serde::Serialize;

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
    /// A short hash of everything lent: borrowers wake when it changes, and only then.
    pub fn hash(&self) -> String {
        crate::stack::hash::fingerprint(&serde_json::to_string(self).unwrap_or_default())
    }
}

/// The id at the end of a collection's ARN.
pub fn collection_id(arn: &str) -> Option<String> {
    arn.rsplit_once('/').map(|(_, id)| id.to_string())
}
