//! What a function tells: one JSON object a line, its metrics in CloudWatch's embedded metric format, so that a log line
//! costs no call (CloudWatch user guide, *Embedded metric format specification*).
//!
//! A request leaves one line ([`line()`]). Whatever else is worth telling is a `tracing` event; one with a field `metric` is
//! counted under that name, so that an alarm can stand on it.

use std::fmt;
use std::io::Write as _;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Map, Value, json};
use tracing::field::{Field, Visit};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::{Context, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::env::Clock;
use crate::http::error::causes;

/// Metrics of all stacks of an account; told apart by the dimensions `stage` and `function`.
const NAMESPACE: &str = "Satchel";

static ORIGIN: OnceLock<Origin> = OnceLock::new();
static WARM: AtomicBool = AtomicBool::new(false);

/// Who writes.
#[derive(Debug)]
struct Origin {
    stage: String,
    function: &'static str,
}

/// From now on lines go to standard output as CloudWatch reads them; called once by a Lambda.
pub(crate) fn to_cloudwatch(function: &'static str, stage: Option<String>) {
    let origin = Origin { stage: stage.unwrap_or_default(), function };
    if ORIGIN.set(origin).is_ok() {
        // Not `EnvFilter` and not `fmt`: they bring a regular-expression engine into every function, and lose the causes of
        // an error.
        let filter = Targets::new().with_default(LevelFilter::WARN).with_target("satchel", LevelFilter::INFO);
        let lines = tracing_subscriber::registry().with(Lines { clock: Clock::system() }.with_filter(filter));
        lines.try_init().unwrap_or_else(|error| tracing::warn!(%error, "logging was set up before"));
    }
}

/// Whether this is the first request of the process.
pub(crate) fn is_cold() -> bool {
    !WARM.swap(true, Ordering::Relaxed)
}

/// A metric: name, unit of CloudWatch, value.
pub type Metric = (&'static str, &'static str, f64);

/// Writes a request's line: `fields`, and `metrics` by function and by function and route.
pub fn line(at_millis: i64, level: &'static str, mut fields: Map<String, Value>, metrics: &[Metric]) {
    let definitions = metrics.iter().map(|(name, unit, _)| json!({ "Name": name, "Unit": unit })).collect();
    for (name, _, value) in metrics {
        fields.insert((*name).to_owned(), json!(value));
    }
    fields.insert("level".to_owned(), level.into());
    match ORIGIN.get() {
        Some(origin) => write(origin, at_millis, fields, definitions),
        None => tracing::info!(target: "satchel::request", line = %serde_json::Value::Object(fields), "request"),
    }
}

fn write(origin: &Origin, at_millis: i64, mut fields: Map<String, Value>, metrics: Vec<Value>) {
    if let Some(text) = text(origin, at_millis, &mut fields, metrics) {
        // Where standard output is gone there is nobody left to tell.
        std::io::stdout().lock().write_all(text.as_bytes()).ok();
    }
}

fn text(origin: &Origin, at_millis: i64, fields: &mut Map<String, Value>, metrics: Vec<Value>) -> Option<String> {
    fields.insert("function".to_owned(), origin.function.into());
    fields.insert("stage".to_owned(), origin.stage.clone().into());
    if !metrics.is_empty() {
        let mut dimensions = vec![json!(["stage", "function"])];
        if fields.contains_key("route") {
            dimensions.push(json!(["stage", "function", "route"]));
        }
        let directive = json!({ "Namespace": NAMESPACE, "Dimensions": dimensions, "Metrics": metrics });
        fields.insert("_aws".to_owned(), json!({ "Timestamp": at_millis, "CloudWatchMetrics": [directive] }));
    }
    let mut text = serde_json::to_string(fields).ok()?;
    text.push('\n');
    Some(text)
}

/// Writes every event as a line.
struct Lines {
    clock: Clock,
}

impl<S: tracing::Subscriber> Layer<S> for Lines {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        let Some(origin) = ORIGIN.get() else { return };
        let mut fields = Fields(Map::new());
        event.record(&mut fields);
        let Fields(mut fields) = fields;
        fields.insert("level".to_owned(), event.metadata().level().as_str().into());
        fields.insert("target".to_owned(), event.metadata().target().into());
        let metrics = counted(&mut fields);
        write(origin, self.clock.now().as_millisecond(), fields, metrics);
    }
}

/// The metric that an event's field `metric` names, counted once.
fn counted(fields: &mut Map<String, Value>) -> Vec<Value> {
    match fields.remove("metric") {
        Some(Value::String(name)) => {
            fields.insert(name.clone(), json!(1));
            vec![json!({ "Name": name, "Unit": "Count" })]
        }
        _ => Vec::new(),
    }
}

struct Fields(Map<String, Value>);

impl Fields {
    fn set(&mut self, field: &Field, value: impl Into<Value>) {
        self.0.insert(field.name().to_owned(), value.into());
    }
}

impl Visit for Fields {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.set(field, value);
    }
    fn record_i64(&mut self, field: &Field, value: i64) {
        self.set(field, value);
    }
    fn record_u64(&mut self, field: &Field, value: u64) {
        self.set(field, value);
    }
    fn record_bool(&mut self, field: &Field, value: bool) {
        self.set(field, value);
    }
    fn record_str(&mut self, field: &Field, value: &str) {
        self.set(field, value);
    }
    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.set(field, causes(value));
    }
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.set(field, format!("{value:?}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin() -> Origin {
        Origin { stage: "dev".to_owned(), function: "sync" }
    }

    #[test]
    fn a_line_says_who_writes_and_counts_by_function_and_route() {
        let mut fields = Map::from_iter([("route".to_owned(), json!("GET /x")), ("took_ms".to_owned(), json!(1.5))]);
        let text = text(&origin(), 7, &mut fields, vec![json!({ "Name": "took_ms", "Unit": "Milliseconds" })]).unwrap();
        let line: Value = serde_json::from_str(&text).unwrap();
        assert_eq!((&line["function"], &line["stage"], text.matches('\n').count()), (&json!("sync"), &json!("dev"), 1));
        let directive = &line["_aws"]["CloudWatchMetrics"][0];
        assert_eq!(directive["Dimensions"], json!([["stage", "function"], ["stage", "function", "route"]]));
        for dimension in directive["Dimensions"].as_array().unwrap().iter().flat_map(|list| list.as_array().unwrap()) {
            assert!(line[dimension.as_str().unwrap()].is_string(), "{dimension} is no member of the line");
        }
        assert_eq!(line["_aws"]["Timestamp"], 7);
    }

    #[test]
    fn an_event_with_a_metric_is_counted_and_one_without_is_not() {
        let mut fields = Map::from_iter([("metric".to_owned(), json!("LimiterUnavailable"))]);
        let metrics = counted(&mut fields);
        assert_eq!(metrics, [json!({ "Name": "LimiterUnavailable", "Unit": "Count" })]);
        assert_eq!((fields.get("LimiterUnavailable"), fields.get("metric")), (Some(&json!(1)), None));
        assert!(counted(&mut Map::new()).is_empty());
        let text = text(&origin(), 7, &mut Map::new(), Vec::new()).unwrap();
        assert!(!text.contains("_aws"), "{text}");
    }

    #[test]
    fn an_error_is_told_with_its_causes() {
        use tracing_subscriber::layer::SubscriberExt as _;
        struct Catch(std::sync::Arc<std::sync::Mutex<Map<String, Value>>>);
        impl<S: tracing::Subscriber> Layer<S> for Catch {
            fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
                let mut fields = Fields(Map::new());
                event.record(&mut fields);
                self.0.lock().unwrap().extend(fields.0);
            }
        }
        let caught = std::sync::Arc::default();
        let error: crate::BoxError = satchel_domain::Error::unavailable("the table is throttled").into();
        tracing::subscriber::with_default(
            tracing_subscriber::registry().with(Catch(std::sync::Arc::clone(&caught))),
            || {
                tracing::error!(error = &*error, n = 3, "failed");
            },
        );
        let fields = caught.lock().unwrap();
        assert_eq!((&fields["n"], &fields["message"]), (&json!(3), &json!("failed")));
        assert!(fields["error"].as_str().unwrap().contains("the table is throttled"), "{fields:?}");
    }
}
