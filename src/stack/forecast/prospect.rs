//! What an owner would be, told before anything is built: each layer's owner and name, the calls that build it, and what
//! it costs a month while nobody uses it.

use serde::Serialize;

use super::limits::{Capacity, Counts};
use super::onboarding::{self, Call};
use super::price::Prices;
use crate::api::{
    Column, EncryptionSettings, Isolation, KnowledgeBaseSettings, Layer, Ownership, Shared, VectorStore,
    ownership,
};
use crate::stack::identity::{Identity, Owner};
use crate::stack::model::desired::{Blueprint, Desired, Handles};
use crate::stack::model::observed::Observation;
use crate::stack::model::plan;
use crate::stack::offer::Offer;
use crate::stack::store::{StoreHandle, features};

/// What stands in an ARN where AWS has yet to choose an id.
const LATER: &str = "chosen-by-aws";

/// Whose a layer would be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Holding {
    /// This object's: it is built for it.
    Owned,
    /// Somebody else's, and used.
    Borrowed,
    /// There is none.
    None,
}

/// A layer of one object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Line {
    /// The layer.
    pub layer: &'static str,
    /// Whose it is.
    pub ownership: Holding,
    /// What it is called in AWS.
    pub name: Option<String>,
    /// Whose, if it is borrowed; why, if there is none.
    pub note: String,
}

/// Something that costs money by itself.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Cost {
    /// The layer that it is.
    #[serde(skip)]
    pub layer: Layer,
    /// What it is.
    pub what: &'static str,
    /// Its name.
    pub name: String,
    /// US dollars a month.
    #[serde(rename = "monthlyUSD")]
    pub monthly_usd: f64,
}

/// What one object would be.
#[derive(Clone, Debug)]
pub struct Prospect {
    /// Its names.
    pub id: Identity,
    /// Its column of the ownership table.
    pub column: Column,
    /// Its layers, in build order.
    pub layers: Vec<Line>,
    /// What its onboarding changes in AWS.
    pub calls: Vec<Call>,
    /// What of it costs money while nobody uses it.
    pub costs: Vec<Cost>,
    /// Where its vectors are, if it has an index.
    pub store: Option<VectorStore>,
    /// What its own vector store runs on.
    pub capacity: Option<Capacity>,
    /// How documents become vectors in the knowledge base that it owns.
    pub knowledge_base: Option<KnowledgeBaseSettings>,
    /// The characters of its index's schema, where it has an index.
    pub schema: Option<usize>,
    /// What it takes of AWS's limits.
    pub counts: Counts,
}

impl Prospect {
    /// What a SharedStack would be.
    pub fn of_stack(id: Identity, shared: &Shared, prices: &Prices) -> Self {
        let column = shared.column();
        let want = Blueprint::Stack(shared).want(&id, None, &handles(&id, &shared.encryption));
        let knowledge_base = shared.pool.as_ref().map(|pool| pool.knowledge_base.clone());
        let layers = lines(&id, column, &shared.encryption, None);
        Self::new(id, column, layers, want, Some(&shared.encryption), knowledge_base, prices)
    }

    /// What a Tenant would be, that borrows from `lender` if from anybody.
    pub fn of_tenant(
        id: Identity,
        isolation: &Isolation,
        lender: Option<(&Identity, &Shared)>,
        prices: &Prices,
    ) -> Self {
        let column = Column::from(isolation.pattern());
        let tags = isolation.tags().cloned().unwrap_or_default();
        let storage = isolation.encryption();
        let offer = lender.map(|(lender, shared)| offer(lender, shared));
        let own = storage.map(|encryption| handles(&id, encryption)).unwrap_or_default();
        let handles = offer.as_ref().map_or(own, |offer| plan::handles(&Observation::default(), Some(offer)));
        let want = Blueprint::Tenant { isolation, tags: &tags }.want(&id, offer.as_ref(), &handles);
        let encryption = storage.or(lender.map(|it| &it.1.encryption));
        let encryption = encryption.unwrap_or(&EncryptionSettings::AwsOwned);
        let layers = lines(&id, column, encryption, lender.map(|it| it.0));
        Self::new(id, column, layers, want, storage, isolation.knowledge_base().cloned(), prices)
    }

    fn new(
        id: Identity,
        column: Column,
        layers: Vec<Line>,
        want: Desired,
        encryption: Option<&EncryptionSettings>,
        knowledge_base: Option<KnowledgeBaseSettings>,
        prices: &Prices,
    ) -> Self {
        let store = want.vector_store.as_ref();
        let capacity = store.zip(encryption).and_then(|(store, encryption)| {
            store.capacity(match encryption {
                EncryptionSettings::AwsOwned => "AWS-owned".into(),
                EncryptionSettings::Create => alias(&id),
                EncryptionSettings::Existing { kms_key_arn } => kms_key_arn.clone(),
            })
        });
        let units = store.zip(capacity.as_ref()).map(|(store, capacity)| Cost {
            layer: Layer::VectorStore,
            what: features(store.kind()).words,
            name: store.name().into(),
            monthly_usd: prices.units(capacity.idle_units()),
        });
        let key = want.key.as_ref().map(|_| Cost {
            layer: Layer::Key,
            what: "key",
            name: alias(&id),
            monthly_usd: prices.key_month,
        });
        Self {
            calls: onboarding::calls(&id, &want),
            costs: key.into_iter().chain(units).collect(),
            schema: want
                .index
                .as_ref()
                .filter(|index| features(index.store.kind).declares)
                .map(|index| index.schema().to_string().chars().count()),
            store: want.index.as_ref().map(|index| index.store.kind),
            counts: Counts::of(&want),
            id,
            column,
            layers,
            capacity,
            knowledge_base,
        }
    }
}

fn alias(id: &Identity) -> String {
    format!("alias/{}", id.name(Layer::Key))
}

/// The key that encrypts what an owner stores, by ARN, as far as that can be told.
fn key_arn(id: &Identity, encryption: &EncryptionSettings) -> Option<String> {
    match encryption {
        EncryptionSettings::AwsOwned => None,
        EncryptionSettings::Create => Some(id.scope.arn("kms", &format!("key/{LATER}"))),
        EncryptionSettings::Existing { kms_key_arn } => Some(kms_key_arn.clone()),
    }
}

/// What an owner has in its hands when all but its key is still to be built.
fn handles(id: &Identity, encryption: &EncryptionSettings) -> Handles {
    Handles { key_arn: key_arn(id, encryption), ..Handles::default() }
}

/// What a SharedStack will lend.
fn offer(lender: &Identity, shared: &Shared) -> Offer {
    let stack = match &lender.owner {
        Owner::Stack { name } => name.clone(),
        Owner::Tenant { .. } => String::new(),
    };
    Offer {
        stack,
        uid: lender.uid.clone(),
        bucket: lender.name(Layer::Bucket),
        store_name: lender.name(Layer::VectorStore),
        store: StoreHandle::named(
            shared.vector_store.kind(),
            &lender.scope,
            &lender.name(Layer::VectorStore),
            LATER,
        ),
        kms_key_arn: key_arn(lender, &shared.encryption),
        pool: None,
    }
}

/// The ownership table's column, with names. `encryption` is the lender's where there is one.
fn lines(
    id: &Identity,
    column: Column,
    encryption: &EncryptionSettings,
    lender: Option<&Identity>,
) -> Vec<Line> {
    let line = |layer: Layer| {
        let (ownership, whose) = match (ownership(column, layer), lender) {
            (Ownership::Owns, _) => (Holding::Owned, Some(id)),
            (Ownership::Borrows, lender) => (Holding::Borrowed, lender),
            (Ownership::Absent, _) => (Holding::None, None),
        };
        let of_lender = match (ownership, whose) {
            (Holding::Borrowed, Some(whose)) => whose.owner_tag(),
            _ => String::new(),
        };
        let line = |ownership, name: Option<String>, note: &str| Line {
            layer: layer.words(),
            ownership,
            name,
            note: note.into(),
        };
        match (layer, encryption, ownership) {
            (Layer::Key, EncryptionSettings::AwsOwned, _) => {
                line(Holding::None, None, "keys of the AWS services encrypt, free of charge")
            }
            (Layer::Key, EncryptionSettings::Existing { kms_key_arn }, _) => line(
                Holding::Borrowed,
                Some(kms_key_arn.clone()),
                "an existing key, which must be tagged tenantry.dev/allow",
            ),
            (Layer::Key, EncryptionSettings::Create, _) => line(ownership, whose.map(alias), &of_lender),
            (_, _, Holding::None) => line(ownership, None, "it has no pool"),
            _ => line(ownership, whose.map(|whose| whose.name(layer)), &of_lender),
        }
    };
    Layer::ALL.into_iter().map(line).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::Arc;

    use serde_json::{Value, json};

    use super::*;
    use crate::api::{SharedStackSpec, TenantSpec, VectorStore};
    use crate::stack::iam::operation::Operation;
    use crate::stack::identity::Scope;
    use crate::stack::store::{self, StoreCounts};

    const KEY: &str = "arn:aws:kms:eu-central-1:123456789012:key/00000000-0000-0000-0000-000000000000";

    fn shared(spec: Value) -> Shared {
        serde_json::from_value::<SharedStackSpec>(spec).unwrap().shared().unwrap()
    }

    fn stack(shared: &Shared) -> Prospect {
        let scope = Arc::new(Scope::new("prod", "123456789012", "eu-central-1"));
        Prospect::of_stack(Identity::of_stack(scope, "standard", ""), shared, &Prices::LIST)
    }

    fn tenant(spec: Value, lender: Option<(&Prospect, &Shared)>) -> Prospect {
        let isolation = serde_json::from_value::<TenantSpec>(spec).unwrap().isolation().unwrap();
        let scope = Arc::new(Scope::new("prod", "123456789012", "eu-central-1"));
        let owner = Owner::Tenant {
            namespace: "tenants".into(),
            name: "acme".into(),
            tenant_id: "acme".into(),
            pattern: isolation.pattern(),
            stack: isolation.stack().map(Into::into),
        };
        let id = Identity::new(scope, owner, "");
        Prospect::of_tenant(id, &isolation, lender.map(|(it, shared)| (&it.id, shared)), &Prices::LIST)
    }

    /// One object of each column, everything that can be owned being owned.
    fn one_of_each() -> Vec<Prospect> {
        let (bare, pooled) = (shared(json!({"encryption": {"key": "Create"}})), shared(json!({"pool": {}})));
        let (without, with) = (stack(&bare), stack(&pooled));
        let silo = json!({"tenantId": "acme", "pattern": "Silo", "encryption": {"key": "Create"}});
        let of =
            |pattern: &str| json!({"tenantId": "acme", "pattern": pattern, "stackRef": {"name": "standard"}});
        let bridge = tenant(of("Bridge"), Some((&without, &bare)));
        let pool = tenant(of("Pool"), Some((&with, &pooled)));
        vec![tenant(silo, None), bridge, pool, without, with]
    }

    #[test]
    fn layers_are_owned_as_the_table_says() {
        for prospect in one_of_each() {
            for (line, layer) in prospect.layers.iter().zip(Layer::ALL) {
                assert_eq!(line.layer, layer.words());
                let expected = match ownership(prospect.column, layer) {
                    Ownership::Owns => Holding::Owned,
                    Ownership::Borrows => Holding::Borrowed,
                    Ownership::Absent => Holding::None,
                };
                // Both that have a pool leave the key to AWS.
                let expected = if line.name.is_none() { Holding::None } else { expected };
                assert_eq!(line.ownership, expected, "{:?} {layer}", prospect.column);
                let called = prospect.calls.iter().any(|call| call.layer == layer.words());
                assert_eq!(called, expected == Holding::Owned, "{:?} {layer}", prospect.column);
            }
        }
    }

    /// What is built on a layer is built after it, by an operation that has a row.
    #[test]
    fn calls_come_in_the_order_of_what_they_need() {
        for Prospect { calls, column, .. } in one_of_each() {
            let step = |layer: Layer| calls.iter().find(|call| call.layer == layer.words()).map(|it| it.step);
            for layer in Layer::ALL {
                for needed in store::needs(VectorStore::default(), layer) {
                    let (Some(step), Some(earlier)) = (step(layer), step(*needed)) else { continue };
                    assert!(earlier < step, "{column:?}: the {layer} needs the {needed}");
                }
            }
            assert!(calls.is_sorted_by_key(|call| call.step), "{column:?}");
            for call in &calls {
                assert!(Operation::find(call.service, call.operation).is_some(), "{call:?}");
            }
        }
    }

    #[test]
    fn an_existing_key_is_borrowed_and_costs_nothing() {
        let existing = shared(json!({"encryption": {"key": "Existing", "kmsKeyArn": KEY}}));
        let lender = stack(&existing);
        let of = json!({"tenantId": "acme", "pattern": "Bridge", "stackRef": {"name": "standard"}});
        let borrower = tenant(of, Some((&lender, &existing)));
        for prospect in [&lender, &borrower] {
            assert_eq!(prospect.layers[0].ownership, Holding::Borrowed);
            assert_eq!(prospect.layers[0].name.as_deref(), Some(KEY));
            assert!(prospect.calls.iter().all(|call| call.service != "kms"));
        }
        assert!(lender.calls.iter().any(|call| call.operation == "PutBucketEncryption"));
        assert_eq!(lender.costs.iter().map(|cost| cost.what).collect::<Vec<_>>(), ["collection"]);
        assert_eq!(lender.capacity.unwrap().key, KEY);
        assert!(borrower.costs.is_empty() && borrower.capacity.is_none());
    }

    #[test]
    fn what_is_owned_is_counted() {
        let all = one_of_each();
        let sum = Counts::sum(all.iter().map(|it| &it.counts));
        let Counts { keys, buckets, roles, knowledge_bases, mut stores } = sum;
        assert_eq!((keys, buckets, roles, knowledge_bases), (2, 3, 3, 3));
        let StoreCounts { stores, roles, indexes } =
            stores.remove(&VectorStore::OpenSearchServerless).unwrap();
        assert_eq!((stores, roles), (3, 3));
        // The Bridge's index is beside the pool's: both stacks have one name here.
        let mut fullest: Vec<_> = indexes.into_values().collect();
        fullest.sort_unstable();
        assert_eq!(fullest, [1, 2]);
    }
}
