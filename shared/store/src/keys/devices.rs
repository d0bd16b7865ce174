//! Table `devices`.
//!
//! | row | pk | sk |
//! | --- | --- | --- |
//! | a device's description | `USR#<user>` | `DEV#<device>` |
//! | the end of a session | `USR#<user>` | `END#<session>` |
//! | who holds a push token | `TOK#<SHA-256 of platform and token>` | `TOK` |
//! | when a device is looked at again | `DUE#<0 to f>` | `<day>#<user>#<device>` |
//! | receipts ([`super::receipts`]) | `RCPT#<who>` | |
//!
//! The `DUE#` rows are the daily clean-up's list of what to look at: sorted by day, so that everything due is one range a
//! shard and the end of the list needs no cursor. A shard is a digit of the device's hash: everybody who signs up today
//! is due on the same day, and one partition takes only 1,000 writes a second.

use satchel_domain::ids::{DeviceId, SessionId, UserId};
use sha2::{Digest as _, Sha256};

use super::Key;

/// Prefix of a person's devices.
pub const DEVICES: &str = "DEV#";
/// How many shards the clean-up's list has.
pub const SHARDS: u8 = 16;

/// The partition of `user`.
pub fn partition(user: &UserId) -> String {
    format!("USR#{user}")
}

/// The device `device` of `user`.
pub fn device(user: &UserId, device: &DeviceId) -> Key {
    Key::new(partition(user), format!("{DEVICES}{device}"))
}

/// The end of the session `session` of `user`.
pub fn end(user: &UserId, session: &SessionId) -> Key {
    Key::new(partition(user), format!("END#{session}"))
}

/// Who holds the push token with this hash.
pub fn token(hash: &str) -> Key {
    Key::new(format!("TOK#{hash}"), "TOK")
}

/// The partition of shard `shard` of the clean-up's list.
pub fn due_partition(shard: u8) -> String {
    format!("DUE#{:x}", shard % SHARDS)
}

/// When `device` of `user` is looked at again: on the day `day` since 1970.
pub fn due(user: &UserId, device: &DeviceId, day: i64) -> Key {
    let digest = Sha256::digest(device.as_str().as_bytes());
    let shard = digest.first().copied().unwrap_or_default();
    Key::new(due_partition(shard), format!("{}{user}#{device}", due_prefix(day)))
}

/// What every row of `day` begins with.
pub fn due_prefix(day: i64) -> String {
    format!("{:06}#", day.max(0))
}
