//! The line a request leaves: one JSON object with its metrics in CloudWatch's embedded metric format, so that a log
//! line costs no call (CloudWatch user guide, *Embedded metric format specification*).

use std::io::Write as _;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Map, Value, json};
use tracing_subscriber::EnvFilter;

static CLOUDWATCH: OnceLock<()> = OnceLock::new();
static WARM: AtomicBool = AtomicBool::new(false);

/// From now on lines go to standard output as CloudWatch reads them; called once by a Lambda.
pub(crate) fn to_cloudwatch() {
    let fresh = CLOUDWATCH.set(()).is_ok();
    if fresh {
        let filter = EnvFilter::new("warn,satchel=info");
        let subscriber = tracing_subscriber::fmt()
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .without_time()
            .with_env_filter(filter);
        subscriber.try_init().unwrap_or_else(|error| tracing::warn!(%error, "logging was set up before"));
    }
}

/// Whether this is the first request of the process.
pub(crate) fn is_cold() -> bool {
    !WARM.swap(true, Ordering::Relaxed)
}

/// A metric: name, unit of CloudWatch, value.
pub type Metric = (&'static str, &'static str, f64);

/// Writes one line with `fields` and `metrics`, which are told apart by the dimension `function` and, where `fields` has
/// one, `route`.
pub fn line(at_millis: i64, level: &'static str, mut fields: Map<String, Value>, metrics: &[Metric]) {
    for (name, _, value) in metrics {
        fields.insert((*name).to_owned(), json!(value));
    }
    fields.insert("level".to_owned(), level.into());
    if CLOUDWATCH.get().is_none() {
        tracing::info!(target: "satchel::request", line = %serde_json::Value::Object(fields), "request");
        return;
    }
    let definitions: Vec<Value> = metrics.iter().map(|(name, unit, _)| json!({ "Name": name, "Unit": unit })).collect();
    let dimensions = if fields.contains_key("route") { json!([["route"], []]) } else { json!([[]]) };
    fields.insert(
        "_aws".to_owned(),
        json!({
            "Timestamp": at_millis,
            "CloudWatchMetrics": [{ "Namespace": "Satchel", "Dimensions": dimensions, "Metrics": definitions }]
        }),
    );
    let mut text = Value::Object(fields).to_string();
    text.push('\n');
    if std::io::stdout().lock().write_all(text.as_bytes()).is_err() {
        tracing::warn!("standard output is gone");
    }
}

/// Counts one event by name outside of a request's line, such as a failed verification.
pub fn count(at_millis: i64, name: &'static str, fields: Map<String, Value>) {
    line(at_millis, "info", fields, &[(name, "Count", 1.0)]);
}
