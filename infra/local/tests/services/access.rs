//! What the role of `clerk` allows, and how each service words what it does not.

use std::time::{Duration, UNIX_EPOCH};

use crate::support::{DEAD, NOWHERE, Stack, TOPIC, WORK, client, s};
use aws_sdk_dynamodb::error::ProvideErrorMetadata;
use aws_sdk_dynamodb::types::{ConditionCheck, Put, PutRequest, TransactWriteItem, WriteRequest};
use aws_sdk_s3::presigning::PresigningConfig;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_sqs::types::SendMessageBatchRequestEntry;
use axum::body::Body;
use tower::ServiceExt as _;

const DENIED: Option<&str> = Some("AccessDeniedException");

/// The code of an answer, none where it was well.
fn code<T, E: ProvideErrorMetadata>(answer: Result<T, E>) -> Option<String> {
    answer.err().map(|error| error.code().unwrap_or("none").to_owned())
}

#[tokio::test]
async fn an_item_is_read_and_written_where_its_partition_key_is_allowed() {
    let stack = Stack::new();
    let client = client!(aws_sdk_dynamodb as "clerk", stack, NOWHERE);
    for (key, wanted) in [("USR#1", None), ("DEV#1", DENIED)] {
        let put = client.put_item().table_name("things").item("pk", s(key)).item("sk", s("a")).send().await;
        assert_eq!(code(put).as_deref(), wanted, "{key}");
        let get = client.get_item().table_name("things").key("pk", s(key)).key("sk", s("a")).send().await;
        assert_eq!(code(get).as_deref(), wanted, "{key}");
        let query = client.query().table_name("things").key_condition_expression("#p = :pk AND begins_with(sk, :a)");
        let query = query.expression_attribute_names("#p", "pk").expression_attribute_values(":pk", s(key));
        let query = query.expression_attribute_values(":a", s("a"));
        assert_eq!(code(query.clone().send().await).as_deref(), wanted, "{key}");
        assert_eq!(code(query.index_name("by-seq").send().await).as_deref(), DENIED, "no statement names an index");
    }
    let delete = client.delete_item().table_name("things").key("pk", s("USR#1")).key("sk", s("a")).send().await;
    assert_eq!(code(delete).as_deref(), DENIED, "no statement has the action");
    let elsewhere = client.get_item().table_name("others").key("pk", s("USR#1")).key("sk", s("a")).send().await;
    assert_eq!(code(elsewhere).as_deref(), DENIED, "a table that is not there is not told of");
    assert_eq!(code(client.scan().table_name("things").send().await), None, "`ForAllValues` holds of no value");
    let denials = stack.services.denials();
    assert!(denials.iter().all(|denial| denial.function == "clerk"), "{denials:?}");
    assert_eq!(denials.last().unwrap().resource, "arn:aws:dynamodb:us-east-1:000000000000:table/others");
}

#[tokio::test]
async fn a_batch_and_a_transaction_need_all_their_parts_allowed() {
    let stack = Stack::new();
    let client = client!(aws_sdk_dynamodb as "clerk", stack, NOWHERE);
    for (other, wanted) in [("USR#2", None), ("DEV#1", DENIED)] {
        let write = |key: &str| {
            let put = PutRequest::builder().item("pk", s(key)).item("sk", s("b")).build().unwrap();
            WriteRequest::builder().put_request(put).build()
        };
        let batch = client.batch_write_item().request_items("things", vec![write("USR#1"), write(other)]).send().await;
        assert_eq!(code(batch).as_deref(), wanted, "{other}");
        let put = |key: &str| {
            let put = Put::builder().table_name("things").item("pk", s(key)).item("sk", s("t")).build().unwrap();
            TransactWriteItem::builder().put(put).build()
        };
        let check = ConditionCheck::builder().table_name("things").key("pk", s("DEV#9")).key("sk", s("t"));
        let check = check.condition_expression("attribute_not_exists(pk)").build().unwrap();
        let check = TransactWriteItem::builder().condition_check(check).build();
        let parts = [put("USR#1"), check, put(other)];
        let transaction = client.transact_write_items().set_transact_items(Some(parts.into())).send().await;
        assert_eq!(code(transaction).as_deref(), wanted, "{other}");
    }
    assert_eq!((stack.get("DEV#1", "b").await, stack.get("DEV#1", "t").await), (None, None));
}

#[tokio::test]
async fn queues_topics_and_secrets_refuse_in_their_own_words() {
    let stack = Stack::new();
    let queues = client!(aws_sdk_sqs as "clerk", stack, NOWHERE);
    for (url, wanted) in [(WORK, None), (DEAD, DENIED)] {
        let one = queues.send_message().queue_url(url).message_body("{}").send().await;
        assert_eq!(code(one).as_deref(), wanted, "{url}");
        let entry = SendMessageBatchRequestEntry::builder().id("1").message_body("{}").build().unwrap();
        let batch = queues.send_message_batch().queue_url(url).entries(entry).send().await;
        assert_eq!(code(batch).as_deref(), wanted, "{url}");
    }
    assert_eq!(code(queues.receive_message().queue_url(WORK).send().await).as_deref(), DENIED);
    let topics = client!(aws_sdk_sns as "clerk", stack, NOWHERE);
    let publish = topics.publish().topic_arn(TOPIC).message("{}").send().await.unwrap_err();
    assert_eq!(publish.raw_response().unwrap().status().as_u16(), 403);
    assert!(publish.into_service_error().is_authorization_error_exception());
    stack.services.secrets().put("key", "value");
    let secrets = client!(aws_sdk_secretsmanager as "clerk", stack, NOWHERE);
    assert_eq!(code(secrets.get_secret_value().secret_id("key").send().await).as_deref(), DENIED);
    assert_eq!(stack.services.outbox().topic(TOPIC).len(), 0);
    let denied = stack.services.denials();
    assert_eq!(denied.last().unwrap().resource, "arn:aws:secretsmanager:us-east-1:000000000000:secret:key");
}

#[tokio::test]
async fn objects_are_allowed_by_their_prefix_and_a_presigned_url_by_its_signer() {
    let stack = Stack::new();
    let client = client!(aws_sdk_s3 as "clerk", stack, "http://127.0.0.1:3002", force_path_style(true));
    for (key, wanted) in [("exports/public/a b", None), ("exports/a", None), ("other/a", Some("AccessDenied"))] {
        let put = client.put_object().bucket("exports").key(key).body(ByteStream::from_static(b"x")).send().await;
        assert_eq!(code(put).as_deref(), wanted, "{key}");
        let upload = client.create_multipart_upload().bucket("exports").key(key).send().await;
        let id = upload.as_ref().ok().and_then(|upload| upload.upload_id()).map(str::to_owned);
        assert_eq!(code(upload).as_deref(), wanted, "{key}");
        if let Some(id) = id {
            let abort = client.abort_multipart_upload().bucket("exports").key(key).upload_id(id).send().await;
            assert_eq!(code(abort).as_deref(), Some("AccessDenied"), "{key}");
        }
    }
    let head = client.head_object().bucket("exports").key("exports/a").send().await.unwrap_err();
    assert_eq!(head.raw_response().unwrap().status().as_u16(), 403);
    for (key, status) in [("exports/public/a b", 200), ("exports/a", 403)] {
        let start = UNIX_EPOCH + Duration::from_millis(stack.now_ms().try_into().unwrap());
        let config = PresigningConfig::builder().start_time(start).expires_in(Duration::from_secs(60)).build().unwrap();
        let link = client.get_object().bucket("exports").key(key).presigned(config).await.unwrap();
        let request = http::Request::get(link.uri()).header("host", "127.0.0.1:3002").body(Body::empty()).unwrap();
        let answer = stack.services.router().oneshot(request).await.unwrap();
        assert_eq!(answer.status().as_u16(), status, "{key}");
        let body = satchel_local::to_bytes(answer.into_body(), usize::MAX).await.unwrap();
        let text = std::str::from_utf8(&body).unwrap();
        assert!(if status == 200 { text == "x" } else { text.contains("<Code>AccessDenied</Code>") }, "{text}");
    }
}
