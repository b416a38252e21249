//! What the status says of the last job.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::api::{IngestionStatistics, IngestionStatus};
use crate::aws::Aws;
use crate::documents::source::Source;
use crate::stack::fault::Fault;
use crate::stack::job::{Job, JobSummary, Statistics};

/// The status of a job. Failure reasons cost one more call. It is made once, when the job has ended badly.
pub(super) async fn describe(
    aws: &Aws,
    source: &Source<'_>,
    last: &JobSummary,
    reported: Option<&IngestionStatus>,
) -> Result<IngestionStatus, Fault> {
    let known = reported.filter(|known| {
        known.last_job_id.as_deref() == Some(&last.id) && known.last_status.as_deref() == Some(&last.status)
    });
    if let Some(known) = known {
        return Ok(known.clone());
    }
    let ended = !last.is_running();
    let failed = ended && (last.status == "FAILED" || last.statistics.failed > 0);
    // A metadata file that the store does not take is told in the reasons of a job that has failed at nothing.
    let may_lack = ended && source.metadata.is_some() && last.statistics.metadata_scanned > 0;
    let job: Option<Job> = if failed || may_lack {
        aws.jobs.get(&source.knowledge_base_id, &source.data_source_id, &last.id).await?
    } else {
        None
    };
    Ok(IngestionStatus {
        last_job_id: Some(last.id.clone()),
        last_status: Some(last.status.clone()),
        started_time: Some(Time(seconds(last.started))),
        finished_time: ended.then(|| Time(seconds(last.updated))),
        statistics: ended.then(|| statistics(&last.statistics)),
        last_look_time: None,
        failure_reasons: job
            .map(|job| job.failure_reasons.into_iter().take(10).collect())
            .unwrap_or_default(),
    })
}

/// Kubernetes' times have whole seconds. What is written must equal what is read back.
pub(super) fn seconds(at: Timestamp) -> Timestamp {
    Timestamp::from_second(at.as_second()).unwrap_or(at)
}

fn statistics(job: &Statistics) -> IngestionStatistics {
    IngestionStatistics {
        documents_scanned: job.scanned,
        metadata_documents_scanned: job.metadata_scanned,
        new_documents_indexed: job.new,
        modified_documents_indexed: job.modified,
        metadata_documents_modified: job.metadata_modified,
        documents_deleted: job.deleted,
        documents_failed: job.failed,
    }
}
