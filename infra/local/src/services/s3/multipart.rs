//! Uploads in parts.

use std::collections::{BTreeMap, HashMap};

use axum::body::Bytes;

use super::store::Meta;
use crate::services::checksum::{hex, md5};

/// The smallest part there may be, but for the last.
const SMALLEST: usize = 5 * 1024 * 1024;

#[derive(Debug, Default)]
pub(super) struct Uploads {
    open: HashMap<String, Upload>,
    next: u64,
}

#[derive(Debug)]
struct Upload {
    bucket: String,
    key: String,
    meta: Meta,
    parts: BTreeMap<u32, Bytes>,
}

/// Why an upload was refused: code and words.
pub(super) type Refusal = (u16, &'static str, &'static str);

const NO_UPLOAD: Refusal = (404, "NoSuchUpload", "The specified multipart upload does not exist.");

impl Uploads {
    pub(super) fn create(&mut self, bucket: &str, key: &str, meta: Meta) -> String {
        self.next += 1;
        let id = format!("upload-{}-{}", meta.modified_ms, self.next);
        let upload = Upload { bucket: bucket.to_owned(), key: key.to_owned(), meta, parts: BTreeMap::new() };
        self.open.insert(id.clone(), upload);
        id
    }

    /// Keeps a part and gives its tag.
    pub(super) fn put(
        &mut self,
        id: &str,
        bucket: &str,
        key: &str,
        number: u32,
        body: Bytes,
    ) -> Result<String, Refusal> {
        if !(1..=10_000).contains(&number) {
            return Err((400, "InvalidArgument", "Part number must be an integer between 1 and 10000, inclusive"));
        }
        let upload = self.find(id, bucket, key)?;
        let tag = hex(&md5(&body));
        upload.parts.insert(number, body);
        Ok(tag)
    }

    /// Joins the parts named, and gives what is known of the object and its content.
    pub(super) fn complete(
        &mut self,
        id: &str,
        bucket: &str,
        key: &str,
        named: &[(u32, String)],
    ) -> Result<(Meta, Bytes), Refusal> {
        let upload = self.find(id, bucket, key)?;
        if named.is_empty() {
            return Err((400, "MalformedXML", "The XML you provided was not well-formed"));
        }
        if named.windows(2).any(|pair| pair[0].0 >= pair[1].0) {
            return Err((400, "InvalidPartOrder", "The list of parts was not in ascending order."));
        }
        let mut content = Vec::new();
        let mut sums = Vec::new();
        for (index, (number, tag)) in named.iter().enumerate() {
            let part = upload.parts.get(number).filter(|part| hex(&md5(part)) == tag.trim_matches('"'));
            let Some(part) = part else {
                return Err((400, "InvalidPart", "One or more of the specified parts could not be found."));
            };
            if part.len() < SMALLEST && index + 1 < named.len() {
                let message = "Your proposed upload is smaller than the minimum allowed object size.";
                return Err((400, "EntityTooSmall", message));
            }
            content.extend_from_slice(part);
            sums.extend_from_slice(&md5(part));
        }
        let mut meta = upload.meta.clone();
        meta.etag = format!("{}-{}", hex(&md5(&sums)), named.len());
        self.open.remove(id);
        Ok((meta, content.into()))
    }

    pub(super) fn abort(&mut self, id: &str, bucket: &str, key: &str) -> Result<(), Refusal> {
        self.find(id, bucket, key)?;
        self.open.remove(id);
        Ok(())
    }

    fn find(&mut self, id: &str, bucket: &str, key: &str) -> Result<&mut Upload, Refusal> {
        self.open.get_mut(id).filter(|upload| upload.bucket == bucket && upload.key == key).ok_or(NO_UPLOAD)
    }
}
