//! What left the system, kept for inspection.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use serde_json::Value;
use tokio::sync::watch;

use super::Now;

/// What a message was published to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// A topic, by its ARN.
    Topic(String),
    /// An endpoint of mobile push, by its ARN.
    Endpoint(String),
    /// A telephone number.
    Phone(String),
}

/// A message published through SNS.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Published {
    /// Message id SNS answered with.
    pub message_id: String,
    /// Where it went.
    pub target: Target,
    /// The message.
    pub message: String,
    /// Its subject.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// Its attributes, as text.
    pub attributes: BTreeMap<String, String>,
    /// When, by the injected clock.
    pub at_ms: i64,
}

/// A mail sent through SES.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Mail {
    /// Message id SES answered with.
    pub message_id: String,
    /// Sender.
    pub from: String,
    /// All receivers.
    pub to: Vec<String>,
    /// Subject of a simple mail.
    pub subject: Option<String>,
    /// Text of a simple mail.
    pub text: Option<String>,
    /// HTML of a simple mail.
    pub html: Option<String>,
    /// The request as it came, for what the fields above leave out (raw mails, templates, headers).
    pub request: Value,
    /// When, by the injected clock.
    pub at_ms: i64,
}

/// All that was sent, oldest first.
pub struct Outbox {
    now: Now,
    sent: Mutex<Sent>,
    changes: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Sent {
    published: Vec<Published>,
    mail: Vec<Mail>,
    next: u64,
}

impl Outbox {
    pub(super) fn new(now: Now) -> Self {
        Self { now, sent: Mutex::default(), changes: watch::Sender::new(0) }
    }

    /// Everything published, to topics and elsewhere.
    #[must_use]
    pub fn published(&self) -> Vec<Published> {
        self.lock().published.clone()
    }

    /// What was published to a topic, by its ARN or name.
    #[must_use]
    pub fn topic(&self, topic: &str) -> Vec<Published> {
        self.select(|target| matches!(target, Target::Topic(arn) if arn.rsplit(':').next() == topic.rsplit(':').next()))
    }

    /// What was published to endpoints of mobile push.
    #[must_use]
    pub fn mobile_push(&self) -> Vec<Published> {
        self.select(|target| matches!(target, Target::Endpoint(_)))
    }

    /// What was sent to telephones.
    #[must_use]
    pub fn sms(&self) -> Vec<Published> {
        self.select(|target| matches!(target, Target::Phone(_)))
    }

    /// Mails sent.
    #[must_use]
    pub fn mail(&self) -> Vec<Mail> {
        self.lock().mail.clone()
    }

    /// Changes after everything sent.
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Forgets everything.
    pub fn clear(&self) {
        let mut sent = self.lock();
        sent.published.clear();
        sent.mail.clear();
    }

    /// Keeps a message and gives its id.
    pub(super) fn publish(
        &self,
        target: Target,
        message: String,
        subject: Option<String>,
        attributes: BTreeMap<String, String>,
    ) -> String {
        let mut sent = self.lock();
        let message_id = sent.id();
        let at_ms = (self.now)();
        sent.published.push(Published { message_id: message_id.clone(), target, message, subject, attributes, at_ms });
        drop(sent);
        self.changes.send_modify(|count| *count += 1);
        message_id
    }

    /// Keeps a mail, whose id and time are filled in here, and gives its id.
    pub(super) fn send(&self, mail: Mail) -> String {
        let mut sent = self.lock();
        let message_id = sent.id();
        sent.mail.push(Mail { message_id: message_id.clone(), at_ms: (self.now)(), ..mail });
        drop(sent);
        self.changes.send_modify(|count| *count += 1);
        message_id
    }

    fn select(&self, wanted: impl Fn(&Target) -> bool) -> Vec<Published> {
        self.lock().published.iter().filter(|published| wanted(&published.target)).cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, Sent> {
        self.sent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sent {
    fn id(&mut self) -> String {
        self.next += 1;
        format!("00000000-0000-4000-8000-{:012x}", self.next)
    }
}

impl std::fmt::Debug for Outbox {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Outbox").field("sent", &self.sent).finish_non_exhaustive()
    }
}
