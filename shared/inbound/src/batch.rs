//! Consumers: one record at a time, failures reported by id, so that a poison record never takes its neighbours along.
//!
//! Delivery is at least once: every handler here may see a record twice.

use base64::Engine as _;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::function::BoxError;
use crate::http::error::causes;

/// Handles each message of an SQS event; the answer lists the ids that failed (`ReportBatchItemFailures`). A message
/// that cannot be read fails like any other and ends in the dead-letter queue, where it is seen.
///
/// # Errors
/// Where the event itself is no SQS event.
pub async fn queue<T, F, Fut>(event: Value, handle: F) -> Result<Value, BoxError>
where
    T: DeserializeOwned,
    F: Fn(T) -> Fut,
    Fut: Future<Output = satchel_domain::Result<()>>,
{
    let mut failures = Vec::new();
    for record in records(&event)? {
        let id = record["messageId"].as_str().unwrap_or_default().to_owned();
        let outcome = match record["body"].as_str().map(serde_json::from_str::<T>) {
            Some(Ok(message)) => handle(message).await.map_err(BoxError::from),
            Some(Err(error)) => {
                Err(format!("the body cannot be read at line {} column {}", error.line(), error.column()).into())
            }
            None => Err("a record without body".into()),
        };
        if let Err(error) = outcome {
            tracing::error!(message.id = %id, error = %causes(&*error), "queue record failed");
            failures.push(json!({ "itemIdentifier": id }));
        }
    }
    Ok(json!({ "batchItemFailures": failures }))
}

/// One change of a table's row, as its stream tells it.
#[derive(Debug, Clone)]
pub struct Change {
    /// `INSERT`, `MODIFY` or `REMOVE`.
    pub kind: String,
    /// Sort key of the row.
    pub sk: String,
    /// Partition key of the row.
    pub pk: String,
    /// The row as plain JSON before, where it was.
    pub old: Option<Value>,
    /// The row as plain JSON after, where it is.
    pub new: Option<Value>,
}

/// Handles each change of a DynamoDB stream event in order; the first failure ends the batch there, and Lambda goes on
/// from it (`ReportBatchItemFailures` with streams).
///
/// # Errors
/// Where the event itself is no stream event.
pub async fn stream<F, Fut>(event: Value, handle: F) -> Result<Value, BoxError>
where
    F: Fn(Change) -> Fut,
    Fut: Future<Output = satchel_domain::Result<()>>,
{
    for record in records(&event)? {
        let number = record["dynamodb"]["SequenceNumber"].as_str().unwrap_or_default().to_owned();
        let outcome = match change(record) {
            Some(change) => handle(change).await.map_err(BoxError::from),
            None => Err("a record without keys".into()),
        };
        if let Err(error) = outcome {
            tracing::error!(record.sequence = %number, error = %causes(&*error), "stream record failed");
            return Ok(json!({ "batchItemFailures": [{ "itemIdentifier": number }] }));
        }
    }
    Ok(json!({ "batchItemFailures": [] }))
}

fn records(event: &Value) -> Result<&Vec<Value>, BoxError> {
    event["Records"].as_array().ok_or_else(|| "the event has no records".into())
}

fn change(record: &Value) -> Option<Change> {
    let body = &record["dynamodb"];
    let image = |name: &str| body.get(name).filter(|image| !image.is_null()).map(plain_map);
    Some(Change {
        kind: record["eventName"].as_str()?.to_owned(),
        pk: body["Keys"]["pk"]["S"].as_str()?.to_owned(),
        sk: body["Keys"]["sk"]["S"].as_str()?.to_owned(),
        old: image("OldImage"),
        new: image("NewImage"),
    })
}

fn plain_map(map: &Value) -> Value {
    let fields = map.as_object().into_iter().flatten();
    Value::Object(fields.map(|(name, value)| (name.clone(), plain(value))).collect())
}

/// DynamoDB's JSON as plain JSON: numbers as numbers, binaries as base64 text.
fn plain(value: &Value) -> Value {
    let Some((kind, inner)) = value.as_object().and_then(|object| object.iter().next()) else { return Value::Null };
    match kind.as_str() {
        "N" => inner.as_str().and_then(|text| serde_json::from_str(text).ok()).unwrap_or(Value::Null),
        "M" => plain_map(inner),
        "L" => Value::Array(inner.as_array().into_iter().flatten().map(plain).collect()),
        "NULL" => Value::Null,
        "NS" => Value::Array(
            inner
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(|text| serde_json::from_str(text.as_str()?).ok())
                .collect(),
        ),
        _ => inner.clone(),
    }
}

/// The bytes of a binary attribute in a [`Change`]'s image.
pub fn binary(value: &Value) -> Option<Vec<u8>> {
    base64::engine::general_purpose::STANDARD.decode(value.as_str()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_poison_message_fails_alone() {
        let event = json!({ "Records": [
            { "messageId": "a", "body": "{\"n\": 1}" },
            { "messageId": "b", "body": "{\"n\": \"one\"}" },
            { "messageId": "c", "body": "not json" },
            { "messageId": "d", "body": "{\"n\": 4}" },
        ]});
        #[derive(serde::Deserialize)]
        struct Message {
            n: u32,
        }
        let answer = queue(event, |message: Message| async move {
            if message.n == 4 { Err(satchel_domain::Error::unavailable("down")) } else { Ok(()) }
        })
        .await
        .unwrap();
        let failed: Vec<_> = answer["batchItemFailures"]
            .as_array()
            .unwrap()
            .iter()
            .map(|f| f["itemIdentifier"].as_str().unwrap())
            .collect();
        assert_eq!(failed, ["b", "c", "d"]);
    }

    #[tokio::test]
    async fn a_stream_stops_at_its_first_failure() {
        let record = |n: &str| {
            json!({ "eventName": "INSERT", "dynamodb": { "SequenceNumber": n,
            "Keys": { "pk": { "S": "p" }, "sk": { "S": n } }, "NewImage": { "n": { "N": n }, "l": { "L": [{ "BOOL": true }] } } } })
        };
        let seen = std::sync::Mutex::new(Vec::new());
        let answer = stream(json!({ "Records": [record("1"), record("2"), record("3")] }), |change: Change| {
            let new = change.new.unwrap();
            seen.lock().unwrap().push(new["n"].clone());
            assert_eq!(new["l"], json!([true]));
            async move { if new["n"] == 2 { Err(satchel_domain::Error::unavailable("down")) } else { Ok(()) } }
        })
        .await
        .unwrap();
        assert_eq!(answer, json!({ "batchItemFailures": [{ "itemIdentifier": "2" }] }));
        assert_eq!(*seen.lock().unwrap(), [json!(1), json!(2)]);
    }
}
