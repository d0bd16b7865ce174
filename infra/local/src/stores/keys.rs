//! The keys of the stand-in stores, kept beside the other keys of the process (`crate::keys`).

use std::fmt;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use p256::pkcs8::{DecodePrivateKey as _, EncodePublicKey as _, LineEnding};
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::apple::pki;
use crate::keys::{KeyError, bad, beside_tests, kept_at, new_p256_pem, new_rsa_pem};

/// Who asks Apple's API here (`issuer_id` of the secret).
pub(crate) const ISSUER_ID: &str = "00000000-0000-4000-8000-00000000a991";
/// The service account that asks Google's API here.
pub(crate) const SERVICE_ACCOUNT: &str = "satchel@local.iam.gserviceaccount.com";

/// Where test binaries keep the keys that they share.
const SHARED_FILE: &str = "satchel-test-store-keys.json";

/// What the stores sign with, and what an app's server signs with when it asks them. Made on this machine, never used
/// beyond it.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct StoreKeys {
    /// P-384, PKCS#8 PEM: signs the intermediate.
    pub(super) apple_root_key: String,
    /// The root's certificate, DER in base64: what is trusted must not change at a restart.
    pub(super) apple_root: String,
    /// P-384, PKCS#8 PEM: signs the leaf.
    pub(super) apple_intermediate_key: String,
    /// P-256, PKCS#8 PEM: signs what the App Store says.
    pub(super) apple_leaf_key: String,
    /// P-256, PKCS#8 PEM: signs calls of the App Store's API.
    apple_api_key: String,
    /// The app's shared secret, for `verifyReceipt`.
    pub(super) apple_shared_secret: String,
    /// RSA, PKCS#8 PEM: signs what the service account asks for.
    google_account_key: String,
}

impl fmt::Debug for StoreKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StoreKeys(..)")
    }
}

impl StoreKeys {
    /// New keys.
    pub(crate) fn generate() -> Result<Self, KeyError> {
        let [root, intermediate] =
            [KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384), KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384)];
        let (root, intermediate) = (root.map_err(bad)?, intermediate.map_err(bad)?);
        let leaf = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(bad)?;
        let mut secret = [0; 16];
        getrandom::fill(&mut secret).map_err(bad)?;
        Ok(Self {
            apple_root: pki::root(&root)?,
            apple_root_key: root.serialize_pem(),
            apple_intermediate_key: intermediate.serialize_pem(),
            apple_leaf_key: leaf.serialize_pem(),
            apple_api_key: new_p256_pem()?,
            apple_shared_secret: hex(&secret),
            google_account_key: new_rsa_pem()?,
        })
    }

    /// The keys of every stack in memory of this process, which test binaries share ([`crate::keys::Keys::shared`]).
    pub(crate) fn shared() -> Result<Arc<Self>, KeyError> {
        static SHARED: OnceLock<Arc<StoreKeys>> = OnceLock::new();
        if let Some(keys) = SHARED.get() {
            return Ok(Arc::clone(keys));
        }
        let kept = beside_tests(SHARED_FILE).map(|path| kept_at(&path, Self::generate));
        let keys = Arc::new(kept.unwrap_or_else(Self::generate).or_else(|_| Self::generate())?);
        Ok(Arc::clone(SHARED.get_or_init(|| keys)))
    }

    /// The keys in the file at `path`; new ones, put there, where there are none. The folders of tests get the ones that
    /// test binaries share.
    pub(crate) fn kept_at(path: &Path) -> Result<Self, KeyError> {
        kept_at(path, || match beside_tests(SHARED_FILE) {
            Some(_) => Ok(Self::clone(&*Self::shared()?)),
            None => Self::generate(),
        })
    }

    /// These keys, but those of another process's secrets for what an app's server signs: so a process that uses the
    /// services of another understands its own functions.
    pub(crate) fn with_secrets(mut self, apple: Option<&Value>, google: Option<&Value>) -> Self {
        let text = |secret: Option<&Value>, name: &str| secret.and_then(|it| it[name].as_str()).map(str::to_owned);
        self.apple_api_key = text(apple, "private_key").unwrap_or(self.apple_api_key);
        self.apple_shared_secret = text(apple, "shared_secret").unwrap_or(self.apple_shared_secret);
        self.google_account_key = text(google, "private_key").unwrap_or(self.google_account_key);
        self
    }

    /// The root's certificate, DER in base64, as the template's `AppleRootCa` wants it.
    pub(crate) fn apple_root(&self) -> &str {
        &self.apple_root
    }

    /// The id of the key for the App Store's API, which follows from the key.
    pub(super) fn apple_key_id(&self) -> String {
        hex(&Sha256::digest(&self.apple_api_key)).to_uppercase().chars().take(10).collect()
    }

    /// The public half of the key for the App Store's API, PEM.
    pub(super) fn apple_api_public_pem(&self) -> Result<String, KeyError> {
        let key = p256::SecretKey::from_pkcs8_pem(&self.apple_api_key).map_err(bad)?;
        key.public_key().to_public_key_pem(LineEnding::LF).map_err(bad)
    }

    /// The public half of the service account's key, PEM.
    pub(super) fn google_account_public_pem(&self) -> Result<String, KeyError> {
        let key = rsa::RsaPrivateKey::from_pkcs8_pem(&self.google_account_key).map_err(bad)?;
        key.to_public_key().to_public_key_pem(LineEnding::LF).map_err(bad)
    }

    fn google_key_id(&self) -> String {
        hex(&Sha256::digest(&self.google_account_key)).chars().take(40).collect()
    }

    /// What stands in the secret for the App Store.
    pub(crate) fn apple_secret(&self) -> String {
        let secret = json!({
            "issuer_id": ISSUER_ID, "key_id": self.apple_key_id(), "private_key": self.apple_api_key,
            "shared_secret": self.apple_shared_secret,
        });
        secret.to_string()
    }

    /// What stands in the secret for Google Play: the service account's key file. `token_url` is where it gets tokens.
    pub(crate) fn google_secret(&self, token_url: &str) -> String {
        let secret = json!({
            "type": "service_account", "project_id": "local", "private_key_id": self.google_key_id(),
            "private_key": self.google_account_key, "client_email": SERVICE_ACCOUNT, "client_id": "1",
            "token_uri": token_url,
        });
        secret.to_string()
    }
}

/// Bytes in lower-case hex.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
