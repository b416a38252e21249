//! Which documents are not indexed, as far as a process knows.

use std::collections::BTreeSet;

use super::inputs::Inputs;
use crate::documents::failures::{self, ByTenant, Skipped};
use crate::documents::findings::Findings;
use crate::stack::job::JobSummary;

/// What a process remembers of them.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Unindexed {
    /// The job whose failures are known.
    told: Option<String>,
    /// What that job could not index,
    failed: ByTenant,
    /// and what the last review skipped; `None` before the first.
    skipped: Option<Skipped>,
}

impl Unindexed {
    /// What the last review skipped.
    pub fn skipped(&self) -> Option<&ByTenant> {
        self.skipped.as_ref().map(|it| &it.by_tenant)
    }

    /// A review has not seen all documents of these tenants. What an earlier one skipped of them still counts.
    pub fn keep_of(&self, behind: &BTreeSet<String>, findings: &mut Findings) {
        if let Some(before) = &self.skipped {
            findings.skipped.keep(before, behind);
        }
    }

    /// Which of a pool's documents are not indexed, if that is news: those that the last complete job or one after it could not
    /// index, and those that the last review skipped. A job does not wait for this answer. What cannot be read now is
    /// read at the next look. A process that has just begun reads all again. Of others it is only noted what the review skipped.
    pub async fn news(
        &mut self,
        inputs: Inputs<'_>,
        jobs: &[JobSummary],
        findings: Option<&Findings>,
    ) -> Option<ByTenant> {
        let Inputs { aws, source, .. } = inputs;
        if source.pool.is_none() && source.metadata.is_none() {
            return None;
        }
        let skipped = match (findings, &self.skipped) {
            (Some(findings), _) => Some(findings.skipped.clone()),
            // What an earlier process skipped is in the ledger.
            (None, None) if source.some_were_told => failures::skipped(aws, &source.scope()).await.ok(),
            (None, None) => Some(Skipped::default()),
            (None, Some(_)) => None,
        };
        let is_news = skipped.is_some() && skipped != self.skipped;
        self.skipped = skipped.or(self.skipped.take());
        source.pool?;
        let has_failed = self.look_up(inputs, jobs).await;
        let skipped = self.skipped.as_ref()?;
        (is_news || has_failed).then(|| failures::together(&self.failed, &skipped.by_tenant))
    }

    /// Looks up what the last job could not index. Answers whether that is news.
    async fn look_up(&mut self, inputs: Inputs<'_>, jobs: &[JobSummary]) -> bool {
        let Some(last) = jobs.iter().find(|job| !job.is_running()) else { return false };
        if self.told.as_ref() == Some(&last.id) {
            return false;
        }
        let Some(since) = failures::since(jobs) else { return false };
        let mut concerned = jobs.iter().filter(|job| job.started >= since && !job.is_running());
        let any = concerned.any(|job| job.status == "FAILED" || job.statistics.failed > 0);
        let failures = if any {
            let skipped = self.skipped.clone().unwrap_or_default();
            let (kb, ds) = (&inputs.source.knowledge_base_id, &inputs.source.data_source_id);
            failures::by_tenant(inputs.aws, kb, ds, since, &skipped).await
        } else {
            Ok(ByTenant::new())
        };
        match failures {
            Ok(failures) => {
                self.told = Some(last.id.clone());
                self.failed = failures;
                true
            }
            Err(fault) => {
                tracing::warn!(%fault, "what could not be indexed is not known yet");
                false
            }
        }
    }
}
