//! What each owned layer's next step is. Refuses the whole stack if anything with our name is not ours.

use super::blocked::Blocked;
use super::desired::{Desired, Handles, Rebuild};
use super::diff::{self, is_whole};
use super::immutable::immutable;
use super::observed::{Observation, RoleDetail};
use super::policy;
use crate::api::{Layer, PerLayer, Reason};
use crate::stack::approval;
use crate::stack::identity::{Adopts, Identity, OwnershipClaim};
use crate::stack::offer::Offer;
use crate::stack::store::{self, needs};

/// A layer's next step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) enum Step {
    /// Borrowed, or nothing to own.
    #[default]
    None,
    /// Already as it should be.
    UpToDate,
    /// Bring it there.
    Apply,
    /// Another layer comes first.
    WaitFor(Layer),
    /// It could not be looked at: it is left alone. No plan comes to this.
    Unseen,
}

/// What the layers seen, and the offer, have to lend to the layers that build on them.
pub(crate) fn handles(observed: &Observation, offer: Option<&Offer>) -> Handles {
    Handles {
        key_arn: offer
            .and_then(|offer| offer.kms_key_arn.clone())
            .or_else(|| observed.key.ours().map(|key| key.arn.clone())),
        store: offer.map(|offer| offer.store.clone()).or_else(|| observed.store()),
        knowledge_base_arn: observed.knowledge_base.ours().map(|facts| facts.arn.clone()),
        trust_is_narrow: role(observed).is_some_and(|role| policy::trusted(&role.trust).is_some()),
        rebuild: rebuild(observed),
    }
}

/// The knowledge base that the role trusts although it is gone: what is in the index was its.
fn orphaned(observed: &Observation) -> bool {
    observed.knowledge_base.is_absent()
        && role(observed).is_some_and(|role| policy::trusted(&role.trust).is_some())
}

/// The id of the knowledge base that the role was made for, as its trust names it.
pub(crate) fn trusted_id(observed: &Observation) -> Option<String> {
    let arn = policy::trusted(&role(observed)?.trust)?;
    arn.rsplit_once('/').map(|(_, id)| id.to_owned())
}

/// Whether AWS has it on record that an index of our name was made for us: our knowledge base uses it, or the role
/// trusts the one that did.
pub(crate) fn index_on_record(observed: &Observation) -> bool {
    observed.knowledge_base.ours().is_some() || trusted_id(observed).is_some()
}

/// Whether the role says that the index was made by the store's own endpoint.
pub(crate) fn index_by_endpoint(observed: &Observation) -> bool {
    role(observed).is_some_and(|role| diff::carries(&role.tags, &store::index_by_endpoint()))
}

fn role(observed: &Observation) -> Option<&RoleDetail> {
    observed.role.ours().and_then(|facts| facts.role.as_ref())
}

/// What must be made anew.
fn rebuild(observed: &Observation) -> Rebuild {
    let fills = observed.knowledge_base.ours().is_some_and(|facts| facts.data_source.is_some());
    if orphaned(observed) && observed.index.ours().is_some() {
        Rebuild::Index
    } else if fills && observed.index_known && observed.index.is_absent() {
        Rebuild::DataSource
    } else {
        Rebuild::Nothing
    }
}

/// The next step of every layer.
pub(crate) fn plan(id: &Identity, want: &Desired, observed: &Observation) -> Result<PerLayer<Step>, Blocked> {
    if let Some(blocked) = foreign(id, observed).or_else(|| differs(id, want, observed)) {
        return Err(blocked);
    }
    let whole = PerLayer::from_fn(|layer| is_whole(&id.scope, want, observed, layer));
    let rebuild = rebuild(observed);
    let store = want.store_kind().unwrap_or_default();
    Ok(PerLayer::from_fn(|layer| {
        if !want.owns(layer) {
            return Step::None;
        }
        match (rebuild, layer) {
            // The trust is the record that the index must go: it is not touched before that.
            (Rebuild::Index, Layer::Index) | (Rebuild::DataSource, Layer::KnowledgeBase) => {
                return Step::Apply;
            }
            (Rebuild::Index, Layer::Role | Layer::KnowledgeBase) => return Step::WaitFor(Layer::Index),
            (Rebuild::DataSource, Layer::Index) => return Step::WaitFor(Layer::KnowledgeBase),
            // Nobody can say whether there is one that must go.
            (_, Layer::Index | Layer::Role) if orphaned(observed) && !observed.index_known => {
                return Step::WaitFor(Layer::VectorStore);
            }
            _ => {}
        }
        match needs(store, layer).iter().find(|needed| !whole.get(**needed)) {
            _ if *whole.get(layer) => Step::UpToDate,
            Some(needed) => Step::WaitFor(*needed),
            None => Step::Apply,
        }
    }))
}

/// Why what was left behind cannot be taken over, if what cannot be changed differs.
fn differs(id: &Identity, want: &Desired, observed: &Observation) -> Option<Blocked> {
    let differences = if observed.is_adopted(id) { immutable(&id.scope, want, observed) } else { Vec::new() };
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
fn foreign(id: &Identity, observed: &Observation) -> Option<Blocked> {
    let found = observed.foreign();
    let first = found.first()?;
    let names: Vec<_> = found.iter().map(|foreign| foreign.resource.as_str()).collect();
    let names = names.join(", ");
    let (reason, message) = match (&first.claim, id.tenant_id()) {
        (OwnershipClaim::Neighbour { owner, uid }, Some(_)) => {
            let approved = match &id.adopts {
                Adopts::Left { approved } => approved.as_deref(),
                Adopts::Nothing => None,
            };
            (Reason::TenantIdRetained, retained_by_neighbour(id, owner, uid, &names, approved))
        }
        (OwnershipClaim::Earlier | OwnershipClaim::Adoptable, Some(tenant_id)) => (
            Reason::TenantIdRetained,
            format!(
                "tenantId '{tenant_id}' is retained: an earlier Tenant with this id was deleted with deletionPolicy Retain \
             and left {names}. Nothing was changed. Choose another tenantId, or remove what was left"
            ),
        ),
        (OwnershipClaim::Earlier | OwnershipClaim::Adoptable, None) => (
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

impl Desired {
    /// Whether this owner has such a layer.
    pub fn owns(&self, layer: Layer) -> bool {
        match layer {
            Layer::Key => self.key.is_some(),
            Layer::Bucket => self.bucket.is_some(),
            Layer::VectorStore => self.vector_store.is_some(),
            Layer::Index => self.index.is_some(),
            Layer::Role => self.role.is_some(),
            Layer::KnowledgeBase => self.knowledge_base.is_some(),
        }
    }
}

#[cfg(test)]
mod tests;
