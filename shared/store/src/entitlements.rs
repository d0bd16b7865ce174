//! Add-ons of people, and what feeds them.
//!
//! The add-on's row holds the [`Source`] of everything that feeds it, one a chain of purchases, so that whether a person
//! has the add-on is one consistent `GetItem`. It changes only on condition of the version that was read: two events of
//! one person never overwrite each other. The purchase's own row, which holds what nobody asks for in a hurry, and the
//! ledger's row are written in the same transaction.

use std::collections::BTreeMap;

use satchel_domain::Result;
use satchel_domain::entitlements::{AddOn, Source, Status};
use satchel_domain::ids::{EventId, GrantId, UserId};
use serde::{Deserialize, Serialize};

use crate::expr::Expr;
use crate::keys::Key;
use crate::keys::entitlements as keys;
use crate::table::{Range, Table};
use crate::transaction::Transaction;

/// The name under which the grant feeds an add-on: there is one a person and add-on, and a new one takes its place.
pub const GRANT: &str = "grant";

/// A person's add-on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddOnRow {
    /// The add-on.
    pub add_on: AddOn,
    /// Counts the changes; 0 where there is no row yet.
    pub version: u64,
    /// What feeds it, by the chain of purchases it came by (`<store>#<original transaction>`), or [`GRANT`].
    pub sources: BTreeMap<String, Source>,
}

impl AddOnRow {
    /// An add-on that nothing feeds yet.
    pub fn empty(add_on: AddOn) -> Self {
        Self { add_on, version: 0, sources: BTreeMap::new() }
    }
}

/// A grant, as the back office gave it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GrantRow {
    /// Its id.
    pub grant_id: GrantId,
    /// To whom.
    pub user_id: UserId,
    /// What.
    pub add_on: AddOn,
    /// What it says.
    pub source: Source,
    /// Why it was given.
    pub reason: String,
    /// The client that gave it.
    pub granted_by: String,
    /// Why it was taken back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoke_reason: Option<String>,
}

/// A change of what feeds an add-on; written once. No text of a person stands in it, so it can outlive the account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerRow {
    /// The event that caused it.
    pub event_id: EventId,
    /// What happened, such as `granted`, `revoked`.
    pub cause: String,
    /// Who did it.
    pub by: String,
    /// The add-on.
    pub add_on: AddOn,
    /// The source's name in [`AddOnRow::sources`].
    pub source: String,
    /// The state before, where there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Status>,
    /// The state after.
    pub to: Status,
    /// Whether anything of the source changed: an event that was known already, or older than what is known, is only
    /// recorded.
    #[serde(default = "yes")]
    pub changed: bool,
    /// The add-on's version by it ([`AddOnRow::version`]): the order of the changes, whatever their times.
    #[serde(default)]
    pub version: u64,
    /// End after the change, Unix seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<i64>,
    /// When, in milliseconds.
    pub at: i64,
}

fn yes() -> bool {
    true
}

impl LedgerRow {
    /// Where it lies.
    pub fn key(&self, user: &UserId) -> Key {
        let purchase = Some(self.source.as_str()).filter(|source| *source != GRANT);
        keys::ledger(user, self.at, &self.event_id, self.add_on, purchase)
    }
}

/// The add-on of `user`, read consistently.
pub async fn get(table: &Table, user: &UserId, add_on: AddOn) -> Result<Option<AddOnRow>> {
    table.get(&keys::add_on(user, add_on)).await
}

/// Every add-on that `user` has or had.
pub async fn list(table: &Table, user: &UserId) -> Result<Vec<AddOnRow>> {
    table.query_all(Range::of(keys::partition(user)).prefix(keys::ADD_ONS)).await
}

/// The grant `id` to `user`.
pub async fn grant(table: &Table, user: &UserId, id: &GrantId) -> Result<Option<GrantRow>> {
    table.get(&keys::grant(user, id)).await
}

/// Adds to `transaction`: `user`'s add-on becomes `row`, on condition that it still has the version `row` was made
/// from; and the ledger's line.
///
/// # Errors
/// [`satchel_domain::Error::Internal`] where a row cannot be written down.
pub fn change(
    transaction: &mut Transaction,
    table: &Table,
    user: &UserId,
    row: &AddOnRow,
    line: &LedgerRow,
) -> Result<()> {
    let unchanged = match row.version {
        0 => Expr::absent(),
        version => Expr::condition("#version = :version").name("#version", "version").value(":version", version),
    };
    let next = AddOnRow { version: row.version.saturating_add(1), ..row.clone() };
    transaction.put(table, &keys::add_on(user, row.add_on), &next, unchanged)?;
    let line = LedgerRow { version: next.version, ..line.clone() };
    transaction.put(table, &line.key(user), &line, Expr::absent())?;
    Ok(())
}

/// Adds to `transaction` only the line: the event is recorded, the add-on stays.
///
/// # Errors
/// [`satchel_domain::Error::Internal`] where it cannot be written down.
pub fn record(transaction: &mut Transaction, table: &Table, user: &UserId, line: &LedgerRow) -> Result<()> {
    transaction.put(table, &line.key(user), line, Expr::absent())?;
    Ok(())
}

/// All add-ons of `user`, read consistently one by one: those that exist.
pub async fn all(table: &Table, user: &UserId) -> Result<Vec<AddOnRow>> {
    table.get_many(&AddOn::ALL.map(|add_on| keys::add_on(user, add_on))).await
}

/// A page of `user`'s ledger, newest first.
pub async fn history(table: &Table, user: &UserId, after: Option<Key>, limit: i32) -> Result<crate::Page<LedgerRow>> {
    table.query(Range::of(keys::partition(user)).prefix(keys::LEDGER).backward().limit(limit).after(after)).await
}

/// Adds a grant to `transaction`, new or changed.
///
/// # Errors
/// [`satchel_domain::Error::Internal`] where it cannot be written down.
pub fn put_grant(transaction: &mut Transaction, table: &Table, grant: &GrantRow) -> Result<()> {
    transaction.put(table, &keys::grant(&grant.user_id, &grant.grant_id), grant, Expr::always())?;
    Ok(())
}

/// Rows of the ledger that move in one transaction: each is two writes of at most 100.
const MOVED: i32 = 40;

/// Erases a person: add-ons, grants and receipts go, purchases in stores become nobody's, the ledger stays under a name
/// that leads back to nobody. Repeatable, and resumes wherever a crash left it.
pub async fn erase(table: &Table, user: &UserId) -> Result<()> {
    let partition = keys::partition(user);
    // Before the rows that say which purchases were theirs.
    for source in crate::purchases::owned(table, user).await? {
        crate::purchases::disown(table, &source, user).await?;
    }
    loop {
        let page = table.query::<LedgerRow>(Range::of(&partition).prefix(keys::LEDGER).limit(MOVED)).await?;
        if page.rows.is_empty() {
            break;
        }
        let mut transaction = Transaction::new();
        for line in page.rows {
            let key = line.key(user);
            transaction.put(table, &keys::pseudonymous(&key), &line, Expr::always())?;
            transaction.delete(table, &key, Expr::always())?;
        }
        transaction.run(table).await?;
    }
    loop {
        let page = table.query::<Key>(Range::of(&partition).limit(500).only("pk, sk")).await?;
        if page.rows.is_empty() {
            break;
        }
        table.delete_many(&page.rows).await?;
    }
    crate::receipts::erase(table, user.as_str()).await
}
