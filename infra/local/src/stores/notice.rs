//! What the stores have to tell the app's server: each notification, and how often it was sent.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::input::{Environment, Store};

/// One try to deliver a notification.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// When, Unix milliseconds.
    pub at_ms: i64,
    /// What the route answered.
    pub status: u16,
}

/// A notification as it is kept.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Notice {
    /// `notificationUUID` or `messageId`.
    pub(super) id: String,
    pub(super) store: Store,
    /// Apple's type, Google's name of the member with its number.
    pub(super) kind: String,
    pub(super) subtype: Option<String>,
    pub(super) environment: Environment,
    pub(super) customer: Option<String>,
    pub(super) transaction_id: Option<String>,
    pub(super) original_transaction_id: Option<String>,
    pub(super) purchase_token: Option<String>,
    pub(super) at_ms: i64,
    /// Apple's decoded payload, Google's `DeveloperNotification`.
    pub(super) payload: Value,
    /// Apple's `signedPayload`.
    pub(super) signed: Option<String>,
    pub(super) attempts: Vec<Attempt>,
}

impl Notice {
    /// As it is shown, delivered by `body`.
    pub(super) fn view(&self, body: Value) -> Notification {
        Notification {
            id: self.id.clone(),
            store: self.store,
            kind: self.kind.clone(),
            subtype: self.subtype.clone(),
            transaction_id: self.transaction_id.clone(),
            original_transaction_id: self.original_transaction_id.clone(),
            purchase_token: self.purchase_token.clone(),
            at_ms: self.at_ms,
            body,
            delivered: self.is_delivered(),
            attempts: self.attempts.clone(),
        }
    }

    /// Whether the app's server has taken it (facts 2.2, 2.7).
    pub(super) fn is_delivered(&self) -> bool {
        self.attempts.iter().any(|attempt| is_taken(self.store, attempt.status))
    }
}

/// Whether a store takes `status` as an acknowledgement.
pub(super) fn is_taken(store: Store, status: u16) -> bool {
    match store {
        Store::Apple => (200..=206).contains(&status),
        Store::Google => matches!(status, 102 | 200 | 201 | 202 | 204),
    }
}

/// A notification, as calls and tests see it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Notification {
    /// Apple's `notificationUUID`, Google's `messageId`.
    pub id: String,
    /// Whose it is.
    pub store: Store,
    /// Apple's `notificationType`; of Google's the member with its number, such as `subscription.4`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Apple's `subtype`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subtype: Option<String>,
    /// The transaction it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transaction_id: Option<String>,
    /// Its purchase.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub original_transaction_id: Option<String>,
    /// Google's purchase.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub purchase_token: Option<String>,
    /// When it came to be, Unix milliseconds.
    pub at_ms: i64,
    /// The body of the request that delivers it.
    pub body: Value,
    /// Whether it was taken.
    pub delivered: bool,
    /// Each try, oldest first.
    pub attempts: Vec<Attempt>,
}
