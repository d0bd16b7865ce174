//! `Idempotency-Key`: the same key with the same body within 24 hours gets the first answer.

use axum::extract::FromRequestParts;
use http::request::Parts;
use satchel_domain::{Error, Result};

use super::error::ApiError;

/// The header `Idempotency-Key`, where there is one: 1 to 128 visible ASCII characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyKey(pub Option<String>);

impl<S: Send + Sync> FromRequestParts<S> for IdempotencyKey {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let Some(value) = parts.headers.get("idempotency-key") else { return Ok(Self(None)) };
        let bytes = value.as_bytes();
        if !(1..=128).contains(&bytes.len()) || !bytes.iter().all(u8::is_ascii_graphic) {
            return Err(Error::invalid("Idempotency-Key", "1 to 128 visible ASCII characters").into());
        }
        Ok(Self(value.to_str().ok().map(str::to_owned)))
    }
}
