//! S3: objects, and listings of them.
//!
//! Keys may hold characters that XML cannot write, and one such key must not make a listing unreadable: every listing
//! asks for keys in URL encoding.
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html>

use aws_config::SdkConfig;
use aws_sdk_s3::Client;
use aws_sdk_s3::types::EncodingType;
use percent_encoding::percent_decode_str;

use super::config::patient;
use super::gate::Gate;
use super::values::timestamp;
use crate::stack::fault::Fault;
use crate::stack::iam::operation::s3;

/// Objects, their versions and unfinished uploads.
#[derive(Clone, Debug)]
pub struct Objects {
    pub(super) client: Client,
    pub(super) account: String,
    pub(super) gate: Gate,
}

/// A page of a listing, in the order of keys' UTF-8 bytes.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// At most 1,000 objects.
    pub objects: Vec<Object>,
    /// The folders below, where they are not listed themselves, each with its closing slash.
    pub folders: Vec<String>,
    /// The token of the next page; `None` on the last.
    pub next: Option<String>,
}

/// Where a page of a listing begins.
enum From<'a> {
    Beginning,
    Token(&'a str),
    After(&'a str),
}

/// An object, as a listing shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    /// Its key.
    pub key: String,
    /// The ETag with its quotes: not a hash of the content where KMS encrypts it.
    pub etag: String,
    /// Its length in bytes.
    pub size: i64,
    /// When it was written.
    pub last_modified: jiff::Timestamp,
}

impl Objects {
    pub(super) fn new(client: Client, account: &str, gate: &Gate) -> Self {
        Self { client, account: account.into(), gate: gate.clone() }
    }

    /// For whoever uses nothing else of AWS's.
    pub fn of(config: &SdkConfig, account: &str, gate: &Gate) -> Self {
        Self::new(super::s3::client(&patient(config)), account, gate)
    }

    /// One page of the objects under a prefix, from where the last page's `next` points. `limit` is at most 1,000, the
    /// default. IAM action s3:ListBucket.
    pub async fn list(
        &self,
        bucket: &str,
        prefix: &str,
        next: Option<&str>,
        limit: Option<i32>,
    ) -> Result<Page, Fault> {
        let from = next.map_or(From::Beginning, From::Token);
        self.listing(bucket, prefix, from, limit, None).await
    }

    /// The same, from behind a key, whether or not there is an object of it.
    pub async fn list_after(&self, bucket: &str, prefix: &str, key: &str) -> Result<Page, Fault> {
        self.listing(bucket, prefix, From::After(key), None, None).await
    }

    /// The same, without what lies in folders below.
    pub async fn list_folder(&self, bucket: &str, prefix: &str, next: Option<&str>) -> Result<Page, Fault> {
        let from = next.map_or(From::Beginning, From::Token);
        self.listing(bucket, prefix, from, None, Some("/")).await
    }

    async fn listing(
        &self,
        bucket: &str,
        prefix: &str,
        from: From<'_>,
        limit: Option<i32>,
        delimiter: Option<&str>,
    ) -> Result<Page, Fault> {
        let request =
            self.client.list_objects_v2().bucket(bucket).expected_bucket_owner(&self.account).prefix(prefix);
        let request = request.encoding_type(EncodingType::Url).set_max_keys(limit);
        let request = match from {
            From::Beginning => request,
            From::Token(token) => request.continuation_token(token),
            From::After(key) => request.start_after(key),
        };
        let request = request.set_delimiter(delimiter.map(Into::into));
        let answer = self.gate.call(s3::ListObjectsV2, bucket).send(request.send()).await?;
        let encoding = answer.encoding_type;
        let objects = answer.contents.unwrap_or_default().into_iter().map(|object| Object {
            key: decoded(object.key, encoding.as_ref()),
            etag: object.e_tag.unwrap_or_default(),
            size: object.size.unwrap_or(0),
            last_modified: object.last_modified.as_ref().map(timestamp).unwrap_or_default(),
        });
        let folders = answer.common_prefixes.unwrap_or_default().into_iter();
        let folders = folders.map(|folder| decoded(folder.prefix, encoding.as_ref())).collect();
        Ok(Page {
            objects: objects.collect(),
            folders,
            next: answer.next_continuation_token.filter(|token| !token.is_empty()),
        })
    }
}

/// A key out of a listing. S3 encodes as forms do: a space is a plus.
pub(super) fn decoded(key: Option<String>, encoding: Option<&EncodingType>) -> String {
    let key = key.unwrap_or_default();
    match encoding {
        Some(EncodingType::Url) => {
            percent_decode_str(&key.replace('+', " ")).decode_utf8_lossy().into_owned()
        }
        _ => key,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_back_as_they_were_written() {
        let decoded = |key: &str| super::decoded(Some(key.into()), Some(&EncodingType::Url));
        assert_eq!(decoded("pool/a/two+words%2B%C3%BC%01.txt"), "pool/a/two words+ü\u{1}.txt");
        assert_eq!(super::decoded(Some("a+b%20".into()), None), "a+b%20");
    }
}
