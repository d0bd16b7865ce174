//! The access token by which Google knows us: a service account's grant (RFC 7523; facts 2.7).

use std::sync::atomic::{AtomicU64, Ordering};

use axum::body::Bytes;
use http::{Request, StatusCode, header};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use satchel_domain::{Error, Timestamp};
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

use crate::stores::StoreError;
use crate::stores::calls::Calls;

/// What the token is for.
const SCOPE: &str = "https://www.googleapis.com/auth/androidpublisher";
/// How we ask for it.
const GRANT_TYPE: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
/// How long an assertion is good for, in seconds: the longest that Google takes.
const LIFETIME: i64 = 3_600;
/// A token is given up so many seconds before it ends.
const EARLY: i64 = 300;
/// The name of the call in logs.
const CALL: &str = "token";

/// A service account, and the token that it was given.
pub(super) struct Grant {
    url: String,
    email: String,
    key_id: String,
    key: EncodingKey,
    // One caller asks, the others wait for what it gets.
    kept: Mutex<Option<Kept>>,
    failures: AtomicU64,
}

struct Kept {
    token: String,
    /// Unix seconds.
    from: i64,
    /// Unix seconds.
    until: i64,
}

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    scope: &'static str,
    aud: &'a str,
    iat: i64,
    exp: i64,
}

#[derive(Deserialize)]
struct Granted {
    access_token: String,
    expires_in: i64,
    token_type: String,
}

/// RFC 6749, 5.2.
#[derive(Deserialize)]
struct Refusal {
    error: String,
}

impl Grant {
    /// The account `email`, whose key `pem` (PKCS#8) Google knows by `key_id`; none where it is no RSA key.
    pub(super) fn new(url: String, email: &str, key_id: &str, pem: &str) -> Option<Self> {
        let key = EncodingKey::from_rsa_pem(pem.as_bytes()).ok()?;
        let (email, key_id) = (email.to_owned(), key_id.to_owned());
        Some(Self { url, email, key_id, key, kept: Mutex::default(), failures: AtomicU64::new(0) })
    }

    /// A token for a call at `now`: the one that is kept, else a new one. Whoever waited for another's try that failed
    /// shares its failure: a row of waiters, each with a try of its own, would wait for minutes.
    pub(super) async fn token(&self, calls: &Calls, now: Timestamp) -> Result<String, StoreError> {
        let failures = self.failures.load(Ordering::Relaxed);
        let mut kept = self.kept.lock().await;
        let second = now.as_second();
        if let Some(kept) = kept.as_ref()
            && (kept.from..kept.until).contains(&second)
        {
            return Ok(kept.token.clone());
        }
        if self.failures.load(Ordering::Relaxed) != failures {
            return Err(StoreError::Later(Error::unavailable("no token could be had a moment ago")));
        }
        *kept = None;
        match self.ask(calls, now).await {
            Ok(Granted { access_token, expires_in, .. }) => {
                let until = second.saturating_add(expires_in).saturating_sub(EARLY);
                *kept = Some(Kept { token: access_token.clone(), from: second, until });
                Ok(access_token)
            }
            Err(error) => {
                self.failures.fetch_add(1, Ordering::Relaxed);
                Err(error)
            }
        }
    }

    /// Forgets `token`: Google refused it.
    pub(super) async fn forget(&self, token: &str) {
        let mut kept = self.kept.lock().await;
        if kept.as_ref().is_some_and(|kept| kept.token == token) {
            *kept = None;
        }
    }

    async fn ask(&self, calls: &Calls, now: Timestamp) -> Result<Granted, StoreError> {
        let ours = |error: String| calls.later(CALL, Error::internal(error));
        let assertion = self.assertion(now).map_err(|error| ours(error.to_string()))?;
        let form = form_urlencoded::Serializer::new(String::new())
            .append_pair("grant_type", GRANT_TYPE)
            .append_pair("assertion", &assertion)
            .finish();
        let request = Request::post(&self.url)
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header(header::ACCEPT, "application/json")
            .body(Bytes::from(form))
            .map_err(|error| ours(error.to_string()))?;
        let answer = calls.send(CALL, request, now).await?;
        match answer.status() {
            status if status.is_success() => {
                let granted: Granted = calls.json(CALL, &answer)?;
                if granted.access_token.is_empty() || !granted.token_type.eq_ignore_ascii_case("bearer") {
                    return Err(calls.unusable(CALL, "answer_shape", "no bearer token"));
                }
                Ok(granted)
            }
            // `invalid_grant`, `invalid_client` and the like: the account, its key, or the time in the assertion.
            StatusCode::BAD_REQUEST | StatusCode::FORBIDDEN => match serde_json::from_slice(answer.body()) {
                Ok(Refusal { error }) => Err(calls.credentials(CALL, &super::word(&error))),
                Err(_) => Err(calls.unusable(CALL, "status", answer.status().as_str())),
            },
            status => Err(calls.unusable(CALL, "status", status.as_str())),
        }
    }

    fn assertion(&self, now: Timestamp) -> Result<String, jsonwebtoken::errors::Error> {
        let mut header = Header::new(Algorithm::RS256);
        header.kid = Some(self.key_id.clone());
        let iat = now.as_second();
        let exp = iat.saturating_add(LIFETIME);
        let claims = Claims { iss: &self.email, scope: SCOPE, aud: &self.url, iat, exp };
        jsonwebtoken::encode(&header, &claims, &self.key)
    }
}
