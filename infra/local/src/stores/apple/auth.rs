//! Who may ask the App Store's API: a bearer signed with the app's own key (facts 2.6).

use http::HeaderMap;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde::Deserialize;

use crate::stores::bearer::bearer;
use crate::stores::keys::{ISSUER_ID, StoreKeys};
use crate::stores::settings::StoreSettings;

/// The longest life of a bearer, in seconds.
const LONGEST_S: i64 = 3_600;

#[derive(Deserialize)]
struct Claims {
    iss: String,
    iat: i64,
    exp: i64,
    aud: String,
    bid: String,
}

/// Whether a request with `headers` is the app's, at `now` in Unix seconds. Apple says no more than that it is not.
pub(super) fn is_ours(headers: &HeaderMap, keys: &StoreKeys, settings: &StoreSettings, now: i64) -> bool {
    claims(headers, keys).is_some_and(|claims| {
        let is_of_app =
            claims.iss == ISSUER_ID && claims.bid == settings.bundle_id && claims.aud == "appstoreconnect-v1";
        let is_in_time = claims.iat <= now && now < claims.exp && claims.exp - claims.iat <= LONGEST_S;
        is_of_app && is_in_time
    })
}

fn claims(headers: &HeaderMap, keys: &StoreKeys) -> Option<Claims> {
    let token = bearer(headers)?;
    let header = jsonwebtoken::decode_header(token).ok()?;
    if header.kid.as_deref() != Some(&keys.apple_key_id()) {
        return None;
    }
    let key = DecodingKey::from_ec_pem(keys.apple_api_public_pem().ok()?.as_bytes()).ok()?;
    let mut validation = Validation::new(Algorithm::ES256);
    // Judged above, by the injected clock.
    (validation.validate_exp, validation.validate_aud) = (false, false);
    jsonwebtoken::decode::<Claims>(token, &key, &validation).ok().map(|token| token.claims)
}
