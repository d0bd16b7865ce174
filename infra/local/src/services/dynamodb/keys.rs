//! Which item a request speaks of.

use std::collections::HashMap;

use dynoxide::AttributeValue;

use super::access;
use crate::template::Table;

/// A table and a key within it, comparable.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct ItemKey {
    pub(super) table: String,
    pub(super) partition: String,
    sort: String,
}

impl ItemKey {
    /// The key as the engine takes it.
    pub(super) fn attributes(&self, names: &KeyNames) -> HashMap<String, AttributeValue> {
        let mut attributes = HashMap::new();
        if let Some((hash, range)) = names.0.get(&self.table) {
            let mut set = |name: &str, text: &str| {
                if let Ok(value) = serde_json::from_str(text) {
                    attributes.insert(name.to_owned(), value);
                }
            };
            set(hash, &self.partition);
            if let Some(range) = range {
                set(range, &self.sort);
            }
        }
        attributes
    }
}

/// The key attributes of each table.
#[derive(Debug, Clone, Default)]
pub(super) struct KeyNames(HashMap<String, (String, Option<String>)>);

impl KeyNames {
    pub(super) fn new(tables: &[Table]) -> Self {
        let names = |table: &Table| (table.hash.name.clone(), table.range.as_ref().map(|range| range.name.clone()));
        Self(tables.iter().map(|table| (table.name.clone(), names(table))).collect())
    }

    /// One table with a partition key alone.
    #[cfg(test)]
    pub(super) fn of(table: &str, hash: &str) -> Self {
        Self(HashMap::from([(table.to_owned(), (hash.to_owned(), None))]))
    }

    /// The name of the partition key of `table`.
    pub(super) fn hash(&self, table: &str) -> Option<&str> {
        self.0.get(table).map(|(hash, _)| hash.as_str())
    }

    /// The partition key of `item` as plain text, where it is text or a number.
    pub(super) fn partition(&self, table: &str, item: &HashMap<String, AttributeValue>) -> Option<String> {
        access::text(item.get(self.hash(table)?)?)
    }

    /// The key of `item`, which may be a whole item or a key alone.
    pub(super) fn key(&self, table: &str, item: &HashMap<String, AttributeValue>) -> ItemKey {
        let text = |name: &str| item.get(name).and_then(|value| serde_json::to_string(value).ok()).unwrap_or_default();
        let (partition, sort) = match self.0.get(table) {
            Some((hash, range)) => (text(hash), range.as_deref().map(text).unwrap_or_default()),
            None => Default::default(),
        };
        ItemKey { table: table.to_owned(), partition, sort }
    }
}
