//! A backup that is put back: what was written since is lost to the server, not to the devices.

use super::ledger::Violation;
use super::story::{PERSON, STRANGER, Story};

impl Story {
    /// Copies the table where there is no copy, else puts it back, as `docs/operations.md` has it. What was erased by
    /// mistake is a reason to.
    pub(super) async fn restore(&mut self) -> Result<(), Violation> {
        let Some(backup) = self.backup.take() else {
            // Histories are told as they are, so that it is known what the copy has of them.
            for user in [PERSON, STRANGER] {
                self.audit(user).await?;
            }
            self.note("the table is copied");
            self.backup = Some(self.ledgers.clone());
            return self.world.back_up().await;
        };
        if self.random.chance(50) {
            self.erase().await?;
        }
        // It takes its time.
        self.world.advance(3_600).await;
        self.note("the copy is put back, and StoreEpoch raised");
        self.world.restore().await?;
        for (user, ledger) in backup {
            self.ledgers.entry(user).or_default().restored(ledger);
        }
        self.devices.iter_mut().for_each(super::device::Device::restored);
        self.epoch_ends();
        Ok(())
    }

    /// Everybody's cursors are void.
    pub(super) fn epoch_ends(&mut self) {
        for user in [PERSON, STRANGER] {
            self.promises.void(user);
        }
        let kept = self.old_cursors.len().min(1);
        self.old_cursors.truncate(kept);
    }
}
