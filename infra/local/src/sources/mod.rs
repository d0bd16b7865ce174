//! What invokes functions besides requests: event source mappings of queues and streams, and schedules, all by the
//! injected clock and woken by what happens, never by polling.

mod activity;
mod position;
mod queue;
mod schedule;
mod stream;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;
use tokio::task::JoinSet;

use crate::clock::LocalClock;
use crate::functions::{Failure, Functions};
use crate::services::Services;
use crate::template::{Event, Template};

use activity::Activity;
use position::Positions;
use queue::QueueSource;
use schedule::Schedules;
use stream::StreamSource;

/// What is still to be done, for one source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Pending {
    /// The queue's name, or the function of a stream.
    pub source: String,
    /// Messages or records.
    pub count: u64,
}

/// All event sources of a stack; they stop when this is dropped.
pub(crate) struct Sources {
    services: Services,
    clock: LocalClock,
    activity: Arc<Activity>,
    queues: Vec<QueueSource>,
    streams: Vec<StreamSource>,
    schedules: Arc<Schedules>,
    tasks: Mutex<JoinSet<()>>,
}

impl Sources {
    /// The sources of the template's functions, not yet running; `positions` is the file that keeps how far streams
    /// were read.
    ///
    /// # Errors
    /// Everything that cannot be a source.
    pub(crate) fn new(
        template: &Template,
        functions: &Functions,
        services: &Services,
        clock: &LocalClock,
        positions: Option<PathBuf>,
    ) -> Result<Self, Vec<String>> {
        let mut complaints = Vec::new();
        let activity = Arc::new(Activity::default());
        // An engine on a file stamps its records by the machine's clock whatever the injected one says.
        let ages_by_machine = positions.is_some();
        let positions = Arc::new(Positions::open(positions).map_err(|error| vec![error])?);
        let (mut queues, mut streams) = (Vec::new(), Vec::new());
        let mut schedules = Schedules::new(clock.clone(), Arc::clone(&activity));
        for block in template.functions() {
            let Some(function) = functions.get(&block.logical_id) else { continue };
            for event in &block.events {
                if !matches!(event, Event::Http { .. }) && function.handler().is_none() {
                    complaints.push(format!("{} has an event source but takes requests", block.logical_id));
                }
                match event {
                    Event::Http { .. } => {}
                    Event::Sqs { id, queue, batch_size, window, report_failures, filters } => {
                        match template.queue(queue) {
                            Some(queue) => queues.push(QueueSource {
                                services: services.clone(),
                                clock: clock.clone(),
                                activity: Arc::clone(&activity),
                                function: Arc::clone(function),
                                queue: queue.name.clone(),
                                batch_size: (*batch_size).max(1) as usize,
                                window: *window,
                                report_failures: *report_failures,
                                filters: filters.clone(),
                            }),
                            None => complaints.push(format!("{}.{id}: there is no queue {queue}", block.logical_id)),
                        }
                    }
                    Event::Stream { table, .. } => match template.table(table) {
                        Some(table) => streams.push(StreamSource::new(
                            stream::Parts {
                                services: services.clone(),
                                clock: clock.clone(),
                                activity: Arc::clone(&activity),
                                positions: Arc::clone(&positions),
                                function: Arc::clone(function),
                                ages_by_machine,
                            },
                            table,
                            event,
                            |id| template.queue(id).map(|queue| queue.name.clone()),
                        )),
                        None => complaints.push(format!("{}: there is no table {table}", block.logical_id)),
                    },
                    Event::Schedule { id, name, expression, input } => {
                        let added = schedules.add(Arc::clone(function), id, name, expression, input.as_deref());
                        if let Err(error) = added {
                            complaints.push(format!("{}.{id}: {error}", block.logical_id));
                        }
                    }
                }
            }
        }
        if !complaints.is_empty() {
            return Err(complaints);
        }
        let (services, clock, schedules) = (services.clone(), clock.clone(), Arc::new(schedules));
        Ok(Self { services, clock, activity, queues, streams, schedules, tasks: Mutex::default() })
    }

    /// Starts all of them in the background.
    pub(crate) fn start(&self) {
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        for queue in &self.queues {
            tasks.spawn(queue.clone().run());
        }
        for stream in &self.streams {
            tasks.spawn(stream.clone().run());
        }
        if !self.clock.is_manual() {
            tasks.spawn(Arc::clone(&self.schedules).run());
        }
    }

    /// Stops all of them where they stand: what was under way is delivered again, as after a crash.
    pub(crate) async fn stop(&self) {
        let mut tasks = std::mem::take(&mut *self.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        tasks.shutdown().await;
    }

    /// Begins again after the tables were emptied: at the end of the streams, whose old records outlive that, and with
    /// schedules that count from now.
    pub(crate) fn forget(&self) {
        for stream in &self.streams {
            stream.skip();
        }
        self.schedules.forget();
    }

    /// Runs what is due after the clock was moved.
    pub(crate) fn clock_moved(&self) {
        self.schedules.fire_due();
    }

    /// Names of the schedules.
    pub(crate) fn schedules(&self) -> Vec<String> {
        self.schedules.names()
    }

    /// Runs the schedule `name` (its own name, or its function's) now.
    ///
    /// # Errors
    /// `None` where there is no such schedule, else what the function failed of.
    pub(crate) async fn run(&self, name: &str) -> Result<Value, Option<Failure>> {
        self.schedules.run_now(name).await
    }

    /// Waits until everything is done that can be done without moving the clock, at most `limit`; what is left is
    /// returned: messages that failed and are hidden until their visibility timeout, or what was not reached in time.
    pub(crate) async fn drain(&self, limit: Duration) -> Vec<Pending> {
        let deadline = tokio::time::Instant::now() + limit;
        let mut work = self.activity.subscribe();
        let mut queues = self.services.sqs().subscribe();
        let mut tables = self.services.dynamodb().subscribe();
        loop {
            let before = (*work.borrow_and_update(), *queues.borrow_and_update(), *tables.borrow_and_update());
            let look = self.look();
            // Busy is asked last: what a handler sent before it ended has changed one of the three counters.
            let busy = self.activity.running();
            let after = (*work.borrow(), *queues.borrow(), *tables.borrow());
            // Hidden messages wait for the clock: one that is moved by hand does not bring them here.
            let may_wait = look.hidden > 0 && !self.clock.is_manual();
            if busy == 0 && look.ready == 0 && before == after && !may_wait {
                return look.pending;
            }
            if tokio::time::Instant::now() >= deadline {
                return look.pending;
            }
            if before != after {
                tokio::task::yield_now().await;
                continue;
            }
            let next_due = look.next_due_ms;
            tokio::select! {
                () = tokio::time::sleep_until(deadline) => {}
                _ = work.changed() => {}
                _ = queues.changed() => {}
                _ = tables.changed() => {}
                () = self.clock.until(next_due) => {}
            }
        }
    }

    fn look(&self) -> Look {
        let mut look = Look::default();
        let mut seen = std::collections::BTreeSet::new();
        for source in &self.queues {
            if !seen.insert(&source.queue) {
                continue;
            }
            let Ok(counts) = self.services.sqs().counts(&source.queue) else { continue };
            let (visible, in_flight) = (counts.visible as u64, counts.in_flight as u64);
            look.ready += visible;
            look.hidden += in_flight;
            if in_flight > 0 {
                look.next_due_ms = match (look.next_due_ms, counts.next_due_ms) {
                    (Some(left), Some(right)) => Some(left.min(right)),
                    (left, right) => left.or(right),
                };
            }
            look.add(&source.queue, visible + in_flight);
        }
        for source in &self.streams {
            let unread = source.unread();
            look.ready += unread;
            look.add(&source.name, unread);
        }
        look
    }
}

/// What a look at all sources found.
#[derive(Debug, Default)]
struct Look {
    /// What a source takes up now.
    ready: u64,
    /// What is in flight, or failed and waits for its visibility timeout.
    hidden: u64,
    next_due_ms: Option<i64>,
    pending: Vec<Pending>,
}

impl Look {
    fn add(&mut self, source: &str, count: u64) {
        if count > 0 {
            self.pending.push(Pending { source: source.to_owned(), count });
        }
    }
}

/// The ids that a function reports as failed (`ReportBatchItemFailures`).
///
/// # Errors
/// An answer that makes Lambda take the whole batch for failed.
fn reported(answer: &Value) -> Result<Vec<String>, Failure> {
    let wrong = || Failure::Error("the answer names a failed item in a way that Lambda does not understand".to_owned());
    match answer.get("batchItemFailures") {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::Array(items)) => items
            .iter()
            .map(|item| match item["itemIdentifier"].as_str() {
                Some(id) if !id.is_empty() => Ok(id.to_owned()),
                _ => Err(wrong()),
            })
            .collect(),
        Some(_) => Err(wrong()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_answer_names_failures_as_lambda_understands_them() {
        for good in [json!(null), json!({}), json!({"batchItemFailures": null}), json!({"batchItemFailures": []})] {
            assert_eq!(reported(&good), Ok(Vec::new()));
        }
        let two = json!({"batchItemFailures": [{"itemIdentifier": "a"}, {"itemIdentifier": "b"}]});
        assert_eq!(reported(&two).unwrap(), ["a", "b"]);
        for bad in [json!([{}]), json!([{"itemIdentifier": ""}]), json!([{"itemIdentifier": null}]), json!("a")] {
            assert!(reported(&json!({ "batchItemFailures": bad })).is_err());
        }
    }
}
