//! A person's rows as they are handed to them: plain JSON, page by page, from every family's table, without what would let
//! somebody in.

use aws_sdk_dynamodb::types::AttributeValue;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use satchel_domain::Result;
use satchel_domain::ids::UserId;
use serde_json::{Map, Number, Value};

use crate::keys::{self, Key};
use crate::sync::meta::Meta;
use crate::table::{Item, Range, Table};

/// What never leaves: keys of rows, hashes, tokens, keys.
const SECRET: [&str; 12] = [
    "pk",
    "sk",
    "ttl",
    "current_hash",
    "previous_hash",
    "apple_token",
    "purchase_token",
    "push_token",
    "push_hash",
    "cursor_key",
    "reported",
    "links",
];

/// Rows that are read page by page.
#[derive(Debug)]
pub struct Part {
    table: Table,
    range: Range,
    begun: bool,
    next: Option<Key>,
}

impl Part {
    fn new(table: &Table, range: Range) -> Self {
        Self { table: table.clone(), range, begun: false, next: None }
    }

    /// The next page; `None` after the last.
    pub async fn next(&mut self) -> Result<Option<Vec<Value>>> {
        if self.begun && self.next.is_none() {
            return Ok(None);
        }
        let page = self.table.query_items(self.range.clone().after(self.next.take())).await?;
        self.begun = true;
        self.next = page.next;
        Ok(Some(page.rows.into_iter().map(plain).collect()))
    }
}

/// The account of `user`.
pub fn account(accounts: &Table, user: &UserId) -> Part {
    Part::new(accounts, Range::of(keys::accounts::partition(user)).prefix(keys::accounts::ACCOUNT))
}

/// The registry of `user`'s devices.
pub fn sessions(accounts: &Table, user: &UserId) -> Part {
    Part::new(accounts, Range::of(keys::accounts::partition(user)).prefix(keys::accounts::DEVICES))
}

/// The descriptions of `user`'s devices.
pub fn devices(devices: &Table, user: &UserId) -> Part {
    Part::new(devices, Range::of(keys::devices::partition(user)).prefix(keys::devices::DEVICES))
}

/// Add-ons, purchases and the ledger of `user`.
pub fn entitlements(entitlements: &Table, user: &UserId) -> Part {
    Part::new(entitlements, Range::of(keys::entitlements::partition(user)))
}

/// The entries of `user`'s space, of the generation it has now; `None` where there is no space.
pub async fn entries(sync: &Table, user: &UserId) -> Result<Option<Part>> {
    let space = user.as_str();
    let Some(item) = sync.get_items(&[keys::sync::meta(space)], None).await?.pop() else { return Ok(None) };
    let meta = Meta::of(item)?;
    let pk = keys::sync::generation(space, meta.generation);
    Ok(Some(Part::new(sync, Range::of(pk).prefix(keys::sync::ENTRY))))
}

/// The row without secrets; an entry's id, which stands in its key alone, is kept.
fn plain(mut item: Item) -> Value {
    let id = match item.get("sk") {
        Some(AttributeValue::S(sk)) => sk.strip_prefix(keys::sync::ENTRY).map(str::to_owned),
        _ => None,
    };
    for name in SECRET {
        item.remove(name);
    }
    let mut fields: Map<String, Value> = item.into_iter().map(|(name, value)| (name, json(value))).collect();
    if let Some(id) = id {
        fields.insert("id".to_owned(), id.into());
    }
    Value::Object(fields)
}

fn json(value: AttributeValue) -> Value {
    match value {
        AttributeValue::S(text) => Value::String(text),
        AttributeValue::N(number) => number.parse::<Number>().map_or(Value::String(number), Value::Number),
        AttributeValue::Bool(flag) => Value::Bool(flag),
        AttributeValue::B(bytes) => Value::String(STANDARD.encode(bytes)),
        AttributeValue::M(map) => Value::Object(map.into_iter().map(|(name, value)| (name, json(value))).collect()),
        AttributeValue::L(list) => Value::Array(list.into_iter().map(json).collect()),
        AttributeValue::Ss(texts) => Value::Array(texts.into_iter().map(Value::String).collect()),
        AttributeValue::Ns(numbers) => numbers.into_iter().map(|number| json(AttributeValue::N(number))).collect(),
        AttributeValue::Bs(blobs) => blobs.into_iter().map(|bytes| Value::String(STANDARD.encode(bytes))).collect(),
        _ => Value::Null,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use aws_sdk_dynamodb::primitives::Blob;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_copy_has_everything_but_secrets() {
        let item: Item = HashMap::from([
            ("pk".into(), AttributeValue::S("S#usr_ada#0".into())),
            ("sk".into(), AttributeValue::S("E#note-1".into())),
            ("seq".into(), AttributeValue::N("18446744073709551615".into())),
            ("body".into(), AttributeValue::B(Blob::new([1, 2, 3]))),
            ("tags".into(), AttributeValue::L(vec![AttributeValue::Null(true), AttributeValue::Bool(true)])),
            ("current_hash".into(), AttributeValue::S("secret".into())),
            ("apple_token".into(), AttributeValue::S("secret".into())),
        ]);
        let expected = json!({ "id": "note-1", "seq": 18446744073709551615u64, "body": "AQID", "tags": [null, true] });
        assert_eq!(plain(item), expected);
    }
}
