//! The rules of sync: what a pushed entry does, how versions are told apart, what a position is.
//!
//! The server never sees plaintext: it compares clocks, ranks and hashes. `design/sync.md` has the whole decision table;
//! [`decide::decide`] is that table.

pub mod budget;
pub mod chunk;
pub mod clock;
pub mod cursor;
pub mod decide;
pub mod totals;
pub mod version;

#[cfg(test)]
mod arrival_tests;
#[cfg(test)]
mod decide_tests;

pub use clock::{Relation, VectorClock};
pub use cursor::Cursor;
pub use decide::{Decision, Policy, decide, decide_since};
pub use totals::Totals;
pub use version::{Content, Form, Incoming, Rank, Stored};
