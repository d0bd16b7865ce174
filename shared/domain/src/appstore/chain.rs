//! The path from a leaf to the pinned root (RFC 5280, 6.1; facts 2.1, 3).
//!
//! The third certificate of a header is read, and then not used: the path leads to the root that is pinned here. Apple's
//! own fixtures carry another certificate of the same key there, so it is not compared either.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls_pki_types::{CertificateDer, SignatureVerificationAlgorithm, UnixTime};
use sha2::{Digest as _, Sha256};
use webpki::ring::{ECDSA_P256_SHA256, ECDSA_P256_SHA384, ECDSA_P384_SHA256, ECDSA_P384_SHA384};
use webpki::{EndEntityCert, ExtendedKeyUsageValidator, KeyPurposeIdIter};

use super::certificate::Certificate;
use super::moment::Window;
use super::reason::Reason;

/// Apple Root CA - G3, valid until 2039-04-30: <https://www.apple.com/certificateauthority/>. A test compares its
/// fingerprint with the published one.
const APPLE_ROOT_CA_G3: &str = "\
    MIICQzCCAcmgAwIBAgIILcX8iNLFS5UwCgYIKoZIzj0EAwMwZzEbMBkGA1UEAwwSQXBwbGUgUm9vdCBDQSAtIEczMSYwJAYDVQQL\
    DB1BcHBsZSBDZXJ0aWZpY2F0aW9uIEF1dGhvcml0eTETMBEGA1UECgwKQXBwbGUgSW5jLjELMAkGA1UEBhMCVVMwHhcNMTQwNDMw\
    MTgxOTA2WhcNMzkwNDMwMTgxOTA2WjBnMRswGQYDVQQDDBJBcHBsZSBSb290IENBIC0gRzMxJjAkBgNVBAsMHUFwcGxlIENlcnRp\
    ZmljYXRpb24gQXV0aG9yaXR5MRMwEQYDVQQKDApBcHBsZSBJbmMuMQswCQYDVQQGEwJVUzB2MBAGByqGSM49AgEGBSuBBAAiA2IA\
    BJjpLz1AcqTtkyJygRMc3RCV8cWjTnHcFBbZDuWmBSp3ZHtfTjjTuxxEtX/1H7YyYl3J6YRbTzBPEVoA/VhYDKX1DyxNB0cTddqX\
    l5dvMVztK517IDvYuVTZXpmkOlEKMaNCMEAwHQYDVR0OBBYEFLuw3qFYM4iapIqZ3r6966/ayySrMA8GA1UdEwEB/wQFMAMBAf8w\
    DgYDVR0PAQH/BAQDAgEGMAoGCCqGSM49BAMDA2gAMGUCMQCD6cHEFl4aXTQY2e3v9GwOAEZLuN+yRhHFD/3meoyhpmvOwgPUnPWT\
    xnS4at+qIxUCMG1mihDK1A3UT82NQz60imOlM27jbdoXt2QfyFMm+YhidDkLF1vLUagM6BgD56KyKA==";

/// Apple signs its certificates with ECDSA on P-384 and SHA-384; P-256 and SHA-256 are let in for an intermediate to come.
const ALGORITHMS: [&dyn SignatureVerificationAlgorithm; 4] =
    [ECDSA_P384_SHA384, ECDSA_P384_SHA256, ECDSA_P256_SHA384, ECDSA_P256_SHA256];

/// The certificate every path must lead to.
#[derive(Debug, Clone)]
pub struct Root {
    der: CertificateDer<'static>,
    fingerprint: [u8; 32],
    window: Window,
    allows_an_intermediate: bool,
}

impl Root {
    /// Apple Root CA - G3, which is embedded.
    ///
    /// # Errors
    /// [`Reason::RootInvalid`], which a test rules out.
    pub fn apple() -> Result<Self, Reason> {
        Self::from_der(STANDARD.decode(APPLE_ROOT_CA_G3).map_err(|_| Reason::RootInvalid)?)
    }

    /// Another root: for the stand-in store of the local stack, and for tests.
    ///
    /// # Errors
    /// [`Reason::RootInvalid`] where it is no CA's certificate.
    pub fn from_der(der: Vec<u8>) -> Result<Self, Reason> {
        let certificate = Certificate::read(&der).map_err(|_| Reason::RootInvalid)?;
        certificate.root()?;
        let fingerprint = Sha256::digest(&der).into();
        let allows_an_intermediate = certificate.allows_an_intermediate();
        Ok(Self { der: der.into(), fingerprint, window: certificate.window, allows_an_intermediate })
    }

    /// SHA-256 of the certificate.
    pub fn fingerprint(&self) -> [u8; 32] {
        self.fingerprint
    }

    /// The certificate in DER, for OCSP.
    pub(super) fn der(&self) -> &[u8] {
        &self.der
    }
}

/// What a verified chain is found by: a hash of the pinned root and of the three certificates as they were sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ChainKey([u8; 32]);

impl ChainKey {
    pub(super) fn of(root: &Root, sent: &[Vec<u8>; 3]) -> Self {
        let mut hash = Sha256::new_with_prefix(root.fingerprint);
        for der in sent {
            // With its length, so that no two lists of certificates make one text.
            hash.update(u64::try_from(der.len()).unwrap_or(u64::MAX).to_be_bytes());
            hash.update(der);
        }
        Self(hash.finalize().into())
    }

    /// The key in 64 hexadecimal digits, for the key of a row.
    pub fn hex(self) -> String {
        crate::refresh::hex(&self.0)
    }
}

/// A chain whose signatures and rules hold. Those never change, so that it may be kept and used again at another time:
/// its times are judged anew for every text. Keep it for 15 minutes at most (design, Verification).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chain {
    key: ChainKey,
    window: Window,
    sent: Arc<[Vec<u8>; 3]>,
    point: [u8; 65],
}

impl Chain {
    /// Verifies what was `sent`, at a time when all of it is valid. Whether that is the time that counts is another
    /// question, which is asked once the signature holds: [`Window::judge`].
    pub(super) fn verify(root: &Root, sent: [Vec<u8>; 3]) -> Result<Self, Reason> {
        let [leaf_der, intermediate_der, root_der] = &sent;
        let (leaf, intermediate) = (Certificate::read(leaf_der)?, Certificate::read(intermediate_der)?);
        Certificate::read(root_der)?;
        let point = leaf.leaf()?.try_into().map_err(|_| Reason::LeafKey)?;
        intermediate.intermediate()?;
        if !root.allows_an_intermediate {
            return Err(Reason::PathLength);
        }
        let window = leaf.window.and(intermediate.window).and(root.window);
        // Never all of them at once.
        if window.from > window.until {
            return Err(Reason::PathInvalid);
        }
        path(root, leaf_der, intermediate_der, window.until)?;
        Ok(Self { key: ChainKey::of(root, &sent), window, sent: Arc::new(sent), point })
    }

    /// What the chain is found by.
    pub fn key(&self) -> ChainKey {
        self.key
    }

    /// When all of leaf, intermediate and root are valid.
    pub fn window(&self) -> Window {
        self.window
    }

    /// Whether this chain was verified against `root`.
    pub(super) fn is_below(&self, root: &Root) -> bool {
        ChainKey::of(root, &self.sent) == self.key
    }

    /// The leaf in DER, for OCSP.
    pub fn leaf(&self) -> &[u8] {
        let [leaf, _, _] = &*self.sent;
        leaf
    }

    /// The intermediate in DER, for OCSP.
    pub fn intermediate(&self) -> &[u8] {
        let [_, intermediate, _] = &*self.sent;
        intermediate
    }

    /// The leaf's key, an uncompressed point on P-256.
    pub(super) fn point(&self) -> &[u8; 65] {
        &self.point
    }
}

/// Apple's leaf has no extended key usage, and none is asked for: the markers say what it is for.
struct AnyPurpose;

impl ExtendedKeyUsageValidator for AnyPurpose {
    fn validate(&self, purposes: KeyPurposeIdIter<'_, '_>) -> Result<(), webpki::Error> {
        for purpose in purposes {
            purpose?;
        }
        Ok(())
    }
}

fn path(root: &Root, leaf: &[u8], intermediate: &[u8], second: i64) -> Result<(), Reason> {
    let anchor = webpki::anchor_from_trusted_cert(&root.der).map_err(|_| Reason::RootInvalid)?;
    let (leaf, intermediates) = (CertificateDer::from(leaf), [CertificateDer::from(intermediate)]);
    let leaf = EndEntityCert::try_from(&leaf).map_err(reason)?;
    let time = UnixTime::since_unix_epoch(Duration::from_secs(u64::try_from(second).unwrap_or(0)));
    let anchors = [anchor];
    let found =
        leaf.verify_for_usage(&ALGORITHMS, &anchors, &intermediates, time, AnyPurpose, None, None).map_err(reason)?;
    // The markers of an intermediate mean nothing where the path goes past it.
    if found.intermediate_certificates().count() == 1 { Ok(()) } else { Err(Reason::PathShortcut) }
}

fn reason(error: webpki::Error) -> Reason {
    use webpki::Error;
    match error {
        Error::UnknownIssuer => Reason::PathUnknownIssuer,
        Error::InvalidSignatureForPublicKey => Reason::PathSignature,
        Error::UnsupportedSignatureAlgorithmContext(_)
        | Error::UnsupportedSignatureAlgorithmForPublicKeyContext(_)
        | Error::SignatureAlgorithmMismatch => Reason::PathAlgorithm,
        Error::PathLenConstraintViolated => Reason::PathLength,
        _ => Reason::PathInvalid,
    }
}
