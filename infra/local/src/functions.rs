//! The functions of the template, built from the registry and invoked the way Lambda invokes them.

use std::collections::BTreeMap;
use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use futures_util::FutureExt as _;
use satchel_inbound::{Clock, Entry, Env, EventHandler, Function, Ids, Settings};
use satchel_outbound::{Aws, Http};
use serde_json::Value;

use crate::template::Template;

/// AWS for who has an access key id; a complaint where it cannot be reached.
pub(crate) type AwsOf = Box<dyn Fn(&str) -> Result<Aws, String> + Send + Sync>;

/// What every function is given besides its own settings.
pub(crate) struct World {
    pub(crate) clock: Clock,
    pub(crate) ids: Ids,
    pub(crate) aws: AwsOf,
    pub(crate) http: Http,
    /// Variables that Lambda sets itself.
    pub(crate) runtime: BTreeMap<String, String>,
}

/// One built function.
#[derive(Debug, Clone)]
pub struct Built {
    /// Its binary's name.
    pub name: String,
    /// Its logical id in the template.
    pub logical_id: String,
    /// How long one invocation may take.
    pub timeout: Duration,
    entry: Entry,
}

/// Why an invocation failed, as Lambda tells failures apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// The handler answered with an error.
    Error(String),
    /// The handler panicked: in Lambda the instance would be lost.
    Panicked,
    /// It took longer than its time-out.
    TimedOut,
    /// It takes requests, not events.
    NoEvents,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Error(text) => f.write_str(text),
            Self::Panicked => f.write_str("the handler panicked"),
            Self::TimedOut => f.write_str("the handler ran out of time"),
            Self::NoEvents => f.write_str("the function takes requests, not events"),
        }
    }
}

impl Built {
    /// Invokes it with `event`.
    ///
    /// # Errors
    /// Whatever makes Lambda call an invocation failed.
    pub async fn invoke(&self, event: Value) -> Result<Value, Failure> {
        let handler = self.handler().ok_or(Failure::NoEvents)?;
        let call = AssertUnwindSafe(async move { handler(event).await }).catch_unwind();
        let outcome = match tokio::time::timeout(self.timeout, call).await {
            Ok(Ok(Ok(answer))) => return Ok(answer),
            Ok(Ok(Err(error))) => Failure::Error(error.to_string()),
            Ok(Err(_)) => Failure::Panicked,
            Err(_) => Failure::TimedOut,
        };
        tracing::warn!(function = %self.name, failure = %outcome, "an invocation failed");
        Err(outcome)
    }

    /// Its handler of events, where it has one.
    #[must_use]
    pub fn handler(&self) -> Option<&EventHandler> {
        match &self.entry {
            Entry::Event(handler) => Some(handler),
            Entry::Http(_) => None,
        }
    }

    /// Its router, where it has one.
    #[must_use]
    pub fn router(&self) -> Option<&Router> {
        match &self.entry {
            Entry::Http(router) => Some(router),
            Entry::Event(_) => None,
        }
    }

    /// A function of a handler, for tests of what invokes it.
    #[must_use]
    pub fn of(name: &str, timeout: Duration, entry: Entry) -> Self {
        Self { name: name.to_owned(), logical_id: name.to_owned(), timeout, entry }
    }
}

/// All functions by logical id.
pub(crate) type Functions = BTreeMap<String, Arc<Built>>;

/// Builds each function of the template out of the known ones.
///
/// # Errors
/// Everything that is wrong: a binary without function, a function without block in the template, settings.
pub(crate) async fn build(template: &Template, known: &[Function], world: &World) -> Result<Functions, Vec<String>> {
    let mut complaints = Vec::new();
    for function in known {
        if !template.functions().iter().any(|block| block.binary == function.name) {
            complaints.push(format!("the function `{}` has no block in template.yaml", function.name));
        }
    }
    let mut functions = Functions::new();
    for block in template.functions() {
        let Some(function) = known.iter().find(|function| function.name == block.binary) else {
            complaints.push(format!("{}: there is no function `{}` in the code", block.logical_id, block.binary));
            continue;
        };
        let mut variables = world.runtime.clone();
        variables.insert("AWS_LAMBDA_FUNCTION_NAME".to_owned(), block.binary.clone());
        // By its key the services know which role calls (`services::access`).
        variables.insert("AWS_ACCESS_KEY_ID".to_owned(), block.binary.clone());
        let aws = match (world.aws)(&block.binary) {
            Ok(aws) => aws,
            Err(complaint) => {
                complaints.push(format!("{}: {complaint}", block.binary));
                continue;
            }
        };
        variables.insert("AWS_LAMBDA_FUNCTION_MEMORY_SIZE".to_owned(), block.memory_mb.to_string());
        variables.extend(block.env.clone());
        let env = Env {
            settings: Settings::new(move |name| variables.get(name).cloned()),
            clock: world.clock.clone(),
            ids: world.ids.clone(),
            aws,
            http: world.http.clone(),
        };
        match (function.build)(env).await {
            Ok(entry) => {
                let built = Built {
                    name: block.binary.clone(),
                    logical_id: block.logical_id.clone(),
                    timeout: block.timeout,
                    entry,
                };
                functions.insert(block.logical_id.clone(), Arc::new(built));
            }
            Err(found) => complaints.push(format!("{}: {found}", block.binary)),
        }
    }
    if complaints.is_empty() { Ok(functions) } else { Err(complaints) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn function(entry: Entry) -> Built {
        Built::of("f", Duration::from_millis(20), entry)
    }

    #[tokio::test]
    async fn a_panic_and_a_slow_handler_are_failures_and_nothing_else_breaks() {
        let panics = function(Entry::event(async |event: Value| {
            assert!(event.is_null(), "poison");
            Ok(json!(1))
        }));
        assert_eq!(panics.invoke(json!({})).await, Err(Failure::Panicked));
        assert_eq!(panics.invoke(Value::Null).await, Ok(json!(1)));
        let slow = function(Entry::event(async |_| std::future::pending().await));
        assert_eq!(slow.invoke(Value::Null).await, Err(Failure::TimedOut));
        let wrong = function(Entry::event(async |_| Err("no".into())));
        assert_eq!(wrong.invoke(Value::Null).await, Err(Failure::Error("no".to_owned())));
        let http = function(Entry::Http(Router::new()));
        assert_eq!(http.invoke(Value::Null).await, Err(Failure::NoEvents));
    }
}
