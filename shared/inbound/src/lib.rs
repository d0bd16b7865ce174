//! What calls us: the only crate that knows HTTP and Lambda.
//!
//! A family declares its binaries as [`Function`]s; [`run()`] turns one into a Lambda, the local process mounts the same
//! ones behind its own gateway and event sources.

pub mod batch;
pub mod env;
pub mod erasure;
pub mod function;
pub mod http;
pub mod record;
pub mod run;

pub use env::{Clock, Complaints, Env, Ids, Settings};
pub use function::{BoxError, BoxFuture, Entry, EventHandler, Function};
pub use http::Core;
pub use run::run;
