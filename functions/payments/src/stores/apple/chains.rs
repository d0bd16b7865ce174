//! Verified chains of certificates, kept for a while: all that Apple signs in a year has one or two of them.

use std::sync::{Mutex, MutexGuard, PoisonError};

use satchel_domain::Timestamp;
use satchel_domain::appstore::Chain;

/// How many are kept.
const MOST: usize = 16;
/// For how long each is kept, in seconds, counted from its verification.
const KEPT: i64 = 15 * 60;

/// The chains that were verified lately.
#[derive(Debug, Default)]
pub(crate) struct Chains(Mutex<Vec<(Chain, Timestamp)>>);

impl Chains {
    /// What is known at `now`, to be handed to a verification.
    pub(crate) fn known(&self, now: Timestamp) -> Vec<Chain> {
        let mut kept = self.kept();
        // The time may go back: an event is judged at the time of its coming.
        kept.retain(|(_, since)| now.as_second().saturating_sub(since.as_second()) < KEPT);
        kept.iter().map(|(chain, _)| chain.clone()).collect()
    }

    /// Keeps what was verified at `now`. One that is known already gets no more time.
    pub(crate) fn keep(&self, chains: Vec<Chain>, now: Timestamp) {
        let mut kept = self.kept();
        for chain in chains {
            if kept.iter().any(|(known, _)| known.key() == chain.key()) {
                continue;
            }
            if kept.len() == MOST {
                // In the order of their coming: the first is the oldest.
                kept.remove(0);
            }
            kept.push((chain, now));
        }
    }

    fn kept(&self) -> MutexGuard<'_, Vec<(Chain, Timestamp)>> {
        // A chain is put in whole, so a panic elsewhere leaves nothing half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
