//! The local process around its functions: gateway, event sources, schedules, clock, control API, data folder.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail loudly too")]

mod access;
mod control;
mod gateway;
mod process;
mod queues;
mod starting;
mod streams;
mod support;
