//! The writes of one fold: each add-on's row once, a line in the ledger for each source that changed, the purchase, the
//! event's outcome.

use std::collections::BTreeMap;

use satchel_domain::Result;
use satchel_domain::entitlements::{Access, AddOn, Source, Status, access, revoked};
use satchel_domain::ids::UserId;
use satchel_domain::purchases::chain::Snapshot;
use satchel_store::Transaction;
use satchel_store::entitlements::{self, AddOnRow, LedgerRow};
use satchel_store::purchases::{self, Loaded, PurchaseRow};

use super::{Books, Cause, STALE_LOOK};

/// Snapshots of one transaction of ours; a hundred writes is the most, and the add-ons need some.
const SNAPSHOTS: usize = 50;

/// What a fold will write.
pub(super) struct Draft<'a> {
    books: &'a Books,
    cause: &'a Cause<'a>,
    now: i64,
    /// Add-ons as they were read, and as they become.
    add_ons: BTreeMap<(UserId, AddOn), AddOnRow>,
    read: Vec<UserId>,
    lines: Vec<(UserId, LedgerRow)>,
    replaced: Option<PurchaseRow>,
    /// Whose a purchase becomes, and whose it was.
    owned: Vec<(UserId, PurchaseRow, bool)>,
}

impl<'a> Draft<'a> {
    pub(super) fn new(books: &'a Books, cause: &'a Cause<'a>, now: i64) -> Self {
        Self {
            books,
            cause,
            now,
            add_ons: BTreeMap::new(),
            read: Vec::new(),
            lines: Vec::new(),
            replaced: None,
            owned: Vec::new(),
        }
    }

    async fn read(&mut self, user: &UserId) -> Result<()> {
        if self.read.contains(user) {
            return Ok(());
        }
        for row in entitlements::all(&self.books.table, user).await? {
            self.add_ons.insert((user.clone(), row.add_on), row);
        }
        self.read.push(user.clone());
        Ok(())
    }

    /// `user` has what `sources` say by the purchase `row`, and nothing else by it.
    pub(super) async fn give(
        &mut self,
        user: &UserId,
        row: &PurchaseRow,
        sources: &BTreeMap<AddOn, Source>,
    ) -> Result<()> {
        self.read(user).await?;
        self.owned.push((user.clone(), row.clone(), true));
        let name = &row.source();
        let before = self.lines.len();
        for add_on in AddOn::ALL {
            let had = self.source(user, add_on, name);
            match (sources.get(&add_on), had) {
                (Some(source), had) if had.as_ref().is_none_or(|had| differs(had, source)) => {
                    self.change(user, add_on, name, had.as_ref(), source.clone(), &self.cause.what.clone());
                }
                (Some(source), _) if self.cause.event.is_some() => {
                    self.line(user, add_on, name, Some(source.status), source, &self.cause.what.clone(), false);
                }
                // The catalogue no longer has the product.
                (None, Some(had)) if had.status != Status::Revoked => {
                    let gone = revoked(had.clone(), self.now);
                    self.change(user, add_on, name, Some(&had), gone, "not_in_catalogue");
                }
                _ => {}
            }
        }
        if self.lines.len() == before && self.cause.event.is_some() {
            tracing::info!("an event of a purchase that gives nothing here");
        }
        Ok(())
    }

    /// `user` has nothing more by the purchase `row`.
    pub(super) async fn take_away(&mut self, user: &UserId, row: &PurchaseRow, why: &str) -> Result<()> {
        self.read(user).await?;
        self.owned.push((user.clone(), row.clone(), false));
        let name = &row.source();
        for add_on in AddOn::ALL {
            if let Some(had) = self.source(user, add_on, name).filter(|had| had.status != Status::Revoked) {
                let gone = revoked(had.clone(), self.now);
                self.change(user, add_on, name, Some(&had), gone, why);
            }
        }
        Ok(())
    }

    /// The purchase that another took the place of has ended.
    pub(super) async fn replace(&mut self, linked: Loaded, now: i64) -> Result<()> {
        let mut row = linked.row;
        let Some(facts) = row.facts.as_mut().filter(|facts| facts.replaced_at.is_none()) else { return Ok(()) };
        facts.replaced_at = Some(now);
        let sources = self.books.sources(&Loaded { row: row.clone(), transactions: BTreeMap::new() });
        let acknowledge = row.facts.as_ref().is_some_and(super::must_acknowledge);
        // Google refunds what nobody acknowledged, replaced or not.
        row.due(acknowledge.then_some(now));
        if let Some(owner) = row.owner.clone() {
            self.give(&owner, &row, &sources).await?;
        }
        self.replaced = Some(row);
        Ok(())
    }

    fn source(&self, user: &UserId, add_on: AddOn, name: &str) -> Option<Source> {
        self.add_ons.get(&(user.clone(), add_on))?.sources.get(name).cloned()
    }

    fn change(&mut self, user: &UserId, add_on: AddOn, name: &str, had: Option<&Source>, source: Source, what: &str) {
        self.line(user, add_on, name, had.map(|had| had.status), &source, what, true);
        let row = self.add_ons.entry((user.clone(), add_on)).or_insert_with(|| AddOnRow::empty(add_on));
        row.sources.insert(name.to_owned(), source);
        forget_the_oldest(&mut row.sources, self.now);
    }

    #[expect(clippy::too_many_arguments, reason = "a line has these parts, and it is made in one place")]
    fn line(
        &mut self,
        user: &UserId,
        add_on: AddOn,
        name: &str,
        from: Option<Status>,
        source: &Source,
        what: &str,
        changed: bool,
    ) {
        let line = LedgerRow {
            event_id: self.cause.id.clone(),
            cause: what.to_owned(),
            by: self.cause.by.to_owned(),
            add_on,
            source: name.to_owned(),
            from,
            to: source.status,
            changed,
            version: 0,
            expires_at: source.expires_at,
            at: self.cause.at,
        };
        self.lines.push((user.clone(), line));
    }

    /// The transaction; empty where nothing is new.
    pub(super) async fn finish(
        self,
        before: &PurchaseRow,
        row: &PurchaseRow,
        snapshots: &[&Snapshot],
    ) -> Result<Transaction> {
        let table = &self.books.table;
        let mut transaction = Transaction::new();
        if let Some(event) = self.cause.event {
            let outcome = if self.lines.iter().any(|(_, line)| line.changed) { "applied" } else { "recorded" };
            purchases::settle(&mut transaction, table, event, outcome, self.books.clock.now().as_millisecond())?;
        }
        for (user, line) in &self.lines {
            let Some(add_on) = self.add_ons.get(&(user.clone(), line.add_on)) else { continue };
            let first =
                self.lines.iter().find(|(it, other)| it == user && other.add_on == line.add_on && other.changed);
            if first.is_some_and(|(_, first)| std::ptr::eq(first, line)) {
                entitlements::change(&mut transaction, table, user, add_on, line)?;
            } else {
                let version = add_on.version + u64::from(line.changed);
                let line = LedgerRow { version, ..line.clone() };
                entitlements::record(&mut transaction, table, user, &line)?;
            }
        }
        let ahead = snapshots.len().saturating_sub(SNAPSHOTS);
        for snapshot in snapshots.iter().take(ahead) {
            purchases::put_ahead(table, row.store, &row.id, snapshot).await?;
        }
        let worth_writing = !transaction.is_empty() || !snapshots.is_empty() || worth_writing(before, row);
        if worth_writing {
            let rest: Vec<&Snapshot> = snapshots.iter().skip(ahead).copied().collect();
            purchases::put(&mut transaction, table, row, &rest)?;
        }
        // Written with the purchase, and only where whose it is changes: the condition on the purchase covers both.
        for (user, row, owns) in &self.owned {
            let had = if row.id == before.id { before.owner.as_ref() } else { row.owner.as_ref() };
            if *owns != (had == Some(user)) {
                purchases::own(&mut transaction, table, user, row, *owns)?;
            }
        }
        if let Some(replaced) = &self.replaced {
            purchases::put(&mut transaction, table, replaced, &[])?;
        }
        Ok(transaction)
    }
}

/// Most sources of one add-on: its row is read by every request that needs the add-on.
const SOURCES: usize = 40;

/// Drops what ended longest ago where there are too many; its purchase is remembered elsewhere, and the ledger has it.
fn forget_the_oldest(sources: &mut BTreeMap<String, Source>, now: i64) {
    while sources.len() > SOURCES {
        let over =
            sources.iter().filter(|(_, it)| access([*it], now) != Access::Active && it.status != Status::Pending);
        let oldest = over.min_by_key(|(_, it)| (it.expires_at.unwrap_or(it.updated_at), it.updated_at));
        let Some(name) = oldest.map(|(name, _)| name.clone()) else { return };
        sources.remove(&name);
    }
}

/// Whether anything but the time of a look is new, or that is much newer.
fn worth_writing(before: &PurchaseRow, row: &PurchaseRow) -> bool {
    let mut same = row.clone();
    (same.due_at, same.due_pk) = (before.due_at, before.due_pk.clone());
    if let (Some(facts), Some(known)) = (&mut same.facts, &before.facts) {
        facts.fetched_at = known.fetched_at;
    }
    let moved = match (before.due_at, row.due_at) {
        (Some(before), Some(after)) => before.abs_diff(after) >= STALE_LOOK.unsigned_abs() * 1_000,
        (before, after) => before != after,
    };
    before.version == 0 || same != *before || moved
}

/// Whether `said` is anything new beside `had`. That it was said again is not: the row, the ledger and the events would
/// tell of a change every day.
fn differs(had: &Source, said: &Source) -> bool {
    let same = Source { updated_at: had.updated_at, slack: had.slack, ..said.clone() };
    same != *had
}
