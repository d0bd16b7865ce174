//! Random bytes of a seed, so that a failing run can be had again.

use std::sync::atomic::{AtomicU64, Ordering};

use satchel_inbound::{Clock, Ids};
use sha2::{Digest, Sha256};

/// Ids and random bytes that follow from `seed` and from the order in which they are asked for. Not for secrets.
#[must_use]
pub(crate) fn seeded(clock: Clock, seed: u64) -> Ids {
    let drawn = AtomicU64::new(0);
    Ids::new(clock, move |bytes| {
        for chunk in bytes.chunks_mut(32) {
            let number = drawn.fetch_add(1, Ordering::Relaxed);
            let hash = Sha256::new().chain_update(seed.to_be_bytes()).chain_update(number.to_be_bytes()).finalize();
            chunk.copy_from_slice(&hash[..chunk.len()]);
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_bytes_and_no_byte_twice_in_a_row() {
        let draw = |seed| {
            let ids = seeded(Clock::system(), seed);
            (ids.bytes::<40>(), ids.bytes::<40>())
        };
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
        assert_ne!(draw(1).0, draw(1).1);
    }
}
