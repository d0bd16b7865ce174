//! The mapping of a queue to a function: receives, filters, invokes, deletes what succeeded and leaves the rest to the
//! queue's visibility timeout.
//!
//! # Limits
//! One batch at a time, where Lambda runs several side by side.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::activity::Activity;
use super::reported;
use crate::clock::LocalClock;
use crate::functions::{Built, Failure};
use crate::services::{Received, Services};
use crate::template::Filters;

/// Most messages one receive gives.
const RECEIVE: usize = 10;

/// One mapping.
#[derive(Clone)]
pub(crate) struct QueueSource {
    pub(crate) services: Services,
    pub(crate) clock: LocalClock,
    pub(crate) activity: Arc<Activity>,
    pub(crate) function: Arc<Built>,
    /// The queue's name.
    pub(crate) queue: String,
    pub(crate) batch_size: usize,
    pub(crate) window: Duration,
    pub(crate) report_failures: bool,
    pub(crate) filters: Filters,
}

impl QueueSource {
    /// Runs until it is dropped.
    pub(crate) async fn run(self) {
        let mut changes = self.services.sqs().subscribe();
        loop {
            changes.borrow_and_update();
            // Busy before the first look, so that who waits for quiet never sees a message that nobody holds.
            let busy = self.activity.begin();
            let batch = self.collect().await;
            if batch.is_empty() {
                drop(busy);
                let next_due = self.services.sqs().counts(&self.queue).ok().and_then(|counts| counts.next_due_ms);
                tokio::select! {
                    changed = changes.changed() => if changed.is_err() { return },
                    () = self.clock.until(next_due) => {}
                }
                continue;
            }
            self.deliver(batch).await;
        }
    }

    /// Receives until the batch is full, nothing is there, or the window has passed.
    async fn collect(&self) -> Vec<Received> {
        let mut batch = Vec::new();
        let mut until = None;
        let mut changes = self.services.sqs().subscribe();
        loop {
            changes.borrow_and_update();
            match self.services.sqs().receive(&self.queue, RECEIVE.min(self.batch_size - batch.len()), None) {
                Ok(more) => batch.extend(more),
                Err(error) => {
                    tracing::error!(queue = %self.queue, %error, "a queue cannot be read");
                    return batch;
                }
            }
            if batch.is_empty() || batch.len() >= self.batch_size {
                return batch;
            }
            let counts = self.services.sqs().counts(&self.queue);
            if counts.is_ok_and(|counts| counts.visible > 0) {
                continue;
            }
            // With a clock that stands still the window would never pass: it has passed.
            if self.window.is_zero() || self.clock.is_manual() {
                return batch;
            }
            let until = *until.get_or_insert_with(|| tokio::time::Instant::now() + self.window);
            if tokio::time::timeout_at(until, changes.changed()).await.is_err() {
                return batch;
            }
        }
    }

    async fn deliver(&self, batch: Vec<Received>) {
        let (wanted, unwanted): (Vec<_>, Vec<_>) =
            batch.into_iter().partition(|message| self.filters.matches_sqs(&message.event));
        self.delete(unwanted.iter());
        if wanted.is_empty() {
            return;
        }
        let records: Vec<&Value> = wanted.iter().map(|message| &message.event).collect();
        let outcome = self.function.invoke(json!({ "Records": records })).await.and_then(|answer| {
            let failed = if self.report_failures { reported(&answer)? } else { Vec::new() };
            let known = |id: &String| wanted.iter().any(|message| message.message_id == *id);
            if failed.iter().all(known) {
                Ok(failed)
            } else {
                Err(Failure::Error("the answer names a message that is not in the batch".to_owned()))
            }
        });
        match outcome {
            Ok(failed) => self.delete(wanted.iter().filter(|message| !failed.contains(&message.message_id))),
            Err(failure) => {
                let messages = wanted.len();
                tracing::warn!(queue = %self.queue, %failure, messages, "a whole batch failed");
            }
        }
    }

    fn delete<'m>(&self, messages: impl Iterator<Item = &'m Received>) {
        for message in messages {
            if let Err(error) = self.services.sqs().delete(&self.queue, &message.receipt_handle) {
                tracing::error!(queue = %self.queue, message.id = %message.message_id, %error, "a message cannot be deleted");
            }
        }
    }
}
