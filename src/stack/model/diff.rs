//! What is still to do on a layer, as data: the plan asks whether the list is empty, `ensure` works it off.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::desired::{Desired, DesiredBucket, DesiredIndex, DesiredKey, DesiredKnowledgeBase, DesiredRole};
use super::observed::{
    BucketFacts, DataSourceFacts, IndexFacts, KeyFacts, KnowledgeBaseFacts, LifecycleRule, Observation,
    Observed, PolicyFacts, RoleDetail, RoleFacts,
};
use super::policy;
use crate::api::{Layer, Versioning};
pub use crate::stack::compare::carries;
use crate::stack::compare::differing;
use crate::stack::identity::Scope;
use crate::stack::layout::{OPERATORS_OWN, QUARANTINE};
use crate::stack::store::features;

/// Whether a policy is there, grants what it should and is described as it should be.
fn says(found: Option<&PolicyFacts>, document: &Value, tags: &BTreeMap<String, String>) -> bool {
    found.is_some_and(|found| found.describes(tags) && policy::same(&found.document, document))
}

/// The name of the one inline policy of a service role.
pub const ROLE_POLICY: &str = "knowledge-base";

/// A setting of a bucket that differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BucketChange {
    /// Block Public Access is not fully on.
    PublicAccess,
    /// ACLs are not switched off.
    Ownership,
    /// The bucket policy differs.
    Policy,
    /// Default encryption uses another key.
    Encryption,
    /// Versioning is not as wanted.
    Versioning,
    /// The lifecycle rules differ.
    Lifecycle,
    /// A tag of ours or of the user's is missing or differs.
    Tags,
}

/// A bucket that has just been made: it has its tags, and nothing else of which one could be sure.
pub fn new_bucket(want: &DesiredBucket) -> BucketFacts {
    BucketFacts { tags: want.tags.clone(), ..BucketFacts::default() }
}

/// What differs between a bucket and its wanted shape.
pub fn bucket(scope: &Scope, want: &DesiredBucket, facts: &BucketFacts) -> Vec<BucketChange> {
    use BucketChange::{Encryption, Lifecycle, Ownership, Policy, PublicAccess, Tags, Versioning};
    let policy = policy::bucket(scope, want);
    differing([
        (Tags, carries(&facts.tags, &want.tags)),
        (PublicAccess, facts.blocks_public_access),
        (Ownership, facts.object_ownership.as_deref() == Some("BucketOwnerEnforced")),
        (Policy, facts.policy.as_ref().is_some_and(|found| policy::same(found, &policy))),
        (Encryption, facts.key_arn == want.key_arn),
        (Versioning, facts.versioned == is_versioned(want)),
        (Lifecycle, {
            let mut found = facts.lifecycle.clone();
            found.sort();
            found == lifecycle(want)
        }),
    ])
}

/// Whether the bucket is to keep noncurrent versions.
pub fn is_versioned(want: &DesiredBucket) -> bool {
    want.documents.versioning == Versioning::Enabled
}

/// How many days an upload of the operator's own may take. It takes minutes: one that is older was cut short.
const UPLOAD_DAYS: i32 = 7;

/// One rule per document prefix where anything expires. Older versions of what the operator keeps for itself under
/// `tenantry/` expire as those of documents do, and so does what was a document and is in quarantine now. Nothing else
/// does. Uploads in parts that the operator did not finish are given up.
pub fn lifecycle(want: &DesiredBucket) -> Vec<LifecycleRule> {
    let documents = &want.documents;
    let noncurrent = if is_versioned(want) { documents.noncurrent_expiration_days } else { 0 };
    let rule = |prefix: &str, expiration_days, noncurrent_expiration_days| LifecycleRule {
        prefix: prefix.into(),
        expiration_days,
        noncurrent_expiration_days,
        abort_uploads_days: 0,
    };
    let mut rules: Vec<_> =
        want.prefixes.iter().map(|prefix| rule(prefix, documents.expiration_days, noncurrent)).collect();
    rules.push(LifecycleRule { abort_uploads_days: UPLOAD_DAYS, ..rule(OPERATORS_OWN, 0, noncurrent) });
    rules.push(rule(QUARANTINE, documents.expiration_days, 0));
    rules.retain(LifecycleRule::does_anything);
    rules.sort();
    rules
}

/// Something of a role that differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RoleChange {
    /// There is no role yet.
    Create,
    /// Somebody else could assume it, or Bedrock could not.
    Trust,
    /// It is not within the permissions boundary that the operator was given.
    Boundary,
    /// Its permissions differ, or cannot be written before the vector store is there.
    Permissions,
    /// The index's data access policy or its description is missing or differs.
    DataAccess,
    /// A tag of ours or of the user's is missing or differs.
    Tags,
}

/// What differs between a role with its data access policy and the wanted ones.
pub fn role(scope: &Scope, want: &DesiredRole, facts: &RoleFacts) -> Vec<RoleChange> {
    use RoleChange::{Boundary, Create, DataAccess, Permissions, Tags, Trust};
    let role = facts.role.as_ref();
    // A knowledge base narrows the trust itself, before it gets its data source.
    let trusts = [policy::trust(scope, None), policy::trust(scope, want.trusted.as_deref())];
    let boundary = &scope.permissions_boundary;
    let permissions = policy::permissions(scope, want);
    let access = want.data_access(scope);
    let reaches = |wanted: &Value| says(facts.data_access.as_ref(), wanted, &want.tags);
    let permits = |role: &RoleDetail| match (role.policies.get(ROLE_POLICY), &permissions) {
        (Some(found), Some(wanted)) => policy::same(found, wanted),
        _ => false,
    };
    differing([
        (Create, role.is_some()),
        (Trust, role.is_none_or(|role| trusts.iter().any(|trust| policy::same(&role.trust, trust)))),
        // Without a boundary of ours, whatever somebody else has put around it may stay.
        (Boundary, role.is_none_or(|role| boundary.is_none() || role.boundary == *boundary)),
        (Permissions, role.is_some_and(permits)),
        (DataAccess, access.as_ref().is_none_or(reaches)),
        (Tags, role.is_none_or(|role| carries(&role.tags, &want.tags))),
    ])
}

/// The mappings that an index lacks: attributes that were declared after it was made. Of one whose mappings are not
/// shown nobody knows what it lacks.
pub fn missing_mappings(want: &DesiredIndex, facts: &IndexFacts) -> Map<String, Value> {
    want.store.missing_fields(&want.schema(), &facts.schema)
}

/// The same, but for what AWS was asked to add once and still does not show: to ask again would change nothing.
pub fn mappings_to_add(
    want: &DesiredIndex,
    facts: &IndexFacts,
    asked: &BTreeSet<String>,
) -> Map<String, Value> {
    missing_mappings(want, facts).into_iter().filter(|(field, _)| !asked.contains(field)).collect()
}

/// Something of an index that differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IndexChange {
    /// It lacks the fields of attributes that were declared later.
    Fields,
    /// It is asked in another mode.
    Mode,
    /// A tag of ours or of the user's is missing or differs.
    Tags,
}

/// What differs between an index and the wanted one, but for what AWS was `asked` to add and does not show.
pub fn index(want: &DesiredIndex, facts: &IndexFacts, asked: &BTreeSet<String>) -> Vec<IndexChange> {
    differing([
        (IndexChange::Fields, mappings_to_add(want, facts, asked).is_empty()),
        (IndexChange::Mode, want.store.has_mode(&facts.schema)),
        (IndexChange::Tags, carries(&facts.tags, &want.tags)),
    ])
}

/// Something of a knowledge base that differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KnowledgeBaseChange {
    /// A tag of ours or of the user's is missing or differs.
    Tags,
    /// It keeps its vectors in a store that is no more, and no call changes that: it must be made anew.
    Replace,
    /// The data source must go: its index is gone, and it would never fill another.
    DropDataSource,
    /// It is being made, or not usable.
    NotActive,
    /// The role must trust this knowledge base only, before there is a data source that could fill the index.
    NarrowTrust,
    /// There is no data source yet.
    CreateDataSource,
    /// The data source is being made, or not usable.
    DataSourceNotAvailable,
    /// The data source's mutable settings differ.
    UpdateDataSource,
}

/// What differs between a knowledge base with its data source and the wanted ones.
pub fn knowledge_base(
    scope: &Scope,
    want: &DesiredKnowledgeBase,
    facts: &KnowledgeBaseFacts,
) -> Vec<KnowledgeBaseChange> {
    if let (Some(has), Some(wanted)) = (&facts.store, &want.store)
        && !has.is_same(wanted)
    {
        return vec![KnowledgeBaseChange::Replace];
    }
    let mut changes = Vec::new();
    if !carries(&facts.tags, &want.tags) {
        changes.push(KnowledgeBaseChange::Tags);
    }
    if facts.status != "ACTIVE" {
        changes.push(KnowledgeBaseChange::NotActive);
    }
    if want.narrow_trust {
        changes.push(KnowledgeBaseChange::NarrowTrust);
    }
    match &facts.data_source {
        Some(_) if want.drop_data_source => changes.push(KnowledgeBaseChange::DropDataSource),
        None => changes.push(KnowledgeBaseChange::CreateDataSource),
        Some(source) if source.status != "AVAILABLE" => {
            changes.push(KnowledgeBaseChange::DataSourceNotAvailable)
        }
        Some(source) if !same_data_source(scope, want, source) => {
            changes.push(KnowledgeBaseChange::UpdateDataSource)
        }
        Some(_) => {}
    }
    changes
}

fn same_data_source(scope: &Scope, want: &DesiredKnowledgeBase, found: &DataSourceFacts) -> bool {
    found.bucket_arn == format!("arn:{}:s3:::{}", scope.partition, want.bucket)
        && found.prefix.as_deref() == Some(&want.prefix)
        && found.data_deletion_policy == want.data_deletion_policy.in_aws()
        && found.key_arn == want.key_arn
}

/// Something of a key that differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyChange {
    /// A tag of ours or of the user's is missing or differs.
    Tags,
    /// The alias is missing, or leads to another key.
    Alias,
    /// It is not enabled. A person must do that, or AWS is about to.
    NotEnabled,
    /// Its policy does not let in the service of the vector store that decrypts by itself. A person must do that: the operator
    /// may change no policy of a key.
    ShutsStoreOut,
}

/// What differs between a key and the wanted one.
pub fn key(want: &DesiredKey, facts: &KeyFacts) -> Vec<KeyChange> {
    use KeyChange::{Alias, NotEnabled, ShutsStoreOut, Tags};
    differing([
        (Tags, carries(&facts.tags, &want.tags)),
        (Alias, facts.has_alias),
        (NotEnabled, facts.state == "Enabled"),
        (ShutsStoreOut, facts.lets_store_in),
    ])
}

/// Why a key cannot be used and what makes it usable again, if a person must do that.
pub fn unusable(arn: &str, state: &str) -> Option<String> {
    let remedy = match state {
        "Disabled" => "enable it",
        "PendingDeletion" => "cancel its deletion and enable it, or all that it has encrypted is lost",
        _ => return None,
    };
    Some(format!("KMS key {arn} is {state}, so that nothing that it has encrypted can be read: {remedy}"))
}

/// Why no vectors can be kept under a key, and what must be added to its policy.
pub fn shuts_store_out(scope: &Scope, want: &DesiredKey, arn: &str) -> Option<String> {
    let features = features(want.store);
    let (service, statement) = (features.decrypts?, features.key_statement?(scope));
    Some(format!(
        "The policy of KMS key {arn} does not let {service} do kms:Decrypt, without which no index is made under it and none is \
         kept up. Add this statement to the policy: {statement}"
    ))
}

/// Whether a layer that is owned is as it should be.
pub fn is_whole(scope: &Scope, want: &Desired, observed: &Observation, layer: Layer) -> bool {
    fn whole<W, T>(want: &Option<W>, seen: &Observed<T>, same: impl FnOnce(&W, &T) -> bool) -> bool {
        match want {
            None => true,
            Some(want) => seen.ours().is_some_and(|facts| same(want, facts)),
        }
    }
    match layer {
        Layer::Key => whole(&want.key, &observed.key, |w, f| key(w, f).is_empty()),
        Layer::Bucket => whole(&want.bucket, &observed.bucket, |w, f| bucket(scope, w, f).is_empty()),
        Layer::VectorStore => {
            whole(&want.vector_store, &observed.vector_store, |w, f| w.changes(f).is_empty())
        }
        Layer::Index => {
            let same = |w: &DesiredIndex, f: &IndexFacts| index(w, f, &observed.index_asked).is_empty();
            whole(&want.index, &observed.index, |w, f| !w.rebuild && same(w, f))
        }
        Layer::Role => whole(&want.role, &observed.role, |w, f| role(scope, w, f).is_empty()),
        Layer::KnowledgeBase => whole(&want.knowledge_base, &observed.knowledge_base, |w, f| {
            knowledge_base(scope, w, f).is_empty()
        }),
    }
}

/// Whether nothing of a layer is left to do but to wait until AWS has made it.
pub fn is_being_made(scope: &Scope, want: &Desired, observed: &Observation, layer: Layer) -> bool {
    const CREATING: &str = "CREATING";
    match layer {
        Layer::VectorStore => {
            let (Some(want), Some(facts)) = (&want.vector_store, observed.vector_store.ours()) else {
                return false;
            };
            facts.is_being_made() && want.changes(facts).iter().all(|change| change.call.is_none())
        }
        Layer::KnowledgeBase => {
            let (Some(want), Some(facts)) = (&want.knowledge_base, observed.knowledge_base.ours()) else {
                return false;
            };
            // What follows is done once it is made.
            facts.status == CREATING
                && knowledge_base(scope, want, facts).first() == Some(&KnowledgeBaseChange::NotActive)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests;
