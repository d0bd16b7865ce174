#![doc = include_str!("../README.md")]

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
mod loopback;
pub mod openapi;
mod options;
mod outbox;
mod private;
pub mod registry;
pub mod seed;
pub mod services;
mod sources;
pub mod stores;
pub mod template;
pub mod webhook;

pub use axum::body::{Body, Bytes, to_bytes};
pub use clock::LocalClock;
pub use local::Local;
pub use options::{LocalOptions, StartError};
pub use sources::Pending;
