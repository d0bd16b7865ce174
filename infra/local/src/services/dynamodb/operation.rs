//! One DynamoDB call: read from its JSON once, run against the embedded engine, written back.
//!
//! The engine's own HTTP server does the same around private checks of the request's shape; left out here, they only
//! word the refusal of requests no SDK sends.

use std::collections::HashMap;

use dynoxide::actions as act;
use dynoxide::types::ConsumedCapacity;
use dynoxide::{AttributeValue, Database, DynoxideError, Item};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::keys::{ItemKey, KeyNames};

/// A call with its request read.
pub(super) enum Operation {
    Get(act::get_item::GetItemRequest),
    Put(act::put_item::PutItemRequest),
    Update(act::update_item::UpdateItemRequest),
    Delete(act::delete_item::DeleteItemRequest),
    Query(act::query::QueryRequest),
    Scan(act::scan::ScanRequest),
    BatchGet(act::batch_get_item::BatchGetItemRequest),
    BatchWrite(act::batch_write_item::BatchWriteItemRequest),
    TransactGet(act::transact_get_items::TransactGetItemsRequest),
    TransactWrite(act::transact_write_items::TransactWriteItemsRequest),
    Other(&'static str),
}

/// An answer: the body and what it cost.
pub(super) struct Answer {
    pub(super) body: Vec<u8>,
    pub(super) units: Vec<ConsumedCapacity>,
}

impl Operation {
    /// Reads the request of `name`.
    pub(super) fn read(name: &'static str, body: &[u8]) -> Result<Self, DynoxideError> {
        Ok(match name {
            "GetItem" => Self::Get(read(body)?),
            "PutItem" => Self::Put(read(body)?),
            "UpdateItem" => Self::Update(read(body)?),
            "DeleteItem" => Self::Delete(read(body)?),
            "Query" => Self::Query(read(body)?),
            "Scan" => Self::Scan(read(body)?),
            "BatchGetItem" => Self::BatchGet(read(body)?),
            "BatchWriteItem" => Self::BatchWrite(read(body)?),
            "TransactGetItems" => Self::TransactGet(read(body)?),
            "TransactWriteItems" => Self::TransactWrite(read(body)?),
            other => Self::Other(other),
        })
    }

    /// Whether it changes items.
    pub(super) fn is_write(&self) -> bool {
        matches!(self, Self::Put(_) | Self::Update(_) | Self::Delete(_) | Self::BatchWrite(_) | Self::TransactWrite(_))
    }

    /// The items a write changes, or a transaction reads or checks, in the order of its request.
    pub(super) fn keys(&self, names: &KeyNames) -> Vec<ItemKey> {
        match self {
            Self::Put(request) => vec![names.key(&request.table_name, &request.item)],
            Self::Update(request) => vec![names.key(&request.table_name, &request.key)],
            Self::Delete(request) => vec![names.key(&request.table_name, &request.key)],
            Self::BatchWrite(request) => {
                let all = request.request_items.iter();
                all.flat_map(|(table, writes)| writes.iter().map(|write| write_key(names, table, write))).collect()
            }
            Self::TransactGet(request) => {
                request.transact_items.iter().map(|item| names.key(&item.get.table_name, &item.get.key)).collect()
            }
            Self::TransactWrite(request) => {
                request.transact_items.iter().map(|item| transact_key(names, item)).collect()
            }
            _ => Vec::new(),
        }
    }

    /// Runs the call; `measure` has its cost worked out whether the caller asked for it or not.
    pub(super) fn run(self, db: &Database, body: &[u8], measure: bool) -> Result<Answer, DynoxideError> {
        macro_rules! measured {
            ($request:ident, $method:ident) => {{
                let mut request = $request;
                let hidden = measure && asks_for_nothing(&request.return_consumed_capacity);
                if hidden {
                    request.return_consumed_capacity = Some("TOTAL".to_owned());
                }
                let mut response = db.$method(request)?;
                let units = response.consumed_capacity.list();
                if hidden {
                    response.consumed_capacity = None;
                }
                Ok(Answer { body: write(&response)?, units })
            }};
        }
        match self {
            Self::Get(request) => measured!(request, get_item),
            Self::Put(request) => measured!(request, put_item),
            Self::Update(request) => measured!(request, update_item),
            Self::Delete(request) => measured!(request, delete_item),
            Self::Query(request) => measured!(request, query),
            Self::Scan(request) => measured!(request, scan),
            Self::BatchGet(request) => measured!(request, batch_get_item),
            Self::BatchWrite(request) => measured!(request, batch_write_item),
            Self::TransactGet(request) => measured!(request, transact_get_items),
            Self::TransactWrite(request) => measured!(request, transact_write_items),
            Self::Other(name) => other(db, name, body),
        }
    }
}

/// Calls that manage tables and read streams, which nothing counts or tears.
fn other(db: &Database, name: &str, body: &[u8]) -> Result<Answer, DynoxideError> {
    let body = match name {
        "DescribeTable" => write(&db.describe_table(read(body)?)?),
        "ListTables" => write(&db.list_tables(read(body)?)?),
        "CreateTable" => write(&db.create_table(read(body)?)?),
        "DeleteTable" => write(&db.delete_table(read(body)?)?),
        "UpdateTable" => write(&db.update_table(read(body)?)?),
        "DescribeTimeToLive" => write(&db.describe_time_to_live(read(body)?)?),
        "UpdateTimeToLive" => write(&db.update_time_to_live(read(body)?)?),
        "ListStreams" => write(&db.list_streams(read(body)?)?),
        "DescribeStream" => write(&db.describe_stream(read(body)?)?),
        "GetShardIterator" => write(&db.get_shard_iterator(read(body)?)?),
        "GetRecords" => write(&db.get_records(read(body)?)?),
        _ => Err(DynoxideError::ValidationException("this operation has no stand-in here".to_owned())),
    }?;
    Ok(Answer { body, units: Vec::new() })
}

pub(super) fn write_key(names: &KeyNames, table: &str, write: &act::batch_write_item::WriteRequest) -> ItemKey {
    names.key(table, written(write).unwrap_or(&HashMap::new()))
}

/// The item that a write puts, or the key of the one it deletes.
pub(super) fn written(write: &act::batch_write_item::WriteRequest) -> Option<&Item> {
    let put = write.put_request.as_ref().map(|put| &put.item);
    put.or(write.delete_request.as_ref().map(|delete| &delete.key))
}

fn transact_key(names: &KeyNames, item: &act::transact_write_items::TransactWriteItem) -> ItemKey {
    if let Some(put) = &item.put {
        names.key(&put.table_name, &put.item)
    } else if let Some(update) = &item.update {
        names.key(&update.table_name, &update.key)
    } else if let Some(delete) = &item.delete {
        names.key(&delete.table_name, &delete.key)
    } else if let Some(check) = &item.condition_check {
        names.key(&check.table_name, &check.key)
    } else {
        names.key("", &HashMap::new())
    }
}

/// One item by its key, as the engine holds it.
pub(super) fn item(
    db: &Database,
    table: &str,
    key: HashMap<String, AttributeValue>,
) -> Result<Option<Item>, DynoxideError> {
    let request = act::get_item::GetItemRequest { table_name: table.to_owned(), key, ..Default::default() };
    Ok(db.get_item(request)?.item)
}

fn asks_for_nothing(asked: &Option<String>) -> bool {
    asked.as_deref().is_none_or(|asked| asked == "NONE")
}

trait List {
    fn list(&self) -> Vec<ConsumedCapacity>;
}

impl List for Option<ConsumedCapacity> {
    fn list(&self) -> Vec<ConsumedCapacity> {
        self.iter().cloned().collect()
    }
}

impl List for Option<Vec<ConsumedCapacity>> {
    fn list(&self) -> Vec<ConsumedCapacity> {
        self.clone().unwrap_or_default()
    }
}

fn write(response: &impl Serialize) -> Result<Vec<u8>, DynoxideError> {
    serde_json::to_vec(response).map_err(|error| DynoxideError::InternalServerError(error.to_string()))
}

/// Reads a request; the engine marks refusals of its own within serde's message, which the client must not see.
fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, DynoxideError> {
    serde_json::from_slice(body).map_err(|error| {
        let message = error.to_string();
        let message = message.split(" at line ").next().unwrap_or_default();
        for marker in ["VALIDATION_REQUEST:", "VALIDATION_AS_READ:", "VALIDATION:"] {
            if let Some(rest) = message.strip_prefix(marker) {
                return DynoxideError::ValidationException(rest.to_owned());
            }
        }
        let message = message.trim_start_matches("SERIALIZATION_AS_READ:").trim_start_matches("SERIALIZATION:");
        if message.contains("missing field") || message.contains("AttributeValue") {
            DynoxideError::ValidationException(message.to_owned())
        } else {
            DynoxideError::SerializationException(message.to_owned())
        }
    })
}
