//! What a space adds up to: counts, bytes, and a digest that a client can compute from its own copy.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::clock::VectorClock;

/// Bytes that count for a live entry besides its ciphertext and its clock.
pub const ENTRY_OVERHEAD: u64 = 200;

/// One row's part of the totals.
#[derive(Debug, Clone, Copy)]
pub struct Part<'a> {
    /// Entry id.
    pub id: &'a str,
    /// Its clock.
    pub clock: &'a VectorClock,
    /// SHA-256 of its stored bytes.
    pub hash: &'a [u8; 32],
    /// Its stored bytes of ciphertext.
    pub size: usize,
    /// Whether it is a tombstone.
    pub deleted: bool,
}

/// The totals of a space.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Live entries.
    pub live: u64,
    /// Tombstones.
    pub tombstones: u64,
    /// Bytes of live entries: ciphertext, compact clock, [`ENTRY_OVERHEAD`] each.
    pub bytes: u64,
    /// XOR of the entries' digests.
    pub digest: [u8; 16],
}

impl Part<'_> {
    /// Bytes that count against the quota.
    pub fn bytes(&self) -> u64 {
        if self.deleted {
            return 0;
        }
        (self.size + self.clock.compact_json().len()) as u64 + ENTRY_OVERHEAD
    }

    /// First 16 bytes of SHA-256(`id` ‖ 0x00 ‖ clock ‖ 0x00 ‖ SHA-256 of the stored bytes).
    pub fn digest(&self) -> [u8; 16] {
        let hash = Sha256::new()
            .chain_update(self.id)
            .chain_update([0])
            .chain_update(self.clock.compact_json())
            .chain_update([0])
            .chain_update(self.hash)
            .finalize();
        let mut digest = [0; 16];
        digest.copy_from_slice(&hash[..16]);
        digest
    }
}

impl Totals {
    /// The totals after `old` (where there was a row) became `new`.
    #[must_use]
    pub fn after(mut self, old: Option<Part<'_>>, new: Part<'_>) -> Self {
        if let Some(old) = old {
            if old.deleted {
                self.tombstones = self.tombstones.saturating_sub(1);
            } else {
                self.live = self.live.saturating_sub(1);
                self.bytes = self.bytes.saturating_sub(old.bytes());
                self.flip(old.digest());
            }
        }
        if new.deleted {
            self.tombstones += 1;
        } else {
            self.live += 1;
            self.bytes += new.bytes();
            self.flip(new.digest());
        }
        self
    }

    /// The digest in lower-case hex.
    pub fn digest_hex(&self) -> String {
        self.digest.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn flip(&mut self, digest: [u8; 16]) {
        for (mine, theirs) in self.digest.iter_mut().zip(digest) {
            *mine ^= theirs;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn totals_forget_what_was_and_an_empty_space_is_all_zeros() {
        let one: VectorClock = [("a", 1)].into_iter().collect();
        let two: VectorClock = [("a", 2)].into_iter().collect();
        let live = Part { id: "e", clock: &one, hash: &[7; 32], size: 10, deleted: false };
        let dead = Part { id: "e", clock: &two, hash: &[0; 32], size: 0, deleted: true };
        let with = Totals::default().after(None, live);
        assert_eq!((with.live, with.bytes), (1, 10 + 7 + 200));
        let without = with.after(Some(live), dead);
        assert_eq!(without, Totals { tombstones: 1, ..Totals::default() });
        assert_eq!(without.digest_hex(), "0".repeat(32));
    }
}
