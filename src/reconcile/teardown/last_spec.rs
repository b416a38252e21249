//! What a teardown reads of a spec: a few raw values, each by itself, so that an invalid spec does not stand in its way.

use kube::api::DynamicObject;

use crate::api::{DeletionPolicy, Pattern};
use crate::reconcile::unparsed::field;

/// The spec as it was last written. A value that is missing, or that this release does not know, is absent.
pub struct LastSpec {
    /// A Tenant's tenantId.
    pub tenant_id: Option<String>,
    /// A Tenant's pattern.
    pub pattern: Option<Pattern>,
    /// The SharedStack that a Tenant borrows from.
    pub stack: Option<String>,
    /// Whether a SharedStack has a pool.
    pub has_pool: bool,
    /// Whether it had a key made for it.
    pub creates_key: bool,
    /// What is to become of the stack.
    pub policy: Option<DeletionPolicy>,
}

impl LastSpec {
    /// The only place where a teardown reads a spec. All but the policy may never change. The policy may change until
    /// the end, so it is always the one that stands in the spec now.
    pub fn of(object: &DynamicObject) -> Self {
        let key: Option<String> = field(object, "/spec/encryption/key");
        Self {
            tenant_id: field(object, "/spec/tenantId"),
            pattern: field(object, "/spec/pattern"),
            stack: field(object, "/spec/stackRef/name"),
            has_pool: object.data.pointer("/spec/pool").is_some(),
            creates_key: key.is_some_and(|key| key == "Create"),
            policy: field(object, "/spec/deletionPolicy"),
        }
    }
}
