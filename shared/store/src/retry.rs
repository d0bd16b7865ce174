//! Trying a transaction again after somebody else was faster.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::time::Duration;

use satchel_domain::{Error, Result};

use crate::transaction::Cancelled;

/// Tries of one decision: read, decide, write; and from the start again where the write's conditions no longer hold.
#[derive(Debug)]
pub struct Retry {
    left: u32,
    pause: Duration,
}

impl Default for Retry {
    /// Twelve tries: twice what the last of five who race for one row needs.
    fn default() -> Self {
        Self { left: 11, pause: Duration::from_millis(4) }
    }
}

impl Retry {
    /// After `cancelled`: returns, after a pause with jitter, where reading again and deciding anew makes sense.
    ///
    /// # Errors
    /// 503 where the tries are used up or the outcome is unknown, and whatever else went wrong.
    pub async fn after(&mut self, cancelled: Cancelled) -> Result<()> {
        match cancelled {
            Cancelled::Condition(_) | Cancelled::Contention(_) if self.left > 0 => {
                self.left -= 1;
                tokio::time::sleep(self.pause.mul_f64(0.5 + chance())).await;
                self.pause = (self.pause * 2).min(Duration::from_millis(250));
                Ok(())
            }
            cancelled => Err(Error::from(cancelled)),
        }
    }
}

/// Between 0 and 1. Only a pause depends on it, so it needs no seed.
fn chance() -> f64 {
    let random = RandomState::new().build_hasher().finish();
    f64::from(u32::try_from(random >> 32).unwrap_or_default()) / f64::from(u32::MAX)
}
