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
        })
    }
}

/// Writes where a device stands; it forgets the pages of a full pull unless some are given.
pub async fn put(table: &Table, pk: &str, row: &DeviceRow) -> Result<()> {
    let mut item = Item::new();
    super::number(&mut item, "pos", row.position);
    super::number(&mut item, "seen", row.seen);
    for (page, (number, cursor)) in row.pages.iter().zip([("n1", "p1"), ("n2", "p2")]) {
        super::number(&mut item, number, page.number);
        super::text(&mut item, cursor, page.cursor.clone());
    }
    table.put_item(&keys::sync::device(pk, &row.device), item, Expr::always()).await?;
    Ok(())
}
