//! What a call to DynamoDB must be allowed: one action on its table, or one for each item of a transaction.
//!
//! # Limits
//! The partition key of a query is read from a key condition expression, and of a global index it is not known: a
//! condition on leading keys refuses both of the others.

use dynoxide::AttributeValue;
use dynoxide::actions::query::QueryRequest;
use dynoxide::actions::transact_write_items::TransactWriteItem;
use serde_json::Value;

use super::keys::KeyNames;
use super::operation::{Operation, written};
use crate::services::access::Signer;
use crate::services::request::Response;
use crate::template::{ACCOUNT, REGION};

/// Whether `signer` may do what `operation` asks for.
///
/// # Errors
/// The refusal.
pub(super) fn check(operation: &Operation, body: &[u8], names: &KeyNames, signer: &Signer<'_>) -> Result<(), Response> {
    let item = |action: &str, table: &str, item: &dynoxide::Item| {
        signer.may(action, &arn(table, None), &|| names.partition(table, item).map(|key| vec![key]))
    };
    match operation {
        Operation::Get(get) => item("dynamodb:GetItem", &get.table_name, &get.key),
        Operation::Put(put) => item("dynamodb:PutItem", &put.table_name, &put.item),
        Operation::Update(update) => item("dynamodb:UpdateItem", &update.table_name, &update.key),
        Operation::Delete(delete) => item("dynamodb:DeleteItem", &delete.table_name, &delete.key),
        Operation::Query(query) => {
            let resource = arn(&query.table_name, query.index_name.as_deref());
            signer.may("dynamodb:Query", &resource, &|| queried(query, names))
        }
        Operation::Scan(scan) => {
            let resource = arn(&scan.table_name, scan.index_name.as_deref());
            signer.may("dynamodb:Scan", &resource, &|| Some(Vec::new()))
        }
        Operation::BatchGet(batch) => batch.request_items.iter().try_for_each(|(table, asked)| {
            let keys = || asked.keys.iter().map(|key| names.partition(table, key)).collect();
            signer.may("dynamodb:BatchGetItem", &arn(table, None), &keys)
        }),
        Operation::BatchWrite(batch) => batch.request_items.iter().try_for_each(|(table, writes)| {
            let keys = || writes.iter().map(|write| names.partition(table, written(write)?)).collect();
            signer.may("dynamodb:BatchWriteItem", &arn(table, None), &keys)
        }),
        Operation::TransactGet(request) => {
            let mut gets = request.transact_items.iter().map(|item| &item.get);
            gets.try_for_each(|get| item("dynamodb:GetItem", &get.table_name, &get.key))
        }
        Operation::TransactWrite(request) => request.transact_items.iter().try_for_each(|part| {
            let TransactWriteItem { put, update, delete, condition_check } = part;
            if let Some(put) = put {
                item("dynamodb:PutItem", &put.table_name, &put.item)?;
            }
            if let Some(update) = update {
                item("dynamodb:UpdateItem", &update.table_name, &update.key)?;
            }
            if let Some(delete) = delete {
                item("dynamodb:DeleteItem", &delete.table_name, &delete.key)?;
            }
            if let Some(check) = condition_check {
                item("dynamodb:ConditionCheckItem", &check.table_name, &check.key)?;
            }
            Ok(())
        }),
        Operation::Other(name) => {
            let body: Value = serde_json::from_slice(body).unwrap_or_default();
            let resource = match (body["TableName"].as_str(), body["StreamArn"].as_str()) {
                (Some(table), _) => arn(table, None),
                (None, Some(stream)) => stream.to_owned(),
                (None, None) => "*".to_owned(),
            };
            signer.may(&format!("dynamodb:{name}"), &resource, &|| None)
        }
    }
}

fn arn(table: &str, index: Option<&str>) -> String {
    let index = index.map(|index| format!("/index/{index}")).unwrap_or_default();
    format!("arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{table}{index}")
}

/// The partition key that a query asks for.
fn queried(query: &QueryRequest, names: &KeyNames) -> Option<Vec<String>> {
    let hash = names.hash(&query.table_name)?;
    let condition = query.key_condition_expression.as_deref()?.replace('=', " = ").replace(['(', ')'], " ");
    let words: Vec<&str> = condition.split_whitespace().collect();
    let is_hash = |word: &str| {
        let named = query.expression_attribute_names.as_ref().and_then(|names| names.get(word));
        named.map_or(word, String::as_str) == hash
    };
    let value = words.windows(3).find_map(|three| match three {
        [left, "=", right] if is_hash(left) => Some(*right),
        [left, "=", right] if is_hash(right) => Some(*left),
        _ => None,
    })?;
    text(query.expression_attribute_values.as_ref()?.get(value)?).map(|key| vec![key])
}

/// A key as a policy's condition sees it; a binary one is compared with nothing here.
pub(super) fn text(value: &AttributeValue) -> Option<String> {
    match value {
        AttributeValue::S(text) | AttributeValue::N(text) => Some(text.clone()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_partition_key_of_a_query_is_found_however_the_condition_is_written() {
        let names = KeyNames::of("things", "pk");
        let key = |condition: &str| {
            let request = json!({
                "TableName": "things", "KeyConditionExpression": condition, "ExpressionAttributeNames": {"#p": "pk", "#s": "sk"},
                "ExpressionAttributeValues": {":p": {"S": "USR#1"}, ":s": {"S": "x"}, ":n": {"N": "7"}},
            });
            queried(&serde_json::from_value(request).unwrap(), &names)
        };
        for condition in [
            "pk = :p",
            "pk=:p AND sk > :s",
            "(#p = :p) AND (begins_with(#s, :s))",
            "sk = :s AND pk = :p",
            ":p = pk AND sk BETWEEN :s AND :s",
            "sk <= :s AND pk = :p",
        ] {
            assert_eq!(key(condition), Some(vec!["USR#1".to_owned()]), "{condition}");
        }
        assert_eq!(key("pk = :n"), Some(vec!["7".to_owned()]));
        assert_eq!(key("sk = :s"), None);
        assert_eq!(key("pk <= :p"), None);
    }
}
