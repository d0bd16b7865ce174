//! The keys of one local stack: what signs access tokens, refresh tokens and the local issuer's ID tokens.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use p256::elliptic_curve::sec1::ToEncodedPoint as _;
use p256::pkcs8::{DecodePrivateKey as _, EncodePrivateKey as _, LineEnding};
use rand_core::OsRng;
use rsa::traits::PublicKeyParts as _;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::private;

/// Length of the issuer's key: what Google and Apple use, in bits.
const RSA_BITS: usize = 2048;

/// Why there are no keys.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The file cannot be read or written.
    #[error("{0}")]
    File(#[from] std::io::Error),
    /// What is there is no key.
    #[error("a key cannot be made or read: {0}")]
    Key(String),
}

/// The keys of one stack. Made on this machine, never used beyond it.
#[derive(Clone, Serialize, Deserialize)]
pub struct Keys {
    /// P-256, PKCS#8 PEM: signs access tokens.
    signing_key: String,
    /// 32 bytes in base64: derives refresh tokens.
    refresh_key: String,
    /// RSA, PKCS#8 PEM: signs the local issuer's ID tokens.
    oidc_key: String,
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keys(..)")
    }
}

pub(crate) fn bad(error: impl fmt::Display) -> KeyError {
    KeyError::Key(error.to_string())
}

impl Keys {
    /// New keys.
    ///
    /// # Errors
    /// [`KeyError::Key`] on a machine without randomness.
    pub fn generate() -> Result<Self, KeyError> {
        let mut refresh = [0; 32];
        getrandom::fill(&mut refresh).map_err(bad)?;
        let refresh_key = STANDARD.encode(refresh);
        Ok(Self { signing_key: new_p256_pem()?, refresh_key, oidc_key: new_rsa_pem()? })
    }

    /// The keys of every stack in memory of this process. Test binaries share a file beside them in the build folder:
    /// an RSA key takes a third of a second to make, ten times as long as all the rest of a stack.
    ///
    /// # Errors
    /// As [`Keys::generate`].
    pub fn shared() -> Result<Arc<Self>, KeyError> {
        static SHARED: OnceLock<Arc<Keys>> = OnceLock::new();
        if let Some(keys) = SHARED.get() {
            return Ok(Arc::clone(keys));
        }
        let kept = beside_tests("satchel-test-keys.json").map(|path| Self::kept_at(&path));
        // A build folder that cannot be written costs time, nothing else.
        let keys = Arc::new(kept.unwrap_or_else(Self::generate).or_else(|_| Self::generate())?);
        Ok(Arc::clone(SHARED.get_or_init(|| keys)))
    }

    /// The keys in the file at `path`; new ones, put there, where there are none. Only the owner may read it.
    ///
    /// # Errors
    /// Where the file cannot be read or written, or holds something else.
    pub fn kept_at(path: &Path) -> Result<Self, KeyError> {
        kept_at(path, Self::generate)
    }

    /// The id of the signing key, which follows from the key.
    ///
    /// # Errors
    /// Where the key cannot be read.
    pub fn kid(&self) -> Result<String, KeyError> {
        let (x, y) = self.point()?;
        Ok(URL_SAFE_NO_PAD.encode(&Sha256::new().chain_update(&x).chain_update(&y).finalize()[..9]))
    }

    fn point(&self) -> Result<(Vec<u8>, Vec<u8>), KeyError> {
        let key = p256::SecretKey::from_pkcs8_pem(&self.signing_key).map_err(bad)?;
        let point = key.public_key().to_encoded_point(false);
        match (point.x(), point.y()) {
            (Some(x), Some(y)) => Ok((x.to_vec(), y.to_vec())),
            _ => Err(bad("a point without coordinates")),
        }
    }

    /// The public key of access tokens as a JWKS, which the template's `TokenKeys` wants.
    ///
    /// # Errors
    /// Where the key cannot be read.
    pub fn token_keys(&self) -> Result<String, KeyError> {
        let (x, y) = self.point()?;
        let key = json!({
            "kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": self.kid()?,
            "x": URL_SAFE_NO_PAD.encode(x), "y": URL_SAFE_NO_PAD.encode(y),
        });
        Ok(json!({ "keys": [key] }).to_string())
    }

    /// What stands in auth's secret.
    ///
    /// # Errors
    /// Where the key cannot be read.
    pub fn auth_secret(&self) -> Result<String, KeyError> {
        let (signing, refresh) = (&self.signing_key, &self.refresh_key);
        Ok(json!({ "kid": self.kid()?, "signing_key": signing, "refresh_key": refresh }).to_string())
    }

    /// The keys that stand in another process's `secret`, with an issuer's key of our own.
    ///
    /// # Errors
    /// Where it has another shape.
    pub fn of_auth_secret(secret: &str) -> Result<Self, KeyError> {
        #[derive(Deserialize)]
        struct AuthSecret {
            signing_key: String,
            refresh_key: String,
        }
        let secret: AuthSecret = serde_json::from_str(secret).map_err(|_| bad("auth's secret has another shape"))?;
        Ok(Self { signing_key: secret.signing_key, refresh_key: secret.refresh_key, ..Self::generate()? })
    }

    /// The issuer's private key, PKCS#8 PEM.
    pub(crate) fn oidc_pem(&self) -> &str {
        &self.oidc_key
    }

    /// The issuer's public key under the id `kid`, as a JWK.
    pub(crate) fn oidc_jwk(&self, kid: &str) -> Result<Value, KeyError> {
        let key = rsa::RsaPrivateKey::from_pkcs8_pem(&self.oidc_key).map_err(bad)?;
        let number = |bytes: Vec<u8>| URL_SAFE_NO_PAD.encode(bytes);
        let (n, e) = (number(key.n().to_bytes_be()), number(key.e().to_bytes_be()));
        Ok(json!({ "kty": "RSA", "use": "sig", "alg": "RS256", "kid": kid, "n": n, "e": e }))
    }
}

/// What the file at `path` holds; where there is none, what `generate` makes, put there. Only the owner may read it.
pub(crate) fn kept_at<T: Serialize + DeserializeOwned>(
    path: &Path,
    generate: fn() -> Result<T, KeyError>,
) -> Result<T, KeyError> {
    match fs::read(path) {
        Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| bad(format!("{}: {error}", path.display()))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let keys = generate()?;
            private::write(path, &serde_json::to_vec_pretty(&keys).map_err(bad)?)?;
            Ok(keys)
        }
        Err(error) => Err(error.into()),
    }
}

/// Where test binaries keep the keys `name`: cargo puts them into `target/<profile>/deps`, where no other binary runs
/// from.
pub(crate) fn beside_tests(name: &str) -> Option<PathBuf> {
    let folder = std::env::current_exe().ok()?.parent()?.to_owned();
    (folder.file_name()? == "deps").then(|| folder.join(name))
}

/// A new RSA key of the length that Google and Apple use, PKCS#8 PEM. It takes a third of a second.
pub(crate) fn new_rsa_pem() -> Result<String, KeyError> {
    let key = rsa::RsaPrivateKey::new(&mut OsRng, RSA_BITS).map_err(bad)?;
    Ok(key.to_pkcs8_pem(LineEnding::LF).map_err(bad)?.to_string())
}

/// A new P-256 key, PKCS#8 PEM.
pub(crate) fn new_p256_pem() -> Result<String, KeyError> {
    Ok(p256::SecretKey::random(&mut OsRng).to_pkcs8_pem(LineEnding::LF).map_err(bad)?.to_string())
}
