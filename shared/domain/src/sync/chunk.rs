//! How much one transaction holds.

/// Rows a chunk writes at most, META and the commit record included (a transaction has at most 100).
pub const MAX_ROWS: usize = 97;
/// Bytes of rows a chunk writes at most: a transaction costs two units a KB, and a partition gives 1,000 a second.
pub const MAX_BYTES: usize = 400 * 1024;
/// META and the commit record.
const FIXED_ROWS: usize = 2;
const FIXED_BYTES: usize = 2 * 1024;

/// What a chunk holds so far.
#[derive(Debug, Clone, Copy)]
pub struct Fill {
    rows: usize,
    bytes: usize,
    items: usize,
}

impl Default for Fill {
    fn default() -> Self {
        Self { rows: FIXED_ROWS, bytes: FIXED_BYTES, items: 0 }
    }
}

impl Fill {
    /// Adds `rows` rows of `bytes` bytes, where they fit; the first always does, so that one larger entry goes alone.
    pub fn admit(&mut self, rows: usize, bytes: usize) -> bool {
        let fits = self.rows + rows <= MAX_ROWS && self.bytes + bytes <= MAX_BYTES;
        if !fits && self.items > 0 {
            return false;
        }
        self.rows += rows;
        self.bytes += bytes;
        self.items += 1;
        true
    }
}

/// Bytes that the row of the entry `id` takes in the commit record.
pub fn record_bytes(id: &str) -> usize {
    // Its mark and the space between two.
    id.len() + 2
}

/// The sequence number of a commit: strictly increasing, and not before the second it is made in.
pub fn next_seq(head: u64, now: i64) -> u64 {
    (head + 1).max(u64::try_from(now).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_entry_goes_alone_and_ninety_five_small_ones_together() {
        let mut fill = Fill::default();
        assert!(fill.admit(2, 600 * 1024));
        assert!(!fill.admit(1, 1));
        let mut fill = Fill::default();
        assert_eq!((0..200).filter(|_| fill.admit(1, 1024)).count(), 95);
    }

    #[test]
    fn a_seq_never_repeats_within_a_second_nor_goes_back_with_the_clock() {
        assert_eq!(next_seq(0, 1_700_000_000), 1_700_000_000);
        assert_eq!(next_seq(1_700_000_000, 1_700_000_000), 1_700_000_001);
        assert_eq!(next_seq(1_700_000_005, 1_600_000_000), 1_700_000_006);
    }
}
