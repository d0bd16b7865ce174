//! History: versions that lost a conflict or were deleted, kept for a while in partitions of their own.

use satchel_domain::sync::decide::Reason;
use satchel_domain::sync::{Content, Form, VectorClock};
use satchel_domain::{Error, Result};

use super::entries::{Author, clock, form};
use super::{Fields, bytes, number, text};
use crate::table::Item;

/// A version in history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// Sort key, by which a page goes on.
    pub sk: String,
    /// The head it was put here by or after.
    pub seq: u64,
    /// Its clock.
    pub clock: VectorClock,
    /// Its ciphertext.
    pub content: Content,
    /// Its author.
    pub author: Author,
    /// Why it is here: `lost`, `deleted` or `clock_reuse`.
    pub reason: String,
    /// Until when it is kept, Unix seconds.
    pub kept_until: i64,
}

impl Version {
    /// The row as it is read.
    ///
    /// # Errors
    /// Where it has another shape.
    pub fn of(item: Item) -> Result<Self> {
        let mut fields = Fields(item);
        let form = form(fields.maybe_number("f"));
        Ok(Self {
            sk: fields.text("sk")?,
            seq: fields.number("seq")?,
            clock: clock(&fields.text("c")?)?,
            content: Content { bytes: fields.maybe_bytes("d").unwrap_or_default(), form },
            author: Author {
                device: fields.text("au")?,
                updated_at: fields.number("ua")?,
                created_at: fields.maybe_number("ca"),
                version: fields.maybe_number("v").unwrap_or(1),
            },
            reason: fields.text("why")?,
            kept_until: fields.number("ttl")?,
        })
    }
}

/// The row of a version as it is written.
pub fn item(
    seq: u64,
    clock: &VectorClock,
    content: &Content,
    author: &Author,
    reason: Reason,
    kept_until: i64,
) -> Item {
    let mut item = Item::new();
    number(&mut item, "seq", seq);
    text(&mut item, "c", clock.compact_json());
    if content.form == Form::Text {
        number(&mut item, "f", 1);
    }
    bytes(&mut item, "d", content.bytes.clone());
    text(&mut item, "au", author.device.clone());
    number(&mut item, "ua", author.updated_at);
    if let Some(created_at) = author.created_at {
        number(&mut item, "ca", created_at);
    }
    if author.version != 1 {
        number(&mut item, "v", author.version);
    }
    text(&mut item, "why", reason.as_str());
    number(&mut item, "ttl", kept_until);
    item
}

/// The row of a marker as it is written: the content it stands for is in history until then.
pub fn marker(kept_until: i64) -> Item {
    let mut item = Item::new();
    number(&mut item, "ttl", kept_until);
    item
}

/// Until when a marker that was read stands.
///
/// # Errors
/// Where it has another shape.
pub fn marked_until(item: Item) -> Result<i64> {
    Fields(item).maybe_number("ttl").ok_or_else(|| Error::internal("a marker without time"))
}
