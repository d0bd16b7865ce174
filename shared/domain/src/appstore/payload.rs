//! What Apple signs, as far as the entitlement needs it (facts 2.2 to 2.4). Members that are not read here stay in the
//! event's raw body.
//!
//! Dates are milliseconds, and may have fractions: Xcode writes 1697679936049.7297.

use serde::de::{Deserialize, Deserializer, Error as _};
use serde_json::{Map, Number, Value};

use super::reason::Reason;
use super::words::{
    NotificationType, OfferDiscount, Ownership, ProductType, RevocationType, Subtype, TransactionReason,
};
use crate::Timestamp;

/// A notification (facts 2.2); its inner texts stand beside it, verified, in [`super::Event`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notification {
    /// What it is about.
    pub notification_type: NotificationType,
    /// What exactly.
    pub subtype: Option<Subtype>,
    /// What duplicates are told by. Never the text or a hash of it: an ECDSA signature can be altered and still verify.
    pub uuid: String,
    /// When Apple signed it.
    pub signed_date: Timestamp,
    /// Which of the four bodies it has, with what is read of it.
    pub body: Body,
}

/// The body of a notification.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// `data`: about one purchase, or a test.
    Data {
        /// 1 active, 2 expired, 3 billing retry, 4 grace, 5 revoked (facts 2.5).
        status: Option<i64>,
        /// Why Apple asks how something was used.
        consumption_request_reason: Option<String>,
    },
    /// `summary`: the end of an extension for many.
    Summary {
        /// The request it answers.
        request_identifier: Option<String>,
        /// The product that was extended.
        product_id: Option<String>,
        /// For how many it worked.
        succeeded: Option<i64>,
        /// For how many it did not.
        failed: Option<i64>,
    },
    /// `externalPurchaseToken`: a purchase outside of the store.
    ExternalPurchase {
        /// Its id.
        id: String,
    },
    /// `appData`: about the app as a whole, such as a parent's consent that was withdrawn.
    App,
}

/// A transaction (facts 2.3).
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Transaction {
    /// This transaction; up to 20 digits.
    #[serde(deserialize_with = "digits")]
    pub transaction_id: String,
    /// The first of its line, which may span lapses and changes of product; up to 20 digits.
    #[serde(deserialize_with = "digits")]
    pub original_transaction_id: String,
    /// The period of a subscription.
    pub web_order_line_item_id: Option<String>,
    /// The download of the app it was bought in.
    pub app_transaction_id: Option<String>,
    /// The app.
    pub bundle_id: String,
    /// The product.
    pub product_id: String,
    /// The group within which one subscription is active at a time.
    pub subscription_group_identifier: Option<String>,
    /// What was bought.
    #[serde(rename = "type")]
    pub product_type: ProductType,
    /// How many.
    pub quantity: Option<i64>,
    /// When it was bought or renewed; may lie ahead of `signed_date`, since renewals are signed ahead.
    #[serde(deserialize_with = "date")]
    pub purchase_date: Timestamp,
    /// When the first of its line was bought.
    #[serde(default, deserialize_with = "some_date")]
    pub original_purchase_date: Option<Timestamp>,
    /// Until when it is paid for; subscriptions only.
    #[serde(default, deserialize_with = "some_date")]
    pub expires_date: Option<Timestamp>,
    /// When Apple signed it: the newer one counts.
    #[serde(deserialize_with = "date")]
    pub signed_date: Timestamp,
    /// Whose it is.
    pub in_app_ownership_type: Option<Ownership>,
    /// The token of the account that our app passed.
    pub app_account_token: Option<String>,
    /// Whether an upgrade replaced it.
    #[serde(default)]
    pub is_upgraded: bool,
    /// Why there is one.
    pub transaction_reason: Option<TransactionReason>,
    /// `Production` or `Sandbox`.
    pub environment: String,
    /// Country of the store, ISO 3166-1 alpha-3.
    pub storefront: Option<String>,
    /// Price in thousandths of the currency.
    pub price: Option<i64>,
    /// ISO 4217.
    pub currency: Option<String>,
    /// 1 introductory, 2 promotional, 3 offer code, 4 win-back.
    pub offer_type: Option<i64>,
    /// Which offer.
    pub offer_identifier: Option<String>,
    /// How the offer is paid for: `FREE_TRIAL` makes it a trial.
    pub offer_discount_type: Option<OfferDiscount>,
    /// Its length, ISO 8601.
    pub offer_period: Option<String>,
    /// When it was taken back.
    #[serde(default, deserialize_with = "some_date")]
    pub revocation_date: Option<Timestamp>,
    /// 0 other, 1 a fault of the app.
    pub revocation_reason: Option<i64>,
    /// How it was taken back.
    pub revocation_type: Option<RevocationType>,
    /// How much of it, in thousandths of a percent.
    pub revocation_percentage: Option<i64>,
    /// How it is billed: `BILLED_UPFRONT` or `MONTHLY`.
    pub billing_plan_type: Option<String>,
}

/// Renewal info (facts 2.4). It names no app: it counts only beside the transaction it belongs to.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Renewal {
    /// The purchase; up to 20 digits.
    #[serde(deserialize_with = "digits")]
    pub original_transaction_id: String,
    /// What it will renew as.
    pub auto_renew_product_id: Option<String>,
    /// What it is now.
    pub product_id: Option<String>,
    /// 1 where it will renew.
    pub auto_renew_status: i64,
    /// 1 cancelled, 2 billing error, 3 no consent to a price, 4 product gone, 5 other.
    pub expiration_intent: Option<i64>,
    /// Whether Apple still tries to bill.
    pub is_in_billing_retry_period: Option<bool>,
    /// Until when access goes on while Apple tries.
    #[serde(default, deserialize_with = "some_date")]
    pub grace_period_expires_date: Option<Timestamp>,
    /// 0 not answered, 1 agreed or told.
    pub price_increase_status: Option<i64>,
    /// The next offer: 1 introductory, 2 promotional, 3 offer code, 4 win-back.
    pub offer_type: Option<i64>,
    /// Which offer.
    pub offer_identifier: Option<String>,
    /// How the offer is paid for.
    pub offer_discount_type: Option<OfferDiscount>,
    /// When it renews next.
    #[serde(default, deserialize_with = "some_date")]
    pub renewal_date: Option<Timestamp>,
    /// Price of the next period in thousandths of the currency.
    pub renewal_price: Option<i64>,
    /// ISO 4217.
    pub currency: Option<String>,
    /// When the newest unbroken run began.
    #[serde(default, deserialize_with = "some_date")]
    pub recent_subscription_start_date: Option<Timestamp>,
    /// The token of the account that our app passed.
    pub app_account_token: Option<String>,
    /// The download of the app it was bought in.
    pub app_transaction_id: Option<String>,
    /// When Apple signed it: the newer one counts.
    #[serde(deserialize_with = "date")]
    pub signed_date: Timestamp,
    /// `Production` or `Sandbox`.
    pub environment: String,
}

impl Renewal {
    /// Whether the next period will be billed.
    pub fn will_renew(&self) -> bool {
        self.auto_renew_status == 1
    }
}

/// What a signed payload is. Nothing in it says so: a member that only this kind has does (facts 2.1, 9).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Notification,
    Transaction,
    Renewal,
}

impl Kind {
    const MARKS: [(&'static str, Self); 3] = [
        ("notificationUUID", Self::Notification),
        ("transactionId", Self::Transaction),
        ("autoRenewStatus", Self::Renewal),
    ];

    /// Whether `payload` can be what is expected at all. Transactions, renewal info and app transactions are signed for
    /// every device: they are told from a notification that is new to us before anything else is asked of them.
    pub(super) fn claims(self, payload: &Map<String, Value>) -> Result<(), Reason> {
        let [(mark, _), ..] = Self::MARKS;
        if self == Self::Notification && !payload.contains_key(mark) { Err(Reason::NoNotification) } else { Ok(()) }
    }

    /// Whether `payload` has the mark of this kind and of no other.
    pub(super) fn check(self, payload: &Map<String, Value>) -> Result<(), Reason> {
        let holds = Self::MARKS.iter().all(|(mark, kind)| payload.contains_key(*mark) == (*kind == self));
        if holds { Ok(()) } else { Err(Reason::Kind) }
    }
}

/// The date of `value`, in milliseconds.
pub(super) fn moment(value: &Number) -> Option<Timestamp> {
    // A float beyond the integers becomes the nearest one, which no calendar holds.
    let milliseconds = value.as_i64().or_else(|| value.as_f64().map(|float| float.floor() as i64))?;
    Timestamp::from_millisecond(milliseconds).ok().filter(|_| milliseconds > 0)
}

pub(super) fn date<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
    moment(&Number::deserialize(deserializer)?).ok_or_else(|| D::Error::custom("no date"))
}

fn some_date<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
    let Some(number) = Option::<Number>::deserialize(deserializer)? else { return Ok(None) };
    moment(&number).map(Some).ok_or_else(|| D::Error::custom("no date"))
}

/// An id that goes into keys and paths (facts 2.6: `^[0-9]{1,20}$`).
fn digits<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let id = String::deserialize(deserializer)?;
    let fits = (1..=20).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_digit());
    if fits { Ok(id) } else { Err(D::Error::custom("no id of a transaction")) }
}
