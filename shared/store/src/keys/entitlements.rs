//! Table `entitlements`.
//!
//! | row | pk | sk |
//! | --- | --- | --- |
//! | a person's add-on with everything that feeds it | `U#<user>` | `ADDON#<add-on>` |
//! | a purchase or grant | `U#<user>` | `PURCHASE#<store>#<transaction id>`, store `grant` for a grant |
//! | a change of access, never updated | `U#<user>` | `LEDGER#<milliseconds>#<event>#<add-on>` |
//! | the same of an erased person | `L#<pseudonym>` | as before |
//! | receipts ([`super::receipts`]) | `RCPT#<who>` | |

use satchel_domain::entitlements::AddOn;
use satchel_domain::ids::{EventId, GrantId, UserId};
use sha2::{Digest as _, Sha256};

use super::Key;

/// Prefix of a person's add-ons.
pub const ADD_ONS: &str = "ADDON#";
/// Prefix of a person's ledger.
pub const LEDGER: &str = "LEDGER#";

/// The partition of `user`.
pub fn partition(user: &UserId) -> String {
    format!("U#{user}")
}

/// The add-on `add_on` of `user`.
pub fn add_on(user: &UserId, add_on: AddOn) -> Key {
    Key::new(partition(user), format!("{ADD_ONS}{}", add_on.as_str()))
}

/// The grant `id` to `user`.
pub fn grant(user: &UserId, id: &GrantId) -> Key {
    Key::new(partition(user), format!("PURCHASE#grant#{id}"))
}

/// A change of `user`'s access; the event's id is in the key, so that a repeat finds itself.
pub fn ledger(user: &UserId, at_millis: i64, event: &EventId, add_on: AddOn) -> Key {
    Key::new(partition(user), format!("{LEDGER}{at_millis:015}#{event}#{}", add_on.as_str()))
}

/// Where a ledger row of an erased person lies: by a one-way name, the same at every try.
pub fn pseudonymous(row: &Key) -> Key {
    let digest = Sha256::digest(row.pk.as_bytes());
    let name: String = digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    Key::new(format!("L#{name}"), row.sk.clone())
}
