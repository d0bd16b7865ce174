//! What the space knows of each of its devices.

use satchel_domain::Result;

use super::Fields;
use crate::expr::Expr;
use crate::keys;
use crate::table::{Item, Table};

/// A place a full pull without cursor goes on from, by the number of its page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PulledPage {
    /// Number of the page, from 1.
    pub number: u64,
    /// The sealed cursor behind it.
    pub cursor: String,
}

/// A device's row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceRow {
    /// Device id.
    pub device: String,
    /// The position it last presented, or the place of its own push.
    pub position: u64,
    /// When it last came, Unix seconds, to about 30 s.
    pub seen: i64,
    /// The last two pages of a full pull without cursor, older first.
    pub pages: Vec<PulledPage>,
    /// Counted up with each write; 0 before the first, and in rows from before it was counted.
    pub revision: u64,
}

impl DeviceRow {
    /// The row as it is read.
    ///
    /// # Errors
    /// Where it has another shape.
    pub fn of(item: Item) -> Result<Self> {
        let mut fields = Fields(item);
        let sk = fields.text("sk")?;
        let mut pages = Vec::new();
        for (number, cursor) in [("n1", "p1"), ("n2", "p2")] {
            if let (Some(number), Some(cursor)) = (fields.maybe_number(number), fields.maybe_text(cursor)) {
                pages.push(PulledPage { number, cursor });
            }
        }
        Ok(Self {
            device: sk.strip_prefix(keys::sync::DEVICE).unwrap_or(&sk).to_owned(),
            position: fields.number("pos")?,
            seen: fields.number("seen")?,
            pages,
            revision: fields.maybe_number("rev").unwrap_or(0),
        })
    }
}

/// Writes where a device stands, kept until `kept_until` (Unix seconds), where its row is still `was`; `false` where another
/// request of the device came in between. It forgets the pages of a full pull unless some are given.
pub async fn put(table: &Table, pk: &str, was: Option<&DeviceRow>, row: &DeviceRow, kept_until: i64) -> Result<bool> {
    let unchanged = match was {
        None => Expr::absent(),
        Some(DeviceRow { revision: 0, .. }) => Expr::condition("attribute_exists(pk) AND attribute_not_exists(rev)"),
        Some(was) => Expr::condition("rev = :was").value(":was", was.revision),
    };
    let mut item = Item::new();
    super::number(&mut item, "pos", row.position);
    super::number(&mut item, "seen", row.seen);
    super::number(&mut item, "rev", was.map_or(0, |was| was.revision) + 1);
    super::number(&mut item, "ttl", kept_until);
    for (page, (number, cursor)) in row.pages.iter().zip([("n1", "p1"), ("n2", "p2")]) {
        super::number(&mut item, number, page.number);
        super::text(&mut item, cursor, page.cursor.clone());
    }
    table.put_item(&keys::sync::device(pk, &row.device), item, unchanged).await
}
