//! What control calls take, and what tests write in Rust: the same structs.

use serde::{Deserialize, Serialize};

use super::product::ProductKind;
use super::refused::Refused;

/// A store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Store {
    /// The App Store.
    Apple,
    /// Google Play.
    Google,
}

/// Apple's environment. Google marks purchases of testers instead.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Environment {
    /// Real purchases.
    #[default]
    Production,
    /// Purchases of testers.
    Sandbox,
}

impl Environment {
    /// As Apple writes it.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Production => "Production",
            Self::Sandbox => "Sandbox",
        }
    }
}

/// When the notifications of a call are sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Deliver {
    /// Before the call is answered.
    #[default]
    Now,
    /// When `deliver` is called.
    Hold,
}

/// What `POST /_local/stores/{store}/buy` takes.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BuyIn {
    /// The product.
    pub product_id: String,
    /// What it is, where its id does not say so.
    pub kind: Option<ProductKind>,
    /// Apple's `appAccountToken`, Google's `obfuscatedExternalAccountId`.
    pub account_token: Option<String>,
    /// Apple's environment.
    pub environment: Environment,
    /// Bought by a tester: Google's `testPurchase`, Apple's sandbox.
    pub test: bool,
    /// Begins with a free trial.
    pub trial: bool,
    /// Its length; a week without.
    pub trial_seconds: Option<i64>,
    /// Apple: shared by somebody of the family.
    pub family_shared: bool,
    /// Google: not paid for yet.
    pub pending: bool,
    /// An offer by its id: Apple's promotional offers, Google's `offerId`.
    pub offer: Option<String>,
    /// Length of a period, where the product's is not wanted.
    pub period_seconds: Option<i64>,
    /// Apple: whose Apple Account buys. All that one customer bought is in one history and one receipt; without this each
    /// purchase is another customer's.
    pub customer: Option<String>,
    /// Apple: a lapsed purchase that is taken up again (`RESUBSCRIBE`), maybe with another account token.
    pub original_transaction_id: Option<String>,
    /// What this replaces: Google's `linkedPurchaseToken`, a transaction of Apple's.
    #[serde(alias = "linked_token")]
    pub upgrade_of: Option<String>,
    /// Google: the expired purchase that this one, bought outside of the app, continues.
    pub continues: Option<String>,
    /// When its notifications are sent.
    pub deliver: Deliver,
}

impl BuyIn {
    /// A purchase of `product_id`.
    #[must_use]
    pub fn of(product_id: &str) -> Self {
        Self { product_id: product_id.to_owned(), ..Self::default() }
    }
}

/// What the other calls take; each reads what it needs.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ActIn {
    /// Apple: a transaction. What concerns a whole purchase takes any of it.
    pub transaction_id: Option<String>,
    /// Apple: the purchase.
    pub original_transaction_id: Option<String>,
    /// Google: the purchase.
    pub purchase_token: Option<String>,
    /// Google: an order of it, for `refund` and `void`; the newest without.
    pub order_id: Option<String>,
    /// The product of `upgrade` and `downgrade`.
    pub product_id: Option<String>,
    /// Length of the next period.
    pub period_seconds: Option<i64>,
    /// Length of the grace period (Apple's 16 days, Google's 7), the extension (30 days), the pause (30 days).
    pub seconds: Option<i64>,
    /// Why: of `expire` `voluntary`, `billing_retry`, `price_increase`, `product_not_for_sale`; of an Apple refund
    /// `app_issue`; of `void` Google's number.
    pub reason: Option<String>,
    /// Apple's refund of a part, in percent.
    pub percent: Option<i64>,
    /// `refund` of Google's: whether access ends too; it does for the newest order.
    pub revoke: Option<bool>,
    /// `price_increase`: whether the customer agreed.
    pub accepted: bool,
    /// `price_increase`: the new price, in thousandths of the currency.
    pub price: Option<i64>,
    /// `transfer`: the account token from now on, at Apple of new transactions alone; none takes it away.
    pub account_token: Option<String>,
    /// `pause`: from the next period on, instead of at once.
    pub schedule: bool,
    /// `notify`: Apple's type, Google's number, or `test`.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// `notify`: Apple's subtype.
    pub subtype: Option<String>,
    /// When its notifications are sent.
    pub deliver: Deliver,
}

impl ActIn {
    /// About the purchase or transaction `id` of either store.
    #[must_use]
    pub fn on(id: &str) -> Self {
        let is_number = id.bytes().all(|byte| byte.is_ascii_digit());
        let id = Some(id.to_owned());
        if is_number {
            return Self { transaction_id: id, ..Self::default() };
        }
        Self { purchase_token: id, ..Self::default() }
    }
}

/// Periods by control calls: more than nothing, at most ten years.
pub(super) fn seconds(given: Option<i64>, default: i64) -> Result<i64, Refused> {
    let seconds = given.unwrap_or(default);
    if (1..=315_360_000).contains(&seconds) {
        return Ok(seconds);
    }
    Err(Refused::invalid("seconds must be between 1 and 315360000"))
}

macro_rules! actions {
    ($($name:ident = $text:literal)*) => {
        /// What can happen to a purchase.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(super) enum Action {
            $($name,)*
        }

        impl Action {
            const ALL: &[(&str, Self)] = &[$(($text, Self::$name),)*];
        }
    };
}

actions! {
    Renew = "renew"
    Fail = "fail"
    GraceExpire = "grace_expire"
    Hold = "hold"
    Recover = "recover"
    Expire = "expire"
    Cancel = "cancel"
    Resume = "resume"
    Refund = "refund"
    RefundReverse = "refund_reverse"
    Revoke = "revoke"
    Upgrade = "upgrade"
    Downgrade = "downgrade"
    Pause = "pause"
    Transfer = "transfer"
    Extend = "extend"
    PriceIncrease = "price_increase"
    Complete = "complete"
    Void = "void"
    Notify = "notify"
}

impl Action {
    /// The action `text` names.
    pub(super) fn find(text: &str) -> Result<Self, Refused> {
        let found = Self::ALL.iter().find(|(name, _)| *name == text);
        found.map(|(_, action)| *action).ok_or_else(|| {
            let all: Vec<&str> = Self::ALL.iter().map(|(name, _)| *name).collect();
            Refused::NotFound(format!("there is no `{text}`, but: buy, {}", all.join(", ")))
        })
    }
}
