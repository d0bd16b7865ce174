//! An issuer's public keys: fetched here, kept as [`satchel_domain::identity::keys`] says.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ::http::{Request, header};
use hyper::body::Bytes;
use satchel_domain::error::causes;
use satchel_domain::identity::keys::{Kept, KeySet, Plan, max_age};
use satchel_domain::{Error, Result, Timestamp};

use crate::http::Http;

/// The init phase waits no longer than this for keys; the first token asks again.
const WARM: Duration = Duration::from_secs(2);

/// The keys of one issuer.
pub struct Jwks {
    provider: &'static str,
    url: String,
    http: Http,
    kept: Mutex<Kept>,
    // One caller asks, the others wait for what it gets.
    asking: tokio::sync::Mutex<()>,
}

impl Jwks {
    /// The keys that `provider`, as it stands in logs, publishes at `url`.
    pub fn new(provider: &'static str, url: String, http: Http) -> Self {
        Self { provider, url, http, kept: Mutex::default(), asking: tokio::sync::Mutex::default() }
    }

    /// Fetches the keys at init, so that the first token need not; a failure is only logged.
    pub async fn warm(&self, now: Timestamp) {
        let provider = self.provider;
        match tokio::time::timeout(WARM, self.fetch()).await {
            Ok(Ok((keys, age))) => self.kept().answered(keys, age, now),
            Ok(Err(error)) => tracing::warn!(provider, %error, "an issuer's keys could not be fetched at init"),
            Err(_) => tracing::warn!(provider, "an issuer's keys were too slow at init"),
        }
    }

    /// The keys at `now`, where `kid` is among them; none where the issuer publishes no such key.
    ///
    /// # Errors
    /// [`Error::Unavailable`] where there are no keys to believe anybody by.
    pub async fn keys(&self, kid: &str, now: Timestamp) -> Result<Option<KeySet>> {
        let mut plan = self.kept().plan(kid, now);
        if plan == Plan::Ask {
            let _one_at_a_time = self.asking.lock().await;
            plan = self.kept().plan(kid, now);
            if plan == Plan::Ask {
                self.kept().asking(kid, now);
                match self.fetch().await {
                    Ok((keys, age)) => self.kept().answered(keys, age, now),
                    Err(error) => {
                        let provider = self.provider;
                        tracing::warn!(provider, %error, metric = "IssuerKeysUnavailable", "an issuer's keys could not be fetched");
                        self.kept().failed(now);
                    }
                }
                plan = self.kept().fallback(kid, now);
            }
        }
        match (plan, self.kept().keys()) {
            (Plan::Use, Some(keys)) => Ok(Some(keys.clone())),
            (Plan::Unknown, _) => Ok(None),
            _ => Err(Error::Unavailable { retry_after: 5, cause: format!("no keys of {}", self.provider).into() }),
        }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        // Kept keys are replaced as a whole, so a panic elsewhere leaves nothing half done.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn fetch(&self) -> Result<(KeySet, i64), String> {
        let request = Request::get(&self.url)
            .header(header::ACCEPT, "application/json")
            .body(Bytes::new())
            .map_err(|error| error.to_string())?;
        let answer = self.http.call(request).await.map_err(|error| causes(&error))?;
        if !answer.status().is_success() {
            return Err(format!("answered {}", answer.status()));
        }
        let age = max_age(answer.headers().get(header::CACHE_CONTROL).and_then(|value| value.to_str().ok()));
        Ok((KeySet::parse(answer.body())?, age))
    }
}
