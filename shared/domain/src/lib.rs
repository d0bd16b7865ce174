//! The rules of Satchel: what is decided, without where it is stored or how it is asked.
//!
//! Nothing here is asynchronous, calls AWS, reads a clock or draws a random number: time, ids and randomness come in as
//! values, so that every rule can be tested by a plain function call.
//!
//! # Limits
//! `tests/tests/architecture.rs` fails where this crate comes to depend on `tokio`, `axum` or an `aws-*` crate.

pub mod access;
pub mod account;
pub mod appstore;
pub mod client;
mod closed;
pub mod devices;
pub mod entitlements;
pub mod error;
pub mod identity;
pub mod ids;
pub mod limits;
pub mod playstore;
pub mod purchases;
pub mod refresh;
pub mod seal;
pub mod session;
pub mod sync;
pub mod time;
pub mod webhooks;

pub use error::{Error, FieldError, Result};
pub use time::Timestamp;
