//! What one store differs in from another, as data: one row a store.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::capacity::Capacity;
use super::metadata::MetadataLimits;
use crate::api::Layer;
use crate::stack::iam::operation::Operation;
use crate::stack::identity::Scope;
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
    /// Whether an index declares the attributes that one may filter by.
    pub declares: bool,
    /// Whether an index has tags of its own, which say whose it is.
    pub index_has_tags: bool,
    /// Whether its deletion takes its indexes along. Another is not deleted while it has one.
    pub takes_indexes_along: bool,
    /// Whether it bills the vectors that are in it, and nothing by the hour.
    pub bills_vectors: bool,
    /// Whether a store and an index are there when AWS answers that it makes them.
    pub made_at_once: bool,
    /// Whether a question can be looked for by its words, too, and not by its meaning alone.
    pub finds_words: bool,
    /// The operators of a question's filter that it does not know, in AWS's words: it fails, or leaves them out.
    pub no_operators: &'static [&'static str],
    /// What goes of a document's metadata file into an index, if AWS says less than for all.
    pub metadata: Option<MetadataLimits>,
    /// The service of its own that decrypts by itself, if it has one.
    pub decrypts: Option<&'static str>,
    /// What the policy of a customer key must say for it, beside what the account's own policies do.
    pub key_statement: Option<fn(&Scope) -> Value>,
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
