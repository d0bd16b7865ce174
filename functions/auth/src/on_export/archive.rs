//! A zip that leaves in parts while it is being written.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

use satchel_domain::{Error, Result};
use satchel_outbound::Bucket;
use satchel_outbound::bucket::{MIN_PART, Upload};
use serde::Serialize;
use zip::write::{SimpleFileOptions, StreamWriter};
use zip::{CompressionMethod, ZipWriter};

/// What the compressor has given and the bucket has not got yet.
#[derive(Clone, Default)]
struct Outgoing(Arc<Mutex<Vec<u8>>>);

impl Outgoing {
    fn with<T>(&self, work: impl FnOnce(&mut Vec<u8>) -> T) -> T {
        // Bytes are only ever appended or taken as a whole, so a panic elsewhere leaves nothing half done.
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Write for Outgoing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.with(|outgoing| outgoing.extend_from_slice(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// An archive under way.
pub(super) struct Archive {
    zip: ZipWriter<StreamWriter<Outgoing>>,
    outgoing: Outgoing,
    upload: Upload,
}

impl Archive {
    /// Begins the archive `object`.
    pub(super) async fn begin(bucket: &Bucket, object: &str) -> Result<Self> {
        let outgoing = Outgoing::default();
        let upload = bucket.upload(object, "application/zip").await?;
        Ok(Self { zip: ZipWriter::new_stream(outgoing.clone()), outgoing, upload })
    }

    /// Begins the next file.
    pub(super) fn file(&mut self, name: &str) -> Result<()> {
        // Its size is not known beforehand and may pass 4 GiB.
        let options = SimpleFileOptions::default().compression_method(CompressionMethod::Deflated).large_file(true);
        self.zip.start_file(name, options).map_err(Error::internal)
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) -> Result<()> {
        self.zip.write_all(bytes).map_err(Error::internal)
    }

    pub(super) fn json<T: Serialize>(&mut self, value: &T) -> Result<()> {
        self.bytes(&serde_json::to_vec(value).map_err(Error::internal)?)
    }

    pub(super) fn line<T: Serialize>(&mut self, value: &T) -> Result<()> {
        self.json(value)?;
        self.bytes(b"\n")
    }

    /// Sends what has become long enough for a part.
    pub(super) async fn send_full_parts(&mut self) -> Result<()> {
        let part = self.outgoing.with(|outgoing| (outgoing.len() >= MIN_PART).then(|| std::mem::take(outgoing)));
        match part {
            Some(part) => self.upload.part(part).await,
            None => Ok(()),
        }
    }

    /// Completes the archive: from now on it is in the bucket.
    pub(super) async fn finish(mut self) -> Result<()> {
        self.zip.finish().map_err(Error::internal)?;
        let rest = self.outgoing.with(std::mem::take);
        if let Err(error) = self.upload.part(rest).await {
            abort(self.upload).await;
            return Err(error);
        }
        self.upload.complete().await
    }

    /// Gives the archive up.
    pub(super) async fn abandon(self) {
        abort(self.upload).await;
    }
}

/// What cannot be aborted is left to the bucket's lifecycle rule.
async fn abort(upload: Upload) {
    if let Err(error) = upload.abort().await {
        tracing::warn!(%error, "an upload could not be aborted");
    }
}
