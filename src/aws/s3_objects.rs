//! S3: what is done with objects. Listing them is in [`super::s3_listing`].

use aws_sdk_s3::error::BuildError;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{ChecksumMode, ChecksumType, Delete, Error, ObjectIdentifier, ServerSideEncryption};
use futures::future::try_join;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use tokio::io::{AsyncBufRead, AsyncBufReadExt};

use super::call::{self, Call};
use super::fault::found;
use super::s3_listing::{Object, Objects};
use crate::stack::fault::{Class, Fault};
use crate::stack::iam::operation::s3;

/// An object's content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content {
    /// All of it.
    pub bytes: Vec<u8>,
    /// The ETag with its quotes.
    pub etag: String,
}

/// An object's lines.
pub struct Lines {
    objects: Objects,
    key: String,
    lines: tokio::io::Lines<Box<dyn AsyncBufRead + Send + Unpin>>,
}

impl Lines {
    /// The next line, without its end.
    pub async fn next(&mut self) -> Result<Option<String>, Fault> {
        let call = self.objects.gate.call(s3::GetObject, &self.key);
        self.lines.next_line().await.map_err(|error| call.refused("Connection", &error.to_string()))
    }
}

impl Objects {
    /// An object's content; one that is longer than `limit` bytes is a fault, before it fills our memory.
    pub async fn get(&self, bucket: &str, key: &str, limit: u64) -> Result<Option<Vec<u8>>, Fault> {
        Ok(self.read(bucket, key, limit).await?.map(|content| content.bytes))
    }

    /// The same, with its ETag.
    pub async fn read(&self, bucket: &str, key: &str, limit: u64) -> Result<Option<Content>, Fault> {
        found(self.content(bucket, key, limit).await)
    }

    /// The same, from a bucket that must be there.
    pub async fn read_from(&self, bucket: &str, key: &str, limit: u64) -> Result<Option<Content>, Fault> {
        match self.content(bucket, key, limit).await {
            Err(fault) if fault.code == "NoSuchKey" => Ok(None),
            content => content.map(Some),
        }
    }

    async fn content(&self, bucket: &str, key: &str, limit: u64) -> Result<Content, Fault> {
        let call = self.gate.call(s3::GetObject, key);
        let request = self.client.get_object().bucket(bucket).key(key).expected_bucket_owner(&self.account);
        let mut answer = call.send(request.send()).await?;
        let mut content = Vec::new();
        loop {
            let chunk = answer.body.try_next().await;
            match chunk.map_err(|error| call.refused("Connection", &error.to_string()))? {
                Some(chunk) if (content.len() + chunk.len()) as u64 > limit => {
                    let fault = call.refused("EntityTooLarge", &format!("it is longer than {limit} bytes"));
                    return Err(Fault { class: Class::Invalid, ..fault });
                }
                Some(chunk) => content.extend_from_slice(&chunk),
                None => return Ok(Content { bytes: content, etag: answer.e_tag.unwrap_or_default() }),
            }
        }
    }

    /// An object's lines, read as they are asked for.
    pub async fn lines(&self, bucket: &str, key: &str) -> Result<Option<Lines>, Fault> {
        let call = self.gate.call(s3::GetObject, key);
        let request = self.client.get_object().bucket(bucket).key(key).expected_bucket_owner(&self.account);
        let answer = found(call.send(request.send()).await)?;
        Ok(answer.map(|answer| Lines {
            objects: self.clone(),
            key: key.into(),
            lines: (Box::new(answer.body.into_async_read()) as Box<dyn AsyncBufRead + Send + Unpin>).lines(),
        }))
    }

    /// Whether two objects have the same content, as far as S3 can tell without reading them: they have a checksum of the same
    /// kind over all of it, or were both written whole and without KMS, so that their ETags are checksums. IAM action
    /// s3:GetObject.
    /// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity.html>
    pub async fn are_same(&self, bucket: &str, one: &str, other: &str) -> Result<bool, Fault> {
        let (one, other) = try_join(self.sums(bucket, one), self.sums(bucket, other)).await?;
        Ok(matches!((one, other), (Some(one), Some(other)) if one.equal(&other)))
    }

    async fn sums(&self, bucket: &str, key: &str) -> Result<Option<Sums>, Fault> {
        let request = self.client.head_object().bucket(bucket).key(key).expected_bucket_owner(&self.account);
        let request = request.checksum_mode(ChecksumMode::Enabled);
        let answer = found(self.gate.call(s3::HeadObject, key).send(request.send()).await)?;
        Ok(answer.map(|it| Sums {
            size: it.content_length.unwrap_or(-1),
            // One of parts is a sum of sums, and says less.
            whole: it.checksum_type != Some(ChecksumType::Composite),
            sums: [
                it.checksum_sha256,
                it.checksum_crc64_nvme,
                it.checksum_crc32,
                it.checksum_crc32_c,
                it.checksum_sha1,
            ],
            etag: it.e_tag.filter(|_| {
                it.server_side_encryption.as_ref().is_none_or(|how| *how == ServerSideEncryption::Aes256)
                    && it.sse_customer_algorithm.is_none()
            }),
        }))
    }

    /// Writes an object of at most 5 GB, over one of the same key, and answers with its ETag.
    pub async fn put(
        &self,
        bucket: &str,
        key: &str,
        content: Vec<u8>,
        content_type: &str,
    ) -> Result<String, Fault> {
        let request = self.client.put_object().bucket(bucket).key(key).expected_bucket_owner(&self.account);
        let request = request.body(ByteStream::from(content)).content_type(content_type);
        let answer = self.gate.call(s3::PutObject, key).send(request.send()).await?;
        Ok(answer.e_tag.unwrap_or_default())
    }

    /// Copies the current version of an object of at most 5 GB within the bucket, with its metadata; with an ETag only if
    /// it still has that one. Needs s3:GetObject and s3:PutObject.
    /// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html>
    pub async fn copy(&self, bucket: &str, from: &str, etag: Option<&str>, to: &str) -> Result<(), Fault> {
        let request = self.client.copy_object().bucket(bucket).key(to).copy_source(copy_source(bucket, from));
        let request = request.set_copy_source_if_match(etag.map(Into::into));
        let request =
            request.expected_bucket_owner(&self.account).expected_source_bucket_owner(&self.account);
        self.gate.call(s3::CopyObject, from).send(request.send()).await.map(drop)
    }

    /// Deletes up to 1,000 objects; where the bucket keeps versions, each gets a delete marker. Answers with those that
    /// could not be deleted, each with its reason: one of them keeps no other.
    pub async fn delete(&self, bucket: &str, keys: &[String]) -> Result<Vec<(String, Fault)>, Fault> {
        self.delete_many(bucket, keys.iter().map(|key| (key.as_str(), None))).await
    }

    /// The same, but for what was written anew since it was listed: that stays, and its fault [is overtaken](Fault::is_overtaken).
    /// Needs s3:GetObject too.
    /// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-deletes.html>
    pub async fn delete_unchanged(
        &self,
        bucket: &str,
        objects: &[Object],
    ) -> Result<Vec<(String, Fault)>, Fault> {
        let named = objects.iter().map(|object| (object.key.as_str(), Some(object.etag.as_str())));
        self.delete_many(bucket, named).await
    }

    async fn delete_many(
        &self,
        bucket: &str,
        named: impl Iterator<Item = (&str, Option<&str>)>,
    ) -> Result<Vec<(String, Fault)>, Fault> {
        let (carried, others): (Vec<_>, Vec<_>) = named.partition(|(key, _)| xml_carries(key));
        let objects = carried
            .iter()
            .map(|(key, etag)| ObjectIdentifier::builder().key(*key).set_e_tag(etag.map(Into::into)).build());
        let objects = objects.collect();
        let call = self.gate.call(s3::DeleteObjects, bucket);
        let mut kept: Vec<_> = self
            .delete_all(bucket, objects)
            .await?
            .into_iter()
            .map(|error| {
                let fault = of_object(call, &error);
                (fault.resource.clone(), fault)
            })
            .collect();
        for (key, etag) in others {
            if let Err(fault) = self.delete_object(bucket, key, None, etag).await {
                kept.push((key.into(), fault));
            }
        }
        Ok(kept)
    }

    /// Moves an object under another key: its copy is there before it goes. What was written anew since it was listed stays,
    /// and the fault [is overtaken](Fault::is_overtaken).
    pub async fn rename(&self, bucket: &str, object: &Object, to: &str) -> Result<(), Fault> {
        let Object { key, etag, .. } = object;
        self.copy(bucket, key, Some(etag), to).await?;
        match self.delete_object(bucket, key, None, Some(etag)).await {
            // An answer to us may have been lost.
            Err(fault) if fault.code == "NoSuchKey" => Ok(()),
            deleted => deleted,
        }
    }

    /// Deletes one object, or one version of it, whatever its key.
    /// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObject.html>
    pub async fn delete_one(&self, bucket: &str, key: &str, version: Option<&str>) -> Result<(), Fault> {
        self.delete_object(bucket, key, version, None).await
    }

    async fn delete_object(
        &self,
        bucket: &str,
        key: &str,
        version: Option<&str>,
        etag: Option<&str>,
    ) -> Result<(), Fault> {
        let request = self.client.delete_object().bucket(bucket).expected_bucket_owner(&self.account);
        let request = request.key(key).set_version_id(version.map(Into::into));
        let request = request.set_if_match(etag.map(Into::into));
        self.gate.call(s3::DeleteObject, key).send(request.send()).await.map(drop)
    }

    /// Deletes, and answers with what could not be deleted.
    pub(super) async fn delete_all(
        &self,
        bucket: &str,
        objects: Result<Vec<ObjectIdentifier>, BuildError>,
    ) -> Result<Vec<Error>, Fault> {
        let call = self.gate.call(s3::DeleteObjects, bucket);
        let objects = objects.map_err(call.unbuilt())?;
        if objects.is_empty() {
            return Ok(Vec::new());
        }
        let delete =
            Delete::builder().set_objects(Some(objects)).quiet(true).build().map_err(call.unbuilt())?;
        let request =
            self.client.delete_objects().bucket(bucket).expected_bucket_owner(&self.account).delete(delete);
        Ok(call.send(request.send()).await?.errors.unwrap_or_default())
    }

    /// What could not be deleted is one fault.
    pub(super) fn all_deleted(&self, bucket: &str, errors: &[Error]) -> Result<(), Fault> {
        let call = self.gate.call(s3::DeleteObjects, bucket);
        match errors.first() {
            None => Ok(()),
            Some(first) => {
                let fault = of_object(call, first);
                call::log(&fault);
                let message =
                    format!("{} objects could not be deleted. Of one: {}", errors.len(), fault.message);
                Err(Fault { message, ..fault })
            }
        }
    }
}

/// What an answer says of one of many objects.
fn of_object(call: Call<'_>, error: &Error) -> Fault {
    let fault = call.refused(error.code().unwrap_or_default(), error.message().unwrap_or_default());
    Fault { resource: error.key().unwrap_or_default().into(), ..fault }
}

/// What S3 knows of an object's content without reading it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Sums {
    size: i64,
    /// Whether the checksums are over all of it.
    whole: bool,
    /// Its checksums, one a kind.
    sums: [Option<String>; 5],
    /// Its ETag, where no customer's key is at work: the MD5 of what was written whole.
    etag: Option<String>,
}

impl Sums {
    /// Whether both are certainly of the same content.
    fn equal(&self, other: &Self) -> bool {
        let same = |(one, other): (&Option<String>, &Option<String>)| one.is_some() && one == other;
        let by_sum = self.whole && other.whole && self.sums.iter().zip(&other.sums).any(same);
        let written_whole = |etag: &String| !etag.contains('-');
        let by_etag = self.etag.as_ref().is_some_and(written_whole) && self.etag == other.etag;
        self.size == other.size && (by_sum || by_etag)
    }
}

/// Whether XML 1.0 can write a key, and a parser gives it back as it was. S3 takes keys that it cannot.
/// <https://www.w3.org/TR/xml/#charsets>
pub(super) fn xml_carries(key: &str) -> bool {
    !key.chars().any(|c| matches!(c, '\0'..='\u{1F}' | '\u{FFFE}' | '\u{FFFF}'))
}

fn copy_source(bucket: &str, key: &str) -> String {
    const SAFE: &AsciiSet =
        &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~').remove(b'/');
    format!("{bucket}/{}", utf8_percent_encode(key, SAFE))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_xml_cannot_write_is_known() {
        for key in ["pool/acme/a.md", "ü 휴 \u{10FFFF}", "\u{7F}"] {
            assert!(xml_carries(key), "{key:?}");
        }
        for key in ["\u{1}", "a\rb", "a\nb", "\u{FFFE}", "\0"] {
            assert!(!xml_carries(key), "{key:?}");
        }
    }

    #[test]
    fn only_what_is_certainly_the_same_is_the_same() {
        let sum = |n: usize, sum: &str| {
            let mut sums = [const { None }; 5];
            sums[n] = Some(sum.to_string());
            Sums { size: 3, whole: true, sums, etag: None }
        };
        let etag = |etag: &str| Sums { etag: Some(etag.into()), sums: [const { None }; 5], ..sum(0, "x") };
        assert!(sum(1, "x").equal(&sum(1, "x")) && etag("x").equal(&etag("x")));
        for (one, other) in [
            (sum(1, "x"), sum(1, "y")),
            (sum(1, "x"), sum(2, "x")),
            (sum(1, "x"), Sums { size: 4, ..sum(1, "x") }),
            (sum(1, "x"), Sums { whole: false, ..sum(1, "x") }),
            (etag("x-2"), etag("x-2")),
            (etag("x"), Sums { etag: None, ..etag("x") }),
        ] {
            assert!(!one.equal(&other), "{one:?} {other:?}");
        }
    }

    #[test]
    fn a_copy_names_its_source_in_url_encoding() {
        assert_eq!(copy_source("b", "pool/a/ü ?+.txt"), "b/pool/a/%C3%BC%20%3F%2B.txt");
    }
}
