//! The App Store: purchases (`state`), what happens to them (`buying`, `actions`), what is signed about them (`payloads`,
//! `signer`, `pki`) and what answers an app's server (`api`, `history`, `receipts`, `ocsp`).

mod actions;
mod api;
mod auth;
mod buying;
mod history;
mod ocsp;
mod ocsp_der;
mod payloads;
pub(super) mod pki;
mod receipt_der;
mod receipts;
mod signer;
pub(super) mod state;

use std::sync::{Mutex, PoisonError};

use serde::Serialize;
use serde_json::Value;

use self::payloads::Envelope;
use self::pki::Pki;
use self::signer::Signer;
use self::state::Line;
use super::book::Kept;
use super::forge::Forge;
use super::input::{ActIn, Action, BuyIn, Environment, Store};
use super::keys::StoreKeys;
use super::notice::{Notice, Notification};
use super::refused::Refused;
use super::shops::Shops;
use super::uuid::uuid;
use crate::keys::KeyError;

pub(super) use api::answer;
pub use ocsp::{OcspIn, OcspMode};

/// When something is seen, and when it is signed; Unix milliseconds.
#[derive(Debug, Clone, Copy)]
struct Moment {
    now_ms: i64,
    signed_ms: i64,
}

/// What a change was, and what Apple says of it.
struct Change {
    original: u64,
    transaction: u64,
    events: Vec<Event>,
}

/// A notification to be made.
struct Event {
    kind: String,
    subtype: Option<String>,
    transaction: u64,
}

impl Event {
    fn new(kind: &str, subtype: Option<&str>, transaction: u64) -> Self {
        Self { kind: kind.to_owned(), subtype: subtype.map(str::to_owned), transaction }
    }
}

/// What a call to the App Store did.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AppleDone {
    /// The transaction it was about, or that came to be.
    pub transaction_id: String,
    /// The first of its purchase.
    pub original_transaction_id: String,
    /// The transaction as StoreKit 2 gives it to the app.
    pub signed_transaction: String,
    /// Its renewal info, likewise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signed_renewal: Option<String>,
    /// The app's receipt as StoreKit 1 gives it, in base64, with all that the customer has.
    pub receipt: String,
    /// What Apple says of it.
    pub notifications: Vec<Notification>,
}

/// The certificates, and what signs with them.
pub(super) struct Signing {
    pki: Pki,
    signer: Signer,
}

impl Signing {
    /// The store's own.
    pub(super) fn new(keys: &StoreKeys, ocsp_url: &str) -> Result<Self, KeyError> {
        let pki = Pki::new(keys, ocsp_url)?;
        Ok(Self { signer: Signer::new(&pki), pki })
    }

    /// Somebody's who wants to be taken for it.
    pub(super) fn foreign(ocsp_url: &str) -> Result<Self, KeyError> {
        let pki = Pki::foreign(ocsp_url)?;
        Ok(Self { signer: Signer::new(&pki), pki })
    }
}

/// What the responder is told to say; the state is good until then.
#[derive(Debug, Default)]
pub(super) struct Revocation(Mutex<OcspIn>);

impl Revocation {
    pub(super) fn set(&self, wanted: OcspIn) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = wanted;
    }

    fn get(&self) -> OcspIn {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Buys; the notifications are not sent yet.
pub(super) fn buy(shops: &Shops, what: &BuyIn) -> Result<AppleDone, Refused> {
    if let Some(replaced) = &what.upgrade_of {
        let upgrade = ActIn {
            transaction_id: Some(replaced.clone()),
            product_id: Some(what.product_id.clone()),
            period_seconds: what.period_seconds,
            ..ActIn::default()
        };
        return act(shops, Action::Upgrade, &upgrade);
    }
    perform(shops, |kept, now_ms| buying::buy(kept, now_ms, what))
}

/// Lets something happen to a purchase; the notifications are not sent yet.
pub(super) fn act(shops: &Shops, action: Action, what: &ActIn) -> Result<AppleDone, Refused> {
    perform(shops, |kept, now_ms| actions::act(kept, now_ms, action, what))
}

fn perform(
    shops: &Shops,
    change: impl FnOnce(&mut Kept, i64) -> Result<Change, Refused>,
) -> Result<AppleDone, Refused> {
    let signing = shops.apple()?;
    shops.book().change(|kept| {
        let now_ms = shops.now_ms();
        let at = Moment { now_ms, signed_ms: kept.stamp(now_ms) };
        let Change { original, transaction, events } = change(kept, now_ms)?;
        let line = kept.apple.line(original).cloned();
        let line = line.ok_or_else(|| Refused::NotFound(format!("there is no purchase {original}")))?;
        let notices: Vec<Notice> = events.iter().map(|event| about(shops, signing, &line, event, at)).collect();
        let notifications = notices.iter().map(view).collect();
        kept.notices.extend(notices);
        let settings = shops.settings();
        let found = line.transaction(transaction).or_else(|| line.current());
        let signed = |payload: &Value| signing.signer.sign(payload);
        let of_customer: Vec<&Line> = kept.apple.of_customer(&line.customer, line.environment).collect();
        Ok(AppleDone {
            transaction_id: transaction.to_string(),
            original_transaction_id: original.to_string(),
            signed_transaction: found
                .map(|it| signed(&payloads::transaction(&line, it, settings, at.signed_ms)))
                .unwrap_or_default(),
            signed_renewal: payloads::renewal(&line, at).map(|payload| signed(&payload)),
            receipt: receipts::receipt(&of_customer, &signing.pki, settings, now_ms)?,
            notifications,
        })
    })
}

/// The notification of `event` on `line`.
fn about(shops: &Shops, signing: &Signing, line: &Line, event: &Event, at: Moment) -> Notice {
    let (settings, uuid) = (shops.settings(), uuid(shops.ids()));
    let transaction = line.transaction(event.transaction).or_else(|| line.current());
    let sign = |payload: &Value| signing.signer.sign(payload);
    let payload = payloads::notification(
        Envelope {
            kind: &event.kind,
            subtype: event.subtype.as_deref(),
            uuid: &uuid,
            environment: line.environment.as_str(),
            signed_ms: at.signed_ms,
            transaction: transaction.map(|it| sign(&payloads::transaction(line, it, settings, at.signed_ms))),
            renewal: payloads::renewal(line, at).map(|payload| sign(&payload)),
            status: line.status(at.now_ms),
        },
        settings,
    );
    Notice {
        id: uuid,
        store: Store::Apple,
        kind: event.kind.clone(),
        subtype: event.subtype.clone(),
        environment: line.environment,
        customer: Some(line.customer.clone()),
        transaction_id: Some(event.transaction.to_string()),
        original_transaction_id: Some(line.original.to_string()),
        purchase_token: None,
        at_ms: at.now_ms,
        signed: Some(sign(&payload)),
        payload,
        attempts: Vec::new(),
    }
}

/// A notification about no purchase, such as `TEST`; not sent yet.
pub(super) fn notify(
    shops: &Shops,
    environment: Environment,
    kind: &str,
    subtype: Option<&str>,
) -> Result<Notification, Refused> {
    let (signing, uuid) = (shops.apple()?, uuid(shops.ids()));
    Ok(shops.book().change(|kept| {
        let now_ms = shops.now_ms();
        let envelope = Envelope {
            kind,
            subtype,
            uuid: &uuid,
            environment: environment.as_str(),
            signed_ms: kept.stamp(now_ms),
            transaction: None,
            renewal: None,
            status: None,
        };
        let payload = payloads::notification(envelope, shops.settings());
        let notice = Notice {
            id: uuid.clone(),
            store: Store::Apple,
            kind: kind.to_owned(),
            subtype: subtype.map(str::to_owned),
            environment,
            customer: None,
            transaction_id: None,
            original_transaction_id: None,
            purchase_token: None,
            at_ms: now_ms,
            signed: Some(signing.signer.sign(&payload)),
            payload,
            attempts: Vec::new(),
        };
        let notification = view(&notice);
        kept.notices.push(notice);
        notification
    }))
}

/// `notice` as it is shown.
pub(super) fn view(notice: &Notice) -> Notification {
    let signed = notice.signed.clone().unwrap_or_default();
    notice.view(body(&signed))
}

/// The body of the request that delivers `signed`.
pub(super) fn body(signed: &str) -> Value {
    serde_json::json!({ "signedPayload": signed })
}

/// What is delivered of `notice` where it is forged so; `None` where Apple's notifications have nothing of the kind.
pub(super) fn forged(shops: &Shops, notice: &Notice, forge: Forge) -> Result<Option<String>, Refused> {
    let signing = shops.apple()?;
    let signed = notice.signed.clone().unwrap_or_default();
    let with = |name: &str, value: Value| {
        let mut payload = notice.payload.clone();
        payload["data"][name] = value;
        signing.signer.sign(&payload)
    };
    Ok(Some(match forge {
        Forge::Signature => signer::with_broken_signature(&signed),
        Forge::Alg => signing.signer.unsigned(&notice.payload),
        Forge::Chain => shops.foreign()?.signer.sign(&notice.payload),
        Forge::Inner => {
            let inner = notice.payload["data"]["signedTransactionInfo"].as_str().unwrap_or_default();
            with("signedTransactionInfo", shops.foreign()?.signer.sign(&signer::payload(inner)).into())
        }
        Forge::Bundle => with("bundleId", "com.example.other".into()),
        Forge::AppId => with("appAppleId", 1.into()),
        Forge::Environment => with("environment", "Xcode".into()),
        Forge::Garbage => "garbage".to_owned(),
        _ => return Ok(None),
    }))
}
