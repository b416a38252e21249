//! What one store differs in from another, as data: one row a store.

use std::collections::{BTreeMap, BTreeSet};

use super::capacity::Capacity;
use crate::api::Layer;
use crate::stack::iam::operation::Operation;
use crate::stack::quota::Quota;

/// What is known of a kind of vector store without looking at one.
pub struct Features {
    /// What one store is called in a sentence, such as `collection`,
    pub words: &'static str,
    /// and at its beginning.
    pub title: &'static str,
    /// What must be whole before an index is made in it.
    pub index_needs: &'static [Layer],
    /// The call that makes an index.
    pub create_index: Operation,
    /// The call that makes the policy which stands beside a role and opens an index to it. None: IAM alone says who may
    /// read vectors.
    pub create_data_access: Option<Operation>,
    /// The operators of a question's filter that it does not know, in AWS's words: it fails, or leaves them out.
    pub no_operators: &'static [&'static str],
    /// AWS's limits that bind it, and what is taken of them.
    pub quotas: fn(&StoreCounts, &BTreeSet<Capacity>) -> Vec<Quota>,
}

/// What is taken of the limits of one kind of store.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoreCounts {
    /// The stores themselves.
    pub stores: u64,
    /// Roles that use one.
    pub roles: u64,
    /// Indexes, by the store's name.
    pub indexes: BTreeMap<String, u64>,
}

impl StoreCounts {
    /// Both together.
    pub fn add(&mut self, other: &Self) {
        let Self { stores, roles, indexes } = other;
        self.stores += stores;
        self.roles += roles;
        for (store, count) in indexes {
            *self.indexes.entry(store.clone()).or_default() += count;
        }
    }

    /// How many indexes the fullest has.
    pub fn fullest(&self) -> u64 {
        self.indexes.values().copied().max().unwrap_or_default()
    }
}
