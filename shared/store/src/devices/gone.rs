//! Devices that go, one by one or with their account.

use satchel_domain::ids::{DeviceId, SessionId, UserId};
use satchel_domain::{Result, Timestamp};

use super::push::{release, remember_end};
use super::{get, list};
use crate::expr::Expr;
use crate::keys::Key;
use crate::keys::devices as keys;
use crate::retry::Retry;
use crate::table::{Range, Table};
use crate::transaction::Transaction;

/// Deletes the device with its token and its place on the clean-up's list; the session of `end`, which ends at that
/// moment, can describe it no more. `false` where there was no row. Repeatable.
pub async fn delete(
    table: &Table,
    user: &UserId,
    device: &DeviceId,
    end: Option<(&SessionId, Timestamp)>,
) -> Result<bool> {
    let mut retry = Retry::default();
    loop {
        let mut transaction = Transaction::new();
        if let Some((session, now)) = end {
            remember_end(&mut transaction, table, user, session, now)?;
        }
        let row = get(table, user, device).await?;
        if let Some(row) = &row {
            let unchanged = match &row.push_hash {
                Some(hash) => {
                    release(&mut transaction, table, row, hash)?;
                    Expr::condition("due_day = :day AND push_hash = :hash").value(":hash", hash)
                }
                None => Expr::condition("due_day = :day AND attribute_not_exists(push_hash)"),
            };
            transaction.delete(table, &keys::device(user, device), unchanged.value(":day", row.due_day))?;
            transaction.delete(table, &keys::due(user, device, row.due_day), Expr::always())?;
        }
        if transaction.is_empty() {
            return Ok(false);
        }
        match transaction.run(table).await {
            Ok(()) => return Ok(row.is_some()),
            Err(cancelled) => retry.after(cancelled).await?,
        }
    }
}

/// Erases a person's rows: each device in one transaction with its token and its place on the list, however often it
/// describes itself meanwhile. The ends of sessions go with the `last` pass alone, when no access token lives any more:
/// until then they keep a dying session from bringing its device back. Repeatable.
pub async fn erase(table: &Table, user: &UserId, last: bool) -> Result<()> {
    loop {
        let rows = list(table, user).await?;
        if rows.is_empty() {
            break;
        }
        for row in rows {
            delete(table, user, &row.id, None).await?;
        }
    }
    if last {
        erase_ends(table, user).await?;
    }
    crate::receipts::erase(table, user.as_str()).await
}

/// Everything in the person's partition but devices, which never go without their tokens and places.
async fn erase_ends(table: &Table, user: &UserId) -> Result<()> {
    let mut start = None;
    loop {
        let range = Range::of(keys::partition(user)).limit(500).only("pk, sk").after(start);
        let page = table.query::<Key>(range).await?;
        let ends: Vec<Key> = page.rows.into_iter().filter(|key| !key.sk.starts_with(keys::DEVICES)).collect();
        table.delete_many(&ends).await?;
        match page.next {
            Some(next) => start = Some(next),
            None => return Ok(()),
        }
    }
}
