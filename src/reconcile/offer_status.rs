//! Lending: what a SharedStack's status offers, and what a pass writes into the status for others to use.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::ResourceExt;

use crate::api::{Layer, PerLayer, Reason, SharedStack, Status};
use crate::stack::identity::Identity;
use crate::stack::model::desired::Desired;
use crate::stack::model::observed::Observation;
use crate::stack::model::outcome::LayerStatus;
use crate::stack::offer::{Offer, PoolOffer};
use crate::stack::store::StoreHandle;

/// What a SharedStack lends. An id stands in its status from the moment its layer was first whole, so a passing error
/// withdraws nothing; what is lost is not lent.
pub fn offer(stack: &SharedStack, bucket_name: &str, store_name: &str) -> Option<Offer> {
    let status = stack.status.as_ref()?;
    status.bucket.as_ref().filter(|bucket| *bucket == bucket_name)?;
    let lost =
        |condition: &Condition| condition.status == "False" && condition.reason == Reason::DataLost.as_str();
    if status.conditions.iter().any(|condition| condition.type_ != "Ready" && lost(condition)) {
        return None;
    }
    Some(Offer {
        stack: stack.name_any(),
        uid: stack.uid().unwrap_or_default(),
        bucket: bucket_name.into(),
        store_name: store_name.into(),
        store: StoreHandle::of_status(status)?,
        kms_key_arn: status.kms_key_arn.clone(),
        pool: stack.spec.pool.as_ref().and_then(|pool| {
            Some(PoolOffer {
                knowledge_base_id: status.knowledge_base_id.clone()?,
                knowledge_base_arn: status.knowledge_base_arn.clone()?,
                data_source_id: status.data_source_id.clone()?,
                index_name: status.index_name.clone()?,
                role_arn: status.role_arn.clone()?,
                tenant_id_key: pool.tenant_id_key.clone(),
            })
        }),
    })
}

/// The offer of a SharedStack in this identity's scope.
pub fn offer_of(id: &Identity, stack: &SharedStack) -> Option<Offer> {
    offer(stack, &id.name(Layer::Bucket), &id.name(Layer::VectorStore))
}

/// Writes what is borrowed into a tenant's status.
pub fn borrowed(status: &mut Status, offer: &Offer) {
    status.bucket = Some(offer.bucket.clone());
    offer.store.write(status);
    status.kms_key_arn = offer.kms_key_arn.clone();
}

/// Forgets what was lost and is made anew: it is not lent any more, and not missed.
pub fn approve_loss(status: &mut Status, layers: &[Layer]) {
    if layers.contains(&Layer::Bucket) {
        status.bucket = None;
    }
    if layers.contains(&Layer::VectorStore) {
        StoreHandle::forget(status);
    }
}

/// Writes into a status what the whole layers of its own are called.
pub fn owned(
    status: &mut Status,
    desired: &Desired,
    observed: &Observation,
    layers: &PerLayer<Option<LayerStatus>>,
) {
    let whole = |layer: Layer| matches!(layers.get(layer), Some(LayerStatus::Ready));
    if let (true, Some(bucket)) = (whole(Layer::Bucket), &desired.bucket) {
        status.bucket = Some(bucket.name.clone());
        status.kms_key_arn = bucket.key_arn.clone();
    }
    if let (true, Some(store)) = (whole(Layer::VectorStore), observed.store()) {
        store.write(status);
    }
    if let (true, Some(index)) = (whole(Layer::Index), &desired.index) {
        status.index_name = Some(index.name.clone());
        status.index_arn = observed.index.ours().and_then(|facts| facts.arn.clone());
    }
    if let (true, Some(role)) =
        (whole(Layer::Role), observed.role.ours().and_then(|facts| facts.role.as_ref()))
    {
        status.role_arn = Some(role.arn.clone());
    }
    if let (true, Some(facts)) = (whole(Layer::KnowledgeBase), observed.knowledge_base.ours()) {
        status.knowledge_base_id = Some(facts.id.clone());
        status.knowledge_base_arn = Some(facts.arn.clone());
        status.data_source_id = facts.data_source.as_ref().map(|source| source.id.clone());
    }
}
