//! A small stack whose functions do what their messages say, and tell what they did through a topic.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Path};
use axum::routing::{get, post};
use http::{Method, Request, Response, StatusCode};
use satchel_domain::Timestamp;
use satchel_inbound::http::ClientAddress;
use satchel_inbound::{BoxError, Complaints, Entry, Env, Function};
use satchel_local::{Bytes, Local, LocalClock, LocalOptions};
use satchel_outbound::Topic;
use serde_json::{Value, json};

pub(crate) const TEMPLATE: &str = include_str!("stack.yaml");
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) const FUNCTIONS: [Function; 3] = [
    Function { name: "web", build: |_| Box::pin(async { Ok(Entry::Http(web())) }) },
    Function {
        name: "worker",
        build: |env| {
            Box::pin(async move { told(env, "messageId", |record| record["body"].as_str().map(str::to_owned)) })
        },
    },
    Function {
        name: "watcher",
        build: |env| {
            Box::pin(async move {
                told(env, "SequenceNumber", |record| {
                    record["dynamodb"]["NewImage"]["body"]["S"].as_str().map(str::to_owned)
                })
            })
        },
    },
];

fn web() -> Router {
    Router::new()
        .route(
            "/echo/{id}",
            post(async |Path(id): Path<String>, address: ClientAddress, body: Bytes| {
                format!("{id} {} {}", address.0, body.len())
            })
            .layer(DefaultBodyLimit::disable()),
        )
        .route("/files/{*path}", get(async |Path(path): Path<String>| path))
        .route(
            "/fail/{how}",
            get(async |Path(how): Path<String>| match how.as_str() {
                "panic" => panic!("asked for"),
                "slow" => std::future::pending().await,
                "big" => (StatusCode::OK, "x".repeat(7 * 1024 * 1024)),
                "quotes" => (StatusCode::OK, "\"".repeat(4 * 1024 * 1024)),
                "large" => (StatusCode::OK, "x".repeat(4 * 1024 * 1024)),
                _ => (StatusCode::IM_A_TEAPOT, how),
            }),
        )
}

/// Handles `{"n": …, "do": "ok"|"fail"|"panic"|"throw"|"twice"}`: publishes what it saw, then does as told.
fn told(env: Env, id: &'static str, body: fn(&Value) -> Option<String>) -> Result<Entry, Complaints> {
    let topic = Topic::new(env.aws.sns(), env.settings.get("TOPIC").unwrap_or_default());
    Ok(Entry::event(move |event| {
        let topic = topic.clone();
        async move {
            let Some(records) = event["Records"].as_array() else {
                topic.publish("scheduled", &event).await?;
                return Ok(Value::Null);
            };
            let mut failed = Vec::new();
            for record in records {
                let body: Value = body(record).and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
                topic.publish("seen", &json!({ "n": body["n"], "batch": records.len() })).await?;
                match body["do"].as_str() {
                    Some("fail") => {
                        let item = record.get(id).or_else(|| record["dynamodb"].get(id));
                        failed.push(json!({ "itemIdentifier": item }));
                    }
                    Some("panic") => panic!("asked for"),
                    Some("throw") => return Err(BoxError::from("asked for")),
                    _ => {}
                }
            }
            Ok(json!({ "batchItemFailures": failed }))
        }
    }))
}

pub(crate) fn options() -> LocalOptions {
    LocalOptions {
        clock: LocalClock::manual(Timestamp::from_second(1_767_225_600).unwrap()),
        seed: Some(1),
        template: TEMPLATE,
        functions: FUNCTIONS.to_vec(),
        ..LocalOptions::default()
    }
}

pub(crate) async fn start() -> Local {
    Local::start(options()).await.unwrap()
}

pub(crate) async fn start_at(data: PathBuf) -> Local {
    Local::start(LocalOptions { data: Some(data), ..options() }).await.unwrap()
}

pub(crate) fn send(local: &Local, body: Value) {
    local.services().sqs().send(&queue(local, "Queue"), &body.to_string(), None).unwrap();
}

pub(crate) fn queue(local: &Local, id: &str) -> String {
    local.template().queue(id).unwrap().name.clone()
}

/// Bodies in a queue.
pub(crate) fn lying(local: &Local, id: &str) -> Vec<Value> {
    let messages = local.services().sqs().peek(&queue(local, id)).unwrap();
    messages.iter().map(|message| serde_json::from_str(&message.body).unwrap()).collect()
}

/// What handlers saw, in order: the `n` of each record.
pub(crate) fn seen(local: &Local) -> Vec<i64> {
    told_of(local, "seen").iter().map(|event| event["n"].as_i64().unwrap_or(-1)).collect()
}

/// How many records lay in the batch of each record seen.
pub(crate) fn batches(local: &Local) -> Vec<i64> {
    told_of(local, "seen").iter().map(|event| event["batch"].as_i64().unwrap_or(-1)).collect()
}

pub(crate) fn told_of(local: &Local, name: &str) -> Vec<Value> {
    let arn = &local.template().topics()[0].arn;
    let events = local.services().outbox().topic(arn).into_iter();
    let named = events.filter(|event| event.attributes.get("name").is_some_and(|known| known == name));
    named.map(|event| serde_json::from_str(&event.message).unwrap()).collect()
}

/// Puts a row into the table, whose stream the watcher reads.
pub(crate) async fn put(local: &Local, sk: &str, body: Value) {
    use aws_sdk_dynamodb::types::AttributeValue::S;
    let put = local.aws().dynamodb().put_item().table_name(&local.template().tables()[0].name);
    let row = [("pk", "P".to_owned()), ("sk", sk.to_owned()), ("body", body.to_string())];
    let row = row.into_iter().fold(put, |put, (name, value)| put.item(name, S(value)));
    row.send().await.unwrap();
}

pub(crate) async fn drain(local: &Local) -> BTreeMap<String, u64> {
    local.drain(PATIENCE).await.into_iter().map(|pending| (pending.source, pending.count)).collect()
}

pub(crate) async fn call(local: &Local, method: Method, path: &str, body: impl Into<Bytes>) -> Response<Bytes> {
    local.call(Request::builder().method(method).uri(path).body(body.into()).unwrap()).await
}

/// A call of the control API; status and body.
pub(crate) async fn control(local: &Local, method: Method, path: &str, body: Value) -> (u16, Value) {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let answer = call(local, method, path, body).await;
    (answer.status().as_u16(), serde_json::from_slice(answer.body()).unwrap_or_default())
}
