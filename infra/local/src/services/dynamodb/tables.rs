//! Creates the template's tables in an engine.

use dynoxide::storage::TableMetadata;
use dynoxide::{Database, DynoxideError};
use serde_json::{Map, Value, json};

use crate::template::{Index, Table};

/// Creates `table`, with its stream if `with_stream`; one that is there already, from a template before this one, gets
/// what it lacks.
pub(super) fn create(db: &Database, table: &Table, with_stream: bool) -> Result<(), DynoxideError> {
    if let Some(known) = db.get_table_metadata(&table.name)? {
        return grow(db, table, &known, with_stream);
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
        request.insert("StreamSpecification".into(), stream(view));
    }
    db.create_table(read(Value::Object(request))?)?;
    if let Some(attribute) = &table.ttl {
        let ttl = json!({"AttributeName": attribute, "Enabled": true});
        db.update_time_to_live(read(json!({"TableName": table.name, "TimeToLiveSpecification": ttl}))?)?;
    }
    Ok(())
}

/// Gives the table that is `known` the stream and the global indexes that `table` has besides; nothing is taken away.
fn grow(db: &Database, table: &Table, known: &TableMetadata, with_stream: bool) -> Result<(), DynoxideError> {
    let indexes: Value =
        known.gsi_definitions.as_deref().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
    let is_known = |index: &&Index| {
        let mut names = indexes.as_array().into_iter().flatten().map(|index| &index["IndexName"]);
        names.any(|name| name == index.name.as_str())
    };
    for index in table.global_indexes.iter().filter(|index| !is_known(index)) {
        let update = json!([{"Create": index.definition}]);
        db.update_table(read(json!({
            "TableName": table.name, "AttributeDefinitions": table.attributes, "GlobalSecondaryIndexUpdates": update,
        }))?)?;
    }
    if let Some(view) = table.stream.as_ref().filter(|_| with_stream && !known.stream_enabled) {
        db.update_table(read(json!({"TableName": table.name, "StreamSpecification": stream(view)}))?)?;
    }
    Ok(())
}

fn stream(view: &str) -> Value {
    json!({"StreamEnabled": true, "StreamViewType": view})
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
