//! What the App Store signs: compact JWS by ES256, with the chain of certificates in the header.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use p256::ecdsa::signature::Signer as _;
use p256::ecdsa::{Signature, SigningKey};
use serde_json::{Value, json};

use super::pki::Pki;

/// Signs payloads with one leaf.
pub(super) struct Signer {
    header: String,
    /// The same, saying that nothing is signed.
    unsigned: String,
    key: SigningKey,
}

impl Signer {
    /// A signer with the leaf of `pki`.
    pub(super) fn new(pki: &Pki) -> Self {
        let x5c: Vec<String> = pki.chain.iter().map(|der| STANDARD.encode(der)).collect();
        let header = |alg: &str| URL_SAFE_NO_PAD.encode(json!({ "alg": alg, "x5c": x5c }).to_string());
        Self { header: header("ES256"), unsigned: header("none"), key: pki.jws_key.clone() }
    }

    /// `payload`, signed.
    pub(super) fn sign(&self, payload: &Value) -> String {
        let signed = format!("{}.{}", self.header, URL_SAFE_NO_PAD.encode(payload.to_string()));
        let signature: Signature = self.key.sign(signed.as_bytes());
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature.to_bytes()))
    }

    /// `payload` below a header that says that nothing is signed.
    pub(super) fn unsigned(&self, payload: &Value) -> String {
        format!("{}.{}.", self.unsigned, URL_SAFE_NO_PAD.encode(payload.to_string()))
    }
}

/// `signed` with a signature of somebody else over it: its last bytes are others.
pub(super) fn with_broken_signature(signed: &str) -> String {
    let Some((text, signature)) = signed.rsplit_once('.') else { return signed.to_owned() };
    let mut bytes = URL_SAFE_NO_PAD.decode(signature).unwrap_or_default();
    for byte in bytes.iter_mut().rev().take(8) {
        *byte ^= 0x5a;
    }
    format!("{text}.{}", URL_SAFE_NO_PAD.encode(bytes))
}

/// The payload of `signed`, unverified: for what is signed again by somebody else.
pub(super) fn payload(signed: &str) -> Value {
    let payload = signed.split('.').nth(1).and_then(|payload| URL_SAFE_NO_PAD.decode(payload).ok());
    payload.and_then(|payload| serde_json::from_slice(&payload).ok()).unwrap_or_default()
}
