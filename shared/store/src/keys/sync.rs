//! Keys of the table `sync`.
//!
//! | row | pk | sk |
//! | --- | --- | --- |
//! | META | `S#<space>` | `META` |
//! | erase order | `S#<space>` | `ERASE#<generation>` |
//! | commit record | `S#<space>#<generation>` | `C#<seq, 16 digits>` |
//! | entry | `S#<space>#<generation>` | `E#<entry id>` |
//! | device | `S#<space>#<generation>` | `D#<device>` |
//! | version in history, put there by a commit | `H#<space>#<generation>#<entry id>` | `V#<seq, 16 digits>#<content hash>` |
//! | version in history, put there without one | `H#<space>#<generation>#<entry id>` | `V#<head, 16 digits>~<ms, 16 digits>#<content hash>` |
//! | marker of a kept content | `H#<space>#<generation>#<entry id>` | `X#<content hash>` |
//!
//! A space is a user's today; keying by space is what allows sharing later. An entry id has no `#`, so no id reaches
//! another row's key.

use super::Key;

/// Prefix of commit records.
pub const COMMIT: &str = "C#";
/// Prefix of entries.
pub const ENTRY: &str = "E#";
/// Prefix of devices.
pub const DEVICE: &str = "D#";
/// Prefix of versions in history.
pub const VERSION: &str = "V#";
/// Prefix of orders to erase a generation.
pub const ERASE: &str = "ERASE#";

/// Partition of META.
pub fn space(space: &str) -> String {
    format!("S#{space}")
}

/// The space whose META partition `pk` is.
pub fn space_of(pk: &str) -> Option<&str> {
    pk.strip_prefix("S#")?.split('#').next()
}

/// Partition of a generation.
pub fn generation(space: &str, generation: u64) -> String {
    format!("S#{space}#{generation}")
}

/// META.
pub fn meta(space: &str) -> Key {
    Key::new(self::space(space), "META")
}

/// The order to erase `generation`.
pub fn erase(space: &str, generation: u64) -> Key {
    Key::new(self::space(space), format!("{ERASE}{generation}"))
}

/// Sort key of the commit `seq`.
pub fn commit_sk(seq: u64) -> String {
    format!("{COMMIT}{seq:016}")
}

/// The commit `seq` in the partition `pk`.
pub fn commit(pk: &str, seq: u64) -> Key {
    Key::new(pk, commit_sk(seq))
}

/// The seq of a commit's sort key.
pub fn seq_of(sk: &str) -> Option<u64> {
    sk.strip_prefix(COMMIT)?.parse().ok()
}

/// The entry `id` in the partition `pk`.
pub fn entry(pk: &str, id: &str) -> Key {
    Key::new(pk, format!("{ENTRY}{id}"))
}

/// The device `device` in the partition `pk`.
pub fn device(pk: &str, device: &str) -> Key {
    Key::new(pk, format!("{DEVICE}{device}"))
}

/// Partition of an entry's history.
pub fn history(space: &str, generation: u64, id: &str) -> String {
    format!("H#{space}#{generation}#{id}")
}

/// A version in history, put there by the commit `seq`.
pub fn version(history: &str, seq: u64, hash: &[u8; 32]) -> Key {
    Key::new(history, format!("{VERSION}{seq:016}#{}", hex(&hash[..8])))
}

/// A version in history, put there without a commit while the head was `head`, at `ms` (Unix milliseconds): after what
/// that commit put there, before what the next one does.
pub fn version_between(history: &str, head: u64, ms: i64, hash: &[u8; 32]) -> Key {
    Key::new(history, format!("{VERSION}{head:016}~{ms:016}#{}", hex(&hash[..8])))
}

/// A version in history by its sort key, as a page's cursor has it.
pub fn version_at(history: &str, sk: &str) -> Key {
    Key::new(history, sk)
}

/// The marker that `hash` is kept in history already.
pub fn marker(history: &str, hash: &[u8; 32]) -> Key {
    Key::new(history, format!("X#{}", hex(hash)))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
