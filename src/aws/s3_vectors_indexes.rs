//! S3 Vectors: indexes, by their ARNs. Nothing here reads or writes a vector: no role of the operator's may.

use aws_sdk_s3vectors::Client;
use aws_sdk_s3vectors::types::{DataType, DistanceMetric, IndexMode, MetadataConfiguration};

use super::fault::{found, gone};
use super::gate::Gate;
use super::s3_vectors::{encryption, tag, tags};
use super::values::Tags;
use crate::stack::fault::Fault;
use crate::stack::iam::operation::s3vectors;
use crate::stack::model::desired::DesiredIndex;
use crate::stack::store::s3_vectors::{IndexDetail, NOT_FILTERABLE, VectorBucketHandle, metric};

/// Indexes of S3 Vectors.
#[derive(Clone, Debug)]
pub struct VectorIndexes {
    client: Client,
    gate: Gate,
}

impl VectorIndexes {
    pub(super) fn new(client: Client, gate: &Gate) -> Self {
        Self { client, gate: gate.clone() }
    }

    /// An index and its tags.
    pub async fn find(&self, arn: &str) -> Result<Option<IndexDetail>, Fault> {
        let call = self.gate.call(s3vectors::GetIndex, arn);
        let answer = found(call.send(self.client.get_index().index_arn(arn).send()).await)?;
        let Some(answer) = answer else { return Ok(None) };
        let index = answer.index.ok_or_else(|| call.empty())?;
        let tags = found(tags(&self.client, &self.gate, &index.index_arn).await)?;
        Ok(tags.map(|tags| IndexDetail {
            arn: index.index_arn,
            dimension: index.dimension,
            metric: index.distance_metric.as_str().to_owned(),
            not_filterable: index
                .metadata_configuration
                .map(|it| it.non_filterable_metadata_keys)
                .unwrap_or_default(),
            mode: index.index_mode.map(|mode| mode.as_str().to_owned()),
            key_arn: index.encryption_configuration.and_then(|it| it.kms_key_arn),
            tags,
        }))
    }

    /// Makes an index; a vector bucket has room for 10,000. Nothing of it can be changed afterwards but tags and mode. Also needs
    /// s3vectors:TagResource, and kms:GenerateDataKey for a customer key, which the service's own indexing must be able to use.
    /// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_S3VectorBuckets_CreateIndex.html>
    pub async fn create(&self, bucket: &VectorBucketHandle, want: &DesiredIndex) -> Result<(), Fault> {
        let call = self.gate.call(s3vectors::CreateIndex, &want.name);
        let keys = NOT_FILTERABLE.map(str::to_owned).to_vec();
        let metadata = MetadataConfiguration::builder().set_non_filterable_metadata_keys(Some(keys)).build();
        let distance = metric(want.settings.distance);
        let request = self
            .client
            .create_index()
            .vector_bucket_arn(&bucket.arn)
            .index_name(&want.name)
            .data_type(DataType::Float32)
            .dimension(want.dimensions)
            .distance_metric(DistanceMetric::from(distance))
            .metadata_configuration(metadata.map_err(call.unbuilt())?)
            .set_encryption_configuration(want.key_arn.as_deref().map(encryption))
            .set_tags(Some(want.tags.clone().into_iter().collect()));
        call.send(request.send()).await.map(drop)
    }

    /// Lets an index filter before it searches. There is no way back.
    pub async fn put_mode(&self, arn: &str) -> Result<(), Fault> {
        let call = self.gate.call(s3vectors::UpdateIndexMode, arn);
        let request = self.client.update_index_mode().index_arn(arn);
        call.send(request.index_mode(IndexMode::Enhanced).send()).await.map(drop)
    }

    /// Adds tags, over those of the same names.
    pub async fn tag(&self, arn: &str, tags: &Tags) -> Result<(), Fault> {
        tag(&self.client, &self.gate, arn, tags).await
    }

    /// Deletes an index with all vectors in it.
    pub async fn delete(&self, arn: &str) -> Result<(), Fault> {
        let call = self.gate.call(s3vectors::DeleteIndex, arn);
        gone(call.send(self.client.delete_index().index_arn(arn).send()).await)
    }
}
