//! Certificates like Apple's (facts 2.1): a P-384 root and intermediate and a P-256 leaf, with Apple's markers and the
//! address of the OCSP responder.
//!
//! The keys and the root are kept; intermediate and leaf are issued when something is first signed, because the address
//! in them names the port of this process.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use p256::ecdsa::SigningKey;
use p256::pkcs8::DecodePrivateKey as _;
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, SerialNumber, SigningKey as _, date_time_ymd,
};
use sha2::{Digest, Sha256};
use yasna::Tag;
use yasna::models::ObjectIdentifier;

use crate::keys::{KeyError, bad};
use crate::stores::keys::StoreKeys;

/// On Apple's leaves that sign receipts and notifications.
const LEAF_MARKER: &[u64] = &[1, 2, 840, 113635, 100, 6, 11, 1];
/// On Apple's worldwide developer CA.
const INTERMEDIATE_MARKER: &[u64] = &[1, 2, 840, 113635, 100, 6, 2, 1];
/// Authority information access (RFC 5280, 4.2.2.1), and OCSP as its method.
const AIA: &[u64] = &[1, 3, 6, 1, 5, 5, 7, 1, 1];
const AIA_OCSP: &[u64] = &[1, 3, 6, 1, 5, 5, 7, 48, 1];
/// `id-pkix-ocsp-nocheck` (RFC 6960, 4.2.2.2.1).
const OCSP_NO_CHECK: &[u64] = &[1, 3, 6, 1, 5, 5, 7, 48, 1, 5];

/// Years in which everything is valid, whatever the clock of a test says.
const FROM: i32 = 2014;
const UNTIL: i32 = 2039;

/// Who has issued a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Authority {
    Root,
    Intermediate,
}

/// The keys and certificates that sign for the App Store.
pub(super) struct Pki {
    root: KeyPair,
    intermediate: KeyPair,
    leaf: KeyPair,
    /// The leaf's key as JWS want it.
    pub(super) jws_key: SigningKey,
    /// Leaf, intermediate, root; DER.
    pub(super) chain: [Vec<u8>; 3],
}

/// The certificate of a new root, DER in base64.
pub(in crate::stores) fn root(key: &KeyPair) -> Result<String, KeyError> {
    Ok(STANDARD.encode(root_params().self_signed(key).map_err(bad)?.der()))
}

fn params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.distinguished_name.push(DnType::OrganizationName, "Satchel local App Store");
    (params.not_before, params.not_after) = (date_time_ymd(FROM, 1, 1), date_time_ymd(UNTIL, 12, 31));
    params
}

fn root_params() -> CertificateParams {
    let mut params = params("Local Root CA");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

fn intermediate_params(key: &KeyPair, ocsp_url: &str) -> CertificateParams {
    let mut params = params("Local Worldwide Developer Relations CA");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.custom_extensions = vec![marker(INTERMEDIATE_MARKER), responder(ocsp_url)];
    params.use_authority_key_identifier_extension = true;
    params.serial_number = Some(SerialNumber::from_slice(&serial(key)));
    params
}

fn leaf_params(key: &KeyPair, ocsp_url: &str) -> CertificateParams {
    let mut params = params("Local App Store Receipt Signing");
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.custom_extensions = vec![marker(LEAF_MARKER), responder(ocsp_url)];
    params.use_authority_key_identifier_extension = true;
    params.serial_number = Some(SerialNumber::from_slice(&serial(key)));
    params
}

/// A positive number of 16 bytes that follows from the key.
fn serial(key: &KeyPair) -> [u8; 16] {
    let mut serial = [0; 16];
    serial.copy_from_slice(&Sha256::digest(key.public_key_raw())[..16]);
    serial[0] = serial[0] & 0x3f | 0x40;
    serial
}

fn marker(oid: &[u64]) -> CustomExtension {
    CustomExtension::from_oid_content(oid, vec![5, 0])
}

fn responder(ocsp_url: &str) -> CustomExtension {
    let content = yasna::construct_der(|writer| {
        writer.write_sequence(|writer| {
            writer.next().write_sequence(|writer| {
                writer.next().write_oid(&ObjectIdentifier::from_slice(AIA_OCSP));
                writer.next().write_tagged_implicit(Tag::context(6), |writer| writer.write_ia5_string(ocsp_url));
            });
        });
    });
    CustomExtension::from_oid_content(AIA, content)
}

impl Pki {
    /// The PKI of `keys`, whose certificates name `ocsp_url`.
    pub(super) fn new(keys: &StoreKeys, ocsp_url: &str) -> Result<Self, KeyError> {
        let key = |pem: &str, kind| KeyPair::from_pkcs8_pem_and_sign_algo(pem, kind).map_err(bad);
        let root_der = STANDARD.decode(&keys.apple_root).map_err(bad)?;
        Self::issue(
            key(&keys.apple_root_key, &PKCS_ECDSA_P384_SHA384)?,
            key(&keys.apple_intermediate_key, &PKCS_ECDSA_P384_SHA384)?,
            key(&keys.apple_leaf_key, &PKCS_ECDSA_P256_SHA256)?,
            root_der,
            ocsp_url,
        )
    }

    /// One with the same names and other keys: what somebody would make who wants to be taken for Apple.
    pub(super) fn foreign(ocsp_url: &str) -> Result<Self, KeyError> {
        let key = |kind| KeyPair::generate_for(kind).map_err(bad);
        let root = key(&PKCS_ECDSA_P384_SHA384)?;
        let root_der = root_params().self_signed(&root).map_err(bad)?.der().to_vec();
        Self::issue(root, key(&PKCS_ECDSA_P384_SHA384)?, key(&PKCS_ECDSA_P256_SHA256)?, root_der, ocsp_url)
    }

    fn issue(
        root: KeyPair,
        intermediate: KeyPair,
        leaf: KeyPair,
        root_der: Vec<u8>,
        ocsp_url: &str,
    ) -> Result<Self, KeyError> {
        let (of_root, of_intermediate) = (root_params(), intermediate_params(&intermediate, ocsp_url));
        let by_root = Issuer::from_params(&of_root, &root);
        let by_intermediate = Issuer::from_params(&of_intermediate, &intermediate);
        let intermediate_der = of_intermediate.signed_by(&intermediate, &by_root).map_err(bad)?.der().to_vec();
        let leaf_der = leaf_params(&leaf, ocsp_url).signed_by(&leaf, &by_intermediate).map_err(bad)?.der().to_vec();
        let jws_key = SigningKey::from_pkcs8_der(leaf.serialized_der()).map_err(bad)?;
        Ok(Self { chain: [leaf_der, intermediate_der, root_der], jws_key, root, intermediate, leaf })
    }

    /// Who has issued the certificate with the serial number `serial`, which must be the leaf or the intermediate.
    pub(super) fn issuer_of(&self, serial: &[u8]) -> Option<Authority> {
        if serial == self::serial(&self.leaf) {
            return Some(Authority::Intermediate);
        }
        (serial == self::serial(&self.intermediate)).then_some(Authority::Root)
    }

    fn authority(&self, authority: Authority) -> &KeyPair {
        match authority {
            Authority::Root => &self.root,
            Authority::Intermediate => &self.intermediate,
        }
    }

    /// The public key of `authority`: the bits of its `subjectPublicKey`.
    pub(super) fn public_key(&self, authority: Authority) -> &[u8] {
        self.authority(authority).public_key_raw()
    }

    /// The certificate of `authority`, DER.
    pub(super) fn certificate(&self, authority: Authority) -> &[u8] {
        let [_, intermediate, root] = &self.chain;
        match authority {
            Authority::Root => root,
            Authority::Intermediate => intermediate,
        }
    }

    /// The signature of `authority` over `message`: ECDSA on P-384 with SHA-384, DER.
    pub(super) fn sign_as(&self, authority: Authority, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        self.authority(authority).sign(message).map_err(bad)
    }

    /// The signature of the leaf over `message`: ECDSA on P-256 with SHA-256, DER.
    pub(super) fn sign_as_leaf(&self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        self.leaf.sign(message).map_err(bad)
    }

    /// The leaf's public key: an uncompressed point.
    pub(super) fn leaf_point(&self) -> &[u8] {
        self.leaf.public_key_raw()
    }

    /// A responder that `authority` has put in charge, as Apple's are (RFC 6960, 4.2.2.2): its key and certificate.
    pub(super) fn delegate(&self, authority: Authority, ocsp_url: &str) -> Result<(KeyPair, Vec<u8>), KeyError> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(bad)?;
        let mut params = params("Local OCSP Responder");
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::OcspSigning];
        params.custom_extensions = vec![marker(OCSP_NO_CHECK)];
        params.use_authority_key_identifier_extension = true;
        let of_authority = match authority {
            Authority::Root => root_params(),
            Authority::Intermediate => intermediate_params(&self.intermediate, ocsp_url),
        };
        let issuer = Issuer::from_params(&of_authority, self.authority(authority));
        let certificate = params.signed_by(&key, &issuer).map_err(bad)?.der().to_vec();
        Ok((key, certificate))
    }
}
