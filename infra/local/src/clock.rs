//! The clock of everything in the process: the machine's time and what it was moved by, or a time that stands still.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use satchel_domain::Timestamp;
use satchel_inbound::Clock;
use tokio::sync::watch;

use crate::private;

/// The injected clock; cheap to clone.
#[derive(Clone)]
pub struct LocalClock(Arc<State>);

struct State {
    system: Clock,
    /// Where a manual clock stands before it is moved.
    manual_ms: Option<i64>,
    offset_ms: AtomicI64,
    moves: watch::Sender<u64>,
    /// Where what it was moved by is kept.
    kept: Mutex<Option<PathBuf>>,
}

impl LocalClock {
    /// A clock that runs with the machine's.
    #[must_use]
    pub fn real() -> Self {
        Self::new(None)
    }

    /// A clock that stands at `start` until it is moved.
    #[must_use]
    pub fn manual(start: Timestamp) -> Self {
        Self::new(Some(start.as_millisecond()))
    }

    fn new(manual_ms: Option<i64>) -> Self {
        Self(Arc::new(State {
            system: Clock::system(),
            manual_ms,
            offset_ms: AtomicI64::new(0),
            moves: watch::Sender::new(0),
            kept: Mutex::default(),
        }))
    }

    /// Takes up what the file at `path` says that it was moved by, and keeps it there from now on: rows, tokens and
    /// messages of a moved clock would otherwise lie in the future after a restart. One that stands still begins where it
    /// was told to, and nothing is kept.
    ///
    /// # Errors
    /// A sentence, where the file cannot be read.
    pub(crate) fn keep_at(&self, path: PathBuf) -> Result<(), String> {
        if self.is_manual() {
            return Ok(());
        }
        let offset_ms = match fs::read_to_string(&path) {
            Ok(text) => {
                text.trim().parse().map_err(|_| format!("{} does not hold a number of milliseconds", path.display()))?
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
            Err(error) => return Err(format!("{} cannot be read: {error}", path.display())),
        };
        self.0.offset_ms.store(offset_ms, Ordering::SeqCst);
        *self.0.kept.lock().unwrap_or_else(PoisonError::into_inner) = Some(path);
        Ok(())
    }

    /// Writes down what it was moved by, where that is kept.
    ///
    /// # Errors
    /// A sentence, where the file cannot be written.
    pub(crate) fn write_down(&self) -> Result<(), String> {
        let kept = self.0.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(path) = &*kept else { return Ok(()) };
        // Read while the lock is held: of two that move it at once, the second to write knows of both.
        let offset_ms = self.0.offset_ms.load(Ordering::SeqCst);
        private::write(path, format!("{offset_ms}\n").as_bytes())
            .map_err(|error| format!("the clock was moved, but {} cannot be written: {error}", path.display()))
    }

    /// Whether it stands still by itself.
    #[must_use]
    pub fn is_manual(&self) -> bool {
        self.0.manual_ms.is_some()
    }

    /// Unix milliseconds.
    #[must_use]
    pub fn now_ms(&self) -> i64 {
        let base = self.0.manual_ms.unwrap_or_else(|| self.0.system.now().as_millisecond());
        base.saturating_add(self.0.offset_ms.load(Ordering::SeqCst))
    }

    /// Unix milliseconds of the machine's clock, whatever this one was moved by.
    pub(crate) fn machine_ms(&self) -> i64 {
        self.0.system.now().as_millisecond()
    }

    /// What it was moved on by.
    #[must_use]
    pub fn moved_by(&self) -> Duration {
        Duration::from_millis(self.0.offset_ms.load(Ordering::SeqCst).try_into().unwrap_or(0))
    }

    /// The moment it is; one past the calendar is the calendar's end.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        Timestamp::from_millisecond(self.now_ms()).unwrap_or(Timestamp::MAX)
    }

    /// Moves it on.
    pub fn advance(&self, by: Duration) {
        let by = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
        let moved = |offset: i64| Some(offset.saturating_add(by));
        // The closure never gives up, so neither does the update.
        self.0.offset_ms.fetch_update(Ordering::SeqCst, Ordering::SeqCst, moved).ok();
        self.0.moves.send_modify(|count| *count += 1);
    }

    /// Back to the machine's time, or to where the manual clock began.
    pub fn reset(&self) {
        self.0.offset_ms.store(0, Ordering::SeqCst);
        self.0.moves.send_modify(|count| *count += 1);
    }

    /// Returns when it is `due_ms`, or when the clock was moved; never for a clock that nobody moves.
    pub async fn until(&self, due_ms: Option<i64>) {
        let mut moves = self.0.moves.subscribe();
        let wait = due_ms.map(|due| u64::try_from(due.saturating_sub(self.now_ms())).unwrap_or(0));
        match wait.filter(|_| !self.is_manual()) {
            // A little more than asked for: to wake just before the moment would mean to wake twice.
            Some(wait) => {
                tokio::time::timeout(Duration::from_millis(wait.saturating_add(1)), moves.changed()).await.ok();
            }
            None => {
                moves.changed().await.ok();
            }
        }
    }

    /// The same clock as functions know it.
    #[must_use]
    pub fn clock(&self) -> Clock {
        let clock = self.clone();
        Clock::new(move || clock.now())
    }
}

impl std::fmt::Debug for LocalClock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "LocalClock({})", self.now())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_manual_clock_stands_still_until_it_is_moved() {
        let clock = LocalClock::manual(Timestamp::from_second(1_000).unwrap());
        assert_eq!(clock.now_ms(), 1_000_000);
        let waiting = tokio::spawn({
            let clock = clock.clone();
            async move { clock.until(Some(1_001_000)).await }
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        clock.advance(Duration::from_secs(2));
        waiting.await.unwrap();
        assert_eq!(clock.clock().unix(), 1_002);
        clock.reset();
        assert_eq!(clock.clock().unix(), 1_000);
    }

    #[test]
    fn a_real_clock_keeps_what_it_was_moved_by() {
        let (moved, real) = (LocalClock::real(), LocalClock::real());
        moved.advance(Duration::from_secs(3_600));
        assert!(moved.now_ms() - real.now_ms() >= 3_599_000);
    }
}
