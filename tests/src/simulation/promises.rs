//! Cursors that were given, and for how long each is good: only past that, or in another epoch, may one be 410, and in
//! another epoch it must be.

use std::collections::BTreeMap;

use super::ledger::{Violation, violation};
use super::wire::{Answer, Ask};

/// How long commits are kept, in seconds.
const RETENTION: i64 = 180 * 86_400;
/// What is younger when a full pull begins is told once more at its end, in seconds.
const YOUNG: i64 = 10;

/// The cursors of a story.
#[derive(Debug, Default)]
pub(super) struct Promises {
    /// By user and text.
    cursors: BTreeMap<(String, String), Cursor>,
    /// How often a user's epoch has changed.
    epochs: BTreeMap<String, u32>,
}

#[derive(Debug, Clone, Copy)]
struct Cursor {
    epoch: u32,
    /// No commit behind it is older.
    since: i64,
}

impl Promises {
    /// Whatever was given to `user` is void.
    pub(super) fn void(&mut self, user: &str) {
        *self.epochs.entry(user.to_owned()).or_default() += 1;
    }

    fn epoch(&self, user: &str) -> u32 {
        self.epochs.get(user).copied().unwrap_or(0)
    }

    fn find(&self, user: &str, cursor: Option<&String>) -> Option<Cursor> {
        self.cursors.get(&(user.to_owned(), cursor?.clone())).copied()
    }

    fn give(&mut self, user: &str, cursor: &str, since: i64) {
        let epoch = self.epoch(user);
        let given = self.cursors.entry((user.to_owned(), cursor.to_owned())).or_insert(Cursor { epoch, since });
        given.since = given.since.max(since);
    }

    /// An answer to `user` came.
    ///
    /// # Errors
    /// It breaks what the cursor that was sent promised.
    pub(super) fn answered(&mut self, user: &str, ask: &Ask, answer: &Answer, now: i64) -> Result<(), Violation> {
        let sent = match ask {
            Ask::Push(push) => push.base_cursor.as_ref(),
            Ask::Pull(pull) => pull.cursor.as_ref(),
            _ => return Ok(()),
        };
        let found = self.find(user, sent);
        let is_of_before = found.is_some_and(|cursor| cursor.epoch != self.epoch(user));
        match answer {
            Answer::Refused { status: 410, .. } => {
                if let Some(cursor) = found.filter(|cursor| !is_of_before && now - cursor.since < RETENTION) {
                    let text = format!("what follows it is at most {} s old", now - cursor.since);
                    return Err(violation("410 is for other epochs and what is past retention", text));
                }
            }
            Answer::Refused { status: 503, .. } | Answer::Lost => {}
            _ if is_of_before => return Err(violation("a cursor of another epoch is 410", answer.brief())),
            _ => {}
        }
        match (ask, answer) {
            (Ask::Pull(pull), Answer::Pulled(page)) => {
                let began = if pull.last_sync_at.is_some() { i64::MIN } else { now - YOUNG };
                let since = found.map_or(began, |cursor| cursor.since);
                self.give(user, &page.cursor, if page.complete { now } else { since });
            }
            (Ask::Push(_), Answer::Pushed(pushed)) => {
                if let Some(cursor) = pushed.cursor.as_ref().filter(|cursor| Some(*cursor) != sent) {
                    self.give(user, cursor, now);
                }
            }
            _ => {}
        }
        Ok(())
    }
}
