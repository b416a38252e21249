//! What could not be indexed, and whose it was.
//!
//! A job's own failure reasons may name documents of many tenants in one sentence. What Bedrock says of each document
//! is about that document only: so a tenant of a pool reads of its own, and of nobody else's.

use std::collections::BTreeMap;

use super::sidecar;
use crate::api::Reason;
use crate::aws::Aws;
use crate::stack::fault::Fault;
use crate::stack::job::{DocumentState, JobSummary};
use crate::stack::verdict::Documents;

/// How many documents are named.
const NAMED: usize = 10;
/// How much of what is said of each.
const LENGTH: usize = 300;

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

impl Failures {
    fn add(&mut self, document: &DocumentState) {
        self.count += 1;
        if self.named.len() < NAMED {
            self.named.push(format!("{}: {}", document.key, document.reason).chars().take(LENGTH).collect());
        }
    }

    /// How its tenant's documents stand.
    pub fn verdict(&self) -> Documents {
        let more = match self.count - self.named.len() {
            0 => String::new(),
            more => format!("; and {more} more"),
        };
        let message = format!(
            "Documents that could not be indexed: {}{more}. Mend them and upload them again; the next job tries again",
            self.named.join("; ")
        );
        Documents { current: Some(false), reason: Reason::DocumentsFailed, message }
    }
}

/// What of a data source's documents a job could not index, by the tenant under whose prefix it is.
pub async fn by_tenant(aws: &Aws, kb: &str, data_source: &str, job: &JobSummary) -> Result<ByTenant, Fault> {
    let mut failures = ByTenant::new();
    let each = |document: DocumentState| {
        if let Some(tenant) = sidecar::tenant_of(&document.key).filter(|_| document.has_failed_in(job)) {
            failures.entry(tenant.into()).or_default().add(&document);
        }
    };
    aws.documents.each(kb, data_source, each).await?;
    Ok(failures)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_names_the_first_ten_and_counts_the_rest() {
        let mut failures = Failures::default();
        for n in 0..12 {
            let reason = "The file is ".to_owned() + &"very ".repeat(100) + "broken";
            let (key, updated) = (format!("pool/a/{n}.md"), jiff::Timestamp::UNIX_EPOCH);
            failures.add(&DocumentState { key, status: "FAILED".into(), reason, updated });
        }
        let message = failures.verdict().message;
        assert!(message.contains("pool/a/9.md: The file is very"), "{message}");
        assert!(!message.contains("pool/a/10.md") && message.contains("; and 2 more."), "{message}");
        assert!(message.len() < 4000, "{}", message.len());
    }
}
