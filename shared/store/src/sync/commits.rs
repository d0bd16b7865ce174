//! Commit records: the order in which a space changed.

use satchel_domain::{Error, Result};

use super::{Fields, number, text};
use crate::keys;
use crate::table::Item;

/// One entry that a commit wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Touched {
    /// Entry id.
    pub id: String,
    /// Whether it became a tombstone.
    pub deleted: bool,
}

/// A commit record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// Its place in the order.
    pub seq: u64,
    /// The commit before it: the chain that shows whether one is missing.
    pub prev: u64,
    /// The device whose push it was.
    pub device: String,
    /// Server time, Unix seconds.
    pub time: i64,
    /// What it wrote, in order.
    pub touched: Vec<Touched>,
}

impl Commit {
    /// The row as it is read.
    ///
    /// # Errors
    /// Where it has another shape.
    pub fn of(item: Item) -> Result<Self> {
        let mut fields = Fields(item);
        let sk = fields.text("sk")?;
        let seq = keys::sync::seq_of(&sk).ok_or_else(|| Error::internal("not a commit's row"))?;
        let touched = fields
            .text("i")?
            .split(' ')
            .filter_map(|word| {
                let (mark, id) = word.split_at_checked(1)?;
                Some(Touched { id: id.to_owned(), deleted: mark == "-" })
            })
            .collect();
        Ok(Self { seq, prev: fields.number("p")?, device: fields.text("by")?, time: fields.number("t")?, touched })
    }

    /// The row as it is written, kept for `retention` seconds. Ids go into one text: a list would cost bytes for each.
    pub fn item(&self, retention: i64) -> Item {
        let mut item = Item::new();
        number(&mut item, "p", self.prev);
        text(&mut item, "by", self.device.clone());
        number(&mut item, "t", self.time);
        let words: Vec<String> = self
            .touched
            .iter()
            .map(|touched| format!("{}{}", if touched.deleted { '-' } else { '+' }, touched.id))
            .collect();
        text(&mut item, "i", words.join(" "));
        number(&mut item, "ttl", self.time + retention);
        item
    }
}
