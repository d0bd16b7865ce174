//! What a caller brings, read at the door: bodies, path ids, query parameters.

use std::str::FromStr;

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Path, Request};
use http::header::CONTENT_TYPE;
use http::request::Parts;
use satchel_domain::{Error, Result};
use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Deserializer};

use super::error::ApiError;

/// Largest body, in bytes: Lambda's 6 MB hold the whole event with the body escaped or in base64.
pub const MAX_BODY: usize = 4 * 1024 * 1024;

/// A JSON body. 415 without `application/json`, 413 past [`MAX_BODY`], 400 where it is no JSON, 422 with the field's
/// path where it is not of the wanted shape.
#[derive(Debug, Clone)]
pub struct Input<T>(pub T);

impl<S, T> FromRequest<S> for Input<T>
where
    S: Send + Sync,
    T: DeserializeOwned,
{
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, ApiError> {
        if !is_json(&request) {
            return Err(Error::UnsupportedMedia { message: "the body must be application/json".to_owned() }.into());
        }
        Ok(Self(read_json(&bytes(request).await?)?))
    }
}

/// The whole body, at most [`MAX_BODY`].
///
/// # Errors
/// 413 `body_too_large`, or 400 where it breaks off.
pub async fn bytes(request: Request) -> Result<Bytes> {
    axum::body::to_bytes(request.into_body(), MAX_BODY).await.map_err(|error| {
        let mut cause: Option<&dyn std::error::Error> = Some(&error);
        while let Some(inner) = cause {
            if inner.is::<http_body_util::LengthLimitError>() {
                return Error::TooLarge {
                    code: "body_too_large",
                    message: format!("the body has more than {MAX_BODY} bytes"),
                };
            }
            cause = inner.source();
        }
        Error::Malformed { code: "body_incomplete", message: "the body breaks off".to_owned() }
    })
}

fn is_json(request: &Request) -> bool {
    let Some(kind) = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()) else { return false };
    let Ok(kind) = kind.parse::<mime::Mime>() else { return false };
    kind.type_() == mime::APPLICATION
        && kind.subtype() == mime::JSON
        && kind.get_param(mime::CHARSET).is_none_or(|charset| charset == mime::UTF_8)
}

/// `bytes` as JSON of the wanted shape.
///
/// # Errors
/// 400 `malformed_json` or 422 with the field's path.
pub fn read_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    // A derived reader would take a list for a record, its fields in order; no client means that.
    if bytes.trim_ascii_start().first() == Some(&b'[') && serde_json::from_slice::<IgnoredAny>(bytes).is_ok() {
        return Err(Error::invalid("body", "must be an object"));
    }
    match serde_json::from_slice(bytes) {
        Ok(value) => Ok(value),
        // Read once more, slower, for the path of the field; only who errs pays for it.
        Err(error) if error.is_data() => {
            match serde_path_to_error::deserialize::<_, T>(&mut serde_json::Deserializer::from_slice(bytes)) {
                Ok(value) => Ok(value),
                Err(error) => {
                    let path = error.path().to_string();
                    let message = error.into_inner().to_string();
                    let message = message.rsplit_once(" at line ").map_or(message.as_str(), |(text, _)| text);
                    Err(Error::invalid(if path == "." { "body".to_owned() } else { path }, message))
                }
            }
        }
        Err(error) => Err(Error::Malformed {
            code: "malformed_json",
            message: format!("the body is not JSON: line {}, column {}", error.line(), error.column()),
        }),
    }
}

/// The one id in the path; one that cannot be an id of this kind is 404, like any that does not exist.
#[derive(Debug, Clone)]
pub struct PathId<T>(pub T);

impl<S, T> FromRequestParts<S> for PathId<T>
where
    S: Send + Sync,
    T: FromStr + Send,
{
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let text = Path::<String>::from_request_parts(parts, state).await.map_err(|_| Error::NotFound("object"))?.0;
        Ok(Self(text.parse().map_err(|_| Error::NotFound("object"))?))
    }
}

/// Query parameters; a wrong one is 422 and named.
#[derive(Debug, Clone)]
pub struct Params<T>(pub T);

impl<S, T> FromRequestParts<S> for Params<T>
where
    S: Send + Sync,
    T: DeserializeOwned,
{
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let query = axum::extract::Query::<T>::try_from_uri(&parts.uri).map_err(|error| {
            let text = error.body_text();
            let text = text.strip_prefix("Failed to deserialize query string: ").unwrap_or(&text).to_owned();
            match text.split_once(": ") {
                Some((field, message)) if !field.contains(' ') => Error::invalid(field, message),
                _ => Error::invalid("query", text),
            }
        })?;
        Ok(Self(query.0))
    }
}

/// Reads an integer as JSON has it: `3.0` is the integer 3 too (JSON Schema, *integer*). For `deserialize_with`.
///
/// # Errors
/// Where the number has a fraction or does not fit.
pub fn whole<'de, D, N>(deserializer: D) -> Result<N, D::Error>
where
    D: Deserializer<'de>,
    N: TryFrom<i64>,
{
    let number = serde_json::Number::deserialize(deserializer)?;
    integer(&number)
        .and_then(|integer| N::try_from(integer).ok())
        .ok_or_else(|| serde::de::Error::custom("must be an integer in range"))
}

/// [`whole`], or nothing.
///
/// # Errors
/// Where the number has a fraction or does not fit.
pub fn maybe_whole<'de, D, N>(deserializer: D) -> Result<Option<N>, D::Error>
where
    D: Deserializer<'de>,
    N: TryFrom<i64>,
{
    let Some(number) = Option::<serde_json::Number>::deserialize(deserializer)? else { return Ok(None) };
    integer(&number)
        .and_then(|integer| N::try_from(integer).ok())
        .map(Some)
        .ok_or_else(|| serde::de::Error::custom("must be an integer in range"))
}

fn integer(number: &serde_json::Number) -> Option<i64> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    number.as_i64().or_else(|| {
        let float = number.as_f64().filter(|float| float.fract() == 0.0 && float.abs() < EXACT)?;
        // Within 2^53 a double without fraction prints as the integer it is.
        format!("{float:.0}").parse().ok()
    })
}
