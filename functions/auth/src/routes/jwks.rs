//! The public keys of access tokens.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, StatusCode, header};
use satchel_domain::refresh::hex;
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::Usual;
use crate::app::App;

/// Keys are rotated with an hour of overlap, so they may be kept for five minutes.
const CACHE: &str = "public, max-age=300";

/// A JSON Web Key Set (RFC 7517).
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct Jwks {
    /// One key, or two while one is being rotated.
    keys: Vec<Jwk>,
}

/// A public key on P-256 (RFC 7518, section 6.2).
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct Jwk {
    /// `EC`.
    #[schema(example = "EC")]
    kty: String,
    /// `P-256`.
    #[schema(example = "P-256")]
    crv: String,
    /// The key's id, as in a token's header.
    kid: String,
    /// Coordinate x, base64url.
    x: String,
    /// Coordinate y, base64url.
    y: String,
}

/// Public keys
///
/// The keys by which access tokens are verified.
#[utoipa::path(
    get, path = "/.well-known/jwks.json", tag = "auth", security(()),
    responses(
        (status = 200, description = "The keys; cacheable.", body = Jwks),
        (status = 304, description = "`If-None-Match` names these keys."),
        Usual,
    ),
)]
pub(crate) async fn jwks(State(app): State<App>, headers: HeaderMap) -> Response {
    let tag = format!("\"{}\"", &hex(&Sha256::digest(&app.jwks))[..16]);
    let kept = headers.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let common = [(header::CACHE_CONTROL, CACHE.to_owned()), (header::ETAG, tag.clone())];
    if kept.split(',').any(|one| one.trim().trim_start_matches("W/") == tag || one.trim() == "*") {
        return (StatusCode::NOT_MODIFIED, common).into_response();
    }
    (common, [(header::CONTENT_TYPE, "application/json")], app.jwks.clone()).into_response()
}
