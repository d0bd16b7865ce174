//! A whole local stack in a test, in milliseconds: the functions, routes, queues, streams and schedules of
//! `template.yaml`, in memory, by a clock that stands still until the test moves it.
//!
//! ```no_run
//! # use satchel_testkit::Stack;
//! # use serde_json::json;
//! # async fn story() {
//! let stack = Stack::start().await;
//! let ada = stack.sign_in("ada").await;
//! let answer = stack.get("/devices").auth(&ada).send().await;
//! assert_eq!(answer.ok()["devices"], json!([]));
//! # }
//! ```
//!
//! Everything here panics with a readable message where it fails: it is for tests alone.

mod answer;
mod call;
mod people;
mod rows;
mod stack;

pub use answer::Answer;
pub use call::Call;
pub use people::Session;
pub use stack::{Options, Stack};
