//! A device's copy of a space, and what it adds up to by the formulas of `design/sync.md`.

use std::collections::BTreeMap;

use satchel_domain::sync::{Content, VectorClock};
use sha2::{Digest, Sha256};

use super::wire::{Pulled, SpaceStatus, Stored, Tombstone};

/// A version a device holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// Its clock.
    pub clock: VectorClock,
    /// Its ciphertext; nothing in a tombstone.
    pub data: String,
    /// Whether it is a tombstone.
    pub deleted: bool,
    /// The commit it came with.
    pub seq: u64,
    /// Who wrote it; nobody where it is not told.
    pub author: String,
    /// By its author's clock.
    pub updated_at: i64,
}

impl From<&Stored> for Held {
    fn from(entry: &Stored) -> Self {
        Self {
            clock: entry.vector_clock.clone(),
            data: entry.encrypted_data.clone(),
            deleted: entry.is_deleted,
            seq: entry.seq,
            author: entry.device_id.clone(),
            updated_at: entry.updated_at,
        }
    }
}

impl From<&Tombstone> for Held {
    fn from(dead: &Tombstone) -> Self {
        let (clock, seq) = (dead.vector_clock.clone(), dead.seq);
        Self { clock, data: String::new(), deleted: true, seq, author: String::new(), updated_at: 0 }
    }
}

/// Versions by entry id.
pub type Copy = BTreeMap<String, Held>;

/// What a page brings.
pub fn items(page: &Pulled) -> impl Iterator<Item = (String, Held)> {
    let live = page.entries.iter().map(|entry| (entry.id.clone(), Held::from(entry)));
    live.chain(page.tombstones.iter().map(|dead| (dead.id.clone(), Held::from(dead))))
}

/// XOR over (id, clock, ciphertext) of the live entries.
pub fn digest<'a>(parts: impl Iterator<Item = (&'a str, &'a VectorClock, &'a str)>) -> String {
    let mut sum = [0u8; 16];
    for (id, clock, data) in parts {
        let clock = serde_json::to_string(clock).unwrap_or_default();
        let content = Sha256::digest(Content::parse(data).bytes);
        let hash = Sha256::new()
            .chain_update(id)
            .chain_update([0])
            .chain_update(clock)
            .chain_update([0])
            .chain_update(content);
        for (mine, theirs) in sum.iter_mut().zip(hash.finalize()) {
            *mine ^= theirs;
        }
    }
    sum.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What `copy` adds up to; head and epoch are the server's own.
#[must_use]
pub fn sum(copy: &Copy, head: u64, epoch: &str) -> SpaceStatus {
    let live = || copy.iter().filter(|(_, held)| !held.deleted);
    let bytes = live().map(|(_, held)| {
        let clock = serde_json::to_string(&held.clock).unwrap_or_default();
        (Content::parse(&held.data).bytes.len() + clock.len()) as u64 + 200
    });
    SpaceStatus {
        head,
        epoch: epoch.to_owned(),
        entry_count: live().count() as u64,
        bytes: bytes.sum(),
        tombstones: (copy.len() - live().count()) as u64,
        digest: digest(live().map(|(id, held)| (id.as_str(), &held.clock, held.data.as_str()))),
    }
}

/// The first few differences between two copies.
#[must_use]
pub fn differences(one: &Copy, other: &Copy) -> Vec<String> {
    let ids: std::collections::BTreeSet<_> = one.keys().chain(other.keys()).collect();
    let show = |held: Option<&Held>| {
        held.map_or_else(
            || "nothing".to_owned(),
            |held| {
                let data: String = held.data.chars().take(24).collect();
                let mark = if held.deleted { "deleted" } else { data.as_str() };
                format!("{mark}@{}{}", held.seq, held.clock.compact_json())
            },
        )
    };
    let differ = |id: &&String| {
        let key = |held: &Held| (held.clock.clone(), held.data.clone(), held.deleted);
        one.get(*id).map(key) != other.get(*id).map(key)
    };
    ids.into_iter()
        .filter(differ)
        .take(5)
        .map(|id| format!("{id}: {} against {}", show(one.get(id)), show(other.get(id))))
        .collect()
}
