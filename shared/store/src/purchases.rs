//! Purchases in stores: whose each is and what is known of it, the events that told of it, and what needs another look.
//!
//! A purchase has a partition of its own, not a place in its owner's: some have no owner yet, and a move to another
//! account changes one row. Whoever changes anything of it writes its `STATE` on condition of the version it read, so a
//! read of the partition, `STATE` first, followed by such a write is as good as one at one moment.

use std::collections::BTreeMap;

use satchel_domain::ids::UserId;
use satchel_domain::playstore;
use satchel_domain::purchases::chain::{RenewalSnapshot, Snapshot};
use satchel_domain::purchases::{Catalogue, Chain, Store};
use satchel_domain::time::DAY;
use satchel_domain::{Error, Result};
use serde::{Deserialize, Serialize};

use crate::expr::Expr;
use crate::keys::entitlements as keys;
use crate::table::{Item, Range, Table, row};
use crate::transaction::Transaction;

/// For how long an event is kept, in seconds: longer than a year's subscription and its refund.
pub const EVENT_STAYS: i64 = 400 * DAY;

/// A purchase: an App Store line of transactions, or a Google Play purchase token. Its `Debug` leaves the token out.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PurchaseRow {
    /// The store.
    pub store: Store,
    /// The purchase: [`apple_id`], or the hash of a purchase token.
    pub id: String,
    /// Counts the changes; 0 where there is no row yet.
    pub version: u64,
    /// `production` or `sandbox`.
    pub environment: String,
    /// The account it counts for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<UserId>,
    /// The account token it names, as the store told it last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub named: Option<String>,
    /// When it moved from one account to another, Unix seconds.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub moves: Vec<i64>,
    /// The original transaction (App Store).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub original_transaction_id: Option<String>,
    /// The newest renewal info (App Store).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub renewal: Option<RenewalSnapshot>,
    /// The purchase token (Google Play), to ask again with; it leaves for nobody else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purchase_token: Option<String>,
    /// What Google Play said last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub facts: Option<playstore::Facts>,
    /// When it was first heard of, Unix seconds.
    pub created_at: i64,
    /// Its partition of the index of what is due; with `due_at`, or neither.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due_pk: Option<String>,
    /// When it is looked at again, Unix milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due_at: Option<i64>,
}

impl std::fmt::Debug for PurchaseRow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { store, id, version, owner, .. } = self;
        let mut shown = f.debug_struct("PurchaseRow");
        shown.field("store", store).field("id", id).field("version", version).field("owner", owner);
        shown.finish_non_exhaustive()
    }
}

/// The name of the line `original` of App Store transactions in `environment`: sandbox and production count apart.
pub fn apple_id(environment: &str, original: &str) -> String {
    if environment == "production" { original.to_owned() } else { format!("{environment}.{original}") }
}

impl PurchaseRow {
    /// A purchase that was not heard of before.
    pub fn new(store: Store, id: &str, environment: &str, now: i64) -> Self {
        Self {
            store,
            id: id.to_owned(),
            version: 0,
            environment: environment.to_owned(),
            owner: None,
            named: None,
            moves: Vec::new(),
            original_transaction_id: None,
            renewal: None,
            purchase_token: None,
            facts: None,
            created_at: now,
            due_pk: None,
            due_at: None,
        }
    }

    /// Its name among the sources of an add-on.
    pub fn source(&self) -> String {
        format!("{}#{}", self.store.as_str(), self.id)
    }

    /// Puts it on the list of what is due, Unix seconds, or takes it off.
    pub fn due(&mut self, at: Option<i64>) {
        let shard = keys::due_shard(&keys::purchase_partition(self.store, &self.id));
        self.due_pk = at.map(|_| keys::due_partition(shard));
        self.due_at = at.map(|at| at.saturating_mul(1_000));
    }
}

/// The store and the id in a source's name; none for a grant.
pub fn of_source(source: &str) -> Option<(Store, &str)> {
    let (store, id) = source.split_once('#')?;
    Some((Store::find(store)?, id))
}

/// A purchase with its transactions.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The purchase.
    pub row: PurchaseRow,
    /// What is known of its transactions (App Store).
    pub transactions: BTreeMap<String, Snapshot>,
}

impl Loaded {
    /// Whether the store sold something that has not ended at `now`, whatever it gives here.
    pub fn is_live(&self, catalogue: &Catalogue, now: i64) -> bool {
        match &self.row.facts {
            Some(facts) => facts.is_live(now),
            None => self
                .chain()
                .newest(None, catalogue)
                .is_some_and(|it| it.revoked_at.is_none() && it.expires_at.is_none_or(|end| end > now)),
        }
    }

    /// The line as the rules know it.
    pub fn chain(&self) -> Chain {
        Chain { transactions: self.transactions.clone(), renewal: self.row.renewal.clone() }
    }
}

/// The purchase `id` in `store`, read consistently.
pub async fn load(table: &Table, store: Store, id: &str) -> Result<Option<Loaded>> {
    let (mut state, mut transactions, mut start) = (None, BTreeMap::new(), None);
    loop {
        let page = table.query_items(Range::of(keys::purchase_partition(store, id)).after(start)).await?;
        for item in page.rows {
            match sk(&item) {
                keys::STATE => state = Some(row::<PurchaseRow>(item)?),
                _ => {
                    let snapshot: Snapshot = row(item)?;
                    transactions.insert(snapshot.transaction_id.clone(), snapshot);
                }
            }
        }
        match page.next {
            Some(next) => start = Some(next),
            // Transactions alone are what a write that did not end left: its try again finds them.
            None => return Ok(state.map(|row| Loaded { row, transactions })),
        }
    }
}

fn sk(item: &Item) -> &str {
    item.get("sk").and_then(|value| value.as_s().ok()).map_or("", String::as_str)
}

/// The purchase alone, without its transactions.
pub async fn get(table: &Table, store: Store, id: &str) -> Result<Option<PurchaseRow>> {
    table.get(&keys::purchase(store, id)).await
}

/// Adds to `transaction`: the purchase becomes `row`, on condition that it still has the version `row` was made from, and
/// `snapshots` are its transactions' newest.
///
/// # Errors
/// [`Error::Internal`] where a row cannot be written down.
pub fn put(transaction: &mut Transaction, table: &Table, row: &PurchaseRow, snapshots: &[&Snapshot]) -> Result<()> {
    let unchanged = match row.version {
        0 => Expr::absent(),
        version => Expr::condition("#version = :version").name("#version", "version").value(":version", version),
    };
    let next = PurchaseRow { version: row.version.saturating_add(1), ..row.clone() };
    transaction.put(table, &keys::purchase(row.store, &row.id), &next, unchanged)?;
    for snapshot in snapshots {
        let key = keys::transaction(row.store, &row.id, &snapshot.transaction_id);
        transaction.put(table, &key, snapshot, Expr::always())?;
    }
    Ok(())
}

/// Puts one snapshot ahead of its purchase, where none as new is there: a line that brings more than fit into one
/// transaction. What is known of a transaction only grows, so it may stand before the purchase knows.
pub async fn put_ahead(table: &Table, store: Store, id: &str, snapshot: &Snapshot) -> Result<()> {
    let newer = Expr::condition("attribute_not_exists(pk) OR signed_at < :signed").value(":signed", snapshot.signed_at);
    table.put(&keys::transaction(store, id, &snapshot.transaction_id), snapshot, newer).await.map(|_| ())
}

/// Adds to `transaction`: `user` owns the purchase `row`, or no longer does. The erasing of an account finds its purchases
/// by this row; a source of an add-on does not do, since some give nothing.
///
/// # Errors
/// [`Error::Internal`] where it cannot be written down.
pub fn own(transaction: &mut Transaction, table: &Table, user: &UserId, row: &PurchaseRow, owns: bool) -> Result<()> {
    let key = keys::owned(user, &row.source());
    if owns {
        transaction.put(table, &key, &Owned { source: row.source() }, Expr::always())?;
    } else {
        transaction.delete(table, &key, Expr::always())?;
    }
    Ok(())
}

#[derive(Debug, Serialize, Deserialize)]
struct Owned {
    source: String,
}

/// The names of the purchases that `user` owns.
pub async fn owned(table: &Table, user: &UserId) -> Result<Vec<String>> {
    let rows: Vec<Owned> = table.query_all(Range::of(keys::partition(user)).prefix(keys::OWNED)).await?;
    Ok(rows.into_iter().map(|row| row.source).collect())
}

/// The account that owns `source` (a purchase's name) is erased: the purchase becomes nobody's, where it was `user`'s, and
/// the account's token, which is its id in another spelling, is taken off.
pub async fn disown(table: &Table, source: &str, user: &UserId) -> Result<()> {
    let Some((store, id)) = of_source(source) else { return Ok(()) };
    let Some(loaded) = load(table, store, id).await? else { return Ok(()) };
    for snapshot in loaded.transactions.values().filter(|it| it.account_token.is_some()) {
        let key = keys::transaction(store, id, &snapshot.transaction_id);
        let expr = Expr::update("REMOVE account_token").when("attribute_exists(pk)");
        table.update::<Snapshot>(&key, expr).await?;
    }
    let mut row = loaded.row;
    if row.owner.as_ref() != Some(user) {
        return Ok(());
    }
    (row.owner, row.named) = (None, None);
    if let Some(facts) = &mut row.facts {
        (facts.purchase.account_token, facts.purchase.expired_account_token) = (None, None);
    }
    let mut transaction = Transaction::new();
    put(&mut transaction, table, &row, &[])?;
    // Somebody changed it meanwhile: the queue tries again.
    transaction.run(table).await.map_err(Error::from)
}

/// An event of a store, as it came. Its `Debug` leaves the body out: purchase tokens stand in it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventRow {
    /// The store.
    pub store: Store,
    /// What duplicates are told by.
    pub id: String,
    /// What it is about, in the store's words.
    pub kind: String,
    /// When it came, Unix milliseconds.
    pub received_at: i64,
    /// When the store says it happened, Unix milliseconds.
    pub said_at: i64,
    /// Its environment, `production` or `sandbox`.
    pub environment: String,
    /// The body that came, as it was verified.
    pub body: String,
    /// Whether it was brought by our own call to the store, so that its age does not count against it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub by_api: bool,
    /// What became of it; none while it waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<String>,
    /// When it was settled, Unix milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settled_at: Option<i64>,
    /// The index of what is due; none once settled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due_pk: Option<String>,
    /// When it is sent again, Unix milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due_at: Option<i64>,
    /// When the row may go, Unix seconds.
    pub ttl: i64,
}

impl std::fmt::Debug for EventRow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EventRow").field("store", &self.store).field("id", &self.id).finish_non_exhaustive()
    }
}

/// How long an event may wait before it is sent again, in milliseconds.
pub const RESEND_AFTER: i64 = 300_000;

impl EventRow {
    /// An event that came `now` (Unix milliseconds) and waits.
    pub fn received(store: Store, id: &str, kind: &str, environment: &str, body: &str, said_at: i64, now: i64) -> Self {
        let shard = keys::due_shard(&keys::event(store, id).pk);
        Self {
            store,
            id: id.to_owned(),
            kind: kind.to_owned(),
            received_at: now,
            said_at,
            environment: environment.to_owned(),
            body: body.to_owned(),
            by_api: false,
            outcome: None,
            settled_at: None,
            due_pk: Some(keys::due_partition(shard)),
            due_at: Some(now.saturating_add(RESEND_AFTER)),
            ttl: now.div_euclid(1_000).saturating_add(EVENT_STAYS),
        }
    }
}

/// The event `id` of `store`.
pub async fn event(table: &Table, store: Store, id: &str) -> Result<Option<EventRow>> {
    table.get(&keys::event(store, id)).await
}

/// Puts an event that came; `false` where it was there before.
pub async fn receive(table: &Table, event: &EventRow) -> Result<bool> {
    table.put(&keys::event(event.store, &event.id), event, Expr::absent()).await
}

fn settled(outcome: &str, now: i64) -> Expr {
    Expr::update("SET outcome = :outcome, settled_at = :now REMOVE due_pk, due_at")
        .when("attribute_exists(pk) AND attribute_not_exists(outcome)")
        .value(":outcome", outcome)
        .value(":now", now)
}

/// Adds to `transaction`: the event has this outcome, on condition that it had none.
///
/// # Errors
/// [`Error::Internal`] where it cannot be written down.
pub fn settle(transaction: &mut Transaction, table: &Table, event: &EventRow, outcome: &str, now: i64) -> Result<()> {
    transaction.update(table, &keys::event(event.store, &event.id), settled(outcome, now))?;
    Ok(())
}

/// The event has this outcome, where it had none; nothing else comes of it.
pub async fn settle_alone(table: &Table, event: &EventRow, outcome: &str, now: i64) -> Result<()> {
    table.update::<EventRow>(&keys::event(event.store, &event.id), settled(outcome, now)).await.map(|_| ())
}

fn put_off_to(at: i64) -> Expr {
    Expr::update("SET due_at = :at").when("attribute_exists(due_pk) AND attribute_not_exists(outcome)").value(":at", at)
}

/// The event is tried again at `at` (Unix milliseconds), where it has no outcome.
pub async fn postpone(table: &Table, event: &EventRow, at: i64) -> Result<()> {
    table.update::<EventRow>(&keys::event(event.store, &event.id), put_off_to(at)).await.map(|_| ())
}

/// [`postpone`] in `transaction`.
///
/// # Errors
/// [`Error::Internal`] where it cannot be written down.
pub fn put_off(transaction: &mut Transaction, table: &Table, event: &EventRow, at: i64) -> Result<()> {
    transaction.update(table, &keys::event(event.store, &event.id), put_off_to(at))?;
    Ok(())
}

/// Something that needs another look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Due {
    /// An event that was not settled.
    Event(Store, String),
    /// A purchase.
    Purchase(Store, String),
}

/// What is due in `shard` at `now` (Unix milliseconds), longest first, after `after`.
pub async fn due(table: &Table, shard: u8, now: i64, after: Option<Item>) -> Result<(Vec<Due>, Option<Item>)> {
    let pk = keys::due_partition(shard);
    let (found, next) = table.query_index(keys::DUE, ("due_pk", "due_at"), (&pk, now), after, 100).await?;
    let known = found.into_iter().filter_map(|key| {
        let event = keys::event_of(&key.pk).map(|(store, id)| Due::Event(store, id.to_owned()));
        event.or_else(|| keys::purchase_of(&key.pk).map(|(store, id)| Due::Purchase(store, id.to_owned())))
    });
    Ok((known.collect(), next))
}

/// How far the reconciling of one list has come.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// Everything before this was seen, Unix milliseconds.
    pub until: i64,
    /// The end of the span that is being read, Unix milliseconds.
    #[serde(default)]
    pub reading_until: i64,
    /// The page that comes next in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page: Option<String>,
}

/// How far the reconciling of `what` has come.
pub async fn progress(table: &Table, what: &str) -> Result<Option<Progress>> {
    table.get(&keys::reconcile(what)).await
}

/// Writes that down.
pub async fn save_progress(table: &Table, what: &str, progress: &Progress) -> Result<()> {
    if table.put(&keys::reconcile(what), progress, Expr::always()).await? {
        Ok(())
    } else {
        Err(Error::internal("a put without a condition failed its condition"))
    }
}
