//! What is told to the log.

use std::fmt::Write as _;
use std::sync::{Arc, Mutex};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::DefaultGuard;
use tracing::{Event, Metadata, Subscriber};

/// Every line of ours that this thread tells while it lives.
pub(super) struct Heard {
    lines: Arc<Mutex<Vec<String>>>,
    _guard: DefaultGuard,
}

struct Ear(Arc<Mutex<Vec<String>>>);

struct Line(String);

impl Visit for Line {
    fn record_str(&mut self, field: &Field, value: &str) {
        write!(self.0, " {}={value}", field.name()).unwrap();
    }

    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        write!(self.0, " {}={value:?}", field.name()).unwrap();
    }
}

impl Subscriber for Ear {
    /// The AWS SDK tells a lot more at levels that no function writes.
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("satchel")
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut line = Line(event.metadata().level().to_string());
        event.record(&mut line);
        self.0.lock().unwrap().push(line.0);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

impl Heard {
    pub(super) fn begin() -> Self {
        let lines = Arc::default();
        let guard = tracing::subscriber::set_default(Ear(Arc::clone(&lines)));
        Self { lines, _guard: guard }
    }

    /// All that was told until now.
    pub(super) fn text(&self) -> String {
        self.lines.lock().unwrap().join("\n")
    }

    /// The lines with the metric `name`, each of which names `store`.
    pub(super) fn count(&self, name: &str, store: &str) -> usize {
        let (metric, store) = (format!(" metric={name}"), format!(" store={store}"));
        let lines = self.lines.lock().unwrap();
        lines.iter().filter(|line| line.contains(&metric) && line.contains(&store)).count()
    }
}
