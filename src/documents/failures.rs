//! Documents that could not be indexed, by tenant.
//!
//! The failure reasons of a job may name documents of many tenants in one sentence. What Bedrock says of one document names no
//! other. So a tenant of a pool reads of its own documents only.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};

use jiff::Timestamp;

use super::index::Span;
use super::known::{self, Known};
use super::scope::Scope;
use super::sidecar;
use crate::api::Reason;
use crate::aws::Aws;
use crate::stack::fault::Fault;
use crate::stack::job::{DocumentState, JobSummary};
use crate::stack::model::outcome::Documents;

/// How many documents are named.
const NAMED: usize = 10;
/// How many characters of a key are told, and of a reason.
const LENGTH: usize = 200;

/// Documents of one tenant that could not be indexed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Failures {
    /// How many.
    pub count: usize,
    /// The first of them, each with the reason.
    pub named: Vec<String>,
}

/// A pool's failures, by tenantId.
pub type ByTenant = BTreeMap<String, Failures>;

/// Stands in the place of a tenantId for objects under none.
pub const NOBODYS: &str = "";

/// Objects that a review had to skip.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Skipped {
    /// By the tenant under whose prefix they are.
    pub by_tenant: ByTenant,
    /// The hashes of their keys.
    keys: HashSet<u64>,
}

impl Skipped {
    /// Adds an object, and why.
    pub fn add(&mut self, key: &str, why: &str) {
        self.tell(key, why);
        self.keys.insert(hash(key));
    }

    /// Adds an object that no job reads, and why.
    pub fn tell(&mut self, key: &str, why: &str) {
        let tenant = sidecar::tenant_of(key).unwrap_or(NOBODYS);
        self.by_tenant.entry(tenant.into()).or_default().add(key, why);
    }

    /// Keeps what was known of these tenants.
    pub fn keep(&mut self, before: &Skipped, tenants: &BTreeSet<String>) {
        for tenant in tenants {
            if let Some(its) = before.by_tenant.get(tenant) {
                self.by_tenant.entry(tenant.clone()).or_insert_with(|| its.clone());
                self.keys.extend(&before.keys);
            }
        }
    }

    /// Whether it is, or what lies beside it.
    fn has(&self, document: &str) -> bool {
        let file = || format!("{document}{}", sidecar::SUFFIX);
        !self.keys.is_empty() && (self.keys.contains(&hash(document)) || self.keys.contains(&hash(&file())))
    }
}

fn hash(key: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    key.hash(&mut hasher);
    hasher.finish()
}

impl Failures {
    /// One more, and why.
    pub fn add(&mut self, key: &str, why: &str) {
        self.count += 1;
        if self.named.len() < NAMED {
            let cut = |text: &str| text.chars().take(LENGTH).collect::<String>();
            self.named.push(format!("{}: {}", cut(key), cut(why)));
        }
    }

    /// Adds others of the same tenant.
    fn and(mut self, others: Self) -> Self {
        self.count += others.count;
        self.named.extend(others.named);
        self.named.truncate(NAMED);
        self
    }

    /// What its tenant's condition says.
    pub fn condition(&self) -> Documents {
        let message = format!(
            "Documents that could not be indexed: {self}. Mend them and upload them again; the next job tries again"
        );
        Documents { current: Some(false), reason: Reason::DocumentsFailed, message }
    }
}

impl fmt::Display for Failures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.named.join("; "))?;
        match self.count - self.named.len() {
            0 => Ok(()),
            more => write!(f, "; and {more} more"),
        }
    }
}

/// What Bedrock says of a document counts since this moment: the start of the last job that went through all documents, or else of
/// the first job. Each job tries again what failed before, so older words are out of date.
pub fn since(jobs: &[JobSummary]) -> Option<Timestamp> {
    let whole = jobs.iter().find(|job| job.status == "COMPLETE").or(jobs.last());
    whole.map(|job| job.started)
}

/// The documents of a data source that could not be indexed since then, by tenant. Those that the review had to skip are left out,
/// because they are told already.
pub async fn by_tenant(
    aws: &Aws,
    kb: &str,
    data_source: &str,
    since: Timestamp,
    skipped: &Skipped,
) -> Result<ByTenant, Fault> {
    let mut failures = ByTenant::new();
    let each = |document: DocumentState| {
        if skipped.has(&document.key) {
            return;
        }
        if let Some(tenant) = sidecar::tenant_of(&document.key).filter(|_| document.has_failed_since(since)) {
            failures.entry(tenant.into()).or_default().add(&document.key, &document.why());
        }
    };
    aws.documents.each(kb, data_source, each).await?;
    Ok(failures)
}

/// The objects that the last reviews had to skip, from the ledger.
pub async fn skipped(aws: &Aws, scope: &Scope<'_>) -> Result<Skipped, Fault> {
    let index = known::index(aws, scope.bucket, scope.ledger).await?;
    let mut known = Known::new(aws, scope.bucket, scope.ledger, &[], index.over(&Span::default()));
    let mut skipped = Skipped::default();
    while let Some(entry) = known.next().await? {
        if let Some(why) = &entry.skipped {
            skipped.add(&entry.key, why);
        }
    }
    Ok(skipped)
}

/// All failures of both.
pub fn together(one: &ByTenant, other: &ByTenant) -> ByTenant {
    let mut all = one.clone();
    for (tenant, failures) in other {
        let before = all.remove(tenant).unwrap_or_default();
        all.insert(tenant.clone(), before.and(failures.clone()));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_names_the_first_ten_and_counts_the_rest() {
        let mut failures = Failures::default();
        for n in 0..12 {
            let reason = "The file is ".to_owned() + &"very ".repeat(100) + "broken";
            failures.add(&format!("pool/a/{n}.md"), &reason);
        }
        let message = failures.condition().message;
        assert!(message.contains("pool/a/9.md: The file is very"), "{message}");
        assert!(!message.contains("pool/a/10.md") && message.contains("; and 2 more."), "{message}");
        assert!(message.len() < 4000, "{}", message.len());
    }

    fn job(status: &str, started: i64) -> JobSummary {
        let at = |second| Timestamp::from_second(second).unwrap();
        let (id, description) = (format!("job {started}"), String::new());
        let status = status.into();
        JobSummary {
            id,
            status,
            description,
            started: at(started),
            updated: at(started + 1),
            statistics: Default::default(),
        }
    }

    #[test]
    fn a_job_that_ended_in_the_middle_clears_nobody() {
        let second = |jobs: &[JobSummary]| since(jobs).map(|at| at.as_second());
        assert_eq!(second(&[]), None);
        assert_eq!(second(&[job("FAILED", 3)]), Some(3));
        assert_eq!(
            second(&[job("FAILED", 9), job("STOPPED", 6), job("COMPLETE", 3), job("COMPLETE", 1)]),
            Some(3)
        );
        let said = |status: &str, updated: Option<i64>| DocumentState {
            key: "pool/a/x.md".into(),
            status: status.into(),
            reason: String::new(),
            updated: updated.map(|second| Timestamp::from_second(second).unwrap()),
        };
        let three = Timestamp::from_second(3).unwrap();
        assert!(
            said("FAILED", Some(4)).has_failed_since(three) && said("IGNORED", None).has_failed_since(three)
        );
        assert!(
            !said("FAILED", Some(2)).has_failed_since(three)
                && !said("INDEXED", None).has_failed_since(three)
        );
        assert_eq!(said("FAILED", None).why(), "FAILED, and no reason is given");
    }
}
