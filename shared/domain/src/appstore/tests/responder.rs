//! An OCSP responder for tests: writes answers in DER by hand, so that what is wrong with one can be written too.

use rcgen::{
    CertificateParams, CustomExtension, ExtendedKeyUsagePurpose, Issuer, KeyPair, KeyUsagePurpose,
    PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, SigningKey as _,
};
use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::pki::{Pki, named};
use super::{NOW, from_unix};

/// `sha1` with parameters that are NULL.
pub(super) const SHA1: &[u8] = &[0x06, 0x05, 0x2b, 0x0e, 0x03, 0x02, 0x1a, 0x05, 0x00];
/// `id-pkix-ocsp-basic`.
pub(super) const BASIC: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x30, 0x01, 0x01];
const ECDSA_SHA256: &[u8] = &[0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02];
const ECDSA_SHA384: &[u8] = &[0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x03];

pub(super) fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = match content.len() {
        short @ ..0x80 => vec![short.try_into().unwrap()],
        long => {
            let bytes: Vec<u8> = long.to_be_bytes().into_iter().skip_while(|byte| *byte == 0).collect();
            [&[0x80 | u8::try_from(bytes.len()).unwrap()], bytes.as_slice()].concat()
        }
    };
    [&[tag], length.as_slice(), content].concat()
}

pub(super) fn sequence(parts: &[&[u8]]) -> Vec<u8> {
    tlv(0x30, &parts.concat())
}

/// An extension with this mark of being critical, as the content of the `[1]` field.
pub(super) fn extensions(is_critical: bool) -> Vec<u8> {
    let oid = tlv(0x06, &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x30, 0x01, 0x02]);
    let critical = if is_critical { tlv(0x01, &[0xff]) } else { Vec::new() };
    tlv(0xa1, &sequence(&[&sequence(&[&oid, &critical, &tlv(0x04, &[0x04, 0x00])])]))
}

pub(super) fn time(unix: i64) -> Vec<u8> {
    tlv(0x18, from_unix(unix).strftime("%Y%m%d%H%M%SZ").to_string().as_bytes())
}

pub(super) fn good() -> Vec<u8> {
    tlv(0x80, &[])
}

/// Revoked, since yesterday and for a compromised key.
pub(super) fn revoked() -> Vec<u8> {
    tlv(0xa1, &[time(NOW - 86_400), tlv(0xa0, &tlv(0x0a, &[1]))].concat())
}

pub(super) fn unknown() -> Vec<u8> {
    tlv(0x82, &[])
}

fn sha1(bytes: &[u8]) -> Vec<u8> {
    digest(&SHA1_FOR_LEGACY_USE_ONLY, bytes).as_ref().to_vec()
}

fn parsed(der: &[u8]) -> X509Certificate<'_> {
    X509Certificate::from_der(der).unwrap().1
}

/// `byName` of that certificate.
pub(super) fn by_name(der: &[u8]) -> Vec<u8> {
    tlv(0xa1, parsed(der).subject().as_raw())
}

/// `byKey` of that certificate.
pub(super) fn by_key(der: &[u8]) -> Vec<u8> {
    tlv(0xa2, &tlv(0x04, &sha1(&parsed(der).public_key().subject_public_key.data)))
}

/// SingleResponse.
#[derive(Clone)]
pub(super) struct Single {
    /// The content of hashAlgorithm.
    pub(super) algorithm: Vec<u8>,
    pub(super) issuer_name: Vec<u8>,
    pub(super) issuer_key: Vec<u8>,
    pub(super) serial: Vec<u8>,
    pub(super) status: Vec<u8>,
    pub(super) this_update: i64,
    pub(super) next_update: Option<i64>,
    pub(super) extensions: Vec<u8>,
}

impl Single {
    fn der(&self) -> Vec<u8> {
        let id = sequence(&[
            &tlv(0x30, &self.algorithm),
            &tlv(0x04, &self.issuer_name),
            &tlv(0x04, &self.issuer_key),
            &tlv(0x02, &self.serial),
        ]);
        let next = self.next_update.map_or(Vec::new(), |at| tlv(0xa0, &time(at)));
        sequence(&[&id, &self.status, &time(self.this_update), &next, &self.extensions])
    }
}

/// A response; a test changes what it is about.
#[derive(Clone)]
pub(super) struct Reply {
    pub(super) kind: Vec<u8>,
    pub(super) version: Vec<u8>,
    pub(super) responder: Vec<u8>,
    pub(super) singles: Vec<Single>,
    pub(super) extensions: Vec<u8>,
    pub(super) certificates: Vec<Vec<u8>>,
    /// The content of signatureAlgorithm; that of the key where none is given.
    pub(super) algorithm: Option<Vec<u8>>,
}

impl Reply {
    /// A *good* about `certificate`, in the name of its `issuer`, from an hour ago until tomorrow.
    pub(super) fn about(certificate: &[u8], issuer: &[u8]) -> Self {
        let by = parsed(issuer);
        let single = Single {
            algorithm: SHA1.to_vec(),
            issuer_name: sha1(by.subject().as_raw()),
            issuer_key: sha1(&by.public_key().subject_public_key.data),
            serial: parsed(certificate).raw_serial().to_vec(),
            status: good(),
            this_update: NOW - 3600,
            next_update: Some(NOW + 86_400),
            extensions: Vec::new(),
        };
        Self {
            kind: BASIC.to_vec(),
            version: Vec::new(),
            responder: by_name(issuer),
            singles: vec![single],
            extensions: Vec::new(),
            certificates: Vec::new(),
            algorithm: None,
        }
    }

    /// A *good* about the leaf, in the name of the intermediate.
    pub(super) fn about_leaf(pki: &Pki) -> Self {
        let [leaf, intermediate, _] = &pki.chain;
        Self::about(leaf, intermediate)
    }

    /// The one SingleResponse.
    pub(super) fn single(&mut self) -> &mut Single {
        self.singles.first_mut().unwrap()
    }

    /// OCSPResponse.
    pub(super) fn signed_by(&self, key: &KeyPair) -> Vec<u8> {
        let singles: Vec<u8> = self.singles.iter().flat_map(Single::der).collect();
        let data = sequence(&[&self.version, &self.responder, &time(NOW), &tlv(0x30, &singles), &self.extensions]);
        let own = if key.is_compatible(&PKCS_ECDSA_P384_SHA384) { ECDSA_SHA384 } else { ECDSA_SHA256 };
        let algorithm = tlv(0x30, self.algorithm.as_deref().unwrap_or(own));
        let signature = tlv(0x03, &[&[0], key.sign(&data).unwrap().as_slice()].concat());
        let certificates = match self.certificates.concat() {
            none if none.is_empty() => none,
            some => tlv(0xa0, &tlv(0x30, &some)),
        };
        let basic = sequence(&[&data, &algorithm, &signature, &certificates]);
        let bytes = sequence(&[&tlv(0x06, &self.kind), &tlv(0x04, &basic)]);
        sequence(&[&tlv(0x0a, &[0]), &tlv(0xa0, &bytes)])
    }
}

/// The certificate of a responder with a key of its own.
pub(super) struct Appointed {
    pub(super) key: KeyPair,
    pub(super) der: Vec<u8>,
}

/// A responder that `issuer` appoints, but for what is changed.
pub(super) fn appointed(issuer: &Issuer<'_, &KeyPair>, change: impl FnOnce(&mut CertificateParams)) -> Appointed {
    let mut params = named("Test Responder", 2026, 2028);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::OcspSigning];
    // id-pkix-ocsp-nocheck
    params.custom_extensions = vec![CustomExtension::from_oid_content(&[1, 3, 6, 1, 5, 5, 7, 48, 1, 5], vec![5, 0])];
    change(&mut params);
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
    let der = params.signed_by(&key, issuer).unwrap().der().to_vec();
    Appointed { key, der }
}
