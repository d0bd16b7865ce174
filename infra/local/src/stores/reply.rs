//! Answers of the stores, as both APIs give them.

use axum::body::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use serde_json::Value;

/// An answer, or none: the connection ends.
pub(super) type Reply = Option<Response<Bytes>>;

/// An answer in JSON.
pub(super) fn json(status: u16, body: &Value) -> Response<Bytes> {
    with_type(status, "application/json", body.to_string())
}

/// An answer of another kind.
pub(super) fn with_type(status: u16, kind: &'static str, body: impl Into<Bytes>) -> Response<Bytes> {
    let mut response = Response::new(body.into());
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

/// An answer without a body.
pub(super) fn empty(status: u16) -> Response<Bytes> {
    let mut response = with_type(status, "text/plain", Bytes::new());
    response.headers_mut().remove(header::CONTENT_TYPE);
    response
}

/// With a header more.
pub(super) fn with_header(mut response: Response<Bytes>, name: header::HeaderName, value: &str) -> Response<Bytes> {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
    response
}
