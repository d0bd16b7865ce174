//! The keys that Google signs the tokens of its pushes with.

use satchel_domain::identity::keys::KeySet;
use satchel_domain::{Result, Timestamp};
use satchel_inbound::env::Reader;
use satchel_outbound::{Http, Jwks};

use crate::stores::address;

/// The keys of Google's pushes, kept as those of its ID tokens are.
pub(crate) struct PushKeys(Jwks);

impl PushKeys {
    /// The keys at `GOOGLE_PUSH_JWKS_URL`.
    pub(crate) fn from_settings(settings: &mut Reader<'_>, http: Http) -> Self {
        let url = address(settings, "GOOGLE_PUSH_JWKS_URL", "https://www.googleapis.com/oauth2/v3/certs");
        Self(Jwks::new("google_push", url, http))
    }

    /// The keys at `now`, where `kid` is among them; none where Google publishes no such key.
    ///
    /// # Errors
    /// 503 where there are no keys to believe anybody by.
    pub(crate) async fn keys(&self, kid: &str, now: Timestamp) -> Result<Option<KeySet>> {
        self.0.keys(kid, now).await
    }
}
