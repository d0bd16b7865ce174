//! Entries: the newest version of each id, or its tombstone.

use aws_sdk_dynamodb::types::AttributeValue;
use satchel_domain::sync::{Content, Form, Rank, Stored, VectorClock};
use satchel_domain::{Error, Result};

use super::{Fields, bytes, number, text};
use crate::keys::Key;
use crate::table::Item;

/// What decisions need of a row: everything but the ciphertext. `#b` is `by`, a reserved word.
pub const WITHOUT_CONTENT: &str = "sk, c, cc, f, h, ra, ru, rh, rf, au, ua, ca, #b, del, rev, seq, sz, st";

/// Who made a version, and when by their own account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Author {
    /// The author device.
    pub device: String,
    /// Client time of the change, Unix seconds.
    pub updated_at: i64,
    /// Client time of the creation, Unix seconds.
    pub created_at: Option<i64>,
    /// The client's own version number.
    pub version: i64,
}

/// A row of an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntryRow {
    /// Entry id.
    pub id: String,
    /// All that decisions need.
    pub stored: Stored,
    /// Counted up with each write.
    pub revision: u64,
    /// Author of the content; its version is 1 where the row was read without content.
    pub author: Author,
    /// Ciphertext, where it was read and the row is no tombstone.
    pub content: Option<Content>,
    /// Server time of the last write, Unix seconds.
    pub server_time: i64,
}

impl EntryRow {
    /// The row as it is read, whole or [`WITHOUT_CONTENT`].
    ///
    /// # Errors
    /// Where it has another shape.
    pub fn of(item: Item) -> Result<Self> {
        let mut fields = Fields(item);
        let sk = fields.text("sk")?;
        let id =
            sk.strip_prefix(crate::keys::sync::ENTRY).ok_or_else(|| Error::internal("not an entry's row"))?.to_owned();
        let clock = clock(&fields.text("c")?)?;
        let content_clock = fields.maybe_text("cc").map_or_else(|| Ok(clock.clone()), |text| self::clock(&text))?;
        let deleted = fields.flag("del");
        let hash = fields.maybe_bytes("h").and_then(|hash| hash.try_into().ok()).unwrap_or([0; 32]);
        let form = form(fields.maybe_number("f"));
        let author = fields.text("au")?;
        let rank = Rank {
            at: fields.number("ra")?,
            author: fields.maybe_text("ru").unwrap_or_else(|| author.clone()),
            hash: fields.maybe_bytes("rh").and_then(|hash| hash.try_into().ok()).unwrap_or(hash),
            form: fields.maybe_number("rf").map_or(form, |number| self::form(Some(number))),
        };
        Ok(Self {
            content: fields.maybe_bytes("d").map(|bytes| Content { bytes, form }),
            stored: Stored {
                clock,
                content_clock,
                rank,
                deleted,
                hash,
                form,
                size: fields.number("sz")?,
                written_by: fields.maybe_text("by").unwrap_or_else(|| author.clone()),
                seq: fields.number("seq")?,
            },
            id,
            revision: fields.number("rev")?,
            author: Author {
                device: author,
                updated_at: fields.maybe_number("ua").unwrap_or(0),
                created_at: fields.maybe_number("ca"),
                version: fields.maybe_number("v").unwrap_or(1),
            },
            server_time: fields.number("st")?,
        })
    }

    /// The row as it is written; what equals its default is left out.
    pub fn item(&self, key: &Key) -> Item {
        let stored = &self.stored;
        let mut item: Item = key.attributes();
        text(&mut item, "c", stored.clock.compact_json());
        if stored.content_clock != stored.clock {
            text(&mut item, "cc", stored.content_clock.compact_json());
        }
        if stored.deleted {
            item.insert("del".to_owned(), AttributeValue::Bool(true));
        } else {
            bytes(&mut item, "h", stored.hash);
            if stored.form == Form::Text {
                number(&mut item, "f", 1);
            }
        }
        text(&mut item, "au", self.author.device.clone());
        number(&mut item, "ra", stored.rank.at);
        if stored.rank.author != self.author.device {
            text(&mut item, "ru", stored.rank.author.clone());
        }
        if stored.rank.hash != stored.hash {
            bytes(&mut item, "rh", stored.rank.hash);
        }
        if stored.rank.form != stored.form {
            number(&mut item, "rf", u8::from(stored.rank.form == Form::Text));
        }
        if stored.written_by != self.author.device {
            text(&mut item, "by", stored.written_by.clone());
        }
        number(&mut item, "rev", self.revision);
        number(&mut item, "seq", stored.seq);
        number(&mut item, "sz", stored.size);
        number(&mut item, "st", self.server_time);
        number(&mut item, "ua", self.author.updated_at);
        if let Some(created_at) = self.author.created_at {
            number(&mut item, "ca", created_at);
        }
        if self.author.version != 1 {
            number(&mut item, "v", self.author.version);
        }
        if let Some(content) = self.content.as_ref().filter(|_| !stored.deleted) {
            bytes(&mut item, "d", content.bytes.clone());
        }
        item
    }

    /// Its part of the space's totals.
    pub fn part(&self) -> satchel_domain::sync::totals::Part<'_> {
        satchel_domain::sync::totals::Part {
            id: &self.id,
            clock: &self.stored.clock,
            hash: &self.stored.hash,
            size: self.stored.size,
            deleted: self.stored.deleted,
        }
    }
}

pub(super) fn clock(text: &str) -> Result<VectorClock> {
    serde_json::from_str(text).map_err(Error::internal)
}

pub(super) fn form(number: Option<u8>) -> Form {
    if number == Some(1) { Form::Text } else { Form::Base64 }
}
