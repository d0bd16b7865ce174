//! The local process around its functions: gateway, event sources, schedules, clock, control API, data folder.

mod control;
mod gateway;
mod queues;
mod streams;
mod support;
