//! A collection with the two policies of its name: what it should be, what AWS says it is, and what is still to do.

use std::collections::BTreeMap;

use super::super::capacity::{Capacity, idle_units};
use super::super::change::{Fixed, StoreChange};
use super::{CollectionHandle, PolicyFacts, lets_bedrock_in, network};
use crate::api::{CollectionSettings, Layer, NetworkSettings, StandbyReplicas};
use crate::stack::compare::{carries, differing, in_yaml, same};
use crate::stack::foreign::Foreign;
use crate::stack::iam::operation::{Operation, aoss};

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

    /// The tags of each of the three that is there.
    pub(crate) fn tags(&self) -> Vec<BTreeMap<String, String>> {
        let policies = [&self.encryption, &self.network].into_iter().flatten().map(PolicyFacts::tags);
        policies.chain(self.collection.as_ref().map(|it| it.tags.clone())).collect()
    }

    /// Each of the three that is there, in the order in which they go.
    pub(crate) fn things(&self, name: &str) -> Vec<(&'static str, String)> {
        let things = [
            self.collection.as_ref().map(|it| (Layer::VectorStore.words(), it.arn.clone())),
            self.network.as_ref().map(|_| ("network policy", name.into())),
            self.encryption.as_ref().map(|_| ("encryption policy", name.into())),
        ];
        things.into_iter().flatten().collect()
    }

    /// At the most: collections under the same key share what they take.
    pub(crate) fn idle_units(&self) -> f64 {
        let disabled = StandbyReplicas::Disabled.in_aws();
        self.collection.as_ref().map_or(0.0, |it| idle_units(it.standby_replicas != disabled))
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

    /// Whether AWS is making it.
    pub fn is_being_made(&self) -> bool {
        self.status == "CREATING"
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

impl DesiredCollection {
    /// What never changes of a collection that is there. One that is being made does not say its key yet.
    pub(crate) fn fixed(&self, facts: &CollectionFacts) -> Vec<Fixed> {
        let key = |arn: &Option<String>| arn.clone().unwrap_or_else(|| "AWS's own".into());
        let Some(found) = &facts.collection else { return Vec::new() };
        let replicas = Fixed {
            setting: "collection.standbyReplicas",
            has: StandbyReplicas::of_aws(&found.standby_replicas).map(|it| in_yaml(&it)),
            wanted: in_yaml(&self.settings.standby_replicas),
        };
        let key = found.is_active().then(|| Fixed {
            setting: "the collection's key",
            has: Some(key(&found.kms_key_arn)),
            wanted: key(&self.key_arn),
        });
        [replicas].into_iter().chain(key).collect()
    }

    /// Whether it lets in AWS's own services only.
    pub(crate) fn is_shut(&self) -> bool {
        matches!(&self.settings.network, NetworkSettings::Private { vpc_endpoint_ids } if vpc_endpoint_ids.is_empty())
    }

    /// What it will run on.
    pub(crate) fn capacity(&self, key: String) -> Capacity {
        Capacity { key, standby_replicas: self.settings.standby_replicas == StandbyReplicas::Enabled }
    }
}

impl CollectionChange {
    /// As whoever knows no collection asks of it.
    pub(crate) fn told(self, facts: &CollectionFacts) -> StoreChange {
        StoreChange { words: self.words(), lets_answers_be: self.lets_answers_be(facts), call: self.call() }
    }

    /// The call that puts it right where there was nothing, and what that makes.
    const fn call(self) -> Option<(Operation, &'static str)> {
        match self {
            CollectionChange::Encryption => Some((aoss::CreateSecurityPolicy, "encryption policy")),
            CollectionChange::Network => Some((aoss::CreateSecurityPolicy, "network policy")),
            CollectionChange::Create => Some((aoss::CreateCollection, "collection")),
            CollectionChange::Tags => Some((aoss::TagResource, "collection")),
            CollectionChange::NotActive => None,
        }
    }

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
    fn lets_answers_be(self, facts: &CollectionFacts) -> bool {
        match self {
            CollectionChange::Encryption | CollectionChange::Tags => true,
            CollectionChange::Network => {
                facts.network.as_ref().is_some_and(|found| lets_bedrock_in(&found.document))
            }
            CollectionChange::Create | CollectionChange::NotActive => false,
        }
    }
}
