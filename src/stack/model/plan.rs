//! What each owned layer's next step is. Refuses the whole stack if anything with our name is not ours.

use super::blocked::Blocked;
use super::desired::{Handles, Rebuild, Want};
use super::diff::{self, is_whole};
use super::immutable::immutable;
use super::observed::{RoleDetail, Sight};
use super::policy;
use crate::api::{Layer, PerLayer, Reason};
use crate::stack::approval;
use crate::stack::identity::{Adopts, Claim, Identity};
use crate::stack::offer::{Offer, collection_id};
use crate::stack::store::opensearch;

/// A layer's next step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) enum Step {
    /// Borrowed, or nothing to own.
    #[default]
    None,
    /// Already as it should be.
    Whole,
    /// Bring it there.
    Ensure,
    /// Another layer comes first.
    After(Layer),
    /// It could not be looked at: it is left alone. No plan comes to this.
    Unseen,
}

/// What must be whole before a layer is touched. The role needs only the collection's *name* for its data access
/// policy and its id for its permissions, so it is built beside the collection, not after it.
pub const fn needs(layer: Layer) -> &'static [Layer] {
    match layer {
        Layer::Key => &[],
        Layer::Bucket | Layer::Collection | Layer::Role => &[Layer::Key],
        Layer::Index => &[Layer::Collection, Layer::Role],
        Layer::KnowledgeBase => &[Layer::Bucket, Layer::Index, Layer::Role],
    }
}

/// What the layers seen, and the offer, have to lend to the layers that build on them.
pub(crate) fn handles(sight: &Sight, offer: Option<&Offer>) -> Handles {
    let collection = sight.collection.ours().and_then(|facts| facts.collection.as_ref());
    let collection_arn =
        offer.map(|offer| offer.collection_arn.clone()).or(collection.map(|c| c.arn.clone()));
    Handles {
        key_arn: offer
            .and_then(|offer| offer.kms_key_arn.clone())
            .or_else(|| sight.key.ours().map(|key| key.arn.clone())),
        collection_id: collection_arn.as_deref().and_then(collection_id),
        collection_arn,
        collection_endpoint: match offer {
            Some(offer) => offer.collection_endpoint.clone(),
            None => collection.and_then(|c| c.endpoint.clone()),
        },
        knowledge_base_arn: sight.knowledge_base.ours().map(|facts| facts.arn.clone()),
        trust_is_narrow: role(sight).is_some_and(|role| policy::trusted(&role.trust).is_some()),
        rebuild: rebuild(sight),
    }
}

/// The knowledge base that the role trusts although it is gone: what is in the index was its.
fn orphaned(sight: &Sight) -> bool {
    sight.knowledge_base.is_absent() && role(sight).is_some_and(|role| policy::trusted(&role.trust).is_some())
}

/// The id of the knowledge base that the role was made for, as its trust names it.
pub(crate) fn trusted_id(sight: &Sight) -> Option<String> {
    let arn = policy::trusted(&role(sight)?.trust)?;
    arn.rsplit_once('/').map(|(_, id)| id.to_owned())
}

/// Whether AWS has it on record that an index of our name was made for us: our knowledge base uses it, or the role
/// trusts the one that did.
pub(crate) fn index_on_record(sight: &Sight) -> bool {
    sight.knowledge_base.ours().is_some() || trusted_id(sight).is_some()
}

/// Whether the role says that the index was made by the collection's endpoint.
pub(crate) fn index_by_endpoint(sight: &Sight) -> bool {
    role(sight).is_some_and(|role| diff::carries(&role.tags, &opensearch::index_by_endpoint()))
}

fn role(sight: &Sight) -> Option<&RoleDetail> {
    sight.role.ours().and_then(|facts| facts.role.as_ref())
}

/// What must be made anew.
fn rebuild(sight: &Sight) -> Rebuild {
    let fills = sight.knowledge_base.ours().is_some_and(|facts| facts.data_source.is_some());
    if orphaned(sight) && sight.index.ours().is_some() {
        Rebuild::Index
    } else if fills && sight.index_known && sight.index.is_absent() {
        Rebuild::DataSource
    } else {
        Rebuild::Nothing
    }
}

/// The next step of every layer.
pub(crate) fn plan(id: &Identity, want: &Want, sight: &Sight) -> Result<PerLayer<Step>, Blocked> {
    if let Some(blocked) = foreign(id, sight).or_else(|| differs(id, want, sight)) {
        return Err(blocked);
    }
    let whole = PerLayer::from_fn(|layer| is_whole(&id.scope, want, sight, layer));
    let rebuild = rebuild(sight);
    Ok(PerLayer::from_fn(|layer| {
        if !want.owns(layer) {
            return Step::None;
        }
        match (rebuild, layer) {
            // The trust is the record that the index must go: it is not touched before that.
            (Rebuild::Index, Layer::Index) | (Rebuild::DataSource, Layer::KnowledgeBase) => {
                return Step::Ensure;
            }
            (Rebuild::Index, Layer::Role | Layer::KnowledgeBase) => return Step::After(Layer::Index),
            (Rebuild::DataSource, Layer::Index) => return Step::After(Layer::KnowledgeBase),
            (_, Layer::Role) if orphaned(sight) && !sight.index_known => {
                return Step::After(Layer::Collection);
            }
            _ => {}
        }
        match needs(layer).iter().find(|needed| !whole.get(**needed)) {
            _ if *whole.get(layer) => Step::Whole,
            Some(needed) => Step::After(*needed),
            None => Step::Ensure,
        }
    }))
}

/// Why what was left behind cannot be taken over, if what cannot be changed differs.
fn differs(id: &Identity, want: &Want, sight: &Sight) -> Option<Blocked> {
    let differences = if sight.is_adopted(id) { immutable(&id.scope, want, sight) } else { Vec::new() };
    (!differences.is_empty()).then(|| Blocked {
        reason: Reason::RetainedDiffers,
        message: format!(
            "What an earlier object of this name left behind was made with other settings, which can never change: {}. \
             Nothing was changed. Apply the settings that it has in a new object, or remove what was left",
            differences.join("; ")
        ),
    })
}

/// Why the stack is refused, if something with our name is not ours.
fn foreign(id: &Identity, sight: &Sight) -> Option<Blocked> {
    let found = sight.foreign();
    let first = found.first()?;
    let names: Vec<_> = found.iter().map(|foreign| foreign.resource.as_str()).collect();
    let names = names.join(", ");
    let (reason, message) = match (&first.claim, id.tenant_id()) {
        (Claim::Neighbour { owner, uid }, Some(_)) => {
            let approved = match &id.adopts {
                Adopts::Left { approved } => approved.as_deref(),
                Adopts::Nothing => None,
            };
            (Reason::TenantIdRetained, retained_by_neighbour(id, owner, uid, &names, approved))
        }
        (Claim::Earlier | Claim::Adoptable, Some(tenant_id)) => (
            Reason::TenantIdRetained,
            format!(
                "tenantId '{tenant_id}' is retained: an earlier Tenant with this id was deleted with deletionPolicy Retain \
             and left {names}. Nothing was changed. Choose another tenantId, or remove what was left"
            ),
        ),
        (Claim::Earlier | Claim::Adoptable, None) => (
            Reason::OwnedByAnother,
            format!(
                "An earlier SharedStack of this name was deleted with deletionPolicy Retain and left {names}. Nothing was \
             changed. Choose another name, or remove what was left"
            ),
        ),
        (_, tenant_id) => {
            let choose = if tenant_id.is_some() { "tenantId" } else { "name" };
            (
                Reason::OwnedByAnother,
                format!(
                    "{names} has the name of ours but does not carry our tags, so it belongs to somebody else. Nothing \
                     was changed. Remove or rename it, or choose another {choose}"
                ),
            )
        }
    };
    Some(Blocked { reason, message })
}

/// What was left behind by another Tenant of the namespace, and how it is taken over.
pub(crate) fn retained_by_neighbour(
    id: &Identity,
    owner: &str,
    uid: &str,
    what: &str,
    approved: Option<&str>,
) -> String {
    let tenant_id = id.tenant_id().unwrap_or_default();
    format!(
        "tenantId '{tenant_id}' is retained: {owner} was deleted and left {what}. Nothing was changed. {}, and it is \
         taken over; or choose another tenantId",
        approval::ask(&id.takeover_code(owner, uid), approved)
    )
}

impl Want {
    /// Whether this owner has such a layer.
    pub fn owns(&self, layer: Layer) -> bool {
        match layer {
            Layer::Key => self.key.is_some(),
            Layer::Bucket => self.bucket.is_some(),
            Layer::Collection => self.collection.is_some(),
            Layer::Index => self.index.is_some(),
            Layer::Role => self.role.is_some(),
            Layer::KnowledgeBase => self.knowledge_base.is_some(),
        }
    }
}

#[cfg(test)]
mod tests;
