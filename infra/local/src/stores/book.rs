//! What both stores know, in memory and, where the stack has a folder, in one file that is written whole at each change.

use std::fs;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

use super::apple::state::AppleBook;
use super::google::state::GoogleBook;
use super::notice::Notice;
use crate::private;

/// What is kept.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Kept {
    /// The newest moment anything was signed at, Unix milliseconds.
    stamp_ms: i64,
    /// How many changes and notifications there were.
    sequence: u64,
    pub(super) apple: AppleBook,
    pub(super) google: GoogleBook,
    pub(super) notices: Vec<Notice>,
}

impl Kept {
    /// When a change is signed: at `now_ms`, or a millisecond after the change before it. Real stores never sign two
    /// states of a purchase at one moment, but the clock of a test stands still.
    pub(super) fn stamp(&mut self, now_ms: i64) -> i64 {
        self.stamp_ms = now_ms.max(self.stamp_ms + 1);
        self.stamp_ms
    }

    /// When an answer is signed: not before the newest change.
    pub(super) fn seen_at(&self, now_ms: i64) -> i64 {
        now_ms.max(self.stamp_ms)
    }

    /// A number that was not given before.
    pub(super) fn next(&mut self) -> u64 {
        self.sequence += 1;
        self.sequence
    }
}

/// The state, shared by all calls.
#[derive(Debug)]
pub(super) struct Book {
    file: Option<PathBuf>,
    kept: Mutex<Kept>,
}

impl Book {
    /// What `file` holds, or nothing.
    pub(super) fn open(file: Option<PathBuf>) -> Result<Self, String> {
        let kept = match &file {
            Some(path) if path.exists() => fs::read(path)
                .map_err(|error| error.to_string())
                .and_then(|bytes| serde_json::from_slice(&bytes).map_err(|error| error.to_string()))
                .map_err(|error| format!("{}: {error}", path.display()))?,
            _ => Kept::default(),
        };
        Ok(Self { file, kept: Mutex::new(kept) })
    }

    /// What `read` makes of the state.
    pub(super) fn read<T>(&self, read: impl FnOnce(&Kept) -> T) -> T {
        read(&self.lock())
    }

    /// What `change` makes of the state, which is written down before anybody else sees it.
    pub(super) fn change<T>(&self, change: impl FnOnce(&mut Kept) -> T) -> T {
        let mut kept = self.lock();
        let outcome = change(&mut kept);
        self.write(&kept);
        outcome
    }

    /// Forgets everything.
    pub(super) fn clear(&self) {
        self.change(|kept| *kept = Kept::default());
    }

    fn write(&self, kept: &Kept) {
        let Some(path) = &self.file else { return };
        let written =
            serde_json::to_vec(kept).map_err(std::io::Error::from).and_then(|bytes| private::write(path, &bytes));
        if let Err(error) = written {
            tracing::error!(%error, path = %path.display(), "the state of the stores cannot be kept");
        }
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_changed_is_there_after_a_restart_and_no_two_changes_have_one_moment() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("stores.json");
        let book = Book::open(Some(file.clone())).unwrap();
        assert_eq!(book.change(|kept| (kept.stamp(1_000), kept.stamp(1_000), kept.next())), (1_000, 1_001, 1));
        drop(book);
        let book = Book::open(Some(file)).unwrap();
        assert_eq!(book.read(|kept| kept.seen_at(1_000)), 1_001);
        assert_eq!(book.change(|kept| (kept.stamp(5_000), kept.next())), (5_000, 2));
        book.clear();
        assert_eq!(book.change(|kept| kept.next()), 1);
    }
}
