//! The mapping of a table's stream to a function: in order, with retries, halving of failing batches, limits, and a
//! queue that hears of what was given up, so that a poison record never blocks the ones behind it.
//!
//! # Limits
//! A table has one shard here, and its batches run one after the other whatever `ParallelizationFactor` says.

use std::sync::Arc;
use std::time::Duration;

use satchel_domain::Timestamp;
use serde_json::{Value, json};

use super::activity::Activity;
use super::position::Positions;
use super::reported;
use crate::clock::LocalClock;
use crate::functions::{Built, Failure};
use crate::services::{Position, Record, Services};
use crate::template::{Event, Filters, Start, Table};

/// First pause before a batch is tried again.
const FIRST_PAUSE: Duration = Duration::from_millis(1);
/// Longest pause, where the clock runs; where it stands still, tests wait, and it is short.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
const LONGEST_PAUSE_IN_TESTS: Duration = Duration::from_millis(10);

/// What every mapping works with.
#[derive(Clone)]
pub(crate) struct Parts {
    pub(crate) services: Services,
    pub(crate) clock: LocalClock,
    pub(crate) activity: Arc<Activity>,
    pub(crate) positions: Arc<Positions>,
    pub(crate) function: Arc<Built>,
    /// Whether records are stamped by the machine's clock.
    pub(crate) ages_by_machine: bool,
}

/// One mapping.
#[derive(Clone)]
pub(crate) struct StreamSource {
    parts: Parts,
    /// The function's name and the table's.
    pub(crate) name: String,
    table: String,
    stream_arn: String,
    batch_size: usize,
    window: Duration,
    report_failures: bool,
    filters: Filters,
    bisect: bool,
    max_retries: Option<u32>,
    max_age: Option<Duration>,
    on_failure: Option<String>,
    start: Start,
}

/// Why records were given up, in Lambda's words.
#[derive(Debug, Clone, Copy)]
enum GivenUp {
    Retries,
    Age,
}

impl StreamSource {
    /// The mapping `event` of `table`; `queue` finds a queue's name by its logical id.
    pub(crate) fn new(parts: Parts, table: &Table, event: &Event, queue: impl Fn(&str) -> Option<String>) -> Self {
        let mut source = Self {
            name: format!("{} (stream of {})", parts.function.name, table.logical_id),
            parts,
            table: table.name.clone(),
            stream_arn: table.stream_arn.clone(),
            batch_size: 100,
            window: Duration::ZERO,
            report_failures: false,
            filters: Filters::default(),
            bisect: false,
            max_retries: None,
            max_age: None,
            on_failure: None,
            start: Start::TrimHorizon,
        };
        if let Event::Stream {
            batch_size,
            window,
            report_failures,
            filters,
            bisect,
            max_retries,
            max_age,
            on_failure,
            start,
            ..
        } = event
        {
            source.batch_size = (*batch_size).max(1) as usize;
            source.window = *window;
            source.report_failures = *report_failures;
            source.filters = filters.clone();
            source.bisect = *bisect;
            source.max_retries = *max_retries;
            source.max_age = *max_age;
            source.on_failure = on_failure.as_deref().and_then(queue);
            source.start = *start;
        }
        source
    }

    /// Records that wait, at most one.
    pub(crate) fn unread(&self) -> u64 {
        let read = self.parts.services.dynamodb().poll(&self.table, &self.position(), 1);
        read.map_or(0, |batch| batch.records.len() as u64)
    }

    /// Takes everything that is there for handled.
    pub(crate) fn skip(&self) {
        match self.parts.services.dynamodb().latest(&self.table) {
            Ok(position) => self.parts.positions.set(&self.name, position),
            Err(error) => tracing::error!(table = %self.table, %error, "a stream cannot be read"),
        }
    }

    fn position(&self) -> Position {
        if let Some(position) = self.parts.positions.get(&self.name) {
            return position;
        }
        match self.start {
            Start::TrimHorizon => Position::TrimHorizon,
            Start::Latest => match self.parts.services.dynamodb().latest(&self.table) {
                Ok(position) => {
                    self.parts.positions.set(&self.name, position.clone());
                    position
                }
                Err(_) => Position::TrimHorizon,
            },
        }
    }

    /// Runs until it is dropped.
    pub(crate) async fn run(self) {
        let mut changes = self.parts.services.dynamodb().subscribe();
        loop {
            changes.borrow_and_update();
            let busy = self.parts.activity.begin();
            match self.parts.services.dynamodb().poll(&self.table, &self.position(), self.batch_size) {
                Ok(batch) if !batch.records.is_empty() => {
                    if batch.records.len() < self.batch_size && !self.window.is_zero() && !self.parts.clock.is_manual()
                    {
                        tokio::time::sleep(self.window).await;
                    }
                    self.deliver(batch.records).await;
                    self.parts.positions.set(&self.name, batch.next);
                    continue;
                }
                Ok(_) => {}
                Err(error) => tracing::error!(table = %self.table, %error, "a stream cannot be read"),
            }
            drop(busy);
            if changes.changed().await.is_err() {
                return;
            }
        }
    }

    /// Handles `records` in order until each was handled, filtered out or given up.
    async fn deliver(&self, records: Vec<Record>) {
        let wanted: Vec<Record> = records.into_iter().filter(|record| self.filters.matches(&record.event)).collect();
        // A stack of pieces: the piece on top comes first.
        let mut pieces = vec![(wanted, 0_u32)];
        while let Some((piece, tries)) = pieces.pop() {
            let piece = self.without_old(piece, tries);
            if piece.is_empty() {
                continue;
            }
            let Err(handled) = self.invoke(&piece).await else { continue };
            let mut rest = piece;
            let rest = rest.split_off(handled);
            if handled > 0 {
                pieces.push((rest, 0));
            } else if self.bisect && rest.len() > 1 {
                // Halving does not count as a try.
                let mut first = rest;
                let second = first.split_off(first.len() / 2);
                pieces.push((second, tries));
                pieces.push((first, tries));
            } else if self.max_retries.is_some_and(|most| tries >= most) {
                self.give_up(&rest, GivenUp::Retries, tries + 1);
                continue;
            } else {
                pieces.push((rest, tries + 1));
            }
            let longest = if self.parts.clock.is_manual() { LONGEST_PAUSE_IN_TESTS } else { LONGEST_PAUSE };
            tokio::time::sleep((FIRST_PAUSE * 2_u32.saturating_pow(tries.min(16))).min(longest)).await;
        }
    }

    /// Invokes the function; on failure the number of records from the beginning that are done.
    async fn invoke(&self, records: &[Record]) -> Result<(), usize> {
        let events: Vec<&Value> = records.iter().map(|record| &record.event).collect();
        let answer = self.parts.function.invoke(json!({ "Records": events })).await;
        let failed = answer.and_then(|answer| if self.report_failures { reported(&answer) } else { Ok(Vec::new()) });
        match failed {
            Ok(failed) if failed.is_empty() => Ok(()),
            // The lowest of the reported ones is where Lambda goes on; one it does not know fails the whole batch.
            Ok(failed) => {
                let known = |id: &String| records.iter().position(|record| record.sequence_number == *id);
                let places: Option<Vec<usize>> = failed.iter().map(known).collect();
                Err(places.and_then(|places| places.into_iter().min()).unwrap_or(0))
            }
            Err(Failure::NoEvents) => Ok(()),
            Err(_) => Err(0),
        }
    }

    /// What is left of `records` once the ones that are too old were given up.
    fn without_old(&self, records: Vec<Record>, tries: u32) -> Vec<Record> {
        let Some(max_age) = self.max_age else { return records };
        let clock = &self.parts.clock;
        let now = if self.parts.ages_by_machine { clock.machine_ms() } else { clock.now_ms() };
        let oldest = now.saturating_sub(i64::try_from(max_age.as_millis()).unwrap_or(i64::MAX));
        let (fresh, old): (Vec<_>, Vec<_>) = records.into_iter().partition(|record| record.created_ms >= oldest);
        if !old.is_empty() {
            self.give_up(&old, GivenUp::Age, tries);
        }
        fresh
    }

    /// Tells the on-failure queue, in the shape Lambda uses, where the records are: not what is in them.
    fn give_up(&self, records: &[Record], why: GivenUp, tries: u32) {
        let (Some(first), Some(last)) = (records.first(), records.last()) else { return };
        let condition = match why {
            GivenUp::Retries => "RetryAttemptsExhausted",
            GivenUp::Age => "RecordAgeExceeded",
        };
        tracing::error!(function = %self.parts.function.name, condition, records = records.len(), "records were given up");
        let Some(queue) = &self.on_failure else { return };
        let time = |ms: i64| Timestamp::from_millisecond(ms).unwrap_or(Timestamp::MIN).to_string();
        let message = json!({
            "requestContext": {
                "requestId": first.event["eventID"],
                "functionArn": format!("arn:aws:lambda:us-east-1:000000000000:function:{}", self.parts.function.name),
                "condition": condition,
                "approximateInvokeCount": tries,
            },
            "responseContext": { "statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled" },
            "version": "1.0",
            "timestamp": time(self.parts.clock.now_ms()),
            "DDBStreamBatchInfo": {
                "shardId": "shardId-00000000000000000000-00000000",
                "startSequenceNumber": first.sequence_number,
                "endSequenceNumber": last.sequence_number,
                "approximateArrivalOfFirstRecord": time(first.created_ms),
                "approximateArrivalOfLastRecord": time(last.created_ms),
                "batchSize": records.len(),
                "streamArn": self.stream_arn,
            },
        });
        if let Err(error) = self.parts.services.sqs().send(queue, &message.to_string(), None) {
            tracing::error!(%queue, %error, "the on-failure queue cannot be told");
        }
    }
}
