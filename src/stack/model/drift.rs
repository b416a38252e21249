//! What somebody else has changed of a layer that was as it should be, in words for whoever wonders where it went.

use super::desired::Desired;
use super::diff::{self, BucketChange, IndexChange, KeyChange, KnowledgeBaseChange, RoleChange};
use super::observed::{Observation, Observed};
use super::policy;
use crate::api::{Layer, VectorStore};
use crate::stack::identity::{Identity, Scope};
use crate::stack::store::features;

/// What differs of a layer that is to be put right. `None` if it was not as `before` either, or another is wanted since: then it
/// is our own change.
pub fn of(
    id: &Identity,
    before: &Desired,
    want: &Desired,
    observed: &Observation,
    layer: Layer,
) -> Option<String> {
    let is_wanted_still = match layer {
        Layer::Key => before.key == want.key,
        Layer::Bucket => before.bucket == want.bucket,
        Layer::VectorStore => before.vector_store == want.vector_store,
        Layer::Index => before.index == want.index,
        Layer::Role => before.role == want.role,
        Layer::KnowledgeBase => before.knowledge_base == want.knowledge_base,
    };
    let what =
        is_wanted_still.then(|| differs(&id.scope, want, observed, layer)).filter(|it| !it.is_empty())?;
    Some(format!("{} {}: {}", layer.words(), id.name(layer), what.join(", ")))
}

fn differs(scope: &Scope, want: &Desired, observed: &Observation, layer: Layer) -> Vec<String> {
    fn of<W, T>(
        want: &Option<W>,
        seen: &Observed<T>,
        changes: impl FnOnce(&W, &T) -> Vec<String>,
    ) -> Vec<String> {
        match (want, seen.ours()) {
            (Some(want), Some(facts)) => changes(want, facts),
            _ => vec!["it was gone".into()],
        }
    }
    fn all(words: impl IntoIterator<Item = Option<&'static str>>) -> Vec<String> {
        words.into_iter().flatten().map(str::to_owned).collect()
    }
    let store = want.store_kind().unwrap_or_default();
    match layer {
        Layer::Key => of(&want.key, &observed.key, |want, facts| {
            all(diff::key(want, facts).into_iter().map(KeyChange::words))
        }),
        Layer::Bucket => of(&want.bucket, &observed.bucket, |want, facts| {
            let change = |change| match (change, &facts.policy) {
                (BucketChange::Policy, Some(found)) => {
                    match &policy::others(found, &policy::bucket(scope, want))[..] {
                        [] => change.words().to_owned(),
                        others => format!("{} (with {})", change.words(), others.join(", ")),
                    }
                }
                _ => change.words().to_owned(),
            };
            diff::bucket(scope, want, facts).into_iter().map(change).collect()
        }),
        Layer::VectorStore => of(&want.vector_store, &observed.vector_store, |want, facts| {
            all(want.changes(facts).into_iter().map(|change| change.words))
        }),
        Layer::Index => of(&want.index, &observed.index, |want, facts| {
            let fields =
                diff::missing_mappings(want, facts).into_iter().map(|(field, _)| format!("field {field}"));
            let changes = diff::index(want, facts, &observed.index_asked).into_iter();
            fields.chain(all(changes.map(IndexChange::words))).collect()
        }),
        Layer::Role => of(&want.role, &observed.role, |want, facts| {
            all(diff::role(scope, want, facts).into_iter().map(RoleChange::words).map(Some))
        }),
        Layer::KnowledgeBase => of(&want.knowledge_base, &observed.knowledge_base, |want, facts| {
            let words = |change: KnowledgeBaseChange| change.words(store);
            diff::knowledge_base(scope, want, facts).into_iter().filter_map(words).collect()
        }),
    }
}

impl KeyChange {
    /// `None` for what a person or AWS changes.
    const fn words(self) -> Option<&'static str> {
        match self {
            KeyChange::Tags => Some("its tags"),
            KeyChange::Alias => Some("its alias"),
            KeyChange::NotEnabled | KeyChange::ShutsStoreOut => None,
        }
    }
}

impl BucketChange {
    const fn words(self) -> &'static str {
        match self {
            BucketChange::PublicAccess => "its public access block",
            BucketChange::Ownership => "its object ownership",
            BucketChange::Policy => "its policy",
            BucketChange::Encryption => "its default encryption",
            BucketChange::Versioning => "its versioning",
            BucketChange::Lifecycle => "its lifecycle rules",
            BucketChange::Tags => "its tags",
        }
    }
}

impl RoleChange {
    const fn words(self) -> &'static str {
        match self {
            RoleChange::Create => "it was gone",
            RoleChange::Trust => "its trust policy",
            RoleChange::Boundary => "its permissions boundary",
            RoleChange::Permissions => "its permissions",
            RoleChange::DataAccess => "the data access policy of its index",
            RoleChange::Tags => "its tags",
        }
    }
}

impl IndexChange {
    /// `None` for what is told field by field.
    const fn words(self) -> Option<&'static str> {
        match self {
            IndexChange::Fields => None,
            IndexChange::Mode => Some("its index mode"),
            IndexChange::Tags => Some("its tags"),
        }
    }
}

impl KnowledgeBaseChange {
    /// `None` for what AWS does, and nobody puts right.
    fn words(self, store: VectorStore) -> Option<String> {
        let words = match self {
            KnowledgeBaseChange::Tags => "its tags",
            KnowledgeBaseChange::Replace => return Some(format!("its {}", features(store).words)),
            KnowledgeBaseChange::NarrowTrust => "its role's trust policy",
            KnowledgeBaseChange::DropDataSource => "the index of its data source",
            KnowledgeBaseChange::CreateDataSource => "its data source was gone",
            KnowledgeBaseChange::UpdateDataSource => "the settings of its data source",
            KnowledgeBaseChange::NotActive | KnowledgeBaseChange::DataSourceNotAvailable => return None,
        };
        Some(words.into())
    }
}

#[cfg(test)]
mod tests;
