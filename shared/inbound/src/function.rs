//! What a binary is.

use std::sync::Arc;

use serde_json::Value;

use crate::env::{Complaints, Env};

/// A future in a box.
pub type BoxFuture<'a, T> = std::pin::Pin<Box<dyn Future<Output = T> + Send + 'a>>;
/// An error of any kind.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;
/// Takes an event as Lambda delivers it and answers as Lambda expects it.
pub type EventHandler = Arc<dyn Fn(Value) -> BoxFuture<'static, Result<Value, BoxError>> + Send + Sync>;

/// One binary: its name stands in `template.yaml` as `Metadata.BuildProperties.Binary`.
#[derive(Clone, Copy)]
pub struct Function {
    /// The binary's name.
    pub name: &'static str,
    /// Reads the settings and makes the clients; runs in the init phase.
    pub build: fn(Env) -> BoxFuture<'static, Result<Entry, Complaints>>,
}

/// What a function does with an invocation.
#[derive(Clone)]
pub enum Entry {
    /// Answers HTTP requests of API Gateway.
    Http(axum::Router),
    /// Takes events of a queue, a stream or a schedule.
    Event(EventHandler),
}

impl std::fmt::Debug for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Http(_) => "Entry::Http",
            Self::Event(_) => "Entry::Event",
        })
    }
}

impl Entry {
    /// An event handler of a plain asynchronous function.
    pub fn event<F, Fut>(handle: F) -> Self
    where
        F: Fn(Value) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Value, BoxError>> + Send + 'static,
    {
        Self::Event(Arc::new(move |event| Box::pin(handle(event))))
    }
}
