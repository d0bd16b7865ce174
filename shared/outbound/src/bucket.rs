//! Objects in an S3 bucket: uploads in parts, deletions.

use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use satchel_domain::{Error, Result};

/// Smallest part of an upload but the last, in bytes (S3 user guide: 5 MiB).
pub const MIN_PART: usize = 5 * 1024 * 1024;

/// The handle of one bucket; cheap to clone.
#[derive(Clone, Debug)]
pub struct Bucket {
    client: aws_sdk_s3::Client,
    name: String,
}

/// An upload under way; whoever drops it without `complete` or `abort` leaves parts to the bucket's lifecycle rule.
#[derive(Debug)]
pub struct Upload {
    bucket: Bucket,
    key: String,
    id: String,
    parts: Vec<CompletedPart>,
}

impl Bucket {
    /// A handle of the bucket `name`.
    pub fn new(client: aws_sdk_s3::Client, name: impl Into<String>) -> Self {
        Self { client, name: name.into() }
    }

    /// Begins an upload in parts to `key`.
    pub async fn upload(&self, key: &str, content_type: &str) -> Result<Upload> {
        let answer = self
            .client
            .create_multipart_upload()
            .bucket(&self.name)
            .key(key)
            .content_type(content_type)
            .send()
            .await
            .map_err(Error::unavailable)?;
        let id = answer.upload_id.ok_or_else(|| Error::internal("an upload without id"))?;
        Ok(Upload { bucket: self.clone(), key: key.to_owned(), id, parts: Vec::new() })
    }

    /// Deletes the object at `key`; repeatable.
    pub async fn delete(&self, key: &str) -> Result<()> {
        self.client.delete_object().bucket(&self.name).key(key).send().await.map_err(Error::unavailable)?;
        Ok(())
    }
}

impl Upload {
    /// Sends the next part: at least [`MIN_PART`] bytes, but for the last.
    pub async fn part(&mut self, bytes: Vec<u8>) -> Result<()> {
        let number = i32::try_from(self.parts.len() + 1).map_err(Error::internal)?;
        let answer = self
            .bucket
            .client
            .upload_part()
            .bucket(&self.bucket.name)
            .key(&self.key)
            .upload_id(&self.id)
            .part_number(number)
            .body(bytes.into())
            .send()
            .await
            .map_err(Error::unavailable)?;
        self.parts.push(CompletedPart::builder().part_number(number).set_e_tag(answer.e_tag).build());
        Ok(())
    }

    /// Puts the parts together: from now on the object is there.
    pub async fn complete(self) -> Result<()> {
        let parts = CompletedMultipartUpload::builder().set_parts(Some(self.parts)).build();
        self.bucket
            .client
            .complete_multipart_upload()
            .bucket(&self.bucket.name)
            .key(&self.key)
            .upload_id(&self.id)
            .multipart_upload(parts)
            .send()
            .await
            .map_err(Error::unavailable)?;
        Ok(())
    }

    /// Forgets the parts.
    pub async fn abort(self) -> Result<()> {
        self.bucket
            .client
            .abort_multipart_upload()
            .bucket(&self.bucket.name)
            .key(&self.key)
            .upload_id(&self.id)
            .send()
            .await
            .map_err(Error::unavailable)?;
        Ok(())
    }
}
