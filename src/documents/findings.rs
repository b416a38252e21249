//! What a review of documents found and did: numbers, and a few names.

use std::collections::{BTreeMap, BTreeSet};

use data_encoding::BASE64URL_NOPAD;
use sha2::{Digest, Sha256};

use super::failures::{NOBODYS, Skipped};
use super::job_size::Added;
use super::ledger::{ABSENT, Entry};
pub use super::names::Names;
use super::sidecar;
use super::tally::{Bound, Held, OfTenant, Tallies, Tally};

/// How many documents there were at the last job, and how many of them are gone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Losses {
    /// Documents of the last job.
    pub known: usize,
    /// Those of them that are gone.
    pub gone: usize,
}

impl Losses {
    fn is_a_fifth(self) -> bool {
        self.gone > 0 && self.gone * 5 >= self.known
    }

    /// Whether it is more than a fifth, and not only a few documents.
    pub fn is_large(self) -> bool {
        self.gone >= HANDFUL && self.gone * 5 > self.known
    }
}

/// Fewer documents than this are never a large loss.
const HANDFUL: usize = 10;
/// So many tenants do not delete their documents at the same time by chance.
const TENANTS: usize = 3;

fn are_many(tenants: usize, all: usize) -> bool {
    tenants >= TENANTS && tenants * 5 >= all
}

/// A digest of the keys that are gone. It is the sum of their hashes, so their order does not matter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GoneKeys([u8; 32]);

impl GoneKeys {
    fn add(&mut self, key: &str) {
        let mut carry = 0;
        for (sum, more) in self.0.iter_mut().zip(Sha256::digest(key)) {
            let whole = u16::from(*sum) + u16::from(more) + carry;
            [*sum, _] = whole.to_le_bytes();
            carry = whole >> 8;
        }
    }

    /// The digest as text.
    pub fn digest(&self) -> String {
        BASE64URL_NOPAD.encode(&self.0)
    }
}

/// What a review found and did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// Documents in the bucket.
    pub documents: usize,
    /// What was lost. Documents of tenants that leave are expected to go, and are not counted as gone.
    pub losses: Losses,
    /// The same for each tenant of a pool.
    pub by_tenant: BTreeMap<String, Losses>,
    /// Which documents are gone, without those of tenants that leave.
    pub gone_keys: GoneKeys,
    /// Objects that are new, changed or gone, and metadata files that the review wrote or moved away.
    pub changed: usize,
    /// Metadata files among them.
    pub changed_files: usize,
    /// Metadata files that were written.
    pub written: usize,
    /// How many documents there are of each tenant of a pool; of others all, under an empty tenantId.
    pub tallies: BTreeMap<String, Tally>,
    /// By tenant: documents that are beyond the limit of its class.
    pub held: BTreeMap<String, Held>,
    /// Documents under a tenantId that no Tenant has.
    pub unclaimed: usize,
    /// Attributes that were not kept, because the pool does not declare them.
    pub dropped: usize,
    /// Metadata files that named another tenant.
    pub corrected: Names,
    /// By tenant: documents whose metadata file said something that was not kept.
    pub lost: BTreeMap<String, Names>,
    /// Documents that were put into quarantine, because their key names no tenant, or is too long for a metadata file.
    pub quarantined: Names,
    /// What the next job has to index.
    pub added: Added,
    /// By tenant: documents that were put into quarantine, because the next job would have been too large.
    pub set_aside: BTreeMap<String, Names>,
    /// Objects that the review could not handle. No filter finds them.
    pub skipped: Skipped,
}

impl Findings {
    /// The tenants of a pool that have each lost a fifth of their documents or more. `None` if they are fewer than three, or
    /// fewer than a fifth of all: then nobody has emptied the bucket.
    pub fn bereft(&self) -> Option<Vec<&str>> {
        let bereft: Vec<_> = self
            .by_tenant
            .iter()
            .filter(|(_, it)| it.is_a_fifth())
            .map(|(tenant, _)| tenant.as_str())
            .collect();
        let are_many = are_many(bereft.len(), self.by_tenant.len());
        (are_many && self.losses.gone >= HANDFUL).then_some(bereft)
    }

    /// Whether [`Self::bereft`] may have tenants once these are looked at, of which nothing is known yet.
    pub fn may_be_bereft(&self, unknown: &BTreeSet<&str>) -> bool {
        let bereft = self.by_tenant.iter().filter(|(_, it)| it.is_a_fifth());
        let bereft: BTreeSet<_> =
            bereft.map(|(tenant, _)| tenant.as_str()).chain(unknown.iter().copied()).collect();
        let all = self.by_tenant.keys().map(String::as_str).chain(unknown.iter().copied());
        let all = all.collect::<BTreeSet<_>>().len();
        are_many(bereft.len(), all) && (!unknown.is_empty() || self.losses.gone >= HANDFUL)
    }

    /// Whether a tenant of a pool had a document.
    pub fn knew(&self, tenant: &str) -> bool {
        self.by_tenant.contains_key(tenant)
    }

    /// The tenants of a pool with a large loss.
    pub fn large_losses(&self) -> impl Iterator<Item = (&str, Losses)> {
        let each = self.by_tenant.iter().map(|(tenant, losses)| (tenant.as_str(), *losses));
        each.filter(|(_, losses)| losses.is_large())
    }

    /// Adds what an earlier review has corrected and nobody was told of.
    pub fn after(mut self, earlier: Option<Findings>) -> Self {
        if let Some(earlier) = earlier {
            self.corrected.extend(earlier.corrected);
            for (tenant, names) in earlier.lost {
                self.lost.entry(tenant).or_default().extend(names);
            }
            self.quarantined.extend(earlier.quarantined);
            for (tenant, names) in earlier.set_aside {
                self.set_aside.entry(tenant).or_default().extend(names);
            }
        }
        self
    }

    /// What is still true after a job has started: the job forgets what is gone.
    pub fn forgotten(self) -> Self {
        let Self { documents, unclaimed, skipped, mut by_tenant, losses, tallies, held, .. } = self;
        let forget = |it: Losses| Losses { known: it.known - it.gone, gone: 0 };
        by_tenant.values_mut().for_each(|it| *it = forget(*it));
        Self {
            documents,
            unclaimed,
            skipped,
            by_tenant,
            losses: forget(losses),
            tallies,
            held,
            ..Self::default()
        }
    }

    /// Counts a document of the listing with its bytes.
    pub(super) fn tally(&mut self, key: &str, bytes: u64) {
        if !sidecar::is_document(key) {
            return;
        }
        let tenant = sidecar::tenant_of(key).unwrap_or(NOBODYS);
        // Most objects follow one of the same tenant, so this seldom makes a new string.
        match self.tallies.get_mut(tenant) {
            Some(tally) => tally.add(bytes),
            None => drop(self.tallies.insert(tenant.into(), Tally::default().and(bytes))),
        }
    }

    /// Counts a document that is beyond the limit of its tenant's class.
    pub(super) fn hold(&mut self, tenant: String, key: String, bytes: u64, bound: &Bound) {
        let held = self.held.entry(tenant).or_default();
        held.bound.clone_from(bound);
        held.tally.add(bytes);
        held.names.add(|| key);
    }

    /// How many documents each tenant of a pool has, and how many are held back.
    pub fn by_class(&self) -> Tallies {
        let of = |(tenant, tally): (&String, &Tally)| {
            (tenant.clone(), OfTenant { tally: *tally, held: self.held.get(tenant).cloned() })
        };
        self.tallies.iter().filter(|(tenant, _)| *tenant != NOBODYS).map(of).collect()
    }

    /// How many documents there are in all.
    pub fn total(&self) -> Tally {
        let each = self.tallies.values();
        each.fold(Tally::default(), |sum, it| Tally {
            documents: sum.documents + it.documents,
            bytes: sum.bytes.saturating_add(it.bytes),
        })
    }

    /// Counts an object that the ledger has and the listing has not.
    pub(super) fn lost(&mut self, entry: &Entry, leaving: &BTreeSet<String>) {
        if entry.mark == ABSENT {
            return;
        }
        self.changed += 1;
        if !sidecar::is_document(&entry.key) {
            return;
        }
        self.losses.known += 1;
        let tenant = sidecar::tenant_of(&entry.key);
        if tenant.is_some_and(|tenant| leaving.contains(tenant)) {
            return;
        }
        self.losses.gone += 1;
        self.gone_keys.add(&entry.key);
        if let Some(tenant) = tenant {
            let losses = self.by_tenant.entry(tenant.into()).or_default();
            *losses = Losses { known: losses.known + 1, gone: losses.gone + 1 };
        }
    }

    /// Counts an object of the listing. `known` is what the ledger has under its key.
    pub(super) fn found(&mut self, entry: &Entry, known: Option<&Entry>) {
        let is_document = sidecar::is_document(&entry.key);
        let has_changed = known.is_none_or(|known| !known.is_same(entry));
        self.documents += usize::from(is_document);
        if is_document && known.is_some_and(Entry::is_there) {
            self.losses.known += 1;
            if let Some(tenant) = sidecar::tenant_of(&entry.key) {
                // Most objects follow one of the same tenant, so this seldom makes a new string.
                match self.by_tenant.get_mut(tenant) {
                    Some(losses) => losses.known += 1,
                    None => drop(self.by_tenant.insert(tenant.into(), Losses { known: 1, gone: 0 })),
                }
            }
        }
        self.changed += usize::from(has_changed);
        self.changed_files += usize::from(has_changed && sidecar::is_sidecar(&entry.key));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::documents::ledger::mark;

    fn entry(key: &str) -> Entry {
        Entry::new(key.into(), mark("e", 1))
    }

    /// Findings of tenants that each had so many documents, of which so many are gone.
    fn after(tenants: &[(&str, usize, usize)]) -> Findings {
        let mut findings = Findings::default();
        for (tenant, known, gone) in tenants {
            for n in 0..*known {
                let entry = entry(&format!("pool/{tenant}/{n}.md"));
                if n < *gone {
                    findings.lost(&entry, &BTreeSet::from(["leaver".to_string()]))
                } else {
                    findings.found(&entry, Some(&entry))
                }
            }
        }
        findings
    }

    #[test]
    fn one_tenants_large_deletion_is_told_and_holds_nobody() {
        let findings = after(&[("acme", 20, 20), ("globex", 5, 0), ("umbrella", 5, 0)]);
        assert_eq!(findings.bereft(), None);
        let told: Vec<_> = findings.large_losses().collect();
        assert_eq!(told, [("acme", Losses { known: 20, gone: 20 })]);
    }

    #[test]
    fn a_bucket_that_was_emptied_waits_for_a_person() {
        let emptied = |gone| {
            after(&[("a", 5, gone), ("b", 5, gone), ("c", 5, gone), ("d", 5, 0)]).bereft().map(|it| it.len())
        };
        assert_eq!(emptied(5), Some(3));
        assert_eq!(emptied(4), Some(3));
        assert_eq!(emptied(3), None, "less than a handful in all");
        assert_eq!(emptied(0), None);
        let two = after(&[("a", 20, 20), ("b", 20, 20), ("c", 20, 3)]);
        assert_eq!(two.bereft(), None, "two tenants, and one that lost less than a fifth");
        let mut of_twenty: Vec<_> = ["a", "b", "c"].map(|it| (it, 9, 9)).into();
        let others: Vec<_> = (0..13).map(|n| format!("t{n}")).collect();
        of_twenty.extend(others.iter().map(|it| (it.as_str(), 9, 0)));
        assert_eq!(after(&of_twenty).bereft(), None, "three of sixteen are less than a fifth");
        assert_eq!(after(&of_twenty[..15]).bereft().map(|it| it.len()), Some(3));
    }

    #[test]
    fn who_leaves_loses_nothing_unexpectedly() {
        let findings = after(&[("leaver", 30, 30), ("acme", 5, 0)]);
        assert_eq!((findings.losses.gone, findings.by_tenant.len()), (0, 1));
    }

    #[test]
    fn other_keys_are_another_loss_however_many_there_are() {
        let digest = |of: &[(&str, usize, usize)]| after(of).gone_keys.digest();
        assert_eq!(digest(&[("a", 9, 5)]), digest(&[("a", 12, 5)]));
        assert_ne!(digest(&[("a", 9, 5)]), digest(&[("b", 9, 5)]));
        assert_ne!(digest(&[("a", 9, 5)]), digest(&[("a", 9, 4)]));
        assert_eq!(digest(&[("a", 9, 5), ("b", 9, 3)]), digest(&[("b", 9, 3), ("a", 9, 5)]), "in any order");
    }

    #[test]
    fn what_was_skipped_is_neither_new_nor_gone_while_it_stays_so() {
        let mut findings = Findings::default();
        let skipped = Entry { skipped: Some("s3:CopyObject".into()), ..entry("pool/a/x.md") };
        findings.found(&entry("pool/a/x.md"), Some(&skipped));
        let absent = Entry {
            skipped: Some("s3:PutObject".into()),
            ..Entry::new("pool/a/y.md.metadata.json".into(), "-".into())
        };
        findings.lost(&absent, &BTreeSet::new());
        assert_eq!((findings.changed, findings.losses.gone), (0, 0));
        findings.lost(&Entry::gone("pool/a/z.md".into()), &BTreeSet::new());
        assert_eq!((findings.changed, findings.losses.gone), (1, 1), "no job has forgotten it yet");
        findings.found(&entry("pool/a/z.md"), Some(&Entry::gone("pool/a/z.md".into())));
        assert_eq!((findings.changed, findings.losses.known), (2, 2), "it is back");
    }
}
