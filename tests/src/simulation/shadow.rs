//! The model beside the real server: it takes the same pushes and must say the same.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::ledger::{Violation, violation};
use super::model::{Base, ModelServer};
use super::wire::{Answer, Ask, Pushed, Verdict, Version};

/// Positions are larger than page numbers.
const PAGES: u64 = 1_000_000;

pub(super) struct Shadow {
    model: ModelServer,
    /// What the real server's cursors stand for.
    positions: BTreeMap<String, Base>,
}

fn differs(what: &str, real: impl std::fmt::Debug, model: impl std::fmt::Debug) -> Violation {
    violation("the real server agrees with the model", format!("{what}: real {real:?}, model {model:?}"))
}

impl Shadow {
    pub(super) fn new(model: ModelServer) -> Self {
        Self { model, positions: BTreeMap::new() }
    }

    pub(super) fn raise_epoch(&mut self) {
        self.model.raise_epoch();
    }

    pub(super) fn back_up(&mut self) {
        self.model.back_up();
    }

    pub(super) fn restore(&mut self) {
        self.model.restore();
    }

    /// Lets the model answer too.
    pub(super) fn compare(
        &mut self,
        user: &str,
        device: &str,
        ask: &Ask,
        real: &Answer,
        now: i64,
    ) -> Result<(), Violation> {
        match (ask, real) {
            (Ask::Push(push), Answer::Pushed(real)) => {
                let base =
                    push.base_cursor.as_ref().map(|cursor| self.positions.get(cursor).copied().unwrap_or(Base::WITHIN));
                let model = self.model.push(user, push, base, now, None);
                let model = model.ok_or_else(|| differs("push", real, "nothing"))?;
                self.note(push.base_cursor.as_ref(), real, &model);
                for (real, model) in real.results.iter().zip(&model.results) {
                    same_verdict(real, model)?;
                }
                if real.server_timestamp != model.server_timestamp || real.epoch != model.epoch {
                    let key = |pushed: &Pushed| (pushed.server_timestamp, pushed.epoch.clone());
                    return Err(differs("push's time and epoch", key(real), key(&model)));
                }
                let moved = |pushed: &Pushed| pushed.cursor != push.base_cursor;
                if moved(real) != moved(&model) {
                    return Err(differs("whether a push's cursor moved", moved(real), moved(&model)));
                }
                Ok(())
            }
            (Ask::Pull(pull), Answer::Pulled(page)) => {
                let asked = pull.cursor.as_ref().map(|cursor| self.positions.get(cursor).map_or(0, |base| base.seen));
                let presented = if page.snapshot { 0 } else { asked.or(pull.last_sync_at).unwrap_or(0) };
                self.model.presented(user, device, presented, now);
                let seen = if page.server_timestamp >= PAGES { page.server_timestamp } else { 0 };
                let between_commits = !(page.snapshot && page.has_more);
                self.positions.insert(page.cursor.clone(), Base { seen, between_commits });
                Ok(())
            }
            (Ask::Status, Answer::Status(real)) => match self.model.ask(user, device, ask, now, None) {
                Answer::Status(model) if model == *real => Ok(()),
                model => Err(differs("status", real, model)),
            },
            (Ask::History(id), Answer::History(real)) => match self.model.ask(user, device, ask, now, None) {
                Answer::History(model) if by_head(&model) == by_head(real) => Ok(()),
                Answer::History(model) => Err(differs(&format!("history of {id}"), real, model)),
                model => Err(differs("history", real, model)),
            },
            (Ask::Erase, Answer::Erased { epoch }) => match self.model.ask(user, device, ask, now, None) {
                Answer::Erased { epoch: model } if model == *epoch => Ok(()),
                model => Err(differs("erase", epoch, model)),
            },
            _ => {
                self.model.touched(user, now);
                Ok(())
            }
        }
    }

    /// A push's cursor, where it moved, stands at its last commit.
    fn note(&mut self, base: Option<&String>, real: &Pushed, model: &Pushed) {
        if let Some(cursor) = real.cursor.as_ref().filter(|cursor| Some(*cursor) != base) {
            let last = model.results.iter().filter_map(|verdict| verdict.seq).max().unwrap_or(0);
            self.positions.insert(cursor.clone(), Base { seen: last, between_commits: true });
        }
    }
}

/// Versions in their order; those that one head and one moment put there have none.
fn by_head(versions: &[Version]) -> Vec<(Reverse<u64>, String, String)> {
    let key = |version: &Version| (Reverse(version.seq), version.encrypted_data.clone(), format!("{version:?}"));
    let mut keys: Vec<_> = versions.iter().map(key).collect();
    keys.sort();
    keys
}

fn same_verdict(real: &Verdict, model: &Verdict) -> Result<(), Violation> {
    // What a seed cannot say is compared without what no rule goes by.
    let key = |verdict: &Verdict| {
        let entry = verdict.server_entry.as_ref().map(|entry| {
            (
                entry.encrypted_data.clone(),
                entry.vector_clock.clone(),
                entry.is_deleted,
                entry.seq,
                entry.device_id.clone(),
            )
        });
        (
            verdict.id.clone(),
            verdict.status,
            verdict.winner,
            verdict.seq,
            verdict.vector_clock.clone(),
            entry,
            verdict.error.clone(),
        )
    };
    if key(real) == key(model) { Ok(()) } else { Err(differs("a result", key(real), key(model))) }
}
