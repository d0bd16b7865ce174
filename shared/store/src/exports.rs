//! Exports of accounts: a row each; the archive itself lies in the bucket.

use satchel_domain::access::Person;
use satchel_domain::ids::{ExportId, UserId};
use satchel_domain::time::{DAY, plus};
use satchel_domain::{Result, Timestamp};
use serde::{Deserialize, Serialize};

use crate::accounts;
use crate::keys::accounts as keys;
use crate::table::Range;
use crate::{Cancelled, Expr, Table, Transaction};

/// For how long an export can be had, in seconds; the bucket's lifecycle rule deletes the archive a day later.
pub const STAYS: i64 = 7 * DAY;

/// Where an export stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// Being made.
    Pending,
    /// In the bucket.
    Ready,
}

/// An export. Times are Unix seconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Export {
    /// Its id.
    pub export_id: ExportId,
    /// Where it stands.
    pub standing: Standing,
    /// When it was asked for.
    pub requested_at: i64,
    /// When it was in the bucket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ready_at: Option<i64>,
    /// When the row may go, and from when the archive cannot be had.
    pub ttl: i64,
}

impl Export {
    /// An export asked for `now`.
    pub fn new(export_id: ExportId, now: Timestamp) -> Self {
        let ttl = plus(now, STAYS).as_second();
        Self { export_id, standing: Standing::Pending, requested_at: now.as_second(), ready_at: None, ttl }
    }
}

/// Where the archive of an export lies in the bucket.
pub fn object(user: &UserId, export: &ExportId) -> String {
    format!("exports/{user}/{export}.zip")
}

/// Asks for an export, on condition (place 0) that the account is in use, and that `person`'s session lives.
pub async fn request(table: &Table, person: &Person, export: &Export) -> Result<(), Cancelled> {
    let user = &person.user;
    let build = || {
        let mut writes = Transaction::new();
        writes.token(export.export_id.as_str());
        writes.check(table, &keys::account(user), active())?;
        writes.put(table, &keys::export(user, &export.export_id), export, Expr::absent())?;
        let place = accounts::still_live(&mut writes, table, person)?;
        Ok((writes, place))
    };
    let (writes, place) = build().map_err(Cancelled::Failed)?;
    accounts::unless_ended(writes.settle(table).await, place)
}

/// The export `export` of `user`.
pub async fn get(accounts: &Table, user: &UserId, export: &ExportId) -> Result<Option<Export>> {
    accounts.get(&keys::export(user, export)).await
}

/// Every export of `user`, oldest first.
pub async fn list(accounts: &Table, user: &UserId) -> Result<Vec<Export>> {
    accounts.query_all(Range::of(keys::partition(user)).prefix(keys::EXPORTS)).await
}

/// The archive is in the bucket; `false` where nobody may have it any more: the account is being erased.
pub async fn ready(accounts: &Table, user: &UserId, export: &ExportId, now: Timestamp) -> Result<bool> {
    let mut writes = Transaction::new();
    writes.check(accounts, &keys::account(user), active())?;
    let expr = Expr::update("SET standing = :ready, ready_at = :now")
        .when("attribute_exists(pk)")
        .value(":ready", "ready")
        .value(":now", now.as_second());
    writes.update(accounts, &keys::export(user, export), expr)?;
    match writes.settle(accounts).await {
        Ok(()) => Ok(true),
        Err(Cancelled::Condition(_)) => Ok(false),
        Err(other) => Err(other.into()),
    }
}

fn active() -> Expr {
    Expr::condition("#state = :active").name("#state", "state").value(":active", "active")
}
