//! Creates the template's tables in an engine.

use dynoxide::{Database, DynoxideError};
use serde_json::{Map, Value, json};

use crate::template::{Index, Table};

/// Creates `table`, with its stream if `with_stream`; one that is there already stays as it is.
pub(super) fn create(db: &Database, table: &Table, with_stream: bool) -> Result<(), DynoxideError> {
    if db.get_table_metadata(&table.name)?.is_some() {
        return Ok(());
    }
    let mut schema = vec![json!({"AttributeName": table.hash.name, "KeyType": "HASH"})];
    if let Some(range) = &table.range {
        schema.push(json!({"AttributeName": range.name, "KeyType": "RANGE"}));
    }
    let mut request = Map::new();
    request.insert("TableName".into(), table.name.clone().into());
    request.insert("KeySchema".into(), schema.into());
    request.insert("AttributeDefinitions".into(), table.attributes.clone());
    request.insert("BillingMode".into(), "PAY_PER_REQUEST".into());
    let definitions = |indexes: &[Index]| indexes.iter().map(|index| index.definition.clone()).collect::<Value>();
    if !table.local_indexes.is_empty() {
        request.insert("LocalSecondaryIndexes".into(), definitions(&table.local_indexes));
    }
    if !table.global_indexes.is_empty() {
        request.insert("GlobalSecondaryIndexes".into(), definitions(&table.global_indexes));
    }
    if let Some(view) = table.stream.as_ref().filter(|_| with_stream) {
        let stream = json!({"StreamEnabled": true, "StreamViewType": view});
        request.insert("StreamSpecification".into(), stream);
    }
    db.create_table(read(Value::Object(request))?)?;
    if let Some(attribute) = &table.ttl {
        let ttl = json!({"AttributeName": attribute, "Enabled": true});
        db.update_time_to_live(read(json!({"TableName": table.name, "TimeToLiveSpecification": ttl}))?)?;
    }
    Ok(())
}

/// Drops `table` and creates it anew.
pub(super) fn recreate(db: &Database, table: &Table) -> Result<(), DynoxideError> {
    if db.get_table_metadata(&table.name)?.is_some() {
        db.delete_table(read(json!({"TableName": table.name}))?)?;
    }
    create(db, table, true)
}

fn read<T: serde::de::DeserializeOwned>(request: Value) -> Result<T, DynoxideError> {
    serde_json::from_value(request).map_err(|error| DynoxideError::ValidationException(error.to_string()))
}
