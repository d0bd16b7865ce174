//! S3: objects in the template's buckets, with multipart uploads and presigned URLs.
//!
//! Requests of SDK clients are trusted; presigned URLs are verified, signature and expiry, against the injected clock,
//! because it is strangers who use them.
//!
//! # Limits
//! Path-style addresses only. No versions, no copies, no lifecycle. Checksums other than `ETag` are accepted and not
//! kept. An upload in parts that is not finished does not survive a restart.

mod api;
mod chunked;
mod multipart;
mod presign;
mod store;

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use axum::body::Bytes;

use super::{Credentials, Now, ServicesError};
use crate::template::Template;

use multipart::Uploads;
use store::Store;

/// Buckets and their objects.
pub struct S3 {
    now: Now,
    /// Whose presigned URLs are known: the key of everybody and that of each function, all with one secret.
    signers: Vec<String>,
    secret: String,
    buckets: Vec<String>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    store: Store,
    uploads: Uploads,
}

impl S3 {
    pub(super) fn start(
        template: &Template,
        data: Option<&Path>,
        now: Now,
        credentials: Credentials,
    ) -> Result<Self, ServicesError> {
        let buckets = template.buckets().iter().map(|bucket| bucket.name.clone()).collect();
        let state = Mutex::new(State { store: Store::open(data)?, uploads: Uploads::default() });
        let functions = template.functions().iter().map(|function| function.binary.clone());
        let Credentials { access_key_id, secret_access_key: secret } = credentials;
        let signers = functions.chain([access_key_id]).collect();
        Ok(Self { now, signers, secret, buckets, state })
    }

    /// The content of an object.
    #[must_use]
    pub fn object(&self, bucket: &str, key: &str) -> Option<Bytes> {
        let state = self.lock();
        let meta = state.store.get(bucket, key)?;
        state.store.content(meta).ok()
    }

    /// The keys in a bucket, in order.
    #[must_use]
    pub fn keys(&self, bucket: &str) -> Vec<String> {
        self.lock().store.list(bucket).map(|(key, _)| key.to_owned()).collect()
    }

    pub(super) fn reset(&self) -> Result<(), ServicesError> {
        let mut state = self.lock();
        state.uploads = Uploads::default();
        state.store.clear()?;
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for S3 {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("S3").field("buckets", &self.buckets).finish_non_exhaustive()
    }
}
