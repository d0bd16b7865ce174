//! Receipts: the same `Idempotency-Key` with the same body gets the first answer for 24 hours.
//!
//! A receipt is written in the transaction of what it answers for, so there is no moment between the two. Of two
//! requests with one key at the same time, one loses its transaction, looks again and finds the other's receipt.
//!
//! ```text
//! loop { match receipts::look(..)? { Seen(answer) => return answer,
//!                                    New(receipt) => { .. receipt.stamp(&mut transaction, ..)?; transaction.run(..) } } }
//! ```
//!
//! # Limits
//! An answer has at most 32 KiB; a larger one is kept as the id of what was made, by its family. The body is compared by
//! what was read of it, so another order of its fields is the same body.

use satchel_domain::time::DAY;
use satchel_domain::{Error, Result, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::expr::Expr;
use crate::keys::{self, Key};
use crate::table::{Range, Table};
use crate::transaction::Transaction;

/// How long a receipt is good for, in seconds.
pub const LIFETIME: i64 = DAY;
/// Largest answer that is kept, in bytes.
pub const MAX_ANSWER: usize = 32 * 1024;

#[derive(Debug, Serialize, Deserialize)]
struct Row {
    body_hash: String,
    status: u16,
    answer: String,
    until: i64,
    // DynamoDB's own clean-up, which is days late: `until` is what counts.
    ttl: i64,
}

/// What a first request with this key was answered.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// JSON body.
    pub body: Value,
}

/// Whether this request was here before.
#[derive(Debug)]
pub enum Look {
    /// No; the receipt is to be written with what it does.
    New(Receipt),
    /// Yes.
    Seen(Answer),
}

/// A receipt to be written; without a key it is none and writes nothing.
#[derive(Debug)]
pub struct Receipt(Option<Pending>);

#[derive(Debug)]
struct Pending {
    key: Key,
    body_hash: String,
    now: i64,
}

/// Whether `owner` (a user or a client) sent this request to `route` before.
///
/// # Errors
/// 409 `idempotency_key_reused` where the key came with another body.
pub async fn look<T: Serialize>(
    table: &Table,
    owner: &str,
    route: &str,
    key: Option<&str>,
    body: &T,
    now: Timestamp,
) -> Result<Look> {
    let Some(key) = key else { return Ok(Look::New(Receipt(None))) };
    let key = keys::receipts::receipt(owner, route, key);
    let body_hash = hash(body)?;
    let now = now.as_second();
    match table.get::<Row>(&key).await? {
        Some(row) if row.until > now => {
            if row.body_hash != body_hash {
                return Err(Error::conflict(
                    "idempotency_key_reused",
                    "this Idempotency-Key came with another body before",
                ));
            }
            let body = serde_json::from_str(&row.answer).map_err(Error::internal)?;
            Ok(Look::Seen(Answer { status: row.status, body }))
        }
        _ => Ok(Look::New(Receipt(Some(Pending { key, body_hash, now })))),
    }
}

impl Receipt {
    /// Adds the receipt to `transaction`. The write fails where another request left one in the meantime.
    ///
    /// # Errors
    /// [`Error::Internal`] where the answer is too large to be kept.
    pub fn stamp<T: Serialize>(
        &self,
        transaction: &mut Transaction,
        table: &Table,
        status: u16,
        answer: &T,
    ) -> Result<()> {
        let Some(pending) = &self.0 else { return Ok(()) };
        let answer = serde_json::to_string(answer).map_err(Error::internal)?;
        if answer.len() > MAX_ANSWER {
            return Err(Error::internal(format!("an answer of {} bytes is too large for a receipt", answer.len())));
        }
        let until = pending.now.saturating_add(LIFETIME);
        let row = Row { body_hash: pending.body_hash.clone(), status, answer, until, ttl: until };
        let free = Expr::condition("attribute_not_exists(pk) OR #until <= :now")
            .name("#until", "until")
            .value(":now", pending.now);
        transaction.put(table, &pending.key, &row, free)?;
        Ok(())
    }
}

/// Deletes every receipt of `owner`; repeatable.
pub async fn erase(table: &Table, owner: &str) -> Result<()> {
    let mut start = None;
    loop {
        let page = table
            .query::<Key>(Range::of(keys::receipts::partition(owner)).after(start).limit(500).only("pk, sk"))
            .await?;
        table.delete_many(&page.rows).await?;
        match page.next {
            Some(next) => start = Some(next),
            None => return Ok(()),
        }
    }
}

fn hash<T: Serialize>(body: &T) -> Result<String> {
    // By way of a value, whose objects are sorted.
    let value = serde_json::to_value(body).map_err(Error::internal)?;
    Ok(Sha256::digest(value.to_string().as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect())
}
