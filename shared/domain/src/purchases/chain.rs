//! One line of App Store transactions (`originalTransactionId`), as far as it is known.
//!
//! A signed snapshot speaks of one transaction, and a line spans cancellations, lapses, refunds and changes of product: so
//! the newest snapshot of *each* transaction is kept, and the newest renewal info of the line. What is known is joined,
//! never replaced by what came last: any order and any number of duplicates give the same chain. At equal dates a
//! revocation wins, then the later expiry (facts 2.8; design: payments, Events).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Catalogue, Store};
use crate::appstore::{self, OfferDiscount, Ownership, ProductType};
use crate::entitlements::{AddOn, Source, Status};
use crate::time::DAY;

/// How much earlier than its transaction's purchase renewal info may be signed and still speak of it, in milliseconds:
/// renewals are signed ahead (facts 2.8: by 33 s). What is older speaks of the period before.
const SIGNED_AHEAD: i64 = 60_000;

/// How long before a period's end the next one may begin and still be its renewal, in seconds. What begins earlier took its
/// place: an upgrade, of which the old transaction's own snapshot may never come.
const RENEWED_AHEAD: i64 = 3_600;

/// What a transaction is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Renews by itself.
    AutoRenewable,
    /// Ends when the catalogue says so.
    NonRenewing,
    /// Bought for good, used up or not.
    Once,
    /// A word of Apple's that is new to us: gives what it names an end for, nothing else.
    Unknown,
}

/// The newest snapshot of a transaction. Its order is the order in which snapshots of one transaction count: the later
/// signature, then the revoked one, then the later expiry.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Snapshot {
    /// When Apple signed it, Unix milliseconds.
    pub signed_at: i64,
    /// When it was taken back, Unix seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked_at: Option<i64>,
    /// Until when it is paid for, Unix seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<i64>,
    /// Whether an upgrade replaced it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub upgraded: bool,
    /// The transaction.
    pub transaction_id: String,
    /// The product.
    pub product_id: String,
    /// What it is about.
    pub kind: Kind,
    /// When it was bought or renewed, Unix milliseconds.
    pub purchased_at: i64,
    /// Whether the period is free.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub trial: bool,
    /// The token of our own account that it names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account_token: Option<String>,
}

/// The newest renewal info of a line, in the order in which it counts.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RenewalSnapshot {
    /// When Apple signed it, Unix milliseconds.
    pub signed_at: i64,
    /// Whether the next period will be billed.
    pub will_renew: bool,
    /// Whether Apple still tries to bill.
    pub retrying: bool,
    /// Until when access goes on meanwhile, Unix seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grace_until: Option<i64>,
    /// Why it ended: 1 cancelled, 2 billing error, 3 no consent to a price, 4 product gone, 5 other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intent: Option<i64>,
    /// What it will renew as.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_product: Option<String>,
}

impl Snapshot {
    /// What `transaction`, which was verified, says.
    pub fn of(transaction: &appstore::Transaction) -> Self {
        Self {
            signed_at: transaction.signed_date.as_millisecond(),
            revoked_at: transaction.revocation_date.map(|at| at.as_second()),
            expires_at: transaction.expires_date.map(|at| at.as_second()),
            upgraded: transaction.is_upgraded,
            transaction_id: transaction.transaction_id.clone(),
            product_id: transaction.product_id.clone(),
            kind: match transaction.product_type {
                ProductType::AutoRenewable => Kind::AutoRenewable,
                ProductType::NonRenewing => Kind::NonRenewing,
                ProductType::NonConsumable | ProductType::Consumable => Kind::Once,
                ProductType::Other(_) => Kind::Unknown,
            },
            purchased_at: transaction.purchase_date.as_millisecond(),
            trial: transaction.offer_discount_type == Some(OfferDiscount::FreeTrial),
            account_token: account_token(transaction).map(str::to_lowercase),
        }
    }

    /// Until when it is paid for: as Apple says, or as the catalogue does.
    fn paid_until(&self, catalogue: &Catalogue) -> Option<i64> {
        let days = || catalogue.get(&self.product_id).and_then(|product| product.days);
        let sold_for = |days: u32| self.bought_second().saturating_add(i64::from(days) * DAY);
        self.expires_at.or_else(|| days().map(sold_for))
    }

    /// Whether it was made after `other`, by Apple's number. The date of purchase does not say so: a renewal bears the
    /// beginning of its period, up to a day ahead, and an upgrade may come in between.
    fn comes_after(&self, other: &Self) -> bool {
        self.number() > other.number()
    }

    fn number(&self) -> (usize, &str) {
        (self.transaction_id.len(), &self.transaction_id)
    }

    fn bought_second(&self) -> i64 {
        self.purchased_at.div_euclid(1_000)
    }
}

impl RenewalSnapshot {
    /// What `renewal`, which was verified, says.
    pub fn of(renewal: &appstore::Renewal) -> Self {
        Self {
            signed_at: renewal.signed_date.as_millisecond(),
            will_renew: renewal.will_renew(),
            retrying: renewal.is_in_billing_retry_period.unwrap_or(false),
            grace_until: renewal.grace_period_expires_date.map(|at| at.as_second()),
            intent: renewal.expiration_intent,
            next_product: renewal.auto_renew_product_id.clone(),
        }
    }

    fn speaks_of(&self, snapshot: &Snapshot) -> bool {
        self.signed_at.saturating_add(SIGNED_AHEAD) >= snapshot.purchased_at.min(snapshot.signed_at)
    }
}

/// The token of our own account that a transaction names; a family member's copy names the buyer's account, so that
/// counts as none.
fn account_token(transaction: &appstore::Transaction) -> Option<&str> {
    let shared = transaction.in_app_ownership_type == Some(Ownership::FamilyShared);
    transaction.app_account_token.as_deref().filter(|_| !shared)
}

/// What is known of a line.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Chain {
    /// Each transaction's newest snapshot, by its id.
    pub transactions: BTreeMap<String, Snapshot>,
    /// The newest renewal info.
    pub renewal: Option<RenewalSnapshot>,
}

impl Chain {
    /// Takes `snapshot` in; whether anything is new by it.
    pub fn learn(&mut self, snapshot: Snapshot) -> bool {
        match self.transactions.get_mut(&snapshot.transaction_id) {
            Some(known) if *known >= snapshot => false,
            Some(known) => {
                *known = snapshot;
                true
            }
            None => {
                self.transactions.insert(snapshot.transaction_id.clone(), snapshot);
                true
            }
        }
    }

    /// Takes `renewal` in; whether anything is new by it.
    pub fn learn_renewal(&mut self, renewal: RenewalSnapshot) -> bool {
        if self.renewal.as_ref().is_some_and(|known| *known >= renewal) {
            return false;
        }
        self.renewal = Some(renewal);
        true
    }

    /// The token of our own account that the line names: that of its newest purchase which names one. Not of the newest
    /// signature: a refund of an old period is signed today and speaks of who bought it then.
    pub fn account_token(&self) -> Option<&str> {
        let naming = self.transactions.values().filter(|it| it.account_token.is_some());
        naming.max_by(|one, other| one.number().cmp(&other.number()))?.account_token.as_deref()
    }

    /// When another transaction took the place of `snapshot`, Unix seconds. Within a line one subscription is active at a
    /// time.
    fn replaced_at(&self, snapshot: &Snapshot) -> Option<i64> {
        if snapshot.kind != Kind::AutoRenewable {
            return None;
        }
        let end = snapshot.expires_at?;
        let later = self.transactions.values().filter(|it| {
            it.kind == Kind::AutoRenewable
                && it.comes_after(snapshot)
                && it.bought_second() < end.saturating_sub(RENEWED_AHEAD)
        });
        let next = later.map(Snapshot::bought_second).min();
        next.or_else(|| {
            // Apple says that there was one: a later number, bought before this one would have begun; or it never came
            // here. When Apple signed that does not count, or each look would move the end.
            let others = self.transactions.values().filter(|it| it.kind == Kind::AutoRenewable);
            let later = others.filter(|it| it.comes_after(snapshot)).map(Snapshot::bought_second);
            snapshot.upgraded.then(|| later.chain([snapshot.bought_second()]).min()).flatten()
        })
    }

    /// When what `snapshot` gives ends, `i64::MAX` for never: the later one speaks for the line.
    fn end(&self, snapshot: &Snapshot, catalogue: &Catalogue) -> i64 {
        let paid_until = snapshot.paid_until(catalogue).unwrap_or(i64::MAX);
        let cuts = [snapshot.revoked_at, self.replaced_at(snapshot)];
        cuts.into_iter().flatten().fold(paid_until, i64::min)
    }

    /// The transaction that speaks for the line, among those of `add_on` or of all.
    pub fn newest(&self, add_on: Option<AddOn>, catalogue: &Catalogue) -> Option<&Snapshot> {
        let wanted = |snapshot: &&Snapshot| {
            let gives = catalogue.add_on(&snapshot.product_id);
            add_on.is_none_or(|add_on| gives == Some(add_on))
        };
        // What was taken back or replaced ended then: so it never speaks where another one still stands, and a refund of
        // the current period is told though an older one ran to its end.
        let weight = |it: &Snapshot| (self.end(it, catalogue), it.revoked_at.is_none());
        self.transactions
            .values()
            .filter(wanted)
            .max_by(|one, other| weight(one).cmp(&weight(other)).then_with(|| one.number().cmp(&other.number())))
    }

    /// What the line `original` gives: one source an add-on.
    pub fn sources(
        &self,
        original: &str,
        environment: &str,
        catalogue: &Catalogue,
        slack: i64,
    ) -> BTreeMap<AddOn, Source> {
        let current = self.newest(None, catalogue);
        let mut sources = BTreeMap::new();
        for add_on in AddOn::ALL {
            let Some(snapshot) = self.newest(Some(add_on), catalogue) else { continue };
            // Renewal info is about the line, so about what the line is now.
            let renewal = self.renewal.as_ref().filter(|renewal| {
                current == Some(snapshot) && snapshot.kind == Kind::AutoRenewable && renewal.speaks_of(snapshot)
            });
            let replaced_at = self.replaced_at(snapshot);
            let Some(status) = status(snapshot, replaced_at, renewal, catalogue) else { continue };
            let renews_as = renewal.and_then(|renewal| renewal.next_product.as_deref()).unwrap_or(&snapshot.product_id);
            let signed = renewal.map_or(0, |renewal| renewal.signed_at).max(snapshot.signed_at);
            let source = Source {
                platform: Store::Ios.platform(),
                status,
                // What was replaced gave nothing from then on.
                expires_at: snapshot.paid_until(catalogue).map(|end| end.min(replaced_at.unwrap_or(i64::MAX))),
                grace_until: renewal.and_then(|renewal| renewal.grace_until).filter(|_| status == Status::Grace),
                revoked_at: snapshot.revoked_at,
                will_renew: status == Status::Active
                    && catalogue.add_on(renews_as) == Some(add_on)
                    && renewal.is_some_and(|it| it.will_renew && !it.retrying && it.intent.is_none()),
                slack,
                is_trial: snapshot.trial,
                product_id: snapshot.product_id.clone(),
                environment: environment.to_owned(),
                transaction_id: snapshot.transaction_id.clone(),
                original_transaction_id: original.to_owned(),
                purchase_date: snapshot.purchased_at.div_euclid(1_000),
                updated_at: signed.div_euclid(1_000),
            };
            sources.insert(add_on, source);
        }
        sources
    }
}

fn status(
    snapshot: &Snapshot,
    replaced_at: Option<i64>,
    renewal: Option<&RenewalSnapshot>,
    catalogue: &Catalogue,
) -> Option<Status> {
    if snapshot.revoked_at.is_some() {
        return Some(Status::Revoked);
    }
    if replaced_at.is_some() {
        return Some(Status::Expired);
    }
    let Some(paid_until) = snapshot.paid_until(catalogue) else {
        // Apple's non-renewing subscriptions have no end of their own, and neither has what the catalogue does not limit.
        return matches!(snapshot.kind, Kind::Once | Kind::NonRenewing).then_some(Status::Owned);
    };
    let Some(renewal) = renewal.filter(|renewal| renewal.retrying) else {
        // Its end is told, not only reached: whoever waits for a change hears of it. Where a renewal is expected, Apple's
        // word of it is on its way.
        let told_at = renewal.map_or(0, |it| it.signed_at).max(snapshot.signed_at).div_euclid(1_000);
        let goes_on = renewal.is_some_and(|it| it.will_renew && it.intent.is_none());
        return Some(if told_at >= paid_until && !goes_on { Status::Expired } else { Status::Active });
    };
    let told_at = renewal.signed_at.div_euclid(1_000);
    Some(match renewal.grace_until {
        Some(until) if told_at < until => Status::Grace,
        // What is paid for stays, whatever becomes of the next period.
        _ if told_at < paid_until => Status::Active,
        _ => Status::Hold,
    })
}

#[cfg(test)]
#[path = "chain_tests.rs"]
mod tests;
