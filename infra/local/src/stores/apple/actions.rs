//! What happens to a purchase in the App Store after it was bought, and what Apple says of it (facts 2.2).

use satchel_domain::time::DAY;

use super::state::{Line, Renewal, Revocation, Status, Transaction};
use super::{Change, Event};
use crate::stores::book::Kept;
use crate::stores::input::{ActIn, Action, seconds};
use crate::stores::product::Product;
use crate::stores::refused::Refused;

/// Lets `action` happen.
pub(super) fn act(kept: &mut Kept, now_ms: i64, action: Action, what: &ActIn) -> Result<Change, Refused> {
    let (wanted, revision, next_id) = (wanted(what)?, kept.next(), kept.apple.next_id());
    let missing = || Refused::NotFound(format!("there is no transaction {wanted}"));
    let line = kept.apple.line_mut(wanted).ok_or_else(missing)?;
    // Of a whole purchase's number the newest transaction is meant; of a single one itself.
    let one = what.transaction_id.is_some() || line.transactions.len() == 1;
    let current = line.current().map(|it| it.id).ok_or_else(missing)?;
    let chosen = if one { wanted } else { current };
    let mut scene = Scene { line, now_ms, revision, next_id, chosen, current };
    let events = scene.play(action, what)?;
    let original = scene.line.original;
    let transaction = events.first().map_or(scene.current, |event| event.transaction);
    Ok(Change { original, transaction, events })
}

fn wanted(what: &ActIn) -> Result<u64, Refused> {
    let id = what.transaction_id.as_ref().or(what.original_transaction_id.as_ref());
    let id = id.ok_or_else(|| Refused::invalid("transaction_id or original_transaction_id must be given"))?;
    id.parse().map_err(|_| Refused::NotFound(format!("there is no transaction {id}")))
}

/// A purchase while something happens to it.
struct Scene<'a> {
    line: &'a mut Line,
    now_ms: i64,
    revision: u64,
    /// Number of the next transaction, should there be one.
    next_id: u64,
    /// The transaction the call names.
    chosen: u64,
    /// The newest transaction.
    current: u64,
}

impl Scene<'_> {
    fn play(&mut self, action: Action, what: &ActIn) -> Result<Vec<Event>, Refused> {
        match action {
            Action::Renew => self.renew(what),
            Action::Recover if !self.renewal()?.retry => {
                Err(Refused::state("billing did not fail: there is nothing to recover from"))
            }
            Action::Recover => self.renew(what),
            Action::Fail => self.fail(Some(seconds(what.seconds, 16 * DAY)?)),
            Action::Hold => self.fail(None),
            Action::GraceExpire => self.end_grace(),
            Action::Expire => self.expire(what),
            Action::Cancel => self.set_auto_renew(false),
            Action::Resume => self.set_auto_renew(true),
            Action::Refund => self.refund(what),
            Action::RefundReverse => self.reverse(),
            Action::Revoke => self.revoke(),
            Action::Upgrade => self.upgrade(what),
            Action::Downgrade => self.downgrade(what),
            Action::Extend => self.extend(what),
            Action::PriceIncrease => self.increase_price(what),
            Action::Transfer => self.transfer(what),
            Action::Notify => self.notify(what),
            Action::Pause | Action::Complete | Action::Void => {
                Err(Refused::invalid("the App Store has no such thing; Google Play has"))
            }
        }
    }

    fn renewal(&mut self) -> Result<&mut Renewal, Refused> {
        self.line.renewal.as_mut().ok_or_else(|| Refused::invalid("this is no subscription that renews"))
    }

    fn transaction(&mut self, id: u64) -> Result<&mut Transaction, Refused> {
        let revision = self.revision;
        let found = self.line.transactions.iter_mut().find(|transaction| transaction.id == id);
        let found = found.ok_or_else(|| Refused::NotFound(format!("there is no transaction {id}")))?;
        found.revision = revision;
        Ok(found)
    }

    fn said(&self, kind: &str, subtype: Option<&str>) -> Vec<Event> {
        vec![Event::new(kind, subtype, self.current)]
    }

    /// A period that is not over ends now: what follows on its end is played before it.
    fn end_period(&mut self) -> Result<(), Refused> {
        let now_ms = self.now_ms;
        let current = self.transaction(self.current)?;
        current.expires_ms = current.expires_ms.map(|expires| expires.min(now_ms));
        Ok(())
    }

    fn renew(&mut self, what: &ActIn) -> Result<Vec<Event>, Refused> {
        let now_ms = self.now_ms;
        let status = self.line.status(now_ms);
        let renewal = self.renewal()?.clone();
        if status == Some(Status::Revoked) {
            return Err(Refused::state("the purchase was taken back"));
        }
        if !renewal.auto_renew {
            return Err(Refused::state("the purchase does not renew: resume it, or buy it again once it is over"));
        }
        let product_id = what.product_id.as_ref().unwrap_or(&renewal.next_product).clone();
        let current = self.transaction(self.current)?;
        let (before, ended_ms) = (current.product_id.clone(), current.expires_ms.unwrap_or(now_ms));
        let same_period = (product_id == before).then_some(renewal.period_s);
        let product = Product::of(&product_id, None, what.period_seconds.or(same_period))?;
        let period_ms = product.period_s * 1_000;
        // The new period begins where the old one ended, unless it would be over by now or access had stopped.
        let is_late = ended_ms + period_ms <= now_ms || status == Some(Status::Retry);
        let from_ms = if is_late { now_ms } else { ended_ms };
        let mut transaction = Transaction::new(self.next_id, &product, from_ms, from_ms, self.revision);
        (transaction.is_renewal, transaction.price) = (true, renewal.price);
        self.line.push(transaction);
        self.current = self.next_id;
        let price = renewal.price;
        let recent_start_ms = if is_late { now_ms } else { renewal.recent_start_ms };
        let subtype = renewal.retry.then_some("BILLING_RECOVERY");
        self.line.renewal = Some(Renewal {
            auto_renew: true,
            next_product: product.id.clone(),
            period_s: product.period_s,
            retry: false,
            grace_until_ms: None,
            intent: None,
            price,
            price_increase: None,
            recent_start_ms,
        });
        Ok(self.said("DID_RENEW", subtype))
    }

    fn fail(&mut self, grace_s: Option<i64>) -> Result<Vec<Event>, Refused> {
        let now_ms = self.now_ms;
        if !self.renewal()?.auto_renew {
            return Err(Refused::state("a purchase that does not renew is not billed: expire it"));
        }
        if self.line.status(now_ms) == Some(Status::Revoked) {
            return Err(Refused::state("the purchase was taken back"));
        }
        self.end_period()?;
        let ended_ms = self.transaction(self.current)?.expires_ms.unwrap_or(now_ms);
        let until = |from_ms: i64| grace_s.map(|grace| from_ms + grace * 1_000);
        let grace_until_ms = until(ended_ms).filter(|until| *until > now_ms).or_else(|| until(now_ms));
        let renewal = self.renewal()?;
        (renewal.retry, renewal.grace_until_ms) = (true, grace_until_ms);
        Ok(self.said("DID_FAIL_TO_RENEW", grace_s.map(|_| "GRACE_PERIOD")))
    }

    fn end_grace(&mut self) -> Result<Vec<Event>, Refused> {
        let now_ms = self.now_ms;
        let renewal = self.renewal()?;
        let until = renewal.grace_until_ms.filter(|_| renewal.retry);
        let until = until.ok_or_else(|| Refused::state("the purchase is in no grace period"))?;
        renewal.grace_until_ms = Some(until.min(now_ms));
        Ok(self.said("GRACE_PERIOD_EXPIRED", None))
    }

    fn expire(&mut self, what: &ActIn) -> Result<Vec<Event>, Refused> {
        let unsaid = if self.renewal()?.retry { "billing_retry" } else { "voluntary" };
        let (intent, subtype) = match what.reason.as_deref().unwrap_or(unsaid) {
            "voluntary" => (1, "VOLUNTARY"),
            "billing_retry" => (2, "BILLING_RETRY"),
            "price_increase" => (3, "PRICE_INCREASE"),
            "product_not_for_sale" => (4, "PRODUCT_NOT_FOR_SALE"),
            other => {
                let known = "voluntary, billing_retry, price_increase, product_not_for_sale";
                return Err(Refused::invalid(format!("the reason `{other}` is none of: {known}")));
            }
        };
        self.end_period()?;
        let renewal = self.renewal()?;
        (renewal.auto_renew, renewal.retry, renewal.grace_until_ms) = (false, false, None);
        renewal.intent = Some(intent);
        Ok(self.said("EXPIRED", Some(subtype)))
    }

    fn set_auto_renew(&mut self, on: bool) -> Result<Vec<Event>, Refused> {
        let status = self.line.status(self.now_ms);
        if matches!(status, Some(Status::Expired | Status::Revoked)) {
            return Err(Refused::state("the purchase is over: buy it again"));
        }
        let renewal = self.renewal()?;
        renewal.auto_renew = on;
        let subtype = if on { "AUTO_RENEW_ENABLED" } else { "AUTO_RENEW_DISABLED" };
        Ok(self.said("DID_CHANGE_RENEWAL_STATUS", Some(subtype)))
    }

    /// Takes back the transaction that the call names: of a current one the subscription ends with it.
    fn take_back(&mut self, reason: i64, kind: &str, percentage: Option<i64>) -> Result<u64, Refused> {
        let (now_ms, chosen) = (self.now_ms, self.chosen);
        let transaction = self.transaction(chosen)?;
        if transaction.revocation.is_some() {
            return Err(Refused::state("the transaction was taken back before"));
        }
        transaction.revocation = Some(Revocation { at_ms: now_ms, reason, kind: kind.to_owned(), percentage });
        if chosen == self.current
            && let Some(renewal) = &mut self.line.renewal
        {
            (renewal.auto_renew, renewal.retry, renewal.grace_until_ms) = (false, false, None);
        }
        Ok(chosen)
    }

    fn refund(&mut self, what: &ActIn) -> Result<Vec<Event>, Refused> {
        let reason = i64::from(what.reason.as_deref() == Some("app_issue"));
        let percent = what.percent.unwrap_or(100);
        if !(1..=100).contains(&percent) {
            return Err(Refused::invalid("percent must be between 1 and 100"));
        }
        let (kind, percentage) =
            if percent == 100 { ("REFUND_FULL", 100_000) } else { ("REFUND_PRORATED", percent * 1_000) };
        let transaction = self.take_back(reason, kind, Some(percentage))?;
        Ok(vec![Event::new("REFUND", None, transaction)])
    }

    fn reverse(&mut self) -> Result<Vec<Event>, Refused> {
        let chosen = self.chosen;
        let transaction = self.transaction(chosen)?;
        if transaction.revocation.take().is_none() {
            return Err(Refused::state("the transaction was not refunded"));
        }
        Ok(vec![Event::new("REFUND_REVERSED", None, chosen)])
    }

    fn revoke(&mut self) -> Result<Vec<Event>, Refused> {
        let transaction = self.take_back(0, "FAMILY_REVOKE", None)?;
        Ok(vec![Event::new("REVOKE", None, transaction)])
    }

    /// The product of an upgrade or downgrade, in the group of the purchase.
    fn other_product(&mut self, what: &ActIn) -> Result<Product, Refused> {
        self.renewal()?;
        let id = what.product_id.as_deref().ok_or_else(|| Refused::invalid("product_id must be given"))?;
        let product = Product::of(id, None, what.period_seconds)?;
        if product.group() != self.line.group {
            return Err(Refused::invalid(format!("{id} is of another group than the purchase")));
        }
        match self.line.status(self.now_ms) {
            Some(Status::Active | Status::Grace) => Ok(product),
            _ => Err(Refused::state("the purchase is not active")),
        }
    }

    fn upgrade(&mut self, what: &ActIn) -> Result<Vec<Event>, Refused> {
        let (product, now_ms) = (self.other_product(what)?, self.now_ms);
        let current = self.transaction(self.current)?;
        if current.product_id == product.id {
            return Err(Refused::state(format!("the purchase is {} already", product.id)));
        }
        current.is_upgraded = true;
        self.line.push(Transaction::new(self.next_id, &product, now_ms, now_ms, self.revision));
        self.current = self.next_id;
        let renewal = self.renewal()?;
        (renewal.auto_renew, renewal.retry, renewal.grace_until_ms) = (true, false, None);
        (renewal.period_s, renewal.price, renewal.next_product) = (product.period_s, product.price(), product.id);
        Ok(self.said("DID_CHANGE_RENEWAL_PREF", Some("UPGRADE")))
    }

    /// The next period is another product's; the present one again takes that back.
    fn downgrade(&mut self, what: &ActIn) -> Result<Vec<Event>, Refused> {
        let product = self.other_product(what)?;
        let is_undone = self.transaction(self.current)?.product_id == product.id;
        let renewal = self.renewal()?;
        renewal.price = product.price();
        renewal.next_product = product.id;
        Ok(self.said("DID_CHANGE_RENEWAL_PREF", (!is_undone).then_some("DOWNGRADE")))
    }

    fn extend(&mut self, what: &ActIn) -> Result<Vec<Event>, Refused> {
        self.renewal()?;
        let by_ms = seconds(what.seconds, 30 * DAY)? * 1_000;
        let current = self.transaction(self.current)?;
        current.expires_ms = current.expires_ms.map(|expires| expires + by_ms);
        Ok(self.said("RENEWAL_EXTENDED", None))
    }

    fn increase_price(&mut self, what: &ActIn) -> Result<Vec<Event>, Refused> {
        let renewal = self.renewal()?;
        renewal.price = what.price.unwrap_or(renewal.price * 3 / 2);
        renewal.price_increase = Some(i64::from(what.accepted));
        Ok(self.said("PRICE_INCREASE", Some(if what.accepted { "ACCEPTED" } else { "PENDING" })))
    }

    /// Another account token for transactions from now on, of which Apple says nothing; each that there is keeps its own.
    fn transfer(&mut self, what: &ActIn) -> Result<Vec<Event>, Refused> {
        self.line.account_token.clone_from(&what.account_token);
        Ok(Vec::new())
    }

    /// Any notification about a transaction, also one that no store sends.
    fn notify(&mut self, what: &ActIn) -> Result<Vec<Event>, Refused> {
        let kind = what.kind.as_deref().ok_or_else(|| Refused::invalid("type must be given"))?;
        Ok(vec![Event::new(kind, what.subtype.as_deref(), self.chosen)])
    }
}
