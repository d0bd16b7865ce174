//! What lies in tables, queues, topics and buckets.

use aws_credential_types::Credentials;
use satchel_local::{Bytes, template};
use satchel_outbound::Aws;
use serde::Serialize;
use serde_json::{Value, json};

use crate::answer::Answer;
use crate::stack::Stack;

impl Stack {
    /// The table's name, by its logical id in the template.
    pub fn table(&self, logical_id: &str) -> String {
        let table = self.template().table(logical_id);
        table.unwrap_or_else(|| panic!("the template has no table {logical_id}")).name.clone()
    }

    /// A client of DynamoDB as functions have it, faults included, but allowed everything.
    pub fn dynamodb(&self) -> aws_sdk_dynamodb::Client {
        self.aws().dynamodb()
    }

    /// AWS as functions have it, faults included, but without retries of lost answers beyond the SDK's own.
    pub fn aws(&self) -> &Aws {
        self.local().aws()
    }

    /// AWS under other credentials; with a function's name as `key`, what its role allows.
    pub fn aws_as(&self, key: &str, secret: &str) -> Aws {
        let credentials = Credentials::new(key, secret, None, None, "test");
        let http = self.services().http_client();
        Aws::new(template::REGION.to_owned(), credentials, http, Some("http://127.0.0.1:3002".to_owned()))
    }

    /// Every row of a table as plain JSON, in the order of a scan; by the table's logical id. Faults do not reach this.
    pub async fn rows(&self, logical_id: &str) -> Vec<Value> {
        let table = self.table(logical_id);
        let database = self.services().dynamodb().database();
        let (mut rows, mut from) = (Vec::new(), Value::Null);
        loop {
            let mut request = json!({ "TableName": table, "ConsistentRead": true });
            if !from.is_null() {
                request["ExclusiveStartKey"] = from;
            }
            let page = serde_json::from_value(request).map_err(|error| error.to_string()).and_then(|request| {
                let page = database.scan(request).map_err(|error| error.to_string())?;
                serde_json::to_value(page).map_err(|error| error.to_string())
            });
            let mut page: Value = page.unwrap_or_else(|error| panic!("{table} cannot be scanned: {error}"));
            rows.extend(page["Items"].as_array().into_iter().flatten().map(plain_map));
            from = page["LastEvaluatedKey"].take();
            if from.is_null() {
                return rows;
            }
        }
    }

    /// Sends a message into a queue, by the queue's logical id or name.
    pub async fn send(&self, queue: &str, message: &impl Serialize) {
        let body = serde_json::to_string(message).unwrap_or_else(|error| panic!("the message cannot be JSON: {error}"));
        let name = self.queue(queue);
        self.services().sqs().send(&name, &body, None).unwrap_or_else(|error| panic!("{queue}: {error}"));
    }

    /// The bodies of what lies in a queue, such as a dead-letter queue.
    pub fn dead(&self, queue: &str) -> Vec<String> {
        let messages =
            self.services().sqs().peek(&self.queue(queue)).unwrap_or_else(|error| panic!("{queue}: {error}"));
        messages.into_iter().map(|message| message.body).collect()
    }

    fn queue(&self, queue: &str) -> String {
        self.template().queue(queue).map_or_else(|| queue.to_owned(), |found| found.name.clone())
    }

    /// The events that left by the topic, oldest first: `{"name", "event"}`.
    pub fn published(&self) -> Vec<Value> {
        let topics = self.template().topics().iter();
        let topic = topics.filter(|topic| topic.logical_id == "EventsTopic").map(|topic| topic.arn.clone()).next();
        let topic = topic.unwrap_or_else(|| panic!("the template has no EventsTopic"));
        let events = self.services().outbox().topic(&topic).into_iter();
        events
            .map(|event| {
                let body: Value = serde_json::from_str(&event.message).unwrap_or(Value::String(event.message));
                json!({ "name": event.attributes.get("name"), "event": body })
            })
            .collect()
    }

    /// An object of the bucket of exports.
    pub fn exported(&self, key: &str) -> Option<Bytes> {
        let buckets = self.template().buckets().iter();
        let bucket =
            buckets.filter(|bucket| bucket.logical_id == "ExportsBucket").map(|bucket| bucket.name.clone()).next();
        self.services().s3().object(&bucket.unwrap_or_else(|| panic!("the template has no ExportsBucket")), key)
    }

    /// The answer to a GET of a presigned link, as a browser would ask for it.
    pub async fn get_url(&self, url: &str) -> Answer {
        use tower::ServiceExt as _;
        // The signature covers the header, which a browser makes of the address.
        let host = url.split('/').nth(2).unwrap_or_default();
        let request = http::Request::get(url).header(http::header::HOST, host).body(satchel_local::Body::empty());
        let request = request.unwrap_or_else(|error| panic!("`{url}` is not an address: {error}"));
        let response = self.services().router().oneshot(request).await.unwrap_or_else(|never| match never {});
        let (head, body) = response.into_parts();
        let body = satchel_local::to_bytes(body, usize::MAX).await.unwrap_or_else(|error| panic!("{url}: {error}"));
        Answer::new(format!("GET {url}"), http::Response::from_parts(head, body))
    }
}

fn plain_map(item: &Value) -> Value {
    item.as_object()
        .into_iter()
        .flatten()
        .map(|(name, value)| (name.clone(), plain(value)))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

/// DynamoDB's JSON as plain JSON: numbers as numbers, binaries as base64 text.
fn plain(value: &Value) -> Value {
    let Some((kind, inner)) = value.as_object().and_then(|object| object.iter().next()) else { return Value::Null };
    let number = |text: &Value| text.as_str().and_then(|text| serde_json::from_str(text).ok()).unwrap_or(Value::Null);
    let list = |of: fn(&Value) -> Value| inner.as_array().into_iter().flatten().map(of).collect::<Value>();
    match kind.as_str() {
        "N" => number(inner),
        "M" => plain_map(inner),
        "L" => list(plain),
        "NS" => inner.as_array().into_iter().flatten().map(number).collect(),
        "NULL" => Value::Null,
        _ => inner.clone(),
    }
}
