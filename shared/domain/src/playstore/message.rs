//! What a push says: Pub/Sub's envelope, and the notification inside it (`DeveloperNotification`; facts 2.7).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::push::Push;
use super::reason::Reason;
use super::token::PurchaseToken;
use super::words::{OneTimeEvent, RefundType, SubscriptionEvent, VoidedProduct};
use crate::Timestamp;
use crate::ids::is_id;

/// Longest body that is looked at, in bytes: a real one has about 1 KiB.
pub const MAX_BODY_BYTES: usize = 64 * 1024;

/// A message of ours. It says that something happened, never what is true of a purchase.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// What duplicates are told by, together with the subscription: 1 to 128 characters of `[A-Za-z0-9_.:-]`.
    pub id: String,
    /// When Pub/Sub took it, where it says so.
    pub published: Option<Timestamp>,
    /// When it happened.
    pub event_time: Timestamp,
    /// What happened.
    pub body: Body,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// To a subscription.
    Subscription {
        /// What.
        kind: SubscriptionEvent,
        /// Which.
        token: PurchaseToken,
    },
    /// To a one-time purchase.
    OneTime {
        /// What.
        kind: OneTimeEvent,
        /// Which.
        token: PurchaseToken,
        /// Its product, as the message says; what counts is what the API says.
        sku: Option<String>,
    },
    /// An order was cancelled, refunded or charged back.
    Voided {
        /// The purchase.
        token: PurchaseToken,
        /// The order, which need not be the purchase's newest.
        order_id: String,
        /// What was bought.
        product_type: VoidedProduct,
        /// Wholly or in part.
        refund_type: RefundType,
    },
    /// Google asks before it refunds. Recorded: Google decides alone where nobody answers.
    PendingRefundReview {
        /// The order.
        order_id: String,
        /// Why, as Google numbers it; 7 is a chargeback.
        refund_reason: Option<i64>,
        /// The token of the account that our app passed.
        account_token: Option<String>,
    },
    /// A test from the Play Console.
    Test,
    /// A kind that is new to us: stored, and that is all.
    Other,
}

impl Body {
    /// The purchase that it is about.
    pub fn token(&self) -> Option<&PurchaseToken> {
        match self {
            Self::Subscription { token, .. } | Self::OneTime { token, .. } | Self::Voided { token, .. } => Some(token),
            Self::PendingRefundReview { .. } | Self::Test | Self::Other => None,
        }
    }

    /// What happened in one word, for the ledger, logs and metrics, such as `SUBSCRIPTION_RENEWED`.
    pub fn name(&self) -> String {
        match self {
            Self::Subscription { kind, .. } => format!("SUBSCRIPTION_{kind}"),
            Self::OneTime { kind, .. } => format!("ONE_TIME_PRODUCT_{kind}"),
            Self::Voided { refund_type, .. } => format!("VOIDED_PURCHASE_{refund_type}"),
            Self::PendingRefundReview { .. } => "PENDING_REFUND_REVIEW".to_owned(),
            Self::Test => "TEST".to_owned(),
            Self::Other => "OTHER".to_owned(),
        }
    }
}

impl Push {
    /// The message in `body`, where it is from our subscription and about our app.
    ///
    /// # Errors
    /// Why it can never be used; none is [`Reason::is_authentication`], which is [`Push::bearer`]'s.
    pub fn message(&self, body: &[u8]) -> Result<Message, Reason> {
        if body.len() > MAX_BODY_BYTES {
            return Err(Reason::BodyTooLong);
        }
        let envelope: Envelope = typed(object(body).ok_or(Reason::BodyNotJson)?).ok_or(Reason::Envelope)?;
        let message = envelope.message;
        // Pub/Sub writes both spellings.
        let id = match (message.id, message.id_again) {
            (Some(one), Some(other)) if one != other => return Err(Reason::MessageId),
            (one, other) => one.or(other).filter(|id| is_id(id)).ok_or(Reason::MessageId)?,
        };
        if envelope.subscription != self.subscription {
            return Err(Reason::Subscription);
        }
        let data = message.data.filter(|data| !data.is_empty()).ok_or(Reason::DataMissing)?;
        let data = STANDARD.decode(data).map_err(|_| Reason::DataEncoding)?;
        let notification = object(&data).ok_or(Reason::DataNotJson)?;
        if notification.get("packageName").and_then(Value::as_str) != Some(&self.package_name) {
            return Err(Reason::Package);
        }
        let event_time = notification.get("eventTimeMillis").and_then(Value::as_str).and_then(moment);
        let published = message.published.or(message.published_again);
        Ok(Message {
            id,
            published: published.as_ref().and_then(Value::as_str).and_then(|text| text.parse().ok()),
            event_time: event_time.ok_or(Reason::EventTime)?,
            body: body_of(notification)?,
        })
    }
}

#[derive(Deserialize)]
struct Envelope {
    message: Inner,
    subscription: String,
}

#[derive(Deserialize)]
struct Inner {
    data: Option<String>,
    #[serde(rename = "messageId")]
    id: Option<String>,
    #[serde(rename = "message_id")]
    id_again: Option<String>,
    // Only told, so a strange one does no harm.
    #[serde(rename = "publishTime")]
    published: Option<Value>,
    #[serde(rename = "publish_time")]
    published_again: Option<Value>,
}

fn object(json: &[u8]) -> Option<Map<String, Value>> {
    serde_json::from_slice(json).ok()
}

fn typed<T: DeserializeOwned>(members: Map<String, Value>) -> Option<T> {
    serde_json::from_value(Value::Object(members)).ok()
}

/// Milliseconds in a text of digits.
fn moment(text: &str) -> Option<Timestamp> {
    let digits = (1..=19).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    let milliseconds = text.parse().ok().filter(|milliseconds| digits && *milliseconds > 0)?;
    Timestamp::from_millisecond(milliseconds).ok()
}

/// Reads one kind of notification.
type Read = fn(Map<String, Value>) -> Result<Body, Reason>;

const KINDS: [(&str, Read); 5] = [
    ("subscriptionNotification", subscription),
    ("oneTimeProductNotification", one_time),
    ("voidedPurchaseNotification", voided),
    ("pendingRefundReviewNotification", pending_refund_review),
    ("testNotification", |_| Ok(Body::Test)),
];

fn body_of(mut notification: Map<String, Value>) -> Result<Body, Reason> {
    notification.retain(|_, member| !member.is_null());
    let mut found = KINDS.iter().filter_map(|(name, read)| Some((read, notification.get(*name)?)));
    match (found.next(), found.next()) {
        (Some((read, Value::Object(members))), None) => read(members.clone()),
        (Some(_), None) => Err(Reason::NotificationShape),
        (Some(_), Some(_)) => Err(Reason::TwoNotifications),
        // A kind that is new to us is an object of its own beside the texts that every notification has.
        (None, _) if notification.values().any(Value::is_object) => Ok(Body::Other),
        (None, _) => Err(Reason::NoNotification),
    }
}

fn shaped<T: DeserializeOwned>(members: Map<String, Value>) -> Result<T, Reason> {
    typed(members).ok_or(Reason::NotificationShape)
}

fn token(text: String) -> Result<PurchaseToken, Reason> {
    text.try_into().map_err(|_| Reason::PurchaseToken)
}

fn order(id: String) -> Result<String, Reason> {
    if is_id(&id) { Ok(id) } else { Err(Reason::OrderId) }
}

fn subscription(members: Map<String, Value>) -> Result<Body, Reason> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Members {
        notification_type: SubscriptionEvent,
        purchase_token: String,
    }
    let Members { notification_type: kind, purchase_token } = shaped(members)?;
    Ok(Body::Subscription { kind, token: token(purchase_token)? })
}

fn one_time(members: Map<String, Value>) -> Result<Body, Reason> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Members {
        notification_type: OneTimeEvent,
        purchase_token: String,
        sku: Option<String>,
    }
    let Members { notification_type: kind, purchase_token, sku } = shaped(members)?;
    Ok(Body::OneTime { kind, token: token(purchase_token)?, sku })
}

fn voided(members: Map<String, Value>) -> Result<Body, Reason> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Members {
        purchase_token: String,
        order_id: String,
        product_type: VoidedProduct,
        refund_type: RefundType,
    }
    let Members { purchase_token, order_id, product_type, refund_type } = shaped(members)?;
    Ok(Body::Voided { token: token(purchase_token)?, order_id: order(order_id)?, product_type, refund_type })
}

fn pending_refund_review(members: Map<String, Value>) -> Result<Body, Reason> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Members {
        order_id: String,
        refund_reason: Option<i64>,
        obfuscated_account_id: Option<String>,
    }
    let Members { order_id, refund_reason, obfuscated_account_id } = shaped(members)?;
    Ok(Body::PendingRefundReview { order_id: order(order_id)?, refund_reason, account_token: obfuscated_account_id })
}
