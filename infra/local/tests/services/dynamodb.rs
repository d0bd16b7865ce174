//! DynamoDB through the connector, as the SDK sees it.

use crate::support::{START_MS, Stack, s};
use aws_sdk_dynamodb::types::{
    AttributeValue, Delete, KeysAndAttributes, Put, PutRequest, ReturnConsumedCapacity,
    ReturnValuesOnConditionCheckFailure, TransactWriteItem, WriteRequest,
};
use satchel_local::services::{Position, Service};

fn put(sk: &str, v: &str) -> Put {
    Put::builder().table_name("things").item("pk", s("a")).item("sk", s(sk)).item("v", s(v)).build().unwrap()
}

fn new(put: Put) -> Put {
    Put::builder()
        .table_name(put.table_name)
        .set_item(Some(put.item))
        .condition_expression("attribute_not_exists(pk)")
        .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
        .build()
        .unwrap()
}

fn transact(put: Put) -> TransactWriteItem {
    TransactWriteItem::builder().put(put).build()
}

#[tokio::test]
async fn an_item_written_is_read_back() {
    let stack = Stack::new();
    stack.put("a", "1", "x").await;
    assert_eq!(stack.get("a", "1").await.as_deref(), Some("x"));
    assert_eq!(stack.get("a", "2").await, None);
}

#[tokio::test]
async fn consumed_capacity_is_reported_and_counted_only_when_asked() {
    let stack = Stack::new();
    let put = stack.dynamodb().put_item().table_name("things").item("pk", s("a")).item("sk", s("1"));
    let put = put.item("v", s(&"x".repeat(1500))).return_consumed_capacity(ReturnConsumedCapacity::Total);
    let units = put.send().await.unwrap().consumed_capacity.unwrap().capacity_units;
    assert_eq!(units, Some(2.0));
    let get = stack.dynamodb().get_item().table_name("things").key("pk", s("a")).key("sk", s("1"));
    assert!(get.clone().send().await.unwrap().consumed_capacity.is_none());
    assert_eq!(stack.services.counters().of(Service::Dynamodb, "GetItem").read_units, 0.0);
    stack.services.counters().watch_capacity(true);
    assert!(get.consistent_read(true).send().await.unwrap().consumed_capacity.is_none());
    let count = stack.services.counters().of(Service::Dynamodb, "GetItem");
    assert_eq!((count.calls, count.read_units), (2, 1.0));
    assert_eq!(stack.services.counters().of(Service::Dynamodb, "PutItem").write_units, 2.0);
}

#[tokio::test]
async fn a_refused_condition_gives_the_item_that_stood_in_the_way() {
    let stack = Stack::new();
    stack.put("a", "1", "old").await;
    let put = stack.dynamodb().put_item().table_name("things").item("pk", s("a")).item("sk", s("1"));
    let put = put.condition_expression("attribute_not_exists(pk)");
    let put = put.return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
    let error = put.send().await.unwrap_err().into_service_error();
    let aws_sdk_dynamodb::operation::put_item::PutItemError::ConditionalCheckFailedException(failed) = error else {
        panic!("{error:?}");
    };
    assert_eq!(failed.item.unwrap()["v"], s("old"));
}

#[tokio::test]
async fn a_cancelled_transaction_says_why_item_by_item() {
    let stack = Stack::new();
    stack.put("a", "2", "old").await;
    let write = stack.dynamodb().transact_write_items();
    let write = write.transact_items(transact(put("1", "x"))).transact_items(transact(new(put("2", "y"))));
    let error = write.send().await.unwrap_err().into_service_error();
    assert!(error.is_transaction_canceled_exception(), "{error:?}");
    let aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError::TransactionCanceledException(
        cancelled,
    ) = error
    else {
        panic!("not cancelled");
    };
    let reasons = cancelled.cancellation_reasons.unwrap();
    assert_eq!(reasons[0].code.as_deref(), Some("None"));
    assert_eq!(reasons[1].code.as_deref(), Some("ConditionalCheckFailed"));
    assert_eq!(reasons[1].item.as_ref().unwrap()["v"], s("old"));
    assert_eq!(stack.get("a", "1").await, None);
}

#[tokio::test]
async fn a_transaction_with_the_same_token_happens_once() {
    let stack = Stack::new();
    let client = stack.dynamodb();
    let add = || {
        let update = aws_sdk_dynamodb::types::Update::builder()
            .table_name("things")
            .key("pk", s("a"))
            .key("sk", s("1"))
            .update_expression("ADD n :one")
            .expression_attribute_values(":one", AttributeValue::N("1".into()))
            .build()
            .unwrap();
        TransactWriteItem::builder().update(update).build()
    };
    for _ in 0..2 {
        client.transact_write_items().client_request_token("t1").transact_items(add()).send().await.unwrap();
    }
    let get = client.get_item().table_name("things").key("pk", s("a")).key("sk", s("1"));
    assert_eq!(get.send().await.unwrap().item.unwrap()["n"], AttributeValue::N("1".into()));
    let other = TransactWriteItem::builder().put(put("2", "x")).build();
    let again = client.transact_write_items().client_request_token("t1").transact_items(other).send().await;
    assert!(again.unwrap_err().into_service_error().is_idempotent_parameter_mismatch_exception());
}

#[tokio::test]
async fn a_query_pages_by_limit_and_by_size_in_the_order_of_the_index() {
    let stack = Stack::new();
    let client = stack.dynamodb();
    for number in 0..5 {
        let put = client.put_item().table_name("things").item("pk", s("a")).item("sk", s(&format!("k{number}")));
        let put = put.item("seq", AttributeValue::N((10 - number).to_string()));
        put.item("v", s(&"x".repeat(300_000))).send().await.unwrap();
    }
    let query = || {
        let query = client.query().table_name("things").index_name("by-seq").consistent_read(true);
        query.key_condition_expression("pk = :pk").expression_attribute_values(":pk", s("a"))
    };
    let page = query().limit(2).send().await.unwrap();
    let order: Vec<_> = page.items().iter().map(|item| item["sk"].as_s().unwrap().clone()).collect();
    assert_eq!(order, ["k4", "k3"]);
    let rest = query().set_exclusive_start_key(page.last_evaluated_key).send().await.unwrap();
    assert_eq!(rest.count, 3);
    let large = query().send().await.unwrap();
    assert!(large.count < 5 && large.last_evaluated_key.is_some(), "a page ends at 1 MB, not after {}", large.count);
}

#[tokio::test]
async fn a_batch_beyond_its_size_leaves_unprocessed_keys() {
    let stack = Stack::new();
    let client = stack.dynamodb();
    let mut keys = KeysAndAttributes::builder();
    for number in 0..60 {
        stack.put("a", &format!("k{number}"), &"x".repeat(390_000)).await;
        keys = keys.keys([("pk".to_owned(), s("a")), ("sk".to_owned(), s(&format!("k{number}")))].into());
    }
    let got = client.batch_get_item().request_items("things", keys.build().unwrap()).send().await.unwrap();
    let read = got.responses.unwrap()["things"].len();
    let left = got.unprocessed_keys.unwrap()["things"].keys.len();
    assert!(left > 0 && read + left == 60, "{read} read, {left} left");
}

#[tokio::test]
async fn the_stream_tells_of_each_change_as_lambda_would_receive_it() {
    let stack = Stack::new();
    let dynamo = stack.services.dynamodb();
    let start = dynamo.latest("things").unwrap();
    assert_eq!(start, Position::TrimHorizon);
    let mut changes = dynamo.subscribe();
    stack.put("a", "1", "x").await;
    assert!(changes.has_changed().unwrap());
    changes.mark_unchanged();
    stack.put("a", "1", "y").await;
    let delete = Delete::builder().table_name("things").key("pk", s("a")).key("sk", s("1")).build().unwrap();
    let delete = TransactWriteItem::builder().delete(delete).build();
    stack.dynamodb().transact_write_items().transact_items(delete).send().await.unwrap();

    let first = dynamo.poll("things", &start, 2).unwrap();
    let names: Vec<_> = first.records.iter().map(|record| record.event["eventName"].as_str().unwrap()).collect();
    assert_eq!(names, ["INSERT", "MODIFY"]);
    let record = &first.records[1];
    assert_eq!(record.created_ms, START_MS);
    assert_eq!(record.event["dynamodb"]["OldImage"]["v"]["S"], "x");
    assert_eq!(record.event["dynamodb"]["NewImage"]["v"]["S"], "y");
    assert_eq!(record.event["dynamodb"]["Keys"]["pk"]["S"], "a");
    assert_eq!(record.event["awsRegion"], "us-east-1");
    assert!(record.event["eventSourceARN"].as_str().unwrap().starts_with("arn:aws:dynamodb:us-east-1:"));
    let second = dynamo.poll("things", &first.next, 100).unwrap();
    assert_eq!(second.records.len(), 1);
    assert_eq!(second.records[0].event["eventName"], "REMOVE");
    assert_eq!(dynamo.poll("things", &second.next, 100).unwrap().records.len(), 0);
    assert_eq!(dynamo.latest("things").unwrap(), second.next);
}

#[tokio::test]
async fn after_a_reset_a_reader_of_the_stream_goes_on_with_what_is_new() {
    let stack = Stack::new();
    stack.advance_s(3600);
    stack.put("a", "1", "x").await;
    let position = stack.services.dynamodb().latest("things").unwrap();
    stack.advance_s(-3600);
    stack.services.reset().unwrap();
    assert_eq!(stack.get("a", "1").await, None);
    stack.put("a", "2", "y").await;
    let batch = stack.services.dynamodb().poll("things", &position, 10).unwrap();
    assert_eq!(batch.records.len(), 1);
}

async fn sweep_follows_the_injected_clock(stack: Stack) {
    let ttl = AttributeValue::N((START_MS / 1000 + 3600).to_string());
    let put = stack.dynamodb().put_item().table_name("things").item("pk", s("a")).item("sk", s("1"));
    put.item("v", s("x")).item("ttl", ttl).send().await.unwrap();
    assert_eq!(stack.services.sweep_ttl().unwrap(), 0);
    stack.advance_s(3601);
    assert_eq!(stack.get("a", "1").await.as_deref(), Some("x"), "expiry is judged in code until the sweep");
    assert_eq!(stack.services.sweep_ttl().unwrap(), 1);
    assert_eq!(stack.get("a", "1").await, None);
    let records = stack.services.dynamodb().poll("things", &Position::TrimHorizon, 10).unwrap().records;
    assert_eq!(records[1].event["userIdentity"]["principalId"], "dynamodb.amazonaws.com");
}

#[tokio::test]
async fn rows_end_by_the_injected_clock_in_memory() {
    sweep_follows_the_injected_clock(Stack::new()).await;
}

#[tokio::test]
async fn rows_end_by_the_injected_clock_in_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    sweep_follows_the_injected_clock(Stack::on(folder.path())).await;
}

#[tokio::test]
async fn a_folder_keeps_items_and_the_stream_over_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let stack = Stack::on(folder.path());
    stack.put("a", "1", "x").await;
    let position = stack.services.dynamodb().latest("things").unwrap();
    drop(stack);
    let stack = Stack::on(folder.path());
    assert_eq!(stack.get("a", "1").await.as_deref(), Some("x"));
    stack.put("a", "2", "y").await;
    let batch = stack.services.dynamodb().poll("things", &position, 10).unwrap();
    assert_eq!(batch.records.len(), 1);
    assert_eq!(batch.records[0].event["dynamodb"]["Keys"]["sk"]["S"], "2");
}

#[tokio::test]
async fn an_invalid_request_is_refused_in_dynamodbs_words() {
    let stack = Stack::new();
    let error = stack.dynamodb().get_item().table_name("nothing").key("pk", s("a")).send().await.unwrap_err();
    assert!(error.into_service_error().is_resource_not_found_exception());
    let many = vec![
        WriteRequest::builder()
            .put_request(PutRequest::builder().item("pk", s("a")).item("sk", s("1")).build().unwrap())
            .build();
        26
    ];
    let error = stack.dynamodb().batch_write_item().request_items("things", many).send().await.unwrap_err();
    assert_eq!(error.into_service_error().meta().code(), Some("ValidationException"));
}
