//! SQS: the template's standard queues, on the injected clock and kept over a restart.
//!
//! Both emulators there are for embedding read the real clock and forget messages (see
//! docs/decisions/0005-sqs-emulator.md), so the queues are our own: visibility, receive counts, redrive, delay,
//! retention, batches and long polls as the SDK sees them.
//!
//! # Limits
//! No FIFO queues, no message move tasks, no policies. Order is by the time a message becomes visible, which SQS does
//! not promise. A receipt handle is void as soon as the message is received again; SQS may still honour it.

mod api;
mod queue;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::{Map, Value, json};
use tokio::sync::watch;

use super::checksum::md5_hex;
use super::journal::Journal;
use super::{Now, ServicesError};
use crate::template::{REGION, Template};

pub use api::SqsError;
pub use queue::Counts;
use queue::{Message, Queue, Receipt};

/// The queues.
pub struct Sqs {
    now: Now,
    state: Mutex<State>,
    changes: watch::Sender<u64>,
}

#[derive(Debug)]
struct State {
    queues: BTreeMap<String, Queue>,
    journal: Journal,
    next_id: u64,
}

/// A message as an event source mapping receives it.
#[derive(Debug, Clone)]
pub struct Received {
    /// Message id.
    pub message_id: String,
    /// What deletes or hides it.
    pub receipt_handle: String,
    /// How often it was received, this time included.
    pub receive_count: u32,
    /// An element of `Records` of Lambda's event.
    pub event: Value,
}

/// A message looked at without receiving it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peeked {
    /// Message id.
    pub message_id: String,
    /// Body.
    pub body: String,
    /// How often it was received.
    pub receive_count: u32,
    /// When it is next visible, by the injected clock.
    pub visible_ms: i64,
}

impl Sqs {
    pub(super) fn start(template: &Template, data: Option<&Path>, now: Now) -> Result<Self, ServicesError> {
        let mut queues: BTreeMap<String, Queue> =
            template.queues().iter().map(|queue| (queue.name.clone(), Queue::new(queue.clone()))).collect();
        let (journal, kept) = Journal::open::<Message>(data, "sqs.jsonl")?;
        for (key, message) in kept {
            let place = key.rsplit_once('#').and_then(|(queue, number)| Some((queue, number.parse::<u64>().ok()?)));
            // A queue the template no longer has takes its messages with it, as on AWS.
            if let Some((queue, number)) = place
                && let Some(queue) = queues.get_mut(queue)
            {
                queue.restore(number, message);
            }
        }
        // Ids of an earlier run must not come again; the clock is ahead of that run's count of messages.
        let next_id = u64::try_from(now()).unwrap_or_default() << 20;
        let state = Mutex::new(State { queues, journal, next_id });
        Ok(Self { now, state, changes: watch::Sender::new(0) })
    }

    /// Receives up to `max` messages at once, hidden for `visibility_s` or the queue's own time. `queue` is a name, URL
    /// or ARN, here and below.
    ///
    /// # Errors
    /// There is no such queue.
    pub fn receive(&self, queue: &str, max: usize, visibility_s: Option<u32>) -> Result<Vec<Received>, SqsError> {
        let received = self.take(queue, max, visibility_s)?;
        Ok(received.into_iter().map(|(handle, message, arn)| event(handle, &message, &arn)).collect())
    }

    /// Deletes a message. A handle that is stale deletes nothing and is no error, as with SQS.
    ///
    /// # Errors
    /// There is no such queue, or the handle is none of it.
    pub fn delete(&self, queue: &str, receipt_handle: &str) -> Result<(), SqsError> {
        let mut state = self.lock();
        let (name, found) = state.queue(queue)?;
        match found.find(receipt_handle) {
            Ok(number) => {
                found.remove(number);
                state.forget(&name, &[number]);
            }
            Err(Receipt::Stale) => {}
            Err(Receipt::Invalid) => return Err(SqsError::invalid_handle()),
        }
        drop(state);
        self.changed();
        Ok(())
    }

    /// Hides a received message for `seconds` from now; 0 shows it at once.
    ///
    /// # Errors
    /// There is no such queue, or the message is not in flight under this handle.
    pub fn change_visibility(&self, queue: &str, receipt_handle: &str, seconds: u32) -> Result<(), SqsError> {
        let now = (self.now)();
        let mut state = self.lock();
        let (name, found) = state.queue(queue)?;
        let number = match found.find(receipt_handle) {
            Ok(number) if found.message(number).is_some_and(|message| message.visible_ms > now) => number,
            Ok(_) | Err(Receipt::Stale) => return Err(SqsError::not_in_flight()),
            Err(Receipt::Invalid) => return Err(SqsError::invalid_handle()),
        };
        found.hide(number, now + i64::from(seconds) * 1000);
        state.keep(&name, number);
        drop(state);
        self.changed();
        Ok(())
    }

    /// Sends a message, visible after `delay_s` or the queue's own delay; its id.
    ///
    /// # Errors
    /// There is no such queue.
    pub fn send(&self, queue: &str, body: &str, delay_s: Option<u32>) -> Result<String, SqsError> {
        self.add(queue, body.to_owned(), BTreeMap::new(), delay_s)
    }

    /// How many messages a queue holds, by state.
    ///
    /// # Errors
    /// There is no such queue.
    pub fn counts(&self, queue: &str) -> Result<Counts, SqsError> {
        let now = (self.now)();
        let mut state = self.lock();
        let name = state.expire(queue, now)?;
        Ok(state.queues[&name].counts(now))
    }

    /// The counts of all queues, by name.
    #[must_use]
    pub fn all_counts(&self) -> BTreeMap<String, Counts> {
        let now = (self.now)();
        self.lock().queues.iter().map(|(name, queue)| (name.clone(), queue.counts(now))).collect()
    }

    /// Looks at the messages of a queue without receiving them, oldest first.
    ///
    /// # Errors
    /// There is no such queue.
    pub fn peek(&self, queue: &str) -> Result<Vec<Peeked>, SqsError> {
        let mut state = self.lock();
        let (_, queue) = state.queue(queue)?;
        let peeked = queue.messages().map(|(_, message)| Peeked {
            message_id: message.id.clone(),
            body: message.body.clone(),
            receive_count: message.receives,
            visible_ms: message.visible_ms,
        });
        Ok(peeked.collect())
    }

    /// Removes all messages of a queue.
    ///
    /// # Errors
    /// There is no such queue.
    pub fn purge(&self, queue: &str) -> Result<(), SqsError> {
        let mut state = self.lock();
        let (name, queue) = state.queue(queue)?;
        let numbers = queue.purge();
        state.forget(&name, &numbers);
        drop(state);
        self.changed();
        Ok(())
    }

    /// Changes after everything that may make a message visible or a queue empty.
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    pub(super) fn changed(&self) {
        self.changes.send_modify(|count| *count += 1);
    }

    pub(super) fn reset(&self) {
        let mut state = self.lock();
        let names: Vec<_> = state.queues.keys().cloned().collect();
        for name in names {
            if let Ok((_, queue)) = state.queue(&name) {
                let numbers = queue.purge();
                state.forget(&name, &numbers);
            }
        }
        drop(state);
        self.changed();
    }

    fn add(
        &self,
        queue: &str,
        body: String,
        attributes: BTreeMap<String, queue::Attribute>,
        delay_s: Option<u32>,
    ) -> Result<String, SqsError> {
        let now = (self.now)();
        let mut state = self.lock();
        let id = state.id();
        let (name, queue) = state.queue(queue)?;
        let delay = delay_s.unwrap_or(queue.definition.delay_s);
        let number = queue.add(Message {
            id: id.clone(),
            body,
            attributes,
            sent_ms: now,
            visible_ms: now + i64::from(delay) * 1000,
            first_received_ms: None,
            receives: 0,
            dead_letter_source: None,
        });
        state.keep(&name, number);
        drop(state);
        self.changed();
        Ok(id)
    }

    /// Receives messages with their handles and the ARN of their queue, and moves what was received too often.
    fn take(
        &self,
        queue: &str,
        max: usize,
        visibility_s: Option<u32>,
    ) -> Result<Vec<(String, Message, String)>, SqsError> {
        let now = (self.now)();
        let mut state = self.lock();
        let name = state.expire(queue, now)?;
        let mut received = Vec::new();
        let mut moved = false;
        while received.len() < max {
            let (_, queue) = state.queue(&name)?;
            let Some((number, spent)) = queue.next_visible(now) else { break };
            if spent {
                state.redrive(&name, number, now);
                moved = true;
                continue;
            }
            let until = now + i64::from(visibility_s.unwrap_or(queue.definition.visibility_s)) * 1000;
            if let Some(handle) = queue.receive(number, now, until)
                && let Some(message) = queue.message(number)
            {
                received.push((handle, message.clone(), queue.definition.arn.clone()));
            }
            state.keep(&name, number);
            // Hidden for no time at all, it would be received again in this very call.
            if until <= now {
                break;
            }
        }
        drop(state);
        if moved {
            self.changed();
        }
        Ok(received)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The queue a name, URL or ARN means.
    fn queue(&mut self, queue: &str) -> Result<(String, &mut Queue), SqsError> {
        let name = queue.rsplit(['/', ':']).next().unwrap_or_default();
        let found = self.queues.get_mut(name).ok_or_else(SqsError::no_queue)?;
        Ok((name.to_owned(), found))
    }

    fn expire(&mut self, queue: &str, now: i64) -> Result<String, SqsError> {
        let (name, queue) = self.queue(queue)?;
        let old = queue.expire(now);
        self.forget(&name, &old);
        Ok(name)
    }

    /// Moves a message to the dead-letter queue of `name`, or drops it where that is not there.
    fn redrive(&mut self, name: &str, number: u64, now: i64) {
        let Some(source) = self.queues.get_mut(name) else { return };
        let arn = source.definition.arn.clone();
        let target = source.definition.redrive.as_ref().map(|redrive| redrive.target_arn.clone()).unwrap_or_default();
        let Some(message) = source.remove(number) else { return };
        self.forget(name, &[number]);
        let Ok((target, queue)) = self.queue(&target) else { return };
        let moved =
            Message { visible_ms: now, receives: 0, first_received_ms: None, dead_letter_source: Some(arn), ..message };
        let number = queue.add(moved);
        self.keep(&target, number);
    }

    fn keep(&mut self, name: &str, number: u64) {
        if let Some(message) = self.queues.get(name).and_then(|queue| queue.message(number)) {
            self.journal.put(&key(name, number), message);
        }
    }

    fn forget(&mut self, name: &str, numbers: &[u64]) {
        for number in numbers {
            self.journal.delete(&key(name, *number));
        }
        let live = self.queues.values().map(|queue| queue.messages().count()).sum();
        if self.journal.is_long(live) {
            let entries: Vec<_> = self
                .queues
                .iter()
                .flat_map(|(name, queue)| queue.messages().map(|(number, message)| (key(name, number), message)))
                .collect();
            self.journal.compact(entries.iter().map(|(key, message)| (key.as_str(), *message)));
        }
    }

    fn id(&mut self) -> String {
        self.next_id += 1;
        let id = self.next_id;
        format!("{:08x}-{:04x}-4000-8000-{:012x}", id >> 36, (id >> 20) & 0xffff, id & 0xf_ffff)
    }
}

fn key(queue: &str, number: u64) -> String {
    format!("{queue}#{number}")
}

/// System attributes by their names on the wire.
fn system_attributes(message: &Message) -> Map<String, Value> {
    let mut attributes = Map::new();
    let mut set = |name: &str, value: String| attributes.insert(name.to_owned(), value.into());
    set("ApproximateReceiveCount", message.receives.to_string());
    set("SentTimestamp", message.sent_ms.to_string());
    set("SenderId", "AIDALOCAL".to_owned());
    if let Some(first) = message.first_received_ms {
        set("ApproximateFirstReceiveTimestamp", first.to_string());
    }
    if let Some(source) = &message.dead_letter_source {
        set("DeadLetterQueueSourceArn", source.clone());
    }
    attributes
}

/// A message as Lambda's event has it, where names start in lower case.
fn event(receipt_handle: String, message: &Message, arn: &str) -> Received {
    let attributes: Map<String, Value> = message
        .attributes
        .iter()
        .map(|(name, attribute)| {
            let value = json!({
                "dataType": attribute.data_type,
                "stringValue": attribute.string_value,
                "binaryValue": attribute.binary_value,
                "stringListValues": [],
                "binaryListValues": [],
            });
            (name.clone(), value)
        })
        .collect();
    let event = json!({
        "messageId": message.id,
        "receiptHandle": receipt_handle,
        "body": message.body,
        "md5OfBody": md5_hex(message.body.as_bytes()),
        "attributes": system_attributes(message),
        "messageAttributes": attributes,
        "eventSource": "aws:sqs",
        "eventSourceARN": arn,
        "awsRegion": REGION,
    });
    Received { message_id: message.id.clone(), receipt_handle, receive_count: message.receives, event }
}

impl std::fmt::Debug for Sqs {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Sqs").field("state", &self.state).finish_non_exhaustive()
    }
}
