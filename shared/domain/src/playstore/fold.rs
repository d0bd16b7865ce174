//! What a purchase gives: the newest answer of the API, joined with what it does not say (facts 2.7 and 2.8).
//!
//! | Google | gives |
//! | --- | --- |
//! | `ACTIVE`, `CANCELED` | active until `expiryTime` |
//! | `IN_GRACE_PERIOD` | grace until `expiryTime`, which Google has put off to the end of the grace |
//! | `ON_HOLD`, `PAUSED`, `PENDING` | hold, paused, pending |
//! | `EXPIRED`, `PENDING_PURCHASE_CANCELED` | expired |
//! | one-time `PURCHASED` | owned; active for so many days where the catalogue says so |
//! | one-time `CANCELLED`, `PENDING` | expired, pending |
//! | a state that is new to us | active until `expiryTime`: what is paid for stays, and nothing is added |
//! | its newest order was voided | revoked; an older order changes nothing |
//! | another purchase took its place | expired from then on |
//! | the store does not know it any more | expired from then on |

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::purchase::{Kind, Line, Purchase, State};
use crate::entitlements::{AddOn, Platform, Source, Status};
use crate::purchases::{Catalogue, Product};
use crate::time::DAY;

/// The end of what never gave anything, Unix seconds: not its last fetch, which would look like an access that has just
/// ended.
const NEVER: i64 = 0;

/// What is known of a purchase. Times are Unix seconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// What the API answered last.
    pub purchase: Purchase,
    /// When it answered that.
    pub fetched_at: i64,
    /// Orders that were wholly voided, and when.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub voided: BTreeMap<String, i64>,
    /// When another purchase, linked to this one and paid for, took its place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaced_at: Option<i64>,
    /// When the store said that it does not know the purchase any more, and that this is for good.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gone: Option<i64>,
    /// When a one-time purchase was first seen to be over, after it had been paid for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lapsed_at: Option<i64>,
}

/// What a line gives, without the time.
struct Verdict {
    status: Status,
    expires_at: Option<i64>,
    revoked_at: Option<i64>,
}

impl Verdict {
    fn new(status: Status, expires_at: Option<i64>) -> Self {
        Self { status, expires_at, revoked_at: None }
    }
}

impl Facts {
    /// What is known of a purchase that is seen for the first time.
    pub fn new(purchase: Purchase, fetched_at: i64) -> Self {
        Self { purchase, fetched_at, voided: BTreeMap::new(), replaced_at: None, gone: None, lapsed_at: None }
    }

    /// The same purchase after another fetch. What the API says once only stays known: the first order, and what an
    /// acknowledgement makes vanish.
    pub fn fetched(self, purchase: Purchase, fetched_at: i64) -> Self {
        let before = self.purchase;
        let is_over = purchase.kind == Kind::OneTime && purchase.state == State::Canceled;
        let was_paid = before.kind == Kind::OneTime && before.state == State::Active;
        let lapsed_at = self.lapsed_at.or(was_paid.then_some(fetched_at)).filter(|_| is_over);
        let purchase = Purchase {
            first_order: before.first_order.or(purchase.first_order),
            linked_token: purchase.linked_token.or(before.linked_token),
            expired_token: purchase.expired_token.or(before.expired_token),
            account_token: purchase.account_token.or(before.account_token),
            expired_account_token: purchase.expired_account_token.or(before.expired_account_token),
            ..purchase
        };
        Self { purchase, fetched_at, gone: None, lapsed_at, ..self }
    }

    /// Whether it is paid for at `now` by what the API said last.
    pub fn is_live(&self, now: i64) -> bool {
        let purchase = &self.purchase;
        if self.gone.is_some() || self.replaced_at.is_some() {
            return false;
        }
        match purchase.kind {
            Kind::OneTime => matches!(purchase.state, State::Active | State::Pending),
            Kind::Subscription => purchase.lines.iter().any(|line| line.expires.is_some_and(|end| end > now)),
        }
    }

    /// `order` was wholly voided at `at`; the first time counts.
    pub fn void(&mut self, order: impl Into<String>, at: i64) {
        self.voided.entry(order.into()).or_insert(at);
    }

    /// What the purchase gives: one source an add-on, of the line that gives most where several give it. `id` is what
    /// the purchase is called in keys, for one whose orders the store does not name.
    pub fn sources(&self, id: &str, catalogue: &Catalogue, slack: i64) -> BTreeMap<AddOn, Source> {
        let mut sources: BTreeMap<AddOn, Source> = BTreeMap::new();
        for line in &self.purchase.lines {
            let Some(product) = catalogue.get(&line.product_id) else { continue };
            let source = self.source(line, product, id, catalogue, slack);
            if sources.get(&product.add_on).is_none_or(|other| weight(other) < weight(&source)) {
                sources.insert(product.add_on, source);
            }
        }
        sources
    }

    fn source(&self, line: &Line, product: &Product, id: &str, catalogue: &Catalogue, slack: i64) -> Source {
        let purchase = &self.purchase;
        let Verdict { status, expires_at, revoked_at } = self.verdict(line, product);
        let becomes = line.deferred_to.as_deref().unwrap_or(&line.product_id);
        let goes_on = line.will_renew && catalogue.add_on(becomes) == Some(product.add_on);
        let order = line.order_id.as_deref();
        let first = purchase.first_order.as_deref().or(order);
        Source {
            platform: Platform::Android,
            status,
            expires_at,
            grace_until: expires_at.filter(|_| status == Status::Grace),
            revoked_at,
            will_renew: status == Status::Active && purchase.state == State::Active && goes_on,
            slack,
            is_trial: line.trial && status != Status::Pending,
            product_id: line.product_id.clone(),
            environment: if purchase.test { "sandbox" } else { "production" }.to_owned(),
            transaction_id: order.unwrap_or(id).to_owned(),
            original_transaction_id: first.unwrap_or(id).to_owned(),
            purchase_date: purchase.started.unwrap_or(self.fetched_at),
            updated_at: self.fetched_at,
        }
    }

    fn verdict(&self, line: &Line, product: &Product) -> Verdict {
        let paid_until = self.paid_until(line, product);
        if let Some(at) = line.order_id.as_ref().and_then(|order| self.voided.get(order)) {
            return Verdict { revoked_at: Some(*at), ..Verdict::new(Status::Revoked, paid_until) };
        }
        let cut = [self.replaced_at, self.gone].into_iter().flatten().min();
        if let Some(at) = cut {
            let end = if self.was_paid(line) { paid_until.unwrap_or(at).min(at) } else { NEVER };
            return Verdict::new(Status::Expired, Some(end));
        }
        match self.purchase.kind {
            Kind::Subscription => self.subscription(line),
            Kind::OneTime => self.one_time(product, paid_until),
        }
    }

    fn subscription(&self, line: &Line) -> Verdict {
        let end = line.expires.filter(|_| self.was_paid(line));
        let waiting = Verdict::new(Status::Pending, None);
        let over = |status| Verdict::new(status, Some(end.unwrap_or(NEVER)));
        match self.purchase.state {
            State::Pending => waiting,
            State::Active | State::Canceled | State::Grace | State::Unknown(_) if end.is_none() => waiting,
            State::Active | State::Canceled | State::Unknown(_) => Verdict::new(Status::Active, end),
            State::Grace => Verdict::new(Status::Grace, end),
            State::Hold => over(Status::Hold),
            State::Paused => over(Status::Paused),
            State::Expired | State::PendingCanceled => over(Status::Expired),
        }
    }

    fn one_time(&self, product: &Product, paid_until: Option<i64>) -> Verdict {
        match self.purchase.state {
            State::Active => match (product.days, paid_until) {
                (None, _) => Verdict::new(Status::Owned, None),
                (Some(_), Some(_)) => Verdict::new(Status::Active, paid_until),
                // Paid, and the store does not say since when: nothing to count the days from.
                (Some(_), None) => Verdict::new(Status::Pending, None),
            },
            State::Canceled | State::Expired | State::PendingCanceled => {
                let seen_over = self.lapsed_at.unwrap_or(NEVER);
                Verdict::new(Status::Expired, Some(paid_until.unwrap_or(i64::MAX).min(seen_over)))
            }
            State::Pending | State::Grace | State::Hold | State::Paused | State::Unknown(_) => {
                Verdict::new(Status::Pending, None)
            }
        }
    }

    /// Until when `line` is paid for, as the store or the catalogue says; none for good.
    fn paid_until(&self, line: &Line, product: &Product) -> Option<i64> {
        match self.purchase.kind {
            Kind::Subscription => line.expires,
            Kind::OneTime => {
                let days = i64::from(product.days?);
                self.purchase.started.map(|started| started.saturating_add(days.saturating_mul(DAY)))
            }
        }
    }

    /// Whether `line` was ever the buyer's: paid for, and not only the one that another will be replaced by.
    fn was_paid(&self, line: &Line) -> bool {
        let purchase = &self.purchase;
        match purchase.kind {
            Kind::Subscription => {
                let named = purchase.lines.iter().any(|line| line.order_id.is_some());
                let never = matches!(purchase.state, State::Pending | State::PendingCanceled);
                line.expires.is_some() && !never && (line.order_id.is_some() || !named)
            }
            Kind::OneTime => purchase.state == State::Active || self.lapsed_at.is_some(),
        }
    }
}

/// Which of two sources of one purchase counts: the one that gives access, then the later end. The rest decides where
/// nothing else does, so that the answer does not depend on the order of the lines.
fn weight(source: &Source) -> (bool, i64, bool, &str, &str) {
    let gives = matches!(source.status, Status::Active | Status::Grace | Status::Owned);
    let end = source.expires_at.unwrap_or(i64::MAX);
    (gives, end, source.will_renew, &source.product_id, &source.transaction_id)
}
