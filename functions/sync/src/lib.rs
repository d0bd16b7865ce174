//! Sync: end-to-end-encrypted entries, ordered, compared by clocks, never lost.
//!
//! The rules are in `satchel_domain::sync`, the rows in `satchel_store::sync`; here is the protocol between them:
//! commits in chunks, pages that only hold what was verified.

mod app;
mod erase;
mod history;
mod on_commit;
mod on_erase;
mod pull;
mod push;
mod routes;
mod space;
mod status;
mod wire;

use satchel_inbound::{Entry, Function};

pub use app::{App, Limits};
pub use routes::{api, router};

/// The HTTP function.
pub const HTTP: Function =
    Function { name: "sync", build: |env| Box::pin(async move { Ok(Entry::Http(router(App::from_env(&env)?))) }) };

/// The consumer of the table's stream.
pub const ON_COMMIT: Function =
    Function { name: "sync-on-commit", build: |env| Box::pin(async move { on_commit::entry(&env) }) };

/// The consumer of the queue that erases generations and accounts.
pub const ON_ERASE: Function =
    Function { name: "sync-on-erase", build: |env| Box::pin(async move { on_erase::entry(&env) }) };

/// Every binary of this family.
pub const FUNCTIONS: &[Function] = &[HTTP, ON_COMMIT, ON_ERASE];
