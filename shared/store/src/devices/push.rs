//! Who holds which push token, and which sessions may give none any more.

use satchel_domain::ids::{DeviceId, SessionId, UserId};
use satchel_domain::session::Platform;
use satchel_domain::time::DAY;
use satchel_domain::{Result, Timestamp};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::{DeviceRow, get};
use crate::expr::Expr;
use crate::keys::devices as keys;
use crate::retry::Retry;
use crate::table::Table;
use crate::transaction::Transaction;

/// How long the end of a session is remembered, in seconds: longer than any access token lives.
const END_STAYS: i64 = DAY;

/// Who holds a push token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// Whose device.
    pub user_id: UserId,
    /// Which device.
    pub device_id: DeviceId,
}

impl Claim {
    pub(super) fn held(&self) -> Expr {
        Expr::condition("user_id = :holder AND device_id = :device")
            .value(":holder", self.user_id.as_str())
            .value(":device", self.device_id.as_str())
    }
}

#[derive(Debug, Serialize)]
struct EndRow {
    ended_at: i64,
    ttl: i64,
}

/// Who holds the token `token` of `platform`.
pub async fn holder(table: &Table, platform: Platform, token: &str) -> Result<Option<Claim>> {
    table.get(&keys::token(&push_hash(platform, token))).await
}

pub(super) fn push_hash(platform: Platform, token: &str) -> String {
    let text = format!("{platform:?}\n{token}");
    Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Adds to `transaction`: the token of `hash` is held by `device` of `user`, and by nobody else.
pub(super) async fn claim(
    transaction: &mut Transaction,
    table: &Table,
    user: &UserId,
    device: &DeviceId,
    hash: &str,
    now: Timestamp,
) -> Result<()> {
    let key = keys::token(hash);
    let mine = Claim { user_id: user.clone(), device_id: device.clone() };
    match table.get::<Claim>(&key).await? {
        None => {
            transaction.put(table, &key, &mine, Expr::absent())?;
        }
        Some(holder) if holder == mine => {
            transaction.check(table, &key, mine.held())?;
        }
        Some(other) => {
            transaction.put(table, &key, &mine, other.held())?;
            let row = get(table, &other.user_id, &other.device_id).await?;
            if row.is_some_and(|row| row.push_hash.as_deref() == Some(hash)) {
                let lose = Expr::update("SET updated_at = :now REMOVE push_token, push_hash, push_session")
                    .when("push_hash = :hash")
                    .value(":now", now.as_millisecond())
                    .value(":hash", hash);
                transaction.update(table, &keys::device(&other.user_id, &other.device_id), lose)?;
            }
        }
    }
    Ok(())
}

/// Whether the end of `session` has come to be known here.
pub async fn has_ended(table: &Table, user: &UserId, session: &SessionId) -> Result<bool> {
    #[derive(Deserialize)]
    struct Any {}
    Ok(table.get::<Any>(&keys::end(user, session)).await?.is_some())
}

/// The push endpoint of a session that ended goes quiet, and the session can give no other. A token that a newer session
/// of the device has given stays. Repeatable.
pub async fn quiet(table: &Table, user: &UserId, device: &DeviceId, session: &SessionId, now: Timestamp) -> Result<()> {
    let mut retry = Retry::default();
    loop {
        let mut transaction = Transaction::new();
        remember_end(&mut transaction, table, user, session, now)?;
        let row = get(table, user, device).await?.filter(|row| row.push_session.as_ref() == Some(session));
        if let Some((row, hash)) = row.as_ref().and_then(|row| Some((row, row.push_hash.as_deref()?))) {
            let off = Expr::update("SET updated_at = :now REMOVE push_token, push_hash, push_session")
                .when("push_hash = :hash AND push_session = :session")
                .value(":now", now.as_millisecond())
                .value(":hash", hash)
                .value(":session", session.as_str());
            transaction.update(table, &keys::device(user, device), off)?;
            release(&mut transaction, table, row, hash)?;
        }
        match transaction.run(table).await {
            Ok(()) => return Ok(()),
            Err(cancelled) => retry.after(cancelled).await?,
        }
    }
}

pub(super) fn remember_end(
    transaction: &mut Transaction,
    table: &Table,
    user: &UserId,
    session: &SessionId,
    now: Timestamp,
) -> Result<()> {
    let end = EndRow { ended_at: now.as_second(), ttl: now.as_second().saturating_add(END_STAYS) };
    transaction.put(table, &keys::end(user, session), &end, Expr::always())?;
    Ok(())
}

pub(super) fn release(transaction: &mut Transaction, table: &Table, row: &DeviceRow, hash: &str) -> Result<()> {
    let mine = Claim { user_id: row.user_id.clone(), device_id: row.id.clone() };
    transaction.delete(table, &keys::token(hash), mine.held())?;
    Ok(())
}
