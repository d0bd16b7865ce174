//! What a store says becomes what a person may use: the one place where purchases, add-ons, the ledger and the outcome of
//! an event are written, in one transaction on condition of what was read (design: payments, Table `entitlements`).
//!
//! A fold is repeatable: it reads, decides by the rules of `satchel_domain::purchases`, and writes what differs. What was
//! folded before changes nothing, so a lost answer, a second delivery and a race all end in reading again.

mod news;
mod write;

use std::collections::BTreeMap;

use satchel_domain::entitlements::{AddOn, Source, account_of_store_token};
use satchel_domain::ids::{EventId, UserId};
use satchel_domain::playstore::Facts;
use satchel_domain::purchases::owner::{Claim, Known, MOVES_SPAN, decide};
use satchel_domain::purchases::{Catalogue, Store, due};
use satchel_domain::time::DAY;
use satchel_domain::{Error, Result};
use satchel_inbound::{Clock, Ids};
use satchel_store::purchases::{self, EventRow, Loaded, PurchaseRow};
use satchel_store::{Cancelled, Retry, Table, Transaction, accounts};

pub(crate) use news::{Asking, Line, News, environment_name};
use write::Draft;

/// What folds are made with.
#[derive(Clone)]
pub(crate) struct Books {
    pub(crate) table: Table,
    pub(crate) accounts: Table,
    pub(crate) clock: Clock,
    pub(crate) ids: Ids,
    pub(crate) catalogue: Catalogue,
    /// How long what renews by itself stays active past its end, in seconds.
    pub(crate) slack: i64,
    pub(crate) allow_sandbox: bool,
}

/// Why there is something to fold.
#[derive(Debug, Clone)]
pub(crate) struct Cause<'a> {
    /// In the ledger: the store's word, or ours.
    pub(crate) what: String,
    /// Who brought it: a store, or the person's app.
    pub(crate) by: &'static str,
    /// The ledger's name of it; a second delivery has the same.
    pub(crate) id: EventId,
    /// When it happened, Unix milliseconds.
    pub(crate) at: i64,
    /// The event that is settled by it.
    pub(crate) event: Option<&'a EventRow>,
    /// Whether it must be looked at again soon, since nobody knows yet what it means.
    pub(crate) look_soon: bool,
}

/// What a fold led to.
#[derive(Debug, Clone)]
pub(crate) struct Folded {
    /// The purchase as it is now.
    pub(crate) row: PurchaseRow,
    /// What it gives.
    pub(crate) sources: BTreeMap<AddOn, Source>,
}

/// A look's answers are written down anew once they are so much older, in seconds.
const STALE_LOOK: i64 = 1_800;

impl Books {
    /// A cause of now that no event of a store is: it comes once.
    pub(crate) fn cause(&self, what: &str, by: &'static str) -> Cause<'static> {
        let (id, at) = (self.ids.next::<EventId>(), self.clock.now().as_millisecond());
        Cause { what: what.to_owned(), by, id, at, event: None, look_soon: false }
    }

    /// Writes a purchase's row down, unless somebody changed it meanwhile: their change counts more.
    pub(crate) async fn write_unless_changed(&self, row: &PurchaseRow) -> Result<()> {
        let mut transaction = Transaction::new();
        purchases::put(&mut transaction, &self.table, row, &[])?;
        match transaction.run(&self.table).await {
            Ok(()) | Err(Cancelled::Condition(_)) => Ok(()),
            Err(cancelled) => Err(cancelled.into()),
        }
    }

    /// Folds `news` in.
    ///
    /// # Errors
    /// What `claim` is refused with; 503 where the tables are in the way.
    pub(crate) async fn fold(&self, news: &News<'_>, claim: Claim<'_>, cause: &Cause<'_>) -> Result<Folded> {
        let mut retry = Retry::default();
        let mut again = false;
        loop {
            let (transaction, folded) = self.attempt(news, claim, cause, again).await?;
            if transaction.is_empty() {
                return Ok(folded);
            }
            again = true;
            match transaction.run(&self.table).await {
                Ok(()) => return Ok(folded),
                // Whether it was written shows in reading again: a fold of what is folded writes nothing.
                Err(Cancelled::Unknown(error)) => retry.after(Cancelled::Contention(error)).await?,
                Err(cancelled) => retry.after(cancelled).await?,
            }
        }
    }

    /// One try. The event was read a moment ago by who brings it; `again`, it is read once more, since it may be what the
    /// try before failed of.
    async fn attempt(
        &self,
        news: &News<'_>,
        claim: Claim<'_>,
        cause: &Cause<'_>,
        again: bool,
    ) -> Result<(Transaction, Folded)> {
        let now = self.clock.unix();
        let (store, id) = (news.store(), news.id());
        let loaded = purchases::load(&self.table, store, &id).await?;
        let before = loaded.unwrap_or_else(|| Loaded {
            row: PurchaseRow::new(store, &id, news.environment(), now),
            transactions: BTreeMap::new(),
        });
        if again
            && let Some(event) = cause.event
            && purchases::event(&self.table, store, &event.id).await?.is_none_or(|event| event.outcome.is_some())
        {
            let sources = self.sources(&before);
            return Ok((Transaction::new(), Folded { row: before.row, sources }));
        }
        let learned = news.learn(&before, now).await?;
        if let Some(complaint) = learned.complaint {
            tracing::error!(purchase = %id, metric = "PurchaseUnknownToStore", complaint, "a store does not know what it sold");
        }
        let mut row = learned.row;
        if store == Store::Android && row.facts.is_none() {
            return self.unknown(cause, row);
        }
        let known = before.row.owner.clone();
        let after = Loaded { row: row.clone(), transactions: learned.transactions };
        let sources = self.sources(&after);

        let linked = self.linked(&row).await?;
        let named = self.named(&row).await?;
        // An account that was erased owns nothing, whatever its erasing has reached yet.
        let owner = match row.owner.clone().or_else(|| linked.as_ref().and_then(|linked| linked.row.owner.clone())) {
            Some(owner) if named.as_ref() == Some(&owner) || self.lives(&owner).await? => Some(owner),
            _ => None,
        };
        let known_of = Known { owner: owner.as_ref(), named: named.as_ref(), moves: &row.moves };
        let (decided, moved) = decide(known_of, claim, now)?;
        row.moves.retain(|at| now.saturating_sub(*at) < MOVES_SPAN);
        if moved {
            row.moves.push(now);
        }
        row.owner = decided;
        let acknowledge = row.facts.as_ref().is_some_and(must_acknowledge);
        let next = due::again(sources.values(), acknowledge, now, spread(&row.id));
        // What is live and gives nothing here may do so tomorrow, by another catalogue.
        let daily = || {
            (self.counts(&row) && after.is_live(&self.catalogue, now)).then(|| due::within_a_day(now, spread(&row.id)))
        };
        let next = next.or_else(daily);
        // An event is no look: however many come, the store is asked once a day.
        let planned = before.row.due_at.map(|at| at.div_euclid(1_000)).filter(|_| cause.event.is_some());
        let next = next.map(|next| planned.map_or(next, |planned| next.min(planned)));
        row.due(if cause.look_soon { Some(now) } else { next });

        let mut draft = Draft::new(self, cause, now);
        if let Some(previous) = known.filter(|previous| row.owner.as_ref() != Some(previous)) {
            draft.take_away(&previous, &row, "moved").await?;
        }
        if let Some(owner) = row.owner.clone() {
            draft.give(&owner, &row, &sources).await?;
        }
        // A linked purchase ends where the new one stands, and not before (facts 2.7: an upgrade's new token comes first).
        if let Some(linked) = linked.filter(|_| stands(&row)) {
            draft.replace(linked, now).await?;
        }
        let snapshots: Vec<_> = learned.new.iter().collect();
        let transaction = draft.finish(&before.row, &row, &snapshots).await?;
        Ok((transaction, Folded { row, sources }))
    }

    /// An event of a purchase that its store does not know, and that we never knew. The store may learn of it a moment
    /// later than it told: only after a day nothing but the event's outcome is written.
    fn unknown(&self, cause: &Cause<'_>, row: PurchaseRow) -> Result<(Transaction, Folded)> {
        let mut transaction = Transaction::new();
        if let Some(event) = cause.event {
            let now = self.clock.now().as_millisecond();
            if now.saturating_sub(event.received_at) < DAY * 1_000 {
                purchases::put_off(&mut transaction, &self.table, event, now + due::NEXT_RUN * 1_000)?;
            } else {
                purchases::settle(&mut transaction, &self.table, event, "unknown_purchase", now)?;
            }
        }
        Ok((transaction, Folded { row, sources: BTreeMap::new() }))
    }

    /// Writes down that a purchase was acknowledged; where somebody else changed it meanwhile, the next look finds out.
    pub(crate) async fn acknowledged(&self, store: Store, id: &str) -> Result<()> {
        let Some(mut row) = purchases::get(&self.table, store, id).await? else { return Ok(()) };
        let Some(facts) = row.facts.as_mut() else { return Ok(()) };
        facts.purchase.acknowledged = true;
        let sources = self.sources(&Loaded { row: row.clone(), transactions: BTreeMap::new() });
        row.due(due::again(sources.values(), false, self.clock.unix(), spread(id)));
        self.write_unless_changed(&row).await
    }

    /// What a purchase gives; nothing where its environment does not count here.
    pub(crate) fn sources(&self, loaded: &Loaded) -> BTreeMap<AddOn, Source> {
        let row = &loaded.row;
        if !self.counts(row) {
            return BTreeMap::new();
        }
        match (&row.facts, &row.original_transaction_id) {
            (Some(facts), _) => facts.sources(&row.id, &self.catalogue, self.slack),
            (None, Some(original)) => loaded.chain().sources(original, &row.environment, &self.catalogue, self.slack),
            (None, None) => BTreeMap::new(),
        }
    }

    /// Whether the environment of a purchase counts here.
    pub(crate) fn counts(&self, row: &PurchaseRow) -> bool {
        row.environment == "production" || self.allow_sandbox
    }

    async fn lives(&self, user: &UserId) -> Result<bool> {
        let account = accounts::get(&self.accounts, user).await?;
        Ok(account.is_some_and(|account| account.is_active()))
    }

    /// The live account that a purchase names.
    async fn named(&self, row: &PurchaseRow) -> Result<Option<UserId>> {
        let Some(user) = row.named.as_deref().and_then(account_of_store_token) else { return Ok(None) };
        Ok(self.lives(&user).await?.then_some(user))
    }

    /// The purchase that this one takes the place of, where it is known.
    async fn linked(&self, row: &PurchaseRow) -> Result<Option<Loaded>> {
        let purchase = row.facts.as_ref().map(|facts| &facts.purchase);
        let linked = purchase.and_then(|it| it.linked_token.as_ref().or(it.expired_token.as_ref()));
        match linked.filter(|linked| **linked != row.id) {
            Some(linked) => purchases::load(&self.table, row.store, linked).await,
            None => Ok(None),
        }
    }
}

/// Whether a purchase has begun, so that what it is linked to has ended.
fn stands(row: &PurchaseRow) -> bool {
    use satchel_domain::playstore::State;
    let state = row.facts.as_ref().map(|facts| &facts.purchase.state);
    state.is_some_and(|state| !matches!(state, State::Pending | State::PendingCanceled | State::Unknown(_)))
}

/// Whether Google still waits to hear that it was given: not for what it does not know any more.
pub(crate) fn must_acknowledge(facts: &Facts) -> bool {
    facts.purchase.acknowledgement_due() && facts.gone.is_none()
}

/// A number of the purchase's own, to spread looks by.
fn spread(id: &str) -> u64 {
    id.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// 400 for a receipt that is not taken, in the seed's words.
pub(crate) fn refused(code: &'static str, message: impl Into<String>) -> Error {
    Error::Malformed { code, message: message.into() }
}
