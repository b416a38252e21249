//! A range of keys that a review has not gone over yet.

use super::index::Span;
use super::ledger::{ABSENT, Entry, Listed, Pair, Pairing};
use super::scope::Scope;
use super::sidecar;

/// So many objects of a tenant of a pool are listed before others have their turn, or as many as all others had,
const MANY: usize = 2_000;
/// and so many of them are looked into.
pub(super) const MUCH: usize = 32;

/// What lies ahead in a range of keys.
#[derive(Clone, Debug)]
pub struct Range {
    /// The keys.
    pub span: Span,
    /// The documents before them whose metadata file may be among them.
    pub(super) pairing: Pairing,
    /// How much there was of the tenant that was listed last.
    pub(super) of_one: OfOne,
    /// Whose it is, if it was left for later.
    pub tenant: Option<String>,
    /// Whether the ledger knew something of that tenant.
    pub may_lose: bool,
    /// Whether something of that tenant has changed, as far as it was looked at.
    pub has_changed: bool,
}

impl Range {
    /// Nothing of it has been seen.
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
                pair.sidecar = Some(Listed { entry: Entry::new(file, ABSENT.into()), same: false });
            }
        }
        pairs
    }
}

/// How much there was of the tenant of a pool whose documents are listed.
#[derive(Clone, Debug, Default)]
pub(super) struct OfOne {
    /// Its folder; empty where there is no tenant.
    folder: String,
    pub objects: usize,
    pub looks: usize,
    /// What there was of others before it: objects,
    objects_before: usize,
    /// looks into them,
    looks_before: usize,
    /// and changes.
    pub changed: usize,
}

impl OfOne {
    /// Whether a key is another's.
    pub fn is_over(&self, key: &str) -> bool {
        self.folder.is_empty() || !key.starts_with(&self.folder)
    }

    /// Counts from this key on, if it is another's.
    pub fn begin(&mut self, key: &str, scope: &Scope<'_>, changed: usize) {
        if self.is_over(key) {
            let tenant = scope.pool.and_then(|_| sidecar::tenant_of(key));
            let folder = tenant.map(|tenant| format!("{}{tenant}/", scope.prefix)).unwrap_or_default();
            let objects_before = self.objects_before + self.objects;
            let looks_before = self.looks_before + self.looks;
            *self = Self { folder, objects_before, looks_before, changed, ..Self::default() };
        }
    }

    /// It is left for later, and does not count.
    pub fn leave(&mut self, changed: usize) {
        *self = Self { folder: String::new(), objects: 0, looks: 0, changed, ..*self };
    }

    /// Whether there was so much of it that others come before its next key, which is this one.
    pub fn is_too_much(&self, key: &str) -> bool {
        let is_too_much =
            self.objects >= self.objects_before.max(MANY) || self.looks >= self.looks_before.max(MUCH);
        !self.is_over(key) && is_too_much
    }
}
