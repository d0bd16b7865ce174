//! Refusals the engine does not make by itself, worded as DynamoDB words them.

use serde_json::{Value, json};

use crate::services::request::Response;

const NAMESPACE: &str = "com.amazonaws.dynamodb.v20120810#";

/// A plain error.
pub(super) fn error(status: u16, kind: &str, message: &str) -> Response {
    let body = json!({"__type": format!("{NAMESPACE}{kind}"), "message": message});
    Response::json(status, body.to_string())
}

/// Too many units for a partition or table.
pub(super) fn throttled() -> Response {
    let message = "The level of configured provisioned throughput for the table was exceeded. \
                   Consider increasing your provisioning level with the UpdateTable API.";
    error(400, "ProvisionedThroughputExceededException", message)
}

/// A transaction that did not happen, with one reason an item; `None` is an item nothing was wrong with.
pub(super) fn canceled(code: &str, message: &str, hit: &[bool]) -> Response {
    let reason = |hit: &bool| if *hit { json!({"Code": code, "Message": message}) } else { json!({"Code": "None"}) };
    let reasons: Vec<Value> = hit.iter().map(reason).collect();
    let codes: Vec<_> = hit.iter().map(|hit| if *hit { code } else { "None" }).collect();
    let text =
        format!("Transaction cancelled, please refer cancellation reasons for specific reasons [{}]", codes.join(", "));
    let body = json!({
        "__type": format!("{NAMESPACE}TransactionCanceledException"),
        "Message": text,
        "CancellationReasons": reasons,
    });
    Response::json(400, body.to_string())
}

/// Another transaction holds the items marked in `hit`.
pub(super) fn transaction_conflict(hit: &[bool]) -> Response {
    canceled("TransactionConflict", "Transaction is ongoing for the item", hit)
}

/// The items marked in `hit` are beyond what their partition takes.
pub(super) fn transaction_throttled(hit: &[bool]) -> Response {
    let message = "Throughput exceeds the current capacity of your table or index. DynamoDB is automatically scaling \
                   your table or index so please try again shortly.";
    canceled("ThrottlingError", message, hit)
}

/// A write meets an item a transaction holds.
pub(super) fn item_conflict() -> Response {
    error(400, "TransactionConflictException", "Transaction is ongoing for the item")
}

/// The same token again while its transaction is still being applied.
pub(super) fn in_progress() -> Response {
    error(400, "TransactionInProgressException", "The transaction with the given request token is already in progress.")
}
