//! Faults at the connector: what a function sees of them, and what happened behind them.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use crate::support::{DEAD, Stack, TOPIC, WORK, s};
use aws_sdk_dynamodb::error::{ProvideErrorMetadata as _, SdkError};
use aws_sdk_dynamodb::types::{KeysAndAttributes, Put, TransactGetItem, TransactWriteItem, Update};
use satchel_local::services::{FaultKind, FaultRule, Service};

fn rule(service: Service, kind: FaultKind) -> FaultRule {
    FaultRule::always(service, kind)
}

fn transact(pk: &str, count: usize, v: &str) -> Vec<TransactWriteItem> {
    let put = |number: usize| {
        let put = Put::builder().table_name("things").item("pk", s(pk)).item("sk", s(&number.to_string()));
        TransactWriteItem::builder().put(put.item("v", s(v)).build().unwrap()).build()
    };
    (0..count).map(put).collect()
}

#[tokio::test]
async fn throttling_is_each_services_own_and_leaves_no_trace() {
    let stack = Stack::new();
    for service in [Service::Dynamodb, Service::Sqs, Service::Sns, Service::S3, Service::Secretsmanager] {
        stack.services.faults().add(rule(service, FaultKind::Throttle)).unwrap();
    }
    let put = stack.dynamodb().put_item().table_name("things").item("pk", s("a")).item("sk", s("1"));
    let error = put.send().await.unwrap_err().into_service_error();
    assert!(error.is_provisioned_throughput_exceeded_exception());
    let error = stack.sqs().send_message().queue_url(WORK).message_body("b").send().await.unwrap_err();
    assert!(error.into_service_error().is_request_throttled());
    let error = stack.sns().publish().topic_arn(TOPIC).message("m").send().await.unwrap_err();
    assert_eq!(error.code(), Some("Throttling"));
    let error = stack.s3().head_bucket().bucket("exports").send().await.unwrap_err();
    assert_eq!(error.raw_response().unwrap().status().as_u16(), 503);
    let error = stack.secrets().get_secret_value().secret_id("key").send().await.unwrap_err();
    assert_eq!(error.code(), Some("ThrottlingException"));
    stack.services.faults().clear();
    assert_eq!(stack.get("a", "1").await, None);
    assert!(stack.services.sqs().peek("work").unwrap().is_empty());
    assert_eq!(stack.services.counters().of(Service::Dynamodb, "PutItem").faults, 1);
}

#[tokio::test]
async fn a_lost_answer_was_executed_in_some_cases_and_not_in_others() {
    for kind in [FaultKind::Timeout, FaultKind::Error] {
        let stack = Stack::new();
        let seeded = FaultRule { operation: Some("PutItem".into()), seed: 3, ..rule(Service::Dynamodb, kind) };
        stack.services.faults().add(seeded).unwrap();
        let mut done = 0;
        for number in 0..40 {
            let sk = number.to_string();
            let put = stack.dynamodb().put_item().table_name("things").item("pk", s("a")).item("sk", s(&sk));
            let error = put.item("v", s("x")).send().await.unwrap_err();
            match kind {
                FaultKind::Timeout => {
                    let SdkError::DispatchFailure(failure) = &error else { panic!("{error:?}") };
                    assert!(failure.is_timeout());
                }
                _ => assert!(error.into_service_error().is_internal_server_error()),
            }
            done += usize::from(stack.get("a", &sk).await.is_some());
        }
        assert!((10..30).contains(&done), "{done} of 40 were executed");
    }
}

#[tokio::test]
async fn a_throttled_batch_is_done_in_part_or_not_at_all() {
    let stack = Stack::new();
    let mut keys = KeysAndAttributes::builder();
    for number in 0..10 {
        stack.put("a", &number.to_string(), "x").await;
        keys = keys.keys([("pk".to_owned(), s("a")), ("sk".to_owned(), s(&number.to_string()))].into());
    }
    let keys = keys.build().unwrap();
    stack.services.faults().add(rule(Service::Dynamodb, FaultKind::Throttle)).unwrap();
    let (mut partly, mut refused) = (0, 0);
    for _ in 0..20 {
        match stack.dynamodb().batch_get_item().request_items("things", keys.clone()).send().await {
            Ok(got) => {
                assert_eq!(got.responses.unwrap()["things"].len(), 5);
                assert_eq!(got.unprocessed_keys.unwrap()["things"].keys.len(), 5);
                partly += 1;
            }
            Err(error) => {
                assert!(error.into_service_error().is_provisioned_throughput_exceeded_exception());
                refused += 1;
            }
        }
    }
    assert!(partly > 3 && refused > 3, "{partly} in part, {refused} not at all");
}

#[tokio::test]
async fn a_call_that_hangs_was_not_made_and_can_be_dropped() {
    let stack = Stack::new();
    let second = FaultRule {
        operation: Some("PutItem".into()),
        skip: 1,
        count: Some(1),
        ..rule(Service::Dynamodb, FaultKind::Hang)
    };
    stack.services.faults().add(second).unwrap();
    let handler = async {
        stack.put("a", "1", "x").await;
        stack.put("a", "2", "x").await;
    };
    tokio::time::timeout(Duration::from_millis(20), handler).await.unwrap_err();
    assert_eq!(stack.get("a", "1").await.as_deref(), Some("x"));
    assert_eq!(stack.get("a", "2").await, None);
    stack.put("a", "2", "x").await;
}

#[tokio::test]
async fn a_receiver_that_is_gone_is_reported() {
    let stack = Stack::new();
    stack.services.faults().add(rule(Service::Sns, FaultKind::Gone)).unwrap();
    let error = stack.sns().publish().target_arn("arn:aws:sns:us-east-1:0:endpoint/x").message("m").send().await;
    assert!(error.unwrap_err().into_service_error().is_endpoint_disabled_exception());
}

#[tokio::test]
async fn a_torn_transaction_shows_item_by_item_and_is_whole_when_answered() {
    let stack = Stack::new();
    let client = stack.dynamodb();
    client.transact_write_items().set_transact_items(Some(transact("a", 20, "old"))).send().await.unwrap();
    stack.services.faults().add(FaultRule { seed: 19, ..rule(Service::Dynamodb, FaultKind::Torn) }).unwrap();
    let query = || {
        let query = client.query().table_name("things").key_condition_expression("pk = :pk").consistent_read(true);
        query.expression_attribute_values(":pk", s("a")).send()
    };
    let writing = tokio::spawn({
        let client = client.clone();
        async move { client.transact_write_items().set_transact_items(Some(transact("a", 20, "new"))).send().await }
    });
    let mut seen = BTreeSet::new();
    let (mut conflicts, mut cancelled) = (0, 0);
    while !writing.is_finished() {
        let page = query().await.unwrap();
        seen.insert(page.items().iter().filter(|item| item["v"] == s("new")).count());
        let get = aws_sdk_dynamodb::types::Get::builder().table_name("things").key("pk", s("a")).key("sk", s("1"));
        let get = TransactGetItem::builder().get(get.build().unwrap()).build();
        if let Err(error) = client.transact_get_items().transact_items(get).send().await {
            let error = error.into_service_error();
            let aws_sdk_dynamodb::operation::transact_get_items::TransactGetItemsError::TransactionCanceledException(
                error,
            ) = error
            else {
                panic!("{error:?}");
            };
            assert_eq!(error.cancellation_reasons()[0].code(), Some("TransactionConflict"));
            cancelled += 1;
        }
        let update = client.update_item().table_name("things").key("pk", s("a")).key("sk", s("1"));
        let update = update.update_expression("SET w = :w").expression_attribute_values(":w", s("w"));
        if let Err(error) = update.condition_expression("attribute_exists(pk)").send().await {
            assert!(error.into_service_error().is_transaction_conflict_exception());
            conflicts += 1;
        }
        tokio::time::sleep(Duration::from_micros(200)).await;
    }
    writing.await.unwrap().unwrap();
    assert!(seen.iter().any(|new| (1..20).contains(new)), "only saw {seen:?} new");
    assert!(conflicts > 0 && cancelled > 0);
    let page = query().await.unwrap();
    assert!(page.items().iter().all(|item| item["v"] == s("new")));
    stack.services.faults().clear();
    assert!(query().await.unwrap().items().iter().all(|item| item["v"] == s("new")));
}

#[tokio::test]
async fn a_torn_transaction_is_applied_though_its_caller_gave_up_and_its_records_come_after_its_items() {
    let stack = Stack::new();
    let client = stack.dynamodb();
    let dynamo = stack.services.dynamodb();
    stack.services.faults().add(FaultRule { seed: 19, ..rule(Service::Dynamodb, FaultKind::Torn) }).unwrap();
    let write =
        client.transact_write_items().client_request_token("t").set_transact_items(Some(transact("a", 10, "new")));
    let mut sent = Box::pin(write.clone().send());
    while stack.services.counters().of(Service::Dynamodb, "TransactWriteItems").calls == 0 {
        tokio::time::timeout(Duration::ZERO, &mut sent).await.ok();
    }
    drop(sent);
    let again = write.clone().send().await.unwrap_err().into_service_error();
    assert!(again.is_transaction_in_progress_exception(), "{again:?}");
    let start = satchel_local::services::Position::TrimHorizon;
    assert!(dynamo.poll("things", &start, 100).unwrap().records.is_empty());
    let deadline = Instant::now() + Duration::from_secs(2);
    while dynamo.poll("things", &start, 100).unwrap().records.is_empty() {
        assert!(Instant::now() < deadline);
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(dynamo.poll("things", &start, 100).unwrap().records.len(), 10);
    assert_eq!(stack.get("a", "9").await.as_deref(), Some("new"));
    write.send().await.unwrap();
    assert_eq!(dynamo.poll("things", &start, 100).unwrap().records.len(), 10, "the same token happens once");
}

#[tokio::test]
async fn one_partition_key_takes_no_more_than_its_units_and_another_is_free() {
    let stack = Stack::new();
    let limited = FaultRule { units: Some(10), ..rule(Service::Dynamodb, FaultKind::Capacity) };
    stack.services.faults().add(limited).unwrap();
    let client = stack.dynamodb();
    // 8 items at 2 units each: let in once, and more than half a second in debt after.
    client.transact_write_items().set_transact_items(Some(transact("a", 8, "x"))).send().await.unwrap();
    let put = client.put_item().table_name("things").item("pk", s("a")).item("sk", s("1"));
    let error = put.send().await.unwrap_err().into_service_error();
    assert!(error.is_provisioned_throughput_exceeded_exception());
    let mut mixed = transact("a", 1, "x");
    mixed.extend(transact("b", 1, "x"));
    let error = client.transact_write_items().set_transact_items(Some(mixed)).send().await.unwrap_err();
    let error = error.into_service_error();
    let aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError::TransactionCanceledException(error) =
        error
    else {
        panic!("{error:?}");
    };
    let codes: Vec<_> = error.cancellation_reasons().iter().map(|reason| reason.code().unwrap()).collect();
    assert_eq!(codes, ["ThrottlingError", "None"]);
    stack.put("b", "1", "x").await;
}

#[tokio::test]
async fn a_queue_that_fails_after_sending_sends_twice_when_the_caller_tries_again() {
    let stack = Stack::new();
    let once = FaultRule { seed: 1, count: Some(1), ..rule(Service::Sqs, FaultKind::Timeout) };
    let mut sent = BTreeSet::new();
    for seed in 0..8 {
        stack.services.reset().unwrap();
        stack.services.faults().add(FaultRule { seed, ..once.clone() }).unwrap();
        for _ in 0..2 {
            stack.sqs().send_message().queue_url(DEAD).message_body("m").send().await.ok();
        }
        sent.insert(stack.services.sqs().peek("dead").unwrap().len());
    }
    assert_eq!(sent, BTreeSet::from([1, 2]));
}

#[tokio::test]
async fn torn_reads_agree_with_plain_ones_when_nothing_is_in_flight() {
    let stack = Stack::new();
    stack.put("a", "1", "x").await;
    stack.services.faults().add(FaultRule { probability: 0.0, ..rule(Service::Dynamodb, FaultKind::Torn) }).unwrap();
    stack.put("a", "2", "y").await;
    let update = Update::builder().table_name("things").key("pk", s("a")).key("sk", s("1"));
    let update = update.update_expression("SET v = :v").expression_attribute_values(":v", s("z")).build().unwrap();
    let update = TransactWriteItem::builder().update(update).build();
    stack.dynamodb().transact_write_items().transact_items(update).send().await.unwrap();
    stack.dynamodb().delete_item().table_name("things").key("pk", s("a")).key("sk", s("2")).send().await.unwrap();
    assert_eq!(stack.get("a", "1").await.as_deref(), Some("z"));
    assert_eq!(stack.get("a", "2").await, None);
    let count = stack.dynamodb().scan().table_name("things").send().await.unwrap().count;
    assert_eq!(count, 1);
}
