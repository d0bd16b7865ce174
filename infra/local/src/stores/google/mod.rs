//! Google Play: purchases (`state`), what happens to them (`buying`, `actions`), and what answers an app's server
//! (`api`, `grant`); what Pub/Sub pushes is made by `push`.

mod actions;
mod api;
mod buying;
mod grant;
mod payloads;
mod push;
pub(super) mod state;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use serde_json::{Value, json};

use self::state::{Cancel, Phase, Voided};
use super::book::Kept;
use super::input::{ActIn, Action, BuyIn, Environment, Store};
use super::notice::{Notice, Notification};
use super::refused::Refused;
use super::shops::Shops;

pub(super) use api::{answer, no_app};
pub(super) use push::{bearer, body};

/// What a change was, and what Google says of it.
struct Change {
    token: String,
    events: Vec<Event>,
}

/// A notification to be made.
struct Event {
    token: String,
    news: News,
}

/// What a notification says.
#[derive(Debug, Clone)]
enum News {
    /// `subscriptionNotification`, by its number.
    Subscription(i64),
    /// `oneTimeProductNotification`, by its number.
    OneTime(i64),
    /// `voidedPurchaseNotification` of a full refund.
    Voided { order: String, product_type: i64 },
}

impl Event {
    fn new(token: &str, news: News) -> Self {
        Self { token: token.to_owned(), news }
    }
}

/// What a call to Google Play did.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct GoogleDone {
    /// The purchase.
    pub purchase_token: String,
    /// Its newest order, once it is paid for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub order_id: Option<String>,
    /// What the app sends to `POST /payments/verify`: base64 of `{packageName, purchaseToken}`.
    pub receipt_data: String,
    /// What Google says of it.
    pub notifications: Vec<Notification>,
}

/// Buys; the notifications are not sent yet.
pub(super) fn buy(shops: &Shops, what: &BuyIn) -> Result<GoogleDone, Refused> {
    perform(shops, |kept, now_ms| buying::buy(kept, shops.ids(), now_ms, what))
}

/// Lets something happen to a purchase; the notifications are not sent yet.
pub(super) fn act(shops: &Shops, action: Action, what: &ActIn) -> Result<GoogleDone, Refused> {
    perform(shops, |kept, now_ms| actions::act(kept, shops.ids(), now_ms, action, what))
}

fn perform(
    shops: &Shops,
    change: impl FnOnce(&mut Kept, i64) -> Result<Change, Refused>,
) -> Result<GoogleDone, Refused> {
    shops.book().change(|kept| {
        sweep(shops, kept);
        let Change { token, events } = change(kept, shops.now_ms())?;
        let notices = keep(shops, kept, &events);
        let purchase = kept.google.purchases.get(&token);
        let receipt = json!({ "packageName": shops.settings().package, "purchaseToken": token });
        Ok(GoogleDone {
            order_id: purchase.and_then(|purchase| purchase.order()).map(|order| order.id.clone()),
            receipt_data: STANDARD.encode(receipt.to_string()),
            notifications: notices.iter().map(|notice| view(shops, notice)).collect(),
            purchase_token: token,
        })
    })
}

/// Lets happen what came due before anybody reads.
fn settle(shops: &Shops) {
    let now_ms = shops.now_ms();
    if shops.book().read(|kept| !kept.google.late(now_ms).is_empty()) {
        shops.book().change(|kept| sweep(shops, kept));
    }
}

/// Refunds and revokes what nobody acknowledged in time. It happens when anybody asks or does anything, and what is said
/// of it waits for `deliver`.
fn sweep(shops: &Shops, kept: &mut Kept) {
    let now_ms = shops.now_ms();
    for (token, by_ms) in kept.google.late(now_ms) {
        let revision = kept.next();
        let Some(purchase) = kept.google.purchases.get_mut(&token) else { continue };
        let Some(order) = purchase.orders.last_mut() else { continue };
        order.voided = Some(Voided { at_ms: by_ms, source: 2, reason: 8 });
        let order = order.id.clone();
        purchase.revision = revision;
        let mut events = Vec::new();
        if let Some(plan) = &mut purchase.plan {
            (plan.expires_ms, plan.paid_ms) = (plan.expires_ms.min(by_ms), plan.paid_ms.min(by_ms));
            (plan.auto_renew, plan.cancel) = (false, Some(Cancel::System));
            purchase.phase = Phase::Expired;
            events.push(Event::new(&token, News::Voided { order, product_type: 1 }));
            for number in [actions::number::REVOKED, actions::number::EXPIRED] {
                events.push(Event::new(&token, News::Subscription(number)));
            }
        } else {
            purchase.phase = Phase::Voided;
            events.push(Event::new(&token, News::Voided { order, product_type: 2 }));
        }
        keep(shops, kept, &events);
    }
}

/// Makes the notifications of `events` and keeps them.
fn keep(shops: &Shops, kept: &mut Kept, events: &[Event]) -> Vec<Notice> {
    // All that one change says is said at one moment.
    let signed_ms = kept.stamp(shops.now_ms());
    let mut notices = Vec::new();
    for event in events {
        let product = kept.google.purchases.get(&event.token).map(|purchase| purchase.product_id.clone());
        let product = product.unwrap_or_default();
        let (kind, name, member) = match &event.news {
            News::Subscription(number) => (
                format!("subscription.{number}"),
                "subscriptionNotification",
                json!({
                    "version": "1.0", "notificationType": number, "purchaseToken": event.token,
                    "subscriptionId": product,
                }),
            ),
            News::OneTime(number) => (
                format!("one_time.{number}"),
                "oneTimeProductNotification",
                json!({ "version": "1.0", "notificationType": number, "purchaseToken": event.token, "sku": product }),
            ),
            News::Voided { order, product_type } => (
                "voided".to_owned(),
                "voidedPurchaseNotification",
                json!({
                    "purchaseToken": event.token, "orderId": order, "productType": product_type, "refundType": 1,
                }),
            ),
        };
        notices.push(notice(shops, kept, kind, Some(event.token.clone()), (name, member), signed_ms));
    }
    kept.notices.extend(notices.iter().cloned());
    notices
}

fn notice(
    shops: &Shops,
    kept: &mut Kept,
    kind: String,
    purchase_token: Option<String>,
    (name, member): (&str, Value),
    signed_ms: i64,
) -> Notice {
    let mut payload = json!({
        "version": "1.0", "packageName": shops.settings().package, "eventTimeMillis": signed_ms.to_string(),
    });
    payload[name] = member;
    Notice {
        id: format!("{}", 10_000_000_000_000_000 + kept.next()),
        store: Store::Google,
        kind,
        subtype: None,
        environment: Environment::Production,
        customer: None,
        transaction_id: None,
        original_transaction_id: None,
        purchase_token,
        at_ms: shops.now_ms(),
        payload,
        signed: None,
        attempts: Vec::new(),
    }
}

/// A `testNotification`; not sent yet.
pub(super) fn notify_test(shops: &Shops) -> Notification {
    shops.book().change(|kept| {
        let signed_ms = kept.stamp(shops.now_ms());
        let member = ("testNotification", json!({ "version": "1.0" }));
        let notice = notice(shops, kept, "test".to_owned(), None, member, signed_ms);
        let notification = view(shops, &notice);
        kept.notices.push(notice);
        notification
    })
}

/// `notice` as it is shown.
pub(super) fn view(shops: &Shops, notice: &Notice) -> Notification {
    notice.view(body(shops, notice, None))
}
