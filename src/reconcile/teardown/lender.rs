//! What a teardown needs to know of a SharedStack that may be gone: where its collection is.

use crate::api::Layer;
use crate::aws::Aws;
use crate::stack::fault::Fault;
use crate::stack::identity::Identity;
use crate::stack::model::observed::CollectionDetail;
use crate::stack::offer::Offer;

/// What the SharedStack of this name lends, if its collection is there.
pub async fn borrowed(aws: &Aws, stack_id: &Identity) -> Result<Option<Offer>, Fault> {
    let collection = aws.collections.find(&stack_id.name(Layer::Collection)).await?;
    Ok(collection.map(|collection| lent(stack_id, collection)))
}

/// What a SharedStack with this collection lends.
pub fn lent(stack_id: &Identity, collection: CollectionDetail) -> Offer {
    Offer {
        stack: String::new(),
        uid: stack_id.uid.clone(),
        bucket: stack_id.name(Layer::Bucket),
        collection_name: stack_id.name(Layer::Collection),
        collection_arn: collection.arn,
        collection_endpoint: collection.endpoint,
        kms_key_arn: None,
        pool: None,
    }
}
