//! An OCSPResponse, taken apart without believing it (RFC 6960, 4.2.1).
//!
//! The signed part is kept as it came, since a signature is over bytes: nothing is encoded anew. A decoder of fields in
//! order, and nothing else: what comes twice, out of order or behind the last field is malformed.

use der::asn1::{AnyRef, BitStringRef, GeneralizedTime, ObjectIdentifier, OctetStringRef};
use der::{Decode as _, Reader as _, SliceReader, Tag, TagNumber, Tagged as _};

use super::error::OcspError;
use super::{CertId, MAX_BYTES, SHA1, SHA1_BARE};

/// `id-pkix-ocsp-basic`.
const BASIC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.48.1.1");

/// A basic response.
pub(super) struct Answer<'a> {
    /// tbsResponseData, as it came.
    pub(super) signed: &'a [u8],
    /// The content of signatureAlgorithm.
    pub(super) algorithm: &'a [u8],
    pub(super) signature: &'a [u8],
    /// Certificates that came along, in DER.
    pub(super) certificates: Vec<&'a [u8]>,
    pub(super) responder: Responder<'a>,
    singles: Vec<Single<'a>>,
}

/// Who says to have signed.
#[derive(Clone, Copy)]
pub(super) enum Responder<'a> {
    /// The subject of the signer's certificate in DER.
    Name(&'a [u8]),
    /// SHA-1 of the signer's key.
    Key(&'a [u8]),
}

/// What is said about one certificate.
pub(super) struct Single<'a> {
    algorithm: &'a [u8],
    issuer_name: &'a [u8],
    issuer_key: &'a [u8],
    serial: &'a [u8],
    pub(super) status: Status,
    /// Unix seconds.
    pub(super) this_update: i64,
    /// Unix seconds.
    pub(super) next_update: Option<i64>,
    has_critical: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Status {
    Good,
    Revoked,
    Unknown,
}

impl Answer<'_> {
    /// The one thing that is said about the certificate `id`.
    pub(super) fn about(&self, id: &CertId) -> Result<&Single<'_>, OcspError> {
        let mut found = self.singles.iter().filter(|single| single.is_about(id));
        match (found.next(), found.next()) {
            (Some(single), None) => Ok(single),
            (Some(_), Some(_)) => Err(OcspError::Ambiguous),
            (None, _) => Err(OcspError::OtherCertificate),
        }
    }
}

impl Single<'_> {
    fn is_about(&self, id: &CertId) -> bool {
        (self.algorithm == SHA1 || self.algorithm == SHA1_BARE)
            && self.issuer_name == id.issuer_name
            && self.issuer_key == id.issuer_key
            && self.serial == id.serial
    }
}

/// Reads a basic response of status *successful*.
pub(super) fn read(der: &[u8]) -> Result<Answer<'_>, OcspError> {
    if der.len() > MAX_BYTES {
        return Err(OcspError::TooLong);
    }
    let (status, bytes) =
        AnyRef::from_der(der)?.sequence(|it| Ok((it.decode::<AnyRef<'_>>()?, explicit(it, TagNumber::N0)?)))?;
    successful(content(status, Tag::Enumerated)?)?;
    let (kind, basic) = bytes
        .ok_or(OcspError::Malformed)?
        .sequence(|it| Ok((it.decode::<ObjectIdentifier>()?, it.decode::<OctetStringRef<'_>>()?)))?;
    if kind != BASIC {
        return Err(OcspError::ResponseType);
    }
    let (answer, has_critical) = AnyRef::from_der(basic.as_bytes())?.sequence(answer)?;
    if has_critical || answer.singles.iter().any(|single| single.has_critical) {
        return Err(OcspError::Critical);
    }
    Ok(answer)
}

fn successful(status: &[u8]) -> Result<(), OcspError> {
    match status {
        [0] => Ok(()),
        [1] => Err(OcspError::MalformedRequest),
        [2] => Err(OcspError::InternalError),
        [3] => Err(OcspError::TryLater),
        [5] => Err(OcspError::SignatureRequired),
        [6] => Err(OcspError::Unauthorized),
        _ => Err(OcspError::Malformed),
    }
}

/// BasicOCSPResponse, and whether it has a critical extension.
fn answer<'a>(it: &mut SliceReader<'a>) -> der::Result<(Answer<'a>, bool)> {
    let signed = it.tlv_bytes()?;
    let algorithm = content(it.decode()?, Tag::Sequence)?;
    let signature = it.decode::<BitStringRef<'a>>()?;
    let signature = signature.as_bytes().ok_or_else(|| Tag::BitString.value_error())?;
    let certificates = explicit(it, TagNumber::N0)?.map(|all| list(all, certificate)).transpose()?;
    let certificates = certificates.unwrap_or_default();
    AnyRef::from_der(signed)?.sequence(|it| {
        // The default version should be left out, and is not by everybody.
        if let Some(version) = explicit(it, TagNumber::N0)?
            && content(version, Tag::Integer)? != [0]
        {
            return Err(Tag::Integer.value_error());
        }
        let responder = responder(it)?;
        // producedAt says when it was signed; what counts is from when until when a status is good.
        it.decode::<GeneralizedTime>()?;
        let singles = list(it.decode()?, single)?;
        let has_critical = extensions(it)?;
        Ok((Answer { signed, algorithm, signature, certificates, responder, singles }, has_critical))
    })
}

/// A certificate as it came, to be read where it is the signer's.
fn certificate<'a>(it: &mut SliceReader<'a>) -> der::Result<&'a [u8]> {
    it.peek_tag()?.assert_eq(Tag::Sequence)?;
    it.tlv_bytes()
}

fn responder<'a>(it: &mut SliceReader<'a>) -> der::Result<Responder<'a>> {
    if it.peek_tag()? == context(TagNumber::N1) {
        // A Name is compared as it is in the certificate, with tag and length.
        return Ok(Responder::Name(it.decode::<AnyRef<'a>>()?.value()));
    }
    let key = explicit(it, TagNumber::N2)?.ok_or_else(|| Tag::Sequence.value_error())?;
    content(key, Tag::OctetString).map(Responder::Key)
}

fn single<'a>(it: &mut SliceReader<'a>) -> der::Result<Single<'a>> {
    it.decode::<AnyRef<'a>>()?.sequence(|it| {
        let (algorithm, issuer_name, issuer_key, serial) = it.decode::<AnyRef<'a>>()?.sequence(|it| {
            Ok((
                content(it.decode()?, Tag::Sequence)?,
                content(it.decode()?, Tag::OctetString)?,
                content(it.decode()?, Tag::OctetString)?,
                content(it.decode()?, Tag::Integer)?,
            ))
        })?;
        let status = status(it.decode()?)?;
        let this_update = unix(it.decode()?);
        let next_update = explicit(it, TagNumber::N0)?.map(|it| it.decode_as().map(unix)).transpose()?;
        let has_critical = extensions(it)?;
        Ok(Single { algorithm, issuer_name, issuer_key, serial, status, this_update, next_update, has_critical })
    })
}

/// CertStatus. Since when and why a certificate is revoked changes nothing here.
fn status(found: AnyRef<'_>) -> der::Result<Status> {
    let plain = |number| Tag::ContextSpecific { constructed: false, number };
    match found.tag() {
        tag if tag == plain(TagNumber::N0) && found.value().is_empty() => Ok(Status::Good),
        tag if tag == context(TagNumber::N1) => Ok(Status::Revoked),
        tag if tag == plain(TagNumber::N2) && found.value().is_empty() => Ok(Status::Unknown),
        tag => Err(tag.value_error()),
    }
}

/// Whether one of the `[1]` extensions is critical.
fn extensions(it: &mut SliceReader<'_>) -> der::Result<bool> {
    let Some(all) = explicit(it, TagNumber::N1)? else { return Ok(false) };
    let critical = list(all, |it| {
        it.decode::<AnyRef<'_>>()?.sequence(|it| {
            it.decode::<ObjectIdentifier>()?;
            let is_critical = it.peek_tag()? == Tag::Boolean && it.decode::<bool>()?;
            it.decode::<OctetStringRef<'_>>()?;
            Ok(is_critical)
        })
    })?;
    Ok(critical.contains(&true))
}

fn unix(time: GeneralizedTime) -> i64 {
    i64::try_from(time.to_unix_duration().as_secs()).unwrap_or(i64::MAX)
}

/// The tag of an explicit field of that number.
fn context(number: TagNumber) -> Tag {
    Tag::ContextSpecific { constructed: true, number }
}

/// What stands in the explicit field `number`, where that is the next one.
fn explicit<'a>(it: &mut SliceReader<'a>, number: TagNumber) -> der::Result<Option<AnyRef<'a>>> {
    if it.is_finished() || it.peek_tag()? != context(number) {
        return Ok(None);
    }
    AnyRef::from_der(it.decode::<AnyRef<'a>>()?.value()).map(Some)
}

/// Every element of a SEQUENCE OF.
fn list<'a, T>(all: AnyRef<'a>, each: impl Fn(&mut SliceReader<'a>) -> der::Result<T>) -> der::Result<Vec<T>> {
    all.sequence(|it| {
        let mut found = Vec::new();
        while !it.is_finished() {
            found.push(each(it)?);
        }
        Ok(found)
    })
}

fn content(any: AnyRef<'_>, tag: Tag) -> der::Result<&[u8]> {
    any.tag().assert_eq(tag)?;
    Ok(any.value())
}
