//! The token of a request.

use http::{HeaderMap, header};

/// What stands behind `Bearer` in `Authorization`.
pub(super) fn bearer(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ")
}
