//! The daily clean-up's list: when each device is looked at again.

use satchel_domain::ids::{DeviceId, UserId};
use satchel_domain::{Result, Timestamp};
use serde::{Deserialize, Serialize};

use super::DeviceRow;
use super::push::release;
use crate::expr::Expr;
use crate::keys::Key;
use crate::keys::devices as keys;
use crate::table::{Range, Table};
use crate::transaction::Transaction;

/// A device on the clean-up's list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DueRow {
    /// Whose device.
    pub user_id: UserId,
    /// Which device.
    pub device_id: DeviceId,
    /// The day since 1970.
    pub day: i64,
}

/// A page of the clean-up's list: what is due on `day` or earlier in `shard`, oldest first, after `after`.
pub async fn due(table: &Table, shard: u8, day: i64, after: Option<Key>) -> Result<crate::Page<DueRow>> {
    let range =
        Range::of(keys::due_partition(shard)).between(keys::due_prefix(0), keys::due_prefix(day.saturating_add(1)));
    table.query(range.after(after).limit(100)).await
}

/// Takes a place off the clean-up's list that no device's row names.
pub async fn forget_due(table: &Table, due: &DueRow) -> Result<()> {
    table.delete(&keys::due(&due.user_id, &due.device_id, due.day), Expr::always()).await.map(|_| ())
}

/// Moves the device on the clean-up's list to `day`, and with `retired` takes it out of use: inactive, its push token
/// gone. `false` where it was seen or changed since `row` was read.
pub async fn look_again(table: &Table, row: &DeviceRow, day: i64, retired: bool, now: Timestamp) -> Result<bool> {
    let key = keys::device(&row.user_id, &row.id);
    let mut transaction = Transaction::new();
    let mut update = if retired {
        let expr = Expr::update(
            "SET due_day = :day, is_active = :no, updated_at = :now REMOVE push_token, push_hash, push_session",
        );
        expr.value(":no", false).value(":now", now.as_millisecond())
    } else {
        Expr::update("SET due_day = :day")
    };
    let mut unchanged = "due_day = :was AND last_active_at = :active".to_owned();
    update = update.value(":day", day).value(":was", row.due_day).value(":active", row.last_active_at);
    match row.last_heartbeat_at {
        Some(at) => {
            unchanged.push_str(" AND last_heartbeat_at = :beat");
            update = update.value(":beat", at);
        }
        None => unchanged.push_str(" AND attribute_not_exists(last_heartbeat_at)"),
    }
    if let Some(hash) = row.push_hash.as_deref().filter(|_| retired) {
        unchanged.push_str(" AND push_hash = :hash");
        update = update.value(":hash", hash);
        release(&mut transaction, table, row, hash)?;
    } else if retired {
        unchanged.push_str(" AND attribute_not_exists(push_hash)");
    }
    transaction.update(table, &key, update.when(unchanged))?;
    if day != row.due_day {
        transaction.delete(table, &keys::due(&row.user_id, &row.id, row.due_day), Expr::always())?;
        let due = DueRow { user_id: row.user_id.clone(), device_id: row.id.clone(), day };
        transaction.put(table, &keys::due(&row.user_id, &row.id, day), &due, Expr::always())?;
    }
    match transaction.run(table).await {
        Ok(()) => Ok(true),
        Err(crate::Cancelled::Condition(_)) => Ok(false),
        Err(other) => Err(other.into()),
    }
}
