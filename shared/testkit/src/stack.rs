//! The stack of one test.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use http::Method;
use satchel_domain::Timestamp;
use satchel_inbound::{Clock, EventHandler, Ids};
use satchel_local::services::{Counters, FaultRule, Faults, Services};
use satchel_local::template::Template;
use satchel_local::{Local, LocalClock, LocalOptions, Pending};
use serde_json::Value;

use crate::call::Call;

/// How long a test waits for its consumers before it gives them up.
const PATIENCE: Duration = Duration::from_secs(20);
/// When every stack begins: 2026-01-01T00:00:00Z.
const BEGINNING: i64 = 1_767_225_600;

/// How a stack is started.
#[derive(Debug, Clone)]
pub struct Options {
    params: BTreeMap<String, String>,
    seed: u64,
    now: Timestamp,
    data: Option<PathBuf>,
}

impl Default for Options {
    fn default() -> Self {
        let now = Timestamp::from_second(BEGINNING).unwrap_or(Timestamp::UNIX_EPOCH);
        Self { params: BTreeMap::new(), seed: 1, now, data: None }
    }
}

impl Options {
    /// With a template parameter.
    #[must_use]
    pub fn param(mut self, name: &str, value: impl ToString) -> Self {
        self.params.insert(name.to_owned(), value.to_string());
        self
    }

    /// With other ids.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Beginning at another moment.
    #[must_use]
    pub fn now(mut self, now: Timestamp) -> Self {
        self.now = now;
        self
    }

    /// Kept in a folder.
    #[must_use]
    pub fn data(mut self, folder: impl Into<PathBuf>) -> Self {
        self.data = Some(folder.into());
        self
    }
}

/// A whole local stack.
#[derive(Debug, Clone)]
pub struct Stack {
    local: Local,
    options: Options,
}

impl Stack {
    /// In memory, at 2026-01-01T00:00:00Z.
    pub async fn start() -> Self {
        Self::with(Options::default()).await
    }

    /// As `options` say.
    pub async fn with(options: Options) -> Self {
        let local = Local::start(LocalOptions {
            data: options.data.clone(),
            params: options.params.clone(),
            clock: LocalClock::manual(options.now),
            seed: Some(options.seed),
            ..LocalOptions::default()
        });
        let local = local.await.unwrap_or_else(|error| panic!("the stack does not start:\n{error}"));
        Self { local, options }
    }

    /// Stops it and starts another on the same folder, at the same moment. Hold no clone of it.
    pub async fn restart(self) -> Self {
        assert!(self.options.data.is_some(), "what lies in memory is gone after a restart: use Options::data");
        self.local.stop().await;
        let now = self.timestamp();
        let options = Options { now, seed: self.options.seed + 1, ..self.options.clone() };
        drop(self);
        Self::with(options).await
    }

    /// A request.
    pub fn request(&self, method: Method, path: &str) -> Call {
        Call::new(self.local.clone(), method, path)
    }

    /// A GET.
    pub fn get(&self, path: &str) -> Call {
        self.request(Method::GET, path)
    }

    /// A POST.
    pub fn post(&self, path: &str) -> Call {
        self.request(Method::POST, path)
    }

    /// A PUT.
    pub fn put(&self, path: &str) -> Call {
        self.request(Method::PUT, path)
    }

    /// A PATCH.
    pub fn patch(&self, path: &str) -> Call {
        self.request(Method::PATCH, path)
    }

    /// A DELETE.
    pub fn delete(&self, path: &str) -> Call {
        self.request(Method::DELETE, path)
    }

    /// Moves the clock: hidden messages show, expired rows go, schedules that came due begin. `drain` waits for them.
    pub async fn advance(&self, seconds: u64) {
        self.local
            .advance(Duration::from_secs(seconds))
            .unwrap_or_else(|error| panic!("the clock cannot be moved: {error}"));
    }

    /// What time it is, Unix seconds.
    pub fn now(&self) -> i64 {
        self.timestamp().as_second()
    }

    /// What time it is.
    pub fn timestamp(&self) -> Timestamp {
        self.local.clock().now()
    }

    /// The clock, as functions have it.
    pub fn clock(&self) -> Clock {
        self.local.clock().clock()
    }

    /// The source of ids.
    pub fn ids(&self) -> Ids {
        self.local.ids().clone()
    }

    /// Waits until queues and streams are empty and handlers idle.
    pub async fn drain(&self) {
        let left = self.local.drain(PATIENCE).await;
        self.nothing_was_denied();
        assert!(left.is_empty(), "this could not be handled: {left:?}");
    }

    /// The same, where something may be left: failed messages that wait for their visibility timeout.
    pub async fn settle(&self) -> usize {
        let left: u64 = self.local.drain(PATIENCE).await.iter().map(|Pending { count, .. }| count).sum();
        self.nothing_was_denied();
        usize::try_from(left).unwrap_or(usize::MAX)
    }

    /// A call that a function's role does not allow is a mistake in `template.yaml`, though the function coped with it.
    fn nothing_was_denied(&self) {
        let denials = self.services().denials();
        assert!(denials.is_empty(), "the roles in template.yaml do not allow this: {denials:#?}");
    }

    /// Runs a schedule's function now.
    pub async fn run(&self, schedule: &str) -> Value {
        match self.local.run(schedule).await {
            Some(Ok(answer)) => answer,
            Some(Err(failure)) => panic!("{schedule} failed: {failure}"),
            None => panic!("there is no schedule {schedule}, but: {:?}", self.local.schedules()),
        }
    }

    /// Invokes a consumer with an event, as Lambda would: with its time-out, a panic as a failure.
    ///
    /// # Errors
    /// What it failed of.
    pub async fn invoke(&self, function: &str, event: Value) -> Result<Value, String> {
        let Some(built) = self.local.function(function) else { panic!("there is no function {function}") };
        built.invoke(event).await.map_err(|failure| failure.to_string())
    }

    /// The handler of a consumer.
    pub fn function(&self, name: &str) -> EventHandler {
        let handler = self.local.function(name).and_then(|function| function.handler().cloned());
        handler.unwrap_or_else(|| panic!("there is no consumer {name}"))
    }

    /// Adds a fault, as `POST /_local/faults` takes it.
    pub fn fault(&self, rule: Value) {
        let rule: FaultRule = serde_json::from_value(rule).unwrap_or_else(|error| panic!("this is no fault: {error}"));
        self.faults().add(rule).unwrap_or_else(|error| panic!("this is no fault: {error}"));
    }

    /// Faults between functions and services.
    pub fn faults(&self) -> &Faults {
        self.services().faults()
    }

    /// What was called.
    pub fn counters(&self) -> &Counters {
        self.services().counters()
    }

    /// The stand-ins of AWS.
    pub fn services(&self) -> &Services {
        self.local.services()
    }

    /// The template as it was read.
    pub fn template(&self) -> &Template {
        self.local.template()
    }

    /// The stack itself.
    pub fn local(&self) -> &Local {
        &self.local
    }
}
