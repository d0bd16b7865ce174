//! Who signed an answer, and whether they may (RFC 6960, 4.2.2.2): the issuer of the certificate that was asked for, or
//! a responder whose own certificate this very issuer signed, for that purpose.
//!
//! There is no third way: a responder that is trusted by configuration would let somebody else speak for every issuer.

use std::time::Duration;

use rustls_pki_types::{CertificateDer, SignatureVerificationAlgorithm, UnixTime};
use webpki::ring::{
    ECDSA_P256_SHA256, ECDSA_P256_SHA384, ECDSA_P384_SHA256, ECDSA_P384_SHA384, RSA_PKCS1_2048_8192_SHA256,
    RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512,
};
use webpki::{EndEntityCert, KeyUsage};
use x509_parser::certificate::X509Certificate;

use super::answer::{Answer, Responder};
use super::error::OcspError;
use super::{Issuer, key_hash};
use crate::Timestamp;
use crate::appstore::certificate::strict;

/// `id-kp-OCSPSigning`, 1.3.6.1.5.5.7.3.9.
const OCSP_SIGNING: KeyUsage = KeyUsage::required(&[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x09]);

/// By what answers, and certificates of responders, may be signed: a responder may have an RSA key below an issuer on
/// P-384.
const ALGORITHMS: [&dyn SignatureVerificationAlgorithm; 7] = [
    ECDSA_P384_SHA384,
    ECDSA_P384_SHA256,
    ECDSA_P256_SHA256,
    ECDSA_P256_SHA384,
    RSA_PKCS1_2048_8192_SHA256,
    RSA_PKCS1_2048_8192_SHA384,
    RSA_PKCS1_2048_8192_SHA512,
];

/// Whether `answer` is signed by somebody who may speak for `issuer` at `now`.
pub(super) fn verify(answer: &Answer<'_>, issuer: &Issuer, now: Timestamp) -> Result<(), OcspError> {
    let mut refusal = OcspError::ResponderUnknown;
    if names(answer.responder, &issuer.name, &issuer.key) {
        match signed(answer, &issuer.der) {
            Ok(()) => return Ok(()),
            Err(error) => refusal = error,
        }
    }
    // The issuer may send its own certificate along, which is no responder's.
    for der in answer.certificates.iter().filter(|der| **der != issuer.der) {
        let Ok(certificate) = strict(der) else {
            if refusal == OcspError::ResponderUnknown {
                refusal = OcspError::ResponderCertificate;
            }
            continue;
        };
        if names(answer.responder, certificate.subject().as_raw(), &key_hash(&certificate)) {
            match appointed(&certificate, der, issuer, now).and_then(|()| signed(answer, der)) {
                Ok(()) => return Ok(()),
                Err(error) => refusal = error,
            }
        }
    }
    Err(refusal)
}

fn names(responder: Responder<'_>, name: &[u8], key: &[u8; 20]) -> bool {
    match responder {
        Responder::Name(it) => it == name,
        Responder::Key(it) => it == key,
    }
}

/// Whether `issuer` made this the certificate of a responder, and it is valid at `now`.
fn appointed(certificate: &X509Certificate<'_>, der: &[u8], issuer: &Issuer, now: Timestamp) -> Result<(), OcspError> {
    let usage = certificate.key_usage().map_err(|_| OcspError::ResponderCertificate)?;
    // RFC 5280, 4.2.1.12: both usages must fit.
    if usage.is_some_and(|it| !it.value.digital_signature() && !it.value.non_repudiation()) {
        return Err(OcspError::ResponderPurpose);
    }
    let issuer = CertificateDer::from(issuer.der.as_slice());
    let anchor = webpki::anchor_from_trusted_cert(&issuer).map_err(|_| OcspError::Chain)?;
    let der = CertificateDer::from(der);
    let end = EndEntityCert::try_from(&der).map_err(reason)?;
    let time = UnixTime::since_unix_epoch(Duration::from_secs(u64::try_from(now.as_second()).unwrap_or(0)));
    // With no certificates between, the path has one step: the issuer itself signed this one.
    end.verify_for_usage(&ALGORITHMS, &[anchor], &[], time, OCSP_SIGNING, None, None).map_err(reason)?;
    Ok(())
}

/// Whether the key of the certificate `der` signed `answer`.
fn signed(answer: &Answer<'_>, der: &[u8]) -> Result<(), OcspError> {
    let der = CertificateDer::from(der);
    let certificate = EndEntityCert::try_from(&der).map_err(reason)?;
    let mut refusal = OcspError::Algorithm;
    for algorithm in ALGORITHMS.iter().filter(|it| it.signature_alg_id().as_ref() == answer.algorithm) {
        match certificate.verify_signature(*algorithm, answer.signed, answer.signature) {
            Ok(()) => return Ok(()),
            // The same algorithm on another curve than the key's.
            Err(webpki::Error::UnsupportedSignatureAlgorithmForPublicKeyContext(_)) => {}
            Err(_) => refusal = OcspError::Signature,
        }
    }
    Err(refusal)
}

fn reason(error: webpki::Error) -> OcspError {
    use webpki::Error;
    match error {
        Error::CertExpired { .. } | Error::CertNotValidYet { .. } => OcspError::ResponderTime,
        Error::RequiredEkuNotFoundContext(_) | Error::EmptyEkuExtension => OcspError::ResponderPurpose,
        Error::UnknownIssuer | Error::InvalidSignatureForPublicKey => OcspError::ResponderIssuer,
        _ => OcspError::ResponderCertificate,
    }
}
