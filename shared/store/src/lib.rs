//! The rows of Satchel in DynamoDB: one file an entity, keys only in [`keys`], concrete on the AWS SDK.
//!
//! The embedded emulator is the test double (`docs/decisions/0002-emulator-as-test-double.md`), so there is no store
//! trait. Reads return `Option`; *absent* is no error until a handler says so. A rule that was checked on what was read
//! is said again as a condition on what is written.

pub mod accounts;
pub mod capacity;
pub mod clients;
pub mod copy;
pub mod customers;
pub mod devices;
pub mod entitlements;
pub mod erasing;
pub mod events;
pub mod exports;
pub mod expr;
pub mod keys;
pub mod limits;
pub mod ocsp;
pub mod purchases;
pub mod receipts;
pub mod retry;
pub mod sessions;
pub mod sync;
pub mod table;
pub mod transaction;

pub use expr::Expr;
pub use keys::Key;
pub use retry::Retry;
pub use table::{Page, Table};
pub use transaction::{Cancelled, Transaction};
