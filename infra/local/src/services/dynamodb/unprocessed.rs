//! What a batch leaves undone: entries taken out of a request and given back as `UnprocessedKeys` or
//! `UnprocessedItems`.

use std::collections::HashMap;

use dynoxide::actions::batch_get_item::KeysAndAttributes;
use dynoxide::actions::batch_write_item::WriteRequest;
use serde_json::{Map, Value, json};

use super::keys::{ItemKey, KeyNames};
use super::operation::{Operation, write_key};

/// Entries not done, by table, in the shape they are given back in.
#[derive(Debug, Default)]
pub(super) struct Left {
    field: Option<&'static str>,
    tables: Map<String, Value>,
}

impl Left {
    /// Adds what another fault left undone.
    pub(super) fn merge(&mut self, other: Self) {
        self.field = self.field.or(other.field);
        for (table, entries) in other.tables {
            match (self.tables.get_mut(&table), entries) {
                (Some(Value::Array(all)), Value::Array(entries)) => all.extend(entries),
                (_, entries) => {
                    self.tables.insert(table, entries);
                }
            }
        }
    }

    /// The answer `body` with what was left undone in it.
    pub(super) fn join(self, body: Vec<u8>) -> Vec<u8> {
        let Some(field) = self.field.filter(|_| !self.tables.is_empty()) else { return body };
        let Ok(mut answer) = serde_json::from_slice::<Value>(&body) else { return body };
        if let Some(own) = answer[field].as_object_mut() {
            own.extend(self.tables);
        }
        answer.to_string().into_bytes()
    }
}

/// Takes the entries `out` picks, by their place and key, out of a batch. `None` where the operation is no batch, or
/// nothing of it would be left to do.
pub(super) fn split(
    operation: &mut Operation,
    mut out: impl FnMut(usize, &dyn Fn(&KeyNames) -> ItemKey) -> bool,
) -> Option<Left> {
    let mut left = Left::default();
    let mut index = 0;
    match operation {
        Operation::BatchWrite(request) => {
            left.field = Some("UnprocessedItems");
            for (table, writes) in &mut request.request_items {
                let taken: Vec<WriteRequest> = writes
                    .extract_if(.., |write| {
                        index += 1;
                        out(index - 1, &|names| write_key(names, table, write))
                    })
                    .collect();
                if !taken.is_empty() {
                    left.tables.insert(table.clone(), taken.iter().map(write_json).collect());
                }
            }
            request.request_items.retain(|_, writes| !writes.is_empty());
            (!request.request_items.is_empty()).then_some(left)
        }
        Operation::BatchGet(request) => {
            left.field = Some("UnprocessedKeys");
            for (table, wanted) in &mut request.request_items {
                let taken: Vec<_> = wanted
                    .keys
                    .extract_if(.., |key| {
                        index += 1;
                        out(index - 1, &|names| names.key(table, key))
                    })
                    .collect();
                if !taken.is_empty() {
                    left.tables.insert(table.clone(), keys_json(wanted, taken));
                }
            }
            request.request_items.retain(|_, wanted| !wanted.keys.is_empty());
            (!request.request_items.is_empty()).then_some(left)
        }
        _ => None,
    }
}

fn write_json(write: &WriteRequest) -> Value {
    match (&write.put_request, &write.delete_request) {
        (Some(put), _) => json!({"PutRequest": {"Item": put.item}}),
        (None, Some(delete)) => json!({"DeleteRequest": {"Key": delete.key}}),
        (None, None) => Value::Null,
    }
}

fn keys_json(wanted: &KeysAndAttributes, keys: Vec<HashMap<String, dynoxide::AttributeValue>>) -> Value {
    let mut entry = Map::from_iter([("Keys".to_owned(), json!(keys))]);
    let mut set = |name: &str, value: Value| {
        if !value.is_null() {
            entry.insert(name.to_owned(), value);
        }
    };
    set("ProjectionExpression", json!(wanted.projection_expression));
    set("ExpressionAttributeNames", json!(wanted.expression_attribute_names));
    set("ConsistentRead", json!(wanted.consistent_read));
    entry.into()
}
