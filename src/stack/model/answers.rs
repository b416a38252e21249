//! Whether questions are answered while something of a stack is put right. Bedrock answers from the vector store, as the role;
//! it asks neither the bucket nor any tag.

use super::desired::{Desired, DesiredRole};
use super::diff::{self, KnowledgeBaseChange, RoleChange};
use super::observed::{Observation, Observed, RoleFacts};
use super::policy;
use crate::api::Layer;
use crate::stack::identity::Scope;

/// Whether what differs of a layer that is there keeps nobody from being answered. Where that cannot be told, it may.
pub fn go_on(scope: &Scope, want: &Desired, observed: &Observation, layer: Layer) -> bool {
    fn of<W, T>(want: &Option<W>, seen: &Observed<T>, go_on: impl FnOnce(&W, &T) -> bool) -> bool {
        matches!((want, seen.ours()), (Some(want), Some(facts)) if go_on(want, facts))
    }
    match layer {
        Layer::Key => of(&want.key, &observed.key, |_, facts| facts.state == "Enabled"),
        Layer::Bucket => of(&want.bucket, &observed.bucket, |_, _| true),
        Layer::VectorStore => of(&want.vector_store, &observed.vector_store, |want, facts| {
            want.changes(facts).into_iter().all(|change| change.lets_answers_be)
        }),
        // What lacks a field finds all that it found before.
        Layer::Index => of(&want.index, &observed.index, |want, _| !want.rebuild),
        Layer::Role => of(&want.role, &observed.role, |want, facts| {
            diff::role(scope, want, facts)
                .into_iter()
                .all(|change| change.lets_answers_be(scope, want, facts))
        }),
        Layer::KnowledgeBase => of(&want.knowledge_base, &observed.knowledge_base, |want, facts| {
            diff::knowledge_base(scope, want, facts).into_iter().all(KnowledgeBaseChange::lets_answers_be)
        }),
    }
}

impl RoleChange {
    fn lets_answers_be(self, scope: &Scope, want: &DesiredRole, facts: &RoleFacts) -> bool {
        match self {
            RoleChange::Tags => true,
            // Another one may take away what the role needs.
            RoleChange::Boundary => facts.role.as_ref().is_some_and(|role| role.boundary.is_none()),
            // Its description stands for tags.
            RoleChange::DataAccess => {
                let says = |found: &serde_json::Value| {
                    want.data_access(scope).is_none_or(|wanted| policy::same(found, &wanted))
                };
                facts.data_access.as_ref().is_some_and(|found| says(&found.document))
            }
            RoleChange::Create | RoleChange::Trust | RoleChange::Permissions => false,
        }
    }
}

impl KnowledgeBaseChange {
    const fn lets_answers_be(self) -> bool {
        match self {
            KnowledgeBaseChange::Tags
            | KnowledgeBaseChange::NarrowTrust
            | KnowledgeBaseChange::UpdateDataSource => true,
            // A data source that goes may take its vectors along.
            KnowledgeBaseChange::Replace
            | KnowledgeBaseChange::DropDataSource
            | KnowledgeBaseChange::NotActive
            | KnowledgeBaseChange::CreateDataSource
            | KnowledgeBaseChange::DataSourceNotAvailable => false,
        }
    }
}
