//! Keys of the table `accounts`.
//!
//! | row | pk | sk |
//! | --- | --- | --- |
//! | account | `USR#<user>` | `ACCOUNT` |
//! | device of the registry, with its session | `USR#<user>` | `DEV#<device>` |
//! | event that is to leave | `USR#<user>` | `EVT#<event>` |
//! | export | `USR#<user>` | `EXP#<export>` |
//! | way to sign in | `LINK#<provider>#<SHA-256 of the subject>` | `LINK` |
//! | client of a back office | `CLI#<client_id>` | `CLIENT` |
//! | member of a customer | `CUS#<customer>` | `MEM#<user>` |
//! | one window of a limit | `LIM#<kind>#<SHA-256 of what is limited>` | `W#<beginning, Unix seconds>` |

use satchel_domain::identity::Provider;
use satchel_domain::ids::{DeviceId, EventId, ExportId, UserId};
use satchel_domain::refresh::hex;
use sha2::{Digest, Sha256};

use super::Key;

/// Prefix of the registry's sort keys.
pub const DEVICES: &str = "DEV#";
/// Prefix of the events' sort keys.
pub const EVENTS: &str = "EVT#";
/// Prefix of the exports' sort keys.
pub const EXPORTS: &str = "EXP#";
/// Prefix of the members' sort keys.
pub const MEMBERS: &str = "MEM#";
/// Sort key of an account.
pub const ACCOUNT: &str = "ACCOUNT";

/// The partition of everything that is `user`'s own.
pub fn partition(user: &UserId) -> String {
    format!("USR#{user}")
}

/// The user whose partition `pk` is.
pub fn user_of(pk: &str) -> Option<UserId> {
    pk.strip_prefix("USR#")?.parse().ok()
}

/// The account of `user`.
pub fn account(user: &UserId) -> Key {
    Key::new(partition(user), ACCOUNT)
}

/// The registry's row of `user`'s `device`, which holds its session.
pub fn device(user: &UserId, device: &DeviceId) -> Key {
    Key::new(partition(user), format!("{DEVICES}{device}"))
}

/// The event `event` that tells of something of `user`'s.
pub fn event(user: &UserId, event: &EventId) -> Key {
    Key::new(partition(user), format!("{EVENTS}{event}"))
}

/// The export `export` of `user`'s account.
pub fn export(user: &UserId, export: &ExportId) -> Key {
    Key::new(partition(user), format!("{EXPORTS}{export}"))
}

/// The way to sign in by `provider` as the subject whose SHA-256 is `subject`.
pub fn link(provider: Provider, subject: &str) -> Key {
    Key::new(format!("LINK#{}#{subject}", provider.as_str()), "LINK")
}

/// The client that authenticates as `client_id`.
pub fn client(client_id: &str) -> Key {
    Key::new(format!("CLI#{client_id}"), "CLIENT")
}

/// The partition of `customer`'s members.
pub fn customer(customer: &str) -> String {
    format!("CUS#{customer}")
}

/// `user` as a member of `customer`.
pub fn member(customer_id: &str, user: &UserId) -> Key {
    Key::new(customer(customer_id), format!("{MEMBERS}{user}"))
}

/// The window beginning at `begin` of what `kind` limits for `subject`, which may hold an address: only its hash is kept.
pub fn window(kind: &str, subject: &str, begin: i64) -> Key {
    Key::new(format!("LIM#{kind}#{}", hex(&Sha256::digest(subject))), format!("W#{begin}"))
}
