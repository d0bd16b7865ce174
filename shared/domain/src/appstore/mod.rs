//! What the App Store signs is believed or refused here, as plain functions of the text, the pinned root, what is
//! configured, and a time that comes in as a value (design: payments, Verification; facts: store payments, 2.1).
//!
//! | step | refused with |
//! | --- | --- |
//! | three segments, base64url, a strict header, `ES256`, three certificates (RFC 7515) | `segments` … `chain_encoding` |
//! | the certificates: strict DER, markers, key usage, the leaf's key (RFC 5280) | `certificate_*`, `leaf_*`, `intermediate_*` |
//! | the path from leaf over intermediate to the pinned root, while all are valid | `path_*` |
//! | the signature with the leaf's key (RFC 7518, 3.4) | `signature_length`, `signature` |
//! | the payload is JSON and says when it was signed | `payload_not_json`, `no_notification`, `signed_date` |
//! | the chain is valid at the time that counts | `certificate_expired`, `certificate_early`, `signed_*` |
//! | the kind of payload, by members only that kind has | `kind`, `payload_shape` |
//! | whose it is: bundle, app and environment from configuration | `bundle`, `app_id`, `environment` |
//! | inner transaction and renewal info, each on its own, and compared | the same, with the part |
//!
//! # Limits
//! A verifier does not ask for revocation: [`Source::needs_revocation_check`] says where [`ocsp`] must follow. The app
//! transaction inside `appData` is not verified, and not handed out.

mod app;
mod certificate;
mod chain;
mod envelope;
mod jws;
mod moment;
pub mod ocsp;
mod payload;
mod reason;
mod words;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::Timestamp;

pub use app::{App, Environment};
pub use chain::{Chain, ChainKey, Root};
pub use jws::MAX_BYTES;
pub use moment::{LEEWAY, RETRY_SPAN, Source, Window};
pub use payload::{Body, Notification, Renewal, Transaction};
pub use reason::{Part, Reason, Refused};
pub use words::{NotificationType, OfferDiscount, Ownership, ProductType, RevocationType, Subtype, TransactionReason};

use payload::Kind;

/// Believes or refuses what was signed for one app.
#[derive(Debug, Clone)]
pub struct Verifier {
    root: Root,
    app: App,
}

/// Something that is believed, with the chains it was signed by: for OCSP, and to be kept and handed in as `known` next
/// time, which spares all of a chain's checks but its times.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified<T> {
    /// What is believed.
    pub value: T,
    /// Each chain once.
    pub chains: Vec<Chain>,
}

/// A notification with what was signed inside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// The notification.
    pub notification: Notification,
    /// The transaction it is about.
    pub transaction: Option<Transaction>,
    /// How that goes on.
    pub renewal: Option<Renewal>,
}

impl Verifier {
    /// A verifier for `app`, whose signatures lead to `root`.
    pub fn new(root: Root, app: App) -> Self {
        Self { root, app }
    }

    /// The environment that it accepts.
    pub fn environment(&self) -> Environment {
        self.app.environment()
    }

    /// A notification, with what is signed inside it.
    ///
    /// # Errors
    /// Which text is refused, and why.
    pub fn notification(&self, text: &str, source: Source, known: &[Chain]) -> Result<Verified<Event>, Refused> {
        let mut chains = Vec::new();
        let payload = self.payload(text, Kind::Notification, source, known, &mut chains)?;
        let opened = envelope::open(payload, &self.app)?;
        let at = |part| move |reason| Refused { part, reason };
        let transaction = opened.transaction.map(|text| self.inner_transaction(&text, source, known, &mut chains));
        let transaction = transaction.transpose().map_err(at(Part::Transaction))?;
        let sibling = transaction.as_ref().map(|it: &Transaction| it.original_transaction_id.as_str());
        let renewal = opened.renewal.map(|text| self.inner_renewal(&text, sibling, source, known, &mut chains));
        let renewal = renewal.transpose().map_err(at(Part::Renewal))?;
        Ok(Verified { value: Event { notification: opened.notification, transaction, renewal }, chains })
    }

    /// A transaction on its own.
    ///
    /// # Errors
    /// Why it is refused.
    pub fn transaction(&self, text: &str, source: Source, known: &[Chain]) -> Result<Verified<Transaction>, Refused> {
        let mut chains = Vec::new();
        let value = self.inner_transaction(text, source, known, &mut chains)?;
        Ok(Verified { value, chains })
    }

    /// Renewal info of the purchase `original_transaction_id`: it names no app, so it counts only beside a transaction
    /// that was verified.
    ///
    /// # Errors
    /// Why it is refused.
    pub fn renewal(
        &self,
        text: &str,
        original_transaction_id: &str,
        source: Source,
        known: &[Chain],
    ) -> Result<Verified<Renewal>, Refused> {
        let mut chains = Vec::new();
        let value = self.inner_renewal(text, Some(original_transaction_id), source, known, &mut chains)?;
        Ok(Verified { value, chains })
    }

    /// Bundle and environment are compared with the configuration, as the outer text's were: so they are the same.
    fn inner_transaction(
        &self,
        text: &str,
        source: Source,
        known: &[Chain],
        chains: &mut Vec<Chain>,
    ) -> Result<Transaction, Reason> {
        let payload = self.payload(text, Kind::Transaction, source, known, chains)?;
        let transaction: Transaction = typed(payload)?;
        self.app.is_of_bundle(&transaction.bundle_id)?;
        self.app.is_of_environment(&transaction.environment)?;
        Ok(transaction)
    }

    fn inner_renewal(
        &self,
        text: &str,
        sibling: Option<&str>,
        source: Source,
        known: &[Chain],
        chains: &mut Vec<Chain>,
    ) -> Result<Renewal, Reason> {
        let payload = self.payload(text, Kind::Renewal, source, known, chains)?;
        let renewal: Renewal = typed(payload)?;
        self.app.is_of_environment(&renewal.environment)?;
        match sibling {
            Some(sibling) if sibling != renewal.original_transaction_id => Err(Reason::OriginalTransaction),
            _ => Ok(renewal),
        }
    }

    /// The payload of `text`, where it is signed by a chain to the root, and of `kind`.
    fn payload(
        &self,
        text: &str,
        kind: Kind,
        source: Source,
        known: &[Chain],
        chains: &mut Vec<Chain>,
    ) -> Result<Map<String, Value>, Reason> {
        let compact = jws::read(text)?;
        let key = ChainKey::of(&self.root, &compact.chain);
        let chain = match chains.iter().chain(known).find(|chain| chain.key() == key) {
            Some(chain) => chain.clone(),
            None => Chain::verify(&self.root, compact.chain)?,
        };
        ring::signature::UnparsedPublicKey::new(&ring::signature::ECDSA_P256_SHA256_FIXED, chain.point())
            .verify(compact.signed, &compact.signature)
            .map_err(|_| Reason::Signature)?;
        let payload: Map<String, Value> =
            serde_json::from_slice(&compact.payload).map_err(|_| Reason::PayloadNotJson)?;
        kind.claims(&payload)?;
        let signed = signed_date(&payload).ok_or(Reason::SignedDate)?;
        // After the signature: strangers must not choose an answer that says to come again.
        chain.window().judge(source, signed)?;
        if chains.iter().all(|it| it.key() != key) {
            chains.push(chain);
        }
        kind.check(&payload)?;
        Ok(payload)
    }
}

fn signed_date(payload: &Map<String, Value>) -> Option<Timestamp> {
    match payload.get("signedDate")? {
        Value::Number(number) => payload::moment(number),
        _ => None,
    }
}

fn typed<T: DeserializeOwned>(payload: Map<String, Value>) -> Result<T, Reason> {
    serde_json::from_value(Value::Object(payload)).map_err(|_| Reason::PayloadShape)
}

#[cfg(test)]
mod tests;
