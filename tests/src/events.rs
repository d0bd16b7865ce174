//! Recorded events (`tests/events/*.json`) in the shapes that AWS documents, and what a test changes in them.
//!
//! The shapes: API Gateway developer guide, *Lambda proxy integrations for HTTP APIs* (payload format 2.0); Lambda
//! developer guide, *Using Lambda with Amazon SQS*, *with DynamoDB*; EventBridge user guide, *Scheduled Event*.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

const GET: &str = include_str!("../events/http-get.json");
const POST_JSON: &str = include_str!("../events/http-post-json.json");
const POST_FORM: &str = include_str!("../events/http-post-form-base64.json");
const STAGE: &str = include_str!("../events/http-stage-cookies.json");
const SQS: &str = include_str!("../events/sqs.json");
const STREAM: &str = include_str!("../events/dynamodb-stream.json");
const SCHEDULE: &str = include_str!("../events/schedule.json");

#[expect(clippy::expect_used, reason = "the fixtures are compiled in and a test reads each of them")]
fn recorded(text: &str) -> Value {
    serde_json::from_str(text).expect("a recorded event is JSON")
}

/// A request as API Gateway hands it to a function.
#[derive(Debug, Clone)]
pub struct HttpEvent(Value);

impl HttpEvent {
    /// A request without body.
    pub fn new(method: &str, path: &str) -> Self {
        Self(recorded(GET)).to(method, path)
    }

    /// A request with a JSON body.
    pub fn json(method: &str, path: &str, body: &Value) -> Self {
        let mut event = Self(recorded(POST_JSON)).to(method, path);
        event.set_body(&body.to_string(), false);
        event
    }

    /// A form, its body in base64 as API Gateway encodes every type it does not know as text.
    pub fn form(method: &str, path: &str, body: &str) -> Self {
        let mut event = Self(recorded(POST_FORM)).to(method, path);
        event.set_body(body, true);
        event
    }

    /// A request to a stage with a name, with two cookies and with headers of two values.
    pub fn staged(method: &str, path: &str) -> Self {
        let mut event = Self(recorded(STAGE));
        let stage = event.0["requestContext"]["stage"].as_str().unwrap_or_default().to_owned();
        event = event.to(method, &format!("/{stage}{path}"));
        event.0["routeKey"] = format!("{method} {path}").into();
        event.0["requestContext"]["routeKey"] = event.0["routeKey"].clone();
        event
    }

    fn to(mut self, method: &str, target: &str) -> Self {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        self.0["rawPath"] = path.into();
        if !query.is_empty() {
            self.0["rawQueryString"] = query.into();
        }
        self.0["routeKey"] = "$default".into();
        self.0["requestContext"]["routeKey"] = "$default".into();
        self.0["requestContext"]["http"]["method"] = method.into();
        self.0["requestContext"]["http"]["path"] = path.into();
        self
    }

    fn set_body(&mut self, text: &str, in_base64: bool) {
        self.0["body"] = if in_base64 { STANDARD.encode(text).into() } else { text.into() };
        self.0["isBase64Encoded"] = in_base64.into();
        self.0["headers"]["content-length"] = text.len().to_string().into();
    }

    /// The same with its body in base64.
    #[must_use]
    pub fn in_base64(mut self) -> Self {
        let text = self.0["body"].as_str().unwrap_or_default().to_owned();
        self.set_body(&text, true);
        self
    }

    /// Sets a header; several values are joined by a comma, as API Gateway does.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.0["headers"][name.to_ascii_lowercase()] = Value::String(value.into());
        self
    }

    /// Sets the access token.
    #[must_use]
    pub fn bearer(self, token: &str) -> Self {
        self.header("authorization", format!("Bearer {token}"))
    }

    /// The event.
    pub fn value(&self) -> &Value {
        &self.0
    }
}

/// The answer of a function to an [`HttpEvent`], as API Gateway reads it.
#[derive(Debug, Clone)]
pub struct HttpAnswer(pub Value);

impl HttpAnswer {
    /// Its status code.
    pub fn status(&self) -> u64 {
        self.0["statusCode"].as_u64().unwrap_or(0)
    }

    /// The value of a header, by its name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.0["headers"][name].as_str()
    }

    /// Its body, decoded.
    pub fn text(&self) -> String {
        let body = self.0["body"].as_str().unwrap_or_default();
        if self.0["isBase64Encoded"] == true {
            STANDARD.decode(body).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
        } else {
            body.to_owned()
        }
    }

    /// Its body as JSON, `null` where it is none.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text()).unwrap_or_default()
    }
}

/// A batch of a queue with these bodies; the message ids are `message-0`, `message-1`, …
pub fn sqs(bodies: &[String]) -> Value {
    let record = recorded(SQS)["Records"][0].take();
    let records: Vec<Value> = bodies
        .iter()
        .enumerate()
        .map(|(number, body)| {
            let mut record = record.clone();
            record["messageId"] = format!("message-{number}").into();
            record["body"] = body.as_str().into();
            record
        })
        .collect();
    json!({ "Records": records })
}

/// The recorded batch of a queue: one message and one that is no JSON.
pub fn sqs_recorded() -> Value {
    recorded(SQS)
}

/// The recorded batch of a table's stream: a row of no known kind comes, changes and goes.
pub fn stream_recorded() -> Value {
    recorded(STREAM)
}

/// A stream's batch of `records`, each event name, key and images in DynamoDB's own JSON; sequence numbers are 1, 2, …
pub fn stream(records: &[(&str, Value, Option<Value>, Option<Value>)]) -> Value {
    let first = recorded(STREAM)["Records"][0].take();
    let records: Vec<Value> = records
        .iter()
        .enumerate()
        .map(|(number, (name, keys, new, old))| {
            let mut record = first.clone();
            record["eventName"] = (*name).into();
            record["dynamodb"]["Keys"] = keys.clone();
            record["dynamodb"]["SequenceNumber"] = (number + 1).to_string().into();
            for (field, image) in [("NewImage", new), ("OldImage", old)] {
                match (image, record["dynamodb"].as_object_mut()) {
                    (Some(image), Some(body)) => drop(body.insert(field.to_owned(), image.clone())),
                    (None, Some(body)) => drop(body.remove(field)),
                    (_, None) => {}
                }
            }
            record
        })
        .collect();
    json!({ "Records": records })
}

/// What a schedule of EventBridge sends.
pub fn schedule() -> Value {
    recorded(SCHEDULE)
}

/// The ids that a consumer reported as failed, in order.
pub fn failures(answer: &Value) -> Vec<String> {
    let failed = answer["batchItemFailures"].as_array().into_iter().flatten();
    failed.filter_map(|failure| failure["itemIdentifier"].as_str().map(str::to_owned)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_recorded_event_is_read() {
        for text in [GET, POST_JSON, POST_FORM, STAGE, SQS, STREAM, SCHEDULE] {
            assert!(recorded(text).is_object());
        }
    }

    #[test]
    fn a_staged_request_has_its_stage_in_the_path_and_its_cookies_apart() {
        let event = HttpEvent::staged("GET", "/sync/status");
        assert_eq!(event.value()["rawPath"], "/dev/sync/status");
        assert_eq!(event.value()["cookies"], json!(["theme=dark", "consent=yes"]));
    }
}
