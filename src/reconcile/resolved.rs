//! What an object asks for. It is worked out once a pass, and is all that the rest of the pass is given of the spec.

use std::collections::BTreeMap;

use super::classes::Class;
use super::engine::Stack;
use crate::api::{
    Column, EncryptionSettings, IngestionSettings, Isolation, Placement, Shared, Status, VectorStore,
};
use crate::stack::identity::Identity;
use crate::stack::model::blocked::Blocked;
use crate::stack::model::desired::Blueprint;
use crate::stack::offer::Offer;

/// What an object asks for that may be acted upon.
pub struct Resolved {
    /// Whose stack it is, and what its parts are called.
    pub id: Identity,
    /// What is asked for.
    pub asks: Asks,
    /// What is lent.
    pub offer: Option<Offer>,
    /// The tenantId that it may have and does not have yet; none if it has it, or needs none.
    pub grant: Option<Grant>,
    /// Why there is no room for its knowledge base, if there is none any more.
    pub no_room: Option<Blocked>,
    /// The approval that somebody gave, if any.
    pub approved: Option<String>,
    /// Where a Tenant stands, and under which class.
    pub stands: Option<Stands>,
}

/// Where a Tenant stands.
pub struct Stands {
    /// What it was accepted with, and may never change.
    pub placement: Placement,
    /// The class that bounds it: the last that was accepted.
    pub class: Option<Class>,
    /// Why something else that it asks for is refused.
    pub refused: Option<Blocked>,
}

/// A spec with all that it leaves out.
pub enum Asks {
    /// A Tenant's.
    Tenant {
        /// The pattern, and what it asks for.
        isolation: Isolation,
        /// The user's tags.
        tags: BTreeMap<String, String>,
    },
    /// A SharedStack's.
    SharedStack(Shared),
}

/// A tenantId that a Tenant may have. It has it once its record says so.
pub struct Grant {
    /// The uid of the Tenant's namespace.
    pub namespace_uid: String,
    /// Whether the namespace names the id.
    pub named: bool,
    /// The record that this goes over, by its ETag.
    pub over: Option<String>,
    /// An earlier holder may have left something.
    pub inherits: bool,
}

impl Asks {
    /// What the owned layers should be.
    pub fn blueprint(&self) -> Blueprint<'_> {
        match self {
            Asks::Tenant { isolation, tags } => Blueprint::Tenant { isolation, tags },
            Asks::SharedStack(shared) => Blueprint::Stack(shared),
        }
    }

    fn column(&self) -> Column {
        match self {
            Asks::Tenant { isolation, .. } => isolation.pattern().into(),
            Asks::SharedStack(shared) => shared.column(),
        }
    }

    /// How documents that are its own, and nobody else's, are ingested.
    pub fn ingestion(&self) -> Option<&IngestionSettings> {
        match self {
            Asks::Tenant { isolation, .. } => isolation.ingestion(),
            Asks::SharedStack(_) => None,
        }
    }

    /// Whether a key is to be made.
    fn creates_key(&self) -> bool {
        let encryption = match self {
            Asks::Tenant { isolation, .. } => isolation.encryption(),
            Asks::SharedStack(shared) => Some(&shared.encryption),
        };
        matches!(encryption, Some(EncryptionSettings::Create))
    }
}

impl Resolved {
    /// The stack that is asked for, with its part of the status. A Pool tenant owns nothing, and has none.
    pub fn stack<'a>(&'a self, status: &'a Status) -> Option<Stack<'a>> {
        if matches!(self.asks, Asks::Tenant { isolation: Isolation::Pool(_), .. }) {
            return None;
        }
        Some(Stack {
            id: &self.id,
            column: self.asks.column(),
            offer: self.offer.as_ref(),
            status,
            creates_key: self.asks.creates_key(),
            approved: self.approved.as_deref(),
            no_room: self.no_room.as_ref(),
            store: None,
            blueprint: self.asks.blueprint(),
        })
    }

    /// Where its vectors are: in its own store, or in what it borrows.
    pub fn store_kind(&self) -> VectorStore {
        let lent = self.offer.as_ref().map(|offer| offer.store.kind());
        lent.or_else(|| self.asks.blueprint().store_kind()).unwrap_or_default()
    }

    /// Where in the bucket its documents are, if it has any of its own.
    pub fn prefix(&self) -> Option<String> {
        match &self.asks {
            Asks::SharedStack(shared) if shared.pool.is_none() => None,
            _ => Some(self.id.prefix()),
        }
    }
}
