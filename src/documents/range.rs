//! A range of keys that is still to be reviewed.

use super::index::Span;
use super::ledger::{ABSENT, Entry, Listed, Pair, Pairing};
use super::scope::Scope;
use super::sidecar;

/// A tenant of a pool is left for later after so many objects, or after as many as the tenants before it had in all.
const MANY: usize = 2_000;
/// The same, for objects that are read.
pub(super) const MUCH: usize = 32;

/// The rest of a range of keys.
#[derive(Clone, Debug)]
pub struct Range {
    /// The keys.
    pub span: Span,
    /// Documents before these keys whose metadata file may be among them.
    pub(super) pairing: Pairing,
    /// What was counted of the tenant that was listed last.
    pub(super) of_one: OfOne,
    /// The tenant, if the range was left for later.
    pub tenant: Option<String>,
    /// Whether the ledger has documents of that tenant, which may be gone.
    pub may_lose: bool,
    /// Whether something has changed in the part that was reviewed.
    pub has_changed: bool,
}

impl Range {
    /// A range of which nothing was reviewed.
    pub fn new(span: Span) -> Self {
        let (pairing, of_one) = (Pairing::default(), OfOne::default());
        Self { span, pairing, of_one, tenant: None, may_lose: false, has_changed: false }
    }

    /// All keys in the folder of a tenant. The last is the first key that no folder of that name can have. It names no tenant.
    pub fn of(prefix: &str, tenant: &str) -> Self {
        Self { tenant: Some(tenant.into()), ..Self::new(Span::under(&format!("{prefix}{tenant}/"))) }
    }

    /// The documents that are left at its end. The file of one that lies behind it may be there.
    pub(super) fn unpaired(&mut self) -> Vec<Pair> {
        let mut pairs = std::mem::take(&mut self.pairing).end();
        for pair in &mut pairs {
            let file = pair.document.file();
            if self.span.is_before(&file) {
                pair.sidecar = Some(Listed { entry: Entry::new(file, ABSENT.into()), same: false, bytes: 0 });
            }
        }
        pairs
    }
}

/// What was counted of the tenant of a pool whose documents are being listed.
#[derive(Clone, Debug, Default)]
pub(super) struct OfOne {
    /// Its folder; empty where there is no tenant.
    folder: String,
    pub objects: usize,
    pub looks: usize,
    /// The objects of tenants before it.
    objects_before: usize,
    /// Those of them that were read.
    looks_before: usize,
    /// The changes of tenants before it.
    pub changed: usize,
}

impl OfOne {
    /// Whether a key is not this tenant's.
    pub fn is_over(&self, key: &str) -> bool {
        self.folder.is_empty() || !key.starts_with(&self.folder)
    }

    /// Begins to count anew with this key, if it is another tenant's.
    pub fn begin(&mut self, key: &str, scope: &Scope<'_>, changed: usize) {
        if self.is_over(key) {
            let tenant = scope.pool.and_then(|_| sidecar::tenant_of(key));
            let folder = tenant.map(|tenant| format!("{}{tenant}/", scope.prefix)).unwrap_or_default();
            let objects_before = self.objects_before + self.objects;
            let looks_before = self.looks_before + self.looks;
            *self = Self { folder, objects_before, looks_before, changed, ..Self::default() };
        }
    }

    /// The tenant is left for later, and does not count.
    pub fn leave(&mut self, changed: usize) {
        *self = Self { folder: String::new(), objects: 0, looks: 0, changed, ..*self };
    }

    /// Whether the tenant has so many objects that the rest, from this key on, is left for later.
    pub fn is_too_much(&self, key: &str) -> bool {
        let is_too_much =
            self.objects >= self.objects_before.max(MANY) || self.looks >= self.looks_before.max(MUCH);
        !self.is_over(key) && is_too_much
    }
}
