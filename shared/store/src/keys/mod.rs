//! Where every row lies: the only place that builds keys. One file a table, each with its table of keys.

pub mod accounts;
pub mod devices;
pub mod entitlements;
pub mod receipts;
pub mod sync;

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;

/// Partition and sort key of a row.
#[derive(Debug, Clone, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct Key {
    /// Partition key.
    pub pk: String,
    /// Sort key.
    pub sk: String,
}

impl Key {
    /// A key of its two parts.
    pub(crate) fn new(pk: impl Into<String>, sk: impl Into<String>) -> Self {
        Self { pk: pk.into(), sk: sk.into() }
    }

    /// The key as DynamoDB has it.
    pub fn attributes(&self) -> HashMap<String, AttributeValue> {
        HashMap::from([
            ("pk".to_owned(), AttributeValue::S(self.pk.clone())),
            ("sk".to_owned(), AttributeValue::S(self.sk.clone())),
        ])
    }

    /// The key that stands in `item`.
    pub fn of(item: &HashMap<String, AttributeValue>) -> Option<Self> {
        match (item.get("pk")?, item.get("sk")?) {
            (AttributeValue::S(pk), AttributeValue::S(sk)) => Some(Self::new(pk, sk)),
            _ => None,
        }
    }
}
