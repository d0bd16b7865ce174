//! Whether a certificate of a chain was taken back: what to ask its issuer's OCSP responder, and what an answer is
//! worth (RFC 6960, in the profile of RFC 5019). Nothing is sent here.
//!
//! | step | refused with |
//! | --- | --- |
//! | strict DER, at most [`MAX_BYTES`], status *successful*, a basic response | `malformed` … `response_type` |
//! | exactly one answer about the certificate that was asked for | `other_certificate`, `ambiguous` |
//! | signed by the issuer, or by a responder that this issuer appointed (4.2.2.2) | `responder_*`, `signature` |
//! | from now and for now (4.2.2.1) | `early`, `stale` |
//! | the status | `revoked`, `unknown` |
//!
//! Answers come over plain HTTP, so that anybody on the way may change or keep them: only `revoked` is a verdict, which
//! is never said before the signature was verified. Everything else is trouble that may pass, and no permission either.
//!
//! # Limits
//! No nonce is sent, since responders then answer from a cache: an answer can be repeated until its `nextUpdate`.
//! Whether an appointed responder's own certificate was taken back is not asked; those live for weeks, and mostly carry
//! `id-pkix-ocsp-nocheck`. A responder may know nothing of a certificate that has expired.

mod answer;
mod error;
mod signer;

use der::asn1::AnyRef;
use der::{Encode as _, Tag};
use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use x509_parser::certificate::X509Certificate;
use x509_parser::der_parser::oid;
use x509_parser::extensions::{GeneralName, ParsedExtension};

use super::certificate::strict;
use super::chain::{Chain, Root};
use super::moment::LEEWAY;
use crate::Timestamp;

pub use error::OcspError;

/// For how long an answer is good at most, in seconds, whatever its `nextUpdate` says; and how old one without
/// `nextUpdate` may be.
pub const KEPT: i64 = 12 * 3600;
/// Largest answer that is read, in bytes.
pub const MAX_BYTES: usize = 64 * 1024;

/// Longest address that is taken from a certificate, in bytes.
const MAX_URL: usize = 2048;
/// `hashAlgorithm` of a CertID: SHA-1, with the parameters that are sent. It names a certificate and protects nothing;
/// Apple's responder answers to no other.
const SHA1: [u8; 9] = [0x06, 0x05, 0x2b, 0x0e, 0x03, 0x02, 0x1a, 0x05, 0x00];
/// The same without parameters, as some responders write it (RFC 5754, 2).
const SHA1_BARE: [u8; 7] = [0x06, 0x05, 0x2b, 0x0e, 0x03, 0x02, 0x1a];

/// Which certificate of a chain is asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Subject {
    /// The one that signs payloads.
    Leaf,
    /// The one that issued it.
    Intermediate,
}

impl Subject {
    /// The certificate as it stands in logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Leaf => "leaf",
            Self::Intermediate => "intermediate",
        }
    }
}

/// A question about one certificate, with what is needed to judge the answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    subject: Subject,
    der: Vec<u8>,
    url: Option<String>,
    id: CertId,
    issuer: Issuer,
}

impl Request {
    /// Which certificate it asks about.
    pub fn subject(&self) -> Subject {
        self.subject
    }

    /// The OCSPRequest in DER, to be sent as `application/ocsp-request` (RFC 6960, A.1).
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// Where the certificate says to ask: an `http` or `https` address (RFC 5280, 4.2.2.1).
    pub fn url(&self) -> Option<&str> {
        self.url.as_deref()
    }
}

/// The certificate stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Good {
    /// Until when this may be believed without asking again, Unix seconds: `nextUpdate`, but at most [`KEPT`] from now.
    /// In the past, or now, where it may not be kept at all.
    pub until: i64,
}

/// What names a certificate (RFC 6960, 4.1.1).
#[derive(Debug, Clone, PartialEq, Eq)]
struct CertId {
    issuer_name: [u8; 20],
    issuer_key: [u8; 20],
    /// The content of the INTEGER as it stands in the certificate.
    serial: Vec<u8>,
}

/// Who issued a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Issuer {
    der: Vec<u8>,
    /// The subject in DER.
    name: Vec<u8>,
    /// SHA-1 of the key (RFC 6960, 4.2.1, KeyHash).
    key: [u8; 20],
}

/// What to ask about the leaf, whose issuer is the intermediate, and about the intermediate, whose issuer is `root`.
/// Without a nonce, so that it is the same request every time.
///
/// # Errors
/// [`OcspError::Chain`] where `chain` was not verified against `root`.
pub fn requests(chain: &Chain, root: &Root) -> Result<[Request; 2], OcspError> {
    if !chain.is_below(root) {
        return Err(OcspError::Chain);
    }
    Ok([
        request(Subject::Leaf, chain.leaf(), chain.intermediate())?,
        request(Subject::Intermediate, chain.intermediate(), root.der())?,
    ])
}

/// Whether `response` says, at `now`, that the certificate of `request` stands.
///
/// # Errors
/// [`OcspError::Revoked`] where it was taken back; anything else is no answer to the question.
pub fn judge(request: &Request, response: &[u8], now: Timestamp) -> Result<Good, OcspError> {
    let answer = answer::read(response)?;
    let found = answer.about(&request.id)?;
    signer::verify(&answer, &request.issuer, now)?;
    let now = now.as_second();
    if found.this_update > now.saturating_add(LEEWAY) {
        return Err(OcspError::Early);
    }
    let until = match found.next_update {
        Some(next) if next < found.this_update || next < now.saturating_sub(LEEWAY) => return Err(OcspError::Stale),
        Some(next) => next.min(now.saturating_add(KEPT)),
        // Newer information is there all the time, this says (RFC 6960, 4.2.2.1); but an old answer can be sent again.
        None if found.this_update < now.saturating_sub(KEPT) => return Err(OcspError::Stale),
        None => now,
    };
    match found.status {
        answer::Status::Good => Ok(Good { until }),
        answer::Status::Revoked => Err(OcspError::Revoked),
        answer::Status::Unknown => Err(OcspError::Unknown),
    }
}

fn request(subject: Subject, certificate: &[u8], issuer: &[u8]) -> Result<Request, OcspError> {
    let read = |der| strict(der).map_err(|_| OcspError::Chain);
    let (parsed, by) = (read(certificate)?, read(issuer)?);
    let name = by.subject().as_raw();
    let key = key_hash(&by);
    let id = CertId { issuer_name: sha1(name), issuer_key: key, serial: parsed.raw_serial().to_vec() };
    let der = encode(&id).map_err(|_| OcspError::Chain)?;
    let issuer = Issuer { der: issuer.to_vec(), name: name.to_vec(), key };
    Ok(Request { subject, der, url: address(&parsed), id, issuer })
}

fn sha1(bytes: &[u8]) -> [u8; 20] {
    let mut hash = [0; 20];
    hash.copy_from_slice(digest(&SHA1_FOR_LEGACY_USE_ONLY, bytes).as_ref());
    hash
}

/// SHA-1 of the bits of a certificate's key, without tag, length and number of unused bits (RFC 6960, 4.1.1).
fn key_hash(certificate: &X509Certificate<'_>) -> [u8; 20] {
    sha1(&certificate.public_key().subject_public_key.data)
}

/// The first address of an OCSP responder that can be asked over HTTP.
fn address(certificate: &X509Certificate<'_>) -> Option<String> {
    let ocsp = oid!(1.3.6.1.5.5.7.48.1);
    let found = certificate.extensions().iter().filter_map(|extension| match extension.parsed_extension() {
        ParsedExtension::AuthorityInfoAccess(access) => Some(access),
        _ => None,
    });
    let mut urls = found.flat_map(|access| access.iter()).filter(|it| it.access_method == ocsp).filter_map(|it| {
        match &it.access_location {
            GeneralName::URI(url) => Some(*url),
            _ => None,
        }
    });
    urls.find(|url| is_http(url)).map(str::to_owned)
}

fn is_http(url: &str) -> bool {
    let is_after = |scheme: &str| url.get(..scheme.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(scheme));
    url.len() <= MAX_URL
        && url.bytes().all(|byte| byte.is_ascii_graphic())
        && (is_after("http://") || is_after("https://"))
}

/// OCSPRequest with one CertID: version 1 is the default and left out, and nobody signs it.
fn encode(id: &CertId) -> der::Result<Vec<u8>> {
    let octets = |bytes: &[u8]| AnyRef::new(Tag::OctetString, bytes)?.to_der();
    let serial = AnyRef::new(Tag::Integer, &id.serial)?.to_der()?;
    let cert_id = [sequence(&SHA1)?, octets(&id.issuer_name)?, octets(&id.issuer_key)?, serial].concat();
    // CertID in Request in requestList in TBSRequest in OCSPRequest.
    (0..5).try_fold(cert_id, |content, _| sequence(&content))
}

fn sequence(content: &[u8]) -> der::Result<Vec<u8>> {
    AnyRef::new(Tag::Sequence, content)?.to_der()
}
