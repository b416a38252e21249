//! S3: what a listing of objects does not show: their older versions, delete markers, and unfinished uploads.

use aws_sdk_s3::types::{EncodingType, Error, ObjectIdentifier};

use super::Objects;
use super::fault::{found, gone};
use super::s3_listing::decoded;
use super::s3_objects::xml_carries;
use super::values::timestamp;
use crate::stack::fault::Fault;
use crate::stack::iam::operation::s3;

/// A page of versions and delete markers.
#[derive(Clone, Debug, Default)]
pub struct VersionPage {
    /// At most 1,000 versions and delete markers together.
    pub versions: Vec<Version>,
    /// Where the next page begins; `None` on the last.
    pub next: Option<VersionMarker>,
}

/// One version of an object, or a delete marker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// The object's key.
    pub key: String,
    /// The version's id; `null` for what was written while versioning was off.
    pub version_id: String,
    /// Whether it only says that the object is deleted.
    pub is_delete_marker: bool,
    /// Whether it is the newest of its key, which a listing of objects shows if it is no delete marker.
    pub is_latest: bool,
}

/// The last version of a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VersionMarker {
    key: String,
    version_id: Option<String>,
}

/// An upload in parts that was begun and not finished: its parts cost money and no listing of objects shows them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upload {
    /// The key it was for.
    pub key: String,
    /// Its id.
    pub upload_id: String,
}

impl Objects {
    /// One page of all versions and delete markers under a prefix. IAM action s3:ListBucketVersions.
    /// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectVersions.html>
    pub async fn versions(
        &self,
        bucket: &str,
        prefix: &str,
        after: Option<&VersionMarker>,
    ) -> Result<VersionPage, Fault> {
        let request = self.client.list_object_versions().bucket(bucket).expected_bucket_owner(&self.account);
        let request = request.prefix(prefix).encoding_type(EncodingType::Url);
        let request = request.set_key_marker(after.map(|marker| marker.key.clone()));
        let request = request.set_version_id_marker(after.and_then(|marker| marker.version_id.clone()));
        let answer = self.gate.call(s3::ListObjectVersions, bucket).send(request.send()).await?;
        let encoding = answer.encoding_type;
        let version = |key, version_id: Option<String>, is_latest: Option<bool>, is_delete_marker| Version {
            key: decoded(key, encoding.as_ref()),
            version_id: version_id.unwrap_or_else(|| "null".into()),
            is_delete_marker,
            is_latest: is_latest == Some(true),
        };
        let versions = answer.versions.unwrap_or_default().into_iter();
        let markers = answer.delete_markers.unwrap_or_default().into_iter();
        let next = answer.next_key_marker.filter(|_| answer.is_truncated == Some(true));
        Ok(VersionPage {
            versions: versions
                .map(|it| version(it.key, it.version_id, it.is_latest, false))
                .chain(markers.map(|it| version(it.key, it.version_id, it.is_latest, true)))
                .collect(),
            next: next.map(|key| VersionMarker {
                key: decoded(Some(key), encoding.as_ref()),
                // S3 refuses an empty one.
                version_id: answer.next_version_id_marker.filter(|id| !id.is_empty()),
            }),
        })
    }

    /// Deletes up to 1,000 versions or delete markers, for good, and answers with those that S3 Object Lock protects. IAM
    /// action s3:DeleteObjectVersion.
    /// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-lock.html>
    pub async fn delete_versions(&self, bucket: &str, versions: &[Version]) -> Result<Vec<Version>, Fault> {
        let (carried, others): (Vec<_>, Vec<_>) = versions.iter().partition(|it| xml_carries(&it.key));
        let object =
            |it: &&Version| ObjectIdentifier::builder().key(&it.key).version_id(&it.version_id).build();
        let refused = self.delete_all(bucket, carried.iter().map(object).collect()).await?;
        let (locked, refused): (Vec<_>, Vec<_>) = refused.into_iter().partition(is_locked);
        let names = |error: &Error, one: &Version| {
            error.key.as_deref() == Some(&one.key)
                && error.version_id.as_deref().unwrap_or("null") == one.version_id
        };
        let as_named = |error: &Error| Version {
            key: error.key.clone().unwrap_or_default(),
            version_id: error.version_id.clone().unwrap_or_else(|| "null".into()),
            is_delete_marker: false,
            is_latest: false,
        };
        let asked = |error: &Error| versions.iter().find(|one| names(error, one)).cloned();
        let mut locked: Vec<_> =
            locked.iter().map(|error| asked(error).unwrap_or_else(|| as_named(error))).collect();
        for one in others {
            match self.delete_one(bucket, &one.key, Some(&one.version_id)).await {
                Err(fault) if says_locked(&fault.message) => locked.push(one.clone()),
                deleted => deleted?,
            }
        }
        self.all_deleted(bucket, &refused)?;
        Ok(locked)
    }

    /// Until when a version is locked; `None` if a legal hold alone locks it, which has no end of its own.
    /// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObjectRetention.html>
    pub async fn locked_until(
        &self,
        bucket: &str,
        version: &Version,
    ) -> Result<Option<jiff::Timestamp>, Fault> {
        let request = self.client.get_object_retention().bucket(bucket).expected_bucket_owner(&self.account);
        let request = request.key(&version.key).version_id(&version.version_id);
        let answer = self.gate.call(s3::GetObjectRetention, &version.key).send(request.send()).await;
        let retention = match answer {
            Err(fault) if fault.code == "NoSuchObjectLockConfiguration" => return Ok(None),
            answer => found(answer)?.and_then(|answer| answer.retention),
        };
        Ok(retention.and_then(|retention| retention.retain_until_date).as_ref().map(timestamp))
    }

    /// All unfinished uploads under a prefix. IAM action s3:ListBucketMultipartUploads.
    /// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListMultipartUploads.html>
    pub async fn uploads(&self, bucket: &str, prefix: &str) -> Result<Vec<Upload>, Fault> {
        let mut uploads = Vec::new();
        let (mut key, mut upload_id) = (None, None);
        loop {
            let request =
                self.client.list_multipart_uploads().bucket(bucket).expected_bucket_owner(&self.account);
            let request = request.prefix(prefix).encoding_type(EncodingType::Url);
            let request = request.set_key_marker(key).set_upload_id_marker(upload_id);
            let answer = self.gate.call(s3::ListMultipartUploads, bucket).send(request.send()).await?;
            let encoding = answer.encoding_type;
            uploads.extend(answer.uploads.unwrap_or_default().into_iter().map(|upload| Upload {
                key: decoded(upload.key, encoding.as_ref()),
                upload_id: upload.upload_id.unwrap_or_default(),
            }));
            if answer.is_truncated != Some(true) {
                return Ok(uploads);
            }
            key = answer.next_key_marker.map(|key| decoded(Some(key), encoding.as_ref()));
            upload_id = answer.next_upload_id_marker.filter(|id| !id.is_empty());
        }
    }

    /// Gives up an unfinished upload and the parts that came in.
    pub async fn abort_upload(&self, bucket: &str, upload: &Upload) -> Result<(), Fault> {
        let request =
            self.client.abort_multipart_upload().bucket(bucket).expected_bucket_owner(&self.account);
        let request = request.key(&upload.key).upload_id(&upload.upload_id);
        gone(self.gate.call(s3::AbortMultipartUpload, &upload.key).send(request.send()).await)
    }
}

/// Whether a version could not be deleted because it is locked: S3 has no code of its own for that.
fn is_locked(error: &Error) -> bool {
    error.message().is_some_and(says_locked)
}

fn says_locked(message: &str) -> bool {
    message.contains("object lock")
}
