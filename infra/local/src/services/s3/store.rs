//! Where objects are kept: content in memory or one file an object, the rest in a journal.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use axum::body::Bytes;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::private;
use crate::services::checksum::hex;
use crate::services::journal::Journal;

/// What is known of an object besides its content.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Meta {
    pub(super) etag: String,
    pub(super) size: usize,
    pub(super) modified_ms: i64,
    /// Headers given at its upload that come back with it.
    pub(super) headers: BTreeMap<String, String>,
    #[serde(skip)]
    content: Bytes,
    file: Option<PathBuf>,
}

impl Meta {
    pub(super) fn new(etag: String, modified_ms: i64, headers: BTreeMap<String, String>) -> Self {
        Self { etag, size: 0, modified_ms, headers, content: Bytes::new(), file: None }
    }
}

#[derive(Debug)]
pub(super) struct Store {
    folder: Option<PathBuf>,
    objects: BTreeMap<String, Meta>,
    journal: Journal,
}

impl Store {
    pub(super) fn open(data: Option<&Path>) -> io::Result<Self> {
        let folder = data.map(|data| data.join("s3"));
        if let Some(folder) = &folder {
            private::folder(folder)?;
        }
        let (journal, objects) = Journal::open(data, "s3.jsonl")?;
        Ok(Self { folder, objects, journal })
    }

    pub(super) fn get(&self, bucket: &str, key: &str) -> Option<&Meta> {
        self.objects.get(&place(bucket, key))
    }

    pub(super) fn content(&self, meta: &Meta) -> io::Result<Bytes> {
        match &meta.file {
            Some(file) => std::fs::read(file).map(Bytes::from),
            None => Ok(meta.content.clone()),
        }
    }

    pub(super) fn put(&mut self, bucket: &str, key: &str, mut meta: Meta, content: Bytes) -> io::Result<()> {
        let place = place(bucket, key);
        meta.size = content.len();
        match &self.folder {
            Some(folder) => {
                // A key may be longer than a file name and hold what a file name may not.
                let file = folder.join(hex(&Sha256::digest(&place)));
                let new = file.with_extension("new");
                std::fs::write(&new, &content)?;
                std::fs::rename(&new, &file)?;
                meta.file = Some(file);
            }
            None => meta.content = content,
        }
        self.journal.put(&place, &meta);
        self.objects.insert(place, meta);
        Ok(())
    }

    pub(super) fn delete(&mut self, bucket: &str, key: &str) -> io::Result<()> {
        let place = place(bucket, key);
        if let Some(meta) = self.objects.remove(&place) {
            self.journal.delete(&place);
            if let Some(file) = meta.file {
                std::fs::remove_file(file)?;
            }
        }
        Ok(())
    }

    /// The objects of a bucket in the order of their keys.
    pub(super) fn list(&self, bucket: &str) -> impl Iterator<Item = (&str, &Meta)> {
        let prefix = place(bucket, "");
        let from = self.objects.range(prefix.clone()..);
        from.map_while(move |(place, meta)| Some((place.strip_prefix(&prefix)?, meta)))
    }

    pub(super) fn clear(&mut self) -> io::Result<()> {
        for place in self.objects.keys().cloned().collect::<Vec<_>>() {
            if let Some((bucket, key)) = place.split_once('/') {
                self.delete(bucket, key)?;
            }
        }
        Ok(())
    }
}

fn place(bucket: &str, key: &str) -> String {
    format!("{bucket}/{key}")
}
