//! A PKI like Apple's: P-384 root and intermediate, P-256 leaf, with the markers, made anew for each test.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use p256::ecdsa::signature::Signer as _;
use p256::ecdsa::{Signature, SigningKey};
use p256::pkcs8::DecodePrivateKey as _;
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, SignatureAlgorithm, date_time_ymd,
};
use serde_json::{Value, json};

use super::super::Root;
use super::{APP_ID, BUNDLE, NOW};

pub(super) const LEAF_MARKER: &[u64] = &[1, 2, 840, 113635, 100, 6, 11, 1];
pub(super) const INTERMEDIATE_MARKER: &[u64] = &[1, 2, 840, 113635, 100, 6, 2, 1];
/// 2026-01-01T00:00:00Z.
const BASE: i64 = 1_767_225_600;

/// What is made; a test changes what it is about.
pub(super) struct Spec {
    pub(super) root: CertificateParams,
    pub(super) intermediate: CertificateParams,
    pub(super) leaf: CertificateParams,
    pub(super) intermediate_key: &'static SignatureAlgorithm,
    pub(super) leaf_key: &'static SignatureAlgorithm,
    /// The root signs the leaf itself.
    pub(super) leaf_by_root: bool,
}

pub(super) struct Pki {
    pub(super) spec: Spec,
    pub(super) root_key: KeyPair,
    pub(super) intermediate_key: KeyPair,
    pub(super) leaf_key: KeyPair,
    pub(super) chain: [Vec<u8>; 3],
}

pub(super) fn marker(oid: &[u64]) -> CustomExtension {
    CustomExtension::from_oid_content(oid, vec![5, 0])
}

pub(super) fn named(name: &str, from: i32, until: i32) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    (params.not_before, params.not_after) = (date_time_ymd(from, 1, 1), date_time_ymd(until, 1, 1));
    params
}

/// Sets the last second of a certificate.
pub(super) fn until(params: &mut CertificateParams, unix: i64) {
    params.not_after = date_time_ymd(2026, 1, 1) + Duration::from_secs((unix - BASE).try_into().unwrap());
}

/// Sets the first second of a certificate.
pub(super) fn from(params: &mut CertificateParams, unix: i64) {
    params.not_before = date_time_ymd(2026, 1, 1) + Duration::from_secs((unix - BASE).try_into().unwrap());
}

pub(super) fn spec() -> Spec {
    let mut root = named("Test Root", 2014, 2039);
    root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    root.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let mut intermediate = named("Test Intermediate", 2021, 2036);
    intermediate.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    intermediate.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    intermediate.custom_extensions = vec![marker(INTERMEDIATE_MARKER)];
    let mut leaf = named("Test Leaf", 2026, 2028);
    leaf.is_ca = IsCa::ExplicitNoCa;
    leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    leaf.custom_extensions = vec![marker(LEAF_MARKER)];
    Spec {
        root,
        intermediate,
        leaf,
        intermediate_key: &PKCS_ECDSA_P384_SHA384,
        leaf_key: &PKCS_ECDSA_P256_SHA256,
        leaf_by_root: false,
    }
}

pub(super) fn pki(change: impl FnOnce(&mut Spec)) -> Pki {
    let mut spec = spec();
    change(&mut spec);
    let root_key = KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).unwrap();
    let intermediate_key = KeyPair::generate_for(spec.intermediate_key).unwrap();
    let leaf_key = KeyPair::generate_for(spec.leaf_key).unwrap();
    let root = spec.root.self_signed(&root_key).unwrap().der().to_vec();
    let by_root = Issuer::from_params(&spec.root, &root_key);
    let by_intermediate = Issuer::from_params(&spec.intermediate, &intermediate_key);
    let intermediate = spec.intermediate.signed_by(&intermediate_key, &by_root).unwrap().der().to_vec();
    let signer = if spec.leaf_by_root { &by_root } else { &by_intermediate };
    let leaf = spec.leaf.signed_by(&leaf_key, signer).unwrap().der().to_vec();
    Pki { root_key, intermediate_key, leaf_key, chain: [leaf, intermediate, root], spec }
}

pub(super) fn url(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

impl Pki {
    pub(super) fn root(&self) -> Root {
        let [_, _, root] = &self.chain;
        Root::from_der(root.clone()).unwrap()
    }

    pub(super) fn x5c(&self) -> Vec<String> {
        self.chain.iter().map(|der| STANDARD.encode(der)).collect()
    }

    pub(super) fn header(&self) -> Value {
        json!({ "alg": "ES256", "x5c": self.x5c() })
    }

    /// The signature of the leaf's key; zeros where that is not on P-256.
    pub(super) fn signature(&self, signed: &str) -> Vec<u8> {
        SigningKey::from_pkcs8_der(self.leaf_key.serialized_der()).map_or(vec![0; 64], |key| {
            let signature: Signature = key.sign(signed.as_bytes());
            signature.to_bytes().to_vec()
        })
    }

    /// A text of these bytes, rightly signed.
    pub(super) fn raw(&self, header: impl AsRef<[u8]>, payload: impl AsRef<[u8]>) -> String {
        let signed = format!("{}.{}", url(header), url(payload));
        let signature = url(self.signature(&signed));
        format!("{signed}.{signature}")
    }

    pub(super) fn sign(&self, payload: &Value) -> String {
        self.raw(self.header().to_string(), payload.to_string())
    }

    /// A rightly signed transaction below another header.
    pub(super) fn under(&self, change: impl FnOnce(&mut Value)) -> String {
        let mut header = self.header();
        change(&mut header);
        self.raw(header.to_string(), transaction().to_string())
    }

    /// A rightly signed transaction with another chain in its header.
    pub(super) fn with_chain(&self, chain: &[&[u8]]) -> String {
        let x5c: Vec<String> = chain.iter().map(|der| STANDARD.encode(der)).collect();
        self.under(|header| header["x5c"] = json!(x5c))
    }
}

pub(super) fn transaction() -> Value {
    json!({
        "transactionId": "2000000000000002", "originalTransactionId": "2000000000000001", "bundleId": BUNDLE,
        "productId": "app.satchel.sync.yearly", "subscriptionGroupIdentifier": "20001",
        "type": "Auto-Renewable Subscription", "quantity": 1, "purchaseDate": NOW * 1000 - 5_000,
        "originalPurchaseDate": NOW * 1000 - 9_000, "expiresDate": NOW * 1000 + 31_536_000_000_i64,
        "signedDate": NOW * 1000, "inAppOwnershipType": "PURCHASED", "transactionReason": "PURCHASE",
        "appAccountToken": "018f0000-0000-7000-8000-000000000001", "environment": "Production",
        "storefront": "DEU", "price": 19990, "currency": "EUR", "offerType": 1, "offerDiscountType": "FREE_TRIAL",
    })
}

pub(super) fn renewal() -> Value {
    json!({
        "originalTransactionId": "2000000000000001", "autoRenewProductId": "app.satchel.sync.yearly",
        "productId": "app.satchel.sync.yearly", "autoRenewStatus": 1, "isInBillingRetryPeriod": false,
        "renewalDate": NOW * 1000 + 31_536_000_000_i64, "signedDate": NOW * 1000, "environment": "Production",
    })
}

/// A notification with what is `inside` its `data`.
pub(super) fn notification(inside: &Value) -> Value {
    let mut data = json!({ "environment": "Production", "appAppleId": APP_ID, "bundleId": BUNDLE, "status": 1 });
    for (name, value) in inside.as_object().unwrap() {
        data[name] = value.clone();
    }
    json!({
        "notificationType": "SUBSCRIBED", "subtype": "INITIAL_BUY", "version": "2.0", "data": data,
        "notificationUUID": "5d12dde6-ac41-4a06-9e45-731fb5d35ac3", "signedDate": NOW * 1000,
    })
}

/// `value` with another member.
pub(super) fn with(mut value: Value, name: &str, member: Value) -> Value {
    value[name] = member;
    value
}

/// `value` without a member.
pub(super) fn without(mut value: Value, name: &str) -> Value {
    value.as_object_mut().unwrap().remove(name);
    value
}
