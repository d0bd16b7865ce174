//! Satchel on one machine, without an account: the stack of `template.yaml` with its own API Gateway, event source
//! mappings, schedules, stand-ins of AWS, an issuer of ID tokens, and a control API.
//!
//! [`Local`] is the whole stack as a value. `make dev` puts sockets before it (`main.rs`); every test starts one in
//! memory (`satchel-testkit`). The functions are those that run in Lambda, built of the same template.
//!
//! # Limits
//! One process plays all instances of all functions, so what a cold start costs does not show here. IAM is not played:
//! that a function may do what it does is for the template's own checks.

mod carrier;
mod chance;
pub mod clock;
pub mod control;
mod data;
pub mod functions;
pub mod gateway;
pub mod identity;
pub mod keys;
mod local;
pub mod openapi;
mod outbox;
pub mod registry;
pub mod seed;
pub mod services;
mod sources;
pub mod template;

pub use axum::body::{Body, Bytes, to_bytes};
pub use clock::LocalClock;
pub use local::{Local, LocalOptions, StartError};
pub use sources::Pending;
