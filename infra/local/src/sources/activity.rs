//! Who is at work, so that a test can wait until nobody is.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::watch;

/// Counts what is under way.
#[derive(Debug)]
pub(crate) struct Activity {
    running: AtomicUsize,
    changes: watch::Sender<u64>,
}

impl Default for Activity {
    fn default() -> Self {
        Self { running: AtomicUsize::new(0), changes: watch::Sender::new(0) }
    }
}

impl Activity {
    /// Something begins; it ends when the answer is dropped, also by a panic.
    pub(crate) fn begin(self: &Arc<Self>) -> Busy {
        self.running.fetch_add(1, Ordering::SeqCst);
        self.changes.send_modify(|count| *count += 1);
        Busy(Arc::clone(self))
    }

    /// How much is under way.
    pub(crate) fn running(&self) -> usize {
        self.running.load(Ordering::SeqCst)
    }

    /// Changes with each beginning and end.
    pub(crate) fn subscribe(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }
}

/// Something under way.
#[derive(Debug)]
pub(crate) struct Busy(Arc<Activity>);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::SeqCst);
        self.0.changes.send_modify(|count| *count += 1);
    }
}
