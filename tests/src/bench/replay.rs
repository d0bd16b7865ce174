//! The DynamoDB calls of a request, taken down at the emulator's door, and the same calls once more by the bare SDK:
//! what a handler cannot be faster than.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::{
    AttributeValue, ConditionCheck, KeysAndAttributes, Put, ReturnConsumedCapacity, TransactWriteItem, Update,
};
use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::stage::StageError;

/// One call as it came in.
#[derive(Debug, Clone)]
pub struct Call {
    operation: String,
    body: Value,
    begun: Instant,
    ended: Instant,
}

/// Calls as they come in.
#[derive(Debug, Clone, Default)]
pub struct Recorder(Arc<Mutex<Vec<Call>>>);

impl Recorder {
    /// `router` with its DynamoDB calls taken down.
    pub fn before(&self, router: axum::Router) -> axum::Router {
        router.layer(axum::middleware::from_fn_with_state(self.clone(), take_down))
    }

    /// What was taken down since the last time, in groups of calls that were under way together.
    pub fn take(&self) -> Vec<Vec<Call>> {
        let mut calls = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        calls.sort_by_key(|call| call.begun);
        let mut groups: Vec<Vec<Call>> = Vec::new();
        for call in calls {
            match groups.last_mut() {
                Some(group) if group.iter().any(|other| call.begun < other.ended) => group.push(call),
                _ => groups.push(vec![call]),
            }
        }
        groups
    }
}

async fn take_down(State(recorder): State<Recorder>, request: Request, next: Next) -> Response {
    let target = request.headers().get("x-amz-target").and_then(|target| target.to_str().ok()).unwrap_or_default();
    let operation = target.strip_prefix("DynamoDB_20120810.").unwrap_or_default().to_owned();
    if operation.is_empty() {
        return next.run(request).await;
    }
    let (head, body) = request.into_parts();
    let bytes = axum::body::to_bytes(body, 16 * 1024 * 1024).await.unwrap_or_default();
    let begun = Instant::now();
    let response = next.run(Request::from_parts(head, Body::from(bytes.clone()))).await;
    let body = serde_json::from_slice(&bytes).unwrap_or_default();
    let call = Call { operation, body, begun, ended: Instant::now() };
    recorder.0.lock().unwrap_or_else(PoisonError::into_inner).push(call);
    response
}

/// Makes the calls of `groups` again: groups one after the other, the calls of one together. Writes lose their
/// conditions, so that they succeed again.
///
/// # Errors
/// Where one fails, or is of a kind that is not known here.
pub async fn replay(client: &Client, groups: &[Vec<Call>]) -> Result<(), StageError> {
    for group in groups {
        match &group[..] {
            [one] => again(client, one).await?,
            group => {
                let mut running = tokio::task::JoinSet::new();
                for call in group {
                    let (client, call) = (client.clone(), call.clone());
                    running.spawn(async move { again(&client, &call).await });
                }
                while let Some(done) = running.join_next().await {
                    done??;
                }
            }
        }
    }
    Ok(())
}

/// The names of the calls, for the page.
pub fn names(groups: &[Vec<Call>]) -> String {
    let name = |call: &Call| call.operation.clone();
    let groups: Vec<String> =
        groups.iter().map(|group| group.iter().map(name).collect::<Vec<_>>().join(" ∥ ")).collect();
    groups.join(", ")
}

async fn again(client: &Client, call: &Call) -> Result<(), StageError> {
    let outcome = make(client, call).await;
    outcome
        .map_err(|error| format!("{} again: {}", call.operation, satchel_inbound::http::error::causes(&*error)).into())
}

async fn make(client: &Client, call: &Call) -> Result<(), StageError> {
    let body = &call.body;
    let text = |name: &str| body[name].as_str().map(str::to_owned);
    let table = text("TableName");
    let consistent = body["ConsistentRead"].as_bool();
    let total = ReturnConsumedCapacity::Total;
    match call.operation.as_str() {
        "GetItem" => {
            let request =
                client.get_item().set_table_name(table).set_key(map(&body["Key"])).set_consistent_read(consistent);
            let request = request.set_expression_attribute_names(names_of(body));
            request
                .set_projection_expression(text("ProjectionExpression"))
                .return_consumed_capacity(total)
                .send()
                .await?;
        }
        "Query" => {
            let request = client
                .query()
                .set_table_name(table)
                .set_key_condition_expression(text("KeyConditionExpression"))
                .set_expression_attribute_values(map(&body["ExpressionAttributeValues"]))
                .set_expression_attribute_names(names_of(body))
                .set_projection_expression(text("ProjectionExpression"))
                .set_limit(body["Limit"].as_i64().and_then(|limit| i32::try_from(limit).ok()))
                .set_scan_index_forward(body["ScanIndexForward"].as_bool())
                .set_consistent_read(consistent);
            request.return_consumed_capacity(total).send().await?;
        }
        "BatchGetItem" => {
            let mut request = client.batch_get_item().return_consumed_capacity(total);
            for (table, wanted) in body["RequestItems"].as_object().into_iter().flatten() {
                let keys = wanted["Keys"].as_array().into_iter().flatten().filter_map(map).collect();
                let wanted = KeysAndAttributes::builder()
                    .set_keys(Some(keys))
                    .set_consistent_read(wanted["ConsistentRead"].as_bool())
                    .set_expression_attribute_names(names_of(wanted))
                    .set_projection_expression(wanted["ProjectionExpression"].as_str().map(str::to_owned));
                request = request.request_items(table, wanted.build()?);
            }
            request.send().await?;
        }
        "PutItem" => {
            client
                .put_item()
                .set_table_name(table)
                .set_item(map(&body["Item"]))
                .return_consumed_capacity(total)
                .send()
                .await?;
        }
        "TransactWriteItems" => {
            let mut request = client.transact_write_items().return_consumed_capacity(total);
            for item in body["TransactItems"].as_array().into_iter().flatten() {
                request = request.transact_items(write(item)?);
            }
            request.send().await?;
        }
        other => return Err(format!("{other} is not known here").into()),
    }
    Ok(())
}

/// One write of a transaction, without its condition.
fn write(item: &Value) -> Result<TransactWriteItem, StageError> {
    let write = TransactWriteItem::builder();
    let Some((kind, body)) = item.as_object().and_then(|item| item.iter().next()) else {
        return Err("a write of no kind".into());
    };
    let table = body["TableName"].as_str().map(str::to_owned);
    Ok(match kind.as_str() {
        "Put" => write.put(Put::builder().set_table_name(table).set_item(map(&body["Item"])).build()?),
        "Update" => {
            let text = body["UpdateExpression"].as_str().unwrap_or_default();
            let update = Update::builder()
                .set_table_name(table)
                .set_key(map(&body["Key"]))
                .update_expression(text)
                .set_expression_attribute_names(used(names_of(body), text))
                .set_expression_attribute_values(used(map(&body["ExpressionAttributeValues"]), text));
            write.update(update.build()?)
        }
        // What it asks no longer holds; it costs the same to ask for what does.
        "ConditionCheck" => {
            let check = ConditionCheck::builder().set_table_name(table).set_key(map(&body["Key"]));
            write.condition_check(check.condition_expression("attribute_exists(pk)").build()?)
        }
        other => return Err(format!("{other} of a transaction is not known here").into()),
    }
    .build())
}

/// Those of `all` that stand in `expression`: DynamoDB refuses names and values that nothing uses.
fn used<T>(all: Option<HashMap<String, T>>, expression: &str) -> Option<HashMap<String, T>> {
    let is_part = |it: char| it.is_alphanumeric() || matches!(it, '_' | '#' | ':');
    let tokens: HashSet<&str> = expression.split(|it| !is_part(it)).collect();
    let left: HashMap<String, T> = all?.into_iter().filter(|(name, _)| tokens.contains(name.as_str())).collect();
    (!left.is_empty()).then_some(left)
}

/// Names that the expressions of `call` stand for.
fn names_of(call: &Value) -> Option<HashMap<String, String>> {
    let names = call["ExpressionAttributeNames"].as_object()?;
    Some(names.iter().filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned()))).collect())
}

fn map(value: &Value) -> Option<HashMap<String, AttributeValue>> {
    Some(value.as_object()?.iter().filter_map(|(name, value)| Some((name.clone(), attribute(value)?))).collect())
}

/// DynamoDB's JSON as the SDK has it.
fn attribute(value: &Value) -> Option<AttributeValue> {
    let (kind, inner) = value.as_object()?.iter().next()?;
    Some(match kind.as_str() {
        "S" => AttributeValue::S(inner.as_str()?.to_owned()),
        "N" => AttributeValue::N(inner.as_str()?.to_owned()),
        "B" => AttributeValue::B(Blob::new(STANDARD.decode(inner.as_str()?).ok()?)),
        "BOOL" => AttributeValue::Bool(inner.as_bool()?),
        "NULL" => AttributeValue::Null(true),
        "L" => AttributeValue::L(inner.as_array()?.iter().filter_map(attribute).collect()),
        "M" => AttributeValue::M(map(inner)?),
        "SS" => AttributeValue::Ss(inner.as_array()?.iter().filter_map(|it| it.as_str().map(str::to_owned)).collect()),
        _ => return None,
    })
}
