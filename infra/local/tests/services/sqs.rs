//! SQS through the connector, as the SDK sees it, on the injected clock.

use std::time::Duration;

use crate::support::{DEAD, Stack, WORK};
use aws_sdk_sqs::types::{
    ChangeMessageVisibilityBatchRequestEntry, DeleteMessageBatchRequestEntry, Message, MessageAttributeValue,
    MessageSystemAttributeName, QueueAttributeName, SendMessageBatchRequestEntry,
};
use satchel_local::services::Counts;

async fn send(stack: &Stack, body: &str) {
    stack.sqs().send_message().queue_url(WORK).message_body(body).send().await.unwrap();
}

async fn receive(stack: &Stack) -> Vec<Message> {
    let receive = stack.sqs().receive_message().queue_url(WORK).max_number_of_messages(10);
    let receive = receive.message_system_attribute_names(MessageSystemAttributeName::All);
    receive.message_attribute_names("All").send().await.unwrap().messages.unwrap_or_default()
}

fn receives(message: &Message) -> &str {
    &message.attributes.as_ref().unwrap()[&MessageSystemAttributeName::ApproximateReceiveCount]
}

#[tokio::test]
async fn a_received_message_is_hidden_until_its_time_is_up() {
    let stack = Stack::new();
    send(&stack, "one").await;
    assert_eq!(receive(&stack).await.len(), 1);
    assert!(receive(&stack).await.is_empty());
    stack.advance_s(59);
    assert!(receive(&stack).await.is_empty());
    stack.advance_s(1);
    let again = receive(&stack).await;
    assert_eq!(receives(&again[0]), "2");
}

#[tokio::test]
async fn a_visibility_of_its_own_and_a_change_of_it_are_kept() {
    let stack = Stack::new();
    send(&stack, "one").await;
    let got = stack.sqs().receive_message().queue_url(WORK).visibility_timeout(600).send().await.unwrap();
    let handle = got.messages()[0].receipt_handle.clone().unwrap();
    stack.advance_s(300);
    assert!(receive(&stack).await.is_empty());
    let change = stack.sqs().change_message_visibility().queue_url(WORK).receipt_handle(&handle);
    change.visibility_timeout(0).send().await.unwrap();
    assert_eq!(receive(&stack).await.len(), 1);
    let change = stack.sqs().change_message_visibility().queue_url(WORK).receipt_handle(&handle);
    let error = change.visibility_timeout(10).send().await.unwrap_err().into_service_error();
    assert!(error.is_message_not_inflight(), "{error:?}");
}

#[tokio::test]
async fn a_message_received_too_often_moves_to_the_dead_letter_queue() {
    let stack = Stack::new();
    send(&stack, "poison").await;
    for _ in 0..3 {
        assert_eq!(receive(&stack).await.len(), 1);
        stack.advance_s(60);
    }
    assert!(receive(&stack).await.is_empty());
    let dead = stack.sqs().receive_message().queue_url(DEAD);
    let dead = dead.message_system_attribute_names(MessageSystemAttributeName::All).send().await.unwrap();
    let dead = &dead.messages()[0];
    assert_eq!((dead.body(), receives(dead)), (Some("poison"), "1"));
    let source = &dead.attributes.as_ref().unwrap()[&MessageSystemAttributeName::DeadLetterQueueSourceArn];
    assert_eq!(source, "arn:aws:sqs:us-east-1:000000000000:work");
    assert_eq!(stack.services.sqs().counts("work").unwrap(), Counts::default());
}

#[tokio::test]
async fn a_delay_of_900_seconds_ends_when_the_clock_is_moved() {
    let stack = Stack::new();
    stack.sqs().send_message().queue_url(WORK).message_body("later").delay_seconds(900).send().await.unwrap();
    assert!(receive(&stack).await.is_empty());
    let counts = stack.services.sqs().counts("work").unwrap();
    assert_eq!((counts.delayed, counts.next_due_ms), (1, Some(stack.now_ms() + 900_000)));
    stack.advance_s(900);
    assert_eq!(receive(&stack).await.len(), 1);
    let late = stack.sqs().send_message().queue_url(WORK).message_body("later").delay_seconds(901).send().await;
    assert_eq!(late.unwrap_err().into_service_error().meta().code(), Some("InvalidParameterValue"));
}

#[tokio::test]
async fn a_long_poll_ends_with_a_message_and_with_a_move_of_the_clock() {
    let stack = Stack::new();
    let poll = || stack.sqs().receive_message().queue_url(WORK).wait_time_seconds(20).send();
    let started = std::time::Instant::now();
    let (got, ()) = tokio::join!(poll(), async {
        tokio::task::yield_now().await;
        send(&stack, "now").await;
    });
    assert_eq!(got.unwrap().messages().len(), 1);
    let (got, ()) = tokio::join!(poll(), async {
        tokio::task::yield_now().await;
        stack.advance_s(60);
    });
    assert_eq!(got.unwrap().messages().len(), 1);
    assert!(started.elapsed() < Duration::from_secs(2));
}

#[tokio::test]
async fn batches_send_hide_and_delete_entry_by_entry() {
    let stack = Stack::new();
    let client = stack.sqs();
    let entry = |id: &str| SendMessageBatchRequestEntry::builder().id(id).message_body(id).build().unwrap();
    let entries = (0..10).map(|number| entry(&number.to_string())).collect::<Vec<_>>();
    let sent = client.send_message_batch().queue_url(WORK).set_entries(Some(entries)).send().await.unwrap();
    assert_eq!((sent.successful().len(), sent.failed().len()), (10, 0));
    let messages = receive(&stack).await;
    assert_eq!(messages.len(), 10);
    let handle = |index: usize| messages[index].receipt_handle.clone().unwrap();
    let change = ChangeMessageVisibilityBatchRequestEntry::builder().id("a").receipt_handle(handle(0));
    let change =
        client.change_message_visibility_batch().queue_url(WORK).entries(change.visibility_timeout(0).build().unwrap());
    assert_eq!(change.send().await.unwrap().successful().len(), 1);
    let delete = |id: &str, handle: String| {
        DeleteMessageBatchRequestEntry::builder().id(id).receipt_handle(handle).build().unwrap()
    };
    let deleted = client.delete_message_batch().queue_url(WORK);
    let deleted = deleted.entries(delete("a", handle(1))).entries(delete("b", "nonsense".to_owned()));
    let deleted = deleted.send().await.unwrap();
    assert_eq!(deleted.successful()[0].id(), "a");
    assert_eq!((deleted.failed()[0].id(), deleted.failed()[0].code()), ("b", "ReceiptHandleIsInvalid"));
    let counts = stack.services.sqs().counts("work").unwrap();
    assert_eq!((counts.visible, counts.in_flight), (1, 8));

    let twice = client.send_message_batch().queue_url(WORK).entries(entry("a")).entries(entry("a")).send().await;
    assert!(twice.unwrap_err().into_service_error().is_batch_entry_ids_not_distinct());
    let many = (0..11).map(|number| entry(&number.to_string())).collect();
    let many = client.send_message_batch().queue_url(WORK).set_entries(Some(many)).send().await;
    assert!(many.unwrap_err().into_service_error().is_too_many_entries_in_batch_request());
}

#[tokio::test]
async fn a_handle_of_an_earlier_receive_deletes_nothing() {
    let stack = Stack::new();
    send(&stack, "one").await;
    let first = receive(&stack).await;
    stack.advance_s(60);
    receive(&stack).await;
    let delete = stack.sqs().delete_message().queue_url(WORK);
    delete.receipt_handle(first[0].receipt_handle().unwrap()).send().await.unwrap();
    assert_eq!(stack.services.sqs().counts("work").unwrap().in_flight, 1);
}

#[tokio::test]
async fn attributes_of_messages_come_back_with_their_checksum() {
    let stack = Stack::new();
    let attribute = MessageAttributeValue::builder().data_type("String").string_value("v").build().unwrap();
    let binary = MessageAttributeValue::builder().data_type("Binary");
    let binary = binary.binary_value(aws_sdk_sqs::primitives::Blob::new([1, 2, 3])).build().unwrap();
    let send = stack.sqs().send_message().queue_url(WORK).message_body("b");
    let sent = send.message_attributes("a", attribute.clone()).message_attributes("b", binary.clone());
    let sent = sent.send().await.unwrap();
    assert_eq!(sent.md5_of_message_body(), Some("92eb5ffee6ae2fec3ad71c777531578f"));
    let got = &receive(&stack).await[0];
    assert_eq!(got.message_attributes.as_ref().unwrap()["a"], attribute);
    assert_eq!(got.message_attributes.as_ref().unwrap()["b"], binary);
    assert_eq!(got.md5_of_message_attributes(), sent.md5_of_message_attributes());
}

#[tokio::test]
async fn an_unknown_queue_is_refused_as_the_sdk_expects() {
    let stack = Stack::new();
    let error = stack.sqs().send_message().queue_url("http://x/1/nothing").message_body("b").send().await.unwrap_err();
    assert!(error.into_service_error().is_queue_does_not_exist());
    let attributes = stack.sqs().get_queue_attributes().queue_url(WORK).attribute_names(QueueAttributeName::All);
    let attributes = attributes.send().await.unwrap().attributes.unwrap();
    assert_eq!(attributes[&QueueAttributeName::VisibilityTimeout], "60");
}

#[tokio::test]
async fn messages_are_forgotten_after_the_retention_period() {
    let stack = Stack::new();
    send(&stack, "old").await;
    stack.advance_s(86_401);
    assert!(receive(&stack).await.is_empty());
    assert_eq!(stack.services.sqs().counts("work").unwrap(), Counts::default());
}

#[tokio::test]
async fn a_folder_keeps_messages_with_their_state_over_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let stack = Stack::on(folder.path());
    send(&stack, "received").await;
    let handle = receive(&stack).await[0].receipt_handle.clone().unwrap();
    send(&stack, "fresh").await;
    drop(stack);
    let stack = Stack::on(folder.path());
    let fresh = receive(&stack).await;
    assert_eq!(fresh[0].body(), Some("fresh"));
    stack.sqs().delete_message().queue_url(WORK).receipt_handle(handle).send().await.unwrap();
    stack.advance_s(60);
    let left = receive(&stack).await;
    assert_eq!((left.len(), left[0].body(), receives(&left[0])), (1, Some("fresh"), "2"));
}

#[tokio::test]
async fn an_event_source_receives_what_lambda_would() {
    let stack = Stack::new();
    send(&stack, "{\"a\":1}").await;
    let sqs = stack.services.sqs();
    let received = sqs.receive(WORK, 10, None).unwrap();
    let event = &received[0].event;
    assert_eq!(event["body"], "{\"a\":1}");
    assert_eq!(event["eventSource"], "aws:sqs");
    assert_eq!(event["eventSourceARN"], "arn:aws:sqs:us-east-1:000000000000:work");
    assert_eq!(event["attributes"]["ApproximateReceiveCount"], "1");
    sqs.change_visibility("work", &received[0].receipt_handle, 0).unwrap();
    let again = sqs.receive("arn:aws:sqs:us-east-1:000000000000:work", 10, None).unwrap();
    assert_eq!(again[0].receive_count, 2);
    sqs.delete("work", &again[0].receipt_handle).unwrap();
    assert!(sqs.peek("work").unwrap().is_empty());
}
