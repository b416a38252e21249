//! S3: an object that is written as it comes, in parts if it is long, so that it need not fit into memory.

use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};

use super::{Objects, Upload};
use crate::stack::fault::Fault;
use crate::stack::iam::operation::s3;

/// Bytes of a part: S3 wants 5 MB at least, but for the last, and takes 10,000 of them.
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html>
const PART: usize = 8 << 20;

/// An object under way. Nothing is there before [`finish`](Self::finish).
#[derive(Debug)]
pub struct Writer {
    objects: Objects,
    bucket: String,
    key: String,
    content_type: &'static str,
    buffer: Vec<u8>,
    upload: Option<Upload>,
    parts: Vec<CompletedPart>,
}

impl Objects {
    /// Begins to write an object.
    pub fn writer(&self, bucket: &str, key: &str, content_type: &'static str) -> Writer {
        Writer {
            objects: self.clone(),
            bucket: bucket.into(),
            key: key.into(),
            content_type,
            buffer: Vec::new(),
            upload: None,
            parts: Vec::new(),
        }
    }
}

impl Writer {
    /// Adds to the object.
    pub async fn write(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() < PART { Ok(()) } else { self.part().await }
    }

    /// The object is there, over one of the same key.
    pub async fn finish(mut self) -> Result<(), Fault> {
        if self.upload.is_none() {
            let Self { objects, bucket, key, content_type, buffer, .. } = self;
            return objects.put(&bucket, &key, buffer, content_type).await.map(drop);
        }
        self.part().await?;
        let Some(upload) = &self.upload else { return Ok(()) };
        let parts = CompletedMultipartUpload::builder().set_parts(Some(self.parts)).build();
        let Objects { client, account, gate } = &self.objects;
        let request = client.complete_multipart_upload().bucket(&self.bucket).key(&self.key);
        let request =
            request.upload_id(&upload.upload_id).multipart_upload(parts).expected_bucket_owner(account);
        gate.call(s3::CompleteMultipartUpload, &self.key).send(request.send()).await.map(drop)
    }

    /// Nothing is written, and no part stays.
    pub async fn give_up(self) -> Result<(), Fault> {
        match &self.upload {
            Some(upload) => self.objects.abort_upload(&self.bucket, upload).await,
            None => Ok(()),
        }
    }

    async fn part(&mut self) -> Result<(), Fault> {
        let Objects { client, account, gate } = &self.objects;
        let upload = match self.upload.take() {
            Some(upload) => upload,
            None => {
                let call = gate.call(s3::CreateMultipartUpload, &self.key);
                let request = client.create_multipart_upload().bucket(&self.bucket).key(&self.key);
                let request = request.content_type(self.content_type).expected_bucket_owner(account);
                let answer = call.send(request.send()).await?;
                let upload_id = answer.upload_id.ok_or_else(|| call.empty())?;
                Upload { key: self.key.clone(), upload_id }
            }
        };
        let number = i32::try_from(self.parts.len() + 1).unwrap_or(i32::MAX);
        let body = ByteStream::from(std::mem::take(&mut self.buffer));
        let request = client.upload_part().bucket(&self.bucket).key(&self.key).upload_id(&upload.upload_id);
        let request = request.part_number(number).body(body).expected_bucket_owner(account);
        let answer = gate.call(s3::UploadPart, &self.key).send(request.send()).await?;
        self.parts.push(CompletedPart::builder().part_number(number).set_e_tag(answer.e_tag).build());
        self.upload = Some(upload);
        Ok(())
    }
}
