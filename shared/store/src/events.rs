//! Events of accounts: a row each, written in the same transaction as what it tells of; the table's stream takes it to
//! the topic. Names are append-only.

use satchel_domain::ids::{EventId, UserId};
use satchel_domain::time::{DAY, plus};
use satchel_domain::{Result, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::keys::accounts as keys;
use crate::{Expr, Table, Transaction};

/// An account was made at a first sign-in.
pub const CREATED: &str = "account.created.v1";
/// A session ended, whatever for; its `reason` says which, and `token_reused` is worth a notification.
pub const SESSION_REVOKED: &str = "account.session-revoked.v1";
/// A way to sign in was added; worth a notification.
pub const LINKED: &str = "account.linked.v1";
/// A way to sign in was taken away; worth a notification.
pub const UNLINKED: &str = "account.unlinked.v1";
/// A person became a customer's member.
pub const CUSTOMER_LINKED: &str = "account.customer-linked.v1";
/// A person is no longer a customer's member.
pub const CUSTOMER_UNLINKED: &str = "account.customer-unlinked.v1";
/// The erasing of an account began.
pub const ERASING: &str = "account.erasing.v1";
/// An account is gone but for its tombstone.
pub const ERASED: &str = "account.erased.v1";

/// For how long an event's row stays after it was written, in seconds: longer than the stream keeps it.
const STAYS: i64 = 7 * DAY;

/// An event as it stands in its row and leaves.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Its id: whoever sees it twice knows by this.
    pub id: EventId,
    /// Its name and version.
    pub name: String,
    /// When it happened, Unix seconds.
    pub at: i64,
    /// What happened.
    pub data: Value,
    /// When the row may go.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl: Option<i64>,
}

impl Event {
    /// An event that happens `now`.
    pub fn new(id: EventId, name: &str, data: Value, now: Timestamp) -> Self {
        Self { id, name: name.to_owned(), at: now.as_second(), data, ttl: Some(plus(now, STAYS).as_second()) }
    }
}

/// Adds `event` of `user` to `writes`.
pub fn write(writes: &mut Transaction, accounts: &Table, user: &UserId, event: &Event) -> Result<()> {
    writes.put(accounts, &keys::event(user, &event.id), event, Expr::always())?;
    Ok(())
}
