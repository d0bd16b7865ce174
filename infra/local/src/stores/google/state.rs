//! What Google Play knows: purchases by their tokens, with their orders, and how each goes on (facts 2.7).

use std::collections::BTreeMap;

use satchel_domain::time::DAY;
use serde::{Deserialize, Serialize};

/// How long a purchase waits to be acknowledged, in milliseconds; a tester's shorter.
const ACKNOWLEDGE_MS: i64 = 3 * DAY * 1_000;
const ACKNOWLEDGE_TEST_MS: i64 = 5 * 60 * 1_000;
/// How long Google tries to bill in an account hold, in milliseconds.
const HOLD_MS: i64 = 60 * DAY * 1_000;
/// How long the token of an expired subscription can be read, in milliseconds.
const READABLE_MS: i64 = 60 * DAY * 1_000;

/// All purchases.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(in crate::stores) struct GoogleBook {
    pub(super) purchases: BTreeMap<String, Purchase>,
}

/// A purchase.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Purchase {
    pub(super) token: String,
    pub(super) product_id: String,
    /// Of subscriptions.
    pub(super) plan: Option<Plan>,
    pub(super) phase: Phase,
    pub(super) account_token: Option<String>,
    /// `linkedPurchaseToken`.
    pub(super) linked: Option<String>,
    /// The expired purchase it continues, until it is acknowledged.
    pub(super) continues: Option<String>,
    /// Bought by a tester.
    pub(super) test: bool,
    /// When it was paid for; none while it is not.
    pub(super) started_ms: Option<i64>,
    pub(super) price: i64,
    /// Oldest first.
    pub(super) orders: Vec<Order>,
    pub(super) acknowledged: bool,
    /// Grows with each change.
    pub(super) revision: u64,
}

/// A subscription's terms.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Plan {
    pub(super) period_s: i64,
    /// Length of the first period, which a trial has otherwise.
    pub(super) first_s: i64,
    /// What Google says: of a failed payment the end of the grace period.
    pub(super) expires_ms: i64,
    /// Until when it is paid for.
    pub(super) paid_ms: i64,
    pub(super) auto_renew: bool,
    pub(super) offer: Option<String>,
    /// The present period is a free trial.
    pub(super) trial: bool,
    /// The product it becomes at the next renewal.
    pub(super) deferred: Option<String>,
    pub(super) cancel: Option<Cancel>,
    /// When a pause ends, by itself or as it is planned.
    pub(super) resume_ms: Option<i64>,
    /// A new price, and whether the customer agreed.
    pub(super) new_price: Option<(i64, bool)>,
}

/// How it stands, as far as a call said so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Phase {
    Pending,
    PendingCanceled,
    Active,
    Grace,
    Hold,
    Paused,
    Expired,
    /// A one-time purchase that was taken back.
    Voided,
}

/// Who cancelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Cancel {
    /// The customer, when.
    User(i64),
    System,
    Developer,
    /// Another subscription took its place.
    Replaced,
}

/// An order.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Order {
    pub(super) id: String,
    pub(super) at_ms: i64,
    pub(super) voided: Option<Voided>,
}

/// How an order was taken back.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct Voided {
    pub(super) at_ms: i64,
    /// 0 the customer, 1 the developer, 2 Google.
    pub(super) source: i64,
    /// As Google numbers them (facts 2.7).
    pub(super) reason: i64,
}

/// A subscription's state by Google's word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Pending,
    PendingCanceled,
    Active,
    Canceled,
    Grace,
    Hold,
    Paused,
    Expired,
}

impl State {
    /// As Google writes it.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "SUBSCRIPTION_STATE_PENDING",
            Self::PendingCanceled => "SUBSCRIPTION_STATE_PENDING_PURCHASE_CANCELED",
            Self::Active => "SUBSCRIPTION_STATE_ACTIVE",
            Self::Canceled => "SUBSCRIPTION_STATE_CANCELED",
            Self::Grace => "SUBSCRIPTION_STATE_IN_GRACE_PERIOD",
            Self::Hold => "SUBSCRIPTION_STATE_ON_HOLD",
            Self::Paused => "SUBSCRIPTION_STATE_PAUSED",
            Self::Expired => "SUBSCRIPTION_STATE_EXPIRED",
        }
    }
}

impl Purchase {
    /// How the subscription stands at `now_ms`; one that nobody renews is over with its period.
    pub(super) fn state(&self, now_ms: i64) -> Option<State> {
        let plan = self.plan.as_ref()?;
        let is_over = now_ms >= plan.expires_ms;
        Some(match self.phase {
            Phase::Pending => State::Pending,
            Phase::PendingCanceled => State::PendingCanceled,
            Phase::Active if is_over => State::Expired,
            Phase::Active if plan.auto_renew => State::Active,
            Phase::Active => State::Canceled,
            Phase::Grace if !is_over => State::Grace,
            Phase::Grace | Phase::Hold if now_ms < plan.expires_ms.saturating_add(HOLD_MS) => State::Hold,
            Phase::Paused => State::Paused,
            Phase::Grace | Phase::Hold | Phase::Expired | Phase::Voided => State::Expired,
        })
    }

    /// The newest order.
    pub(super) fn order(&self) -> Option<&Order> {
        self.orders.last()
    }

    /// Whether it was paid for and not taken back.
    pub(super) fn is_owned(&self) -> bool {
        !matches!(self.phase, Phase::Pending | Phase::PendingCanceled | Phase::Voided)
    }

    /// When it is refunded, unless it is acknowledged before.
    pub(super) fn acknowledge_by_ms(&self) -> Option<i64> {
        let wait = if self.test { ACKNOWLEDGE_TEST_MS } else { ACKNOWLEDGE_MS };
        let is_live = self.is_owned() && self.phase != Phase::Expired;
        let waits = !self.acknowledged && is_live && self.order().is_some_and(|order| order.voided.is_none());
        self.started_ms.filter(|_| waits).map(|started| started.saturating_add(wait))
    }

    /// Whether it ended so long ago that its token is gone.
    pub(super) fn is_forgotten(&self, now_ms: i64) -> bool {
        let ended_ms = self.plan.as_ref().map(|plan| plan.expires_ms);
        self.state(now_ms) == Some(State::Expired)
            && ended_ms.is_some_and(|ended| now_ms > ended.saturating_add(READABLE_MS))
    }
}

impl GoogleBook {
    /// The purchases that nobody acknowledged in time, with the moment that it was over.
    pub(super) fn late(&self, now_ms: i64) -> Vec<(String, i64)> {
        let purchases = self.purchases.values();
        let due = purchases.filter_map(|it| Some((it.token.clone(), it.acknowledge_by_ms()?)));
        due.filter(|(_, by_ms)| *by_ms <= now_ms).collect()
    }
}
