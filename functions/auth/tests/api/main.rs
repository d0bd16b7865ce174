//! The family's routes and consumers, over a whole local stack.

#![expect(clippy::unwrap_used, reason = "a test fails where it fails; clippy knows tests, not the helpers beside them")]

mod apple;
mod customers;
mod erase;
mod export;
mod keys;
mod link;
mod me;
mod refresh;
mod sessions;
mod sign_in;
mod token;
