//! One certificate: read strictly, and held to what Apple's signing certificates are (facts 2.1, 2).
//!
//! Each is read twice: by `x509-parser`, which shows the extensions, and by `rustls-webpki`, which is strict about DER and
//! refuses critical extensions it does not know. What one of them overlooks the other sees.

use rustls_pki_types::CertificateDer;
use x509_parser::certificate::X509Certificate;
use x509_parser::der_parser::{Oid, oid};
use x509_parser::extensions::ParsedExtension;
use x509_parser::prelude::FromDer as _;
use x509_parser::x509::X509Version;

use super::moment::Window;
use super::reason::Reason;

/// What precedes the point in the key of a certificate for P-256: `id-ecPublicKey`, `prime256v1`, a bit string of 66
/// bytes (RFC 5480, 2). Compared as bytes, so that no other curve, parameter or encoding gets through.
const P256: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce,
    0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

/// Longest certificate in DER, in bytes; Apple's have about 1000.
const MAX_DER: usize = 8 * 1024;
/// Most extensions of a certificate; Apple's have up to ten.
const MAX_EXTENSIONS: usize = 32;

/// The one certificate in `der`, read by both parsers; nothing is said of what it is for.
pub(super) fn strict(der: &[u8]) -> Result<X509Certificate<'_>, Reason> {
    if der.len() > MAX_DER {
        return Err(Reason::CertificateMalformed);
    }
    let (rest, parsed) = X509Certificate::from_der(der).map_err(|_| Reason::CertificateMalformed)?;
    if !rest.is_empty() {
        return Err(Reason::CertificateTrailing);
    }
    if parsed.version() != X509Version::V3 {
        return Err(Reason::CertificateMalformed);
    }
    let extensions = parsed.extensions();
    // Before each is compared with each.
    if extensions.len() > MAX_EXTENSIONS {
        return Err(Reason::CertificateMalformed);
    }
    let twice = extensions.iter().enumerate().any(|(at, it)| extensions.iter().take(at).any(|o| o.oid == it.oid));
    if twice {
        return Err(Reason::CertificateDuplicate);
    }
    let unread = |found: &ParsedExtension<'_>| matches!(found, ParsedExtension::ParseError { .. });
    if extensions.iter().any(|extension| unread(extension.parsed_extension())) {
        return Err(Reason::CertificateMalformed);
    }
    webpki::EndEntityCert::try_from(&CertificateDer::from(der)).map_err(|error| match error {
        webpki::Error::UnsupportedCriticalExtension => Reason::CertificateCritical,
        _ => Reason::CertificateMalformed,
    })?;
    Ok(parsed)
}

/// A certificate that was read, with what its extensions allow.
pub(super) struct Certificate {
    pub(super) window: Window,
    key: Vec<u8>,
    is_ca: bool,
    path_length: Option<u32>,
    may_sign_data: bool,
    may_sign_certificates: bool,
    signs_receipts: bool,
    is_developer_ca: bool,
}

impl Certificate {
    /// Reads `der`, which must hold one certificate and nothing else.
    pub(super) fn read(der: &[u8]) -> Result<Self, Reason> {
        let parsed = strict(der)?;
        let extensions = parsed.extensions();
        let constraints = parsed.basic_constraints().map_err(|_| Reason::CertificateMalformed)?;
        let usage = parsed.key_usage().map_err(|_| Reason::CertificateMalformed)?;
        let has = |oid: &Oid<'_>| extensions.iter().any(|extension| extension.oid == *oid);
        let validity = parsed.validity();
        Ok(Self {
            window: Window { from: validity.not_before.timestamp(), until: validity.not_after.timestamp() },
            key: parsed.public_key().raw.to_vec(),
            is_ca: constraints.as_ref().is_some_and(|it| it.value.ca),
            path_length: constraints.and_then(|it| it.value.path_len_constraint),
            // Without the extension a key may be used for anything (RFC 5280, 4.2.1.3): that is not enough here.
            may_sign_data: usage.as_ref().is_some_and(|it| it.value.digital_signature()),
            may_sign_certificates: usage.is_some_and(|it| it.value.key_cert_sign()),
            signs_receipts: has(&oid!(1.2.840.113635.100.6.11.1)),
            is_developer_ca: has(&oid!(1.2.840.113635.100.6.2.1)),
        })
    }

    /// The point of the key, where this is fit to be a leaf. The marker is what stops any other certificate that Apple
    /// issues below the same root, to any developer, from signing notifications.
    pub(super) fn leaf(&self) -> Result<&[u8], Reason> {
        if !self.signs_receipts {
            return Err(Reason::LeafMarker);
        }
        if self.is_ca {
            return Err(Reason::LeafIsCa);
        }
        if self.path_length.is_some() {
            return Err(Reason::LeafPathLength);
        }
        if !self.may_sign_data || self.may_sign_certificates {
            return Err(Reason::LeafKeyUsage);
        }
        match self.key.strip_prefix(&P256) {
            Some(point @ [0x04, ..]) if point.len() == 65 => Ok(point),
            _ => Err(Reason::LeafKey),
        }
    }

    /// Whether this is fit to be the intermediate. Any path length allows the one leaf below it, and it is not pinned:
    /// Apple rotates it.
    pub(super) fn intermediate(&self) -> Result<(), Reason> {
        if !self.is_developer_ca {
            return Err(Reason::IntermediateMarker);
        }
        if !self.is_ca {
            return Err(Reason::IntermediateNotCa);
        }
        if self.may_sign_certificates { Ok(()) } else { Err(Reason::IntermediateKeyUsage) }
    }

    /// Whether this is fit to be pinned.
    pub(super) fn root(&self) -> Result<(), Reason> {
        if self.is_ca && self.may_sign_certificates { Ok(()) } else { Err(Reason::RootInvalid) }
    }

    /// Whether a CA may stand between this one and a leaf.
    pub(super) fn allows_an_intermediate(&self) -> bool {
        self.path_length != Some(0)
    }
}
