//! S3: writes that S3 makes only if nobody else has written meanwhile, and the bucket in which they decide something.
//!
//! A request that is sent again is refused by what the first one wrote, so nothing is sent twice here, and who is refused
//! must read what is there.
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html>

use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::BucketNamespace;
use serde_json::Value;

use super::fault::found;
use super::values::Tags;
use super::{Buckets, Objects};
use crate::stack::fault::Fault;
use crate::stack::iam::operation::s3;

/// Over what a write may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Over<'a> {
    /// Nothing: there is no object of that key.
    Nothing,
    /// The version with this ETag, as S3 gave it.
    Version(&'a str),
}

/// What became of a conditional write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Put {
    /// It is written, with this ETag.
    Written(String),
    /// Something else is there, or is being written at this moment.
    Refused,
    /// The object that it was to go over is not there.
    Missing,
}

/// How a bucket of the installation's own is protected.
#[derive(Clone, Debug, PartialEq)]
pub struct Protection {
    /// Its tags.
    pub tags: Tags,
    /// Its policy.
    pub policy: Option<Value>,
    /// Whether it keeps what is overwritten.
    pub versioned: bool,
}

impl Objects {
    /// Writes an object if the condition holds. Needs s3:GetObject too where a version must match.
    pub async fn put_over(
        &self,
        bucket: &str,
        key: &str,
        content: Vec<u8>,
        over: Over<'_>,
    ) -> Result<Put, Fault> {
        let request = self.client.put_object().bucket(bucket).key(key).expected_bucket_owner(&self.account);
        let request = request.body(ByteStream::from(content)).content_type("application/json");
        let request = match over {
            Over::Nothing => request.if_none_match("*"),
            Over::Version(etag) => request.if_match(etag),
        };
        match self.gate.call(s3::PutObject, key).send(request.send()).await {
            Ok(answer) => Ok(Put::Written(answer.e_tag.unwrap_or_default())),
            Err(fault) => match fault.code.as_str() {
                "PreconditionFailed" | "ConditionalRequestConflict" => Ok(Put::Refused),
                "NoSuchKey" => Ok(Put::Missing),
                _ => Err(fault),
            },
        }
    }
}

impl Buckets {
    /// Makes a bucket in the namespace of its account and region, in which nobody else can take a name. The name ends with
    /// account, region and `-an`. Also needs s3:TagResource.
    /// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/gpbucketnamespaces.html>
    pub async fn create_regional(&self, name: &str, region: &str, tags: &Tags) -> Result<(), Fault> {
        self.create_in(Some(BucketNamespace::AccountRegional), name, region, tags).await
    }

    /// How a bucket is protected; `None` if there is no such bucket.
    pub async fn protection(&self, name: &str) -> Result<Option<Protection>, Fault> {
        // Side by side: most often it is there, and a process that starts waits for this.
        let (there, tags, policy, versioned) =
            tokio::join!(self.head(name), self.tags(name), self.policy(name), self.versioned(name));
        if found(there)?.is_none() {
            return Ok(None);
        }
        Ok(Some(Protection { tags: tags?, policy: policy?, versioned: versioned? }))
    }
}
