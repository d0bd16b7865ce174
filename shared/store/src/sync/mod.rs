//! Rows of the table `sync`: one space a user, ordered by commits.
//!
//! Attribute names are short because each is paid for in every row of every write.

pub mod commits;
pub mod device;
pub mod entries;
pub mod history;
pub mod meta;

use std::collections::HashMap;

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use satchel_domain::{Error, Result};

pub use commits::{Commit, Touched};
pub use device::DeviceRow;
pub use entries::{Author, EntryRow};
pub use history::Version;
pub use meta::Meta;

use crate::table::Item;

/// Reads attributes of a row by hand: these rows are the hot path, and a row is never taken for granted.
struct Fields(HashMap<String, AttributeValue>);

impl Fields {
    fn missing(name: &str) -> Error {
        Error::internal(format!("a row of the table sync has no readable `{name}`"))
    }

    fn text(&mut self, name: &str) -> Result<String> {
        self.maybe_text(name).ok_or_else(|| Self::missing(name))
    }

    fn maybe_text(&mut self, name: &str) -> Option<String> {
        match self.0.remove(name) {
            Some(AttributeValue::S(text)) => Some(text),
            _ => None,
        }
    }

    fn number<T: std::str::FromStr>(&mut self, name: &str) -> Result<T> {
        self.maybe_number(name).ok_or_else(|| Self::missing(name))
    }

    fn maybe_number<T: std::str::FromStr>(&mut self, name: &str) -> Option<T> {
        match self.0.remove(name) {
            Some(AttributeValue::N(text)) => text.parse().ok(),
            _ => None,
        }
    }

    fn bytes(&mut self, name: &str) -> Result<Vec<u8>> {
        self.maybe_bytes(name).ok_or_else(|| Self::missing(name))
    }

    fn maybe_bytes(&mut self, name: &str) -> Option<Vec<u8>> {
        match self.0.remove(name) {
            Some(AttributeValue::B(blob)) => Some(blob.into_inner()),
            _ => None,
        }
    }

    fn array<const N: usize>(&mut self, name: &str) -> Result<[u8; N]> {
        self.bytes(name)?.try_into().map_err(|_| Self::missing(name))
    }

    fn flag(&mut self, name: &str) -> bool {
        matches!(self.0.remove(name), Some(AttributeValue::Bool(true)))
    }
}

fn text(item: &mut Item, name: &str, value: impl Into<String>) {
    item.insert(name.to_owned(), AttributeValue::S(value.into()));
}

fn number(item: &mut Item, name: &str, value: impl ToString) {
    item.insert(name.to_owned(), AttributeValue::N(value.to_string()));
}

fn bytes(item: &mut Item, name: &str, value: impl Into<Vec<u8>>) {
    item.insert(name.to_owned(), AttributeValue::B(Blob::new(value)));
}

/// Size of a row as DynamoDB counts it (developer guide, *Item sizes and formats*): names and values in UTF-8, a number
/// about half its digits plus one, a boolean one byte.
pub fn size(item: &Item) -> usize {
    item.iter()
        .map(|(name, value)| {
            name.len()
                + match value {
                    AttributeValue::S(text) => text.len(),
                    AttributeValue::N(digits) => digits.len().div_ceil(2) + 1,
                    AttributeValue::B(blob) => blob.as_ref().len(),
                    _ => 1,
                }
        })
        .sum()
}
