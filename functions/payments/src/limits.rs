//! Limits of this family, by person: each receipt asks a store, whose quota everybody shares.

use satchel_domain::ids::UserId;
use satchel_domain::limits::Limit;
use satchel_domain::{Result, Timestamp};
use satchel_inbound::env::Reader;
use satchel_store::{Table, limits};

/// The limits as they are set.
#[derive(Debug, Clone)]
pub(crate) struct Limits {
    /// Receipts an hour of one person.
    pub(crate) receipts_hour: Limit,
    /// Receipts a day of one person.
    pub(crate) receipts_day: Limit,
}

impl Limits {
    pub(crate) fn from_settings(settings: &mut Reader<'_>) -> Self {
        let mut limit = |kind, name: &str, most, seconds| Limit { kind, most: settings.value(name, most), seconds };
        Self {
            receipts_hour: limit("receipts-hour", "RECEIPT_LIMIT_HOUR", 60, 3_600),
            receipts_day: limit("receipts-day", "RECEIPT_LIMIT_DAY", 300, 86_400),
        }
    }
}

/// Counts `receipts` that `user` brings.
///
/// # Errors
/// 429 with what is left of the window that is full. What the day refuses stays counted in its hour.
pub(crate) async fn count(table: &Table, limits: &Limits, user: &UserId, receipts: u32, now: Timestamp) -> Result<()> {
    limits::enforce(table, &limits.receipts_hour, user.as_str(), receipts, now).await?;
    limits::enforce(table, &limits.receipts_day, user.as_str(), receipts, now).await
}
