//! What happens to a purchase in Google Play after it was bought, and what Google says of it (facts 2.7).

use satchel_domain::time::DAY;
use satchel_inbound::Ids;

use super::buying::{order, pay, renewal_order, replace};
use super::state::{Cancel, Phase, Plan, Purchase, State, Voided};
use super::{Change, Event, News};
use crate::stores::book::Kept;
use crate::stores::input::{ActIn, Action, BuyIn, seconds};
use crate::stores::product::Product;
use crate::stores::refused::Refused;

/// Numbers of subscription notifications.
pub(super) mod number {
    pub(crate) const RECOVERED: i64 = 1;
    pub(crate) const RENEWED: i64 = 2;
    pub(crate) const CANCELED: i64 = 3;
    pub(crate) const PURCHASED: i64 = 4;
    pub(crate) const ON_HOLD: i64 = 5;
    pub(crate) const IN_GRACE_PERIOD: i64 = 6;
    pub(crate) const RESTARTED: i64 = 7;
    pub(crate) const DEFERRED: i64 = 9;
    pub(crate) const PAUSED: i64 = 10;
    pub(crate) const PAUSE_SCHEDULE_CHANGED: i64 = 11;
    pub(crate) const REVOKED: i64 = 12;
    pub(crate) const EXPIRED: i64 = 13;
    pub(crate) const PRICE_CHANGE_UPDATED: i64 = 19;
    pub(crate) const PENDING_PURCHASE_CANCELED: i64 = 20;
}

/// Lets `action` happen.
pub(super) fn act(kept: &mut Kept, ids: &Ids, now_ms: i64, action: Action, what: &ActIn) -> Result<Change, Refused> {
    let token = what.purchase_token.clone().ok_or_else(|| Refused::invalid("purchase_token must be given"))?;
    if matches!(action, Action::Upgrade | Action::Downgrade) {
        return change_product(kept, ids, now_ms, action, what, &token);
    }
    let revision = kept.next();
    let found = kept.google.purchases.get_mut(&token);
    let purchase = found.ok_or_else(|| Refused::NotFound(format!("there is no purchase {token}")))?;
    let mut changed = purchase.clone();
    changed.revision = revision;
    let events = Scene { purchase: &mut changed, ids, now_ms }.play(action, what)?;
    *purchase = changed;
    Ok(Change { token, events })
}

/// Another product in the place of a subscription: a new token that names the old one.
fn change_product(
    kept: &mut Kept,
    ids: &Ids,
    now_ms: i64,
    action: Action,
    what: &ActIn,
    token: &str,
) -> Result<Change, Refused> {
    let missing = || Refused::NotFound(format!("there is no purchase {token}"));
    let old = kept.google.purchases.get(token).ok_or_else(missing)?.clone();
    let old_plan = old.plan.clone().ok_or_else(|| Refused::invalid("only a subscription can be changed"))?;
    if !matches!(old.state(now_ms), Some(State::Active | State::Canceled | State::Grace)) {
        return Err(Refused::state("the purchase is not active"));
    }
    let product_id = what.product_id.as_deref().ok_or_else(|| Refused::invalid("product_id must be given"))?;
    if action == Action::Upgrade {
        let buy = BuyIn {
            account_token: old.account_token.clone(),
            test: old.test,
            upgrade_of: Some(token.to_owned()),
            period_seconds: what.period_seconds,
            ..BuyIn::of(product_id)
        };
        return super::buying::buy(kept, ids, now_ms, &buy);
    }
    // A downgrade waits for the end of what is paid: the new token has the old product until then.
    let product = Product::of(product_id, None, what.period_seconds)?;
    let buy = BuyIn { account_token: old.account_token.clone(), test: old.test, ..BuyIn::of(&old.product_id) };
    let buy = BuyIn { period_seconds: Some(old_plan.period_s), ..buy };
    let Change { token: new, .. } = super::buying::buy(kept, ids, now_ms, &buy)?;
    if let Some(purchase) = kept.google.purchases.get_mut(&new) {
        purchase.linked = Some(token.to_owned());
        purchase.plan = Some(Plan { deferred: Some(product.id), auto_renew: true, cancel: None, ..old_plan });
    }
    let mut events = vec![Event::new(&new, News::Subscription(number::PURCHASED))];
    events.extend(replace(kept, token, now_ms));
    Ok(Change { token: new, events })
}

/// A purchase while something happens to it.
struct Scene<'a> {
    purchase: &'a mut Purchase,
    ids: &'a Ids,
    now_ms: i64,
}

impl Scene<'_> {
    fn play(&mut self, action: Action, what: &ActIn) -> Result<Vec<Event>, Refused> {
        match action {
            Action::Renew => self.renew(what),
            Action::Fail => self.fail(seconds(what.seconds, 7 * DAY)?),
            Action::Hold => self.hold(),
            Action::GraceExpire if self.purchase.phase != Phase::Grace => {
                Err(Refused::state("the purchase is in no grace period"))
            }
            Action::GraceExpire => self.hold(),
            Action::Recover => self.recover(what),
            Action::Expire => self.expire(),
            Action::Cancel => self.cancel(what),
            Action::Resume => self.resume(what),
            Action::Refund => self.refund(what),
            Action::Revoke => self.refund(&ActIn { revoke: Some(true), ..what.clone() }),
            Action::Void => self.void(what),
            Action::Pause => self.pause(what),
            Action::Extend => self.extend(what),
            Action::PriceIncrease => self.increase_price(what),
            Action::Transfer => self.transfer(what),
            Action::Complete => self.complete(),
            Action::Notify => self.notify(what),
            Action::RefundReverse => Err(Refused::invalid("Google Play has no such thing; the App Store has")),
            Action::Upgrade | Action::Downgrade => Err(Refused::invalid("another product is another purchase")),
        }
    }

    fn said(&self, numbers: &[i64]) -> Vec<Event> {
        numbers.iter().map(|number| Event::new(&self.purchase.token, News::Subscription(*number))).collect()
    }

    /// The plan of a subscription, and how it stands.
    fn plan(&mut self) -> Result<(&mut Plan, State), Refused> {
        let none = || Refused::invalid("this is no subscription");
        let state = self.purchase.state(self.now_ms).ok_or_else(none)?;
        Ok((self.purchase.plan.as_mut().ok_or_else(none)?, state))
    }

    fn renew(&mut self, what: &ActIn) -> Result<Vec<Event>, Refused> {
        let now_ms = self.now_ms;
        let (plan, state) = self.plan()?;
        let may_renew = match state {
            State::Active | State::Grace | State::Hold => true,
            // Its period is over, and nobody said how it goes on.
            State::Expired => plan.auto_renew,
            _ => false,
        };
        if !may_renew {
            return Err(Refused::state(format!("a purchase that is {} does not renew", state.as_str())));
        }
        let product_id = plan.deferred.take();
        if let Some(id) = &product_id {
            plan.period_s = Product::of(id, None, what.period_seconds)?.period_s;
        }
        plan.period_s = what.period_seconds.unwrap_or(plan.period_s);
        let period_ms = plan.period_s * 1_000;
        let is_late = state == State::Hold || plan.paid_ms + period_ms <= now_ms;
        let from_ms = if is_late { now_ms } else { plan.paid_ms };
        (plan.paid_ms, plan.expires_ms) = (from_ms + period_ms, from_ms + period_ms);
        (plan.trial, plan.auto_renew, plan.cancel) = (false, true, None);
        let price = plan.new_price.take().map(|(price, _)| price);
        let order = renewal_order(self.purchase, now_ms);
        let purchase = &mut *self.purchase;
        purchase.orders.push(order);
        purchase.phase = Phase::Active;
        purchase.price = price.unwrap_or(purchase.price);
        purchase.product_id = product_id.unwrap_or_else(|| purchase.product_id.clone());
        Ok(self.said(&[if state == State::Hold { number::RECOVERED } else { number::RENEWED }]))
    }

    fn fail(&mut self, grace_s: i64) -> Result<Vec<Event>, Refused> {
        let now_ms = self.now_ms;
        self.is_billed()?;
        let (plan, _) = self.plan()?;
        plan.paid_ms = plan.paid_ms.min(now_ms);
        let until_ms = plan.paid_ms + grace_s * 1_000;
        plan.expires_ms = if until_ms > now_ms { until_ms } else { now_ms + grace_s * 1_000 };
        self.purchase.phase = Phase::Grace;
        Ok(self.said(&[number::IN_GRACE_PERIOD]))
    }

    /// Whether the next period would be billed.
    fn is_billed(&mut self) -> Result<(), Refused> {
        let (plan, state) = self.plan()?;
        let is_billed = match state {
            State::Active | State::Grace | State::Hold => true,
            State::Expired => plan.auto_renew,
            _ => false,
        };
        if is_billed { Ok(()) } else { Err(Refused::state("a purchase that does not renew is not billed")) }
    }

    fn hold(&mut self) -> Result<Vec<Event>, Refused> {
        let now_ms = self.now_ms;
        self.is_billed()?;
        let (plan, _) = self.plan()?;
        (plan.expires_ms, plan.paid_ms) = (plan.expires_ms.min(now_ms), plan.paid_ms.min(now_ms));
        self.purchase.phase = Phase::Hold;
        Ok(self.said(&[number::ON_HOLD]))
    }

    fn recover(&mut self, what: &ActIn) -> Result<Vec<Event>, Refused> {
        match self.plan()?.1 {
            State::Grace | State::Hold => self.renew(what),
            State::Paused => self.resume(what),
            state => Err(Refused::state(format!("a purchase that is {} has nothing to recover from", state.as_str()))),
        }
    }

    /// Ends a subscription now, or when it was to.
    fn end(&mut self, cancel: Cancel) -> Result<(), Refused> {
        let now_ms = self.now_ms;
        let (plan, _) = self.plan()?;
        (plan.expires_ms, plan.paid_ms) = (plan.expires_ms.min(now_ms), plan.paid_ms.min(now_ms));
        plan.auto_renew = false;
        plan.cancel = plan.cancel.or(Some(cancel));
        self.purchase.phase = Phase::Expired;
        Ok(())
    }

    fn expire(&mut self) -> Result<Vec<Event>, Refused> {
        if !self.purchase.is_owned() {
            return Err(Refused::state("the purchase was never paid for: cancel it"));
        }
        self.end(Cancel::System)?;
        Ok(self.said(&[number::EXPIRED]))
    }

    fn cancel(&mut self, what: &ActIn) -> Result<Vec<Event>, Refused> {
        if self.purchase.phase == Phase::Pending {
            self.purchase.phase = Phase::PendingCanceled;
            return Ok(match self.purchase.plan {
                Some(_) => self.said(&[number::PENDING_PURCHASE_CANCELED]),
                None => vec![Event::new(&self.purchase.token, News::OneTime(2))],
            });
        }
        let cancel = match what.reason.as_deref() {
            Some("developer") => Cancel::Developer,
            Some("system") => Cancel::System,
            _ => Cancel::User(self.now_ms),
        };
        let (plan, state) = self.plan()?;
        match state {
            State::Active => {
                (plan.auto_renew, plan.cancel) = (false, Some(cancel));
                Ok(self.said(&[number::CANCELED]))
            }
            State::Grace | State::Hold | State::Paused => {
                self.end(cancel)?;
                Ok(self.said(&[number::CANCELED, number::EXPIRED]))
            }
            _ => Err(Refused::state(format!("the purchase is {} already", state.as_str()))),
        }
    }

    fn resume(&mut self, what: &ActIn) -> Result<Vec<Event>, Refused> {
        let now_ms = self.now_ms;
        let (plan, state) = self.plan()?;
        match state {
            State::Canceled => {
                (plan.auto_renew, plan.cancel) = (true, None);
                Ok(self.said(&[number::RESTARTED]))
            }
            State::Active if plan.resume_ms.is_some() => {
                plan.resume_ms = None;
                Ok(self.said(&[number::PAUSE_SCHEDULE_CHANGED]))
            }
            State::Paused => {
                plan.period_s = what.period_seconds.unwrap_or(plan.period_s);
                let until_ms = now_ms + plan.period_s * 1_000;
                (plan.expires_ms, plan.paid_ms, plan.resume_ms) = (until_ms, until_ms, None);
                let order = renewal_order(self.purchase, now_ms);
                self.purchase.orders.push(order);
                self.purchase.phase = Phase::Active;
                Ok(self.said(&[number::RECOVERED]))
            }
            _ => Err(Refused::state(format!("a purchase that is {} cannot be resumed", state.as_str()))),
        }
    }

    /// Takes an order back: the one that is named, or the newest. Whether it is the newest.
    fn void_order(&mut self, what: &ActIn, source: i64, reason: i64) -> Result<(String, bool), Refused> {
        let now_ms = self.now_ms;
        let newest = self.purchase.order().map(|order| order.id.clone());
        let wanted = what.order_id.clone().or_else(|| newest.clone());
        let found = self.purchase.orders.iter_mut().find(|order| Some(&order.id) == wanted.as_ref());
        let order = found.ok_or_else(|| Refused::NotFound("the purchase has no such order".to_owned()))?;
        if order.voided.is_some() {
            return Err(Refused::state("the order was taken back before"));
        }
        order.voided = Some(Voided { at_ms: now_ms, source, reason });
        let id = order.id.clone();
        let is_newest = Some(&id) == newest.as_ref();
        Ok((id, is_newest))
    }

    fn voided(&self, order: String) -> Event {
        let product_type = if self.purchase.plan.is_some() { 1 } else { 2 };
        Event::new(&self.purchase.token, News::Voided { order, product_type })
    }

    fn refund(&mut self, what: &ActIn) -> Result<Vec<Event>, Refused> {
        let (order, is_newest) = self.void_order(what, 1, 0)?;
        let mut events = vec![self.voided(order)];
        if !what.revoke.unwrap_or(is_newest) {
            return Ok(events);
        }
        if self.purchase.plan.is_none() {
            self.purchase.phase = Phase::Voided;
            return Ok(events);
        }
        self.end(Cancel::Developer)?;
        events.extend(self.said(&[number::REVOKED, number::EXPIRED]));
        Ok(events)
    }

    /// A chargeback, unless another reason is given: it stands in the list of what was voided, and the subscription goes
    /// on by itself.
    fn void(&mut self, what: &ActIn) -> Result<Vec<Event>, Refused> {
        let reason = what.reason.as_deref().unwrap_or("7");
        let reason = reason.parse().ok().filter(|reason| (0..=8).contains(reason));
        let reason = reason.ok_or_else(|| Refused::invalid("reason must be Google's number, from 0 to 8"))?;
        let (order, _) = self.void_order(what, 0, reason)?;
        if self.purchase.plan.is_none() {
            self.purchase.phase = Phase::Voided;
        }
        Ok(vec![self.voided(order)])
    }

    fn pause(&mut self, what: &ActIn) -> Result<Vec<Event>, Refused> {
        let now_ms = self.now_ms;
        let pause_ms = seconds(what.seconds, 30 * DAY)? * 1_000;
        let (plan, state) = self.plan()?;
        if state != State::Active {
            return Err(Refused::state(format!("a purchase that is {} cannot be paused", state.as_str())));
        }
        if what.schedule {
            plan.resume_ms = Some(plan.expires_ms + pause_ms);
            return Ok(self.said(&[number::PAUSE_SCHEDULE_CHANGED]));
        }
        (plan.expires_ms, plan.paid_ms) = (plan.expires_ms.min(now_ms), plan.paid_ms.min(now_ms));
        plan.resume_ms = Some(now_ms + pause_ms);
        self.purchase.phase = Phase::Paused;
        Ok(self.said(&[number::PAUSED]))
    }

    fn extend(&mut self, what: &ActIn) -> Result<Vec<Event>, Refused> {
        let by_ms = seconds(what.seconds, 30 * DAY)? * 1_000;
        let (plan, _) = self.plan()?;
        (plan.expires_ms, plan.paid_ms) = (plan.expires_ms + by_ms, plan.paid_ms + by_ms);
        Ok(self.said(&[number::DEFERRED]))
    }

    fn increase_price(&mut self, what: &ActIn) -> Result<Vec<Event>, Refused> {
        let price = what.price.unwrap_or(self.purchase.price * 3 / 2);
        self.plan()?.0.new_price = Some((price, what.accepted));
        Ok(self.said(&[number::PRICE_CHANGE_UPDATED]))
    }

    /// Another account's id on the purchase, of which Google says nothing.
    fn transfer(&mut self, what: &ActIn) -> Result<Vec<Event>, Refused> {
        self.purchase.account_token.clone_from(&what.account_token);
        Ok(Vec::new())
    }

    /// A pending purchase is paid for; its period begins now.
    fn complete(&mut self) -> Result<Vec<Event>, Refused> {
        if self.purchase.phase != Phase::Pending {
            return Err(Refused::state("the purchase is not pending"));
        }
        let (now_ms, order) = (self.now_ms, order(self.ids, self.now_ms));
        pay(self.purchase, order, now_ms);
        let Some(plan) = &mut self.purchase.plan else {
            return Ok(vec![Event::new(&self.purchase.token, News::OneTime(1))]);
        };
        let until_ms = now_ms + plan.first_s * 1_000;
        (plan.expires_ms, plan.paid_ms) = (until_ms, until_ms);
        Ok(self.said(&[number::PURCHASED]))
    }

    /// Any notification about a purchase, also one that no store sends.
    fn notify(&mut self, what: &ActIn) -> Result<Vec<Event>, Refused> {
        let number = what.kind.as_deref().and_then(|kind| kind.parse().ok());
        let number = number.ok_or_else(|| Refused::invalid("type must be a number"))?;
        let news = if self.purchase.plan.is_some() { News::Subscription(number) } else { News::OneTime(number) };
        Ok(vec![Event::new(&self.purchase.token, news)])
    }
}
