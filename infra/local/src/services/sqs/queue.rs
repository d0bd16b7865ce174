//! One queue as a plain state: messages, when each is next visible, how often it was received. Time comes in as a value.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use crate::services::checksum::md5_hex;
use crate::template::Queue as Definition;

/// A message attribute as sent, with what its MD5 is taken of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Attribute {
    pub(super) data_type: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) string_value: Option<String>,
    /// In base64, as on the wire.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) binary_value: Option<String>,
}

/// A message and its state.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Message {
    pub(super) id: String,
    pub(super) body: String,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) attributes: BTreeMap<String, Attribute>,
    pub(super) sent_ms: i64,
    pub(super) visible_ms: i64,
    #[serde(default)]
    pub(super) first_received_ms: Option<i64>,
    #[serde(default)]
    pub(super) receives: u32,
    /// The queue it was moved here from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) dead_letter_source: Option<String>,
}

/// Why a receipt handle is of no use.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Receipt {
    /// It never came from this queue.
    Invalid,
    /// Its message is gone, or was received again or became visible since.
    Stale,
}

/// How many messages a queue holds, by state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Ready to be received.
    pub visible: usize,
    /// Received and not yet visible again.
    pub in_flight: usize,
    /// Sent with a delay that has not passed.
    pub delayed: usize,
    /// When the next hidden message becomes visible, by the injected clock.
    pub next_due_ms: Option<i64>,
}

/// A queue.
#[derive(Debug)]
pub(super) struct Queue {
    pub(super) definition: Definition,
    messages: BTreeMap<u64, Message>,
    /// Messages by the time they are next visible, oldest first.
    order: BTreeSet<(i64, u64)>,
    next: u64,
}

impl Queue {
    pub(super) fn new(definition: Definition) -> Self {
        Self { definition, messages: BTreeMap::new(), order: BTreeSet::new(), next: 1 }
    }

    /// Puts a message back that was kept over a restart.
    pub(super) fn restore(&mut self, number: u64, message: Message) {
        self.next = self.next.max(number + 1);
        self.order.insert((message.visible_ms, number));
        self.messages.insert(number, message);
    }

    /// Adds a message and gives its number.
    pub(super) fn add(&mut self, message: Message) -> u64 {
        let number = self.next;
        self.restore(number, message);
        number
    }

    pub(super) fn message(&self, number: u64) -> Option<&Message> {
        self.messages.get(&number)
    }

    pub(super) fn messages(&self) -> impl Iterator<Item = (u64, &Message)> {
        self.messages.iter().map(|(number, message)| (*number, message))
    }

    /// Removes what is older than the queue keeps messages; the numbers of what was removed.
    pub(super) fn expire(&mut self, now: i64) -> Vec<u64> {
        let oldest = now - i64::from(self.definition.retention_s) * 1000;
        // Numbers grow with time, so only the front can be too old. A moved message keeps its time and may hide
        // others behind it a little longer.
        let old: Vec<_> = self
            .messages
            .iter()
            .take_while(|(_, message)| message.sent_ms < oldest)
            .map(|(number, _)| *number)
            .collect();
        for number in &old {
            self.remove(*number);
        }
        old
    }

    /// The next visible message that was received `max_receives` times already, taken out.
    ///
    /// `None` in the first place: nothing is visible. In the second: it may be received.
    pub(super) fn next_visible(&self, now: i64) -> Option<(u64, bool)> {
        let (_, number) = *self.order.first().filter(|(visible, _)| *visible <= now)?;
        let receives = self.messages.get(&number)?.receives;
        let spent = self.definition.redrive.as_ref().is_some_and(|redrive| receives >= redrive.max_receives);
        Some((number, spent))
    }

    /// Marks a message as received and hides it until `until`; its receipt handle.
    pub(super) fn receive(&mut self, number: u64, now: i64, until: i64) -> Option<String> {
        let message = self.messages.get_mut(&number)?;
        message.receives += 1;
        message.first_received_ms.get_or_insert(now);
        let handle = format!("{}~{number}~{}", message.id, message.receives);
        self.hide(number, until);
        Some(handle)
    }

    /// Finds the message a receipt handle stands for, if it was not received again since.
    pub(super) fn find(&self, handle: &str) -> Result<u64, Receipt> {
        let mut parts = handle.split('~');
        let (Some(id), Some(number), Some(receives), None) = (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(Receipt::Invalid);
        };
        let (Ok(number), Ok(receives)) = (number.parse::<u64>(), receives.parse::<u32>()) else {
            return Err(Receipt::Invalid);
        };
        match self.messages.get(&number) {
            Some(message) if message.id == id && message.receives == receives => Ok(number),
            _ => Err(Receipt::Stale),
        }
    }

    /// Changes when a message is next visible.
    pub(super) fn hide(&mut self, number: u64, until: i64) {
        if let Some(message) = self.messages.get_mut(&number) {
            self.order.remove(&(message.visible_ms, number));
            message.visible_ms = until;
            self.order.insert((until, number));
        }
    }

    /// Takes a message out.
    pub(super) fn remove(&mut self, number: u64) -> Option<Message> {
        let message = self.messages.remove(&number)?;
        self.order.remove(&(message.visible_ms, number));
        Some(message)
    }

    /// Removes all messages; their numbers.
    pub(super) fn purge(&mut self) -> Vec<u64> {
        self.order.clear();
        std::mem::take(&mut self.messages).into_keys().collect()
    }

    pub(super) fn counts(&self, now: i64) -> Counts {
        let mut counts = Counts::default();
        for (visible, number) in &self.order {
            if *visible <= now {
                counts.visible += 1;
                continue;
            }
            counts.next_due_ms.get_or_insert(*visible);
            if self.messages.get(number).is_some_and(|message| message.receives > 0) {
                counts.in_flight += 1;
            } else {
                counts.delayed += 1;
            }
        }
        counts
    }
}

/// MD5 of message attributes: name, type and value of each in the order of names, each after its length.
pub(super) fn md5_of(attributes: &BTreeMap<String, Attribute>) -> Option<String> {
    if attributes.is_empty() {
        return None;
    }
    let mut bytes = Vec::new();
    let mut add = |part: &[u8], kind: Option<u8>| {
        bytes.extend(kind);
        bytes.extend(u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes());
        bytes.extend(part);
    };
    for (name, attribute) in attributes {
        add(name.as_bytes(), None);
        add(attribute.data_type.as_bytes(), None);
        match &attribute.binary_value {
            Some(value) => add(&STANDARD.decode(value).unwrap_or_default(), Some(2)),
            None => add(attribute.string_value.as_deref().unwrap_or_default().as_bytes(), Some(1)),
        }
    }
    Some(md5_hex(&bytes))
}
