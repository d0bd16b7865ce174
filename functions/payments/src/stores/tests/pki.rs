//! Certificates like Apple's, and what is signed by them.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use p256::ecdsa::signature::Signer as _;
use p256::ecdsa::{Signature, SigningKey};
use p256::pkcs8::DecodePrivateKey as _;
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, date_time_ymd,
};
use serde_json::{Value, json};

use super::{BUNDLE, NOW};

/// The first of the line that the texts are about.
pub(super) const ORIGINAL: &str = "2000000000000001";
/// Its newest transaction.
pub(super) const NEWEST: &str = "2000000000000002";

pub(super) struct Pki {
    leaf_key: SigningKey,
    chain: [Vec<u8>; 3],
}

fn params(name: &str, years: [i32; 2], usage: KeyUsagePurpose, marker: Option<&[u64]>) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    let [from, until] = years.map(|year| date_time_ymd(year, 1, 1));
    (params.not_before, params.not_after) = (from, until);
    params.is_ca = if usage == KeyUsagePurpose::KeyCertSign {
        IsCa::Ca(BasicConstraints::Unconstrained)
    } else {
        IsCa::ExplicitNoCa
    };
    params.key_usages = vec![usage];
    params.custom_extensions =
        marker.into_iter().map(|oid| CustomExtension::from_oid_content(oid, vec![5, 0])).collect();
    params
}

impl Pki {
    pub(super) fn new() -> Self {
        let root = params("Root", [2014, 2039], KeyUsagePurpose::KeyCertSign, None);
        let marker: &[u64] = &[1, 2, 840, 113635, 100, 6, 2, 1];
        let intermediate = params("Intermediate", [2021, 2036], KeyUsagePurpose::KeyCertSign, Some(marker));
        let marker: &[u64] = &[1, 2, 840, 113635, 100, 6, 11, 1];
        let leaf = params("Leaf", [2026, 2028], KeyUsagePurpose::DigitalSignature, Some(marker));
        let root_key = KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).unwrap();
        let intermediate_key = KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).unwrap();
        let leaf_key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
        let by_root = Issuer::from_params(&root, &root_key);
        let by_intermediate = Issuer::from_params(&intermediate, &intermediate_key);
        let chain = [
            leaf.signed_by(&leaf_key, &by_intermediate).unwrap(),
            intermediate.signed_by(&intermediate_key, &by_root).unwrap(),
            root.self_signed(&root_key).unwrap(),
        ]
        .map(|certificate| certificate.der().to_vec());
        Self { leaf_key: SigningKey::from_pkcs8_der(leaf_key.serialized_der()).unwrap(), chain }
    }

    pub(super) fn root_base64(&self) -> String {
        STANDARD.encode(&self.chain[2])
    }

    pub(super) fn sign(&self, payload: &Value) -> String {
        let x5c: Vec<String> = self.chain.iter().map(|der| STANDARD.encode(der)).collect();
        let header = json!({ "alg": "ES256", "x5c": x5c }).to_string();
        let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload.to_string()));
        let signature: Signature = self.leaf_key.sign(signed.as_bytes());
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature.to_bytes()))
    }

    /// The answer to a question about a transaction.
    pub(super) fn info(&self, transaction: &Value) -> Value {
        json!({ "signedTransactionInfo": self.sign(transaction) })
    }

    /// The answer to a question about a subscription, with these items.
    pub(super) fn statuses(&self, items: &[Value]) -> Value {
        json!({ "data": [{ "subscriptionGroupIdentifier": "20001", "lastTransactions": items }] })
    }

    /// An item of that.
    pub(super) fn item(&self, status: i64, transaction: &Value, renewal: &Value) -> Value {
        json!({
            "originalTransactionId": transaction["originalTransactionId"], "status": status,
            "signedTransactionInfo": self.sign(transaction), "signedRenewalInfo": self.sign(renewal),
        })
    }
}

/// A transaction of a yearly subscription.
pub(super) fn transaction(id: &str, environment: &str) -> Value {
    json!({
        "transactionId": id, "originalTransactionId": ORIGINAL, "bundleId": BUNDLE,
        "productId": "app.satchel.sync.yearly", "type": "Auto-Renewable Subscription", "quantity": 1,
        "purchaseDate": NOW * 1000 - 5_000, "expiresDate": NOW * 1000 + 31_536_000_000_i64,
        "signedDate": NOW * 1000, "inAppOwnershipType": "PURCHASED", "environment": environment,
    })
}

pub(super) fn renewal(environment: &str) -> Value {
    json!({
        "originalTransactionId": ORIGINAL, "productId": "app.satchel.sync.yearly", "autoRenewStatus": 1,
        "signedDate": NOW * 1000, "environment": environment,
    })
}

/// `value` with another member.
pub(super) fn with(mut value: Value, name: &str, member: impl Into<Value>) -> Value {
    value[name] = member.into();
    value
}
