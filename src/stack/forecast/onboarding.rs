//! What an onboarding changes in AWS, call by call, told before anything is called.
//!
//! Nothing here is a list of its own: what a layer lacks is asked of [`diff`], as the layer itself asks when it is
//! built, and every change that there can be has its call in a `match` without a wildcard. An end-to-end test compares
//! the result with what an operator really did.

use serde::Serialize;

use crate::api::{Layer, VectorStore};
use crate::stack::iam::operation::{Operation, bedrock, iam, kms, s3};
use crate::stack::identity::{Identity, Scope};
use crate::stack::model::desired::{Desired, DesiredBucket, DesiredKnowledgeBase, DesiredRole};
use crate::stack::model::diff::{self, BucketChange, KnowledgeBaseChange, RoleChange};
use crate::stack::model::observed::{KnowledgeBaseFacts, RoleFacts};
use crate::stack::store::{DesiredStore, StoreFacts, features, needs};

/// One call that changes something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Call {
    /// Calls of one step run side by side, layer by layer; a step begins when what its layers need is whole.
    pub step: usize,
    /// The layer that makes the call.
    pub layer: &'static str,
    /// The IAM prefix of the service.
    pub service: &'static str,
    /// The operation, as AWS calls it.
    pub operation: &'static str,
    /// What is made or changed.
    pub what: &'static str,
    /// Its name.
    pub name: String,
}

/// What an operator makes for itself when it first starts, before any tenant: the policy that lets it see indexes, where a store
/// has such policies.
pub fn of_operator(scope: &Scope, stores: impl IntoIterator<Item = VectorStore>) -> Option<Call> {
    let operation = stores.into_iter().find_map(|kind| features(kind).create_data_access)?;
    Some(call(0, "operator", operation, "data access policy", scope.grant_name()))
}

/// All that an owner's onboarding changes in AWS, in the order in which that is done.
pub fn calls(id: &Identity, want: &Desired) -> Vec<Call> {
    let mut layers: Vec<_> = Layer::ALL.into_iter().filter(|layer| want.owns(*layer)).collect();
    layers.sort_by_key(|layer| step(want, *layer));
    let of_layer = |layer: Layer| {
        let made = of_layer(id, want, layer).into_iter();
        made.map(move |Made(operation, what, name)| {
            call(step(want, layer), layer.words(), operation, what, name)
        })
    };
    layers.into_iter().flat_map(of_layer).collect()
}

/// When a layer's turn comes, beginning with 1: after all that it needs and this owner builds.
fn step(want: &Desired, layer: Layer) -> usize {
    let store = want.store_kind().unwrap_or_default();
    let needed = needs(store, layer).iter().filter(|needed| want.owns(**needed));
    1 + needed.map(|needed| step(want, *needed)).max().unwrap_or_default()
}

/// An operation, what it makes or changes, and the name of that.
struct Made(Operation, &'static str, String);

fn call(step: usize, layer: &'static str, operation: Operation, what: &'static str, name: String) -> Call {
    Call { step, layer, service: operation.service(), operation: operation.name(), what, name }
}

fn of_layer(id: &Identity, want: &Desired, layer: Layer) -> Vec<Made> {
    let Desired { key, bucket, vector_store, role, index, knowledge_base } = want;
    let made = match layer {
        Layer::Key => key.as_ref().map(|want| {
            let name = &want.name;
            vec![Made(kms::CreateKey, "key", name.clone()), Made(kms::CreateAlias, "alias", name.clone())]
        }),
        Layer::Bucket => bucket.as_ref().map(|want| of_bucket(&id.scope, want)),
        Layer::VectorStore => vector_store.as_ref().map(of_store),
        Layer::Index => index
            .as_ref()
            .map(|want| vec![Made(features(want.store.kind).create_index, "index", want.name.clone())]),
        Layer::Role => role.as_ref().map(|want| of_role(&id.scope, want)),
        Layer::KnowledgeBase => knowledge_base.as_ref().map(|want| of_knowledge_base(id, want)),
    };
    made.unwrap_or_default()
}

fn of_bucket(scope: &Scope, want: &DesiredBucket) -> Vec<Made> {
    let changes = diff::bucket(scope, want, &diff::new_bucket(want)).into_iter().map(|change| match change {
        BucketChange::Tags => s3::PutBucketTagging,
        BucketChange::PublicAccess => s3::PutPublicAccessBlock,
        BucketChange::Ownership => s3::PutBucketOwnershipControls,
        BucketChange::Policy => s3::PutBucketPolicy,
        BucketChange::Encryption => s3::PutBucketEncryption,
        BucketChange::Versioning => s3::PutBucketVersioning,
        BucketChange::Lifecycle => s3::PutBucketLifecycleConfiguration,
    });
    let calls = [s3::CreateBucket].into_iter().chain(changes);
    calls.map(|operation| Made(operation, "bucket", want.name.clone())).collect()
}

fn of_store(want: &DesiredStore) -> Vec<Made> {
    let changes = want.changes(&StoreFacts::nothing(want.kind())).into_iter();
    let calls = changes.filter_map(|change| change.call);
    calls.map(|(operation, what)| Made(operation, what, want.name().into())).collect()
}

fn of_role(scope: &Scope, want: &DesiredRole) -> Vec<Made> {
    let mut changes = diff::role(scope, want, &RoleFacts::default());
    // Its permissions name the store by ARN: where that is being made at the same time, they come last.
    if want.store.handle.is_none() {
        changes.sort_by_key(|change| *change == RoleChange::Permissions);
    }
    let data_access = features(want.store.kind).create_data_access;
    let calls = changes.into_iter().filter_map(|change| {
        Some(match change {
            RoleChange::Create => Made(iam::CreateRole, "role", want.name.clone()),
            RoleChange::Trust => Made(iam::UpdateAssumeRolePolicy, "role", want.name.clone()),
            RoleChange::Boundary => Made(iam::PutRolePermissionsBoundary, "role", want.name.clone()),
            RoleChange::Permissions => Made(iam::PutRolePolicy, "role", want.name.clone()),
            RoleChange::DataAccess => Made(data_access?, "data access policy", want.index.clone()),
            RoleChange::Tags => Made(iam::TagRole, "role", want.name.clone()),
        })
    });
    calls.collect()
}

fn of_knowledge_base(id: &Identity, want: &DesiredKnowledgeBase) -> Vec<Made> {
    let facts = KnowledgeBaseFacts {
        id: String::new(),
        arn: String::new(),
        status: "ACTIVE".into(),
        failure_reasons: Vec::new(),
        embedding_model_arn: None,
        dimensions: None,
        store: None,
        tags: want.tags.clone(),
        data_source: None,
    };
    let name = &want.name;
    let changes = diff::knowledge_base(&id.scope, want, &facts).into_iter();
    let calls = changes.filter_map(|change| match change {
        KnowledgeBaseChange::NarrowTrust => {
            Some(Made(iam::UpdateAssumeRolePolicy, "role", id.name(Layer::Role)))
        }
        KnowledgeBaseChange::CreateDataSource => {
            Some(Made(bedrock::CreateDataSource, "data source", name.clone()))
        }
        KnowledgeBaseChange::UpdateDataSource => {
            Some(Made(bedrock::UpdateDataSource, "data source", name.clone()))
        }
        KnowledgeBaseChange::DropDataSource => {
            Some(Made(bedrock::DeleteDataSource, "data source", name.clone()))
        }
        KnowledgeBaseChange::Replace => {
            Some(Made(bedrock::DeleteKnowledgeBase, "knowledge base", name.clone()))
        }
        KnowledgeBaseChange::Tags => Some(Made(bedrock::TagResource, "knowledge base", name.clone())),
        // They are waited for.
        KnowledgeBaseChange::NotActive | KnowledgeBaseChange::DataSourceNotAvailable => None,
    });
    let create = Made(bedrock::CreateKnowledgeBase, "knowledge base", name.clone());
    [create].into_iter().chain(calls).collect()
}
