//! A purchase in Google Play.

use satchel_domain::time::DAY;
use satchel_inbound::Ids;

use super::payloads::next_order;
use super::state::{Cancel, Order, Phase, Plan, Purchase};
use super::{Change, Event, News};
use crate::stores::book::Kept;
use crate::stores::input::{BuyIn, Environment, seconds};
use crate::stores::keys::hex;
use crate::stores::product::{Product, ProductKind};
use crate::stores::refused::Refused;

/// Buys what `what` says.
pub(super) fn buy(kept: &mut Kept, ids: &Ids, now_ms: i64, what: &BuyIn) -> Result<Change, Refused> {
    if what.family_shared || what.customer.is_some() || what.original_transaction_id.is_some() {
        return Err(Refused::invalid(
            "family_shared, customer and original_transaction_id are the App Store's; Google gives each purchase a token",
        ));
    }
    let product = Product::of(&what.product_id, what.kind, what.period_seconds)?;
    let is_subscription = match product.kind {
        ProductKind::Subscription => true,
        ProductKind::OneTime | ProductKind::Consumable => false,
        ProductKind::NonRenewing => return Err(Refused::invalid("Google Play has no such product")),
    };
    for known in [&what.upgrade_of, &what.continues].into_iter().flatten() {
        if !kept.google.purchases.contains_key(known) {
            return Err(Refused::NotFound(format!("there is no purchase {known}")));
        }
    }
    let plan = if is_subscription { Some(plan(&product, what, now_ms)?) } else { None };
    let mut purchase = Purchase {
        token: token(ids),
        product_id: product.id.clone(),
        plan,
        phase: if what.pending { Phase::Pending } else { Phase::Active },
        account_token: what.account_token.clone(),
        linked: what.upgrade_of.clone(),
        continues: what.continues.clone(),
        test: what.test || what.environment == Environment::Sandbox,
        started_ms: None,
        price: product.price(),
        orders: Vec::new(),
        acknowledged: false,
        revision: kept.next(),
    };
    if !what.pending {
        pay(&mut purchase, order(ids, now_ms), now_ms);
    }
    let token = purchase.token.clone();
    kept.google.purchases.insert(token.clone(), purchase);
    let bought = if is_subscription { News::Subscription(4) } else { News::OneTime(1) };
    let mut events = Vec::new();
    if is_subscription || !what.pending {
        events.push(Event::new(&token, bought));
    }
    // The new one is heard of before the old one's end (facts 2.8).
    if let Some(old) = what.upgrade_of.as_ref().filter(|_| !what.pending) {
        events.extend(replace(kept, old, now_ms));
    }
    Ok(Change { token, events })
}

fn plan(product: &Product, what: &BuyIn, now_ms: i64) -> Result<Plan, Refused> {
    let first_s = if what.trial { seconds(what.trial_seconds, 7 * DAY)? } else { product.period_s };
    let ends_ms = now_ms + first_s * 1_000;
    Ok(Plan {
        period_s: product.period_s,
        first_s,
        expires_ms: ends_ms,
        paid_ms: ends_ms,
        auto_renew: true,
        offer: what.offer.clone(),
        trial: what.trial,
        deferred: None,
        cancel: None,
        resume_ms: None,
        new_price: None,
    })
}

/// `purchase` is paid for at `now_ms`.
pub(super) fn pay(purchase: &mut Purchase, order: Order, now_ms: i64) {
    (purchase.phase, purchase.started_ms) = (Phase::Active, Some(now_ms));
    purchase.orders.push(order);
}

/// A new order.
pub(super) fn order(ids: &Ids, now_ms: i64) -> Order {
    let digits: String = ids.bytes::<17>().iter().map(|byte| char::from(b'0' + byte % 10)).collect();
    let id = format!("GPA.{}-{}-{}-{}", &digits[..4], &digits[4..8], &digits[8..12], &digits[12..]);
    Order { id, at_ms: now_ms, voided: None }
}

/// The order of the next period.
pub(super) fn renewal_order(purchase: &Purchase, now_ms: i64) -> Order {
    Order { id: next_order(purchase), at_ms: now_ms, voided: None }
}

fn token(ids: &Ids) -> String {
    let letters: String = ids.bytes::<24>().iter().map(|byte| char::from(b'a' + byte % 26)).collect();
    format!("{letters}.AO-J1O{}", hex(&ids.bytes::<40>()))
}

/// The subscription `old` ends because another took its place.
pub(super) fn replace(kept: &mut Kept, old: &str, now_ms: i64) -> Option<Event> {
    let revision = kept.next();
    let purchase = kept.google.purchases.get_mut(old)?;
    let plan = purchase.plan.as_mut()?;
    (plan.auto_renew, plan.cancel, plan.expires_ms) = (false, Some(Cancel::Replaced), plan.expires_ms.min(now_ms));
    (purchase.phase, purchase.revision) = (Phase::Expired, revision);
    Some(Event::new(old, News::Subscription(13)))
}
