//! S3, SNS and Secrets Manager through the connector; S3 also through presigned URLs.

use std::time::{Duration, UNIX_EPOCH};

use crate::support::{Stack, TOPIC};
use aws_sdk_s3::presigning::PresigningConfig;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use aws_sdk_sns::types::PublishBatchRequestEntry;
use axum::body::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;

#[tokio::test]
async fn an_object_comes_back_with_its_metadata() {
    let stack = Stack::new();
    let client = stack.s3();
    let put = client.put_object().bucket("exports").key("a/b ü.json").body(ByteStream::from_static(b"hello"));
    let put = put.content_type("application/json").metadata("owner", "usr_1").send().await.unwrap();
    assert_eq!(put.e_tag(), Some("\"5d41402abc4b2a76b9719d911017c592\""));
    let got = client.get_object().bucket("exports").key("a/b ü.json").send().await.unwrap();
    assert_eq!(got.content_type(), Some("application/json"));
    assert_eq!(got.metadata().unwrap()["owner"], "usr_1");
    assert_eq!(got.body.collect().await.unwrap().into_bytes().as_ref(), b"hello");
    let head = client.head_object().bucket("exports").key("a/b ü.json").send().await.unwrap();
    assert_eq!((head.content_length(), head.last_modified().unwrap().secs()), (Some(5), stack.now_ms() / 1000));
    let part = client.get_object().bucket("exports").key("a/b ü.json").range("bytes=1-3").send().await.unwrap();
    assert_eq!(part.body.collect().await.unwrap().into_bytes().as_ref(), b"ell");
    client.delete_object().bucket("exports").key("a/b ü.json").send().await.unwrap();
    let gone = client.get_object().bucket("exports").key("a/b ü.json").send().await.unwrap_err();
    assert!(gone.into_service_error().is_no_such_key());
    let gone = client.head_object().bucket("exports").key("a/b ü.json").send().await.unwrap_err();
    assert!(gone.into_service_error().is_not_found());
}

#[tokio::test]
async fn a_listing_pages_and_groups() {
    let stack = Stack::new();
    let client = stack.s3();
    for key in ["a/1", "a/2", "b/1", "c"] {
        client.put_object().bucket("exports").key(key).body(ByteStream::from_static(b"x")).send().await.unwrap();
    }
    let list = client.list_objects_v2().bucket("exports").delimiter("/").send().await.unwrap();
    let groups: Vec<_> = list.common_prefixes().iter().map(|group| group.prefix().unwrap()).collect();
    assert_eq!(groups, ["a/", "b/"]);
    assert_eq!(list.contents()[0].key(), Some("c"));
    let first = client.list_objects_v2().bucket("exports").max_keys(3).send().await.unwrap();
    assert_eq!((first.contents().len(), first.is_truncated()), (3, Some(true)));
    let token = first.next_continuation_token().unwrap();
    let rest = client.list_objects_v2().bucket("exports").continuation_token(token).send().await.unwrap();
    assert_eq!(rest.contents().len(), 1);
    let prefix = client.list_objects_v2().bucket("exports").prefix("a/").send().await.unwrap();
    assert_eq!(prefix.key_count(), Some(2));
}

#[tokio::test]
async fn an_upload_in_parts_is_joined_when_completed() {
    let stack = Stack::new();
    let client = stack.s3();
    let upload = client.create_multipart_upload().bucket("exports").key("big").content_type("text/plain");
    let upload = upload.send().await.unwrap().upload_id.unwrap();
    let mut parts = CompletedMultipartUpload::builder();
    for (number, size) in [(1, 5 * 1024 * 1024), (2, 10)] {
        let part = client.upload_part().bucket("exports").key("big").upload_id(&upload).part_number(number);
        let part = part.body(ByteStream::from(vec![b'x'; size])).send().await.unwrap();
        parts = parts.parts(CompletedPart::builder().part_number(number).set_e_tag(part.e_tag).build());
    }
    assert!(stack.services.s3().keys("exports").is_empty());
    let done = client.complete_multipart_upload().bucket("exports").key("big").upload_id(&upload);
    let done = done.multipart_upload(parts.build()).send().await.unwrap();
    assert!(done.e_tag().unwrap().ends_with("-2\""));
    assert_eq!(stack.services.s3().object("exports", "big").unwrap().len(), 5 * 1024 * 1024 + 10);
    let again = client.abort_multipart_upload().bucket("exports").key("big").upload_id(&upload).send().await;
    assert!(again.unwrap_err().into_service_error().is_no_such_upload());
}

/// Serves the services on a port, as the local process does.
async fn serve(stack: &Stack) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = stack.services.router();
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!("http://{address}")
}

async fn fetch(method: Method, url: &str, body: &'static [u8]) -> (StatusCode, Vec<u8>) {
    let url: http::Uri = url.parse().unwrap();
    let host = url.authority().unwrap().to_string();
    let stream = tokio::net::TcpStream::connect(&host).await.unwrap();
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let path = url.path_and_query().unwrap().as_str();
    let request =
        Request::builder().method(method).uri(path).header("host", host).body(Full::<Bytes>::from(body)).unwrap();
    let response = sender.send_request(request).await.unwrap();
    let status = response.status();
    (status, response.into_body().collect().await.unwrap().to_bytes().to_vec())
}

fn for_minutes(stack: &Stack, minutes: u64) -> PresigningConfig {
    let start = UNIX_EPOCH + Duration::from_millis(stack.now_ms().try_into().unwrap());
    PresigningConfig::builder().start_time(start).expires_in(Duration::from_secs(minutes * 60)).build().unwrap()
}

#[tokio::test]
async fn a_presigned_url_works_for_a_stranger_until_it_expires_and_only_as_signed() {
    let stack = Stack::new();
    let client = stack.s3_at(&serve(&stack).await);
    let put = client.put_object().bucket("exports").key("a b/c").presigned(for_minutes(&stack, 5)).await.unwrap();
    assert_eq!(fetch(Method::PUT, put.uri(), b"hello").await.0, StatusCode::OK);
    let get = client.get_object().bucket("exports").key("a b/c");
    let get = get.response_content_disposition("attachment; filename=\"x.zip\"");
    let get = get.presigned(for_minutes(&stack, 5)).await.unwrap();
    assert_eq!(fetch(Method::GET, get.uri(), b"").await, (StatusCode::OK, b"hello".to_vec()));
    assert_eq!(fetch(Method::PUT, get.uri(), b"evil").await.0, StatusCode::FORBIDDEN);
    assert_eq!(fetch(Method::GET, &get.uri().replace("a%20b", "a%20d"), b"").await.0, StatusCode::FORBIDDEN);
    let unsigned = get.uri().split('?').next().unwrap();
    assert_eq!(fetch(Method::GET, unsigned, b"").await.0, StatusCode::FORBIDDEN);
    stack.advance_s(299);
    assert_eq!(fetch(Method::GET, get.uri(), b"").await.0, StatusCode::OK);
    stack.advance_s(1);
    let (status, body) = fetch(Method::GET, get.uri(), b"").await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    assert!(String::from_utf8(body).unwrap().contains("Request has expired"));
}

#[tokio::test]
async fn other_processes_reach_every_service_on_one_port() {
    let stack = Stack::new();
    let endpoint = serve(&stack).await;
    // A bare HTTP client stands in for the SDK's: what matters is how a request is told apart.
    let url: http::Uri = endpoint.parse().unwrap();
    let host = url.authority().unwrap().to_string();
    let call = async |headers: &[(&str, &str)], path: &str, body: &str| {
        let stream = tokio::net::TcpStream::connect(&host).await.unwrap();
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        let mut request = Request::builder().method("POST").uri(path).header("host", &host);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = sender.send_request(request.body(Full::<Bytes>::from(body.to_owned())).unwrap()).await.unwrap();
        (response.status(), response.into_body().collect().await.unwrap().to_bytes())
    };
    let (status, _) = call(&[("x-amz-target", "DynamoDB_20120810.ListTables")], "/", "{}").await;
    assert_eq!(status, StatusCode::OK);
    let (status, body) = call(&[("x-amz-target", "AmazonSQS.ListQueues")], "/", "{}").await;
    assert_eq!((status, body.windows(4).any(|part| part == b"work")), (StatusCode::OK, true));
    let scope = "AWS4-HMAC-SHA256 Credential=local/20260101/us-east-1/ses/aws4_request, SignedHeaders=host";
    let mail = r#"{"FromEmailAddress":"a@x","Destination":{"ToAddresses":["b@x"]},
        "Content":{"Simple":{"Subject":{"Data":"s"},"Body":{"Text":{"Data":"t"}}}}}"#;
    let (status, _) = call(&[("authorization", scope)], "/v2/email/outbound-emails", mail).await;
    assert_eq!(status, StatusCode::OK);
    let mail = stack.services.outbox().mail();
    assert_eq!((mail[0].to[0].as_str(), mail[0].text.as_deref()), ("b@x", Some("t")));
}

#[tokio::test]
async fn the_port_answers_programs_of_this_machine_and_no_page_of_another_origin() {
    let stack = Stack::new();
    stack.services.secrets().put("key", "the signing key");
    let endpoint = serve(&stack).await;
    let address = endpoint.strip_prefix("http://").unwrap();
    let port = address.rsplit_once(':').unwrap().1;
    let ask = async |host: String, origin: Option<&str>| {
        let stream = tokio::net::TcpStream::connect(address).await.unwrap();
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        let mut request = Request::post("/").header("host", host);
        request = request.header("x-amz-target", "secretsmanager.GetSecretValue");
        if let Some(origin) = origin {
            request = request.header("origin", origin);
        }
        let body = Full::<Bytes>::from(r#"{"SecretId":"key"}"#);
        let response = sender.send_request(request.body(body).unwrap()).await.unwrap();
        (response.status(), response.into_body().collect().await.unwrap().to_bytes())
    };
    for (host, origin) in [
        (format!("evil.example:{port}"), None),
        (format!("127.0.0.1.evil.example:{port}"), None),
        (format!("127.0.0.1:{port}"), Some("https://evil.example")),
        (format!("127.0.0.1:{port}"), Some("null")),
    ] {
        let (status, body) = ask(host.clone(), origin).await;
        assert_eq!(status, StatusCode::FORBIDDEN, "{host} {origin:?}");
        assert!(!body.windows(7).any(|part| part == b"signing"), "{host} {origin:?}");
    }
    assert_eq!(stack.services.counters().snapshot().len(), 0, "nothing was called");
    // As the SDK's clients name it, S3 with the bucket in the path among them, and a page of this machine.
    for (host, origin) in
        [("127.0.0.1", None), ("localhost", None), ("[::1]", None), ("localhost", Some("http://localhost:5173"))]
    {
        let (status, body) = ask(format!("{host}:{port}"), origin).await;
        assert_eq!(status, StatusCode::OK, "{host} {origin:?}");
        assert!(body.windows(7).any(|part| part == b"signing"), "{host} {origin:?}");
    }
}

#[tokio::test]
async fn what_is_published_stays_in_the_outbox() {
    let stack = Stack::new();
    let client = stack.sns();
    let sent = client.publish().topic_arn(TOPIC).message("{\"type\": \"x & y\"}").subject("s").send().await.unwrap();
    let entry = |id: &str| PublishBatchRequestEntry::builder().id(id).message(format!("m{id}")).build().unwrap();
    let batch = client.publish_batch().topic_arn(TOPIC).publish_batch_request_entries(entry("1"));
    let batch = batch.publish_batch_request_entries(entry("2")).send().await.unwrap();
    assert_eq!((batch.successful().len(), batch.failed().len()), (2, 0));
    let published = stack.services.outbox().topic("events");
    assert_eq!(Some(published[0].message_id.as_str()), sent.message_id());
    assert_eq!(published[0].message, "{\"type\": \"x & y\"}");
    assert_eq!(published[2].message, "m2");
    let nowhere = client.publish().topic_arn("arn:aws:sns:us-east-1:000000000000:no").message("m").send().await;
    assert!(nowhere.unwrap_err().into_service_error().is_not_found_exception());
    let phone = client.publish().phone_number("+491").message("hi").send().await;
    assert!(phone.is_ok());
    assert_eq!(stack.services.outbox().sms().len(), 1);
}

#[tokio::test]
async fn a_secret_is_read_by_its_arn_and_kept_over_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let arn = "arn:aws:secretsmanager:us-east-1:000000000000:secret:key";
    let stack = Stack::on(folder.path());
    let missing = stack.secrets().get_secret_value().secret_id(arn).send().await.unwrap_err();
    assert!(missing.into_service_error().is_resource_not_found_exception());
    stack.services.secrets().put("key", "one");
    stack.secrets().put_secret_value().secret_id(arn).secret_string("two").send().await.unwrap();
    drop(stack);
    let stack = Stack::on(folder.path());
    let got = stack.secrets().get_secret_value().secret_id(arn).send().await.unwrap();
    assert_eq!((got.secret_string(), got.name()), (Some("two"), Some("key")));
}

#[tokio::test]
async fn a_folder_keeps_objects_over_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let stack = Stack::on(folder.path());
    stack.s3().put_object().bucket("exports").key("k").body(ByteStream::from_static(b"v")).send().await.unwrap();
    drop(stack);
    let stack = Stack::on(folder.path());
    assert_eq!(stack.services.s3().object("exports", "k").unwrap().as_ref(), b"v");
    stack.services.reset().unwrap();
    assert!(stack.services.s3().keys("exports").is_empty());
}
