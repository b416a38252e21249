//! A collection with the two policies of its name: what it should be, what AWS says it is, and what is still to do.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{CollectionHandle, lets_bedrock_in, network};
use crate::api::CollectionSettings;
use crate::stack::compare::{carries, differing, same};
use crate::stack::foreign::Foreign;
use crate::stack::identity::Identity;

/// A collection and its two policies, which carry its name.
#[derive(Clone, Debug, PartialEq)]
pub struct DesiredCollection {
    /// The collection's name.
    pub name: String,
    /// The owner's tags.
    pub tags: BTreeMap<String, String>,
    /// Replicas and network.
    pub settings: CollectionSettings,
    /// The key; `None` = AWS's own.
    pub key_arn: Option<String>,
}

/// A collection and the two policies of its name.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct CollectionFacts {
    /// The encryption policy.
    pub encryption: Option<PolicyFacts>,
    /// The network policy.
    pub network: Option<PolicyFacts>,
    /// The collection itself; absent until both policies stand.
    pub collection: Option<CollectionDetail>,
    /// A policy of our name that is somebody else's.
    pub foreign: Option<Foreign>,
}

impl CollectionFacts {
    /// Whether anything of it is ours.
    pub fn has_any(&self) -> bool {
        self.encryption.is_some() || self.network.is_some() || self.collection.is_some()
    }
}

/// A policy of OpenSearch Serverless.
#[derive(Clone, Debug, PartialEq)]
pub struct PolicyFacts {
    /// What it says.
    pub document: Value,
    /// Its version: the lock of an update.
    pub version: String,
    /// Where policies carry what other resources have as tags.
    pub description: String,
}

impl PolicyFacts {
    /// Whether its description, which stands for its tags, says what it should.
    pub fn describes(&self, wanted: &BTreeMap<String, String>) -> bool {
        self.description == Identity::description(wanted)
    }
}

/// What BatchGetCollection says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CollectionDetail {
    /// Its id.
    pub id: String,
    /// Its ARN.
    pub arn: String,
    /// `CREATING`, `ACTIVE`, `DELETING`, `FAILED`, …
    pub status: String,
    /// The OpenSearch endpoint, once active.
    pub endpoint: Option<String>,
    /// The key, where it is a customer's.
    pub kms_key_arn: Option<String>,
    /// Whether it has copies in other zones: `ENABLED` or `DISABLED`.
    pub standby_replicas: String,
    /// Why it failed, if it did.
    pub failure: Option<String>,
    /// All tags.
    pub tags: BTreeMap<String, String>,
}

impl CollectionDetail {
    /// How one gets at it.
    pub fn handle(&self) -> CollectionHandle {
        CollectionHandle { arn: self.arn.clone(), endpoint: self.endpoint.clone() }
    }

    /// Whether it answers calls about its indexes.
    pub fn is_active(&self) -> bool {
        self.status == "ACTIVE"
    }
}

/// Something of a collection that differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CollectionChange {
    /// The encryption policy is missing, or its description differs; what it says cannot: a collection's key does not
    /// change.
    Encryption,
    /// The network policy or its description is missing or differs.
    Network,
    /// There is no collection yet.
    Create,
    /// A tag of ours or of the user's is missing or differs.
    Tags,
    /// It is not ACTIVE.
    NotActive,
}

impl DesiredCollection {
    /// What differs between a collection with its policies and these.
    pub fn changes(&self, facts: &CollectionFacts) -> Vec<CollectionChange> {
        use CollectionChange::{Create, Encryption, Network, NotActive, Tags};
        let CollectionFacts { encryption, network: found, collection, .. } = facts;
        let wanted = network(&self.name, &self.settings.network);
        let described = |policy: &PolicyFacts| policy.describes(&self.tags);
        let says = |policy: &PolicyFacts| described(policy) && same(&policy.document, &wanted);
        differing([
            (Encryption, encryption.as_ref().is_some_and(described)),
            (Network, found.as_ref().is_some_and(says)),
            (Tags, collection.as_ref().is_none_or(|it| carries(&it.tags, &self.tags))),
            (Create, collection.is_some()),
            (NotActive, collection.as_ref().is_none_or(CollectionDetail::is_active)),
        ])
    }
}

impl CollectionChange {
    /// As a sentence names it; `None` for what AWS does, and nobody puts right.
    pub(crate) const fn words(self) -> Option<&'static str> {
        match self {
            CollectionChange::Encryption => Some("its encryption policy"),
            CollectionChange::Network => Some("its network policy"),
            CollectionChange::Create => Some("it was gone"),
            CollectionChange::Tags => Some("its tags"),
            CollectionChange::NotActive => None,
        }
    }

    /// Whether what differs keeps nobody from being answered.
    pub(crate) fn lets_answers_be(self, facts: &CollectionFacts) -> bool {
        match self {
            CollectionChange::Encryption | CollectionChange::Tags => true,
            CollectionChange::Network => {
                facts.network.as_ref().is_some_and(|found| lets_bedrock_in(&found.document))
            }
            CollectionChange::Create | CollectionChange::NotActive => false,
        }
    }
}
