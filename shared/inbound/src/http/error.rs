//! Failures as RFC 9457 `application/problem+json`; the only mapping of [`Error`] to status codes.

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use satchel_domain::Error;
pub use satchel_domain::error::causes;
use serde::Serialize;
use serde_json::{Value, json};

/// Where a problem's `type` is described; the code follows.
const TYPE_BASE: &str = "https://satchel.dev/problems/";

/// What a handler returns.
pub type ApiResult<T> = Result<T, ApiError>;

/// An [`Error`] on its way out.
#[derive(Debug)]
pub struct ApiError(pub Error);

impl<E: Into<Error>> From<E> for ApiError {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

/// The body of every failure (RFC 9457).
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Problem {
    /// A stable URI that ends in the code.
    #[serde(rename = "type")]
    pub kind: String,
    /// Short and the same for every problem of this code.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What is wrong this time; an object where a client of the seed expects one.
    pub detail: Value,
    /// Stable and snake_case: what clients switch on.
    pub code: String,
    /// The request's id, as in `x-request-id`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// The fields that are wrong, for a 422.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<WrongField>>)]
    pub errors: Option<Value>,
}

/// One wrong field.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct WrongField {
    /// Its path in the body, the query or the path.
    pub field: String,
    /// What is wrong with it.
    pub message: String,
}

/// Status, code and detail of an error, as a problem shows them; exhaustive on purpose within this workspace's enum.
pub fn public(error: &Error) -> (StatusCode, &'static str, Value) {
    let text = || Value::from(error.to_string());
    match error {
        Error::Malformed { code, .. } => (StatusCode::BAD_REQUEST, code, text()),
        Error::Unauthenticated { code, .. } => (StatusCode::UNAUTHORIZED, code, text()),
        Error::PaymentRequired { code, message, product_id } => {
            (StatusCode::PAYMENT_REQUIRED, code, json!({ "error": code, "message": message, "product_id": product_id }))
        }
        Error::Forbidden { code, .. } => (StatusCode::FORBIDDEN, code, text()),
        Error::NotFound(_) => (StatusCode::NOT_FOUND, "not_found", text()),
        Error::Conflict { code, .. } => (StatusCode::CONFLICT, code, text()),
        Error::Gone { code, .. } => (StatusCode::GONE, code, text()),
        Error::TooLarge { code, .. } => (StatusCode::PAYLOAD_TOO_LARGE, code, text()),
        Error::UnsupportedMedia { .. } => (StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", text()),
        Error::Invalid(_) => (StatusCode::UNPROCESSABLE_ENTITY, "invalid_input", text()),
        Error::TooMany { .. } => (StatusCode::TOO_MANY_REQUESTS, "too_many_requests", text()),
        Error::Unavailable { .. } => (StatusCode::SERVICE_UNAVAILABLE, "unavailable", text()),
        Error::Internal(_) => (StatusCode::INTERNAL_SERVER_ERROR, "internal", text()),
    }
}

fn title(status: StatusCode) -> String {
    status.canonical_reason().unwrap_or("Error").to_owned()
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let Self(error) = self;
        let (status, code, detail) = public(&error);
        let cause = match &error {
            Error::Unavailable { cause, .. } | Error::Internal(cause) => Some(Cause(causes(&**cause))),
            _ => None,
        };
        let errors = match &error {
            Error::Invalid(fields) => Some(json!(fields)),
            _ => None,
        };
        let mut response = problem(status, code, detail, errors);
        if let Some(cause) = cause {
            response.extensions_mut().insert(cause);
        }
        let headers = response.headers_mut();
        match error {
            Error::Unavailable { retry_after, .. } | Error::TooMany { retry_after } => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from(retry_after));
            }
            Error::Unauthenticated { code, .. } => {
                let challenge = if code == "missing_token" { "Bearer" } else { "Bearer error=\"invalid_token\"" };
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
            }
            _ => {}
        }
        response
    }
}

/// A problem's response; the layer around it adds the request's id.
pub fn problem(status: StatusCode, code: &str, detail: Value, errors: Option<Value>) -> Response {
    let body = Problem {
        kind: format!("{TYPE_BASE}{code}"),
        title: title(status),
        status: status.as_u16(),
        detail,
        code: code.to_owned(),
        request_id: None,
        errors,
    };
    let text = json!(body);
    let mut response = Response::new(Body::from(text.to_string()));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    response.extensions_mut().insert(ProblemBody(std::sync::Arc::new(text)));
    response
}

/// Rides along in a response's extensions, so that the layer can add the request's id without reading the body back.
#[derive(Clone)]
pub(crate) struct ProblemBody(pub(crate) std::sync::Arc<Value>);

/// Why a request failed; rides along in a response's extensions, for the request's log line alone.
#[derive(Clone)]
pub(crate) struct Cause(pub(crate) String);
