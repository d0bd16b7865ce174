//! Whose ID tokens are believed: Apple's and Google's, by the keys they publish.

use satchel_domain::identity::{self, Identity, Provider, Trust};
use satchel_domain::{Result, Timestamp};
use satchel_inbound::env::Reader;
use satchel_outbound::{Http, Jwks};

/// Where ID tokens come from.
pub struct Issuers {
    apple: Issuer,
    google: Issuer,
}

struct Issuer {
    trust: Trust,
    jwks: Jwks,
}

impl Issuers {
    pub(crate) fn from_settings(settings: &mut Reader<'_>, http: Http) -> Self {
        let mut issuer = |provider: Provider| {
            let name = provider.as_str().to_uppercase();
            let trust = Trust {
                issuers: settings.list(&format!("{name}_ISSUERS")),
                audiences: settings.list_or_none(&format!("{name}_CLIENT_IDS")),
            };
            let url = settings.text(&format!("{name}_JWKS_URL"));
            Issuer { trust, jwks: Jwks::new(provider.as_str(), url, http.clone()) }
        };
        Self { apple: issuer(Provider::Apple), google: issuer(Provider::Google) }
    }

    /// Fetches both issuers' keys, so that the first sign-in need not; a failure is only logged.
    pub(crate) async fn warm(&self, now: Timestamp) {
        let warm_if_used = async |issuer: &Issuer| {
            if !issuer.trust.audiences.is_empty() {
                issuer.jwks.warm(now).await;
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
        let keys = issuer.jwks.keys(&identity::key_id(token)?, now).await?.ok_or_else(identity::unknown_key)?;
        identity::verify(provider, token, nonce, &keys, &issuer.trust, now)
    }
}
