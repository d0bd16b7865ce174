//! The local OIDC issuer, which stands in for Google and Apple: ID tokens as a phone's sign-in button would return them.
//!
//! Sign-in itself has no back door: what checks these tokens is the code that checks Google's, with another JWKS address.

use std::sync::{Arc, OnceLock};

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::clock::LocalClock;
use crate::keys::{KeyError, Keys};

/// Where the issuer's JWKS lies below the process's address.
pub const JWKS_PATH: &str = "/_local/oidc/jwks.json";
/// The client id that the local stack accepts in ID tokens of Google's kind.
pub const GOOGLE_CLIENT: &str = "local-google";
/// The client id that the local stack accepts in ID tokens of Apple's kind.
pub const APPLE_CLIENT: &str = "local-apple";

const KID: &str = "local-1";
const GOOGLE: &str = "https://accounts.google.com";
const APPLE: &str = "https://appleid.apple.com";

/// Whose ID token is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Provider {
    /// Google's kind.
    Google,
    /// Apple's kind.
    Apple,
}

/// What `POST /_local/identity` takes.
#[derive(Debug, Clone, Deserialize)]
pub struct IdentityIn {
    provider: Provider,
    subject: String,
    email: Option<String>,
    email_verified: Option<bool>,
    name: Option<String>,
    /// Google's hosted domain.
    hd: Option<String>,
    /// As the app keeps it; Apple's token carries its SHA-256 in hex.
    nonce: Option<String>,
    audience: Option<String>,
    #[serde(default = "an_hour")]
    expires_in: i64,
    issued_at: Option<i64>,
    /// Claims put in the place of others; null takes one away.
    #[serde(default)]
    claims: Map<String, Value>,
    kid: Option<String>,
    /// Signed with a key that the JWKS does not have.
    #[serde(default)]
    forged: bool,
}

fn an_hour() -> i64 {
    3_600
}

/// The issuer; cheap to clone.
#[derive(Clone)]
pub struct Issuer {
    keys: Arc<Keys>,
    clock: LocalClock,
    signing: Arc<OnceLock<EncodingKey>>,
    forging: Arc<OnceLock<EncodingKey>>,
}

impl std::fmt::Debug for Issuer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Issuer")
    }
}

impl Issuer {
    /// An issuer that signs with the keys' own and by `clock`.
    #[must_use]
    pub fn new(keys: Arc<Keys>, clock: LocalClock) -> Self {
        Self { keys, clock, signing: Arc::default(), forging: Arc::default() }
    }

    /// The public keys, as issuers publish them.
    ///
    /// # Errors
    /// Where the key cannot be read.
    pub fn jwks(&self) -> Result<Value, KeyError> {
        Ok(json!({ "keys": [self.keys.oidc_jwk(KID)?] }))
    }

    /// The ID token that `wanted` describes.
    ///
    /// # Errors
    /// Where it cannot be signed.
    pub fn id_token(&self, wanted: IdentityIn) -> Result<String, KeyError> {
        let issued_at = wanted.issued_at.unwrap_or_else(|| self.clock.now().as_second());
        let (issuer, client) = match wanted.provider {
            Provider::Google => (GOOGLE, GOOGLE_CLIENT),
            Provider::Apple => (APPLE, APPLE_CLIENT),
        };
        let mut claims = Map::new();
        let mut set = |name: &str, value: Option<Value>| value.and_then(|value| claims.insert(name.to_owned(), value));
        set("iss", Some(issuer.into()));
        set("sub", Some(wanted.subject.into()));
        set("aud", Some(wanted.audience.unwrap_or_else(|| client.to_owned()).into()));
        set("iat", Some(issued_at.into()));
        set("exp", Some(issued_at.saturating_add(wanted.expires_in).into()));
        set("email_verified", wanted.email.as_ref().map(|_| wanted.email_verified.unwrap_or(true).into()));
        set("email", wanted.email.map(Value::from));
        set("nonce", wanted.nonce.map(|nonce| nonce_claim(wanted.provider, &nonce).into()));
        if wanted.provider == Provider::Google {
            // Apple tells the name beside the token, and only once.
            set("name", wanted.name.map(Value::from));
            set("hd", wanted.hd.map(Value::from));
        }
        for (name, value) in wanted.claims {
            if value.is_null() {
                claims.remove(&name)
            } else {
                claims.insert(name, value)
            };
        }
        self.sign(wanted.kid, &claims, wanted.forged)
    }

    /// A token of `claims`: under the issuer's key id or another, by the issuer's key or by one that the JWKS does not have.
    ///
    /// # Errors
    /// Where it cannot be signed.
    pub(crate) fn sign(&self, kid: Option<String>, claims: &impl Serialize, forged: bool) -> Result<String, KeyError> {
        let mut header = Header::new(Algorithm::RS256);
        header.kid = Some(kid.unwrap_or_else(|| KID.to_owned()));
        let key = if forged { self.foreign()? } else { self.key()? };
        jsonwebtoken::encode(&header, claims, key).map_err(|error| KeyError::Key(error.to_string()))
    }

    fn key(&self) -> Result<&EncodingKey, KeyError> {
        if self.signing.get().is_none() {
            let key = encoding_key(self.keys.oidc_pem())?;
            return Ok(self.signing.get_or_init(|| key));
        }
        self.signing.get().ok_or_else(|| KeyError::Key("no key".to_owned()))
    }

    fn foreign(&self) -> Result<&EncodingKey, KeyError> {
        if self.forging.get().is_none() {
            let key = encoding_key(Keys::generate()?.oidc_pem())?;
            return Ok(self.forging.get_or_init(|| key));
        }
        self.forging.get().ok_or_else(|| KeyError::Key("no key".to_owned()))
    }
}

fn encoding_key(pem: &str) -> Result<EncodingKey, KeyError> {
    EncodingKey::from_rsa_pem(pem.as_bytes()).map_err(|error| KeyError::Key(error.to_string()))
}

fn nonce_claim(provider: Provider, raw: &str) -> String {
    match provider {
        Provider::Google => raw.to_owned(),
        Provider::Apple => Sha256::digest(raw).iter().map(|byte| format!("{byte:02x}")).collect(),
    }
}
