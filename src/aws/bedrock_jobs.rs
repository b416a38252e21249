//! Bedrock: ingestion jobs. One a knowledge base and five an account may run, one start each ten seconds.
//! <https://docs.aws.amazon.com/general/latest/gr/bedrock.html>

use aws_sdk_bedrockagent::Client;
use aws_sdk_bedrockagent::types::{
    IngestionJob, IngestionJobSortBy, IngestionJobSortByAttribute, IngestionJobStatistics,
    IngestionJobSummary, SortOrder,
};

use super::fault::{found, gone};
use super::gate::Gate;
use super::values::timestamp;
use crate::stack::fault::Fault;
use crate::stack::hash::token;
use crate::stack::iam::operation::bedrock;
use crate::stack::job::{Job, JobSummary, Statistics};

/// Ingestion jobs of a data source.
#[derive(Clone, Debug)]
pub struct Jobs {
    client: Client,
    gate: Gate,
}

impl Jobs {
    pub(super) fn new(client: Client, gate: &Gate) -> Self {
        Self { client, gate: gate.clone() }
    }

    /// All jobs of a data source, the newest first.
    pub async fn list(&self, kb: &str, data_source: &str) -> Result<Vec<JobSummary>, Fault> {
        let call = self.gate.call(bedrock::ListIngestionJobs, data_source);
        let newest_first = IngestionJobSortBy::builder()
            .attribute(IngestionJobSortByAttribute::StartedAt)
            .order(SortOrder::Descending)
            .build()
            .map_err(call.unbuilt())?;
        let request = self.client.list_ingestion_jobs().knowledge_base_id(kb).data_source_id(data_source);
        let pages = call
            .pages(request.sort_by(newest_first).max_results(1000).into_paginator().send(), |page| {
                page.next_token.is_some()
            })
            .await?;
        Ok(pages.into_iter().flat_map(|page| page.ingestion_job_summaries).map(Into::into).collect())
    }

    /// One job, with what failed in it.
    pub async fn get(&self, kb: &str, data_source: &str, id: &str) -> Result<Option<Job>, Fault> {
        let call = self.gate.call(bedrock::GetIngestionJob, id);
        let request = self.client.get_ingestion_job().knowledge_base_id(kb).data_source_id(data_source);
        let answer = found(call.send(request.ingestion_job_id(id).send()).await)?;
        Ok(answer.and_then(|answer| answer.ingestion_job).map(Into::into))
    }

    /// Starts a job and answers with its id. A job has no name: the token, made of data source and `description` (at
    /// most 200 characters), is what keeps a start that was sent twice from running twice.
    /// <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_agent_StartIngestionJob.html>
    pub async fn start(&self, kb: &str, data_source: &str, description: &str) -> Result<String, Fault> {
        let call = self.gate.call(bedrock::StartIngestionJob, data_source);
        let request = self.client.start_ingestion_job().knowledge_base_id(kb).data_source_id(data_source);
        let request = request.description(description).client_token(token(&[data_source, description]));
        let answer = call.send(request.send()).await?;
        match answer.ingestion_job {
            Some(job) => Ok(job.ingestion_job_id),
            // Bedrock may say nothing about a start that it has seen before.
            None => {
                let mut jobs = self.list(kb, data_source).await?.into_iter();
                jobs.find(|job| job.description == description).map(|job| job.id).ok_or_else(|| call.empty())
            }
        }
    }

    /// Begins to stop a job; one that no longer runs is a conflict.
    pub async fn stop(&self, kb: &str, data_source: &str, id: &str) -> Result<(), Fault> {
        let call = self.gate.call(bedrock::StopIngestionJob, id);
        let request = self.client.stop_ingestion_job().knowledge_base_id(kb).data_source_id(data_source);
        gone(call.send(request.ingestion_job_id(id).send()).await)
    }
}

impl From<IngestionJobSummary> for JobSummary {
    fn from(job: IngestionJobSummary) -> Self {
        Self {
            id: job.ingestion_job_id,
            status: job.status.as_str().to_owned(),
            description: job.description.unwrap_or_default(),
            started: timestamp(&job.started_at),
            updated: timestamp(&job.updated_at),
            statistics: job.statistics.as_ref().map(Into::into).unwrap_or_default(),
        }
    }
}

impl From<IngestionJob> for Job {
    fn from(job: IngestionJob) -> Self {
        Self {
            summary: JobSummary {
                id: job.ingestion_job_id,
                status: job.status.as_str().to_owned(),
                description: job.description.unwrap_or_default(),
                started: timestamp(&job.started_at),
                updated: timestamp(&job.updated_at),
                statistics: job.statistics.as_ref().map(Into::into).unwrap_or_default(),
            },
            failure_reasons: job.failure_reasons.unwrap_or_default(),
        }
    }
}

impl From<&IngestionJobStatistics> for Statistics {
    fn from(it: &IngestionJobStatistics) -> Self {
        Self {
            scanned: it.number_of_documents_scanned,
            metadata_scanned: it.number_of_metadata_documents_scanned,
            new: it.number_of_new_documents_indexed,
            modified: it.number_of_modified_documents_indexed,
            metadata_modified: it.number_of_metadata_documents_modified,
            deleted: it.number_of_documents_deleted,
            failed: it.number_of_documents_failed,
            skipped: it.number_of_documents_skipped,
        }
    }
}
