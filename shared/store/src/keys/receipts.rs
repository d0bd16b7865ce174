//! Receipts of requests with an `Idempotency-Key`, in the table of the family that answered.
//!
//! | row | pk | sk |
//! | --- | --- | --- |
//! | receipt | `RCPT#<user or client>` | `<route>#<key>` |

use super::Key;

/// The partition of everything `owner` has a receipt for.
pub fn partition(owner: &str) -> String {
    format!("RCPT#{owner}")
}

/// The receipt of `owner`'s request `key` to `route`.
pub fn receipt(owner: &str, route: &str, key: &str) -> Key {
    Key::new(partition(owner), format!("{route}#{key}"))
}
