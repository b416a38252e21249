//! What a review of documents found and did, in numbers and a few names.

use std::collections::BTreeSet;

use super::ledger::{Entry, Listed};
use super::sidecar;

/// How many names are kept for messages.
const NAMED: usize = 10;
/// How much of a long one.
const LENGTH: usize = 80;

/// A few names, and how many there are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    /// How many.
    pub count: usize,
    /// The first of them.
    pub first: Vec<String>,
}

impl Names {
    pub(super) fn add(&mut self, name: impl FnOnce() -> String) {
        self.count += 1;
        if self.first.len() < NAMED {
            let name = name();
            let short: String = name.chars().take(LENGTH).collect();
            self.first.push(if short.len() < name.len() { format!("{short}…") } else { name });
        }
    }

    pub(super) fn extend(&mut self, others: Names) {
        self.count += others.count;
        self.first.extend(others.first);
        self.first.truncate(NAMED);
    }
}

impl std::fmt::Display for Names {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let more = self.count.saturating_sub(self.first.len());
        write!(f, "{}", self.first.join(", "))?;
        if more > 0 { write!(f, " and {more} more") } else { Ok(()) }
    }
}

/// What a review found and did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// Documents that are there.
    pub documents: usize,
    /// Documents of the last ledger.
    pub known: usize,
    /// Documents of the last ledger that are gone, but for those of tenants that leave.
    pub gone: usize,
    /// Objects that are new, changed or gone, and metadata files that the review wrote or put aside.
    pub changed: usize,
    /// Metadata files among them.
    pub changed_files: usize,
    /// Metadata files that were written.
    pub written: usize,
    /// Documents whose key names a tenantId that is nobody's.
    pub unclaimed: usize,
    /// Attributes that nobody declared, and so were not kept.
    pub dropped: usize,
    /// Metadata files that named another tenant.
    pub corrected: Names,
    /// Documents that were put into quarantine, because their key names no tenant or leaves no room.
    pub quarantined: Names,
    /// The job that the last ledger was written for, by its description.
    pub last_for: Option<String>,
}

impl Findings {
    /// Whether a job would forget an unusually large part of the documents: more than a fifth, and more than a handful.
    pub fn is_large_deletion(&self) -> bool {
        self.gone >= 10 && self.gone * 5 > self.known
    }

    /// The same, with what another review a moment ago has put right.
    pub fn after(mut self, earlier: Option<Findings>) -> Self {
        if let Some(earlier) = earlier {
            self.corrected.extend(earlier.corrected);
            self.quarantined.extend(earlier.quarantined);
        }
        self
    }

    pub(super) fn lost(&mut self, entry: &Entry, leaving: &BTreeSet<String>) {
        self.changed += 1;
        self.known += usize::from(sidecar::is_document(&entry.key));
        let expected = sidecar::tenant_of(&entry.key).is_some_and(|tenant| leaving.contains(tenant));
        self.gone += usize::from(sidecar::is_document(&entry.key) && !expected);
    }

    pub(super) fn found(&mut self, listed: &Listed, was_known: bool) {
        let is_document = sidecar::is_document(&listed.entry.key);
        self.documents += usize::from(is_document);
        self.known += usize::from(is_document && was_known);
        self.changed += usize::from(!listed.same);
        self.changed_files += usize::from(!listed.same && sidecar::is_sidecar(&listed.entry.key));
    }
}
