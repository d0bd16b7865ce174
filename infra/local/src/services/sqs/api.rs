//! The JSON protocol of SQS.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use tokio::time::{Instant, timeout_at};

use super::queue::{Attribute, Message, md5_of};
use super::{Sqs, system_attributes};
use crate::services::checksum::md5_hex;
use crate::services::request::{Request, Response};

/// The largest message and the largest batch of them.
const LIMIT: usize = 1024 * 1024;
const LONGEST_DELAY_S: u32 = 900;
const LONGEST_VISIBILITY_S: u32 = 43_200;

/// Why SQS refused a call.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct SqsError {
    /// Error code, such as `QueueDoesNotExist`.
    pub code: &'static str,
    /// What is wrong, in words.
    pub message: String,
}

impl SqsError {
    fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    pub(super) fn no_queue() -> Self {
        Self::new("QueueDoesNotExist", "The specified queue does not exist.")
    }

    pub(super) fn invalid_handle() -> Self {
        Self::new("ReceiptHandleIsInvalid", "The input receipt handle is invalid.")
    }

    pub(super) fn not_in_flight() -> Self {
        Self::new("MessageNotInflight", "The specified message isn't in flight.")
    }

    fn invalid(message: impl Into<String>) -> Self {
        Self::new("InvalidParameterValue", message)
    }

    /// The code older SDKs expect, which newer ones find in a header.
    fn query_code(&self) -> String {
        match self.code {
            "QueueDoesNotExist" => "AWS.SimpleQueueService.NonExistentQueue".to_owned(),
            "ReceiptHandleIsInvalid" | "InvalidParameterValue" => self.code.to_owned(),
            code => format!("AWS.SimpleQueueService.{code}"),
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Send {
    #[serde(default)]
    queue_url: String,
    #[serde(default)]
    id: String,
    message_body: String,
    delay_seconds: Option<u32>,
    #[serde(default)]
    message_attributes: BTreeMap<String, Attribute>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Receive {
    queue_url: String,
    max_number_of_messages: Option<usize>,
    visibility_timeout: Option<u32>,
    wait_time_seconds: Option<u64>,
    #[serde(default)]
    attribute_names: Vec<String>,
    #[serde(default)]
    message_system_attribute_names: Vec<String>,
    #[serde(default)]
    message_attribute_names: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Handle {
    #[serde(default)]
    queue_url: String,
    #[serde(default)]
    id: String,
    receipt_handle: String,
    visibility_timeout: Option<u32>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", bound = "T: DeserializeOwned")]
struct Batch<T> {
    queue_url: String,
    entries: Vec<T>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct OfQueue {
    #[serde(default)]
    queue_url: String,
    #[serde(default)]
    queue_name: String,
    #[serde(default)]
    queue_name_prefix: String,
    #[serde(default)]
    attribute_names: Vec<String>,
}

impl Sqs {
    pub(in crate::services) async fn call(&self, request: &Request) -> Response {
        let answer = match request.operation {
            "ReceiveMessage" => self.receive_message(&request.body).await,
            operation => self.answer(operation, &request.body),
        };
        match answer {
            Ok(answer) => Response::json(200, answer.to_string()),
            Err(error) => {
                let body = json!({"__type": format!("com.amazonaws.sqs#{}", error.code), "message": error.message});
                let query_code = format!("{};Sender", error.query_code());
                Response::json(400, body.to_string()).with("x-amzn-query-error", query_code)
            }
        }
    }

    fn answer(&self, operation: &str, body: &[u8]) -> Result<Value, SqsError> {
        match operation {
            "SendMessage" => {
                let send: Send = read(body)?;
                self.send_message(&send.queue_url.clone(), send)
            }
            "SendMessageBatch" => {
                let batch: Batch<Send> = read(body)?;
                check(&batch.entries, |entry| &entry.id)?;
                if batch.entries.iter().map(|entry| entry.message_body.len()).sum::<usize>() > LIMIT {
                    let message = format!("Batch requests cannot be longer than {LIMIT} bytes.");
                    return Err(SqsError::new("BatchRequestTooLong", message));
                }
                self.counts(&batch.queue_url)?;
                Ok(each(batch.entries, |entry| (entry.id.clone(), self.send_message(&batch.queue_url, entry))))
            }
            "DeleteMessage" => {
                let handle: Handle = read(body)?;
                self.delete(&handle.queue_url, &handle.receipt_handle).map(|()| json!({}))
            }
            "DeleteMessageBatch" => {
                let batch: Batch<Handle> = read(body)?;
                check(&batch.entries, |entry| &entry.id)?;
                self.counts(&batch.queue_url)?;
                Ok(each(batch.entries, |entry| {
                    let deleted = self.delete(&batch.queue_url, &entry.receipt_handle);
                    (entry.id, deleted.map(|()| json!({})))
                }))
            }
            "ChangeMessageVisibility" => {
                let handle: Handle = read(body)?;
                self.change(&handle.queue_url.clone(), handle)
            }
            "ChangeMessageVisibilityBatch" => {
                let batch: Batch<Handle> = read(body)?;
                check(&batch.entries, |entry| &entry.id)?;
                self.counts(&batch.queue_url)?;
                Ok(each(batch.entries, |entry| (entry.id.clone(), self.change(&batch.queue_url, entry))))
            }
            "GetQueueAttributes" => self.attributes(&read(body)?),
            "GetQueueUrl" => {
                let asked: OfQueue = read(body)?;
                let mut state = self.lock();
                let (_, queue) = state.queue(&asked.queue_name)?;
                Ok(json!({"QueueUrl": queue.definition.url}))
            }
            "ListQueues" => {
                let asked: OfQueue = read(body)?;
                let state = self.lock();
                let queues = state.queues.iter().filter(|(name, _)| name.starts_with(&asked.queue_name_prefix));
                let urls: Vec<_> = queues.map(|(_, queue)| queue.definition.url.clone()).collect();
                Ok(json!({"QueueUrls": urls}))
            }
            "PurgeQueue" => {
                let asked: OfQueue = read(body)?;
                self.purge(&asked.queue_url).map(|()| json!({}))
            }
            _ => Err(SqsError::new("InvalidAction", "this operation has no stand-in here")),
        }
    }

    fn send_message(&self, queue: &str, send: Send) -> Result<Value, SqsError> {
        if send.message_body.is_empty() {
            return Err(SqsError::new("MissingParameter", "The request must contain the parameter MessageBody."));
        }
        if send.message_body.len() > LIMIT {
            return Err(SqsError::invalid(format!("Message must be shorter than {LIMIT} bytes.")));
        }
        if send.delay_seconds.is_some_and(|delay| delay > LONGEST_DELAY_S) {
            return Err(SqsError::invalid(
                "Value for parameter DelaySeconds is invalid. Reason: Must be between 0 and 900, if provided.",
            ));
        }
        if send.message_attributes.len() > 10 {
            return Err(SqsError::invalid("Number of message attributes exceeds the allowed maximum [10]."));
        }
        let body_sum = md5_hex(send.message_body.as_bytes());
        let attributes_sum = md5_of(&send.message_attributes);
        let id = self.add(queue, send.message_body, send.message_attributes, send.delay_seconds)?;
        let mut answer = json!({"MessageId": id, "MD5OfMessageBody": body_sum});
        if let Some(sum) = attributes_sum {
            answer["MD5OfMessageAttributes"] = sum.into();
        }
        Ok(answer)
    }

    fn change(&self, queue: &str, handle: Handle) -> Result<Value, SqsError> {
        let seconds = handle.visibility_timeout.unwrap_or_default();
        if seconds > LONGEST_VISIBILITY_S {
            return Err(SqsError::invalid(
                "Value for parameter VisibilityTimeout is invalid. Reason: Must be between 0 and 43200.",
            ));
        }
        self.change_visibility(queue, &handle.receipt_handle, seconds).map(|()| json!({}))
    }

    /// A long poll ends when a message is there, be it sent, visible again or due because the clock was moved.
    async fn receive_message(&self, body: &[u8]) -> Result<Value, SqsError> {
        let asked: Receive = read(body)?;
        let max = asked.max_number_of_messages.unwrap_or(1);
        if !(1..=10).contains(&max) {
            return Err(SqsError::invalid(
                "Value for parameter MaxNumberOfMessages is invalid. Reason: Must be between 1 and 10, if provided.",
            ));
        }
        let deadline = Instant::now() + Duration::from_secs(asked.wait_time_seconds.unwrap_or_default().min(20));
        let mut changes = self.subscribe();
        let messages = loop {
            changes.mark_unchanged();
            let messages = self.take(&asked.queue_url, max, asked.visibility_timeout)?;
            if !messages.is_empty() || Instant::now() >= deadline {
                break messages;
            }
            let due = self.counts(&asked.queue_url)?.next_due_ms;
            let due = due.map(|due| u64::try_from(due - (self.now)()).unwrap_or_default());
            let until = due.map_or(deadline, |due| deadline.min(Instant::now() + Duration::from_millis(due + 1)));
            // Whether something changed or time ran out, the queue itself says what is there.
            timeout_at(until, changes.changed()).await.ok();
        };
        let messages: Vec<_> =
            messages.into_iter().map(|(handle, message, _)| asked.shape(&handle, &message)).collect();
        Ok(if messages.is_empty() { json!({}) } else { json!({"Messages": messages}) })
    }

    fn attributes(&self, asked: &OfQueue) -> Result<Value, SqsError> {
        let counts = self.counts(&asked.queue_url)?;
        let mut state = self.lock();
        let (_, queue) = state.queue(&asked.queue_url)?;
        let definition = &queue.definition;
        let mut all = Map::new();
        let mut set = |name: &str, value: String| all.insert(name.to_owned(), value.into());
        set("QueueArn", definition.arn.clone());
        set("ApproximateNumberOfMessages", counts.visible.to_string());
        set("ApproximateNumberOfMessagesNotVisible", counts.in_flight.to_string());
        set("ApproximateNumberOfMessagesDelayed", counts.delayed.to_string());
        set("VisibilityTimeout", definition.visibility_s.to_string());
        set("DelaySeconds", definition.delay_s.to_string());
        set("MessageRetentionPeriod", definition.retention_s.to_string());
        set("MaximumMessageSize", LIMIT.to_string());
        set("ReceiveMessageWaitTimeSeconds", "0".to_owned());
        if let Some(redrive) = &definition.redrive {
            let policy = json!({"deadLetterTargetArn": redrive.target_arn, "maxReceiveCount": redrive.max_receives});
            set("RedrivePolicy", policy.to_string());
        }
        all.retain(|name, _| wanted(&asked.attribute_names, name));
        Ok(json!({"Attributes": all}))
    }
}

impl Receive {
    fn shape(&self, receipt_handle: &str, message: &Message) -> Value {
        let mut shaped = json!({
            "MessageId": message.id,
            "ReceiptHandle": receipt_handle,
            "Body": message.body,
            "MD5OfBody": md5_hex(message.body.as_bytes()),
        });
        let mut system = system_attributes(message);
        system.retain(|name, _| {
            wanted(&self.attribute_names, name) || wanted(&self.message_system_attribute_names, name)
        });
        if !system.is_empty() {
            shaped["Attributes"] = system.into();
        }
        let named = |name: &String| wanted(&self.message_attribute_names, name);
        let own: BTreeMap<_, _> = message.attributes.clone().into_iter().filter(|(name, _)| named(name)).collect();
        if let Some(sum) = md5_of(&own) {
            shaped["MD5OfMessageAttributes"] = sum.into();
            shaped["MessageAttributes"] = json!(own);
        }
        shaped
    }
}

/// Whether a list of names, with `All` and trailing `*` as SQS has them, asks for `name`.
fn wanted(names: &[String], name: &str) -> bool {
    names.iter().any(|wanted| match wanted.strip_suffix('*') {
        Some(prefix) => name.starts_with(prefix.trim_end_matches('.')),
        None => wanted == "All" || wanted == name,
    })
}

fn check<T>(entries: &[T], id: impl Fn(&T) -> &str) -> Result<(), SqsError> {
    if entries.is_empty() {
        return Err(SqsError::new("EmptyBatchRequest", "The batch request doesn't contain any entries."));
    }
    if entries.len() > 10 {
        let message = "Maximum number of entries per request are 10.";
        return Err(SqsError::new("TooManyEntriesInBatchRequest", message));
    }
    let ids: BTreeSet<_> = entries.iter().map(&id).collect();
    if ids.len() < entries.len() {
        let message = "Two or more batch entries in the request have the same Id.";
        return Err(SqsError::new("BatchEntryIdsNotDistinct", message));
    }
    Ok(())
}

/// Does a batch entry by entry and tells which succeeded.
fn each<T>(entries: Vec<T>, mut act: impl FnMut(T) -> (String, Result<Value, SqsError>)) -> Value {
    let (mut successful, mut failed) = (Vec::new(), Vec::new());
    for entry in entries {
        match act(entry) {
            (id, Ok(mut answer)) => {
                answer["Id"] = id.into();
                successful.push(answer);
            }
            (id, Err(error)) => {
                failed.push(json!({"Id": id, "Code": error.code, "Message": error.message, "SenderFault": true}));
            }
        }
    }
    json!({"Successful": successful, "Failed": failed})
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, SqsError> {
    serde_json::from_slice(body).map_err(|error| SqsError::new("InvalidParameterValue", error.to_string()))
}
