//! The token by which Apple knows us (App Store Server API, *Generating JSON Web Tokens for API requests*; facts 2.6).

use std::sync::{Mutex, MutexGuard, PoisonError};

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use satchel_domain::{Error, Result, Timestamp};
use serde::Serialize;

/// `aud` of every token.
const AUDIENCE: &str = "appstoreconnect-v1";
/// How long a token is good for, in seconds; Apple takes no longer than an hour.
const LIFETIME: i64 = 300;
/// A token is used again while it is good for so many more seconds.
const LEFT: i64 = 60;
/// `iat` lies back by so many seconds: a clock a little fast would get a 401 that says nothing.
const BACKDATED: i64 = 60;

/// An In-App Purchase key of the developer's account.
pub(super) struct ApiKey {
    issuer_id: String,
    key_id: String,
    bundle_id: String,
    key: EncodingKey,
    kept: Mutex<Option<Kept>>,
}

struct Kept {
    token: String,
    expires_at: i64,
}

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    iat: i64,
    exp: i64,
    aud: &'a str,
    bid: &'a str,
}

impl ApiKey {
    /// The key `pem` (PKCS#8), as the account knows it by `issuer_id` and `key_id`; none where it is no P-256 key.
    pub(super) fn new(issuer_id: &str, key_id: &str, bundle_id: &str, pem: &str) -> Option<Self> {
        let key = EncodingKey::from_ec_pem(pem.as_bytes()).ok()?;
        Some(Self {
            issuer_id: issuer_id.to_owned(),
            key_id: key_id.to_owned(),
            bundle_id: bundle_id.to_owned(),
            key,
            kept: Mutex::default(),
        })
    }

    /// A token for a call at `now`.
    pub(super) fn token(&self, now: Timestamp) -> Result<String> {
        let now = now.as_second();
        let mut kept = self.kept();
        if let Some(kept) = kept.as_ref()
            && (LEFT..=LIFETIME).contains(&kept.expires_at.saturating_sub(now))
        {
            return Ok(kept.token.clone());
        }
        let mut header = Header::new(Algorithm::ES256);
        header.kid = Some(self.key_id.clone());
        let expires_at = now.saturating_add(LIFETIME);
        let claims = Claims {
            iss: &self.issuer_id,
            iat: now.saturating_sub(BACKDATED),
            exp: expires_at,
            aud: AUDIENCE,
            bid: &self.bundle_id,
        };
        let token = jsonwebtoken::encode(&header, &claims, &self.key).map_err(Error::internal)?;
        *kept = Some(Kept { token: token.clone(), expires_at });
        Ok(token)
    }

    /// Forgets the token: Apple refused it.
    pub(super) fn forget(&self) {
        *self.kept() = None;
    }

    fn kept(&self) -> MutexGuard<'_, Option<Kept>> {
        // Replaced as a whole, so a panic elsewhere leaves nothing half done.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
