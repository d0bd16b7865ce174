//! A purchase in the App Store: the first of its line, or a lapsed one that is taken up again.

use satchel_domain::time::DAY;

use super::state::{AppleBook, Line, Offer, Renewal, Status, Transaction};
use super::{Change, Event};
use crate::stores::book::Kept;
use crate::stores::input::{BuyIn, Environment, seconds};
use crate::stores::product::{Product, ProductKind};
use crate::stores::refused::Refused;

/// Buys what `what` says.
pub(super) fn buy(kept: &mut Kept, now_ms: i64, what: &BuyIn) -> Result<Change, Refused> {
    if what.pending {
        return Err(Refused::invalid("Apple tells no server of a purchase that is not paid for: buy it once it is"));
    }
    let product = Product::of(&what.product_id, what.kind, what.period_seconds)?;
    match &what.original_transaction_id {
        Some(original) => again(kept, now_ms, &product, what, original),
        None => first(kept, now_ms, &product, what),
    }
}

fn first(kept: &mut Kept, now_ms: i64, product: &Product, what: &BuyIn) -> Result<Change, Refused> {
    let environment = if what.test { Environment::Sandbox } else { what.environment };
    let revision = kept.next();
    let original = kept.apple.next_id();
    let customer = what.customer.clone().unwrap_or_else(|| original.to_string());
    if let Some(active) = rival(&kept.apple, &customer, environment, product, now_ms) {
        return Err(Refused::state(format!(
            "customer {customer} has the purchase {active} in the same group: upgrade or downgrade that, or resubscribe \
             with its original_transaction_id once it is over"
        )));
    }
    let first = transaction(original, product, what, now_ms, revision)?;
    let renewal = (product.kind == ProductKind::Subscription).then(|| renewal(product, now_ms));
    let mut line = Line {
        environment,
        customer,
        // Apple gives a family member's purchase no token of the app.
        account_token: what.account_token.clone().filter(|_| !what.family_shared),
        family_shared: what.family_shared,
        group: product.group().to_owned(),
        original,
        original_purchase_ms: now_ms,
        transactions: Vec::new(),
        renewal,
    };
    line.push(first);
    let events = vec![event(&line, product, what, original, "INITIAL_BUY")];
    kept.apple.lines.insert(original, line);
    Ok(Change { original, transaction: original, events })
}

/// The purchase of the customer that stands where this one would, in a group that has room for one.
fn rival(book: &AppleBook, customer: &str, environment: Environment, product: &Product, now_ms: i64) -> Option<u64> {
    let mut lines = book.of_customer(customer, environment).filter(|line| line.group == product.group());
    let over = [Status::Expired, Status::Revoked];
    lines.find(|line| line.status(now_ms).is_some_and(|status| !over.contains(&status))).map(|line| line.original)
}

fn again(kept: &mut Kept, now_ms: i64, product: &Product, what: &BuyIn, original: &str) -> Result<Change, Refused> {
    let missing = || Refused::NotFound(format!("there is no purchase {original}"));
    let original = original.parse().map_err(|_| missing())?;
    let line = kept.apple.line(original).ok_or_else(missing)?;
    match line.status(now_ms) {
        Some(Status::Expired | Status::Revoked) => {}
        Some(_) => return Err(Refused::state("the purchase is not over: upgrade, downgrade or resume it")),
        None => return Err(Refused::invalid("only a subscription can be taken up again")),
    }
    if line.group != product.group() {
        return Err(Refused::invalid(format!("{} is of another group than the purchase", product.id)));
    }
    let (revision, id, original) = (kept.next(), kept.apple.next_id(), line_number(kept, original)?);
    let transaction = transaction(id, product, what, now_ms, revision)?;
    let line = kept.apple.line_mut(original).ok_or_else(missing)?;
    if what.account_token.is_some() && !line.family_shared {
        line.account_token.clone_from(&what.account_token);
    }
    line.push(transaction);
    line.renewal = Some(renewal(product, now_ms));
    let events = vec![event(line, product, what, id, "RESUBSCRIBE")];
    Ok(Change { original, transaction: id, events })
}

fn line_number(kept: &Kept, id: u64) -> Result<u64, Refused> {
    kept.apple.line(id).map(|line| line.original).ok_or_else(|| Refused::NotFound(format!("there is no purchase {id}")))
}

fn renewal(product: &Product, now_ms: i64) -> Renewal {
    Renewal {
        auto_renew: true,
        next_product: product.id.clone(),
        period_s: product.period_s,
        retry: false,
        grace_until_ms: None,
        intent: None,
        price: product.price(),
        price_increase: None,
        recent_start_ms: now_ms,
    }
}

fn transaction(id: u64, product: &Product, what: &BuyIn, now_ms: i64, revision: u64) -> Result<Transaction, Refused> {
    let mut transaction = Transaction::new(id, product, now_ms, now_ms, revision);
    if what.trial {
        if product.kind != ProductKind::Subscription {
            return Err(Refused::invalid("only a subscription begins with a trial"));
        }
        let trial_s = seconds(what.trial_seconds, 7 * DAY)?;
        transaction.expires_ms = Some(now_ms + trial_s * 1_000);
        transaction.price = 0;
        let period = format!("P{}D", (trial_s / DAY).max(1));
        transaction.offer = Some(Offer { kind: 1, id: None, discount: "FREE_TRIAL".to_owned(), period });
    } else if let Some(id) = &what.offer {
        let discount = "PAY_AS_YOU_GO".to_owned();
        transaction.price /= 2;
        transaction.offer = Some(Offer { kind: 2, id: Some(id.clone()), discount, period: "P1M".to_owned() });
    }
    Ok(transaction)
}

/// What Apple says of a purchase: by an offer of ours, of a subscription, of anything else.
fn event(line: &Line, product: &Product, what: &BuyIn, transaction: u64, subtype: &str) -> Event {
    if product.kind != ProductKind::Subscription {
        return Event::new("ONE_TIME_CHARGE", None, transaction);
    }
    let by_offer = what.offer.is_some() && !what.trial && !line.family_shared;
    Event::new(if by_offer { "OFFER_REDEEMED" } else { "SUBSCRIBED" }, Some(subtype), transaction)
}
