//! A purchase in one form, whichever of the API's two it came in: what is kept of it in its row.

use serde::{Deserialize, Serialize};

use super::wire::{ProductPurchaseV2, SubscriptionLine, SubscriptionPurchaseV2};
use crate::time::DAY;

/// How long a purchase may wait for its acknowledgement before Google refunds it, in seconds.
const ACKNOWLEDGE_WITHIN: i64 = 3 * DAY;
/// The same for a license tester's purchase, in seconds (facts 2.7: 301 measured).
const ACKNOWLEDGE_TEST_WITHIN: i64 = 300;
/// A prepaid plan shorter than this must be acknowledged within half of it, in seconds.
const WEEK: i64 = 7 * DAY;

/// What was bought.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A subscription; of one line, or of several with add-ons.
    Subscription,
    /// Something bought once.
    OneTime,
}

/// The state of a purchase as Google last said it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum State {
    /// Not paid yet.
    Pending,
    /// Paid; of a one-time purchase `PURCHASED`.
    Active,
    /// Of a subscription: it will not renew, and lasts to its end. Of a one-time purchase: over.
    Canceled,
    /// A payment failed; the store gives time.
    Grace,
    /// A payment failed and the time is over.
    Hold,
    /// The person paused it.
    Paused,
    /// Over.
    Expired,
    /// Never paid, and given up.
    PendingCanceled,
    /// A word that is new to us, as it came.
    Unknown(String),
}

/// Each state as it is kept, and as the API writes it behind `SUBSCRIPTION_STATE_`.
const STATES: [(State, &str, &str); 8] = [
    (State::Pending, "pending", "PENDING"),
    (State::Active, "active", "ACTIVE"),
    (State::Canceled, "canceled", "CANCELED"),
    (State::Grace, "grace", "IN_GRACE_PERIOD"),
    (State::Hold, "hold", "ON_HOLD"),
    (State::Paused, "paused", "PAUSED"),
    (State::Expired, "expired", "EXPIRED"),
    (State::PendingCanceled, "pending_canceled", "PENDING_PURCHASE_CANCELED"),
];

/// What an unknown word begins with where it is kept: no word of the store is ever taken for one of ours.
const UNKNOWN: char = '?';

impl State {
    fn of_subscription(word: String) -> Self {
        let rest = word.strip_prefix("SUBSCRIPTION_STATE_");
        let known = STATES.into_iter().find(|(_, _, theirs)| rest == Some(theirs));
        known.map_or(Self::Unknown(word), |(state, _, _)| state)
    }

    fn of_one_time(word: String) -> Self {
        match word.as_str() {
            "PURCHASED" => Self::Active,
            "CANCELLED" => Self::Canceled,
            "PENDING" => Self::Pending,
            _ => Self::Unknown(word),
        }
    }
}

impl From<State> for String {
    fn from(state: State) -> Self {
        match STATES.iter().find(|(known, _, _)| *known == state) {
            Some((_, ours, _)) => (*ours).to_owned(),
            None => match state {
                State::Unknown(word) => format!("{UNKNOWN}{word}"),
                _ => UNKNOWN.to_string(),
            },
        }
    }
}

impl From<String> for State {
    fn from(text: String) -> Self {
        match STATES.into_iter().find(|(_, ours, _)| *ours == text) {
            Some((state, _, _)) => state,
            None => Self::Unknown(text.strip_prefix(UNKNOWN).unwrap_or(&text).to_owned()),
        }
    }
}

/// A purchase, as Google last said it. Times are Unix seconds; tokens stand as their hashes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Purchase {
    /// What was bought.
    pub kind: Kind,
    /// Its state.
    pub state: State,
    /// Its products.
    pub lines: Vec<Line>,
    /// When it was bought; none while it was never paid for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started: Option<i64>,
    /// Whether we told Google that we gave what was bought.
    #[serde(default)]
    pub acknowledged: bool,
    /// The purchase that this one took the place of (`linkedPurchaseToken`): its token's hash.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub linked_token: Option<String>,
    /// The expired purchase that this one continues, bought outside of the app: its token's hash.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expired_token: Option<String>,
    /// The token of the account that our app passed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account_token: Option<String>,
    /// The token of the account of the expired purchase that this one continues.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expired_account_token: Option<String>,
    /// Whether a license tester bought it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub test: bool,
    /// When a paused one goes on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auto_resume: Option<i64>,
    /// The first order that is known of it, without a renewal's number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_order: Option<String>,
}

/// One product of a purchase.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// The product.
    pub product_id: String,
    /// Its newest order that was paid; none where the line is not the buyer's yet, or the store names none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order_id: Option<String>,
    /// Until when it is paid for, Unix seconds; in a grace period the end of that. One-time purchases have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<i64>,
    /// Whether the next period will be billed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub will_renew: bool,
    /// Whether each period is paid for in advance, by hand.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub prepaid: bool,
    /// Whether this period is free.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub trial: bool,
    /// The product that it becomes at its next renewal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deferred_to: Option<String>,
}

impl Purchase {
    /// Whether it is paid for, or was until it ended by itself.
    fn is_purchased(&self) -> bool {
        let subscription = self.kind == Kind::Subscription;
        match self.state {
            State::Active => true,
            State::Canceled | State::Grace | State::Hold | State::Paused => subscription,
            // What was never paid for has no start.
            State::Unknown(_) => subscription && self.started.is_some(),
            State::Pending | State::Expired | State::PendingCanceled => false,
        }
    }

    /// Whether Google waits for our acknowledgement. Cancelling does not end that duty, and what is not paid for yet must
    /// never be acknowledged.
    pub fn acknowledgement_due(&self) -> bool {
        !self.acknowledged && self.is_purchased()
    }

    /// When Google refunds it unless it is acknowledged, Unix seconds; none where no acknowledgement is due. `seen` is
    /// when it was first seen, for one whose start the store does not say.
    pub fn acknowledgement_deadline(&self, seen: i64) -> Option<i64> {
        if !self.acknowledgement_due() {
            return None;
        }
        let start = self.started.unwrap_or(seen);
        let prepaid = self.lines.iter().filter(|line| line.prepaid).filter_map(|line| line.expires);
        let halves = prepaid.map(|end| end.saturating_sub(start)).filter(|period| *period < WEEK).map(|it| it / 2);
        let test = self.test.then_some(ACKNOWLEDGE_TEST_WITHIN);
        let within = halves.chain(test).min().map_or(ACKNOWLEDGE_WITHIN, |it| it.clamp(0, ACKNOWLEDGE_WITHIN));
        Some(start.saturating_add(within))
    }
}

fn is_acknowledged(state: Option<&str>) -> bool {
    state == Some("ACKNOWLEDGEMENT_STATE_ACKNOWLEDGED")
}

/// The order `id` without the number of a renewal: `GPA.1-2..3` is the fourth renewal of `GPA.1-2`.
fn first_order(id: &str) -> &str {
    match id.rsplit_once("..") {
        Some((first, number)) if !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()) => first,
        _ => id,
    }
}

fn worded(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.is_empty())
}

impl From<SubscriptionPurchaseV2> for Purchase {
    fn from(answer: SubscriptionPurchaseV2) -> Self {
        // A line without an order, beside one that has one, is not the buyer's yet. Where no line has one, the answer is
        // of a time when orders stood beside the lines.
        let fallback = worded(answer.latest_order_id);
        let named = |line: &SubscriptionLine| line.latest_successful_order_id.as_ref().is_some_and(|id| !id.is_empty());
        let fallback = fallback.filter(|_| !answer.line_items.iter().any(named));
        let lines: Vec<Line> = answer.line_items.into_iter().map(|line| Line::of(line, fallback.as_ref())).collect();
        let out_of_app = answer.out_of_app_purchase_context;
        let expired_account = out_of_app.as_ref().and_then(|it| it.expired_external_account_identifiers.clone());
        Self {
            kind: Kind::Subscription,
            state: State::of_subscription(answer.subscription_state),
            started: answer.start_time.map(|at| at.as_second()),
            acknowledged: is_acknowledged(answer.acknowledgement_state.as_deref()),
            linked_token: answer.linked_purchase_token,
            expired_token: out_of_app.and_then(|it| it.expired_purchase_token),
            account_token: worded(answer.external_account_identifiers.and_then(|it| it.obfuscated_external_account_id)),
            expired_account_token: worded(expired_account.and_then(|it| it.obfuscated_external_account_id)),
            test: answer.test_purchase.is_some(),
            auto_resume: answer.paused_state_context.and_then(|it| it.auto_resume_time).map(|at| at.as_second()),
            first_order: lines.iter().find_map(|line| line.order_id.as_deref()).map(first_order).map(str::to_owned),
            lines,
        }
    }
}

impl Line {
    fn of(line: SubscriptionLine, fallback: Option<&String>) -> Self {
        let renews = line.auto_renewing_plan.is_some_and(|plan| plan.auto_renew_enabled == Some(true));
        Self {
            product_id: line.product_id,
            order_id: worded(line.latest_successful_order_id).or(fallback.cloned()),
            expires: line.expiry_time.map(|at| at.as_second()),
            will_renew: renews && line.deferred_item_removal.is_none(),
            prepaid: line.prepaid_plan.is_some(),
            trial: line.offer_phase.is_some_and(|phase| phase.free_trial.is_some()),
            deferred_to: line.deferred_item_replacement.and_then(|it| it.product_id),
        }
    }
}

impl From<ProductPurchaseV2> for Purchase {
    fn from(answer: ProductPurchaseV2) -> Self {
        let order_id = worded(answer.order_id);
        let lines = answer.product_line_item.into_iter().map(|line| Line {
            product_id: line.product_id,
            order_id: order_id.clone(),
            expires: None,
            will_renew: false,
            prepaid: false,
            trial: false,
            deferred_to: None,
        });
        Self {
            kind: Kind::OneTime,
            state: State::of_one_time(answer.purchase_state_context.purchase_state),
            lines: lines.collect(),
            started: answer.purchase_completion_time.map(|at| at.as_second()),
            acknowledged: is_acknowledged(answer.acknowledgement_state.as_deref()),
            linked_token: None,
            expired_token: None,
            account_token: worded(answer.obfuscated_external_account_id),
            expired_account_token: None,
            test: answer.test_purchase_context.is_some(),
            auto_resume: None,
            first_order: order_id.as_deref().map(first_order).map(str::to_owned),
        }
    }
}
