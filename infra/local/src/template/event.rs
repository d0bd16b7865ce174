//! What invokes a function: routes, queues, streams and schedules.

use std::time::Duration;

use serde_json::Value;

use super::resource::{number, truthy};
use super::{Filters, Template};

/// Where a stream mapping starts the first time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// At the oldest record.
    TrimHorizon,
    /// After the newest record.
    Latest,
}

/// One event source of a function.
#[derive(Debug, Clone)]
pub enum Event {
    /// A route of the HTTP API.
    Http {
        /// Name of the event in the template.
        id: String,
        /// Method in upper case, or `ANY`.
        method: String,
        /// Path as in the template, such as `/sync/{proxy+}`.
        path: String,
    },
    /// A queue.
    Sqs {
        /// Name of the event in the template.
        id: String,
        /// Logical id of the queue.
        queue: String,
        /// Most messages a batch holds.
        batch_size: u32,
        /// Longest wait for a batch to fill.
        window: Duration,
        /// Whether the function answers with the messages that failed.
        report_failures: bool,
        /// Which messages it wants.
        filters: Filters,
    },
    /// The stream of a table.
    Stream {
        /// Name of the event in the template.
        id: String,
        /// Logical id of the table.
        table: String,
        /// Most records a batch holds.
        batch_size: u32,
        /// Longest wait for a batch to fill.
        window: Duration,
        /// Whether the function answers with the record it stopped at.
        report_failures: bool,
        /// Which records it wants.
        filters: Filters,
        /// Whether a failing batch is halved.
        bisect: bool,
        /// Tries after the first before records are given up; `None` is for ever.
        max_retries: Option<u32>,
        /// Age at which records are given up; `None` is never.
        max_age: Option<Duration>,
        /// Logical id of the queue that hears of records given up.
        on_failure: Option<String>,
        /// Where it starts the first time.
        start: Start,
        /// Batches of one shard that may run side by side, each with partition keys of its own.
        parallelization: u32,
    },
    /// A schedule.
    Schedule {
        /// Name of the event in the template.
        id: String,
        /// Name of the schedule, the event's unless the template gives one.
        name: String,
        /// `rate(…)` or `cron(…)`.
        expression: String,
        /// Input instead of the schedule's own event.
        input: Option<String>,
    },
}

/// Reads one entry of `Events`; kinds the local process has no source for are `None`.
pub(super) fn read(id: &str, event: &Value, template: &Template) -> Result<Option<Event>, String> {
    let id = id.to_owned();
    let properties = &event["Properties"];
    let event = match event["Type"].as_str().unwrap_or_default() {
        "HttpApi" => {
            // Without a path SAM makes the function the default route.
            let path = properties["Path"].as_str().unwrap_or("/{proxy+}").to_owned();
            let method = properties["Method"].as_str().unwrap_or("ANY").to_uppercase();
            let method = if method == "*" { "ANY".to_owned() } else { method };
            Event::Http { id, method, path }
        }
        "SQS" => Event::Sqs {
            id,
            queue: queue(&properties["Queue"], template)?,
            batch_size: number(properties, "BatchSize")?.unwrap_or(10),
            window: seconds(properties, "MaximumBatchingWindowInSeconds")?.unwrap_or_default(),
            report_failures: reports(properties),
            filters: Filters::read(&properties["FilterCriteria"])?,
        },
        "DynamoDB" => {
            let stream = properties["Stream"].as_str().unwrap_or_default();
            let table = template.tables().iter().find(|table| table.stream_arn == stream);
            let table = table.ok_or_else(|| format!("`{stream}` is not the stream of a table here"))?;
            if table.stream.is_none() {
                return Err(format!("{} has no stream", table.logical_id));
            }
            let on_failure = match &properties["DestinationConfig"]["OnFailure"]["Destination"] {
                Value::Null => None,
                destination => Some(queue(destination, template)?),
            };
            Event::Stream {
                id,
                table: table.logical_id.clone(),
                batch_size: number(properties, "BatchSize")?.unwrap_or(100),
                window: seconds(properties, "MaximumBatchingWindowInSeconds")?.unwrap_or_default(),
                report_failures: reports(properties),
                filters: Filters::read(&properties["FilterCriteria"])?,
                bisect: truthy(&properties["BisectBatchOnFunctionError"]),
                max_retries: limit(properties, "MaximumRetryAttempts")?,
                max_age: limit(properties, "MaximumRecordAgeInSeconds")?.map(|age| Duration::from_secs(age.into())),
                on_failure,
                start: match properties["StartingPosition"].as_str() {
                    Some("TRIM_HORIZON") => Start::TrimHorizon,
                    Some("LATEST") => Start::Latest,
                    other => return Err(format!("StartingPosition {other:?} is not known here")),
                },
                parallelization: number(properties, "ParallelizationFactor")?.unwrap_or(1),
            }
        }
        "Schedule" | "ScheduleV2" => {
            let expression = properties["Schedule"].as_str().or_else(|| properties["ScheduleExpression"].as_str());
            Event::Schedule {
                name: properties["Name"].as_str().unwrap_or(&id).to_owned(),
                expression: expression.ok_or("a schedule without an expression")?.to_owned(),
                input: properties["Input"].as_str().map(str::to_owned),
                id,
            }
        }
        _ => return Ok(None),
    };
    Ok(Some(event))
}

fn queue(arn: &Value, template: &Template) -> Result<String, String> {
    let found = template.queues().iter().find(|queue| arn == queue.arn.as_str());
    found.map(|queue| queue.logical_id.clone()).ok_or_else(|| format!("{arn} is not the ARN of a queue here"))
}

fn reports(properties: &Value) -> bool {
    let mut kinds = properties["FunctionResponseTypes"].as_array().into_iter().flatten();
    kinds.any(|kind| kind == "ReportBatchItemFailures")
}

fn seconds(properties: &Value, name: &str) -> Result<Option<Duration>, String> {
    Ok(number(properties, name)?.map(|seconds| Duration::from_secs(seconds.into())))
}

/// A limit of a mapping; `-1` and absence both mean there is none.
fn limit(properties: &Value, name: &str) -> Result<Option<u32>, String> {
    if properties[name] == -1 || properties[name] == "-1" { Ok(None) } else { number(properties, name) }
}
