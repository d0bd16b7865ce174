//! The services of the local stack through their connector: what the real SDK clients see of them.
#![expect(clippy::unwrap_used, reason = "a helper that fails should fail its test")]

mod access;
mod dynamodb;
mod faults;
mod indexes;
mod others;
mod sqs;
mod support;
