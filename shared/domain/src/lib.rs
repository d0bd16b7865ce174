//! The rules of Satchel: what is decided, without where it is stored or how it is asked.
//!
//! Nothing here is asynchronous, calls AWS, reads a clock or draws a random number: time, ids and randomness come in as
//! values, so that every rule can be tested by a plain function call.
//!
//! # Limits
//! `tests/tests/architecture.rs` fails where this crate comes to depend on `tokio`, `axum` or an `aws-*` crate.

pub mod access;
pub mod error;
pub mod ids;
pub mod time;

pub use error::{Error, FieldError, Result};
pub use time::Timestamp;
