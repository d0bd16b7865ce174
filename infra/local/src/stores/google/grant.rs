//! Access tokens for a service account's assertion (RFC 7523; facts 2.7). They carry their end and prove themselves, so
//! that nothing is kept of them.

use axum::body::Bytes;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{Method, Request, Response};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde::Deserialize;
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::services::pairs;
use crate::stores::keys::{SERVICE_ACCOUNT, hex};
use crate::stores::reply;
use crate::stores::shops::Shops;

const GRANT_TYPE: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
const SCOPE: &str = "https://www.googleapis.com/auth/androidpublisher";
/// What the assertion is for, at Google itself; here the stand-in's own address is right too.
const AUDIENCE: &str = "https://oauth2.googleapis.com/token";
/// How long a token and an assertion are good for, in seconds.
const LIFETIME_S: i64 = 3_600;
/// How far a service account's clock may be ahead, in seconds.
const LEEWAY_S: i64 = 300;

#[derive(Deserialize)]
struct Claims {
    iss: String,
    scope: String,
    aud: String,
    iat: i64,
    exp: i64,
}

/// `POST /token`.
pub(super) fn answer(shops: &Shops, request: &Request<Bytes>) -> Response<Bytes> {
    let refused = |error: &str, text: &str| reply::json(400, &json!({ "error": error, "error_description": text }));
    if request.method() != Method::POST {
        return reply::empty(404);
    }
    let form = String::from_utf8_lossy(request.body()).into_owned();
    let field = |wanted: &str| pairs(&form).find(|(name, _)| name == wanted).map(|(_, value)| value);
    if field("grant_type").as_deref() != Some(GRANT_TYPE) {
        return refused("unsupported_grant_type", "Invalid grant_type");
    }
    let Some(assertion) = field("assertion") else { return refused("invalid_request", "Missing assertion") };
    let Some(claims) = claims(shops, &assertion) else { return refused("invalid_grant", "Invalid JWT Signature.") };
    let now = shops.now_ms().div_euclid(1_000);
    let is_in_time = claims.iat <= now + LEEWAY_S && now < claims.exp && claims.exp - claims.iat <= LIFETIME_S;
    if !is_in_time {
        return refused(
            "invalid_grant",
            "Invalid JWT: Token must be a short-lived token and in a reasonable timeframe.",
        );
    }
    if claims.iss != SERVICE_ACCOUNT {
        return refused("invalid_grant", "Invalid grant: account not found");
    }
    if claims.aud != AUDIENCE && claims.aud != shops.settings().addresses.google_token() {
        return refused("invalid_grant", "Invalid JWT: Failed audience check.");
    }
    if !claims.scope.split(' ').any(|scope| scope == SCOPE) {
        return refused("invalid_scope", "Invalid OAuth scope or ID token audience provided.");
    }
    let token = token(shops, now + LIFETIME_S);
    reply::json(200, &json!({ "access_token": token, "expires_in": LIFETIME_S - 1, "token_type": "Bearer" }))
}

fn claims(shops: &Shops, assertion: &str) -> Option<Claims> {
    let pem = shops.keys().google_account_public_pem().ok()?;
    let key = DecodingKey::from_rsa_pem(pem.as_bytes()).ok()?;
    let mut validation = Validation::new(Algorithm::RS256);
    // Judged above, by the injected clock.
    (validation.validate_exp, validation.validate_aud) = (false, false);
    jsonwebtoken::decode::<Claims>(assertion, &key, &validation).ok().map(|token| token.claims)
}

fn token(shops: &Shops, until: i64) -> String {
    format!("ya29.{}", URL_SAFE_NO_PAD.encode(format!("{until}.{}", proof(shops, until))))
}

fn proof(shops: &Shops, until: i64) -> String {
    let key = &shops.keys().apple_shared_secret;
    hex(&Sha256::new().chain_update("google-token").chain_update(key).chain_update(until.to_be_bytes()).finalize())
}

/// Whether `token` is one of ours that is not over at `now`, Unix seconds.
pub(super) fn is_good(shops: &Shops, token: &str, now: i64) -> bool {
    let inner = token.strip_prefix("ya29.").and_then(|inner| URL_SAFE_NO_PAD.decode(inner).ok());
    let inner = inner.and_then(|inner| String::from_utf8(inner).ok()).unwrap_or_default();
    let Some((until, given)) = inner.split_once('.') else { return false };
    until.parse().is_ok_and(|until: i64| now < until && proof(shops, until) == given)
}
