//! META: the one hot row of a space, under 1 KB.

use aws_sdk_dynamodb::types::AttributeValue;
use satchel_domain::Result;
use satchel_domain::sync::Totals;
use satchel_domain::sync::cursor::Epoch;

use super::{Fields, bytes, number};
use crate::expr::Expr;
use crate::keys;
use crate::table::{Item, Table};
use crate::transaction::{Cancelled, Transaction};

/// The state of a space.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Meta {
    /// Last commit.
    pub head: u64,
    /// Server time of the last commit, Unix seconds.
    pub head_time: i64,
    /// Raised by each erase.
    pub generation: u64,
    /// First position of this epoch: what lies before it is another history's.
    pub base: u64,
    /// The `StoreEpoch` last seen.
    pub store_epoch: u64,
    /// What cursors are authenticated by.
    pub cursor_key: Vec<u8>,
    /// What the space adds up to.
    pub totals: Totals,
}

impl Meta {
    /// A space without entries.
    pub fn empty(store_epoch: u64, cursor_key: [u8; 32]) -> Self {
        Self {
            head: 0,
            head_time: 0,
            generation: 0,
            base: 0,
            store_epoch,
            cursor_key: cursor_key.to_vec(),
            totals: Totals::default(),
        }
    }

    /// The epoch of cursors.
    pub fn epoch(&self) -> Epoch {
        Epoch { store: self.store_epoch, generation: self.generation }
    }

    /// The row as it is read.
    ///
    /// # Errors
    /// Where it has another shape.
    pub fn of(item: Item) -> Result<Self> {
        let mut fields = Fields(item);
        Ok(Self {
            head: fields.number("head_seq")?,
            head_time: fields.number("head_time")?,
            generation: fields.number("gen")?,
            base: fields.number("base")?,
            store_epoch: fields.number("store_epoch")?,
            cursor_key: fields.bytes("cursor_key")?,
            totals: Totals {
                live: fields.number("live")?,
                tombstones: fields.number("tombs")?,
                bytes: fields.number("bytes")?,
                digest: fields.array("digest")?,
            },
        })
    }

    fn item(&self) -> Item {
        let mut item = Item::new();
        number(&mut item, "head_seq", self.head);
        number(&mut item, "head_time", self.head_time);
        number(&mut item, "gen", self.generation);
        number(&mut item, "base", self.base);
        number(&mut item, "store_epoch", self.store_epoch);
        bytes(&mut item, "cursor_key", self.cursor_key.clone());
        number(&mut item, "live", self.totals.live);
        number(&mut item, "tombs", self.totals.tombstones);
        number(&mut item, "bytes", self.totals.bytes);
        bytes(&mut item, "digest", self.totals.digest);
        item
    }
}

/// Makes META of a new space; `false` where another request was first.
pub async fn create(table: &Table, space: &str, meta: &Meta) -> Result<bool> {
    table.put_item(&keys::sync::meta(space), meta.item(), Expr::absent()).await
}

/// META is still as it was read: nothing was committed, erased or restored since.
fn unchanged(expr: Expr, was: &Meta) -> Expr {
    expr.when("head_seq = :was_head AND gen = :was_gen AND store_epoch = :was_epoch")
        .value(":was_head", was.head)
        .value(":was_gen", was.generation)
        .value(":was_epoch", was.store_epoch)
}

/// Adds the move of META from `was` to `next` to a transaction.
pub fn advance(transaction: &mut Transaction, table: &Table, space: &str, was: &Meta, next: &Meta) -> Result<()> {
    let update =
        "SET head_seq = :head, head_time = :time, live = :live, tombs = :tombs, #bytes = :bytes, digest = :digest";
    let expr = Expr::update(update)
        .name("#bytes", "bytes")
        .value(":head", next.head)
        .value(":time", next.head_time)
        .value(":live", next.totals.live)
        .value(":tombs", next.totals.tombstones)
        .value(":bytes", next.totals.bytes)
        .value(":digest", next.totals.digest.to_vec());
    transaction.update(table, &keys::sync::meta(space), unchanged(expr, was))?;
    Ok(())
}

/// Adds to a transaction that the generation is still the one that `was` read.
pub fn stands(transaction: &mut Transaction, table: &Table, space: &str, was: &Meta) -> Result<()> {
    let expr = Expr::condition("gen = :was_gen").value(":was_gen", was.generation);
    transaction.check(table, &keys::sync::meta(space), expr)?;
    Ok(())
}

/// Adopts a raised `StoreEpoch`: positions go on from `base`, so that none of the lost future is taken for one of now.
/// `false` where another request was first.
pub async fn adopt_epoch(table: &Table, space: &str, was: &Meta, store_epoch: u64, base: u64) -> Result<bool> {
    let expr = Expr::update("SET store_epoch = :epoch, #base = :base, head_seq = :base")
        .name("#base", "base")
        .value(":epoch", store_epoch)
        .value(":base", base);
    // The row as it is then is not looked at: its bytes have no place in a JSON value.
    let row: Option<serde::de::IgnoredAny> = table.update(&keys::sync::meta(space), unchanged(expr, was)).await?;
    Ok(row.is_some())
}

/// Begins the next generation, empty, and orders the old one to be erased. The order is a row of its own in the same
/// transaction, so that the table's stream tells of it once and of nothing else.
///
/// # Errors
/// [`Cancelled::Condition`] where META has moved since.
pub async fn next_generation(table: &Table, space: &str, was: &Meta, now: i64) -> Result<(), Cancelled> {
    let mut transaction = Transaction::new();
    let expr =
        Expr::update("SET gen = :gen, #base = :base, live = :zero, tombs = :zero, #bytes = :zero, digest = :digest")
            .name("#base", "base")
            .name("#bytes", "bytes")
            .value(":gen", was.generation + 1)
            .value(":base", was.head)
            .value(":zero", 0)
            .value(":digest", vec![0u8; 16]);
    transaction.update(table, &keys::sync::meta(space), unchanged(expr, was)).map_err(Cancelled::Failed)?;
    let mut order = Item::new();
    number(&mut order, "ordered_at", now);
    order.insert("ttl".to_owned(), AttributeValue::N((now + 30 * satchel_domain::time::DAY).to_string()));
    transaction
        .put_item(table, &keys::sync::erase(space, was.generation), order, Expr::always())
        .map_err(Cancelled::Failed)?;
    transaction.run(table).await
}
