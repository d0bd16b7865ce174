//! Schedules: `rate(…)` and `cron(…)` as EventBridge reads them, in UTC, by the injected clock.
//!
//! # Limits
//! However far the clock is moved at once, a schedule that came due in between runs once, like a cron job on a machine
//! that slept. A failed run is repeated twice at once, where Lambda waits one and two minutes; a run that failed for good
//! is logged, its on-failure queue is not told.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::DateTime;
use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use serde_json::{Value, json};

use super::activity::Activity;
use crate::clock::LocalClock;
use crate::functions::{Built, Failure};

/// Runs of an asynchronous invocation, the first included.
const RUNS: u32 = 3;

/// When a schedule runs.
#[derive(Debug, Clone)]
enum When {
    Every(Duration),
    Cron(Box<Cron>),
}

impl When {
    /// Reads an expression of EventBridge.
    fn parse(expression: &str) -> Result<Self, String> {
        let inner = |kind: &str| {
            expression
                .strip_prefix(kind)
                .and_then(|rest| rest.strip_prefix('('))
                .and_then(|rest| rest.strip_suffix(')'))
        };
        if let Some(rate) = inner("rate") {
            let wrong = || format!("`{expression}` is not like rate(5 minutes)");
            let (number, unit) = rate.trim().split_once(' ').ok_or_else(wrong)?;
            let number: u64 = number.parse().ok().filter(|number| *number > 0).ok_or_else(wrong)?;
            let unit = match unit.trim().trim_end_matches('s') {
                "minute" => 60,
                "hour" => 3_600,
                "day" => 86_400,
                _ => return Err(wrong()),
            };
            return Ok(Self::Every(Duration::from_secs(number * unit)));
        }
        let fields = inner("cron").ok_or_else(|| format!("`{expression}` is neither a rate nor a cron"))?;
        if fields.split_whitespace().count() != 6 {
            return Err(format!("`{expression}` must have six fields: minute hour day month weekday year"));
        }
        // EventBridge has no seconds but a year, and counts weekdays from 1 for Sunday.
        let parser = CronParser::builder()
            .seconds(Seconds::Required)
            .year(Year::Required)
            .alternative_weekdays(true)
            .dom_and_dow(true)
            .build();
        let cron = parser.parse(&format!("0 {fields}")).map_err(|error| format!("`{expression}`: {error}"))?;
        Ok(Self::Cron(Box::new(cron)))
    }

    /// The first run after `ms`, in Unix milliseconds.
    fn after(&self, ms: i64) -> Option<i64> {
        match self {
            Self::Every(period) => Some(ms.saturating_add(i64::try_from(period.as_millis()).ok()?)),
            Self::Cron(cron) => {
                let from = DateTime::from_timestamp_millis(ms)?;
                Some(cron.find_next_occurrence(&from, false).ok()?.timestamp_millis())
            }
        }
    }
}

struct Schedule {
    function: Arc<Built>,
    id: String,
    name: String,
    input: Option<Value>,
    when: When,
    next_ms: Mutex<Option<i64>>,
}

/// All schedules.
pub(crate) struct Schedules {
    clock: LocalClock,
    activity: Arc<Activity>,
    list: Vec<Arc<Schedule>>,
}

impl Schedules {
    /// None yet.
    pub(crate) fn new(clock: LocalClock, activity: Arc<Activity>) -> Self {
        Self { clock, activity, list: Vec::new() }
    }

    /// One more.
    ///
    /// # Errors
    /// A sentence about the expression or the input.
    pub(crate) fn add(
        &mut self,
        function: Arc<Built>,
        id: &str,
        name: &str,
        expression: &str,
        input: Option<&str>,
    ) -> Result<(), String> {
        let when = When::parse(expression)?;
        let input =
            input.map(serde_json::from_str).transpose().map_err(|error| format!("Input is not JSON: {error}"))?;
        let next_ms = Mutex::new(when.after(self.clock.now_ms()));
        self.list.push(Arc::new(Schedule { function, id: id.to_owned(), name: name.to_owned(), input, when, next_ms }));
        Ok(())
    }

    /// Their names.
    pub(crate) fn names(&self) -> Vec<String> {
        self.list.iter().map(|schedule| schedule.name.clone()).collect()
    }

    /// Counts from now on again.
    pub(crate) fn forget(&self) {
        let now = self.clock.now_ms();
        for schedule in &self.list {
            *schedule.next() = schedule.when.after(now);
        }
    }

    /// Begins all that are due; what began counts as under way when this returns.
    pub(crate) fn fire_due(&self) {
        let now = self.clock.now_ms();
        for schedule in &self.list {
            let due = {
                let mut next = schedule.next();
                let due = next.filter(|next| *next <= now);
                if due.is_some() {
                    *next = schedule.when.after(now);
                }
                due
            };
            if let Some(due) = due {
                let busy = self.activity.begin();
                let schedule = Arc::clone(schedule);
                tokio::spawn(async move {
                    schedule.run(due).await.ok();
                    drop(busy);
                });
            }
        }
    }

    /// Fires by the running clock until it is dropped.
    pub(crate) async fn run(self: Arc<Self>) {
        loop {
            let next = self.list.iter().filter_map(|schedule| *schedule.next()).min();
            self.clock.until(next).await;
            self.fire_due();
        }
    }

    /// Runs the schedule `name` now.
    ///
    /// # Errors
    /// `None` where there is none of that name, else what the function failed of.
    pub(crate) async fn run_now(&self, name: &str) -> Result<Value, Option<Failure>> {
        let named =
            |schedule: &&Arc<Schedule>| schedule.name == name || schedule.function.name == name || schedule.id == name;
        let schedule = self.list.iter().find(named).ok_or(None)?;
        let _busy = self.activity.begin();
        schedule.function.invoke(schedule.event(self.clock.now_ms())).await.map_err(Some)
    }
}

impl Schedule {
    fn next(&self) -> std::sync::MutexGuard<'_, Option<i64>> {
        self.next_ms.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn run(&self, due_ms: i64) -> Result<Value, Failure> {
        let mut outcome = Err(Failure::NoEvents);
        for _ in 0..RUNS {
            outcome = self.function.invoke(self.event(due_ms)).await;
            if outcome.is_ok() {
                return outcome;
            }
        }
        tracing::error!(schedule = %self.name, "a scheduled run failed for good");
        outcome
    }

    fn event(&self, due_ms: i64) -> Value {
        if let Some(input) = &self.input {
            return input.clone();
        }
        let time = satchel_domain::Timestamp::from_millisecond(due_ms).unwrap_or(satchel_domain::Timestamp::MIN);
        json!({
            "version": "0",
            "id": format!("00000000-0000-4000-8000-{:012x}", due_ms & 0xffff_ffff_ffff),
            "detail-type": "Scheduled Event",
            "source": "aws.events",
            "account": crate::template::ACCOUNT,
            "time": time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            "region": crate::template::REGION,
            "resources": [format!("arn:aws:events:{}:{}:rule/{}", crate::template::REGION, crate::template::ACCOUNT, self.name)],
            "detail": {},
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(text: &str) -> i64 {
        text.parse::<satchel_domain::Timestamp>().unwrap().as_millisecond()
    }

    #[test]
    fn expressions_are_read_as_eventbridge_reads_them() {
        for (expression, from, next) in [
            ("rate(1 day)", "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"),
            ("rate(5 minutes)", "2026-01-01T00:00:00Z", "2026-01-01T00:05:00Z"),
            ("cron(20 3 * * ? *)", "2026-01-01T00:00:00Z", "2026-01-01T03:20:00Z"),
            ("cron(20 3 * * ? *)", "2026-01-01T03:20:00Z", "2026-01-02T03:20:00Z"),
            // 2026-01-04 is a Sunday, which EventBridge calls 1.
            ("cron(0 10 ? * 1 *)", "2026-01-01T00:00:00Z", "2026-01-04T10:00:00Z"),
            ("cron(0 10 ? * MON-FRI *)", "2026-01-02T11:00:00Z", "2026-01-05T10:00:00Z"),
            ("cron(0/15 8 1 * ? *)", "2026-01-01T08:16:00Z", "2026-01-01T08:30:00Z"),
            ("cron(0 0 1 1 ? 2030)", "2026-01-01T08:16:00Z", "2030-01-01T00:00:00Z"),
        ] {
            let when = When::parse(expression).unwrap();
            assert_eq!(when.after(ms(from)), Some(ms(next)), "{expression} after {from}");
        }
        for bad in ["rate(0 minutes)", "rate(5)", "rate(5 weeks)", "cron(20 3 * * *)", "cron(61 3 * * ? *)", "daily"] {
            assert!(When::parse(bad).is_err(), "{bad}");
        }
    }
}
