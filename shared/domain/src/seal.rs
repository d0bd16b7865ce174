//! Values that lie encrypted in a row: ChaCha20-Poly1305 (RFC 8439) under a key derived of the server's secret.
//!
//! A sealed text is `base64(nonce ‖ ciphertext ‖ tag)`. What it belongs to (the row's owner) is authenticated along with
//! it, so that a sealed value cannot be moved to another row.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chacha20poly1305::aead::{Aead as _, KeyInit as _, Payload};
use chacha20poly1305::{ChaCha20Poly1305, Key, Nonce};

use crate::refresh::keyed;
use crate::{Error, Result};

/// The sealing key of one purpose.
pub struct Sealer(ChaCha20Poly1305);

impl Sealer {
    /// The key that `secret` gives for `purpose`.
    pub fn derive(secret: &[u8], purpose: &str) -> Self {
        let key = keyed(secret, format!("satchel/seal/{purpose}/v1").as_bytes());
        Self(ChaCha20Poly1305::new(&Key::from(key)))
    }

    /// `plain`, sealed for `owner`. The nonce must be random: one under one key never twice.
    ///
    /// # Errors
    /// [`Error::Internal`] where the text is too long for the cipher.
    pub fn seal(&self, owner: &str, plain: &[u8], nonce: [u8; 12]) -> Result<String> {
        let payload = Payload { msg: plain, aad: owner.as_bytes() };
        let sealed =
            self.0.encrypt(&Nonce::from(nonce), payload).map_err(|_| Error::internal("a value cannot be sealed"))?;
        Ok(STANDARD.encode([&nonce[..], &sealed].concat()))
    }

    /// What was sealed for `owner`.
    ///
    /// # Errors
    /// [`Error::Internal`] where it was not sealed so.
    pub fn open(&self, owner: &str, sealed: &str) -> Result<Vec<u8>> {
        let failed = || Error::internal("a sealed value cannot be opened");
        let bytes = STANDARD.decode(sealed).map_err(|_| failed())?;
        let (nonce, rest) = bytes.split_first_chunk::<12>().ok_or_else(failed)?;
        let payload = Payload { msg: rest, aad: owner.as_bytes() };
        self.0.decrypt(&Nonce::from(*nonce), payload).map_err(|_| failed())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_value_opens_for_its_owner_and_key_alone() {
        let sealer = Sealer::derive(&[1; 32], "apple");
        let sealed = sealer.seal("usr_ada", b"r.secret", [9; 12]).unwrap();
        assert!(!sealed.contains("secret"));
        assert_eq!(sealer.open("usr_ada", &sealed).unwrap(), b"r.secret");
        assert!(sealer.open("usr_eve", &sealed).is_err());
        assert!(Sealer::derive(&[1; 32], "other").open("usr_ada", &sealed).is_err());
        assert!(sealer.open("usr_ada", &sealed[4..]).is_err());
        assert!(sealer.open("usr_ada", "").is_err());
    }
}
