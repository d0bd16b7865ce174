//! Apple's and Google's keys: kept as `satchel_domain::identity::keys` says, fetched here.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use http::{Request, header};
use satchel_domain::identity::keys::{Kept, KeySet, Plan, max_age};
use satchel_domain::identity::{self, Identity, Provider, Trust};
use satchel_domain::{Error, Result, Timestamp};
use satchel_inbound::env::Reader;
use satchel_outbound::Http;

/// The init phase waits no longer than this for keys; the first sign-in asks again.
const WARM: Duration = Duration::from_secs(2);

/// Where ID tokens come from.
pub struct Issuers {
    apple: Issuer,
    google: Issuer,
}

struct Issuer {
    provider: Provider,
    trust: Trust,
    jwks_url: String,
    http: Http,
    kept: Mutex<Kept>,
    // One caller asks, the others wait for what it gets.
    asking: tokio::sync::Mutex<()>,
}

impl Issuers {
    pub(crate) fn from_settings(settings: &mut Reader<'_>, http: Http) -> Self {
        let mut issuer = |provider: Provider| {
            let name = provider.as_str().to_uppercase();
            let trust = Trust {
                issuers: settings.list(&format!("{name}_ISSUERS")),
                audiences: settings.list_or_none(&format!("{name}_CLIENT_IDS")),
            };
            Issuer {
                provider,
                trust,
                jwks_url: settings.text(&format!("{name}_JWKS_URL")),
                http: http.clone(),
                kept: Mutex::default(),
                asking: tokio::sync::Mutex::default(),
            }
        };
        Self { apple: issuer(Provider::Apple), google: issuer(Provider::Google) }
    }

    /// Fetches both issuers' keys, so that the first sign-in need not; a failure is only logged.
    pub(crate) async fn warm(&self, now: Timestamp) {
        let warm = async |issuer: &Issuer| match tokio::time::timeout(WARM, issuer.fetch()).await {
            Ok(Ok((keys, age))) => issuer.kept().answered(keys, age, now),
            Ok(Err(error)) => {
                tracing::warn!(provider = issuer.provider.as_str(), %error, "an issuer's keys could not be fetched at init");
            }
            Err(_) => tracing::warn!(provider = issuer.provider.as_str(), "an issuer's keys were too slow at init"),
        };
        let warm_if_used = async |issuer: &Issuer| {
            if !issuer.trust.audiences.is_empty() {
                warm(issuer).await;
            }
        };
        tokio::join!(warm_if_used(&self.apple), warm_if_used(&self.google));
    }

    /// Who `token` is about, where it is believed at `now`.
    ///
    /// # Errors
    /// 401 `invalid_id_token`; 503 where there are no keys to believe anybody by.
    pub(crate) async fn verify(
        &self,
        provider: Provider,
        token: &str,
        nonce: Option<&str>,
        now: Timestamp,
    ) -> Result<Identity> {
        let issuer = match provider {
            Provider::Apple => &self.apple,
            Provider::Google => &self.google,
        };
        let keys = issuer.keys(&identity::key_id(token)?, now).await?;
        identity::verify(provider, token, nonce, &keys, &issuer.trust, now)
    }
}

impl Issuer {
    fn kept(&self) -> std::sync::MutexGuard<'_, Kept> {
        // Kept keys are replaced as a whole, so a panic elsewhere leaves nothing half done.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn keys(&self, kid: &str, now: Timestamp) -> Result<KeySet> {
        let mut plan = self.kept().plan(kid, now);
        if plan == Plan::Ask {
            let _one_at_a_time = self.asking.lock().await;
            plan = self.kept().plan(kid, now);
            if plan == Plan::Ask {
                self.kept().asking(kid, now);
                match self.fetch().await {
                    Ok((keys, age)) => self.kept().answered(keys, age, now),
                    Err(error) => {
                        let provider = self.provider.as_str();
                        tracing::warn!(provider, %error, metric = "IssuerKeysUnavailable", "an issuer's keys could not be fetched");
                        self.kept().failed(now);
                    }
                }
                plan = self.kept().fallback(kid, now);
            }
        }
        match (plan, self.kept().keys()) {
            (Plan::Use, Some(keys)) => Ok(keys.clone()),
            (Plan::Unknown, _) => Err(identity::unknown_key()),
            _ => Err(Error::Unavailable {
                retry_after: 5,
                cause: format!("no keys of {}", self.provider.as_str()).into(),
            }),
        }
    }

    async fn fetch(&self) -> Result<(KeySet, i64), String> {
        let request = Request::get(&self.jwks_url)
            .header(header::ACCEPT, "application/json")
            .body(axum::body::Bytes::new())
            .map_err(|error| error.to_string())?;
        let answer = self.http.call(request).await.map_err(|error| satchel_inbound::http::error::causes(&error))?;
        if !answer.status().is_success() {
            return Err(format!("answered {}", answer.status()));
        }
        let age = max_age(answer.headers().get(header::CACHE_CONTROL).and_then(|value| value.to_str().ok()));
        Ok((KeySet::parse(answer.body())?, age))
    }
}
